"""Plan files: deployments that people keep in their repository, with what they expect of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from calculator import strict_yaml
from calculator.answer import Plan
from calculator.capacity import plan
from calculator.decoder import custom_model
from calculator.errors import CalculatorError, UnknownNameError
from calculator.model import ModelArchitecture
from calculator.request import PLAN_FIELDS
from calculator.schema import Schema, count, flag, nested, number, text

MAX_DEPLOYMENTS = 1_000


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
        raise UnknownNameError(f"no price is known for {plan.accelerator.name}")
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

_EXPECT_FIELDS = {name: count(2**62, minimum=0, required=False) for name in EXPECTATIONS} | {
    "fits": flag(required=False),
    "max_price_usd_per_hour": number(10**9, required=False),
}
_FIELDS = {
    "name": text(120),
    "model": {"type": "typed-dict-field", "schema": {"type": "any"}, "required": True},
    "gpu": text(80, required=False),
    **{name: {**field, "required": False} for name, field in PLAN_FIELDS.items()},
    "expect": nested(_EXPECT_FIELDS),
}
_SCHEMA = Schema(_FIELDS)
_MODEL_NAME = Schema({"model": text(200)})


@dataclass(frozen=True)
class Deployment:
    """One deployment of a plan file: its plan and what is expected of it."""

    name: str
    plan: Plan
    expect: dict[str, Any]
    location: strict_yaml.Location


def read_deployments(document: strict_yaml.Document) -> list[Deployment]:
    """Plan every deployment of a plan file.

    Raises
    ------
    FileFormatError
        With file, line and field, if the file is not a plan file or a request cannot be answered.
    """
    entries = document.data.get("deployments") if isinstance(document.data, dict) else None
    if not isinstance(entries, list) or len(document.data) != 1:
        raise document.error((), "must hold one list named deployments")
    if not 1 <= len(entries) <= MAX_DEPLOYMENTS:
        raise document.error(("deployments",), f"must list 1 to {MAX_DEPLOYMENTS:,} deployments, not {len(entries):,}")
    return [_deployment(document, index, entry) for index, entry in enumerate(entries)]


def _deployment(document: strict_yaml.Document, index: int, entry: Any) -> Deployment:
    place: strict_yaml.Location = ("deployments", index)
    if not isinstance(entry, dict):
        raise document.error(place, "must be a mapping of names to values")
    for location, problem in _SCHEMA.all_problems(entry):
        raise document.error((*place, *location), str(problem))
    if not entry["expect"]:
        raise document.error((*place, "expect"), f"expects nothing: name at least one of {', '.join(EXPECTATIONS)}")
    asked = {name: value for name, value in entry.items() if name not in ("name", "expect")}
    try:
        if isinstance(asked["model"], dict):
            asked["model"] = _model(asked["model"])
        else:
            _MODEL_NAME.validate({"model": asked["model"]})
        answer = plan(**asked)
    except CalculatorError as error:
        text = str(error).lower()
        field = next((name for name in entry if text.startswith((name, f"unknown {name} "))), None)
        raise document.error((*place, field) if field else place, str(error)) from None
    return Deployment(entry["name"], answer, entry["expect"], place)


def _model(fields: dict[str, Any]) -> ModelArchitecture:
    """Build a model from what a plan file states of it: the keys of a config.json, or an architecture typed by hand."""
    if "model_type" in fields or any(isinstance(value, dict) for value in fields.values()):
        from calculator.hf_config import model_from_hf_config

        return model_from_hf_config(fields)
    return custom_model(**fields)


def read_plan_file(path: Path | str) -> list[Deployment]:
    """Read a plan file and plan every deployment in it.

    Parameters
    ----------
    path : Path or str
        The file [-].

    Returns
    -------
    list of Deployment
        Each with its name, its plan and what is expected of it.

    Raises
    ------
    FileFormatError
        With file, line and field, if it is not a plan file or a request cannot be answered.
    """
    return read_deployments(strict_yaml.read(Path(path)))


def write_plan_file(answer: Plan, name: str) -> str:
    """Return the YAML of a plan file with one deployment, which expects what the plan answers now.

    Parameters
    ----------
    answer : Plan
        The plan [-].
    name : str
        What to call the deployment [-].

    Returns
    -------
    str
        The file's content; ``python -m calculator check`` reads it.
    """
    asked = {
        key: value.item() if hasattr(value, "item") else value  # numpy's numbers as plain ones
        for key, value in answer.asked.items()
        if key != "gpu" or value != "custom"
    }
    asked |= {"model": _model_entry(answer), "seq_len": answer.request.seq_len}
    if "gpu" in asked:
        asked["gpu"] = answer.accelerator.id
    expect: dict[str, Any] = {"fits": answer.fits, "max_kv_bytes_per_sequence": answer.kv_bytes_per_sequence}
    if answer.fits:
        expect["min_batch_size"] = answer.max_batch_size
    return yaml.safe_dump(
        {"deployments": [{"name": name, **asked, "expect": expect}]}, sort_keys=False, allow_unicode=True
    )


def _model_entry(answer: Plan) -> Any:
    return answer.model.fields or answer.model.id
