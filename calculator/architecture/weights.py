"""Weights: matrices × format × sharding = bytes on each rank.

A weight format is a function from a matrix to bytes, as a KV format is one from a row.
Embeddings, head, router, norms and biases stay 16 bit in the formats of servers, as vLLM, AWQ
and GPTQ checkpoints keep them; GGUF quantises every matrix and is given by its mean bits.
"""

from __future__ import annotations

from calculator.architecture.matrices import Sharding, WeightMatrix
from calculator.architecture.model import ModelArchitecture
from calculator.architecture.split import kv_heads_per_rank
from calculator.formats.weights import WeightFormat, weight_format
from calculator.messages import say

COLUMNS, ROWS, KV_HEADS = Sharding.COLUMNS, Sharding.ROWS, Sharding.KV_HEADS
SPLIT_APART = ("experts", "shared experts", "dense MLP")
"""Parts that stay split over all ranks where attention is data parallel."""


def why_width_not(model: ModelArchitecture, tensor_parallel_size: int, *, whole_experts: bool = False) -> str | None:
    """Say why MLPs and experts cannot be split over so many ranks, or None where they can.

    References
    ----------
    vLLM 0.33.0, ``model_executor/layers/linear.py`` (``divide``), ``fused_moe/config.py``; SGLang 0.5.23,
    ``layers/linear.py``, ``layers/moe/fused_moe_triton/layer.py``: each asserts that the width divides.
    """
    for part, width in model.remember(_split_widths):
        if width % tensor_parallel_size and not (whole_experts and part == "experts"):
            return say(
                "weights.width_does_not_divide",
                "the width {width} of {part} does not divide by {tensor_parallel_size}",
                width=width,
                part=part,
                tensor_parallel_size=tensor_parallel_size,
            )
    return None


def _split_widths(model: ModelArchitecture) -> tuple[tuple[str, int], ...]:
    """Return what tensor parallelism splits of MLPs and experts: each part and width once [elements]."""
    widths: dict[tuple[str, int], None] = {}
    for group in model.layers:
        for matrix in group.weights:
            if matrix.part in SPLIT_APART:
                if matrix.sharding is COLUMNS:
                    widths[matrix.part, matrix.outputs] = None
                elif matrix.sharding is ROWS:
                    widths[matrix.part, matrix.inputs] = None
    return tuple(widths)


def weight_bytes_per_rank(
    model: ModelArchitecture,
    weight_dtype: str = "auto",
    tensor_parallel_size: int = 1,
    pipeline_parallel_size: int = 1,
    expert_parallel_size: int = 1,
    attention_ranks: int | None = None,
    expert_multiples: tuple[int, int] = (1, 1),
    encoders: bool = True,
    checkpoint_bytes: int | None = None,
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
    checkpoint_bytes : int, optional
        The stored bytes of the whole model, by default what its files say where they do; a rank holds its share of
        them by the formula [bytes].

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
    known = checkpoint_bytes or (model.checkpoint_bytes if model.is_as_stored(weight_dtype) else 0)
    return model.remember(
        _weight_bytes_per_rank,
        weight_dtype,
        tensor_parallel_size,
        pipeline_parallel_size,
        expert_parallel_size,
        attention_ranks,
        expert_multiples,
        encoders,
        known,
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
    checkpoint_bytes: int,
) -> tuple[int, ...]:
    if checkpoint_bytes:
        whole = model.remember(_weight_bytes_per_rank, weight_dtype, 1, 1, 1, None, (1, 1), True, 0)[0]
        asked = (tensor_parallel_size, pipeline_parallel_size, expert_parallel_size, attention_ranks, expert_multiples)
        parts = model.remember(_weight_bytes_per_rank, weight_dtype, *asked, encoders, 0)
        return tuple([-(-checkpoint_bytes * part // whole) for part in parts])
    storage = weight_format(model.resolve_weight_dtype(weight_dtype))
    as_stored = model.is_as_stored(storage.name)
    rest = tensor_parallel_size if attention_ranks is None else attention_ranks
    model.check_tensor_parallel(rest)
    ranks = (tensor_parallel_size, expert_parallel_size, rest, expert_multiples)
    known: dict[tuple[int, int], int] = {}

    def held(weights: tuple[WeightMatrix, ...], heads: int = 0) -> int:
        """Bytes of one layer on one rank; runs of equal layers share their matrices, and the model keeps them alive."""
        key = id(weights), heads
        if key not in known:
            known[key] = bytes_on_rank(weights, storage, heads, *ranks, as_stored=as_stored)
        return known[key]

    stages = model.stages(pipeline_parallel_size)
    of_layers: dict[int, int] = {}
    for groups in stages:
        if id(groups) not in of_layers:
            of_layers[id(groups)] = sum([group.count * held(group.weights, group.spec.kv_heads) for group in groups])
    totals = [of_layers[id(groups)] for groups in stages]
    totals[0] += held(model.embedding)
    totals[0] += sum([held(tower) for tower in model.towers.values()]) if encoders else 0
    totals[-1] += held(model.end)
    if model.tie_word_embeddings and pipeline_parallel_size > 1:
        totals[-1] += held(model.embedding[:1])
    return tuple(totals)


def embedding_bytes(model: ModelArchitecture, weight_dtype: str, checkpoint_bytes: int | None = None) -> int:
    """Return what the table of input embeddings takes in a format, or its share of a checkpoint's bytes [bytes]."""
    known = checkpoint_bytes or (model.checkpoint_bytes if model.is_as_stored(weight_dtype) else 0)
    return model.remember(_embedding_bytes, weight_dtype, known)


def _embedding_bytes(model: ModelArchitecture, weight_dtype: str, checkpoint_bytes: int) -> int:
    storage = weight_format(model.resolve_weight_dtype(weight_dtype))
    as_stored = model.is_as_stored(storage.name)
    own = bytes_on_rank(model.embedding[:1], storage, 0, 1, 1, 1, as_stored=as_stored)
    if not checkpoint_bytes:
        return own
    whole = model.remember(_weight_bytes_per_rank, weight_dtype, 1, 1, 1, None, (1, 1), True, 0)[0]
    return checkpoint_bytes * own // whole


def bytes_on_rank(
    matrices: tuple[WeightMatrix, ...],
    storage: WeightFormat,
    kv_heads: int,
    tp: int,
    ep: int,
    rest: int,
    expert_multiples: tuple[int, int] = (1, 1),
    *,
    as_stored: bool = False,
) -> int:
    """Bytes of some kinds of matrices on one rank; what does not divide is rounded up."""
    is_plain, quantised, plain = storage.is_plain and not as_stored, 0, 0
    for matrix in matrices:
        outputs, inputs, copies = shape_on_rank(matrix, kv_heads, tp, ep, rest)
        if matrix.part == "experts" and inputs > 1:
            # what tensor parallelism splits is the width, the other side the hidden size
            hidden, width = expert_multiples if matrix.sharding is ROWS else reversed(expert_multiples)
            outputs, inputs = -(-outputs // hidden) * hidden, -(-inputs // width) * width
        if is_plain and not matrix.value_bytes:
            plain += outputs * inputs * copies
        else:
            quantised += storage.bytes_on(matrix, as_stored, outputs, inputs) * copies
    return plain * storage.unquantised_bytes + quantised


def shape_on_rank(matrix: WeightMatrix, kv_heads: int, tp: int, ep: int, rest: int) -> tuple[int, int, int]:
    """Return outputs, inputs and copies of a matrix on one rank; what does not divide is rounded up.

    Parameters
    ----------
    matrix : WeightMatrix
        The matrix [-].
    kv_heads : int
        KV heads of its layer [-].
    tp, ep, rest : int
        Ranks that share MLPs and slices of experts, experts as wholes, and all else [-].
    """
    outputs, inputs, copies = matrix.outputs, matrix.inputs, matrix.copies
    part, sharding = matrix.part, matrix.sharding
    ranks = tp if part in SPLIT_APART else rest
    if ep > 1 and part == "experts":
        copies = -(-copies // ep)
    elif sharding is COLUMNS:
        outputs = -(-outputs // ranks)
    elif sharding is ROWS:
        inputs = -(-inputs // ranks)
    elif sharding is KV_HEADS:
        outputs = outputs // kv_heads * kv_heads_per_rank(kv_heads, ranks)
    return outputs, inputs, copies
