"""What is taken besides weights and KV cache: activations, memory outside the allocator, CUDA graphs.

Weights and KV are exact; these lines are estimates, each with a central value and a range. Where
the figures come from, and how often the range held on public start-up logs, is in ``docs/accuracy.md``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from calculator.units import GIB, gib_to_bytes

if TYPE_CHECKING:
    from calculator.architecture.model import ModelArchitecture
    from calculator.hardware import Accelerator

ACTIVATION_BYTES = 2
LOGIT_BYTES = 4
RESIDUAL_COPIES_TENTHS = 43
LARGE_GPU_BYTES = 70 * GIB
FULL_GRAPH_SIZES = 51
OWN_VALUE = "your own value"
ENCODER, ENCODER_MOST = gib_to_bytes("0.2"), gib_to_bytes("3.5")
LEAST_SPREAD = gib_to_bytes("0.1")
"""No estimate is said to be better than this."""

ACTIVATIONS, OUTSIDE, GRAPHS = "Activations", "Outside the allocator", "CUDA graphs"
CAUSES = {ACTIVATIONS: "activation memory", OUTSIDE: "memory outside the allocator", GRAPHS: "CUDA graphs"}


@dataclass(frozen=True, slots=True)
class Overhead:
    """One line of memory that is neither weights nor KV cache, on one GPU.

    Attributes
    ----------
    name, source : str
        The line, and where its figure comes from.
    bytes, low, high : int
        The central estimate and the range that it is expected in [bytes].
    in_slack : bool
        Whether it is taken from what the engine leaves free, and so takes nothing from the KV pool.
    """

    name: str
    bytes: int
    source: str
    low: int
    high: int
    in_slack: bool = False

    @property
    def spread(self) -> int:
        """How far the KV pool can move with it [bytes]."""
        return 0 if self.in_slack else max(self.high - self.bytes, self.bytes - self.low)


def none(name: str, source: str, in_slack: bool = False) -> Overhead:
    """Return a line that takes nothing; a value given in its place is taken from where the engine takes the line."""
    return Overhead(name, 0, source, 0, 0, in_slack)


def own(line: Overhead, value: int | None) -> Overhead:
    """Return a line with the user's value in place of the estimate, where there is one; it is taken from the same."""
    return line if value is None else replace(line, bytes=value, source=OWN_VALUE, low=value, high=value)


def _line(name: str, central: int, source: str, spread: tuple[float, float], in_slack: bool = False) -> Overhead:
    """Return a line with its range as factors of the central value, at least ``LEAST_SPREAD`` to either side."""
    low = min(int(central * spread[0]), max(0, central - LEAST_SPREAD))
    return Overhead(name, central, source, low, max(int(central * spread[1]), central + LEAST_SPREAD), in_slack)


def _gib(source: str, central: str, low: str, high: str) -> Overhead:
    return Overhead(OUTSIDE, gib_to_bytes(central), source, gib_to_bytes(low), gib_to_bytes(high))


def vllm_activation(
    model: ModelArchitecture,
    sampler_copies_tenths: int,
    experts_stay: bool,
    tensor_parallel_size: int,
    max_num_seqs: int,
    max_num_batched_tokens: int,
    last_stage: bool,
    spread: tuple[float, float],
) -> Overhead:
    """Estimate the peak of activations of vLLM on one GPU [bytes].

    Notes
    -----
    The larger of the sampler's peak and one MLP's::

        sampler = k × 4 × S × V + 2 × T × h + experts
        mlp     = 2 × T × (p × I / TP + 4.3 × h)
        experts = 2 × T × topk × (max(2 × I_e / TP, h) + I_e / TP)

    with S ``max_num_seqs``, T ``max_num_batched_tokens``, V vocabulary, h hidden size, I and
    I_e MLP and expert widths, p the MLP's matrices (3 with a gate), k the sampler's copies of
    the fp32 logits. The sampler runs on the last stage, on every rank; earlier stages hold
    ``mlp + 4 × T × h``. Before 0.17 the work buffers of experts are freed before the sampler runs.

    References
    ----------
    vLLM ``v1/worker/gpu_model_runner.py`` ``profile_run`` and ``_dummy_sampler_run``; k fitted to
    public start-up logs: 9.6 up to 0.16, 3.7 for 0.17 to 0.19, not measured since.
    """
    tokens, tp, hidden = max_num_batched_tokens, tensor_parallel_size, model.hidden_size
    width, expert_width = model.mlp_projections * model.intermediate_size, model.moe_intermediate_size
    experts = 0
    if expert_width:
        width = 0
        per_token = max(2 * expert_width, hidden * tp) + expert_width
        experts = -(-ACTIVATION_BYTES * tokens * model.num_experts_per_tok * per_token // tp)
    mlp = -(-ACTIVATION_BYTES * tokens * (10 * width + RESIDUAL_COPIES_TENTHS * hidden * tp) // (10 * tp))
    if not last_stage:
        peak = mlp + experts + 2 * ACTIVATION_BYTES * tokens * hidden
        return _line(ACTIVATIONS, peak, "one layer's MLP at max_num_batched_tokens", spread)
    logits = -(-sampler_copies_tenths * LOGIT_BYTES * max_num_seqs * model.vocab_size // 10)
    sampler = logits + ACTIVATION_BYTES * tokens * hidden + (experts if experts_stay else 0)
    if sampler >= mlp + experts * (not experts_stay):
        source = f"the sampler's copies of the logits of {max_num_seqs:,} sequences"
        return _line(ACTIVATIONS, sampler, source, spread)
    return _line(ACTIVATIONS, mlp + experts * (not experts_stay), f"one layer's MLP at {tokens:,} tokens", spread)


def with_encoder(activation: Overhead) -> Overhead:
    """Add what profiling an encoder of images takes: 0.2 GiB, and up to 3.5 where images may be of any size.

    References
    ----------
    vLLM 0.11 to 0.19: nine starts with an encoder took 0.05 to 0.29 GiB more than the same decoder without, two
    of Qwen3-VL 2.9 GiB, and 0.35 for tables of rotary positions.
    """
    return replace(
        activation,
        bytes=activation.bytes + ENCODER,
        high=activation.high + ENCODER_MOST,
        source=f"{activation.source}, and the encoder of images: 0.2 GiB, up to 3.5",
    )


NON_TORCH = {
    # (allocator's release, linked): one GPU, several
    "before 0.8": (
        _gib("0.01-1.79 GiB logged on one GPU before 0.8", "0.1", "0", "1.8"),
        _gib("0.20-3.58 GiB logged with tensor parallelism before 0.8", "0.5", "0.1", "3.6"),
    ),
    "before 0.18": (
        _gib("0.13-0.14 GiB logged on one H100 in 0.11", "0.13", "0.02", "0.25"),
        _gib("0.21-0.55 GiB logged with tensor parallelism before 0.18", "0.5", "0.2", "1"),
    ),
    "linked": (
        _gib("0.24-0.27 GiB logged on one H100", "0.25", "0.1", "0.5"),
        _gib("2.06-2.21 GiB logged on linked H100s", "2.1", "1.2", "2.6"),
    ),
    "over PCIe": (
        _gib("0.24-0.27 GiB logged on one H100", "0.25", "0.1", "0.5"),
        _gib("a judgement for tensor parallelism over PCIe", "0.6", "0.2", "2.1"),
    ),
}
ROCM_ONE_GPU, ROCM_EACH_MORE = gib_to_bytes("2.8"), gib_to_bytes("0.75")


def vllm_non_torch(accelerator: Accelerator, tensor_parallel_size: int, version: tuple[int, ...]) -> Overhead:
    """Estimate what grows outside torch's allocator during vLLM's profiling, mostly for communication [bytes].

    References
    ----------
    vLLM on H100: 0.13 GiB up to 0.17 and 0.24-0.27 from 0.18 on one GPU; with tensor parallelism
    0.54 up to 0.17, 2.06-2.21 from 0.18. 0.6 GiB over PCIe is a judgement. On MI300X 2.4-3.3 GiB on
    one GPU and 7-9 GiB on eight.
    """
    if accelerator.vendor == "AMD" and accelerator.memory_bytes >= LARGE_GPU_BYTES:
        central = ROCM_ONE_GPU + ROCM_EACH_MORE * (tensor_parallel_size - 1)
        source = "2.4-3.3 GiB logged on one MI300X, 7-9 GiB on each of eight"
        return Overhead(OUTSIDE, central, source, central - gib_to_bytes("1"), central + gib_to_bytes("1.5"))
    if version < (0, 18):
        kind = "before 0.8" if version < (0, 8) else "before 0.18"
    else:
        kind = "linked" if accelerator.has_fast_link else "over PCIe"
    return NON_TORCH[kind][tensor_parallel_size > 1]


def graph_sizes(max_num_seqs: int) -> int:
    """Return how many batch sizes are captured: 1, 2, 4, steps of 8 to 256, of 16 to 512 [-].

    References
    ----------
    vLLM 0.33.0: sizes up to ``min(2 × max_num_seqs, 512)``.
    """
    largest = min(2 * max_num_seqs, 512)
    small = (largest >= 1) + (largest >= 2) + (largest >= 4)
    return small + min(largest, 248) // 8 + (largest - 240) // 16 * (largest >= 256)


def vllm_graphs(
    accelerator: Accelerator, max_num_seqs: int, enforce_eager: bool = False, in_slack: bool = False
) -> Overhead:
    """Estimate the pool of CUDA graphs on one GPU [bytes].

    References
    ----------
    vLLM 0.19 on H100, 28 models: 0.51-1.85 GiB, mean 1.04; 0.2-0.8 GiB on cards of 24 to 96 GB;
    scaled with the number of captured sizes (logged 0.14 GiB at 64 sequences).
    """
    if enforce_eager:
        return none(GRAPHS, "enforce_eager: none are captured", in_slack)
    full = GIB if accelerator.memory_bytes >= LARGE_GPU_BYTES else GIB // 2
    captured = graph_sizes(max_num_seqs)
    where = "; taken from what is kept free" if in_slack else ""
    source = f"{captured} captured sizes; 1.0 GiB for {FULL_GRAPH_SIZES} on large GPUs{where}"
    return _line(GRAPHS, -(-full * captured // FULL_GRAPH_SIZES), source, (0.1, 1.9), in_slack)


def forward_activation(
    model: ModelArchitecture, tensor_parallel_size: int, max_num_batched_tokens: int, in_slack: bool = False
) -> Overhead:
    """Estimate the activations of one forward pass without a sampler's copies [bytes].

    Notes
    -----
    ``2 × T × H × d × c`` with c 11, 6.5, 5 and 5 on 1, 2, 4 and 8 ranks; twice that with experts.

    References
    ----------
    NVIDIA aiconfigurator 0.12.0, TensorRT-LLM backend.
    """
    tenths = {1: 110, 2: 65}.get(tensor_parallel_size, 50) * (2 if model.moe_intermediate_size else 1)
    peak = ACTIVATION_BYTES * max_num_batched_tokens * model.hidden_size * tenths // 10
    source = f"one forward pass of {max_num_batched_tokens:,} tokens"
    if in_slack:
        source += "; taken from what is kept free"
    return _line(ACTIVATIONS, max(peak, 70 * 2**20), source, (0.5, 2.0), in_slack)


CONTEXT = (
    _gib("0.23-0.56 GiB in use at start, logged on single GPUs", "0.5", "0.2", "0.8"),
    _gib("1.18-2.61 GiB in use at start, logged in groups of GPUs", "1.5", "0.8", "2.6"),
)
TENSORRT = (
    _gib("2.55 GiB logged on one H200", "2.5", "1.0", "3.5"),
    _gib("2.55 GiB logged on one H200, NCCL 0.4 GiB", "2.9", "1.4", "3.9"),
)


def context(num_gpus: int) -> Overhead:
    """Estimate what is in use on a GPU before weights are loaded: the context, and channels to other GPUs [bytes].

    References
    ----------
    Total less free memory at start: 0.23-0.56 GiB on one GPU, 1.18-2.61 GiB in groups of GPUs.
    """
    return CONTEXT[num_gpus > 1]


def tensorrt_outside(tensor_parallel_size: int) -> Overhead:
    """Estimate what TensorRT-LLM holds outside torch: context, libraries, communication [bytes].

    References
    ----------
    2.55 GiB logged on one H200; NVIDIA's aiconfigurator books 3.5 GiB and 0.3-0.4 GiB for NCCL.
    """
    return TENSORRT[tensor_parallel_size > 1]


def compute_buffer(model: ModelArchitecture, ubatch: int) -> Overhead:
    """Estimate llama.cpp's compute buffer: logits and hidden states of one micro-batch [bytes].

    Notes
    -----
    ``4 × n_ubatch × (V + h)``; newer builds reserve fewer outputs, long contexts without flash attention more.

    References
    ----------
    258.50 MiB printed for Llama 3 8B on CUDA, Metal and CPU; that is the formula exactly.
    """
    size = LOGIT_BYTES * ubatch * (model.vocab_size + model.hidden_size)
    return _line(ACTIVATIONS, size, f"the compute buffer of {ubatch:,} tokens", (0.3, 2.0))
