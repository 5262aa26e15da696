"""The kinds of values that flags take."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Any

from calculator.errors import CalculatorError, InvalidValueError
from calculator.reading.fields import Between, Count, Field, Flag, Nested, Number
from calculator.reading.strict_json import bounded, parse_config
from calculator.request import OPTIONS
from calculator.units import gib_to_bytes, parse_bytes, parse_tokens

_LETTERED = re.compile(r"[0-9][0-9.]{0,40}[A-Za-df-z][A-Za-z]{0,2}")
"""A number with letters behind it that is none in powers of ten."""
MODEL_HELP = "preset id, Hugging Face id or config.json"
MEMORY_HELP = "what the GPU reports to a program, in GiB"


def add_option(parser: argparse.ArgumentParser, name: str, **given: Any) -> None:
    """Add the flag of an option of the table, with what it says of it."""
    option = OPTIONS[name]
    help = f"{option.help}: bytes, or a size such as 20GiB" if option.is_bytes else option.help
    _add(parser, name, {"help": help, **_kind(option.field, option.unit), **given})


def add_field(parser: argparse.ArgumentParser, name: str, field: Field, **given: Any) -> None:
    """Add the flag of a field, with what it says of it."""
    _add(parser, name, {"help": field.help, **_kind(field, field.unit), **given})


def _add(parser: argparse.ArgumentParser, name: str, given: dict[str, Any]) -> None:
    help = given.pop("help").replace("%", "%%")
    parser.add_argument(f"--{name.replace('_', '-')}", help=help, **given)


def add_plan(parser: argparse.ArgumentParser, **given: str) -> None:
    """Add what ``plan`` takes; ``given`` says of an option what it is here."""
    parser.add_argument("--model", required=True, metavar="ID", help=MODEL_HELP)
    parser.add_argument("--gpu", metavar="ID", help="GPU preset id; may be left out where its memory is given")
    parser.add_argument("--gpu-memory-gib", type=gib, metavar="X", help=MEMORY_HELP)
    for name in OPTIONS:
        add_option(parser, name, **({"help": given[name]} if name in given else {}))


def plan_keywords(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the keywords of ``plan`` that were given."""
    asked = {name: getattr(arguments, name) for name in ("model", "gpu", *OPTIONS)}
    if arguments.gpu_memory_gib is not None:
        if arguments.gpu_memory_bytes is not None:
            raise InvalidValueError("give one of gpu_memory_gib and gpu_memory_bytes: both are the memory of one GPU")
        asked["gpu_memory_bytes"] = arguments.gpu_memory_gib
    return {name: value for name, value in asked.items() if value is not None}


def _kind(field: Field, unit: str) -> dict[str, Any]:
    if isinstance(field, Flag):
        return {"action": argparse.BooleanOptionalAction, "default": None}
    if isinstance(field, Count):
        return {"type": size if unit == "bytes" else count, "metavar": "N"}
    if isinstance(field, Nested):
        return {"type": mapping, "metavar": "JSON"}
    return {"type": number, "metavar": "N"} if isinstance(field, Number | Between) else {"metavar": "F"}


def add_format(parser: argparse.ArgumentParser, *formats: str) -> None:
    parser.add_argument("--format", choices=formats, default="text", help="what to print")


def count(text: str) -> int:
    """Read a whole number, or one with letters for thousands or powers of 1,024 behind it."""
    if _LETTERED.fullmatch(text):
        return int(_read(parse_tokens, text))
    if not re.fullmatch(r"-?[0-9]{1,400}", text):
        raise argparse.ArgumentTypeError(f"must be a whole number, not {text[:40]!r}")
    return int(text)


def number(text: str) -> float:
    """Read a number, or one with letters for thousands or powers of 1,024 behind it."""
    if _LETTERED.fullmatch(text):
        return float(_read(parse_tokens, text))
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, not {text[:40]!r}") from None


def _read(parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except CalculatorError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def gib(text: str) -> int:
    value = number(text)
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"must be a number of GiB above 0, not {text[:40]!r}")
    return gib_to_bytes(text)


def size(text: str) -> int:
    return int(_read(parse_bytes, text))


def mapping(text: str) -> dict[str, Any]:
    return dict(_read(lambda given: bounded(parse_config(given, "the value")), text))
