"""Plan files: deployments that people keep in their repository, with what they expect of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from calculator.catalogue.presets import gpu_ids, load_gpu
from calculator.errors import (
    CalculatorError,
    FileFormatError,
    InvalidValueError,
    UnsupportedError,
    friendly,
    shown,
)
from calculator.hardware import ACCELERATOR_FIELDS, CUSTOM, Accelerator, custom_accelerator
from calculator.planning.answer import Plan
from calculator.planning.files.expectations import EXPECTATIONS, OF_SERVICE
from calculator.planning.files.models import model_entry, stated_model
from calculator.planning.files.plan_schema import (
    DEPLOYMENT,
    GPU,
    MAX_DEPLOYMENTS,
    NAMED_GPU,
    NAMED_MODEL,
)
from calculator.planning.plan import plan
from calculator.planning.traffic.inputs import RISK
from calculator.reading import strict_yaml
from calculator.reading.strict_yaml import plain
from calculator.request.calibration import Calibration, calibration_of

if TYPE_CHECKING:
    from calculator.planning.sizing.service import Service
    from calculator.planning.traffic.workload import Workload


@dataclass(frozen=True)
class Deployment:
    """One deployment of a plan file: its plan, its traffic where that is stated, and what is expected of it."""

    name: str
    plan: Plan
    expect: dict[str, Any]
    location: strict_yaml.Location
    workload: Workload | None = None
    risk: float = 0.01
    price: tuple[float, float] | None = None

    @cached_property
    def service(self) -> Service:
        """The replicas that the deployment states under its workload, within the goals that are expected."""
        from calculator.planning.sizing.served import service

        if self.workload is None:
            raise InvalidValueError(f"workload is missing: {' and '.join(self.expects_service)} are of a workload")
        goals = {name: self.expect[name] for name in ("max_ttft_s", "max_tpot_s") if name in self.expect}
        prices = None if self.price is None else {self.plan.accelerator.id: self.price}
        replicas = self.plan.request.data_parallel_size
        return service(self.plan, self.workload, self.risk, **goals, prices=prices, replicas=replicas)

    @property
    def expects_service(self) -> list[str]:
        """What of its expectations is of a workload."""
        return [name for name in OF_SERVICE if name in self.expect]


def read_deployments(document: strict_yaml.Document) -> list[Deployment]:
    """Plan every deployment of a plan file.

    Raises
    ------
    FileFormatError
        With file, line and field, if the file is not a plan file or a request cannot be answered.
    """
    deployments, problems = read_each(document)
    if problems:
        raise problems[0]
    return deployments


def read_each(document: strict_yaml.Document) -> tuple[list[Deployment], list[FileFormatError]]:
    """Plan every deployment of a plan file that can be; return what is wrong with the others.

    Raises
    ------
    FileFormatError
        If the file is not a plan file.
    """
    entries = document.data.get("deployments") if isinstance(document.data, dict) else None
    if not isinstance(entries, list) or len(document.data) != 1:
        raise document.error((), "must hold one list named deployments")
    if not 1 <= len(entries) <= MAX_DEPLOYMENTS:
        raise document.error(("deployments",), f"must list 1 to {MAX_DEPLOYMENTS:,} deployments, not {len(entries):,}")
    deployments, problems = [], []
    for index, entry in enumerate(entries):
        misstated = _misstated(document, ("deployments", index), entry)
        problems += misstated
        try:
            deployments += [] if misstated else [_deployment(document, index, entry)]
        except FileFormatError as problem:
            problems.append(problem)
    return deployments, problems


def _misstated(document: strict_yaml.Document, place: strict_yaml.Location, entry: Any) -> list[FileFormatError]:
    """Return all that is wrong with how a deployment is stated."""
    if not isinstance(entry, dict):
        return [document.error(place, "must be a mapping of names to values")]
    problems = [
        document.error((*place, *location), str(problem)) for location, problem in DEPLOYMENT.all_problems(entry)
    ]
    if not problems and not entry["expect"]:
        names = ", ".join(EXPECTATIONS)
        problems.append(document.error((*place, "expect"), f"expects nothing: name at least one of {names}"))
    return problems


def _within(place: strict_yaml.Location, what: str, stated: Mapping[str, Any]) -> strict_yaml.Location:
    """Return the place of the field that is at fault, where it is among those that are stated; else the whole's."""
    field = what.partition(".")[0]
    return (*place, field) if field in stated else place


def _deployment(document: strict_yaml.Document, index: int, entry: dict[str, Any]) -> Deployment:
    place: strict_yaml.Location = ("deployments", index)
    asked = {name: value for name, value in entry.items() if name not in BESIDE_PLAN}
    try:
        if isinstance(asked["model"], dict):
            asked["model"] = stated_model(asked["model"], Path(document.name).parent)
        else:
            NAMED_MODEL.validate({"model": asked["model"]})
        if isinstance(asked.get("gpu"), dict):
            asked["gpu"] = _stated_gpu(asked["gpu"])
        elif "gpu" in asked:
            NAMED_GPU.validate({"gpu": asked["gpu"]})
        if "calibration" in asked:
            asked["calibration"] = _stated_calibration(document, asked["calibration"])
        answer = plan(**asked)
    except CalculatorError as error:
        raise document.error(_within(place, error.what, entry), str(error)) from None
    load, risk = _traffic(document, (*place, "workload"), entry.get("workload"))
    price = _price(document, (*place, "price_usd_per_hour"), answer, entry.get("price_usd_per_hour"))
    if price is not None:
        answer = replace(answer, accelerator=replace(answer.accelerator, price_usd_per_hour=price, price_date=""))
    made = Deployment(entry["name"], answer, entry["expect"], place, load, risk, price)
    if load is None and made.expects_service:
        raise document.error((*place, "expect"), f"{made.expects_service[0]} is of a workload: state one beside it")
    return made


def _stated_calibration(document: strict_yaml.Document, stated: Any) -> Calibration:
    """Return a calibration from its values, or from its file beside the plan file."""
    try:
        return calibration_of(Path(document.name).parent / stated if isinstance(stated, str) else stated)
    except FileFormatError as error:
        raise InvalidValueError(f"calibration: {error}", what="calibration", asked=stated) from None


BESIDE_PLAN = ("name", "expect", "workload", "price_usd_per_hour")
"""What a deployment states besides keywords of ``plan``."""


def _price(
    document: strict_yaml.Document, place: strict_yaml.Location, answer: Plan, stated: Any
) -> tuple[float, float] | None:
    """Return the lowest and the highest price of one GPU that a deployment states; None where it states none."""
    if stated is None:
        return None
    from calculator.planning.sizing.prices import checked_prices

    device = answer.accelerator
    try:
        return checked_prices({device.id: stated}, (device,))[device.id]
    except CalculatorError as error:
        raise document.error(place, str(error)) from None


def _traffic(
    document: strict_yaml.Document, place: strict_yaml.Location, stated: Mapping[str, Any] | None
) -> tuple[Workload | None, float]:
    """Return the traffic that a deployment states, and the risk."""
    if stated is None:
        return None, RISK["risk"].default
    from calculator.planning.traffic.tables import given_workload

    said = {name: value for name, value in stated.items() if name != "risk"}
    if "trace" in said:
        said["trace"] = Path(document.name).parent / said["trace"]
    try:
        return given_workload(said), stated.get("risk", RISK["risk"].default)
    except CalculatorError as error:
        raise document.error(_within(place, error.what, stated), str(error)) from None


def _stated_gpu(stated: Mapping[str, Any]) -> Accelerator:
    """Build a GPU from the fields that a plan file states of it, and the preset that it has the others of."""
    checked = GPU.validate(stated)
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in checked.items()
    }
    preset = fields.pop("preset", None)
    if preset is None and "memory_bytes" not in fields:
        raise InvalidValueError("gpu states neither preset nor memory_bytes", what="gpu")
    base = load_gpu(preset) if preset else custom_accelerator(fields["memory_bytes"])
    return replace(base, **fields)


@friendly
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
    InvalidValueError
        If what is given is no path.
    FileFormatError
        With file, line and field, if it is not a plan file or a request cannot be answered.
    """
    if not isinstance(path, str | Path):
        raise InvalidValueError(f"a plan file is given by its path, not {shown(path)}", what="path", asked=path)
    return read_deployments(strict_yaml.read(Path(path)))


@friendly
def write_plan_file(answer: Plan, name: str, folder: Path | str = ".") -> str:
    """Return the YAML of a plan file with one deployment, which expects what the plan answers now.

    Engine and version are stated, so that a newer engine changes nothing by itself; of what fits, the low end of the
    range is expected.

    Parameters
    ----------
    answer : Plan
        The plan [-].
    name : str
        What to call the deployment [-].
    folder : Path or str
        Where the file is to stand: a model that was planned by the path of its files is named from there; by default
        the working directory [-].

    Returns
    -------
    str
        The file's content; ``python -m calculator check`` reads it, and gets the same plan.

    Raises
    ------
    UnsupportedError
        If no file gives the same plan: what of it cannot be written, and what to do instead.
    """
    folder, request = Path(folder), answer.request
    version = answer.asked.get("engine_version") or request.engine_version  # one that is not known has a note
    pinned = {"engine": request.engine, "engine_version": version, "seq_len": request.seq_len}
    asked = {**answer.asked, "model": model_entry(answer.model, answer.asked["model"], folder), **pinned}
    if answer.calibration is not None:
        asked["calibration"] = answer.calibration.stated()
    if answer.asked.get("gpu", CUSTOM) == CUSTOM:
        asked.pop("gpu", None)
    elif not isinstance(answer.asked["gpu"], str):
        asked["gpu"] = _gpu_entry(load_gpu(answer.asked["gpu"]))
    expect: dict[str, Any] = {"fits": answer.fits, "max_kv_bytes_per_sequence": answer.kv_bytes_per_sequence}
    if answer.fits and answer.max_batch_size_low:
        expect["min_batch_size"] = answer.max_batch_size_low
    try:
        content = yaml.safe_dump(
            {"deployments": [plain({"name": name, **asked, "expect": expect})]},
            sort_keys=False,
            allow_unicode=True,
        )
        if len(content.encode("utf-8", "surrogatepass")) > strict_yaml.MAX_FILE_BYTES:
            raise UnsupportedError(
                f"it takes more than the {strict_yaml.MAX_FILE_BYTES:,} bytes of a file that is read"
            )
        (written,) = read_deployments(strict_yaml.parse(content, str(folder / "as written")))
    except (yaml.YAMLError, CalculatorError) as error:
        raise UnsupportedError(f"the plan cannot be written as a file: {error}") from None
    before, after = answer.as_dict(), written.plan.as_dict()
    differs = [key for key in before if before[key] != after[key]] + ["name"] * (written.name != name)
    if differs:
        raise UnsupportedError(
            f"the plan cannot be written as a file: what is read back differs in {', '.join(differs)}; "
            "plan anew from what calculator.plan was given"
        )
    return content


def _gpu_entry(gpu: Accelerator) -> str | dict[str, Any]:
    """Return what a plan file says of a GPU: its preset, the fields that differ from it, or its own."""
    preset = {"preset": gpu.id} if gpu.id in gpu_ids() else {}
    base = load_gpu(gpu.id) if preset else custom_accelerator(gpu.memory_bytes)
    memory = {} if preset else {"memory_bytes": gpu.memory_bytes}
    changed = {
        name: getattr(gpu, name) for name in ACCELERATOR_FIELDS if getattr(gpu, name) != getattr(base, name)
    } | memory
    return {**preset, **changed} if changed else gpu.id
