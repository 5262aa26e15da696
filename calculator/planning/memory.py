"""Memory of one GPU of each pipeline stage, and what its KV pool holds."""

from __future__ import annotations

from functools import partial, reduce
from math import isqrt

from calculator.architecture.counts import Count, smaller
from calculator.architecture.groups import LayerGroup, merge
from calculator.architecture.model import ModelArchitecture
from calculator.architecture.weights import weight_bytes_per_rank
from calculator.engines import engine_rules
from calculator.engines.base import Engine
from calculator.engines.overheads import with_given
from calculator.engines.pools import Geometry
from calculator.hardware import Accelerator
from calculator.planning.answer import Memory, Stage, distinct
from calculator.request import Cutting, Request


def largest_batch(stages: tuple[Stage, ...], seq_len: Count) -> Count:
    """Return the sequences of some length that one rank's pools hold; none where memory is exceeded [-]."""
    batches = (stage.geometry.sequences(stage.usable_bytes, seq_len) for stage in distinct(stages))
    fewest: Count = reduce(smaller, batches)
    return fewest


def _batch_range(stages: tuple[Stage, ...], seq_len: int) -> tuple[int, int]:
    """Return the fewest and the most sequences that pools of any size within their ranges hold [-]."""
    ranges = [stage.geometry.sequences_between(*stage.usable_range, seq_len) for stage in distinct(stages)]
    return min(fewest for fewest, _ in ranges), min(most for _, most in ranges)


def longest_context(stages: tuple[Stage, ...], batch_size: Count) -> Count:
    """Return the longest sequence of which one rank's pools hold so many [tokens]."""
    lengths = (stage.geometry.longest(stage.usable_bytes, batch_size) for stage in distinct(stages))
    shortest: Count = reduce(smaller, lengths)
    return shortest


def memory_of_stages(
    model: ModelArchitecture, accelerator: Accelerator, rules: Engine, request: Request
) -> tuple[Stage, ...]:
    """Return the memory of one GPU of each pipeline stage, and how its KV pool is cut.

    Stages of the same layers and weights in the same place (first, between, last) are one object, computed once.
    """
    tp, pp = request.tensor_parallel_size, request.pipeline_parallel_size
    weights = weight_bytes_per_rank(
        model,
        request.weight_dtype,
        tp,
        pp,
        request.expert_parallel_size,
        request.split.state_ranks,
        rules.expert_multiples.get(request.weight_dtype, (1, 1)),
        rules.loads_encoders and not request.language_model_only,
    )
    cut = model.remember(_cut, rules.name, rules.version, request.cutting)
    keys: list[tuple[object, ...]] = list(zip(map(id, cut), weights, strict=True))
    keys[0] = (*keys[0], "first")
    keys[-1] = (*keys[-1], "last")
    stages = {
        key: _stage(model, accelerator, rules, request, index, weights[index], *cut[index])
        for key, index in dict(zip(keys, range(pp), strict=True)).items()
    }
    return tuple(map(stages.__getitem__, keys))


def _stage(
    model: ModelArchitecture,
    accelerator: Accelerator,
    rules: Engine,
    request: Request,
    index: int,
    weights: int,
    layers: tuple[LayerGroup, ...],
    geometry: Geometry,
) -> Stage:
    lines = with_given(rules.overheads(model, accelerator, request, index), partial(getattr, request))
    taken, total = sum(line.bytes for line in lines if not line.in_slack), accelerator.memory_bytes

    def pool(overhead: int) -> tuple[int, int]:
        requested = rules.requested_bytes(total, request.gpu_memory_utilization, weights, overhead)
        return requested, max(0, requested - weights - overhead)

    requested, central = pool(taken)
    low = pool(taken + isqrt(sum((line.high - line.bytes) ** 2 for line in lines if not line.in_slack)))[1]
    high = pool(taken - isqrt(sum((line.bytes - line.low) ** 2 for line in lines if not line.in_slack)))[1]
    if (given := request.kv_cache_memory_bytes) is not None:
        central = low = high = given
    memory = Memory(total, requested, weights, central, lines)
    blocks = geometry.num_blocks(central, request.seq_len)
    return Stage(layers, memory, geometry, low, high, blocks, _missing_bytes(memory, given is not None))


def _missing_bytes(memory: Memory, pool_given: bool) -> int:
    """Return what a device lacks to hold all at once: weights, overheads in and outside the budget, and the pool.

    A pool that is a fraction of the memory is allocated before what runs outside the budget is known, so that this
    counts at the low end of its range: an engine starts that may run out of memory later.
    """
    hoped = 0 if pool_given else sum(line.bytes - line.low for line in memory.overheads if line.in_slack)
    return max(0, -memory.unused_bytes - hoped)


def _cut(
    model: ModelArchitecture, engine: str, engine_version: str, cutting: Cutting
) -> tuple[tuple[tuple[LayerGroup, ...], Geometry], ...]:
    """Return the layers of each stage and how its KV memory is cut; it depends on neither length nor batch."""
    rules, stages = engine_rules(engine, engine_version), model.stages(cutting.pipeline_parallel_size)
    if len(stages) == 1:
        return ((model.groups, rules.geometry(model, model.groups, cutting)),)
    kept = {key: merge(groups) for key, groups in {id(groups): groups for groups in stages}.items()}
    cut = {layers: (layers, rules.geometry(model, layers, cutting)) for layers in dict.fromkeys(kept.values())}
    made = {key: cut[layers] for key, layers in kept.items()}
    return tuple(made[id(groups)] for groups in stages)
