"""``heads``: what every number of KV heads holds, saves and costs, and which of them meet stated goals."""

from __future__ import annotations

import argparse
import csv
import io
from dataclasses import asdict, fields
from typing import Any

from calculator.cli import MISSED, OK
from calculator.cli.arguments import add_field, add_format, add_plan, count, plan_keywords
from calculator.cli.printing import print_json, print_table, say
from calculator.errors import CalculatorError
from calculator.planning.heads.goals import GOALS, Recommendation
from calculator.planning.heads.rows import HeadRow
from calculator.planning.heads.study import HeadStudy, head_study
from calculator.reading.by_layer import is_by_layer, parse_by_layer
from calculator.units import format_gib, format_size
from calculator.views.heads.answer import kind
from calculator.views.heads.chosen import row_of
from calculator.views.heads.quality import trained
from calculator.views.load.wording import milliseconds, rounded

ALIGN = "lllrrrrrrrrrl"
OF_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_plan(
        parser,
        batch_size="sequences at once, for which seconds a token are given; by default 1",
        seq_len="prompt and generated tokens of a sequence; by default the model's longest context",
    )
    parser.add_argument(
        "--kv-heads", nargs="+", type=_heads, metavar="N",
        help="numbers to compare, by default all that divide H; 4x40,16x40 is a list with each layer's own",
    )  # fmt: skip
    parser.add_argument(
        "--sliding-window", type=_windows, metavar="N",
        help="a window for all layers, or a list with each layer's own, such as nonex40,4096x40",
    )  # fmt: skip
    parser.add_argument("--output-tokens", type=count, metavar="N", help="how many of the tokens are generated")
    for name, text in (
        ("latent", "set latent attention beside them; by default yes"),
        ("constant_parameters", "give the parameters that fewer heads free to the MLP; by default no"),
    ):
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=text)
    for name, field in GOALS.items():
        add_field(parser, name, field)
    add_format(parser, "text", "json", "csv")


def _heads(text: str) -> int | list[int | None]:
    """Return a number of KV heads, or a list with each layer's own."""
    return _by_layer(text, "kv_heads") if is_by_layer(text) else count(text)


def _windows(text: str) -> int | list[int | None]:
    """Return a window, or a list with each layer's own."""
    return _by_layer(text, "sliding_window", may_be_none=True) if is_by_layer(text) else count(text)


def _by_layer(text: str, what: str, may_be_none: bool = False) -> list[int | None]:
    try:
        return parse_by_layer(text, what, may_be_none)
    except CalculatorError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(arguments: argparse.Namespace) -> int:
    """Print the study, and what meets the goals."""
    own = ("kv_heads", "output_tokens", "latent", "constant_parameters", "sliding_window")
    asked = {name: value for name in own if (value := getattr(arguments, name)) is not None}
    study = head_study(**plan_keywords(arguments), **asked)
    goals: dict[str, Any] = {name: value for name in GOALS if (value := getattr(arguments, name)) is not None}
    found = study.recommend(**goals) if goals else None
    if arguments.format == "json":
        print_json({**study.as_dict(), "recommendation": found and found.as_dict()})
    elif arguments.format == "csv":
        _print_csv(study)
    else:
        _print(study, found)
    if found:
        return OK if found.meets else MISSED
    return OK if row_of(study).fits else MISSED


def _print_csv(study: HeadStudy) -> None:
    """Print a line a row, in the units that the names of the columns carry; absent values are empty."""
    text = io.StringIO()
    written = csv.writer(text, lineterminator="\n")
    written.writerow(field.name for field in fields(HeadRow))
    for row in study.rows:
        written.writerow(_cell(value) for value in asdict(row).values())
    for line in text.getvalue().splitlines():
        say(line)


def _cell(value: Any) -> Any:
    """Return a cell; text that a spreadsheet would take for a formula stays text."""
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return f"'{value}" if isinstance(value, str) and value.startswith(OF_FORMULA) else value


def _print(study: HeadStudy, found: Recommendation | None) -> None:
    say(study.finding)
    say()
    head = (
        "", "KV heads", "kind", "KV a token", "saved", "weights, GPU", "users", "ms a token", "tokens/s", "USD/M",
        "FLOP/B", "TP", "quality",
    )  # fmt: skip
    print_table([head, *(_line(study, row) for row in study.rows)], ALIGN)
    say()
    say(
        f"users of {study.seq_len:,} tokens on one replica; ms a token with {study.batch_size:,} at once; tokens/s of "
        "all users held, and USD a million of them; FLOP a byte of the cache in decode attention"
        f"{_ridge(study)}; TP: the most GPUs that share a layer without copies of KV heads; quality as published, in "
        "points against MHA; * the model as it is"
    )
    for row in study.rows:
        if row.refused:
            say(f"{row.label}: {row.refused}")
    if found:
        say(f"goals: {found.finding}")
    for text in study.assumptions:
        say(f"note: {text}")


def _ridge(study: HeadStudy) -> str:
    ridge = next((row.ridge for row in study.rows if row.ridge), None)
    return f", where the GPU could compute {rounded(ridge)}" if ridge else ""


def _line(study: HeadStudy, row: HeadRow) -> tuple[str, ...]:
    mark = "*" if row.this_model else ""
    what = (mark, row.label, kind(row), format_size(row.kv_bytes_per_token), f"{100 * row.saving:.2f} %")
    bound = (
        "" if row.intensity is None else rounded(row.intensity),
        f"{max(row.degrees_without_copies, default=1)}",
        _published(study, row),
    )
    if row.refused:
        return (*what, "not possible", "", "", "", "", *bound)
    users = f"{row.max_batch_size:,} ({row.max_batch_size_low:,} to {row.max_batch_size_high:,})"
    step, rate = row.time_per_output_token_s, row.full_output_tokens_per_second
    return (
        *what,
        format_gib(row.weights_bytes_per_gpu),
        users,
        "" if step is None else milliseconds(step),
        "" if rate is None else rounded(rate),
        _price(row),
        *bound,
    )


def _price(row: HeadRow) -> str:
    low, high = row.usd_per_million_output_tokens_low, row.usd_per_million_output_tokens_high
    return "" if low is None or high is None else f"{rounded(low, 2)} to {rounded(high, 2)}"


def _published(study: HeadStudy, row: HeadRow) -> str:
    points = [pair.change for pair in trained(study, row)]
    if row.kind == "mha":
        return "0"
    return f"{min(points):+g} to {max(points):+g}" if points else "no data"
