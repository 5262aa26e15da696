"""What a preset holds is worked out once for all batch sizes; nothing else may be answered by what was found before."""

import dataclasses

import pytest

import calculator

ASKED = {"gpu": "a100-80gb-sxm", "tensor_parallel_size": 2, "seq_len": 4096}
OTHERS = [
    {"gpu": "h100-sxm"},
    {"gpu": None, "gpu_memory_bytes": 40 * 2**30},
    {"tensor_parallel_size": 4},
    {"seq_len": 8192},
    {"seq_len": None},
    {"kv_cache_dtype": "fp8_e5m2"},
    {"engine": "sglang"},
    {"engine": "vllm", "engine_version": "0.20"},
    {"gpu_memory_utilization": 0.5},
    {"enforce_eager": True},
    {"data_parallel_size": 2},
    {"speculative_config": {"method": "ngram", "num_speculative_tokens": 4}},
]


def own(model):
    """A model that is as a preset is, and none: nothing was found of it before."""
    return dataclasses.replace(calculator.load_model(model))


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_a_preset_is_answered_as_a_model_that_was_never_seen(other):
    asked = ASKED | other
    calculator.plan("llama-3-8b", **ASKED)
    for batch_size in (1, 7, 100_000):
        again = calculator.plan("llama-3-8b", batch_size=batch_size, **asked)
        fresh = calculator.plan(own("llama-3-8b"), batch_size=batch_size, **asked)
        assert again.as_dict() == fresh.as_dict()
        assert again.request == fresh.request
        assert again.request.batch_size == again.asked["batch_size"] == batch_size
        assert again.fits == (batch_size <= again.max_batch_size)


def test_a_model_under_a_presets_name_is_not_answered_as_the_preset():
    preset = calculator.load_model("llama-3-8b")
    half = preset.with_kv_heads(4)
    before = calculator.plan(preset, **ASKED)
    after = calculator.plan(dataclasses.replace(half, id=preset.id, name=preset.name), **ASKED)
    assert 2 * after.kv_bytes_per_sequence == before.kv_bytes_per_sequence  # half the KV heads


@pytest.mark.parametrize(
    "wrong",
    [
        {"tensor_parallel_size": True},
        {"tensor_parallel_size": 2.5},
        {"batch_size": 0},
        {"batch_size": "many"},
        {"batch_size": True},
        {"enforce_eager": 1},
    ],
    ids=str,
)
def test_what_is_equal_to_a_number_that_was_taken_before_is_refused_as_ever(wrong):
    calculator.plan("llama-3-8b", gpu="a100-80gb-sxm", tensor_parallel_size=1, enforce_eager=True)
    with pytest.raises(calculator.CalculatorError):
        calculator.plan("llama-3-8b", **{"gpu": "a100-80gb-sxm", "tensor_parallel_size": 1, **wrong})
