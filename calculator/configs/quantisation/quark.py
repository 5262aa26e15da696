"""``quark``: one scheme for all modules, others by the name of a layer, and modules that are left out.

References
----------
vLLM 0.33.0, ``model_executor/layers/quantization/quark/quark.py`` and its ``schemes``: which configuration a layer
matches, which schemes are loaded, and the parameters that each has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from calculator.configs.quantisation import layouts
from calculator.configs.quantisation.patterns import Place, listed, named, pattern_of_glob
from calculator.configs.quantisation.schemes import NotUnderstood, Scheme, integer
from calculator.errors import InvalidValueError, UnsupportedError, shown
from calculator.formats.weights import FORMATS, WeightFormat
from calculator.messages import say

BLOCK = [128, 128]
CACHE_SCALES_BYTES = 8
"""Four scales of a cache, in 16 bit, that each layer that attends is loaded with [bytes]."""


def quark(section: Mapping[str, Any]) -> Scheme:
    """Read a section of Quark; a name of a layer without a star is matched where it holds the module's name."""
    export, everywhere = section.get("export"), section.get("global_quant_config")
    if not isinstance(export, Mapping) or not isinstance(everywhere, Mapping):
        raise NotUnderstood("quark without export or global_quant_config")
    by_layer = section.get("layer_quant_config") or {}
    if not isinstance(by_layer, Mapping) or not all(isinstance(each, Mapping) for each in by_layer.values()):
        raise InvalidValueError(
            say(
                "quark.layer_quant_config_must",
                "layer_quant_config must be a mapping of layers to schemes, not {by_layer}",
                by_layer=shown(by_layer),
            ),
            what="layer_quant_config",
        )
    names, excluded = listed(list(by_layer), "layer_quant_config"), listed(section.get("exclude"), "exclude")
    cached = _of_the_cache(listed(export.get("kv_cache_group"), "kv_cache_group"), by_layer)
    packed = export.get("pack_method") in ("order", "reorder")
    of_all = {kind: _form(everywhere, kind, packed) for kind in ("linear", "experts")}
    own = [
        (name, {kind: _form(each, kind, packed, name in cached) for kind in ("linear", "experts")})
        for name, each in by_layer.items()
    ]
    skipped = named(excluded)

    def choose(place: Place) -> WeightFormat | None:
        if place.kind not in of_all:
            return None
        tried = place.wholes if place.kind == "experts" else place.names
        if skipped(place) or (place.kind == "experts" and _holds_any(tried, excluded)):
            return None
        forms = next((forms for key, forms in own if any(_is_of(name, key) for name in tried)), of_all)
        form = forms[place.kind]
        if isinstance(form, NotUnderstood):
            raise form
        return form

    said = "" if not cached else say(
        "quantisation.quark_cache",
        "the checkpoint has scales for a cache in fp8_e4m3; 16 bit is taken, as vLLM does where kv_cache_dtype is auto",
    )  # fmt: skip
    return Scheme(choose, (*excluded, *names), None, CACHE_SCALES_BYTES, assumed=said)


def _is_of(module: str, key: str) -> bool:
    return bool(pattern_of_glob(key).match(module)) if "*" in key else module in key


def _holds_any(wholes: tuple[str, ...], entries: tuple[str, ...]) -> bool:
    """Whether any expert of a layer is left out: the engine then leaves all of them in 16 bit."""
    return any(entry.startswith(f"{whole}.") for whole in wholes for entry in entries)


def _of_the_cache(groups: tuple[str, ...], by_layer: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the layers whose outputs are the cache; raise ``UnsupportedError`` for what the engine refuses."""
    if not groups:
        return ()
    found = [name for name in by_layer if name in groups or any(pattern_of_glob(key).match(name) for key in groups)]
    outputs = [by_layer[name].get("output_tensors") for name in found]
    if not found or any(other != outputs[0] for other in outputs[1:]) or not isinstance(outputs[0], Mapping):
        raise UnsupportedError(
            say(
                "quark.kv_cache_group_names",
                "kv_cache_group names {groups}, but layer_quant_config has no one scheme for the outputs "
                "of those layers: vLLM refuses such a checkpoint",
                groups=shown(list(groups)),
            ),
            what="quantization_config",
            asked=list(groups),
        )
    said = outputs[0].get("dtype"), outputs[0].get("qscheme")
    if said != ("fp8_e4m3", "per_tensor"):
        raise UnsupportedError(
            say(
                "quark.cache_quark_s_caches",
                "a cache in {said}, {said_2}: of Quark's caches vLLM loads fp8_e4m3, per_tensor alone",
                said=shown(said[0]),
                said_2=shown(said[1]),
            ),
            what="quantization_config",
            asked=said,
            allowed=("fp8_e4m3",),
        )
    return (*found, "*q_proj")


def _form(config: Mapping[str, Any], kind: str, packed: bool, is_cached: bool = False) -> WeightFormat | NotUnderstood:
    """Return the format of the weights of a configuration, or what of it is not understood, for who needs it."""
    weight, inputs = (_alone(config.get(name)) for name in ("weight", "input_tensors"))
    if config.get("bias") or (config.get("output_tensors") and not is_cached):
        return NotUnderstood("quark with quantised outputs")
    if isinstance(weight, list) and isinstance(inputs, list):
        form = layouts.nvfp4(2) if _is_nvfp4(weight, inputs) else None
    elif isinstance(weight, list) and kind == "experts":
        form = _of_two_steps(weight, inputs)
    elif isinstance(weight, Mapping) and not isinstance(inputs, list):
        form = _of_one(weight, inputs if isinstance(inputs, Mapping) else None, kind, packed)
    else:
        form = None
    said = weight.get("dtype") if isinstance(weight, Mapping) else "of two steps" if weight else "without weights"
    return form or NotUnderstood(f"quark {said} of {kind}"[:60])


def _alone(config: object) -> object:
    return config[0] if isinstance(config, list) and len(config) == 1 else config


def _eight_bits(way: object, inputs: Mapping[str, Any], kind: str, static: bool) -> WeightFormat | None:
    """Return integers with a zero point of one byte beside each scale; experts have one for their inputs too."""
    if way not in ("per_tensor", "per_channel") or inputs.get("qscheme") != ("per_tensor" if static else "per_channel"):
        return None
    if kind == "linear":
        return layouts.int8(static, way == "per_tensor", shifted=static, zero_points=True)
    if static:
        return None  # one scale for two projections of an expert: not counted here
    form = layouts.int8(per_tensor=way == "per_tensor", zero_points=True)
    return replace(form, matrix_bytes=form.matrix_bytes + 1)


def _of_two_steps(weight: list[Any], inputs: object) -> WeightFormat | None:
    """Return experts in 4 bit integers whose scales are of 8 bit floats: a float32 an output and one a matrix."""
    ways = [(each.get("dtype"), each.get("qscheme")) for each in weight if isinstance(each, Mapping)]
    if ways != [("fp8_e4m3", "per_tensor"), ("int4", "per_channel")] or not isinstance(inputs, Mapping):
        return None
    is_taken = inputs.get("dtype") == "fp8_e4m3" and (inputs.get("is_dynamic") or inputs.get("qscheme") == "per_tensor")
    if not is_taken or weight[1].get("symmetric") is not True or weight[1].get("ch_axis") != 0:
        return None
    form = FORMATS["gptq-int4"]
    return replace(
        form, group_size=0, group_bits=0, row_bytes=layouts.SCALE_BYTES, matrix_bytes=layouts.SCALE_BYTES
    )  # fmt: skip


def _is_nvfp4(weight: list[Any], inputs: list[Any]) -> bool:
    return all(
        len(pair) == 2
        and all(isinstance(each, Mapping) for each in pair)
        and (pair[0].get("dtype"), pair[0].get("qscheme"), pair[0].get("group_size")) == ("fp4", "per_group", 16)
        and (pair[1].get("dtype"), pair[1].get("qscheme")) == ("fp8_e4m3", "per_tensor")
        for pair in (weight, inputs)
    )


def _of_one(
    weight: Mapping[str, Any], inputs: Mapping[str, Any] | None, kind: str, packed: bool
) -> WeightFormat | None:
    """Return the format of weights that one step quantises, None for one that the engine has no scheme for."""
    dtype, way = weight.get("dtype"), weight.get("qscheme")
    of_inputs = inputs.get("dtype") if inputs else None
    static = inputs is not None and not inputs.get("is_dynamic")
    if weight.get("is_dynamic"):
        return None
    if way == "per_group" and weight.get("group_size") == 32 and weight.get("scale_format") == "e8m0":
        if dtype == "fp4":
            return replace(layouts.mxfp4(), matrix_bytes=layouts.SCALE_BYTES if static else 0)
        return layouts.mxfp8() if dtype == "fp8_e4m3" and not static else None
    if dtype == "fp8_e4m3" and of_inputs == "fp8_e4m3":
        if way == "per_block" and weight.get("block_size") == BLOCK and weight.get("symmetric") is True and not static:
            form = layouts.fp8_block(*BLOCK)
            return replace(form, block_bytes=1) if weight.get("scale_type") == "float8_e8m0fnu" else form
        return layouts.fp8(way == "per_tensor", static) if way in ("per_tensor", "per_channel") else None
    if dtype == "int8" and of_inputs == "int8" and inputs and weight.get("symmetric") is True:
        return _eight_bits(way, inputs, kind, static)
    if dtype in ("int4", "uint4") and inputs is None and packed and isinstance(weight.get("symmetric"), bool):
        return layouts.integers("awq", 4, integer(weight, ("group_size",)), zeros=True)
    return None
