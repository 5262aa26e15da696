"""The same request on another engine."""

from __future__ import annotations

from calculator.engines import engine_class
from calculator.planning.answer import Plan
from calculator.planning.plan import plan as make_plan
from calculator.request import OPTIONS

SAME_REQUEST = ("model", "gpu", *(name for name, option in OPTIONS.items() if option.everywhere))
"""What of a request means the same to every engine; the rest is each engine's own default."""


def on_engine(plan: Plan, name: str) -> Plan:
    """Return the plan of the same request on another engine, with that engine's own defaults.

    Parameters
    ----------
    plan : Plan
        The answer to start from [-].
    name : str
        The engine [-].

    Returns
    -------
    Plan
        The same plan where it is of that engine already; where the engine puts whole layers on each GPU,
        tensor-parallel GPUs become pipeline stages.

    Raises
    ------
    CalculatorError
        If that engine cannot serve the request.
    """
    if name == plan.request.engine:
        return plan
    asked = {key: value for key, value in plan.asked.items() if key in SAME_REQUEST}
    if not engine_class(name).splits_layers:
        gpus = asked.pop("tensor_parallel_size", 1) * asked.get("pipeline_parallel_size", 1)
        asked["pipeline_parallel_size"] = gpus
    return make_plan(**asked, engine=name)
