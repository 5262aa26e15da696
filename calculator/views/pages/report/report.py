"""An answer as one page to print or to save."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date as Date
from types import ModuleType

from calculator import languages
from calculator.errors import InvalidValueError, friendly, shown
from calculator.messages import Message, joined, say
from calculator.planning.answer import Plan
from calculator.planning.comparing.compare import Comparison
from calculator.planning.sizing.found import Found
from calculator.planning.sizing.service import Service
from calculator.views.comparing.side_by_side import SideBySide
from calculator.views.pages.report import compare as of_plans
from calculator.views.pages.report import frame
from calculator.views.pages.report import plan as of_plan
from calculator.views.pages.report import service as of_service
from calculator.views.pages.report import size as of_size

MOST_LINK = 100_000
Answer = Plan | Found | Service | SideBySide | Comparison
_REPORTS: dict[type, ModuleType] = {Plan: of_plan, Found: of_size, Service: of_service, SideBySide: of_plans}
"""Who says title, sections and versions of each kind of answer."""


@friendly
def report_html(
    answer: Answer | Mapping[str, Answer], link: str = "", day: Date | None = None, language: str = "en"
) -> str:
    """Return an answer as one page of HTML, to print or to save.

    Parameters
    ----------
    answer : Plan, Found, Service, SideBySide, Comparison or mapping of str to these
        What ``plan``, ``size``, ``service``, ``views.side_by_side``, ``compare`` or ``upgrade`` answered, or several
        of them by name [-].
    link : str
        The address that opens the same answer, where there is one [-].
    day : date, optional
        When it was made; today where it is left out [-].
    language : str
        In which language, such as ``en`` or ``zh`` [-].

    Returns
    -------
    str
        An HTML document with its own styles: question, answer, assumptions, charts, link, date and versions. It loads
        nothing and runs nothing, and every foreign text in it is escaped.

    Raises
    ------
    InvalidValueError
        If it is none of these, or ``link`` or ``day`` is of another kind.
    UnknownNameError
        If there is no such language.
    """
    if not isinstance(link, str):
        raise InvalidValueError(
            say("report.link_is_text", "link must be a text, not {asked}", asked=shown(link)), what="link", asked=link
        )
    if not (day is None or isinstance(day, Date)):
        raise InvalidValueError(
            say("report.day_is_date", "day must be a date, not {asked}", asked=shown(day)), what="day", asked=day
        )
    made = day or Date.today()
    spoken = frame.LANGUAGE.set(languages.language(language))
    try:
        if not isinstance(answer, Mapping):
            found, of = _reported(answer)
            foot = frame.foot(link[:MOST_LINK], made, of.versions(found))
            return frame.page(of.title(found), of.sections(found), foot)
        if not answer:
            raise InvalidValueError(
                say("report.none", "a report is of one answer at least, not of none"), what="answer"
            )
        several = {name: _reported(one) for name, one in answer.items()}
        versions = dict.fromkeys(version for found, of in several.values() for version in of.versions(found))
        foot = frame.foot(link[:MOST_LINK], made, list(versions))
        return frame.page(joined(", ", list(several)), _parts(several), foot)
    finally:
        frame.LANGUAGE.reset(spoken)


def _reported(answer: Answer) -> tuple[Answer, ModuleType]:
    """Return an answer as it is reported, and what says it: two plans that were compared stand side by side."""
    found = SideBySide((answer.before, answer.after)) if isinstance(answer, Comparison) else answer
    of = _REPORTS.get(type(found))
    if of is None:
        raise InvalidValueError(
            say(
                "report.of_what",
                "a report is of a plan, a comparison, a service or of what size found, not of {answer}",
                answer=shown(answer),
            ),
            what="answer",
        )
    return found, of


def _parts(several: Mapping[str, tuple[Answer, ModuleType]]) -> Iterator[str]:
    for name, (found, of) in several.items():
        yield frame.part(_named(name, of.title(found)))
        yield from of.sections(found)


def _named(name: str, title: Message) -> Message:
    return say("report.named", "{name}: {title}", name=name, title=title)
