"""The report of a search for hardware: the options, cheapest first, and what was left out and why."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from calculator.messages import Message, phrase, say, template
from calculator.planning.sizing.found import Found
from calculator.planning.sizing.operating import Goals
from calculator.units import dollars
from calculator.views.load.wording import milliseconds, rounded
from calculator.views.pages.report import curve, frame, svg
from calculator.views.sizing import answer
from calculator.views.sizing.options import OptionRow, option_row, options_view

MOST_ROWS, MOST_REFUSED = 20, 60
HEAD = (
    phrase("Hardware"), phrase("USD an hour"), phrase("Users held"), phrase("ms a token"), phrase("Split"),
    phrase("Tokens/s"), phrase("USD a million"), phrase("Limited by"), phrase("Price seen"),
)  # fmt: skip
NUMBERS = (1, 2, 3, 5, 6)


def title(found: Found) -> Message:
    """Return the headline: the load, the cheapest hardware and its price."""
    return say("report.size.title", "{headline}", headline=answer.headline(found))


def sections(found: Found) -> Iterator[str]:
    """Yield the sections of a report, as HTML."""
    yield frame.paragraph(answer.verdict(found), "verdict ok" if found.best else "verdict not")
    if found.options:
        view = options_view(found)
        known = [row for row in view.rows if row.usd_per_hour_low and row.time_per_output_token_s]
        if known:
            yield frame.chart(view.finding, _prices(known, view.finding))
        rows = view.rows[:MOST_ROWS]
        more = len(view.rows) - len(rows)
        yield frame.section(
            say("report.options", "Hardware, cheapest first"),
            frame.table(HEAD, map(_cells, rows), NUMBERS),
            frame.paragraph(say("report.more", "And {count:,} more.", count=more), "small") if more else "",
        )
    nearly = [_cells(option_row(option)) for option in found.nearly[:MOST_ROWS]]
    yield frame.section(
        say("report.nearly", "Nearly: held only at the centre of the memory's range"),
        frame.table(HEAD, nearly, NUMBERS),
    )
    yield frame.section(
        say("report.notes", "Assumptions"), frame.listed([*goals_in_words(found.goals), *found.notes, PRICES])
    )
    refused = [(row.why, row.engine, row.weight_dtype, row.kv_cache_dtype) for row in found.refused[:MOST_REFUSED]]
    head = say("report.why", "Why"), say("report.engine", "Engine"), say("report.weights_in", "Weights"), "KV"
    more = len(found.refused) - len(refused)
    yield frame.section(
        say("report.refused", "Left out, and why"),
        frame.table(head, refused),
        frame.paragraph(say("report.more", "And {count:,} more.", count=more), "small") if more else "",
    )


PRICES = say(
    "report.prices",
    "Prices without a date of your own are examples with their date, not offers; the time of a token is the mean at "
    "the load's own rate, its range in brackets.",
)


def versions(found: Found) -> list[str]:
    """Return what the answer was made with."""
    rules = dict.fromkeys(f"{option.plan.rules.title} {option.plan.rules.version}" for option in found.options)
    return [frame.own_version(), *(say("report.rules_of", "rules of {engine}", engine=one) for one in rules)]


def goals_in_words(goals: Goals) -> Iterator[str]:
    """Say the goals that were asked for."""
    for name, text in (
        ("max_tpot_s", template("Goal: a token within {ms:,.4g} ms, judged on central means.")),
        ("max_ttft_s", template("Goal: the first token within {ms:,.4g} ms, judged on central means.")),
    ):
        value = getattr(goals, name)
        if value is not None:
            yield say(f"report.goal.{name}", text, ms=1e3 * value)


def _prices(rows: list[OptionRow], alt: str) -> str:
    """Draw price against time: every option a point, the front named and joined."""
    marks = [
        curve.Mark(
            row.usd_per_hour_low or 0.0, 1e3 * (row.time_per_output_token_s or 0.0), row.hardware,
            svg.KV if row.pareto else svg.LIGHT, named=row.pareto,
        )
        for row in sorted(rows, key=lambda row: row.pareto)
    ]  # fmt: skip
    front = sorted((mark.x, mark.y) for mark in marks if mark.named)
    steps = [point for (x, y), (right, _) in pairwise([*front, front[-1]]) for point in ((x, y), (right, y))]
    axes = say("report.usd_axis", "USD an hour, lowest price, logarithmic"), say("report.ms_axis", "ms a token")
    return curve.curve(steps, marks, None, axes, alt, log_x=True)


def _cells(row: OptionRow) -> tuple[str, ...]:
    central, low, high = (
        row.time_per_output_token_s, row.time_per_output_token_s_low, row.time_per_output_token_s_high,
    )  # fmt: skip
    known = central is not None and low is not None and high is not None
    ms = (
        say(
            "size.parts",
            "{central} ({low} to {high})",
            central=milliseconds(central or 0),
            low=milliseconds(low or 0),
            high=milliseconds(high or 0),
        )
        if known
        else ""
    )
    held = (
        f"{row.held:,}"
        if row.held_low == row.held_high
        else say(
            "size.parts",
            "{held:,} ({held_low:,} to {held_high:,})",
            held=row.held,
            held_low=row.held_low,
            held_high=row.held_high,
        )
    )
    rate = "" if row.output_tokens_per_second is None else rounded(row.output_tokens_per_second)
    usd = ""
    if row.usd_per_hour_low is not None and row.usd_per_hour_high is not None:
        usd = say(
            "size.parts",
            "{usd_per_hour_low:,.2f} to {usd_per_hour_high:,.2f}",
            usd_per_hour_low=row.usd_per_hour_low,
            usd_per_hour_high=row.usd_per_hour_high,
        )
        usd = f"{row.usd_per_hour_low:,.2f}" if row.usd_per_hour_low == row.usd_per_hour_high else usd
    low_each, high_each = row.usd_per_million_output_tokens_low, row.usd_per_million_output_tokens_high
    each = "" if low_each is None or high_each is None else str(dollars(low_each, high_each)).replace("$", "")
    return row.hardware, usd, held, ms, row.split, rate, each, row.limited_by, row.price_seen
