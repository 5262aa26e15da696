"""The report of a comparison: what differs first, one GPU of each, what moves each number, the assumptions of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from calculator.messages import Message, capitalised, joined, say
from calculator.planning.answer import Plan
from calculator.planning.command import serve_command
from calculator.planning.comparing.compare import compare, written
from calculator.units import GIB
from calculator.views.comparing.difference import fitting, headline, told_apart, verdict
from calculator.views.comparing.side_by_side import LETTERS, Beside, SideBySide
from calculator.views.memory import gauge
from calculator.views.pages.report import frame, svg
from calculator.views.pages.report import plan as of_plan


def title(beside: SideBySide) -> Message:
    """Return the headline: the models, the load, and how the plans differ."""
    return headline(beside)


def sections(beside: SideBySide) -> Iterator[str]:
    """Yield the sections of a report, as HTML."""
    fits, holds = fitting(beside)
    yield frame.paragraph(
        say("report.stands", "{holds}. {verdict}", holds=capitalised(holds), verdict=verdict(beside)),
        "verdict ok" if fits else "verdict not",
    )
    called = zip(LETTERS, told_apart(beside), strict=False)
    yield frame.listed(say("report.plan_called", "{letter}: {plan}", letter=one, plan=plan) for one, plan in called)
    yield frame.section(say("report.differs", "What differs"), _table(beside, beside.differing))
    yield _memory(beside)
    if len(beside.plans) == 2:
        yield from _causes(*beside.plans)
    yield frame.section(say("report.same", "The same in all"), _table(beside, beside.same))
    yield frame.section(say("report.assumptions", "Assumptions"), _stated(beside), _notes(beside))
    for letter, plan in zip(LETTERS, beside.plans, strict=False):
        yield frame.section(
            say("report.command_of", "{letter} as the engine's own command line", letter=letter),
            frame.code(serve_command(plan)),
        )


def versions(beside: SideBySide) -> list[str]:
    """Return what the answer was made with."""
    rules = dict.fromkeys((plan.rules.title, plan.rules.version) for plan in beside.plans)
    return [
        frame.own_version(),
        *(say("report.rules", "rules of {engine} {version}", engine=name, version=of) for name, of in rules),
    ]


def _table(beside: SideBySide, rows: Iterable[Beside]) -> str:
    letters = LETTERS[: len(beside.plans)]
    beyond = [say("report.times_a", "{letter} to A", letter=letter) for letter in letters[1:]]
    cells = [
        (row.name, *(cell.text for cell in row.cells), *(_times(row, index) for index in range(1, len(letters))))
        for row in rows
    ]
    if not any(any(row[1 + len(letters) :]) for row in cells):
        return frame.table(("", *letters), (row[: 1 + len(letters)] for row in cells))
    return frame.table(("", *letters, *beyond), cells, range(1 + len(letters), 2 * len(letters)))


def _times(row: Beside, index: int) -> str:
    ratio = row.ratio(index)
    if not ratio or not row.differs:
        return ""
    return say("report.times", "{ratio} ×", ratio=f"{ratio:,.2f}" if ratio < 10 else f"{ratio:,.3g}")


def _memory(beside: SideBySide) -> str:
    """Draw one GPU of each plan on the same scale."""
    rows = [
        svg.Row(
            letter,
            tuple(part._replace(name=one.short) for part, one in zip(of_plan.segments(plan), gauge(plan), strict=True)),
            say("report.gpu_of", "{name}, {size:,.1f} GiB", name=plan.accelerator.name,
                size=plan.per_gpu.total_bytes / GIB),
        )
        for letter, plan in zip(LETTERS, beside.plans, strict=False)
    ]  # fmt: skip
    finding = say("report.one_of_each", "One GPU of each, on the same scale")
    return frame.chart(finding, svg.bars(rows, joined(". ", [finding, *(_in_words(row) for row in rows)])))


def _in_words(row: svg.Row) -> Message:
    sizes = [say("report.part", "{name} {size:,.1f} GiB", name=part.name, size=part.size) for part in row.parts]
    return say("report.bar", "{letter}: {parts}", letter=row.label, parts=joined(", ", sizes))


def _causes(before: Plan, after: Plan) -> Iterator[str]:
    """Say what moves each number, each change of what was asked made alone, and the flags that restore the older."""
    found = compare(before, after)
    rows, causes = [], dict[str, list[str]]()
    for row in found.changed:
        change = "" if row.change is None else written(row.change, row.unit)
        rows.append((row.name, written(row.before, row.unit), written(row.after, row.unit), change))
        causes.setdefault(row.cause, []).append(row.name)
    moved = [
        say("report.moves", "{cause}: {names}", cause=cause, names=joined(", ", told)) for cause, told in causes.items()
    ]
    yield frame.section(
        say("report.causes", "Every number that differs, and what moves it"),
        frame.table(("", "A", "B", say("report.change", "Change")), rows, (1, 2, 3)),
        frame.listed(moved, "small"),
    )
    names = {row.term: row.name for row in found.changed}
    flags = [
        say("report.restores", "{flag} brings back {names}", flag=one.flag,
            names=joined(", ", [names[term] for term in one.restores if term in names]))
        for one in found.restoring
    ]  # fmt: skip
    yield frame.section(say("report.restoring", "What brings the numbers of A back"), frame.listed(flags))


def _stated(beside: SideBySide) -> str:
    """Return what each plan states that is no default, of those names that no row above has."""
    shown = {row.key for row in beside.rows}
    held: list[dict[str, object]] = [dict(of_plan.stated(plan)) for plan in beside.plans]
    names = [name for name in dict.fromkeys(name for each in held for name in each) if name not in shown]
    rows = [(name, *(of_plan.value_in_words(each[name]) if name in each else "" for each in held)) for name in names]
    return frame.table(("", *LETTERS[: len(held)]), rows)


def _notes(beside: SideBySide) -> str:
    """Return the notes of all plans, each once with the plans that it bears on."""
    said: dict[str, list[str]] = {}
    for letter, plan in zip(LETTERS, beside.plans, strict=False):
        for note in plan.notes:
            said.setdefault(str(note), []).append(letter)
    return frame.listed(_of(letters, note) for note, letters in said.items())


def _of(letters: Sequence[str], note: str) -> Message:
    return say("report.note_of", "{letters}: {note}", letters=joined(", ", letters), note=note)
