"""From stated goals to the fewest and the most KV heads that meet them; without goals there is no recommendation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calculator.errors import InvalidValueError
from calculator.messages import joined, say
from calculator.planning.heads.evidence import QualityEvidence, evidence_at, quality_evidence
from calculator.planning.heads.rows import HeadRow
from calculator.reading.fields import Count, Field, Flag, Number, optional
from calculator.reading.schema import Schema

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
        of KV heads where query heads are not printed; of latent attention where it alone meets them.
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
        }


def recommendation(rows: Sequence[HeadRow], heads: int, goals: Mapping[str, Any]) -> Recommendation:
    """Return what meets goals, by central values; raise where no goal is stated."""
    stated = {name: value for name, value in _SCHEMA.validate(goals).items() if value is not None}
    if not stated:
        raise InvalidValueError(
            "no goal is stated: give min_batch_size, min_output_tokens_per_second, max_tpot_s or without_copies; "
            "without one no number of KV heads is better than another",
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
        finding=_finding(rows, meets, reasons, of_largest),
    )


def _why_not(row: HeadRow, goals: Mapping[str, Any]) -> str:
    """Say why a row misses a goal; empty where it meets all."""
    if row.refused:
        return row.refused
    least = goals.get("min_batch_size")
    if least is not None and row.max_batch_size < least:
        return say(
            "goals.batch", "holds {held:,} sequences, fewer than {asked:,}", held=row.max_batch_size, asked=least
        )
    rate = goals.get("min_output_tokens_per_second")
    if rate is not None:
        found = row.full_output_tokens_per_second
        if found is None:
            return row.why or say("goals.no_room", "holds no sequence")
        if found < rate:
            return say("goals.rate", "reaches {found:,.0f} tokens/s, fewer than {asked:,.0f}", found=found, asked=rate)
    longest = goals.get("max_tpot_s")
    if longest is not None:
        if row.time_per_output_token_s is None:
            return row.why
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


def _evidence(kv_heads: int | None, heads: int, latent_meets: bool) -> QualityEvidence:
    if kv_heads is None or kv_heads == heads:
        return quality_evidence(kind="mla" if kv_heads is None and latent_meets else "mha")
    return evidence_at(kv_heads, heads)


def _finding(
    rows: Sequence[HeadRow], meets: Sequence[HeadRow], reasons: Mapping[str, str], evidence: QualityEvidence
) -> str:
    ordered = [row for row in rows if row.is_counted]
    good = [row for row in ordered if row in meets]
    parts: list[str] = []
    if good:
        template = (
            "{fewest} to {most} KV heads meet the goals." if len(good) > 1 else "{fewest} KV heads meet the goals."
        )
        parts.append(say("goals.range", template, fewest=good[0].label, most=good[-1].label))
        beyond = ordered.index(good[-1]) + 1
        if beyond < len(ordered):
            over = ordered[beyond]
            parts.append(say("goals.beyond", "With {label} it {why}.", label=over.label, why=reasons[over.label]))
    else:
        first = next((f"{label}: {why}" for label, why in reasons.items()), "")
        parts.append(say("goals.none", "No number of KV heads meets the goals ({first}).", first=first))
    if any(row.kind == "mla" for row in meets):
        parts.append(say("goals.latent", "Latent attention does."))
    parts.append(evidence.finding)
    return joined(" ", parts)
