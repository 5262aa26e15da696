"""``service``: a plan under traffic: replicas, speed, how full they are, and cost."""

from __future__ import annotations

import argparse

from calculator.cli import MISSED, OK
from calculator.cli.arguments import add_format, add_plan, count, plan_keywords
from calculator.cli.loads import add_goals, add_traffic, goals_of, traffic_of
from calculator.cli.printing import print_json, print_table, say
from calculator.cli.size import dollars
from calculator.planning.plan import plan
from calculator.planning.sizing.served import service
from calculator.planning.sizing.service import Service
from calculator.planning.traffic import words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_plan(parser, seq_len="prompt and generated tokens of the longest sequence, which cuts prompts and answers")
    add_traffic(parser)
    add_goals(parser)
    parser.add_argument(
        "--replicas", type=count, metavar="N", help="how many there are; by default as many as it takes"
    )
    add_format(parser, "text", "json")


def run(arguments: argparse.Namespace) -> int:
    """Print how the traffic is served."""
    given = {name: value for name in ("risk", "replicas") if (value := getattr(arguments, name)) is not None}
    answer = service(plan(**plan_keywords(arguments)), traffic_of(arguments), **given, **goals_of(arguments))
    if arguments.format == "json":
        print_json(answer.as_dict())
    else:
        _print(answer)
    return OK if answer.holds else MISSED


def _print(answer: Service) -> None:
    say(answer.finding)
    say()
    rows = [("", "value", "range", "unit")]
    for name, label, unit, shown in (
        ("time_per_output_token_s", "time per output token, at the limit", "ms", words.milliseconds),
        ("time_to_first_token_s", "time to the first token, there", "ms", words.milliseconds),
        ("output_tokens_per_second", "tokens of one replica, there", "1/s", words.rate),
        ("replica_requests_per_second", "requests of one replica, there", "1/s", words.rate),
    ):
        value, low, high = (getattr(answer, f"{name}{end}") for end in ("", "_low", "_high"))
        if value is not None:
            rows.append((label, shown(value), f"{shown(low)} to {shown(high)}", unit))
    if answer.mean_time_per_output_token_s is not None:
        step = words.milliseconds(answer.mean_time_per_output_token_s)
        rows.append(("time per output token, at its own rate", step, "", "ms"))
        rows.append(("at once on one replica, at its own rate", f"{answer.mean_batch_size:,.1f}", "", "-"))
    if answer.utilisation is not None:
        rows.append(("utilisation", words.percent(round(answer.utilisation, 3)), "", "-"))
    for name, label, unit in (
        ("usd_per_hour", "all GPUs", "USD/h"),
        ("usd_per_million_output_tokens", "a million output tokens, at its own rate", "USD"),
        ("usd_per_million_output_tokens_full", "a million output tokens, full", "USD"),
        ("usd_per_request", "a request, at its own rate", "USD"),
        ("usd_per_user_hour", "one of those at once, an hour, full", "USD/h"),
    ):
        if (pair := getattr(answer, name)) is not None:
            rows.append((label, dollars(pair), "", unit))
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
