"""``plan``: what fits on which GPUs."""

from __future__ import annotations

import argparse

from calculator.cli import MISSED, OK
from calculator.cli.arguments import add_format, add_plan, plan_keywords
from calculator.cli.commands.compare import print_comparison
from calculator.cli.printing import print_json, print_table, say
from calculator.cli.reporting import add_report, write_report
from calculator.planning.answer import Plan
from calculator.planning.command import serve_command
from calculator.planning.comparing.compare import upgrade
from calculator.planning.plan import plan
from calculator.planning.search import Lever, next_steps, shape, smallest_fit, what_would_fit
from calculator.units import dollars, format_gib, format_size
from calculator.views import words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_plan(parser)
    parser.add_argument("--upgrade-to", metavar="X.Y", help="print what another version of the engine changes")
    parser.add_argument("--calibration", metavar="FILE", help="what one machine holds, as reconcile writes it")
    add_report(parser)
    add_format(parser, "text", "json")


def run(arguments: argparse.Namespace) -> int:
    """Print what fits, and why."""
    answer = plan(**plan_keywords(arguments), calibration=arguments.calibration)
    if arguments.upgrade_to is not None:
        upgraded = upgrade(answer, arguments.upgrade_to)
        write_report(arguments.report, upgraded)
        print_json(upgraded.as_dict()) if arguments.format == "json" else print_comparison(upgraded)
        return OK if upgraded.after.fits else MISSED
    write_report(arguments.report, answer)
    if arguments.format == "json":
        print_json(answer.as_dict())
    else:
        _print(answer)
    return OK if answer.fits else MISSED


def _print(answer: Plan) -> None:
    say(words.headline(answer))
    say(words.detail(answer))
    if words.price(answer):
        say(f"Price of {words.hardware(answer)}: {words.price(answer)}.")
    smallest = smallest_fit(answer)
    if smallest:
        say(f"The fewest that would do: {words.hardware(smallest)} ({shape(smallest)}).")
    say()
    total = answer.per_gpu.total_bytes
    print_table(
        [
            ("Memory of one GPU", "", "bytes", ""),
            *((name, format_size(size), f"{size:,}", source) for name, size, source in words.memory_lines(answer)),
            ("Total", format_gib(total), f"{total:,}", answer.accelerator.memory_source),
        ],
        "lrrl",
    )
    say()
    for note in answer.notes:
        say(f"note: {note}")
    say(f"note: {words.NOT_MODELLED}")
    for line in f"start it with: {serve_command(answer)}".split("\n"):
        say(line)
    for lever in what_would_fit(answer):
        say(f"would fit: {lever.label} ({_cost(lever)}): {words.headline(lever.plan)}")
    for lever in next_steps(answer) if answer.fits else ():
        say(f"would hold more: {lever.label} ({_cost(lever)}): {lever.users:,}, {lever.gain:+,}")


def _cost(lever: Lever) -> str:
    """Say what a change costs: the price of all GPUs, and what it takes in answers or risk."""
    price = f"{dollars(*lever.usd_per_hour)} an hour" if lever.usd_per_hour else "no price known"
    return "; ".join(filter(None, (str(lever.cost), price, lever.quality, lever.risk)))
