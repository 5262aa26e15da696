"""Weight formats: a matrix → bytes, scales included.

Embeddings, head, router, norms and biases stay 16 bit in the formats of servers, as vLLM, AWQ and GPTQ
checkpoints keep them; GGUF quantises every matrix and is given by its mean bits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from calculator.errors import InvalidValueError, UnsupportedError, shown, unknown_name
from calculator.formats.names import ALIASES
from calculator.messages import Message, say

if TYPE_CHECKING:
    from calculator.architecture.matrices import WeightMatrix


@dataclass(frozen=True, slots=True)
class WeightFormat:
    """How a matrix is stored.

    Attributes
    ----------
    name : str
        The name used everywhere.
    bits : int
        Bits of one weight [bits].
    description, source : str
        What is stored, and where that is read from.
    group_size : int
        Inputs that share one scale, 0 where no scale is kept per group [elements].
    group_bits : int
        Bits of scale and zero point of one group [bits].
    row_bytes : int
        Scales of one output [bytes].
    matrix_bytes : int
        Scales of one matrix [bytes].
    block_bytes : int
        Scales of each block of weights [bytes].
    block : tuple of int
        Outputs and inputs of such a block [elements].
    parts : tuple of str
        The parts of a model that it applies to; empty for every linear layer.
    unquantised_bytes : int
        Bytes of a value that it does not apply to [bytes].
    mean_bits : int
        Mean bits of a weight times 10,000 where groups cross rows or types are mixed, 0 otherwise.
    everything : bool
        Whether embeddings, head and router are stored in it too.
    module_bytes : int
        What of ``matrix_bytes`` is kept once of projections that an engine loads as one [bytes].
    read_bytes, read_elements : int
        What a file's header says that a whole matrix takes, all that belongs to it included [bytes], and its weights
        [elements]; 0 where a layout says so.
    """

    name: str
    bits: int
    description: str
    source: str
    group_size: int = 0
    group_bits: int = 0
    row_bytes: int = 0
    matrix_bytes: int = 0
    block_bytes: int = 0
    parts: tuple[str, ...] = ()
    unquantised_bytes: int = 2
    mean_bits: int = 0
    everything: bool = False
    block: tuple[int, int] = (128, 128)
    read_bytes: int = 0
    read_elements: int = 0
    module_bytes: int = 0

    @property
    def computes_in(self) -> str:
        """The format that its matrices are multiplied in where the device can: ``16``, ``fp8`` or ``fp4``."""
        return COMPUTES_IN.get(self.name, "16")

    @property
    def is_plain(self) -> bool:
        """Whether every value takes its bits and nothing else is kept, in whatever matrix."""
        return self.bits == 8 * self.unquantised_bytes

    def bytes_on(self, matrix: WeightMatrix, as_stored: bool, outputs: int, inputs: int) -> int:
        """Return the bytes of one copy of a matrix, or of the part of it that a rank holds [bytes].

        Parameters
        ----------
        matrix : WeightMatrix
            The matrix [-].
        as_stored : bool
            Whether it is as the checkpoint stores it, module by module, and this format only its main one [-].
        outputs, inputs : int
            The part of it [elements].

        Returns
        -------
        int
            Scales included [bytes].
        """
        if matrix.value_bytes and not (as_stored and matrix.stored):
            return outputs * inputs * matrix.value_bytes
        form = matrix.stored if as_stored else self if self.applies_to(matrix) else None
        return form.bytes_of(outputs, inputs) if form else outputs * inputs * self.unquantised_bytes

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
        + outputs × row_bytes + matrix_bytes + blocks × block_bytes``; of what was read from a header, the share of
        its weights.
        """
        if self.read_elements:
            return -(-self.read_bytes * outputs * inputs // self.read_elements)
        if self.mean_bits:
            return -(-outputs * inputs * self.mean_bits // 80_000)
        groups = outputs * -(-inputs // self.group_size) if self.group_size else 0
        bits = outputs * inputs * self.bits + groups * self.group_bits
        blocks = -(-outputs // self.block[0]) * -(-inputs // self.block[1])
        return -(-bits // 8) + outputs * self.row_bytes + self.matrix_bytes + blocks * self.block_bytes


_GROUPED = "4 bit integers in groups of 128, a 16 bit scale and a 4 bit zero point each"


_GROUPED_8 = "8 bit integers in groups of 128, a 16 bit scale and an 8 bit zero point each"


_CHECKED = "checked on Qwen2.5-7B-AWQ, 5.2032 GiB in vLLM issue 13882"


_FP8 = "8 bit floating point, one scale a matrix"


_MX = "4 bit floating point with a 1 byte scale per 32, experts only; the rest 16 bit"


_ZEROS = "checkpoints keep the zero points, as AWQ's do"


_GGUF = "GGUF block type"


_MIXED = "GGUF, types mixed; mean bits of Llama-3.1-8B"


_GGML = "llama.cpp tools/quantize/README.md and ggml/src/ggml-common.h"


COMPUTES_IN = {"fp8": "fp8", "fp8-block": "fp8", "int8": "fp8", "mxfp4": "fp4", "nvfp4": "fp4"}
FORMATS = {
    row.name: row
    for row in (
        WeightFormat("fp32", 32, "32 bit floating point", "IEEE 754", unquantised_bytes=4),
        WeightFormat("fp16", 16, "16 bit floating point", "IEEE 754"),
        WeightFormat("bf16", 16, "16 bit brain floating point", "IEEE 754 shortened"),
        WeightFormat("fp8", 8, _FP8, "vLLM fp8; Llama-3.1-8B 8.49 GiB logged", matrix_bytes=4),
        WeightFormat("fp8-block", 8, "8 bit, a 4 byte scale per 128 × 128", "DeepSeek-V3", block_bytes=4),
        WeightFormat("int8", 8, "8 bit integers, a 16 bit scale an output", "W8A8: 8 + 16/K bits", row_bytes=2),
        WeightFormat("awq-int4", 4, _GROUPED, _CHECKED, group_size=128, group_bits=20),
        WeightFormat("gptq-int4", 4, _GROUPED, _ZEROS, group_size=128, group_bits=20),
        # a mean of all that is stored takes the place of scales
        WeightFormat("nf4", 4, "4 bit normal float, double quantised", "bitsandbytes", mean_bits=41_270),
        WeightFormat("mxfp4", 4, _MX, "gpt-oss: 17 bytes per 32 weights", 32, 8, parts=("experts",)),
        WeightFormat(
            "nvfp4", 4, "4 bit floating point, a 1 byte scale per 16", "e4m3 per 16, float32 a tensor",
            group_size=16, group_bits=8, matrix_bytes=4,
        ),
        WeightFormat("q8_0", 8, _GGUF, _GGML, mean_bits=85_000, everything=True),
        WeightFormat("q6_k", 6, _GGUF, _GGML, mean_bits=65_625, everything=True),
        WeightFormat("q5_k_m", 5, _MIXED, _GGML, mean_bits=57_036, everything=True),
        WeightFormat("q4_k_m", 4, _MIXED, _GGML, mean_bits=48_944, everything=True),
        WeightFormat("q3_k_m", 3, _MIXED, _GGML, mean_bits=39_960, everything=True),
        WeightFormat("q2_k", 2, _MIXED, _GGML, mean_bits=31_593, everything=True),
    )
}  # fmt: skip


PACKED = {"gptq-int8": WeightFormat("gptq-int8", 8, _GROUPED_8, _ZEROS, group_size=128, group_bits=24)}
"""What checkpoints of GPTQ, compressed-tensors and AutoRound hold, not offered by itself."""
_OWN_GROUP = re.compile(r"(awq-int4|gptq-int[48])-g([1-9][0-9]{0,4})")


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
    found = (FORMATS.get(ALIASES.get(name, name)) or PACKED.get(name)) if isinstance(name, str) else None
    if found:
        return found
    grouped = _OWN_GROUP.fullmatch(name) if isinstance(name, str) else None
    if grouped:
        return replace((FORMATS | PACKED)[grouped[1]], name=name, group_size=int(grouped[2]))
    if not isinstance(name, str):
        raise InvalidValueError(
            say(
                "weights.weight_format_name_such",
                "a weight format is a name such as bf16, not {name}",
                name=shown(name),
            ),
            what="weight_dtype",
            asked=name,
        )
    if " " in name:
        raise UnsupportedError(
            why_not(name),
            what="weight_dtype",
            asked=name,
            allowed=tuple(FORMATS),
        )
    raise unknown_name("weight format", name, [*FORMATS, *ALIASES, "auto"], "weight_dtype")


def why_not(name: str, why: str = "") -> Message:
    """Say what weights are stored in that is not understood, and what an engine raises of it."""
    if why:
        return say(
            "weights.checkpoint_s_weights_refused",
            "the checkpoint's weights are stored as {name}, which is not understood: {why}; give checkpoint_bytes, "
            "the bytes of its files, or plan another checkpoint",
            name=name[:80],
            why=why[:200],
        )
    return say(
        "weights.checkpoint_s_weights_stored",
        "the checkpoint's weights are stored as {name}, which is not understood; give checkpoint_bytes, the bytes of "
        "its files, or plan another checkpoint by the weight_dtype it is in",
        name=name[:80],
    )
