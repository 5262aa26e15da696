"""TensorRT-LLM with engines that ``trtllm-build`` made: what its C++ runtime holds before it sizes the KV cache."""

from __future__ import annotations

from calculator.architecture.model import ModelArchitecture
from calculator.engines.overheads import ACTIVATION, Overhead, estimate, logged
from calculator.messages import say
from calculator.request import Request
from calculator.units import MIB

CONTEXT_TENTHS, CONTEXT_SPREAD = 34, (0.7, 1.6)
BUFFER_TENTHS, BUFFER_SPREAD = 72, (0.85, 1.3)
LOGIT_BYTES, ROW_BYTES, LEAST = 4, 2, 40 * MIB

OUTSIDE = logged(
    say("tensorrt.built_outside", "0.4-3.0 GiB beside the engine, its context and buffers, in public logs"),
    "1.0", "0.3", "3.2",
)  # fmt: skip
"""The context of the device, libraries and workspaces.

References
----------
Total less available, engine, context and buffers: 0.76 GiB (TensorRT-LLM, docs/source/reference/memory.md), 3.0
(0.12.0.dev2024073000 with six optimisation profiles, trtllm-bench's README).
"""


def engine_memory(model: ModelArchitecture, request: Request) -> Overhead:
    """Estimate the execution context and the buffers of the runtime and of its decoder [bytes].

    Notes
    -----
    The context is sized when the engine is built, for ``max_num_tokens``: about 3.4 rows of the inner tensors of an MLP
    a token, in 16 bit. Buffers hold about 7.2 fp32 copies of the logits of ``max_batch_size`` sequences.

    References
    ----------
    Context: LLaMA 2 7B fp8 1,134.01 MiB for 8,192 tokens (3.3 rows), GPT-J 6B fp8 928.77 for 8,192 (3.6), Qwen2.5 7B
    AWQ 262 for 1,024 (3.5), Qwen2.5 0.5B int8 773.51 for 8,192 (5.1). Buffers and decoder: 0.218 GiB for 256
    sequences of 32,000 logits (7.2 copies), 5.49 for 4,096 of 50,400 (7.1), 8.42 for 2,048 of 151,936 (7.3).
    docs/source/reference/memory.md, trtllm-bench's README of 0.12, NVIDIA/TensorRT-LLM#1188.
    """
    tokens, ranks = request.max_num_batched_tokens, request.tensor_parallel_size
    experts = model.num_experts_per_tok * model.moe_intermediate_size
    inner = (model.mlp_projections - 1) * max(model.intermediate_size, experts) * CONTEXT_TENTHS // (10 * ranks)
    context = max(LEAST, ROW_BYTES * tokens * max(inner, 4 * model.hidden_size))
    buffers = BUFFER_TENTHS * LOGIT_BYTES * request.max_num_seqs * model.vocab_size // 10
    whole = context + buffers
    spread = tuple(
        (context * one + buffers * other) / whole for one, other in zip(CONTEXT_SPREAD, BUFFER_SPREAD, strict=True)
    )
    source = say(
        "tensorrt.built",
        "the context of an engine built for {tokens:,} tokens, and buffers of {sequences:,} sequences",
        tokens=tokens,
        sequences=request.max_num_seqs,
    )
    return estimate(ACTIVATION, whole, source, (spread[0], spread[1]))
