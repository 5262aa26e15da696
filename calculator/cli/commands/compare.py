"""``compare``: deployments of two plan files side by side; ``plan --upgrade-to`` prints the same of two versions."""

from __future__ import annotations

import argparse
from pathlib import Path

from calculator.cli import MISSED, OK
from calculator.cli.arguments import add_format
from calculator.cli.printing import print_json, print_table, say
from calculator.cli.reporting import add_report, write_report
from calculator.errors import InvalidValueError
from calculator.planning import SCHEMA_VERSION
from calculator.planning.answer import Plan
from calculator.planning.comparing.compare import Comparison, Difference, compare, written
from calculator.planning.files.plan_file import read_plan_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("before", metavar="A.yaml", help="a plan file: what is")
    parser.add_argument("after", metavar="B.yaml", help="a plan file: what would be; deployments are paired by name")
    add_report(parser)
    add_format(parser, "text", "json")


def run(arguments: argparse.Namespace) -> int:
    """Print what differs."""
    pairs = _paired(arguments.before, arguments.after)
    compared = {name: compare(*plans) for name, plans in pairs.items()}
    write_report(arguments.report, next(iter(compared.values())) if len(compared) == 1 else compared)
    if arguments.format == "json":
        made = {name: comparison.as_dict() for name, comparison in compared.items()}
        print_json({"schema_version": SCHEMA_VERSION, "compared": made})
    for name, comparison in compared.items() if arguments.format == "text" else ():
        if len(compared) > 1:
            say(f"{name}:")
        print_comparison(comparison)
    return OK if all(comparison.after.fits for comparison in compared.values()) else MISSED


def print_comparison(comparison: Comparison) -> None:
    """Print what differs, why, and what brings it back."""
    say(comparison.finding)
    say()
    if comparison.changed:
        print_table([("", "before", "after", "change"), *map(_cells, comparison.changed)], "lrrr")
        say()
    told: dict[str, list[str]] = {}
    for row in comparison.changed:
        told.setdefault(row.cause, []).append(row.name)
    for cause, names in told.items():
        say(f"cause: {cause}: {', '.join(names)}")
    for one in comparison.restoring:
        names = [row.name for row in comparison.changed if row.term in one.restores]
        say(f"brings back: {one.flag}: {', '.join(names)}")
    for note in comparison.after.notes:
        say(f"note: {note}")


def _cells(row: Difference) -> tuple[str, str, str, str]:
    sign = "+" if row.change is not None and row.change > 0 else ""
    change = "" if row.change is None else sign + written(row.change, row.unit)
    return row.name, written(row.before, row.unit), written(row.after, row.unit), change


def _paired(before: str, after: str) -> dict[str, tuple[Plan, Plan]]:
    """Return the plans of two files by the names that both have; of two files of one deployment each, those."""
    old, new = ({one.name: one.plan for one in read_plan_file(Path(name))} for name in (before, after))
    if len(old) == len(new) == 1:
        ((_, first),), ((name, second),) = old.items(), new.items()
        return {name: (first, second)}
    if not (both := [name for name in old if name in new]):
        raise InvalidValueError(
            f"{before} and {after} have no deployment of one name: {', '.join(old)} and {', '.join(new)}",
            what="name",
        )
    return {name: (old[name], new[name]) for name in both}
