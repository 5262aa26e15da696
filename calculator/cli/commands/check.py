"""``check``: presets and plan files against what is expected of them, and against what they were."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from calculator.cli import BAD_INPUT, MISSED, OK
from calculator.cli.arguments import add_format
from calculator.cli.printing import one_line, print_json, say
from calculator.errors import CalculatorError, FileFormatError, InvalidValueError
from calculator.planning import SCHEMA_VERSION
from calculator.planning.answer import Plan
from calculator.planning.comparing.compare import written
from calculator.planning.comparing.terms import PRICE_UNIT
from calculator.planning.files.against import Changed, changed_deployments
from calculator.planning.files.checks import Assumed, Finding, check_each, check_presets
from calculator.reading.revision import read_as_it_was
from calculator.reading.strict_yaml import read
from calculator.units import plural

SUMMARY = "GITHUB_STEP_SUMMARY"
"""Names the file whose content GitHub shows on the page of a run."""
TABLE = ("deployment", "what", "before", "after", "change", "USD an hour")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="plan files or preset files; none: the project's presets"
    )
    parser.add_argument(
        "--upgrade-to",
        metavar="[ENGINE=]X.Y",
        help="check plan files as if their engine were of that version; the engine's name where a file has several",
    )
    parser.add_argument(
        "--against",
        metavar="FILE|REV",
        help="also say what differs in each plan file from another, or from what git has of it at a revision",
    )
    add_format(parser, "text", "json", "github")


class Problem(NamedTuple):
    """What cannot be answered, and where it stands; what is wrong with the command stands in no file."""

    file: str | None
    line: int | None
    text: str


@dataclass
class Checked:
    """All that was found in the files.

    Attributes
    ----------
    findings : list of Finding
        Every expectation that was computed.
    problems : list of Problem
        What cannot be answered.
    changed : list of tuple of str and Changed, or None
        What differs from before; None where that was not asked.
    assumed : list of tuple of str and Assumed
        What is answered by the rules of another version than it names, and in which file.
    """

    findings: list[Finding]
    problems: list[Problem]
    changed: list[tuple[str, Changed]] | None
    assumed: list[tuple[str, Assumed]] = field(default_factory=list)

    @property
    def missed(self) -> list[Finding]:
        """The expectations that are not met."""
        return [finding for finding in self.findings if not finding.ok]


def run(arguments: argparse.Namespace) -> int:
    """Print what is missed, what cannot be answered, and what differs from before."""
    try:
        checked = _check(arguments)
    except CalculatorError as error:  # of the command, not of a file
        if arguments.format == "text":
            raise
        if arguments.format == "json":
            print_json(
                _report(Checked([], [], None)) | {"problems": [{"file": None, "line": None, "error": str(error)}]}
            )
        else:
            say(f"::error::{_escape(str(error))}")
        return BAD_INPUT
    code = BAD_INPUT if checked.problems else MISSED if checked.missed else OK
    if arguments.format == "json":
        print_json(_report(checked))
        return code
    _print_missed(checked.missed, arguments.format)
    for problem in checked.problems:
        if arguments.format == "github":
            place = f" {_place(problem.file, problem.line or 1)}" if problem.file else ""
            say(f"::error{place}::{_escape(problem.text)}")
        else:
            say(f"error: {problem.text}", to=sys.stderr)
    for name, one in checked.assumed:
        text = f"{one.subject}: {one.text}"
        if arguments.format == "github":
            say(f"::warning {_place(name, one.line)}::{_escape(text)}")
        else:
            say(f"{name}:{one.line}: note: {text}")
    if checked.changed is not None:
        if arguments.format == "github":
            _annotate_changed(checked.changed)
        if checked.changed or not checked.problems:
            _print_changed(checked.changed, arguments.against)
    if checked.findings or not checked.problems:
        entries = plural(len({finding.subject for finding in checked.findings}), "entry", "entries")
        number = len(checked.findings)
        say(f"{number - len(checked.missed):,} of {number:,} expectations of {entries} are met")
    return code


def _check(arguments: argparse.Namespace) -> Checked:
    for name in ("upgrade_to", "against"):
        if getattr(arguments, name) is not None and not arguments.files:
            raise InvalidValueError(f"--{name.replace('_', '-')} is of plan files: name at least one", what=name)
    checked = Checked([] if arguments.files else check_presets(), [], None if arguments.against is None else [])
    for name in arguments.files:
        found, wrong, assumed = check_each(Path(name), arguments.upgrade_to)
        checked.assumed += [(name, one) for one in assumed]
        checked.findings += found
        checked.problems += [Problem(name, problem.line, str(problem)) for problem in wrong]
        if checked.changed is not None:
            checked.changed += _differing(name, arguments.against, checked.problems)
    return checked


def _differing(name: str, against: str, problems: list[Problem]) -> list[tuple[str, Changed]]:
    """Return what differs of a file from before; what stands in the way is added to the problems, once."""
    try:
        was = read_as_it_was(Path(name), against)
        return [(name, one) for one in changed_deployments(was, read(Path(name)))]
    except FileFormatError as error:
        problem = Problem(name, error.line, str(error))
    except InvalidValueError as error:
        problem = Problem(None, None, str(error))
    if problem not in problems:
        problems.append(problem)
    return []


def _report(checked: Checked) -> dict[str, Any]:
    """Return all that was found as plain values under the documented JSON keys."""
    report: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "checked": len(checked.findings),
        "missed": len(checked.missed),
        "findings": [asdict(finding) for finding in checked.findings],
        "problems": [{"file": one.file, "line": one.line, "error": one.text} for one in checked.problems],
    }
    if checked.assumed:
        report["notes"] = [{"file": name, **one._asdict()} for name, one in checked.assumed]
    if checked.changed is not None:
        report["changed"] = [
            {"file": name, "line": one.line, "deployment": row[0], **dict(zip(TABLE[1:], row[1:], strict=True))}
            for name, one in checked.changed
            for row in _rows(one)
        ]
    return report


def _print_missed(missed: Sequence[Finding], form: str) -> None:
    for finding in missed:
        values = f"expected {_value(finding.expected)} ({finding.tolerance}), actual {_value(finding.actual)}"
        text = f"{finding.subject}: {finding.field}: {values}; source: {finding.source}"
        if form == "github":
            say(f"::error {_place(finding.file, finding.line)}::{_escape(text)}")
        else:
            say(f"{finding.file}:{finding.line}: {text}")


def _annotate_changed(changed: Sequence[tuple[str, Changed]]) -> None:
    """Say at its line what differs of each deployment, and add the table to the summary that GitHub shows of a run."""
    for name, one in changed:
        rows = _rows(one)
        said = "; ".join(f"{what}: {before} → {after}" if before else what for _, what, before, after, *_ in rows)
        money = rows[0][-1]
        say(f"::notice {_place(name, one.line)}::{_escape(f'{one.name}: {said}; USD an hour: {money}')}")
    summary = os.environ.get(SUMMARY)
    if changed and summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.writelines(f"{one_line(row)}\n" for row in _table(changed))


def _print_changed(changed: Sequence[tuple[str, Changed]], against: str) -> None:
    """Print a table that a pull request shows as such."""
    if not changed:
        say(f"nothing differs from {against}")
    for row in _table(changed) if changed else ():
        say(row)


def _table(changed: Sequence[tuple[str, Changed]]) -> list[str]:
    """Return the lines of a table in Markdown."""
    rows = (TABLE, ("---",) * len(TABLE), *(row for _, one in changed for row in _rows(one)))
    return [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]


def _rows(one: Changed) -> list[tuple[str, ...]]:
    """Return what differs of a deployment; its price stands in the first row."""
    before, after = _price(one.before), _price(one.after)
    money = after if before == after else f"{before} → {after}"
    if (comparison := one.comparison) is None:
        return [(one.name, "gone" if one.after is None else "new", "", "", "", money)]
    rows = [row for row in comparison.changed if row.unit != PRICE_UNIT]
    return [
        (
            one.name,
            row.name,
            written(row.before, row.unit),
            written(row.after, row.unit),
            "" if row.change is None else f"{'+' * (row.change > 0)}{written(row.change, row.unit)}",
            "" if place else money,
        )
        for place, row in enumerate(rows)
    ]


def _price(plan: Plan | None) -> str:
    price = plan.price_usd_per_hour if plan else None
    return f"${price[0]:,.2f} to ${price[1]:,.2f}" if price else "-"


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:,}"


def _place(file: str, line: int) -> str:
    return f"file={_escape(file, ':,')},line={line}"


def _escape(text: str, extra: str = "") -> str:
    """Escape a workflow command's text, so that a name in a file cannot start a command of its own."""
    for character in f"%\r\n{extra}":
        text = text.replace(character, f"%{ord(character):02X}")
    return text
