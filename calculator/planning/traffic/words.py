"""Traffic and speed in words, the same on every face."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calculator.engines.unmeasured import newer_than_measured
from calculator.messages import Message, say
from calculator.units import plural

if TYPE_CHECKING:
    from calculator.planning.traffic.concurrency import Concurrency
    from calculator.planning.traffic.timing.speed import Speed
    from calculator.planning.traffic.workload import Workload

PARTS = {
    "weights": say("speed.weights", "reading weights"),
    "kv": say("speed.kv", "reading the KV cache"),
    "compute": say("speed.compute", "computing"),
    "links": say("speed.links", "links between GPUs"),
    "launch": say("speed.launch", "launches and scheduling"),
    "prefill": say("speed.prefill", "prefill of new prompts"),
}
"""The terms of a step."""


def percent(share: float) -> str:
    """Show a share as a percentage, as short as it can be: ``1 %``, ``0.1 %``."""
    return f"{100 * share:.12g} %"


def milliseconds(seconds: float) -> str:
    """Show milliseconds to three figures or to the whole."""
    value = 1000 * seconds
    return f"{value:,.0f}" if value >= 1000 else f"{value:.2f}" if value >= 1 else f"{value:.3g}"


def rate(per_second: float) -> str:
    """Show a rate to the whole, below ten to three figures."""
    return f"{per_second:,.0f}" if per_second >= 10 else f"{per_second:.3g}"


def lengths(workload: Workload) -> Message:
    """Say how long the requests of a workload are."""
    varies = say(
        "traffic.lengths",
        "prompts of {prompt:,.0f} tokens (CV {prompt_cv:.3g}) and answers of {output:,.0f} (CV {output_cv:.3g})",
        prompt=workload.prompt_tokens,
        prompt_cv=workload.prompt_cv,
        output=workload.output_tokens,
        output_cv=workload.output_cv,
    )
    if workload.trace is None:
        return varies
    requests = plural(len(workload.trace[0]), "request")
    return say("traffic.trace", "{name}, {requests}: {lengths}", name=workload.name, requests=requests, lengths=varies)


def held(found: Concurrency) -> Message:
    """Answer in a sentence how many requests of a workload a replica holds."""
    if not found.sequences:
        return say(
            "traffic.holds_none",
            "One replica holds no request of this traffic with a risk of {risk}: its KV pool has {tokens:,} tokens, a "
            "request holds {mean:,.0f} in the mean.",
            risk=percent(found.risk),
            tokens=found.plan.kv_pool_tokens if found.plan.max_batch_size else 0,
            mean=found.mean_tokens,
        )
    return say(
        "traffic.holds",
        "One replica holds {requests} of this traffic at once with a risk of {risk} that its KV pool is exceeded "
        "({even:,} at even odds).",
        requests=plural(found.sequences, "request"),
        risk=percent(found.risk),
        even=found.sequences_even,
    )


def fast(found: Speed) -> Message:
    """Answer in a sentence how fast a replica is."""
    return say(
        "speed.finding",
        "With {batch} at once a token takes {token} ms ({token_low} to {token_high}) and one replica gives {rate} "
        "tokens a second ({rate_low} to {rate_high}); the largest part of a step is {bound}.",
        batch=_sequences(found.batch_size),
        token=milliseconds(found.time_per_output_token_s),
        token_low=milliseconds(found.time_per_output_token_s_low),
        token_high=milliseconds(found.time_per_output_token_s_high),
        rate=rate(found.output_tokens_per_second),
        rate_low=rate(found.output_tokens_per_second_low),
        rate_high=rate(found.output_tokens_per_second_high),
        bound=PARTS[found.bound],
    )


def _sequences(count: float) -> Message:
    if count == int(count):
        return plural(int(count), "sequence")
    return say("speed.sequences", "{count:,.3g} sequences", count=count)


def checked(found: Speed) -> Message:
    """Say whether such a set-up was measured, and what of it was not."""
    if found.checked:
        if newer_than_measured(found.plan):
            return say(
                "speed.checked_older",
                "such set-ups were measured with {engine} up to {version}; the range is wider for what newer versions "
                "changed",
                engine=found.plan.rules.title,
                version=".".join(map(str, found.plan.rules.speed.newest)),
            )
        return say("speed.checked", "such set-ups were measured, and nine of ten lay within the range")
    return say("speed.not_checked", "not checked against measured speeds: {why}", why=found.why)
