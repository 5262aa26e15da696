"""How the numbers are made, and how far off they have been."""

from __future__ import annotations

import streamlit as st

import calculator
from calculator import charts
from calculator.charts.accuracy import accuracy_chart
from calculator.logs.accuracy import COMPARED, comparisons, quantile
from calculator.views import words
from dashboard.text import plain, sentence


def show(plan: calculator.Plan) -> None:
    """Show predicted against reported capacity of public start-up logs, and the rules in use with their source."""
    judged = [one for one in comparisons() if one.capacity_error is not None]
    errors = [abs(one.capacity_error or 0) for one in judged]
    held = sum(bool(one.in_range) for one in judged)
    finding = (
        f"Half of {len(judged)} public start-up logs report a KV pool within {quantile(errors, 0.5):.1%} of the "
        f"predicted one; {sum(one.is_close for one in judged)} lie within 5% of the pool or 0.5% of the device's "
        f"memory, and {held} within the predicted range."
    )
    st.markdown(plain(finding))
    dark = bool(st.context.theme.type == "dark")
    st.plotly_chart(charts.on_ground(accuracy_chart(judged), dark), key="accuracy", alt=finding)
    with st.expander("Every log"):
        rows = [{name: value(one) for name, value in COMPARED.items()} for one in judged]
        st.dataframe(rows, hide_index=True, key="accuracy_rows", alt="Predicted and reported KV pool of every log")
    st.caption(plain(sentence(words.NOT_MODELLED)))
    st.caption(plain(f"Rules in use: {plan.rules.title} {plan.rules.version}. Read from {plan.rules.source}."))
