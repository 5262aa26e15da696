"""Hardware for a load: each option with what it holds, how fast it is and what it costs."""

from __future__ import annotations

from dataclasses import dataclass

from calculator.errors import UnsupportedError
from calculator.messages import phrase, say
from calculator.planning.sizing.found import Found
from calculator.planning.sizing.service import LIMITS, Service
from calculator.planning.traffic.timing.speed import Speed, speed
from calculator.units import plural
from calculator.views.base import Row, View

NAME, TITLE = "price-tpot", phrase("Price against time per output token")


@dataclass(frozen=True, eq=False)
class OptionRow(Row):
    """An option, or one that holds the load only at the centre of the memory's range.

    Attributes
    ----------
    hardware, split : str
        Its GPUs, and how those of a replica share the model.
    gpu, vendor, engine, weight_dtype, kv_cache_dtype : str
        The GPU's preset id and maker, the engine, and the formats.
    num_gpus, replicas : int
        All its GPUs, and the replicas on them [-].
    held, held_low, held_high : int
        Sequences at once that all replicas hold within the goals, at either end of the memory's range [-].
    time_per_output_token_s, time_per_output_token_s_low, time_per_output_token_s_high : float or None
        Mean time from one token to the next at the load's own rate; None where no speed is known [s].
    output_tokens_per_second : float or None
        Tokens of all replicas with so many at once [1/s].
    usd_per_hour_low, usd_per_hour_high : float or None
        What all GPUs cost; None where no price is known [USD per hour].
    usd_per_million_output_tokens_low, usd_per_million_output_tokens_high : float or None
        The same for a million output tokens, at the load's own rate; for users with all of them decoding [USD].
    limited_by : str
        What stops a replica, in words.
    utilisation : float or None
        The load's share of what all replicas can serve; None where that is not known [-].
    price_seen : str
        When the price was seen, and on how many quotes it rests; that it is the reader's own.
    pareto : bool
        Whether no other option beats it in both price and time.
    """

    hardware: str
    split: str
    gpu: str
    vendor: str
    engine: str
    weight_dtype: str
    kv_cache_dtype: str
    num_gpus: int
    replicas: int
    held: int
    held_low: int
    held_high: int
    time_per_output_token_s: float | None
    time_per_output_token_s_low: float | None
    time_per_output_token_s_high: float | None
    output_tokens_per_second: float | None
    usd_per_hour_low: float | None
    usd_per_hour_high: float | None
    usd_per_million_output_tokens_low: float | None
    usd_per_million_output_tokens_high: float | None
    limited_by: str
    utilisation: float | None
    price_seen: str
    pareto: bool


def options_view(found: Found) -> View[OptionRow]:
    """Show price against time per output token, the front marked.

    Parameters
    ----------
    found : Found
        What ``calculator.size`` found [-].

    Returns
    -------
    View
        A row an option, cheapest first.

    Raises
    ------
    UnsupportedError
        If there is no option.
    """
    if found.best is None:
        raise UnsupportedError(str(found.finding), what="options")
    front = set(map(id, found.pareto))
    rows = [option_row(option, pareto=id(option) in front) for option in found.options]
    return View(NAME, TITLE, _finding(len(front), len(rows)), found.best.plan, rows)


def option_row(option: Service, pareto: bool = False) -> OptionRow:
    """Return an option as a row."""
    plan, price = option.plan, option.usd_per_hour
    request, tokens = plan.request, option.usd_per_million_output_tokens
    low, central, high = held(option)
    at = _speed_at_its_rate(option)
    rate = option.output_tokens_per_second
    return OptionRow(
        hardware=hardware(option),
        split=str(option.split),
        gpu=plan.accelerator.id,
        vendor=plan.accelerator.vendor,
        engine=request.engine,
        weight_dtype=request.weight_dtype,
        kv_cache_dtype=request.kv_cache_dtype,
        num_gpus=option.num_gpus,
        replicas=option.replicas,
        held=central,
        held_low=low,
        held_high=high,
        time_per_output_token_s=option.mean_time_per_output_token_s,
        time_per_output_token_s_low=at.time_per_output_token_s_low if at else None,
        time_per_output_token_s_high=at.time_per_output_token_s_high if at else None,
        output_tokens_per_second=rate * option.replicas if rate is not None else None,
        usd_per_hour_low=price[0] if price else None,
        usd_per_hour_high=price[1] if price else None,
        usd_per_million_output_tokens_low=tokens[0] if tokens else None,
        usd_per_million_output_tokens_high=tokens[1] if tokens else None,
        limited_by=str(limit(option)),
        utilisation=option.utilisation,
        price_seen=str(option.price.words) if option.price else "",
        pareto=pareto,
    )


def hardware(option: Service) -> str:
    """Say which GPUs an option is, and how many."""
    return f"{option.num_gpus:,} × {option.plan.accelerator.name}"


def held(option: Service) -> tuple[int, int, int]:
    """Return how many sequences all replicas hold within the goals: low end, centre and high end of the range [-]."""
    plan, count = option.plan, option.replicas
    if option.load.users is None:
        return count * option.batch_size_low, count * option.batch_size, count * option.batch_size_high
    memory = [count * each for each in (plan.max_batch_size_low, plan.max_batch_size, plan.max_batch_size_high)]
    if option.limited_by == "memory" or not option.utilisation:
        return memory[0], memory[1], memory[2]
    within = round(option.load.users / option.utilisation)
    return min(memory[0], within), within, within


def limit(option: Service) -> str:
    """Say what stops a replica, a goal with its number."""
    goals = {"tpot": option.goals.max_tpot_s, "ttft": option.goals.max_ttft_s}
    goal = goals.get(option.limited_by)
    if goal is None:
        return LIMITS[option.limited_by]
    return _GOALS[option.limited_by](goal)


_GOALS = {
    "tpot": lambda goal: say("options.tpot", "{goal:,.4g} ms a token", goal=1e3 * goal),
    "ttft": lambda goal: say("options.ttft", "{goal:,.4g} ms to the first token", goal=1e3 * goal),
}


def _speed_at_its_rate(option: Service) -> Speed | None:
    """Return the step at the load's own rate; None where no speed is known."""
    if option.mean_time_per_output_token_s is None or not option.mean_batch_size:
        return None
    each = option.load.lengths_on(option.plan)
    return speed(
        option.plan,
        option.mean_batch_size,
        each.prompt_tokens,
        each.output_tokens,
        computed_prompt_tokens=each.computed_tokens,
        resident_tokens=each.held_tokens,
    )


def _finding(front: int, options: int) -> str:
    if not front:
        return say("options.no_front", "No option has both a known price and a known speed.")
    if front == options:
        return say("options.all_front", "{options}: none costs more and is slower than another.",
                   options=plural(options, "option"))  # fmt: skip
    return say(
        "options.front", "{front} of {options} are on the front: every other costs more or is slower than one of them.",
        front=front, options=plural(options, "option"),
    )  # fmt: skip
