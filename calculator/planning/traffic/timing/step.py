"""How long a step takes: a sum of named terms from this package's own bytes and FLOPs.

::

    step    = 1.0 Wd + 1.3 We + 1.1 KV + 1.0 C + 1.8 B + c_L L + 20 us N
    prefill = (N / O) (e (G + Q) + 1.8 B_p)                    what new prompts add to a step
    TPOT    = step + prefill,   tokens/s = N / TPOT
    alone   = 1.0 Wd + 1.3 We_p + e (G + Q) + 1.8 B_p + c_L L + 20 us      one prompt on an idle replica

Ideal times at nameplate: Wd weights that every step reads, We those of the experts that N tokens touch, KV the cache of
N sequences of ``P + O / 2`` tokens or of what they hold, C the FLOPs of N tokens, B the all-reduces of N tokens, G and
Q the matrix and attention FLOPs of what is computed of a prompt, B_p its all-reduces, We_p the experts that its tokens
touch. In a step that serves, weights and launches are there anyway; one prompt alone waits for them. A token passes one
pipeline stage after the other, each of them with ``N / PP`` sequences at a time: the times of all stages add up. The
factors are a first fit to public measured speeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from calculator.engines.beside.experts import replicas_joined
from calculator.errors import UnsupportedError
from calculator.formats.weights import weight_format
from calculator.messages import say
from calculator.planning.traffic.timing.work import Work, attention_flops, kv_bytes_read, work_of

if TYPE_CHECKING:
    from calculator.architecture.model import ModelArchitecture
    from calculator.planning.answer import Plan

DENSE_FACTOR, EXPERT_FACTOR, KV_FACTOR, COMPUTE_FACTOR, LINK_FACTOR = 1.0, 1.3, 1.1, 1.0, 1.8
"""Measured times over ideal ones [-]. Without its term the median error of 9.6 % would be: launch 26.6, prefill 12.4,
links 12.0, KV 11.8, sequences 10.3 %."""
SEQUENCE_S = 20e-6
"""What each sequence adds to a step: scheduling, sampling, detokenising [s]."""
ALL_REDUCES = 2
"""All-reduces of a layer: after attention and after the MLP."""
ACTIVATION_BYTES = 2
"""Of an element that ranks exchange: 16 bit, whatever the weights are in [bytes]."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Mean lengths of requests.

    Attributes
    ----------
    prompt, output : float
        Of a request; output None for a step without new prompts [tokens].
    computed : float or None
        What of a prompt is computed; None for all [tokens].
    resident : float or None
        What a decoding sequence holds; None for the prompt and half of the output [tokens].
    """

    prompt: float
    output: float | None
    computed: float | None = None
    resident: float | None = None

    @property
    def held(self) -> float:
        """What a decoding sequence holds [tokens]."""
        return self.prompt + (self.output or 0) / 2 if self.resident is None else self.resident


@dataclass(frozen=True, slots=True)
class Term:
    """One part of a step."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Step:
    """The parts of a step.

    Attributes
    ----------
    terms : tuple of Term
        Weights, KV, compute, links, launch and prefill [s].
    seconds : float
        Their sum, the time from one token of a sequence to its next [s].
    launch_s : float
        Of them the launches of kernels, which are the engine's own [s].
    prompt_s : float
        FLOPs and all-reduces of one prompt: what it adds to steps that run anyway [s].
    alone_s : float
        What one prompt takes on an idle replica: the same, one pass over the weights and the launches [s].
    """

    terms: tuple[Term, ...]
    seconds: float
    launch_s: float
    prompt_s: float
    alone_s: float


@dataclass(frozen=True, slots=True)
class Pace:
    """What a step of a plan takes, apart from how many sequences decode: worked out once for all numbers of them.

    Attributes
    ----------
    stages : int
        Pipeline stages, each with its share of the sequences [-].
    weights_s, experts_s : float
        Dense weights, and all experts of a rank [s].
    kv_s, compute_s, links_s : float
        Of each sequence [s].
    launch_s : float
        Launches of kernels [s].
    prompt_s, alone_s : float
        Of one prompt: beside steps that run anyway, and on an idle replica [s].
    output : float or None
        Mean output; None for a step without new prompts [tokens].
    sharing : int
        Replicas that share experts [-].
    work : Work
        Which share of the experts tokens touch.
    """

    stages: int
    weights_s: float
    experts_s: float
    kv_s: float
    compute_s: float
    links_s: float
    launch_s: float
    prompt_s: float
    alone_s: float
    output: float | None
    sharing: int
    work: Work

    def at(self, sequences: float) -> Step:
        """Return the parts of a step of so many sequences of a replica."""
        each = max(sequences / self.stages, min(sequences, 1.0))
        terms = (
            Term("weights", self.weights_s + self.experts_s * self.work.touched(each * self.sharing)),
            Term("kv", self.kv_s * each),
            Term("compute", self.compute_s * each),
            Term("links", self.links_s * each),
            Term("launch", self.launch_s + SEQUENCE_S * each),
            Term("prefill", each / self.output * self.prompt_s if self.output else 0.0),
        )
        return Step(terms, sum(term.seconds for term in terms), self.launch_s, self.prompt_s, self.alone_s)

    def seconds(self, sequences: float) -> float:
        """Return their sum alone [s]."""
        each = max(sequences / self.stages, min(sequences, 1.0))
        return sum((
            self.weights_s + self.experts_s * self.work.touched(each * self.sharing), self.kv_s * each,
            self.compute_s * each, self.links_s * each, self.launch_s + SEQUENCE_S * each,
            each / self.output * self.prompt_s if self.output else 0.0,
        ))  # fmt: skip


def step_of(plan: Plan, sequences: float, lengths: Lengths) -> Step:
    """Return the parts of a step of so many sequences of a replica, and the seconds of one prompt."""
    return pace_of(plan, lengths).at(sequences)


def pace_of(plan: Plan, lengths: Lengths) -> Pace:
    """Return what a step of a plan takes under requests of some lengths."""
    request, model, gpu, rules = plan.request, plan.model, plan.accelerator, plan.rules.speed
    work, ranks = work_of(model, request.weight_dtype), request.tensor_parallel_size
    bandwidth = _known(gpu.bandwidth_gb_per_s, gpu.name, "bandwidth") * 1e9
    matrices, attention = (ranks * rate * 1e12 for rate in _peaks(plan))
    copied = work.attention_bytes if request.enable_attention_dp else 0
    sharing = replicas_joined(plan.rules, request)
    computed = lengths.prompt if lengths.computed is None else lengths.computed
    flops = attention_flops(model, lengths.prompt) - attention_flops(model, lengths.prompt - computed)
    launch_s = rules.launch_s(plan) * launched_layers(model)
    prompt_s = rules.prompt_factor(plan) * (2 * work.active_parameters * computed / matrices + flops / attention)
    prompt_s += LINK_FACTOR * _all_reduce_s(plan, computed)
    weights_s = DENSE_FACTOR * ((work.dense_bytes - copied) / ranks + copied) / bandwidth
    experts_s = EXPERT_FACTOR * work.expert_bytes / (ranks * sharing) / bandwidth
    return Pace(
        stages=request.pipeline_parallel_size,
        weights_s=weights_s,
        experts_s=experts_s,
        kv_s=KV_FACTOR * kv_bytes_read(plan, 1, lengths.held) / bandwidth,
        compute_s=COMPUTE_FACTOR * 2 * work.active_parameters / matrices,
        links_s=LINK_FACTOR * _all_reduce_s(plan, 1),
        launch_s=launch_s,
        prompt_s=prompt_s,
        alone_s=prompt_s + weights_s + experts_s * work.touched(computed) + launch_s + SEQUENCE_S,
        output=lengths.output,
        sharing=sharing,
        work=work,
    )


def launched_layers(model: ModelArchitecture) -> int:
    """Return the layers that keep something, whose kernels are launched one by one [-]."""
    kept = sum(group.count for group in model.groups if group.spec.grows_until or group.spec.state_bytes(1))
    return kept or model.num_layers


def _all_reduce_s(plan: Plan, tokens: float) -> float:
    """Return the all-reduces of so many tokens in all layers: ``2 L × 2 (n − 1) / n × tokens × h × 2 / bus`` [s]."""
    ranks = plan.request.tensor_parallel_size
    if ranks == 1:
        return 0.0
    sent = 2 * (ranks - 1) / ranks * tokens * plan.model.hidden_size * ACTIVATION_BYTES
    return ALL_REDUCES * plan.model.num_layers * sent / (plan.rules.speed.bus_gb_per_s(plan) * 1e9)


def _known(value: float | None, gpu: str, what: str) -> float:
    if value is None:
        raise UnsupportedError(
            say(
                "step.not_known_so_no",
                "the {what} of {gpu} is not known, so no speed can be computed",
                what=what,
                gpu=gpu,
            )
        )
    return value


def _peaks(plan: Plan) -> tuple[float, float]:
    """Return the dense peaks of the matrices' format and of attention, in 16 bit [TFLOPS]."""
    gpu, weight = plan.accelerator, weight_format(plan.request.weight_dtype)
    sixteen = _known(gpu.bf16_tflops, gpu.name, "16 bit peak")
    peak = {"fp8": gpu.fp8_tflops, "fp4": gpu.fp4_tflops}.get(weight.computes_in)
    return peak or sixteen, sixteen
