"""What each method of quantisation says of a module: one reader a ``quant_method``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from calculator.configs.quantisation import layouts
from calculator.configs.quantisation.patterns import Place, exactly, flattened, listed, pattern, within
from calculator.errors import InvalidValueError, UnsupportedError, shown
from calculator.formats.weights import WeightFormat
from calculator.messages import say

Choose = Callable[[Place], WeightFormat | None]
Section = Mapping[str, Any]


@dataclass(frozen=True)
class Scheme:
    """What a section of quantisation says.

    Attributes
    ----------
    choose : callable
        The format of a module, None for 16 bit.
    used : tuple of str
        All names and patterns of modules that it uses.
    kv_cache_dtype : str or None
        The format of the cache that it asks for.
    layer_bytes : int
        Scales of the cache that an engine keeps of each layer that attends [bytes].
    of_experts : callable
        The same format as experts are loaded in it.
    assumed : str
        What is taken to be so.
    """

    choose: Choose
    used: tuple[str, ...] = ()
    kv_cache_dtype: str | None = None
    layer_bytes: int = 0
    of_experts: Callable[[WeightFormat], WeightFormat] = layouts.unchanged
    assumed: str = ""


class NotUnderstood(UnsupportedError):
    """A scheme that is not understood; what it is called, and behind a colon what an engine raises of it."""


def integer(section: Section, names: tuple[str, ...], default: int | None = None) -> int:
    """Return a whole number under the first of some names."""
    value = next((section[name] for name in names if section.get(name) is not None), default)
    if type(value) is not int or abs(value) > 2**31:
        raise NotUnderstood(f"a quantisation whose {names[0]} is {shown(value, 20)}")
    return value


def _exclusions(section: Section, *names: str) -> tuple[str, ...]:
    given = next((section[name] for name in names if section.get(name)), None)
    return listed(given, names[0])


def linear_but(skipped: Callable[[Place], bool], form: WeightFormat) -> Choose:
    """Choose one format for all linear layers and experts but some."""
    return lambda place: form if place.kind in ("linear", "experts") and not skipped(place) else None


def fp8(section: Section) -> Scheme:
    """Read ``fp8``: a scale a matrix, or a block of ``weight_block_size``; names of exclusions are names in full."""
    names = _exclusions(section, "ignored_layers", "modules_to_not_convert")
    block, static = section.get("weight_block_size"), section.get("activation_scheme") == "static"
    form = layouts.fp8(static=static)
    if block is not None:
        if not isinstance(block, list | tuple) or len(block) != 2 or any(type(n) is not int or n < 1 for n in block):
            raise InvalidValueError(
                say(
                    "schemes.weight_block_size_must",
                    "weight_block_size must be two whole numbers, not {block}",
                    block=shown(block),
                ),
                what="weight_block_size",
                asked=block,
            )
        form = layouts.fp8_block(*block)
    stored = EXPERTS.get(str(section.get("store_dtype")))
    if stored is not None:
        experts, skipped = stored, exactly(names)
        # beside such experts the scales of blocks are powers of two, of a byte each
        plain = linear_but(skipped, replace(form, block_bytes=min(form.block_bytes, 1)))
        return Scheme(
            lambda place: experts if place.kind == "experts" and plain(place) else plain(place), names, None, 8
        )
    shared = layouts.one_input_scale if static else layouts.unchanged
    return Scheme(linear_but(exactly(names), form), names, layer_bytes=8, of_experts=shared)


EXPERTS: Mapping[str, WeightFormat] = {"mxfp4": layouts.mxfp4(), "nvfp4": layouts.nvfp4(2)}
"""What experts are stored in beside block fp8, by ``store_dtype``."""


def with_experts(section: object, expert_dtype: object) -> object:
    """Return a section with the format that a config names for its experts alone, beside the section.

    References
    ----------
    vLLM 0.33.0, ``models/deepseek_v4/quant_config.py``: ``expert_dtype`` fp4 is MXFP4 experts beside block fp8, NVFP4
    where the section's ``moe_quant_algo`` says so.
    """
    if expert_dtype == "fp4" and isinstance(section, Mapping) and section.get("quant_method") == "fp8":
        stored = str(section.get("moe_quant_algo") or "mxfp4").lower()
        return {"store_dtype": stored if stored in EXPERTS else "mxfp4", **section}
    return section


def fbgemm_fp8(section: Section) -> Scheme:
    """Read ``fbgemm_fp8``: a scale an output, linear layers alone."""
    names = _exclusions(section, "modules_to_not_convert")
    skipped, form = exactly(names), layouts.fp8(per_tensor=False, static=True)
    return Scheme(lambda place: form if place.kind == "linear" and not skipped(place) else None, names)


def awq(section: Section) -> Scheme:
    """Read ``awq``: packed integers with zero points; a name of an exclusion may be part of a module's."""
    names = _exclusions(section, "modules_to_not_convert")
    bits, group = integer(section, ("bits", "w_bit"), 4), integer(section, ("group_size", "q_group_size"), 128)
    form = layouts.integers("awq", bits, group, zeros=section.get("zero_point", True) is not False)
    if form is None or bits != 4:
        why = "" if bits == 4 else f": vLLM 0.33 raises, Unsupported num_bits = {bits}. Supported: 4"
        raise NotUnderstood(f"awq of {bits} bit in groups of {group}{why}")
    head, skipped = bool(section.get("lm_head")), within(names)
    return Scheme(lambda place: form if _takes(place, head) and not skipped(place) else None, names)


def _takes(place: Place, head: bool) -> bool:
    return place.kind in ("linear", "experts") or (head and place.kind == "head")


def gptq(section: Section) -> Scheme:
    """Read ``gptq``: packed integers and zero points, bits and groups by ``dynamic``, the head where it says so."""
    bits, group = integer(section, ("bits",)), integer(section, ("group_size",))
    rules = section.get("dynamic") or {}
    if not isinstance(rules, Mapping):
        raise InvalidValueError(
            say(
                "schemes.dynamic_must_mapping_patterns",
                "dynamic must be a mapping of patterns, not {rules}",
                rules=shown(rules),
            ),
            what="dynamic",
        )
    names = flattened(section.get("modules_in_block_to_quantize") or None, "modules_in_block_to_quantize")
    chosen, head = within(names), section.get("lm_head") is True
    ordered = {"desc_act": bool(section.get("desc_act")), "group_size": group, "sym": section.get("sym", True)}
    base = _gptq_format({}, bits, ordered)
    overrides = [(key.startswith("-:"), pattern(key[2:] if key[:2] in ("-:", "+:") else key), value)
                 for key, value in rules.items()]  # fmt: skip
    forms = [None if off or not isinstance(value, Mapping) else _gptq_format(value, bits, ordered)
             for off, _, value in overrides]  # fmt: skip

    def choose(place: Place) -> WeightFormat | None:
        if not _takes(place, head) or (names and not chosen(place)):
            return None
        for (_, each, _), form in zip(overrides, forms, strict=True):
            if any(each.match(name) for name in place.all_names):
                return form
        return base

    return Scheme(choose, (*names, *rules), of_experts=layouts.with_biases)


def _gptq_format(override: Section, bits: int, base: Section) -> WeightFormat:
    bits, group = integer({"bits": bits, **override}, ("bits",)), integer({**base, **override}, ("group_size",))
    symmetric, ordered = override.get("sym", base["sym"]), override.get("desc_act", base["desc_act"])
    form = layouts.integers("gptq", bits, group, zeros=True)
    if form is None or symmetric is False:
        raise NotUnderstood(
            f"gptq of {bits} bit{'' if symmetric else ', not symmetric'}: vLLM 0.33 raises, Unsupported quantization "
            f"config: bits={bits}, sym={symmetric}"
        )
    if ordered and group != -1:
        # every input says which group it is of: 4 bytes each, on whatever rank
        raise NotUnderstood(
            "gptq with groups ordered by activations: vLLM 0.33 raises, desc_act is no longer supported; a checkpoint "
            "with static ordering is another"
        )
    return form


def mxfp4(_: Section) -> Scheme:
    """Read ``mxfp4``: experts alone, whatever else it says."""
    form = layouts.mxfp4()
    said = say("quantisation.mxfp4", "mxfp4 is of experts alone: all other weights are 16 bit")
    return Scheme(lambda place: form if place.kind == "experts" else None, assumed=said)


def bitsandbytes(section: Section) -> Scheme:
    """Read ``bitsandbytes``: 4 or 8 bit, exclusions by part of the name; the head stays."""
    names = _exclusions(section, "llm_int8_skip_modules")
    from calculator.formats.weights import FORMATS

    # 8 bit: a float32 scale an output (SCB)
    form = FORMATS["nf4"] if section.get("load_in_4bit") else layouts.int8()
    return Scheme(linear_but(within(names), form), names)


def auto_round(section: Section) -> Scheme:
    """Read ``auto-round``: packed integers, block fp8 or MX formats, some modules by a configuration of their own."""
    more = section.get("extra_config") or {}
    if not isinstance(more, Mapping):
        raise InvalidValueError(
            say(
                "schemes.config_must_mapping_modules",
                "extra_config must be a mapping of modules, not {more}",
                more=shown(more),
            ),
            what="extra_config",
        )
    blocks = section.get("block_name_to_quantize") or section.get("to_quant_block_names")
    blocks = blocks.split(",") if isinstance(blocks, str) else blocks
    starts = flattened(blocks or None, "block_name_to_quantize")
    base = _auto_round_format(section, {})
    own = {
        name: _auto_round_format(section, value if isinstance(value, Mapping) else {}) for name, value in more.items()
    }
    patterns = [(pattern(name), form) for name, form in own.items() if any(sign in name for sign in "*+?^$()[]{}|\\")]

    def choose(place: Place) -> WeightFormat | None:
        for name in place.all_names:
            if name in own:
                return own[name]
            tail = next((key for key in own if name.endswith(f".{key}")), None)
            if tail is not None:
                return own[tail]
            found = next((form for each, form in patterns if each.search(name)), _MISSING)
            if not isinstance(found, str):
                return found
        if place.kind not in ("linear", "experts"):
            return None
        if starts and not any(name.startswith(tuple(starts)) for name in place.all_names):
            return None
        return base

    return Scheme(choose, (*starts, *own), of_experts=layouts.with_biases)


_MISSING = "missing"


def _auto_round_format(section: Section, own: Section) -> WeightFormat | None:
    said = {**section, **own}
    bits, kind, group = integer(said, ("bits",)), str(said.get("data_type", "int")), said.get("group_size", 128)
    if bits >= 16:
        return None
    if "mx_fp" in kind and bits in (4, 8):
        return layouts.mxfp4() if bits == 4 else layouts.mxfp8()
    if kind in ("fp", "fp8") and bits == 8 and isinstance(group, list | tuple) and len(group) == 2:
        return layouts.fp8_block(*(integer({"group_size": size}, ("group_size",)) for size in group))
    packing = str(said.get("packing_format", "auto_gptq"))
    method = "awq" if "awq" in packing else "gptq"
    form = layouts.integers(method, bits, integer(said, ("group_size",), 128), zeros=True) if kind == "int" else None
    if form is None:
        raise NotUnderstood(f"auto-round of {bits} bit {kind}"[:60])
    return form
