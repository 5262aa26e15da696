"""TensorRT-LLM: what it holds outside torch."""

from __future__ import annotations

from calculator.engines.overheads import Overhead, logged
from calculator.messages import say

_NON_TORCH = (
    logged(say("tensorrt.non_torch_alone", "1.13-2.42 GiB logged on one GPU"), "2.1", "1.0", "3.5"),
    logged(say("tensorrt.non_torch", "1.13-2.42 GiB logged on one GPU, NCCL 0.4 GiB"), "2.5", "1.4", "3.9"),
)


def non_torch(tensor_parallel_size: int) -> Overhead:
    """Estimate what TensorRT-LLM holds outside torch: context, libraries, communication [bytes].

    Notes
    -----
    Without the profiling run's own KV cache, which its "Memory used outside torch" holds and its pool gets back.

    References
    ----------
    H200: 2.55 GiB logged with 0.13 of that cache; a card of 48 GB: 2.51 with 1.38. NVIDIA's aiconfigurator books
    3.5 GiB and 0.3-0.4 GiB for NCCL.
    """
    return _NON_TORCH[tensor_parallel_size > 1]
