"""The header of a ``.safetensors`` file: 8 bytes of length, JSON, and never the data behind it."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from calculator.errors import FileFormatError, shown
from calculator.messages import say
from calculator.reading import strict_json

MAX_HEADER_BYTES, MAX_TENSORS, MAX_DIMENSIONS, LENGTH_BYTES = 32 * 2**20, 300_000, 8, 8
"""The most that is read of one file: the largest of published headers have a few MiB."""
BITS: Mapping[str, int] = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U64": 64, "U32": 32,
    "U16": 16, "U8": 8, "BOOL": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "C64": 64,
}  # fmt: skip
"""Bits of a value, by the format's own names of types."""


class Tensor(NamedTuple):
    """A tensor as a header describes it.

    Attributes
    ----------
    name : str
        Its name.
    dtype : str
        The type of its values, by the file's own name.
    elements : int
        How many they are [-].
    bytes : int
        What they take [bytes].
    """

    name: str
    dtype: str
    elements: int
    bytes: int


def read_header(path: Path, name: str = "") -> list[Tensor]:
    """Read the tensors of a file.

    Raises
    ------
    FileFormatError
        If the file is no safetensors file, is cut short, or its header is larger than any that is published.
    """
    name = name or str(path)
    if path.exists() and not path.is_file():
        raise FileFormatError(
            say("safetensors.cannot_read_no_regular", "{name}: cannot be read: it is no regular file", name=name)
        )  # opening a pipe would wait
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            start = file.read(LENGTH_BYTES)
            length = header_length(start, size, name)
            text = file.read(length)
    except OSError as error:
        raise FileFormatError(
            say(
                "safetensors.cannot_read",
                "{name}: cannot be read: {strerror}",
                name=name,
                strerror=error.strerror or error,
            )
        ) from None
    return parse_header(text, size - LENGTH_BYTES - length, name)


def header_length(start: bytes, size: int, name: str) -> int:
    """Return the length of the header that a file's first 8 bytes promise [bytes]."""
    if len(start) < LENGTH_BYTES:
        raise FileFormatError(
            say(
                "safetensors.ends_after_bytes_before",
                "{name}: ends after {start} bytes, before the length of its header",
                name=name,
                start=len(start),
            )
        )
    length = int.from_bytes(start, "little")
    if length > MAX_HEADER_BYTES:
        raise FileFormatError(
            say(
                "safetensors.header_bytes_at_most",
                "{name}: a header of {length} bytes; at most {max_header_bytes:,} are read",
                name=name,
                length=shown(length),
                max_header_bytes=MAX_HEADER_BYTES,
            )
        )
    if length < 2 or length > size - LENGTH_BYTES:
        raise FileFormatError(
            say(
                "safetensors.cut_short_bytes_do",
                "{name}: is cut short: {size:,} bytes do not hold its header of {length:,}",
                name=name,
                size=size,
                length=length,
            )
        )
    return length


def parse_header(text: bytes, data_bytes: int, name: str) -> list[Tensor]:
    """Return the tensors of a header, whose data must fill the rest of the file without holes."""
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError:
        raise FileFormatError(
            say("safetensors.header_not_utf_text", "{name}: the header is not UTF-8 text", name=name)
        ) from None
    if not decoded.startswith("{"):
        raise FileFormatError(
            say("safetensors.header_does_not_begin", "{name}: the header does not begin with {{", name=name)
        )
    header = strict_json.parse_config(decoded, name)
    if not isinstance(header, Mapping) or len(header) > MAX_TENSORS:
        raise FileFormatError(
            say(
                "safetensors.header_holds_no_mapping",
                "{name}: the header holds no mapping of at most {max_tensors:,} tensors",
                name=name,
                max_tensors=MAX_TENSORS,
            )
        )
    spans, tensors = [], []
    for key, entry in header.items():
        if key == "__metadata__":
            continue
        tensor, begin = _tensor(key, entry, name)
        tensors.append(tensor)
        spans.append((begin, begin + tensor.bytes, key))
    reached = 0
    for begin, end, key in sorted(spans):
        if begin != reached:
            raise FileFormatError(
                say(
                    "safetensors.data_begins_at_not",
                    "{name}: the data of {key_} begins at {begin:,}, not at {reached:,}",
                    name=name,
                    key_=shown(key),
                    begin=begin,
                    reached=reached,
                )
            )
        reached = end
    if reached != data_bytes:
        raise FileFormatError(
            say(
                "safetensors.header_describes_bytes_follow",
                "{name}: {value}: the header describes {reached:,} bytes, and {data_bytes:,} follow it",
                name=name,
                value=say("safetensors.cut_short", "is cut short")
                if reached > data_bytes
                else say("safetensors.holds_more_than_its", "holds more than its header says"),
                reached=reached,
                data_bytes=data_bytes,
            )
        )
    return tensors


def tensors_of(described: Mapping[str, Any], name: str) -> list[Tensor]:
    """Return the tensors of a header that a client has read: of each its dtype, shape and data_offsets."""
    if len(described) > MAX_TENSORS:
        raise FileFormatError(
            say(
                "safetensors.header_holds_more_than",
                "{name}: the header holds more than {max_tensors:,} tensors",
                name=name,
                max_tensors=MAX_TENSORS,
            )
        )
    return [
        _tensor(
            str(key),
            {
                "dtype": getattr(entry, "dtype", None),
                "shape": list(getattr(entry, "shape", None) or []),
                "data_offsets": list(getattr(entry, "data_offsets", None) or []),
            },
            name,
        )[0]
        for key, entry in described.items()
    ]


def _tensor(key: str, entry: Any, name: str) -> tuple[Tensor, int]:
    if not isinstance(entry, Mapping) or {"dtype", "shape", "data_offsets"} - set(entry):
        raise FileFormatError(
            say(
                "safetensors.not_described_by_dtype",
                "{name}: {key_} is not described by dtype, shape and data_offsets",
                name=name,
                key_=shown(key),
            )
        )
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    bits = BITS.get(dtype) if isinstance(dtype, str) else None
    if bits is None:
        raise FileFormatError(
            say(
                "safetensors.type_which_not_known",
                "{name}: {key_} is of the type {dtype}, which is not known",
                name=name,
                key_=shown(key),
                dtype=shown(dtype),
            )
        )
    if not _are_counts(shape) or len(shape) > MAX_DIMENSIONS or not _are_counts(offsets) or len(offsets) != 2:
        raise FileFormatError(
            say(
                "safetensors.has_shape_at",
                "{name}: {key_} has the shape {shape} at {offsets}",
                name=name,
                key_=shown(key),
                shape=shown(shape),
                offsets=shown(offsets),
            )
        )
    elements = prod(shape)
    taken = -(-elements * bits // 8)
    if offsets[1] - offsets[0] != taken:
        raise FileFormatError(
            say(
                "safetensors.takes_bytes_not",
                "{name}: {key_} of {dtype} {shape} takes {taken:,} bytes, and not {offsets:,}",
                name=name,
                key_=shown(key),
                dtype=dtype,
                shape=shown(shape),
                taken=taken,
                offsets=offsets[1] - offsets[0],
            )
        )
    return Tensor(key, dtype, elements, taken), offsets[0]


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**50 for value in values)
