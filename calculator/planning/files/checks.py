"""Presets and plans against what is expected of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from calculator.architecture.model import ModelArchitecture
from calculator.catalogue import presets
from calculator.errors import CalculatorError, FileFormatError, InvalidValueError, shown
from calculator.messages import Message
from calculator.planning.files import plan_file
from calculator.planning.files.expectations import EXPECTATIONS
from calculator.planning.files.plan_file import Deployment
from calculator.planning.plan import vary
from calculator.reading import strict_yaml

_ID = re.compile(r"[a-z0-9]{1,80}+(?:[.-][a-z0-9]{1,80}+){0,20}+")


@dataclass(frozen=True, slots=True)
class Finding:
    """One expectation that was computed.

    Attributes
    ----------
    subject, field : str
        The preset or deployment, and what of it.
    expected, actual : object
        What is stated and what is computed.
    tolerance : str
        How the two must relate: ``exact``, ``at least`` or ``at most``.
    source : str
        Where the expectation comes from.
    file, line : str, int
        Where it is written.
    ok : bool
        Whether it is met.
    """

    subject: str
    field: str
    expected: Any
    actual: Any
    tolerance: str
    source: str
    file: str
    line: int
    ok: bool


class Assumed(NamedTuple):
    """What a deployment is answered by in place of what it names: the rules of another version of its engine."""

    subject: str
    line: int
    text: str


ASSUMES = "versions."
"""How the keys of notes begin that say whose rules were taken."""


def check_presets(model_path: Path | None = None, gpu_path: Path | None = None) -> list[Finding]:
    """Recompute every number that the preset files expect, and what must hold for each preset.

    Raises
    ------
    FileFormatError
        If a file is not what it claims to be, with file, line, preset and field.
    """
    more = () if gpu_path else _check_gpus(presets.data_file("gpu_presets_more.yaml"))
    return [*_check_models(model_path), *_check_gpus(gpu_path), *more]


Answered = tuple[list[Finding], list[FileFormatError], list[Assumed]]


def check_file(path: Path, upgrade_to: str | None = None) -> list[Finding]:
    """Check one file of models, of GPUs or of deployments, whichever it is.

    Parameters
    ----------
    path : Path
        The file [-].
    upgrade_to : str, optional
        Deployments are checked as if their engine were of that version, ``0.33``; where a file has several engines,
        ``vllm=0.33`` says whose, and the others stay [-].

    Raises
    ------
    FileFormatError
        If it is none of them, or a deployment cannot be answered.
    InvalidValueError
        If a version is given for a file that has no deployments, or several engines.
    """
    findings, problems, _ = check_each(path, upgrade_to)
    if problems:
        raise problems[0]
    return findings


def check_each(path: Path, upgrade_to: str | None = None) -> Answered:
    """Check one file as ``check_file``; return beside what was found the entries that cannot be answered, and why.

    The third are the deployments that are answered by the rules of another version than they name.

    Raises
    ------
    InvalidValueError
        As ``check_file``.
    """
    try:
        document = strict_yaml.read(path)
        return _check_document(path, document, upgrade_to)
    except FileFormatError as problem:
        return [], [problem], []


def _check_document(path: Path, document: strict_yaml.Document, upgrade_to: str | None) -> Answered:
    keys = list(document.data) if isinstance(document.data, dict) else []
    if upgrade_to is not None and keys != ["deployments"]:
        raise InvalidValueError(f"{path} has no deployments to upgrade", what="upgrade_to", asked=upgrade_to)
    if keys == ["models"]:
        return list(_check_models(path)), [], []
    if keys == ["gpus"]:
        return list(_check_gpus(path)), [], []
    if keys == ["deployments"]:
        return _check_deployments(document, upgrade_to)
    raise FileFormatError(f"{path}:1: must hold one of deployments, models or gpus at its top level")


def _check_models(path: Path | None) -> Iterator[Finding]:
    file = presets.model_file.__wrapped__(path)
    file.entries.check_whole()
    for key, raw in file.entries.items():
        model = file.get(key)
        computed = {
            "num_parameters": model.num_parameters,
            "num_active_parameters": model.num_active_parameters,
            "kv_bytes_per_token_fp16": model.kv_bytes_per_token("fp16"),
        }

        def finding(field: str, expected: Any, actual: Any, key: str = key, source: str = raw["source"]) -> Finding:
            line = file.line(key, field)
            return Finding(key, field, expected, actual, "exact", source, file.name, line, expected == actual)

        for field in presets.EXPECTATION_FIELDS:
            yield finding(field, raw[field], computed[field])
        for field, expected, actual in _invariants(model):
            yield finding(field, expected, actual)


def _invariants(model: ModelArchitecture) -> Iterator[tuple[str, Any, Any]]:
    """Yield what must hold for every model: field, expected, actual."""
    yield "id", True, bool(_ID.fullmatch(model.id))
    yield "num_active_parameters <= num_parameters", True, model.num_active_parameters <= model.num_parameters
    if model.is_uniform:
        heads, groups = model.num_attention_heads, model.num_key_value_heads
        as_mha = model.with_kv_heads(heads).kv_bytes_per_token("fp16")
        yield "KV bytes as MHA × KV heads / query heads", as_mha * groups // heads, model.kv_bytes_per_token("fp16")
    yield "tensor_parallel_size 1 is legal", True, 1 in model.tensor_parallel_degrees


def _check_gpus(path: Path | None) -> Iterator[Finding]:
    file = presets.gpu_file.__wrapped__(path)
    file.entries.check_whole()
    for key in file.entries:
        gpu = file.get(key)
        line, name = file.line(key), file.name
        low, high = gpu.program_gib or ("0", "0")
        checks = [
            ("id", True, bool(_ID.fullmatch(key))),
            ("program_gib_low <= program_gib_high", True, float(low) <= float(high)),
            (
                "a program sees no more than the driver",
                True,
                not gpu.reported_mib or gpu.memory_bytes <= gpu.reported_mib * 2**20,
            ),
        ]
        for field, expected, actual in checks:
            yield Finding(key, field, expected, actual, "exact", gpu.sources[:80], name, line, expected == actual)


def _upgraded(deployments: list[Deployment], name: str, upgrade_to: str) -> list[Deployment | CalculatorError]:
    """Return deployments as they would be at another version of their engine, or why they cannot be."""
    engine, _, version = upgrade_to.rpartition("=")
    used = list(dict.fromkeys(one.plan.request.engine for one in deployments))
    if (not engine and len(used) > 1) or (engine and engine not in used):
        raise InvalidValueError(
            f"upgrade_to {shown(upgrade_to)}: {name} has deployments of {', '.join(used)}: say whose version "
            f"it is, such as {used[0]}={version}",
            what="upgrade_to", asked=upgrade_to, allowed=used,
        )  # fmt: skip
    made: list[Deployment | CalculatorError] = []
    for one in deployments:
        try:
            of_it = engine in ("", one.plan.request.engine)
            made.append(replace(one, plan=vary(one.plan, engine_version=version)) if of_it else one)
        except CalculatorError as error:
            made.append(error)
    return made


def _check_deployments(document: strict_yaml.Document, upgrade_to: str | None) -> Answered:
    deployments, problems = plan_file.read_each(document)
    findings: list[Finding] = []
    assumed: list[Assumed] = []
    answered: Sequence[Deployment | CalculatorError] = deployments
    if upgrade_to is not None and deployments:
        answered = _upgraded(deployments, document.name, upgrade_to)
    for own, deployment in zip(deployments, answered, strict=True):
        if isinstance(deployment, CalculatorError):
            problems.append(document.error(own.location, str(deployment)))
            continue
        line = document.line(own.location)
        notes = [note for note in deployment.plan.notes if isinstance(note, Message)]
        assumed += [Assumed(own.name, line, note) for note in notes if note.key.startswith(ASSUMES)]
        for field, expected in deployment.expect.items():
            rule = EXPECTATIONS[field]
            place = (*deployment.location, "expect", field)
            try:
                actual = rule.actual(deployment.service if rule.of_service else deployment.plan)
            except ValueError as error:
                problems.append(document.error(place, str(error)))
                continue
            findings.append(
                Finding(
                    deployment.name,
                    field,
                    expected,
                    actual,
                    "exact" if rule.relation == "is" else rule.relation,
                    "the plan file",
                    document.name,
                    document.line(place),
                    rule.met(actual, expected),
                )
            )
    return findings, sorted(problems, key=lambda problem: problem.line), assumed
