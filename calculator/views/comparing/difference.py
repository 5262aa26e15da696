"""What differs between plans, in words: price, users and speed first, and what tells the plans apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from calculator.messages import Message, joined, phrase, say, template
from calculator.planning.answer import Plan
from calculator.units import plural
from calculator.views.base import View
from calculator.views.comparing.side_by_side import LETTERS, SideBySide, split, users
from calculator.views.engines import EngineRow

AS_FAST = 0.05
"""Steps that differ by no more of each other are called as fast: a tenth of the narrowest range of a speed."""
TWICE = 2.0
"""From here on a ratio is a number of times, below it a percentage."""


def headline(beside: SideBySide) -> Message:
    """Say which models and load are compared, and how the plans differ."""
    return say("side.headline", "{what}: {how}", what=_what(beside.plans), how=difference(beside))


def difference(beside: SideBySide) -> Message:
    """Say how the second of two plans differs from the first, or which of several is the best at what."""
    return _of_two(beside) if len(beside.plans) == 2 else _of_several(beside)


def told_apart(beside: SideBySide) -> tuple[Message, ...]:
    """Say each plan by its hardware, its split and whatever else tells it from another."""
    parts: list[Callable[[Plan], str]] = [_hardware, split]
    if _differ(beside, "model"):
        parts.insert(0, lambda plan: plan.model.name)
    if _differ(beside, "engine"):
        parts.append(lambda plan: f"{plan.rules.title} {plan.rules.version}")
    if _differ(beside, "weight_dtype"):
        parts.append(lambda plan: say("side.in", "weights {name}", name=plan.request.weight_dtype))
    if _differ(beside, "kv_cache_dtype"):
        parts.append(lambda plan: say("side.kv_in", "KV {name}", name=plan.request.kv_cache_dtype))
    if _differ(beside, "seq_len"):
        parts.append(lambda plan: plural(plan.request.seq_len, "token"))
    return tuple(joined(", ", [part(plan) for part in parts]) for plan in beside.plans)


def verdict(beside: SideBySide) -> Message:
    """Say what each holds, how many GPUs each needs, and what the ranges of their speeds say."""
    held = beside.row("held")
    said = [
        say("side.holds", "{letter} holds {held}", letter=letter, held=cell.text)
        for letter, cell in zip(LETTERS, held.cells, strict=False)
    ]
    sentences = [say("side.all_hold", "{plans}.", plans=joined(", ", said))]
    gpus = [plan.num_gpus for plan in beside.plans]
    if len(gpus) == 2 and gpus[0] != gpus[1]:
        sentences.append(say("side.needs", "B takes {now} in place of {before:,}.", now=plural(gpus[1], "GPU"),
                             before=gpus[0]))  # fmt: skip
    if len(gpus) == 2 and _same_load(beside) and _ranges_overlap(beside) and not _is_as_fast(beside):
        sentences.append(say("side.overlap", "The ranges of their speeds overlap."))
    return joined(" ", sentences)


def fitting(beside: SideBySide) -> tuple[bool, Message]:
    """Return whether every plan holds what is asked of it, and that in words."""
    asked = {users(plan) for plan in beside.plans}
    fits = [plan.fits for plan in beside.plans]
    if all(fits):
        both = say("side.both", "both hold") if len(fits) == 2 else say("side.all", "all hold")
        what = f"{asked.pop():,}" if len(asked) == 1 else say("side.what_is_asked", "what is asked")
        return True, say("side.fit", "{both} {what}", both=both, what=what)
    if not any(fits):
        return False, say("side.none_fits", "none fits")
    letters = joined(" and ", [letter for letter, fit in zip(LETTERS, fits, strict=False) if not fit])
    return False, say("side.not_fit", "{letters} not: too much is asked", letters=letters)


def _what(plans: tuple[Plan, ...]) -> Message:
    """Say the models and the load, as far as they are the same."""
    models = joined(" and ", list(dict.fromkeys(plan.model.name for plan in plans)))
    lengths, asked = {plan.request.seq_len for plan in plans}, {users(plan) for plan in plans}
    if len(lengths) > 1:
        return models
    tokens = plural(lengths.pop(), "token")
    if not _about_same(asked):
        return say("side.of_tokens", "{models}, {tokens} each", models=models, tokens=tokens)
    some = say("side.about", "about {users}", users=plural(min(asked), "user")) if len(asked) > 1 else None
    of = say("side.load", "{users} of {tokens}", users=some or plural(min(asked), "user"), tokens=tokens)
    return say("side.of_load", "{models}, {load}", models=models, load=of)


def _hardware(plan: Plan) -> str:
    return f"{plan.num_gpus:,} × {plan.accelerator.name}"


def _differ(beside: SideBySide, key: str) -> bool:
    return beside.row(key).differs


class _Words(NamedTuple):
    """How a ratio is said: below and above 1 in percent, and as a number of times."""

    less: str
    more: str
    times: str


_PRICE = _Words(
    template("costs {share:.0f} % less"), template("costs {share:.0f} % more"), template("costs {times:.2g} × as much")
)
_USERS = _Words(
    template("holds {share:.0f} % fewer"),
    template("holds {share:.0f} % more"),
    template("holds {times:,.3g} × as many"),
)
_SPEED = _Words(
    template("is {share:.0f} % slower"), template("is {share:.0f} % faster"), template("is {times:.2g} × as fast")
)


def _of_two(beside: SideBySide) -> Message:
    price = _claim("price", _PRICE, beside.row("usd_per_hour").ratio(1))
    fits = [plan.fits for plan in beside.plans]
    if not all(fits):
        if not any(fits):
            return say("side.neither", "neither holds what is asked")
        letter = LETTERS[fits.index(True)]
        only = say("side.only", "only {letter} holds what is asked", letter=letter)
        return joined("; B ", [only, *price]) if letter == "A" else joined(" and ", [only, *price])
    pace = beside.row("time_per_output_token_s").ratio(1) if _same_load(beside) else None
    as_fast = pace is not None and _is_as_fast(beside)
    said = [
        *price,
        *_claim("users", _USERS, beside.row("held").ratio(1)),
        *_claim("speed", _SPEED, None if not pace or as_fast else 1 / pace),
    ]
    if not said:
        if beside.differing:
            return say("side.as_good", "A and B hold as many, cost as much and are as fast")
        return say("side.same", "A and B are the same")
    if price and as_fast:
        said.append(say("side.as_fast", "is as fast"))
    *first, last = said
    how = last if not first else say("side.and_last", "{first} and {last}", first=joined(", ", first), last=last)
    return say("side.b", "B {how}", how=how)


def _claim(key: str, words: _Words, ratio: float | None) -> tuple[Message, ...]:
    """Say a ratio, where it is known and more than a rounding."""
    if not ratio or round(100 * abs(ratio - 1)) == 0:
        return ()
    if ratio >= TWICE:
        return (say(f"side.{key}_times", words.times, times=ratio),)
    share, text = (100 * (ratio - 1), words.more) if ratio > 1 else (100 * (1 - ratio), words.less)
    return (say(f"side.{key}_{'more' if ratio > 1 else 'less'}", text, share=share),)


def _of_several(beside: SideBySide) -> Message:
    """Say which plans cost least, hold most and are fastest, those that are the same at once together."""
    best = {
        "side.least": (phrase("costs the least"), _leading(beside, "usd_per_hour", min)),
        "side.most": (phrase("holds the most"), _leading(beside, "held", max)),
        "side.fastest": (
            phrase("is the fastest"), _leading(beside, "time_per_output_token_s", min) if _same_load(beside) else "",
        ),
    }  # fmt: skip
    fits = [letter for letter, plan in zip(LETTERS, beside.plans, strict=False) if plan.fits]
    if len(fits) < 2:
        if not fits:
            return say("side.none", "none holds what is asked")
        return say("side.only", "only {letter} holds what is asked", letter=fits[0])
    by_plan: dict[str, list[Message]] = {}
    for key, (text, letters) in best.items():
        if letters:
            by_plan.setdefault(letters, []).append(say(key, text))
    said = [
        say("side.leads", "{letter} {how}", letter=letter, how=joined(say("side.and", " and "), how))
        for letter, how in by_plan.items()
    ]
    return joined(", ", said) if said else say("side.no_leader", "none costs less, holds more or is faster")


def _leading(beside: SideBySide, key: str, choose: Callable[[list[float]], float]) -> str:
    """Return the letter of the only plan, of those that hold what is asked, that is best at something.

    Empty where several are, or one is not known.
    """
    cells = zip(LETTERS, beside.plans, beside.row(key).cells, strict=False)
    values = {letter: cell.value for letter, plan, cell in cells if plan.fits}
    known = [value for value in values.values() if value is not None]
    if len(known) < max(2, len(values)) or len(set(known)) == 1:
        return ""
    leaders = [letter for letter, value in values.items() if value == choose(known)]
    return leaders[0] if len(leaders) == 1 else ""


def _same_load(beside: SideBySide) -> bool:
    """Whether about as many users of as many tokens are asked of all: a step of fewer is faster by itself."""
    return _about_same({users(plan) for plan in beside.plans}) and not beside.row("seq_len").differs


def _about_same(asked: set[int]) -> bool:
    """Whether so many users differ by no more than what replicas share them out in."""
    return max(asked) <= (1 + AS_FAST) * min(asked)


def _is_as_fast(beside: SideBySide) -> bool:
    ratio = beside.row("time_per_output_token_s").ratio(1)
    return ratio is not None and max(ratio, 1 / ratio) <= 1 + AS_FAST


def _ranges_overlap(beside: SideBySide) -> bool:
    one, other = beside.row("time_per_output_token_s").cells[:2]
    if None in (one.low, one.high, other.low, other.high):
        return False
    return max(one.low or 0, other.low or 0) <= min(one.high or 0, other.high or 0)


def engine_by_engine(view: View[EngineRow]) -> Message:
    """Say of one plan how far its engine moves the answer: what the fewest and the most hold."""
    plan, rows = view.plan, [row for row in view.possible if row.max_batch_size]
    what = say("side.on", "{model} on {hardware}", model=plan.model.name, hardware=_hardware(plan))
    if not rows:
        return say("side.no_engine", "{what}: no engine holds it", what=what)
    fewest, most = (choose(rows, key=lambda row: row.max_batch_size) for choose in (min, max))
    held = plural(fewest.max_batch_size, "user")
    if fewest.max_batch_size == most.max_batch_size:
        return say("side.every_engine", "{what}: {held} on every engine that runs it", what=what, held=held)
    return say(
        "side.by_engine", "{what}: {held} on {last}, {most:,} on {first}",
        what=what, held=held, last=fewest.engine, most=most.max_batch_size, first=most.engine,
    )  # fmt: skip
