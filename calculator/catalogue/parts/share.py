"""A part of a device: memory of its own, a share of the chip and of the bandwidth."""

from __future__ import annotations

from dataclasses import replace

from calculator.hardware import Accelerator

CHECKED = "2026-11-26"


def part_of(device: Accelerator, id: str, name: str, chip: float, bandwidth: float, **memory: object) -> Accelerator:
    """Describe a part by its shares of the chip and of the bandwidth [-], and its memory by the names of its fields."""
    return replace(
        device,
        id=id,
        name=name,
        label_gb=None,
        bandwidth_gb_per_s=_share(device.bandwidth_gb_per_s, bandwidth),
        bf16_tflops=_share(device.bf16_tflops, chip),
        fp8_tflops=_share(device.fp8_tflops, chip),
        fp4_tflops=_share(device.fp4_tflops, chip),
        link_gb_per_s=None,
        gpus_per_node=1,
        price_usd_per_hour=None,
        price_date="",
        price_quotes=None,
        unverified=("bandwidth_gb_per_s", "bf16_tflops"),
        **memory,  # type: ignore[arg-type]
    )


def _share(value: float | None, part: float) -> float | None:
    return None if value is None else round(value * part, 1)
