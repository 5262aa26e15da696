"""Present models on the axis of the study: query heads a KV head of every preset."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from calculator.catalogue.presets import load_model, model_ids
from calculator.planning.heads.variants import keeps_latent


@dataclass(frozen=True, slots=True)
class PresetHeads:
    """The heads of one preset.

    Attributes
    ----------
    model, name : str
        Its id and its name.
    num_attention_heads, num_key_value_heads : int
        Query heads and the most KV heads of a layer [-].
    query_heads_per_kv_head : float or None
        H / G [-]; None where heads share a latent vector, layers differ or no layer has heads.
    is_latent : bool
        Whether it keeps latent vectors.
    """

    model: str
    name: str
    num_attention_heads: int
    num_key_value_heads: int
    query_heads_per_kv_head: float | None
    is_latent: bool


@cache
def preset_heads() -> tuple[PresetHeads, ...]:
    """Return the heads of every preset, in the order of the file."""
    found = []
    for name in model_ids():
        model = load_model(name)
        latent, counts = keeps_latent(model), {count for count in model.kv_heads_by_layer if count}
        ratio = model.num_attention_heads / counts.pop() if len(counts) == 1 and not latent else None
        found.append(PresetHeads(name, model.name, model.num_attention_heads, model.num_key_value_heads, ratio, latent))
    return tuple(found)
