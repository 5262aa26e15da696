"""vLLM: activations of a profiling run, and what grows outside torch's allocator meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from calculator.architecture.matrices import Sharding
from calculator.engines.overheads import (
    ACTIVATION,
    ACTIVATION_BYTES,
    LARGE_GPU_BYTES,
    NON_TORCH,
    Line,
    Overhead,
    estimate,
    logged,
)
from calculator.messages import Message, Unsaid, said, say
from calculator.units import gib_to_bytes

if TYPE_CHECKING:
    from calculator.architecture.model import ModelArchitecture
    from calculator.hardware import Accelerator

LOGIT_BYTES = COUNT_BYTES = 4
RESIDUAL_COPIES_TENTHS = 43
_BEFORE_THE_LAST = say("overheads.mlp_stage", "one layer's MLP at max_num_batched_tokens")
ENCODER, ENCODER_MOST = gib_to_bytes("0.2"), gib_to_bytes("3.5")


def activation(
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
        return estimate(ACTIVATION, peak, _BEFORE_THE_LAST, spread)
    logits = -(-sampler_copies_tenths * LOGIT_BYTES * max_num_seqs * model.vocab_size // 10)
    sampler = logits + ACTIVATION_BYTES * tokens * hidden + (experts if experts_stay else 0)
    if sampler >= mlp + experts * (not experts_stay):
        return estimate(ACTIVATION, sampler, Unsaid(_of_the_sampler, (max_num_seqs,)), spread)
    return estimate(ACTIVATION, mlp + experts * (not experts_stay), Unsaid(_of_an_mlp, (tokens,)), spread)


def _of_the_sampler(sequences: int) -> Message:
    return say(
        "overheads.sampler", "the sampler's copies of the logits of {sequences:,} sequences", sequences=sequences
    )


def _of_an_mlp(tokens: int) -> Message:
    return say("overheads.mlp", "one layer's MLP at {tokens:,} tokens", tokens=tokens)


def with_encoder(line: Overhead) -> Overhead:
    """Add what profiling an encoder of images takes: 0.2 GiB, and up to 3.5 where images may be of any size.

    References
    ----------
    vLLM 0.11 to 0.19: nine starts with an encoder took 0.05 to 0.29 GiB more than the same decoder without, two
    of Qwen3-VL 2.9 GiB, and 0.35 for tables of rotary positions.
    """
    words = Unsaid(_with_encoder, (line.words,))
    return line._replace(bytes=line.bytes + ENCODER, high=line.high + ENCODER_MOST, words=words)


def _with_encoder(words: str | Unsaid) -> Message:
    return say("overheads.with_encoder", "{source}, and the encoder of images: 0.2 GiB, up to 3.5", source=said(words))


def encoder_outputs(model: ModelArchitecture, tokens: int) -> int:
    """Return what the outputs of profiled images or videos take, which stay while the sampler runs [bytes].

    Parameters
    ----------
    model : ModelArchitecture
        A model with an encoder [-].
    tokens : int
        The tokens that its encoder's cache is profiled with, as the log prints them [tokens].

    Notes
    -----
    ``2 × tokens × h × (1 + deep)``, with the vectors that deeper layers of the model take beside those of the first.
    The copies of the matrices that end in the model's width tell how many those are.

    References
    ----------
    vLLM 0.11 and 0.12 ``v1/worker/gpu_model_runner.py`` ``profile_run``: outputs are copied into as many rows as the
    cache's budget has, and kept until the sampler has run. Qwen3-VL 30B-A3B with a budget of 153,600 tokens:
    2 × 153,600 × 2,048 × 4 bytes are 2.34 GiB, where its pool is 2.68 GiB less than the decoder's alone.
    """
    towers = (matrix for matrices in model.towers.values() for matrix in matrices)
    last = [one.copies for one in towers if one.outputs == model.hidden_size and one.sharding is Sharding.ROWS]
    return ACTIVATION_BYTES * tokens * model.hidden_size * max(last, default=1)


OUTPUT_COUNTS = Line(
    "output_counts",
    say("overheads.output_counts", "Counts of output tokens"),
    say("overheads.output_counts_cause", "counts of output tokens"),
    NON_TORCH.keyword,
)
COUNTED = say("vllm.output_counts", "the sampler keeps a count of every token of the vocabulary for each sequence")


def output_counts(vocab_size: int, max_num_seqs: int) -> Overhead:
    """Return what the second runner keeps of the output of each sequence, in the budget from 0.27 on.

    Notes
    -----
    ``4 × S × V`` for counts, and a bit of each token twice: of prompts, and of what a grammar allows.

    References
    ----------
    vLLM 0.27.1 and 0.33.0 ``v1/worker/gpu/sample/penalties.py`` and ``structured_outputs.py``. A start of Qwen3 4B on
    an RTX 5090 logs 7.64 GiB consumed: 7.49 of weights, and 256 × 151,936 × 4.25 bytes are 0.15.
    """
    size = COUNT_BYTES * max_num_seqs * (vocab_size + 2 * -(-vocab_size // 32))
    return Overhead(OUTPUT_COUNTS, size, COUNTED, size, size)


@dataclass(frozen=True, slots=True)
class NonTorch:
    """What grows outside torch's allocator: on one GPU, with links between GPUs, and over PCIe."""

    one_gpu: Overhead
    linked: Overhead
    over_pcie: Overhead


_BEFORE_0_8 = logged(
    say("vllm.non_torch_0_6", "0.20-3.58 GiB logged with tensor parallelism before 0.8"), "0.5", "0.1", "3.6"
)
_BEFORE_0_18 = logged(
    say("vllm.non_torch_0_8", "0.21-0.55 GiB logged with tensor parallelism before 0.18, up to 1 more elsewhere"),
    "0.5",
    "0.1",
    "1.5",
)
NON_TORCH_0_6 = NonTorch(
    logged(say("vllm.non_torch_0_6_alone", "0.01-1.79 GiB logged on one GPU before 0.8"), "0.1", "0", "1.8"),
    _BEFORE_0_8,
    _BEFORE_0_8,
)
NON_TORCH_0_8 = NonTorch(
    logged(
        say("vllm.non_torch_0_8_alone", "0.13-0.14 GiB logged on one H100 in 0.11, up to 0.4 more elsewhere"),
        "0.13",
        "0",
        "0.6",
    ),
    _BEFORE_0_18,
    _BEFORE_0_18,
)
NON_TORCH_0_18 = NonTorch(
    logged(
        say("vllm.non_torch_alone", "0.24-0.27 GiB logged on one H100, up to 0.5 more elsewhere"), "0.25", "0", "0.8"
    ),
    logged(say("vllm.non_torch_linked", "2.06-2.21 GiB logged on linked H100s"), "2.1", "1.2", "2.6"),
    logged(say("vllm.non_torch_pcie", "a judgement for tensor parallelism over PCIe"), "0.6", "0.2", "2.1"),
)
ROCM_ONE_GPU, ROCM_EACH_MORE = gib_to_bytes("2.8"), gib_to_bytes("0.75")
ROCM_LESS, ROCM_MORE = gib_to_bytes("1"), gib_to_bytes("1.5")
ROCM_SOURCE = say("vllm.non_torch_rocm", "2.4-3.3 GiB logged on one MI300X, 7-9 GiB on each of eight")


UNIFIED = logged(
    say("vllm.non_torch_unified", "0-4 GiB logged on GB10, whose memory all programs and the files they read share"),
    "1.5",
    "0",
    "6",
)
UNIFIED_GROUP = logged(
    say("vllm.non_torch_unified_group", "about 14 GiB logged on each of two GB10, whose memory all programs share"),
    "2.1",
    "0.6",
    "16",
)


def non_torch(accelerator: Accelerator, tensor_parallel_size: int, known: NonTorch) -> Overhead:
    """Estimate what grows outside torch's allocator during vLLM's profiling, mostly for communication [bytes].

    References
    ----------
    vLLM on H100: 0.13 GiB up to 0.17 and 0.24-0.27 from 0.18 on one GPU; with tensor parallelism
    0.54 up to 0.17, 2.06-2.21 from 0.18. 0.6 GiB over PCIe is a judgement. On MI300X 2.4-3.3 GiB on
    one GPU and 7-9 GiB on eight.
    """
    if accelerator.vendor == "AMD" and accelerator.memory_bytes >= LARGE_GPU_BYTES:
        central = ROCM_ONE_GPU + ROCM_EACH_MORE * (tensor_parallel_size - 1)
        return Overhead(NON_TORCH, central, ROCM_SOURCE, central - ROCM_LESS, central + ROCM_MORE)
    if accelerator.is_unified:
        return UNIFIED if tensor_parallel_size == 1 else UNIFIED_GROUP
    if tensor_parallel_size == 1:
        return known.one_gpu
    return known.linked if accelerator.has_fast_link else known.over_pcie
