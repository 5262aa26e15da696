"""TensorRT-LLM: what it holds outside torch."""

from __future__ import annotations

from calculator.engines.overheads import Overhead, logged
from calculator.messages import say

_NON_TORCH = (
    logged(say("tensorrt.non_torch_alone", "2.55 GiB logged on one H200"), "2.5", "1.0", "3.5"),
    logged(say("tensorrt.non_torch", "2.55 GiB logged on one H200, NCCL 0.4 GiB"), "2.9", "1.4", "3.9"),
)


def non_torch(tensor_parallel_size: int) -> Overhead:
    """Estimate what TensorRT-LLM holds outside torch: context, libraries, communication [bytes].

    References
    ----------
    2.55 GiB logged on one H200; NVIDIA's aiconfigurator books 3.5 GiB and 0.3-0.4 GiB for NCCL.
    """
    return _NON_TORCH[tensor_parallel_size > 1]
