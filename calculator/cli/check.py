"""``check``: presets and plan files against what is expected of them."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from calculator.cli import MISSED, OK
from calculator.cli.arguments import add_format
from calculator.cli.printing import print_json, say
from calculator.errors import InvalidValueError
from calculator.planning import SCHEMA_VERSION
from calculator.planning.files.checks import check_file, check_presets
from calculator.units import plural


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
    add_format(parser, "text", "json", "github")


def run(arguments: argparse.Namespace) -> int:
    """Print what is missed."""
    if arguments.upgrade_to is not None and not arguments.files:
        raise InvalidValueError("--upgrade-to is of plan files: name at least one", what="upgrade_to")
    findings = (
        [finding for name in arguments.files for finding in check_file(Path(name), arguments.upgrade_to)]
        if arguments.files
        else check_presets()
    )
    missed = [finding for finding in findings if not finding.ok]
    if arguments.format == "json":
        report = {"schema_version": SCHEMA_VERSION, "checked": len(findings), "missed": len(missed)}
        print_json({**report, "findings": [asdict(finding) for finding in findings]})
        return MISSED if missed else OK
    for finding in missed:
        values = f"expected {_value(finding.expected)} ({finding.tolerance}), actual {_value(finding.actual)}"
        text = f"{finding.subject}: {finding.field}: {values}; source: {finding.source}"
        if arguments.format == "github":
            place = f"file={_escape(finding.file, ':,')},line={finding.line}"
            say(f"::error {place}::{_escape(text)}")
        else:
            say(f"{finding.file}:{finding.line}: {text}")
    subjects = len({finding.subject for finding in findings})
    met, entries = len(findings) - len(missed), plural(subjects, "entry", "entries")
    say(f"{met:,} of {len(findings):,} expectations of {entries} are met")
    return MISSED if missed else OK


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:,}"


def _escape(text: str, extra: str = "") -> str:
    """Escape a workflow command's text, so that a name in a file cannot start a command of its own."""
    for character in f"%\r\n{extra}":
        text = text.replace(character, f"%{ord(character):02X}")
    return text
