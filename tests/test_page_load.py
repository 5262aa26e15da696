"""The tab of load: what is asked of traffic, its charts, its link; what cannot be is said at the field."""

import json

import pytest
from pages import change, checked, everything_said, expected, open_page, unescaped, unfold, view_of, warnings, widget

import calculator
from calculator import views
from dashboard.link.packing import MAX_LINK_PACKED, pack_trace, unpack_trace

TRACE = "input_tokens,output_tokens\n1000,200\n3000,50\n500,900\n"
OF_TRACE = calculator.workload_from_trace({"input_tokens": [1000, 3000, 500], "output_tokens": [200, 50, 900]})
LOAD = ("risk", "resident-tokens", "speed", "step")


def load_page(**link):
    return open_page(view="load", **link)


def states(page, workload, risk=0.01, plan=None):
    """The tab states the answer of this traffic, and draws it."""
    tab = view_of(page)
    plan = plan or expected()
    assert unescaped(tab.markdown[0].value) == f"**{views.load_answer(plan, workload, risk)}**"
    alts = [chart.proto.alt for chart in tab.get("plotly_chart")]
    assert alts == [views.VIEWS[name](plan, workload=workload, risk=risk).finding for name in LOAD]


def said_in_tab(page):
    """What the open tab says, and the data that it draws."""
    tab = view_of(page)
    charts = [chart.proto.spec for chart in tab.get("plotly_chart")]
    return [unescaped(element.value) for kind in (tab.markdown, tab.caption, tab.error) for element in kind] + charts


def read_trace(page, text):
    widget(page, "_trace_pasted").set_value(text)
    page.run()
    (button,) = [button for button in page.main.button if button.label == "Read the trace"]
    button.click()
    return checked(page.run())


# Means


def test_means_are_asked_and_answered_and_in_the_link():
    page = load_page()
    states(page, calculator.Workload(1.0, 1000, 250))
    change(page, "prompt_tokens", 2000)
    change(page, "output_cv", 0.5)
    change(page, "risk", 0.1)
    asked = calculator.Workload(1.0, 2000, 250, 1.0, 0.5)
    states(page, asked, 0.1)
    link = {name: page.query_params[name] for name in ("workload", "prompt_tokens", "output_cv", "risk")}
    assert link == {"workload": "means", "prompt_tokens": "2000", "output_cv": "0.5", "risk": "0.1"}
    states(load_page(**link), asked, 0.1)


FIELDS = [
    ("prompt_tokens", 700), ("output_tokens", 30), ("prompt_cv", 0.3), ("output_cv", 2.0), ("correlation", 0.4),
    ("shared_prefix_tokens", 640), ("max_output_tokens", 500), ("risk", 0.001), ("requests_per_second", 2.5),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), FIELDS)
def test_every_field_is_in_the_link_and_cleared_is_as_if_never_filled(name, value):
    page = load_page()
    before = said_in_tab(page)
    change(page, name, value)
    filled = said_in_tab(page)
    assert page.query_params[name] == f"{value:g}"
    assert said_in_tab(load_page(**{name: value})) == filled
    change(page, name, None)
    assert said_in_tab(page) == before
    again = open_page(**page.query_params)
    assert said_in_tab(again) == before
    assert widget(again, name).value in (None, "")


def test_arrivals_are_marked_in_speed():
    page = load_page(requests_per_second=1)
    found = views.speed_view(expected(), requests_per_second=1).finding
    assert "1 requests/s keep" in found
    assert found in everything_said(page)


def test_a_correlation_that_cannot_be_is_said_and_the_last_answer_stays_dimmed():
    page = load_page()
    answer = views.load_answer(expected(), calculator.Workload(1.0, 1000, 250))
    change(page, "correlation", -0.9)
    tab = view_of(page)
    (said,) = tab.error
    assert "Correlation -0.9 is not possible" in unescaped(said.value)
    assert "the nearest is -0.500" in unescaped(said.value)
    assert unescaped(tab.markdown[0].value) == f":gray[Before: {answer}]"
    assert all('"layer":"above"' in chart.proto.spec.replace(" ", "") for chart in tab.get("plotly_chart"))
    assert page.query_params["correlation"] == "-0.9"
    change(page, "correlation", -0.5)
    states(page, calculator.Workload(1.0, 1000, 250, correlation=-0.5))
    fresh = load_page(correlation=-0.9)  # where there is no last answer, the reason alone
    tab = view_of(fresh)
    assert ["Correlation -0.9 is not possible" in unescaped(error.value) for error in tab.error] == [True]
    assert list(tab.get("plotly_chart")) == []


# Tables


def test_a_shipped_table_with_its_licence_and_source_by_link_and_by_hand():
    page = load_page()
    change(page, "_traffic", "table")
    first = calculator.workload_ids()[0]
    assert page.query_params["workload"] == first
    assert "prompt_tokens" not in page.query_params
    change(page, "_table", "azure-2023-code")
    assert page.query_params["workload"] == "azure-2023-code"
    table = calculator.workload("azure-2023-code")
    states(page, table)
    said = everything_said(page)
    assert "8,819 requests, in the mean 2,048 tokens in and 28 out" in said
    assert f"Licence {table.licence}. Source: {table.source}." in said
    assert everything_said(load_page(workload="azure-2023-code")) == said
    change(page, "_traffic", "means")
    states(page, calculator.Workload(1.0, 1000, 250))


def test_means_beside_a_table_are_said_to_be_left_out():
    page = load_page(workload="azure-2023-code", prompt_tokens=5)
    (said,) = warnings(page)
    assert "prompt_tokens='5': belongs to workload=means" in said
    states(page, calculator.workload("azure-2023-code"))


# Traces


def test_a_trace_is_read_and_opens_by_its_link():
    page = load_page(workload="trace")
    tab = view_of(page)
    assert unescaped(tab.info[0].value) == "No trace is read yet: paste one, or choose a file"
    read_trace(page, TRACE)
    states(page, OF_TRACE)
    assert "Read: 3 requests, in the mean 1,500 tokens in and 383 out" in everything_said(page)
    link = dict(page.query_params)
    assert unpack_trace(link["trace"]) == TRACE.strip()
    assert widget(page, "_trace_pasted").value in (None, "")
    states(open_page(**link), OF_TRACE)


def test_a_trace_as_json_lines():
    lines = "\n".join(
        json.dumps({"input_tokens": prompt, "output_tokens": output})
        for prompt, output in ((1000, 200), (3000, 50), (500, 900))
    )
    states(read_trace(load_page(workload="trace"), lines), OF_TRACE)


def long_trace():
    rows = ((17 * row % 4001 + 1, 31 * row % 997 + 1) for row in range(9000))
    return "input_tokens,output_tokens\n" + "\n".join(f"{prompt},{output}" for prompt, output in rows)


def test_a_trace_that_is_too_long_for_a_link_is_kept_by_the_session_and_said():
    page = read_trace(load_page(workload="trace"), long_trace())
    said = everything_said(page)
    assert "Read: 9,000 requests" in said
    assert "This trace is too long for a link: whoever opens the link is asked for it." in said
    assert "trace" not in page.query_params
    change(page, "risk", 0.05)  # it outlives the next question
    assert "Read: 9,000 requests" in everything_said(page)
    other = open_page(**page.query_params)
    assert "No trace is read yet" in everything_said(other)


HOSTILE = [
    ("a,b\n1,2", "the column input_tokens is missing"),
    ("prompt_tokens,output_tokens\n1,2", "rename 'prompt_tokens' to it"),
    ("input_tokens,output_tokens\n-5,2", "row 1, input_tokens: must be a whole number from 1"),
    ("input_tokens,output_tokens\n5,1.5", "row 1, output_tokens: must be a whole number from 1"),
    ("input_tokens,output_tokens\n5,<script>alert(1)</script>", "must be a number, not '<script>alert(1)</script>'"),
    ("input_tokens,output_tokens\n", "input_tokens is empty"),
    ("input_tokens,output_tokens\n5\n", "row 1, output_tokens: is missing"),
    ('{"input_tokens": 1}', "the column output_tokens is missing"),
    ('{"a": ' * 5000, "row 1 is not a JSON object"),
    ("\x00\x01", "the column input_tokens is missing"),
]


def test_what_is_no_trace_is_said_at_the_field_and_the_last_one_stays_dimmed():
    page = load_page(workload="trace", trace=packed(TRACE))
    states(page, OF_TRACE)
    for text, why in HOSTILE:
        read_trace(page, text)
        tab = view_of(page)
        (said,) = tab.error
        assert why in unescaped(said.value)
        assert unescaped(tab.markdown[0].value) == f":gray[Before: {views.load_answer(expected(), OF_TRACE)}]"
    read_trace(page, TRACE)
    states(page, OF_TRACE)


def packed(text):
    rows = [line.split(",") for line in text.strip().split("\n")]
    return pack_trace(dict(zip(rows[0], zip(*(map(float, row) for row in rows[1:]), strict=True), strict=True)))


@pytest.mark.parametrize(
    ("trace", "why"),
    [
        ("x", "is not a trace that this page packed"),
        ("x" * (MAX_LINK_PACKED + 1), "longer than 16,384 characters"),
        (packed("input_tokens,output_tokens\n5,0"), "row 1, output_tokens: must be a whole number"),
    ],
)
def test_a_trace_of_a_link_that_cannot_be_is_said(trace, why):
    page = load_page(workload="trace", trace=trace)
    (said,) = warnings(page)
    assert why in said
    assert "No trace is read yet" in everything_said(page)


def test_a_packed_trace_never_unpacks_to_more_than_it_may():
    import base64
    import zlib

    many = "input_tokens,output_tokens\n" + "1,1\n" * 200_000
    bomb = base64.urlsafe_b64encode(zlib.compress(many.encode(), 9)).decode()
    assert len(bomb) < MAX_LINK_PACKED
    (said,) = warnings(load_page(workload="trace", trace=bomb))
    assert "unpacks to more than 262,144 bytes" in said


# Folds, and what cannot be answered


def test_folds_are_computed_once_they_are_opened():
    page = load_page()
    page.session_state["fold-circulates"] = True
    checked(page.run())
    said = everything_said(page)
    assert views.circulating_speeds().finding in said
    assert list(views.VIEWS["preemptions"](expected()).rows)
    page.session_state["fold-thrown-out"] = True
    checked(page.run())
    assert views.preemption_view(expected()).finding in everything_said(page)


def test_a_plan_that_does_not_fit_is_one_sentence_and_the_speed_that_was_not_checked():
    page = load_page(tensor_parallel_size=1)
    tab = view_of(page)
    assert "No request of this traffic is held: the plan does not fit: weights" in unescaped(tab.markdown[0].value)
    assert [chart.proto.alt.endswith("prompts.") for chart in tab.get("plotly_chart")] == [False, True]
    assert "Not checked: the plan does not fit." in everything_said(page)


def test_an_own_gpu_has_risks_and_says_that_its_speed_is_not_known():
    page = load_page(model="llama-3.1-8b", gpu="custom", gpu_memory_gib=80, tensor_parallel_size=1)
    tab = view_of(page)
    assert len(tab.get("plotly_chart")) == 2
    assert "the bandwidth of Own GPU is not known, so no speed can be computed." in unescaped(tab.markdown[0].value)


def test_traffic_outlives_a_look_at_another_tab():
    page = load_page(prompt_tokens=3000)
    page.session_state["view"] = "kv-heads"
    checked(page.run())
    assert page.query_params["prompt_tokens"] == "3000"
    page.session_state["view"] = "load"
    checked(page.run())
    states(page, calculator.Workload(1.0, 3000, 250))
    assert widget(page, "prompt_tokens").value == "3,000"


def test_each_chart_has_its_downloads_and_its_table():
    page = load_page()
    tab = view_of(unfold(page, *(f"fold-{name}" for name in LOAD)))
    assert [button.label for button in tab.get("download_button")] == [
        *["CSV", "Chart as HTML"] * 4, "Report (HTML)",
    ]  # fmt: skip
    frames = [table.value for table in tab.dataframe]
    made = [views.VIEWS[name](expected(), workload=calculator.Workload(1.0, 1000, 250)).frame() for name in LOAD]
    assert [len(frame) for frame in frames] == [len(frame) for frame in made]
    assert [list(frame.columns) for frame in frames] == [list(frame.columns) for frame in made]


def test_what_stands_beside_a_workload_that_there_is_not_is_judged_by_what_the_page_shows():
    page = load_page(workload="nope", prompt_tokens="-5", output_tokens="70")
    said = everything_said(page)
    assert "belongs to workload=means" not in said
    assert "prompt_tokens='-5'" in said
    assert widget(page, "output_tokens").value == "70"
