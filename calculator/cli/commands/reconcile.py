"""``reconcile``: a start-up log beside the plan of the same set-up."""

from __future__ import annotations

import argparse

from calculator.cli import MISSED, OK
from calculator.cli.arguments import MEMORY_HELP, add_format, gib
from calculator.cli.printing import print_json, print_table, say
from calculator.engines import titles
from calculator.errors import InvalidValueError
from calculator.logs.both import ask_for_both
from calculator.logs.questions import Question
from calculator.logs.reading import read_file
from calculator.logs.reconciliation import reconcile
from calculator.units import plural
from calculator.views import words

MOST_SHOWN = 8
"""Pairs of model and GPU that are shown where a log names neither."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("log", metavar="FILE", help=f"the log of {titles()}; - for stdin")
    parser.add_argument("--model", metavar="ID", help="where the log does not name a preset")
    parser.add_argument("--gpu", metavar="ID", help="where the log does not name the GPU")
    parser.add_argument("--gpu-memory-gib", type=gib, metavar="X", help=MEMORY_HELP)
    parser.add_argument("--engine-version", metavar="X.Y", help="in place of the version that the log names")
    parser.add_argument("--save-calibration", metavar="FILE", help="write what this machine holds, for plan")
    add_format(parser, "text", "json")


def run(arguments: argparse.Namespace) -> int:
    """Print predicted beside reported."""
    log = read_file(arguments.log)
    try:
        result = reconcile(
            log,
            arguments.model,
            arguments.gpu,
            gpu_memory_bytes=arguments.gpu_memory_gib,
            engine_version=arguments.engine_version,
        )
    except InvalidValueError as error:
        stated = (arguments.model, arguments.gpu, arguments.gpu_memory_gib)
        both = ask_for_both(log) if error.what == "model" and stated == (None, None, None) else None
        if both is None:
            raise
        pairs = "; ".join(f"--model {model} --gpu {gpu}" for model, gpu in both.pairs[:MOST_SHOWN])
        text = f"{both.text}: by what it prints it may be {pairs}"
        raise InvalidValueError(text, what="model", allowed=error.allowed, nearest=both.choices[0]) from None
    if arguments.save_calibration is not None:
        if result.calibration is None:
            raise InvalidValueError("the log does not tell what the machine holds: no calibration is written")
        result.calibration.save(arguments.save_calibration)
    if arguments.format == "json":
        print_json(result.as_dict())
        return OK if result.agrees else MISSED
    say(result.finding)
    say()
    header = ("", "unit", "predicted", "range", "reported", "difference")
    print_table([header, *(words.term_cells(term) for term in result.terms)], "llrrrr")
    say()
    for cause in result.causes:
        say(f"cause: {cause}")
    for question in result.missing[:1]:
        say(f"missing: {question.text}; {_answered_by(question)}")
    for assumption in result.assumed:
        say(f"assumed: {assumption}")
    for problem in result.log.problems:
        say(f"note: {problem}")
    say(f"note: {words.NOT_MODELLED}")
    for number, text in result.log.bears_on_memory:
        say(f"not understood, line {number:,}: {text}")
    if result.log.others:
        say(f"not understood: {plural(result.log.others, 'line')} more, none of which speaks of memory")
    return OK if result.agrees else MISSED


def _answered_by(question: Question) -> str:
    flag = f"give --{question.keyword}"
    return f"{flag}, such as {', '.join(question.choices[:4])}" if question.choices else flag
