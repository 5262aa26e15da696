"""The formula: golden values, and what must hold for every model and every size."""

import numpy as np
import pytest
from golden import CASES, PRESETS, SHAPES
from hypothesis import given
from hypothesis import strategies as st

import calculator
from calculator import kv_cache_bytes, kv_cache_bytes_per_gpu, load_model

tokens = st.integers(1, 10**9)
sequences = st.integers(1, 10**9)
presets = st.sampled_from(PRESETS)


@pytest.mark.parametrize("preset", SHAPES)
def test_bytes_per_token_of_the_published_shapes(preset):
    layers, heads, groups, head_dim, per_token = SHAPES[preset]
    model = load_model(preset)
    spec = model.layers[0].spec
    assert (model.num_layers, model.num_attention_heads, model.num_key_value_heads) == (layers, heads, groups)
    assert (spec.head_dim, spec.v_head_dim) == (head_dim, head_dim)
    assert model.kv_bytes_per_token("fp16") == per_token
    assert kv_cache_bytes(preset, seq_len=1, kv_cache_dtype="fp16") == per_token


@pytest.mark.parametrize(("preset", "seq_len", "batch_size", "expected"), CASES)
def test_golden_cases(preset, seq_len, batch_size, expected):
    assert kv_cache_bytes(preset, seq_len, batch_size, "fp16") == expected


def test_grouped_heads_against_all_heads_of_llama_3_70b():
    mha = load_model("llama-3-70b").with_kv_heads(64)
    assert mha.kv_bytes_per_token("fp16") == 2_621_440
    assert kv_cache_bytes(mha, 8192, 16, "fp16") == 343_597_383_680


@pytest.mark.parametrize(
    ("preset", "saving"),
    [("llama-3-70b", 0.875), ("llama-3-8b", 0.75), ("palm-540b", 0.979), ("llama-1-65b", 0.0)],
)
def test_saving_against_multi_head_attention(preset, saving):
    model = load_model(preset)
    mha = model.with_kv_heads(model.num_attention_heads)
    assert 1 - model.kv_bytes_per_token("fp16") / mha.kv_bytes_per_token("fp16") == pytest.approx(saving, abs=5e-4)


@pytest.mark.parametrize("preset", PRESETS)
def test_grouped_heads_with_every_head_its_own_group_is_multi_head(preset):
    model = load_model(preset)
    heads, groups = model.num_attention_heads, model.num_key_value_heads
    mha = model.with_kv_heads(heads)
    assert mha.kv_bytes_per_token("fp16") * groups == model.kv_bytes_per_token("fp16") * heads
    assert model.with_kv_heads(groups) == model


@given(preset=presets, s=tokens, b=sequences)
def test_linear_in_tokens_and_in_sequences_at_any_size(preset, s, b):
    one = kv_cache_bytes(preset, 1, 1, "fp16")
    assert kv_cache_bytes(preset, s, b, "fp16") == one * s * b


@given(layers=st.integers(1, 10_000), groups=st.sampled_from([1, 2, 4, 8]), head_dim=st.integers(1, 65_536))
def test_linear_in_layers_heads_and_head_size(layers, groups, head_dim):
    model = calculator.custom_model(
        num_layers=layers,
        num_attention_heads=8,
        num_key_value_heads=groups,
        head_dim=head_dim,
        hidden_size=64,
        intermediate_size=64,
        vocab_size=64,
        max_position_embeddings=64,
        tie_word_embeddings=True,
    )
    assert model.kv_bytes_per_token("fp16") == 2 * groups * head_dim * layers * 2
    assert kv_cache_bytes(model, 3, 5, "fp32") == 2 * kv_cache_bytes(model, 3, 5, "fp16")


def test_keys_and_values_of_different_size(fields):
    # one token: 4 layers x 4 heads x (64 + 32 elements) x 2 bytes
    assert calculator.custom_model(**fields, v_head_dim=32).kv_bytes_per_token("fp16") == 4 * 4 * 96 * 2


@given(preset=presets, s=st.lists(st.integers(1, 10**6), min_size=1, max_size=20), b=st.integers(1, 1000))
def test_arrays_answer_what_plain_integers_answer(preset, s, b):
    whole = kv_cache_bytes(preset, np.array(s), b, "fp16")
    assert whole.dtype == np.int64
    assert whole.tolist() == [kv_cache_bytes(preset, one, b, "fp16") for one in s]


def test_arrays_of_lengths_and_batches_broadcast():
    grid = kv_cache_bytes_per_gpu("llama-3-8b", np.arange(1, 4)[:, None], np.array([1, 10]), "fp16")
    assert grid.tolist() == [[131_072 * s * b for b in (1, 10)] for s in (1, 2, 3)]


def test_plain_integers_stay_exact_beyond_64_bits():
    assert kv_cache_bytes("llama-3-70b", 10**9, 10**9, "fp16") == 327_680 * 10**18


@pytest.mark.parametrize("tensor_parallel_size", [1, 8])
def test_arrays_beyond_64_bits_are_refused(tensor_parallel_size):
    # 2^63 / 327,680 = 2.81e13 tokens: 10^9 x 28,147 sequences fit, 28,148 do not
    with pytest.raises(calculator.InvalidValueError, match=r"about 10\^18 bytes, exceeds the 64 bits of an array"):
        kv_cache_bytes("llama-3-70b", np.array([10**9]), 28_148, "fp16", tensor_parallel_size)
    most = kv_cache_bytes("llama-3-70b", np.array([10**9]), 28_147, "fp16", tensor_parallel_size)
    assert most.tolist() == [327_680 * 10**9 * 28_147]


@pytest.mark.parametrize("preset", PRESETS)
def test_no_recurrent_state_in_attention_only_models(preset):
    assert load_model(preset).state_bytes_per_sequence() == 0
