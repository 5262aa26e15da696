"""A table of speeds that is copied from guide to guide, beside what its own set-up gives."""

from __future__ import annotations

from dataclasses import dataclass

from calculator.catalogue.presets import load_model
from calculator.messages import phrase, say
from calculator.planning.answer import Plan
from calculator.planning.plan import plan as make_plan
from calculator.planning.traffic.timing.speed import speed
from calculator.views.base import Row, View
from calculator.views.load.wording import rounded

NAME, TITLE = "circulating-speeds", phrase("A table that circulates")
MODEL, GPU, TENSOR_PARALLEL, TOKENS = "llama-3-70b", "a100-80gb-sxm", 4, 4096


@dataclass(frozen=True, slots=True)
class Claim:
    """One line of the table, as it is copied."""

    kind: str
    num_key_value_heads: int
    batch_size: int
    ms_a_token: float
    tokens_per_second: int


CLAIMS = (
    Claim(phrase("MHA"), 64, 4, 5.0, 800),
    Claim(phrase("GQA"), 8, 32, 1.25, 3200),
    Claim(phrase("MQA"), 1, 48, 1.0, 4000),
)


@dataclass(frozen=True, eq=False)
class ClaimRow(Row):
    """One line of the table beside what is computed for it.

    Attributes
    ----------
    kind, num_key_value_heads : str, int
        The attention and its KV heads, G [-].
    claimed_batch_size, claimed_ms_a_token, claimed_tokens_per_second
        What the table says [-], [ms], [1/s].
    implied_tokens_per_second : float
        Its batch over its time a token [1/s].
    weights_ms : float
        What reading the weights of one GPU takes, at its full bandwidth [ms].
    max_batch_size : int
        Sequences of that length that fit [-].
    ms_a_token, tokens_per_second : float
        Of the table's own batch, without new prompts [ms], [1/s].
    """

    kind: str
    num_key_value_heads: int
    claimed_batch_size: int
    claimed_ms_a_token: float
    claimed_tokens_per_second: int
    implied_tokens_per_second: float
    weights_ms: float
    max_batch_size: int
    ms_a_token: float
    tokens_per_second: float


def circulating_speeds() -> View[ClaimRow]:
    """Set a table of speeds that circulates beside the same set-up computed.

    Returns
    -------
    View
        A row a kind of attention: 70B on 4 × A100, 4,096 tokens.
    """
    plans = [_plan(claim) for claim in CLAIMS]
    rows = [_row(claim, answer) for claim, answer in zip(CLAIMS, plans, strict=True)]
    heads = load_model(MODEL).num_key_value_heads
    own = next(index for index, row in enumerate(rows) if row.num_key_value_heads == heads)
    return View(NAME, TITLE, _finding(rows, rows[own]), plans[own], rows)


def _plan(claim: Claim) -> Plan:
    model = load_model(MODEL)
    if claim.num_key_value_heads != model.num_key_value_heads:
        model = model.with_kv_heads(claim.num_key_value_heads)
    return make_plan(model, gpu=GPU, tensor_parallel_size=TENSOR_PARALLEL, seq_len=TOKENS)


def _row(claim: Claim, answer: Plan) -> ClaimRow:
    found = speed(answer, batch_size=claim.batch_size, prompt_tokens=TOKENS, output_tokens=None)
    bandwidth = answer.accelerator.bandwidth_gb_per_s or 0.0
    return ClaimRow(
        kind=claim.kind,
        num_key_value_heads=claim.num_key_value_heads,
        claimed_batch_size=claim.batch_size,
        claimed_ms_a_token=claim.ms_a_token,
        claimed_tokens_per_second=claim.tokens_per_second,
        implied_tokens_per_second=1000 * claim.batch_size / claim.ms_a_token,
        weights_ms=answer.per_gpu.weights_bytes / bandwidth / 1e6,
        max_batch_size=answer.max_batch_size,
        ms_a_token=1000 * found.time_per_output_token_s,
        tokens_per_second=found.output_tokens_per_second,
    )


def _finding(rows: list[ClaimRow], own: ClaimRow) -> str:
    return say(
        "circulating_speeds.finding",
        "It contradicts itself and the device. A step reads the weights, which alone takes {weights:.1f} ms on each "
        "GPU, so none can take {claimed} ms; and {batch:,} sequences that each get a token every {own:g} ms would be "
        "{implied:,.0f} tokens/s, not {said:,}. What fits is {held} sequences, and the batches that it names give "
        "about {rates} tokens/s.",
        weights=own.weights_ms,
        claimed=_listed([f"{row.claimed_ms_a_token:g}" for row in rows], "or"),
        batch=own.claimed_batch_size,
        own=own.claimed_ms_a_token,
        implied=own.implied_tokens_per_second,
        said=own.claimed_tokens_per_second,
        held=_listed([f"{row.max_batch_size:,}" for row in rows], "and"),
        rates=_listed([rounded(row.tokens_per_second, 2) for row in rows], "and"),
    )


def _listed(parts: list[str], word: str) -> str:
    return f"{', '.join(parts[:-1])} {word} {parts[-1]}"


def said() -> str:
    """Say the table as it is copied."""
    return say(
        "circulating_speeds.said",
        "A table copied from guide to guide says of 70B on {gpus} × A100 and {tokens:,} tokens: {rates} tokens/s for "
        "{kinds}, at {times} ms and batches of {batches}.",
        gpus=TENSOR_PARALLEL,
        tokens=TOKENS,
        kinds=_listed([claim.kind for claim in CLAIMS], "and"),
        rates=_listed([f"{claim.tokens_per_second:,}" for claim in CLAIMS], "and"),
        times=_listed([f"{claim.ms_a_token:g}" for claim in CLAIMS], "and"),
        batches=_listed([str(claim.batch_size) for claim in CLAIMS], "and"),
    )
