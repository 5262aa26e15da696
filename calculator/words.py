"""The answer in words and the formula with its numbers, the same on every face."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calculator.attention import FullAttention
from calculator.storage import storage_format
from calculator.units import format_size

if TYPE_CHECKING:
    from calculator.answer import Plan


def plural(number: int, one: str, many: str = "") -> str:
    """Return ``1 sequence`` or ``55 sequences``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def hardware(plan: Plan) -> str:
    """Name the GPUs of a plan: ``4 × A100 80GB SXM``."""
    return f"{plan.num_gpus:,} × {plan.accelerator.name}"


def headline(plan: Plan) -> str:
    """Answer in one line: does it fit, and how many."""
    request = plan.request
    if plan.total_max_batch_size and plan.fits:
        verb = "fits" if plan.total_max_batch_size == 1 else "fit"
        return (
            f"{plural(plan.total_max_batch_size, 'sequence')} of {request.seq_len:,} tokens {verb} on {hardware(plan)}"
        )
    if plan.per_gpu.kv_pool_bytes == 0:
        return f"{plan.model.name} does not fit on {hardware(plan)}"
    asked = request.batch_size * request.data_parallel_size
    verb = "does" if asked == 1 else "do"
    return f"{plural(asked, 'sequence')} of {request.seq_len:,} tokens {verb} not fit on {hardware(plan)}"


def detail(plan: Plan) -> str:
    """Say what one sequence takes and how long it could be."""
    request, model = plan.request, plan.model
    size = f"Each takes {format_size(plan.kv_bytes_per_sequence)} of KV cache."
    if not plan.max_context_len:
        return size
    who = "One alone" if request.batch_size == 1 else f"With {request.batch_size:,} at once, each"
    longest = min(plan.max_context_len, model.max_position_embeddings)
    why = (
        "the model's own limit, not the memory's"
        if plan.max_context_len >= model.max_position_embeddings
        else f"the memory's limit; the model's own is {model.max_position_embeddings:,}"
    )
    return f"{size} {who} could be {longest:,} tokens long: {why}."


def formula(plan: Plan) -> str:
    """Write the formula with this plan's numbers, for one sequence over the whole model."""
    spec, request = plan.model.layers[0].spec, plan.request
    storage = storage_format(request.kv_cache_dtype)
    assert isinstance(spec, FullAttention)
    if spec.head_dim == spec.v_head_dim and storage.block_elements == 1 and not storage.row_scale_bytes:
        return (
            f"2 × {spec.num_key_value_heads} × {spec.head_dim} × {plan.model.num_layers} × {request.seq_len:,} × 1 "
            f"× {plural(storage.block_bytes, 'byte')}"
        )
    key, value = storage.row_bytes(spec.head_dim), storage.row_bytes(spec.v_head_dim)
    return f"({key} + {value}) bytes × {spec.num_key_value_heads} × {plan.model.num_layers} × {request.seq_len:,} × 1"


def formula_steps(plan: Plan) -> list[tuple[str, str, int]]:
    """Work the formula out step by step: what, how, and the exact bytes."""
    spec, model, request = plan.model.layers[0].spec, plan.model, plan.request
    storage = storage_format(request.kv_cache_dtype)
    assert isinstance(spec, FullAttention)
    key, value = storage.row_bytes(spec.head_dim), storage.row_bytes(spec.v_head_dim)
    tp, heads = request.tensor_parallel_size, spec.num_key_value_heads
    layer = spec.bytes_per_token(storage, 1)
    token = model.kv_bytes_per_token(request.kv_cache_dtype)
    copies = f", {plan.kv_replication} copies of each head" if plan.kv_replication > 1 else ""
    steps = [
        (
            "One token, one KV head",
            f"K row {key} + V row {value} bytes ({spec.head_dim} values in {storage.name})",
            key + value,
        ),
        ("One token, one layer", f"{key + value:,} × {plural(heads, 'KV head')}", layer),
        ("One token, all layers", f"{layer:,} × {model.num_layers} layers", token),
        ("One sequence", f"{token:,} × {request.seq_len:,} tokens", token * request.seq_len),
        (
            "One sequence, one GPU",
            f"{plural(plan.kv_heads_per_gpu, 'KV head')} on each of {plural(tp, 'GPU')}{copies}",
            plan.kv_bytes_per_sequence // tp,
        ),
    ]
    if request.batch_size > 1:
        total = plan.kv_bytes_per_sequence * request.batch_size
        steps.append((f"{request.batch_size:,} sequences, one replica", "copies included", total))
    return steps


def memory_lines(plan: Plan) -> list[tuple[str, int, str]]:
    """List the memory of one GPU line by line, with where each figure comes from; the lines sum to its total."""
    memory, request = plan.per_gpu, plan.request
    in_blocks = plan.stage.num_blocks * plan.stage.block_bytes
    rounding = memory.kv_pool_bytes - in_blocks
    lines = [
        ("Weights", memory.weights_bytes, f"{plan.model.num_parameters:,} parameters in {request.weight_dtype}, exact")
    ]
    lines += [(line.name, line.bytes, f"estimate: {line.source}") for line in plan.stage.overheads]
    lines.append(("KV cache", in_blocks, f"{plan.stage.num_blocks:,} blocks of {request.block_size} tokens, exact"))
    if rounding:
        lines.append(("Less than a block", rounding, "left over when the pool is cut into blocks"))
    if memory.unused_bytes < 0:
        lines.append(("Missing", memory.unused_bytes, "more than the GPU has"))
    elif request.kv_cache_memory_bytes is None:
        lines.append(
            ("Kept free", memory.unused_bytes, f"outside the utilisation of {request.gpu_memory_utilization:g}")
        )
    else:
        lines.append(("Kept free", memory.unused_bytes, "the KV pool is given outright"))
    return lines


def price(plan: Plan) -> str:
    """Say what the GPUs cost, as an example with its date; empty where no price is known."""
    hourly, each = plan.price_usd_per_hour, plan.price_usd_per_sequence_hour
    if not hourly:
        return ""
    text = f"{_dollars(hourly)} per hour"
    if each:
        text += f", {_dollars(each)} per sequence and hour"
    return f"{text} (prices seen {plan.accelerator.price_date or 'without a date'}; examples, not quotes)"


def _dollars(amount: tuple[float, float]) -> str:
    low, high = (f"${value:,.2f}" if value >= 0.1 else f"${value:,.4f}" for value in amount)
    return low if low == high else f"{low} to {high}"
