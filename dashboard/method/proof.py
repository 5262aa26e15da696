"""How far off the answers have been: by engine, log by log as a chart, and the logs that fell outside."""

from __future__ import annotations

import streamlit as st

from calculator import charts
from calculator.catalogue.presets import load_gpu, load_model
from calculator.engines import engine_class
from calculator.errors import CalculatorError
from calculator.logs.proof.judged import JudgedLog, proof
from calculator.messages import phrase
from calculator.views.pages import method
from dashboard import figure
from dashboard.text import plain, tell

NOT_MEASURED = phrase("not measured")


def answer() -> None:
    """Show the headline, and how many logs are outside their range."""
    outside, compared = len(method.outside()), len(proof().compared)
    st.title(plain(method.headline()), anchor=False)
    badge = tell(":red-badge[:material/warning: {outside} of {compared} outside]", outside=outside, compared=compared)
    st.markdown(f"{badge} {plain(method.verdict())}")


def by_engine() -> None:
    """Show how far off, engine by engine."""
    st.subheader(tell("How far off, engine by engine"), anchor=False)
    st.table([_cells(row) for row in method.engine_rows()], border="horizontal", hide_index=True, alt=tell("By engine"))
    st.markdown(plain(method.held_back()))
    st.markdown(plain(method.calibrated()))
    speeds = method.speeds()
    if speeds:
        st.markdown(plain(speeds))


def _cells(row: method.EngineRow) -> dict[str, str]:
    half, most = row.median, row.nine_of_ten
    held = tell(
        "{held} of {logs}, {machines_held} of {machines}",
        held=row.held,
        logs=row.logs,
        machines_held=row.machines_held,
        machines=row.machines,
    )
    return {
        tell("Engine"): plain(row.title),
        tell("Half, 9 of 10 within"): NOT_MEASURED
        if half is None or most is None
        else plain(f"{half:.1%}, {most:.0%}"),
        tell("In range: logs, machines"): held if row.logs else "",
        tell("Tokens exact"): tell("{exact} of {checked}", exact=row.exact, checked=row.checked) if row.checked else "",
    }


def chart() -> None:
    """Show expected against reported, what is outside its range as red crosses."""
    st.subheader(tell("Expected against reported"), anchor=False)
    figure.show(charts.accuracy_chart.ready(proof().compared), "accuracy", method.headline())


def misses() -> None:
    """Show the logs that fell outside their range, and every log in a fold."""
    st.subheader(tell("The logs that fell outside"), anchor=False)
    _table(method.outside(), "accuracy_misses", tell("Logs that fell outside their range"))
    with st.expander(
        tell("All {compared} logs", compared=len(proof().compared)), on_change="rerun", key="fold-accuracy"
    ) as fold:
        if fold.open:
            _table(proof().compared, "accuracy_rows", tell("Expected and reported KV pool of every log"))


def _table(logs: tuple[JudgedLog, ...], key: str, alt: str) -> None:
    rows = [
        {
            tell("Model"): _named(one.model, load_model),
            tell("Device"): _named(one.device, load_gpu),
            "TP": one.tensor_parallel_size,
            tell("Engine"): f"{engine_class(one.engine).title} {one.engine_version}",
            tell("Reported, GiB"): one.reported_gib,
            tell("Expected, GiB"): one.predicted_gib,
            tell("Error"): 100 * (one.error or 0.0),
            tell("Use"): tell("kept back") if one.held_out else "calibration",
            tell("Log"): one.id,
        }
        for one in logs
    ]
    number = st.column_config.NumberColumn
    columns = {
        tell("Reported, GiB"): number(format="%.2f"),
        tell("Expected, GiB"): number(format="%.2f"),
        tell("Error"): number(format="%+.1f %%"),
    }
    st.dataframe(rows, hide_index=True, column_config=columns, key=key, alt=alt)


def _named(key: str, load: object) -> str:
    try:
        return str(load(key).name)  # type: ignore[operator]
    except CalculatorError:
        return key
