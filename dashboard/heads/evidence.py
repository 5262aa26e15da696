"""Published quality as a table, a number that one has seen, and the claims that circulate."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

import calculator
from calculator.catalogue.published import PublishedPair, Remark
from calculator.messages import phrase
from calculator.planning.heads.claims import Claim
from calculator.planning.heads.rows import HeadRow
from calculator.views.heads.chosen import known_plan
from calculator.views.heads.claims import find_claims, leading_claims
from calculator.views.heads.quality import evidence_of
from dashboard import downloads
from dashboard.link.heads_parameters import MOST_SEEN, SEEN_OF
from dashboard.text import plain, sentence, tell, told

KINDS = {
    "converted": phrase("converted"),
    "format": phrase("format"),
    "speed": phrase("speed"),
    "trained": phrase("trained"),
    "uptrained": phrase("uptrained"),
}
"""How pairs came about, as the table of published pairs has it."""
UNITS = {"points": phrase("points"), "us a token": phrase("us a token")}
VERDICTS = {
    "reproduced": phrase("reproduced"),
    "conditional": phrase("conditional"),
    "refuted": phrase("refuted"),
}
ICONS = {
    "reproduced": ":green[:material/check_circle:]",
    "refuted": ":red[:material/cancel:]",
    "conditional": ":orange[:material/rule:]",
}
SEEN_LABELS = dict(
    zip(
        SEEN_OF,
        (
            phrase("KV cache"),
            phrase("Weights"),
            phrase("Weights and KV cache"),
            phrase("Parameters"),
            phrase("Active parameters"),
            phrase("Saving, %"),
            phrase("Saving, bytes"),
            phrase("Tokens a second"),
            phrase("Time a token"),
        ),
        strict=True,
    )
)


def table(study: calculator.HeadStudy, row: HeadRow) -> None:
    """Show what is published at the chosen ratio, what disagrees, and everything else that is published."""
    st.header(tell("Evidence, as published"), anchor=False)
    found, everything = evidence_of(study, row), calculator.quality_evidence()
    if found is None:
        st.markdown(tell("Nothing is published of a model whose layers differ."))
    else:
        st.markdown(plain(found.finding))
        if found.rows:
            _pairs(found.rows, "evidence_here")
            downloads.of_rows("evidence", found, {})
        _remarks(tell("Where they disagree, and why"), found.conflicts, "conflicts")
        _remarks(tell("What is printed nowhere"), found.missing, "missing")
    title = tell("All {rows} published pairs, KV formats included", rows=len(everything.rows))
    with st.expander(title, on_change="rerun", key="fold-evidence") as fold:
        if fold.open:
            _pairs(everything.rows, "evidence_all")
            downloads.of_rows("all-evidence", everything, {})


def _pairs(pairs: Iterable[PublishedPair], key: str) -> None:
    rows = [
        {
            tell("Model"): told(phrase(pair.model)),
            tell("What"): told(phrase(pair.variant)),
            tell("Test"): told(phrase(pair.benchmark)),
            tell("Before"): pair.baseline,
            tell("After"): pair.value,
            tell("Change"): pair.change,
            tell("Unit"): told(UNITS.get(pair.unit, pair.unit)),
            tell("How"): told(KINDS.get(pair.category, pair.category)),
            tell("Read"): tell("second-hand") if pair.second_hand else tell("in the source"),
            tell("Source"): pair.source,
        }
        for pair in pairs
    ]
    st.dataframe(
        rows, hide_index=True, key=key, alt=tell("Published pairs: a model with MHA before, and the same otherwise")
    )


def _remarks(title: str, remarks: Iterable[Remark], key: str) -> None:
    said = [
        f"- {plain(tell('{says}. {why} ({source})', says=phrase(one.says), why=phrase(one.why), source=one.source))}"
        for one in remarks
    ]
    if said:
        with st.expander(f"{title} ({len(said)})", key=f"fold-{key}"):
            st.markdown("\n".join(said))


def seen(study: calculator.HeadStudy) -> None:
    """Ask for a number that the reader has seen; say whether it is right, and which single mistakes give it."""
    st.header(tell("Check a number you have seen"), anchor=False)
    st.session_state["_seen_of"] = st.session_state["seen_of"]
    with st.grid(2, min_column_width=150):
        st.text_input(
            tell("The number, with its unit"),
            key="seen",
            max_chars=MOST_SEEN,
            placeholder="34.36 GB, 37B, 800 tokens/s",
        )
        st.selectbox(
            tell("It is said of"),
            SEEN_OF,
            format_func=lambda kind: told(SEEN_LABELS[kind]),
            key="_seen_of",
            on_change=_take_kind,
            index=None,
            placeholder=tell("what its unit says"),
        )
    plan = known_plan(study)
    st.markdown(
        plain(
            tell(
                "Of {name} as it is, {batch_size:,} × {seq_len:,} tokens: it is set beside the right "
                "numbers, and beside every single mistake of a list.",
                name=study.model.name,
                batch_size=study.batch_size,
                seq_len=study.seq_len,
            )
        )
    )
    if not st.session_state["seen"]:
        return
    try:
        found = calculator.explain_number(st.session_state["seen"], plan, what=st.session_state["seen_of"])
    except calculator.CalculatorError as error:
        st.error(plain(sentence(str(error))))
        return
    right = tell("within the estimate") if any(each.low is not None for each in found.right) else tell("right")
    badge = (
        f":green-badge[:material/check: {right}]"
        if found.right
        else tell(":red-badge[:material/close: not this model]")
    )
    st.markdown(f"{badge} {plain(found.finding)}")
    if found.claims:
        st.markdown(tell("It circulates:"))
        _list(found.claims)
    with st.expander(tell("What was looked for"), key="fold-looked"):
        st.markdown("\n".join(f"- {plain(words)}" for words in found.looked_for.values()))


def _take_kind() -> None:
    st.session_state["seen_of"] = st.session_state["_seen_of"]


def claims() -> None:
    """Show claims that circulate with what holds: the first ones, and all behind a fold, found by words."""
    st.header(tell("What circulates, and what holds"), anchor=False)
    _list(leading_claims())
    every = len(find_claims())
    with st.expander(
        tell("All {every} claims", every=every),
        on_change="rerun",
        key="fold-claims",
        expanded=bool(st.session_state["claim"]),
    ) as fold:
        if fold.open:
            st.text_input(
                tell("Find a claim"), key="claim", max_chars=MOST_SEEN, placeholder=tell("words, such as MLA or 34.36")
            )
            found = find_claims(st.session_state["claim"] or "")
            st.markdown(tell("{found} of {every}", found=len(found), every=every))
            _list(found)


def _list(some: Iterable[Claim]) -> None:
    lines = [
        tell(
            "{icon} {number}. “{says}” **{verdict}**: {holds}",
            icon=ICONS[one.verdict],
            number=one.number,
            says=plain(one.says),
            verdict=VERDICTS[one.verdict],
            holds=plain(one.holds),
        )
        for one in some
    ]
    st.markdown("\n\n".join(lines))
