"""Units of memory: exact bytes inside, GB (10^9) and GiB (2^30) for people.

GB and GiB differ by 7.4 %. A bare "G" is refused wherever a size is read.
"""

from __future__ import annotations

import re
from decimal import Decimal

from calculator.errors import InvalidValueError
from calculator.messages import Message, say

KIB = 2**10
MIB = 2**20
GIB = 2**30
GB = 10**9

_UNITS = {"b": 1, "bytes": 1, "mb": 10**6, "mib": MIB, "gb": GB, "gib": GIB, "tb": 10**12, "tib": 2**40}
_SIZE = re.compile(r"(\d{1,19}(?:\.\d{1,9})?)\s{0,20}+([A-Za-z]{0,5})", re.ASCII)


def gib_to_bytes(gib: Decimal | int | float | str) -> int:
    """Convert a decimal number of GiB to whole bytes, rounded to the nearest."""
    return round(Decimal(str(gib)) * GIB)


def parse_bytes(text: str) -> int:
    """Read a size such as ``21474836480``, ``20GiB`` or ``21.5 GB`` as whole bytes."""
    match = _SIZE.fullmatch(text.strip())
    unit = match[2].lower() if match else ""
    if match and not unit and "." not in match[1]:
        return int(match[1])
    if match and unit in _UNITS:
        return round(Decimal(match[1]) * _UNITS[unit])
    raise InvalidValueError(
        f"{text!r} is not a size: write whole bytes, or a number with MiB, GiB, TiB (powers of two) "
        "or MB, GB, TB (powers of ten); a bare G could mean either and is refused"
    )


def format_gib(num_bytes: int | float, digits: int = 2) -> str:
    """Show bytes as GiB (2^30 bytes), the unit of nvidia-smi and of the engines' logs."""
    return f"{num_bytes / GIB:,.{digits}f} GiB"


def format_gb(num_bytes: int | float, digits: int = 2) -> str:
    """Show bytes as GB (10^9 bytes), the unit of data sheets and disks."""
    return f"{num_bytes / GB:,.{digits}f} GB"


def format_bytes(num_bytes: int) -> str:
    """Show exact bytes with thousands separators."""
    return plural(num_bytes, "byte")


def format_size(num_bytes: int) -> str:
    """Show a size in the binary unit that suits it: bytes, KiB, MiB or GiB."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if abs(num_bytes) >= unit:
            return f"{num_bytes / unit:,.2f} {name}"
    return format_bytes(num_bytes)


def dollars(low: float, high: float) -> Message:
    """Say a price and its range: ``$3.90``, ``$6.00 to $24.00``; small ones with more digits."""
    first, last = (f"${value:,.2f}" if value >= 0.1 else f"${value:.3g}" for value in (low, high))
    if first == last:
        return say("count.dollars", "{low}", low=first)
    return say("count.dollars_range", "{low} to {high}", low=first, high=last)


def plural(number: int, one: str, many: str = "") -> Message:
    """Return ``1 sequence`` or ``55 sequences``."""
    noun = one if number == 1 else many or one + "s"
    return say(f"count.{one.replace(' ', '_')}", f"{{number:,}} {noun}", number=number)
