"""Memory of one GPU of each pipeline stage, and what its KV pool holds."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

from calculator.architecture.counts import Count, at_most, smaller
from calculator.architecture.draft import Draft
from calculator.architecture.groups import LayerGroup, merge
from calculator.architecture.layers import EncoderAttention, NoCache
from calculator.architecture.limits import MAX_TOKENS
from calculator.architecture.model import ModelArchitecture
from calculator.architecture.weights import embedding_bytes, weight_bytes_per_rank
from calculator.engines import engine_rules
from calculator.engines.base import Engine
from calculator.engines.beside.experts import expert_ranks
from calculator.engines.beside.logged import as_logged
from calculator.engines.pools import Geometry
from calculator.hardware import Accelerator
from calculator.planning.drafts import draft_of
from calculator.planning.stage import Budget, Memory, Stage, distinct
from calculator.request import Cutting, Request
from calculator.request.calibration import Calibration

KEEPS_NOTHING = (NoCache, EncoderAttention)
"""Layers of which nothing outlives a pass."""


def largest_batch(stages: tuple[Stage, ...], seq_len: Count, request: Request) -> Count:
    """Return the sequences of some length that one rank holds; none where memory is exceeded [-]."""
    fewest = _fewest([stage.geometry.sequences(stage.usable_bytes, seq_len) for stage in distinct(stages)])
    return smaller(fewest, in_a_pass(request, seq_len)) if keeps_nothing(stages) else fewest


def _fewest(counts: list[Count]) -> Count:
    return counts[0] if len(counts) == 1 else reduce(smaller, counts)


def batch_range(stages: tuple[Stage, ...], seq_len: Count, request: Request) -> tuple[Count, Count]:
    """Return the fewest and the most sequences that one rank's pools of any size within their ranges hold [-]."""
    ranges = [stage.geometry.sequences_between(*stage.usable_range, seq_len) for stage in distinct(stages)]
    low, high = _fewest([fewest for fewest, _ in ranges]), _fewest([most for _, most in ranges])
    if not keeps_nothing(stages):
        return low, high
    at_once = in_a_pass(request, seq_len)
    return smaller(low, at_once), smaller(high, at_once)


def keeps_nothing(stages: tuple[Stage, ...]) -> bool:
    """Whether nothing of a sequence outlives its pass, so that memory does not limit how many there are."""
    for stage in distinct(stages):
        for group in (*stage.layers, *stage.drafted):
            if not isinstance(group.spec, KEEPS_NOTHING):
                return False
    return True


def in_a_pass(request: Request, seq_len: Count) -> Count:
    """Return the sequences that one rank reads whole in one pass, within its two limits; at least one [-]."""
    tokens = request.max_num_batched_tokens
    whole: Count = at_most(tokens // seq_len + (seq_len > tokens), request.max_num_seqs)
    return whole


def longest_context(stages: tuple[Stage, ...], batch_size: Count) -> Count:
    """Return the longest sequence of which one rank's pools hold so many [tokens]."""
    return _fewest([stage.geometry.longest(stage.usable_bytes, batch_size) for stage in distinct(stages)])


def longest_asked(
    model: ModelArchitecture,
    accelerator: Accelerator,
    rules: Engine,
    request: Request,
    stages: tuple[Stage, ...],
    follows: bool,
    calibration: Calibration | None = None,
) -> int:
    """Return the longest sequence of which a replica holds the batch that was asked for [tokens].

    Where defaults follow the length, each length has memory of its own.
    """
    batch = request.split.sequences_on_rank(request.batch_size)
    if not follows:
        longest: int = longest_context(stages, batch)
        return longest

    def fits(length: int) -> bool:  # monotone up to where the defaults change, and again from there on
        tokens = rules.batch_defaults(accelerator, length, None, request.usage_context)[0]
        varied = memory_of_stages(
            model, accelerator, rules, replace(request, seq_len=length, max_num_batched_tokens=tokens), calibration
        )
        return bool(largest_batch(varied, length, request) >= batch)

    for least, most in ((rules.defaults_change_after + 1, MAX_TOKENS), (1, rules.defaults_change_after)):
        low, high = least - 1, most
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if fits(middle) else (low, middle - 1)
        if low >= least:
            return low
    return 0


def memory_of_stages(
    model: ModelArchitecture,
    accelerator: Accelerator,
    rules: Engine,
    request: Request,
    calibration: Calibration | None = None,
) -> tuple[Stage, ...]:
    """Return the memory of one GPU of each pipeline stage, and how its KV pool is cut.

    Stages of the same layers and weights in the same place (first, between, last) are one object, computed once.
    """
    tp, pp = request.tensor_parallel_size, request.pipeline_parallel_size
    weights = weight_bytes_per_rank(
        model,
        request.weight_dtype,
        tp,
        pp,
        expert_ranks(rules, request),
        request.split.state_ranks,
        rules.multiples_of_experts(request.weight_dtype, accelerator),
        rules.loads_encoders and not request.language_model_only,
        request.checkpoint_bytes,
    )
    if rules.embeds_on_host and (pp > 1 or not model.tie_word_embeddings):
        weights = (weights[0] - embedding_bytes(model, request.weight_dtype, request.checkpoint_bytes), *weights[1:])
    draft = draft_of(model, request.speculative_config)
    bearing = rules.bearing(model, request.cutting)
    known = (rules.name, rules.version, bearing)
    cut = _cut_by(model, rules, bearing) if rules.is_mixed else model.remember(_cut, *known)
    if pp == 1:
        return (_stage(model, accelerator, rules, request, 0, weights[0], *cut[0], draft, calibration),)
    keys: list[tuple[object, ...]] = list(zip(map(id, cut), weights, strict=True))
    keys[0] = (*keys[0], "first")
    keys[-1] = (*keys[-1], "last")
    stages = {
        key: _stage(model, accelerator, rules, request, index, weights[index], *cut[index], draft, calibration)
        for key, index in dict(zip(keys, range(pp), strict=True)).items()
    }
    return tuple(map(stages.__getitem__, keys))


def _stage(
    model: ModelArchitecture,
    accelerator: Accelerator,
    rules: Engine,
    request: Request,
    index: int,
    weights: int,
    layers: tuple[LayerGroup, ...],
    geometry: Geometry,
    draft: Draft | None,
    calibration: Calibration | None,
) -> Stage:
    hosted = rules.hosted_bytes(model, request, index, weights)
    weights -= hosted
    lines = as_logged(rules.lines(model, accelerator, request, index, draft), model, request, calibration)
    total, given = accelerator.memory_bytes, request.kv_cache_memory_bytes
    taken = outside = hoped = 0
    for line in lines:
        if line.in_slack:
            outside += line.bytes
            hoped += line.bytes - line.low
        else:
            taken += line.bytes
    budget = Budget(rules, rules.fraction_used(model, accelerator, request), total, weights, given)
    requested = budget.requested_bytes(taken)
    central = max(0, requested - weights - taken) if given is None else given
    # A pool that is a fraction of the memory is allocated before what runs outside the budget is known, so that this
    # counts at the low end of its range: an engine starts that may run out of memory later.
    lacks = weights + taken + central + outside - total - (hoped if given is None else 0)
    memory = Memory(total, requested, weights, central, lines)
    blocks = geometry.num_blocks(central, request.seq_len)
    drafted = draft.layers if draft and index == request.pipeline_parallel_size - 1 else ()
    return Stage(layers, memory, geometry, budget, blocks, max(0, lacks), drafted, hosted)


def _cut(
    model: ModelArchitecture, engine: str, engine_version: str, cutting: Cutting
) -> tuple[tuple[tuple[LayerGroup, ...], Geometry], ...]:
    return _cut_by(model, engine_rules(engine, engine_version), cutting)


def _cut_by(
    model: ModelArchitecture, rules: Engine, cutting: Cutting
) -> tuple[tuple[tuple[LayerGroup, ...], Geometry], ...]:
    """Return the layers of each stage and how its KV memory is cut; it depends on neither length nor batch."""
    stages = model.stages(cutting.pipeline_parallel_size)
    draft = draft_of(model, cutting.speculative_config)

    def geometry(layers: tuple[LayerGroup, ...], *, is_last: bool) -> Geometry:
        if draft is None:
            return rules.geometry(model, layers, cutting)
        beside = draft if is_last else replace(draft, layers=())
        return rules.geometry_with_draft(model, layers, cutting, draft, beside)

    if len(stages) == 1:
        return ((model.groups, geometry(model.groups, is_last=True)),)
    kept = {key: merge(groups) for key, groups in {id(groups): groups for groups in stages}.items()}
    last = len(stages) - 1
    ends = {(kept[id(groups)], draft is not None and index == last) for index, groups in enumerate(stages)}
    cut = {(layers, is_last): (layers, geometry(layers, is_last=is_last)) for layers, is_last in ends}
    return tuple(cut[kept[id(groups)], draft is not None and index == last] for index, groups in enumerate(stages))
