"""``--report``: an answer as one page of HTML, to print or to save."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calculator.views.pages.report.report import Answer


def add_report(parser: argparse.ArgumentParser) -> None:
    """Add the flag."""
    parser.add_argument("--report", metavar="FILE", help="also write the answer as one page of HTML")


def write_report(name: str | None, answer: Answer | Mapping[str, Answer]) -> None:
    """Write the page where a file is named."""
    if name is None:
        return
    from calculator.views.pages.report.report import report_html

    Path(name).write_text(report_html(answer), encoding="utf-8")
