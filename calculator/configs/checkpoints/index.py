"""``model.safetensors.index.json``: which file holds each tensor, and how much all of them take."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from calculator.errors import FileFormatError, shown
from calculator.messages import say
from calculator.reading import strict_json

NAME = "model.safetensors.index.json"
MAX_BYTES, MAX_TENSORS, MAX_FILES, LARGEST = 48 * 2**20, 600_000, 4_096, 2**50


class Index(NamedTuple):
    """What an index says.

    Attributes
    ----------
    names : tuple of str
        The names of all tensors.
    files : tuple of str
        The files that hold them, each once.
    total_bytes : int
        What they take together, 0 where it does not say [bytes].
    """

    names: tuple[str, ...]
    files: tuple[str, ...]
    total_bytes: int


def read_index(path: Path) -> Index:
    """Read an index from a file.

    Raises
    ------
    FileFormatError
        If it is larger than any that is published, or no index.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise FileFormatError(
            say("index.cannot_read", "{path}: cannot be read: {strerror}", path=path, strerror=error.strerror or error)
        ) from None
    return parse_index(content, str(path))


def parse_index(content: bytes, name: str) -> Index:
    """Parse the content of an index; ``name`` stands for the file in messages."""
    if len(content) > MAX_BYTES:
        raise FileFormatError(
            say(
                "index.larger_than_bytes_most",
                "{name}: larger than {max_bytes:,} bytes, the most that is read of an index",
                name=name,
                max_bytes=MAX_BYTES,
            )
        )
    try:
        parsed = strict_json.parse_config(content.decode("utf-8"), name)
    except UnicodeDecodeError:
        raise FileFormatError(say("index.not_utf_text", "{name}: not UTF-8 text", name=name)) from None
    found = parsed.get("weight_map") if isinstance(parsed, Mapping) else None
    if not isinstance(found, Mapping) or not found or len(found) > MAX_TENSORS:
        raise FileFormatError(
            say(
                "index.holds_no_weight_map",
                "{name}: holds no weight_map of 1 to {max_tensors:,} tensors",
                name=name,
                max_tensors=MAX_TENSORS,
            )
        )
    files = tuple(sorted({file for file in found.values() if isinstance(file, str)}))
    for file in files:
        if not file.endswith(".safetensors") or "/" in file or "\\" in file or file.startswith("."):
            raise FileFormatError(
                say(
                    "index.not_name_safetensors_file",
                    "{name}: {file} is not the name of a safetensors file beside it",
                    name=name,
                    file=shown(file),
                )
            )
    if len(files) > MAX_FILES or not all(isinstance(file, str) for file in found.values()):
        raise FileFormatError(
            say(
                "index.weight_map_must_name",
                "{name}: the weight_map must name up to {max_files:,} files",
                name=name,
                max_files=MAX_FILES,
            )
        )
    metadata = parsed.get("metadata")
    total = metadata.get("total_size") if isinstance(metadata, Mapping) else None
    if isinstance(total, float) and total.is_integer():
        total = int(total)
    if total is not None and (type(total) is not int or not 0 < total < LARGEST):
        raise FileFormatError(
            say(
                "index.total_size_no_number",
                "{name}: total_size {total} is no number of bytes",
                name=name,
                total=shown(total),
            )
        )
    return Index(tuple(found), files, total or 0)
