"""JSON of others, read strictly: no duplicate keys, no NaN, no endless nesting, no more than a config can hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite, isinf
from numbers import Integral
from typing import Any

from calculator.errors import FileFormatError, InvalidValueError, shown
from calculator.messages import say

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
        raise FileFormatError(
            say("strict_json.holds_half_character_which", "{name}: holds half a character, which is no text", name=name)
        ) from None
    except json.JSONDecodeError as error:
        raise FileFormatError(
            say(
                "strict_json.not_valid_json",
                "{name}:{lineno}: not valid JSON: {msg}",
                name=name,
                lineno=error.lineno,
                msg=error.msg,
            )
        ) from None
    except (RecursionError, ValueError):
        raise FileFormatError(
            say(
                "strict_json.nested_too_deeply_number",
                "{name}: nested too deeply, or a number of thousands of digits",
                name=name,
            )
        ) from None


def bounded(config: Any) -> Mapping[str, Any]:
    """Return a config as a file says it; refuse what is no mapping, too deep or too large, or no file could say.

    An infinite number becomes ``{"__float__": "Infinity"}``, as transformers 5 writes it: JSON has none.
    """
    if not isinstance(config, Mapping):
        raise InvalidValueError(
            say(
                "strict_json.config_json_holds_mapping",
                "a config.json holds a mapping of names to values, not {config}",
                config=shown(config),
            )
        )
    stack: list[tuple[Any, int]] = [(config, 1)]
    entries, infinite = 0, False
    while stack:
        part, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise InvalidValueError(
                say(
                    "strict_json.config_nested_more_than",
                    "the config is nested more than {max_depth} levels deep",
                    max_depth=MAX_DEPTH,
                )
            )
        entries += len(part)
        if entries > MAX_ENTRIES:
            raise InvalidValueError(
                say(
                    "strict_json.config_has_more_than",
                    "the config has more than {max_entries:,} entries",
                    max_entries=MAX_ENTRIES,
                )
            )
        for key, child in part.items() if isinstance(part, Mapping) else enumerate(part):
            if isinstance(part, Mapping) and not _is_text(key):
                raise InvalidValueError(
                    say("strict_json.key_config_text_not", "a key of a config is text, not {key_}", key_=shown(key)),
                    what="config",
                    asked=key,
                )
            if isinstance(child, float) and isinf(child):
                child, infinite = _constant(str(child)), True
            if isinstance(child, _NESTED):
                stack.append((child, depth + 1))
            elif not _is_plain(child):
                raise InvalidValueError(
                    say(
                        "strict_json.cannot_config_holds_what",
                        "{key_} cannot be {child}: a config holds what JSON has, which are text, finite numbers, "
                        "true, false, null, lists and mappings",
                        key_=key,
                        child=shown(child),
                    ),
                    what=str(key),
                    asked=child,
                )
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
        raise InvalidValueError(say("strict_json.duplicate_key", "duplicate key {twice}", twice=shown(twice)))
    return mapping


def _constant(text: str) -> dict[str, str]:
    """Return an infinite number as transformers writes it, whether JSON's readers or Python name it."""
    if text == "NaN":
        raise InvalidValueError(
            say("strict_json.not_number_json_has", "{text} is not a number that JSON has", text=text)
        )
    return {"__float__": "-Infinity" if text.startswith("-") else "Infinity"}
