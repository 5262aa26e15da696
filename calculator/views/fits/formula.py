"""The formula with a plan's numbers, at once and step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calculator.architecture.counts import NO_LIMIT
from calculator.architecture.layers import FullAttention
from calculator.formats.kv import storage_format
from calculator.messages import joined, say, template
from calculator.units import plural

if TYPE_CHECKING:
    from calculator.architecture.model import LayerGroup
    from calculator.planning.answer import Plan

Step = tuple[str, str, int]
"""What, how, and the exact bytes."""


def formula(plan: Plan) -> str:
    """Write the formula with this plan's numbers, for one sequence over the whole model: a line a kind of layer."""
    return joined("\n+ ", [_term(plan, group) for group in plan.model.groups if _kept(plan, group)])


def factors(plan: Plan) -> list[tuple[str, str]]:
    """Return the factors of one sequence's bytes, each with its name; empty where the formula is more than a product.

    Parameters
    ----------
    plan : Plan
        The answer [-].

    Returns
    -------
    list of (str, str)
        Value and name: ``("8", "KV heads")``.
    """
    model, request = plan.model, plan.request
    spec, storage = model.groups[0].spec, storage_format(request.kv_cache_dtype)
    is_product = model.is_uniform and isinstance(spec, FullAttention) and spec.grows_until >= request.seq_len
    if not is_product or spec.encoder_bytes(1, storage, 1) or not isinstance(spec, FullAttention):
        return []
    if spec.head_dim != spec.v_head_dim or storage.block_elements != 1 or storage.row_scale_bytes:
        return []
    return [
        ("2", say("factor.kv", "K, V")),
        (f"{spec.num_key_value_heads:,}", say("factor.heads", "KV heads")),
        (f"{spec.head_dim:,}", say("factor.head_dim", "head size")),
        (f"{model.num_layers:,}", say("factor.layers", "layers")),
        (f"{request.seq_len:,}", say("factor.tokens", "tokens")),
        (f"{storage.block_bytes:g}", say("factor.bytes", "bytes")),
    ]


def _kept(plan: Plan, group: LayerGroup) -> int:
    """Bytes of one sequence that a group of layers keeps over the whole model [bytes]."""
    request, storage = plan.request, storage_format(plan.request.kv_cache_dtype)
    return group.count * group.spec.kv_bytes(request.seq_len, storage, 1, request.encoder_seq_len or 0)


def _term(plan: Plan, group: LayerGroup) -> str:
    spec, request, count = group.spec, plan.request, group.count
    storage = storage_format(request.kv_cache_dtype)
    tokens = f"{min(request.seq_len, spec.grows_until):,}"
    if spec.grows_until < request.seq_len:
        tokens = say(
            "formula.min", "min({seq_len:,}, {grows_until:,})", seq_len=request.seq_len, grows_until=spec.grows_until
        )
    encoder = spec.encoder_bytes(1, storage, 1)
    across = encoder and say(
        "formula.across",
        " + {encoder} bytes × {count} × {tokens:,} encoder tokens",
        encoder=encoder,
        count=count,
        tokens=request.encoder_seq_len,
    )
    values = {"count": count, "tokens": tokens, "across": across or ""}
    if not isinstance(spec, FullAttention):
        per_token = spec.bytes_per_token(storage, 1)
        return say("formula.layers", "{bytes:,} bytes × {count} × {tokens} × 1{across}", bytes=per_token, **values)
    heads = spec.num_key_value_heads
    if spec.head_dim == spec.v_head_dim and storage.block_elements == 1 and not storage.row_scale_bytes:
        return say(
            "formula.heads",
            "2 × {heads} × {head_dim} × {count} × {tokens} × 1 × {bytes}{across}",
            heads=heads,
            head_dim=spec.head_dim,
            bytes=plural(storage.block_bytes, "byte"),
            **values,
        )
    return say(
        "formula.rows",
        "({key} + {value}) bytes × {heads} × {count} × {tokens} × 1{across}",
        **{"key": storage.row_bytes(spec.head_dim), "value": storage.row_bytes(spec.v_head_dim), "heads": heads},
        **values,
    )


def formula_steps(plan: Plan) -> list[Step]:
    """Work the formula out step by step: what, how, and the exact bytes."""
    model, request = plan.model, plan.request
    total = sum(_kept(plan, group) for group in model.groups)
    steps = _uniform_steps(plan) if model.is_uniform else [_group_step(plan, group) for group in model.groups]
    steps.append((say("formula.sequence", "One sequence"), _how_it_grows(plan), total))
    shared = _how_it_is_shared(plan)
    steps.append((say("formula.sequence_per_gpu", "One sequence, one GPU"), shared, plan.kv_bytes_per_gpu))
    if plan.state_bytes_per_sequence:
        state = say("formula.state_per_gpu", "State of one sequence, one GPU")
        does_not = say("formula.does_not_grow", "does not grow{of_stage}", of_stage=_of_stage(plan))
        steps.append((state, does_not, plan.state_bytes_per_gpu))
    if request.batch_size > 1:
        batch = say("formula.batch", "{batch_size:,} sequences, one replica", batch_size=request.batch_size)
        copies = say("formula.with_copies", "copies included")
        steps.append((batch, copies, plan.kv_bytes_per_sequence * request.batch_size))
    return steps


def _how_it_is_shared(plan: Plan) -> str:
    """Say what of a sequence one GPU keeps: heads, tokens and layers."""
    request, heads = plan.request, plural(plan.kv_heads_per_gpu, "KV head")
    gpus = plural(request.tensor_parallel_size, "GPU")
    if request.enable_attention_dp:
        return say(
            "formula.attention_dp",
            "{heads}, all of them, on one of {gpus}, each with sequences of its own{of_stage}",
            heads=heads,
            gpus=gpus,
            of_stage=_of_stage(plan),
        )
    copies = say("formula.copies", ", {copies} copies of each head", copies=plan.kv_replication)
    shared = request.split.context_ranks
    tokens = say("formula.context", ", of the tokens that {shared} of them share", shared=shared)
    return say(
        "formula.shared",
        "{heads} on each of {gpus}{copies}{tokens}{of_stage}",
        heads=heads,
        gpus=gpus,
        copies=copies if plan.kv_replication > 1 else "",
        tokens=tokens if shared > 1 else "",
        of_stage=_of_stage(plan),
    )


def _of_stage(plan: Plan) -> str:
    """Name the layers of the stage that decides, where there are several stages."""
    if plan.request.pipeline_parallel_size == 1:
        return ""
    layers = sum(group.count for group in plan.stage.layers)
    return say("formula.of_stage", ", {layers} of {all} layers", layers=layers, all=plan.model.num_layers)


def _uniform_steps(plan: Plan) -> list[Step]:
    spec, model, storage = plan.model.groups[0].spec, plan.model, storage_format(plan.request.kv_cache_dtype)
    assert isinstance(spec, FullAttention)
    key, value = storage.row_bytes(spec.head_dim), storage.row_bytes(spec.v_head_dim)
    layer = spec.bytes_per_token(storage, 1)
    row = say(
        "formula.row",
        "K row {k_bytes} + V row {v_bytes} bytes ({head_dim} values in {storage})",
        k_bytes=key,
        v_bytes=value,
        head_dim=spec.head_dim,
        storage=storage.name,
    )
    heads = say(
        "formula.times", "{size:,} × {what}", size=key + value, what=plural(spec.num_key_value_heads, "KV head")
    )
    layers = say("formula.all_layers", "{size:,} × {layers} layers", size=layer, layers=model.num_layers)
    return [
        (say("formula.token_per_head", "One token, one KV head"), row, key + value),
        (say("formula.token_per_layer", "One token, one layer"), heads, layer),
        (say("formula.token", "One token, all layers"), layers, layer * model.num_layers),
    ]


def _group_step(plan: Plan, group: LayerGroup) -> Step:
    spec, storage = group.spec, storage_format(plan.request.kv_cache_dtype)
    what = say("formula.group", "{layers}: {kind}", layers=plural(group.count, "layer"), kind=spec.kind)
    if not spec.grows_until:
        return what, say("formula.nothing", "keeps nothing that grows"), _kept(plan, group)
    limit = say("formula.at_most", " (at most {tokens:,})", tokens=spec.grows_until)
    encoder = spec.encoder_bytes(1, storage, 1)
    across = encoder and say(
        "formula.group_across",
        " + {count} × {encoder:,} × {tokens:,} encoder tokens",
        count=group.count,
        encoder=encoder,
        tokens=plan.request.encoder_seq_len,
    )
    how = say(
        "formula.group_bytes",
        "{count} × {bytes:,} bytes a token × {tokens:,} tokens{limit}{across}",
        count=group.count,
        bytes=spec.bytes_per_token(storage, 1),
        tokens=min(plan.request.seq_len, spec.grows_until),
        limit=limit if spec.grows_until < NO_LIMIT else "",
        across=across or "",
    )
    return what, how, _kept(plan, group)


def _how_it_grows(plan: Plan) -> str:
    """Say which part of a sequence's memory grows for ever, which stops, and which never grows."""
    if plan.model.is_uniform:
        token = plan.model.kv_bytes_per_token(plan.request.kv_cache_dtype)
        return say("formula.tokens", "{token:,} × {tokens:,} tokens", token=token, tokens=plan.request.seq_len)
    limits = [(group.count, group.spec.grows_until) for group in plan.model.groups]
    kinds = (
        (
            "grows",
            template("{layers} grow with every token"),
            sum(count for count, limit in limits if limit >= NO_LIMIT),
        ),
        ("stops", template("{layers} stop growing"), sum(count for count, limit in limits if 0 < limit < NO_LIMIT)),
        ("never", template("{layers} never grow"), sum(count for count, limit in limits if not limit)),
    )
    said = [say(f"formula.{key}", text, layers=plural(count, "layer")) for key, text, count in kinds if count]
    return joined(", ", said)
