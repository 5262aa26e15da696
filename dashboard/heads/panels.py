"""Below the answer, one at a time: why K and V are kept, memory of prefill, and converting a trained model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import streamlit as st

import calculator
from calculator.catalogue.published import published_remarks
from calculator.charts.heads import converting_chart, sharing_chart
from calculator.messages import phrase, template
from calculator.planning.heads.rows import HeadRow
from calculator.planning.heads.variants import query_heads
from calculator.units import format_size, plural
from calculator.views.heads import converting
from calculator.views.heads.chosen import LATENT, ends, known_plan, name_of, plan_of
from calculator.views.heads.prefill import page_view, prefill_view
from calculator.views.heads.why import why_keys_and_values
from calculator.views.load.wording import rounded
from dashboard import downloads, figure, inputs
from dashboard.link.heads_parameters import PANELS
from dashboard.text import listed, plain, sentence, tell, told

LABELS = dict(
    zip(
        PANELS,
        (phrase("Why K and V, not Q"), phrase("Prefill and pages"), phrase("Converting a trained model")),
        strict=True,
    )
)
QUIET = {"displayModeBar": False}
LARGE = {1e12: template("{number} trillion"), 1e9: template("{number} billion"), 1e6: template("{number} million")}
"""Large numbers in a word, from the size on."""


def show(study: calculator.HeadStudy, row: HeadRow) -> None:
    """Show the chosen panel; what cannot be computed is said in it alone."""
    st.session_state["_panel"] = chosen = st.session_state["panel"] or PANELS[0]
    st.segmented_control(
        tell("More on these heads"),
        PANELS,
        format_func=lambda panel: told(LABELS[panel]),
        key="_panel",
        required=True,
        on_change=_take_panel,
    )
    try:
        _SHOWN[chosen](study, row)
    except calculator.CalculatorError as error:
        st.info(plain(sentence(tell("{text}.", text=error))))


def _take_panel() -> None:
    st.session_state["panel"] = st.session_state["_panel"]


def _why(study: calculator.HeadStudy, row: HeadRow) -> None:
    plan = plan_of(study, row) or known_plan(study)
    pictures = list(_pictures(study, row))
    with st.grid(len(pictures) or 1, min_column_width=300):
        for title, shared in pictures:
            with st.container(gap="xsmall"):
                st.markdown(f"**{title}**")
                alt = tell(
                    "{title}: which of {query_heads} query heads read which, and the GPUs that keep them",
                    title=title,
                    query_heads=query_heads(study.model),
                )
                figure.show(sharing_chart.ready(shared), f"chart-sharing-{title}", alt, QUIET)
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
        yield listed([one.kind.upper(), plural(one.num_key_value_heads, "KV head")]), shared


def _prefill(study: calculator.HeadStudy, row: HeadRow) -> None:
    view, pages = prefill_view(plan_of(study, row) or known_plan(study)), page_view(study)
    with st.grid(2, min_column_width=420, gap="large"):
        with st.container():
            st.markdown(plain(view.finding))
            rows = [
                {
                    tell("Tokens at once"): f"{one.query_tokens:,}",
                    tell("With scores"): format_size(one.with_scores_bytes),
                    tell("FlashAttention"): format_size(one.flash_attention_bytes),
                }
                for one in view.rows
            ]
            st.dataframe(
                rows, hide_index=True, key="table-prefill", alt=tell("Memory of one layer while a prompt is computed")
            )
            downloads.of_rows(view.name, view, {})
        with st.container():
            st.markdown(plain(pages.finding))
            of_pages = [
                {
                    tell("KV heads"): one.label,
                    tell("Block"): format_size(one.block_bytes),
                    tell("Wasted"): format_size(one.block_waste_bytes),
                    tell("Sequence"): format_size(one.sequence_bytes),
                    tell("Reserved"): format_size(one.reserved_bytes),
                }
                for one in pages.possible
            ]
            st.dataframe(
                of_pages, hide_index=True, key="table-pages", alt=tell("Blocks of one GPU for every number of KV heads")
            )
            downloads.of_rows(pages.name, pages, {})


def _uptraining(study: calculator.HeadStudy, row: HeadRow) -> None:
    offered = converting.targets(study)
    chosen = st.session_state["to_kv_heads"]
    wanted = name_of(row) if chosen is None else chosen
    target = converting.nearest_target(study, wanted)
    with st.grid(3, min_column_width=200):
        if target is not None:
            st.session_state["_to_kv_heads"] = target
            st.selectbox(
                tell("Convert to, KV heads"), offered, format_func=lambda name: "MLA" if name == LATENT else name,
                key="_to_kv_heads", on_change=_take_target,
            )  # fmt: skip
        inputs.ask_number(
            tell("Tokens that {name} was trained on", name=study.model.name),
            "training_tokens",
            step=10**12,
            placeholder=tell("needed"),
        )
        inputs.ask_number(tell("Share of them to train on again"), "share", step=0.01, placeholder="0.05", format="%g")
    if target is None:
        st.info(
            plain(
                tell(
                    "{name} has nothing that fewer heads or a latent vector could take the place of.",
                    name=study.model.name,
                )
            )
        )
        return
    if target != wanted:
        _say_target(study, row, wanted, target)
    tokens = st.session_state["training_tokens"]
    if tokens is None:
        st.info(plain(tell("Give the tokens that {name} was trained on: no preset knows them.", name=study.model.name)))
        return
    view = converting.converting_view(study, target, tokens, st.session_state["share"])
    one = next(each for each in view.rows if each.chosen)
    st.markdown(plain(view.finding))
    with st.grid(4, min_column_width=150):
        st.metric(tell("Tokens to train on"), f"{one.tokens:,}")
        st.metric(tell("FLOPs"), f"{one.flops:.2e}")
        st.metric(tell("GPU-hours"), "unknown" if one.gpu_hours is None else f"{one.gpu_hours:,.0f}")
        st.metric(tell("Paid back after, output tokens"), _paid_back(one))
    with st.grid(2, min_column_width=420, gap="large"):
        with st.container():
            figure.show(
                converting_chart.ready(view),
                "chart-converting",
                tell("Output tokens that pay each conversion back"),
                QUIET,
            )
            downloads.of_rows(view.name, view, {view.finding: partial(converting_chart, view)})
        with st.container():
            st.dataframe(
                [_conversion(each) for each in view.rows], hide_index=True, key="table-converting",
                alt=tell("What each conversion takes"),
            )  # fmt: skip
            _published_costs(target)


def _take_target() -> None:
    st.session_state["to_kv_heads"] = st.session_state["_to_kv_heads"]


def _say_target(study: calculator.HeadStudy, row: HeadRow, wanted: str, target: str) -> None:
    """Say why another target is shown than the one that is wanted."""
    instead = "MLA" if target == LATENT else plural(int(target), "KV head")
    if row.this_model and wanted == name_of(row):
        st.info(
            plain(
                tell(
                    "{name} as it is needs no conversion: shown is one to {instead}.",
                    name=study.model.name,
                    instead=instead,
                )
            )
        )
    elif not wanted.isdecimal():
        st.info(plain(tell("A list by layer is no target here: shown is {instead}.", instead=instead)))
    else:
        why = _why_no_target(study, int(wanted))
        st.info(plain(sentence(tell("{why}. Shown is {instead}.", why=why, instead=instead))))


def _why_no_target(study: calculator.HeadStudy, wanted: int) -> str:
    try:
        calculator.uptraining(study.model, to_kv_heads=wanted, training_tokens=1)
    except calculator.CalculatorError as error:
        return str(error)
    return tell("{name} cannot be converted to {wanted}", name=study.model.name, wanted=wanted)


def _conversion(row: converting.ConvertingRow) -> dict[str, str]:
    price = (
        ""
        if row.usd_low is None or row.usd_high is None
        else tell("{usd_low:,.0f} to {usd_high:,.0f}", usd_low=row.usd_low, usd_high=row.usd_high)
    )
    return {
        tell("To"): row.label,
        tell("Tokens"): f"{row.tokens:,}",
        tell("GPU-hours"): "" if row.gpu_hours is None else f"{row.gpu_hours:,.0f}",
        "USD": price,
        tell("Paid back after"): _paid_back(row),
    }


def _published_costs(target: str) -> None:
    kind = "mla" if target == LATENT else "mqa" if target == "1" else "gqa"
    costs = [one for one in published_remarks().costs if kind in one.kinds]
    if costs:
        st.markdown(tell("What such conversions took, as published:"))
        said = [tell("{says} ({source})", says=phrase(one.says), source=one.source) for one in costs]
        st.markdown("\n".join(f"- {plain(one)}" for one in said))


def _paid_back(row: converting.ConvertingRow) -> str:
    if row.never_pays:
        return tell("never")
    return tell("unknown") if row.served_tokens_to_pay is None else _large(row.served_tokens_to_pay)


def _large(tokens: float) -> str:
    """Write a large number in a word, to two digits: ``1.6 trillion``."""
    for size, words in LARGE.items():
        if tokens >= size:
            return tell(words, number=rounded(tokens / size, 2))
    return rounded(tokens, 2)


_SHOWN: dict[str, Callable[[calculator.HeadStudy, HeadRow], None]] = dict(
    zip(PANELS, (_why, _prefill, _uptraining), strict=True)
)
