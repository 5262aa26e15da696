"""``models`` and ``gpus``: what presets exist for."""

from __future__ import annotations

import argparse

from calculator.catalogue.presets import gpu_ids, load_gpu, load_model, model_ids
from calculator.cli import OK
from calculator.cli.arguments import add_format
from calculator.cli.printing import print_json, print_table
from calculator.planning import SCHEMA_VERSION
from calculator.units import format_gib, format_size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the commands take."""
    add_format(parser, "text", "json")


def run_models(arguments: argparse.Namespace) -> int:
    """Print the models."""
    models = [load_model(key) for key in model_ids()]
    if arguments.format == "json":
        entries = [
            {
                "id": model.id,
                "name": model.name,
                "huggingface_id": model.huggingface_id or None,
                "family": model.family,
                "num_layers": model.num_layers,
                "num_attention_heads": model.num_attention_heads,
                "num_key_value_heads": model.num_key_value_heads,
                "num_parameters": model.num_parameters,
                "num_active_parameters": model.num_active_parameters,
                "max_position_embeddings": model.max_position_embeddings,
                "kv_bytes_per_token": model.kv_bytes_per_token(),
                "unverified": model.unverified or None,
            }
            for model in models
        ]
        print_json({"schema_version": SCHEMA_VERSION, "models": entries})
        return OK
    header = ("id", "name", "layers", "heads", "KV heads", "parameters", "context", "KV per token")
    rows = (
        (
            model.id,
            model.name,
            f"{model.num_layers}",
            f"{model.num_attention_heads}",
            f"{model.num_key_value_heads}",
            f"{model.num_parameters:,}",
            f"{model.max_position_embeddings:,}",
            format_size(model.kv_bytes_per_token()),
        )
        for model in models
    )
    print_table([header, *rows], "llrrrrrr")
    return OK


def run_gpus(arguments: argparse.Namespace) -> int:
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
            f"{gpu.label_gb} GB",
            "{:g} to {:g}".format(*gpu.price_usd_per_hour) if gpu.price_usd_per_hour else "",
        )
        for gpu in gpus
    )
    print_table([header, *rows], "llrrrr")
    return OK
