"""Where speeds were measured: groups of set-ups and their ranges, and what lies outside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calculator.architecture.latent import LatentAttention

if TYPE_CHECKING:
    from calculator.architecture.model import ModelArchitecture
    from calculator.planning.answer import Plan
    from calculator.request import Request

_RELEASE = re.compile(r"v?(\d{1,6}(?:\.\d{1,6}){1,4})", re.ASCII)

MEASURED_GENERATIONS = ("hopper", "blackwell", "ampere", "ada", "cdna3")
MOST_SEQUENCES, LONGEST_PROMPT, MOST_GPUS = 512, 10_000, 8
"""Beyond these, measured speeds were few or not described [-, tokens, -]."""
MEASURED_WEIGHTS = (
    "bf16", "fp16", "fp8", "fp8-block", "int8", "awq-int4", "gptq-int4", "mxfp4", "nvfp4",
)  # fmt: skip
"""Weight formats with public speeds on more than one engine or device."""
KINDS = {
    "dense": "dense models",
    "experts": "models with experts",
    "latent": "models with latent attention",
    "sparse": "models with sparse attention",
    "hybrid": "hybrid models",
}
LAYOUTS = {
    "stages": "work in pipeline stages",
    "attention": "attention data parallelism",
    "experts": "sharing experts between replicas",
    "context": "decode context parallelism",
}
"""Ways to spread over GPUs besides tensor parallelism."""

BANDS: dict[str, tuple[float, float]] = {
    "dense": (0.78, 1.39),
    "experts": (0.75, 1.60),
    "experts in mxfp4": (0.75, 1.79),
    "latent": (0.66, 1.49),
    "sparse": (0.69, 1.73),
    "hybrid": (0.61, 1.44),
    "one sequence": (0.82, 1.86),
}
"""Measured over computed by group, at least nine of ten of the rows that nothing was fitted to: the wider of a first
fit's published range and of 96 % of the given rows [-]."""
UNSEEN = (0.65, 1.6)
"""The same of models, devices and engines that nothing was fitted to [-]."""


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


def group_of(plan: Plan, sequences: float) -> str:
    """Return the group whose range holds for a set-up, one of ``BANDS``."""
    if sequences <= 1:
        return "one sequence"
    kind = architecture_kind(plan.model)
    return "experts in mxfp4" if kind == "experts" and plan.request.weight_dtype == "mxfp4" else kind


@dataclass(frozen=True, slots=True)
class NotDescribed:
    """Set-ups that were measured and that the sum does not describe; what is left at its default does not matter.

    Attributes
    ----------
    why : str
        What was found.
    kinds, weights, generations, gpus : tuple of str
        Architectures, weight formats, generations of devices and beginnings of their ids.
    output_below, sequences_above : float
        Mean output [tokens] and sequences at once [-].
    """

    why: str
    kinds: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    generations: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()
    output_below: float = float("inf")
    sequences_above: float = 0

    def holds(self, plan: Plan, output_tokens: float | None, sequences: float) -> bool:
        """Whether a set-up is one of these."""
        names = (
            (self.kinds, architecture_kind(plan.model)),
            (self.weights, _plain(plan.request.weight_dtype)),
            (self.generations, plan.accelerator.generation),
        )
        if any(wanted and value not in wanted for wanted, value in names):
            return False
        if self.gpus and not plan.accelerator.id.startswith(self.gpus):
            return False
        short = self.output_below == float("inf") or (output_tokens or float("inf")) < self.output_below
        return short and sequences > self.sequences_above


NOT_DESCRIBED = (
    NotDescribed("experts in these 4 bit integers were four to five times slower than computed", kinds=("experts",),
                 weights=("gptq-int4",)),
    NotDescribed("batches on this generation were 24 to 78 % slower than computed", generations=("cdna3",),
                 sequences_above=1),
    NotDescribed("batches on consumer cards were not described", gpus=("rtx-30", "rtx-40", "rtx-50"),
                 sequences_above=1),
    NotDescribed("answers of a few tokens come in bursts, which were not described", output_below=16),
)  # fmt: skip


def outside(plan: Plan, prompt_tokens: float, output_tokens: float | None, sequences: float) -> Iterator[str]:
    """Yield what of a set-up no public figure is known of, or none that the sum describes."""
    gpu, request, title, figures = plan.accelerator, plan.request, plan.rules.title, plan.rules.speed
    if not figures.launch_us:
        yield f"no speed of {title} was measured"
    elif (kind := architecture_kind(plan.model)) not in figures.launch_us:
        yield f"no speed of {KINDS[kind]} was measured on {title}"
    if (asked := release(plan.rules.asked_version)) and asked < figures.oldest:
        yield f"no speed of {title} before {'.'.join(map(str, figures.oldest))} was measured"
    if gpu.generation not in MEASURED_GENERATIONS:
        yield f"no speed on {gpu.name} was measured"
    if sequences > figures.most_sequences:
        yield f"{sequences:,.0f} sequences at once, measured were up to {figures.most_sequences}"
    if prompt_tokens > LONGEST_PROMPT:
        yield f"prompts of {prompt_tokens:,.0f} tokens, measured were up to {LONGEST_PROMPT:,}"
    unseen = [words for name, words in LAYOUTS.items() if _spreads(request, name) and name not in figures.layouts]
    yield from (f"{words} was not measured on {title}" for words in unseen)
    if request.pipeline_parallel_size > 1 and "stages" in figures.layouts and gpu.has_fast_link:
        yield "work in pipeline stages was measured over PCIe alone"
    if _plain(request.weight_dtype) not in MEASURED_WEIGHTS + figures.weight_dtypes:
        yield f"no speed of weights in {request.weight_dtype} was measured"
    yield from (row.why for row in NOT_DESCRIBED + figures.not_described if row.holds(plan, output_tokens, sequences))


def _spreads(request: Request, layout: str) -> bool:
    """Say whether a request spreads over GPUs in one of ``LAYOUTS``."""
    return {
        "stages": request.pipeline_parallel_size > 1,
        "attention": request.enable_attention_dp,
        "experts": request.data_parallel_size > 1 and request.enable_expert_parallel,
        "context": request.decode_context_parallel_size > 1,
    }[layout]


def _plain(weight_dtype: str) -> str:
    """Return the name of a weight format without the size of its groups."""
    return weight_dtype.partition("-g")[0]


def release(version: str) -> tuple[int, ...]:
    """Return the numbers at the head of a version; none where it names no release."""
    found = _RELEASE.match(version)
    return tuple(map(int, found[1].split("."))) if found else ()
