"""Three questions about engines: who holds how much, what one request takes, how to use the GPUs."""

from __future__ import annotations

from typing import Any

from calculator.architecture.counts import NO_LIMIT
from calculator.architecture.sums import Layout, kv_bytes_on_rank
from calculator.engines import ENGINES, engine_class
from calculator.errors import CalculatorError
from calculator.planning.answer import Plan
from calculator.planning.plan import plan as make_plan
from calculator.planning.plan import vary
from calculator.planning.search import inside_a_replica
from calculator.request import OPTIONS
from calculator.units import format_size, plural
from calculator.views.base import View

SAME_REQUEST = ("model", "gpu", *(name for name, option in OPTIONS.items() if option.everywhere))
"""What of a request means the same to every engine; the rest is each engine's own default."""
LENGTHS = 9
SHORTEST = 512


def on_engine(plan: Plan, name: str) -> Plan:
    """Return the plan of the same request on another engine, with that engine's own defaults.

    Parameters
    ----------
    plan : Plan
        The answer to start from [-].
    name : str
        The engine [-].

    Returns
    -------
    Plan
        The same plan where it is of that engine already; where the engine puts whole layers on each GPU,
        tensor-parallel GPUs become pipeline stages.

    Raises
    ------
    CalculatorError
        If that engine cannot serve the request.
    """
    if name == plan.request.engine:
        return plan
    asked = {key: value for key, value in plan.asked.items() if key in SAME_REQUEST}
    if not engine_class(name).splits_layers:
        gpus = asked.pop("tensor_parallel_size", 1) * asked.get("pipeline_parallel_size", 1)
        asked["pipeline_parallel_size"] = gpus
    return make_plan(**asked, engine=name)


def engines_view(plan: Plan) -> View:
    """Answer the same request by every engine.

    Parameters
    ----------
    plan : Plan
        The answer to start from [-].

    Returns
    -------
    View
        A row an engine: memory of one GPU line by line, sequences with their range, tokens, and the budget in words.
    """
    rows = []
    for name in ENGINES:
        kind = engine_class(name)
        row: dict[str, Any] = {"engine": kind.title, "this_plan": name == plan.request.engine, "refused": ""}
        try:
            other = on_engine(plan, name)
        except CalculatorError as error:
            rows.append(row | {"refused": str(error)})
            continue
        memory = other.per_gpu
        rows.append(
            row
            | {
                "version": other.rules.version,
                "max_batch_size": other.total_max_batch_size,
                "max_batch_size_low": other.max_batch_size_low * other.request.data_parallel_size,
                "max_batch_size_high": other.max_batch_size_high * other.request.data_parallel_size,
                "reported_kv_tokens": other.reported_kv_tokens,
                "weights_bytes_per_gpu": memory.weights_bytes,
                "overhead_bytes_per_gpu": memory.before_kv_bytes - memory.weights_bytes,
                "kv_pool_bytes_per_gpu": memory.kv_pool_bytes,
                "kept_free_bytes_per_gpu": memory.total_bytes - memory.before_kv_bytes - memory.kv_pool_bytes,
                "allocated_bytes_per_sequence": other.allocated_bytes_per_sequence,
                "budget": other.rules.budget_words(other.model, other.request),
                "range_cause": other.range_cause,
            }
        )
    return View("engines", "Engines", _engines_finding(plan, rows), plan, rows)


def _engines_finding(plan: Plan, rows: list[dict[str, Any]]) -> str:
    possible = [row for row in rows if not row["refused"]]
    what = f"sequences of {plan.request.seq_len:,} tokens"
    if not any(row["max_batch_size"] for row in possible):
        if plan.request.kv_cache_memory_bytes is None:
            return f"No engine holds even one of the {what}: weights and overheads leave too little."
        return f"No engine holds even one of the {what} in the KV pool given, beside weights and overheads."
    most = max(possible, key=lambda row: row["max_batch_size"])
    fewest = min(possible, key=lambda row: row["max_batch_size"])
    if most["max_batch_size"] == fewest["max_batch_size"]:
        names = " and ".join(row["engine"] for row in possible)
        return f"{names} hold the same, {most['max_batch_size']:,} {what}."
    return (
        f"{most['engine']} holds the most, {most['max_batch_size']:,} {what}, {fewest['engine']} the fewest, "
        f"{fewest['max_batch_size']:,}: {most['engine']} takes {most['budget']}, {fewest['engine']} {fewest['budget']}"
        f"{_each(most, fewest)}."
    )


def _each(most: dict[str, Any], fewest: dict[str, Any]) -> str:
    """Say what one sequence takes on either, where that differs."""
    one, other = most["allocated_bytes_per_sequence"], fewest["allocated_bytes_per_sequence"]
    if abs(one - other) <= 0.05 * max(one, other):
        return ""
    sizes = f"{format_size(one)} of a GPU on {most['engine']} and {format_size(other)} on {fewest['engine']}"
    return f"; one sequence takes {sizes}"


def kv_in_use_view(plan: Plan) -> View:
    """Compare what one request takes on each engine, in its blocks, with what the architecture keeps.

    Parameters
    ----------
    plan : Plan
        The answer to start from [-].

    Returns
    -------
    View
        A row an engine and length: bytes and blocks of one sequence on one GPU, and the architecture's own bytes.
    """
    longest = max(plan.request.seq_len, plan.model.max_position_embeddings)
    ratio = (longest / min(SHORTEST, longest)) ** (1 / (LENGTHS - 1))
    lengths = {min(longest, round(min(SHORTEST, longest) * ratio**step)) for step in range(LENGTHS)}
    rows = []
    for name in ENGINES:
        kind = engine_class(name)
        try:
            other = on_engine(plan, name)
        except CalculatorError as error:
            refused: dict[str, Any] = {"engine": kind.title, "refused": str(error)}
            rows.append(refused)
            continue
        geometry, request = other.stage.geometry, other.request
        layout = Layout(request.storage, request.split, request.encoder_seq_len or 0)
        for tokens in sorted({*lengths, plan.request.seq_len}):
            kept = kv_bytes_on_rank(other.stage.layers, tokens, layout) + other.state_bytes_per_gpu
            rows.append(
                {
                    "engine": kind.title,
                    "seq_len": tokens,
                    "this_length": tokens == plan.request.seq_len,
                    "architecture_bytes_per_gpu": kept,
                    "allocated_bytes_per_gpu": geometry.bytes_of(tokens),
                    "blocks": sum(pool.blocks(tokens) for pool in geometry.pools) if kind.in_blocks else None,
                    "block_size": request.block_size,
                    "full_length": not other.rules.keeps_windows(other.model),
                    "refused": "",
                }
            )
    return View("kv-in-use", "KV in use", _in_use_finding(plan, rows), plan, rows)


def _in_use_finding(plan: Plan, rows: list[dict[str, Any]]) -> str:
    here = [row for row in rows if not row["refused"] and row["this_length"]]
    if not here:
        return "No engine can serve the request."
    kept = {row["architecture_bytes_per_gpu"] for row in here}
    text = f"One sequence of {plan.request.seq_len:,} tokens keeps {format_size(max(kept))} of one GPU by its layers"
    over = [(row["allocated_bytes_per_gpu"] / max(1, row["architecture_bytes_per_gpu"]), row) for row in here]
    factor, worst = max(over, key=lambda pair: pair[0])
    if factor < 1.01:
        return f"{text}; every engine allocates that, but for the rest of its last block."
    said = f"{worst['engine']} allocates {format_size(worst['allocated_bytes_per_gpu'])}, {factor:.2g} times as much"
    return f"{text}; {said}{_why_more(plan, worst['full_length'])}."


def _why_more(plan: Plan, full_length: bool) -> str:
    kinds = {group.spec.grows_until for group in plan.model.groups}
    reasons = []
    if any(0 < limit < NO_LIMIT for limit in kinds):
        in_flight = "windows are charged for tokens in flight and whole blocks"
        reasons.append("it keeps windows at full length" if full_length else in_flight)
    if plan.state_bytes_per_sequence:
        reasons.append("a state takes whole pages, some of them for prefix caching")
    return f", since {' and '.join(reasons)}" if reasons else ", since it takes whole blocks"


def parallelism_view(plan: Plan) -> View:
    """Use the same GPUs in every way that their number allows: tensor, data, attention-data and context parallel.

    Parameters
    ----------
    plan : Plan
        The answer to start from; one GPU alone is taken as a node of them [-].

    Returns
    -------
    View
        A row a way: sequences of all GPUs, weights and KV pool of one.
    """
    gpus = plan.num_gpus if plan.num_gpus > 1 else plan.accelerator.gpus_per_node
    rows = []
    for label, changes in _ways(plan, gpus):
        row: dict[str, Any] = {"way": label, "refused": ""}
        try:
            other = vary(plan, **changes)
        except CalculatorError as error:
            rows.append(row | {"refused": str(error)})
            continue
        same = other.request == plan.request
        rows.append(
            row
            | {
                "this_plan": same,
                "max_batch_size": other.total_max_batch_size,
                "max_batch_size_low": other.max_batch_size_low * other.request.data_parallel_size,
                "max_batch_size_high": other.max_batch_size_high * other.request.data_parallel_size,
                "weights_bytes_per_gpu": other.per_gpu.weights_bytes,
                "kv_pool_bytes_per_gpu": other.per_gpu.kv_pool_bytes,
                "kv_copies": other.kv_replication,
            }
        )
    return View("parallelism", "Ways to use the GPUs", _parallelism_finding(plan, gpus, rows), plan, rows)


def _ways(plan: Plan, gpus: int) -> list[tuple[str, dict[str, Any]]]:
    one = {"tensor_parallel_size": 1, "pipeline_parallel_size": 1, "data_parallel_size": 1,
           "enable_attention_dp": False, "decode_context_parallel_size": 1,
           "enable_expert_parallel": False}  # fmt: skip
    ways = []
    inside, short = inside_a_replica(plan)
    has_experts = plan.model.moe_intermediate_size > 0
    for degree in (degree for degree in range(gpus, 0, -1) if gpus % degree == 0):
        split = {**one, inside: degree, "data_parallel_size": gpus // degree}
        ways.append((f"{short} {degree}, DP {gpus // degree}", split))
        if has_experts and degree < gpus and plan.rules.splits_layers:
            ways.append((f"TP {degree}, DP {gpus // degree}, EP", {**split, "enable_expert_parallel": True}))
    options = plan.rules.only_here
    if "enable_attention_dp" in options and gpus > 1:
        ways.append((f"TP {gpus}, attention DP", {**one, "tensor_parallel_size": gpus, "enable_attention_dp": True}))
    if "decode_context_parallel_size" in options and gpus > 1:
        heads = max(1, plan.model.num_key_value_heads)
        most = gpus // heads if not _is_latent(plan) else gpus
        if most > 1:
            ways.append(
                (f"TP {gpus}, context over {most}",
                 {**one, "tensor_parallel_size": gpus, "decode_context_parallel_size": most})
            )  # fmt: skip
    return ways


def _is_latent(plan: Plan) -> bool:
    return all(group.spec.kv_heads <= 1 for group in plan.model.groups)


def _parallelism_finding(plan: Plan, gpus: int, rows: list[dict[str, Any]]) -> str:
    possible = [row for row in rows if not row["refused"]]
    if not any(row["max_batch_size"] for row in possible):
        return f"No way of using {plural(gpus, 'GPU')} holds a sequence of {plan.request.seq_len:,} tokens."
    best = max(possible, key=lambda row: row["max_batch_size"])
    text = (
        f"On {gpus} × {plan.accelerator.name}, {best['way']} holds the most: "
        f"{best['max_batch_size']:,} sequences of {plan.request.seq_len:,} tokens"
    )
    tensor = next((row for row in possible if row["way"] == f"TP {gpus}, DP 1"), None)
    if tensor and tensor is not best and tensor["max_batch_size"]:
        factor = best["max_batch_size"] / tensor["max_batch_size"]
        copies = f", where every KV head is kept {tensor['kv_copies']} times" if tensor["kv_copies"] > 1 else ""
        text += f", {factor:.2g} times as many as TP {gpus}{copies}"
    return f"{text}."
