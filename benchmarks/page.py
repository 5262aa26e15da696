"""How long the page takes to appear, and to follow a change, beside three bare charts on a page of their own."""

from __future__ import annotations

import re
from contextlib import ExitStack
from functools import partial
from itertools import count
from statistics import median

from playwright.sync_api import Browser

import calculator
from benchmarks.browser import Awaited, change, chromium, fresh_page, open_page
from benchmarks.server import APP, BARE, ROOT, server
from benchmarks.timing import Measurement, duration, in_turns, stopwatch
from calculator.charts import memory_bar, sequence_length_chart
from calculator.charts.ready import Spec
from calculator.views import sequence_length_view

INPUT = re.compile("at once$")
FIRST_BATCH = 16
FIRST_RUNS, CHANGES = 5, 15

Phases = dict[str, float]


def first_run() -> Measurement:
    """Time navigation to charts drawn, with a fresh server and a fresh browser context for each."""
    floor_phases: list[Phases] = []
    phases: list[Phases] = []
    with chromium() as browser:
        floor, ours = in_turns(
            partial(_first_run, browser, BARE, Awaited("", charts=3), floor_phases),
            partial(_first_run, browser, APP, Awaited("", charts=2), phases),
            FIRST_RUNS,
        )
    return Measurement(
        name="first-run",
        measured="first run of the app, navigation to charts drawn",
        floor="first run of three bare charts",
        seconds=ours,
        floor_seconds=floor,
        aim_ratio=1.4,
        explain=partial(_why, phases, floor_phases),
        remark="fresh server and browser context each time; the app opens with two charts, its other views on demand",
    )


def _first_run(browser: Browser, script: str, awaited: Awaited, phases: list[Phases]) -> float:
    with server(script) as started, fresh_page(browser) as page:
        phases.append(open_page(page, started.address, awaited))
    return phases[-1]["charts"]


def redraw() -> Measurement:
    """Time Enter in an input to the charts that depend on it redrawn: the memory bar and that of sequence length."""
    floor_phases: list[Phases] = []
    phases: list[Phases] = []
    batches, floor_batches = count(FIRST_BATCH + 1), count(FIRST_BATCH + 1)
    with chromium() as browser, ExitStack() as stack:
        started, page = stack.enter_context(server(APP)), stack.enter_context(fresh_page(browser))
        floor, floor_page = stack.enter_context(server(BARE)), stack.enter_context(fresh_page(browser))
        open_page(floor_page, floor.address, Awaited("", charts=3))
        open_page(page, f"{started.address}?view=sequence-length", Awaited("", charts=2))

        def bare() -> float:
            batch = next(floor_batches)
            floor_phases.append(change(floor_page, INPUT, batch, Awaited("", charts=3, values=(batch,))))
            return floor_phases[-1]["charts"]

        def app() -> float:
            batch = next(batches)
            phases.append(change(page, INPUT, batch, Awaited("", charts=2, values=_drawn(batch))))
            return phases[-1]["charts"]

        floor_seconds, ours = in_turns(bare, app, CHANGES, warm_up=3)
    return Measurement(
        name="redraw",
        measured="Enter in an input to the app's two charts redrawn",
        floor="the same to three bare charts redrawn",
        seconds=ours,
        floor_seconds=floor_seconds,
        aim_ratio=1.15,
        explain=partial(_why, phases, floor_phases),
    )


def _drawn(batch_size: int) -> tuple[float, ...]:
    """Return the numbers by which the page's charts are known to be of a batch, on the plan that it opens on."""
    plan = calculator.plan(
        "llama-3-70b", gpu="a100-80gb-sxm", tensor_parallel_size=4, seq_len=8192, batch_size=batch_size
    )
    bar, lengths = memory_bar.ready(plan), sequence_length_chart.ready(sequence_length_view(plan))
    return _trace(bar, "KV of")["x"][0], _trace(lengths, "You")["y"][0]


def _trace(chart: Spec, name: str) -> Spec:
    found: Spec = next(trace for trace in chart["data"] if trace["name"].startswith(name))
    return found


def _why(phases: list[Phases], floor_phases: list[Phases]) -> str:
    """Say when each phase was seen on both pages, and what the scripts alone take."""
    seen = [
        f"{name} after {duration(_median(phases, name))} (bare {duration(_median(floor_phases, name))})"
        for name in ("application", "first element", "text", "charts")
        if _median(phases, name) > 0.01
    ]
    return (
        f"seen in the browser: {', '.join(seen)}; one run of the script alone, without a browser: "
        f"{duration(_script_seconds(APP))} (bare {duration(_script_seconds(BARE))})"
    )


def _median(phases: list[Phases], name: str) -> float:
    return median(each.get(name, 0.0) for each in phases)


def _script_seconds(script: str, runs: int = 9) -> float:
    from streamlit.testing.v1 import AppTest

    test = AppTest.from_file(str(ROOT / script), default_timeout=60).run()
    return median(stopwatch(test.run)() for _ in range(runs))
