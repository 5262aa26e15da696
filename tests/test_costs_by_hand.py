"""Prices as they are given, what a change costs in answers, and what is not sure of it."""

import pytest

import calculator
from calculator.catalogue.published import published_pairs
from calculator.planning.sizing.costs import PUBLISHED, quality_of, risk_of
from calculator.planning.sizing.prices import Price, checked_prices, gpus_of, price_in_text, price_of, prices_in_text

H100 = calculator.load_gpu("h100-sxm")


@pytest.mark.parametrize(
    ("given", "pair"),
    [(2.5, (2.5, 2.5)), ((2, 3), (2.0, 3.0)), ([2, 2], (2.0, 2.0)), (1e5, (1e5, 1e5)), (1e-9, (1e-9, 1e-9))],
)
def test_a_price_is_a_number_or_a_pair(given, pair):
    assert checked_prices({"h100-sxm": given}) == {"h100-sxm": pair}
    assert price_of(H100, {"NVIDIA H100 80GB HBM3": given}) == Price(pair, own=True)
    assert str(price_of(H100, {"h100-sxm": given}).words) == "your own"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (0, "more than 0"), (-1, "more than 0"), (1e5 + 1, "at most 100,000"), (float("nan"), "more than 0"),
        (True, "more than 0"), ("2", "more than 0"), ((1, 2, 3), "or the lowest and the highest"), ((1,), "the lowest"),
        ((3, 2), "goes from 3 to 2: the lowest comes first"), (None, "leave a GPU out"), ((0, 2), "more than 0"),
    ],
)  # fmt: skip
def test_what_is_no_price(given, said):
    with pytest.raises(calculator.InvalidValueError, match=said) as refused:
        checked_prices({"h100-sxm": given})
    assert refused.value.what == "prices"
    if given == (3, 2):
        assert refused.value.nearest == (2, 3)


def test_whose_price_it_is():
    assert checked_prices(None) == {}
    for given, said in (
        ({"h100-sxm": 1, "NVIDIA H100 80GB HBM3": 2}, "name h100-sxm twice"),
        ({"rtx-9090": 1}, "unknown GPU in prices"),
        ({3: 1}, "unknown GPU in prices"), ({"H100": 1}, "it can be"), ([("h100-sxm", 1)], "prices map the ids"),
    ):  # fmt: skip
        with pytest.raises(calculator.CalculatorError, match=said):
            checked_prices(given)


@pytest.mark.parametrize(
    ("price", "words"),
    [
        (Price((1.0, 2.0), "2026-10-01", 3), "2026-10-01, 3 quotes"),
        (Price((1.0, 2.0), "2026-10-01", 1), "2026-10-01, 1 quote"),
        (Price((1.0, 2.0), "2026-10-01"), "2026-10-01"), (Price((1.0, 2.0), "", 2), "without a date, 2 quotes"),
        (Price((1.0, 2.0), own=True), "your own"),
    ],
)  # fmt: skip
def test_a_price_in_words(price, words):
    assert str(price.words) == words


def test_prices_in_text():
    assert price_in_text(" h100-sxm =2.5") == ("h100-sxm", 2.5)
    assert price_in_text("h100-sxm=2:3") == ("h100-sxm", (2.0, 3.0))
    assert prices_in_text("h100-sxm=2, , mi300x=1.5:3,") == {"h100-sxm": 2.0, "mi300x": (1.5, 3.0)}
    for text in ("h100-sxm", "h100-sxm=", "h100-sxm=x", "h100-sxm=1:2:3", "h100-sxm=$2"):
        with pytest.raises(calculator.InvalidValueError, match=r"price must be such as h100-sxm=2\.5"):
            price_in_text(text)
    with pytest.raises(calculator.InvalidValueError, match="name h100-sxm twice"):
        prices_in_text("h100-sxm=2,h100-sxm=3")


def test_gpus_that_are_asked_for():
    assert [gpu.id for gpu in gpus_of("h200")] == ["h200"]
    assert [gpu.id for gpu in gpus_of(["h200", H100, "NVIDIA H200"])] == ["h200", "h100-sxm"]
    assert len(gpus_of(None)) > 10
    with pytest.raises(calculator.InvalidValueError, match="gpus names no GPU"):
        gpus_of([])


def test_what_a_change_costs_in_answers():
    assert quality_of({"weight_dtype": "fp8"}).startswith("nothing is published here for weights in fp8")
    assert quality_of({"seq_len": 4096}) == "what is longer than 4,096 tokens is cut"
    assert quality_of({"tensor_parallel_size": 2}) == ""
    assert quality_of({"kv_cache_dtype": "fp8_e5m2"}).startswith("nothing is published here for fp8_e5m2")
    for name, variants in PUBLISHED.items():
        pairs = [each for each in published_pairs() if each.kind == "format" and each.variant in variants]
        pairs = [each for each in pairs if each.unit in ("points", "%", "PPL")]
        assert pairs, name
        # the share of the score that is lost, of what is better where higher, and of what is better where lower
        lost = {
            each: (each.baseline - each.value) / each.baseline * (1 if each.higher_is_better else -1) for each in pairs
        }
        worst = max(pairs, key=lost.get)
        text = quality_of({"kv_cache_dtype": name})
        assert f"{worst.model}, {worst.benchmark} {worst.baseline:g} to {worst.value:g} ({worst.source})" in text
        assert text.startswith("published" if len(pairs) == 1 else f"worst of {len(pairs)} published")
    assert {name: set(variants) for name, variants in PUBLISHED.items()} == {
        "q8_0": {"q8_0"}, "q4_0": {"q4_0"}, "fp8_e4m3": {"fp8, after the accumulation fix"}, "nvfp4": {"FP4"},
        "int4_per_token_head": {"4 bit, K and V per token"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "note", "said"),
    [
        ({"decode_context_parallel_size": 2}, "", "partial attention"), ({"decode_context_parallel_size": 1}, "", ""),
        ({"enable_expert_parallel": True}, "", "loaded unevenly"), ({"enable_expert_parallel": False}, "", ""),
        ({"enable_attention_dp": True}, "", "stays on its rank"), ({"pipeline_parallel_size": 2}, "", "one after the"),
        ({"weight_dtype": "fp8"}, "a note", "a note"), ({"gpu": "h200"}, "a note", "a note"),
        ({"weight_dtype": "fp8"}, "", ""),
        ({"seq_len": 8}, "a note", ""),
    ],
)  # fmt: skip
def test_what_is_not_sure_of_a_change(changes, note, said):
    plan = calculator.plan("llama-3-8b", gpu="h100-sxm", seq_len=1024)
    text = str(risk_of(changes, plan, note))
    assert (said in text) if said else (text == "")
    assert "; " not in text
    unsure = calculator.plan("llama-3-8b", gpu="h100-sxm-mig-7g.80gb", seq_len=1024)
    assert ("is not verified" in risk_of({"gpu": "x"}, unsure, "")) is True
