"""A plan under a load, number by number, the same on every face; and its headline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from calculator.messages import Message, say
from calculator.planning.sizing.service import LIMITS, Service
from calculator.planning.traffic import words
from calculator.units import dollars
from calculator.views.sizing.answer import load_in_words
from calculator.views.sizing.options import hardware


class ServedRow(NamedTuple):
    """A number of a service.

    Attributes
    ----------
    name : Message
        What it is.
    value, range, unit : str
        It, its range where it has one, and its unit, as they are read.
    """

    name: Message
    value: str
    range: str
    unit: str


_AT_THE_LIMIT: tuple[tuple[str, Message, str, Callable[[float], str]], ...] = (
    ("time_per_output_token_s", say("served.tpot", "time per output token, at the limit"), "ms", words.milliseconds),
    ("time_to_first_token_s", say("served.ttft", "time to the first token, there"), "ms", words.milliseconds),
    ("output_tokens_per_second", say("served.tokens", "tokens of one replica, there"), "1/s", words.rate),
    ("replica_requests_per_second", say("served.requests", "requests of one replica, there"), "1/s", words.rate),
)
_PRICES = (
    ("usd_per_hour", say("served.all_gpus", "all GPUs"), "USD/h"),
    ("usd_per_million_output_tokens", say("served.million", "a million output tokens, at its own rate"), "USD"),
    ("usd_per_million_output_tokens_full", say("served.million_full", "a million output tokens, full"), "USD"),
    ("usd_per_request", say("served.each_request", "a request, at its own rate"), "USD"),
    ("usd_per_user_hour", say("served.user_hour", "one of those at once, an hour, full"), "USD/h"),
)


def served_rows(answer: Service) -> Iterator[ServedRow]:
    """Yield every number of a service that is known, in the order in which they are read."""
    for name, label, unit, shown in _AT_THE_LIMIT:
        value, low, high = (getattr(answer, f"{name}{end}") for end in ("", "_low", "_high"))
        if value is not None:
            ends = say("served.range", "{low} to {high}", low=shown(low), high=shown(high))
            yield ServedRow(label, shown(value), ends, unit)
    if answer.mean_time_per_output_token_s is not None:
        step = words.milliseconds(answer.mean_time_per_output_token_s)
        yield ServedRow(say("served.own_tpot", "time per output token, at its own rate"), step, "", "ms")
        batch = say("served.own_batch", "at once on one replica, at its own rate")
        yield ServedRow(batch, f"{answer.mean_batch_size:,.1f}", "", "-")
    if answer.utilisation is not None:
        share = words.percent(round(answer.utilisation, 3))
        yield ServedRow(say("served.utilisation", "utilisation"), share, "", "-")
    for name, label, unit in _PRICES:
        if (pair := getattr(answer, name)) is not None:
            yield ServedRow(label, str(dollars(*pair)).replace("$", ""), "", unit)


def headline(answer: Service) -> Message:
    """Say the model, the load and the hardware: with its price where it holds, else what is missing."""
    model = answer.plan.model.name
    what = say(
        "served.asked", "{model}, {load}", model=model, load=load_in_words(answer.load, answer.plan.request.seq_len)
    )
    name, price = hardware(answer), answer.usd_per_hour
    values = {"what": what, "hardware": name}
    if not answer.batch_size:
        gpu = answer.plan.accelerator.name
        return say("served.none", "{what}: {gpu} ({split}) has no room for one request", what=what, gpu=gpu,
                   split=answer.split)  # fmt: skip
    if not answer.meets:
        return say("served.missed", "{what}: {hardware} miss the goal of {limit}", limit=LIMITS[answer.limited_by],
                   **values)  # fmt: skip
    if not answer.holds:
        return say("served.not_held", "{what}: {hardware} do not hold it", **values)
    if price is None:
        return say("served.best_no_price", "{what}: {hardware}", **values)
    return say("served.best", "{what}: {hardware}, from ${low:,.2f} an hour", low=price[0], **values)
