"""Every factor of the speed sum, term by term, from nameplate figures and the published configs.

::

    step = 1.0 Wd + 1.3 We + 1.1 KV + 1.0 C + 1.8 B + c_L L + 20 us N,   T_p = e (G + Q) + 1.8 B_p

The figures are a first fit to public measured speeds, rounded, 2026-11; what it printed is written out here. How they
do beside measured speeds is held by ``test_speed_accuracy``.
"""

import pytest

import calculator
from calculator.planning.traffic.timing.speed import speed

BANDWIDTH = {"h100-sxm": 3350e9, "h200": 4800e9, "b200": 8000e9, "a100-80gb-sxm": 2039e9}  # data sheets
PEAK = {"h100-sxm": 989e12, "h200": 989e12, "b200": 2250e12, "a100-80gb-sxm": 312e12}  # dense, 16 bit
LLAMA = 8_030_261_248 - 128_256 * 4_096  # Llama 3.1 8B without its input embedding
LLAMA_70 = 70_553_706_496 - 128_256 * 8_192


def plan_of(model="llama-3.1-8b", **asked):
    return calculator.plan(model, **{"gpu": "h100-sxm", "seq_len": 8_192, "weight_dtype": "bf16", **asked})


def terms_of(plan, count=1, prompt_tokens=1_000, output_tokens=None):
    found = speed(plan, batch_size=count, prompt_tokens=prompt_tokens, output_tokens=output_tokens)
    return {term.name: term.seconds for term in found.terms}


# Launches: microseconds a layer and step

ENGINES = {"vllm": "0.33", "sglang": "0.5.23", "tensorrt-llm": "1.3", "llama.cpp": None}  # not measured by themselves
KINDS = {  # a model of each kind, and its layers that keep something
    "dense": ("llama-3.1-8b", 32), "experts": ("qwen3-30b-a3b", 48), "latent": ("deepseek-v2-lite", 27),
    "hybrid": ("qwen3.5-27b", 64), "sparse": ("glm-5", 78),
}  # fmt: skip


@pytest.mark.parametrize(
    ("engine", "figures"),
    # as fitted; 100 where a kind was not measured on the engine
    [
        ("vllm", {"dense": 75, "experts": 90, "latent": 120, "hybrid": 100, "sparse": 100}),
        ("sglang", {"dense": 100, "experts": 125, "latent": 120, "hybrid": 115, "sparse": 200}),
        ("tensorrt-llm", {"dense": 60, "experts": 70, "latent": 90}),
        ("llama.cpp", {"dense": 100, "experts": 100, "latent": 100}),
    ],
)
def test_a_launch_by_engine_and_architecture(engine, figures):
    for kind, microseconds in figures.items():
        model, layers = KINDS[kind]
        plan = plan_of(model, engine=engine, engine_version=ENGINES[engine])
        for count in (1, 7):
            expected = 1e-6 * (microseconds * layers + 20 * count)
            assert terms_of(plan, count)["launch"] == pytest.approx(expected, rel=1e-9), kind


def test_layers_that_keep_nothing_are_not_launched_by_themselves():
    # Nemotron 3 Nano: of 52 blocks 23 keep a state and 6 attention, 23 are experts alone; 100 us, SGLang 115
    nano = plan_of("nemotron-3-nano-30b-a3b")
    assert terms_of(nano)["launch"] == pytest.approx(29 * 100e-6 + 20e-6)
    # Nemotron Super 49B: 49 of 80 blocks have attention
    assert terms_of(plan_of("nemotron-super-49b"))["launch"] == pytest.approx(49 * 75e-6 + 20e-6)


# Weights


def test_dense_weights_are_read_once_whatever_the_batch():
    for count in (1, 100):
        assert terms_of(plan_of(), count)["weights"] == pytest.approx(2 * LLAMA / 3350e9, rel=1e-9)


def test_a_tied_head_is_read_in_16_bit():
    # Qwen3 0.6B, 596,049,920 parameters of which the embedding once, as the head
    assert terms_of(plan_of("qwen3-0.6b"))["weights"] == pytest.approx(2 * 596_049_920 / 3350e9, rel=1e-9)
    # in 8 bit its 28 layers of 1,024 x (2 x 2,048 + 2 x 1,024) + 3 x 1,024 x 3,072 and a scale for each of 7 matrices
    layers = 28 * (1_024 * (2 * 2_048 + 2 * 1_024) + 3 * 1_024 * 3_072 + 7 * 4)
    rest = 2 * 151_936 * 1_024 + 2 * (28 * (2 * 1_024 + 2 * 128) + 1_024)
    assert terms_of(plan_of("qwen3-0.6b", weight_dtype="fp8"))["weights"] == pytest.approx(
        (layers + rest) / 3350e9, rel=1e-9
    )


MIXTRAL_EXPERTS = 32 * 8 * 3 * 4_096 * 14_336
MIXTRAL_REST = 46_702_792_704 - MIXTRAL_EXPERTS - 32_000 * 4_096


@pytest.mark.parametrize("count", [1, 2, 3, 40])
def test_the_experts_that_some_tokens_touch(count):
    # two of eight a token: of each expert 1 - (3/4)^N is read
    expected = (2 * MIXTRAL_REST + 1.3 * 2 * MIXTRAL_EXPERTS * (1 - 0.75**count)) / 2 / 3350e9
    assert terms_of(plan_of("mixtral-8x7b", tensor_parallel_size=2), count)["weights"] == pytest.approx(expected)


def test_replicas_share_experts_where_they_are_told_to():
    asked = {"tensor_parallel_size": 2, "data_parallel_size": 4}
    alone = terms_of(plan_of("mixtral-8x7b", **asked), 64)["weights"]
    shared = terms_of(plan_of("mixtral-8x7b", enable_expert_parallel=True, **asked), 64)["weights"]
    experts = 1.3 * 2 * MIXTRAL_EXPERTS * (1 - 0.75**64) / 3350e9
    assert alone == pytest.approx(2 * MIXTRAL_REST / 2 / 3350e9 + experts / 2)
    assert shared == pytest.approx(2 * MIXTRAL_REST / 2 / 3350e9 + experts / 8)


# DeepSeek-V3: attention of a layer 187,105,280; experts and what else there is by test_outside_models
V3_ATTENTION = 61 * 187_105_280
V3_EXPERTS = 58 * 256 * 3 * 2_048 * 7_168
V3_REST = (
    3 * 3 * 18_432 * 7_168 + 58 * 3 * 2_048 * 7_168 + 58 * 256 * 7_168 + 61 * (2 * 7_168 + 1_536 + 512) + 7_168
    + 129_280 * 7_168
)  # fmt: skip


@pytest.mark.parametrize("attention_dp", [False, True])
def test_attention_that_ranks_copy_is_not_divided(attention_dp):
    plan = plan_of(
        "deepseek-v3", gpu="b200", engine="sglang", tensor_parallel_size=8, enable_attention_dp=attention_dp
    )  # fmt: skip
    attention = V3_ATTENTION if attention_dp else V3_ATTENTION / 8
    experts = 1.3 * V3_EXPERTS * (1 - (1 - 8 / 256) ** 24) / 8
    expected = 2 * (attention + V3_REST / 8 + experts) / 8000e9
    assert terms_of(plan, 24)["weights"] == pytest.approx(expected)
    # each rank then serves an eighth of the sequences, else all of them: 61 x 576 x 2 bytes a token on every rank
    sequences = 3 if attention_dp else 24
    assert terms_of(plan, 24)["kv"] == pytest.approx(1.1 * sequences * 1_000 * 61 * 576 * 2 / 8000e9)


# The cache


@pytest.mark.parametrize(("ranks", "held"), [(1, 8), (2, 4), (8, 1), (16, 1)])
def test_a_rank_reads_the_heads_that_it_holds(ranks, held):
    # 1,000 + 400 / 2 tokens of 32 layers, heads of 128 keys and values
    plan = plan_of(tensor_parallel_size=ranks)
    expected = 1.1 * 10 * 1_200 * 32 * held * 256 * 2 / 3350e9
    assert terms_of(plan, 10, 1_000, 400)["kv"] == pytest.approx(expected)


@pytest.mark.parametrize(("tokens", "read"), [(100, 100), (4_096, 4_096), (7_000, 4_096)])
def test_a_window_is_read_and_no_more(tokens, read):
    plan = plan_of("mistral-7b-v0.1")
    assert terms_of(plan, 1, tokens)["kv"] == pytest.approx(1.1 * read * 131_072 / 3350e9)


@pytest.mark.parametrize("tokens", [1_000, 2_048, 2_049, 8_000])
def test_sparse_attention_reads_what_it_selects_and_every_index_key(tokens):
    # DeepSeek-V3.2: 2,048 latents of 576, and a key of 128 bytes with a scale of 4 for every token
    plan = plan_of("deepseek-v3.2", gpu="h200", tensor_parallel_size=8)
    expected = 1.1 * 61 * (min(tokens, 2_048) * 576 * 2 + tokens * 132) / 4800e9
    assert terms_of(plan, 1, tokens)["kv"] == pytest.approx(expected)


def test_layers_that_share_an_index_read_none_of_their_own():
    # GLM-5.2: 21 of 78 layers have an index
    plan = plan_of("glm-5.2", gpu="h200", tensor_parallel_size=8)
    expected = 1.1 * (78 * 2_048 * 576 * 2 + 21 * 8_000 * 132) / 4800e9
    assert terms_of(plan, 1, 8_000)["kv"] == pytest.approx(expected)


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_state_is_read_and_written(ranks):
    # Qwen3-Next: 36 states of 1,097,728 bytes, as vLLM keeps them, and 12 layers of 2 heads of 256 keys and values
    plan = plan_of("qwen3-next-80b-a3b", gpu="h200", tensor_parallel_size=ranks)
    expected = 1.1 * 5 * (1_000 * 12 * 2 * 512 * 2 + 2 * 36 * 1_097_728) / ranks / 4800e9
    assert terms_of(plan, 5)["kv"] == pytest.approx(expected)


# FLOPs


@pytest.mark.parametrize(
    ("gpu", "weight_dtype", "peak", "factor"),
    # dense peaks of the data sheets; without hardware for a format its matrices are multiplied in 16 bit
    [
        ("h100-sxm", "bf16", 989e12, 1.45), ("h100-sxm", "fp8", 1979e12, 1.7), ("h100-sxm", "int8", 1979e12, 1.7),
        ("h100-sxm", "fp8-block", 1979e12, 1.7), ("h100-sxm", "awq-int4", 989e12, 1.45),
        ("h100-sxm", "nvfp4", 989e12, 1.45), ("a100-80gb-sxm", "fp8", 312e12, 1.45),
        ("b200", "bf16", 2250e12, 1.45), ("b200", "fp8", 4500e12, 2.3), ("b200", "nvfp4", 9000e12, 2.05),
        ("rtx-4090", "fp8", 330.3e12, 1.7), ("mi300x", "fp8", 2615e12, 1.7),
    ],
)  # fmt: skip
def test_matrices_run_at_the_peak_of_their_format_and_attention_in_16_bit(gpu, weight_dtype, peak, factor):
    plan = plan_of(gpu=gpu, weight_dtype=weight_dtype)
    sixteen = {**PEAK, "rtx-4090": 165.2e12, "mi300x": 1307e12}[gpu]
    assert terms_of(plan, 10)["compute"] == pytest.approx(2 * LLAMA * 10 / peak, rel=1e-9)
    # causal attention of 32 layers x 32 heads x (128 + 128) over 1,000 tokens
    attention = 32 * 2 * 32 * 256 * 1_000**2 / 2 / sixteen
    found = speed(plan, batch_size=1)
    assert found.prompt_compute_s == pytest.approx(factor * (2 * LLAMA * 1_000 / peak + attention), rel=1e-9)
    assert (found.prefill_s_low, found.prefill_s_high) == pytest.approx((found.prefill_s / 2, found.prefill_s * 2.9))


def test_a_token_of_a_model_with_experts_is_multiplied_by_its_own():
    # Mixtral: 12,879,925,248 active parameters, of which the input embedding is looked up
    active = 12_879_925_248 - 32_000 * 4_096
    assert terms_of(plan_of("mixtral-8x7b", gpu="h200"), 3)["compute"] == pytest.approx(2 * active * 3 / 989e12)


def test_attention_flops_of_latent_heads():
    # DeepSeek-V2-Lite: 27 layers x 16 heads x (192 + 128); 2,661,150,208 active, embedding 102,400 x 2,048
    found = speed(plan_of("deepseek-v2-lite"), batch_size=1, prompt_tokens=3_000)
    flops = 2 * (2_661_150_208 - 102_400 * 2_048) * 3_000 + 27 * 2 * 16 * 320 * 3_000**2 / 2
    assert found.prompt_compute_s == pytest.approx(1.45 * flops / 989e12, rel=1e-9)


# Links


@pytest.mark.parametrize(
    ("gpu", "gb_per_s"),
    # NVLink of Hopper 350, Blackwell 650, A100 200; MI300X 300; PCIe 4 18 and PCIe 5 40
    [
        ("h100-sxm", 350), ("h200", 350), ("b200", 650), ("a100-80gb-sxm", 200), ("mi300x", 300), ("mi355x", 300),
        ("mi250x-gcd", 200), ("v100-32gb", 200), ("a100-80gb-pcie", 18), ("l40s", 18), ("rtx-4090", 18),
        ("h100-pcie", 40), ("rtx-5090", 40), ("rtx-pro-6000-blackwell", 40),
    ],
)  # fmt: skip
@pytest.mark.parametrize("ranks", [1, 2, 8])
def test_two_all_reduces_a_layer(gpu, gb_per_s, ranks):
    # 2 x 32 layers x 2 (n - 1) / n x tokens x 4,096 x 2 bytes
    plan = plan_of(gpu=gpu, tensor_parallel_size=ranks, weight_dtype="fp16")
    a_token = 1.8 * 2 * 32 * 2 * (ranks - 1) / ranks * 4_096 * 2 / (gb_per_s * 1e9)
    assert terms_of(plan, 10)["links"] == pytest.approx(10 * a_token, rel=1e-9)


# Pipeline stages, and the share of new prompts


def test_stages_follow_one_another_with_their_share_of_the_sequences():
    # a token passes all four stages, each with a quarter of the 40 sequences at a time
    plan = plan_of("llama-3.1-70b", tensor_parallel_size=2, pipeline_parallel_size=4)
    found = speed(plan, batch_size=40, prompt_tokens=2_000, output_tokens=500)
    links = 1.8 * 2 * 80 * 8_192 * 2 / 350e9  # a token: 2 (n - 1) / n is 1
    flops = 2 * LLAMA_70 * 2_000 + 80 * 2 * 64 * 256 * 2_000**2 / 2
    prompt_s = 1.45 * flops / 2 / 989e12 + 2_000 * links
    assert found.prompt_compute_s == pytest.approx(prompt_s, rel=1e-9)
    assert {term.name: term.seconds for term in found.terms} == pytest.approx(
        {
            "weights": 2 * LLAMA_70 / 2 / 3350e9,
            "kv": 1.1 * 10 * 2_250 * 327_680 / 2 / 3350e9,
            "compute": 2 * LLAMA_70 * 10 / 2 / 989e12,
            "links": 10 * links,
            "launch": 80 * 75e-6 + 10 * 20e-6,
            "prefill": 10 / 500 * prompt_s,
        },
        rel=1e-9,
    )
    assert found.time_per_output_token_s == pytest.approx(sum(term.seconds for term in found.terms))
    assert found.output_tokens_per_second == pytest.approx(40 / found.time_per_output_token_s)


def test_without_an_output_length_no_prompts_come():
    assert terms_of(plan_of(), 10, 1_000, None)["prefill"] == 0
    # one token each: every step brings as many prompts as there are sequences
    found = speed(plan_of(), batch_size=10, output_tokens=1)
    assert found.terms[-1].seconds == pytest.approx(10 * found.prompt_compute_s)


# A closed loop


@pytest.mark.parametrize(
    ("engine", "factors"),
    # TTFT = a T_p + b N T_p + c t + d, fitted by engine; 1.3, 0.3, 10, 0.1 where nothing was measured
    [
        ("vllm", (1.27, 0.076, 6.2, 0.012)), ("sglang", (1.32, 0.30, 11.8, 0.142)),
        ("tensorrt-llm", (0.77, 0.063, 9.6, 0.045)), ("llama.cpp", (1.3, 0.3, 10.0, 0.1)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("clients", [1, 20])
def test_clients_wait_for_their_first_token(engine, factors, clients):
    found = speed(plan_of(engine=engine, max_num_seqs=32), clients=clients, prompt_tokens=500, output_tokens=200)
    step, (a, b, c, d) = found.time_per_output_token_s, factors
    first = (a + b * found.batch_size) * found.prompt_compute_s + c * step + d
    assert found.batch_size == pytest.approx(clients * 200 * step / (first + 200 * step), rel=1e-6)


def test_clients_beyond_the_pool_wait_too():
    # 1,000 + 400 / 2 tokens are 75 blocks of 16: room for ten of them, less the block that is kept
    blocks = {"kv_cache_memory_bytes": (10 * 75 + 1) * 16 * 131_072}
    assert speed(plan_of(**blocks), clients=500, prompt_tokens=1_000, output_tokens=400).batch_size == 10
    blocks = {"kv_cache_memory_bytes": 10 * 75 * 16 * 131_072}
    assert speed(plan_of(**blocks), clients=500, prompt_tokens=1_000, output_tokens=400).batch_size == 9


# Ranges, and what was not measured

OLD = {"engine_version": "0.19"}  # a version that was measured


@pytest.mark.parametrize(
    ("model", "asked", "count", "band"),
    # measured over computed, nine of ten, on rows that were not fitted
    [
        ("llama-3.1-8b", OLD, 2, (0.78, 1.39)), ("llama-3.1-8b", OLD, 1, (0.82, 1.86)),
        ("qwen3-30b-a3b", {"weight_dtype": "fp8", **OLD}, 2, (0.75, 1.60)),
        ("gpt-oss-20b", {"weight_dtype": "mxfp4", **OLD}, 2, (0.75, 1.79)),
        ("qwen3-30b-a3b", {"weight_dtype": "fp8", **OLD}, 0.5, (0.82, 1.86)),
        ("kimi-k2.5", {"gpu": "b200", "tensor_parallel_size": 8, "weight_dtype": "awq-int4-g32", **OLD}, 2,
         (0.66, 1.49)),
        (
            "glm-5",
            {"gpu": "b200", "tensor_parallel_size": 8, "weight_dtype": "nvfp4", "engine": "sglang",
             "engine_version": "0.5.9"},
            2, (0.69, 1.73),
        ),
        ("qwen3.5-27b", {"engine": "sglang", "engine_version": "0.5.10", "gpu": "b200"}, 2, (0.61, 1.44)),
        # versions newer than all that were measured, up to the newest known: at least 0.65 to 1.6 as well
        ("llama-3.1-8b", {}, 2, (0.65, 1.6)), ("llama-3.1-8b", {}, 1, (0.65, 1.86)),
        ("llama-3.1-8b", {"engine": "tensorrt-llm"}, 2, (0.78, 1.39)),
        # outside what was measured at least 0.65 to 1.6
        ("llama-3.1-8b", {"gpu": "v100-32gb"}, 2, (0.65, 1.6)), ("qwen3.5-27b", {}, 2, (0.61, 1.6)),
        ("gpt-oss-20b", {"weight_dtype": "mxfp4", "gpu": "mi355x"}, 2, (0.65, 1.79)),
    ],
)  # fmt: skip
def test_the_range_of_each_kind(model, asked, count, band):
    found = speed(plan_of(model, **asked), batch_size=count)
    step, rate = found.time_per_output_token_s, found.output_tokens_per_second
    ends = found.time_per_output_token_s_low, found.time_per_output_token_s_high
    assert ends == pytest.approx((step * band[0], step * band[1]))
    ends = found.output_tokens_per_second_low, found.output_tokens_per_second_high
    assert ends == pytest.approx((rate / band[1], rate / band[0]))


@pytest.mark.parametrize(
    ("model", "asked", "given", "words"),
    [
        ("llama-3.1-8b", {"tensor_parallel_size": 8}, {}, ""),
        ("llama-3.1-8b", {"tensor_parallel_size": 16}, {}, "16 GPUs a replica, measured were up to 8"),
        ("qwen3-0.6b", {}, {"batch_size": 512, "prompt_tokens": 100}, ""),
        ("qwen3-0.6b", {}, {"batch_size": 513, "prompt_tokens": 100}, "513 sequences at once"),
        ("llama-3.1-8b", {"seq_len": 20_000}, {"prompt_tokens": 9_750}, ""),
        ("llama-3.1-8b", {"seq_len": 20_000}, {"prompt_tokens": 9_876}, "sequences of 10,001 tokens"),
        ("llama-3.1-8b", {"seq_len": 20_000}, {"prompt_tokens": 10_001}, "prompts of 10,001 tokens"),
        ("llama-3.1-8b", {}, {"output_tokens": 16}, ""), ("llama-3.1-8b", {}, {"output_tokens": 15}, "in bursts"),
        ("llama-3.1-8b", {}, {"output_tokens": None}, ""),
        ("llama-3.1-8b", {"gpu": "mi300x", "weight_dtype": "fp8", "kv_cache_dtype": "fp8"}, {"batch_size": 1}, ""),
        ("llama-3.1-8b", {"gpu": "mi325x"}, {"batch_size": 1}, "no speed on "),
        ("llama-3.1-8b", {"gpu": "mi325x"}, {"batch_size": 2}, "24 to 78 % slower"),
        ("llama-3.1-8b", {"gpu": "rtx-3090"}, {"batch_size": 1}, "no speed on "),
        ("llama-3.1-8b", {"gpu": "rtx-3090"}, {"batch_size": 2}, "consumer cards"),
        ("llama-3.1-8b", {"gpu": "rtx-4090"}, {"batch_size": 2}, "consumer cards"),
        ("llama-3.1-8b", {"gpu": "rtx-5090"}, {"batch_size": 2}, "consumer cards"),
        ("qwen3-30b-a3b", {"weight_dtype": "gptq-int4"}, {}, "four to five times slower"),
        ("qwen3-30b-a3b", {"weight_dtype": "gptq-int4-g32"}, {}, "four to five times slower"),
        ("qwen3-30b-a3b", {"weight_dtype": "awq-int4"}, {}, "models with experts with weights in awq-int4"),
        ("llama-3.1-8b", {"weight_dtype": "gptq-int4"}, {}, "dense models with weights in gptq-int4"),
        ("deepseek-r1", {"weight_dtype": "fp8-block", "engine": "sglang"}, {}, "up to 88 % off"),
        ("deepseek-r1", {"weight_dtype": "fp8", "engine": "sglang"}, {}, "up to 88 % off"),
        ("deepseek-r1", {"weight_dtype": "nvfp4", "engine": "sglang"}, {}, ""),
        ("deepseek-r1", {"weight_dtype": "fp8-block", "engine": "vllm"}, {}, "latent attention with weights in fp8-"),
        ("deepseek-r1", {"weight_dtype": "fp8-block", "engine": "sglang", "gpu": "h200"}, {}, ""),
        ("glm-5", {"weight_dtype": "fp8", "engine": "sglang"}, {}, ""),
        ("glm-5", {"weight_dtype": "fp8-block"}, {}, "no speed of models with sparse attention was measured on vLLM"),
        ("llama-3.1-8b", {"gpu": "l40s"}, {}, "no speed on "), ("llama-3.1-8b", {"gpu": "a100-80gb-sxm"}, {}, ""),
        ("llama-3.1-8b", {"gpu": "t4", "weight_dtype": "awq-int4"}, {}, "no speed on T4"),
        ("llama-3.1-8b", {"gpu": "mi355x"}, {"batch_size": 1}, "no speed on "),
        ("llama-3.1-8b", {"engine": "llama.cpp", "weight_dtype": "q8_0"}, {}, "weights in q8_0"),
        ("llama-3.1-8b", {"engine": "llama.cpp", "weight_dtype": "q4_k_m", "gpu": "a40"},
         {"batch_size": 1, "prompt_tokens": 999}, ""),
        ("llama-3.1-8b", {"engine": "llama.cpp", "weight_dtype": "q4_k_m", "gpu": "a40"},
         {"batch_size": 1, "prompt_tokens": 1_000}, "sequences of 1,125 tokens, measured were up to 1,124"),
        ("qwen3-30b-a3b", {"engine": "llama.cpp", "weight_dtype": "bf16"}, {"batch_size": 1}, "models with experts"),
        ("llama-3.1-8b", {"engine_version": "0.8.5"}, {}, "no speed of vLLM before 0.9 was measured"),
        ("llama-3.1-8b", {"engine_version": "0.9.1"}, {}, ""),
        ("llama-3.1-8b", {"engine": "tensorrt-llm", "engine_version": "1.0"}, {}, ""),
        ("deepseek-r1", {"weight_dtype": "nvfp4", "engine": "tensorrt-llm", "enable_attention_dp": True}, {}, ""),
        ("qwen3-30b-a3b", {"data_parallel_size": 2, "enable_expert_parallel": True, "weight_dtype": "fp8"}, {},
         "what replicas that share experts send each other is not modelled"),
        ("qwen3-30b-a3b", {"data_parallel_size": 2, "enable_expert_parallel": True, "engine": "sglang"}, {}, ""),
        ("qwen3-30b-a3b", {"data_parallel_size": 2, "weight_dtype": "fp8"}, {}, ""),
    ],
)  # fmt: skip
def test_where_measurements_end(model, asked, given, words):
    if model in ("deepseek-r1", "glm-5"):
        asked = {"gpu": "b200", "tensor_parallel_size": 8, **asked}
    plan = plan_of(model, **{"seq_len": 2_048, **asked})
    found = speed(plan, **{"batch_size": 4, "prompt_tokens": 1_000, "output_tokens": 250, **given})
    assert (found.checked, words in found.why) == (not words, True), found.why
    assert not found.why or words


@pytest.mark.parametrize(("count", "checked"), [(10, True), (10.5, False), (11, False)])
def test_more_than_memory_holds_is_said(count, checked):
    # ten requests of 1,000 + 250 / 2 tokens, 71 blocks of 16, and the block that is kept
    few = plan_of(kv_cache_memory_bytes=(10 * 71 + 1) * 16 * 131_072, seq_len=1_250)
    found = speed(few, batch_size=count)
    assert found.checked is checked
    assert ("memory holds 10 such requests at once" in found.why) is not checked


def test_ranks_that_serve_their_own_sequences_have_room_each():
    # a rank holds 61 x 576 x 2 = 70,272 bytes a token; ten requests of 1,125 tokens and 0.098 of the 125 that are still
    # expected, on each of eight
    plan = plan_of(
        "deepseek-v3", gpu="b200", engine="sglang", tensor_parallel_size=8, enable_attention_dp=True, seq_len=1_250,
        kv_cache_memory_bytes=10 * 1_138 * 70_272, weight_dtype="fp8-block",
    )  # fmt: skip
    assert "memory holds" not in speed(plan, batch_size=80).why
    assert "memory holds 80 such requests" in speed(plan, batch_size=81).why
