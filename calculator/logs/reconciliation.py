"""A start-up log beside the plan of the same set-up: term by term, and the assumption that explains the difference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from calculator.architecture.counts import NO_LIMIT
from calculator.architecture.model import ModelArchitecture
from calculator.errors import CalculatorError, friendly
from calculator.hardware import Accelerator
from calculator.logs.reading import StartupLog, read_log
from calculator.logs.setup import SAME_WEIGHTS, UNSTATED_MEMORY, keywords_of, weights_off, with_logged_weights
from calculator.planning.answer import SCHEMA_VERSION, Plan
from calculator.planning.plan import plan as make_plan
from calculator.planning.plan import vary
from calculator.units import GIB, format_gib, gib_to_bytes

CLOSE = 0.01
"""Predicted and reported capacity count as equal within this share."""
ROUNDING_GIB = 0.01
"""What is lost of a pool where keys and values are each printed to two places."""
RANKS = (2, 4, 8, 16)
OTHER_PROCESS_GIB = 3.0
"""More than this in use at start is more than a device's own context takes."""


@dataclass(frozen=True)
class Term:
    """One figure: what is predicted, what the log shows.

    Attributes
    ----------
    name, unit : str
        What it is, and in what.
    predicted, reported : float or int or None
        Either value; None where there is none.
    low, high : float or None
        The range of the prediction, where it has one.
    """

    name: str
    unit: str
    predicted: float | None
    reported: float | None
    low: float | None = None
    high: float | None = None

    @property
    def difference(self) -> float | None:
        """Reported less predicted, None where one is missing."""
        if self.predicted is None or self.reported is None:
            return None
        return self.reported - self.predicted


@dataclass(frozen=True)
class Reconciliation:
    """What a log says beside what was to be expected.

    Attributes
    ----------
    log : StartupLog
        What was read.
    plan : Plan
        The plan of the set-up that the log states.
    terms : tuple of Term
        Figure by figure.
    finding : str
        The result in a sentence.
    causes : tuple of str
        What explains the difference, the likeliest first.
    assumed : tuple of str
        What the log does not state and was taken.
    agrees : bool
        Whether the reported capacity is the predicted one or lies within its range.
    """

    log: StartupLog
    plan: Plan
    terms: tuple[Term, ...]
    finding: str
    causes: tuple[str, ...]
    assumed: tuple[str, ...]
    agrees: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return {
            "schema_version": SCHEMA_VERSION,
            "engine": self.log.engine,
            "agrees": self.agrees,
            "finding": self.finding,
            "causes": list(self.causes),
            "assumed": list(self.assumed),
            "terms": [{**asdict(term), "difference": term.difference} for term in self.terms],
            "request": self.plan.as_dict()["request"],
            "problems": list(self.log.problems),
            "not_understood": [{"line": line, "text": text} for line, text in self.log.not_understood],
            "unlisted": self.log.unlisted,
        }


@friendly
def reconcile(
    log: StartupLog | str | bytes,
    model: ModelArchitecture | str | None = None,
    gpu: Accelerator | str | None = None,
    **given: Any,
) -> Reconciliation:
    """Set a start-up log beside the plan of the same set-up, and name what explains the difference.

    Parameters
    ----------
    log : StartupLog, str or bytes
        A log or its content [-].
    model : ModelArchitecture or str, optional
        The model, where the log does not name one of the presets [-].
    gpu : Accelerator or str, optional
        The GPU, where the log does not name it [-].
    **given : object
        Any other keyword of ``plan``; it takes the place of what the log states [-].

    Returns
    -------
    Reconciliation
        Predicted beside reported, and the cause.

    Raises
    ------
    CalculatorError
        If the log cannot be read, or its model or device is not known and not given.
    """
    read = log if isinstance(log, StartupLog) else read_log(log)
    asked, assumed = keywords_of(read, model, gpu, given)
    planned = answer = make_plan(**asked)
    if "weight_dtype" not in asked and "weights_gib" in read.figures:
        answer, more = with_logged_weights(answer, read.figures["weights_gib"])
        assumed += more
    terms = tuple(_terms(answer, read))
    capacity = _capacity(answer, read)
    known_device = answer.per_gpu.total_bytes != UNSTATED_MEMORY
    causes = list(_ranks_of_weights(planned, read, asked.get("tensor_parallel_size"), settled=answer is not planned))
    if capacity and known_device:
        causes += _causes(answer, read, capacity)
    elif capacity:
        causes += _wording(answer, read)
    off, agrees = _finding(answer, read, capacity, known_device)
    return Reconciliation(read, answer, terms, off, tuple(causes), tuple(assumed), agrees)


def _terms(answer: Plan, log: StartupLog) -> Iterator[Term]:
    """Yield every figure that is predicted or reported."""
    memory, figures, stage = answer.per_gpu, log.figures, answer.stage
    known = memory.total_bytes != UNSTATED_MEMORY
    activation, outside, graphs = stage.overheads
    lines = (
        ("Memory of the GPU", memory.total_bytes if known else None, "memory_gib", None),
        ("Budget", memory.requested_bytes if known else None, "requested_gib", None),
        ("Weights", memory.weights_bytes, "weights_gib", None),
        ("Activations", activation.bytes, "activation_gib", activation),
        ("Outside the allocator", outside.bytes, "non_torch_gib", outside),
        ("CUDA graphs", graphs.bytes, "cuda_graph_gib", graphs),
    )
    for name, predicted, key, line in lines:
        yield Term(
            name, "GiB", None if predicted is None else predicted / GIB, figures.get(key),
            line.low / GIB if line else None, line.high / GIB if line else None,
        )  # fmt: skip
    if "consumed_gib" in figures:
        together = (memory.weights_bytes + outside.bytes) / GIB
        yield Term("Weights and outside the allocator", "GiB", together, figures["consumed_gib"])
    if "activation_and_graphs_gib" in figures:
        together = (activation.bytes + graphs.bytes) / GIB
        yield Term("Activations and CUDA graphs", "GiB", together, figures["activation_and_graphs_gib"])
    pool = figures.get("kv_pool_gib")
    if log.engine == "llama.cpp":
        yield Term("KV cache", "GiB", _llama_cpp_cache(answer, log), pool)
        return
    low, high = (size / GIB if known else None for size in (answer.kv_pool_bytes_low, answer.kv_pool_bytes_high))
    yield Term("KV pool", "GiB", memory.kv_pool_bytes / GIB if known else None, pool, low, high)
    if pool:
        held = vary(answer, kv_cache_memory_bytes=gib_to_bytes(f"{pool:.6f}"))
        yield Term(
            "Tokens that the reported pool holds", "tokens", _held_tokens(answer, log, pool), figures.get("kv_tokens")
        )
        if "max_concurrency" in figures:
            yield Term(
                f"Sequences of {answer.request.seq_len:,} tokens that the reported pool holds", "sequences",
                held.max_concurrency, figures["max_concurrency"],
            )  # fmt: skip
        if "num_blocks" in figures:
            yield Term("Blocks that the reported pool holds", "blocks", held.num_blocks, figures["num_blocks"])
    if known:
        yield Term("Tokens", "tokens", answer.reported_kv_tokens, _tokens(answer, log))
    if "needed_gib" in figures:
        one = answer.allocated_bytes_per_sequence / GIB
        yield Term(f"One sequence of {answer.request.seq_len:,} tokens", "GiB", one, figures["needed_gib"])


def _llama_cpp_cache(answer: Plan, log: StartupLog) -> float:
    """What the cache of the sequences asked takes, states apart where the log has them apart [GiB]."""
    figures, size = log.figures, 0
    shared = figures.get("sequences", 1) > answer.request.batch_size
    for stage in answer.stages:
        for pool in stage.geometry.pools:
            for claim in pool.claims:
                if not claim.block_size and "state_gib" in figures:
                    continue
                if shared and claim.limit < NO_LIMIT and "window_cells" in figures:
                    # sequences that share cells have a window each in them: only the log says how many
                    claim = replace(claim, limit=int(figures["window_cells"]))
                size += pool.block_bytes * claim.blocks(answer.request.seq_len)
    return answer.request.batch_size * size / GIB


def _held_tokens(answer: Plan, log: StartupLog, pool_gib: float, **changes: Any) -> int:
    """Return the tokens that a pool holds, beside the windows or states that the log has in it [tokens]."""
    held = vary(answer, kv_cache_memory_bytes=max(1, gib_to_bytes(f"{pool_gib:.6f}")), **changes)
    pools, figures = held.stage.geometry.pools, log.figures
    if log.engine != "sglang" or len(pools) < 2 or not {"window_tokens", "state_gib"} & set(figures):
        return held.reported_kv_tokens
    beside = figures.get("window_tokens", 0) * pools[1].block_bytes / held.request.block_size
    left = max(0.0, (pool_gib - figures.get("state_gib", 0.0)) * GIB - beside)
    return int(left // pools[0].block_bytes) * held.request.block_size


def _tokens(answer: Plan, log: StartupLog) -> float | None:
    figures = log.figures
    if "kv_tokens" in figures:
        return figures["kv_tokens"]
    return figures["num_blocks"] * answer.request.block_size if "num_blocks" in figures else None


def _capacity(answer: Plan, log: StartupLog) -> float | None:
    """Return the reported capacity as a KV pool of one GPU [GiB], None where the log has none."""
    if log.engine == "llama.cpp":
        return None
    pool, tokens = log.figures.get("kv_pool_gib"), _tokens(answer, log)
    if pool is not None:
        return pool
    if tokens is None or not answer.reported_kv_tokens:
        return None
    return answer.kv_pool_bytes / GIB * tokens / answer.reported_kv_tokens


def _tolerance(answer: Plan, pool_gib: float, tokens: float, share: float) -> float:
    """Return the tokens by which a pool's may differ: a share of them, a block, or what rounding hides [tokens]."""
    return max(share * tokens, answer.request.block_size, tokens * ROUNDING_GIB / pool_gib if pool_gib > 0 else 0.0)


def _finding(answer: Plan, log: StartupLog, reported: float | None, known_device: bool) -> tuple[str, bool]:
    """Say in a sentence how the two compare, and whether they agree."""
    who = f"{answer.model.name} on {answer.rules.title}"
    if log.engine == "llama.cpp":
        return _llama_cpp_finding(answer, log, who)
    printed, tokens = log.figures.get("kv_pool_gib"), _tokens(answer, log)
    if printed is None and tokens is None:
        return f"{who}: the log shows no KV capacity to compare with.", False
    if not known_device:
        if printed is None:
            taken = f"; by this model's layers they take {reported:.2f} GiB of each GPU" if reported else ""
            return (
                f"{who}: the device is not known, so the {tokens:,.0f} tokens reported cannot be predicted{taken}.",
                False,
            )
        if tokens is None:
            return f"{who}: the device is not known, so the KV pool of {printed:.2f} GiB cannot be predicted.", False
        held = _held_tokens(answer, log, printed)
        text = f"{who}: the reported pool of {printed:.2f} GiB holds {held:,} tokens, {int(tokens):,} are reported."
        return text, abs(held - tokens) <= _tolerance(answer, printed, tokens, 0.01)
    if reported is None:
        return f"{who}: {answer.reported_kv_tokens:,} tokens are predicted, {tokens:,.0f} reported.", False
    predicted = answer.kv_pool_bytes / GIB
    low, high = answer.kv_pool_bytes_low / GIB - 0.005, answer.kv_pool_bytes_high / GIB + 0.005
    if printed is None:
        text = f"{who}: {answer.reported_kv_tokens:,} tokens are predicted, {tokens:,.0f} reported"
        inside, each = low <= reported <= high, answer.reported_kv_tokens / predicted
        within = "within" if inside else "outside"
        return f"{text}, {within} the range of {max(0.0, low * each):,.0f} to {high * each:,.0f}.", inside
    share = f" ({predicted / reported - 1:+.1%})".replace("-", "−") if reported > 0 else ""
    text = f"{who}: a KV pool of {predicted:.2f} GiB is predicted, {reported:.2f} GiB reported{share}"
    if low <= reported <= high:
        return f"{text}, within the range of {max(0.0, low + 0.005):.2f} to {high - 0.005:.2f} GiB.", True
    return f"{text}, outside the range of {max(0.0, low + 0.005):.2f} to {high - 0.005:.2f} GiB.", False


def _llama_cpp_finding(answer: Plan, log: StartupLog, who: str) -> tuple[str, bool]:
    reported, predicted = log.figures.get("kv_pool_gib"), _llama_cpp_cache(answer, log)
    if reported is None:
        return f"{who}: the log shows no KV cache to compare with.", False
    text = f"{who}: a KV cache of {1024 * predicted:,.2f} MiB is predicted, {1024 * reported:,.2f} MiB reported."
    return text, abs(predicted - reported) <= 0.02 / 1024


def _ranks_of_weights(planned: Plan, log: StartupLog, stated: int | None, *, settled: bool) -> Iterator[str]:
    """Yield another tensor parallelism, where only that makes the weights the logged ones."""
    logged = log.figures.get("weights_gib")
    if (
        not logged
        or log.engine == "llama.cpp"
        or (settled and stated)
        or abs(weights_off(planned, logged)) <= SAME_WEIGHTS
    ):
        return
    for size in RANKS:
        try:
            other = vary(planned, tensor_parallel_size=size)
        except CalculatorError:
            continue
        if size != stated and abs(weights_off(other, logged)) <= SAME_WEIGHTS:
            instead = f", where {stated} is stated" if stated else ""
            yield f"tensor_parallel_size {size} would explain the weights of {logged:.2f} GiB{instead}"
            return


def _causes(answer: Plan, log: StartupLog, reported: float | None) -> Iterator[str]:
    """Yield what explains a difference: a changed assumption that closes it, then the terms that differ."""
    if reported is None:
        return
    error = abs(answer.kv_pool_bytes / GIB - reported)
    close = max(CLOSE * reported, 0.02)
    mismatch = False
    for text in _wording(answer, log):
        mismatch |= text.endswith(OTHER_MODEL)
        yield text
    in_use = log.figures.get("memory_gib", 0) - log.figures.get("free_at_start_gib", log.figures.get("memory_gib", 0))
    if in_use > OTHER_PROCESS_GIB:
        yield f"another process: {in_use:.2f} GiB of the GPU were in use before the engine started"
    left_free = log.figures.get("free_after_pool_gib", 0.0)
    if reported < answer.kv_pool_bytes / GIB / 2 < left_free and not log.flags.get("max_total_tokens"):
        yield f"the pool is capped, as by max_total_tokens: {left_free:.2f} GiB were left free beside it"
    if error > close and not mismatch:
        closing: dict[tuple[str, ...], tuple[float, str]] = {}
        for text, changes in _assumptions(answer, log):
            try:
                other = vary(answer, **changes)
            except CalculatorError:
                continue
            left = abs(other.kv_pool_bytes / GIB - reported)
            if left < 0.4 * error:
                said = f"{text}: {format_gib(other.kv_pool_bytes)} would be predicted"
                closing[tuple(changes)] = min(closing.get(tuple(changes), (left, said)), (left, said))
        yield from (text for _, text in sorted(closing.values()))
    if error <= close:
        return
    slack = {line.name for line in answer.stage.overheads if line.in_slack}
    apart = {"KV pool", "Memory of the GPU", "Budget", *slack}
    differing = [
        term
        for term in _terms(answer, log)
        if term.unit == "GiB" and term.difference is not None and abs(term.difference) > max(close / 2, 0.05)
    ]
    differing = sorted(differing, key=lambda term: -abs(term.difference or 0))
    differing = [term for term in differing if term.name not in apart]
    for term in differing:
        more = "more" if (term.difference or 0) > 0 else "less"
        yield f"{_lower(term.name)}: {abs(term.difference or 0):.2f} GiB {more} than predicted"


def _lower(name: str) -> str:
    return name if name.startswith(("CUDA", "KV")) else name[:1].lower() + name[1:]


OTHER_MODEL = "they may be of different ranks, or the model is another"


def _wording(answer: Plan, log: StartupLog) -> Iterator[str]:
    """Yield what is odd about the log's own words."""
    pool, tokens = log.figures.get("kv_pool_gib"), log.figures.get("kv_tokens")
    if answer.stage.geometry.is_plain:
        tokens = _tokens(answer, log)
    capped = log.flags.get("max_total_tokens")
    if capped:
        yield f"the pool is capped by max_total_tokens {capped:,}"
    if "draft_states_gib" in log.figures:
        yield f"states of drafts in flight, {log.figures['draft_states_gib']:.2f} GiB, are not modelled"
    if log.engine == "sglang" and pool:
        yield "the log's GB are GiB (2^30 bytes)"
    if log.engine == "vllm" and not answer.stage.geometry.is_plain and pool and tokens:
        held = vary(answer, kv_cache_memory_bytes=gib_to_bytes(f"{pool:.6f}"))
        if abs(held.max_concurrency * answer.request.seq_len - tokens) <= 0.01 * tokens:
            yield "the log's tokens are concurrency × longest sequence, since windows or states share the pool"
        else:
            yield "the log's tokens are blocks ÷ groups × block size: more sequences fit than tokens ÷ length says"
    if pool and tokens:
        yield from _pool_and_tokens(answer, log, pool, tokens)


def _pool_and_tokens(answer: Plan, log: StartupLog, pool: float, tokens: float) -> Iterator[str]:
    """Yield why a pool holds other tokens than are printed."""

    def held(**changes: Any) -> int:
        try:
            return _held_tokens(answer, log, pool, **changes)
        except CalculatorError:
            return 0

    def same(count: int) -> bool:
        return abs(count - tokens) <= _tolerance(answer, pool, tokens, 0.012)

    if same(held()):
        return
    found = False
    if str(log.flags.get("kv_cache_dtype", "auto")) == "auto":
        formats = [name for name in answer.rules.kv_cache_dtypes if name != answer.request.kv_cache_dtype]
        for name in [name for name in formats if same(held(kv_cache_dtype=name))][:1]:
            found = True
            yield f"the KV cache is stored in {name}: the log's bytes a token say so, as a checkpoint can ask for it"
    logged = log.figures.get("weights_gib")
    if answer.request.tensor_parallel_size == 1 and (not logged or abs(weights_off(answer, logged)) > SAME_WEIGHTS):
        for ranks in [ranks for ranks in RANKS if same(held(tensor_parallel_size=ranks))][:1]:
            found = True
            yield f"tensor_parallel_size {ranks} would hold as many tokens as are reported"
    if found:
        return
    for changes, text in (
        ({"async_scheduling": False}, "windows are charged for one batch in flight, not two (no async scheduling)"),
        ({"async_scheduling": True}, "windows are charged for two batches in flight (async scheduling)"),
        ({"max_num_batched_tokens": 2048}, "windows are charged for 2,048 tokens in flight"),
        ({"max_num_batched_tokens": 8192}, "windows are charged for 8,192 tokens in flight"),
        ({"max_num_batched_tokens": 16384}, "windows are charged for 16,384 tokens in flight"),
        (
            {"disable_hybrid_kv_cache_manager": True},
            "windows are allocated at full length (no hybrid KV cache manager)",
        ),
        ({"enable_prefix_caching": True}, "states keep a second page (prefix caching)"),
        ({"enable_prefix_caching": False}, "states keep one page (no prefix caching)"),
    ):
        if same(held(**changes)):
            yield text
            return
    yield (
        f"the reported pool of {pool:.2f} GiB holds {held():,} tokens by this model's layers, {int(tokens):,} are "
        f"reported: {OTHER_MODEL}"
    )


def _assumptions(answer: Plan, log: StartupLog) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what could be otherwise than assumed, and the keywords that say so."""
    stated, rules = log.flags, answer.rules
    used = answer.request.gpu_memory_utilization
    if log.engine == "vllm":
        if "gpu_memory_utilization" not in stated:
            for fraction in (0.90, 0.92):
                if abs(fraction - used) > 1e-9:
                    yield (
                        f"a utilisation of {fraction:.2f} in place of {used:.2f}",
                        {"gpu_memory_utilization": fraction},
                    )
        newer = "since_0_28" in log.figures
        if not answer.stage.overheads[2].in_slack and not newer:
            other = {"engine_version": "0.19", "gpu_memory_utilization": used}
            yield "CUDA graphs outside the budget, as up to 0.19", other
        if "max_num_seqs" not in stated:
            for sequences in (64, 128, 256, 1024):
                yield f"max_num_seqs {sequences:,}", {"max_num_seqs": sequences}
        if "max_num_batched_tokens" not in stated:
            for tokens in (2048, 8192, 16384):
                yield f"max_num_batched_tokens {tokens:,}", {"max_num_batched_tokens": tokens}
        for version in ("0.32",) if newer else ("0.16", "0.17", "0.27", "0.32"):
            if "engine_version" not in answer.asked:
                yield f"vLLM {version}", {"engine_version": version}
    elif "gpu_memory_utilization" not in stated and "gpu_memory_utilization" in rules.flags:
        for fraction in (0.8, 0.82, 0.85, 0.88, 0.9):
            yield f"a fraction of {fraction:g} in place of {used:g}", {"gpu_memory_utilization": fraction}
    for key, keyword, name in (
        ("activation_gib", "activation_bytes", "activations"),
        ("non_torch_gib", "non_torch_bytes", "memory outside the allocator"),
        ("cuda_graph_gib", "cuda_graph_bytes", "CUDA graphs"),
    ):
        logged = log.figures.get(key)
        if logged is not None and logged >= 0:
            yield f"{name} of {logged:.2f} GiB, as logged", {keyword: gib_to_bytes(f"{logged:.4f}")}
