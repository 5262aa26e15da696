"""What a GPU costs: the reader's own prices first, else the catalogue's dated examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from calculator.catalogue.presets import gpu_id, gpu_ids, load_gpu, proposed_gpu_ids
from calculator.errors import InvalidValueError, UnknownNameError, shown, unknown_name
from calculator.hardware import Accelerator
from calculator.messages import Message, phrase, say
from calculator.units import plural

MOST_USD_PER_HOUR = 1e5


@dataclass(frozen=True, slots=True)
class Price:
    """What one GPU costs.

    Attributes
    ----------
    usd_per_hour : tuple of two float
        The lowest and the highest price [USD per GPU and hour].
    date : str
        When it was seen; empty where the reader gave it, or no date is known.
    quotes : int or None
        How many quotes it rests on; None where that is not known, or the reader gave it [-].
    own : bool
        Whether the reader gave it.
    """

    usd_per_hour: tuple[float, float]
    date: str = ""
    quotes: int | None = None
    own: bool = False

    @property
    def words(self) -> Message:
        """When it was seen, and on how many quotes it rests."""
        if self.own:
            return say("price.own", "your own")
        date = phrase(self.date) if self.date else say("price.no_date", "without a date")
        if self.quotes is None:
            return say("price.seen", "{date}", date=date)
        return say("price.quotes", "{date}, {quotes}", date=date, quotes=plural(self.quotes, "quote"))


Given = Mapping[str, float | Sequence[float]]
"""Prices as a reader gives them: a number or the lowest and the highest, by the id of a GPU."""


def price_of(gpu: Accelerator, given: Given | None = None) -> Price | None:
    """Return what one GPU costs, None where no price is known.

    Parameters
    ----------
    gpu : Accelerator
        The GPU [-].
    given : mapping, optional
        The reader's own prices by the ids of GPUs, each a number or the lowest and the highest [USD per GPU and hour].

    Returns
    -------
    Price or None
        The reader's own, else the catalogue's example with its date.

    Raises
    ------
    CalculatorError
        If a given price is no number above 0, or a GPU is not known.
    """
    own = checked_prices(given, (gpu,))
    if gpu.id in own:
        return Price(own[gpu.id], own=True)
    seen = gpu.price_usd_per_hour
    return Price((float(seen[0]), float(seen[1])), gpu.price_date, gpu.price_quotes) if seen else None


def checked_prices(given: Given | None, others: Sequence[Accelerator] = ()) -> dict[str, tuple[float, float]]:
    """Return given prices by the ids of GPUs; raise ``CalculatorError`` for what is no price of a GPU that is known."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InvalidValueError(
            say(
                "prices.prices_map_ids_gpus",
                'prices map the ids of GPUs to USD per GPU and hour, such as {{"h100-sxm": 2.5}} or '
                '{{"h100-sxm": (2, 3)}}, not {given}',
                given=shown(given),
            ),
            what="prices",
            asked=given,
        )
    known = {gpu.id for gpu in others}
    checked: dict[str, tuple[float, float]] = {}
    for name, value in given.items():
        own = name if name in known else _named(name, known)
        if own in checked:
            raise InvalidValueError(
                say("prices.prices_name_twice_give", "prices name {own} twice: give it one price", own=own),
                what="prices",
                asked=name,
            )
        checked[own] = _pair(name, value)
    return checked


def _named(name: Any, known: set[str]) -> str:
    """Return the id of the GPU whose price is given, by any of its names."""
    try:
        if isinstance(name, str):
            return gpu_id(name)
    except UnknownNameError as error:
        if isinstance(error.allowed, tuple) and set(error.allowed) < set(gpu_ids()):  # it can be several
            raise
    raise unknown_name("GPU in prices", name, [*known, *gpu_ids()])


def _pair(name: str, value: Any) -> tuple[float, float]:
    two = isinstance(value, Sequence) and not isinstance(value, str)
    numbers = list(value) if two else [value, value]
    if len(numbers) != 2 or not all(map(_is_price, numbers)):
        raise InvalidValueError(
            say(
                "prices.price_must_number_usd",
                "the price of {name} must be a number of USD per GPU and hour, more than 0 and at most "
                "{most_usd_per_hour:,.0f}, or the lowest and the highest, not {asked}: write 2.5 or (2, "
                "3), without a currency, and leave a GPU out whose price is not known",
                name=name,
                most_usd_per_hour=MOST_USD_PER_HOUR,
                asked=shown(value),
            ),
            what="prices",
            asked=value,
            allowed=(0, MOST_USD_PER_HOUR),
        )
    if numbers[0] > numbers[1]:
        raise InvalidValueError(
            say(
                "prices.price_goes_from_lowest",
                "the price of {name} goes from {numbers:g} to {numbers_2:g}: the lowest comes first",
                name=name,
                numbers=numbers[0],
                numbers_2=numbers[1],
            ),
            what="prices",
            asked=value,
            nearest=(numbers[1], numbers[0]),
        )
    return float(numbers[0]), float(numbers[1])


def _is_price(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and isfinite(value) and 0 < value <= MOST_USD_PER_HOUR


def price_in_text(text: str) -> tuple[str, float | tuple[float, ...]]:
    """Read a price as people write it, such as ``h100-sxm=2.5`` or ``h100-sxm=2:3``; return the GPU's id and its price.

    Raises
    ------
    CalculatorError
        If it is not written so.
    """
    name, equals, amount = text.partition("=")
    try:
        values = tuple(float(part) for part in amount.split(":"))
    except ValueError:
        values = ()
    if not equals or len(values) not in (1, 2):
        raise InvalidValueError(
            say(
                "prices.price_must_such_h",
                "price must be such as h100-sxm=2.5 or h100-sxm=2:3, in USD per GPU and hour without a "
                "currency, not {text!r}",
                text=text[:60],
            ),
            what="price",
            asked=text,
        )
    return name.strip(), values[0] if len(values) == 1 else values


def prices_in_text(text: str) -> dict[str, float | tuple[float, ...]]:
    """Read prices that stand one after the other, with commas between, such as ``h100-sxm=2, mi300x=1.5:3``.

    Raises
    ------
    CalculatorError
        If one is not written so, is no number above 0, or is of no GPU that is known.
    """
    given: dict[str, float | tuple[float, ...]] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, price = price_in_text(part)
        if name in given:
            raise InvalidValueError(
                say("prices.prices_name_twice_keep", "prices name {name} twice: keep one of them", name=name),
                what="prices",
                asked=text,
            )
        given[name] = price
    checked_prices(given)
    return given


def gpus_of(asked: Sequence[Accelerator | str] | Accelerator | str | None) -> list[Accelerator]:
    """Return the GPUs that are asked for, by default all that a search proposes."""
    if asked is None:
        return [load_gpu(name) for name in proposed_gpu_ids()]
    names = [asked] if isinstance(asked, str | Accelerator) else list(asked)
    if not names:
        raise InvalidValueError(
            say("prices.gpus_names_no_gpu", "gpus names no GPU: name at least one, or leave it out for all"),
            what="gpus",
            asked=asked,
        )
    return list(dict.fromkeys(load_gpu(name) for name in names))
