"""``plan``: what fits on which GPUs."""

from __future__ import annotations

import argparse

from calculator.cli import MISSED, OK
from calculator.cli.arguments import MEMORY_HELP, MODEL_HELP, add_format, add_option, gib
from calculator.cli.printing import print_json, print_table, say
from calculator.errors import InvalidValueError
from calculator.planning.answer import Plan
from calculator.planning.command import serve_command
from calculator.planning.plan import plan
from calculator.planning.search import shape, smallest_fit, what_would_fit
from calculator.request import OPTIONS
from calculator.units import format_gib, format_size
from calculator.views import words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("--model", required=True, metavar="ID", help=MODEL_HELP)
    parser.add_argument("--gpu", metavar="ID", help="GPU preset id; may be left out where its memory is given")
    parser.add_argument("--gpu-memory-gib", type=gib, metavar="X", help=MEMORY_HELP)
    for name in OPTIONS:
        add_option(parser, name)
    add_format(parser, "text", "json")


def run(arguments: argparse.Namespace) -> int:
    """Print what fits, and why."""
    asked = {name: getattr(arguments, name) for name in ("model", "gpu", *OPTIONS)}
    if arguments.gpu_memory_gib is not None:
        if arguments.gpu_memory_bytes is not None:
            raise InvalidValueError("give one of gpu_memory_gib and gpu_memory_bytes: both are the memory of one GPU")
        asked["gpu_memory_bytes"] = arguments.gpu_memory_gib
    answer = plan(**{name: value for name, value in asked.items() if value is not None})
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
        say(f"would fit: {lever.label} ({lever.cost}): {words.headline(lever.plan)}")
