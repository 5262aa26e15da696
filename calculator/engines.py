"""How an engine sizes its KV cache: what the fraction means, what is subtracted, block size.

Rules are data with the version and the place they were read from; vLLM is the one engine so far.
"""

from __future__ import annotations

from dataclasses import dataclass

from calculator.accelerator import Accelerator
from calculator.errors import InvalidValueError, UnsupportedError, shown, unknown_name
from calculator.units import GIB


@dataclass(frozen=True, slots=True)
class DeviceDefaults:
    """What an engine assumes on devices of a size when the user does not say.

    Attributes
    ----------
    at_least_gib : int
        Smallest memory of such a device [GiB].
    not_named : str
        A device with this in its name is passed over, as the engine does; empty for none.
    max_num_batched_tokens : int
        Tokens of one forward pass [tokens].
    max_num_seqs : int
        Sequences of one forward pass [-].
    """

    at_least_gib: int
    not_named: str
    max_num_batched_tokens: int
    max_num_seqs: int


@dataclass(frozen=True, slots=True)
class EngineRules:
    """One engine's rules.

    Attributes
    ----------
    name, version, source : str
        The engine, the version that the rules were read from, and where.
    gpu_memory_utilization : float
        Fraction of a device's total memory that the engine may use [-].
    block_size : int
        Tokens of one block of the cache [tokens].
    sampler_copies_tenths : int
        Copies of the fp32 logits that the sampler holds at its worst point, times ten [-].
    full_graph_sizes : int
        Batch sizes captured as CUDA graphs by default [-].
    device_defaults : tuple of DeviceDefaults
        First match wins.
    kv_cache_dtypes : tuple of str
        Storage formats that the engine has.
    weight_dtypes : tuple of str
        Quantised weight formats that any model can be served in, the mildest first.
    """

    name: str
    version: str
    source: str
    gpu_memory_utilization: float
    block_size: int
    sampler_copies_tenths: int
    full_graph_sizes: int
    device_defaults: tuple[DeviceDefaults, ...]
    kv_cache_dtypes: tuple[str, ...]
    weight_dtypes: tuple[str, ...]

    def defaults_for(self, accelerator: Accelerator) -> DeviceDefaults:
        """Return what the engine assumes on a device when the user does not say."""
        return next(
            row
            for row in self.device_defaults
            if accelerator.memory_bytes >= row.at_least_gib * GIB
            and not (row.not_named and row.not_named in accelerator.name.lower())
        )


ENGINES = {
    "vllm": EngineRules(
        name="vllm",
        version="0.33",
        source="vLLM 0.33.0: v1/worker/gpu_worker.py determine_available_memory, engine/arg_utils.py",
        gpu_memory_utilization=0.9,
        block_size=16,
        sampler_copies_tenths=37,
        full_graph_sizes=51,
        device_defaults=(
            DeviceDefaults(160, "", 16_384, 1024),
            DeviceDefaults(70, "a100", 8_192, 1024),
            DeviceDefaults(0, "", 2_048, 256),
        ),
        kv_cache_dtypes=(
            "fp32", "fp16", "bf16", "fp8_e4m3", "fp8_e5m2",
            "fp8_per_token_head", "int8_per_token_head", "int4_per_token_head", "nvfp4",
        ),
        weight_dtypes=("fp8", "int8", "awq-int4", "gptq-int4", "nvfp4"),
    ),
}  # fmt: skip
REFUSED = ("sglang", "tensorrt-llm", "llama.cpp")


def engine_rules(name: str) -> EngineRules:
    """Look up an engine's rules by its name; raise ``CalculatorError`` where there are none."""
    if not isinstance(name, str):
        raise InvalidValueError(f"an engine is a name such as vllm, not {shown(name)}")
    if name in REFUSED:
        raise UnsupportedError(
            f"the rules of {name} are not computed here yet; computed are those of {', '.join(ENGINES)}"
        )
    if name not in ENGINES:
        raise unknown_name("engine", name, ENGINES)
    return ENGINES[name]


def requested_bytes(total_bytes: int, gpu_memory_utilization: float) -> int:
    """Return what the engine may use of a device: ``ceil(total × utilisation)`` [bytes].

    Notes
    -----
    In floating point, as the engine computes it, so that the last byte agrees.

    References
    ----------
    vLLM 0.33.0, ``v1/worker/utils.py`` ``request_memory``.
    """
    product = total_bytes * gpu_memory_utilization
    return int(product) + (product > int(product))
