"""``size``: which GPUs, how many, at what price, for a load."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from calculator import units
from calculator.cli import MISSED, OK
from calculator.cli.arguments import MODEL_HELP, add_format, add_option, count, number
from calculator.cli.loads import add_goals, add_traffic, goals_of, no_traffic_beside, traffic_of
from calculator.cli.printing import print_json, print_table, say
from calculator.cli.reporting import add_report, write_report
from calculator.planning.sizing.found import Found
from calculator.planning.sizing.service import Service
from calculator.planning.sizing.size import SEARCHED, size
from calculator.planning.traffic import words
from calculator.request import OPTIONS

SHOWN = 20
LEFT_OUT = (*SEARCHED, "seq_len", "batch_size")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("--model", required=True, metavar="ID", help=MODEL_HELP)
    parser.add_argument("--users", type=count, metavar="N", help="sequences of --seq-len at once, in place of traffic")
    add_option(parser, "seq_len", help="tokens of one of the users, or the longest sequence of the traffic")
    add_traffic(parser)
    for name, what in (
        ("gpus", "GPU preset ids, separated by commas; by default all"),
        ("engines", "engines, separated by commas"),
        ("weight-dtypes", "weight formats, separated by commas; auto for the checkpoint's own"),
        ("kv-cache-dtypes", "storage formats of the cache, separated by commas"),
    ):
        parser.add_argument(f"--{name}", metavar="A,B", type=_names, help=what)
    parser.add_argument("--max-gpus", type=count, metavar="N", help="GPUs at most; by default 64")
    parser.add_argument("--max-seconds", type=number, metavar="S", help="when the search ends, whatever is left")
    parser.add_argument("--calibration", metavar="FILE", help="what one machine holds, as reconcile writes it")
    add_goals(parser)
    for name in OPTIONS:
        if name not in LEFT_OUT:
            add_option(parser, name)
    parser.add_argument("--all", action="store_true", help=f"print every option, not the {SHOWN} cheapest")
    add_report(parser)
    add_format(parser, "text", "json")


def _names(text: str) -> Sequence[str]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def run(arguments: argparse.Namespace) -> int:
    """Print the hardware, cheapest first."""
    asked = (
        "users",
        "seq_len",
        "gpus",
        "engines",
        "weight_dtypes",
        "kv_cache_dtypes",
        "max_gpus",
        "max_seconds",
        "calibration",
    )
    given = {name: value for name in (*asked, "risk") if (value := getattr(arguments, name)) is not None}
    given |= {
        name: value for name in OPTIONS if name not in LEFT_OUT and (value := getattr(arguments, name)) is not None
    }
    if arguments.users is None:
        given["workload"] = traffic_of(arguments)
    else:
        no_traffic_beside(arguments, "users", but="output_tokens")
        if arguments.output_tokens is not None:
            given["output_tokens"] = arguments.output_tokens
    found = size(arguments.model, **given, **goals_of(arguments))
    write_report(arguments.report, found)
    if arguments.format == "json":
        print_json(found.as_dict())
    else:
        _print(found, None if arguments.all else SHOWN)
    return OK if found.options else MISSED


def _print(found: Found, most: int | None) -> None:
    say(found.finding)
    say()
    if found.options:
        front = set(map(id, found.pareto))
        rows = [(*_cells(option), "front" if id(option) in front else "") for option in found.options[:most]]
        header = (
            "GPUs", "GPU", "split", "replicas", "at once", "limit", "ms a token", "USD an hour", "USD a million",
            "seen", "",
        )  # fmt: skip
        print_table([header, *rows], "rllrrlrrrll")
        if most is not None and len(found.options) > most:
            say(f"and {len(found.options) - most:,} more: --all")
        say()
        say("front: no other is cheaper and faster; ms a token at the load's own rate; prices are examples, not offers")
    for option in found.nearly[:SHOWN]:
        say(
            f"nearly, at the centre of the range: {option.num_gpus:,} × {option.plan.accelerator.name} ({option.split})"
        )
    for note in found.notes:
        say(f"note: {note}")
    for row in found.refused:
        say(f"left out: {row.engine}, {row.weight_dtype}: {row.why}")


def _cells(option: Service) -> tuple[str, ...]:
    low, high = option.batch_size_low, option.batch_size_high
    seconds = option.mean_time_per_output_token_s
    return (
        f"{option.num_gpus:,}",
        option.plan.accelerator.id,
        option.split,
        f"{option.replicas:,}",
        f"{option.batch_size:,}" if low == high else f"{option.batch_size:,} ({low:,} to {high:,})",
        option.limited_by,
        words.milliseconds(seconds) if seconds else "",
        dollars(option.usd_per_hour),
        dollars(option.usd_per_million_output_tokens),
        option.price.words if option.price else "",
    )


def dollars(pair: tuple[float, float] | None) -> str:
    """Show a price and its range."""
    if pair is None:
        return ""
    return str(units.dollars(*pair)).replace("$", "")
