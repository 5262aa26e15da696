"""How quantisation formats lay out a matrix: rows of ``formats.weights`` with the scales that a checkpoint states."""

from __future__ import annotations

from dataclasses import replace

from calculator.formats.weights import FORMATS, WeightFormat, weight_format

WHOLE_ROW = 2**40
"""A group of so many inputs is a whole row."""
SHAPE_BYTES, SHAPE_OF_EXPERTS = 16, 4
"""The shape that packed integers are stored with: two whole numbers of 8 bytes, of experts of 2 [bytes]."""
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


def unchanged(form: WeightFormat) -> WeightFormat:
    """Return a format that experts are loaded in as linear layers are."""
    return form


def one_input_scale(form: WeightFormat) -> WeightFormat:
    """Return experts whose gate and up share the float32 scale of their inputs."""
    return replace(form, module_bytes=SCALE_BYTES)


def with_biases(form: WeightFormat) -> WeightFormat:
    """Return experts of GPTQ, which are loaded with a 16 bit bias an output, zero where there is none.

    References
    ----------
    vLLM 0.33.0, ``auto_gptq.py`` ``AutoGPTQMoEMethod.create_weights``.
    """
    return replace(form, row_bytes=form.row_bytes + 2) if form.name.startswith("gptq") else form


def with_shape(form: WeightFormat) -> WeightFormat:
    """Return packed experts of compressed-tensors: one shape for gate and up, in two 16 bit numbers; or one scale."""
    if form.name.startswith("gptq"):
        return replace(form, matrix_bytes=SHAPE_OF_EXPERTS, module_bytes=SHAPE_OF_EXPERTS)
    # a static scale of inputs stands behind that of the weights, or alone beside scales of outputs
    is_static = form.name == "fp8" and form.matrix_bytes == (SCALE_BYTES if form.row_bytes else 2 * SCALE_BYTES)
    return one_input_scale(form) if is_static else form


def mxfp8() -> WeightFormat:
    """Return 8 bit floats with a scale of one byte for each 32."""
    return replace(FORMATS["fp8-block"], block_bytes=1, block=(1, 32))


def nvfp4(scales: int, group: int = 16) -> WeightFormat:
    """Return 4 bit floats with a scale of one byte for each 16, and so many float32 scales a matrix."""
    return replace(FORMATS["nvfp4"], group_size=group, matrix_bytes=SCALE_BYTES * scales)


def mxfp4() -> WeightFormat:
    """Return 4 bit floats with a scale of one byte for each 32, of whatever matrix."""
    return replace(FORMATS["mxfp4"], parts=())


def int8(
    static: bool = False, per_tensor: bool = False, shifted: bool = False, zero_points: bool = False
) -> WeightFormat:
    """Return 8 bit integers that are multiplied as such, with a float32 scale an output or a matrix.

    ``shifted`` adds a zero point of one byte to a scale of activations, ``zero_points`` one to each scale of weights.
    """
    scale = SCALE_BYTES + zero_points
    fixed = scale * per_tensor + SCALE_BYTES * static + (1 if static and shifted else 0)
    return replace(FORMATS["int8"], row_bytes=0 if per_tensor else scale, matrix_bytes=fixed)


def integers(
    method: str, bits: int, group: int, zeros: bool, matrix_bytes: int = 0, more_bits: int = 0
) -> WeightFormat | None:
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
    more_bits : int
        What is kept besides of each group [bits].

    Returns
    -------
    WeightFormat or None
        Named by the format that it is or is next to.
    """
    if bits not in (4, 8) or not (group == -1 or 0 < group <= WHOLE_ROW):
        return None
    name = "int8" if bits == 8 else f"{method}-int4" if group in (-1, 128) else f"{method}-int4-g{group}"
    form = weight_format("gptq-int8" if bits == 8 else f"{method}-int4")
    return replace(
        form,
        name=name,
        bits=bits,
        row_bytes=0,
        module_bytes=matrix_bytes,
        group_size=WHOLE_ROW if group == -1 else group,
        group_bits=16 + more_bits + (bits if zeros else 0),
        matrix_bytes=matrix_bytes,
    )
