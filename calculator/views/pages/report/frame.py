"""The frame of a report: its own styles, sections, tables, and the foot with link, date and versions."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from datetime import date as Date

from calculator.languages import ENGLISH, Language, said_in
from calculator.messages import joined, say

LANGUAGE: ContextVar[Language] = ContextVar("language of a report", default=ENGLISH)
"""What language a report is being made in."""

STYLE = """
:root { color-scheme: light; }
body { margin: 2rem auto; max-width: 54rem; padding: 0 1rem; color: #1b2430; background: #fff;
  font: 15px/1.5 "Source Sans 3", "Source Sans Pro", system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; break-after: avoid; overflow-wrap: anywhere; }
h1.part { font-size: 1.3rem; margin-top: 2.4rem; border-top: 1px solid #dfe3e8; padding-top: 1.2rem; }
p, li { overflow-wrap: anywhere; } td, th { overflow-wrap: break-word; max-width: 22rem; }
table { border-collapse: collapse; width: 100%; font-size: .87rem; }
th, td { text-align: left; padding: .25rem .5rem .25rem 0; border-bottom: 1px solid #dfe3e8; vertical-align: top; }
th { color: #4a5260; font-weight: 600; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
svg { width: 100%; height: auto; font-size: 12px; fill: #1b2430; }
svg .tick { fill: #4a5260; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f3f5f8; padding: .7rem; font-size: .82rem; }
.verdict { font-weight: 600; } .ok { color: #1a7f37; } .not { color: #b3261e; }
footer, .small { color: #4a5260; font-size: .82rem; } footer { margin-top: 2rem; border-top: 1px solid #dfe3e8; }
figure { margin: 0; break-inside: avoid; } .wide { overflow-x: auto; }
@media print { body { margin: 0; max-width: none; -webkit-print-color-adjust: exact; print-color-adjust: exact; } }
"""
PACKAGE = "kv-cache-planner"


def page(title: str, sections: Iterable[str], foot: str) -> str:
    """Return a whole page that loads nothing and runs nothing.

    Parameters
    ----------
    title : str
        The headline; it is escaped [-].
    sections : iterable of str
        HTML, one after the other [-].
    foot : str
        HTML of the foot [-].

    Returns
    -------
    str
        An HTML document.
    """
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!doctype html>\n<html lang="{LANGUAGE.get().code}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{escape(title)}</h1>\n"
        + "\n".join(section for section in sections if section)
        + f"\n</main>\n{foot}\n</body>\n</html>\n"
    )


def escape(text: str) -> str:
    """Return a text in the report's language, for HTML."""
    return html.escape(said_in(text, LANGUAGE.get()))


def section(title: str, *parts: str) -> str:
    """Return a heading and what stands below it; nothing where there is nothing."""
    inside = "".join(part for part in parts if part)
    return f"<section><h2>{escape(title)}</h2>{inside}</section>" if inside else ""


def part(title: str) -> str:
    """Return the heading of one of several answers."""
    return f'<h1 class="part">{escape(title)}</h1>'


def chart(finding: str, drawn: str) -> str:
    """Return a chart below what it says."""
    return f"<figure><h2>{escape(finding)}</h2>{drawn}</figure>"


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def listed(texts: Iterable[str], kind: str = "") -> str:
    """Return a list; nothing where there is nothing."""
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f'<ul class="{kind}">{items}</ul>' if items else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """Return a table; ``numbers`` are the columns whose cells stand to the right."""

    def cell(tag: str, index: int, text: str) -> str:
        kind = ' class="n"' if index in numbers else ""
        return f"<{tag}{kind}>{escape(text)}</{tag}>"

    first = "".join(cell("th", index, text) for index, text in enumerate(head))
    lines = ["".join(cell("td", index, text) for index, text in enumerate(row)) for row in rows]
    if not lines:
        return ""
    shown = f"<thead><tr>{first}</tr></thead>" if any(head) else ""
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table>{shown}<tbody>{body}</tbody></table></div>'


def code(text: str) -> str:
    """Return a text as it is to be typed."""
    return f"<pre>{escape(text)}</pre>"


def foot(link: str, day: Date, versions: Sequence[str]) -> str:
    """Return the foot: where the same answer opens, when it was made, and by which versions.

    Parameters
    ----------
    link : str
        An address; one that is not of the web is shown and cannot be followed; empty for none [-].
    day : date
        When it was made [-].
    versions : sequence of str
        What it was made with [-].

    Returns
    -------
    str
        HTML.
    """
    opens = ""
    if link:
        shown = escape(link)
        followed = link.startswith(("https://", "http://"))
        address = f'<a href="{shown}">{shown}</a>' if followed else shown
        opens = f"<p>{escape(say('report.link', 'Opens the same answer:'))} {address}</p>"
    made = say("report.made", "Made on {day} by {versions}.", day=day.isoformat(), versions=joined(", ", versions))
    return f"<footer>{opens}<p>{escape(made)}</p></footer>"


def own_version() -> str:
    """Return this package's name and version, its name alone where it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"{PACKAGE} {version(PACKAGE)}"
    except PackageNotFoundError:
        return PACKAGE
