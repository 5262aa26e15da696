"""A number of KV heads, or a window, for each layer, as a list has them: few heads in some layers, many in others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from calculator.architecture.groups import LayerGroup, indivisible, with_heads, with_spec
from calculator.architecture.layers import FullAttention, SlidingWindow
from calculator.architecture.limits import MAX_TOKENS
from calculator.errors import InvalidValueError, UnsupportedError, shown
from calculator.messages import say
from calculator.reading.schema import as_index


def listed(value: Any) -> list[Any] | None:
    """Return what a list, a tuple or an array says layer by layer; None for anything else."""
    if isinstance(value, list | tuple):
        return [one if isinstance(one, bool) else as_index(one) for one in value]
    found = value.tolist() if hasattr(value, "tolist") and not isinstance(value, int | float) else None
    return found if isinstance(found, list) else None


def heads_by_layer(layers: Sequence[LayerGroup], counts: Sequence[Any], query_heads: int) -> tuple[LayerGroup, ...]:
    """Return layers with KV heads of their own, weights counted anew.

    Parameters
    ----------
    layers : sequence of LayerGroup
        The layers as they are [-].
    counts : sequence of int
        KV heads of every layer, first to last; 0 for a layer that keeps none of its own [-].
    query_heads : int
        Query heads of a layer that names none itself [-].

    Returns
    -------
    tuple of LayerGroup
        Runs of equal layers.

    Raises
    ------
    InvalidValueError
        If there is not one entry a layer, or the query heads of a layer do not divide by its entry; the layer, counted
        from 0, is named.
    """

    def change(group: LayerGroup, where: str, value: Any) -> LayerGroup:
        return _heads(group, where, value, query_heads)

    return _by_layer(layers, "num_key_value_heads", counts, change)


def heads_of_all(layers: Sequence[LayerGroup], wanted: Any, query_heads: int) -> tuple[LayerGroup, ...]:
    """Return layers with the same number of KV heads in each, weights counted anew.

    Raises
    ------
    InvalidValueError
        If it is no number, or the query heads do not divide by it.
    UnsupportedError
        If layers have KV heads of different number.
    """
    if not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 1:
        raise InvalidValueError(
            say(
                "per_layer.num_key_value_heads",
                "num_key_value_heads must be a whole number of at least 1, not {wanted}",
                wanted=shown(wanted),
            ),
            what="num_key_value_heads",
            asked=wanted,
            nearest=1,
        )
    if query_heads % wanted:
        raise indivisible(query_heads, wanted)
    if len({group.spec.kv_heads for group in layers if group.spec.kv_heads}) > 1:
        raise UnsupportedError(
            say(
                "per_layer.kv_heads_can_varied", "KV heads can be varied where all layers have the same number of them"
            ),
            what="num_key_value_heads",
            asked=wanted,
        )
    return tuple(with_heads(group, wanted) for group in layers)


def windows_by_layer(layers: Sequence[LayerGroup], windows: Sequence[Any]) -> tuple[LayerGroup, ...]:
    """Return layers with windows of their own; None for one that sees all earlier tokens.

    Raises
    ------
    InvalidValueError
        If there is not one entry a layer, or a layer has no heads to keep a window of; the layer is named.
    """
    return _by_layer(layers, "sliding_window", windows, _window)


_Change = Callable[[LayerGroup, str, Any], LayerGroup]


def _by_layer(
    layers: Sequence[LayerGroup], name: str, values: Sequence[Any], change: _Change
) -> tuple[LayerGroup, ...]:
    each = [replace(group, count=1) for group in layers for _ in range(group.count)]
    if len(values) != len(each):
        raise InvalidValueError(
            say(
                "per_layer.lists_layers_there_give",
                "{name} lists {values:,} layers, and there are {each:,}: give one entry a layer",
                name=name,
                values=len(values),
                each=len(each),
            ),
            what=name,
            asked=len(values),
            allowed=len(each),
            nearest=len(each),
        )
    made: dict[tuple[object, ...], LayerGroup] = {}
    runs: list[LayerGroup] = []
    for layer, (value, group) in enumerate(zip(values, each, strict=True)):
        key = group.spec, id(group.weights), type(value), shown(value)
        if key not in made:
            made[key] = change(group, f"{name} of layer {layer}", value)
        now = made[key]
        if runs and runs[-1].spec == now.spec and runs[-1].weights == now.weights:
            runs[-1] = replace(runs[-1], count=runs[-1].count + 1)
        else:
            runs.append(now)
    return tuple(runs)


def _heads(group: LayerGroup, where: str, value: Any, query_heads: int) -> LayerGroup:
    if not group.spec.kv_heads:
        if value != 0 or isinstance(value, bool):
            raise InvalidValueError(
                say(
                    "per_layer.must_not_keeps_no",
                    "{where} must be 0, not {asked}: it keeps no KV heads of its own",
                    where=where,
                    asked=shown(value),
                ),
                what="num_key_value_heads",
                asked=value,
                nearest=0,
            )
        return group
    if type(value) is not int or value < 1:
        raise InvalidValueError(
            say(
                "per_layer.must_whole_number_at",
                "{where} must be a whole number of at least 1, not {asked}",
                where=where,
                asked=shown(value),
            ),
            what="num_key_value_heads",
            asked=value,
            nearest=1,
        )
    heads = getattr(group.spec, "query_heads", None) or query_heads
    if heads % value:
        raise indivisible(heads, value, where + ":")
    return with_heads(group, value)


def _window(group: LayerGroup, where: str, value: Any) -> LayerGroup:
    if value is None:
        return with_spec(group, group.spec.without_window())
    if type(value) is not int or not 1 <= value <= MAX_TOKENS:
        raise InvalidValueError(
            say(
                "per_layer.must_whole_number_tokens",
                "{where} must be a whole number of tokens from 1 to {max_tokens:,}, or None for all, not {asked}",
                where=where,
                max_tokens=MAX_TOKENS,
                asked=shown(value),
            ),
            what="sliding_window",
            asked=value,
            allowed=(1, MAX_TOKENS),
        )
    spec = group.spec.without_window()
    if type(spec) is not FullAttention:
        raise InvalidValueError(
            say(
                "per_layer.must_none_layer_kind",
                "{where} must be None: a layer of the kind {kind} has no window",
                where=where,
                kind=spec.kind,
            ),
            what="sliding_window",
            asked=value,
        )
    window = SlidingWindow(spec.num_key_value_heads, spec.head_dim, spec.v_head_dim, spec.query_heads, value)
    return with_spec(group, window)
