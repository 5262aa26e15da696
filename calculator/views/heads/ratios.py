"""What published models chose: how many query heads share a KV head, over all presets, on the axis of a study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log

from calculator.messages import joined, phrase, say
from calculator.planning.heads.presets import PresetHeads, preset_heads
from calculator.planning.heads.rows import HeadRow
from calculator.planning.heads.study import HeadStudy
from calculator.planning.heads.variants import query_heads
from calculator.views.base import Row, View
from calculator.views.heads.chosen import known_plan

NAME, TITLE = "heads-of-presets", phrase("What presets chose")
LATENT, DIFFER = "MLA", phrase("mixed")


@dataclass(frozen=True, eq=False)
class RatioRow(Row):
    """One ratio of heads.

    Attributes
    ----------
    label : str
        Query heads to a KV head, ``MLA`` for latent attention, ``mixed`` where layers differ.
    query_heads_per_kv_head : float or None
        H / G [-].
    num_models : int
        Presets that have it [-].
    models : str
        Their names.
    chosen : bool
        Whether it is that of the row asked about.
    num_key_value_heads : float or None
        KV heads that the model of the study has at that ratio, whole or not: H over it; 1 for a single head, however
        many share it [-].
    place : float or None
        Where that is on the axis of the study, counted in rows from 0; between two where it is none of them; None where
        the study has no such place.
    """

    label: str
    query_heads_per_kv_head: float | None
    num_models: int
    models: str
    chosen: bool
    num_key_value_heads: float | None = None
    place: float | None = None


def ratio_view(study: HeadStudy, row: HeadRow) -> View[RatioRow]:
    """Count presets by their query heads to a KV head, that of one row of a study marked.

    Parameters
    ----------
    study : HeadStudy
        The study [-].
    row : HeadRow
        The row that is marked [-].

    Returns
    -------
    View
        A row a ratio, from multi-head attention up; then latent attention, and models whose layers differ.
    """
    presets = preset_heads()
    counts = Counter(map(_label, presets))
    ratios: dict[str, float | None] = {_label(one): one.query_heads_per_kv_head for one in presets}
    single = set(ratios) - {
        _label(one) for one in presets if one.num_key_value_heads != 1 or one.num_attention_heads == 1
    }
    chosen = LATENT if row.kind == "mla" else _written(row.query_heads_per_kv_head)
    rows = []
    for label in sorted(ratios, key=lambda label: (ratios[label] or float("inf"), label != LATENT)):
        names = ", ".join(one.name for one in presets if _label(one) == label)
        heads = _heads_at(study, ratios[label], label in single)
        place = _place(study.rows, heads) if heads else _place_of_latent(study.rows) if label == LATENT else None
        rows.append(RatioRow(label, ratios[label], counts[label], names, label == chosen, heads, place))
    return View(NAME, TITLE, _finding(rows, len(presets), row), known_plan(study), rows)


def _heads_at(study: HeadStudy, ratio: float | None, single: bool) -> float | None:
    """Return the KV heads that a ratio means for the model of a study; more query heads than it has share one."""
    if ratio is None:
        return None
    return 1.0 if single else max(1.0, query_heads(study.model) / ratio)


def _place(rows: Sequence[HeadRow], heads: float) -> float | None:
    """Return where so many KV heads are among the rows: at one, or between two by the logarithm."""
    known = sorted((row.num_key_value_heads, index) for index, row in enumerate(rows) if row.num_key_value_heads)
    for count, index in known:
        if count == heads:
            return float(index)
    for (few, left), (many, right) in pairwise(known):
        if few < heads < many:
            return left + (right - left) * log(heads / few) / log(many / few)
    return None


def _place_of_latent(rows: Sequence[HeadRow]) -> float | None:
    return next((float(index) for index, row in enumerate(rows) if row.kind == "mla"), None)


def _label(one: PresetHeads) -> str:
    return LATENT if one.is_latent else _written(one.query_heads_per_kv_head)


def _written(ratio: float | None) -> str:
    return DIFFER if ratio is None else f"{ratio:g}"


def _finding(rows: list[RatioRow], presets: int, row: HeadRow) -> str:
    ratios = [row for row in rows if row.query_heads_per_kv_head]
    most = max(row.num_models for row in ratios)
    leading = [row for row in ratios if row.num_models == most]
    chosen = next((row for row in ratios if row.chosen), None)
    common = say(
        "ratios.most" if len(leading) == 1 else "ratios.most_each",
        "{models} of {presets} models have {leading} query heads to a KV head, the most common ratio."
        if len(leading) == 1
        else "{models} of {presets} models have {leading} query heads to a KV head each, the most common ratios.",
        models=most, presets=presets, leading=joined(" and ", [f"{row.label}:1" for row in leading]),
    )  # fmt: skip
    if chosen is None and row.query_heads_per_kv_head:
        return say("ratios.none", "{common} None has {ratio:g}:1.", common=common, ratio=row.query_heads_per_kv_head)
    if chosen is None or chosen.num_models == most:
        return common
    return say(
        "ratios.chosen", "{common} {models} {have} {label}:1.",
        common=common, models=chosen.num_models, have=phrase("has") if chosen.num_models == 1 else phrase("have"),
        label=chosen.label,
    )  # fmt: skip
