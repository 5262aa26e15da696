"""JSON of others, read strictly: no duplicate keys, no NaN, no endless nesting, no more than a config can hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from calculator.errors import FileFormatError, InvalidValueError, shown

MAX_DEPTH = 12
MAX_ENTRIES = 200_000


def parse_config(content: str, name: str) -> Any:
    """Parse the text of a ``config.json``; duplicate keys, NaN and endless nesting are refused."""
    try:
        parsed = json.loads(content, object_pairs_hook=_unique, parse_constant=_no_constant)
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


def check_bounds(config: Any) -> None:
    """Refuse what is no mapping, too deep or too large, before anything is read."""
    if not isinstance(config, Mapping):
        raise InvalidValueError(f"a config.json holds a mapping of names to values, not {shown(config)}")
    stack: list[tuple[Any, int]] = [(config, 1)]
    entries = 0
    while stack:
        part, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise InvalidValueError(f"the config is nested more than {MAX_DEPTH} levels deep")
        children = part.values() if isinstance(part, Mapping) else part
        entries += len(part)
        if entries > MAX_ENTRIES:
            raise InvalidValueError(f"the config has more than {MAX_ENTRIES:,} entries")
        stack += [(child, depth + 1) for child in children if isinstance(child, Mapping | list)]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        names = [key for key, _ in pairs]
        twice = next(key for key in names if names.count(key) > 1)
        raise InvalidValueError(f"duplicate key {shown(twice)}")
    return mapping


def _no_constant(text: str) -> Any:
    raise InvalidValueError(f"{text} is not a number that JSON has")
