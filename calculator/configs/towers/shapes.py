"""Shapes that encoders share: a layer of a transformer, a projection with its bias, and how a size is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from calculator.architecture.matrices import Sharding
from calculator.configs.keys import Keys
from calculator.errors import InvalidValueError, shown
from calculator.messages import say


class Shape(NamedTuple):
    """A matrix of an encoder, how often it occurs and what ranks do with it."""

    outputs: int
    inputs: int = 1
    copies: int = 1
    sharding: Sharding = Sharding.COPIED


Shapes = Iterator[Shape]


class Kind(NamedTuple):
    """A type of encoder: what the reference has for keys left out, and its matrices.

    ``shapes`` is given the encoder's keys, those of what holds it, and the hidden size of the text decoder.
    """

    defaults: Mapping[str, Any]
    shapes: Callable[[Keys, Keys, int], Shapes]


def blocks(
    width: int, inner: int, layers: int, vectors: int, *, ups: int = 1, biased: int = 3, groups: int = 0
) -> Shapes:
    """Yield layers of attention and MLP.

    Parameters
    ----------
    width, inner, layers : int
        Hidden size, the MLP's, and layers [-].
    vectors : int
        Vectors of the hidden size that each layer has: norms, scales, biases of the output and of the MLP's second
        matrix [-].
    ups : int
        Matrices that widen: 2 with a gate [-].
    biased : int
        Biases of queries, keys, values and of each that widens: 3 and as many, or none [-].
    groups : int
        Elements of keys, and of values, where they are narrower than queries [elements].
    """
    side = groups or width
    yield Shape(width + 2 * side, width, layers, Sharding.COLUMNS)
    yield Shape(width, width, layers, Sharding.ROWS)
    yield Shape(ups * inner, width, layers, Sharding.COLUMNS)
    yield Shape(width, inner, layers, Sharding.ROWS)
    yield Shape(width, 1, vectors * layers)
    # keys have no bias where two of the three have
    across = {0: 0, 2: 2 * width, 3: width + 2 * side}[biased]
    yield Shape(across + (ups * inner if biased else 0), 1, layers, Sharding.COLUMNS)


def linear(outputs: int, inputs: int, bias: bool = True) -> Shapes:
    """Yield a projection and its bias."""
    yield Shape(outputs, inputs)
    yield Shape(outputs, 1, int(bias))


def patches(keys: Keys, width: int, bias: bool = True) -> Shapes:
    """Yield what turns a patch into a vector."""
    frames = keys.optional_count("temporal_patch_size") or 1
    yield from linear(width, keys.count("in_channels") * side(keys, "patch_size") ** 2 * frames, bias)


def side(keys: Keys, name: str) -> int:
    """Return the side of a square, which a config gives once or twice."""
    value = keys.value(name)
    sides = value if isinstance(value, list) else [value]
    if not sides or type(sides[0]) is not int or any(each != sides[0] for each in sides) or not 0 < sides[0] < 10**6:
        raise InvalidValueError(
            say("towers.side", "{name} must be the side of a square, not {value}", name=name, value=shown(value)),
            what=name,
            asked=value,
        )
    return sides[0]


def sizes(keys: Keys) -> tuple[int, int, int]:
    """Return hidden size, the MLP's, and layers."""
    return keys.count("hidden_size"), keys.count("intermediate_size"), keys.count("num_hidden_layers")
