"""The command line: arguments → calls → text or JSON. Reports on stdout, diagnostics on stderr."""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from calculator.cli import BAD_INPUT
from calculator.cli.printing import one_line, say
from calculator.errors import CalculatorError


class Command(NamedTuple):
    """A command: its module, its function there, and what it is for."""

    module: str
    function: str
    help: str
    description: str


COMMANDS = {
    "app": Command(
        "app", "run", "open the dashboard in the browser", "Serve the dashboard, on this machine alone by default."
    ),
    "kv": Command("kv", "run", "bytes of the KV cache", "Bytes of the KV cache of a model."),
    "plan": Command("plan", "run", "what fits on which GPUs", "How many sequences fit, and why."),
    "concurrency": Command(
        "concurrency",
        "run",
        "how many requests of real traffic one replica holds",
        "How many requests of real traffic one replica holds at a risk that its KV pool is exceeded.",
    ),
    "speed": Command("speed", "run", "how fast one replica is", "Seconds a token and tokens a second, term by term."),
    "heads": Command(
        "heads",
        "run",
        "what every number of KV heads holds and costs",
        "Memory, sequences, speed and price of a model with every number of KV heads, and which of them meet goals. "
        "Exit code 1 where no number meets the goals, or without goals the model as it is does not fit.",
    ),
    "compare": Command(
        "compare",
        "run",
        "two plan files side by side: what differs, and why",
        "What differs between the deployments of two plan files, which change makes it, and what brings it back. "
        "Exit code 1 where a deployment of the second does not fit.",
    ),
    "inspect": Command(
        "inspect",
        "run",
        "what is understood of a config.json, or why it is refused",
        "What is understood of a config.json: layers, weights by part, what is assumed and ignored.",
    ),
    "reconcile": Command(
        "reconcile",
        "run",
        "a start-up log beside the plan of the same set-up",
        "Predicted beside reported, term by term, and what explains the difference.",
    ),
    "service": Command(
        "service",
        "run",
        "how a plan serves traffic, with how many replicas, and what it costs",
        "Where one replica is run, how many there are, how full they are, and the cost.",
    ),
    "size": Command(
        "size", "run", "which GPUs, how many, at what price, for a load", "The hardware for a load, cheapest first."
    ),
    "models": Command("models", "run", "list the models", "List the models that presets exist for."),
    "gpus": Command("gpus", "run", "list the GPUs", "List the GPUs that presets exist for."),
    "check": Command(
        "check",
        "run",
        "verify presets and plan files",
        "Verify the presets' own numbers, or plan files' expectations.",
    ),
}


INSTALLED = "kv-cache-planner"
"""What the command is called where the package is installed."""
EXTRAS = {"numpy": "traffic", "streamlit": "app"}
"""What some commands need and the package alone does not bring, and the extra that does."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return 0 where all is fine, 1 where an expectation is missed, 2 on bad input."""
    try:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        if sys.stdout is None:
            raise OSError(errno.EBADF, "standard output is closed")
        arguments = _parser(sys.argv[1:] if argv is None else argv).parse_args(argv)
        report = io.StringIO()
        with contextlib.redirect_stdout(report):  # a report is written whole or not at all
            code: int = arguments.run(arguments)
        sys.stdout.write(report.getvalue())
        sys.stdout.flush()
        return code
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        extra = EXTRAS[error.name]
        say(f"error: this needs {error.name}, which pip install 'kv-cache-planner[{extra}]' brings", to=sys.stderr)
        return BAD_INPUT
    except CalculatorError as error:
        say(f"error: {error}", to=sys.stderr)
        return BAD_INPUT
    except OSError as error:
        _silence_stdout()
        if not isinstance(error, BrokenPipeError):
            say(f"error: the report cannot be written: {error.strerror}", to=sys.stderr)
        return BAD_INPUT


def _silence_stdout() -> None:
    """Send what is still buffered nowhere, so that the interpreter's own flush at exit stays quiet."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Parser(argparse.ArgumentParser):
    """Flags by their whole names only: an abbreviation would break when a flag is added."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        super().error(one_line(message))


def _called() -> str:
    """Return by what command this runs, so that usage and errors print what can be typed again."""
    return INSTALLED if Path(sys.argv[0]).stem == INSTALLED else "python -m calculator"


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of all commands; only the asked one is imported and knows its arguments."""
    parser = _Parser(
        prog=_called(),
        description="KV-cache capacity planning: how much memory, how many sequences, what to change.",
        epilog="Exit codes: 0 fine; 1 an expectation is missed or the plan does not fit; 2 bad usage or bad input.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    asked = next((word for word in argv if not word.startswith("-")), None)
    for name, command in COMMANDS.items():
        added = commands.add_parser(name, help=command.help, description=command.description)
        if name == asked:
            module = import_module(f"calculator.cli.commands.{command.module}")
            module.add_arguments(added)
            added.set_defaults(run=getattr(module, command.function))
    return parser
