"""Why a plan does not fit, and what would change the answer: what is offered keeps its promise."""

import re

import pytest
from pages import GIB, agrees, checked, everything_said, expected, headline, levers_on, metric, open_page, unescaped

import calculator

# Does not fit


def test_a_model_that_does_not_fit_says_needed_and_available():
    # LLaMA 3 70B in 16 bit is 141 GB; one A100 has 79.2 GiB.
    page = open_page(tensor_parallel_size=1)
    assert headline(page) == "LLaMA 3 70B does not fit on 1 × A100 80GB SXM"
    plan = expected(tensor_parallel_size=1)
    (said,) = [unescaped(error.value) for error in page.error]
    assert f"{plan.per_gpu.before_kv_bytes / GIB:.2f} GiB" in said
    assert f"available are {plan.per_gpu.requested_bytes / GIB:.2f} GiB" in said
    assert metric(page, "Sequences that fit") == "0"


def test_a_pool_that_exceeds_the_device_is_said_with_what_runs_outside_the_budget():
    # SGLang's activations and graphs are in no budget, but on the device all the same
    asked = {"model": "llama-3.1-8b", "gpu": "h100-sxm", "engine": "sglang", "tensor_parallel_size": 1}
    page = open_page(**asked, kv_cache_memory_gib=64)
    plan = expected(**asked, kv_cache_memory_bytes=64 * GIB)
    memory = plan.per_gpu
    lines = memory.weights_bytes + memory.activation_bytes + memory.non_torch_bytes + memory.cuda_graph_bytes + 64 * GIB
    together, missing = lines / GIB, (lines - memory.total_bytes) / GIB
    assert memory.before_kv_bytes + 64 * GIB < lines
    assert f"together {together:.2f} GiB" in everything_said(page)
    assert f"{missing:.2f} GiB are missing" in everything_said(page)
    assert headline(page) == "LLaMA 3.1 8B with a KV pool of 64.00 GiB does not fit on 1 × H100 SXM"


def test_a_batch_that_does_not_fit_says_what_would():
    page = open_page(batch_size=70)
    plan = expected(batch_size=70)
    (said,) = [unescaped(error.value) for error in page.error]
    assert headline(page) == "70 sequences of 8,192 tokens do not fit on 4 × A100 80GB SXM"
    assert "needs 43.75 GiB on one GPU" in said  # 70 x 2.5 GiB / 4
    assert f"{plan.max_batch_size} sequences of 8,192 tokens would fit" in said
    assert f"70 sequences of {plan.max_context_len:,} tokens would fit" in said


def test_every_change_offered_where_it_does_not_fit_makes_it_fit():
    number = len(calculator.what_would_fit(expected(batch_size=70)))
    assert number >= 4  # a format, more GPUs, a shorter context, another GPU
    for index in range(number):
        page = open_page(batch_size=70)
        offered = [button for button in page.main.button if button.key.startswith("best-")]
        assert len(offered) == number
        offered[index].click()
        checked(page.run())
        assert [error.value for error in page.error] == []
        assert " fit on " in headline(page)


# Levers


@pytest.mark.parametrize("index", range(5))
def test_a_click_on_a_lever_gives_the_number_that_it_promised(index):
    page = open_page()
    steps = calculator.next_steps(expected())
    assert len(levers_on(page)) == len(steps) == 5
    button = levers_on(page)[index]
    assert unescaped(button.label) == steps[index].label
    promised = steps[index].plan.total_max_batch_size
    assert f"{promised:,} ({steps[index].gain:+,})" in everything_said(page).replace("**", "")
    button.click()
    checked(page.run())
    agrees(page, steps[index].plan)
    assert headline(page).startswith(f"{promised} sequences")
    assert open_page(**page.query_params).title[0].value == page.title[0].value


def test_levers_are_sorted_by_gain():
    page = open_page()
    gains = [int(gain.replace(",", "")) for gain in re.findall(r"\(([+-][\d,]+)\)", everything_said(page))]
    assert len(gains) == 5
    assert gains == sorted(gains, reverse=True)


def test_levers_are_sorted_by_gain_where_nothing_fits():
    page = open_page(batch_size=70)
    gains = [int(gain.replace(",", "")) for gain in re.findall(r"\(([+-][\d,]+)\)", everything_said(page))]
    assert len(gains) == len(levers_on(page))
    assert gains == sorted(gains, reverse=True)


def test_a_pool_that_is_too_large_is_lowered_by_a_click():
    page = open_page(kv_cache_memory_gib=1000)
    lever = calculator.what_would_fit(expected(kv_cache_memory_bytes=1000 * GIB))[0]
    (button,) = [button for button in levers_on(page) if unescaped(button.label) == lever.label]
    checked(button.click().run())
    held = lever.changes["kv_cache_memory_bytes"] // (5 * GIB // 8)  # 2.5 GiB a sequence, on four GPUs
    assert headline(page) == f"{held} sequences of 8,192 tokens fit on 4 × A100 80GB SXM"
    assert page.session_state["kv_cache_memory_gib"] * GIB == lever.changes["kv_cache_memory_bytes"]


def test_nothing_is_listed_where_no_change_gains_anything():
    page = open_page(seq_len=10**9, batch_size=10**9)
    assert "No single change" in everything_said(page)
    assert [expander.label for expander in page.expander if "single changes" in expander.label] == []


def test_all_levers_are_listed_when_asked():
    page = open_page()
    assert levers_on(page, "all") == []
    page.session_state["all_levers"] = True
    checked(page.run())
    found = calculator.levers(expected())
    assert [unescaped(button.label) for button in levers_on(page, "all")] == [lever.label for lever in found]
    worst = levers_on(page, "all")[-1]
    worst.click()
    checked(page.run())
    agrees(page, found[-1].plan)


def test_a_lever_to_another_gpu_leaves_the_memory_typed_by_hand():
    page = open_page(gpu="custom", gpu_memory_gib=60)
    (button,) = [button for button in levers_on(page) if "instead of Own GPU" in unescaped(button.label)]
    name = unescaped(button.label).split(" instead of ")[0]
    button.click()
    checked(page.run())
    assert headline(page).endswith(name)
    assert "gpu_memory_gib" not in page.query_params
