"""The report of a plan: what was asked, what fits, where memory goes, what would change it, the assumptions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from calculator.errors import CalculatorError
from calculator.messages import Message, capitalised, joined, phrase, say
from calculator.planning.answer import Plan
from calculator.planning.command import serve_command
from calculator.planning.search import Lever, next_steps, what_would_fit
from calculator.request import OPTIONS
from calculator.units import GIB, dollars, format_size, plural
from calculator.views import words
from calculator.views.base import View
from calculator.views.kv_heads import kv_head_view
from calculator.views.memory import gauge, memory_lines
from calculator.views.pages.report import curve, frame, svg
from calculator.views.sequence_length import sequence_length_view
from calculator.views.tensor_parallel import tensor_parallel_view

LOOKS = {
    "weights": (svg.WEIGHTS, False),
    "overheads": (svg.GREY, False),
    "kv": (svg.KV, False),
    "room": (svg.KV, True),
    "missing": (svg.RED, True),
    "free": (svg.LIGHT, False),
}
"""Of each segment of a GPU its colour, and whether it is hatched."""


def title(plan: Plan) -> Message:
    """Return the headline: the model, the hardware and the answer."""
    return say("report.plan.title", "{headline}", headline=words.headline(plan))


def sections(plan: Plan) -> Iterator[str]:
    """Yield the sections of a report, as HTML."""
    yield _verdict(plan)
    yield memory(plan)
    for make in (_length, _kv_heads, _tensor_parallel):
        try:
            yield make(plan)
        except CalculatorError as error:
            yield frame.paragraph(str(error), "small")
    steps = [(what, how, f"{exact:,}") for what, how, exact in words.formula_steps(plan)]
    yield frame.section(
        say("report.formula", "The formula, with its numbers"),
        frame.code(words.formula(plan)),
        frame.table((phrase("Step"), phrase("How"), phrase("Bytes")), steps, (2,)),
    )
    found = next_steps(plan) if plan.fits else what_would_fit(plan)
    yield frame.section(
        say("report.changes", "What would change it"),
        frame.table(
            (phrase("Change"), phrase("Users"), phrase("USD an hour"), phrase("What it costs")),
            map(_change, found),
            (1, 2),
        ),
    )
    yield assumptions(plan)
    yield frame.section(say("report.command", "The engine's own command line"), frame.code(serve_command(plan)))


def versions(plan: Plan) -> list[str]:
    """Return what the answer was made with."""
    rules = say("report.rules", "rules of {engine} {version}", engine=plan.rules.title, version=plan.rules.version)
    return [frame.own_version(), rules]


def _verdict(plan: Plan) -> str:
    request = plan.request
    asked = say(
        "report.asked",
        "Asked: {users} of {tokens}, prompt and answer together, on {hardware}.",
        users=plural(request.batch_size * request.data_parallel_size, "user"),
        tokens=plural(request.seq_len, "token"),
        hardware=words.hardware(plan),
    )
    fits = say("report.fits", "It fits.") if plan.fits else say("report.fits_not", "It does not fit.")
    around = words.spread(plan)
    parts = [
        frame.paragraph(asked),
        frame.paragraph(joined(" ", [fits, words.detail(plan)]), "verdict ok" if plan.fits else "verdict not"),
    ]
    if around and plan.fits:
        parts.append(frame.paragraph(say("report.range", "Range: {around}.", around=around)))
    if words.price(plan):
        parts.append(frame.paragraph(say("report.price", "Price: {price}.", price=words.price(plan))))
    return "".join(parts)


def memory(plan: Plan) -> str:
    """Return the memory of one GPU, as a bar and line by line."""
    lines = memory_lines(plan)
    total = plan.per_gpu.total_bytes
    alt = say("report.memory_alt", "Memory of one GPU: {size}", size=format_size(total))
    bar = svg.bars([svg.Row(say("report.one_gpu", "One GPU"), segments(plan), format_size(total))], alt)
    rows = [(line.name, format_size(line.bytes), f"{line.bytes:,}", line.source) for line in lines]
    return frame.section(
        say("report.memory", "Memory of one GPU"),
        bar,
        frame.table(("", phrase("Size"), phrase("Bytes"), phrase("From")), rows, (1, 2)),
    )


def segments(plan: Plan) -> tuple[svg.Part, ...]:
    """Return what fills one GPU, as the parts of a bar in GiB; what does not fit stands behind."""
    return tuple(svg.Part(one.name, one.bytes / GIB, *LOOKS[one.key]) for one in gauge(plan))


def _refusal(view: View[Any]) -> str:
    return frame.paragraph(view.finding, "small")


def _length(plan: Plan) -> str:
    view = sequence_length_view(plan)
    if not view.rows:
        return _refusal(view)
    points = [(float(row.seq_len), row.kv_bytes_per_gpu / GIB) for row in view.rows if row.kv_bytes_per_gpu is not None]
    usable = plan.per_gpu.kv_pool_bytes / GIB
    here = next((row for row in view.rows if row.seq_len == plan.request.seq_len), None)
    marks = (
        [curve.Mark(float(here.seq_len), here.kv_bytes_per_gpu / GIB, say("report.asked_mark", "asked"))]
        if here
        else []
    )
    limit = usable, say("report.pool_limit", "KV pool, {size:,.1f} GiB", size=usable)
    axes = say("report.tokens", "tokens of a sequence"), say("report.kv_gib", "KV of the users asked, one GPU, GiB")
    return frame.chart(view.finding, curve.curve(points, marks, limit, axes, view.finding))


def _kv_heads(plan: Plan) -> str:
    view = kv_head_view(plan)
    if not view.rows:
        return _refusal(view)
    rows = [
        svg.Row(
            f"{row.kind.value}, {row.num_key_value_heads}",
            (svg.Part(say("report.kv", "KV"), row.kv_bytes_per_gpu / GIB, svg.KV),),
            joined(", ", [f"{row.kv_bytes_per_gpu / GIB:,.2f} GiB", _users(row.max_batch_size)]),
            row.this_model,
        )
        for row in view.possible
    ]
    return frame.chart(view.finding, svg.bars(rows, view.finding))


def _tensor_parallel(plan: Plan) -> str:
    view = tensor_parallel_view(plan)
    if not view.rows:
        return _refusal(view)
    rows = [
        svg.Row(
            f"TP {row.tensor_parallel_size}",
            (
                svg.Part(say("report.weights", "weights"), row.weights_bytes_per_gpu / GIB, svg.WEIGHTS),
                svg.Part(say("report.kv", "KV"), row.kv_bytes_per_gpu / GIB, svg.KV),
            ),
            _users(row.max_batch_size),
            row.this_plan,
        )
        for row in view.possible
    ]
    return frame.chart(view.finding, svg.bars(rows, view.finding))


def _users(count: int) -> str:
    return plural(count, "user")


def _change(lever: Lever) -> tuple[str, str, str, str]:
    price = dollars(*lever.usd_per_hour) if lever.usd_per_hour else say("report.no_price", "not known")
    costs = joined("; ", [text for text in (lever.cost, lever.quality, lever.risk) if text])
    return lever.label, f"{lever.users:,} ({lever.gain:+,})", price, costs


def assumptions(plan: Plan) -> str:
    """Return what was assumed: engine, device, layers, what was stated, notes, and what is not modelled."""
    request, rules = plan.request, plan.rules
    rows: list[tuple[str, str, str]] = [
        (say("report.engine", "Engine"), f"{rules.title} {rules.version}", rules.budget_words(plan.model, request)),
        (say("report.gpu", "GPU"), plan.accelerator.name, plan.accelerator.memory_note),
        (say("report.layers", "Layers"), f"{plan.model.num_layers:,}", _layers(plan)),
    ]
    rows += [(name, value_in_words(value), phrase(OPTIONS[name].help)) for name, value in stated(plan)]
    notes = [*plan.notes, words.held(plan) or "", words.NOT_MODELLED]
    return frame.section(
        say("report.assumptions", "Assumptions"),
        frame.table(("", phrase("Value"), ""), rows),
        frame.listed((capitalised(note) for note in notes if note), "small"),
    )


def _layers(plan: Plan) -> str:
    model = plan.model
    kinds = joined(
        "; ",
        [
            say("report.layers_of", "{count} × {kind}", count=group.count, kind=group.spec.kind)
            for group in model.groups
        ],
    )
    return say("report.model", "{kinds}; {count:,} parameters", kinds=kinds, count=model.num_parameters)


def stated(plan: Plan) -> Iterator[tuple[str, object]]:
    """Yield what the request holds that is no default that every engine has, in the order of the table of options."""
    for name, option in OPTIONS.items():
        value = getattr(plan.request, name)
        if value not in (None, option.default) and name not in ("engine", "engine_version"):
            yield name, value


def value_in_words(value: object) -> str:
    """Return a value of the request as it is read."""
    if value is True:
        return say("report.yes", "yes")
    return f"{value:,}" if isinstance(value, int) else str(value)
