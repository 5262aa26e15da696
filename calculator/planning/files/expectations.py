"""What a plan file may expect of a plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calculator.errors import UnknownNameError, UnsupportedError
from calculator.planning.answer import Plan

if TYPE_CHECKING:
    from calculator.planning.sizing.service import Service


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a plan file may expect: a value of the plan, or of its service, and how it compares."""

    actual: Callable[[Any], Any]
    relation: str
    met: Callable[[Any, Any], bool]
    of_service: bool = False


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


def _served(service: Service) -> Service:
    if not service.batch_size:
        raise UnsupportedError("memory holds no request of the workload, so it is not served at any speed")
    return service


def _capacity(service: Service) -> float:
    """Return the requests a second that the deployment serves within the goals that are expected beside [1/s]."""
    each = service.replica_requests_per_second if service.meets else 0.0
    return (each or 0.0) * service.replicas


def _highest_usd_per_million(service: Service) -> float:
    cost = service.usd_per_million_output_tokens
    if cost is None:
        raise UnknownNameError(f"no price is known for {service.plan.accelerator.name}")
    return cost[1]


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
    "max_tpot_s": Expectation(lambda one: _served(one).mean_time_per_output_token_s, "at most", _at_most, True),
    "max_ttft_s": Expectation(lambda one: _served(one).mean_time_to_first_token_s, "at most", _at_most, True),
    "max_usd_per_million_output_tokens": Expectation(_highest_usd_per_million, "at most", _at_most, True),
    "min_requests_per_second": Expectation(_capacity, "at least", _at_least, True),
}
OF_SERVICE = tuple(name for name, rule in EXPECTATIONS.items() if rule.of_service)
"""What is expected of a deployment under its workload."""
