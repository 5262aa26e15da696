"""Weights: matrices × format × sharding = bytes on each rank.

A weight format is a function from a matrix to bytes, as a KV format is one from a row.
Embeddings, head, router, norms and biases stay 16 bit in the formats of servers, as vLLM, AWQ
and GPTQ checkpoints keep them; GGUF quantises every matrix and is given by its mean bits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from calculator.errors import InvalidValueError, UnsupportedError, shown, unknown_name
from calculator.model import ModelArchitecture, Sharding, WeightMatrix
from calculator.parallelism import kv_heads_per_rank


@dataclass(frozen=True, slots=True)
class WeightFormat:
    """How a matrix is stored.

    Attributes
    ----------
    name : str
        The name used everywhere.
    bits : int
        Bits of one weight [bits].
    group_size : int
        Inputs that share one scale, 0 where no scale is kept per group [elements].
    group_bits : int
        Bits of scale and zero point of one group [bits].
    row_bytes : int
        Scales of one output [bytes].
    matrix_bytes : int
        Scales of one matrix [bytes].
    description, source : str
        What is stored, and where that is read from.
    block_bytes : int
        Scales of each block of 128 × 128 weights [bytes].
    parts : tuple of str
        The parts of a model that it applies to; empty for every linear layer.
    unquantised_bytes : int
        Bytes of a value that it does not apply to [bytes].
    mean_bits : int
        Mean bits of a weight times 10,000 where groups cross rows or types are mixed, 0 otherwise.
    everything : bool
        Whether embeddings, head and router are stored in it too.
    """

    name: str
    bits: int
    group_size: int
    group_bits: int
    row_bytes: int
    matrix_bytes: int
    description: str
    source: str
    block_bytes: int = 0
    parts: tuple[str, ...] = ()
    unquantised_bytes: int = 2
    mean_bits: int = 0
    everything: bool = False

    def applies_to(self, matrix: WeightMatrix) -> bool:
        """Say whether a matrix is stored in this format; vectors never are."""
        if self.everything:
            return matrix.inputs > 1
        return matrix.quantised and (not self.parts or matrix.part in self.parts)

    def bytes_of(self, outputs: int, inputs: int) -> int:
        """Return the bytes of one matrix, scales included, rounded up to whole bytes [bytes].

        Notes
        -----
        ``ceil((outputs × inputs × bits + outputs × ceil(inputs / group) × group_bits) / 8)
        + outputs × row_bytes + matrix_bytes + blocks × block_bytes``.
        """
        if self.mean_bits:
            return -(-outputs * inputs * self.mean_bits // 80_000)
        groups = outputs * -(-inputs // self.group_size) if self.group_size else 0
        bits = outputs * inputs * self.bits + groups * self.group_bits
        blocks = -(-outputs // 128) * -(-inputs // 128)
        return -(-bits // 8) + outputs * self.row_bytes + self.matrix_bytes + blocks * self.block_bytes


_GROUPED = "4 bit integers in groups of 128, a 16 bit scale and a 4 bit zero point each"
_CHECKED = "checked on Qwen2.5-7B-AWQ, 5.2032 GiB in vLLM issue 13882"
_FP8 = "8 bit floating point, one scale a matrix"
_MX = "4 bit floating point with a 1 byte scale per 32, experts only; the rest 16 bit"
_GGUF = "GGUF block type"
_MIXED = "GGUF, types mixed; mean bits of Llama-3.1-8B"
_GGML = "llama.cpp tools/quantize/README.md and ggml/src/ggml-common.h"

FORMATS = {
    row.name: row
    for row in (
        # name, bits, group, bits a group, bytes an output, bytes a matrix
        WeightFormat("fp32", 32, 0, 0, 0, 0, "32 bit floating point", "IEEE 754", unquantised_bytes=4),
        WeightFormat("fp16", 16, 0, 0, 0, 0, "16 bit floating point", "IEEE 754"),
        WeightFormat("bf16", 16, 0, 0, 0, 0, "16 bit brain floating point", "IEEE 754 shortened"),
        WeightFormat("fp8", 8, 0, 0, 0, 4, _FP8, "vLLM fp8; Llama-3.1-8B 8.49 GiB logged"),
        WeightFormat("fp8-block", 8, 0, 0, 0, 0, "8 bit, a 4 byte scale per 128 × 128", "DeepSeek-V3", block_bytes=4),
        WeightFormat("int8", 8, 0, 0, 2, 0, "8 bit integers, a 16 bit scale an output", "W8A8: 8 + 16/K bits"),
        WeightFormat("awq-int4", 4, 128, 20, 0, 0, _GROUPED, _CHECKED),
        WeightFormat("gptq-int4", 4, 128, 20, 0, 0, _GROUPED, "checkpoints keep the zero points, as AWQ's do"),
        WeightFormat("nf4", 4, 0, 0, 0, 0, "4 bit normal float, double quantised", "bitsandbytes", mean_bits=41_270),
        WeightFormat("mxfp4", 4, 32, 8, 0, 0, _MX, "gpt-oss: 17 bytes per 32 weights", parts=("experts",)),
        WeightFormat(
            "nvfp4",
            4,
            16,
            8,
            0,
            4,
            "4 bit floating point, a 1 byte scale per 16",
            "e4m3 per 16, float32 a tensor",
        ),
        WeightFormat("q8_0", 8, 32, 16, 0, 0, _GGUF, _GGML, mean_bits=85_000, everything=True),
        WeightFormat("q6_k", 6, 256, 144, 0, 0, _GGUF, _GGML, mean_bits=65_625, everything=True),
        WeightFormat("q5_k_m", 5, 256, 128, 0, 0, _MIXED, _GGML, mean_bits=57_036, everything=True),
        WeightFormat("q4_k_m", 4, 256, 128, 0, 0, _MIXED, _GGML, mean_bits=48_944, everything=True),
        WeightFormat("q3_k_m", 3, 256, 112, 0, 0, _MIXED, _GGML, mean_bits=39_960, everything=True),
        WeightFormat("q2_k", 2, 256, 160, 0, 0, _MIXED, _GGML, mean_bits=31_593, everything=True),
    )
}

ALIASES = {"float32": "fp32", "float16": "fp16", "half": "fp16", "bfloat16": "bf16"}
_OWN_GROUP = re.compile(r"(awq-int4|gptq-int4)-g([1-9][0-9]{0,4})")


def weight_format(name: str) -> WeightFormat:
    """Look up a weight format by its name or alias.

    Parameters
    ----------
    name : str
        A weight format such as ``bf16`` or ``awq-int4`` [-].

    Returns
    -------
    WeightFormat
        The layout of a matrix.

    Raises
    ------
    UnknownNameError
        If there is no such format; the near matches are named.
    """
    found = FORMATS.get(ALIASES.get(name, name)) if isinstance(name, str) else None
    if found:
        return found
    grouped = _OWN_GROUP.fullmatch(name) if isinstance(name, str) else None
    if grouped:
        return replace(FORMATS[grouped[1]], name=name, group_size=int(grouped[2]))
    if not isinstance(name, str):
        raise InvalidValueError(f"a weight format is a name such as bf16, not {shown(name)}")
    if " " in name:
        raise UnsupportedError(
            f"the checkpoint's weights are stored as {name[:80]}, which is not understood; name a "
            f"weight_dtype instead of auto, such as {', '.join(list(FORMATS)[:4])}"
        )
    raise unknown_name("weight format", name, [*FORMATS, *ALIASES, "auto"])


SPLIT_APART = ("experts", "shared experts", "dense MLP")
"""Parts that stay split over all ranks where attention is data parallel."""


def why_width_not(model: ModelArchitecture, tensor_parallel_size: int, *, whole_experts: bool = False) -> str | None:
    """Say why MLPs and experts cannot be split over so many ranks, or None where they can.

    References
    ----------
    vLLM 0.33.0, ``model_executor/layers/linear.py`` (``divide``), ``fused_moe/config.py``; SGLang 0.5.23,
    ``layers/linear.py``, ``layers/moe/fused_moe_triton/layer.py``: each asserts that the width divides.
    """
    split = [part for part in SPLIT_APART if not (whole_experts and part == "experts")]
    for matrix in (matrix for group in model.layers for matrix in group.weights):
        width = {Sharding.COLUMNS: matrix.outputs, Sharding.ROWS: matrix.inputs}.get(matrix.sharding)
        if matrix.part in split and width is not None and width % tensor_parallel_size:
            return f"the width {width} of {matrix.part} does not divide by {tensor_parallel_size}"
    return None


def weight_bytes_per_rank(
    model: ModelArchitecture,
    weight_dtype: str = "auto",
    tensor_parallel_size: int = 1,
    pipeline_parallel_size: int = 1,
    expert_parallel_size: int = 1,
    attention_ranks: int | None = None,
    expert_multiples: tuple[int, int] = (1, 1),
    encoders: bool = True,
) -> tuple[int, ...]:
    """Return the bytes of weights on one rank of each pipeline stage.

    Parameters
    ----------
    model : ModelArchitecture
        The model [-].
    weight_dtype : str
        Weight format, or ``auto`` for the checkpoint's own [-].
    tensor_parallel_size : int
        Ranks that share a layer [-].
    pipeline_parallel_size : int
        Stages that share the layers [-].
    expert_parallel_size : int
        Ranks that share the experts as wholes; 1 for slices of every expert on each rank [-].
    attention_ranks : int, optional
        Ranks that share all but MLPs and experts; by default as many as share a layer [-].
    expert_multiples : tuple of int
        Multiples that a kernel pads the hidden size and the width of experts to [elements].
    encoders : bool
        Whether the encoders of images and audio are loaded, on the first stage [-].

    Returns
    -------
    tuple of int
        One entry a stage, first to last [bytes].

    Raises
    ------
    CalculatorError
        If the format is unknown or the model cannot be split so.

    Notes
    -----
    A tied head is the embedding again; with more than one stage the last one holds its own copy.
    """
    return model.remember(
        _weight_bytes_per_rank,
        weight_dtype,
        tensor_parallel_size,
        pipeline_parallel_size,
        expert_parallel_size,
        attention_ranks,
        expert_multiples,
        encoders,
    )


def _weight_bytes_per_rank(
    model: ModelArchitecture,
    weight_dtype: str,
    tensor_parallel_size: int,
    pipeline_parallel_size: int,
    expert_parallel_size: int,
    attention_ranks: int | None,
    expert_multiples: tuple[int, int],
    encoders: bool,
) -> tuple[int, ...]:
    storage = weight_format(model.resolve_weight_dtype(weight_dtype))
    rest = tensor_parallel_size if attention_ranks is None else attention_ranks
    model.check_tensor_parallel(rest)
    ranks = (tensor_parallel_size, expert_parallel_size, rest, expert_multiples)
    known: dict[tuple[int, int], int] = {}

    def held(weights: tuple[WeightMatrix, ...], heads: int = 0) -> int:
        """Bytes of one layer on one rank; runs of equal layers share their matrices, and the model keeps them alive."""
        key = id(weights), heads
        if key not in known:
            known[key] = sum(_rank_bytes(matrix, storage, heads, *ranks) for matrix in weights)
        return known[key]

    totals = [
        sum(group.count * held(group.weights, group.spec.kv_heads) for group in groups)
        for groups in model.stages(pipeline_parallel_size)
    ]
    totals[0] += held(model.embedding)
    totals[0] += sum(held(tower) for tower in model.towers.values()) if encoders else 0
    totals[-1] += held(model.end)
    if model.tie_word_embeddings and pipeline_parallel_size > 1:
        totals[-1] += _rank_bytes(model.embedding[0], storage, 0, *ranks)
    return tuple(totals)


def _rank_bytes(
    matrix: WeightMatrix,
    storage: WeightFormat,
    kv_heads: int,
    tp: int,
    ep: int,
    rest: int,
    expert_multiples: tuple[int, int],
) -> int:
    """Bytes of a kind of matrix on one rank; what does not divide is rounded up."""
    tp = tp if matrix.part in SPLIT_APART else rest
    outputs, inputs, copies = matrix.outputs, matrix.inputs, matrix.copies
    if ep > 1 and matrix.part == "experts":
        copies = -(-copies // ep)
    elif matrix.sharding is Sharding.COLUMNS:
        outputs = -(-outputs // tp)
    elif matrix.sharding is Sharding.ROWS:
        inputs = -(-inputs // tp)
    elif matrix.sharding is Sharding.KV_HEADS:
        outputs = outputs // kv_heads * kv_heads_per_rank(kv_heads, tp)
    if expert_multiples != (1, 1) and matrix.part == "experts" and inputs > 1:
        # what tensor parallelism splits is the width, the other side the hidden size
        hidden, width = expert_multiples if matrix.sharding is Sharding.ROWS else reversed(expert_multiples)
        outputs, inputs = -(-outputs // hidden) * hidden, -(-inputs // width) * width
    if storage.applies_to(matrix):
        return storage.bytes_of(outputs, inputs) * copies
    return outputs * inputs * storage.unquantised_bytes * copies
