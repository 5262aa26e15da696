"""``torchao``: one configuration for all linear layers, or one for each by its name; experts and ends stay 16 bit.

References
----------
vLLM 0.33.0, ``layers/quantization/torchao.py``: which layers are quantised, which are left out. torchao 0.18.0,
``quantization/quant_api.py`` and ``quantize_/workflows``: what a weight becomes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from calculator.configs.quantisation import layouts
from calculator.configs.quantisation.patterns import Place, listed, pattern
from calculator.configs.quantisation.schemes import NotUnderstood, Scheme, integer
from calculator.formats.weights import WeightFormat

OF_MODULES = ("ModuleFqnToConfig", "FqnToConfig", "AOPerModuleConfig")
DEFAULT = "_default"
REMOVED = 1
"""The version of configurations of 8 bit integers that is no longer made."""


def torchao(section: Mapping[str, Any]) -> Scheme:
    """Read a section of torchao."""
    kinds = section.get("quant_type")
    given = kinds.get("default") if isinstance(kinds, Mapping) and len(kinds) == 1 else None
    if not isinstance(given, Mapping):
        raise NotUnderstood("torchao whose quant_type has no single default: vLLM 0.33 asserts that it does")
    left_out = list(listed(section.get("modules_to_not_convert"), "modules_to_not_convert"))
    said = _data(given)
    if given.get("_type") not in OF_MODULES:
        form, names = _form(given), tuple(left_out)
        return Scheme(_chosen(lambda _: form, names), names)
    modules = said.get("module_fqn_to_config") or said.get("fqn_to_config")
    if not isinstance(modules, Mapping):
        raise NotUnderstood("torchao without a configuration of any module")
    forms = {name: _form(each) if isinstance(each, Mapping) else None for name, each in modules.items()}
    left_out += [name for name, form in forms.items() if form is None and name != DEFAULT]
    patterns = [(pattern(name[3:]), form) for name, form in forms.items() if name.startswith("re:")]

    def of_module(place: Place) -> WeightFormat | None:
        if named := next((name for name in place.all_names if name in forms), None):
            return forms[named]
        found = [form for each, form in patterns if any(each.fullmatch(name) for name in place.all_names)]
        return found[0] if found else forms.get(DEFAULT)

    return Scheme(_chosen(of_module, tuple(left_out)), (*left_out, *forms))


def _chosen(of_module: Callable[[Place], WeightFormat | None], left_out: tuple[str, ...]) -> Any:
    """Choose a format for linear layers alone, but for modules one of whose parts is left out."""

    def choose(place: Place) -> WeightFormat | None:
        if place.kind != "linear" or any(f".{each}." in f".{name}." for name in place.all_names for each in left_out):
            return None
        return of_module(place)

    return choose


def _data(config: Mapping[str, Any]) -> Mapping[str, Any]:
    data = config.get("_data")
    return data if isinstance(data, Mapping) else {}


def _form(config: Mapping[str, Any]) -> WeightFormat:
    """Return what a configuration makes of a weight."""
    kind, said = str(config.get("_type")), _data(config)
    form: WeightFormat | None = None
    if kind in ("Float8DynamicActivationFloat8WeightConfig", "Float8WeightOnlyConfig"):
        by_default = "PerTensor" if kind.startswith("Float8Dynamic") else "PerRow"
        form = _floats(_granularity(said.get("granularity"), by_default))
    elif kind in ("Int8WeightOnlyConfig", "Int8DynamicActivationInt8WeightConfig"):
        if config.get("_version") == REMOVED:
            raise NotUnderstood(f"torchao {kind} of version 1: torchao 0.18 raises, it has been removed")
        # a zero point of one byte stands beside each scale
        per_tensor = _granularity(said.get("granularity"), "PerRow") == "PerTensor"
        form = layouts.int8(per_tensor=per_tensor, zero_points=True)
    elif kind == "Int4WeightOnlyConfig":
        # scale and zero point of a group are 16 bit each
        form = layouts.integers("gptq", 4, integer(said, ("group_size",), 128), zeros=False, more_bits=16)
    if form is None:
        raise NotUnderstood(f"torchao {kind[:48]}")
    return form


def _granularity(said: object, by_default: str) -> str:
    """Return how many weights share a scale, by its name; of a pair, that of the weights."""
    last = said[-1] if isinstance(said, list) and said else said
    return str(last.get("_type")) if isinstance(last, Mapping) else by_default


def _floats(granularity: str) -> WeightFormat | None:
    if granularity in ("PerTensor", "PerRow"):
        return layouts.fp8(per_tensor=granularity == "PerTensor")
    return layouts.fp8_block() if granularity == "PerBlock" else None
