"""Mappings and lists that are shared and so cannot be changed; they compare, copy, pickle and print as plain ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from calculator.messages import say


def _refuse(self: Any, *_: Any, **__: Any) -> NoReturn:
    raise TypeError(
        say(
            "frozen.this_shared_read_only",
            "this {name} is shared and read-only: change a copy of it",
            name=type(self).__bases__[0].__name__,
        )
    )


class FrozenDict(dict[str, Any]):
    """A dict that cannot be changed."""

    __slots__ = ()
    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenDict, (dict(self),)


class FrozenList(list[Any]):
    """A list that cannot be changed."""

    __slots__ = ()
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenList, (list(self),)


_AS_THEY_ARE = (str, int, float, type(None), FrozenDict, FrozenList)


def frozen(value: Any) -> Any:
    """Return a value with every mapping and list in it copied and made read-only."""
    if isinstance(value, _AS_THEY_ARE):
        return value
    if isinstance(value, Mapping):
        return FrozenDict({name: frozen(part) for name, part in value.items()})
    return FrozenList(map(frozen, value)) if isinstance(value, list) else value
