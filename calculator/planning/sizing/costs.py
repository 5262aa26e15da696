"""What a change costs besides GPUs: in answers, as published, and what is not sure of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from calculator.messages import joined, phrase, say

if TYPE_CHECKING:
    from calculator.catalogue.published import PublishedPair
    from calculator.planning.answer import Plan

PUBLISHED = {
    "q8_0": ("q8_0",),
    "q4_0": ("q4_0",),
    "fp8_e4m3": (phrase("fp8, after the accumulation fix"),),
    "nvfp4": ("FP4",),
    "int4_per_token_head": (phrase("4 bit, K and V per token"),),
}
"""KV formats by name, and what the published pairs call those that are stored as they are."""
WORST_UNITS = ("points", "%", "PPL")
RISKS = (
    ("decode_context_parallel_size", say("lever.dcp", "ranks exchange partial attention in every step: not measured")),
    (
        "enable_expert_parallel",
        say("lever.ep", "experts are loaded unevenly, and what replicas send each other is not in the speed"),
    ),
    (
        "enable_attention_dp",
        say("lever.attention_dp", "a request stays on its rank: of uneven requests the ranks hold fewer"),
    ),
    (
        "pipeline_parallel_size",
        say("lever.stages", "a token passes the stages one after the other: slower, least so with many at once"),
    ),
)
"""What is not sure of a split, by the keyword that makes it."""


def quality_of(changes: Mapping[str, Any]) -> str:
    """Say what some changes may cost in answers; empty where they cost none."""
    if "weight_dtype" in changes:
        return say(
            "lever.weights_quality", "nothing is published here for weights in {name}: compare on tasks of your own",
            name=changes["weight_dtype"],
        )  # fmt: skip
    if "kv_cache_dtype" in changes:
        return _of_cache(changes["kv_cache_dtype"])
    if "seq_len" in changes:
        return say("lever.length_quality", "what is longer than {tokens:,} tokens is cut", tokens=changes["seq_len"])
    return ""


def _of_cache(name: str) -> str:
    from calculator.catalogue.published import published_pairs

    pairs = [
        pair
        for pair in published_pairs()
        if pair.kind == "format" and pair.variant in PUBLISHED.get(name, ()) and pair.unit in WORST_UNITS
    ]
    if not pairs:
        return say("lever.no_quality", "nothing is published here for {name}: compare on tasks of your own", name=name)
    worst = max(pairs, key=_lost)
    first = say("lever.only", "published") if len(pairs) == 1 else say("lever.worst", "worst of {n} published",
                                                                       n=len(pairs))  # fmt: skip
    return say(
        "lever.quality", "{first}: {model}, {benchmark} {before:g} to {after:g} ({source})",
        first=first, model=phrase(worst.model), benchmark=phrase(worst.benchmark), before=worst.baseline,
        after=worst.value, source=worst.source,
    )  # fmt: skip


def _lost(pair: PublishedPair) -> float:
    """Return the share of a score that was lost [-]."""
    before, after = pair.baseline, pair.value
    return (before - after) / before if pair.higher_is_better else (after - before) / after


def risk_of(changes: Mapping[str, Any], plan: Plan, note: str) -> str:
    """Say what is not sure of some changes; empty where there is nothing."""
    parts: list[str] = [text for name, text in RISKS if changes.get(name, 1) > 1 or changes.get(name) is True]
    if "weight_dtype" in changes or "gpu" in changes:
        parts += [note] if note else []
    if "gpu" in changes and not plan.accelerator.memory_verified:
        parts.append(say("lever.not_verified", "the memory of {gpu} is not verified", gpu=plan.accelerator.name))
    return joined("; ", parts) if parts else ""
