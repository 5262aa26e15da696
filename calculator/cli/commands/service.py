"""``service``: a plan under traffic: replicas, speed, how full they are, and cost."""

from __future__ import annotations

import argparse

from calculator.cli import MISSED, OK
from calculator.cli.arguments import add_format, add_plan, count, plan_keywords
from calculator.cli.loads import add_goals, add_traffic, goals_of, traffic_of
from calculator.cli.printing import print_json, print_table, say
from calculator.cli.reporting import add_report, write_report
from calculator.planning.plan import plan
from calculator.planning.sizing.served import service
from calculator.planning.sizing.service import Service
from calculator.views.sizing.served import served_rows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_plan(parser, seq_len="prompt and generated tokens of the longest sequence, which cuts prompts and answers")
    add_traffic(parser)
    add_goals(parser)
    parser.add_argument(
        "--replicas", type=count, metavar="N", help="how many there are; by default as many as it takes"
    )
    add_report(parser)
    add_format(parser, "text", "json")


def run(arguments: argparse.Namespace) -> int:
    """Print how the traffic is served."""
    given = {name: value for name in ("risk", "replicas") if (value := getattr(arguments, name)) is not None}
    answer = service(plan(**plan_keywords(arguments)), traffic_of(arguments), **given, **goals_of(arguments))
    write_report(arguments.report, answer)
    if arguments.format == "json":
        print_json(answer.as_dict())
    else:
        _print(answer)
    return OK if answer.holds else MISSED


def _print(answer: Service) -> None:
    say(answer.finding)
    say()
    rows = [("", "value", "range", "unit"), *served_rows(answer)]
    print_table(rows, "lrrl")
    say()
    if answer.price is not None and not answer.price.own:
        say(f"Prices seen: {answer.price.words}; examples, not offers.")
    if answer.speed is not None and answer.speed.why:
        say(f"not checked: {answer.speed.why}")
    if answer.batch_size:
        for line in f"start each with: {answer.command}".split("\n"):
            say(line)
    for note in answer.plan.notes:
        say(f"note: {note}")
