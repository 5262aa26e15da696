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


def implied_by(flags: Mapping[str, Any], figures: Mapping[str, Any], named: str = "") -> str | None:
    """Return the preset whose weights and whose bytes a token are the logged ones; None for none or for several.

    Parameters
    ----------
    flags : mapping
        What the log states [-].
    figures : mapping
        What the log prints; sizes are GiB of one GPU [-].
    named : str
        What the log calls the model, where that is no preset's name: it chooses among several [-].

    Returns
    -------
    str or None
        A preset with those layers, of that context where there is one.

    Notes
    -----
    A pool of ``p`` GiB, printed to two places, holds ``n`` tokens: a token takes ``(p ± 0.005) × 2³⁰ / n`` bytes.
    """
    ranks = int(flags.get("tensor_parallel_size") or figures.get("ranks") or 1)
    token = _token_bytes(figures)
    weights, holders = figures.get("weights_gib"), ranks
    if "checkpoint_gib" in figures:
        weights, holders = figures["checkpoint_gib"], 1
    if token is None or not weights or flags.get("pipeline_parallel_size", 1) != 1:
        return None
    wanted = _plain(str(flags.get("architecture", "")))
    found: list[tuple[float, ModelArchitecture]] = []
    for key in model_ids():
        model = load_model(key)
        if wanted and _plain(model.model_type or "") not in wanted:
            continue
        off = _off(model, ranks, token, weights, holders)
        if off is not None:
            found.append((off, model))
    shapes = {(model.groups, model.num_parameters) for _, model in found}
    if len(shapes) > 1:
        found = _of_that_name(found, named)
    found.sort(key=lambda row: (row[1].max_position_embeddings != flags.get("seq_len"), row[0]))
    return found[0][1].id if found else None


def _token_bytes(figures: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return what a token takes on a rank at least and at most, None where the log does not tell [bytes]."""
    if "kv_bytes_per_token" in figures:
        size = float(figures["kv_bytes_per_token"])
        return size, size
    pool, tokens = figures.get("kv_pool_gib"), figures.get("kv_tokens")
    if not pool or not tokens:
        return None
    return (pool - 2 * LAST_DIGIT) * GIB / tokens, (pool + 2 * LAST_DIGIT) * GIB / tokens


def _of_that_name(found: list[tuple[float, ModelArchitecture]], named: str) -> list[tuple[float, ModelArchitecture]]:
    """Return those of several whose id begins as the log's name does, where they keep the same cache; else none."""
    bare = _plain(named.rstrip("/").rpartition("/")[2])
    near = [row for row in found if bare and (_plain(row[1].id).startswith(bare) or bare.startswith(_plain(row[1].id)))]
    return near if len({model.groups for _, model in near}) == 1 else []


def _off(
    model: ModelArchitecture, ranks: int, token: tuple[float, float], weights_gib: float, holders: int
) -> float | None:
    """Return how far the weights of a rank are off in the nearest format; None where they or a token do not fit [-]."""
    try:
        by_token = [_bytes_per_token(model, name, ranks) for name in KEPT_IN]
        if not any(size and token[0] <= size <= token[1] for size in by_token):
            return None
        off = min(
            abs(weight_bytes_per_rank(model, name, holders, 1, 1, holders, (1, 1), True)[0] / GIB / weights_gib - 1)
            for name in {model.resolve_weight_dtype("auto"), *STORED_IN}
        )
    except CalculatorError:
        return None
    return off if off <= SAME_WEIGHTS else None


def _bytes_per_token(model: ModelArchitecture, kv_cache_dtype: str, ranks: int) -> int:
    """Return what a token takes on a rank, 0 where layers keep anything but every token [bytes]."""
    caches = caches_of_model(model, storage_format(kv_cache_dtype), Split(ranks))
    growing = [(one.layers, one.cache) for one in caches if isinstance(one.cache, EveryToken | LatentVectors)]
    return sum(layers * cache.bytes_per_token for layers, cache in growing) if len(growing) == len(caches) else 0


def _plain(name: str) -> str:
    """Return a name without what tells a class from a model type."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
