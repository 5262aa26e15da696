"""What a reader does with an answer: copy the command, share or save it; none of an answer that is dimmed."""

from __future__ import annotations

import json

import streamlit as st

import calculator
from calculator.planning.command import serve_command
from dashboard import downloads, state
from dashboard.compare import pins
from dashboard.frame import turning
from dashboard.frame.chips import chip
from dashboard.text import file_name, plain, sentence, tell


def show(plan: calculator.Plan, dimmed: bool) -> None:
    """Show the actions."""
    with st.container(horizontal=True, gap="xsmall", width="content", vertical_alignment="center"):
        st.page_link(turning.to(turning.NEED), label=tell("Which GPUs do I need?"), icon=":material/search:")
        chip(tell("Command"), "act-command", _command, plan, quiet=True, icon=":material/terminal:", disabled=dimmed)
        chip(tell("Share"), "act-share", _share, plan, quiet=True, icon=":material/share:", disabled=dimmed)
        if not dimmed:
            pins.button()


def _command(plan: calculator.Plan) -> None:
    st.markdown(tell("This plan as {title}'s own command line:", title=plan.rules.title))
    st.code(serve_command(plan), language="bash", wrap_lines=True)
    at_once = plan.request.max_num_seqs * plan.request.attention_replicas
    if at_once > plan.max_batch_size:
        st.markdown(
            tell(
                "By default {at_once:,} sequences would be let in at once, which is more than the "
                "{max_batch_size:,} that fit; the rest would wait or be evicted.",
                at_once=at_once,
                max_batch_size=plan.max_batch_size,
            )
        )


def _share(plan: calculator.Plan) -> None:
    from calculator.planning.files.plan_file import write_plan_file
    from calculator.planning.files.plan_schema import saved_name

    st.markdown(tell("This link opens the same answer; so does the one in the address bar."))
    st.code(state.address(), language=None, wrap_lines=True)
    name = f"{plan.model.id}-{plan.accelerator.id}"
    try:
        written = write_plan_file(plan, name)
        st.download_button(
            tell("Plan file for CI (YAML)"), written, saved_name(file_name(name)), "application/yaml", on_click="ignore"
        )
    except calculator.CalculatorError as error:
        st.markdown(plain(sentence(str(error))))
    downloads.report(plan, name)
    content = json.dumps(plan.as_dict(), indent=2)
    st.download_button(tell("Answer (JSON)"), content, f"{file_name(name)}.json", "application/json", on_click="ignore")
