"""What a checkpoint's ``quantization_config`` says of its weights and of its KV cache."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from calculator.errors import InvalidValueError, shown
from calculator.formats.names import KV_ALGORITHMS, MODELOPT

_STAYS_ANYWAY = re.compile(r"head|router|gate($|\b)|embed|norm|bias|vis|mtp|audio|mm_|sinks|conv")
"""What every format leaves in 16 bit, or what is not of the text decoder."""


def formats_of(config: Mapping[str, Any] | None) -> tuple[str | None, str | None]:
    """Return the weight and the KV format that a checkpoint asks for, None where it says nothing.

    A scheme that is not understood comes back under its own name, which ``weight_format`` refuses.

    Raises
    ------
    InvalidValueError
        If the section is not a mapping.
    """
    if config is None:
        return None, None
    if not isinstance(config, Mapping):
        raise InvalidValueError(f"quantization_config must be a mapping, not {shown(config)}")
    return _weights(config), _cache(config)


def _weights(config: Mapping[str, Any]) -> str:
    left_out = next((name for name in _excluded(config) if not _STAYS_ANYWAY.search(name)), None)
    stored = _scheme(config)
    return f"{stored} without {left_out[:60]}" if left_out else stored


def _excluded(config: Mapping[str, Any]) -> list[str]:
    """Return the modules that a section leaves unquantised."""
    lists = (config.get(key) for key in ("ignore", "modules_to_not_convert", "exclude_modules"))
    return [name for names in lists if isinstance(names, list) for name in names if isinstance(name, str)]


def _scheme(config: Mapping[str, Any]) -> str:
    method = str(config.get("quant_method", "")).lower()
    bits, group = config.get("bits"), config.get("group_size")
    if method in ("awq", "gptq") and bits == 4 and type(group) is int and (group > 0 or group == -1):
        return (
            f"{method}-int4"
            if group == 128
            else f"{method}-int4-g{group}"
            if group > 0
            else f"{method}-int4 without groups"
        )
    if method in ("fp8", "fbgemm_fp8"):
        return "fp8-block" if config.get("weight_block_size") else "fp8"
    if method == "mxfp4":
        return "mxfp4"
    if method == "bitsandbytes":
        return "nf4" if config.get("load_in_4bit") else "int8"
    if method == "modelopt":
        return MODELOPT.get(str(config.get("quant_algo")), f"modelopt {config.get('quant_algo')}")
    if method == "compressed-tensors":
        return _compressed(config)
    return f"quantization_config {method or 'without a method'}"


def _compressed(config: Mapping[str, Any]) -> str:
    """Read the one scheme of a compressed-tensors section."""
    groups = config.get("config_groups")
    schemes = list(groups.values()) if isinstance(groups, Mapping) else []
    weights = [scheme.get("weights") for scheme in schemes if isinstance(scheme, Mapping)]
    if len(weights) != 1 or not isinstance(weights[0], Mapping):
        return "compressed-tensors with several schemes"
    scheme = weights[0]
    bits, kind, strategy = scheme.get("num_bits"), scheme.get("type"), scheme.get("strategy")
    if bits == 8 and kind == "float":
        return "fp8-block" if strategy == "block" else "fp8"
    if bits == 8 and kind == "int":
        return "int8"
    if bits == 4 and kind == "float" and scheme.get("group_size") == 16:
        return "nvfp4"
    if bits == 4 and kind == "int" and type(scheme.get("group_size")) is int:
        group = scheme["group_size"]
        return "gptq-int4" if group == 128 else f"gptq-int4-g{group}"
    return f"compressed-tensors {bits} bit {kind}"


def _cache(config: Mapping[str, Any]) -> str | None:
    """Return the KV format that a checkpoint asks for; one that is not understood under its own name."""
    scheme, algorithm = config.get("kv_cache_scheme"), config.get("kv_cache_quant_algo")
    if isinstance(scheme, Mapping):
        bits, kind = scheme.get("num_bits"), scheme.get("type", "int")
        return "fp8_e4m3" if (bits, kind) == (8, "float") else f"kv_cache_scheme {bits} bit {kind}"[:60]
    if scheme or algorithm:
        return KV_ALGORITHMS.get(str(algorithm), f"kv_cache_quant_algo {algorithm or scheme}"[:60])
    return None
