"""How a log compares with its plan: the headline, term by term, two bars on one scale, and the likeliest causes."""

from __future__ import annotations

import streamlit as st

from calculator import charts
from calculator.catalogue.presets import model_ids
from calculator.engines import titles
from calculator.logs.proof.held import how_often_it_held
from calculator.logs.reading import StartupLog
from calculator.logs.reconciliation import Reconciliation
from calculator.messages import Message, phrase
from calculator.views.pages import bars as parts
from calculator.views.pages import causes as known
from calculator.views.pages import log as said
from dashboard import figure
from dashboard.frame import turning
from dashboard.log import opening
from dashboard.log.asking import keyword_of
from dashboard.text import listed, plain, sentence, tell, told

SHOWN_LINES = 40
_BADGES = {
    said.Verdict.AGREES: phrase(":green-badge[:material/check: as expected]"),
    said.Verdict.OUTSIDE: phrase(":red-badge[:material/close: outside the range]"),
    said.Verdict.OTHER_TOKENS: phrase(":red-badge[:material/close: other tokens]"),
    said.Verdict.UNKNOWN: phrase(":gray-badge[:material/help: not compared yet]"),
}
_IN_RANGE = phrase(":green-badge[:material/check: within the range]")


def answer(result: Reconciliation | None, dimmed: bool, log: StartupLog | None = None) -> None:
    """Show the headline and the verdict; before there is a log, what to do, and of one that names no model, that."""
    if result is None and log is not None:
        st.title(plain(said.headline_without_model(log)), anchor=False)
        st.markdown(tell("Everything else follows from its layers: choose it below or beside the log."))
        return
    if result is None:
        st.title(tell("Check a start-up log against its plan"), anchor=False)
        st.markdown(
            tell(
                "Paste what {titles} printed, from its first line on. Each figure is set beside the "
                "expected one, and what differs is explained.",
                titles=plain(titles()),
            )
        )
        return
    verdict, capacity = said.verdict(result), said.capacity_of(result)
    title, detail = plain(said.headline(result)), plain(said.detail(result))
    badge = told(_BADGES[verdict])
    if verdict is said.Verdict.AGREES and capacity is not None and not capacity.is_as_expected:
        badge = _IN_RANGE
    held = how_often_it_held(result.log.engine)
    if held and capacity is not None and capacity.is_pool:
        detail += f" {plain(sentence(held))}."
    if dimmed:
        st.title(f":gray[{title}]", anchor=False)
        st.markdown(tell(":gray[Of the log before: {detail}]", detail=detail))
    else:
        st.title(title, anchor=False)
        st.markdown(f"{badge} {detail}")


def difference(result: Reconciliation, dimmed: bool) -> None:
    """Show the terms as a table, and the bars."""
    st.subheader(tell("Where the difference is"), anchor=False)
    rows = [
        {
            tell("Term, GiB"): _cell(row.name, False, dimmed),
            tell("Expected"): _cell(row.expected, False, dimmed),
            tell("Your log"): _cell(row.reported, False, dimmed),
            tell("Difference"): _cell(row.difference, row.stands_out, dimmed),
        }
        for row in said.rows(result)
    ]
    st.table(rows, border="horizontal", hide_index=True, alt=tell("Expected beside reported, figure by figure"))
    bars = parts.bars(result)
    if bars is not None:
        figure.show(
            charts.reconciled_chart.ready(bars),
            "reconciled_bars",
            tell("One GPU as expected and by the log: {said}", said=bars.said),
            {"displayModeBar": False},
            dimmed=dimmed,
        )


def _cell(text: str, stands_out: bool, dimmed: bool) -> str:
    shown = plain(text)
    return _dim(f"**{shown}**" if stands_out else shown, dimmed and bool(shown))


def causes(result: Reconciliation, dimmed: bool) -> None:
    """Show what explains the difference, in order, how to get to know, and the way to the plan of these figures."""
    outside = said.verdict(result) in (said.Verdict.OUTSIDE, said.Verdict.OTHER_TOKENS)
    texts = [_cause(cause) for cause in result.causes]
    title = tell("The likeliest cause") if len(texts) == 1 else tell("The likeliest causes, in order")
    if not outside:
        title = tell("What the log also says")
    if not texts and outside:
        title = tell("No known cause closes it: what no log shows may hold it")
        texts = [plain(text) for text in known.UNEXPLAINED]
    if texts:
        st.subheader(title, anchor=False)
        st.markdown("\n".join(f"{number}. {_dim(text, dimmed)}" for number, text in enumerate(texts, 1)))
    if outside:
        st.markdown(_dim(tell("**To know:** {what}", what=plain(known.to_know_more(result))), dimmed))
    _use(result, dimmed)
    for problem in result.log.problems:
        st.markdown(f":gray[:small[{plain(sentence(problem))}]]")
    _unread(result)


def _dim(text: str, dimmed: bool) -> str:
    return f":gray[{text}]" if dimmed else text


def _cause(cause: Message | str) -> str:
    how = known.HOW_TO_KNOW.get(cause.key) if isinstance(cause, Message) else None
    text = f"**{plain(sentence(cause))}.**"
    return f"{text} {plain(how)}" if how else text


def _use(result: Reconciliation, dimmed: bool) -> None:
    """Offer the plan of what the log states, by what its machine holds where the log tells."""
    link = opening.link_of_result(result) if said.capacity_of(result) is not None else None
    pressed = st.button(
        tell("Use these figures as my plan"),
        icon=":material/arrow_forward:",
        key="_use_log",
        disabled=dimmed or link is None,
    )
    if link is None:
        if result.plan.model.id not in model_ids():
            st.markdown(tell(":gray[:small[The log alone describes this model; a link can name presets only.]]"))
        return
    if result.calibration is not None:
        st.markdown(
            tell(":gray[:small[Plans then hold outside the pool what this machine does; a chip says so and drops it.]]")
        )
    if pressed:
        st.switch_page(turning.to(turning.FITS), query_params=link)


def _unread(result: Reconciliation) -> None:
    unread, others = result.log.bears_on_memory, result.log.others
    if not unread:
        return
    with st.expander(tell("Lines that were not understood ({unread:,})", unread=len(unread) + others)):
        st.code("\n".join(f"{number}: {text}" for number, text in unread[:SHOWN_LINES]), language=None)
        more = others + max(0, len(unread) - SHOWN_LINES)
        if more:
            st.caption(tell("And {more:,} more.", more=more))


def what_was_read(result: Reconciliation) -> None:
    """Show what the log says as grey badges."""
    log, plan = result.log, result.plan
    request, flags = plan.request, log.flags
    read = [plan.model.name] if "model" in flags else []
    if "engine_version" in flags:
        read.append(f"{plan.rules.title} {flags['engine_version']}")
    if "device" in flags or "memory_gib" in log.figures:
        device = plan.accelerator.name if "device" in flags and "gpu" in plan.asked else ""
        memory = f"{log.figures['memory_gib']:.2f} GiB" if "memory_gib" in log.figures else ""
        read.append(listed(list(filter(None, (device, memory)))))
    if "gpu_memory_utilization" in flags:
        read.append(
            tell("{gpu_memory_utilization:.2f} of memory", gpu_memory_utilization=request.gpu_memory_utilization)
        )
    if {"seq_len"} & set(flags) or "concurrency_at" in log.figures:
        read.append(tell("{seq_len:,} tokens", seq_len=request.seq_len))
    for name in ("tensor_parallel_size", "pipeline_parallel_size"):
        if name in flags:
            read.append(f"{name[0].upper()}P {flags[name]}")
    words = {"max_num_seqs": tell("at once"), "max_num_batched_tokens": tell("batched tokens")}
    read += [f"{flags[name]:,} {said}" for name, said in words.items() if name in flags]
    if "weight_dtype" in plan.asked and not any(keyword_of(text) == "weight_dtype" for text in result.assumed):
        read.append(request.weight_dtype)
    shown = [one for one in read if one]
    if shown:
        st.subheader(tell("Read from the log"), anchor=False)
        st.markdown(" ".join(f":gray-badge[{plain(one)}]" for one in shown))
