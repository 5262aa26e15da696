"""``check``: presets and plan files against what is expected of them, and against what they were."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from calculator.cli import BAD_INPUT, MISSED, OK
from calculator.cli.arguments import add_format
from calculator.cli.printing import print_json, say
from calculator.errors import FileFormatError, InvalidValueError
from calculator.planning import SCHEMA_VERSION
from calculator.planning.answer import Plan
from calculator.planning.comparing.compare import written
from calculator.planning.comparing.terms import PRICE_UNIT
from calculator.planning.files.against import Changed, changed_deployments
from calculator.planning.files.checks import Finding, check_each, check_presets
from calculator.reading.revision import read_as_it_was
from calculator.reading.strict_yaml import read
from calculator.units import plural

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


def run(arguments: argparse.Namespace) -> int:
    """Print what is missed, what cannot be answered, and what differs from before."""
    for name in ("upgrade_to", "against"):
        if getattr(arguments, name) is not None and not arguments.files:
            raise InvalidValueError(f"--{name.replace('_', '-')} is of plan files: name at least one", what=name)
    findings: list[Finding] = [] if arguments.files else check_presets()
    problems: list[tuple[str, FileFormatError]] = []
    changed: list[tuple[str, Changed]] = []
    for name in arguments.files:
        found, wrong = check_each(Path(name), arguments.upgrade_to)
        findings += found
        problems += [(name, problem) for problem in wrong]
        if arguments.against is not None:
            was = read_as_it_was(Path(name), arguments.against)
            changed += [(name, one) for one in changed_deployments(was, read(Path(name)))]
    missed = [finding for finding in findings if not finding.ok]
    code = BAD_INPUT if problems else MISSED if missed else OK
    if arguments.format == "json":
        print_json(_report(findings, problems, changed if arguments.against is not None else None))
        return code
    _print_missed(missed, arguments.format)
    for name, problem in problems:
        if arguments.format == "github":
            say(f"::error file={_escape(name, ':,')},line={problem.line}::{_escape(str(problem))}")
        else:
            say(f"error: {problem}", to=sys.stderr)
    if arguments.against is not None:
        _print_changed(changed, arguments.against)
    if findings or not problems:
        entries = plural(len({finding.subject for finding in findings}), "entry", "entries")
        say(f"{len(findings) - len(missed):,} of {len(findings):,} expectations of {entries} are met")
    return code


def _report(
    findings: Sequence[Finding],
    problems: Sequence[tuple[str, FileFormatError]],
    changed: Sequence[tuple[str, Changed]] | None,
) -> dict[str, Any]:
    """Return all that was found as plain values under the documented JSON keys."""
    missed = sum(not finding.ok for finding in findings)
    report: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "checked": len(findings), "missed": missed}
    report["findings"] = [asdict(finding) for finding in findings]
    report["problems"] = [{"file": name, "line": one.line, "error": str(one)} for name, one in problems]
    if changed is not None:
        report["changed"] = [
            {"file": name, "line": one.line, "deployment": row[0], **dict(zip(TABLE[1:], row[1:], strict=True))}
            for name, one in changed
            for row in _rows(one)
        ]
    return report


def _print_missed(missed: Sequence[Finding], form: str) -> None:
    for finding in missed:
        values = f"expected {_value(finding.expected)} ({finding.tolerance}), actual {_value(finding.actual)}"
        text = f"{finding.subject}: {finding.field}: {values}; source: {finding.source}"
        if form == "github":
            say(f"::error file={_escape(finding.file, ':,')},line={finding.line}::{_escape(text)}")
        else:
            say(f"{finding.file}:{finding.line}: {text}")


def _print_changed(changed: Sequence[tuple[str, Changed]], against: str) -> None:
    """Print a table that a pull request shows as such."""
    if not changed:
        say(f"nothing differs from {against}")
        return
    for row in (TABLE, ("---",) * len(TABLE), *(row for _, one in changed for row in _rows(one))):
        say(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |")


def _rows(one: Changed) -> list[tuple[str, ...]]:
    """Return what differs of a deployment; its price stands in the first row."""
    money = f"{_price(one.before)} → {_price(one.after)}"
    if (comparison := one.comparison) is None:
        return [(one.name, "gone" if one.after is None else "new", "", "", "", money)]
    rows = [row for row in comparison.changed if row.unit != PRICE_UNIT]
    return [
        (
            one.name,
            row.name,
            written(row.before, row.unit),
            written(row.after, row.unit),
            "" if row.change is None else written(row.change, row.unit),
            "" if place else money,
        )
        for place, row in enumerate(rows)
    ]


def _price(plan: Plan | None) -> str:
    price = plan.price_usd_per_hour if plan else None
    return f"${price[0]:,.2f} to ${price[1]:,.2f}" if price else "-"


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:,}"


def _escape(text: str, extra: str = "") -> str:
    """Escape a workflow command's text, so that a name in a file cannot start a command of its own."""
    for character in f"%\r\n{extra}":
        text = text.replace(character, f"%{ord(character):02X}")
    return text
