"""What was found for a load, in words: the headline, what stands below it, and the nearest that would do."""

from __future__ import annotations

from calculator.messages import say
from calculator.planning.sizing.found import TOO_MANY, Found
from calculator.planning.sizing.loads import Load
from calculator.planning.sizing.owned import WhatRuns
from calculator.planning.sizing.service import Service
from calculator.units import plural
from calculator.views.load.wording import milliseconds
from calculator.views.sizing.options import OptionRow, hardware, option_row


def asked(found: Found) -> str:
    """Say what was to be served: ``LLaMA 3.1 70B, 200 users of 8,192 tokens``."""
    return say("need.asked", "{model}, {load}", model=found.model.name, load=load_in_words(found.load, found.seq_len))


def load_in_words(load: Load, seq_len: int) -> str:
    """Say a load: users and their tokens, or requests a second and their mean lengths."""
    if load.users is not None:
        return say(
            "need.users", "{users} of {tokens}", users=plural(load.users, "user"), tokens=plural(seq_len, "token")
        )
    rate, each = load.asked, load.workload or load.lengths  # as asked: long requests may be cut
    return say(
        "need.traffic", "{rate} of {prompt:,.0f} tokens in and {output:,.0f} out",
        rate=say("need.rate_one", "1 request a second") if rate == 1
        else say("need.rate", "{rate:,.4g} requests a second", rate=rate),
        prompt=each.prompt_tokens, output=each.output_tokens,
    )  # fmt: skip


def headline(found: Found) -> str:
    """Say the answer: the cheapest hardware and from what price, or that there is none."""
    what = asked(found)
    if (best := found.best) is None:
        if found.nearest is not None and gpus_that_would_do(found) is None:
            return say("need.goals", "{what}: nothing meets the goals", what=what)
        return say("need.none", "{what}: nothing that was tried holds it", what=what)
    price = best.usd_per_hour
    money = (
        say("need.from", "from ${low:,.2f} an hour", low=price[0])
        if price
        else say("need.no_price", "at a price that is not known")
    )
    return say("need.best", "{what}: {hardware}, {money}", what=what, hardware=hardware(best), money=money)


def verdict(found: Found) -> str:
    """Say how the best option stands: of how many, how fast, and which is next; why there is none."""
    if found.best is None:
        return found.finding
    best = option_row(found.best)
    count = len(found.options)
    first = (
        say("need.only", "The only one that holds the load.")
        if count == 1
        else say("need.cheapest", "The cheapest of {count:,} that hold the load.", count=count)
    )
    return say(
        "need.verdict", "{first} {split}.{pace}{next}{cut}",
        first=first, split=best.split, pace=_pace(best), next=_next(found.options), cut=_cut(found),
    )  # fmt: skip


def holds(best: OptionRow) -> str:
    """Say how many the best option holds, with the range."""
    if best.held_low == best.held_high:
        return say("need.holds", "holds {held:,}", held=best.held)
    return say("need.holds_range", "holds {low:,} to {high:,}", low=best.held_low, high=best.held_high)


def _pace(row: OptionRow) -> str:
    central, low, high = (
        row.time_per_output_token_s, row.time_per_output_token_s_low, row.time_per_output_token_s_high,
    )  # fmt: skip
    if central is None or low is None or high is None:
        return say("need.no_speed", " Its speed is not known.")
    return say(
        "need.pace", " A token every {central} ms ({low} to {high}).",
        central=milliseconds(central), low=milliseconds(low), high=milliseconds(high),
    )  # fmt: skip


def _next(options: tuple[Service, ...]) -> str:
    """Say which other kind of hardware is next."""
    first = options[0]
    others = [one for one in options if one.plan.accelerator.id != first.plan.accelerator.id and one.usd_per_hour]
    if not others or others[0].usd_per_hour is None:
        return ""
    return say(
        "need.next", " {hardware} is next, from ${low:,.2f}.", hardware=hardware(others[0]),
        low=others[0].usd_per_hour[0],
    )  # fmt: skip


def _cut(found: Found) -> str:
    if found.complete:
        return ""
    return say(
        "need.cut", " The search was cut short: {tried:,} of {all:,} layouts were tried.",
        tried=found.tried, all=found.to_try,
    )  # fmt: skip


def gpus_that_would_do(found: Found) -> int | None:
    """Return how many GPUs would hold a load that those allowed do not hold; None where that is not what fails [-]."""
    if found.best is not None:
        return None
    more = [row.nearest.num_gpus for row in found.refused if row.nearest is not None and row.why.key == TOO_MANY]
    return min(more, default=None)


def owned_headline(found: WhatRuns) -> str:
    """Say what runs on GPUs that are there: how many models, and the largest."""
    gpus = f"{found.num_gpus:,} × {found.gpu.name}"
    tokens = plural(found.min_context, "token")
    if not found.rows:
        return say("need.none_runs", "{gpus}: no model of the catalogue runs with {tokens}", gpus=gpus, tokens=tokens)
    return say(
        "need.runs", "{gpus}: {models} with {tokens}, up to {largest}",
        gpus=gpus, tokens=tokens, largest=found.rows[0].name,
        models=say("need.one_runs", "1 model runs") if len(found.rows) == 1
        else say("need.many_run", "{count:,} models run", count=len(found.rows)),
    )  # fmt: skip
