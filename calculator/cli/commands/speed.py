"""``speed``: seconds a token, tokens a second and the time of a prompt, term by term."""

from __future__ import annotations

import argparse
from math import ceil
from typing import Any

from calculator.architecture.limits import MAX_TOKENS
from calculator.cli import MISSED, OK
from calculator.cli.arguments import add_field, add_format, add_plan, plan_keywords
from calculator.cli.printing import print_json, print_table, say
from calculator.errors import InvalidValueError
from calculator.planning.plan import plan
from calculator.planning.traffic import words
from calculator.planning.traffic.inputs import OF_STEP, STEP
from calculator.planning.traffic.timing.speed import Speed, speed

ASKED = tuple(name for name in STEP if name != "batch_size")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_plan(
        parser,
        batch_size="sequences that decode at once on one replica, and that must fit; by default 1",
        seq_len="prompt and generated tokens of one sequence; by default prompt and answer",
    )
    for name in ASKED:
        add_field(parser, name, STEP[name])
    add_format(parser, "text", "json")


def run(arguments: argparse.Namespace) -> int:
    """Print how fast one replica is, and why."""
    given = {name: value for name in ASKED if (value := getattr(arguments, name)) is not None}
    asked: dict[str, Any] = {name: STEP[name].default for name in ASKED} | OF_STEP.validate(given)
    keywords = plan_keywords(arguments)
    if asked["clients"] is None:
        asked["batch_size"] = keywords.get("batch_size", 1)
    elif "batch_size" in keywords:
        text = "give one of batch_size and clients: both say how many sequences there are"
        raise InvalidValueError(text, what="clients", asked=asked["clients"])
    # what plan() takes for its longest sequence by default is the model's own: far more than these requests hold
    longest = min(MAX_TOKENS, ceil(asked["prompt_tokens"]) + ceil(asked["output_tokens"]))
    answer = speed(plan(**{"seq_len": longest, **keywords}), **asked)
    if arguments.format == "json":
        print_json(answer.as_dict())
    else:
        _print(answer)
    return OK if answer.plan.fits else MISSED


def _print(answer: Speed) -> None:
    say(answer.finding)
    say()
    step = answer.time_per_output_token_s
    print_table(
        [
            ("", "value", "unit", "share", "range"),
            *(
                (
                    words.PARTS[term.name],
                    words.milliseconds(term.seconds),
                    "ms",
                    f"{100 * term.seconds / step:.1f} %",
                    "",
                )
                for term in answer.terms
            ),
            ("time per output token", words.milliseconds(step), "ms", "", _around(answer, "time_per_output_token_s")),
            ("one prompt alone", words.milliseconds(answer.prefill_s), "ms", "", _around(answer, "prefill_s")),
            ("tokens of one replica", *_rate(answer)),
        ],
        "lrlrl",
    )
    say()
    say(words.checked(answer))
    for note in answer.plan.notes:
        say(f"note: {note}")


def _around(answer: Speed, name: str) -> str:
    low, high = (getattr(answer, f"{name}_{end}") for end in ("low", "high"))
    return f"{words.milliseconds(low)} to {words.milliseconds(high)}"


def _rate(answer: Speed) -> tuple[str, str, str, str]:
    low, high = answer.output_tokens_per_second_low, answer.output_tokens_per_second_high
    return words.rate(answer.output_tokens_per_second), "1/s", "", f"{words.rate(low)} to {words.rate(high)}"
