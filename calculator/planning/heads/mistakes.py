"""Every number that one mistake of a stated list makes of a right one: layers, heads, head size, bytes, units, GPUs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple

from calculator.architecture.layers import FullAttention
from calculator.architecture.model import ModelArchitecture
from calculator.architecture.split import Split
from calculator.architecture.sums import Layout, kv_bytes_of_sequence
from calculator.architecture.weights import weight_bytes_per_rank
from calculator.errors import CalculatorError
from calculator.formats.kv import FORMATS, StorageFormat
from calculator.formats.weights import FORMATS as WEIGHT_FORMATS
from calculator.messages import say
from calculator.planning.heads.variants import divisors, keeps_latent, query_heads, with_heads
from calculator.units import GB, GIB, KIB, MIB, plural

MISTAKES = {
    "layers": "another number of layers",
    "all_heads": "every query head counted as a KV head (G = H)",
    "kv_heads": "another number of KV heads",
    "one_of_k_and_v": "only one of K and V",
    "head_size": "hidden size over query heads in place of the head size",
    "format": "another storage format, so other bytes a value",
    "binary_for_decimal": "GiB written as GB, or the other way round",
    "thousands": "1,000 in place of 1,024",
    "gpus": "the share of one of several GPUs for all of it",
    "copies": "divided by the GPUs beyond the KV heads, where heads are copied",
    "windows": "windows counted at full length",
    "expanded": "latent vectors counted as heads",
    "bits": "bits for bytes",
    "active": "active parameters for all",
    "embedding": "the input embedding left out",
    "kept_for_saved": "what is kept for what is saved",
}
"""The stated list, by key."""
DECIMAL = {"KB": 10**3, "MB": 10**6, "GB": GB, "TB": 10**12}
BINARY = {"KiB": KIB, "MiB": MIB, "GiB": GIB, "TiB": 2**40}
MOST_GPUS = 16


class Candidate(NamedTuple):
    """What a number would be with one mistake, in bytes or counts; ``key`` is empty where there is none."""

    reading: str
    key: str
    words: str
    number: Fraction


@dataclass(frozen=True)
class Asked:
    """What a number is checked against.

    Attributes
    ----------
    model : ModelArchitecture
        The model.
    seq_len, batch_size : int
        Tokens of a sequence [tokens], and sequences [-].
    storage : StorageFormat
        Format of the cache.
    weight_dtype : str
        Format of the weights.
    tensor_parallel_size : int
        GPUs that share every layer [-].
    unit : str
        The unit that the number was written in.
    """

    model: ModelArchitecture
    seq_len: int
    batch_size: int
    storage: StorageFormat
    weight_dtype: str
    tensor_parallel_size: int
    unit: str


def cache_candidates(asked: Asked) -> Iterator[Candidate]:
    """Yield what can be meant by a KV cache, without a mistake and with each single one."""
    for reading, words in _readings(asked):
        right = _bytes(reading, asked)
        yield Candidate(words, "", "", right)
        for key, what, number in (*_of_shape(reading, asked, right), *_of_any(asked, right)):
            yield Candidate(words, key, what, number)


def _readings(asked: Asked) -> Iterator[tuple[str, str]]:
    if asked.batch_size > 1:
        yield "batch", say("check.batch", "{sequences}, one copy", sequences=plural(asked.batch_size, "sequence"))
    yield "sequence", say("check.sequence", "one sequence of {tokens:,} tokens, one copy", tokens=asked.seq_len)
    yield "token", say("check.token", "one token over all layers")
    yield "layer", say("check.layer", "one token in one layer")
    if asked.tensor_parallel_size > 1:
        yield "gpu", say("check.gpu", "one of {gpus} GPUs", gpus=asked.tensor_parallel_size)
        yield "replica", say("check.replica", "all {gpus} GPUs, copies included", gpus=asked.tensor_parallel_size)


def _bytes(reading: str, asked: Asked) -> Fraction:
    model, storage = asked.model, asked.storage
    if reading == "token":
        return Fraction(model.kv_bytes_per_token(storage.name))
    if reading == "layer":
        return Fraction(max(group.spec.bytes_per_token(storage, 1) for group in model.groups))
    split = Split(asked.tensor_parallel_size if reading in ("gpu", "replica") else 1)
    whole = int(kv_bytes_of_sequence(model.groups, asked.seq_len, Layout(storage, split)))
    whole *= 1 if reading == "sequence" else asked.batch_size
    return Fraction(whole, asked.tensor_parallel_size if reading == "gpu" else 1)


_Made = tuple[str, str, Fraction]


def _of_shape(reading: str, asked: Asked, right: Fraction) -> Iterator[_Made]:
    """Yield mistakes about the model: its layers, heads, head size, format, windows and latent vectors."""
    model = asked.model
    if model.is_uniform and reading != "layer":
        layers = model.num_layers
        for count in range(1, 2 * layers + 1):
            if count != layers:
                known = " (its query heads)" if count == model.num_attention_heads else ""
                words = say("check.layers", "{count}{known} in place of {layers}",
                            count=plural(count, "layer"), known=known, layers=layers)  # fmt: skip
                yield "layers", words, right * count / layers
    yield from _of_heads(reading, asked)
    stored: dict[Fraction, list[str]] = {}
    for name in FORMATS:
        try:
            stored.setdefault(_bytes(reading, replace(asked, storage=FORMATS[name])), []).append(name)
        except CalculatorError:
            continue
    for number, names in stored.items():
        yield "format", say("check.format", "stored in {name}", name=" or ".join(names)), number
    if model.is_uniform:
        yield from _of_rows(reading, asked, right)
    if reading in ("batch", "sequence") and model.without_windows() is not model:
        number = _bytes(reading, replace(asked, model=model.without_windows()))
        yield "windows", say("check.windows", "windows at full length"), number


def _of_heads(reading: str, asked: Asked) -> Iterator[_Made]:
    model = asked.model
    try:
        heads, choices = query_heads(model), divisors(model)
    except CalculatorError:
        return
    own = {each for each in model.kv_heads_by_layer if each}
    for count in choices:
        try:
            number = _bytes(reading, replace(asked, model=with_heads(model, count)))
        except CalculatorError:
            continue
        if keeps_latent(model):
            if count == heads:
                yield (
                    "expanded",
                    say("check.expanded", "{count} heads in place of a latent vector", count=count),
                    number,
                )
        elif own != {count}:
            key = "all_heads" if count == heads else "kv_heads"
            yield (
                key,
                say("check.heads", "{heads} in place of {own}", heads=plural(count, "KV head"), own=max(own)),
                number,
            )


def _of_rows(reading: str, asked: Asked, right: Fraction) -> Iterator[_Made]:
    """Yield mistakes about the rows of uniform layers: K or V alone, and the head size."""
    (group,) = asked.model.groups
    spec = group.spec
    assert isinstance(spec, FullAttention)
    key, value = (asked.storage.row_bytes(size) for size in (spec.head_dim, spec.v_head_dim))
    for row, words in ((key, say("check.keys", "K alone")), (value, say("check.values", "V alone"))):
        yield "one_of_k_and_v", words, right * row / (key + value)
    wrong = asked.model.hidden_size // asked.model.num_attention_heads
    if wrong and wrong not in (spec.head_dim, spec.v_head_dim):
        narrow = asked.model.with_specs(
            lambda each: replace(each, head_dim=wrong, v_head_dim=wrong) if isinstance(each, FullAttention) else each
        )
        try:
            number = _bytes(reading, replace(asked, model=narrow))
        except CalculatorError:
            return
        yield "head_size", say(
            "check.head_size", "heads of hidden / H = {wrong} in place of {right}", wrong=wrong, right=spec.head_dim
        ), number  # fmt: skip


def _of_any(asked: Asked, right: Fraction) -> Iterator[_Made]:
    """Yield mistakes about a size, whatever it is of: units, and the GPUs that share it."""
    for small, large in zip(DECIMAL, BINARY, strict=True):
        if asked.unit == small:
            words = say("check.binary", "the number of {right} written as {wrong}", right=large, wrong=small)
            yield "binary_for_decimal", words, right * DECIMAL[small] / BINARY[large]
        elif asked.unit == large:
            words = say("check.binary", "the number of {right} written as {wrong}", right=small, wrong=large)
            yield "binary_for_decimal", words, right * BINARY[large] / DECIMAL[small]
    yield (
        "thousands",
        say("check.thousands", "1,000 in place of 1,024 once (KB for KiB, or a K of tokens)"),
        (right * 1000 / 1024),
    )
    yield "bits", say("check.bits", "bits for bytes"), right * 8
    ranks = asked.tensor_parallel_size
    if ranks == 1:
        for count in range(2, MOST_GPUS + 1):
            yield "gpus", say("check.share", "the share of one of {gpus} GPUs", gpus=count), right / count
    elif ranks > asked.model.num_key_value_heads:
        yield (
            "copies",
            say("check.copies", "divided by {gpus} GPUs although heads are copied", gpus=ranks),
            right / ranks,
        )


def weight_candidates(asked: Asked) -> Iterator[Candidate]:
    """Yield what can be meant by the weights, without a mistake and with each single one."""
    model, dtype = asked.model, asked.weight_dtype
    ranks = asked.tensor_parallel_size
    right = Fraction(sum(weight_bytes_per_rank(model, dtype)))
    whole = say("check.weights", "the weights")
    yield Candidate(whole, "", "", right)
    if ranks > 1:
        of_gpu = Fraction(max(weight_bytes_per_rank(model, dtype, ranks)))
        yield Candidate(say("check.gpu", "one of {gpus} GPUs", gpus=ranks), "", "", of_gpu)
    active = right * model.num_active_parameters / model.num_parameters
    yield Candidate(whole, "active", say("check.active", "active parameters for all"), active)
    rest = right * _without_embedding(model) / model.num_parameters
    yield Candidate(whole, "embedding", say("check.embedding", "the input embedding left out"), rest)
    stored: dict[Fraction, list[str]] = {}
    for name in WEIGHT_FORMATS:
        stored.setdefault(Fraction(sum(weight_bytes_per_rank(model, name))), []).append(name)
    for number, names in stored.items():
        yield Candidate(whole, "format", say("check.format", "stored in {name}", name=" or ".join(names)), number)
    for count, key, varied in _other_heads(model):
        number = Fraction(sum(weight_bytes_per_rank(varied, dtype)))
        yield Candidate(whole, key, plural(count, "KV head"), number)
    for key, words, number in _of_any(replace(asked, tensor_parallel_size=1), right):
        yield Candidate(whole, key, words, number)


def parameter_candidates(asked: Asked) -> Iterator[Candidate]:
    """Yield what can be meant by the parameters, without a mistake and with each single one."""
    model = asked.model
    whole = say("check.parameters", "all parameters")
    yield Candidate(whole, "", "", Fraction(model.num_parameters))
    active = say("check.active", "active parameters for all")
    yield Candidate(whole, "active", active, Fraction(model.num_active_parameters))
    left_out = say("check.embedding", "the input embedding left out")
    yield Candidate(whole, "embedding", left_out, Fraction(_without_embedding(model)))
    for count, key, varied in _other_heads(model):
        words = plural(count, "KV head")
        yield Candidate(whole, key, words, Fraction(varied.num_parameters))


def saving_candidates(asked: Asked) -> Iterator[Candidate]:
    """Yield what can be meant by a saving against multi-head attention, as a share, with each single mistake."""
    model = asked.model
    heads = query_heads(model)
    of_mha = _bytes("sequence", replace(asked, model=with_heads(model, heads)))
    kept = _bytes("sequence", asked) / of_mha
    whole = say("check.saving", "saved against multi-head attention")
    yield Candidate(whole, "", "", 1 - kept)
    yield Candidate(whole, "kept_for_saved", say("check.kept", "what is kept, not what is saved"), kept)
    for count, key, _ in _other_heads(model):
        words = plural(count, "KV head")
        yield Candidate(whole, key, words, 1 - Fraction(count, heads))


def _without_embedding(model: ModelArchitecture) -> int:
    return model.num_parameters - model.embedding[0].num_parameters


def _other_heads(model: ModelArchitecture) -> Iterator[tuple[int, str, ModelArchitecture]]:
    if keeps_latent(model):
        return
    try:
        heads, choices = query_heads(model), divisors(model)
    except CalculatorError:
        return
    for count in choices:
        varied = with_heads(model, count)
        if varied.groups != model.groups:
            yield count, "all_heads" if count == heads else "kv_heads", varied
