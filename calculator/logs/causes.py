"""What explains a difference between a log and its plan: assumptions, each tried, then the terms that differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from calculator.engines.log import Assumption
from calculator.errors import CalculatorError
from calculator.logs.comparison import Comparison
from calculator.logs.setup import SAME_WEIGHTS, weights_off
from calculator.messages import Message, phrase, say, template
from calculator.planning.plan import vary
from calculator.units import GIB, format_gib, gib_to_bytes

CLOSE = 0.01
"""Predicted and reported capacity count as equal within this share."""
CLOSES = 0.4
"""An assumption explains a difference of which it leaves less than this share."""
SAME_TOKENS = 0.012
RANKS = (2, 4, 8, 16)
OTHER_PROCESS_GIB = 3.0
"""More than this in use at start is more than a device's own context takes."""
OTHER_MODEL = "logs.cause.other_model"
OTHER_SEQUENCES = "logs.cause.other_sequences"
DRAFTS = "logs.cause.drafts"
OF_OTHER_LAYERS = (OTHER_MODEL, OTHER_SEQUENCES, DRAFTS)
"""The keys of the causes after which no flag is looked for."""


def causes_of(compared: Comparison) -> tuple[Message, ...]:
    """Return what explains the difference, the likeliest first; each is told apart by its key."""
    causes = [*_refusals(compared), *_ranks_of_weights(compared)]
    reported = compared.reported_gib
    if reported and compared.own.sizes_pool:
        causes += _wording(compared)
        if compared.knows_device:
            causes += _differences(
                compared,
                reported,
                mismatch=any(cause.key in (OTHER_MODEL, OTHER_SEQUENCES, DRAFTS) for cause in causes),
            )
    return tuple(causes)


def _refusals(compared: Comparison) -> Iterator[Message]:
    """Yield why the engine did not start, by its own words."""
    figures = compared.log.figures
    if "state_blocks" in figures and "refused_sequences" in figures:
        text = template(
            "the engine did not start: max_num_seqs {asked:,} is more than the {blocks:,} blocks "
            "that there are for states; max_num_seqs {blocks:,} starts"
        )
        yield say(
            "logs.cause.refused_states",
            text,
            asked=int(figures["refused_sequences"]),
            blocks=int(figures["state_blocks"]),
        )
    if "needed_gib" in figures and figures["needed_gib"] > figures.get("kv_pool_gib", figures["needed_gib"]):
        text = template(
            "the engine did not start: one sequence of {tokens:,} tokens needs {needed:g} GiB, {pool:g} GiB are left"
        )
        values = {
            "tokens": int(figures.get("concurrency_at", compared.plan.request.seq_len)),
            "needed": figures["needed_gib"],
            "pool": figures["kv_pool_gib"],
        }
        if "max_context_len" in figures:
            text = template(
                "the engine did not start: one sequence of {tokens:,} tokens needs {needed:g} GiB, "
                "{pool:g} GiB are left; a length of {longest:,} starts"
            )
            values["longest"] = int(figures["max_context_len"])
        yield say("logs.cause.refused_length", text, **values)
    if "nothing_left" in figures:
        yield say("logs.cause.refused_nothing_left", "the engine did not start: nothing is left for the KV cache")
    if "refused_gib" in figures:
        text = template("out of memory: the device did not have the {size:.2f} GiB that were asked for in one piece")
        yield say("logs.cause.out_of_memory", text, size=figures["refused_gib"])


def _ranks_of_weights(compared: Comparison) -> Iterator[Message]:
    """Yield another tensor parallelism, where only that makes the weights the logged ones."""
    size = _ranks_by_weights(compared)
    if size:
        text = template("tensor_parallel_size {size} would explain the weights of {weights:.2f} GiB")
        yield say("logs.cause.ranks_of_weights", text, size=size, weights=compared.log.figures["weights_gib"])


def _ranks_by_weights(compared: Comparison) -> int | None:
    """Return the tensor parallelism that makes the weights the logged ones, None where the stated or none does."""
    planned, logged = compared.planned, compared.log.figures.get("weights_gib")
    stated = compared.asked.get("tensor_parallel_size")
    if not logged or not planned.rules.splits_layers or stated:
        return None
    if abs(weights_off(planned, logged)) <= SAME_WEIGHTS:
        return None
    for size in RANKS:
        try:
            other = vary(planned, tensor_parallel_size=size)
        except CalculatorError:
            continue
        if abs(weights_off(other, logged)) <= SAME_WEIGHTS:
            return size
    return None


def _wording(compared: Comparison) -> Iterator[Message]:
    """Yield what is odd about the log's own words."""
    log, pool, tokens = compared.log, compared.printed_pool_gib, compared.log.figures.get("kv_tokens")
    if compared.plan.stage.geometry.is_plain:
        tokens = compared.printed_tokens
    capped = log.flags.get("max_total_tokens")
    if capped:
        yield say("logs.cause.capped", "the pool is capped by max_total_tokens {tokens:,}", tokens=capped)
    if "draft_states_gib" in log.figures:
        text = template("states of drafts in flight, {size:.2f} GiB, are not modelled")
        yield say("logs.cause.draft_states", text, size=log.figures["draft_states_gib"])
    if pool:
        yield from compared.own.peculiarities(compared.held(pool), log)
    if pool and tokens:
        yield from _pool_and_tokens(compared, pool, tokens)


def _pool_and_tokens(compared: Comparison, pool: float, tokens: float) -> Iterator[Message]:
    """Yield why a pool holds other tokens than are printed."""
    plan, log = compared.plan, compared.log

    def held(**changes: Any) -> int:
        try:
            return compared.held_tokens(pool, **changes)
        except CalculatorError:
            return 0

    def same(count: int) -> bool:
        return abs(count - tokens) <= compared.tolerance(tokens, SAME_TOKENS)

    if plan.request.kv_cache_dtype != compared.planned.request.kv_cache_dtype:
        yield _of_kv_format(plan.request.kv_cache_dtype)
    if same(held()):
        if compared.sequences_held is not None:
            for key, changes, text in WINDOWS_AND_STATES:
                if not set(changes) & set(compared.asked) and _as_many_sequences(compared, pool, **changes):
                    yield say(f"logs.cause.{key}", text, **changes)
                    return
            text = template(
                "the reported pool of {pool:.2f} GiB holds {held:,.2f} sequences by this model's layers, "
                "{reported:,.2f} are reported: its windows or states are not kept so there, or the model "
                "is another"
            )
            sequences = {"held": compared.sequences_held, "reported": log.figures["max_concurrency"]}
            yield say(OTHER_SEQUENCES, text, pool=pool, **sequences)
        return
    if compared.drafts_unmodelled:
        text = template(
            "the engine drafts tokens: layers and states of its drafter share the pool and are not among those here; "
            "the reported pool of {pool:.2f} GiB holds {held:,} tokens without them, {tokens:,} are reported"
        )
        yield say(DRAFTS, text, pool=pool, held=held(), tokens=int(tokens))
        return
    ranks_known = _ranks_by_weights(compared)  # said already; what the tokens say beside, they say on as many
    split = {"tensor_parallel_size": ranks_known} if ranks_known else {}
    if split and same(held(**split)):
        return
    found = False
    if str(log.flags.get("kv_cache_dtype", "auto")) == "auto":
        formats = [name for name in plan.rules.kv_cache_dtypes if name != plan.request.kv_cache_dtype]
        for name in [name for name in formats if same(held(kv_cache_dtype=name, **split))][:1]:
            found = True
            yield _of_kv_format(name)
    logged = log.figures.get("weights_gib")
    unsure = not logged or abs(weights_off(plan, logged)) > SAME_WEIGHTS
    if "tensor_parallel_size" not in compared.asked and unsure and not split:
        for ranks in [ranks for ranks in RANKS if same(held(tensor_parallel_size=ranks))][:1]:
            found = True
            text = template("tensor_parallel_size {size} would hold as many tokens as are reported")
            yield say("logs.cause.ranks_of_tokens", text, size=ranks)
    if found:
        return
    for version in compared.own.versions(plan, log):
        if same(held(engine_version=version)) and _as_many_sequences(compared, pool, engine_version=version):
            text = template("{engine} {other} would hold as many tokens as are reported; the log names no version")
            yield say("logs.cause.version_of_tokens", text, engine=plan.rules.title, other=version)
            return
    for key, changes, text in WINDOWS_AND_STATES:
        if same(held(**changes)):
            yield say(f"logs.cause.{key}", text, **changes)
            return
    text = template(
        "the reported pool of {pool:.2f} GiB holds {held:,} tokens by this model's layers, "
        "{tokens:,} are reported: they may be of different ranks, or the model is another"
    )
    if "engine_version" not in compared.asked:
        text = template(
            "the reported pool of {pool:.2f} GiB holds {held:,} tokens by this model's layers, "
            "{tokens:,} are reported: they may be of different ranks, or the model is another, or the engine's "
            "version, which the log does not name"
        )
    yield say(OTHER_MODEL, text, pool=pool, held=held(), tokens=int(tokens))


def _of_kv_format(name: str) -> Message:
    text = template("the KV cache is stored in {form}: the log's bytes a token say so, as a checkpoint can ask for it")
    return say("logs.cause.kv_format", text, form=name)


def _as_many_sequences(compared: Comparison, pool: float, **changes: Any) -> bool:
    """Whether a pool holds as many sequences as the log prints, where it prints them, if something is otherwise."""
    printed = compared.log.figures.get("max_concurrency")
    if not printed or compared.log.figures.get("concurrency_at") != compared.plan.request.seq_len:
        return True
    try:
        held = float(compared.held(pool, **changes).max_concurrency)
    except CalculatorError:
        return False
    return abs(held - printed) <= max(SAME_TOKENS * printed, 0.01)


_IN_FLIGHT = template("windows are charged for {max_num_batched_tokens:,} tokens in flight")
WINDOWS_AND_STATES: tuple[tuple[str, dict[str, Any], str], ...] = (
    (
        "one_batch",
        {"async_scheduling": False},
        phrase("windows are charged for one batch in flight, not two (no async scheduling)"),
    ),
    (
        "two_batches",
        {"async_scheduling": True},
        phrase("windows are charged for two batches in flight (async scheduling)"),
    ),
    *(("tokens_in_flight", {"max_num_batched_tokens": tokens}, _IN_FLIGHT) for tokens in (2048, 8192, 16384)),
    (
        "full_length",
        {"disable_hybrid_kv_cache_manager": True},
        phrase("windows are allocated at full length (no hybrid KV cache manager)"),
    ),
    ("two_pages", {"enable_prefix_caching": True}, phrase("states keep a second page (prefix caching)")),
    ("one_page", {"enable_prefix_caching": False}, phrase("states keep one page (no prefix caching)")),
)
"""What else than formats and ranks decides how many tokens a pool holds."""


def _differences(compared: Comparison, reported: float, *, mismatch: bool) -> Iterator[Message]:
    """Yield what makes a pool larger or smaller than predicted."""
    figures, predicted = compared.log.figures, compared.predicted_gib
    error, close = abs(predicted - reported), max(CLOSE * reported, 0.02)
    in_use = figures.get("memory_gib", 0) - figures.get("free_at_start_gib", figures.get("memory_gib", 0))
    if in_use > max(OTHER_PROCESS_GIB, compared.own.usual_in_use_gib(compared.plan)):
        text = template("another process: {size:.2f} GiB of the GPU were in use before the engine started")
        yield say("logs.cause.other_process", text, size=in_use)
    left_free = figures.get("free_after_pool_gib", 0.0)
    if reported < predicted / 2 < left_free and not compared.log.flags.get("max_total_tokens"):
        text = template("the pool is capped, as by max_total_tokens: {size:.2f} GiB were left free beside it")
        yield say("logs.cause.capped_unsaid", text, size=left_free)
    if error <= close:
        return
    if not mismatch:
        yield from _closing(compared, reported, error)
    yield from _terms_that_differ(compared, max(close / 2, 0.05))


def _closing(compared: Comparison, reported: float, error: float) -> Iterator[Message]:
    """Yield the assumptions that close most of a difference, of each keyword the one that closes most."""
    closing: dict[tuple[str, ...], tuple[float, Message]] = {}
    own = compared.own.assumptions(compared.plan, compared.log)
    for text, changes in (*own, *_versions(compared), *_weights(compared), *_as_logged(compared)):
        try:
            other = vary(compared.plan, **changes)
        except CalculatorError:
            continue
        left = abs(other.kv_pool_bytes / GIB - reported)
        if left < CLOSES * error:
            values = {**text.values, "size": format_gib(other.kv_pool_bytes)}
            said = say(text.key, "{cause}: {size} would be predicted", cause=text, **values)
            closing[tuple(changes)] = min(closing.get(tuple(changes), (left, said)), (left, said))
    yield from (text for _, text in sorted(closing.values()))


def _versions(compared: Comparison) -> Iterator[Assumption]:
    """Yield the other versions that the log may be of, with the fraction that it states or of their own."""
    for version in compared.own.versions(compared.plan, compared.log):
        text = say("logs.cause.version", "{engine} {other}", engine=compared.plan.rules.title, other=version)
        yield text, {"engine_version": version}


def _weights(compared: Comparison) -> Iterator[Assumption]:
    """Yield other weight formats, where the log says neither the format nor what weights take."""
    figures = compared.log.figures
    if "weight_dtype" in compared.asked or {"weights_gib", "consumed_gib"} & set(figures):
        return
    used = compared.plan.request.weight_dtype
    for name in ("bf16", *compared.plan.rules.weight_dtypes):
        if name != used:
            yield say("logs.cause.weight_dtype", "weights in {other}", other=name), {"weight_dtype": name}


def _as_logged(compared: Comparison) -> Iterator[Assumption]:
    for figure, keyword, name in (
        ("activation_gib", "activation_bytes", phrase("activations")),
        ("non_torch_gib", "non_torch_bytes", phrase("memory outside the allocator")),
        ("cuda_graph_gib", "cuda_graph_bytes", phrase("CUDA graphs")),
    ):
        logged = compared.log.figures.get(figure)
        if logged is not None and logged >= 0:
            text = template("{name} of {logged:.2f} GiB, as logged")
            yield say(f"logs.cause.{keyword}", text, name=name, logged=logged), {keyword: gib_to_bytes(f"{logged:.4f}")}


IN_A_SENTENCE = {
    "weights": phrase("weights"),
    "activations": phrase("activations"),
    "outside": phrase("outside the allocator"),
    "graphs": phrase("CUDA graphs"),
    "consumed": phrase("weights and outside the allocator"),
    "activations_and_graphs": phrase("activations and CUDA graphs"),
    "sequence": phrase("one sequence"),
}
"""Terms that a pool's size can follow from, by their keys."""


def _terms_that_differ(compared: Comparison, least_gib: float) -> Iterator[Message]:
    """Yield what is more or less than predicted, what differs most first; what is left free takes from no pool."""
    slack = {line.name for line in compared.plan.stage.overheads if line.in_slack}
    differing = [
        (term.difference, IN_A_SENTENCE[term.key])
        for term in compared.terms
        if term.key in IN_A_SENTENCE and term.name not in slack and term.difference is not None
    ]
    for difference, name in sorted(differing, key=lambda row: -abs(row[0])):
        if abs(difference) > least_gib:
            text = template("{term}: {size:.2f} GiB less than predicted")
            if difference > 0:
                text = template("{term}: {size:.2f} GiB more than predicted")
            yield say("logs.cause.term", text, term=name, size=abs(difference))
