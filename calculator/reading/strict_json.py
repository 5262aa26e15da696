"""JSON of others, read strictly: no duplicate keys, no NaN, no endless nesting, no more than a config can hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite, isinf
from numbers import Integral
from typing import Any

from calculator.errors import FileFormatError, InvalidValueError, shown

MAX_DEPTH = 12
MAX_ENTRIES = 200_000


def parse_config(content: str, name: str) -> Any:
    """Parse the text of a ``config.json``; duplicate keys, NaN and endless nesting are refused."""
    try:
        parsed = json.loads(content, object_pairs_hook=_unique, parse_constant=_constant)
        json.dumps(parsed, ensure_ascii=False).encode("utf-8")
        return parsed
    except InvalidValueError as error:
        raise FileFormatError(f"{name}: {error}") from None
    except UnicodeEncodeError:
        raise FileFormatError(f"{name}: holds half a character, which is no text") from None
    except json.JSONDecodeError as error:
        raise FileFormatError(f"{name}:{error.lineno}: not valid JSON: {error.msg}") from None
    except (RecursionError, ValueError):
        raise FileFormatError(f"{name}: nested too deeply, or a number of thousands of digits") from None


def bounded(config: Any) -> Mapping[str, Any]:
    """Return a config as a file says it; refuse what is no mapping, too deep or too large, or no file could say.

    An infinite number becomes ``{"__float__": "Infinity"}``, as transformers 5 writes it: JSON has none.
    """
    if not isinstance(config, Mapping):
        raise InvalidValueError(f"a config.json holds a mapping of names to values, not {shown(config)}")
    stack: list[tuple[Any, int]] = [(config, 1)]
    entries, infinite = 0, False
    while stack:
        part, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise InvalidValueError(f"the config is nested more than {MAX_DEPTH} levels deep")
        entries += len(part)
        if entries > MAX_ENTRIES:
            raise InvalidValueError(f"the config has more than {MAX_ENTRIES:,} entries")
        for key, child in part.items() if isinstance(part, Mapping) else enumerate(part):
            if isinstance(part, Mapping) and not _is_text(key):
                raise InvalidValueError(f"a key of a config is text, not {shown(key)}", what="config", asked=key)
            if isinstance(child, float) and isinf(child):
                child, infinite = _constant(str(child)), True
            if isinstance(child, _NESTED):
                stack.append((child, depth + 1))
            elif not _is_plain(child):
                raise InvalidValueError(
                    f"{key} cannot be {shown(child)}: a config holds what JSON has, which are text, finite numbers, "
                    "true, false, null, lists and mappings",
                    what=str(key), asked=child,
                )  # fmt: skip
    return _written(config) if infinite else config


_NESTED = (Mapping, list, tuple)


def _written(part: Any) -> Any:
    if isinstance(part, Mapping):
        return {key: _written(child) for key, child in part.items()}
    if isinstance(part, list | tuple):
        return [_written(child) for child in part]
    return _constant(str(part)) if isinstance(part, float) and isinf(part) else part


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return _is_text(value)
    return value is None or (isinstance(value, float) and isfinite(value)) or isinstance(value, Integral)


def _is_text(value: Any) -> bool:
    """Whether a value is text that can be written, which half a surrogate pair cannot."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        names = [key for key, _ in pairs]
        twice = next(key for key in names if names.count(key) > 1)
        raise InvalidValueError(f"duplicate key {shown(twice)}")
    return mapping


def _constant(text: str) -> dict[str, str]:
    """Return an infinite number as transformers writes it, whether JSON's readers or Python name it."""
    if text == "NaN":
        raise InvalidValueError(f"{text} is not a number that JSON has")
    return {"__float__": "-Infinity" if text.startswith("-") else "Infinity"}
