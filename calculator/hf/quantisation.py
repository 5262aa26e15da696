"""What a checkpoint's ``quantization_config`` says of its weights and of its KV cache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calculator.errors import InvalidValueError, shown

KV_ALGORITHMS = {"FP8": "fp8_e4m3", "NVFP4": "nvfp4"}
MODELOPT = {"FP8": "fp8", "NVFP4": "nvfp4", "FP8_PB_WO": "fp8-block"}


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
    scheme = config.get("kv_cache_scheme")
    if isinstance(scheme, Mapping) and scheme.get("num_bits") == 8 and scheme.get("type", "float") == "float":
        return "fp8_e4m3"
    return KV_ALGORITHMS.get(str(config.get("kv_cache_quant_algo")))
