"""The page's engines: the same numbers as the library, a log that leaves no trace, the command to copy."""

import pytest
from logs import LOGS, VLLM_V1
from pages import change, checked, expected, headline, open_page, unescaped, widget

import calculator
from calculator.planning.command import serve_command


def reconciled(page):
    (tab,) = [tab for tab in page.tabs if list(tab.children)]
    return tab


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
    assert headline(page).startswith(f"{answer.max_batch_size} sequences of 8,192 tokens fit")
    said = " ".join(unescaped(caption.value) for caption in page.caption)
    assert f"rules of {answer.rules.title}" in said
    assert answer.rules.budget_words(answer.model, answer.request) in said


def test_llama_cpp_says_how_to_split_instead():
    page = open_page(engine="llama.cpp")
    (error,) = page.error
    assert "llama.cpp puts whole layers on each GPU; give pipeline_parallel_size 4" in unescaped(error.value)


def test_the_range_and_its_cause_are_said():
    answer = expected()
    said = " ".join(unescaped(text.value) for text in open_page().markdown)
    low, high = answer.max_batch_size_low, answer.max_batch_size_high
    assert f"Range: {low} to {high} sequences; the spread is {answer.range_cause}." in said


def test_what_is_not_modelled_is_said():
    said = " ".join(unescaped(caption.value) for caption in open_page().caption)
    assert "Not modelled: caches and profiling of vision and audio encoders" in said


def test_the_command_can_be_copied():
    page = open_page()
    assert serve_command(expected()) in [element.value for element in page.code]


def test_a_version_that_is_none_is_refused_and_nothing_is_lost():
    page = open_page()
    change(page, "engine_version", "soon")
    (error,) = page.error
    assert "engine_version must look like 0.33" in unescaped(error.value)
    change(page, "engine_version", "0.19")
    assert headline(page).startswith(f"{expected(engine_version='0.19').max_batch_size} sequences")


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
    tab = paste(open_page(view="reconcile", gpu="h200"), LOGS[name])
    (table,) = tab.dataframe
    assert list(table.value.columns) == ["Figure", "Unit", "Predicted", "Range", "Reported", "Difference"]
    said = [unescaped(element.value) for element in (*tab.success, *tab.warning)]
    assert len(said) == 1


def test_the_columns_are_those_of_the_library():
    tab = paste(open_page(view="reconcile"), VLLM_V1)
    result = calculator.reconcile(VLLM_V1)
    (said,) = tab.success
    assert unescaped(said.value) == result.finding
    (table,) = tab.dataframe
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


def test_a_log_without_a_model_takes_the_pages():
    tab = paste(open_page(view="reconcile", seq_len=16000), "Available KV cache memory: 35.00 GiB\n")
    (said,) = (*tab.success, *tab.warning)
    assert unescaped(said.value).startswith("LLaMA 3 70B on vLLM: a KV pool of")
