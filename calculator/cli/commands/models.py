"""``models``: the models that presets exist for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from calculator.architecture.model import ModelArchitecture
from calculator.catalogue.presets import load_model, model_ids
from calculator.cli import OK
from calculator.cli.arguments import add_format
from calculator.cli.printing import print_json, print_table, say
from calculator.errors import CalculatorError
from calculator.planning import SCHEMA_VERSION
from calculator.planning.heads.variants import keeps_latent
from calculator.units import format_size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_format(parser, "text", "json", "markdown")


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
    if arguments.format == "markdown":
        for line in preset_table(models).splitlines():
            say(line)
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


_TABLE = """# Presets

Every preset with its query heads H and KV heads G, as `python -m calculator models --format markdown` prints them.
KV a token: what one more token adds while every layer still grows, 16 bit, one copy. Saving: of that, against H heads
in each layer that keeps any (multi-head attention); a latent vector is set against heads of its own query and value
size. Names that mean a preset are in [`model_names.csv`](../calculator/catalogue/data/model_names.csv).

| preset | model | layers | H | G | H : G | KV a token | saving | longest context |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"""


def preset_table(models: Sequence[ModelArchitecture]) -> str:
    """Return the page of all presets, as Markdown."""
    return _TABLE + "".join(f"| {' | '.join(_cells(model))} |\n" for model in models)


def _cells(model: ModelArchitecture) -> tuple[str, ...]:
    heads, groups = model.num_attention_heads, sorted({count for count in model.kv_heads_by_layer if count})
    latent = keeps_latent(model)
    ratios = "latent" if latent else " and ".join(f"{heads / count:g} : 1" for count in groups)
    name = f"[{model.name}](https://huggingface.co/{model.huggingface_id})" if model.huggingface_id else model.name
    return (
        f"`{model.id}`",
        name,
        f"{model.num_layers}",
        f"{heads}",
        "latent" if latent else " and ".join(map(str, groups)),
        ratios,
        format_size(model.kv_bytes_per_token("fp16")),
        _saving(model),
        f"{model.max_position_embeddings:,}",
    )


def _saving(model: ModelArchitecture) -> str:
    """Return the share of KV memory that is saved against H heads in each layer that keeps any."""
    heads = model.num_attention_heads
    try:
        full = model.with_kv_heads([heads if count else 0 for count in model.kv_heads_by_layer])
    except CalculatorError:
        return "not compared"
    return f"{1 - model.kv_bytes_per_token('fp16') / full.kv_bytes_per_token('fp16'):.1%}"
