"""``inspect``: what is understood of a config.json, or why it is refused."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from calculator.architecture.model import ModelArchitecture
from calculator.architecture.weights import weight_bytes_per_rank
from calculator.catalogue.presets import model_of_files
from calculator.cli import OK
from calculator.cli.arguments import add_format, add_option
from calculator.cli.printing import print_json, print_table, say
from calculator.configs.reader import read_config
from calculator.errors import CalculatorError
from calculator.planning import SCHEMA_VERSION
from calculator.planning.kv_cache import kv_cache_bytes
from calculator.units import format_bytes, format_size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("config", metavar="config.json", help="the file, the folder that it is in, or a .gguf file")
    add_option(parser, "seq_len")
    add_option(parser, "encoder_seq_len")
    parser.add_argument(
        "--assume-full-attention", action="store_true", help="compute an unknown type that states plain attention"
    )
    add_format(parser, "text", "json")


def run(arguments: argparse.Namespace) -> int:
    """Print what is understood of a config, or of a checkpoint's files."""
    guess = arguments.assume_full_attention
    model = model_of_files(arguments.config, guess) or read_config(Path(arguments.config), guess)
    seq_len = model.max_position_embeddings if arguments.seq_len is None else arguments.seq_len
    per_sequence = kv_cache_bytes(model, seq_len, encoder_seq_len=arguments.encoder_seq_len)
    weights = _weights(model)
    warnings = [*model.assumed, *([model.dtype_assumption] if model.dtype_assumption else [])]
    report = {
        "schema_version": SCHEMA_VERSION,
        "model": model.name,
        "num_parameters": model.num_parameters,
        "num_active_parameters": model.num_active_parameters,
        "parts": model.parts,
        "weight_dtype": model.resolve_weight_dtype("auto"),
        "kv_cache_dtype": model.resolve_kv_dtype("auto"),
        "weights_bytes": weights,
        "weights_from": model.weights_from or "format",
        "stored_as": model.stored_as,
        "source": model.source,
        "kv_bytes_per_token": model.kv_bytes_per_token(),
        "seq_len": seq_len,
        "kv_bytes_per_sequence": per_sequence,
        "state_bytes_per_sequence": model.state_bytes_per_sequence(),
        "layers": model.layer_rows(),
        "ignored_keys": list(model.ignored_keys),
        "warnings": warnings,
    }
    if arguments.format == "json":
        print_json(report)
        return OK
    say(f"{model.name}: {model.num_parameters:,} parameters, {model.num_active_parameters:,} active")
    say(f"KV cache: {format_bytes(model.kv_bytes_per_token())} per token in {report['kv_cache_dtype']}")
    say(f"One sequence of {seq_len:,} tokens: {format_bytes(per_sequence)} ({format_size(per_sequence)})")
    if weights is not None:
        stored = f", {model.stored_as}" if model.stored_as else ""
        say(f"Weights: {format_bytes(weights)} ({format_size(weights)}) in {report['weight_dtype']}{stored}")
    if model.weights_from in ("headers", "index"):
        say(f"Read: {model.source}")
    state = model.state_bytes_per_sequence()
    if state:
        say(f"State of one sequence, which does not grow: {format_bytes(state)} ({format_size(state)})")
    say()
    rows = [(f"{row['count']}", row["kind"], _sizes(row)) for row in model.layer_rows()]
    print_table([("layers", "kind", "sizes"), *rows], "rll")
    say()
    print_table([("part", "parameters"), *((part, f"{count:,}") for part, count in model.parts.items())], "lr")
    for warning in warnings:
        say(f"assumed: {warning}")
    if model.ignored_keys:
        say(f"ignored: {', '.join(model.ignored_keys)}")
    return OK


def _weights(model: ModelArchitecture) -> int | None:
    """Return the bytes of the weights as the checkpoint has them; None where its format is not understood."""
    try:
        return weight_bytes_per_rank(model)[0]
    except CalculatorError:
        return None


def _sizes(row: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:,}" for name, value in row.items() if isinstance(value, int) and name != "count")
