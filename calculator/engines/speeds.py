"""What a step costs besides bytes and FLOPs: launches, links and prefill, by engine, architecture and generation.

Figures of public measured speeds (``speed_figures.csv``), 2026-11. The factors of the sum are in
``planning.traffic.step``; an engine's own figures are in its folder; here stands what all share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from calculator.engines.measured import MOST_SEQUENCES, NotDescribed, architecture_kind, release
from calculator.formats.weights import weight_format

if TYPE_CHECKING:
    from calculator.planning.answer import Plan

BUS_GB_PER_S = {"hopper": 350, "blackwell": 650, "ampere": 200, "cdna3": 300, "cdna4": 300, "cdna2": 200}
"""What an all-reduce moves within a node of linked devices, for large messages [GB/s]."""
OTHER_BUS_GB_PER_S = 200
PCIE_4_GB_PER_S, PCIE_5_GB_PER_S = 18, 40
"""The same over PCIe, by what a generation of devices has [GB/s]."""
ACROSS_NODES_GB_PER_S = 20
"""The same between machines: 6 to 23 on two of A100 (Vidur 7d47513), 19 on B200 (ml-engineering 744d01e) [GB/s]."""
WITH_PCIE_5 = ("hopper", "blackwell")
PROMPT_FACTORS = {"16": 1.45, "fp8": 1.7, "fp8 blackwell": 2.3, "fp4 blackwell": 2.05}
"""Measured time of a prompt's FLOPs over their time at the dense peak, by the format they are computed in [-]."""
OTHER_LAUNCH_US = 100.0
"""Launches of a layer where none were measured [us]."""


@dataclass(frozen=True, slots=True)
class Speeds:
    """The speed figures of an engine.

    Attributes
    ----------
    launch_us : mapping of str to float
        Microseconds a layer and step, by each kind of architecture that was measured [us].
    launch_us_by_version : mapping
        The same by kind and version, where one was measured by itself [us].
    patches_from : tuple of int
        The version from which three numbers tell figures apart, two before; none where two do for all.
    first_token_factors : tuple of float
        ``TTFT = a T_p + b N T_p + c t_step + d`` under a closed loop: a, b, c [-] and d [s].
    most_sequences : int
        Sequences at once up to which speeds were measured [-].
    oldest, newest : tuple of int
        The oldest and the newest version that was measured.
    longest_queue : mapping of str to float
        Clients over requests that run at once up to which speeds were measured, by kind of architecture; 1 for one
        that is not named [-].
    devices : tuple of str
        Ids of the devices that it was measured on; none where it was not measured.
    weights : mapping
        Weight formats that were measured, by generation of devices and kind of architecture.
    caches : mapping
        KV formats that were measured, by generation of devices.
    recurrences : tuple of str
        What made the states of hybrid models that were measured.
    without_gate : bool
        Whether models whose MLP has no gate were measured.
    longest_output, longest_sequence : int
        The longest mean answer that was measured, and the longest sum of mean prompt and answer [tokens].
    layouts : tuple of str
        Ways to spread over GPUs besides tensor parallelism that were measured, of ``unmeasured.LAYOUTS``.
    not_described : tuple of NotDescribed
        Set-ups of this engine that the sum does not describe.
    """

    launch_us: Mapping[str, float] = field(default_factory=dict)
    launch_us_by_version: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    patches_from: tuple[int, ...] = ()
    first_token_factors: tuple[float, float, float, float] = (1.3, 0.3, 10.0, 0.1)
    most_sequences: int = MOST_SEQUENCES
    oldest: tuple[int, ...] = ()
    newest: tuple[int, ...] = ()
    longest_queue: Mapping[str, float] = field(default_factory=dict)
    devices: tuple[str, ...] = ()
    weights: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    caches: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    recurrences: tuple[str, ...] = ()
    without_gate: bool = False
    longest_output: int = 0
    longest_sequence: int = 0
    layouts: tuple[str, ...] = ()
    not_described: tuple[NotDescribed, ...] = ()

    def launch_s(self, plan: Plan) -> float:
        """Return the launches of one layer in a step [s]."""
        kind = architecture_kind(plan.model)
        known = self.launch_us.get(kind, OTHER_LAUNCH_US)
        return 1e-6 * self.launch_us_by_version.get(kind, {}).get(self.told_apart_by(plan.rules.asked_version), known)

    def told_apart_by(self, version: str) -> str:
        """Return the part of a version that tells figures apart; empty where it names no release."""
        numbers = release(version)
        has_patches = bool(self.patches_from) and numbers >= self.patches_from
        return ".".join(map(str, numbers[: 3 if has_patches else 2]))

    def first_token(self, prompt_s: float, sequences: float, step_s: float) -> float:
        """Return the mean time to the first token in a closed loop: an order of magnitude [s]."""
        a, b, c, d = self.first_token_factors
        return a * prompt_s + b * sequences * prompt_s + c * step_s + d

    def prompt_factor(self, plan: Plan) -> float:
        """Return the measured time of a prompt over that of its FLOPs at the peak [-]."""
        kind = weight_format(plan.request.weight_dtype).computes_in
        rates = {"fp8": plan.accelerator.fp8_tflops, "fp4": plan.accelerator.fp4_tflops}
        if not rates.get(kind):
            return PROMPT_FACTORS["16"]
        named = f"{kind} {plan.accelerator.generation}"
        return PROMPT_FACTORS.get(named, PROMPT_FACTORS["fp8"])

    def bus_gb_per_s(self, plan: Plan) -> float:
        """Return what an all-reduce moves between the GPUs of a replica [GB/s]."""
        gpu = plan.accelerator
        if plan.request.tensor_parallel_size > gpu.gpus_per_node:
            return ACROSS_NODES_GB_PER_S
        if gpu.has_fast_link and gpu.link_gb_per_s is not None:
            return BUS_GB_PER_S.get(gpu.generation, OTHER_BUS_GB_PER_S)
        return PCIE_5_GB_PER_S if gpu.generation in WITH_PCIE_5 else PCIE_4_GB_PER_S
