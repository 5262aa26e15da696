"""``kv``: bytes of the KV cache."""

from __future__ import annotations

import argparse

from calculator.architecture.limits import MAX_TOKENS
from calculator.architecture.split import kv_heads_per_rank, kv_replication
from calculator.catalogue.presets import load_model
from calculator.cli import OK
from calculator.cli.arguments import MODEL_HELP, add_format, add_option
from calculator.cli.printing import print_json, say
from calculator.planning import SCHEMA_VERSION
from calculator.planning.kv_cache import kv_cache_bytes, kv_cache_bytes_per_gpu
from calculator.units import GIB, KIB, format_bytes, format_gb, format_size, plural


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("--model", required=True, metavar="ID", help=MODEL_HELP)
    add_option(parser, "seq_len", required=True)
    add_option(parser, "batch_size", default=1)
    add_option(parser, "kv_cache_dtype", default="auto")
    add_option(parser, "encoder_seq_len")
    add_option(parser, "tensor_parallel_size", default=1)
    add_format(parser, "text", "json")


def run(arguments: argparse.Namespace) -> int:
    """Print the bytes of a KV cache."""
    model, tp = load_model(arguments.model), arguments.tensor_parallel_size
    asked = (model, arguments.seq_len, arguments.batch_size, arguments.kv_cache_dtype, tp, arguments.encoder_seq_len)
    report = {
        "schema_version": SCHEMA_VERSION,
        "model": model.id,
        "kv_cache_bytes": kv_cache_bytes(*asked),
        "kv_cache_bytes_per_gpu": kv_cache_bytes_per_gpu(*asked),
        "kv_bytes_per_token": model.kv_bytes_per_token(arguments.kv_cache_dtype),
        "state_bytes_per_sequence": model.state_bytes_per_sequence(tp),
        "kv_heads_per_gpu": kv_heads_per_rank(model.num_key_value_heads, tp) if model.num_key_value_heads else 0,
        "kv_replication": kv_replication(model.num_key_value_heads, tp) if model.num_key_value_heads else 1,
    }
    if arguments.format == "json":
        print_json(report)
        return OK
    total, share = report["kv_cache_bytes"], report["kv_cache_bytes_per_gpu"]
    say(f"{model.name}, {plural(arguments.seq_len, 'token')} × {plural(arguments.batch_size, 'sequence')}")
    say(f"KV cache, all GPUs: {_sized(total, gb=True)}")
    heads = plural(report["kv_heads_per_gpu"], "KV head")
    say(f"KV cache, one GPU:  {_sized(share)}, {heads} on each of {plural(tp, 'GPU')}")
    length = min(arguments.seq_len, MAX_TOKENS - 1)
    before, after = (
        kv_cache_bytes(model, tokens, 1, arguments.kv_cache_dtype, 1, arguments.encoder_seq_len)
        for tokens in (length, length + 1)
    )  # a window that is full takes no more
    say(f"One more token:     {format_bytes(after - before)} over the whole model")
    if model.dtype_assumption and arguments.kv_cache_dtype == "auto":
        say(f"note: {model.dtype_assumption}")
    return OK


def _sized(num_bytes: int, *, gb: bool = False) -> str:
    """Return exact bytes, and beside them a size in the unit that suits it."""
    more = [format_size(num_bytes)] if num_bytes >= KIB else []
    more += [format_gb(num_bytes)] if gb and num_bytes >= GIB else []
    return f"{format_bytes(num_bytes)} ({', '.join(more)})" if more else format_bytes(num_bytes)
