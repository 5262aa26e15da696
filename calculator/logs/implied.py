"""The preset whose layers a log implies, where it names none: by bytes of weights and of a token, and by its class.

Bytes of weights and of a token together are a model's own. The class of a model with the bytes of its weights, or with
the size that people put into its name, are so where no second model of the class has them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from calculator.architecture.caches import EveryToken, LatentVectors, State
from calculator.architecture.model import ModelArchitecture
from calculator.architecture.split import Split
from calculator.architecture.sums import caches_of_model
from calculator.architecture.weights import weight_bytes_per_rank
from calculator.catalogue.presets import load_model, model_by_name, model_ids
from calculator.errors import CalculatorError, InvalidValueError
from calculator.formats.kv import storage_format
from calculator.logs.lines.vocabulary import UNQUANTISED
from calculator.units import GIB

SAME_WEIGHTS = 0.02
"""Logged and predicted weights count as equal within this share."""
NEAR_GIB = 0.08
"""Buffers beside a small model's weights are printed with them [GiB]."""
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
    printed = _printed(flags, figures)
    if printed is None:
        return None
    found: list[tuple[float, ModelArchitecture]] = []
    wanted = _plain(str(flags.get("architecture", "")))
    for model in map(load_model, model_ids()) if printed.token and printed.weights_gib else ():
        if wanted and _plain(model.model_type or "") not in wanted:
            continue
        off = _off(model, printed) if _tokens_fit(model, printed) else None
        if off is not None:
            found.append((off, model))
    if len({(model.groups, model.num_parameters) for _, model in found}) > 1:
        found = _of_that_name(found, named)
    return _nearest(found, flags)


def of_class(flags: Mapping[str, Any], figures: Mapping[str, Any], named: str = "") -> str | None:
    """Return the one preset of the class that a log prints, of its weights, or of the size in its name; None for none.

    Parameters
    ----------
    flags : mapping
        What the log states [-].
    figures : mapping
        What the log prints [-].
    named : str
        What the log calls the model, where that is no preset's name [-].

    Returns
    -------
    str or None
        It.
    """
    printed = _printed(flags, figures)
    return _nearest(_of_its_class(flags, printed, named), flags) if printed else None


def _nearest(found: list[tuple[float, ModelArchitecture]], flags: Mapping[str, Any]) -> str | None:
    """Return the one of the log's length, else the one whose weights are nearest."""
    found.sort(key=lambda row: (row[1].max_position_embeddings != flags.get("seq_len"), row[0]))
    return found[0][1].id if found else None


def likely(flags: Mapping[str, Any], figures: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the presets that a log may be of, by its class and by its bytes a token; none where it tells nothing.

    Parameters
    ----------
    flags : mapping
        What the log states [-].
    figures : mapping
        What the log prints [-].

    Returns
    -------
    tuple of str
        Presets; where the log prints what weights take, those of that size first.
    """
    named = tuple(dict.fromkeys(model.id for model in named_beside(flags, figures)))
    printed = _printed(flags, figures)
    if named or printed is None or not (printed.token or flags.get("architecture")):
        return named
    some = [model for model in map(load_model, model_ids()) if _may_hold(model, printed)]
    if flags.get("architecture"):
        some = [model for model in some if _is_of_class(model, str(flags["architecture"]))]
    else:
        some = [model for model in some if _tokens_fit(model, printed)]
    sizes = _sizes_in(f"{flags.get('model') or ''} {flags.get('served_name') or ''}")
    some = [model for model in some if not (sizes and _sizes_in(model.id)) or sizes & _sizes_in(model.id)]
    off = {model.id: _off(model, printed) for model in some if printed.weights_gib}
    return tuple(sorted((model.id for model in some), key=lambda key: off.get(key) is None))


def sized(flags: Mapping[str, Any], figures: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the presets whose weights take what a log prints, where it does not tell what a token takes.

    Parameters
    ----------
    flags : mapping
        What the log states [-].
    figures : mapping
        What the log prints [-].

    Returns
    -------
    tuple of str
        Those that are made for the length that is printed, or longer, that very length first.
    """
    printed = _printed(flags, figures)
    if printed is None or not printed.weights_gib or printed.token:
        return ()
    length = flags.get("seq_len") or figures.get("concurrency_at") or 0
    within = max(SAME_WEIGHTS, NEAR_GIB / printed.weights_gib)
    off = {model.id: (model, _off(model, printed, within=within)) for model in map(load_model, model_ids())}
    some = [(model, share) for model, share in off.values() if share is not None and _reaches(model, length)]
    some.sort(key=lambda row: (row[0].max_position_embeddings != length, row[1]))
    return tuple(model.id for model, _ in some)


def _reaches(model: ModelArchitecture, length: int) -> bool:
    return model.max_position_embeddings is None or model.max_position_embeddings >= length


def named_beside(flags: Mapping[str, Any], figures: Mapping[str, Any]) -> tuple[ModelArchitecture, ...]:
    """Return the models that the text beside a log's lines names and its figures allow, the longest name first.

    Parameters
    ----------
    flags : mapping
        What the log states, ``words_beside`` among it [-].
    figures : mapping
        What the log prints [-].

    Returns
    -------
    tuple of ModelArchitecture
        One for each name that is a preset's, or the beginning of one alone that says its size.
    """
    printed = _printed(flags, figures)
    words = sorted(flags.get("words_beside", ()), key=len, reverse=True)
    found = (model_by_name(word) or _begun(word) for word in words)
    return tuple(model for model in found if model and (printed is None or _may_hold(model, printed)))


def _begun(word: str) -> ModelArchitecture | None:
    """Return the one preset whose id goes on behind a word that says a size."""
    some = [key for key in model_ids() if key.startswith(f"{word.lower()}-")] if _SIZE.search(word.lower()) else []
    return load_model(some[0]) if len(some) == 1 else None


@dataclass(frozen=True)
class _Printed:
    """What a log prints of a model: bytes of a token at least and at most, weights, over how many ranks.

    ``layers`` are those that keep every token, 0 where no number is printed; ``apart`` says that states are not in
    their pool.
    """

    token: tuple[float, float] | None
    weights_gib: float
    ranks: int
    holders: int
    layers: int = 0
    apart: bool = False
    kept_in: tuple[str, ...] = KEPT_IN


def _printed(flags: Mapping[str, Any], figures: Mapping[str, Any]) -> _Printed | None:
    ranks = int(flags.get("tensor_parallel_size") or figures.get("ranks") or 1)
    if flags.get("pipeline_parallel_size", 1) != 1:
        return None
    weights, holders = figures.get("weights_gib"), ranks
    if "checkpoint_gib" in figures:
        weights, holders = figures["checkpoint_gib"], 1
    layers, apart = int(figures.get("layers", 0)), bool(flags.get("states_apart"))
    return _Printed(_token_bytes(figures), weights or 0.0, ranks, holders, layers, apart, _kept_in(flags))


def _kept_in(flags: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the formats that the cache may be in: the one that the log states, where it is one of those."""
    stated = str(flags.get("kv_cache_dtype") or "").removeprefix("torch.").lower()
    if stated == "auto" and flags.get("quantization") == UNQUANTISED:
        return KEPT_IN[:1]
    if stated in ("f16", "fp16", "float16", "bf16", "bfloat16", "half"):
        return KEPT_IN[:1]
    return KEPT_IN[1:] if "8" in stated and stated.startswith(("fp8", "float8")) else KEPT_IN


_CLASS_ENDS = re.compile(r"(?:For[A-Z]\w{2,40}|LMHeadModel|Model)$")
_SIZE = re.compile(r"(?<![a-z0-9.])([0-9]{1,4}(?:\.[0-9]{1,2})?b)(?![a-z0-9])")
LIGHTEST, HEAVIEST = 0.45, 1.15
"""Weights take at least so many bytes a parameter, and at most so much more than 16 bit [-]."""


def _of_its_class(flags: Mapping[str, Any], printed: _Printed, named: str) -> list[tuple[float, ModelArchitecture]]:
    """Return the models of the class that is printed, where weights, tokens or a size in the name leave one alone."""
    if not flags.get("architecture") or not printed.weights_gib:
        return []
    some = [load_model(key) for key in model_ids()]
    some = [model for model in some if _is_of_class(model, str(flags["architecture"])) and _may_hold(model, printed)]
    by_weights = _by_weights(some, printed, flags.get("quantization") in (None, UNQUANTISED))
    sizes = _sizes_in(f"{named} {flags.get('served_name') or ''}")
    of_size = [(0.0, model) for model in some if sizes & _sizes_in(model.id)]
    by_tokens = [(0.0, model) for model in some if _tokens_fit(model, printed)] if len(some) == 1 else []
    for found in (of_size, *([] if sizes else (by_weights, by_tokens))):
        if found and len({(model.groups, model.num_parameters) for _, model in found}) == 1:
            return found
    return []


APART = 3
"""Weights tell one of a class where no other comes within so many times the tolerance [-]."""


def _by_weights(some: list[ModelArchitecture], printed: _Printed, plain: bool) -> list[tuple[float, ModelArchitecture]]:
    """Return the models whose weights take what is printed; none where another comes near, which may hold more."""
    stored = ("bf16",) if plain else STORED_IN[1:]
    off = [(_off(model, printed, stored, APART * SAME_WEIGHTS), model) for model in some]
    near = [(share, model) for share, model in off if share is not None]
    return near if all(share <= SAME_WEIGHTS for share, _ in near) else []


def _sizes_in(names: str) -> set[str]:
    """Return the sizes that names say, as in 27b."""
    return set(_SIZE.findall(names.lower().replace("_", "-")))


def _is_of_class(model: ModelArchitecture, architecture: str) -> bool:
    """Whether a model is of a class: by its type, or by its id where that is longer than its type says."""
    stem = _plain(_CLASS_ENDS.sub("", architecture))
    kind, key = _plain((model.model_type or "").removesuffix("_text")), _plain(model.id)
    bare = stem.removesuffix("moe")
    return bool(stem) and (stem in (kind, key) or (len(bare) > len(kind) and key.startswith(bare)))


def _may_hold(model: ModelArchitecture, printed: _Printed) -> bool:
    """Whether neither the bytes a token nor those of the weights say that it is another model."""
    size, many = model.num_parameters / printed.holders / GIB, printed.weights_gib
    if many and not LIGHTEST * size <= many <= 2 * HEAVIEST * size + 1:
        return False
    return _tokens_fit(model, printed) is not False


def _tokens_fit(model: ModelArchitecture, printed: _Printed) -> bool | None:
    """Whether the bytes a token are the model's in one of the formats, None where it keeps other than tokens."""
    try:
        sizes = [_bytes_per_token(model, name, printed) for name in printed.kept_in]
    except CalculatorError:
        return False
    if printed.token is None or not all(sizes):
        return None
    return any(printed.token[0] <= size <= printed.token[1] for size in sizes)


def _token_bytes(figures: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return what a token takes on a rank at least and at most, None where the log does not tell [bytes]."""
    if "kv_bytes_per_token" in figures:
        size = float(figures["kv_bytes_per_token"])
        return size, size
    pool, tokens = figures.get("kv_pool_gib"), figures.get("kv_tokens") or figures.get("cells") or figures.get("n_ctx")
    if "needed_gib" in figures and figures.get("concurrency_at"):
        pool, tokens = figures["needed_gib"], figures["concurrency_at"]
    if not pool or not tokens:
        return None
    return (pool - 2 * LAST_DIGIT) * GIB / tokens, (pool + 2 * LAST_DIGIT) * GIB / tokens


def _of_that_name(found: list[tuple[float, ModelArchitecture]], named: str) -> list[tuple[float, ModelArchitecture]]:
    """Return those of several whose id begins as the log's name does, where they keep the same cache; else none."""
    bare = _plain(named.rstrip("/").rpartition("/")[2])
    near = [row for row in found if bare and (_plain(row[1].id).startswith(bare) or bare.startswith(_plain(row[1].id)))]
    return near if len({model.groups for _, model in near}) == 1 else []


def _off(
    model: ModelArchitecture, printed: _Printed, stored: tuple[str, ...] = STORED_IN, within: float = SAME_WEIGHTS
) -> float | None:
    """Return how far the weights of a rank are off in the nearest format; None where they are of another size [-]."""
    many, size = printed.holders, printed.weights_gib
    try:
        off = min(
            abs(weight_bytes_per_rank(model, name, many, 1, 1, many, (1, 1), True)[0] / GIB / size - 1)
            for name in {model.resolve_weight_dtype("auto"), *stored}
        )
    except CalculatorError:
        return None
    return off if off <= within else None


def _bytes_per_token(model: ModelArchitecture, kv_cache_dtype: str, printed: _Printed) -> int:
    """Return what a token takes on a rank, 0 where layers that keep anything but every token share the pool [bytes].

    Raises
    ------
    InvalidValueError
        If other layers keep every token than are printed.
    """
    caches = caches_of_model(model, storage_format(kv_cache_dtype), Split(printed.ranks))
    growing = [(one.layers, one.cache) for one in caches if isinstance(one.cache, EveryToken | LatentVectors)]
    if printed.layers and sum(many for many, _ in growing) != printed.layers:
        raise InvalidValueError(f"{printed.layers} layers", what="model")
    states = sum(1 for one in caches if isinstance(one.cache, State)) if printed.apart else 0
    if len(growing) + states < len(caches):
        return 0
    return sum(many * cache.bytes_per_token for many, cache in growing)


def _plain(name: str) -> str:
    """Return a name without what tells a class from a model type."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
