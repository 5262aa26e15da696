"""Where speeds were measured: kinds of models, groups of set-ups with their ranges, what the sum does not describe."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calculator.architecture.latent import LatentAttention
from calculator.messages import phrase

if TYPE_CHECKING:
    from calculator.architecture.model import ModelArchitecture
    from calculator.planning.answer import Plan

_RELEASE = re.compile(r"v?(\d{1,6}(?:\.\d{1,6}){1,4})", re.ASCII)

MOST_SEQUENCES, LONGEST_PROMPT, MOST_GPUS = 512, 10_000, 8
"""Beyond these, measured speeds were few or not described [-, tokens, -]."""
SMALLEST_MODEL, LARGEST_MODEL = 596_049_920, 1_026_408_209_408
"""Parameters of the smallest and the largest model with measured speeds [-]."""
KINDS = {
    "dense": phrase("dense models"),
    "experts": phrase("models with experts"),
    "latent": phrase("models with latent attention"),
    "sparse": phrase("models with sparse attention"),
    "hybrid": phrase("hybrid models"),
}
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
            (self.weights, plain(plan.request.weight_dtype)),
            (self.generations, plan.accelerator.generation),
        )
        if any(wanted and value not in wanted for wanted, value in names):
            return False
        if self.gpus and not plan.accelerator.id.startswith(self.gpus):
            return False
        short = self.output_below == float("inf") or (output_tokens or float("inf")) < self.output_below
        return short and sequences > self.sequences_above


NOT_DESCRIBED = (
    NotDescribed(
        phrase("experts in these 4 bit integers were four to five times slower than computed"),
        kinds=("experts",),
        weights=("gptq-int4",),
    ),
    NotDescribed(
        phrase("batches on this generation were 24 to 78 % slower than computed"),
        generations=("cdna3",),
        sequences_above=1,
    ),
    NotDescribed(
        phrase("batches on consumer cards were not described"), gpus=("rtx-30", "rtx-40", "rtx-50"), sequences_above=1
    ),
    NotDescribed(phrase("answers of a few tokens come in bursts, which were not described"), output_below=16),
)


def plain(dtype: str) -> str:
    """Return the name of a format without the size of its groups, and one name for both of 16 bit."""
    name = dtype.partition("-g")[0]
    return "bf16" if name == "fp16" else name


def release(version: str) -> tuple[int, ...]:
    """Return the numbers at the head of a version; none where it names no release."""
    found = _RELEASE.match(version)
    return tuple(map(int, found[1].split("."))) if found else ()
