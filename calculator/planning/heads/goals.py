"""From stated goals to the fewest and the most KV heads that meet them; without goals there is no recommendation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calculator.errors import InvalidValueError
from calculator.messages import joined, phrase, say, template
from calculator.planning.heads.evidence import QualityEvidence, evidence_at, quality_evidence
from calculator.planning.heads.rows import HeadRow
from calculator.reading.fields import Count, Field, Flag, Number, optional
from calculator.reading.schema import Schema
from calculator.units import plural

GOALS: dict[str, Field] = {
    "min_batch_size": optional(Count(most=10**9, unit="-", help="goal: sequences that one replica must hold")),
    "min_output_tokens_per_second": optional(
        Number(most=10**12, unit="1/s", help="goal: tokens a second of one replica at its largest batch")
    ),
    "max_tpot_s": optional(
        Number(most=10**6, unit="s", help="goal: most seconds a token with the batch that is asked, which must fit")
    ),
    "without_copies": optional(Flag(unit="-", help="goal: no KV head on more than one GPU of a stage")),
}
"""What can be stated: bounds, unit and help stand once for all faces."""
_SCHEMA = Schema("Goals", GOALS)


@dataclass(frozen=True)
class Recommendation:
    """What meets stated goals.

    Attributes
    ----------
    smallest, largest : int or None
        The fewest and the most KV heads that meet them [-]; None where none does.
    latent_meets : bool or None
        Whether latent attention meets them; None where it was not asked for, or cannot be planned.
    meets : tuple of HeadRow
        Every row that meets them.
    reasons : dict of str to str
        Why each other row does not, by its label.
    evidence, smallest_evidence : QualityEvidence
        What is published with as many query heads a KV head as the largest and the smallest have, and with their number
        of KV heads where query heads are not printed; of latent attention where it alone meets them; nothing where
        nothing does.
    finding : str
        The same in words.
    """

    smallest: int | None
    largest: int | None
    latent_meets: bool | None
    meets: tuple[HeadRow, ...]
    reasons: Mapping[str, str]
    evidence: QualityEvidence
    smallest_evidence: QualityEvidence
    finding: str

    def as_dict(self) -> dict[str, Any]:
        """Return the answer as plain values under the documented JSON keys."""
        return {
            "finding": self.finding,
            "smallest": self.smallest,
            "largest": self.largest,
            "latent_meets": self.latent_meets,
            "meets": [row.label for row in self.meets],
            "reasons": dict(self.reasons),
            "evidence": self.evidence.finding,
            "smallest_evidence": self.smallest_evidence.finding,
        }


def recommendation(rows: Sequence[HeadRow], heads: int, goals: Mapping[str, Any]) -> Recommendation:
    """Return what meets goals, by central values; raise where no goal is stated."""
    stated = {name: value for name, value in _SCHEMA.validate(goals).items() if value is not None}
    if not stated:
        raise InvalidValueError(
            say(
                "goals.no_goal_stated_give",
                "no goal is stated: give min_batch_size, min_output_tokens_per_second, max_tpot_s or "
                "without_copies; without one no number of KV heads is better than another",
            ),
            what="goals",
            allowed=tuple(_SCHEMA.fields),
        )
    reasons = {row.label: why for row in rows if (why := _why_not(row, stated))}
    meets = tuple(row for row in rows if row.label not in reasons)
    numbers = [row.num_key_value_heads for row in meets if row.num_key_value_heads is not None]
    smallest, largest = (min(numbers), max(numbers)) if numbers else (None, None)
    latent = [row for row in rows if row.kind == "mla" and not row.refused]
    latent_meets = latent[0] in meets if latent else None
    of_largest, of_smallest = (_evidence(count, heads, bool(latent_meets)) for count in (largest, smallest))
    return Recommendation(
        smallest=smallest,
        largest=largest,
        latent_meets=latent_meets,
        meets=meets,
        reasons=reasons,
        evidence=of_largest,
        smallest_evidence=of_smallest,
        finding=_finding(rows, meets, reasons, stated, of_largest, of_smallest),
    )


def _why_not(row: HeadRow, goals: Mapping[str, Any]) -> str:
    """Say why a row misses a goal; empty where it meets all."""
    if row.refused:
        return row.refused
    least = goals.get("min_batch_size")
    if least is not None and row.max_batch_size < least:
        return say(
            "goals.batch",
            "holds {held}, fewer than {asked:,}",
            held=plural(row.max_batch_size, "sequence"),
            asked=least,
        )
    rate = goals.get("min_output_tokens_per_second")
    if rate is not None:
        found = row.full_output_tokens_per_second
        if found is None:
            return _no_speed(row) if row.why and row.max_batch_size else say("goals.no_room", "holds no sequence")
        if found < rate:
            return say("goals.rate", "reaches {found:,.0f} tokens/s, fewer than {asked:,.0f}", found=found, asked=rate)
    longest = goals.get("max_tpot_s")
    if longest is not None:
        if row.time_per_output_token_s is None:
            return _no_speed(row)
        if row.time_per_output_token_s > longest:
            return say(
                "goals.tpot", "takes {found:.1f} ms a token, more than {asked:.1f}",
                found=1e3 * row.time_per_output_token_s, asked=1e3 * longest,
            )  # fmt: skip
        if not row.fits:
            return say("goals.fits", "does not hold the batch that was asked")
    if goals.get("without_copies") and row.kv_replication > 1:
        return say("goals.copies", "keeps the same on {copies} GPUs", copies=row.kv_replication)
    return ""


def _no_speed(row: HeadRow) -> str:
    return say("goals.no_speed", "has no known speed: {why}", why=row.why)


def _evidence(kv_heads: int | None, heads: int, latent_meets: bool) -> QualityEvidence:
    if kv_heads is None and not latent_meets:
        return QualityEvidence(
            (), (), (), say("evidence.unmet", "Nothing meets the goals, so no quality stands beside.")
        )
    if kv_heads is None or kv_heads == heads:
        return quality_evidence(kind="mla" if kv_heads is None else "mha")
    return evidence_at(kv_heads, heads)


def _finding(
    rows: Sequence[HeadRow],
    meets: Sequence[HeadRow],
    reasons: Mapping[str, str],
    goals: Mapping[str, Any],
    of_largest: QualityEvidence,
    of_smallest: QualityEvidence,
) -> str:
    ordered = [row for row in rows if row.is_counted]
    good = [row for row in ordered if row in meets]
    parts: list[str] = []
    if good:
        heads = good[0].num_key_value_heads if len(good) == 1 else 0
        text = (
            template("{numbers} KV head meets the goals.")
            if heads == 1
            else template("{numbers} KV heads meet the goals.")
        )
        parts.append(say("goals.range", text, numbers=_runs(ordered, good)))
        first, last = ordered.index(good[0]), ordered.index(good[-1])
        for beside in (ordered[last + 1 :], ordered[:first][::-1]):
            next_to = next((row for row in beside if not row.refused), None)
            if next_to:
                why = reasons[next_to.label]
                parts.append(say("goals.beyond", "With {label} it {why}.", label=next_to.label, why=why))
    else:
        parts += _unmet(ordered, goals)
    others = [row for row in meets if not row.is_counted]
    if any(row.kind == "mla" for row in others):
        parts.append(say("goals.latent", "Latent attention does."))
    parts += [
        say("goals.by_layer", "So does a list of {label}." if good else "A list of {label} does.", label=row.label)
        for row in others if row.kind != "mla"
    ]  # fmt: skip
    if len(good) > 1:
        parts.append(say("goals.at_most", "With {label}: {quality}", label=good[-1].label, quality=of_largest.finding))
        parts.append(say("goals.at_least", "With {label}: {quality}", label=good[0].label, quality=of_smallest.finding))
    elif good or any(row.kind == "mla" for row in meets):
        parts.append(of_largest.finding)
    return joined(" ", parts)


def _runs(ordered: Sequence[HeadRow], good: Sequence[HeadRow]) -> str:
    """Return what meets, neighbours as a range: ``1 to 4, 16``."""
    runs: list[list[HeadRow]] = []
    for before, row in zip((None, *ordered), ordered, strict=False):
        if row in good:
            if runs and before is runs[-1][-1]:
                runs[-1].append(row)
            else:
                runs.append([row])
    said = [
        run[0].label
        if len(run) == 1
        else say("goals.run", "{fewest} to {most}", fewest=run[0].label, most=run[-1].label)
        for run in runs
    ]
    return joined(", ", said)


def _unmet(ordered: Sequence[HeadRow], goals: Mapping[str, Any]) -> Iterator[str]:
    """Say what comes nearest to one goal that nothing meets; of several, which numbers meet each by itself."""
    if len(goals) == 1:
        ((name, value),) = goals.items()
        label, why = _nearest(ordered, name, value)
        yield say("goals.none", "No number of KV heads meets the goals ({label}: {why}).", label=label, why=why)
        return
    yield say("goals.none_of_all", "No number of KV heads meets the goals together.")
    for name, value in goals.items():
        goal = say(f"goals.{name}", _WORDS[name], value=1e3 * value if name == "max_tpot_s" else value)
        good = [row for row in ordered if not _why_not(row, {name: value})]
        if good:
            yield say("goals.alone", "{numbers} {goal}.", numbers=_runs(ordered, good), goal=goal)
            continue
        label, why = _nearest(ordered, name, value)
        yield say("goals.none_alone", "None {goal} ({label}: {why}).", goal=goal, label=label, why=why)


def _nearest(ordered: Sequence[HeadRow], name: str, value: Any) -> tuple[str, str]:
    """Return the number that comes nearest to a goal which none meets, and why it does not."""
    planned = [row for row in ordered if not row.refused] or list(ordered)
    measured = [row for row in planned if not row.refused and _NEARNESS[name](row) is not None]
    best = max(measured, key=_NEARNESS[name], default=planned[0])  # type: ignore[arg-type]
    return best.label, _why_not(best, {name: value})


_WORDS = {
    "min_batch_size": template("would hold {value:,} sequences"),
    "min_output_tokens_per_second": template("would reach {value:,.0f} tokens/s"),
    "max_tpot_s": template("would take {value:.1f} ms a token or less"),
    "without_copies": phrase("would keep nothing twice"),
}
_NEARNESS: dict[str, Callable[[HeadRow], float | None]] = {
    "min_batch_size": lambda row: row.max_batch_size,
    "min_output_tokens_per_second": lambda row: row.full_output_tokens_per_second,
    "max_tpot_s": lambda row: -row.time_per_output_token_s if row.time_per_output_token_s and row.fits else None,
    "without_copies": lambda row: -row.kv_replication,
}
"""How near a row comes to a goal: the more, the nearer."""
