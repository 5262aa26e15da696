"""How quantisation formats lay out a matrix: rows of ``formats.weights`` with the scales that a checkpoint states."""

from __future__ import annotations

from dataclasses import replace

from calculator.formats.weights import FORMATS, WeightFormat

WHOLE_ROW = 2**40
"""A group of so many inputs is a whole row."""
SCALE_BYTES = 4
"""A float32 scale [bytes]."""


def fp8(per_tensor: bool = True, static: bool = False) -> WeightFormat:
    """Return 8 bit floats with a float32 scale a matrix or an output; ``static`` keeps one for activations too."""
    return replace(
        FORMATS["fp8"],
        matrix_bytes=SCALE_BYTES * (per_tensor + static),
        row_bytes=0 if per_tensor else SCALE_BYTES,
    )


def fp8_block(outputs: int = 128, inputs: int = 128) -> WeightFormat:
    """Return 8 bit floats with a float32 scale a block."""
    return replace(FORMATS["fp8-block"], block=(outputs, inputs))


def mxfp8() -> WeightFormat:
    """Return 8 bit floats with a scale of one byte for each 32."""
    return replace(FORMATS["fp8-block"], block_bytes=1, block=(1, 32))


def nvfp4(scales: int, group: int = 16) -> WeightFormat:
    """Return 4 bit floats with a scale of one byte for each 16, and so many float32 scales a matrix."""
    return replace(FORMATS["nvfp4"], group_size=group, matrix_bytes=SCALE_BYTES * scales)


def mxfp4() -> WeightFormat:
    """Return 4 bit floats with a scale of one byte for each 32, of whatever matrix."""
    return replace(FORMATS["mxfp4"], parts=())


def int8(static: bool = False, per_tensor: bool = False, shifted: bool = False) -> WeightFormat:
    """Return 8 bit integers that are multiplied as such, with a float32 scale an output or a matrix."""
    fixed = SCALE_BYTES * (per_tensor + static) + (1 if static and shifted else 0)
    return replace(FORMATS["int8"], row_bytes=0 if per_tensor else SCALE_BYTES, matrix_bytes=fixed)


def integers(method: str, bits: int, group: int, zeros: bool, matrix_bytes: int = 0) -> WeightFormat | None:
    """Return packed integers with a 16 bit scale a group, and a zero point where one is kept; None for other bits.

    Parameters
    ----------
    method : str
        ``awq`` or ``gptq``, whose name the format has [-].
    bits : int
        Bits of a weight [bits].
    group : int
        Inputs that share a scale, -1 for a whole row [elements].
    zeros : bool
        Whether zero points are stored [-].
    matrix_bytes : int
        What is kept besides of each matrix [bytes].

    Returns
    -------
    WeightFormat or None
        Named by the format that it is or is next to.
    """
    if bits not in (4, 8) or not (group == -1 or 0 < group <= WHOLE_ROW):
        return None
    name = "int8" if bits == 8 else f"{method}-int4" if group in (-1, 128) else f"{method}-int4-g{group}"
    form = FORMATS["int8"] if bits == 8 else FORMATS[f"{method}-int4"]
    return replace(
        form,
        name=name,
        bits=bits,
        row_bytes=0,
        group_size=WHOLE_ROW if group == -1 else group,
        group_bits=16 + (bits if zeros else 0),
        matrix_bytes=matrix_bytes,
    )
