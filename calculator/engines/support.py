"""Which storage formats an engine runs on which generation of devices: a table an engine, each row with its source.

A format that no row names on a device is refused: what was not read is not offered.
"""

from __future__ import annotations

from dataclasses import dataclass

from calculator.engines import engine_rules, engine_support
from calculator.engines.base import Engine
from calculator.engines.versions import Version
from calculator.errors import friendly
from calculator.formats.kv import storage_format
from calculator.formats.names import KV_ALIASES, PLAIN, SIXTEEN_BIT
from calculator.formats.weights import weight_format
from calculator.hardware import Accelerator
from calculator.messages import say

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
    """

    formats: tuple[str, ...]
    generations: tuple[str, ...]
    source: str
    note: str = ""
    not_on: tuple[str, ...] = ()
    until: Version | None = None

    def holds(self, name: str, gpu: Accelerator, version: str) -> bool:
        """Whether a format is among these, on a device, at a version."""
        if name not in self.formats or gpu.generation not in self.generations:
            return False
        if any(gpu.id.startswith(beginning) for beginning in self.not_on):
            return False
        return self.until is None or tuple(map(int, version.split("."))) <= self.until


@dataclass(frozen=True, slots=True)
class Formats:
    """What an engine runs: formats of weights and of the KV cache."""

    weights: tuple[Runs, ...]
    kv: tuple[Runs, ...]


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
    table = engine_support(rules.name)
    weight, kv = weight.split("-g")[0], KV_ALIASES.get(kv, kv)
    found = []
    for kind, name, rows in (("weights", weight, table.weights), ("a KV cache", kv, table.kv)):
        if not gpu.generation and not gpu.vendor:
            if name in PLAIN_FORMATS:
                continue
            why = say(
                "support.unknown_device",
                "what generation {gpu} is of is not known, so {kind} in {name} is not taken to run there",
                gpu=gpu.name, kind=kind, name=name,
            )  # fmt: skip
            return Support(False, why, "")
        row = next((row for row in rows if row.holds(name, gpu, rules.version)), None)
        if row is None:
            return _refused(rules, gpu, kind, name, rows)
        found.append(row)
    notes = [row.note for row in found if row.note]
    return Support(True, "; ".join(dict.fromkeys(notes)), "; ".join(dict.fromkeys(row.source for row in found)))


def _refused(rules: Engine, gpu: Accelerator, kind: str, name: str, rows: tuple[Runs, ...]) -> Support:
    having = [row for row in rows if name in row.formats]
    device = gpu.generation or gpu.vendor
    if not having:
        why = say(
            "support.not_at_all", "{engine} is not known to run {kind} in {name}",
            engine=rules.title, kind=kind, name=name,
        )  # fmt: skip
        return Support(False, why, "; ".join(dict.fromkeys(row.source for row in rows)))
    generations = ", ".join(dict.fromkeys(each for row in having if row.until is None for each in row.generations))
    why = say(
        "support.not_here",
        "{engine} {version} is not known to run {kind} in {name} on {gpu} ({device}); it does on {generations}",
        engine=rules.title, version=rules.version, kind=kind, name=name, gpu=gpu.name, device=device,
        generations=generations,
    )  # fmt: skip
    return Support(False, why, "; ".join(dict.fromkeys(row.source for row in having)))
