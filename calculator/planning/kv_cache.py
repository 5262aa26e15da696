"""Bytes of the KV cache: the sum of the formula over the layers of a model."""

from __future__ import annotations

from typing import Any

from calculator.architecture.counts import Count
from calculator.architecture.limits import MAX_TOKENS
from calculator.architecture.model import ModelArchitecture
from calculator.architecture.split import Split
from calculator.architecture.sums import INT64_MAX, Layout, kv_bytes_on_rank
from calculator.catalogue.presets import load_model
from calculator.errors import InvalidValueError, friendly, shown
from calculator.formats.kv import storage_format
from calculator.messages import say
from calculator.reading.schema import Schema
from calculator.request import OPTIONS
from calculator.units import in_text

_SCHEMA = Schema("Formula", {name: OPTIONS[name].field for name in ("seq_len", "batch_size", "tensor_parallel_size")})
_ENCODER = Schema("Encoder", {"encoder_seq_len": OPTIONS["encoder_seq_len"].field})


@friendly
def kv_cache_bytes_per_gpu(
    model: ModelArchitecture | str,
    seq_len: Count,
    batch_size: Count | int = 1,
    kv_cache_dtype: str = "auto",
    tensor_parallel_size: int = 1,
    encoder_seq_len: int | None = None,
) -> Count:
    """Return the KV cache that one GPU holds: its share of the heads, copies included.

    Parameters
    ----------
    model : ModelArchitecture or str
        A model, its preset id or its Hugging Face id [-].
    seq_len : int or array of int
        Prompt and generated tokens of one sequence [tokens].
    batch_size : int or array of int
        Concurrent sequences, broadcast against ``seq_len`` [-].
    kv_cache_dtype : str
        Storage format of the cache; ``auto`` for the checkpoint's own [-].
    tensor_parallel_size : int
        GPUs that share every layer [-].
    encoder_seq_len : int, optional
        Tokens of the encoder; required for an encoder-decoder, refused otherwise [tokens].

    Returns
    -------
    int or array of int64
        ``2 × max(1, G // TP) × d_k × L × s × b × bytes`` for uniform full attention [bytes].

    Raises
    ------
    CalculatorError
        If a name is unknown, a number out of bounds, the heads cannot be split so, or an
        array's result would exceed 64 bits.
    """
    architecture = load_model(model)
    tokens, sequences = whole_numbers("seq_len", seq_len), whole_numbers("batch_size", batch_size)
    ranks = _SCHEMA.validate(
        {"seq_len": _largest(tokens), "batch_size": _largest(sequences), "tensor_parallel_size": tensor_parallel_size}
    )["tensor_parallel_size"]
    architecture.check_tensor_parallel(ranks)
    storage = storage_format(architecture.resolve_kv_dtype(kv_cache_dtype))
    layout = Layout(storage, Split(ranks), encoder_tokens=encoder_tokens(architecture, encoder_seq_len))
    if not (isinstance(tokens, int) and isinstance(sequences, int)):
        check_shapes(tokens, sequences)
        most = kv_bytes_on_rank(architecture.groups, _largest(tokens), layout) * _largest(sequences) * ranks
        if most > INT64_MAX:
            raise InvalidValueError(
                say(
                    "kv_cache.largest_result_about_bytes",
                    "the largest result, about 10^{most} bytes, exceeds the 64 bits of an array: ask for "
                    "plain integers, which are exact at any size, or for fewer tokens or sequences",
                    most=len(str(most)) - 1,
                )
            )
    result: Count = kv_bytes_on_rank(architecture.groups, tokens, layout) * sequences
    return result


@friendly
def kv_cache_bytes(
    model: ModelArchitecture | str,
    seq_len: Count,
    batch_size: Count | int = 1,
    kv_cache_dtype: str = "auto",
    tensor_parallel_size: int = 1,
    encoder_seq_len: int | None = None,
) -> Count:
    """Return the KV cache summed over all GPUs of a replica, copies included.

    Parameters
    ----------
    model : ModelArchitecture or str
        A model, its preset id or its Hugging Face id [-].
    seq_len : int or array of int
        Prompt and generated tokens of one sequence [tokens].
    batch_size : int or array of int
        Concurrent sequences, broadcast against ``seq_len`` [-].
    kv_cache_dtype : str
        Storage format of the cache; ``auto`` for the checkpoint's own [-].
    tensor_parallel_size : int
        GPUs that share every layer [-].
    encoder_seq_len : int, optional
        Tokens of the encoder; required for an encoder-decoder, refused otherwise [tokens].

    Returns
    -------
    int or array of int64
        ``2 × G × d_k × L × s × b × bytes`` for uniform full attention while TP <= G [bytes].

    Raises
    ------
    CalculatorError
        If a name is unknown, a number out of bounds, the heads cannot be split so, or an
        array's result would exceed 64 bits.

    Notes
    -----
    Beyond TP = G every further GPU holds a copy of a head, so the sum grows with TP.
    """
    share = kv_cache_bytes_per_gpu(model, seq_len, batch_size, kv_cache_dtype, tensor_parallel_size, encoder_seq_len)
    return share * int(tensor_parallel_size)


def encoder_tokens(model: ModelArchitecture, encoder_seq_len: int | None) -> int:
    """Return the encoder's tokens: required for an encoder-decoder, refused for any other model [tokens]."""
    if encoder_seq_len is None:
        if model.needs_encoder:
            raise InvalidValueError(
                say(
                    "kv_cache.encoder_seq_len_missing",
                    "encoder_seq_len is missing: {name} keeps a cache of its encoder's tokens",
                    name=model.name,
                ),
                what="encoder_seq_len",
            )
        return 0
    if not model.needs_encoder:
        raise InvalidValueError(
            say(
                "kv_cache.encoder_seq_len_encoder",
                "encoder_seq_len is for an encoder-decoder, which {name} is not",
                name=model.name,
            ),
            what="encoder_seq_len",
            asked=encoder_seq_len,
        )
    return int(_ENCODER.validate({"encoder_seq_len": encoder_seq_len})["encoder_seq_len"])


def whole_numbers(name: str, value: Any) -> Any:
    """Return a plain int, or an int64 array whose entries are all at least 1."""
    if isinstance(value, list | tuple) and any(isinstance(each, str) for each in value):
        value = [whole_numbers(name, each) for each in value]
    if not hasattr(value, "dtype") and not isinstance(value, list | tuple | range):
        try:
            return in_text(value, "tokens")
        except InvalidValueError as error:
            raise InvalidValueError(
                say("kv_cache.cannot_read", "{name} cannot be read: {error}", name=name, error=error),
                what=name,
                asked=value,
            ) from None
    import numpy

    if isinstance(value, range) and value and max(value[0], value[-1]) > MAX_TOKENS:
        most = max(value[0], value[-1])
        raise InvalidValueError(
            say(
                "kv_cache.must_at_most_not",
                "{name} must be at most {max_tokens:,}, not {most}",
                name=name,
                max_tokens=MAX_TOKENS,
                most=shown(most),
            ),
            what=name,
            asked=most,
            nearest=MAX_TOKENS,
        )
    try:
        array = numpy.asarray(value)
    except MemoryError:
        raise InvalidValueError(
            say(
                "kv_cache.holds_values_more_than",
                "{name} holds {size_of:,} values, more than memory does",
                name=name,
                size_of=size_of(value),
            ),
            what=name,
        ) from None
    except ValueError:
        raise InvalidValueError(
            say(
                "kv_cache.must_list_whole_numbers",
                "{name} must be a list of whole numbers, or rows of equal length",
                name=name,
            ),
            what=name,
            asked=value,
        ) from None
    if array.ndim == 0:
        return array.item()
    if array.size == 0:
        raise InvalidValueError(
            say("kv_cache.empty_give_at_least", "{name} is empty: give at least one value", name=name),
            what=name,
            asked=value,
        )
    if array.dtype.kind not in "iu":
        raise InvalidValueError(
            say(
                "kv_cache.must_hold_whole_numbers",
                "{name} must hold whole numbers, not {dtype}",
                name=name,
                dtype=array.dtype,
            ),
            what=name,
            asked=value,
        )
    if int(array.min()) < 1:
        least = int(array.min())
        raise InvalidValueError(
            say("kv_cache.must_at_least_not", "{name} must be at least 1, not {least}", name=name, least=least),
            what=name,
            asked=least,
            nearest=1,
        )
    if int(array.max()) > INT64_MAX:
        most = int(array.max())
        raise InvalidValueError(
            say(
                "kv_cache.must_at_most_not",
                "{name} must be at most {max_tokens:,}, not {most}",
                name=name,
                max_tokens=MAX_TOKENS,
                most=shown(most),
            ),
            what=name,
            asked=most,
            nearest=MAX_TOKENS,
        )
    return array.astype(numpy.int64, copy=False)


def size_of(values: Any) -> int:
    """Return how many values there are at the top of a list, in a range of any length, or in an array [-]."""
    if isinstance(values, range):
        return (values[-1] - values[0]) // values.step + 1 if values else 0
    return int(values.size) if hasattr(values, "dtype") else len(values)


def check_shapes(tokens: Any, sequences: Any) -> None:
    """Raise ``InvalidValueError`` if arrays of lengths and of batches cannot be broadcast."""
    import numpy

    lengths, batches = numpy.shape(tokens), numpy.shape(sequences)
    try:
        numpy.broadcast_shapes(lengths, batches)
    except ValueError:
        raise InvalidValueError(
            say(
                "kv_cache.seq_len_shape_batch",
                "seq_len of shape {lengths} and batch_size of shape {batches} do not go together: give "
                "equal shapes, or use sweep for a grid",
                lengths=lengths,
                batches=batches,
            )
        ) from None


def _largest(value: Any) -> Any:
    return int(value.max()) if hasattr(value, "max") and hasattr(value, "dtype") else value
