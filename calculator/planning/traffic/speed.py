"""How long a step takes: a sum of named terms from this package's own bytes and FLOPs.

::

    step    = 1.0 Wd + 1.3 We + 1.1 KV + 1.0 C + 1.8 B + c_L L + 20 us N
    prefill = (N / O) (e (G + Q) + 1.8 B_p)                    what new prompts add to a step
    TPOT    = step + prefill,   tokens/s = N / TPOT

Ideal times of one GPU at nameplate: Wd weights that every step reads, We those of the experts that N tokens touch, KV
the cache of N sequences of ``P + O / 2`` tokens, C the FLOPs of N tokens, B the all-reduces of N tokens, G and Q the
matrix and attention FLOPs of a prompt, B_p its all-reduces. The factors were fitted to public measured speeds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calculator.architecture.latent import LatentAttention
from calculator.architecture.layers import FullAttention
from calculator.architecture.limits import MAX_TOKENS
from calculator.architecture.matrices import WeightMatrix
from calculator.architecture.sums import Layout, kv_bytes_on_rank
from calculator.errors import InvalidValueError, UnsupportedError, shown
from calculator.formats.weights import weight_format
from calculator.planning.memory import largest_batch

if TYPE_CHECKING:
    from calculator.architecture.model import ModelArchitecture
    from calculator.planning.answer import Plan

DENSE_FACTOR, EXPERT_FACTOR, KV_FACTOR, COMPUTE_FACTOR, LINK_FACTOR = 1.0, 1.3, 1.1, 1.0, 1.8
SEQUENCE_S = 20e-6
"""What each sequence adds to a step: scheduling, sampling, detokenising [s]."""
ALL_REDUCES = 2
"""All-reduces of a layer: after attention and after the MLP."""
HEAD_BYTES = 2
SELECTED_TOKENS = 2048
"""Tokens that sparse attention reads of each sequence; of the others it reads the index key alone."""
MOST_SEQUENCES, LONGEST_PROMPT, MOST_GPUS = 512, 10_000, 8


@dataclass(frozen=True, slots=True)
class Term:
    """One part of a step."""

    name: str
    seconds: float


@dataclass(frozen=True)
class Speed:
    """How fast one replica serves.

    Attributes
    ----------
    batch_size : float
        Sequences that decode at once, over all ranks of the replica [-].
    time_per_output_token_s, time_per_output_token_s_low, time_per_output_token_s_high : float
        Seconds from one token of a sequence to its next, prefill of new prompts included [s].
    output_tokens_per_second, output_tokens_per_second_low, output_tokens_per_second_high : float
        Tokens of all its sequences [1/s].
    prefill_s, prefill_s_low, prefill_s_high : float
        Seconds that one prompt takes alone: an order of magnitude [s].
    terms : tuple of Term
        The parts of a step; they sum to ``time_per_output_token_s``.
    bound : str
        The largest part: weights, kv, compute, links, launch or prefill.
    checked : bool
        Whether such a set-up was measured.
    why : str
        What of it was not.
    """

    batch_size: float
    time_per_output_token_s: float
    time_per_output_token_s_low: float
    time_per_output_token_s_high: float
    output_tokens_per_second: float
    output_tokens_per_second_low: float
    output_tokens_per_second_high: float
    prefill_s: float
    prefill_s_low: float
    prefill_s_high: float
    terms: tuple[Term, ...]
    bound: str
    checked: bool
    why: str


@dataclass(frozen=True, slots=True)
class Work:
    """What a model reads and computes, of a whole replica.

    Attributes
    ----------
    dense_bytes, expert_bytes, attention_bytes : int
        Weights that every token reads, of which attention (copied under attention data parallelism), and all
        experts [bytes].
    active_parameters : int
        Parameters that one token is multiplied by; the head counts, the input embedding does not [-].
    experts, experts_per_token : int
        Experts of a layer and those a token passes through; 0 without [-].
    """

    dense_bytes: int
    attention_bytes: int
    expert_bytes: int
    active_parameters: int
    experts: int
    experts_per_token: int


def work_of(model: ModelArchitecture, weight_dtype: str) -> Work:
    """Return what one pass of a model reads and multiplies, from its matrices."""
    return model.remember(_work_of, weight_dtype)


def _work_of(model: ModelArchitecture, weight_dtype: str) -> Work:
    storage = weight_format(weight_dtype)

    def stored(matrix: WeightMatrix) -> int:
        if storage.applies_to(matrix):
            return storage.bytes_of(matrix.outputs, matrix.inputs) * matrix.copies
        return matrix.num_parameters * storage.unquantised_bytes

    dense = attention = experts = active = copies = 0
    for group in model.layers:
        for matrix in group.weights:
            size = group.count * stored(matrix)
            active += group.count * matrix.num_active_parameters
            if matrix.part == "experts":
                experts += size
                copies = max(copies, matrix.copies)
            else:
                dense += size
                attention += size if matrix.part not in ("shared experts", "dense MLP", "router", "norms") else 0
    for matrix in model.end:
        dense += matrix.num_parameters * HEAD_BYTES
        active += matrix.num_active_parameters
    if model.tie_word_embeddings:
        tied = model.embedding[0].num_parameters
        dense, active = dense + tied * HEAD_BYTES, active + tied
    return Work(dense, attention, experts, active, copies, model.num_experts_per_tok)


def attention_flops(model: ModelArchitecture, prompt_tokens: float) -> float:
    """Return the FLOPs of causal attention over one prompt: ``2 H (d_k + d_v)`` for each pair of tokens [-]."""
    total = 0.0
    for group in model.groups:
        spec = group.spec
        if isinstance(spec, LatentAttention):
            width, heads, reach = spec.qk_head_dim + spec.v_head_dim, model.num_attention_heads, float(MAX_TOKENS)
        elif isinstance(spec, FullAttention):
            width = spec.head_dim + spec.v_head_dim
            heads, reach = spec.query_heads or model.num_attention_heads, float(spec.grows_until)
        else:
            continue
        pairs = prompt_tokens**2 / 2
        if prompt_tokens > reach:
            pairs = reach * prompt_tokens - reach**2 / 2
        total += group.count * 2 * heads * width * pairs
    return total


@dataclass(frozen=True, slots=True)
class _Ideal:
    """Ideal times of one GPU at nameplate [s], and what they were computed with."""

    dense: float
    experts: float
    kv: float
    compute: float
    links: float
    prompt_matrices: float
    prompt_attention: float
    prompt_links: float


def speed(
    plan: Plan,
    batch_size: float | None = None,
    prompt_tokens: float = 1000,
    output_tokens: float | None = 250,
    clients: float | None = None,
) -> Speed:
    """Return how fast one replica of a plan serves.

    Parameters
    ----------
    plan : Plan
        The plan; it may hold fewer sequences, which is said [-].
    batch_size : float, optional
        Sequences that decode at once, over all ranks of the replica [-].
    prompt_tokens, output_tokens : float
        Mean lengths of a request; output None for a step without new prompts [tokens].
    clients : float, optional
        In place of ``batch_size``: requests in a closed loop; those in prefill, and those for which the pool has no
        room, do not decode [-].

    Returns
    -------
    Speed
        TPOT, tokens a second and the time of one prompt, each with its range, and the terms behind them.

    Raises
    ------
    CalculatorError
        If a number is out of bounds, or the bandwidth or FLOPs of the device are not known.

    References
    ----------
    Factors fitted to public measured speeds of vLLM, SGLang and TensorRT-LLM.
    """
    for name, value in (
        ("batch_size", batch_size),
        ("prompt_tokens", prompt_tokens),
        ("output_tokens", output_tokens),
        ("clients", clients),
    ):
        if value is not None and not (_is_number(value) and 0 < value <= MAX_TOKENS):
            raise InvalidValueError(
                f"{name} must be a number above 0, at most {MAX_TOKENS:,}, not {shown(value)}", what=name
            )
    if (batch_size is None) == (clients is None):
        raise InvalidValueError("give one of batch_size and clients")
    count = float(clients or 0) if batch_size is None else float(batch_size)
    if clients is not None:
        count = _decoding(plan, float(clients), float(prompt_tokens), float(output_tokens or 1))
    terms, prefill_s = _terms(plan, count, float(prompt_tokens), output_tokens)
    step = sum(term.seconds for term in terms)
    band = plan.rules.speed.band(plan, count)
    why = _why_not_checked(plan, count, float(prompt_tokens), output_tokens)
    low, high = band if not why else plan.rules.speed.unseen
    largest = max(terms, key=lambda term: term.seconds)
    return Speed(
        batch_size=count,
        time_per_output_token_s=step,
        time_per_output_token_s_low=step * low,
        time_per_output_token_s_high=step * high,
        output_tokens_per_second=count / step,
        output_tokens_per_second_low=count / (step * high),
        output_tokens_per_second_high=count / (step * low),
        prefill_s=prefill_s,
        prefill_s_low=prefill_s * 0.5,
        prefill_s_high=prefill_s * 2.9,
        terms=terms,
        bound=largest.name,
        checked=not why,
        why=why,
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _decoding(plan: Plan, clients: float, prompt_tokens: float, output_tokens: float) -> float:
    """Return how many of the clients of a closed loop decode at once: ``N = clients × O t / (TTFT + O t)`` [-]."""
    held = _room(plan, prompt_tokens, output_tokens) or clients  # engines run more than fits, one after the other
    count = clients
    for _ in range(30):
        terms, prefill_s = _terms(plan, count, prompt_tokens, output_tokens)
        step = sum(term.seconds for term in terms)
        first = plan.rules.speed.first_token(prefill_s, count, step)
        count = min(held, max(1e-3, clients * output_tokens * step / (first + output_tokens * step)))
    return count


def _room(plan: Plan, prompt_tokens: float, output_tokens: float | None) -> int:
    """Return how many requests the pool has room for, each halfway through its output [-]."""
    tokens = max(1, math.ceil(prompt_tokens + (output_tokens or 0) / 2))
    return int(largest_batch(plan.stages, tokens)) * plan.request.attention_replicas


def _terms(
    plan: Plan, count: float, prompt_tokens: float, output_tokens: float | None
) -> tuple[tuple[Term, ...], float]:
    """Return the parts of a step, and the seconds that one prompt takes alone."""
    request, rules = plan.request, plan.rules.speed
    each = count / request.pipeline_parallel_size
    ideal = _ideal(plan, each, prompt_tokens, (output_tokens or 0) / 2)
    launch = rules.launch_s(plan) * _blocks_with_attention(plan.model) / request.pipeline_parallel_size
    prompt_s = rules.prompt_factor(plan) * (ideal.prompt_matrices + ideal.prompt_attention)
    prompt_s += LINK_FACTOR * ideal.prompt_links
    share = each / output_tokens * prompt_s if output_tokens else 0.0
    terms = (
        Term("weights", DENSE_FACTOR * ideal.dense + EXPERT_FACTOR * ideal.experts),
        Term("kv", KV_FACTOR * ideal.kv),
        Term("compute", COMPUTE_FACTOR * ideal.compute),
        Term("links", LINK_FACTOR * ideal.links),
        Term("launch", launch + SEQUENCE_S * each),
        Term("prefill", share),
    )
    return terms, prompt_s


def _blocks_with_attention(model: ModelArchitecture) -> int:
    """Return the blocks that keep something, whose kernels are launched one by one [-]."""
    kept = sum(group.count for group in model.groups if group.spec.grows_until or group.spec.state_bytes(1))
    return kept or model.num_layers


def _ideal(plan: Plan, count: float, prompt_tokens: float, generated_tokens: float) -> _Ideal:
    request, model, gpu = plan.request, plan.model, plan.accelerator
    work, ranks = work_of(model, request.weight_dtype), request.tensor_parallel_size
    bandwidth = _known(gpu.bandwidth_gb_per_s, gpu.name, "bandwidth") * 1e9
    matrices, attention = (rate * 1e12 for rate in _peaks(plan))
    pipeline = request.pipeline_parallel_size
    copied = work.attention_bytes if request.enable_attention_dp else 0
    dense = ((work.dense_bytes - copied) / ranks + copied) / pipeline / bandwidth
    touched = 1 - (1 - work.experts_per_token / work.experts) ** (count * pipeline) if work.experts else 0.0
    experts = work.expert_bytes * touched / (ranks * pipeline * _expert_replicas(plan)) / bandwidth
    kv = _kv_bytes_read(plan, count, prompt_tokens + generated_tokens) / bandwidth
    compute = 2 * work.active_parameters * count / (ranks * pipeline * matrices)
    links, prompt_links = (_all_reduce_s(plan, tokens) / pipeline for tokens in (count, prompt_tokens))
    return _Ideal(
        dense=dense,
        experts=experts,
        kv=kv,
        compute=compute,
        links=links,
        prompt_matrices=2 * work.active_parameters * prompt_tokens / (ranks * pipeline * matrices),
        prompt_attention=attention_flops(model, prompt_tokens) / (ranks * pipeline * attention),
        prompt_links=prompt_links,
    )


def _expert_replicas(plan: Plan) -> int:
    """Return the replicas that share the experts [-]."""
    return plan.request.data_parallel_size if plan.request.enable_expert_parallel else 1


def _kv_bytes_read(plan: Plan, count: float, tokens: float) -> float:
    """Return what a step reads of the cache on one GPU; a state is read and written [bytes]."""
    request, model = plan.request, plan.model
    layout = Layout(request.storage, request.split, request.encoder_seq_len or 0)
    whole = max(1, round(tokens))
    each = kv_bytes_on_rank(model.groups, whole, layout)
    if any(isinstance(group.spec, LatentAttention) and group.spec.index_head_dim for group in model.groups):
        # sparse attention reads the latents that it selects, and every index key
        chosen = min(whole, SELECTED_TOKENS)
        keys = sum(
            group.count * (group.spec.index_head_dim + 4 * -(-group.spec.index_head_dim // 128))
            for group in model.groups
            if isinstance(group.spec, LatentAttention) and group.spec.index_head_dim and not group.spec.shares_index
        )
        each = kv_bytes_on_rank(model.groups, chosen, layout) + keys * (whole - chosen)
    state = sum(group.count * group.spec.state_bytes(request.split.state_ranks) for group in model.groups)
    on_rank = count / request.split.replicas
    return on_rank * (each + 2 * state) / request.pipeline_parallel_size


def _all_reduce_s(plan: Plan, tokens: float) -> float:
    """Return the all-reduces of so many tokens in all layers: ``2 L × 2 (n − 1) / n × tokens × h × 2 / bus`` [s]."""
    ranks = plan.request.tensor_parallel_size
    if ranks == 1:
        return 0.0
    sent = 2 * (ranks - 1) / ranks * tokens * plan.model.hidden_size * 2
    return ALL_REDUCES * plan.model.num_layers * sent / (plan.rules.speed.bus_gb_per_s(plan) * 1e9)


def _known(value: float | None, gpu: str, what: str) -> float:
    if value is None:
        raise UnsupportedError(f"the {what} of {gpu} is not known, so no speed can be computed")
    return value


def _peaks(plan: Plan) -> tuple[float, float]:
    """Return the dense peaks of the matrices' format and of attention, in 16 bit [TFLOPS]."""
    gpu, weight = plan.accelerator, weight_format(plan.request.weight_dtype)
    sixteen = _known(gpu.bf16_tflops, gpu.name, "16 bit peak")
    kind = weight.computes_in
    peak = {"fp8": gpu.fp8_tflops, "fp4": gpu.fp4_tflops}.get(kind)
    return peak or sixteen, sixteen


def _why_not_checked(plan: Plan, count: float, prompt_tokens: float, output_tokens: float | None) -> str:
    """Say what of a set-up was not among those measured; empty where it was."""
    reasons = []
    gpus = plan.gpus_per_replica
    if gpus > MOST_GPUS:
        reasons.append(f"{gpus} GPUs a replica, measured were up to {MOST_GPUS}")
    if count > MOST_SEQUENCES:
        reasons.append(f"{count:,.0f} sequences at once, measured were up to {MOST_SEQUENCES}")
    room = _room(plan, prompt_tokens, output_tokens)
    if not plan.fits:
        reasons.append("the plan does not fit")
    elif count > room:
        reasons.append(f"memory holds {room:,} such requests halfway through their output")
    reasons += plan.rules.speed.not_measured(plan, prompt_tokens, output_tokens, count)
    return "; ".join(reasons)
