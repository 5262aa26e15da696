"""The page of comparison: engines side by side, what differs, and which flag brings it back; every state by link."""

import pytest
from pages import change, expected, headline, open_page, unescaped, warnings

import calculator
from calculator import views
from dashboard.link.compare_parameters import COMPARE


def test_opens_on_every_engine_and_every_version():
    page = open_page("compare")
    said = [unescaped(element.value) for element in page.markdown]
    assert views.engines_view(expected()).finding in said
    assert any(text.endswith(views.versions_view(expected()).finding) for text in said)


@pytest.mark.parametrize(
    ("asked", "keywords"),
    [
        ({"to_engine_version": "0.19"}, {"engine_version": "0.19"}),
        ({"to_gpu": "h200", "to_tensor_parallel_size": 2}, {"gpu": "h200", "tensor_parallel_size": 2}),
        (
            {"to_model": "qwen2.5-72b", "to_kv_cache_dtype": "fp8_e4m3"},
            {"model": "qwen2.5-72b", "kv_cache_dtype": "fp8_e4m3"},
        ),
    ],
)
def test_a_link_compares_what_is_other(asked, keywords):
    page = open_page("compare", **asked)
    compared = calculator.compare(expected(), expected(**keywords))
    assert headline(page) == compared.finding
    assert list(page.dataframe[0].value["What"]) == [row.name for row in compared.changed]
    assert [element.value for element in page.code] == [one.flag for one in compared.restoring]
    for name, value in asked.items():
        assert page.query_params[name] == str(value)


def test_a_link_names_a_model_and_a_gpu_as_drivers_and_the_hub_do():
    page = open_page("compare", to_gpu="NVIDIA H200", to_model="meta-llama/Llama-3.1-70B-Instruct")
    assert headline(page) == calculator.compare(expected(), expected(gpu="h200", model="llama-3.1-70b")).finding
    assert (page.query_params["to_gpu"], page.query_params["to_model"]) == ("h200", "llama-3.1-70b")
    assert "h100-nvl or h100-pcie or h100-sxm" in warnings(open_page("compare", to_gpu="H100"))[0].replace(
        "it can be ", ""
    )


def test_another_engine_answers_the_same_request_with_its_own_defaults():
    page = open_page("compare", to_engine="llama.cpp")
    other = views.on_engine(expected(), "llama.cpp")
    assert headline(page) == calculator.compare(expected(), other).finding


def test_what_is_chosen_by_hand_is_compared_and_in_the_link():
    page = change(open_page("compare"), "to_engine", "sglang")
    assert headline(page) == calculator.compare(expected(), views.on_engine(expected(), "sglang")).finding
    assert page.query_params["to_engine"] == "sglang"


@pytest.mark.parametrize("name", COMPARE)
def test_what_cannot_be_is_said_and_nothing_is_lost(name):
    page = open_page("compare", **{name: "<b>x</b>"})
    problems = [*warnings(page), *(unescaped(element.value) for element in page.error)]
    assert len(problems) == 1
    assert "<b>x</b>" in problems[0]
