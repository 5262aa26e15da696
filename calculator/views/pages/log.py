"""A log beside its plan as a page says it: the headline, the verdict, and term by term."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from calculator.engines import engine_rules
from calculator.logs.comparison import HALF_OF_THE_LAST_DIGIT, SAME_TOKENS, Term
from calculator.logs.reading import StartupLog
from calculator.logs.reconciliation import Reconciliation
from calculator.messages import Message, phrase, say, template
from calculator.units import GIB

SAME_SHARE, SAME_GIB = 0.01, 0.1
"""A pool is as expected within this share, or within so many GiB."""
LEAST_SHOWN_GIB = 0.05
"""Less than this is no part of a bar and no difference that stands out."""


class Verdict(Enum):
    """How a log compares with its plan."""

    AGREES = "agrees"
    OUTSIDE = "outside"
    OTHER_TOKENS = phrase("other tokens")
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Capacity:
    """The KV memory of one GPU, expected and reported.

    Attributes
    ----------
    expected, low, high : float
        What the plan has, and its range [GiB].
    reported : float
        What the log has; where it prints tokens alone, what they take by the plan [GiB].
    is_printed : bool
        Whether the log prints it in GiB.
    is_pool : bool
        Whether it is the pool that is left, not the cache of what was asked for.
    """

    expected: float
    low: float
    high: float
    reported: float
    is_printed: bool
    is_pool: bool

    @property
    def more(self) -> float:
        """Reported less expected [GiB]."""
        return self.reported - self.expected

    @property
    def in_range(self) -> bool:
        """Whether the reported one lies within the range, within its rounding."""
        return self.low - HALF_OF_THE_LAST_DIGIT <= self.reported <= self.high + HALF_OF_THE_LAST_DIGIT

    @property
    def is_as_expected(self) -> bool:
        """Whether the two are the same to a reader."""
        return abs(self.more) <= max(SAME_SHARE * self.expected, SAME_GIB if self.is_pool else 0.0)


def _terms(result: Reconciliation) -> dict[str, Term]:
    return {term.key: term for term in result.terms}


def knows_device(result: Reconciliation) -> bool:
    """Whether the memory of the device is known."""
    memory = _terms(result).get("memory")
    return memory is not None and memory.predicted is not None


def capacity_of(result: Reconciliation) -> Capacity | None:
    """Return the KV memory of one GPU, expected and reported; None where either is missing."""
    terms = _terms(result)
    cache, pool, tokens = terms.get("kv_cache"), terms.get("kv_pool"), terms.get("kv_tokens")
    if cache is not None and cache.predicted is not None and cache.reported is not None:
        return Capacity(cache.predicted, cache.predicted, cache.predicted, cache.reported, True, False)
    if pool is None or pool.predicted is None or pool.low is None or pool.high is None:
        return None
    if pool.reported is not None:
        return Capacity(pool.predicted, pool.low, pool.high, pool.reported, True, True)
    if tokens is None or not tokens.predicted or tokens.reported is None:
        return None
    held = pool.predicted * tokens.reported / tokens.predicted
    return Capacity(pool.predicted, pool.low, pool.high, held, False, True)


def verdict(result: Reconciliation) -> Verdict:
    """Return how a log compares with its plan."""
    capacity = capacity_of(result)
    if capacity is None:
        return Verdict.UNKNOWN
    if result.agrees:
        return Verdict.AGREES
    return Verdict.OTHER_TOKENS if capacity.is_pool and capacity.in_range else Verdict.OUTSIDE


def headline_without_model(log: StartupLog) -> Message:
    """Say of a log whose model is not known what it is of, and how much it kept for KV."""
    title, pool = engine_rules(log.engine).title, log.figures.get("kv_pool_gib")
    if not pool or pool < 0:
        text = template("A log of {engine}: say which model it is, and it is compared")
        return say("pages.log.no_model", text, engine=title)
    text = template("A log of {engine} that kept {size:,.1f} GiB for KV: say which model it is, and it is compared")
    return say("pages.log.no_model_pool", text, engine=title, size=pool)


def headline(result: Reconciliation) -> Message:
    """Say in one line how much the engine kept for KV, beside what was expected."""
    plan, capacity = result.plan, capacity_of(result)
    if capacity is None:
        return _without_capacity(result)
    values = {"model": plan.model.name, "gpu": _hardware(result), "size": _size(capacity.reported, capacity)}
    if not capacity.is_pool:
        text = template("{model}: {size} of KV cache, as expected")
        if not result.agrees:
            text = template("{model}: {size} of KV cache, {other} were expected")
        key = "cache" if result.agrees else "other_cache"
        return say(f"pages.log.{key}", text, **values, other=_size(capacity.expected, capacity))
    if verdict(result) is Verdict.OTHER_TOKENS:
        text = template("{model} on {gpu}: the KV pool is as expected, the tokens in it are not")
        return say("pages.log.other_tokens", text, **values)
    if capacity.is_as_expected:
        text = template("{model} on {gpu}: your engine kept {size} for KV, as expected")
        return say("pages.log.as_expected", text, **values)
    text = template("{model} on {gpu}: your engine kept {size} less for KV than expected")
    if capacity.more > 0:
        text = template("{model} on {gpu}: your engine kept {size} more for KV than expected")
    key = "more" if capacity.more > 0 else "less"
    return say(f"pages.log.{key}", text, **{**values, "size": _size(abs(capacity.more), capacity)})


def _without_capacity(result: Reconciliation) -> Message:
    """Say what the log has where nothing is expected of it yet."""
    pool, values = _terms(result).get("kv_pool"), {"model": result.plan.model.name}
    if pool is None or pool.reported is None or not result.missing:
        return say("pages.log.no_capacity", "{model}: what the log shows so far", **values)
    text = template("{model}: your engine kept {size:,.1f} GiB for KV; say the GPU, and it is compared")
    return say("pages.log.no_device", text, **values, size=pool.reported)


def _hardware(result: Reconciliation) -> Message:
    plan, gpus = result.plan, result.plan.gpus_per_replica
    if "gpu" not in plan.asked:
        return say("pages.log.memory", "a GPU of {size:.1f} GiB", size=plan.per_gpu.total_bytes / GIB)
    text = template("{gpus} × {name}") if gpus > 1 else "{name}"
    return say("pages.log.hardware", text, gpus=gpus, name=plan.accelerator.name)


def _size(gib: float, capacity: Capacity) -> Message:
    if capacity.is_pool:
        return say("pages.log.gib", "{size:,.1f} GiB", size=gib)
    return say("pages.log.mib", "{size:,.2f} MiB", size=1024 * gib)


def detail(result: Reconciliation) -> Message:
    """Say what is reported, what was expected and in what range, and whether tokens and pool agree."""
    capacity = capacity_of(result)
    if capacity is None or not capacity.is_pool:
        return say("pages.log.finding", "{finding}", finding=result.finding)
    tokens = _terms(result).get("kv_tokens")
    values = {"reported": capacity.reported, "expected": capacity.expected}
    values |= {"low": max(0.0, capacity.low), "high": capacity.high}
    if not capacity.is_printed and tokens is not None:
        text = template(
            "{tokens:,} tokens reported, which take {reported:.2f} GiB; {expected:.2f} expected "
            "({low:.2f} to {high:.2f})."
        )
        return say("pages.log.of_tokens", text, **values, tokens=int(tokens.reported or 0))
    text = template("{reported:.2f} GiB reported, {expected:.2f} expected ({low:.2f} to {high:.2f}).{tokens}")
    return say("pages.log.of_pool", text, **values, tokens=_tokens(result))


def _tokens(result: Reconciliation) -> Message | str:
    """Say whether the printed pool holds the printed tokens."""
    held = _terms(result).get("held_tokens")
    if held is None or held.predicted is None or held.reported is None:
        return ""
    values = {"held": int(held.predicted), "reported": int(held.reported)}
    if abs(held.predicted - held.reported) <= SAME_TOKENS * held.reported + result.plan.request.block_size:
        return say("pages.log.tokens_agree", " Tokens agree with the pool: {reported:,}.", **values)
    return say(
        "pages.log.tokens_differ",
        " Tokens do not: by this model's layers the pool holds {held:,}, {reported:,} are printed.",
        **values,
    )


@dataclass(frozen=True)
class Row:
    """One figure as a table has it.

    Attributes
    ----------
    name, expected, reported, difference : str
        Cells; empty where nothing is known.
    stands_out : bool
        Whether the difference is more than rounding and outside the figure's range.
    """

    name: str
    expected: str
    reported: str
    difference: str
    stands_out: bool


def rows(result: Reconciliation) -> list[Row]:
    """Return every figure that is predicted or reported."""
    known = (term for term in result.terms if term.predicted is not None or term.reported is not None)
    return [_row(term) for term in known]


def _row(term: Term) -> Row:
    def number(value: float, sign: str = "") -> str:
        digits = 2 if term.unit in ("GiB", "sequences") else 0
        rounded = round(value, digits) or 0.0  # no zero below zero
        return f"{rounded:{sign if rounded else ''},.{digits}f}".replace("-", "\u2212")

    low, high, off = term.low, term.high, term.difference
    expected = "" if term.predicted is None else number(term.predicted)
    has_range = low is not None and high is not None and low != high
    if has_range:
        expected = say(
            "pages.log.around",
            "{value} ({low} to {high})",
            value=expected,
            low=number(low or 0.0),
            high=number(high or 0.0),
        )
    printed = say("pages.log.not_printed", "not printed") if term.reported is None else number(term.reported)
    within = False
    if has_range and term.reported is not None:
        within = (low or 0.0) - HALF_OF_THE_LAST_DIGIT <= term.reported <= (high or 0.0) + HALF_OF_THE_LAST_DIGIT
    difference = "" if off is None else number(off, "+")
    if within:
        difference = say("pages.log.in_range", "{difference}, in range", difference=difference)
    least = LEAST_SHOWN_GIB if term.unit == "GiB" else SAME_TOKENS * (term.predicted or 0.0)
    return Row(term.name, expected, printed, difference, off is not None and not within and abs(off) > least)
