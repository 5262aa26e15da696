"""Units of memory: exact bytes inside, GB (10^9) and GiB (2^30) for people.

GB and GiB differ by 7.4 %. A bare "G" is refused wherever a size is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

from calculator.errors import InvalidValueError
from calculator.messages import Counted, Message, say

KIB = 2**10
MIB = 2**20
GIB = 2**30
GB = 10**9

_UNITS = {
    "b": 1, "bytes": 1, "mb": 10**6, "mib": MIB, "gb": GB, "gib": GIB, "tb": 10**12, "tib": 2**40,
    "kb": 1000, "kib": KIB,
}  # fmt: skip
_LETTERS = {"k": 1_000, "K": KIB, "Ki": KIB, "m": 10**6, "M": MIB, "Mi": MIB}
"""What vLLM reads behind a number: small letters are thousands, capitals powers of 1,024."""
_SIZE = re.compile(r"(\d{1,19}(?:\.\d{1,9})?)\s{0,20}+([A-Za-z]{0,5})", re.ASCII)
_TOKENS = re.compile(r"(\d{1,19}(?:\.\d{1,9})?)\s{0,20}+([A-Za-z]{0,2}?)(?:\s{0,20}+tokens?)?", re.ASCII)
_WITH_LETTERS = re.compile(r"\s{0,20}+[0-9][0-9.,_]{0,30}\s{0,20}+[A-Za-z][A-Za-z ]{0,20}")


def gib_to_bytes(gib: Decimal | int | float | str) -> int:
    """Convert a decimal number of GiB to whole bytes, rounded to the nearest."""
    return round(Decimal(str(gib)) * GIB)


def parse_bytes(text: str) -> int:
    """Read a size such as ``21474836480``, ``20GiB`` or ``21.5 GB`` as whole bytes."""
    match = _SIZE.fullmatch(text.strip())
    unit = match[2].lower() if match else ""
    if match and not unit and "." not in match[1]:
        return int(match[1])
    if match and match[2] in _LETTERS:
        return _times(match[1], match[2])
    if match and unit in _UNITS:
        return round(Decimal(match[1]) * _UNITS[unit])
    raise InvalidValueError(
        say(
            "units.not_size_write_whole",
            "{text!r} is not a size: write whole bytes, or a number with MiB, GiB, TiB (powers of "
            "two) or MB, GB, TB (powers of ten); a bare G could mean either and is refused",
            text=text,
        )
    )


def parse_tokens(text: str) -> int:
    """Read a number of tokens such as ``8192``, ``8K`` (8,192), ``8k`` (8,000) or ``1Mi`` (1,048,576)."""
    match = _TOKENS.fullmatch(text.strip())
    if match and not match[2] and "." not in match[1]:
        return int(match[1])
    if match and match[2] in _LETTERS:
        return _times(match[1], match[2])
    raise InvalidValueError(
        say(
            "units.not_number_tokens_write",
            "{text!r} is not a number of tokens: write a whole number, or one with k or m (thousands "
            "and millions) or K, Ki, M or Mi (powers of 1,024)",
            text=text[:40],
        )
    )


def _times(number: str, letter: str) -> int:
    product = Decimal(number) * _LETTERS[letter]
    if product != int(product) or ("." in number and letter not in "km"):
        raise InvalidValueError(
            say(
                "units.no_whole_number_s",
                "{number}{letter} is no whole number of 1,024s: write {lower} for powers of ten, or the number",
                number=number,
                letter=letter,
                lower=letter[0].lower(),
            )
        )
    return int(product)


SIZES: dict[str, Callable[[str], int]] = {"bytes": parse_bytes, "tokens": parse_tokens}
"""How a size of a unit is read from text."""


def in_text(value: object, unit: str) -> object:
    """Return the number that a size in text means; anything that is no number with letters behind it as it is.

    Raises
    ------
    InvalidValueError
        If the letters mean nothing, or one of several things.
    """
    if isinstance(value, str) and unit in SIZES and _WITH_LETTERS.fullmatch(value):
        return SIZES[unit](value)
    return value


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
    forms = (f"{{number:,}} {noun}" for noun in (one, many or one + "s"))
    return Counted.of(f"count.{one.replace(' ', '_')}", number, *forms)
