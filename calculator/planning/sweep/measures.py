"""The measures of one combination of keywords: all lengths below each other, all batches beside each other.

Lengths and batches are computed as arrays, by the same functions that answer a single plan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import nan
from typing import TYPE_CHECKING, Any

from calculator.architecture import sums
from calculator.architecture.limits import MAX_TOKENS
from calculator.architecture.model import ModelArchitecture
from calculator.errors import InvalidValueError
from calculator.messages import say
from calculator.planning.drafts import served
from calculator.planning.memory import batch_range, largest_batch, longest_context
from calculator.planning.plan import plan
from calculator.planning.stage import distinct

if TYPE_CHECKING:
    import numpy

    from calculator.planning.stage import Stage

MEASURES = (
    "kv_bytes_per_sequence", "kv_bytes_per_gpu", "weights_bytes_per_gpu", "overhead_bytes_per_gpu",
    "kv_pool_bytes_per_gpu", "num_blocks", "max_batch_size", "max_batch_size_low", "max_batch_size_high",
    "max_context_len", "num_gpus", "total_max_batch_size",
)  # fmt: skip
"""What is counted: whole numbers."""
PRICES = ("price_usd_per_hour_low", "price_usd_per_hour_high")
"""Of all GPUs; not a number where no price is known."""


def measure(
    model: ModelArchitecture,
    chosen: Mapping[str, Any],
    tokens: numpy.ndarray,
    sequences: numpy.ndarray,
    into: Mapping[str, numpy.ndarray],
) -> None:
    """Fill the columns of one combination: a row a length, an entry a batch.

    Lengths stand below each other and batches beside each other, so that what follows only one of them is computed
    as often as there are of it.
    """
    import numpy

    base = plan(model, **{**chosen, "seq_len": int(tokens[0, 0])})
    if base.rules.follows_length and "max_num_batched_tokens" not in chosen and int(tokens.min()) < int(tokens.max()):
        _measure_each(model, chosen, tokens, sequences, into)
        return
    request = base.request
    layout = sums.Layout(request.storage, request.split, request.encoder_seq_len or 0)
    most = sums.kv_bytes_of_sequence(model.groups, int(tokens.max()), layout) * int(sequences.max())
    most = max(most, *(stage.memory.weights_bytes for stage in base.stages))
    if most > sums.INT64_MAX:
        raise InvalidValueError(
            say(
                "measures.largest_point_about_bytes",
                "the largest point, about 10^{most} bytes, exceeds the 64 bits of an array: sweep fewer "
                "tokens or sequences",
                most=len(str(most)) - 1,
            )
        )
    on_rank = request.split.sequences_on_rank(sequences)
    ranks = request.attention_replicas
    batch = largest_batch(base.stages, tokens, request) * ranks
    fewest, most_held = batch_range(base.stages, tokens, request)
    stages = distinct(base.stages)
    tightest = _tightest(stages, tokens)

    def of_counted(of: Callable[[Stage], Any]) -> Any:
        """Take the value of each length from the stage that holds the fewest."""
        return of(stages[0]) if len(stages) == 1 else _chosen(tightest, [of(stage) for stage in stages])

    def of_deciding(of: Callable[[Stage], Any]) -> Any:
        """Take it from the stage that exceeds its device, where one does."""
        return of(base.stage) if base.stage.exceeds else of_counted(of)

    share = of_deciding(lambda stage: sums.kv_bytes_on_rank(stage.layers, tokens, layout))
    numpy.multiply(share, on_rank, out=into["kv_bytes_per_gpu"])
    longest = base.rules.longest_start(served(model, request.speculative_config), request, stages)
    starts = all(one.by_default for one in base.rules.refusals(model, request, stages, base.asked))
    numpy.logical_and(
        batch >= sequences, starts & (tokens <= (MAX_TOKENS if longest is None else longest)), out=into["fits"]
    )
    for name, values in {
        "kv_bytes_per_sequence": sums.kv_bytes_of_sequence(model.groups, tokens, layout),
        "weights_bytes_per_gpu": of_deciding(lambda stage: stage.memory.weights_bytes),
        "overhead_bytes_per_gpu": of_deciding(lambda stage: stage.memory.before_kv_bytes - stage.memory.weights_bytes),
        "kv_pool_bytes_per_gpu": of_deciding(lambda stage: stage.memory.kv_pool_bytes),
        "num_blocks": of_counted(lambda stage: stage.geometry.num_blocks(stage.memory.kv_pool_bytes, tokens)),
        "max_batch_size": batch,
        "max_batch_size_low": fewest * ranks,
        "max_batch_size_high": most_held * ranks,
        "max_context_len": longest_context(base.stages, on_rank),
        "num_gpus": base.num_gpus,
        "total_max_batch_size": batch * request.data_parallel_size,
        **dict(zip(PRICES, base.price_usd_per_hour or (nan, nan), strict=True)),
    }.items():
        into[name][:] = values


def _chosen(numbers: numpy.ndarray, values: list[Any]) -> numpy.ndarray:
    """Return at each place the value of some number; values are arrays, or one number for all places."""
    import numpy

    stacked = numpy.stack([numpy.broadcast_to(value, numbers.shape) for value in values])
    chosen: numpy.ndarray = numpy.take_along_axis(stacked, numbers[numpy.newaxis], axis=0)[0]
    return chosen


def _tightest(stages: tuple[Stage, ...], tokens: numpy.ndarray) -> numpy.ndarray:
    """Return for each length the stage that holds the fewest sequences, by its number; ``stage.tightest`` in arrays."""
    import numpy

    room = [stage.geometry.room(stage.memory.kv_pool_bytes, tokens) for stage in stages]
    order = sorted(range(len(stages)), key=lambda index: -stages[index].memory.weights_bytes)
    first = numpy.argmin([numpy.broadcast_to(room[index], tokens.shape) for index in order], axis=0)
    numbers: numpy.ndarray = numpy.asarray(order)[first]
    return numbers


def _measure_each(
    model: ModelArchitecture,
    chosen: Mapping[str, Any],
    tokens: numpy.ndarray,
    sequences: numpy.ndarray,
    into: Mapping[str, numpy.ndarray],
) -> None:
    """Fill one combination length by length, where an engine's own defaults follow the length."""
    rows: dict[int, int] = {}
    for row, length in enumerate(tokens[:, 0].tolist()):
        known = rows.setdefault(length, row)
        if known == row:
            measure(
                model, chosen, tokens[row:][:1], sequences, {name: column[row:][:1] for name, column in into.items()}
            )
        for column in into.values():
            column[row] = column[known]
