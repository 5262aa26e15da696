"""The page's engines: the same numbers as the library, a log that leaves no trace, the command to copy."""

import pytest
from logs import LOGS, VLLM_V1
from pages import (
    agrees,
    at_field,
    change,
    checked,
    everything_said,
    expected,
    headline,
    open_page,
    unescaped,
    unfold,
    warnings,
    widget,
)

import calculator
from calculator.views import words


def reconciled(page):
    return page


def paste(page, text):
    widget(page, "_log").set_value(text)
    (button,) = [button for button in page.button if button.key == "_reconcile"]
    button.click()
    checked(page.run())
    return reconciled(page)


@pytest.mark.parametrize("engine", ["sglang", "tensorrt-llm"])
def test_another_engine_answers_by_its_own_rules(engine):
    page = open_page()
    change(page, "engine", engine)
    answer = expected(engine=engine)
    agrees(page, answer)
    unfold(page, "exact")
    said = everything_said(page)
    assert f"{answer.rules.title} {answer.rules.version}: " in said
    assert answer.rules.budget_words(answer.model, answer.request) in said


def test_a_link_to_llama_cpp_takes_its_way_to_split_and_says_so():
    page = open_page(engine="llama.cpp")
    agrees(page, expected(engine="llama.cpp", tensor_parallel_size=1, pipeline_parallel_size=4))
    assert warnings(page) == ["llama.cpp puts whole layers on each GPU: TP 4 became 4 parts of the layers."]


def test_the_range_and_its_cause_are_said():
    answer = expected()
    said = everything_said(open_page())
    low, high = answer.max_batch_size_low, answer.max_batch_size_high
    assert f"Range {low} to {high}, from {answer.range_cause}." in said


def test_a_version_that_is_none_leaves_the_last_answer_and_says_why_beside_the_settings():
    page = open_page()
    change(page, "engine_version", "soon")
    (said,) = at_field(page)
    assert "engine_version must look like 0.33" in said
    assert headline(page) == f":gray[{words.headline(expected())}]"
    assert list(page.get("download_button")) == []
    change(page, "engine_version", "0.19")
    agrees(page, expected(engine_version="0.19"))
    change(page, "engine_version", "soon")
    *_, button = [button for button in page.button if (button.key or "").startswith("nearest-")]
    assert button.label == "engine\\_version as it opens"
    checked(button.click().run())
    agrees(page, expected())


@pytest.mark.parametrize(
    ("engine", "asked", "said"),
    [
        ("vllm", "b4321", "engine_version must look like 0.33 or 0.33.0, not 'b4321' (of vLLM)"),
        ("sglang", "soon", "engine_version must look like 0.5 or 0.5.23, not 'soon' (of SGLang)"),
        ("llama.cpp", "0.19", "engine_version of llama.cpp is a build such as b4321"),
    ],
)
def test_a_version_in_a_link_is_read_as_its_engine_reads_it(engine, asked, said):
    page = open_page(engine=engine, engine_version=asked)
    (problem,) = (text for text in (unescaped(element.value) for element in page.warning) if "The link asked" in text)
    assert said in problem
    assert "Used in its place: the newest known" in problem
    known = open_page(engine="llama.cpp", engine_version="b4321")
    assert known.query_params["engine_version"] == "b4321"
    assert not [element for element in known.warning if "The link asked" in unescaped(element.value)]


@pytest.mark.parametrize("name", LOGS)
def test_a_pasted_log_is_set_beside_the_plan(name):
    page = open_page(view="reconcile", gpu="h200")
    tab = paste(page, LOGS[name])
    if not [box for box in tab.dataframe if "Predicted" in box.value.columns]:
        change(page, "_log_model", {"sglang windows": "mimo-v2-flash"}.get(name, "qwen3.5-27b"))
        tab = reconciled(page)
    (table,) = [box for box in tab.dataframe if "Predicted" in box.value.columns]
    assert list(table.value.columns) == ["Figure", "Unit", "Predicted", "Range", "Reported", "Difference"]
    said = [unescaped(element.value) for element in (*tab.success, *tab.warning)]
    assert len(said) == 1


def test_the_columns_are_those_of_the_library():
    tab = paste(open_page(view="reconcile"), VLLM_V1)
    result = calculator.reconcile(VLLM_V1)
    (said,) = tab.success
    assert unescaped(said.value) == result.finding
    (table,) = [box for box in tab.dataframe if "Predicted" in box.value.columns]
    assert [cells[0] for cells in table.value.itertuples(index=False)] == [term.name for term in result.terms]


def test_nothing_of_a_log_is_kept_in_the_link_or_the_box():
    page = open_page(view="reconcile")
    tab = paste(page, VLLM_V1)
    assert widget(page, "_log").value == ""
    assert "sk-abcdef" not in str(dict(page.query_params))
    everything = " ".join(str(element.value) for element in (*tab.markdown, *tab.caption, *tab.code))
    assert "hf_abcdefghijkl" not in everything
    assert "sk-abcdef123456" not in everything
    assert set(page.query_params) == set(open_page(view="reconcile").query_params)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "There is no log yet: paste one, or choose a file"),
        ("nothing of memory", "No line is one that vLLM, SGLang, TensorRT-LLM or llama.cpp prints"),
        (LOGS["vllm"] + LOGS["sglang"], "The log holds lines of sglang and vllm"),
    ],
)
def test_what_is_no_log_is_said(text, said):
    tab = paste(open_page(view="reconcile"), text)
    (error,) = tab.error
    assert said in unescaped(error.value)


def test_what_a_log_does_not_say_is_asked_for_one_thing_at_a_time():
    page = open_page(view="reconcile", gpu="h100-sxm")
    tab = paste(page, "Available KV cache memory: 35.00 GiB\n")
    assert not [*tab.success, *tab.warning]
    (field,) = [box for box in tab.selectbox if box.key in ("_log_model", "_log_gpu")]
    assert (unescaped(field.label), field.value) == ("Which model was it? The log does not say", None)
    change(page, "_log_model", "llama-3.1-8b")
    tab = reconciled(page)
    (said,) = (*tab.success, *tab.warning)
    # the page's own GPU is never taken unasked
    assert unescaped(said.value).endswith("the device is not known, so the KV pool of 35.00 GiB cannot be predicted.")
    assert widget(page, "_log_gpu").value is None
    change(page, "_log_gpu", "a100-40gb")
    (said,) = (*reconciled(page).success, *reconciled(page).warning)
    assert unescaped(said.value).startswith("LLaMA 3.1 8B on vLLM: a KV pool of ")
