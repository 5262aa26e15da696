"""Flags of traffic, goals and prices, which several commands share."""

from __future__ import annotations

import argparse
from typing import Any

from calculator.cli.arguments import add_field, number
from calculator.errors import InvalidValueError
from calculator.planning.sizing.prices import price_in_text
from calculator.planning.traffic.inputs import LENGTHS, RISK, TRAFFIC
from calculator.planning.traffic.tables import given_workload, workload_ids
from calculator.planning.traffic.workload import Workload


def add_traffic(parser: argparse.ArgumentParser) -> None:
    """Add the flags of traffic and of the risk."""
    known = ", ".join(workload_ids())
    parser.add_argument("--trace", metavar="FILE", help="lengths of a CSV file: columns input_tokens, output_tokens")
    parser.add_argument("--workload", metavar="ID", help=f"lengths of a table in the package: {known}")
    for name, field in {**LENGTHS, **TRAFFIC, **RISK}.items():
        add_field(parser, name, field)


def traffic_of(arguments: argparse.Namespace) -> Workload:
    """Return the workload: of a trace, of a table in the package or of means."""
    names = ("trace", "workload", *LENGTHS, *TRAFFIC)
    return given_workload({name: value for name in names if (value := getattr(arguments, name)) is not None})


def no_traffic_beside(arguments: argparse.Namespace, name: str, but: str) -> None:
    """Refuse flags of traffic beside one that stands in its place, but for one that both have."""
    for other in ("trace", "workload", *LENGTHS, *TRAFFIC, *RISK):
        value = getattr(arguments, other)
        if other != but and value is not None:
            raise InvalidValueError(
                f"give {name} or traffic, not both: {other} is of traffic", what=other, asked=value, allowed=(but,)
            )


def add_goals(parser: argparse.ArgumentParser) -> None:
    """Add the flags of goals and prices."""
    parser.add_argument("--max-ttft-s", type=number, metavar="S", help="goal of the mean time to the first token")
    parser.add_argument("--max-tpot-s", type=number, metavar="S", help="goal of the mean time per output token")
    parser.add_argument(
        "--price",
        action="append",
        default=[],
        metavar="GPU=USD",
        help="your own price of a GPU an hour, or the lowest and the highest, such as h100-sxm=2.5 or h100-sxm=2:3; "
        "may be given again",
    )


def goals_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the goals and prices that were given, as keywords."""
    given: dict[str, Any] = {
        name: value for name in ("max_ttft_s", "max_tpot_s") if (value := getattr(arguments, name)) is not None
    }
    if arguments.price:
        given["prices"] = dict(map(price_in_text, arguments.price))
    return given
