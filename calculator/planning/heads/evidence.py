"""What is published about quality at some number of KV heads: pairs as printed, conflicts and gaps beside them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from calculator.architecture.limits import MAX_HEADS
from calculator.catalogue.published import KINDS, PublishedPair, Remark, published_pairs, published_remarks
from calculator.errors import InvalidValueError, friendly, shown, unknown_name
from calculator.messages import joined, say
from calculator.units import plural

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class QualityEvidence:
    """Published pairs that a question is about; nothing between them is computed.

    Attributes
    ----------
    rows : tuple of PublishedPair
        The pairs, as printed.
    conflicts : tuple of Remark
        What the sources disagree on, and why.
    missing : tuple of Remark
        What is printed nowhere.
    finding : str
        What there is, in a sentence.
    """

    rows: tuple[PublishedPair, ...]
    conflicts: tuple[Remark, ...]
    missing: tuple[Remark, ...]
    finding: str

    def frame(self) -> pandas.DataFrame:
        """Return the pairs as a DataFrame, with the change and the ratio of heads beside the printed values."""
        import pandas

        derived = ("change", "query_heads_per_kv_head")
        rows = [{**asdict(row), **{name: getattr(row, name) for name in derived}} for row in self.rows]
        columns = [*PublishedPair.__dataclass_fields__, *derived]
        return pandas.DataFrame(rows, columns=columns).convert_dtypes()


@friendly
def quality_evidence(
    kv_heads: int | None = None, kind: str | None = None, query_heads_per_kv_head: float | None = None
) -> QualityEvidence:
    """Return published pairs of quality and speed with their sources, never interpolated.

    Parameters
    ----------
    kv_heads : int, optional
        Only pairs with so many KV heads [-].
    kind : str, optional
        Only ``mqa``, ``gqa``, ``mla`` or ``format``, a KV format beside 16 bit; ``mha`` is what the others are
        compared with [-].
    query_heads_per_kv_head : float, optional
        Only pairs with this ratio H / G, where it is printed [-].

    Returns
    -------
    QualityEvidence
        The pairs, what they disagree on, and what is printed nowhere; no rows where nothing is published.

    Raises
    ------
    CalculatorError
        If a kind is unknown or a number out of bounds.
    """
    if kind is not None and kind not in (*KINDS, "mha"):
        raise unknown_name("kind of attention", kind, (*KINDS, "mha"))
    if kv_heads is not None and not (type(kv_heads) is int and 1 <= kv_heads <= MAX_HEADS):
        raise InvalidValueError(
            say(
                "evidence.kv_heads_must_whole",
                "kv_heads must be a whole number from 1 to {max_heads:,}, not {kv_heads}",
                max_heads=MAX_HEADS,
                kv_heads=shown(kv_heads),
            ),
            what="kv_heads",
            asked=kv_heads,
            allowed=(1, MAX_HEADS),
        )
    ratio = query_heads_per_kv_head
    if ratio is not None and not (isinstance(ratio, int | float) and not isinstance(ratio, bool) and ratio >= 1):
        raise InvalidValueError(
            say(
                "evidence.query_heads_per_kv",
                "query_heads_per_kv_head must be a number of at least 1, not {ratio}",
                ratio=shown(ratio),
            ),
            what="query_heads_per_kv_head",
            asked=ratio,
            nearest=1,
        )
    rows = tuple(
        pair
        for pair in published_pairs()
        if (kind is None or pair.kind == kind)
        and (kv_heads is None or (pair.num_key_value_heads == kv_heads and pair.kind != "format"))
        and (ratio is None or (pair.query_heads_per_kv_head == ratio and pair.kind != "format"))
    )
    kinds = {kind} if kind else {pair.kind for pair in rows} or {_kind_of(kv_heads)}
    return _evidence(rows, kinds, _finding(rows, _about(kv_heads, kind, ratio), kind))


def evidence_at(kv_heads: int, num_attention_heads: int) -> QualityEvidence:
    """Return pairs with the same ratio of heads, and those with as many KV heads that print no query heads."""
    ratio = num_attention_heads / kv_heads
    rows = tuple(
        pair
        for pair in published_pairs()
        if pair.kind != "format"
        and (pair.query_heads_per_kv_head or (pair.num_key_value_heads == kv_heads and ratio)) == ratio
    )
    about = say(
        "evidence.at",
        "{ratio:g} query heads a KV head, or {heads} where query heads are not printed",
        ratio=ratio, heads=plural(kv_heads, "KV head"),
    )  # fmt: skip
    return _evidence(rows, {pair.kind for pair in rows} or {_kind_of(kv_heads)}, _finding(rows, about, None))


def _evidence(rows: tuple[PublishedPair, ...], kinds: set[str], finding: str) -> QualityEvidence:
    conflicts, missing = (
        tuple(remark for remark in remarks if kinds & set(remark.kinds)) for remarks in published_remarks()[:2]
    )
    return QualityEvidence(rows, conflicts, missing, finding)


def _kind_of(kv_heads: int | None) -> str:
    return "mqa" if kv_heads == 1 else "gqa"


def _about(kv_heads: int | None, kind: str | None, ratio: float | None) -> str:
    asked = [
        *([plural(kv_heads, "KV head")] if kv_heads is not None else []),
        *([say("evidence.ratio", "{ratio:g} query heads a KV head", ratio=ratio)] if ratio is not None else []),
        *([say("evidence.format", "KV formats")] if kind == "format" else []),
        *([say("evidence.kind", "{kind}", kind=kind.upper())] if kind and kind != "format" else []),
    ]
    return joined(", ", asked) if asked else say("evidence.anything", "KV heads, latent attention and KV formats")


def _finding(rows: tuple[PublishedPair, ...], about: str, kind: str | None) -> str:
    if kind == "mha":
        return say("evidence.baseline", "Multi-head attention is what the published pairs are compared with.")
    if not rows:
        return say(
            "evidence.none",
            "Nothing is published for {about}: the pairs beside it are not interpolated.",
            about=about,
        )
    points = [row.change for row in rows if row.unit == "points" and row.category in ("trained", "uptrained")]
    spread = say(
        "evidence.spread",
        "; {trained:,} of them, of models trained or uptrained so, from {least:+g} to {most:+g} points against "
        "multi-head attention",
        trained=len(points), least=min(points), most=max(points),
    ) if points else ""  # fmt: skip
    return say(
        "evidence.pairs",
        "{pairs} of {studies} for {about}{spread}. They are shown, not averaged.",
        pairs=plural(len(rows), "published pair"), studies=plural(len({row.study for row in rows}), "work"),
        about=about, spread=spread,
    )  # fmt: skip
