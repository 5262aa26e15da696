"""Thousands of spoilt configs: each is answered exactly, or refused with a reason; nothing else ever happens."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import calculator
from tests.mutations import UNRELATED, mutate

REFERENCE = Path(__file__).parent / "data" / "reference_parameters.jsonl"
CASES = [json.loads(line) for line in REFERENCE.read_text(encoding="utf-8").splitlines()]
CONFIGS = [case["config"] for case in CASES]


def answer(config: dict[str, Any]) -> tuple[Any, ...] | str:
    """Return all numbers of a config, or the one-line reason for which it is refused."""
    try:
        model = calculator.model_from_hf_config(config)
    except calculator.CalculatorError as error:
        reason = str(error)
    else:
        return numbers(model)
    assert reason
    assert "\n" not in reason
    return reason


def numbers(model: calculator.ModelArchitecture) -> tuple[int, ...]:
    """Return parameters and bytes at several lengths and degrees: whole, bounded, and never less for more tokens."""
    found = [model.num_parameters, model.num_active_parameters, model.kv_bytes_per_token("fp16")]
    encoder = 128 if model.needs_encoder else None
    for degree in model.tensor_parallel_degrees[:3]:
        found.append(model.state_bytes_per_sequence(degree))
        grows = [calculator.kv_cache_bytes(model, n, 2, "fp16", degree, encoder) for n in (1, 100, 5_000, 200_000)]
        assert grows == sorted(grows)
        found += grows
    assert all(type(number) is int and 0 <= number < 2**120 for number in found)
    assert found[0] >= found[1] > 0
    return tuple(found)


@given(st.sampled_from(CONFIGS), st.randoms(use_true_random=False))
def test_a_spoilt_config_is_answered_or_refused(config: dict[str, Any], rng: random.Random) -> None:
    answer(mutate(config, rng))


@given(st.sampled_from(CONFIGS), st.sampled_from(UNRELATED), st.sampled_from([0, 1, "x", None, [1], {"a": 1}, True]))
def test_an_unrelated_key_changes_nothing(config: dict[str, Any], key: str, value: Any) -> None:
    assert answer({**config, key: value}) == answer(config)


@given(st.sampled_from(CONFIGS), st.randoms(use_true_random=False))
def test_a_spoilt_config_never_breaks_a_plan(config: dict[str, Any], rng: random.Random) -> None:
    try:
        model = calculator.model_from_hf_config(mutate(config, rng))
        encoder = 64 if model.needs_encoder else None
        plan = calculator.plan(
            model, gpu="h100-sxm", seq_len=4096, encoder_seq_len=encoder, weight_dtype="bf16", kv_cache_dtype="bf16"
        )
    except calculator.CalculatorError:
        return
    assert plan.max_batch_size >= 0
    assert plan.fits == (plan.max_batch_size >= 1)
    json.dumps(plan.as_dict(), allow_nan=False)


@pytest.mark.parametrize("config", [None, 5, "x", [], [{}], {}, {"model_type": 5}, {"model_type": "llama"}], ids=repr)
def test_what_is_no_config_is_refused(config: Any) -> None:
    with pytest.raises(calculator.CalculatorError, match=r"config|model_type|missing"):
        calculator.model_from_hf_config(config)
