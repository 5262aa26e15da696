"""The lists in which configs say which kind each layer is; lists that contradict each other are refused."""

from __future__ import annotations

from calculator.configs.keys import Keys
from calculator.errors import InvalidValueError, UnsupportedError, shown
from calculator.messages import say

LAYER_TYPES = {
    "full_attention": "full_attention",
    "attention": "full_attention",
    "full": "full_attention",
    "global": "full_attention",
    "indexed_attention": "full_attention",
    "deepseek_sparse_attention": "full_attention",
    "minimax_m3_sparse": "indexed",
    "sliding_attention": "sliding_attention",
    "local": "sliding_attention",
    "chunked_attention": "chunked_attention",
    "linear_attention": "linear_attention",
    "mamba": "linear_attention",
    "recurrent": "linear_attention",
    "conv": "linear_attention",
    "hybrid": "hybrid",
    "hybrid_sliding": "hybrid_sliding",
    "mlp": "mlp",
    "moe": "moe",
}
PATTERN_LETTERS = {"M": "linear_attention", "*": "full_attention", "-": "mlp", "E": "moe"}


def pattern_length(keys: Keys) -> int | None:
    """Return the number of layers that a list of kinds tells, or None without one."""
    for name in ("hybrid_override_pattern", "layers_block_type", "layer_types"):
        value = keys.value(name)
        if isinstance(value, str | list) and value:
            return len(value)
    return None


def listed_kinds(keys: Keys, num_layers: int) -> list[str] | None:
    """Return what the lists in the config say, None without one; lists that contradict each other are refused."""
    found: dict[str, list[str]] = {}
    for name in ("layer_types", "layers_block_type", "attention_layers"):
        names = keys.names(name, num_layers)
        if names is not None:
            unknown = sorted(set(names) - set(LAYER_TYPES))
            if unknown:
                raise UnsupportedError(
                    say(
                        "listed.names_kind_layer_not",
                        "{name} names {unknown}, a kind of layer that is not understood",
                        name=name,
                        unknown=shown(unknown[0]),
                    ),
                    what=name,
                    asked=unknown[0],
                    allowed=sorted(LAYER_TYPES),
                )
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
                raise InvalidValueError(
                    say(
                        "listed.must_list_each_layers",
                        "{name} must list 0 or 1 for each of the {num_layers:,} layers",
                        name=name,
                        num_layers=num_layers,
                    ),
                    what=name,
                    allowed=(0, 1),
                )
            found[name] = [chosen if number else other for number in numbers]
    if (windows := _windows(keys, num_layers)) is not None:
        found["interleaved_sliding_window"] = windows
    for name in ("attn_layer_indices", "full_attn_idxs"):
        numbers = keys.numbers(name)
        if numbers is not None:
            if any(number >= num_layers for number in numbers):
                raise InvalidValueError(
                    say(
                        "listed.names_layer_beyond_there",
                        "{name} names a layer beyond the {num_layers:,} there are",
                        name=name,
                        num_layers=num_layers,
                    ),
                    what=name,
                    asked=max(numbers),
                    allowed=num_layers - 1,
                )
            chosen_layers = set(numbers)
            found[name] = ["full_attention" if i in chosen_layers else "linear_attention" for i in range(num_layers)]
    if not found:
        return None
    first, *others = found.items()
    for name, kinds in others:
        if kinds != first[1]:
            raise InvalidValueError(
                say(
                    "listed.contradictory_give_different_kinds",
                    "contradictory: {first} and {name} give different kinds of layers",
                    first=first[0],
                    name=name,
                ),
                what=name,
            )
    return first[1]


def _windows(keys: Keys, num_layers: int) -> list[str] | None:
    """Return what a list of windows says, null for full attention; all windows must be the one that is stated."""
    name = "interleaved_sliding_window"
    listed = keys.value(name)
    if listed is None:
        return None
    if not isinstance(listed, list) or len(listed) != num_layers:
        raise InvalidValueError(
            say(
                "listed.must_list_window_null",
                "{name} must list a window or null for each of the {num_layers:,} layers, not {listed}",
                name=name,
                num_layers=num_layers,
                listed=shown(listed),
            ),
            what=name,
            asked=listed,
        )
    window = keys.optional_count("sliding_window")
    other = next((size for size in listed if size is not None and (type(size) is not int or size != window)), None)
    if other is not None:
        raise UnsupportedError(
            say(
                "listed.has_where_sliding_window",
                "{name} has {other} where sliding_window is {window}: windows of other sizes are not understood there",
                name=name,
                other=shown(other),
                window=shown(window),
            ),
            what=name,
            asked=other,
            allowed=window,
        )
    return ["full_attention" if size is None else "sliding_attention" for size in listed]


def _letters(pattern: object, num_layers: int) -> list[str]:
    if not isinstance(pattern, str) or not set(pattern) <= set(PATTERN_LETTERS):
        raise InvalidValueError(
            say(
                "listed.hybrid_override_pattern_must",
                "hybrid_override_pattern must be a text of the letters {names}, not {pattern}",
                names=" ".join(PATTERN_LETTERS),
                pattern=shown(pattern),
            ),
            what="hybrid_override_pattern",
            asked=pattern,
            allowed=tuple(PATTERN_LETTERS),
        )
    if len(pattern) != num_layers:
        raise InvalidValueError(
            say(
                "listed.hybrid_override_pattern_has",
                "hybrid_override_pattern has {pattern:,} letters for {num_layers:,} layers",
                pattern=len(pattern),
                num_layers=num_layers,
            ),
            what="hybrid_override_pattern",
            asked=len(pattern),
            allowed=num_layers,
        )
    return [PATTERN_LETTERS[letter] for letter in pattern]
