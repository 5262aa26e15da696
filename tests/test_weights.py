"""Weights: matrices x format x sharding, against files and logs that others published."""

import re

import pytest
from golden import GIB, PRESETS

import calculator
from calculator.architecture.weights import weight_bytes_per_rank
from calculator.formats.weights import FORMATS, weight_format


def gib(preset, weight_dtype="auto", tp=1):
    (size,) = weight_bytes_per_rank(calculator.load_model(preset), weight_dtype, tp)
    return size / GIB


@pytest.mark.parametrize("preset", PRESETS)
def test_16_bit_weights_are_two_bytes_a_parameter(preset):
    model = calculator.load_model(preset)
    assert weight_bytes_per_rank(model, "bf16") == (2 * model.num_parameters,)
    assert weight_bytes_per_rank(model, "auto") == weight_bytes_per_rank(model, "fp16")


@pytest.mark.parametrize(
    ("preset", "weight_dtype", "logged", "tolerance"),
    [
        ("llama-3.1-8b", "bf16", 14.96, 0.0005),  # 8.03e9 x 2, GGUF F16 14.96 GiB, vLLM logs 14.96-14.99
        ("llama-3.1-8b", "fp8", 8.45, 0.001),  # 1.05e9 x 2 + 6.98e9 x 1; 8.49 logged (llm-d report)
        ("llama-3.1-8b", "int8", 8.45, 0.002),  # W8A8: 8 + 16/K bits, "as fp8"
        ("qwen2.5-7b", "awq-int4", 5.2032, 0.003),  # vLLM issue 13882, Qwen2.5-7B-AWQ
        ("qwen2.5-7b", "gptq-int4", 5.2032, 0.003),  # the same layout with a zero point a group
        ("llama-3-70b", "nvfp4", 39.77, 0.001),  # 2.10e9 x 16 + 68.45e9 x 4.5 bits = 42.70e9 bytes
        ("qwen2.5-7b", "bf16", 14.25, 0.006),  # overhead_points row 4, vLLM 0.19 logged
        ("qwen3-14b", "bf16", 27.52, 0.002),  # row 36, vLLM 0.18 logged
        ("qwen3-32b", "bf16", 61.03, 0.002),  # row 43, vLLM 0.11 logged
        ("qwen3-0.6b", "bf16", 1.12, 0.01),  # row 42
        ("qwen2.5-1.5b", "fp16", 2.89, 0.006),  # row 53
    ],
)
def test_one_gpu_against_published_sizes(preset, weight_dtype, logged, tolerance):
    assert gib(preset, weight_dtype) == pytest.approx(logged, rel=tolerance)


@pytest.mark.parametrize(
    ("preset", "tp", "logged"),
    [
        ("llama-3.1-8b", 2, 7.51),  # overhead_points rows 2, 3, 5, 6, 40, 44, 80
        ("llama-3.1-8b", 4, 3.77),
        ("qwen2.5-7b", 2, 7.12),
        ("qwen2.5-7b", 4, 3.55),
        ("qwen3-32b", 2, 30.59),
        ("qwen2.5-32b", 2, 30.71),
    ],
)
def test_a_rank_against_logged_shares(preset, tp, logged):
    assert gib(preset, "bf16", tp) == pytest.approx(logged, rel=0.009)


def test_fp8_worked_by_hand():
    # Llama 3.1 8B. 16 bit: embedding and head 2 x 128,256 x 4,096 = 1,050,673,152; 65 norms x 4,096 = 266,240.
    # 8 bit: the rest of 8,030,261,248, which is 6,979,321,856. A float32 scale for each of 7 x 32 matrices.
    expected = 2 * (1_050_673_152 + 266_240) + 6_979_321_856 + 4 * 224
    assert weight_bytes_per_rank(calculator.load_model("llama-3.1-8b"), "fp8") == (expected,)


def test_beyond_the_kv_heads_their_projections_are_copied():
    # LLaMA 3 70B at TP 16. Norms whole: 161 x 8,192 = 1,318,912. The rest splits in 16: 4,409,524,224 each.
    # K and V keep a head of 128 where a sixteenth would be 64: 2 x 64 x 8,192 x 80 = 83,886,080 more. 2 bytes each.
    expected = 2 * (1_318_912 + 4_409_524_224 + 83_886_080)
    assert weight_bytes_per_rank(calculator.load_model("llama-3-70b"), "bf16", 16) == (expected,)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("weight_dtype", ["bf16", "awq-int4"])
def test_ranks_together_hold_at_least_the_whole_and_each_less_than_it(preset, weight_dtype):
    model = calculator.load_model(preset)
    (whole,) = weight_bytes_per_rank(model, weight_dtype)
    for tp in [degree for degree in model.tensor_parallel_degrees if 1 < degree <= 16]:
        (share,) = weight_bytes_per_rank(model, weight_dtype, tp)
        assert whole <= share * tp < whole * tp


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("stages", [2, 3, 7])
def test_stages_sum_to_the_whole_with_a_tied_head_kept_twice(preset, stages):
    model = calculator.load_model(preset)
    again = 2 * model.vocab_size * model.hidden_size if model.tie_word_embeddings else 0
    sizes = weight_bytes_per_rank(model, "bf16", pipeline_parallel_size=stages)
    assert len(sizes) == stages
    assert sum(sizes) == 2 * model.num_parameters + again


def test_formats_order_by_size():
    sizes = [gib("llama-3-70b", name) for name in ("bf16", "int8", "nvfp4", "awq-int4")]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 4


def test_embeddings_and_head_stay_16_bit():
    # a flat 4.156 bits would give 3.68 GiB, 29 % low: Qwen2.5 7B has 1.09e9 parameters in embedding and head
    assert gib("qwen2.5-7b", "awq-int4") - 7_615_616_512 * 4.156 / 8 / GIB == pytest.approx(1.50, abs=0.02)


def test_every_format_of_the_contract_and_no_other():
    assert set(FORMATS) == {
        "fp32", "bf16", "fp16", "fp8", "fp8-block", "int8", "awq-int4", "gptq-int4", "nf4", "mxfp4", "nvfp4",
        "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m", "q2_k",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # llama.cpp tools/quantize/README.md, Llama-3.1-8B; bitsandbytes: 5.354 GiB logged, the formula gives 5.31
        ("q8_0", 7.95),
        ("q6_k", 6.14),
        ("q5_k_m", 5.33),
        ("q4_k_m", 4.58),
        ("q3_k_m", 3.74),
        ("q2_k", 2.95),
        ("nf4", 5.31),
        ("fp32", 29.92),
    ],
)
def test_sizes_of_llama_3_1_8b_that_others_print(name, expected):
    assert gib("llama-3.1-8b", name) == pytest.approx(expected, abs=0.02)


def test_mxfp4_quantises_experts_alone():
    # gpt-oss-120b: experts at 17 bytes per 32 weights, their biases and all the rest at 16 bit
    assert weight_bytes_per_rank(calculator.load_model("gpt-oss-120b"), "mxfp4") == (65_248_815_744,)


def test_fp8_in_blocks_keeps_four_bytes_per_128_by_128():
    plain, blocks = weight_format("fp8"), weight_format("fp8-block")
    assert blocks.bytes_of(256, 384) == 256 * 384 + 2 * 3 * 4
    assert blocks.bytes_of(130, 129) == 130 * 129 + 2 * 2 * 4
    assert plain.bytes_of(256, 384) == 256 * 384 + 4


def test_groups_of_another_size_are_a_format_of_their_own():
    assert weight_format("awq-int4-g64").bytes_of(2, 128) == 2 * (64 + 2 * 2 + 1)
    assert weight_format("awq-int4-g128").bytes_of(2, 128) == weight_format("awq-int4").bytes_of(2, 128)


def test_expert_parallelism_moves_whole_experts():
    model = calculator.load_model("mixtral-8x7b")
    whole, slices = (weight_bytes_per_rank(model, "bf16", 4, 1, size)[0] for size in (4, 1))
    assert whole == slices  # 8 experts divide by 4 either way
    three = weight_bytes_per_rank(model, "bf16", 1, 1, 3)[0]
    one = 3 * 4096 * 14336 * 2 * 32  # an expert's three matrices in 16 bit, in 32 layers
    assert weight_bytes_per_rank(model, "bf16")[0] - three == 5 * one  # 3 of 8 experts stay


@pytest.mark.parametrize(("engine", "ranks"), [("vllm", 8), ("sglang", 4), ("tensorrt-llm", 4)])
def test_replicas_share_experts_on_vllm_alone(engine, ranks):
    # SGLang's groups of experts lie within TP (ep_size x moe_dp_size = tp_size), vLLM's are of TP x DP
    asked = {"tensor_parallel_size": 4, "data_parallel_size": 2, "enable_expert_parallel": True}
    plan = calculator.plan("mixtral-8x7b", gpu="h100-sxm", engine=engine, seq_len=4096, **asked)
    assert plan.per_gpu.weights_bytes == weight_bytes_per_rank(plan.model, "bf16", 4, 1, ranks)[0]


def test_an_unknown_format_names_the_near_ones():
    with pytest.raises(calculator.UnknownNameError, match=re.escape("weight format 'awq_int4': did you mean awq-")):
        weight_format("awq_int4")
