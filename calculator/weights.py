"""Weights: matrices × format × sharding = bytes on each rank.

A weight format is a function from a matrix to bytes, as a KV format is one from a row.
Embeddings, head, router, norms and biases stay 16 bit in every quantised format here, as
vLLM, AWQ and GPTQ checkpoints keep them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from calculator.errors import InvalidValueError, UnsupportedError, shown, unknown_name
from calculator.model import ModelArchitecture, Sharding, WeightMatrix
from calculator.parallelism import kv_heads_per_rank

UNQUANTISED_BYTES = 2


@dataclass(frozen=True, slots=True)
class WeightFormat:
    """How a matrix of a linear layer is stored.

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
    """

    name: str
    bits: int
    group_size: int
    group_bits: int
    row_bytes: int
    matrix_bytes: int
    description: str
    source: str

    def bytes_of(self, outputs: int, inputs: int) -> int:
        """Return the bytes of one matrix, scales included, rounded up to whole bytes [bytes].

        Notes
        -----
        ``ceil((outputs × inputs × bits + outputs × ceil(inputs / group) × group_bits) / 8)
        + outputs × row_bytes + matrix_bytes``.
        """
        groups = outputs * -(-inputs // self.group_size) if self.group_size else 0
        bits = outputs * inputs * self.bits + groups * self.group_bits
        return -(-bits // 8) + outputs * self.row_bytes + self.matrix_bytes


_GROUPED = "4 bit integers in groups of 128, a 16 bit scale and a 4 bit zero point each"
_CHECKED = "checked on Qwen2.5-7B-AWQ, 5.2032 GiB in vLLM issue 13882"

FORMATS = {
    row.name: row
    for row in (
        # name, bits, group, bits a group, bytes an output, bytes a matrix
        WeightFormat("fp16", 16, 0, 0, 0, 0, "16 bit floating point", "IEEE 754"),
        WeightFormat("bf16", 16, 0, 0, 0, 0, "16 bit brain floating point", "IEEE 754 shortened"),
        WeightFormat(
            "fp8", 8, 0, 0, 0, 4, "8 bit floating point, one scale a matrix", "vLLM fp8; Llama-3.1-8B 8.49 GiB logged"
        ),
        WeightFormat(
            "int8", 8, 0, 0, 2, 0, "8 bit integers, a 16 bit scale an output", "W8A8 per channel: 8 + 16/K bits"
        ),
        WeightFormat("awq-int4", 4, 128, 20, 0, 0, _GROUPED, _CHECKED),
        WeightFormat(
            "gptq-int4", 4, 128, 20, 0, 0, _GROUPED, "GPTQ checkpoints keep a zero point a group, as AWQ's do"
        ),
        WeightFormat(
            "nvfp4",
            4,
            16,
            8,
            0,
            4,
            "4 bit floating point, a 1 byte scale per 16",
            "one e4m3 per 16, one float32 a tensor",
        ),
    )
}

ALIASES = {"float16": "fp16", "half": "fp16", "bfloat16": "bf16"}
REFUSED = ("fp32", "fp8-block", "nf4", "mxfp4", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m", "q2_k")


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
    UnsupportedError
        If the format exists but is not computed here.
    """
    found = FORMATS.get(ALIASES.get(name, name)) if isinstance(name, str) else None
    if found:
        return found
    if name in REFUSED:
        raise UnsupportedError(f"the weight format {name} is not computed here yet; computed are {', '.join(FORMATS)}")
    if not isinstance(name, str):
        raise InvalidValueError(f"a weight format is a name such as bf16, not {shown(name)}")
    raise unknown_name("weight format", name, [*FORMATS, *ALIASES, "auto"])


def weight_bytes_per_rank(
    model: ModelArchitecture,
    weight_dtype: str = "auto",
    tensor_parallel_size: int = 1,
    pipeline_parallel_size: int = 1,
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
    storage = weight_format(model.resolve_dtype(weight_dtype))
    model.check_tensor_parallel(tensor_parallel_size)

    def held(weights: Iterable[WeightMatrix], heads: int = 0) -> int:
        return sum(_rank_bytes(matrix, storage, heads, tensor_parallel_size) for matrix in weights)

    totals = [
        sum(group.count * held(group.weights, group.spec.kv_heads) for group in groups)
        for groups in model.stages(pipeline_parallel_size)
    ]
    totals[0] += held(model.embedding)
    totals[-1] += held(model.end)
    if model.tie_word_embeddings and pipeline_parallel_size > 1:
        totals[-1] += held(model.embedding[:1])
    return tuple(totals)


def _rank_bytes(matrix: WeightMatrix, storage: WeightFormat, kv_heads: int, tp: int) -> int:
    """Bytes of a kind of matrix on one rank; what does not divide is rounded up."""
    outputs, inputs = matrix.outputs, matrix.inputs
    if matrix.sharding is Sharding.COLUMNS:
        outputs = -(-outputs // tp)
    elif matrix.sharding is Sharding.ROWS:
        inputs = -(-inputs // tp)
    elif matrix.sharding is Sharding.KV_HEADS:
        outputs = outputs // kv_heads * kv_heads_per_rank(kv_heads, tp)
    one = storage.bytes_of(outputs, inputs) if matrix.quantised else outputs * inputs * UNQUANTISED_BYTES
    return one * matrix.copies
