"""Below the answer, one at a time: why K and V are kept, memory of prefill, and converting a trained model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import streamlit as st

import calculator
from calculator.charts.heads import sharing_chart
from calculator.planning.heads.rows import HeadRow
from calculator.planning.heads.variants import query_heads
from calculator.units import format_size, plural
from calculator.views.heads.chosen import ends, known_plan, plan_of
from calculator.views.heads.prefill import page_view, prefill_view
from calculator.views.heads.why import why_keys_and_values
from calculator.views.load.wording import rounded
from dashboard import downloads, figure, inputs
from dashboard.link.heads_parameters import PANELS
from dashboard.text import plain, sentence

LABELS = dict(zip(PANELS, ("Why K and V, not Q", "Prefill and pages", "Converting a trained model"), strict=True))
NOT_OF_SERVICE = ("model", "batch_size")


def show(study: calculator.HeadStudy, row: HeadRow) -> None:
    """Show the chosen panel; what cannot be computed is said in it alone."""
    st.session_state["_panel"] = chosen = st.session_state["panel"] or PANELS[0]
    st.segmented_control(
        "More on these heads", PANELS, format_func=LABELS.get, key="_panel", required=True, on_change=_take_panel
    )
    try:
        _SHOWN[chosen](study, row)
    except calculator.CalculatorError as error:
        st.info(plain(sentence(f"{error}.")))


def _take_panel() -> None:
    st.session_state["panel"] = st.session_state["_panel"]


def _why(study: calculator.HeadStudy, row: HeadRow) -> None:
    plan = plan_of(study, row) or known_plan(study)
    pictures = list(_pictures(study, row))
    with st.grid(len(pictures) or 1, min_column_width=300):
        for title, shared in pictures:
            with st.container(gap="xsmall"):
                st.markdown(f"**{title}**")
                alt = (
                    f"{title}: which of {query_heads(study.model)} query heads read which, and the GPUs that keep them"
                )
                figure.show(sharing_chart(shared), f"chart-sharing-{title}", alt, {"displayModeBar": False})
    st.markdown("\n".join(f"- {plain(text)}" for text in why_keys_and_values(plan)))


def _pictures(study: calculator.HeadStudy, row: HeadRow) -> Iterator[tuple[str, tuple[calculator.SharedHead, ...]]]:
    """Yield who shares which head: with a head each, as chosen or as the model is, with one for all."""
    most, least = ends(study)
    middle = row if row.kind == "gqa" else next((one for one in study.rows if one.this_model), None)
    for one in dict.fromkeys((most, middle, least)):
        plan = plan_of(study, one) if one else None
        if one is None or plan is None or one.num_key_value_heads is None:
            continue
        shared = calculator.head_sharing(study.model, one.num_key_value_heads, plan.request.tensor_parallel_size)
        yield f"{one.kind.upper()}, {plural(one.num_key_value_heads, 'KV head')}", shared


def _prefill(study: calculator.HeadStudy, row: HeadRow) -> None:
    view, pages = prefill_view(plan_of(study, row) or known_plan(study)), page_view(study)
    with st.grid(2, min_column_width=420, gap="large"):
        with st.container():
            st.markdown(plain(view.finding))
            rows = [
                {
                    "Tokens at once": f"{one.query_tokens:,}",
                    "With scores": format_size(one.with_scores_bytes),
                    "FlashAttention": format_size(one.flash_attention_bytes),
                }
                for one in view.rows
            ]
            st.dataframe(
                rows, hide_index=True, key="table-prefill", alt="Memory of one layer while a prompt is computed"
            )
            downloads.of_rows(view.name, view, {})
        with st.container():
            st.markdown(plain(pages.finding))
            of_pages = [
                {
                    "KV heads": one.label,
                    "Block": format_size(one.block_bytes),
                    "Wasted": format_size(one.block_waste_bytes),
                    "Sequence": format_size(one.sequence_bytes),
                    "Reserved": format_size(one.reserved_bytes),
                }
                for one in pages.possible
            ]
            st.dataframe(
                of_pages, hide_index=True, key="table-pages", alt="Blocks of one GPU for every number of KV heads"
            )
            downloads.of_rows(pages.name, pages, {})


def _uptraining(study: calculator.HeadStudy, row: HeadRow) -> None:
    with st.grid(2, min_column_width=200):
        inputs.ask_number(
            f"Tokens that {study.model.name} was trained on", "training_tokens", step=10**12, placeholder="needed"
        )
        inputs.ask_number("Share of them to train on again", "share", step=0.01, placeholder="0.05", format="%g")
    tokens = st.session_state["training_tokens"]
    if tokens is None:
        st.info(plain(f"Give the tokens that {study.model.name} was trained on: no preset knows them."))
        return
    plan = known_plan(study)
    service = {name: value for name, value in plan.asked.items() if name not in NOT_OF_SERVICE and value is not None}
    is_latent = row.kind == "mla"
    goal = {"to_latent": True} if is_latent else {"to_kv_heads": row.num_key_value_heads}
    share = st.session_state["share"]
    found = calculator.uptraining(
        study.model,
        **goal,
        **({} if share is None else {"share": share}),
        training_tokens=tokens,
        **(service | {"seq_len": study.seq_len} if "gpu" in service else {}),
    )
    st.markdown(plain(found.finding))
    with st.grid(4, min_column_width=150):
        st.metric("Tokens to train on", f"{found.tokens:,}")
        st.metric("FLOPs", f"{found.flops:.2e}")
        st.metric("GPU-hours", "unknown" if found.gpu_hours is None else f"{found.gpu_hours:,.0f}")
        st.metric("Paid back after, output tokens", _paid_back(found.served_tokens_to_pay))
    if found.published_costs:
        st.markdown("What such conversions took, as published:")
        st.markdown("\n".join(f"- {plain(f'{one.says} ({one.source})')}" for one in found.published_costs))


def _paid_back(tokens: float | None) -> str:
    if tokens is None:
        return "unknown"
    return "never" if tokens == math.inf else rounded(tokens, 2)


_SHOWN: dict[str, Callable[[calculator.HeadStudy, HeadRow], None]] = dict(
    zip(PANELS, (_why, _prefill, _uptraining), strict=True)
)
