"""The report of a plan under a load: hardware, speed, how full it is and cost; then the plan of one replica."""

from __future__ import annotations

from collections.abc import Iterator

from calculator.messages import Message, capitalised, joined, say
from calculator.planning.sizing.service import Service
from calculator.planning.traffic import words
from calculator.views.pages.report import frame, svg
from calculator.views.pages.report import plan as of_plan
from calculator.views.pages.report.size import goals_in_words
from calculator.views.sizing import served
from calculator.views.sizing.options import held

HEAD = ("", say("report.value", "Value"), say("report.its_range", "Range"), say("report.unit", "Unit"))


def title(answer: Service) -> Message:
    """Return the headline: the model, the load, the hardware and its price."""
    return served.headline(answer)


def sections(answer: Service) -> Iterator[str]:
    """Yield the sections of a report, as HTML."""
    holds = answer.holds and answer.meets
    yield frame.paragraph(answer.finding, "verdict ok" if holds else "verdict not")
    low, central, high = held(answer)
    yield frame.paragraph(
        say("report.held", "All replicas hold {central:,} at once within the goals ({low:,} to {high:,}).",
            low=low, central=central, high=high)
    )  # fmt: skip
    yield frame.section(say("report.served", "Speed and cost"), frame.table(HEAD, served.served_rows(answer), (1, 2)))
    yield _step(answer)
    yield of_plan.memory(answer.plan)
    yield frame.section(say("report.load", "The load"), frame.listed(_load(answer)))
    yield of_plan.assumptions(answer.plan)
    if answer.batch_size:
        yield frame.section(
            say("report.command_replica", "The engine's own command line of one replica"), frame.code(answer.command)
        )


def versions(answer: Service) -> list[str]:
    """Return what the answer was made with."""
    return of_plan.versions(answer.plan)


def _step(answer: Service) -> str:
    """Draw of what the time of a token is made, where a replica is run."""
    if answer.speed is None:
        return ""
    terms = [(words.PARTS[term.name], 1e3 * term.seconds) for term in answer.speed.terms if term.seconds > 0]
    longest = say("report.step", "Of what the time of a token is made, with {batch:,} at once on a replica",
                  batch=answer.batch_size)  # fmt: skip
    rows = [
        svg.Row(
            name, (svg.Part(say("report.ms_axis", "ms a token"), ms, svg.KV),), words.milliseconds(ms / 1e3) + " ms"
        )
        for name, ms in sorted(terms, key=lambda term: -term[1])
    ]
    alt = joined(". ", [longest, *(say("report.term", "{name} {size}", name=row.label, size=row.end) for row in rows)])
    return frame.chart(longest, svg.bars(rows, alt))


def _load(answer: Service) -> Iterator[str]:
    if answer.load.workload is not None:
        yield capitalised(words.lengths(answer.load.workload))
        yield say("report.risk", "A risk of {risk} that the pool is exceeded or all slots are taken.",
                  risk=words.percent(answer.risk))  # fmt: skip
    yield from goals_in_words(answer.goals)
    if answer.price is not None:
        yield (
            say("report.own_price", "The price of a GPU is your own.")
            if answer.price.own
            else say("report.price_seen", "Prices seen {seen}; examples, not offers.", seen=answer.price.words)
        )
    if answer.speed is not None and answer.speed.why:
        yield say("report.speed_not_checked", "Not checked against measured speeds: {why}.", why=answer.speed.why)
