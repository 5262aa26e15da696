"""llama.cpp: the compute buffer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calculator.engines.overheads import ACTIVATION, Overhead, estimate
from calculator.messages import say

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
    source = say("llama_cpp.compute_buffer", "the compute buffer of {tokens:,} tokens", tokens=ubatch)
    return estimate(ACTIVATION, size, source, (0.3, 2.0))
