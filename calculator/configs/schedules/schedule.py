"""A schedule: which kind each layer is, by the lists of the config or else by the rule of its type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from calculator.configs.keys import Keys
from calculator.configs.schedules.listed import listed_kinds
from calculator.errors import InvalidValueError, UnsupportedError
from calculator.messages import say

FULL_ATTENTION, WINDOW, CHUNK, STATE = "full_attention", "sliding_attention", "chunked_attention", "linear_attention"
WINDOWED = (WINDOW, CHUNK)
PERIODS = ("sliding_window_pattern", "full_attention_interval")


@dataclass(frozen=True)
class Schedule:
    """The schedule of a type.

    Attributes
    ----------
    rule : callable
        From the keys and the number of layers to the kind of every layer.
    kinds : tuple of str
        What a list in the config may name besides full attention, and besides a state where the type has one.
    keys : tuple of str
        The schedule's own keys, which a list overrules.
    ends_full : bool
        Whether the last layer is full attention whatever a list or the rule says.
    unlisted : bool
        Whether the config's lists say nothing of what is kept: the rule decides whatever they say.
    """

    rule: Callable[[Keys, int], list[str]]
    kinds: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    ends_full: bool = False
    unlisted: bool = False

    def of(self, keys: Keys, num_layers: int, *, has_state: bool) -> list[str]:
        """Return the kind of every layer, by the config's own lists or else by the rule.

        Raises
        ------
        InvalidValueError
            If a list has the wrong length, or two lists contradict each other.
        UnsupportedError
            If a list names a kind of layer that is not known, or that the type does not have.
        """
        if self.unlisted:
            keys.ignore(*self.keys)
            return self.rule(keys, num_layers)
        given = listed_kinds(keys, num_layers)
        if given is not None:
            keys.ignore(*self.keys)
            allowed = {FULL_ATTENTION, *self.kinds, *((STATE,) if has_state else ())}
            other = sorted(set(given) - allowed)
            if other:
                raise UnsupportedError(
                    say(
                        "schedule.layer_types_list_its",
                        "layer_types, or the list in its place, names {other}, which this model type does not have",
                        other=other[0],
                    ),
                    what="layer_types",
                    asked=other[0],
                    allowed=sorted(allowed),
                )
        kinds = self.rule(keys, num_layers) if given is None else given
        kinds = [*kinds[:-1], FULL_ATTENTION] if self.ends_full else kinds
        if WINDOW in self.kinds and WINDOW not in kinds:
            keys.ignore("sliding_window")
        return kinds


def every(
    kind: str,
    period: int = 0,
    key: str = "",
    *,
    at: int = -1,
    first: int = 0,
    one_full: bool = False,
    last_full: bool = False,
    ends_full: bool = False,
) -> Schedule:
    """All but each n-th layer are of a kind, and that is full attention; the period is a number or a key's.

    ``at`` says which layer of a period is full, by default its last. The first layers may be full besides, so many,
    and the last: by the rule (``last_full``), whatever a list says (``ends_full``), or where no
    other is (``one_full``).
    """

    def rule(keys: Keys, num_layers: int) -> list[str]:
        if kind in WINDOWED and keys.optional_count("sliding_window") is None:
            return [FULL_ATTENTION] * num_layers
        step = keys.count(key) if key else period
        kinds = [FULL_ATTENTION if index < first or (index - at) % step == 0 else kind for index in range(num_layers)]
        if last_full:
            kinds[-1] = FULL_ATTENTION
        if one_full and FULL_ATTENTION not in kinds:
            kinds[-1] = FULL_ATTENTION
        return kinds

    return Schedule(rule, WINDOWED if kind in WINDOWED else (), (*PERIODS, key) if key else PERIODS, ends_full)


def listed(*kinds: str) -> Schedule:
    """Return the schedule of a type that has no rule: the config must list its layers."""
    return Schedule(_missing, kinds)


def _missing(keys: Keys, num_layers: int) -> list[str]:  # noqa: ARG001
    raise InvalidValueError(
        say(
            "schedule.layer_types_layers_block",
            "layer_types (or layers_block_type, or hybrid_override_pattern) is missing",
        ),
        what="layer_types",
    )
