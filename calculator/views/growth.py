"""Three questions about growth, answered as tables: KV heads, sequence length, tensor parallelism.

Each view holds the sentence that states its finding and the rows behind it; ``charts`` draws
them. Every row is a plan or an array sweep of the same request with one input changed.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from calculator.architecture.latent import LatentAttention, as_latent
from calculator.architecture.layers import SlidingWindow
from calculator.architecture.limits import MAX_TOKENS
from calculator.architecture.model import ModelArchitecture
from calculator.architecture.split import Split
from calculator.architecture.sums import Layout, kv_bytes_of_sequence
from calculator.errors import CalculatorError, UnsupportedError
from calculator.planning.answer import Plan
from calculator.planning.plan import plan as make_plan
from calculator.planning.plan import vary
from calculator.planning.resolve import legal_degrees, why_degree_not
from calculator.planning.sweep import sweep_arrays
from calculator.units import format_gib, format_size, plural
from calculator.views.base import View

if TYPE_CHECKING:
    pass

LENGTH_POINTS = 96
SMALLEST_LENGTH = 256
MAX_DEGREE = 64


def kv_head_view(plan: Plan) -> View:
    """Vary the KV heads from multi-query (1) to multi-head attention (all query heads), latent attention beside.

    Parameters
    ----------
    plan : Plan
        The answer to start from [-].

    Returns
    -------
    View
        A row for each divisor of the query heads, windows kept and key and value projections counted anew
        (those of latent attention are left as they are);
        a row for the model as it is where it is none of them; one with latent attention in its place;
        and one without windows. No rows where layers have KV heads of different number or size, or none.
    """
    try:
        variants = _variants(plan.model)
        as_mha = _sequence(plan, next(variant for kind, _, variant in variants if kind == "MHA"))
    except CalculatorError as error:
        return View("kv-heads", "KV heads", f"{error}.", plan, [])
    rows = []
    for kind, groups, variant in variants:
        row: dict[str, Any] = {
            "num_key_value_heads": groups,
            "kind": kind,
            "this_model": variant.groups == plan.model.groups,
            "saving_percent": 0.0,
            "refused": why_degree_not(variant, asdict(plan.request)) or "",
        }
        try:
            row["saving_percent"] = round(100 * (1 - _sequence(plan, variant) / as_mha), 2)
            if not row["refused"]:
                other = make_plan(**{**plan.asked, "model": variant})
                row |= {
                    "kv_bytes_per_gpu": kv_bytes_per_gpu(other),
                    "weights_bytes_per_gpu": other.per_gpu.weights_bytes,
                    "max_batch_size": other.max_batch_size,
                }
        except CalculatorError as error:
            row["refused"] = str(error)
        rows.append(row)
    return View("kv-heads", "KV heads", _kv_head_finding(plan, rows), plan, rows)


def _variants(model: ModelArchitecture) -> list[tuple[str, int, ModelArchitecture]]:
    """Return a model with every number of KV heads, as it is, with latent attention and without windows."""
    heads = model.num_attention_heads
    if not model.num_key_value_heads:
        raise UnsupportedError(f"{model.name} has no attention heads to vary")
    variants = [(_kind(groups, heads), groups, model.with_kv_heads(groups)) for groups in _divisors(heads)]
    if not any(variant.groups == model.groups for _, _, variant in variants):
        variants.append((_own_kind(model), model.num_key_value_heads, model))
    if not any(isinstance(group.spec, LatentAttention) for group in model.groups):
        variants.append(("MLA", 1, model.with_specs(as_latent)))
    if any(isinstance(group.spec, SlidingWindow) for group in model.groups):
        variants.append(("no window", model.num_key_value_heads, model.without_windows()))
    return variants


def _divisors(heads: int) -> list[int]:
    return [count for count in range(1, heads + 1) if heads % count == 0]


def _sequence(plan: Plan, model: ModelArchitecture) -> int:
    """Bytes of one sequence over a whole model [bytes]."""
    layout = Layout(plan.request.storage, Split(), plan.request.encoder_seq_len or 0)
    return kv_bytes_of_sequence(model.groups, plan.request.seq_len, layout)


def _own_kind(model: ModelArchitecture) -> str:
    return "MLA" if any(isinstance(group.spec, LatentAttention) for group in model.groups) else "own"


def _kind(groups: int, heads: int) -> str:
    return "MHA" if groups == heads else "MQA" if groups == 1 else "GQA"


def _kv_head_finding(plan: Plan, rows: list[dict[str, Any]]) -> str:
    model, heads = plan.model, plan.model.num_attention_heads
    own = next(row for row in rows if row["this_model"])
    mha = next(row for row in rows if row["kind"] == "MHA" or row["num_key_value_heads"] == heads)
    if own is mha:
        less = f"; a single one (MQA) would save {rows[0]['saving_percent']:g} %" if heads > 1 else ""
        most = "one for each query head (MHA), the most there can be"
        return f"{model.name} keeps {plural(heads, 'KV head')}, {most}{less}."
    what = f"keeps {plural(own['num_key_value_heads'], 'KV head')} for {heads} query heads ({own['kind']})"
    if own["kind"] == "MLA":
        what = f"keeps one latent vector for {heads} query heads (MLA)"
    text = f"{model.name} {what}: {own['saving_percent']:g} % less KV cache than {heads} (MHA) would take."
    if not mha["refused"] and not own["refused"]:
        text += (
            f" One replica holds {plural(own['max_batch_size'], 'sequence')} of {plan.request.seq_len:,} tokens, "
            f"with MHA it would hold {mha['max_batch_size']:,}."
        )
    open_window = next((row for row in rows if row["kind"] == "no window"), None)
    if open_window and not open_window["refused"]:
        text += f" Without its windows it would hold {open_window['max_batch_size']:,}."
    return text


def sequence_length_view(plan: Plan) -> View:
    """Vary the sequence length up to the model's longest context.

    Parameters
    ----------
    plan : Plan
        The answer to start from [-].

    Returns
    -------
    View
        Weights, overheads and KV cache of one GPU at each length, for the batch asked.
    """
    request = plan.request
    longest = max(plan.model.max_position_embeddings, request.seq_len)
    smallest = min(SMALLEST_LENGTH, longest)
    steps = [smallest * (longest / smallest) ** (step / (LENGTH_POINTS - 1)) for step in range(LENGTH_POINTS)]
    lengths = {min(longest, max(1, round(step))) for step in steps} | {request.seq_len, longest}
    if 0 < plan.max_context_len <= longest:
        lengths.add(plan.max_context_len)
    asked = {name: value for name, value in plan.asked.items() if name not in ("model", "seq_len", "batch_size")}
    arrays = sweep_arrays(plan.model, {**asked, "seq_len": sorted(lengths)})
    names = ("seq_len", "weights_bytes_per_gpu", "overhead_bytes_per_gpu", "kv_bytes_per_gpu", "max_batch_size")
    rows = [
        dict(zip(names, (value.item() for value in values), strict=True))
        for values in zip(*(arrays[name] for name in names), strict=True)
    ]
    for row in rows:  # the batch beside the arrays, whose 64 bits its bytes may exceed
        row["kv_bytes_per_gpu"] *= request.split.sequences_on_rank(request.batch_size)
        row["fits"] = row["max_batch_size"] >= request.batch_size
    return View("sequence-length", "Sequence length", _length_finding(plan, longest), plan, rows)


def _length_finding(plan: Plan, longest: int) -> str:
    request, limit = plan.request, plan.max_context_len
    who = "one sequence" if request.batch_size == 1 else f"{request.batch_size:,} sequences at once"
    per_gpu = format_gib(kv_bytes_per_gpu(plan))
    if not any(group.spec.grows_until for group in plan.model.groups):
        state = format_size(plan.state_bytes_per_gpu)
        return f"Nothing grows with the length: a sequence keeps a state of {state} on one GPU, however long it is."
    takes = f"At {request.seq_len:,} tokens, {who} take{'s' if request.batch_size == 1 else ''} {per_gpu} of one GPU."
    if plan.stage.exceeds and plan.kv_pool_bytes:
        missing = format_size(-plan.per_gpu.unused_bytes)
        return f"{takes} All that one GPU must hold at once exceeds it by {missing}, at any length."
    if not limit:
        return f"{takes} Nothing is left for a KV cache on one GPU, at any length."
    if limit >= MAX_TOKENS // 2:
        return f"{takes} The cache stops growing before the GPU's limit: memory would hold them at any length."
    if limit >= longest:
        return f"{takes} The limit is not reached by {longest:,} tokens; the memory would hold {limit:,} tokens each."
    return f"{takes} The cache reaches the GPU's limit at {limit:,} tokens each."


def tensor_parallel_view(plan: Plan) -> View:
    """Vary the tensor-parallel degree.

    Parameters
    ----------
    plan : Plan
        The answer to start from [-].

    Returns
    -------
    View
        A row for the plan's own degree, for each legal one up to 64, and for each within a node that is not legal,
        with why.
    """
    request, asked = plan.request, asdict(plan.request)
    legal = [degree for degree in legal_degrees(plan.model, asked) if degree <= MAX_DEGREE]
    within_node = range(1, min(16, max(plan.accelerator.gpus_per_node, 8)) + 1)
    rows = []
    for degree in sorted({*legal, *within_node, request.tensor_parallel_size}):
        row: dict[str, Any] = {"tensor_parallel_size": degree, "this_plan": degree == request.tensor_parallel_size}
        try:
            other = vary(plan, tensor_parallel_size=degree)
        except CalculatorError as error:
            reason = why_degree_not(plan.model, {**asked, "tensor_parallel_size": degree})
            rows.append(row | {"refused": reason or str(error)})
            continue
        rows.append(
            row
            | {
                "kv_bytes_per_gpu": kv_bytes_per_gpu(other),
                "weights_bytes_per_gpu": other.per_gpu.weights_bytes,
                "kv_heads_per_gpu": other.kv_heads_per_gpu,
                "kv_replication": other.kv_replication,
                "max_batch_size": other.max_batch_size,
                "max_batch_size_per_gpu": round(other.max_batch_size / other.gpus_per_replica, 2),
                "refused": "",
            }
        )
    return View("tensor-parallel", "Tensor parallelism", _tensor_parallel_finding(plan, rows), plan, rows)


def _tensor_parallel_finding(plan: Plan, rows: list[dict[str, Any]]) -> str:
    heads = plan.model.num_key_value_heads
    possible = [row for row in rows if not row["refused"]]
    if not plan.rules.splits_layers:
        return f"{plan.rules.title} has no tensor parallelism: each GPU holds whole layers, as a pipeline stage."
    text = f"KV memory per GPU falls until TP {heads}, the number of KV heads"
    copied = next((row for row in possible if row["kv_replication"] > 1), None)
    if plan.request.enable_attention_dp:
        text = "Every GPU keeps whole the KV cache of the sequences that it serves, one TP-th of the batch"
    elif heads == 0:
        text = "The state of a sequence is split over the GPUs"
    elif plan.request.decode_context_parallel_size > 1:
        text = f"{plan.request.decode_context_parallel_size} GPUs share the tokens of a sequence"
    elif _own_kind(plan.model) == "MLA":
        text = "The latent vector is the same for all heads, so every GPU keeps a whole copy: it does not fall with TP"
    elif heads == 1:
        text = "There is one KV head, so every GPU keeps a whole copy: KV memory per GPU does not fall with TP"
    elif copied:
        text += f"; at TP {copied['tensor_parallel_size']} each head is kept {copied['kv_replication']} times"
    best = max(possible, key=lambda row: (row["max_batch_size_per_gpu"], -row["tensor_parallel_size"]))
    if best["max_batch_size"]:
        text += (
            f". TP {best['tensor_parallel_size']} holds the most sequences for its GPUs: "
            f"{best['max_batch_size']:,} a replica, {best['max_batch_size_per_gpu']:,.10g} a GPU"
        )
    return text + "."


def kv_bytes_per_gpu(plan: Plan) -> int:
    """Return the KV cache of what one GPU serves of the batch asked, before rounding to blocks [bytes].

    With pipeline stages, of the one that decides.
    """
    return plan.kv_bytes_per_gpu * plan.request.split.sequences_on_rank(plan.request.batch_size)
