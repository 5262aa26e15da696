"""What a KV cache would be with each single mistake: layers, heads, head size, bytes, units, GPUs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from calculator.architecture.layers import FullAttention
from calculator.architecture.model import ModelArchitecture
from calculator.architecture.split import Split
from calculator.architecture.sums import Layout, kv_bytes_of_sequence
from calculator.errors import CalculatorError
from calculator.formats.kv import FORMATS
from calculator.messages import say
from calculator.planning.heads.seen.candidates import Asked, Candidate, Made, layer_counts, of_any
from calculator.planning.heads.variants import divisors, keeps_latent, query_heads, with_heads
from calculator.units import plural


def cache_candidates(asked: Asked) -> Iterator[Candidate]:
    """Yield what can be meant by a KV cache, without a mistake and with each single one."""
    for reading, words in _readings(asked):
        right = _bytes(reading, asked)
        yield Candidate(words, "", "", right)
        for key, what, number in (*of_shape(reading, asked, right), *of_any(asked, right)):
            yield Candidate(words, key, what, number)


def saved_candidates(asked: Asked) -> Iterator[Candidate]:
    """Yield what is saved of all sequences against multi-head attention, where fewer heads save anything."""
    right = _saved_bytes(asked)
    if right <= 0 or asked.each:
        return
    words = say("check.saved_bytes", "saved against multi-head attention, {sequences}",
                sequences=plural(asked.batch_size, "sequence"))  # fmt: skip
    yield Candidate(words, "", "", right)
    if asked.model.is_uniform:
        for key, what, share in of_layers(asked.model):
            yield Candidate(words, key, what, right * share)
    for key, what, number in of_any(asked, right, shares=False):
        yield Candidate(words, key, what, number)


def _saved_bytes(asked: Asked) -> Fraction:
    try:
        as_mha = replace(asked, model=with_heads(asked.model, query_heads(asked.model)))
        return _bytes("batch", as_mha) - _bytes("batch", asked)
    except CalculatorError:
        return Fraction(0)


def whole_cache(asked: Asked) -> Fraction:
    """Return the KV cache of all sequences, one copy [bytes]."""
    return _bytes("batch", asked)


def _readings(asked: Asked) -> Iterator[tuple[str, str]]:
    each = asked.each
    if each == "gpu" and asked.tensor_parallel_size == 1:
        each = "batch" if asked.batch_size > 1 else "sequence"
    for reading, words in _all_readings(asked):
        if each in ("", reading):
            yield reading, words


def _all_readings(asked: Asked) -> Iterator[tuple[str, str]]:
    if asked.batch_size > 1:
        yield "batch", say("check.batch", "{sequences}, one copy", sequences=plural(asked.batch_size, "sequence"))
    yield "sequence", say("check.sequence", "one sequence of {tokens:,} tokens, one copy", tokens=asked.seq_len)
    yield "token", say("check.token", "one token over all layers")
    yield "layer", say("check.layer", "one token in one layer")
    if asked.tensor_parallel_size > 1:
        yield "gpu", say("check.gpu", "one of {gpus} GPUs", gpus=asked.tensor_parallel_size)
        if _bytes("replica", asked) != _bytes("batch", asked):
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


def of_shape(reading: str, asked: Asked, right: Fraction) -> Iterator[Made]:
    """Yield mistakes about the model: its layers, heads, head size, format, windows and latent vectors."""
    model = asked.model
    if model.is_uniform and reading != "layer":
        for key, words, share in of_layers(model):
            yield key, words, right * share
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


def of_layers(model: ModelArchitecture) -> Iterator[Made]:
    """Yield wrong numbers of layers that are looked for, each as the share of the right one that it is."""
    for count, why in layer_counts(model).items():
        words = say("check.layers", "{count} ({why}) in place of {layers}",
                    count=plural(count, "layer"), why=why, layers=model.num_layers)  # fmt: skip
        yield "layers", words, Fraction(count, model.num_layers)


def _of_heads(reading: str, asked: Asked) -> Iterator[Made]:
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
                say("check.heads", "{heads} in place of {own}", heads=plural(count, "KV head"), own=max(own))
                if len(own) == 1
                else say("check.heads_in_all", "{heads} in every layer", heads=plural(count, "KV head")),
                number,
            )


def _of_rows(reading: str, asked: Asked, right: Fraction) -> Iterator[Made]:
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
