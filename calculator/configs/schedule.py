"""Which kind each layer of a config is: by the lists in use, or by the schedule of its type."""

from __future__ import annotations

from collections.abc import Callable

from calculator.configs.family import Family
from calculator.configs.keys import Keys
from calculator.errors import InvalidValueError, UnsupportedError, shown

LAYER_TYPES = {
    "full_attention": "full_attention",
    "attention": "full_attention",
    "full": "full_attention",
    "global": "full_attention",
    "indexed_attention": "full_attention",
    "sliding_attention": "sliding_attention",
    "local": "sliding_attention",
    "chunked_attention": "chunked_attention",
    "linear_attention": "linear_attention",
    "mamba": "linear_attention",
    "recurrent": "linear_attention",
    "conv": "linear_attention",
    "hybrid": "hybrid",
    "mlp": "mlp",
    "moe": "moe",
}
WINDOWED = ("sliding_attention", "chunked_attention")
PATTERN_LETTERS = {"M": "linear_attention", "*": "full_attention", "-": "mlp", "E": "moe"}


def layer_kinds(keys: Keys, family: Family, num_layers: int) -> list[str]:
    """Return the kind of every layer, by the config's own lists or by the type's schedule.

    Raises
    ------
    InvalidValueError
        If a list has the wrong length, or two lists contradict each other.
    UnsupportedError
        If a list names a kind of layer that is not known, or that the type does not have.
    """
    listed = _listed(keys, num_layers)
    schedule = _SCHEDULES.get(family.pattern)
    if listed is not None:
        if schedule:
            keys.ignore(*_SCHEDULE_KEYS, family.pattern_key)
        _check(family, listed)
        return _ended(family, listed)
    if family.both:
        return ["hybrid"] * num_layers
    if family.all_windowed and keys.optional_count(family.all_windowed):
        return ["sliding_attention"] * num_layers
    return schedule(keys, family, num_layers) if schedule else ["full_attention"] * num_layers


def _check(family: Family, kinds: list[str]) -> None:
    allowed = {"full_attention"}
    if family.all_windowed or family.pattern in (*WINDOWED, *_WINDOW_SCHEDULES):
        allowed.update(WINDOWED)
    if family.state:
        allowed.add("linear_attention")
        if family.both or family.special == "shared_blocks":
            allowed.add("hybrid")
    if family.single:
        allowed.update(("mlp", "moe"))
    other = sorted(set(kinds) - allowed)
    if other:
        raise UnsupportedError(
            f"layer_types, or the list in its place, names {other[0]}, which this model type does not have"
        )


def pattern_length(keys: Keys) -> int | None:
    """Return the number of layers that a list of kinds tells, or None without one."""
    for name in ("hybrid_override_pattern", "layers_block_type", "layer_types"):
        value = keys.value(name)
        if isinstance(value, str | list) and value:
            return len(value)
    return None


def _listed(keys: Keys, num_layers: int) -> list[str] | None:
    """Return what the lists in the config say, None without one; lists that contradict each other are refused."""
    found: dict[str, list[str]] = {}
    for name in ("layer_types", "layers_block_type", "attention_layers"):
        names = keys.names(name, num_layers)
        if names is not None:
            unknown = sorted(set(names) - set(LAYER_TYPES))
            if unknown:
                raise UnsupportedError(f"{name} names {shown(unknown[0])}, a kind of layer that is not understood")
            found[name] = [LAYER_TYPES[kind] for kind in names]
    pattern = keys.value("hybrid_override_pattern")
    if pattern is not None:
        found["hybrid_override_pattern"] = _letters(pattern, num_layers)
    for name, chosen, other in (
        ("attn_type_list", "full_attention", "linear_attention"),
        ("hybrid_layer_pattern", "sliding_attention", "full_attention"),
    ):
        numbers = keys.numbers(name)
        if numbers is not None:
            if len(numbers) != num_layers or not set(numbers) <= {0, 1}:
                raise InvalidValueError(f"{name} must list 0 or 1 for each of the {num_layers:,} layers")
            found[name] = [chosen if number else other for number in numbers]
    for name in ("attn_layer_indices", "full_attn_idxs"):
        numbers = keys.numbers(name)
        if numbers is not None:
            if any(number >= num_layers for number in numbers):
                raise InvalidValueError(f"{name} names a layer beyond the {num_layers:,} there are")
            chosen_layers = set(numbers)
            found[name] = ["full_attention" if i in chosen_layers else "linear_attention" for i in range(num_layers)]
    if not found:
        return None
    first, *others = found.items()
    for name, kinds in others:
        if kinds != first[1]:
            raise InvalidValueError(f"contradictory: {first[0]} and {name} give different kinds of layers")
    return first[1]


def _letters(pattern: object, num_layers: int) -> list[str]:
    if not isinstance(pattern, str) or not set(pattern) <= set(PATTERN_LETTERS):
        raise InvalidValueError(
            f"hybrid_override_pattern must be a text of the letters {' '.join(PATTERN_LETTERS)}, not {shown(pattern)}"
        )
    if len(pattern) != num_layers:
        raise InvalidValueError(f"hybrid_override_pattern has {len(pattern):,} letters for {num_layers:,} layers")
    return [PATTERN_LETTERS[letter] for letter in pattern]


def _every(keys: Keys, family: Family, num_layers: int) -> list[str]:
    """All but each n-th layer are of the pattern's kind, which is full attention."""
    if family.pattern in WINDOWED and keys.optional_count("sliding_window") is None:
        return ["full_attention"] * num_layers
    period = keys.count(family.pattern_key) if family.pattern_key else family.pattern_period
    kinds = ["full_attention" if (index + 1) % period == 0 else family.pattern for index in range(num_layers)]
    if family.pattern_full_first:
        kinds[0] = "full_attention"
    if family.pattern_full_last == "if none" and "full_attention" not in kinds:
        kinds[-1] = "full_attention"
    return _ended(family, kinds)


def _ended(family: Family, kinds: list[str]) -> list[str]:
    """Return the kinds with the last one full where the type demands it."""
    return [*kinds[:-1], "full_attention"] if family.pattern_full_last == "always" else kinds


def _only_listed(keys: Keys, family: Family, num_layers: int) -> list[str]:  # noqa: ARG001
    """The type has no schedule of its own."""
    raise InvalidValueError("layer_types (or layers_block_type, or hybrid_override_pattern) is missing")


def _after_dense(keys: Keys, family: Family, num_layers: int) -> list[str]:  # noqa: ARG001
    """One period over the leading dense layers, and another that starts anew behind them."""
    first = keys.count("first_k_dense_replace", minimum=0)
    before, after = keys.count("prefix_dense_sliding_window_pattern"), keys.count("sliding_window_pattern")
    periods = [(i, before) for i in range(min(first, num_layers))] + [(i, after) for i in range(num_layers - first)]
    return ["full_attention" if (index + 1) % period == 0 else "sliding_attention" for index, period in periods]


def _alternating(keys: Keys, family: Family, num_layers: int) -> list[str]:
    """Each n-th layer keeps a state, the others are full attention."""
    period = keys.count(family.pattern_key) if family.pattern_key else family.pattern_period
    return ["linear_attention" if (index + 1) % period == 0 else "full_attention" for index in range(num_layers)]


def _from_max_window_layers(keys: Keys, family: Family, num_layers: int) -> list[str]:  # noqa: ARG001
    """With ``use_sliding_window``, layers from ``max_window_layers`` on keep a window."""
    first = keys.optional_count("max_window_layers", minimum=0)
    used, window = keys.flag("use_sliding_window"), keys.optional_count("sliding_window", minimum=0)
    if not used or not window:
        return ["full_attention"] * num_layers
    start = num_layers if first is None else first
    return ["sliding_attention" if index >= start else "full_attention" for index in range(num_layers)]


def _all_if_used(keys: Keys, family: Family, num_layers: int) -> list[str]:  # noqa: ARG001
    """With ``use_sliding_window``, every layer keeps a window."""
    keys.ignore("max_window_layers")
    used, window = keys.flag("use_sliding_window"), keys.optional_count("sliding_window", minimum=0)
    return ["sliding_attention" if used and window else "full_attention"] * num_layers


def _never_used(keys: Keys, family: Family, num_layers: int) -> list[str]:  # noqa: ARG001
    """Windows of the type are refused: the reference and the engine differ on which layers have one."""
    keys.ignore("max_window_layers", "sliding_window")
    if keys.flag("use_sliding_window"):
        raise UnsupportedError("use_sliding_window true is not understood for this model type")
    return ["full_attention"] * num_layers


def _no_rope_layers(keys: Keys, family: Family, num_layers: int) -> list[str]:  # noqa: ARG001
    """Layers with rotary embeddings attend within chunks; each fourth has none, unless a list says otherwise."""
    rope = _rope(keys, num_layers)
    chunked = keys.optional_count("attention_chunk_size")
    return ["chunked_attention" if has_rope and chunked else "full_attention" for has_rope in rope]


def _windowed_without_rope(keys: Keys, family: Family, num_layers: int) -> list[str]:  # noqa: ARG001
    """With ``use_sliding_window``, layers without rotary embeddings keep a window."""
    rope = _rope(keys, num_layers)
    used, window = keys.flag("use_sliding_window"), keys.optional_count("sliding_window", minimum=0)
    return ["sliding_attention" if used and window and not has_rope else "full_attention" for has_rope in rope]


def _rope(keys: Keys, num_layers: int) -> list[int]:
    listed = keys.numbers("no_rope_layers")
    interval = keys.optional_count("no_rope_layer_interval") or 4
    if listed and len(listed) != num_layers:
        raise InvalidValueError(f"no_rope_layers has {len(listed):,} entries for {num_layers:,} layers")
    return listed or [int((index + 1) % interval != 0) for index in range(num_layers)]


def _attn_layer_period(keys: Keys, family: Family, num_layers: int) -> list[str]:  # noqa: ARG001
    """Each n-th layer from an offset on is attention, the others keep a state."""
    period, offset = keys.count("attn_layer_period"), keys.count("attn_layer_offset", minimum=0)
    return ["full_attention" if index % period == offset else "linear_attention" for index in range(num_layers)]


def _all_linear(keys: Keys, family: Family, num_layers: int) -> list[str]:  # noqa: ARG001
    """Every layer keeps a state."""
    return ["linear_attention"] * num_layers


def _attention_types(keys: Keys, family: Family, num_layers: int) -> list[str]:  # noqa: ARG001
    """Lists of kinds, each with the number of times that it is repeated."""
    given = keys.value("attention_types")
    if given is None:
        given = [[["global", "local"], num_layers // 2]]
    kinds: list[str] = []
    for entry in given if isinstance(given, list) else [None]:
        names, times = entry if isinstance(entry, list) and len(entry) == 2 else (None, None)
        known = isinstance(names, list) and all(name in ("global", "local") for name in names)
        if not known or type(times) is not int or not 0 <= times <= num_layers:
            raise InvalidValueError(f"attention_types must list kinds and their repeats, not {shown(given)}")
        kinds += [LAYER_TYPES[name] for name in names or ()] * times
    if len(kinds) != num_layers:
        raise InvalidValueError(f"attention_types gives {len(kinds):,} layers, not the {num_layers:,} there are")
    return kinds


def _two_lists(keys: Keys, family: Family, num_layers: int) -> list[str]:  # noqa: ARG001
    """Two lists that count layers from one, or each fourth layer after the first."""
    nested = keys.nested("linear_attn_config")
    full, linear = (nested.numbers("full_attn_layers"), nested.numbers("kda_layers")) if nested else (None, None)
    if full is None or linear is None:
        return ["full_attention" if i and i % 4 == 0 else "linear_attention" for i in range(num_layers)]
    if sorted((*full, *linear)) != list(range(1, num_layers + 1)):
        raise InvalidValueError(
            f"linear_attn_config: full_attn_layers and kda_layers must name each of the layers 1 to {num_layers:,} once"
        )
    return ["full_attention" if i + 1 in full else "linear_attention" for i in range(num_layers)]


_SCHEDULES: dict[str, Callable[[Keys, Family, int], list[str]]] = {
    "sliding_attention": _every,
    "linear_attention": _every,
    "alternating": _alternating,
    "from_max_window_layers": _from_max_window_layers,
    "all_if_used": _all_if_used,
    "never_used": _never_used,
    "no_rope_layers": _no_rope_layers,
    "windowed_without_rope": _windowed_without_rope,
    "attn_layer_period": _attn_layer_period,
    "all_linear": _all_linear,
    "attention_types": _attention_types,
    "two_lists": _two_lists,
    "listed": _only_listed,
    "after_dense": _after_dense,
}
_WINDOW_SCHEDULES = (
    "all_if_used",
    "from_max_window_layers",
    "no_rope_layers",
    "windowed_without_rope",
    "attention_types",
    "after_dense",
)
_SCHEDULE_KEYS = (
    "use_sliding_window", "max_window_layers", "no_rope_layers", "no_rope_layer_interval", "attn_layer_period",
    "attn_layer_offset", "prefix_dense_sliding_window_pattern", "full_attention_interval",
    "attention_types", "sliding_window_pattern",
)  # fmt: skip
