"""A log and the plan of its set-up, in the formats, with the weights and by the version that its figures say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from calculator.architecture.model import ModelArchitecture
from calculator.engines import engine_log
from calculator.errors import CalculatorError
from calculator.hardware import Accelerator
from calculator.logs.comparison import Comparison
from calculator.logs.reading import StartupLog
from calculator.logs.setup import (
    SAME_WEIGHTS,
    keywords_of,
    weights_off,
    with_consumed_weights,
    with_logged_weights,
    with_weights_as_logged,
)
from calculator.messages import say, template
from calculator.planning.plan import plan as make_plan
from calculator.planning.plan import vary

NOT_ITS_OWN = "logs.assumed.not_its_own"


def compare(
    log: StartupLog, model: ModelArchitecture | str | None, gpu: Accelerator | str | None, given: dict[str, Any]
) -> Comparison:
    """Set a log beside the plan of what it states; what is given takes the place of what the log states."""
    asked, assumed = keywords_of(log, model, gpu, given)
    planned = answer = make_plan(**asked)
    taken = [text for text in assumed if getattr(text, "key", "") == NOT_ITS_OWN]
    if "weight_dtype" not in asked or (taken and given.get("weight_dtype") is None):
        more: list[str] = []
        if "weights_gib" in log.figures:
            answer, more = with_logged_weights(answer, log.figures["weights_gib"])
            if not more and asked.get("tensor_parallel_size") and engine_log(log.engine).sizes_pool:
                answer, more = with_weights_as_logged(answer, log.figures["weights_gib"])
        elif "consumed_gib" in log.figures:
            answer, more = with_consumed_weights(answer, log.figures["consumed_gib"])
        if more:
            assumed = _less(assumed, "logs.assumed.weight_dtype", NOT_ITS_OWN) + more
    if known := engine_log(log.engine).measured(answer, log):
        answer = vary(answer, **known)
    found = Comparison(log, answer, planned, asked, tuple(assumed))
    if not found.holds_what_is_printed:
        found = _in_another_format(found)
    return found if found.holds_what_is_printed else _of_another_version(found)


def _in_another_format(found: Comparison) -> Comparison:
    """Take the KV format whose bytes a token are the log's, as a checkpoint can ask for it, where only that may be."""
    logged = found.log.figures.get("weights_gib")
    knows_ranks = found.asked.get("tensor_parallel_size") or (
        logged and abs(weights_off(found.plan, logged)) <= SAME_WEIGHTS
    )
    if not found.may_ask_for_kv_format or not knows_ranks:
        return found
    for name in found.plan.rules.kv_cache_dtypes:
        try:
            other = replace(found, plan=vary(found.plan, kv_cache_dtype=name))
            if name == found.plan.request.kv_cache_dtype or not other.holds_what_is_printed:
                continue
        except CalculatorError:
            continue
        text = template("KV in {form}: the log's bytes a token are that format's, as a checkpoint can ask for it")
        said = say("logs.assumed.kv_of_tokens", text, form=name)
        return replace(other, assumed=(*_less(found.assumed, "logs.assumed.kv_cache_dtype"), said))
    return found


def _less(assumed: Iterable[str], *keys: str) -> list[str]:
    return [text for text in assumed if getattr(text, "key", "") not in keys]


def _of_another_version(found: Comparison) -> Comparison:
    """Take the version whose pool holds the tokens printed, the nearest of equals, where the log names none."""
    if "engine_version" in found.asked or not found.own.sizes_pool:
        return found
    best: tuple[float, Comparison] | None = None
    keys = ("logs.assumed.newest", "logs.assumed.dated", *(message.key for *_, message in found.own.shapes))
    for version in found.own.versions(found.plan, found.log):
        try:
            answer = vary(found.plan, engine_version=version)
        except CalculatorError:
            continue
        text = template(
            "{engine} {other}: the log names no version, and its pool holds its tokens by the rules of that one"
        )
        said = say("logs.assumed.version_of_tokens", text, engine=answer.rules.title, other=version)
        other = replace(found, plan=answer, assumed=(said, *_less(found.assumed, *keys)))
        off = abs(other.held_tokens(other.printed_pool_gib or 0.0) - (other.printed_tokens or 0.0))
        if other.holds_what_is_printed and (best is None or off < best[0]):
            best = off, other
    return best[1] if best else found
