"""From an option to its plan: the link that opens it under "Does it fit?", with all that is asked here kept in it."""

from __future__ import annotations

from typing import Any

import calculator
from calculator.engines.beside.experts import joins_replicas
from calculator.planning.answer import Plan
from dashboard import state
from dashboard.compare import pins
from dashboard.link.need_parameters import NEED
from dashboard.link.traffic_parameters import TRAFFIC
from dashboard.need.asking import OF_MODEL

OF_PLAN = (
    "tensor_parallel_size", "pipeline_parallel_size", "decode_context_parallel_size", "enable_expert_parallel",
    "enable_attention_dp", "engine", "weight_dtype", "kv_cache_dtype", "seq_len",
)  # fmt: skip


def link_of_option(option: calculator.Service) -> dict[str, str]:
    """Return the link of an option: its replicas, each with what it is to hold.

    Of several groups of replicas that share experts it is one.
    """
    plan = option.plan
    room = plan.max_batch_size_low if option.holds else plan.max_batch_size
    shared = joins_replicas(plan.rules, plan.request)
    return link_of_plan(
        plan,
        batch_size=max(1, min(option.batch_size, room)),
        data_parallel_size=plan.request.data_parallel_size if shared else option.replicas,
    )


def pin_of_option(option: calculator.Service) -> str:
    """Return the pin of an option: with the users that are asked, spread over its replicas."""
    link = link_of_option(option)
    users, replicas = option.load.users, int(link["data_parallel_size"])
    if users is not None and option.replicas == replicas:
        link["batch_size"] = str(-(-users // replicas))
    return pins.of_link(link)


def link_of_plan(plan: Plan, **changes: Any) -> dict[str, str]:
    """Return the link of a plan, with some values changed; what the plan does not say opens at its default."""
    held = {name: parameter.default for name, parameter in state.PARAMETERS.items()}
    held |= state.held(*OF_MODEL, *TRAFFIC, *NEED)
    held |= {name: getattr(plan.request, name) for name in OF_PLAN}
    held["gpu"] = plan.accelerator.id
    return state.link_of(held | changes)
