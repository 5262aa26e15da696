"""How wide each estimate is, and of which version: the figures that were logged, and what vLLM's source runs.

Ranges are in GiB, read off public start-up logs; the note beside each says which.
"""

import pytest

import calculator
from calculator.formats.weights import weight_format

GIB = 2**30


def lines_of(model="llama-3.1-8b", **asked):
    return calculator.plan(model, **{"gpu": "h100-sxm", "seq_len": 4_096, **asked}).per_gpu.lines


def gib_of(line):
    return tuple(size / GIB for size in (line.bytes, line.low, line.high))


# Outside torch's allocator


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        # vLLM: up to 0.7 0.01-1.79 on one GPU, 0.20-3.58 with tensor parallelism
        ({"engine_version": "0.7"}, (0.1, 0, 1.8)),
        ({"engine_version": "0.7", "tensor_parallel_size": 2}, (0.5, 0.1, 3.6)),
        ({"engine_version": "0.7", "tensor_parallel_size": 2, "gpu": "l40s"}, (0.5, 0.1, 3.6)),
        # 0.8 to 0.17: 0.13-0.14 on one H100, 0.21-0.55 with tensor parallelism
        ({"engine_version": "0.8"}, (0.13, 0, 0.6)), ({"engine_version": "0.17"}, (0.13, 0, 0.6)),
        ({"engine_version": "0.17", "tensor_parallel_size": 4}, (0.5, 0.1, 1.5)),
        ({"engine_version": "0.17", "tensor_parallel_size": 4, "gpu": "l40s"}, (0.5, 0.1, 1.5)),
        # from 0.18 on 0.24-0.27 and 2.06-2.21, over PCIe a judgement
        ({"engine_version": "0.18"}, (0.25, 0, 0.8)), ({}, (0.25, 0, 0.8)),
        ({"tensor_parallel_size": 8}, (2.1, 1.2, 2.6)), ({"tensor_parallel_size": 2, "gpu": "l40s"}, (0.6, 0.2, 2.1)),
        ({"pipeline_parallel_size": 2}, (0.25, 0, 0.8)),
        # 2.4-3.3 on one MI300X, 7-9 on each of eight: 2.8 and 0.75 a rank more, 1 less to 1.5 more
        ({"gpu": "mi300x"}, (2.8, 1.8, 4.3)), ({"gpu": "mi300x", "tensor_parallel_size": 8}, (8.05, 7.05, 9.55)),
        ({"gpu": "mi210"}, (0.25, 0, 0.8)),
        # SGLang, in use at start: 0.35-0.7 on one H100, 1.5 on four H200s, 2.3-2.5 on eight; 0.8-1.2 on GeForce,
        # 0.7 on one MI355X and 4.5-8.7 in groups; loading leaves 0.12 more, up to 0.5
        ({"engine": "sglang"}, (0.67, 0.2, 1.6)), ({"engine": "sglang", "tensor_parallel_size": 8}, (2.52, 1.2, 3.7)),
        ({"engine": "sglang", "pipeline_parallel_size": 8}, (2.52, 1.2, 3.7)),
        ({"engine": "sglang", "gpu": "rtx-4090"}, (1.12, 0.4, 2.1)),
        ({"engine": "sglang", "gpu": "mi355x"}, (0.72, 0.2, 2)),
        ({"engine": "sglang", "gpu": "mi355x", "tensor_parallel_size": 2}, (6.92, 4, 10.5)),
        # TensorRT-LLM: 2.42 on one H200, 1.13 on a card of 48 GB, 1.7-2.3 elsewhere, and 0.4 for NCCL
        ({"engine": "tensorrt-llm"}, (2.1, 1.0, 3.5)),
        ({"engine": "tensorrt-llm", "tensor_parallel_size": 2}, (2.5, 1.4, 3.9)),
    ],
)  # fmt: skip
def test_what_is_held_outside_the_allocator(asked, expected):
    assert gib_of(lines_of(**asked)["non_torch"]) == pytest.approx(expected, abs=1e-8)


# CUDA graphs: 0.51-1.85 logged on H100s, mean 1.04; 0.2-0.8 on cards of 24 to 96 GB


@pytest.mark.parametrize(("gpu", "central"), [("h100-sxm", 1.0), ("rtx-4090", 0.5), ("a100-40gb", 0.5), ("b200", 1.0)])
def test_graphs_range_from_a_tenth_to_nearly_twice(gpu, central):
    line = lines_of("llama-3.2-1b", gpu=gpu, max_num_seqs=1_024)["cuda_graph"]
    assert gib_of(line) == pytest.approx((central, 0.1 * central, 1.9 * central), abs=1e-8)


def test_no_estimate_is_better_than_a_tenth_of_a_gib():
    # two captured sizes of 51: 0.02 GiB, and 0.1 more at most
    line = lines_of(max_num_seqs=1)["cuda_graph"]
    assert gib_of(line) == pytest.approx((2 / 51, 0, 2 / 51 + 0.1), abs=1e-8)


@pytest.mark.parametrize(
    ("version", "inside"), [("0.19", False), ("0.20", True), ("0.23", False), ("0.28", False), ("0.29", True)]
)
def test_graphs_are_in_the_budget_since_0_20_and_on_the_second_runner_since_0_29(version, inside):
    # envs.py VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS; v1/worker/gpu/model_runner.py profile_cudagraph_memory; Llama is
    # on the second runner from 0.23 on
    assert lines_of(engine_version=version)["cuda_graph"].in_slack is not inside


# Activations: S sequences, T tokens, vocabulary V, hidden size h; so few tokens that the sampler's peak is the larger

SIZES = {"llama-3.1-8b": (128_256, 4_096), "qwen3-8b": (151_936, 4_096), "mistral-nemo-12b": (131_072, 5_120)}


@pytest.mark.parametrize(
    ("model", "version", "tenths"),
    # the sampler's copies of the fp32 logits: 9.6 up to 0.16 and 3.7 from 0.17 on logged; where the
    # second model runner serves a type (config/vllm.py of each version) half a copy in 16 bit, and up to 0.25 a whole
    # one in fp32 beside it: v1/worker/gpu/sample/sampler.py; two passes from 0.33 on
    [
        ("llama-3.1-8b", "0.6.4", 96), ("llama-3.1-8b", "0.16", 96), ("llama-3.1-8b", "0.17", 37),
        ("llama-3.1-8b", "0.22", 37), ("qwen3-8b", "0.21", 37), ("qwen3-8b", "0.22", 15), ("llama-3.1-8b", "0.23", 15),
        ("mistral-nemo-12b", "0.22", 37), ("mistral-nemo-12b", "0.23", 15), ("llama-3.1-8b", "0.25", 15),
        ("llama-3.1-8b", "0.26", 5),
        ("llama-3.1-8b", "0.32", 5), ("llama-3.1-8b", "0.33", 37), ("qwen3-8b", "0.33", 37),
    ],
)  # fmt: skip
def test_the_copies_of_the_logits_by_version(model, version, tenths):
    vocabulary, hidden = SIZES[model]
    line = lines_of(model, engine_version=version, max_num_seqs=1_024, max_num_batched_tokens=1_024)["activation"]
    expected = -(-tenths * 4 * 1_024 * vocabulary // 10) + 2 * 1_024 * hidden
    mlp = 2 * 1_024 * (3 * 14_336 + 4.3 * hidden)
    assert expected > mlp
    assert line.bytes == expected


@pytest.mark.parametrize(
    ("model", "version", "ranks", "counted"),
    # the second runner's v1/worker/gpu/sample/penalties.py and structured_outputs.py, in what 0.27.1 takes from the
    # budget: S rows of V counts of 4 bytes, and two of V/32 words
    [
        ("llama-3.1-8b", "0.26", 1, 0), ("llama-3.1-8b", "0.27", 1, 1_024 * 4 * (128_256 + 2 * 4_008)),
        ("llama-3.1-8b", "0.33", 2, 1_024 * 4 * (128_256 + 2 * 4_008)), ("qwen3-30b-a3b", "0.28", 1, 0),
        ("qwen3-30b-a3b", "0.29", 1, 1_024 * 4 * (151_936 + 2 * 4_748)),
    ],
)  # fmt: skip
def test_what_the_sampler_counts_is_in_the_budget_from_0_27(model, version, ranks, counted):
    line = lines_of(model, engine_version=version, max_num_seqs=1_024, tensor_parallel_size=ranks).get("output_counts")
    assert (line.bytes if line else 0) == counted


EXPERTS = {
    "qwen2_moe": {
        "num_experts": 4, "moe_intermediate_size": 64, "shared_expert_intermediate_size": 128, "num_key_value_heads": 8,
    },
    "granitemoe": {"num_local_experts": 4}, "mixtral": {"num_local_experts": 4},
    "deepseek_v2": {
        "n_routed_experts": 4, "moe_intermediate_size": 64, "kv_lora_rank": 64, "q_lora_rank": None,
        "qk_nope_head_dim": 32, "qk_rope_head_dim": 16, "v_head_dim": 32, "first_k_dense_replace": 0,
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "version", "tenths"),
    # DEFAULT_V2_MODEL_RUNNER_ARCHITECTURES: DeepSeek V2, Qwen2 MoE and Granite MoE from 0.24 on, all from 0.29 on
    [
        ("qwen2_moe", "0.23", 37), ("qwen2_moe", "0.24", 15), ("qwen2_moe", "0.28", 5), ("granitemoe", "0.23", 37),
        ("granitemoe", "0.24", 15), ("mixtral", "0.24", 37), ("mixtral", "0.28", 37), ("mixtral", "0.29", 5),
        ("deepseek_v2", "0.23", 37), ("deepseek_v2", "0.24", 15),
    ],
)  # fmt: skip
def test_types_with_experts_come_to_the_second_runner_by_name(kind, version, tenths):
    config = {
        "model_type": kind, "num_hidden_layers": 2, "hidden_size": 256, "intermediate_size": 64,
        "num_attention_heads": 8, "vocab_size": 200_000, "num_experts_per_tok": 2, "max_position_embeddings": 8_192,
        **EXPERTS[kind],
    }  # fmt: skip
    model = calculator.model_from_hf_config(config)
    asked = {"engine_version": version, "max_num_seqs": 1_024, "max_num_batched_tokens": 1_024}
    line = lines_of(model, **asked)["activation"]
    experts = 2 * 1_024 * 2 * (256 + 64)  # T x topk x (max(2 I, h) + I), 16 bit
    assert line.bytes == -(-tenths * 4 * 1_024 * 200_000 // 10) + 2 * 1_024 * 256 + experts


@pytest.mark.parametrize(
    ("version", "low", "high"),
    # how far logged peaks were off: 25 % before 0.8, 12 % up to 0.19; since 0.20 none is measured
    [("0.7", 0.75, 1.25), ("0.8", 0.8, 1.25), ("0.19", 0.8, 1.25), ("0.20", 0.5, 1.8), ("0.33", 0.5, 1.8)],
)
def test_the_range_of_activations_by_version(version, low, high):
    central, *ends = gib_of(lines_of(engine_version=version, max_num_seqs=1_024)["activation"])
    assert ends == pytest.approx([low * central, high * central], rel=1e-8)


@pytest.mark.parametrize(
    ("engine", "low", "high"), [("sglang", 0.5, 2), ("tensorrt-llm", 0.5, 2), ("llama.cpp", 0.3, 2)]
)
def test_the_range_of_activations_by_engine(engine, low, high):
    # aiconfigurator's figures within a factor of two; llama.cpp's buffer as printed, of newer builds less
    central, *ends = gib_of(lines_of(engine=engine, max_num_batched_tokens=8_192)["activation"])
    assert ends == pytest.approx([low * central, high * central], rel=1e-8)


def test_a_stage_that_is_not_the_last_has_no_sampler():
    # 2 T (3 I + 4.3 h) and 4 T h: two stages of Llama 3.1 8B, T 8,192
    stages = calculator.plan(
        "llama-3.1-8b", gpu="h100-sxm", pipeline_parallel_size=2, max_num_batched_tokens=8_192, max_num_seqs=1_024
    ).stages
    mlp = -(-2 * 8_192 * (10 * 3 * 14_336 + 43 * 4_096) // 10)
    first, last = ({line.line.key: line for line in stage.overheads}["activation"].bytes for stage in stages)
    assert first == mlp + 4 * 8_192 * 4_096
    assert last == -(-37 * 4 * 1_024 * 128_256 // 10) + 2 * 8_192 * 4_096


# vLLM's defaults by version and device


@pytest.mark.parametrize(
    ("version", "gpu", "tokens", "sequences"),
    # engine/arg_utils.py get_batch_defaults: before 0.8 a prompt goes through whole, in 2,048 or as long as it is
    [
        ("0.8", "h100-sxm", 8_192, 1_024), ("0.8", "b200", 8_192, 1_024), ("0.27", "b200", 8_192, 1_024),
        ("0.28", "b200", 16_384, 1_024), ("0.28", "h200", 8_192, 1_024), ("0.33", "a100-80gb-sxm", 2_048, 256),
        ("0.8", "a100-80gb-sxm", 2_048, 256), ("0.33", "l40s", 2_048, 256), ("0.7", "b200", 4_096, 256),
    ],
)  # fmt: skip
def test_what_a_forward_pass_takes_by_default(version, gpu, tokens, sequences):
    request = calculator.plan("llama-3.1-8b", gpu=gpu, seq_len=4_096, engine_version=version).request
    assert (request.max_num_batched_tokens, request.max_num_seqs) == (tokens, sequences)


@pytest.mark.parametrize(("version", "fraction"), [("0.6", 0.9), ("0.19", 0.9), ("0.20", 0.92), ("0.33", 0.92)])
def test_the_utilisation_by_version(version, fraction):
    assert (
        calculator.plan("llama-3.1-8b", gpu="h100-sxm", engine_version=version).request.gpu_memory_utilization
        == fraction
    )


@pytest.mark.parametrize(
    ("version", "in_flight"),
    # a window of Mistral 7B is charged window - 1 + tokens in flight, and a block: config/vllm.py max_in_flight_tokens
    # counts the batch that is scheduled ahead from 0.26 on
    [("0.11", 2_048), ("0.25", 2_048), ("0.26", 4_096), ("0.33", 4_096)],
)
def test_tokens_in_flight_by_version(version, in_flight):
    asked = {"gpu_memory_bytes": 2**44, "kv_cache_memory_bytes": 20 * GIB, "max_num_batched_tokens": 2_048}
    plan = calculator.plan("mistral-7b-v0.1", seq_len=32_768, engine_version=version, **asked)
    assert plan.allocated_bytes_per_sequence == (-(-(4_095 + in_flight) // 16) + 1) * 16 * 131_072


# What runs in 8 and 4 bit


@pytest.mark.parametrize(
    ("name", "computes_in"),
    [
        ("fp16", "16"), ("bf16", "16"), ("awq-int4", "16"), ("gptq-int4", "16"), ("nf4", "16"), ("q4_k_m", "16"),
        ("fp8", "fp8"), ("fp8-block", "fp8"), ("int8", "fp8"), ("mxfp4", "fp4"), ("nvfp4", "fp4"),
    ],
)  # fmt: skip
def test_the_format_that_matrices_are_multiplied_in(name, computes_in):
    assert weight_format(name).computes_in == computes_in


# What a checkpoint of a named 4 bit format leaves in 16 bit


def test_attention_of_experts_may_be_left_in_16_bit():
    # 48 layers of q and o, 2,048 × 4,096 each, k and v, 2,048 × 512: 905,969,664 weights; a group of 128 takes
    # 512 + 20 bits in AWQ, 4.15625 a weight, and 16 as they are: 11.84375 more
    most = 905_969_664 * 1184375 // 800_000
    plan = calculator.plan("qwen3-30b-a3b", gpu="h100-sxm", weight_dtype="awq-int4", seq_len=4096)
    line = plan.per_gpu.lines["left_out"]
    assert (line.bytes, line.low, line.high) == (0, 0, most)
    plain = calculator.vary(plan, checkpoint_bytes=plan.per_gpu.weights_bytes)
    assert (plain.kv_pool_bytes, plain.kv_pool_bytes_high) == (plan.kv_pool_bytes, plan.kv_pool_bytes_high)
    assert plain.kv_pool_bytes_low > plan.kv_pool_bytes_low


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        ("llama-3.1-8b", {"weight_dtype": "awq-int4"}),  # dense: within 2 % of what is logged
        ("qwen3-30b-a3b", {"weight_dtype": "fp8"}),
        ("gpt-oss-20b", {"weight_dtype": "mxfp4"}),  # experts alone, by its own definition
        ("qwen3-30b-a3b", {"weight_dtype": "awq-int4", "checkpoint_bytes": 17_000_000_000}),
    ],
)
def test_nothing_is_left_open_of_weights_that_are_known(model, asked):
    assert "left_out" not in calculator.plan(model, gpu="h100-sxm", seq_len=4096, **asked).per_gpu.lines
