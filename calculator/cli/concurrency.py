"""``concurrency``: how many requests of real traffic one replica holds at a risk."""

from __future__ import annotations

import argparse
from dataclasses import replace

from calculator.cli import MISSED, OK
from calculator.cli.arguments import add_field, add_format, add_plan, plan_keywords
from calculator.cli.printing import print_json, print_table, say
from calculator.errors import InvalidValueError
from calculator.planning.plan import plan
from calculator.planning.traffic import words
from calculator.planning.traffic.concurrency import Concurrency, concurrency
from calculator.planning.traffic.inputs import LENGTHS, RISK, TRAFFIC
from calculator.planning.traffic.tables import workload, workload_from_trace, workload_ids
from calculator.planning.traffic.workload import Workload


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_plan(parser, seq_len="prompt and generated tokens of the longest sequence, which cuts prompts and answers")
    known = ", ".join(workload_ids())
    parser.add_argument("--trace", metavar="FILE", help="lengths of a CSV file: columns input_tokens, output_tokens")
    parser.add_argument("--workload", metavar="ID", help=f"lengths of a table in the package: {known}")
    for name, field in {**LENGTHS, **TRAFFIC, **RISK}.items():
        add_field(parser, name, field)
    add_format(parser, "text", "json")


def run(arguments: argparse.Namespace) -> int:
    """Print how many requests are held, and why."""
    risk = {} if arguments.risk is None else {"risk": arguments.risk}
    answer = concurrency(plan(**plan_keywords(arguments)), _traffic(arguments), **risk)
    if arguments.format == "json":
        print_json(answer.as_dict())
    else:
        _print(answer)
    return OK if answer.plan.fits else MISSED


def _traffic(arguments: argparse.Namespace) -> Workload:
    """Return the workload: of a trace, of a table in the package or of means."""
    means = {name: value for name in LENGTHS if (value := getattr(arguments, name)) is not None}
    beside = {name: value for name in TRAFFIC if (value := getattr(arguments, name)) is not None}
    given = [name for name in ("trace", "workload") if getattr(arguments, name) is not None] + list(means)
    if len(given) > 1 and given[0] in ("trace", "workload"):
        text = f"give one of trace, workload and means: {given[0]} and {given[1]} both say how long requests are"
        raise InvalidValueError(text, what=given[1], asked=getattr(arguments, given[1]))
    missing = [name for name in ("prompt_tokens", "output_tokens") if name not in means]
    if means or not given:
        if missing:
            text = f"{missing[0]} is missing: give trace, workload, or prompt_tokens and output_tokens"
            raise InvalidValueError(text, what=missing[0])
        return Workload(**{"requests_per_second": 1.0, **means, **beside})
    of_table = workload_from_trace(arguments.trace) if arguments.workload is None else workload(arguments.workload)
    return replace(of_table, **beside)


def _print(answer: Concurrency) -> None:
    one = answer.plan
    say(answer.finding)
    say(f"The traffic: {words.lengths(answer.workload)}.")
    if answer.workload.source:
        say(f"Lengths from {answer.workload.source}; {answer.workload.licence}.")
    say()
    low, central, high = answer.preemptions_per_request
    rows = [
        (f"requests at once, risk {words.percent(answer.risk)}", f"{answer.sequences:,}", "", "-"),
        ("requests at once, even odds", f"{answer.sequences_even:,}", "", "-"),
        ("settles at with a full queue", f"{answer.saturated:,.0f}", "", "-"),
        ("tokens of a request, mean", f"{answer.mean_tokens:,.0f}", "", "tokens"),
        ("tokens of a request, deviation", f"{answer.sd_tokens:,.0f}", "", "tokens"),
        ("KV pool of one replica", f"{one.kv_pool_tokens:,}", "", "tokens"),
        ("preemptions a request, full queue", f"{central:.3g}", f"{low:.3g} to {high:.3g}", "-"),
        ("max_num_seqs that keeps the risk", f"{answer.max_num_seqs:,}", "", "-"),
    ]
    print_table([("", "value", "range", "unit"), *rows], "lrrl")
    say()
    say(f"By memory alone; max_num_seqs of the plan is {one.request.max_num_seqs:,}.")
    for note in one.notes:
        say(f"note: {note}")
