"""The preset whose layers a log implies, where it names none: by bytes of weights and of a token, and by its class."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from calculator.architecture.caches import EveryToken, LatentVectors
from calculator.architecture.model import ModelArchitecture
from calculator.architecture.split import Split
from calculator.architecture.sums import caches_of_model
from calculator.architecture.weights import weight_bytes_per_rank
from calculator.catalogue.presets import load_model, model_ids
from calculator.errors import CalculatorError
from calculator.formats.kv import storage_format
from calculator.units import GIB

SAME_WEIGHTS = 0.02
"""Logged and predicted weights count as equal within this share."""
LAST_DIGIT = 0.005
KEPT_IN = ("fp16", "fp8_e4m3")
STORED_IN = ("bf16", "fp8", "awq-int4", "gptq-int4", "nvfp4")


def implied_by(flags: Mapping[str, Any], figures: Mapping[str, Any]) -> str | None:
    """Return the preset whose weights and whose bytes a token are the logged ones; None for none or for several.

    Parameters
    ----------
    flags : mapping
        What the log states [-].
    figures : mapping
        What the log prints; sizes are GiB of one GPU [-].

    Returns
    -------
    str or None
        A preset with those layers, of that context where there is one.

    Notes
    -----
    A pool of ``p`` GiB, printed to two places, holds ``n`` tokens: a token takes ``(p ± 0.005) × 2³⁰ / n`` bytes.
    """
    pool, tokens, weights = (figures.get(name) for name in ("kv_pool_gib", "kv_tokens", "weights_gib"))
    ranks = int(flags.get("tensor_parallel_size") or figures.get("ranks") or 1)
    if not pool or not tokens or not weights or flags.get("pipeline_parallel_size", 1) != 1:
        return None
    least, most = ((pool + off) * GIB / tokens for off in (-2 * LAST_DIGIT, 2 * LAST_DIGIT))
    wanted = _plain(str(flags.get("architecture", "")))
    found: list[ModelArchitecture] = []
    for key in model_ids():
        model = load_model(key)
        if wanted and _plain(model.model_type or "") not in wanted:
            continue
        if _fits(model, ranks, least, most, weights):
            found.append(model)
    shapes = {(model.groups, model.num_parameters) for model in found}
    found.sort(key=lambda model: model.max_position_embeddings != flags.get("seq_len"))
    return found[0].id if len(shapes) == 1 else None


def _fits(model: ModelArchitecture, ranks: int, least: float, most: float, weights_gib: float) -> bool:
    """Whether a token and the weights of a rank are of the logged size in some format."""
    try:
        by_token = [_bytes_per_token(model, name, ranks) for name in KEPT_IN]
        if not any(size and least <= size <= most for size in by_token):
            return False
        return any(
            abs(weight_bytes_per_rank(model, name, ranks, 1, 1, ranks, (1, 1), True)[0] / GIB / weights_gib - 1)
            <= SAME_WEIGHTS
            for name in {model.resolve_weight_dtype("auto"), *STORED_IN}
        )
    except CalculatorError:
        return False


def _bytes_per_token(model: ModelArchitecture, kv_cache_dtype: str, ranks: int) -> int:
    """Return what a token takes on a rank, 0 where layers keep anything but every token [bytes]."""
    caches = caches_of_model(model, storage_format(kv_cache_dtype), Split(ranks))
    growing = [(one.layers, one.cache) for one in caches if isinstance(one.cache, EveryToken | LatentVectors)]
    return sum(layers * cache.bytes_per_token for layers, cache in growing) if len(growing) == len(caches) else 0


def _plain(name: str) -> str:
    """Return a name without what tells a class from a model type."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
