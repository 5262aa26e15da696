"""What is too long for a link as it is: a config and a trace, packed, and never unpacked to more than is allowed."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Iterable, Mapping

import calculator
from calculator.messages import say
from calculator.planning.traffic.columns import COLUMNS
from calculator.planning.traffic.tables import workload_from_text
from calculator.reading.strict_json import parse_config

MAX_LINK_PACKED = 16_384
MAX_CONFIG_BYTES = 262_144


def packed_config(text: str) -> str:
    """Unpack a config from a link."""
    plain = _unpack(text, "config")
    parse_config(plain, "the link's config")
    return plain


def pack_config(content: str) -> str:
    """Pack a config for a link; spaces are left out."""
    return _pack(json.dumps(parse_config(content, "the config"), separators=(",", ":")))


def packed_trace(text: str) -> str:
    """Check that a link's trace can be read, and return it as it was packed."""
    workload_from_text(unpack_trace(text).encode(), "the link's trace")
    return text


def unpack_trace(text: str) -> str:
    """Return the CSV text of a trace that was packed for a link."""
    return _unpack(text, "trace")


def pack_trace(columns: Mapping[str, Iterable[float]]) -> str | None:
    """Pack the columns of a trace for a link; None where they are too long for one."""
    kept = [name for name in COLUMNS if name in columns]
    rows = zip(*(columns[name] for name in kept), strict=True)
    lines = [",".join(kept), *(",".join(f"{value:.15g}" for value in row) for row in rows)]
    text = "\n".join(lines)
    packed = _pack(text) if len(text) <= MAX_CONFIG_BYTES else None
    return packed if packed and len(packed) <= MAX_LINK_PACKED else None


def pack_text(text: str) -> str:
    """Pack a short text for a link."""
    return _pack(text)


def unpack_text(text: str) -> str:
    """Return what was packed."""
    return _unpack(text, "text")


def _unpack(text: str, what: str) -> str:
    try:
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(base64.urlsafe_b64decode(text), MAX_CONFIG_BYTES)
        whole = not unpacker.unconsumed_tail and unpacker.eof
        plain = content.decode("utf-8")
    except (binascii.Error, zlib.error, UnicodeDecodeError, ValueError):
        raise calculator.InvalidValueError(
            say("packing.not_this_page_packed", "is not a {what} that this page packed", what=what)
        ) from None
    if not whole:
        raise calculator.InvalidValueError(
            say(
                "packing.unpacks_more_than_bytes",
                "unpacks to more than {max_config_bytes:,} bytes, or is cut off",
                max_config_bytes=MAX_CONFIG_BYTES,
            )
        )
    return plain


def _pack(text: str) -> str:
    return base64.urlsafe_b64encode(zlib.compress(text.encode("utf-8"), 9)).decode("ascii")
