"""What a matrix, a row and a forward pass take, worked by hand from the published layouts, and what is refused."""

import pytest

import calculator
from calculator import plan, reconcile
from calculator.formats.weights import weight_format

GIB = 2**30
# Llama 3.1 8B: matrices of the layers, embedding and head, norms; outputs of all matrices of a layer and how many
QUANTISED, WHOLE = 6_979_321_856, 2 * 128_256 * 4_096 + 65 * 4_096
OUTPUTS, MATRICES = 32 * (4_096 + 1_024 + 1_024 + 4_096 + 14_336 + 14_336 + 4_096), 7 * 32


@pytest.mark.parametrize(
    ("weight_dtype", "quantised_bytes"),
    [
        ("fp8", QUANTISED + 4 * MATRICES),
        # a 4 byte scale for each 128 x 128, which divide every side
        ("fp8-block", QUANTISED + 4 * QUANTISED // 128**2),
        # a 2 byte scale an output
        ("int8", QUANTISED + 2 * OUTPUTS),
        # groups of 128 inputs: 128 x 4 bits, a scale of 16 and a zero point of 4
        ("awq-int4", QUANTISED // 128 * (512 + 20) // 8), ("gptq-int4", QUANTISED // 128 * (512 + 20) // 8),
        ("gptq-int4-g32", QUANTISED // 32 * (128 + 20) // 8), ("awq-int4-g64", QUANTISED // 64 * (256 + 20) // 8),
        # groups of 16: 16 x 4 bits and a byte, and a float32 a matrix
        ("nvfp4", QUANTISED // 16 * 9 + 4 * MATRICES),
    ],
)  # fmt: skip
def test_the_bytes_of_a_weight_format(weight_dtype, quantised_bytes):
    answer = plan("llama-3.1-8b", gpu="h100-sxm", weight_dtype=weight_dtype)
    assert answer.per_gpu.weights_bytes == quantised_bytes + 2 * WHOLE


@pytest.mark.parametrize(
    ("name", "outputs", "inputs", "scales"),
    # what begins a block of 128 x 128, or a group of 16 or 128 inputs, has its scales whole
    [
        ("fp8-block", 128, 128, 4), ("fp8-block", 129, 128, 2 * 4), ("fp8-block", 128, 257, 3 * 4),
        ("fp8-block", 129, 300, 2 * 3 * 4), ("int8", 5, 7, 5 * 2), ("fp8", 5, 7, 4), ("nvfp4", 2, 16, 2 + 4),
        ("nvfp4", 2, 17, 4 + 4), ("mxfp4", 2, 33, 4), ("awq-int4", 2, 128, 5), ("awq-int4", 2, 129, 10),
    ],
)  # fmt: skip
def test_scales_of_what_fills_no_block(name, outputs, inputs, scales):
    bits = {"fp8-block": 8, "int8": 8, "fp8": 8}.get(name, 4)
    assert weight_format(name).bytes_of(outputs, inputs) == outputs * inputs * bits // 8 + scales


@pytest.mark.parametrize(
    ("weight_dtype", "block", "values"),
    # ggml/src/ggml-common.h: block_q8_0 is 32 values and a 2 byte scale, block_q6_K 256 values in 210 bytes
    [("q8_0", 34, 32), ("q6_k", 210, 256)],
)
def test_the_bytes_of_a_block_of_ggml(weight_dtype, block, values):
    # every matrix and the head; the embedding stays on the host, and the 65 norms of 4,096 are not cut into blocks
    answer = plan("llama-3.1-8b", gpu="h100-sxm", engine="llama.cpp", weight_dtype=weight_dtype)
    norms = 65 * 4_096
    assert answer.per_gpu.weights_bytes == (QUANTISED + WHOLE - norms - 128_256 * 4_096) // values * block + 2 * norms


@pytest.mark.parametrize(
    "name",
    # vLLM 0.33.0 config/cache.py CacheDType, of which no layout is known here
    [
        "turboquant_k8v4", "turboquant_4bit_nc", "turboquant_k3v4_nc", "turboquant_3bit_nc", "octave_k3v4",
        "octave_k3v3", "octave_k3v3_compact", "ultraquant_4bit", "nvfp4_4over6", "nvfp4_ds_mla",
    ],
)  # fmt: skip
def test_a_format_of_the_engine_that_is_not_computed_is_refused_by_name(name):
    with pytest.raises(calculator.UnsupportedError, match=f"{name}.*(16 bit, in pages|layout of its own)"):
        plan("llama-3.1-8b", gpu="h100-sxm", kv_cache_dtype=name)


def test_the_sampler_and_the_hidden_states_to_the_byte():
    # vLLM 0.33: 3.7 copies of 1,024 x 128,256 logits in fp32, rounded up, and 2 x 8,192 x 4,096 of hidden states
    answer = plan("llama-3.1-8b", gpu="h100-sxm", max_num_seqs=1_024, max_num_batched_tokens=8_192)
    assert answer.per_gpu.activation_bytes == 1_943_745_332 + 2 * 8_192 * 4_096


def test_one_mlp_to_the_byte():
    # 2 x 8,192 x (3 x 14,336 + 4.3 x 4,096), where few sequences are sampled; on 2 ranks the width is halved
    one = plan("llama-3.1-8b", gpu="h100-sxm", max_num_seqs=16, max_num_batched_tokens=8_192)
    two = calculator.vary(one, tensor_parallel_size=2)
    assert one.per_gpu.activation_bytes == -(-2 * 8_192 * (10 * 3 * 14_336 + 43 * 4_096) // 10)
    assert two.per_gpu.activation_bytes == -(-2 * 8_192 * (10 * 3 * 7_168 + 43 * 4_096) // 10)


def test_latent_attention_gives_way_to_heads_of_its_own_size():
    # DeepSeek-V3: keys of 128 + 64, values of 128
    model = calculator.load_model("deepseek-v3").with_kv_heads(128)
    assert model.kv_bytes_per_token("fp16") == 61 * 128 * (192 + 128) * 2
    custom = calculator.model_from_hf_config(
        {
            "model_type": "deepseek_v3", "num_hidden_layers": 4, "hidden_size": 256, "intermediate_size": 512,
            "num_attention_heads": 8, "vocab_size": 1000, "q_lora_rank": None, "kv_lora_rank": 64,
            "qk_nope_head_dim": 40, "qk_rope_head_dim": 24, "v_head_dim": 48, "moe_intermediate_size": 64,
            "n_routed_experts": 8, "num_experts_per_tok": 2,
        }
    )  # fmt: skip
    assert custom.kv_bytes_per_token("fp16") == 4 * (64 + 24) * 2
    assert custom.with_kv_heads(4).kv_bytes_per_token("fp16") == 4 * 4 * (64 + 48) * 2


def test_a_model_of_one_size_is_split_by_every_divisor_that_its_heads_have():
    # 32 query heads over 8 KV heads: divided up to 8, copied beyond
    assert calculator.load_model("llama-3.1-8b").tensor_parallel_degrees == (1, 2, 4, 8, 16, 32)


@pytest.mark.parametrize(("size", "taken"), [(1, 1), (8, 8), (16, 16), (48, 48), (256, 256)])
def test_a_block_of_vllm_is_of_1_8_or_a_multiple_of_16(size, taken):
    assert plan("llama-3.1-8b", gpu="h100-sxm", block_size=size).request.block_size == taken


@pytest.mark.parametrize("size", [2, 7, 9, 17])
def test_other_blocks_of_vllm_are_refused(size):
    with pytest.raises(
        calculator.InvalidValueError, match=f"block_size {size} is not one of vLLM's: 1, 8 or a multiple"
    ):
        plan("llama-3.1-8b", gpu="h100-sxm", block_size=size)


NAS = {
    "attention": {"n_heads_in_group": 4, "no_op": False}, "ffn": {"ffn_mult": 2.0, "no_op": False},
}  # fmt: skip


@pytest.mark.parametrize("part", ["attention", "ffn"])
@pytest.mark.parametrize(
    "key", ["replace_with_linear", "sparsify", "window_length", "num_sink_tokens", "unshifted_sink"]
)
def test_a_block_of_a_searched_architecture_that_is_not_understood_is_refused(part, key):
    # nvidia/Llama-3_1-Nemotron-51B-Instruct, block_config.py: the fields of AttentionConfig and FFNConfig
    config = {
        "model_type": "nemotron-nas", "num_hidden_layers": 1, "hidden_size": 256, "num_attention_heads": 8,
        "vocab_size": 1000, "max_position_embeddings": 2048,
        "block_configs": [{**NAS, part: {**NAS[part], key: 4}}],
    }  # fmt: skip
    with pytest.raises(calculator.UnsupportedError, match=f"layer 0: {part}: {key} is not understood"):
        calculator.model_from_hf_config(config)


# What a log states, in the plan that it is compared with


def vllm_log(*lines, more=""):
    """Return a start of Llama 3.1 8B on vLLM 0.33 that states all but what is given."""
    return (
        "Initializing a V1 LLM engine (v0.33.0) with config: model='meta-llama/Llama-3.1-8B', dtype=torch.bfloat16, "
        f"max_seq_len=8192, gpu_memory_utilization=0.9, max_num_seqs=256, max_num_batched_tokens=8192{more}\n"
        + "".join(f"{line}\n" for line in lines)
    )


def test_a_term_is_named_from_half_of_what_counts_as_close_and_the_largest_first():
    asked = {"gpu": "h100-sxm", "seq_len": 8_192, "gpu_memory_utilization": 0.9, "max_num_seqs": 256}
    memory = plan("llama-3.1-8b", max_num_batched_tokens=8_192, **asked).per_gpu
    weights, activation = memory.weights_bytes / GIB + 0.29, memory.activation_bytes / GIB + 0.39
    # of a pool of some 54 GiB, 0.54 are close; 0.29 and 0.39 are more than half of that
    result = reconcile(
        vllm_log(
            f"Model loading took {weights:.4f} GiB and 10.8 seconds",
            f"Actual usage is {weights:.2f} GiB for weight, {activation:.2f} GiB for peak activation",
            f"Available KV cache memory: {memory.kv_pool_bytes / GIB - 0.68:.2f} GiB",
        ),
        gpu="h100-sxm",
    )
    differing = [cause for cause in result.causes if "GiB more than predicted" in cause]
    assert [cause.split(":")[0] for cause in differing] == ["activations", "weights"]
    assert [float(cause.split(": ")[1].split()[0]) for cause in differing] == pytest.approx([0.39, 0.29], abs=0.011)


@pytest.mark.parametrize(
    ("option", "name", "value"),
    [
        (", async_scheduling=False", "async_scheduling", False),
        (", enable_prefix_caching=False", "enable_prefix_caching", False),
        (", disable_hybrid_kv_cache_manager=True", "disable_hybrid_kv_cache_manager", True),
        (", language_model_only=True", "language_model_only", True),
    ],
)
def test_an_option_that_the_engine_has_is_taken_from_its_log(option, name, value):
    result = reconcile(vllm_log("Available KV cache memory: 50.00 GiB", more=option), gpu="h100-sxm")
    assert getattr(result.plan.request, name) is value


@pytest.mark.parametrize(
    ("printed", "weight_dtype"),
    # llama.cpp llama_model_ftype_name
    [
        ("F16", "fp16"), ("BF16", "bf16"), ("Q8_0", "q8_0"), ("Q6_K", "q6_k"), ("Q5_K - Medium", "q5_k_m"),
        ("Q4_K - Medium", "q4_k_m"), ("Q3_K - Medium", "q3_k_m"), ("Q2_K - Medium", "q2_k"),
    ],
)  # fmt: skip
def test_the_file_type_of_llama_cpp_is_the_weight_format(printed, weight_dtype):
    log = (
        f"print_info: file type   = {printed}\nprint_info: general.name     = Llama 3.1 8B\n"
        "llama_context: n_seq_max     = 1\nllama_context: n_ctx         = 4096\n"
        "llama_kv_cache: size =  512.00 MiB (  4096 cells,  32 layers,  1/1 seqs), K (f16):  256.00 MiB, "
        "V (f16):  256.00 MiB\n"
    )
    result = reconcile(log, gpu="rtx-4090")
    assert result.plan.request.weight_dtype == weight_dtype
    assert result.plan.request.kv_cache_dtype == "fp16"
