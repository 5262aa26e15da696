"""The floor of the page: one input and three plain Plotly charts of it, run by Streamlit as the page is."""

import plotly.graph_objects as go
import streamlit as st

st.set_page_config(page_title="Three charts", layout="wide")
sequences = st.number_input("Sequences at once", 1, 1_000_000, 16)
lengths = [1, *range(85, 8193, 85)]

parts = ("Weights", "Activations", "Outside", "Graphs", "KV cache", "Rest", "Free")
st.plotly_chart(
    go.Figure([go.Bar(x=[sequences], y=["One GPU"], name=part, orientation="h") for part in parts]).update_layout(
        barmode="stack", height=100, margin={"t": 8, "b": 8}
    ),
    key="bar",
)
st.plotly_chart(
    go.Figure(
        [
            go.Scatter(x=lengths, y=[sequences * length for length in lengths], name=part, stackgroup="memory")
            for part in parts[:3]
        ]
    ),
    key="areas",
)
st.plotly_chart(
    go.Figure([go.Bar(x=[str(2**step) for step in range(7)], y=[sequences] * 7, name=part) for part in parts[:2]]),
    key="bars",
)
