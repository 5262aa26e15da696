"""Which storage formats an engine runs on which generation of devices: a table an engine, each row with its source.

A format that no row names on a device is not offered, as it was not read; what a row says does not run is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from calculator.engines import engine_rules, engine_support
from calculator.engines.base import Engine
from calculator.engines.versions import Version
from calculator.errors import friendly
from calculator.formats.kv import storage_format
from calculator.formats.names import KV_ALIASES, PLAIN, SIXTEEN_BIT
from calculator.formats.weights import weight_format
from calculator.hardware import Accelerator
from calculator.messages import joined, phrase, say

ANY = "*"
"""Any generation of devices."""
GGUF = ("q8_0", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m", "q2_k")
GGML_CACHE = ("q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")
PLAIN_FORMATS = (*SIXTEEN_BIT, "fp32")


@dataclass(frozen=True, slots=True)
class Support:
    """Whether an engine runs formats on a device.

    Attributes
    ----------
    ok : bool
        Whether it does.
    why : str
        Why not, or what to know where it does; empty where there is nothing to say.
    source : str
        Where that is read from.
    """

    ok: bool
    why: str
    source: str


@dataclass(frozen=True, slots=True)
class Runs:
    """Formats and the generations of devices that an engine runs them on.

    Attributes
    ----------
    formats, generations : tuple of str
        Names of formats, and of generations as the catalogue of GPUs has them.
    source : str
        Where that is read from.
    note : str
        How it runs there, where that is not plain.
    not_on : tuple of str
        Beginnings of the ids of GPUs of these generations that it does not run on.
    until : tuple of int or None
        The last version that it was read at, where a later one no longer has it.
    since : tuple of int or None
        The first version that it was read at, where an older one does not have it.
    """

    formats: tuple[str, ...]
    generations: tuple[str, ...]
    source: str
    note: str = ""
    not_on: tuple[str, ...] = ()
    until: Version | None = None
    since: Version | None = None

    def holds(self, name: str, generation: str, gpu: str, version: str) -> bool:
        """Whether a format is among these, on a device of a generation and an id, at a version."""
        if name not in self.formats or generation not in self.generations:
            return False
        if self.not_on and gpu.startswith(self.not_on):
            return False
        return _within(version, self.since, self.until)


@dataclass(frozen=True, slots=True)
class Refuses:
    """Formats that an engine is read not to run on generations of devices: what is refused, not only left out.

    Attributes
    ----------
    formats, generations : tuple of str
        Names of formats, and of generations as the catalogue of GPUs has them.
    source : str
        Where that is read from.
    since, until : tuple of int or None
        The first and the last version that it was read at, where others may be different.
    gpus : tuple of str
        Beginnings of the ids of those GPUs alone that it holds for; all where none is named.
    """

    formats: tuple[str, ...]
    generations: tuple[str, ...]
    source: str
    since: Version | None = None
    gpus: tuple[str, ...] = ()
    until: Version | None = None

    def holds(self, name: str, generation: str, gpu: str, version: str) -> bool:
        """Whether a format is among these, on a device of a generation and an id, at a version."""
        if name not in self.formats or not {generation, ANY} & {*self.generations}:
            return False
        if self.gpus and not gpu.startswith(self.gpus):
            return False
        return _within(version, self.since, self.until)


@dataclass(frozen=True, slots=True)
class NoDevice:
    """Devices that an engine has nothing for.

    Attributes
    ----------
    vendors : tuple of str
        Their makers, as the catalogue of GPUs has them.
    why, source : str
        What it has in their place, and where that is read from.
    gpus : tuple of str
        Beginnings of the ids of those of their GPUs alone that it holds for; all where none is named.
    """

    vendors: tuple[str, ...]
    why: str
    source: str
    gpus: tuple[str, ...] = ()

    def holds(self, vendor: str, gpu: str) -> bool:
        """Whether a device is among these, by its maker and its id."""
        return vendor in self.vendors and (not self.gpus or gpu.startswith(self.gpus))


def _within(version: str, since: Version | None, until: Version | None) -> bool:
    """Whether a version lies between two; one of two numbers stands for all that begin with them."""
    if since is None and until is None:
        return True
    parts = tuple(map(int, version.split(".")))
    return (since is None or (*parts, 0)[:3] >= since) and (until is None or parts <= until)


@dataclass(frozen=True, slots=True)
class Formats:
    """What an engine runs, formats of weights and of the KV cache, and what it is read not to run."""

    weights: tuple[Runs, ...]
    kv: tuple[Runs, ...]
    not_weights: tuple[Refuses, ...] = ()
    not_kv: tuple[Refuses, ...] = ()
    no_devices: tuple[NoDevice, ...] = ()


@friendly
def supports(
    engine: str,
    gpu: Accelerator | str,
    weight_dtype: str = "auto",
    kv_cache_dtype: str = "auto",
    engine_version: str | None = None,
) -> Support:
    """Say whether an engine runs a weight format and a KV format on a device.

    Parameters
    ----------
    engine : str
        An engine such as ``vllm`` [-].
    gpu : Accelerator or str
        A GPU or its preset id [-].
    weight_dtype, kv_cache_dtype : str
        Formats by their names; ``auto`` for 16 bit, as no model is given [-].
    engine_version : str, optional
        A version of the engine, by default the newest known [-].

    Returns
    -------
    Support
        Whether it does, why not, and where that is read from.

    Raises
    ------
    CalculatorError
        If an engine, a version, a GPU or a format does not exist.
    """
    from calculator.catalogue.presets import load_gpu

    device, rules = load_gpu(gpu), engine_rules(engine, engine_version)
    weight = PLAIN if weight_dtype == "auto" else weight_format(weight_dtype).name
    kv = PLAIN if kv_cache_dtype == "auto" else storage_format(kv_cache_dtype).name
    return runs_on(rules, device, weight, kv)


def runs_on(rules: Engine, gpu: Accelerator, weight: str, kv: str) -> Support:
    """Say the same of an engine's rules, a device and formats by their own names."""
    if (stated := refused(rules, gpu, weight, kv)) is not None:
        return stated
    table = engine_support(rules.name)
    found = []
    device = rules.name, rules.version, gpu.generation, gpu.id
    for which, (kind, name, rows) in enumerate(_asked(table.weights, table.kv, weight, kv)):
        if _is_unknown(gpu):
            if name in PLAIN_FORMATS:
                continue
            why = say(
                "support.unknown_device",
                "what generation {gpu} is of is not known, so {kind} in {name} is not taken to run there",
                gpu=gpu.name, kind=kind, name=name,
            )  # fmt: skip
            return Support(False, why, "")
        row = _half_that_runs(*device, which, name)
        if row is None:
            return _not_known(rules, gpu, kind, name, rows)
        found.append(row)
    notes = [row.note for row in found if row.note]
    return Support(
        True,
        joined("; ", list(dict.fromkeys(notes))) if notes else "",
        "; ".join(dict.fromkeys(row.source for row in found)),
    )


def refused(rules: Engine, gpu: Accelerator, weight: str, kv: str) -> Support | None:
    """Return why formats are read not to run on a device; None where they do, or nothing was read of it."""
    if not _is_refused(rules.name, rules.version, gpu.vendor, gpu.generation, gpu.id, weight, kv):
        return None
    table = engine_support(rules.name)
    nothing = next((row for row in table.no_devices if row.holds(gpu.vendor, gpu.id)), None)
    if nothing is not None:
        why = say(
            "support.no_device", "{engine} does not run on {gpu} ({vendor}): {why}",
            engine=rules.title, gpu=gpu.name, vendor=gpu.vendor, why=nothing.why,
        )  # fmt: skip
        return Support(False, why, nothing.source)
    for kind, name, rows in _asked(table.not_weights, table.not_kv, weight, kv):
        row = next((row for row in rows if row.holds(name, gpu.generation, gpu.id, rules.version)), None)
        if row is not None:
            having = table.kv if rows is table.not_kv else table.weights
            return _not_known(rules, gpu, kind, name, having, row)
    return None


@lru_cache(maxsize=4_096)
def _half_that_runs(engine: str, version: str, generation: str, gpu: str, which: int, name: str) -> Runs | None:
    """Return the row by which a device runs weights (0) or a cache (1) in a format, None where there is none."""
    table = engine_support(engine)
    rows = (table.weights, table.kv)[which]
    return next((row for row in rows if row.holds(name, generation, gpu, version)), None)


def _is_refused(engine: str, version: str, vendor: str, generation: str, gpu: str, weight: str, kv: str) -> bool:
    device = engine, version, vendor, generation, gpu
    return _is_half_refused(*device, 0, weight) or _is_half_refused(*device, 1, kv)


@lru_cache(maxsize=4_096)
def _is_half_refused(engine: str, version: str, vendor: str, generation: str, gpu: str, which: int, name: str) -> bool:
    """Whether a device has nothing for weights (0) or for a cache (1) in a format, by their names alone."""
    table = engine_support(engine)
    rows, name = (table.not_weights, table.not_kv)[which], _looked_up(name, name)[which]
    return any(row.holds(vendor, gpu) for row in table.no_devices) or any(
        row.holds(name, generation, gpu, version) for row in rows
    )


def runs_nowhere(rules: Engine, weight: str) -> bool:
    """Whether an engine is read to run weights in a format on no device."""
    rows = engine_support(rules.name).not_weights
    name = weight.split("-g")[0]
    return any(
        ANY in row.generations and name in row.formats and _within(rules.version, row.since, row.until) for row in rows
    )


def offered(rules: Engine, gpu: Accelerator, weight: str, kv: str) -> Support:
    """Say whether formats may be proposed on a device: those that run there, any where nothing is known of it."""
    support = runs_on(rules, gpu, weight, kv)
    return Support(True, "", "") if _is_unknown(gpu) else support


def is_offered(rules: Engine, gpu: Accelerator, weight: str, kv: str) -> bool:
    """Whether formats may be proposed on a device."""
    return offered(rules, gpu, weight, kv).ok


def _is_unknown(gpu: Accelerator) -> bool:
    return not gpu.generation and not gpu.vendor


def _asked(
    weights: tuple[Any, ...], kv: tuple[Any, ...], weight: str, kv_dtype: str
) -> tuple[tuple[str, str, tuple[Any, ...]], ...]:
    """Return what is looked up: the kind in words, the format, and the rows."""
    weight, kv_dtype = _looked_up(weight, kv_dtype)
    return ("weights", weight, weights), (phrase("a KV cache"), kv_dtype, kv)


def _looked_up(weight: str, kv: str) -> tuple[str, str]:
    """Return the names that formats have in the tables: weights without their group size."""
    return weight.split("-g")[0], KV_ALIASES.get(kv, kv)


def _not_known(
    rules: Engine, gpu: Accelerator, kind: str, name: str, rows: tuple[Runs, ...], stated: Refuses | None = None
) -> Support:
    having = [row for row in rows if name in row.formats]
    device = gpu.generation or gpu.vendor
    if not having and stated is None:
        why = say(
            "support.not_at_all", "{engine} is not known to run {kind} in {name}",
            engine=rules.title, kind=kind, name=name,
        )  # fmt: skip
        return Support(False, why, "; ".join(dict.fromkeys(row.source for row in rows)))
    there = [row for row in having if _within(rules.version, row.since, row.until)]
    generations = ", ".join(dict.fromkeys(each for row in there for each in row.generations)) or phrase("no device")
    if stated is not None and ANY in stated.generations and not there:
        offered = dict.fromkeys(
            form for row in rows if _within(rules.version, row.since, row.until) for form in row.formats
        )
        why = say(
            "support.nowhere", "{engine} {version} does not run {kind} in {name}; it does in {offered}",
            engine=rules.title, version=rules.version, kind=kind, name=name, offered=", ".join(offered),
        )  # fmt: skip
        return Support(False, why, stated.source)
    if stated is not None:
        why = say(
            "support.refused",
            "{engine} {version} does not run {kind} in {name} on {gpu} ({device}); it does on {generations}{but}",
            engine=rules.title, version=rules.version, kind=kind, name=name, gpu=gpu.name, device=device,
            generations=generations,
            but=f", but not on each of them: {stated.source}" if device in generations.split(", ") else "",
        )  # fmt: skip
        return Support(False, why, stated.source)
    why = say(
        "support.not_here",
        "{engine} {version} is not known to run {kind} in {name} on {gpu} ({device}); it does on {generations}",
        engine=rules.title, version=rules.version, kind=kind, name=name, gpu=gpu.name, device=device,
        generations=generations,
    )  # fmt: skip
    return Support(False, why, "; ".join(dict.fromkeys(row.source for row in having)))
