"""The kinds of values that flags take."""

from __future__ import annotations

import argparse
import re
from typing import Any

from calculator.errors import CalculatorError
from calculator.reading.fields import Count, Flag, Number
from calculator.request import OPTIONS, Option
from calculator.units import gib_to_bytes, parse_bytes

MODEL_HELP = "preset id, Hugging Face id or config.json"
MEMORY_HELP = "what the GPU reports to a program, in GiB"


def add_option(parser: argparse.ArgumentParser, name: str, **given: Any) -> None:
    """Add the flag of an option of the table, with what it says of it."""
    option = OPTIONS[name]
    help = f"{option.help}: bytes, or a size such as 20GiB" if option.is_bytes else option.help
    parser.add_argument(f"--{name.replace('_', '-')}", **{"help": help.replace("%", "%%"), **_kind(option), **given})


def _kind(option: Option) -> dict[str, Any]:
    field = option.field
    if isinstance(field, Flag):
        return {"action": argparse.BooleanOptionalAction, "default": None}
    if isinstance(field, Count):
        return {"type": size if option.is_bytes else count, "metavar": "N"}
    return {"type": number, "metavar": "N"} if isinstance(field, Number) else {"metavar": "F"}


def add_format(parser: argparse.ArgumentParser, *formats: str) -> None:
    parser.add_argument("--format", choices=formats, default="text", help="what to print")


def count(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,400}", text):
        raise argparse.ArgumentTypeError(f"must be a whole number, not {text[:40]!r}")
    return int(text)


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, not {text[:40]!r}") from None


def gib(text: str) -> int:
    value = number(text)
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"must be a number of GiB above 0, not {text[:40]!r}")
    return gib_to_bytes(text)


def size(text: str) -> int:
    try:
        return parse_bytes(text)
    except CalculatorError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
