"""``gpus``: the GPUs that presets exist for."""

from __future__ import annotations

import argparse

from calculator.catalogue.presets import gpu_ids, load_gpu
from calculator.cli import OK
from calculator.cli.arguments import add_format
from calculator.cli.printing import print_json, print_table
from calculator.planning import SCHEMA_VERSION
from calculator.units import format_gib


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_format(parser, "text", "json")


def run(arguments: argparse.Namespace) -> int:
    """Print the GPUs."""
    gpus = [load_gpu(key) for key in gpu_ids()]
    if arguments.format == "json":
        names = (
            "id", "name", "vendor", "memory_bytes", "memory_source", "memory_verified", "label_gb", "reported_mib",
            "bandwidth_gb_per_s", "bf16_tflops", "fp8_tflops", "fp4_tflops", "link_gb_per_s", "gpus_per_node",
            "price_usd_per_hour", "price_date", "unverified",
        )  # fmt: skip
        entries = [{name: getattr(gpu, name) for name in names} for gpu in gpus]
        print_json({"schema_version": SCHEMA_VERSION, "gpus": entries})
        return OK
    header = ("id", "name", "seen by a program", "driver reports", "label", "USD per hour")
    rows = (
        (
            gpu.id,
            gpu.name,
            format_gib(gpu.memory_bytes) + ("" if gpu.memory_verified else " (not verified)"),
            f"{gpu.reported_mib:,} MiB" if gpu.reported_mib else "",
            f"{gpu.label_gb} GB" if gpu.label_gb else "",
            "{:g} to {:g}".format(*gpu.price_usd_per_hour) if gpu.price_usd_per_hour else "",
        )
        for gpu in gpus
    )
    print_table([header, *rows], "llrrrr")
    return OK
