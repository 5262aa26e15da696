"""The answer in words and the formula with its numbers, the same on every face."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calculator.architecture.counts import NO_LIMIT
from calculator.architecture.layers import FullAttention
from calculator.engines.overheads import OWN_VALUE
from calculator.formats.kv import storage_format
from calculator.units import format_size, plural

if TYPE_CHECKING:
    from calculator.architecture.model import LayerGroup
    from calculator.logs.comparison import Term
    from calculator.planning.answer import Plan


NOT_MODELLED = (
    "not modelled: LoRA, draft models of speculative decoding, caches and profiling of vision and audio encoders, KV "
    "connectors, and a first start with a cold compile cache, which can leave 1 to 2.5 GiB less"
)


def hardware(plan: Plan) -> str:
    """Name the GPUs of a plan: ``4 × A100 80GB SXM``."""
    return f"{plan.num_gpus:,} × {plan.accelerator.name}"


def headline(plan: Plan) -> str:
    """Answer in one line: does it fit, and how many."""
    request = plan.request
    if plan.total_max_batch_size and plan.fits:
        verb = "fits" if plan.total_max_batch_size == 1 else "fit"
        many = plural(plan.total_max_batch_size, "sequence")
        return f"{many} of {plural(request.seq_len, 'token')} {verb} on {hardware(plan)}"
    if plan.per_gpu.kv_pool_bytes == 0:
        return f"{plan.model.name} does not fit on {hardware(plan)}"
    if plan.stage.exceeds and request.kv_cache_memory_bytes is not None:
        return f"{plan.model.name} with a KV pool of {format_size(plan.kv_pool_bytes)} does not fit on {hardware(plan)}"
    asked = request.batch_size * request.data_parallel_size
    verb = "does" if asked == 1 else "do"
    return f"{plural(asked, 'sequence')} of {plural(request.seq_len, 'token')} {verb} not fit on {hardware(plan)}"


def detail(plan: Plan) -> str:
    """Say what one sequence takes and how long it could be."""
    request, model = plan.request, plan.model
    size = f"Each takes {format_size(plan.kv_bytes_per_sequence)} of KV cache"
    if plan.state_bytes_per_sequence:
        state = plan.state_bytes_per_sequence * request.split.state_ranks
        size += f" and {format_size(state)} of state that does not grow"
    if not plan.max_context_len:
        return f"{size}."
    who = "One alone" if request.batch_size == 1 else f"With {request.batch_size:,} at once, each"
    own, memory = model.max_position_embeddings, plan.max_context_len
    if request.seq_len > own:
        return f"{size}. {who} could be {memory:,} tokens long by memory; the model is made for {own:,}."
    why = (
        f"the memory's limit; the model's own is {own:,}" if memory < own else "the model's own limit, not the memory's"
    )
    return f"{size}. {who} could be {min(memory, own):,} tokens long: {why}."


def formula(plan: Plan) -> str:
    """Write the formula with this plan's numbers, for one sequence over the whole model: a line a kind of layer."""
    return "\n+ ".join(_term(plan, group) for group in plan.model.groups if _kept(plan, group))


def _kept(plan: Plan, group: LayerGroup) -> int:
    """Bytes of one sequence that a group of layers keeps over the whole model [bytes]."""
    request, storage = plan.request, storage_format(plan.request.kv_cache_dtype)
    return group.count * group.spec.kv_bytes(request.seq_len, storage, 1, request.encoder_seq_len or 0)


def _term(plan: Plan, group: LayerGroup) -> str:
    spec, request, count = group.spec, plan.request, group.count
    storage = storage_format(request.kv_cache_dtype)
    tokens = f"{min(request.seq_len, spec.grows_until):,}"
    if spec.grows_until < request.seq_len:
        tokens = f"min({request.seq_len:,}, {spec.grows_until:,})"
    encoder = spec.encoder_bytes(1, storage, 1)
    across = f" + {encoder} bytes × {count} × {request.encoder_seq_len:,} encoder tokens" if encoder else ""
    if not isinstance(spec, FullAttention):
        return f"{spec.bytes_per_token(storage, 1):,} bytes × {count} × {tokens} × 1{across}"
    heads = spec.num_key_value_heads
    if spec.head_dim == spec.v_head_dim and storage.block_elements == 1 and not storage.row_scale_bytes:
        return f"2 × {heads} × {spec.head_dim} × {count} × {tokens} × 1 × {plural(storage.block_bytes, 'byte')}{across}"
    key, value = storage.row_bytes(spec.head_dim), storage.row_bytes(spec.v_head_dim)
    return f"({key} + {value}) bytes × {heads} × {count} × {tokens} × 1{across}"


def formula_steps(plan: Plan) -> list[tuple[str, str, int]]:
    """Work the formula out step by step: what, how, and the exact bytes."""
    model, request = plan.model, plan.request
    total = sum(_kept(plan, group) for group in model.groups)
    steps = _uniform_steps(plan) if model.is_uniform else [_group_step(plan, group) for group in model.groups]
    steps.append(("One sequence", _how_it_grows(plan), total))
    steps.append(("One sequence, one GPU", _how_it_is_shared(plan), plan.kv_bytes_per_gpu))
    if plan.state_bytes_per_sequence:
        steps.append(("State of one sequence, one GPU", f"does not grow{_of_stage(plan)}", plan.state_bytes_per_gpu))
    if request.batch_size > 1:
        batch = plan.kv_bytes_per_sequence * request.batch_size
        steps.append((f"{request.batch_size:,} sequences, one replica", "copies included", batch))
    return steps


def _how_it_is_shared(plan: Plan) -> str:
    """Say what of a sequence one GPU keeps: heads, tokens and layers."""
    request, heads = plan.request, plural(plan.kv_heads_per_gpu, "KV head")
    if request.enable_attention_dp:
        whole = f"{heads}, all of them, on one of {plural(request.tensor_parallel_size, 'GPU')}"
        return f"{whole}, each with sequences of its own{_of_stage(plan)}"
    copies = f", {plan.kv_replication} copies of each head" if plan.kv_replication > 1 else ""
    shared = request.split.context_ranks
    tokens = f", of the tokens that {shared} of them share" if shared > 1 else ""
    return f"{heads} on each of {plural(request.tensor_parallel_size, 'GPU')}{copies}{tokens}{_of_stage(plan)}"


def _of_stage(plan: Plan) -> str:
    """Name the layers of the stage that decides, where there are several stages."""
    layers = sum(group.count for group in plan.stage.layers)
    return f", {layers} of {plan.model.num_layers} layers" if plan.request.pipeline_parallel_size > 1 else ""


def _uniform_steps(plan: Plan) -> list[tuple[str, str, int]]:
    spec, model, storage = plan.model.groups[0].spec, plan.model, storage_format(plan.request.kv_cache_dtype)
    assert isinstance(spec, FullAttention)
    key, value = storage.row_bytes(spec.head_dim), storage.row_bytes(spec.v_head_dim)
    layer = spec.bytes_per_token(storage, 1)
    row = f"K row {key} + V row {value} bytes ({spec.head_dim} values in {storage.name})"
    return [
        ("One token, one KV head", row, key + value),
        ("One token, one layer", f"{key + value:,} × {plural(spec.num_key_value_heads, 'KV head')}", layer),
        ("One token, all layers", f"{layer:,} × {model.num_layers} layers", layer * model.num_layers),
    ]


def _group_step(plan: Plan, group: LayerGroup) -> tuple[str, str, int]:
    spec, storage = group.spec, storage_format(plan.request.kv_cache_dtype)
    what = f"{plural(group.count, 'layer')}: {spec.kind}"
    if not spec.grows_until:
        return what, "keeps nothing that grows", _kept(plan, group)
    tokens = min(plan.request.seq_len, spec.grows_until)
    limit = f" (at most {spec.grows_until:,})" if spec.grows_until < NO_LIMIT else ""
    how = f"{group.count} × {spec.bytes_per_token(storage, 1):,} bytes a token × {tokens:,} tokens{limit}"
    encoder = spec.encoder_bytes(1, storage, 1)
    if encoder:
        how += f" + {group.count} × {encoder:,} × {plan.request.encoder_seq_len:,} encoder tokens"
    return what, how, _kept(plan, group)


def _how_it_grows(plan: Plan) -> str:
    """Say which part of a sequence's memory grows for ever, which stops, and which never grows."""
    if plan.model.is_uniform:
        token = plan.model.kv_bytes_per_token(plan.request.kv_cache_dtype)
        return f"{token:,} × {plan.request.seq_len:,} tokens"
    kinds = {"grow with every token": 0, "stop growing": 0, "never grow": 0}
    for group in plan.model.groups:
        limit = group.spec.grows_until
        kinds["grow with every token" if limit >= NO_LIMIT else "stop growing" if limit else "never grow"] += (
            group.count
        )
    return ", ".join(f"{plural(number, 'layer')} {how}" for how, number in kinds.items() if number)


def memory_lines(plan: Plan) -> list[tuple[str, int, str]]:
    """List the memory of one GPU line by line, with where each figure comes from; the lines sum to its total."""
    memory, request = plan.per_gpu, plan.request
    in_blocks = plan.stage.geometry.allocated_bytes(memory.kv_pool_bytes, request.seq_len)
    rounding = memory.kv_pool_bytes - in_blocks
    lines = [
        ("Weights", memory.weights_bytes, f"{plan.model.num_parameters:,} parameters in {request.weight_dtype}, exact")
    ]
    lines += [(line.name, line.bytes, _estimate(line.source)) for line in plan.stage.overheads]
    lines.append(("KV cache", in_blocks, f"{plan.stage.num_blocks:,} blocks of {request.block_size} tokens, exact"))
    if rounding:
        lines.append(("Less than a block", rounding, "left over when the pool is cut into blocks"))
    if memory.unused_bytes < 0:
        lines.append(("Missing", memory.unused_bytes, "more than the GPU has"))
    elif request.kv_cache_memory_bytes is None:
        lines.append(
            ("Kept free", memory.unused_bytes, f"the budget is {plan.rules.budget_words(plan.model, request)}")
        )
    else:
        lines.append(("Kept free", memory.unused_bytes, "the KV pool is given outright"))
    return lines


def _estimate(source: str) -> str:
    return source if source == OWN_VALUE else f"estimate: {source}"


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
    if amount[1] < 0.0001:
        return "less than $0.0001"
    low, high = (f"${value:,.2f}" if value >= 0.1 else f"${value:,.4f}" for value in amount)
    return low if low == high else f"{low} to {high}"


def spread(plan: Plan) -> str:
    """Say in what range the answer lies and why; empty where nothing is estimated."""
    low, high = plan.max_batch_size_low, plan.max_batch_size_high
    if not plan.range_cause:
        return ""
    replicas = plan.request.data_parallel_size
    if low == high:
        return f"{low * replicas:,} over the whole range; what is estimated is {plan.range_cause}"
    return f"{low * replicas:,} to {plan.max_batch_size_high * replicas:,} sequences; the spread is {plan.range_cause}"


def term_cells(term: Term) -> tuple[str, str, str, str, str, str]:
    """Return a term of a reconciliation as the cells of a table."""

    def number(value: float | None, signed: bool = False) -> str:
        if value is None:
            return ""
        sign = "+" if signed else ""
        text = f"{value:{sign},.2f}" if term.unit in ("GiB", "sequences") else f"{value:{sign},.0f}"
        return text.replace("-", "\u2212")

    around = f"{number(term.low)} to {number(term.high)}" if term.low is not None and term.low != term.high else ""
    cells = (number(term.predicted), around, number(term.reported), number(term.difference, signed=True))
    return (term.name, term.unit, *cells)
