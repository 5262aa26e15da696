"""Check my log and Method and accuracy: what the library says, one question at a time, a log that leaves no trace."""

import json
import re

import pytest
from logs import LOGS, VLLM_V1
from pages import GIB, change, checked, everything_said, headline, open_page, unescaped, widget

import calculator
from calculator.logs.proof.judged import proof
from calculator.views.pages import log as said
from calculator.views.pages import method

MISSING = {"sglang windows": "mimo-v2-flash", "sglang states": "qwen3.5-27b"}


def press(page, key):
    (button,) = [button for button in page.button if button.key == key]
    button.click()
    return checked(page.run())


def paste(page, text):
    widget(page, "_log").set_value(text)
    return press(page, "_read_log")


@pytest.mark.parametrize("name", LOGS)
def test_a_log_is_set_beside_its_plan_once_its_model_is_known(name):
    page = paste(open_page("log"), LOGS[name])
    if name in MISSING:
        assert unescaped(page.selectbox[0].label).startswith("Which model was it")
        change(page, "_log_model", MISSING[name])
    result = calculator.reconcile(LOGS[name], MISSING.get(name))
    assert headline(page) == said.headline(result)
    (table,) = page.table
    assert [unescaped(cell).strip("*") for cell in table.value["Term, GiB"]] == [row.name for row in said.rows(result)]


def test_a_log_stays_in_its_box_and_out_of_the_link():
    page = paste(open_page("log"), VLLM_V1)
    assert widget(page, "_log").value == VLLM_V1
    assert "sk-abcdef" not in str(dict(page.query_params))
    shown = everything_said(page)
    assert "hf_abcdefghijkl" not in shown  # in a line that was not understood
    assert "sk-abcdef123456" not in shown
    for badge in ("LLaMA 3.1 8B", "vLLM 0.11.0", "79.18 GiB", "0.90 of memory", "16,000 tokens"):
        assert f":gray-badge[{badge}]" in shown
    press(page, "_clear_log")
    assert widget(page, "_log").value == ""
    assert headline(page) == "Check a start-up log against its plan"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "There is no log yet: paste one, or choose a file"),
        ("nothing of memory", "No line is one that vLLM, SGLang, TensorRT-LLM or llama.cpp prints"),
        (LOGS["vllm"] + LOGS["sglang"], "The log holds lines of sglang and vllm"),
    ],
)
def test_what_is_no_log_is_said_and_the_last_answer_stays_dimmed(text, why):
    page = paste(open_page("log"), VLLM_V1)
    before = headline(page)
    paste(page, text)
    (error,) = page.error
    assert why in unescaped(error.value)
    assert widget(page, "_log").value == text
    assert unescaped(page.title[0].value) == f":gray[{before}]"
    assert not [button for button in page.button if button.key == "_use_log" and not button.disabled]


def test_what_a_log_does_not_say_is_asked_for_one_thing_at_a_time():
    page = paste(open_page("log", gpu="h100-sxm"), "Available KV cache memory: 35.00 GiB\n")
    assert [box.key for box in page.selectbox] == ["_log_model"]
    assert page.selectbox[0].value is None
    change(page, "_log_model", "llama-3.1-8b")
    # the page's own GPU is never taken unasked
    assert widget(page, "_log_gpu").value is None
    assert "not compared yet" in everything_said(page)
    change(page, "_log_gpu", "a100-40gb")
    assert headline(page) == said.headline(
        calculator.reconcile("Available KV cache memory: 35.00 GiB\n", "llama-3.1-8b", "a100-40gb")
    )
    change(page, "_log_gpu", "its memory")
    change(page, "_log_memory", 60.0)
    own = calculator.reconcile("Available KV cache memory: 35.00 GiB\n", "llama-3.1-8b", gpu_memory_bytes=60 * GIB)
    assert headline(page) == said.headline(own)


def test_a_log_that_names_neither_model_nor_gpu_takes_one_answer():
    text = (
        "Model loading took 14.9889 GiB and 9.2 seconds\nGPU KV cache size: 148,096 tokens\n"
        "Maximum concurrency for 131,072 tokens per request: 1.13x\n"
    )
    page = paste(open_page("log"), text)
    assert [box.key for box in page.selectbox] == ["_log_both"]
    change(page, "_log_both", ("llama-3.1-8b", "a100-40gb"))
    assert headline(page) == said.headline(calculator.reconcile(text, "llama-3.1-8b", "a100-40gb"))
    other = paste(open_page("log"), text)
    change(other, "_log_both", ("one_by_one", ""))
    assert [box.key for box in other.selectbox] == ["_log_model"]


def test_a_calibration_in_a_link_is_used_said_and_dropped():
    box = {"engine": "vllm", "engine_version": "0.33", "non_torch_bytes": 3 * GIB, "gpu_memory_bytes": 79 * GIB}
    asked = {"gpu": "a100-80gb-sxm", "tensor_parallel_size": 4, "seq_len": 8192, "batch_size": 16}
    page = open_page(calibration=json.dumps(box))
    plan = calculator.plan("llama-3-70b", calibration=box, **asked)
    assert re.search(rf"\b{plan.total_max_batch_size} (sequences|users) of 8,192 tokens", headline(page))
    assert plan.total_max_batch_size < calculator.plan("llama-3-70b", **asked).total_max_batch_size  # 3 GiB, not 2.1
    assert json.loads(page.query_params["calibration"]) == box
    wrong = open_page(calibration=json.dumps({**box, "engine": "none"}))
    assert "calibration" not in wrong.query_params
    assert any("unknown engine" in unescaped(text.value) for text in wrong.warning)


def test_the_method_says_how_far_off_answers_have_been():
    page = open_page("method")
    assert headline(page) == method.headline()
    (table,) = page.table
    assert len(table.value) == 4
    misses = page.dataframe[0].value
    assert list(misses["Log"]) == [one.id for one in method.outside()]
    assert len(misses) == sum(not one.in_range for one in proof().compared)
    assert "Caches and profiling of vision and audio encoders" in everything_said(page)
