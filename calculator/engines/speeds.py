"""What a step costs besides bytes and FLOPs: launches, links and prefill, by engine, architecture and generation.

Every figure was fitted to public measured speeds and rounded, 2026-11. The factors of the sum
are in ``planning.traffic.speed``; here stands what differs between engines, and where nothing was measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from calculator.architecture.latent import LatentAttention
from calculator.formats.weights import weight_format

if TYPE_CHECKING:
    from calculator.architecture.model import ModelArchitecture
    from calculator.planning.answer import Plan

BUS_GB_PER_S = {"hopper": 350, "blackwell": 650, "ampere": 200, "cdna3": 300, "cdna4": 300, "cdna2": 200}
"""What an all-reduce moves within a node of linked devices, for large messages [GB/s]."""
PCIE_4, PCIE_5 = 18, 40
"""The same over PCIe [GB/s]."""
PROMPT_FACTORS = {"16": 1.45, "fp8": 1.7, "fp8 blackwell": 2.3, "fp4 blackwell": 2.05}
"""Measured time of a prompt's FLOPs over their time at the dense peak [-]."""
MEASURED_GENERATIONS = ("hopper", "blackwell", "ampere", "ada", "cdna3")


BANDS: dict[str, tuple[float, float]] = {
    "dense": (0.78, 1.39),
    "experts": (0.75, 1.60),
    "experts in mxfp4": (0.6, 1.9),
    "latent": (0.69, 1.46),
    "sparse": (0.69, 1.46),
    "hybrid": (0.74, 1.41),
    "one sequence": (0.86, 1.86),
}
"""Measured over computed, nine of ten, on rows that nothing was fitted to [-]."""


def architecture_kind(model: ModelArchitecture) -> str:
    """Return which launch figure holds for a model: sparse, latent, hybrid, experts or dense."""
    specs = [group.spec for group in model.groups]
    latent = [spec for spec in specs if isinstance(spec, LatentAttention)]
    if any(spec.index_head_dim for spec in latent):
        return "sparse"
    if any(spec.state_bytes(1) for spec in specs):
        return "hybrid"
    if latent:
        return "latent"
    return "experts" if model.moe_intermediate_size else "dense"


@dataclass(frozen=True, slots=True)
class Speeds:
    """The speed figures of an engine.

    Attributes
    ----------
    launch_us : mapping of str to float
        Microseconds a layer and step by kind of architecture [us].
    by_version : mapping
        Factors of ``launch_us`` by kind and minor version, for versions that were measured by themselves [-].
    first_token_factors : tuple of float
        ``TTFT = a T_p + b N T_p + c t_step + d`` under a closed loop: a, b, c [-] and d [s].
    bands : mapping of str to tuple of float
        Range of measured over computed, by kind of architecture [-].
    unseen : tuple of float
        The range where nothing was measured [-].
    measured : bool
        Whether any speed of the engine was.
    """

    launch_us: Mapping[str, float] = field(default_factory=dict)
    by_version: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    first_token_factors: tuple[float, float, float, float] = (1.3, 0.3, 10.0, 0.1)
    bands: Mapping[str, tuple[float, float]] = field(default_factory=lambda: dict(BANDS))
    unseen: tuple[float, float] = (0.65, 1.6)
    measured: bool = True

    def launch_s(self, plan: Plan) -> float:
        """Return the launches of one layer in a step [s]."""
        kind = architecture_kind(plan.model)
        factor = self.by_version.get(kind, {}).get(_minor(plan.rules.asked_version), 1.0)
        return 1e-6 * self.launch_us.get(kind, OTHER_LAUNCH_US) * factor

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
        if gpu.has_fast_link and gpu.link_gb_per_s is not None:
            return BUS_GB_PER_S.get(gpu.generation, 200)
        return PCIE_5 if gpu.generation in ("hopper", "blackwell") else PCIE_4

    def band(self, plan: Plan, sequences: float) -> tuple[float, float]:
        """Return the range of measured over computed for a set-up [-]."""
        group = "one sequence" if sequences <= 1 else architecture_kind(plan.model)
        if group == "experts" and plan.request.weight_dtype == "mxfp4":
            group = "experts in mxfp4"
        return self.bands.get(group, self.unseen)

    def not_measured(
        self, plan: Plan, prompt_tokens: float, output_tokens: float | None, sequences: float
    ) -> Iterator[str]:
        """Yield what of a set-up no public figure is known of."""
        gpu, request = plan.accelerator, plan.request
        if not self.measured:
            yield f"no speed of {plan.rules.title} was measured"
        if gpu.generation not in MEASURED_GENERATIONS:
            yield f"no speed on {gpu.name} was measured"
        if request.pipeline_parallel_size > 1 and not gpu.has_fast_link:
            yield "no pipeline stages over PCIe were measured"
        weight = weight_format(request.weight_dtype)
        if weight.everything:
            yield f"no speed of weights in {request.weight_dtype} was measured"
        for row in WRONG:
            if row.holds(plan, prompt_tokens, output_tokens, sequences):
                yield row.why


@dataclass(frozen=True, slots=True)
class Wrong:
    """Set-ups that were measured and that the sum does not describe; what is left at its default does not matter."""

    why: str
    kinds: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    prompt_above: float = 0
    output_below: float = float("inf")
    sequences_above: float = 0

    def holds(self, plan: Plan, prompt_tokens: float, output_tokens: float | None, sequences: float) -> bool:
        """Whether a set-up is one of these."""
        names = (
            (self.kinds, architecture_kind(plan.model)),
            (self.weights, plan.request.weight_dtype),
            (self.engines, plan.rules.name),
        )
        if any(wanted and value not in wanted for wanted, value in names):
            return False
        if self.gpus and not any(plan.accelerator.id.startswith(gpu) for gpu in self.gpus):
            return False
        short = (output_tokens or float("inf")) < self.output_below or self.output_below == float("inf")
        return short and prompt_tokens > self.prompt_above and sequences > self.sequences_above


WRONG = (
    Wrong("latent attention in 8 bit on B200 was 88 % off on this engine", kinds=("latent",),
          weights=("fp8", "fp8-block"), gpus=("b200",), engines=("sglang",)),
    Wrong("batches on this device were 24 to 78 % slower than computed", gpus=("mi3",), sequences_above=1),
    Wrong("experts in these 4 bit integers were four to five times slower than computed", kinds=("experts",),
          weights=("gptq-int4",)),
    Wrong("batches on consumer cards were not described", gpus=("rtx-30", "rtx-40", "rtx-50"), sequences_above=1),
    Wrong("prompts above 10,000 tokens on this device were not described", gpus=("h20",), prompt_above=10_000),
    Wrong("answers of a few tokens come in bursts, which were not described", output_below=16),
)  # fmt: skip


def _minor(version: str) -> str:
    """Return the part of a version that tells figures apart: two numbers, three where the major is 0.5."""
    numbers = version.split("-")[0].split(".")
    return ".".join(numbers[: 3 if numbers[:2] == ["0", "5"] else 2])


OTHER_LAUNCH_US = 100.0
SPEEDS = {
    "vllm": Speeds(
        {"dense": 75, "experts": 90, "latent": 120},
        {
            "experts": {"0.12": 2.64, "0.15": 0.8, "0.16": 1.36, "0.17": 1.2, "0.19": 1.09},
            "latent": {"0.15": 1.23, "0.16": 1.17, "0.17": 0.87, "0.19": 0.86},
        },
        (1.27, 0.076, 6.2, 0.012),
    ),
    "sglang": Speeds(
        {"dense": 100, "experts": 125, "latent": 120, "hybrid": 115, "sparse": 200},
        {
            "dense": {"0.5.1": 0.25, "0.5.6": 1.14},
            "experts": {"0.5.6": 0.81},
            "hybrid": {"0.5.9": 1.15, "0.5.10": 0.75},
            "latent": {"0.5.9": 0.95, "0.5.10": 1.28},
        },
        (1.32, 0.30, 11.8, 0.142),
    ),
    "tensorrt-llm": Speeds(
        {"dense": 60, "experts": 70, "latent": 90},
        {"experts": {"1.0": 1.05, "1.2": 0.76}, "latent": {"1.1": 0.85, "1.2": 1.14}},
        (0.77, 0.063, 9.6, 0.045),
    ),
    "llama.cpp": Speeds(measured=False),
}
