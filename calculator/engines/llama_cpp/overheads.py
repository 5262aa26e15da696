"""llama.cpp: the compute buffer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calculator.engines.overheads import ACTIVATION, Overhead, estimate
from calculator.messages import Message, Unsaid, say

if TYPE_CHECKING:
    from calculator.architecture.model import ModelArchitecture

LOGIT_BYTES = 4


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
    return estimate(ACTIVATION, size, Unsaid(_compute_buffer, (ubatch,)), (0.3, 2.0))


def _compute_buffer(tokens: int) -> Message:
    return say("llama_cpp.compute_buffer", "the compute buffer of {tokens:,} tokens", tokens=tokens)


MASK_BYTES, HIDDEN_COPIES_TENTHS = 4, 45
COPIES_OF_INPUTS = 5
"""Copies of the mask that several devices hold, to work on several batches at once, less the one that all have."""


def without_flash_attention(model: ModelArchitecture, ubatch: int, context: int, devices: int = 1) -> int:
    """Return llama.cpp's compute buffer where flash attention is off [bytes].

    Parameters
    ----------
    model : ModelArchitecture
        The model [-].
    ubatch : int
        Tokens of a micro-batch [tokens].
    context : int
        Cells of the cache [tokens].
    devices : int
        GPUs of one machine [-].

    Returns
    -------
    int
        It.

    Notes
    -----
    ``4 × n_ubatch × (n_ctx × H + n_ctx + 4.5 h)``, at least that with flash attention; of several devices each holds
    five masks more.

    References
    ----------
    560.00 MiB printed for Llama 3 8B at 8,192 cells and 640.01 on several GPUs, 588.01 for Llama 3.1 70B at 4,096 over
    RPC, 150.00 for Phi-3 mini at 4,096 cells and micro-batches of 256.
    """
    mask = MASK_BYTES * ubatch * context
    scores = LOGIT_BYTES * ubatch * context * model.num_attention_heads
    hidden = LOGIT_BYTES * ubatch * model.hidden_size * HIDDEN_COPIES_TENTHS // 10
    whole = scores + mask + hidden + (COPIES_OF_INPUTS * mask if devices > 1 else 0)
    return max(whole, LOGIT_BYTES * ubatch * (model.vocab_size + model.hidden_size))
