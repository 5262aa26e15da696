"""``compressed-tensors``: groups of targets, each with a scheme of its own, and modules that are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calculator.configs.quantisation import layouts
from calculator.configs.quantisation.patterns import Place, is_named, listed, named
from calculator.configs.quantisation.places import CLASSES
from calculator.configs.quantisation.schemes import NotUnderstood, Scheme, integer
from calculator.formats.weights import WeightFormat

PACKED = "pack-quantized"


def compressed_tensors(section: Mapping[str, Any]) -> Scheme:
    """Read a section of compressed-tensors.

    A module is in the scheme of the first target that is its name or matches it, then of one that its class is named
    by; the head only where a target is its own.
    """
    groups = section.get("config_groups", {})
    if not isinstance(groups, Mapping) or not all(isinstance(group, Mapping) for group in groups.values()):
        raise NotUnderstood("compressed-tensors whose config_groups are no schemes")
    sparse = section.get("sparsity_config")
    if isinstance(sparse, Mapping) and (sparse.get("targets") or sparse.get("format", "dense") != "dense"):
        raise NotUnderstood("compressed-tensors with sparse weights")
    ignored = listed(section.get("ignore"), "ignore")
    targets: dict[str, WeightFormat | None] = {}
    for group in groups.values():
        names = listed(group.get("targets", ["Linear"]), "targets")
        if [name.endswith("Attention") for name in names] == [True]:
            continue  # of the cache alone
        for name in names:
            targets[name] = form_of(group, group.get("format") or section.get("format"))
    skipped = named(ignored)

    def choose(place: Place) -> WeightFormat | None:
        if skipped(place):
            return None
        found = next((key for name in place.all_names for key in targets if is_named(name, key)), None)
        if found is None:
            classes = CLASSES[place.kind].lower()
            found = next((key for key in targets if not key.startswith("re:") and key.lower() in classes), None)
        return targets[found] if found is not None else None

    scheme = section.get("kv_cache_scheme")
    heads = isinstance(scheme, Mapping) and scheme.get("strategy") == "attn_head"
    return Scheme(choose, (*ignored, *targets), cache(scheme), 0 if heads else 18, layouts.with_shape)


def cache(scheme: object) -> str | None:
    """Return the format of the cache that a ``kv_cache_scheme`` asks for; another under its own name."""
    if not scheme:
        return None
    said = scheme if isinstance(scheme, Mapping) else {}
    bits, kind = said.get("num_bits"), said.get("type", "int")
    return "fp8_e4m3" if (bits, kind) == (8, "float") else f"kv_cache_scheme {bits} bit {kind}"[:60]


def form_of(group: Mapping[str, Any], packing: object) -> WeightFormat:
    """Return the format of the weights of one group."""
    said = group.get("weights")
    if not isinstance(said, Mapping):
        raise NotUnderstood("compressed-tensors with a scheme without weights")
    inputs = group.get("input_activations")
    static = isinstance(inputs, Mapping) and inputs.get("dynamic") is False
    bits, kind, strategy = said.get("num_bits"), said.get("type", "int"), said.get("strategy")
    size, symmetric = said.get("group_size"), said.get("symmetric", True) is not False
    form: WeightFormat | None = None
    if kind == "float" and bits == 8:
        form = _floats(said, strategy, size, static)
    elif kind == "float" and bits == 4 and size in (16, 32):
        if size == 16 and isinstance(inputs, Mapping) and inputs.get("num_bits") == 8:
            raise NotUnderstood("compressed-tensors nvfp4 of 8 bit inputs: vLLM 0.33 raises, they must be NVFP4 too")
        form = layouts.mxfp4() if size == 32 else layouts.nvfp4(2 if inputs else 1)
    elif kind == "int" and type(bits) is int:
        length = -1 if strategy == "channel" or size is None else integer(said, ("group_size",))
        if packing in (None, PACKED):
            form = layouts.integers("gptq", bits, length, zeros=not symmetric, matrix_bytes=layouts.SHAPE_BYTES)
        elif inputs and symmetric and bits == 8 and strategy in (None, "channel", "tensor"):
            form = layouts.int8(static, strategy == "tensor", static and not inputs.get("symmetric", True))
        elif inputs and symmetric and bits == 4 and not static:
            form = layouts.integers("gptq", 8, length, zeros=False)  # a byte each
        else:
            raise NotUnderstood(
                f"compressed-tensors {bits} bit int {strategy or ''} in {str(packing)[:24]}: vLLM 0.33 raises, it has "
                "no compatible scheme"
            )
    if form is None:
        raise NotUnderstood(f"compressed-tensors {bits} bit {kind} {strategy or ''}".strip()[:60])
    return form


def _floats(said: Mapping[str, Any], strategy: object, size: object, static: bool) -> WeightFormat | None:
    if strategy == "block":
        block = said.get("block_structure")
        if not isinstance(block, list | tuple) or len(block) != 2:
            raise NotUnderstood("compressed-tensors in blocks without a block_structure")
        return layouts.fp8_block(*(integer({"block_structure": side}, ("block_structure",)) for side in block))
    if strategy == "group":
        return layouts.mxfp8() if size == 32 else None
    return layouts.fp8(per_tensor=strategy != "channel", static=static)
