"""How long ten thousand plans take, no two of them alike: each of a model object of its own, and all of one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from itertools import product
from random import Random
from time import process_time
from typing import Any

import calculator
from benchmarks.profiling import costly_functions
from benchmarks.timing import Measurement, in_turns, stopwatch
from calculator.architecture.counts import NO_LIMIT
from calculator.engines import engine_rules
from calculator.formats.weights import FORMATS
from calculator.planning.resolve import legal_degrees

Asked = dict[str, Any]

CALLS = 10_000
ROUNDS = 7
STAGES = (1, 1, 1, 1, 1, 1, 1, 1, 2, 4)


def plans() -> Measurement:
    """Time plans of models never seen before, so that nothing found of a model serves another plan."""
    return _measured("plan", "each of another model object", _of_fresh_models, aim_seconds=1.5)


def plans_of_one_model() -> Measurement:
    """Time plans of one model object, which keeps what was found of it, all else of each request drawn anew."""
    return _measured("plan-one", "all of one model object", _of_one_model, aim_seconds=1)


def _measured(name: str, what: str, requests: Callable[[int], list[Asked]], aim_seconds: float) -> Measurement:
    """Time the central answers against the last step of their arithmetic in bare integers."""
    known = [calculator.plan(**request) for request in requests(0)]
    givens = [_givens(plan) for plan in known]
    if [_bare(*given) for given in givens] != [_answers(plan) for plan in known]:
        raise RuntimeError("the floor's arithmetic and the plans differ")
    rounds = (requests(seed) for seed in range(1, ROUNDS + 2))
    floor, ours = in_turns(
        stopwatch(lambda: [_bare(*given) for given in givens], process_time),
        lambda: stopwatch(partial(_plan_all, next(rounds)), process_time)(),
        ROUNDS,
    )
    return Measurement(
        name=name,
        measured=f"{CALLS:,} plan() calls, {what}",
        floor="their blocks, batch and context in bare integers, weights and overheads given",
        seconds=ours,
        floor_seconds=floor,
        aim_seconds=aim_seconds,
        explain=lambda: costly_functions(partial(_plan_all, requests(-1))),
        remark="processor time of this one thread, since the aim is in seconds and others may compete for the cores; "
        "batch, longest context and bytes of a sequence are read of each, ranges and words are found when they are "
        "read; every call another GPU, degree, formats and counts, new ones in every round; "
        f"{sum(plan.fits for plan in known) / CALLS:.0%} of the plans fit",
    )


def _plan_all(requests: list[Asked]) -> None:
    for request in requests:
        _answers(calculator.plan(**request))


def _answers(plan: calculator.Plan) -> tuple[int, int, int]:
    return plan.max_batch_size, plan.max_context_len, plan.kv_bytes_per_sequence


def _of_fresh_models(seed: int) -> list[Asked]:
    """Draw keywords of ``plan``; each holds its own copy of a preset, so that no cache by model can answer."""
    requests = _requests(seed, _uniform_models())
    for index, request in enumerate(requests):
        request["model"] = replace(request["model"], id=f"{request['model'].id}-{seed}-{index}")
    return requests


def _of_one_model(seed: int) -> list[Asked]:
    return _requests(seed, _uniform_models()[:1])


@cache
def _uniform_models() -> list[calculator.ModelArchitecture]:
    presets = map(calculator.load_model, calculator.model_ids())
    return [model for model in presets if model.is_uniform and model.layers[0].spec.grows_until >= NO_LIMIT]


@cache
def _what_runs() -> list[Asked]:
    """Return every device and pair of formats that the engine runs there."""
    rules = engine_rules("vllm")
    stored = [name for name in rules.kv_cache_dtypes if name != "fp8_ds_mla"]  # that one is for latent vectors alone
    drawn = product(calculator.gpu_ids(), ("auto", *FORMATS), ("auto", *stored))
    return [
        {"gpu": gpu, "weight_dtype": weights, "kv_cache_dtype": kv}
        for gpu, weights, kv in drawn
        if calculator.supports(rules.name, gpu, weights, kv).ok
    ]


@cache
def _is_served(model: str, gpu: str, kv_cache_dtype: str) -> bool:
    """Whether there is a kernel of attention for a model's heads and a format of its cache on a device."""
    try:
        calculator.plan(model, gpu=gpu, kv_cache_dtype=kv_cache_dtype)
    except calculator.UnsupportedError:
        return False
    return True


def _requests(seed: int, models: list[calculator.ModelArchitecture]) -> list[Asked]:
    draw = Random(seed)
    runs = _what_runs()
    requests = []
    for _ in range(CALLS):
        model, run = draw.choice(models), draw.choice(runs)
        while not _is_served(model.id, run["gpu"], run["kv_cache_dtype"]):
            run = draw.choice(runs)
        degrees = [degree for degree in legal_degrees(model, defaultdict(bool)) if degree <= 64]
        requests.append(
            {
                "model": model,
                **run,
                "seq_len": draw.randint(1, 32_768),
                "batch_size": draw.randint(1, 64),
                "tensor_parallel_size": draw.choice(degrees),
                "pipeline_parallel_size": draw.choice(STAGES),
                "gpu_memory_utilization": draw.uniform(0.7, 0.95),
                "max_num_seqs": draw.randint(1, 2048),
                "max_num_batched_tokens": draw.randint(1024, 32_768),
            }
        )
    return requests


def _givens(plan: calculator.Plan) -> tuple[int, ...]:
    stage, request = plan.stage, plan.request
    usable = stage.memory.requested_bytes if all(each.memory.unused_bytes >= 0 for each in plan.stages) else 0
    per_token = plan.kv_bytes_per_sequence // request.seq_len
    return (
        usable, stage.memory.before_kv_bytes, stage.geometry.pools[0].block_bytes, request.block_size, request.seq_len,
        request.batch_size, per_token,
    )  # fmt: skip


def _bare(
    usable: int, taken: int, block_bytes: int, block_size: int, seq_len: int, batch_size: int, per_token: int
) -> tuple[int, int, int]:
    blocks = max(0, max(0, usable - taken) // block_bytes - 1)  # the engine holds one back
    return blocks // -(-seq_len // block_size), blocks // batch_size * block_size, per_token * seq_len
