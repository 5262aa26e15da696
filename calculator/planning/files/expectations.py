"""What a plan file may expect of a plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from calculator.errors import UnknownNameError
from calculator.planning.answer import Plan


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a plan file may expect: a value of the plan and how it compares."""

    actual: Callable[[Plan], Any]
    relation: str
    met: Callable[[Any, Any], bool]


def _at_least(actual: Any, expected: Any) -> bool:
    return bool(actual >= expected)


def _at_most(actual: Any, expected: Any) -> bool:
    return bool(actual <= expected)


def _held(measure: Callable[[Plan], int]) -> Callable[[Plan], int]:
    """Return a measure of the KV pool, 0 where the device cannot hold that pool beside all else."""
    return lambda plan: 0 if plan.stage.exceeds else measure(plan)


def _highest_price(plan: Plan) -> float:
    if plan.price_usd_per_hour is None:
        raise UnknownNameError(
            f"no price is known for {plan.accelerator.name}", what="gpu", asked=plan.accelerator.name
        )
    return plan.price_usd_per_hour[1]


EXPECTATIONS = {
    "fits": Expectation(lambda plan: plan.fits, "is", lambda actual, expected: bool(actual is expected)),
    "min_batch_size": Expectation(lambda plan: plan.max_batch_size, "at least", _at_least),
    "min_total_batch_size": Expectation(lambda plan: plan.total_max_batch_size, "at least", _at_least),
    "min_context_len": Expectation(lambda plan: plan.max_context_len, "at least", _at_least),
    "min_kv_pool_tokens": Expectation(_held(lambda plan: plan.kv_pool_tokens), "at least", _at_least),
    "min_kv_pool_bytes": Expectation(_held(lambda plan: plan.kv_pool_bytes), "at least", _at_least),
    "max_kv_bytes_per_sequence": Expectation(lambda plan: plan.kv_bytes_per_sequence, "at most", _at_most),
    "max_weights_bytes": Expectation(lambda plan: plan.per_gpu.weights_bytes, "at most", _at_most),
    "max_num_gpus": Expectation(lambda plan: plan.num_gpus, "at most", _at_most),
    "max_price_usd_per_hour": Expectation(_highest_price, "at most", _at_most),
}
