"""The schedules of the types: which kind each layer is where a config lists none."""

from __future__ import annotations

from collections.abc import Callable

from calculator.configs.keys import Keys
from calculator.configs.schedules.listed import LAYER_TYPES
from calculator.configs.schedules.schedule import CHUNK, FULL_ATTENTION, STATE, WINDOW, WINDOWED, Schedule
from calculator.errors import InvalidValueError, UnsupportedError, shown
from calculator.messages import say


def _each(kind: str) -> Callable[[Keys, int], list[str]]:
    return lambda _, num_layers: [kind] * num_layers


def _windows(keys: Keys, num_layers: int) -> list[str]:
    return [WINDOW if keys.optional_count("sliding_window") else FULL_ATTENTION] * num_layers


def _after_dense(keys: Keys, num_layers: int) -> list[str]:
    """One period over the leading dense layers, and another that starts anew behind them."""
    first = keys.count("first_k_dense_replace", minimum=0)
    before, after = keys.count("prefix_dense_sliding_window_pattern"), keys.count("sliding_window_pattern")
    periods = [(i, before) for i in range(min(first, num_layers))] + [(i, after) for i in range(num_layers - first)]
    return [FULL_ATTENTION if (index + 1) % period == 0 else WINDOW for index, period in periods]


def _every_second_state(keys: Keys, num_layers: int) -> list[str]:  # noqa: ARG001
    return [STATE if index % 2 else FULL_ATTENTION for index in range(num_layers)]


def _windows_used(keys: Keys) -> bool:
    used, window = keys.flag("use_sliding_window"), keys.optional_count("sliding_window", minimum=0)
    return bool(used and window)


def _from_max_window_layers(keys: Keys, num_layers: int) -> list[str]:
    """With ``use_sliding_window``, layers from ``max_window_layers`` on keep a window."""
    first, used = keys.optional_count("max_window_layers", minimum=0), _windows_used(keys)
    start = num_layers if first is None or not used else first
    return [WINDOW if index >= start else FULL_ATTENTION for index in range(num_layers)]


def _all_if_used(keys: Keys, num_layers: int) -> list[str]:
    """With ``use_sliding_window``, every layer keeps a window."""
    keys.ignore("max_window_layers")
    return [WINDOW if _windows_used(keys) else FULL_ATTENTION] * num_layers


def _never_used(keys: Keys, num_layers: int) -> list[str]:
    """Windows of the type are refused: the reference and the engine differ on which layers have one."""
    keys.ignore("max_window_layers", "sliding_window")
    if keys.flag("use_sliding_window"):
        raise UnsupportedError(
            say("rules.use_sliding_window_true", "use_sliding_window true is not understood for this model type"),
            what="use_sliding_window",
            asked=True,
        )
    return [FULL_ATTENTION] * num_layers


def _chunks_with_rope(keys: Keys, num_layers: int) -> list[str]:
    """Layers with rotary embeddings attend within chunks; each fourth has none, unless a list says otherwise."""
    rope, chunk = _rope(keys, num_layers), keys.optional_count("attention_chunk_size")
    return [CHUNK if has_rope and chunk else FULL_ATTENTION for has_rope in rope]


def _windows_without_rope(keys: Keys, num_layers: int) -> list[str]:
    """With ``use_sliding_window``, layers without rotary embeddings keep a window."""
    rope, used = _rope(keys, num_layers), _windows_used(keys)
    return [WINDOW if used and not has_rope else FULL_ATTENTION for has_rope in rope]


def _rope(keys: Keys, num_layers: int) -> list[int]:
    given = keys.numbers("no_rope_layers")
    interval = keys.optional_count("no_rope_layer_interval") or 4
    if given and len(given) != num_layers:
        raise InvalidValueError(
            say(
                "rules.no_rope_layers_has",
                "no_rope_layers has {given:,} entries for {num_layers:,} layers",
                given=len(given),
                num_layers=num_layers,
            ),
            what="no_rope_layers",
        )
    return given or [int((index + 1) % interval != 0) for index in range(num_layers)]


def _attn_layer_period(keys: Keys, num_layers: int) -> list[str]:
    """Each n-th layer from an offset on is attention, the others keep a state."""
    period, offset = keys.count("attn_layer_period"), keys.count("attn_layer_offset", minimum=0)
    return [FULL_ATTENTION if index % period == offset else STATE for index in range(num_layers)]


def _attention_types(keys: Keys, num_layers: int) -> list[str]:
    """Lists of kinds, each with the number of times that it is repeated."""
    given = keys.value("attention_types")
    if given is None:
        given = [[["global", "local"], num_layers // 2]]
    kinds: list[str] = []
    for entry in given if isinstance(given, list) else [None]:
        names, times = entry if isinstance(entry, list) and len(entry) == 2 else (None, None)
        known = isinstance(names, list) and all(name in ("global", "local") for name in names)
        if not known or type(times) is not int or not 0 <= times <= num_layers:
            raise InvalidValueError(
                say(
                    "rules.attention_types_must_list",
                    "attention_types must list kinds and their repeats, not {given}",
                    given=shown(given),
                ),
                what="attention_types",
            )
        kinds += [LAYER_TYPES[name] for name in names or ()] * times
    if len(kinds) != num_layers:
        raise InvalidValueError(
            say(
                "rules.attention_types_gives_layers",
                "attention_types gives {kinds:,} layers, not the {num_layers:,} there are",
                kinds=len(kinds),
                num_layers=num_layers,
            ),
            what="attention_types",
        )
    return kinds


def _two_lists(keys: Keys, num_layers: int) -> list[str]:
    """Two lists that count layers from one, or each fourth layer after the first."""
    nested = keys.nested("linear_attn_config")
    full, linear = (nested.numbers("full_attn_layers"), nested.numbers("kda_layers")) if nested else (None, None)
    if full is None or linear is None:
        return [FULL_ATTENTION if i and i % 4 == 0 else STATE for i in range(num_layers)]
    if sorted((*full, *linear)) != list(range(1, num_layers + 1)):
        raise InvalidValueError(
            say(
                "rules.linear_attn_config_full",
                "linear_attn_config: full_attn_layers and kda_layers must name each of the layers 1 to "
                "{num_layers:,} once",
                num_layers=num_layers,
            ),
            what="linear_attn_config",
        )
    return [FULL_ATTENTION if i + 1 in full else STATE for i in range(num_layers)]


def _convolutions_by_fours(keys: Keys, num_layers: int) -> list[str]:  # noqa: ARG001
    """Of four layers two keep a convolution's columns, one a window and one every token; the first has no window."""
    kinds = {0: WINDOW, 2: FULL_ATTENTION}
    return [kinds.get(index % 4, STATE) if index else STATE for index in range(num_layers)]


def _windows_by_numbers(keys: Keys, num_layers: int) -> list[str]:
    """Layers whose numbers a list has keep a window, without a list all but each sixth; all have convolutions."""
    listed = keys.numbers("local_layer_ids")
    chosen = set(listed) if listed is not None else {index for index in range(num_layers) if (index + 1) % 6}
    return ["hybrid_sliding" if index in chosen else "hybrid" for index in range(num_layers)]


def _by_frequency(keys: Keys, num_layers: int) -> list[str]:
    """Layers that an index picks tokens for, as a list of a nested part says."""
    nested = keys.nested("sparse_attention_config")
    listed = nested.numbers("sparse_attention_freq") if nested else None
    if listed is None:
        return [FULL_ATTENTION] * num_layers
    if len(listed) != num_layers:
        raise InvalidValueError(
            say(
                "rules.sparse_attention_freq_has",
                "sparse_attention_freq has {listed:,} entries for {num_layers:,} layers",
                listed=len(listed),
                num_layers=num_layers,
            ),
            what="sparse_attention_freq",
        )
    return ["indexed" if chosen else FULL_ATTENTION for chosen in listed]


_USED, _ROPE = ("use_sliding_window", "max_window_layers"), ("no_rope_layers", "no_rope_layer_interval")
FULL = Schedule(_each(FULL_ATTENTION))
KEPT_WHOLE = Schedule(
    _each(FULL_ATTENTION), keys=("interleaved_sliding_window", "sliding_window", "layer_types"), unlisted=True
)
"""An engine's class keeps every token of every layer, windows or none."""
INDEXED_BY_LIST = Schedule(_by_frequency, ("indexed",))
WINDOWS_LISTED = Schedule(_each(FULL_ATTENTION), WINDOWED)
STATES = Schedule(_each(STATE))
CONVOLUTIONS_BY_FOURS = Schedule(_convolutions_by_fours, WINDOWED)
HYBRID = Schedule(_each("hybrid"), ("hybrid",))
WINDOWS = Schedule(_windows, WINDOWED)
WINDOWS_AFTER_DENSE = Schedule(
    _after_dense, WINDOWED, ("prefix_dense_sliding_window_pattern", "sliding_window_pattern")
)
WINDOWS_FROM_A_LAYER = Schedule(_from_max_window_layers, WINDOWED, _USED)
WINDOWS_IF_USED = Schedule(_all_if_used, WINDOWED, _USED)
WINDOWS_REFUSED = Schedule(_never_used, (), _USED)
WINDOWS_WITHOUT_ROPE = Schedule(_windows_without_rope, WINDOWED, (*_USED, *_ROPE))
WINDOWS_BY_REPEATS = Schedule(_attention_types, WINDOWED, ("attention_types",))
CHUNKS_WITH_ROPE = Schedule(_chunks_with_rope, WINDOWED, _ROPE)
CONVOLVED_WINDOWS = Schedule(_windows_by_numbers, ("hybrid", "hybrid_sliding"), ("local_layer_ids",))
STATES_BETWEEN = Schedule(_attn_layer_period, (), ("attn_layer_period", "attn_layer_offset"))
STATES_BY_TURNS = Schedule(_every_second_state)
STATES_BY_LISTS = Schedule(_two_lists)
