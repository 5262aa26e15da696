"""YAML that means one thing only, read with the line of every value.

PyYAML keeps the last of two equal keys, reads ``on`` as true and ``1:30`` as 90. Here such
text is refused, as are anchors and aliases (a few lines of them can expand without bound)
and files larger than any honest one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import yaml

from calculator.errors import FileFormatError, shown

MAX_FILE_BYTES = 1_048_576
MAX_DEPTH = 20

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,40})")
_FLOAT = re.compile(r"-?[0-9]{1,20}\.[0-9]{1,20}(e[-+][0-9]{1,3})?")
_TAG = "tag:yaml.org,2002:"

Location = tuple[int | str, ...]


@dataclass(frozen=True)
class Document:
    """The content of a YAML file and the line of every value in it."""

    name: str
    data: Any
    lines: dict[Location, int]

    def line(self, location: Location) -> int:
        """Return the line of a value, or of the nearest thing around it."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)

    def error(self, location: Location, message: str) -> FileFormatError:
        """Build ``file:line: where: what`` for one value; an entry of a list that has a name is named."""
        parts, inside = [], self.data
        for part in location:
            try:
                inside = inside[part]
            except (LookupError, TypeError):
                inside = None
            name = inside.get("name") if isinstance(part, int) and isinstance(inside, dict) else None
            parts.append(f"{part} ({_short(name)})" if isinstance(name, str) else _short(part))
        where = ": ".join(parts)
        line = self.line(location)
        return FileFormatError(f"{self.name}:{line}: {where + ': ' if where else ''}{message}", line=line)


def _short(part: Any) -> str:
    return str(part) if len(str(part)) <= 80 else str(part)[:79] + "…"


def read(path: Path) -> Document:
    """Read a YAML file.

    Raises
    ------
    FileFormatError
        If the file cannot be read, is too large, or is not strict YAML; with file and line.
    """
    return parse(read_text(path), str(path))


def read_text(path: Path) -> str:
    """Read a text file of honest size.

    Raises
    ------
    FileFormatError
        If the file cannot be read, is too large, or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > MAX_FILE_BYTES:
        raise FileFormatError(f"{path}: larger than {MAX_FILE_BYTES:,} bytes, the most that is read")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise FileFormatError(f"{path}: not UTF-8 text") from None


def parse(content: str, name: str) -> Document:
    """Parse YAML text; ``name`` stands for the file in messages."""
    lines: dict[Location, int] = {}
    try:
        _check_events(content, name)
        root = yaml.compose(content, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise FileFormatError(f"{name}:{line}: not valid YAML: {error.problem}", line=line) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise FileFormatError(f"{name}:1: not valid YAML: {str(error).splitlines()[0]}") from None
    document = Document(name, None, lines)
    data = None if root is None else _build(root, (), document)
    return Document(name, data, lines)


def _check_events(content: str, name: str) -> None:
    """Refuse anchors, aliases and deep nesting before composing, which could exhaust memory or the C stack."""
    depth = 0
    for event in yaml.parse(content, Loader=_LOADER):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if getattr(event, "anchor", None) is not None:
            raise FileFormatError(f"{name}:{line}: anchors and aliases are not allowed: write the value out", line=line)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise FileFormatError(f"{name}:{line}: nested more than {MAX_DEPTH} levels deep", line=line)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _build(node: yaml.Node, location: Location, document: Document) -> Any:
    document.lines[location] = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        return [_build(child, (*location, index), document) for index, child in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise document.error(location, "a key must be plain text")
            key = key_node.value
            place = (*location, key)
            if key in mapping:
                first = document.line(place)
                document.lines[place] = key_node.start_mark.line + 1
                raise document.error(place, f"duplicate key, first given in line {first}")
            mapping[key] = _build(value_node, place, document)
            document.lines[place] = key_node.start_mark.line + 1
        return mapping
    return _scalar(node, location, document)


def _scalar(node: yaml.Node, location: Location, document: Document) -> Any:
    text, tag = node.value, node.tag.removeprefix(_TAG)
    if tag in ("str", "timestamp"):
        return text
    if tag == "null":
        return None
    if tag == "bool" and text in ("true", "false"):
        return text == "true"
    if tag == "int" and _INTEGER.fullmatch(text):
        return int(text)
    if tag == "float" and _FLOAT.fullmatch(text) and isfinite(float(text)):
        return float(text)
    allowed = {"bool": "true or false", "int": "decimal digits", "float": "a decimal number such as 0.9"}.get(
        tag, "text, a number, true or false"
    )
    raise document.error(location, f"{shown(text)} is ambiguous YAML: write {allowed}, or quote it if it is text")


def plain(value: Any) -> Any:
    """Return a value in YAML's own kinds, each written out where it stands: the strict reader takes no aliases."""
    if isinstance(value, Mapping):
        return {plain(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    value = value.item() if hasattr(value, "item") else value
    return next((kind(value) for kind in (bool, int, float) if isinstance(value, kind)), _text(value))


def _text(value: Any) -> Any:
    return str.__str__(value) if isinstance(value, str) else value
