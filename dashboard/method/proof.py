"""How far off the answers have been: by engine, log by log as a chart, and the logs that fell outside."""

from __future__ import annotations

import streamlit as st

from calculator import charts
from calculator.catalogue.presets import load_gpu, load_model
from calculator.engines import engine_class
from calculator.errors import CalculatorError
from calculator.logs.judged import JudgedLog, proof
from calculator.views.pages import method
from dashboard import figure
from dashboard.text import plain

NOT_MEASURED = "not measured"


def answer() -> None:
    """Show the headline, and how many logs are outside their range."""
    outside, compared = len(method.outside()), len(proof().compared)
    st.title(plain(method.headline()), anchor=False)
    badge = f":red-badge[:material/warning: {outside} of {compared} outside]"
    st.markdown(f"{badge} {plain(method.verdict())}")


def by_engine() -> None:
    """Show how far off, engine by engine."""
    st.subheader("How far off, engine by engine", anchor=False)
    st.table([_cells(row) for row in method.engine_rows()], border="horizontal", hide_index=True, alt="By engine")
    st.markdown(plain(method.held_back()))
    speeds = method.speeds()
    if speeds:
        st.markdown(plain(speeds))


def _cells(row: method.EngineRow) -> dict[str, str]:
    half, most = row.median, row.nine_of_ten
    held = f"{row.held} of {row.logs}, {row.machines_held} of {row.machines}"
    return {
        "Engine": plain(row.title),
        "Half, 9 of 10 within": NOT_MEASURED if half is None or most is None else plain(f"{half:.1%}, {most:.0%}"),
        "In range: logs, machines": held if row.logs else "",
        "Tokens exact": f"{row.exact} of {row.checked}" if row.checked else "",
    }


def chart() -> None:
    """Show expected against reported, what is outside its range as red crosses."""
    st.subheader("Expected against reported", anchor=False)
    figure.show(charts.accuracy_chart.ready(proof().compared), "accuracy", method.headline())


def misses() -> None:
    """Show the logs that fell outside their range, and every log in a fold."""
    st.subheader("The logs that fell outside", anchor=False)
    _table(method.outside(), "accuracy_misses", "Logs that fell outside their range")
    with st.expander(f"All {len(proof().compared)} logs", on_change="rerun", key="fold-accuracy") as fold:
        if fold.open:
            _table(proof().compared, "accuracy_rows", "Expected and reported KV pool of every log")


def _table(logs: tuple[JudgedLog, ...], key: str, alt: str) -> None:
    rows = [
        {
            "Model": _named(one.model, load_model),
            "Device": _named(one.device, load_gpu),
            "TP": one.tensor_parallel_size,
            "Engine": f"{engine_class(one.engine).title} {one.engine_version}",
            "Reported, GiB": one.reported_gib,
            "Expected, GiB": one.predicted_gib,
            "Error": 100 * (one.error or 0.0),
            "Use": "kept back" if one.held_out else "calibration",
            "Log": one.id,
        }
        for one in logs
    ]
    number = st.column_config.NumberColumn
    columns = {
        "Reported, GiB": number(format="%.2f"),
        "Expected, GiB": number(format="%.2f"),
        "Error": number(format="%+.1f %%"),
    }
    st.dataframe(rows, hide_index=True, column_config=columns, key=key, alt=alt)


def _named(key: str, load: object) -> str:
    try:
        return str(load(key).name)  # type: ignore[operator]
    except CalculatorError:
        return key
