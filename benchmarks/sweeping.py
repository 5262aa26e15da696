"""How long a million points of a sweep take, as arrays and as a DataFrame."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy
import pandas

import calculator
from benchmarks.profiling import costly_functions
from benchmarks.timing import Measurement, in_turns, stopwatch

MODEL, GPU = "llama-3-70b", "a100-80gb-sxm"
LAYERS, KV_HEADS, HEAD_DIM, VALUE_BYTES, BLOCK_SIZE = 80, 8, 128, 2, 16
DEGREES = (2, 4, 8, 16)
LENGTHS = numpy.arange(1, 501) * 37
BATCHES = numpy.arange(1, 501)
AXES: dict[str, Any] = {"gpu": GPU, "tensor_parallel_size": DEGREES, "seq_len": LENGTHS, "batch_size": BATCHES}
POINTS = len(DEGREES) * LENGTHS.size * BATCHES.size
COLUMNS = (
    "seq_len", "batch_size", "kv_bytes_per_sequence", "kv_bytes_per_gpu", "num_blocks", "max_batch_size",
    "max_context_len", "fits",
)  # fmt: skip
ROUNDS = 15


def arrays() -> Measurement:
    """Time the sweep as arrays against the same columns in bare numpy."""
    held = _blocks()
    _same(calculator.sweep_arrays(MODEL, AXES), _bare(held))
    ours = partial(calculator.sweep_arrays, MODEL, AXES)
    floor, own = in_turns(stopwatch(lambda: _bare(held)), stopwatch(ours), ROUNDS, warm_up=2)
    return Measurement(
        name="sweep",
        measured=f"{POINTS:,} points as arrays",
        floor="the same points in bare numpy",
        seconds=own,
        floor_seconds=floor,
        aim_ratio=3,
        explain=lambda: costly_functions(ours),
        remark=f"{len(DEGREES)} degrees x {LENGTHS.size} lengths x {BATCHES.size} batches; the floor fills "
        f"{len(COLUMNS)} columns, checked equal; ours fills those of "
        "the other keywords, weights, overheads, pool, GPUs and refusals besides",
    )


def frame() -> Measurement:
    """Time the sweep as a DataFrame against a bare DataFrame around bare numpy."""
    held = _blocks()
    ours = partial(calculator.sweep, MODEL, **AXES)
    _same(ours(), _bare(held))
    floor, own = in_turns(
        stopwatch(lambda: pandas.DataFrame(_bare(held))), stopwatch(ours), rounds=ROUNDS // 2, warm_up=1
    )
    return Measurement(
        name="frame",
        measured=f"{POINTS:,} points as a DataFrame",
        floor="pandas.DataFrame around bare numpy",
        seconds=own,
        floor_seconds=floor,
        explain=str,
    )


def _blocks() -> dict[int, int]:
    """Return the blocks that a replica can use, by degree: the one thing that the floor takes from a plan."""
    return {degree: calculator.plan(MODEL, GPU, tensor_parallel_size=degree).num_blocks for degree in DEGREES}


def _bare(held: dict[int, int]) -> dict[str, numpy.ndarray]:
    """Compute the columns as a person would by hand for this one model, each point and each column once."""
    tokens, sequences = numpy.repeat(LENGTHS, BATCHES.size), numpy.tile(BATCHES, LENGTHS.size)
    columns = {name: numpy.empty(POINTS, numpy.int64) for name in COLUMNS} | {"fits": numpy.empty(POINTS, bool)}
    for index, degree in enumerate(DEGREES):
        rows = slice(index * tokens.size, (index + 1) * tokens.size)
        _fill({name: column[rows] for name, column in columns.items()}, tokens, sequences, degree, held[degree])
    return columns


def _fill(
    columns: dict[str, numpy.ndarray], tokens: numpy.ndarray, sequences: numpy.ndarray, degree: int, blocks: int
) -> None:
    per_gpu = 2 * max(1, KV_HEADS // degree) * HEAD_DIM * LAYERS * VALUE_BYTES
    columns["seq_len"][:] = tokens
    columns["batch_size"][:] = sequences
    numpy.multiply(tokens, per_gpu * degree, out=columns["kv_bytes_per_sequence"])
    numpy.multiply(tokens * per_gpu, sequences, out=columns["kv_bytes_per_gpu"])
    columns["num_blocks"][:] = blocks
    free = blocks - 1  # the engine holds one back
    numpy.floor_divide(free, -(-tokens // BLOCK_SIZE), out=columns["max_batch_size"])
    numpy.multiply(free // sequences, BLOCK_SIZE, out=columns["max_context_len"])
    numpy.greater_equal(columns["max_batch_size"], sequences, out=columns["fits"])


def _same(ours: Any, floor: dict[str, numpy.ndarray]) -> None:
    for name, column in floor.items():
        if not numpy.array_equal(numpy.asarray(ours[name]), column):
            raise RuntimeError(f"the floor's {name} and the sweep's differ")
