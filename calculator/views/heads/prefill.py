"""Memory of prefill with and without a score matrix, and pages of decode for every number of KV heads."""

from __future__ import annotations

from dataclasses import dataclass

from calculator.messages import phrase, say
from calculator.planning.answer import Plan
from calculator.planning.heads.attention import attention_memory
from calculator.planning.heads.study import HeadStudy
from calculator.units import format_size
from calculator.views.base import ABSENT, Row, View
from calculator.views.heads.chosen import known_plan

NAME, TITLE = "prefill-memory", phrase("Memory of prefill")
PAGES_NAME, PAGES_TITLE = "kv-pages", phrase("Pages of the KV cache")


@dataclass(frozen=True, eq=False)
class PrefillRow(Row):
    """One prompt, computed whole or in chunks.

    Attributes
    ----------
    query_tokens : int
        Tokens computed at once [tokens].
    with_scores_bytes, flash_attention_bytes : int
        What one layer holds in flight with a score matrix, and without [bytes].
    """

    query_tokens: int
    with_scores_bytes: int
    flash_attention_bytes: int


@dataclass(frozen=True, eq=False)
class PageRow(Row):
    """Blocks of the cache on one GPU, with one number of KV heads.

    Attributes
    ----------
    label : str
        KV heads, or MLA.
    refused : str
        Why the GPUs cannot share it; empty where they can.
    block_bytes, block_waste_bytes : int
        One block over the layers of a GPU, and what a sequence leaves unused of its last one, in the mean [bytes].
    sequence_bytes, reserved_bytes : int
        What a sequence takes, and what reserving the longest context for it would take [bytes].
    """

    label: str
    refused: str
    block_bytes: int = ABSENT
    block_waste_bytes: int = ABSENT
    sequence_bytes: int = ABSENT
    reserved_bytes: int = ABSENT


def prefill_view(plan: Plan) -> View[PrefillRow]:
    """Return what attention holds in flight while one prompt is computed, whole and in the engine's chunks.

    Parameters
    ----------
    plan : Plan
        A plan; the prompt has its ``seq_len`` tokens [-].

    Returns
    -------
    View
        A row for the whole prompt, and one for a chunk where the engine computes fewer tokens at once.

    Raises
    ------
    UnsupportedError
        If no layer has heads.
    """
    tokens = plan.request.seq_len
    chunk = min(tokens, plan.request.max_num_batched_tokens)
    rows = [
        PrefillRow(computed, *(_held(plan, computed, flash) for flash in (False, True)))
        for computed in dict.fromkeys((tokens, chunk))
    ]
    whole = rows[0]
    finding = say(
        "prefill.finding",
        "A prompt of {tokens:,} tokens computed whole holds {scores} a layer with a score matrix, and {flash} with "
        "FlashAttention. Scores depend on the query heads, not on G; and decode reads the same {kept} a "
        "sequence, over all GPUs, with either.",
        tokens=tokens, scores=format_size(whole.with_scores_bytes), flash=format_size(whole.flash_attention_bytes),
        kept=format_size(plan.kv_bytes_per_sequence),
    )  # fmt: skip
    return View(NAME, TITLE, finding, plan, rows)


def _held(plan: Plan, computed: int, flash: bool) -> int:
    return attention_memory(
        plan.model, plan.request.seq_len, flash_attention=flash, query_tokens=computed, engine=plan.request.engine
    )


def page_view(study: HeadStudy) -> View[PageRow]:
    """Return blocks, waste and reservation of one GPU for every row of a study.

    Parameters
    ----------
    study : HeadStudy
        The study [-].

    Returns
    -------
    View
        A row a number of KV heads, and one for latent attention.
    """
    plan = known_plan(study)
    rows = [
        PageRow(row.label, row.refused)
        if answer is None
        else PageRow(
            row.label, "", row.block_bytes_per_gpu, row.block_waste_bytes_per_gpu, answer.kv_bytes_per_gpu,
            row.reserved_bytes_per_gpu,
        )
        for row, answer in zip(study.rows, study.plans, strict=True)
    ]  # fmt: skip
    own = next((row for row, one in zip(rows, study.rows, strict=True) if one.this_model), rows[0])
    if own.refused:
        finding = say("pages.refused", "{why}.", why=own.refused)
    else:
        finding = say(
            "pages.finding",
            "Paged, a sequence of {tokens:,} tokens of {model} wastes {waste} of one GPU in the mean, half a block of "
            "{block}; reserving its longest context would take {reserved} in place of {taken}.",
            tokens=study.seq_len, model=study.model.name, waste=format_size(own.block_waste_bytes),
            block=format_size(own.block_bytes), reserved=format_size(own.reserved_bytes),
            taken=format_size(own.sequence_bytes),
        )  # fmt: skip
    return View(PAGES_NAME, PAGES_TITLE, finding, plan, rows)
