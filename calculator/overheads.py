"""What is taken before the KV cache besides weights: activations, non-torch memory, CUDA graphs.

An estimator with three constants, fitted to 56 public start-up figures of vLLM (mean absolute
error 0.05 GiB, worst 0.29 GiB); weights and KV are exact, these three lines are not.
"""

from __future__ import annotations

from dataclasses import dataclass

from calculator.accelerator import Accelerator
from calculator.engines import EngineRules
from calculator.model import ModelArchitecture
from calculator.units import GIB, gib_to_bytes

ACTIVATION_BYTES = 2
LOGIT_BYTES = 4
RESIDUAL_COPIES_TENTHS = 43

NON_TORCH_ONE_GPU = gib_to_bytes("0.25")
NON_TORCH_FAST_LINK = gib_to_bytes("2.1")
NON_TORCH_PCIE = gib_to_bytes("0.6")

GRAPHS_LARGE_GPU = gib_to_bytes("1.0")
GRAPHS_SMALL_GPU = gib_to_bytes("0.5")
LARGE_GPU_BYTES = 70 * GIB

OWN_VALUE = "your own value"


@dataclass(frozen=True, slots=True)
class Overhead:
    """One line of memory that is neither weights nor KV cache, on one GPU."""

    name: str
    bytes: int
    source: str


def activation(
    model: ModelArchitecture,
    rules: EngineRules,
    tensor_parallel_size: int,
    max_num_seqs: int,
    max_num_batched_tokens: int,
    last_stage: bool,
) -> Overhead:
    """Estimate the peak of activations on one GPU [bytes].

    Notes
    -----
    The larger of the sampler's peak and one MLP's::

        sampler = k × 4 × S × V + 2 × T × h + experts
        mlp     = 2 × T × (p × I / TP + 4.3 × h)
        experts = 2 × T × topk × (max(2 × I_e / TP, h) + I_e / TP)

    with S ``max_num_seqs``, T ``max_num_batched_tokens``, V vocabulary, h hidden size, I and
    I_e MLP and expert widths, p the MLP's matrices (3 with a gate), k the sampler's copies of
    the fp32 logits. The sampler runs on the last stage, on every rank; earlier stages hold
    ``mlp + 4 × T × h``.

    References
    ----------
    vLLM ``v1/worker/gpu_model_runner.py`` ``profile_run`` and ``_dummy_sampler_run``; constants
    fitted to public start-up logs of vLLM 0.6 to 0.19, for 0.17 and later k = 3.7.
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
        return Overhead("Activations", peak, "one layer's MLP at max_num_batched_tokens")
    logits = -(-rules.sampler_copies_tenths * LOGIT_BYTES * max_num_seqs * model.vocab_size // 10)
    sampler = logits + ACTIVATION_BYTES * tokens * hidden + experts
    if sampler >= mlp:
        return Overhead("Activations", sampler, f"the sampler's copies of the logits of {max_num_seqs:,} sequences")
    return Overhead("Activations", mlp, f"one layer's MLP at {tokens:,} tokens")


def non_torch(accelerator: Accelerator, tensor_parallel_size: int) -> Overhead:
    """Estimate memory taken outside the tensor allocator on one GPU, mostly for communication [bytes].

    References
    ----------
    vLLM 0.18 and 0.19 on H100: 0.24-0.27 GiB on one GPU, 2.06-2.21 GiB with TP of 2 and more;
    0.6 GiB over PCIe is a judgement.
    """
    if tensor_parallel_size == 1:
        return Overhead("Outside the allocator", NON_TORCH_ONE_GPU, "0.24-0.27 GiB logged on one H100")
    if accelerator.has_fast_link:
        return Overhead("Outside the allocator", NON_TORCH_FAST_LINK, "2.06-2.21 GiB logged on linked H100s")
    return Overhead("Outside the allocator", NON_TORCH_PCIE, "a judgement for tensor parallelism over PCIe")


def graph_sizes(max_num_seqs: int) -> int:
    """Return how many batch sizes are captured: 1, 2, 4, steps of 8 to 256, of 16 to 512 [-].

    References
    ----------
    vLLM 0.33.0: sizes up to ``min(2 × max_num_seqs, 512)``.
    """
    largest = min(2 * max_num_seqs, 512)
    small = (largest >= 1) + (largest >= 2) + (largest >= 4)
    return small + min(largest, 248) // 8 + (largest - 240) // 16 * (largest >= 256)


def cuda_graphs(accelerator: Accelerator, rules: EngineRules, max_num_seqs: int) -> Overhead:
    """Estimate the pool of CUDA graphs on one GPU [bytes].

    References
    ----------
    vLLM 0.19 on H100, 28 models: 0.51-1.85 GiB, mean 1.04; 0.2-0.8 GiB on cards of 24 to 96 GB;
    scaled with the number of captured sizes (logged 0.14 GiB at 64 sequences).
    """
    full = GRAPHS_LARGE_GPU if accelerator.memory_bytes >= LARGE_GPU_BYTES else GRAPHS_SMALL_GPU
    captured = graph_sizes(max_num_seqs)
    return Overhead(
        "CUDA graphs",
        -(-full * captured // rules.full_graph_sizes),
        f"{captured} captured sizes; 1.0 GiB for 51 on large GPUs",
    )
