"""ModelOpt: one algorithm for all, or one for each module, and lists of wildcards that are left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calculator.configs.quantisation import layouts
from calculator.configs.quantisation.patterns import Place, listed, wildcards
from calculator.configs.quantisation.schemes import NotUnderstood, Scheme, integer
from calculator.errors import InvalidValueError, shown
from calculator.formats.names import KV_ALGORITHMS
from calculator.formats.weights import WeightFormat
from calculator.messages import say

MIXED = "MIXED_PRECISION"


def is_modelopt(section: Mapping[str, Any], method: str) -> bool:
    """Whether ModelOpt wrote a section: by its method, or as its producer."""
    producer = section.get("producer")
    return method.startswith("modelopt") or (
        not method and isinstance(producer, Mapping) and producer.get("name") == "modelopt"
    )


def modelopt(section: Mapping[str, Any]) -> Scheme:
    """Read a section of ModelOpt, flat or with a part ``quantization``."""
    inner = section.get("quantization")
    said = inner if isinstance(inner, Mapping) else section
    names = listed(said.get("exclude_modules", []) if said is inner else
                   section.get("ignore", section.get("exclude_modules", [])), "exclude_modules")  # fmt: skip
    algorithm, group = str(said.get("quant_algo") or "").upper(), said.get("group_size")
    skipped, (kv, assumed) = wildcards(names), _cache(section, said)
    weight_only = _has_no_activations(section)
    if algorithm == MIXED:
        layers = said.get("quantized_layers")
        if not isinstance(layers, Mapping) or not layers:
            raise InvalidValueError(
                say(
                    "modelopt.mixed_precision_needs_quantized",
                    "MIXED_PRECISION needs quantized_layers, a format for each module",
                ),
                what="quantized_layers",
            )
        forms = {name: _of_layer(value) for name, value in layers.items()}
        chosen = _chosen_by_layer(forms, skipped)
        return Scheme(chosen, (*names, *forms), kv, 8 if kv else 0, _of_experts, assumed)
    form = _form(algorithm, group, weight_only)

    def choose(place: Place) -> WeightFormat | None:
        # the head is a linear layer here: it stays 16 bit only where it is left out
        return form if place.kind != "embedding" and not skipped(place) else None

    return Scheme(choose, names, kv, 8, _of_experts, assumed)


def _of_experts(form: WeightFormat) -> WeightFormat:
    """Return experts in 8 bit floats with one scale of their inputs for gate and up."""
    is_static = form.name == "fp8" and form.matrix_bytes == 2 * layouts.SCALE_BYTES
    return layouts.one_input_scale(form) if is_static else form


def _chosen_by_layer(forms: Mapping[str, WeightFormat], skipped: Any) -> Any:
    parents: dict[str, WeightFormat] = {}
    for name, form in forms.items():
        while "." in name:
            name = name.rpartition(".")[0]
            parents.setdefault(name, form)

    def choose(place: Place) -> WeightFormat | None:
        if skipped(place):
            return None
        found = next((forms[name] for name in place.all_names if name in forms), None)
        if found is None and place.kind == "experts":
            found = next((parents[name] for name in place.wholes if name in parents), None)
        return found

    return choose


def _of_layer(value: object) -> WeightFormat:
    if not isinstance(value, Mapping):
        raise InvalidValueError(
            say(
                "modelopt.quantized_layers_no_format",
                "quantized_layers: {asked} is no format of a module",
                asked=shown(value),
            ),
            what="quantized_layers",
        )
    return _form(str(value.get("quant_algo") or "").upper(), value.get("group_size"), False)


def _form(algorithm: str, group: object, weight_only: bool) -> WeightFormat:
    size = integer({"group_size": group}, ("group_size",), 16)
    if algorithm == "FP8":
        return layouts.fp8(static=True)
    if algorithm == "FP8_PER_CHANNEL_PER_TOKEN":
        return layouts.fp8(per_tensor=False)
    if algorithm in ("FP8_PB_WO", "FP8_BLOCK_SCALES"):
        return layouts.fp8_block()
    if algorithm == "MXFP8":
        return layouts.mxfp8()
    if algorithm in ("NVFP4", "W4A16_NVFP4") and 0 < size <= 4096:
        return layouts.nvfp4(1 if weight_only or algorithm != "NVFP4" else 2, size)
    raise NotUnderstood(f"modelopt {algorithm or 'without a quant_algo'}"[:60])


def _has_no_activations(section: Mapping[str, Any]) -> bool:
    groups = section.get("config_groups")
    if not isinstance(groups, Mapping) or not groups:
        return False
    return all(isinstance(group, Mapping) and group.get("input_activations") is None for group in groups.values())


def _cache(section: Mapping[str, Any], said: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return the format of the cache, and what is said where one is not known: engines then keep 16 bit."""
    keys = ("kv_cache_scheme", "kv_cache_quant_algo")
    asked = next((part[key] for key in keys for part in (said, section) if part.get(key)), None)
    if isinstance(asked, Mapping):
        bits, kind = asked.get("num_bits"), asked.get("type")
        name = (
            "FP8" if (bits, kind) == (8, "float") else "NVFP4" if (bits, kind) == (4, "float") else f"{bits} bit {kind}"
        )
    else:
        name = str(asked).upper() if asked else ""
    if not name:
        return None, ""
    found = KV_ALGORITHMS.get(name)
    unknown = say(
        "quantisation.cache", "a cache in {name} is not known: 16 bit is taken, as engines do", name=shown(name)
    )
    return found, "" if found else unknown
