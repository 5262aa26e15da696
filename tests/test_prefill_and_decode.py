"""Memory of attention in prefill, intensity of decode, and which query heads share a KV head, worked by hand."""

import pytest
from cases import CONFIGS
from golden import SHAPES

import calculator
from calculator.architecture.latent import LatentAttention
from calculator.configs.reader import model_from_hf_config
from calculator.planning.heads.presets import preset_heads


def test_prefill_with_and_without_a_score_matrix_worked_by_hand():
    # LLaMA 3 70B, 8,192 tokens: 64 heads x 8,192^2 x 2 bytes of scores; Q and output 64 x 128, K and V 8 x 128 each.
    scores, rows = 64 * 8192**2 * 2, 2 * 8192 * (2 * 64 * 128 + 2 * 8 * 128)
    assert scores == 8 * 2**30
    assert calculator.attention_memory("llama-3-70b", 8192) == rows
    assert calculator.attention_memory("llama-3-70b", 8192, flash_attention=False) == scores + rows
    assert calculator.attention_memory("llama-3-70b", 8192, batch_size=3) == 3 * rows
    # chunks of 512 tokens against 8,192
    chunk = calculator.attention_memory("llama-3-70b", 8192, flash_attention=False, query_tokens=512)
    assert chunk == (scores + rows) // 16


def test_values_in_flight_are_as_wide_as_the_engine_computes_them():
    # llama.cpp, Llama 3 8B, n_ubatch 512, n_ctx 8,192: 4 x 512 x 8,192 x 32 = 512 MiB of scores, twice those in 16 bit
    asked = {"model": "llama-3-8b", "seq_len": 8192, "query_tokens": 512}
    for engine, wide in (("llama.cpp", 4), ("vllm", 2), (None, 2)):
        both = [calculator.attention_memory(**asked, engine=engine, flash_attention=flash) for flash in (False, True)]
        assert both[0] - both[1] == wide * 512 * 8192 * 32
        assert both[1] == wide * 512 * (2 * 32 + 2 * 8) * 128
    with pytest.raises(calculator.UnknownNameError, match="unknown engine 'llama'"):
        calculator.attention_memory(**asked, engine="llama")


@pytest.mark.parametrize("count", [1, 8, 64])
def test_the_score_matrix_does_not_depend_on_the_kv_heads(count):
    model = calculator.load_model("llama-3-70b").with_kv_heads(count)
    both = [calculator.attention_memory(model, 4096, flash_attention=flash) for flash in (False, True)]
    assert both[0] - both[1] == 64 * 4096**2 * 2


def test_prefill_of_latent_attention_has_heads():
    # DeepSeek-V2-Lite: 16 heads of 192 for Q and K, of 128 for V and output
    assert calculator.attention_memory("deepseek-v2-lite", 1000) == 2 * 1000 * 16 * (192 + 192 + 128 + 128)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"seq_len": 0}, "seq_len must be at least 1"),
        ({"query_tokens": 9000}, "query_tokens 9,000 is more than the 8,192 tokens of the prompt"),
        ({"flash_attention": 1}, "flash_attention must be true or false"),
    ],
)
def test_prefill_refuses_what_cannot_be(asked, sentence):
    with pytest.raises(calculator.InvalidValueError, match=sentence):
        calculator.attention_memory(**{"model": "llama-3-70b", "seq_len": 8192, **asked})


@pytest.mark.parametrize(("dtype", "factor"), [("fp16", 1), ("fp8", 2), ("fp32", 0.5)])
def test_intensity_of_attention_is_query_heads_a_kv_head(dtype, factor):
    for batch, tokens in ((1, 100), (64, 8192)):
        found = calculator.arithmetic_intensity("llama-3-70b", batch, tokens, kv_cache_dtype=dtype)
        assert found.attention == 8 * factor


def test_intensity_worked_by_hand():
    # Q of a layer: 64 x 128 x 2 bytes = 16 KiB; K and V of a token: 2 x 8 x 128 x 2 = 4 KiB, 80 layers.
    found = calculator.arithmetic_intensity("llama-3-70b", 32, 8192, gpu="h100-sxm")
    assert (found.query_bytes_per_layer, found.kv_bytes_per_token_per_layer) == (16 * 2**10, 4 * 2**10)
    assert (found.query_bytes_per_token, found.kv_bytes_per_token) == (80 * 16 * 2**10, 80 * 4 * 2**10)
    assert found.kv_bytes_read == 32 * 8192 * 327_680
    assert found.weights_bytes_read == 2 * (70_553_706_496 - 128_256 * 8192)
    assert found.attention_flops == 32 * 2 * 64 * 256 * 8192 * 80
    assert found.matrix_flops == 32 * found.weights_bytes_read
    assert found.step == (found.attention_flops + found.matrix_flops) / (found.kv_bytes_read + found.weights_bytes_read)
    assert round(found.ridge) == 295  # 989 TFLOPS over 3.35 TB/s


def test_intensity_of_latent_attention_is_near_the_ridge():
    # DeepSeek V3: 128 heads, 2 x 128 x (2 x 512 + 64) FLOPs and 576 x 2 bytes for each token
    assert calculator.arithmetic_intensity("deepseek-v3", 1, 1000, "bf16").attention == 2 * 128 * 1088 / 1152


def test_a_window_ends_what_is_read_and_computed():
    # Mistral 7B v0.1 keeps 4,096 tokens
    near, far = (calculator.arithmetic_intensity("mistral-7b-v0.1", 1, tokens) for tokens in (4096, 32_768))
    assert (near.kv_bytes_read, near.attention_flops) == (far.kv_bytes_read, far.attention_flops)
    assert far.kv_bytes_read == 4096 * 131_072


def test_an_encoders_tokens_are_read_and_computed_in_every_step():
    # whisper of 4 layers, 20 heads of 64: 400 tokens of its own and 1,500 of the encoder, K and V in 16 bit
    model = model_from_hf_config(CONFIGS["encoder and decoder"], "it")
    found = calculator.arithmetic_intensity(model, 3, 400, encoder_seq_len=1500)
    assert found.attention_flops == 3 * 2 * 20 * 128 * (400 + 1500) * 4
    assert found.kv_bytes_read == 3 * 2 * 20 * 64 * 2 * (400 + 1500) * 4
    assert found.attention == 1


def test_what_is_not_counted_is_refused():
    with pytest.raises(calculator.UnsupportedError, match="sparse indexer"):
        calculator.arithmetic_intensity("deepseek-v3.2", 1, 4096)


def test_query_heads_share_kv_heads_in_turn():
    shared = calculator.head_sharing("llama-3-8b", 8)
    assert [row.kv_head for row in shared] == list(range(8))
    assert shared[1].query_heads == (4, 5, 6, 7)  # repeat_interleave: query head i reads KV head i // 4
    assert [head for row in shared for head in row.query_heads] == list(range(32))
    assert {row.gpus for row in shared} == {(0,)}
    on_two = calculator.head_sharing("llama-3-8b", 8, tensor_parallel_size=2)
    assert [row.gpus for row in on_two] == [(0,)] * 4 + [(1,)] * 4
    copied = calculator.head_sharing("llama-3-8b", 2, tensor_parallel_size=8)
    assert [row.gpus for row in copied] == [(0, 1, 2, 3), (4, 5, 6, 7)]
    (alone,) = calculator.head_sharing("llama-3-8b", 1)
    assert alone.query_heads == tuple(range(32))
    assert len(calculator.head_sharing("llama-3-8b", 32)) == 32


@pytest.mark.parametrize("ranks", [1, 2, 4, 8, 16, 32])
@pytest.mark.parametrize("count", [1, 2, 4, 8, 16, 32])
def test_every_gpu_keeps_the_heads_that_its_query_heads_read(count, ranks):
    shared = calculator.head_sharing("llama-3-8b", count, ranks)
    for rank in range(ranks):
        mine = range(rank * 32 // ranks, (rank + 1) * 32 // ranks)
        read = {row.kv_head for row in shared if set(row.query_heads) & set(mine)}
        assert {row.kv_head for row in shared if rank in row.gpus} == read


def test_a_latent_vector_is_shared_by_all_and_kept_by_every_gpu():
    (row,) = calculator.head_sharing("deepseek-v2-lite", tensor_parallel_size=4)
    assert (row.query_heads, row.gpus) == (tuple(range(16)), (0, 1, 2, 3))


def test_sharing_refuses_layers_that_differ(fields):
    model = calculator.custom_model(**{**fields, "num_key_value_heads": [1, 2, 8, 8]})
    with pytest.raises(calculator.UnsupportedError, match="have 1 to 8 KV heads: give num_key_value_heads"):
        calculator.head_sharing(model)


def test_present_models_on_the_same_axis():
    found = {each.model: each for each in preset_heads()}
    assert list(found) == list(calculator.model_ids())
    for preset, (_, heads, groups, _, _) in SHAPES.items():
        assert (found[preset].num_attention_heads, found[preset].num_key_value_heads) == (heads, groups)
        assert found[preset].query_heads_per_kv_head == heads / groups
    assert found["deepseek-v3"].is_latent
    assert found["deepseek-v3"].query_heads_per_kv_head is None
    assert any(isinstance(group.spec, LatentAttention) for group in calculator.load_model("deepseek-v3").groups)
