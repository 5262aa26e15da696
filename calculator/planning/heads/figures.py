"""Figures that a claim is set against, by the name that data knows them by.

Each is computed from the same functions that answer a plan, or is one that is published; nothing in a claim is typed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from calculator.catalogue.presets import load_model, model_ids
from calculator.catalogue.published import published_pairs
from calculator.planning.heads import model_figures, plan_figures
from calculator.planning.heads.presets import preset_heads

Figure = Callable[..., float]


def presets() -> int:
    """Presets [-]."""
    return len(model_ids())


def presets_with(kv_heads: int | None = None, ratio: float | None = None) -> int:
    """Presets with so many KV heads, or so many query heads a KV head [-]."""
    return sum(
        (kv_heads is None or (each.num_key_value_heads == kv_heads and not each.is_latent))
        and (ratio is None or each.query_heads_per_kv_head == ratio)
        for each in preset_heads()
    )


def _published(study: str, variant: str, benchmark: str) -> Any:
    (found,) = (
        pair for pair in published_pairs() if (pair.study, pair.variant, pair.benchmark) == (study, variant, benchmark)
    )
    return found


def published_value(study: str, variant: str, benchmark: str) -> float:
    """A published value."""
    return float(_published(study, variant, benchmark).value)


def published_baseline(study: str, variant: str, benchmark: str) -> float:
    """What it was compared with."""
    return float(_published(study, variant, benchmark).baseline)


def published_change(study: str, variant: str, benchmark: str) -> float:
    """A published value less what it was compared with."""
    return float(_published(study, variant, benchmark).change)


def presets_of_size(kv_heads: int, least: float = 0, most: float = 1e6, heads: int | None = None) -> int:
    """Presets with so many KV heads, of parameters between two bounds in billions, or of so many query heads [-]."""
    return sum(
        each.num_key_value_heads == kv_heads
        and not each.is_latent
        and heads in (None, each.num_attention_heads)
        and least * 1e9 <= load_model(each.model).num_parameters <= most * 1e9
        for each in preset_heads()
    )


def presets_with_latent() -> int:
    """Presets that keep a latent vector for all heads [-]."""
    return sum(each.is_latent for each in preset_heads())


def presets_by_layer() -> int:
    """Presets whose layers have KV heads of different number [-]."""
    return sum(each.query_heads_per_kv_head is None and not each.is_latent for each in preset_heads())


def fewest_query_heads(kv_heads: int) -> int:
    """The fewest query heads of a preset with so many KV heads [-]."""
    return min(_query_heads_beside(kv_heads))


def most_query_heads(kv_heads: int) -> int:
    """The most query heads of a preset with so many KV heads [-]."""
    return max(_query_heads_beside(kv_heads))


def _query_heads_beside(kv_heads: int) -> list[int]:
    found = (each for each in preset_heads() if each.num_key_value_heads == kv_heads and not each.is_latent)
    return [each.num_attention_heads for each in found]


FIGURES: dict[str, Figure] = {
    name: figure
    for place in (vars(model_figures), vars(plan_figures), globals())
    for name, figure in place.items()
    if getattr(figure, "__module__", "") == place["__name__"] and not name.startswith("_") and callable(figure)
}
"""Every figure by its name."""
