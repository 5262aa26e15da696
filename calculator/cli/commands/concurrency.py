"""``concurrency``: how many requests of real traffic one replica holds at a risk."""

from __future__ import annotations

import argparse

from calculator.cli import MISSED, OK
from calculator.cli.arguments import add_format, add_plan, plan_keywords
from calculator.cli.loads import add_traffic, traffic_of
from calculator.cli.printing import print_json, print_table, say
from calculator.planning.plan import plan
from calculator.planning.traffic import words
from calculator.planning.traffic.concurrency import Concurrency, concurrency


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_plan(parser, seq_len="prompt and generated tokens of the longest sequence, which cuts prompts and answers")
    add_traffic(parser)
    add_format(parser, "text", "json")


def run(arguments: argparse.Namespace) -> int:
    """Print how many requests are held, and why."""
    risk = {} if arguments.risk is None else {"risk": arguments.risk}
    answer = concurrency(plan(**plan_keywords(arguments)), traffic_of(arguments), **risk)
    if arguments.format == "json":
        print_json(answer.as_dict())
    else:
        _print(answer)
    return OK if answer.plan.fits else MISSED


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
