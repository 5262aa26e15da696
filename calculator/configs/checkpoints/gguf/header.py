"""The header of a ``.gguf`` file: metadata and descriptions of tensors, never the data behind them.

References
----------
ggml's ``docs/gguf.md``, versions 2 and 3; sizes of types: ``ggml/src/ggml-common.h`` and gguf 0.19.0 ``constants.py``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BufferedReader
from math import prod
from pathlib import Path
from typing import Any

from calculator.configs.checkpoints.safetensors import Tensor
from calculator.errors import FileFormatError, shown
from calculator.messages import say

MAGIC, VERSIONS = b"GGUF", (2, 3)
MAX_HEADER_BYTES, MAX_PAIRS, MAX_TENSORS, MAX_TEXT, MAX_ITEMS = 128 * 2**20, 4_096, 100_000, 2**20, 8_000_000
KEPT_ITEMS, MAX_DIMENSIONS, ALIGNMENT = 4_096, 4, 32
NUMBERS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
TEXT, LIST = 8, 9
TYPES: Mapping[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 40), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17), 40: ("NVFP4", 64, 36),
}  # fmt: skip
"""Types of tensors by their number: name, values of a block, bytes of it."""


@dataclass
class Header:
    """What a file says of itself.

    Attributes
    ----------
    values : dict
        Its metadata; of a long list the number of its items alone, under ``#`` and its key.
    tensors : list of Tensor
        Its tensors.
    """

    values: dict[str, Any] = field(default_factory=dict)
    tensors: list[Tensor] = field(default_factory=list)


class _Reader:
    """Numbers and texts of a file, up to a bound."""

    def __init__(self, file: BufferedReader, name: str) -> None:
        self.file, self.name, self.left = file, name, MAX_HEADER_BYTES

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise FileFormatError(
                say(
                    "header.header_more_than_bytes",
                    "{name}: a header of more than {max_header_bytes:,} bytes, the most that is read",
                    name=self.name,
                    max_header_bytes=MAX_HEADER_BYTES,
                )
            )
        self.left -= size
        found = self.file.read(size)
        if len(found) < size:
            raise FileFormatError(
                say("header.cut_short_ends_within", "{name}: is cut short: it ends within its header", name=self.name)
            )
        return found

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def count(self, most: int, what: str) -> int:
        found = self.number("<Q")
        if found > most:
            raise FileFormatError(
                say(
                    "header.at_most_read",
                    "{name}: {found} {what}; at most {most:,} are read",
                    name=self.name,
                    found=shown(found),
                    what=what,
                    most=most,
                )
            )
        return int(found)

    def text(self) -> str:
        size = self.count(MAX_TEXT, "bytes of one text")
        return self.take(size).decode("utf-8", "replace")

    def value(self, kind: int, depth: int = 0) -> tuple[Any, int | None]:
        """Return a value, and the number of items of a list, None for no list."""
        if kind in NUMBERS:
            return self.number(NUMBERS[kind]), None
        if kind == TEXT:
            return self.text(), None
        if kind != LIST or depth:
            raise FileFormatError(
                say(
                    "header.value_type_which_not",
                    "{name}: a value of the type {kind}, which is not known",
                    name=self.name,
                    kind=shown(kind),
                )
            )
        inner, size = self.number("<I"), self.count(MAX_ITEMS, "items of one list")
        if inner in NUMBERS and size > KEPT_ITEMS:
            self.take_away(size * struct.calcsize(NUMBERS[inner]))
            return None, size
        items: list[Any] | None = None if size > KEPT_ITEMS else []
        for _ in range(size):
            item = self.value(inner, depth + 1)[0]
            if items is not None:
                items.append(item)
        return items, size

    def take_away(self, size: int) -> None:
        while size > 0:
            size -= len(self.take(min(size, 2**20)))


def read_gguf(path: Path) -> Header:
    """Read the header of a file.

    Raises
    ------
    FileFormatError
        If it is no GGUF file, is cut short, or promises more than any that is published.
    """
    name = str(path)
    if path.exists() and not path.is_file():
        raise FileFormatError(
            say("header.cannot_read_no_regular", "{name}: cannot be read: it is no regular file", name=name)
        )  # opening a pipe would wait
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            return _read(_Reader(file, name), size)
    except OSError as error:
        raise FileFormatError(
            say("header.cannot_read", "{name}: cannot be read: {strerror}", name=name, strerror=error.strerror or error)
        ) from None


def _read(reader: _Reader, size: int) -> Header:
    name, header = reader.name, Header()
    if reader.take(4) != MAGIC:
        raise FileFormatError(say("header.does_not_begin_gguf", "{name}: does not begin with GGUF", name=name))
    version = reader.number("<I")
    if version not in VERSIONS:
        raise FileFormatError(
            say(
                "header.version_gguf_read",
                "{name}: version {version} of GGUF; read are {names}",
                name=name,
                version=shown(version),
                names=" and ".join(map(str, VERSIONS)),
            )
        )
    tensors, pairs = reader.count(MAX_TENSORS, "tensors"), reader.count(MAX_PAIRS, "pairs of metadata")
    for _ in range(pairs):
        key = reader.text()
        if key in header.values or f"#{key}" in header.values:
            raise FileFormatError(
                say("header.duplicate_key", "{name}: duplicate key {key_}", name=name, key_=shown(key))
            )
        value, items = reader.value(reader.number("<I"))
        if items is not None:
            header.values[f"#{key}"] = items
        if value is not None:
            header.values[key] = value
    spans = [_tensor(reader, header) for _ in range(tensors)]
    if len({tensor.name for tensor in header.tensors}) < tensors:
        raise FileFormatError(say("header.two_tensors_have_one", "{name}: two tensors have one name", name=name))
    _check_data(spans, header, size - (MAX_HEADER_BYTES - reader.left), name, MAX_HEADER_BYTES - reader.left)
    return header


def _tensor(reader: _Reader, header: Header) -> tuple[int, int]:
    key = reader.text()
    dimensions = reader.number("<I")
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        raise FileFormatError(
            say(
                "header.has_dimensions",
                "{name}: {key_} has {dimensions} dimensions",
                name=reader.name,
                key_=shown(key),
                dimensions=shown(dimensions),
            )
        )
    shape = [reader.count(2**40, f"elements of {shown(key)} in one dimension") for _ in range(dimensions)]
    kind, offset = reader.number("<I"), reader.number("<Q")
    known = TYPES.get(kind)
    if known is None:
        raise FileFormatError(
            say(
                "header.type_which_not_known",
                "{name}: {key_} is of the type {kind}, which is not known",
                name=reader.name,
                key_=shown(key),
                kind=shown(kind),
            )
        )
    elements = prod(shape)
    if shape[0] % known[1] or elements >= 2**50:
        raise FileFormatError(
            say(
                "header.does_not_divide_into",
                "{name}: {key_} of {shape} does not divide into blocks of {known}",
                name=reader.name,
                key_=shown(key),
                shape=shape,
                known=known[0],
            )
        )
    taken = elements // known[1] * known[2]
    header.tensors.append(Tensor(key, known[0], elements, taken))
    return offset, offset + taken


def _check_data(spans: list[tuple[int, int]], header: Header, follows: int, name: str, read: int) -> None:
    """Refuse data that overlap, or are not all there."""
    alignment = header.values.get("general.alignment", ALIGNMENT)
    if type(alignment) is not int or not 0 < alignment <= 2**20:
        raise FileFormatError(
            say("header.alignment", "{name}: an alignment of {alignment}", name=name, alignment=shown(alignment))
        )
    reached = 0
    for begin, end in sorted(spans):
        if begin < reached:
            raise FileFormatError(
                say(
                    "header.data_two_tensors_overlap",
                    "{name}: the data of two tensors overlap at {begin:,}",
                    name=name,
                    begin=begin,
                )
            )
        reached = end
    available = follows - (-read % alignment)
    if reached > available:
        raise FileFormatError(
            say(
                "header.cut_short_header_describes",
                "{name}: is cut short: the header describes {reached:,} bytes, and {max:,} follow it",
                name=name,
                reached=reached,
                max=max(0, available),
            )
        )
