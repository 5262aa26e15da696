"""Every kind of layer: what it keeps, where it stops growing, and the ten public cases."""

import itertools

import pytest

import calculator
from calculator.architecture.caches import Recurrence
from calculator.architecture.latent import LatentAttention
from calculator.architecture.layers import CrossAttention, FullAttention, NoCache, SharedCache, SlidingWindow
from calculator.architecture.recurrent import RecurrentState
from calculator.formats.kv import storage_format

FP16 = storage_format("fp16")

# The ten public cases of calculators for this: preset, tokens, sequences, tensor parallel, whole model, one GPU.
CASES = [
    ("llama-3-70b", 8_192, 16, 1, 42_949_672_960, 42_949_672_960),
    ("llama-2-7b", 4_096, 8, 1, 17_179_869_184, 17_179_869_184),
    ("mistral-7b-v0.1", 32_768, 4, 1, 2_147_483_648, 2_147_483_648),
    ("deepseek-v3", 32_768, 1, 1, 2_302_672_896, 2_302_672_896),
    ("deepseek-v3", 32_768, 1, 8, 8 * 2_302_672_896, 2_302_672_896),
    ("falcon-40b", 2_048, 8, 1, 2_013_265_920, 2_013_265_920),
    ("gemma-3-27b", 131_072, 1, 1, 11_173_625_856, 11_173_625_856),
    ("llama-3-70b", 8_192, 16, 16, 16 * 5_368_709_120, 5_368_709_120),
    ("gpt-oss-120b", 131_072, 1, 1, 4_836_556_800, 4_836_556_800),
    ("qwen3-next-80b-a3b", 131_072, 1, 1, 3_221_225_472, 3_221_225_472),
]


@pytest.mark.parametrize(("preset", "tokens", "batch", "tp", "total", "share"), CASES)
def test_the_public_cases(preset: str, tokens: int, batch: int, tp: int, total: int, share: int) -> None:
    assert calculator.kv_cache_bytes(preset, tokens, batch, "fp16", tp) == total
    assert calculator.kv_cache_bytes_per_gpu(preset, tokens, batch, "fp16", tp) == share


def test_recurrent_state_is_named_apart() -> None:
    # Qwen3-Next: 36 layers x (3 x 8,192 of the convolution + 32 x 128 x 128 of the state) x 2 bytes
    assert calculator.load_model("qwen3-next-80b-a3b").state_bytes_per_sequence() == 39_518_208
    assert calculator.load_model("qwen3-next-80b-a3b").state_bytes_per_sequence(4) == 9_879_552
    # Jamba: 28 layers x (3 x 8,192 + 8,192 x 16) x 2 bytes
    assert calculator.load_model("jamba-v0.1").state_bytes_per_sequence() == 8_716_288


def test_sparse_latent_attention_keeps_an_indexer_beside() -> None:
    # vLLM 0.33.0: 61 layers x (1,152 + 132) bytes; in fp8 the packed layout of 656 + 132 bytes
    model = calculator.load_model("deepseek-v3.2")
    assert model.kv_bytes_per_token("bf16") == 78_324
    assert model.kv_bytes_per_token("fp8") == 48_068


@pytest.mark.parametrize("window", [1, 7, 128, 4_096])
def test_a_window_stops_growing_at_its_length(window: int) -> None:
    layer, full = SlidingWindow(8, 64, 64, window=window), FullAttention(8, 64, 64)
    assert layer.kv_bytes(window, FP16, 1) == full.kv_bytes(window, FP16, 1)
    assert layer.kv_bytes(window + 1, FP16, 1) == layer.kv_bytes(window, FP16, 1)
    assert layer.kv_bytes(window - 1, FP16, 1) == full.kv_bytes(window - 1, FP16, 1)


def test_a_window_of_the_whole_context_is_full_attention() -> None:
    layer, full = SlidingWindow(8, 64, 64, window=10_000), FullAttention(8, 64, 64)
    assert [layer.kv_bytes(n, FP16, 2) for n in (1, 9_999, 10_000)] == [
        full.kv_bytes(n, FP16, 2) for n in (1, 9_999, 10_000)
    ]


def test_kinds_that_keep_nothing() -> None:
    for layer in (NoCache(), SharedCache()):
        assert (layer.kv_bytes(1_000, FP16, 1), layer.state_bytes(1), layer.why_not(8, 3)) == (0, 0, None)


def test_cross_attention_keeps_the_encoders_tokens_too() -> None:
    layer = CrossAttention(12, 64, 64)
    assert layer.kv_bytes(10, FP16, 1, 100) == 110 * 2 * 12 * 64 * 2


def test_latent_attention_is_whole_on_every_rank() -> None:
    layer = LatentAttention(512, 64)
    assert [layer.kv_bytes(1, FP16, tp) for tp in (1, 8)] == [1_152, 1_152]
    assert layer.why_not(128, 3) == "128 query heads do not divide by 3"


def test_state_is_split_over_ranks() -> None:
    layer = RecurrentState(
        Recurrence.MAMBA2, conv_width=64, conv_columns=3, state_elements=1_024, state_element_bytes=4, divisible=8
    )
    assert (layer.state_bytes(1), layer.state_bytes(4)) == (64 * 3 * 2 + 4_096, (64 * 3 * 2 + 4_096) // 4)
    assert layer.kv_bytes(10**6, FP16, 1) == 0
    assert layer.why_not(64, 3) == "8 heads of the Mamba 2 state do not divide by 3"


@pytest.mark.parametrize(
    "preset", ["gemma-3-27b", "mistral-7b-v0.1", "deepseek-v3.2", "qwen3-next-80b-a3b", "llama-4-scout"]
)
@pytest.mark.parametrize("pp", [1, 3])
def test_both_answers_of_a_plan_are_exact_at_the_boundary(preset: str, pp: int) -> None:
    asked = {"gpu": "b200", "tensor_parallel_size": 8, "pipeline_parallel_size": pp, "weight_dtype": "fp8"}
    plan = calculator.plan(preset, seq_len=20_000, batch_size=3, kv_cache_dtype="bf16", **asked)
    assert calculator.plan(preset, seq_len=20_000, batch_size=plan.max_batch_size, kv_cache_dtype="bf16", **asked).fits
    assert not calculator.plan(
        preset, seq_len=20_000, batch_size=plan.max_batch_size + 1, kv_cache_dtype="bf16", **asked
    ).fits
    if plan.max_context_len < 900_000_000:
        longest = {"batch_size": 3, "kv_cache_dtype": "bf16", **asked}
        assert calculator.plan(preset, seq_len=plan.max_context_len, **longest).fits
        assert not calculator.plan(preset, seq_len=plan.max_context_len + 1, **longest).fits


def test_a_sweep_answers_as_plans_do() -> None:
    lengths, batches = [100, 1_024, 1_025, 50_000], [1, 7]
    frame = calculator.sweep("gemma-3-27b", gpu="h100-sxm", tensor_parallel_size=2, seq_len=lengths, batch_size=batches)
    for row, (length, batch) in zip(frame.itertuples(), itertools.product(lengths, batches), strict=True):
        plan = calculator.plan("gemma-3-27b", gpu="h100-sxm", tensor_parallel_size=2, seq_len=length, batch_size=batch)
        assert (row.max_batch_size, row.max_context_len, row.fits) == (
            plan.max_batch_size,
            plan.max_context_len,
            plan.fits,
        )
        assert row.kv_bytes_per_sequence == plan.kv_bytes_per_sequence


def test_pipeline_stages_take_layers_in_their_order() -> None:
    # Gemma 3 27B: 62 layers, each sixth full. Two stages of 31: full layers 6, 12, 18, 24, 30 and 36, 42, 48, 54, 60.
    stages = calculator.load_model("gemma-3-27b").stages(2)
    full = [sum(group.count for group in stage if type(group.spec) is FullAttention) for stage in stages]
    assert full == [5, 5]
    assert [sum(group.count for group in stage) for stage in stages] == [31, 31]


def test_a_stage_that_keeps_nothing_sets_no_limit() -> None:
    # Nemotron-H 56B has MLP layers between; with so many stages some hold no attention and no state at all.
    asked = {"gpu": "b200", "tensor_parallel_size": 8, "weight_dtype": "fp8", "seq_len": 4_096}
    model = calculator.load_model("nemotron-h-56b")
    plan = calculator.plan(model, pipeline_parallel_size=model.num_layers, **asked)
    assert any(stage.geometry.pools[0].block_bytes == 1 for stage in plan.stages)
    assert calculator.plan(model, pipeline_parallel_size=model.num_layers, batch_size=plan.max_batch_size, **asked).fits
    frame = calculator.sweep(model, pipeline_parallel_size=model.num_layers, **asked)
    assert frame["max_batch_size"].tolist() == [plan.max_batch_size]


def test_an_engine_that_is_narrower_than_the_general_rule_refuses() -> None:
    # vLLM 0.33.0 on gpt-oss at TP 16: integer modulo by zero in its own class; SGLang's copies heads
    asked = {"gpu": "h100-sxm", "seq_len": 4_096, "weight_dtype": "mxfp4"}
    assert calculator.kv_cache_bytes_per_gpu("gpt-oss-120b", 100, 1, "fp16", 16) == 36 * 100 * 2 * 64 * 2
    with pytest.raises(calculator.ParallelismError, match="does not copy KV heads, and there are 8") as caught:
        calculator.plan("gpt-oss-120b", tensor_parallel_size=16, **asked)
    assert (caught.value.asked, caught.value.nearest, caught.value.allowed) == (16, 8, (1, 2, 4, 8))
    assert calculator.plan("gpt-oss-120b", tensor_parallel_size=16, engine="sglang", **asked).kv_replication == 2
    assert calculator.plan("gpt-oss-120b", tensor_parallel_size=8, **asked).fits


def test_an_unknown_type_that_states_plain_attention_is_computed_when_asked() -> None:
    config = {
        "model_type": "new_thing", "hidden_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "intermediate_size": 512, "vocab_size": 1000, "max_position_embeddings": 512,
    }  # fmt: skip
    with pytest.raises(calculator.UnsupportedError, match=r"unknown model_type 'new_thing'.*say assume_full_attention"):
        calculator.model_from_hf_config(config)
    model = calculator.model_from_hf_config(config, assume_full_attention=True)
    assert model.kv_bytes_per_token("fp16") == 2 * 2 * 64 * 2 * 2
    notes = calculator.plan(model, gpu="l4").notes
    assert any("model_type 'new_thing' is not known: full attention" in note for note in notes)
    for key, value in (("sliding_window", 4_096), ("kv_lora_rank", 512), ("layer_types", ["full_attention", "mamba"])):
        with pytest.raises(calculator.UnsupportedError, match=f"{key}"):
            calculator.model_from_hf_config({**config, key: value}, assume_full_attention=True)
