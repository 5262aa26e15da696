"""An answer as one page to print or to save."""

from __future__ import annotations

from datetime import date as Date

from calculator import languages
from calculator.errors import InvalidValueError, friendly, shown
from calculator.messages import say
from calculator.planning.answer import Plan
from calculator.planning.sizing.found import Found
from calculator.views.pages.report import frame
from calculator.views.pages.report import plan as of_plan
from calculator.views.pages.report import size as of_size

MOST_LINK = 100_000


@friendly
def report_html(answer: Plan | Found, link: str = "", day: Date | None = None, language: str = "en") -> str:
    """Return an answer as one page of HTML, to print or to save.

    Parameters
    ----------
    answer : Plan or Found
        What ``plan`` or ``size`` answered [-].
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
        If it is neither a plan nor what a search found.
    UnknownNameError
        If there is no such language.
    """
    of = of_plan if isinstance(answer, Plan) else of_size if isinstance(answer, Found) else None
    if of is None:
        raise InvalidValueError(
            say(
                "report.report_plan_what_size",
                "a report is of a plan or of what size found, not of {answer}",
                answer=shown(answer),
            ),
            what="answer",
        )
    spoken = frame.LANGUAGE.set(languages.language(language))
    try:
        foot = frame.foot(link[:MOST_LINK], day or Date.today(), of.versions(answer))
        return frame.page(of.title(answer), of.sections(answer), foot)
    finally:
        frame.LANGUAGE.reset(spoken)
