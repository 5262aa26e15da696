"""What an entry of the files of presets holds, and the model or the GPU that it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from calculator.architecture.decoder import ARCHITECTURE_FIELDS, build_decoder
from calculator.architecture.model import ModelArchitecture
from calculator.errors import InvalidValueError
from calculator.hardware import Accelerator, program_memory
from calculator.messages import say
from calculator.reading.fields import Field, count, flag, mapping, names, number, text
from calculator.reading.schema import Schema

EXPECTATION_FIELDS = ("num_parameters", "num_active_parameters", "kv_bytes_per_token_fp16")

_DESCRIPTION: dict[str, Field] = {
    "name": text(80),
    "huggingface_id": text(120, required=False),
    "family": text(40),
    "num_parameters": count(10**15),
    "num_active_parameters": count(10**15),
    "kv_bytes_per_token_fp16": count(10**12),
    "source": text(400),
    "unverified": text(200, required=False),
    "checked": text(10),
}
MODEL_FIELDS = {**_DESCRIPTION, "model_type": text(40, required=False), **ARCHITECTURE_FIELDS}
CONFIG_FIELDS = {**_DESCRIPTION, "config": mapping()}
"""A preset states the fields of a uniform decoder, or the keys of its config.json that decide."""

GPU_FIELDS: dict[str, Field] = {
    "name": text(80),
    "vendor": text(40),
    "generation": text(20, required=False),
    "label_gb": count(100_000, required=False),
    "reported_mib": count(100_000_000, required=False),
    "program_gib_low": number(100_000, required=False),
    "program_gib_high": number(100_000, required=False),
    "program_gib_estimated": flag(required=False),
    "bandwidth_gb_per_s": number(10**6, required=False),
    "bf16_tflops": number(10**6, required=False),
    "fp8_tflops": number(10**6, required=False),
    "fp4_tflops": number(10**6, required=False),
    "link_gb_per_s": number(10**6, required=False),
    "gpus_per_node": count(1024),
    "price_usd_per_hour_low": number(10**5, required=False),
    "price_usd_per_hour_high": number(10**5, required=False),
    "price_date": text(80, required=False),
    "price_quotes": count(1_000, required=False),
    "unverified": names(
        ["memory", "reported_mib", "bandwidth_gb_per_s", "bf16_tflops", "fp8_tflops", "fp4_tflops", "link_gb_per_s"],
        required=False,
    ),
    "sources": text(2_000),
}


def build_model(key: str, fields: dict[str, Any]) -> ModelArchitecture:
    """Build a model of its entry."""
    described = ("name", "huggingface_id", "family", "model_type", "source", "checked", "unverified")
    description = {name: fields[name] for name in described if name in fields}
    if "config" not in fields:
        return build_decoder(fields, id=key, **description)
    from calculator.configs.reader import model_from_hf_config

    return replace(model_from_hf_config(fields["config"]), id=key, **description)


def build_gpu(key: str, fields: dict[str, Any]) -> Accelerator:
    """Build a GPU of its entry.

    Raises
    ------
    InvalidValueError
        If it says less than a plan needs of a device, or contradicts itself.
    """
    low, high = fields.get("program_gib_low"), fields.get("program_gib_high")
    if (low is None) != (high is None):
        raise InvalidValueError(
            say(
                "presets.program_gib_low_program",
                "program_gib_low and program_gib_high are given together or not at all",
            )
        )
    if low is None and "reported_mib" not in fields:
        raise InvalidValueError(
            say(
                "presets.program_gib_low_reported",
                "program_gib_low or reported_mib is needed: a plan uses what a program sees, never the label",
            )
        )
    program_gib = (str(low), str(high)) if low is not None else None
    estimated = fields.get("program_gib_estimated", False)
    memory_bytes, memory_source, verified = program_memory(program_gib, fields.get("reported_mib"), estimated)
    prices = [fields[name] for name in ("price_usd_per_hour_low", "price_usd_per_hour_high") if name in fields]
    if prices and prices[0] > prices[-1]:
        raise InvalidValueError(
            say(
                "presets.price_usd_per_hour",
                "price_usd_per_hour_low {prices:g} is more than the high {prices_2:g}",
                prices=prices[0],
                prices_2=prices[-1],
            ),
            what="price_usd_per_hour_low",
        )
    plain = (
        "name", "vendor", "generation", "label_gb", "reported_mib", "bandwidth_gb_per_s", "bf16_tflops", "fp8_tflops",
        "fp4_tflops",
        "link_gb_per_s", "gpus_per_node", "price_date", "price_quotes", "sources",
    )  # fmt: skip
    return Accelerator(
        id=key,
        memory_bytes=memory_bytes,
        memory_source=memory_source,
        memory_verified=verified,
        program_gib=program_gib,
        price_usd_per_hour=(prices[0], prices[-1]) if prices else None,
        unverified=tuple(fields.get("unverified", ())),
        **{name: fields[name] for name in plain if name in fields},
    )


PLAIN_SCHEMA, CONFIG_SCHEMA = Schema("ModelPreset", MODEL_FIELDS), Schema("ConfigPreset", CONFIG_FIELDS)
GPU_SCHEMA = Schema("GpuPreset", GPU_FIELDS)


def model_schema(raw: dict[str, Any]) -> Schema:
    """Return what an entry of a model may hold: fields of a uniform decoder, or a config."""
    return CONFIG_SCHEMA if "config" in raw else PLAIN_SCHEMA


def gpu_schema(_: dict[str, Any]) -> Schema:
    """Return what an entry of a GPU may hold."""
    return GPU_SCHEMA
