"""``models``: the models that presets exist for."""

from __future__ import annotations

import argparse

from calculator.catalogue.presets import load_model, model_ids
from calculator.cli import OK
from calculator.cli.arguments import add_format
from calculator.cli.printing import print_json, print_table
from calculator.planning import SCHEMA_VERSION
from calculator.units import format_size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_format(parser, "text", "json")


def run(arguments: argparse.Namespace) -> int:
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
