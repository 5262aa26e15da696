"""The page of comparison: plans side by side by link and by pins, what differs first, and what brings it back."""

from urllib.parse import parse_qsl

import pytest
from pages import change, checked, expected, headline, open_page, unescaped, warnings

import calculator
from calculator import views
from calculator.views.comparing import difference
from dashboard import state
from dashboard.compare import pins
from dashboard.link.compare_parameters import COMPARE


def pin(**changes):
    held = {name: parameter.default for name, parameter in state.PARAMETERS.items()}
    return pins.of_link(state.link_of(held | changes))


def compares(page, *plans):
    """The page states what differs between these plans, row by row."""
    beside = views.side_by_side(plans)
    assert headline(page) == difference.headline(beside)
    shown = page.table[0].value
    assert [unescaped(name) for name in shown[" "]] == [row.name for row in beside.differing]
    for letter, index in zip("ABCD", range(len(plans)), strict=False):
        said = [unescaped(text).replace("\u2060", "").split(" **")[0] for text in shown[letter]]
        assert said == [row.cells[index].text for row in beside.differing]


def press(page, label):
    (button,) = [each for each in page.main.button if each.label == label]
    button.click()
    return checked(page.run())


# What stands beside nothing


def test_opens_on_every_engine_and_every_version():
    page = open_page("compare")
    assert headline(page) == difference.engine_by_engine(views.engines_view(expected()))
    assert views.engines_view(expected()).finding in [unescaped(element.value) for element in page.markdown]
    assert f"LLaMA 3 70B: {views.versions_view(expected()).finding}" in [unescaped(one.value) for one in page.subheader]
    assert all("LLaMA 3 70B" in chart.proto.alt for chart in page.get("plotly_chart"))


# By the fields of what is other


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
    compares(page, expected(), expected(**keywords))
    compared = calculator.compare(expected(), expected(**keywords))
    flags = [one.flag for one in compared.restoring]
    assert [element.value for element in page.code if "?model=" not in element.value][: len(flags)] == flags
    assert {name: page.query_params[name] for name in asked} == {name: str(value) for name, value in asked.items()}
    page.session_state["fold-causes"] = True
    checked(page.run())
    assert list(page.dataframe[0].value["What"]) == [row.name for row in compared.changed]


def test_a_link_names_a_model_and_a_gpu_as_drivers_and_the_hub_do():
    page = open_page("compare", to_gpu="NVIDIA H200", to_model="meta-llama/Llama-3.1-70B-Instruct")
    compares(page, expected(), expected(gpu="h200", model="llama-3.1-70b"))
    assert (page.query_params["to_gpu"], page.query_params["to_model"]) == ("h200", "llama-3.1-70b")
    assert "h100-nvl or h100-pcie or h100-sxm" in warnings(open_page("compare", to_gpu="H100"))[0].replace(
        "it can be ", ""
    )


def test_another_engine_answers_the_same_request_with_its_own_defaults():
    other = views.on_engine(expected(), "llama.cpp")
    page = open_page("compare", to_engine="llama.cpp")
    compares(page, expected(), other)
    press(page, "Swap")
    compares(page, other, expected())
    assert "to_engine" not in page.query_params


def test_what_is_chosen_by_hand_is_compared_pinned_and_in_the_link():
    page = change(open_page("compare"), "to_engine", "sglang")
    other = views.on_engine(expected(), "sglang")
    compares(page, expected(), other)
    press(page, "Pin both")
    page.session_state["chip_add"] = True
    checked(page.run())
    change(page, "to_gpu", "h200")  # beside the first of what is pinned
    compares(page, expected(), other, expected(gpu="h200"))
    link = page.query_params
    compares(open_page("compare", **link), expected(), other, expected(gpu="h200"))
    press(page, "Pin all")
    compares(page, expected(), other, expected(gpu="h200"))
    assert len(page.query_params["pinned"].split(",")) == 3
    next(each for each in page.main.button if each.key == "drop_A").click()
    compares(checked(page.run()), other, expected(gpu="h200"))


def test_what_cannot_be_planned_is_said_and_the_last_answer_stays_dimmed():
    page = open_page("compare", to_gpu="h200")
    before = headline(page)
    change(page, "to_tensor_parallel_size", 3)
    (error,) = page.error
    assert "3" in error.value
    assert headline(page) == f":gray[Before: {before}]"
    change(page, "to_tensor_parallel_size", 2)
    compares(page, expected(), expected(gpu="h200", tensor_parallel_size=2))


@pytest.mark.parametrize("name", COMPARE)
def test_what_cannot_be_is_said_and_nothing_is_lost(name):
    page = open_page("compare", **{name: "<b>x</b>"})
    problems = [*warnings(page), *(unescaped(element.value) for element in page.error)]
    assert len(problems) == 1
    assert "<b>x</b>" in problems[0]


# By pins


def test_pinned_plans_stand_side_by_side_and_fewer_than_two_beside_the_landing_page():
    two = [pin(gpu="h200"), pin(gpu="mi300x", batch_size=8, data_parallel_size=2, enforce_eager=True)]
    plans = [expected(gpu="h200"), expected(gpu="mi300x", batch_size=8, data_parallel_size=2, enforce_eager=True)]
    page = open_page("compare", pinned=",".join(two))
    compares(page, *plans)
    assert page.query_params["pinned"] == ",".join(two)
    compares(open_page("compare", pinned=two[1], model="qwen2.5-72b"), plans[1], expected(model="qwen2.5-72b"))
    # one that is the landing page's plan stands by itself
    assert headline(open_page("compare", pinned=pin())).endswith("on llama.cpp")


CALIBRATION = '{"engine":"vllm","engine_version":"0.19.0","non_torch_bytes":2147483648}'
OWN = {
    "model": "custom", "num_layers": 8, "num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 64,
    "hidden_size": 1024, "intermediate_size": 4096, "vocab_size": 32000, "max_position_embeddings": 8192,
    "tie_word_embeddings": True,
}  # fmt: skip


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"gpu": "custom", "gpu_memory_gib": 47.125, "activation_gib": 1.3, "engine_version": "0.19"},
        {"engine": "sglang", "batch_size": None, "seq_len": 16384, "kv_cache_dtype": "fp8_e4m3"},
        {"speculative_config": '{"method": "ngram", "num_speculative_tokens": 3}', "max_num_seqs": 64},
        {**OWN, "gpu": "rtx-4090", "tensor_parallel_size": 2},
        {"calibration": CALIBRATION, "engine_version": "0.19"},
    ],
    ids=["opening", "own memory", "cleared", "drafts", "own model", "calibrated"],
)
def test_a_pin_is_the_plan_that_its_link_opens_and_so_is_one_made_of_the_plan(asked, monkeypatch):
    plan = pins.plan_of(pin(**asked))
    page = open_page(**dict(parse_qsl(pins.packing.unpack_text(pin(**asked)))))
    assert warnings(page) == []
    assert pins.link_of(pin(**asked)).items() <= dict(page.query_params).items()
    held = {name: parameter.default for name, parameter in state.PARAMETERS.items()}
    monkeypatch.setattr(state, "held", lambda *names: {name: (held | asked)[name] for name in names})
    assert pins.plan_of(pins.of_plan(plan)) == plan


BROKEN = [
    ("x", "is not a plan that this page pinned"),
    (",".join(pin(batch_size=count) for count in range(1, 6)), "holds 5 plans, at most 4 are pinned"),
    (pins.packing.pack_text("no link"), "is not a plan that this page pinned"),
]


@pytest.mark.parametrize(("pinned", "why"), BROKEN)
def test_a_link_with_pins_that_are_none_says_so(pinned, why):
    (said,) = warnings(open_page("compare", pinned=pinned))
    assert why in said


def test_a_pin_that_cannot_be_planned_is_left_out_and_said():
    bad = pins.packing.pack_text("model=llama-3-70b&gpu=h200&tensor_parallel_size=3&seq_len=8192&batch_size=1")
    page = open_page("compare", pinned=f"{bad},{pin(gpu='h200')}")
    assert any(text.startswith("A pinned plan cannot be planned and was left out") for text in warnings(page))
    compares(page, expected(gpu="h200"), expected())
