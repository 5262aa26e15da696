"""What a number is checked against: right numbers, and what each single mistake of a stated list makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from calculator.architecture.model import ModelArchitecture
from calculator.catalogue.presets import load_model, model_file
from calculator.formats.kv import StorageFormat
from calculator.messages import phrase, say
from calculator.planning.answer import Plan
from calculator.planning.heads.seen.stated import BINARY, DECIMAL

MISTAKES = {
    "layers": phrase(
        "another number of layers: one more, one fewer, as many as it has heads, or as a model of its family has"
    ),
    "all_heads": phrase("every query head counted as a KV head (G = H)"),
    "kv_heads": phrase("another number of KV heads"),
    "one_of_k_and_v": phrase("only one of K and V"),
    "head_size": phrase("hidden size over query heads in place of the head size"),
    "format": phrase("another storage format, so other bytes a value"),
    "binary_for_decimal": phrase("GiB written as GB, or the other way round"),
    "thousands": phrase("1,000 in place of 1,024"),
    "gpus": phrase("the share of one of several GPUs for all of it"),
    "copies": phrase("divided by the GPUs beyond the KV heads, where heads are copied"),
    "windows": phrase("windows counted at full length"),
    "expanded": phrase("latent vectors counted as heads"),
    "bits": phrase("bits for bytes"),
    "active": phrase("active parameters for all"),
    "embedding": phrase("the input embedding left out"),
    "tied": phrase("an embedding that is also the head counted twice"),
    "parameters_for_bytes": phrase("the number of parameters for the bytes that they take"),
    "kept_for_saved": phrase("what is kept for what is saved"),
    "nameplate": phrase("the full bandwidth on paper, and nothing but reading"),
    "weights_alone": phrase("reading the weights alone, and not the cache"),
}
"""The stated list, by key."""
MOST_GPUS = 16


class Candidate(NamedTuple):
    """What a number would be with one mistake, in bytes, counts, tokens a second or seconds.

    ``key`` is empty where there is no mistake. An estimate has the ends of its range.
    """

    reading: str
    key: str
    words: str
    number: Fraction
    low: Fraction | None = None
    high: Fraction | None = None


Made = tuple[str, str, Fraction]
"""A mistake: its key, its words and what it gives."""


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
    each : str
        What it is said to be of each: token, layer, gpu or sequence; empty where nothing is said.
    plan : Plan or None
        The plan, where the number is said of one.
    """

    model: ModelArchitecture
    seq_len: int
    batch_size: int
    storage: StorageFormat
    weight_dtype: str
    tensor_parallel_size: int
    unit: str
    each: str = ""
    plan: Plan | None = None


def layer_counts(model: ModelArchitecture) -> dict[int, str]:
    """Return the wrong numbers of layers that are looked for, each with where it may come from."""
    own = model.num_layers
    found = {own - 1: say("check.one_fewer", "one too few"), own + 1: say("check.one_more", "one too many")}
    if model.family:
        for name, entry in model_file().entries.items():
            if entry.get("family") == model.family:
                sibling = load_model(name)
                found[sibling.num_layers] = say("check.sibling", "{name} has so many", name=sibling.name)
    found[model.num_key_value_heads] = say("check.as_kv_heads", "its KV heads")
    found[model.num_attention_heads] = say("check.as_query_heads", "its query heads")
    return {count: why for count, why in found.items() if count > 0 and count != own}


def of_any(asked: Asked, right: Fraction, shares: bool = True) -> Iterator[Made]:
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
    if not shares:
        return
    if ranks == 1:
        for count in range(2, MOST_GPUS + 1):
            yield "gpus", say("check.share", "the share of one of {gpus} GPUs", gpus=count), right / count
    elif ranks > asked.model.num_key_value_heads:
        yield (
            "copies",
            say("check.copies", "divided by {gpus} GPUs although heads are copied", gpus=ranks),
            right / ranks,
        )
