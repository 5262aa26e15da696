"""The page's engines: the same numbers as the library, its own way to share a model, versions."""

import pytest
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
)

from calculator.views import words


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
