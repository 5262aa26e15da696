"""A strict YAML file of presets, of which no more is parsed and validated than is asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from calculator.errors import CalculatorError, FileFormatError
from calculator.reading import strict_yaml
from calculator.reading.frozen import frozen
from calculator.reading.schema import Schema

Entry = TypeVar("Entry")
_ENTRY = re.compile(r"  ([A-Za-z0-9][A-Za-z0-9._-]{0,120}):(?=\s|$)")


class Entries(Mapping[str, Any]):
    """The raw entries of a file of presets by id, each parsed strictly when it is asked for.

    The text is cut where ids stand, at lines that are two spaces in. A file that is laid out otherwise, or one of
    whose parts does not mean anything by itself, is parsed whole.
    """

    def __init__(self, content: str, name: str, section: str) -> None:
        self._content, self._name, self._section = content, name, section
        self._parts = _parts(content, section)
        self._documents: dict[str, strict_yaml.Document] = {}
        self._keys = dict.fromkeys(self._parts or self.check_whole())

    @cached_property
    def whole(self) -> strict_yaml.Document:
        """The whole file, parsed strictly."""
        document = strict_yaml.parse(self._content, self._name)
        return replace(document, data=frozen(document.data))

    def check_whole(self) -> tuple[str, ...]:
        """Parse the whole file, and return its ids.

        Raises
        ------
        FileFormatError
            If it is not strict YAML of one mapping, with file and line.
        """
        data, section = self.whole.data, self._section
        if not isinstance(data, dict) or list(data) != [section] or not isinstance(data[section], dict):
            raise self.whole.error((), f"must hold one mapping named {section}, of ids to presets")
        if not data[section]:
            raise self.whole.error((section,), "holds no presets")
        return tuple(data[section])

    def document(self, key: str) -> strict_yaml.Document:
        """Return a document that holds an entry, with the lines of the file."""
        if key not in self._parts or "whole" in vars(self):
            return self.whole
        if key not in self._documents:
            line, part = self._parts[key]
            try:
                document = strict_yaml.parse("\n" * (line - 2) + f"{self._section}:\n{part}", self._name)
            except FileFormatError:
                self._parts, self._keys = {}, dict.fromkeys(self.check_whole())
                return self.whole
            self._documents[key] = replace(document, data=frozen(document.data))
        return self._documents[key]

    def stated(self, field: str) -> Iterator[tuple[str, str]]:
        """Yield the ids of entries that state a field of text, and what they state; they are not parsed for it."""
        line = re.compile(rf"^    {field}: *(?:\"([^\"\\\n]*)\"|([A-Za-z0-9][^#\"':\\\n]*?)) *$", re.MULTILINE)
        for key in self._keys:
            part = self._parts[key][1] if key in self._parts else f"    {field}:"
            found = line.search(part)
            if found:
                text = found[1] or found[2]
            elif f"    {field}:" in part:  # stated in another way, or on another line
                text = str(self[key].get(field, "")) if isinstance(self[key], Mapping) else ""
            else:
                text = ""
            if text:
                yield key, text

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys:
            raise KeyError(key)
        return self.document(key).data[self._section][key]

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def _parts(content: str, section: str) -> dict[str, tuple[int, str]]:
    """Return the line and the text of each entry by its id; none where the layout is not the usual one."""
    parts: dict[str, tuple[int, str]] = {}
    key, first, begun, kept = "", 0, False, list[str]()
    for at, line in enumerate(content.split("\n"), 1):
        found = _ENTRY.match(line)
        if found:
            if not begun or found[1] in parts or found[1] == key:
                return {}
            if key:
                parts[key] = first, "\n".join(kept)
            key, first, kept = found[1], at, [line]
        elif not line.strip() or line.lstrip().startswith("#") or (line.startswith("   ") and key):
            kept.append(line)
        elif line == f"{section}:" and not begun:
            begun = True
        else:
            return {}
    return parts | {key: (first, "\n".join(kept))} if key else {}


class PresetFile(Generic[Entry]):
    """A YAML file of presets: read once, each entry validated when it is asked for.

    Parameters
    ----------
    path : Path
        The file [-].
    section : str
        Its one top-level key [-].
    """

    def __init__(
        self,
        path: Path,
        section: str,
        schema_of: Callable[[dict[str, Any]], Schema],
        build: Callable[[str, dict[str, Any]], Entry],
        same: Callable[[Entry, Entry], bool],
    ) -> None:
        self.name = str(path)
        self.section = section
        self.entries = Entries(strict_yaml.read_text(path), self.name, section)
        self._schema_of = schema_of
        self._build = build
        self._same = same
        self._built: dict[str, Entry] = {}

    def get(self, key: str) -> Entry:
        """Return one entry, validated and built; raise ``FileFormatError`` with file, line and field."""
        if key not in self._built:
            raw = self.entries[key]
            if not isinstance(raw, dict):
                raise self.error(key, (), "must be a mapping of fields to values")
            for location, problem in self._schema_of(raw).all_problems(raw):
                raise self.error(key, location, str(problem))
            try:
                self._built[key] = self._build(key, raw)
            except FileFormatError:
                raise
            except CalculatorError as error:
                raise self.error(key, (error.what,) if error.what in raw else (), str(error)) from None
        return self._built[key]

    def is_not_another(self, key: str, thing: Entry) -> bool:
        """Whether an id can stand for a thing: it is that preset, or no preset has the id."""
        return self._built.get(key) is thing or key not in self.entries or self._same(self.get(key), thing)

    def error(self, key: str, location: strict_yaml.Location, message: str) -> FileFormatError:
        """Build ``file:line: preset: field: what is wrong``."""
        line = self.line(key, *location)
        where = ": ".join(str(part) for part in (key, *location))
        return FileFormatError(f"{self.name}:{line}: {where[:120]}: {message}", line=line)

    def line(self, key: str, *location: int | str) -> int:
        """Return the line of an entry, or of a field of it."""
        return self.entries.document(key).line((self.section, key, *location))
