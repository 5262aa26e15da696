"""What weights, parameters, all memory and a saving would be with each single mistake."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from calculator.architecture.model import ModelArchitecture
from calculator.architecture.weights import weight_bytes_per_rank
from calculator.errors import CalculatorError
from calculator.formats.weights import FORMATS as WEIGHT_FORMATS
from calculator.messages import say
from calculator.planning.heads.seen.cache import of_shape, whole_cache
from calculator.planning.heads.seen.candidates import Asked, Candidate, Made, of_any
from calculator.planning.heads.variants import divisors, keeps_latent, query_heads, with_heads
from calculator.units import plural


def weight_candidates(asked: Asked) -> Iterator[Candidate]:
    """Yield what can be meant by the weights, without a mistake and with each single one."""
    model, dtype = asked.model, asked.weight_dtype
    ranks = asked.tensor_parallel_size
    right = whole_weights(asked)
    whole = say("check.weights", "the weights")
    if asked.each != "gpu" or ranks == 1:
        yield Candidate(whole, "", "", right)
    if ranks > 1:
        of_gpu = Fraction(max(weight_bytes_per_rank(model, dtype, ranks)))
        yield Candidate(say("check.weights_gpu", "the weights on one of {gpus} GPUs", gpus=ranks), "", "", of_gpu)
    for key, words, number in of_weights(asked, right):
        yield Candidate(whole, key, words, number)
    for key, words, number in of_any(asked, right, shares=ranks == 1):
        yield Candidate(whole, key, words, number)


def whole_weights(asked: Asked) -> Fraction:
    """Return the weights of a whole model on one GPU [bytes]."""
    return Fraction(sum(weight_bytes_per_rank(asked.model, asked.weight_dtype)))


def of_weights(asked: Asked, right: Fraction) -> Iterator[Made]:
    """Yield mistakes about weights: which parameters, how they are stored, and KV heads."""
    model = asked.model
    for key, words, parameters in _of_parameters(model):
        yield key, words, right * parameters / model.num_parameters
    yield (
        "parameters_for_bytes",
        say("check.parameters_for_bytes", "a byte a parameter"),
        Fraction(model.num_parameters),
    )
    stored: dict[Fraction, list[str]] = {}
    for name in WEIGHT_FORMATS:
        stored.setdefault(Fraction(sum(weight_bytes_per_rank(model, name))), []).append(name)
    for number, names in stored.items():
        yield "format", say("check.format", "stored in {name}", name=" or ".join(names)), number
    for count, key, varied in _other_heads(model):
        yield key, plural(count, "KV head"), Fraction(sum(weight_bytes_per_rank(varied, asked.weight_dtype)))


def _of_parameters(model: ModelArchitecture) -> Iterator[Made]:
    """Yield mistakes about which parameters count."""
    embedding = model.embedding[0].num_parameters
    if model.num_active_parameters != model.num_parameters:
        active = Fraction(model.num_active_parameters)
        yield "active", say("check.active", "active parameters for all"), active
        without = say("check.active_without", "active parameters for all, as makers count them: no input embedding")
        yield "active", without, active - embedding
    left_out = say("check.embedding", "the input embedding left out")
    yield "embedding", left_out, Fraction(model.num_parameters - embedding)
    if model.tie_word_embeddings:
        twice = say("check.tied", "the embedding, which is also the head, counted twice")
        yield "tied", twice, Fraction(model.num_parameters + embedding)


def parameter_candidates(asked: Asked) -> Iterator[Candidate]:
    """Yield what can be meant by the parameters, without a mistake and with each single one."""
    model = asked.model
    whole = say("check.parameters", "all parameters")
    yield Candidate(whole, "", "", Fraction(model.num_parameters))
    for key, words, number in _of_parameters(model):
        yield Candidate(whole, key, words, number)
    for count, key, varied in _other_heads(model):
        yield Candidate(whole, key, plural(count, "KV head"), Fraction(varied.num_parameters))


def active_candidates(asked: Asked) -> Iterator[Candidate]:
    """Yield what can be meant by the parameters that a token passes through."""
    model = asked.model
    active, embedding = model.num_active_parameters, model.embedding[0].num_parameters
    yield Candidate(say("check.active_all", "active parameters"), "", "", Fraction(active))
    without = say("check.active_makers", "active parameters without the input embedding")
    yield Candidate(without, "", "", Fraction(active - embedding))


def total_candidates(asked: Asked) -> Iterator[Candidate]:
    """Yield what can be meant by all memory: weights and cache, with each single mistake about one of them."""
    weights, cache = whole_weights(asked), whole_cache(asked)
    if asked.each != "gpu" or asked.tensor_parallel_size == 1:
        words = say("check.total", "weights and the KV cache of {sequences}",
                    sequences=plural(asked.batch_size, "sequence"))  # fmt: skip
        yield Candidate(words, "", "", weights + cache)
        for key, what, number in of_shape("batch", asked, cache):
            yield Candidate(words, key, what, weights + number)
        for key, what, number in of_weights(asked, weights):
            yield Candidate(words, key, what, number + cache)
        for key, what, number in of_any(asked, weights + cache, shares=False):
            yield Candidate(words, key, what, number)
    if asked.plan:
        gpu = asked.plan.per_gpu.total_bytes
        on_one = say("check.total_gpu", "all that one GPU holds, overheads included")
        yield Candidate(on_one, "", "", Fraction(gpu))
        for key, what, number in of_any(asked, Fraction(gpu), shares=False):
            yield Candidate(on_one, key, what, number)


def saving_candidates(asked: Asked) -> Iterator[Candidate]:
    """Yield what can be meant by a saving against multi-head attention, as a share, with each single mistake."""
    model = asked.model
    heads = query_heads(model)
    one = replace(asked, batch_size=1)
    kept = whole_cache(one) / whole_cache(replace(one, model=with_heads(model, heads)))
    whole = say("check.saving", "saved against multi-head attention")
    yield Candidate(whole, "", "", 1 - kept)
    yield Candidate(whole, "kept_for_saved", say("check.kept", "what is kept, not what is saved"), kept)
    for count, key, _ in _other_heads(model):
        words = plural(count, "KV head")
        yield Candidate(whole, key, words, 1 - Fraction(count, heads))


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
