"""What each engine's class says of itself, and its kernels of attention, beside a second reading of its package."""

from types import SimpleNamespace

import pytest

import calculator
from calculator.engines import engine_class
from calculator.engines.lacking import OPTIONS, check_checkpoint, check_drafts, check_keywords, check_stages
from calculator.engines.llama_cpp.rules import LlamaCpp
from calculator.engines.sglang.rules import Sglang
from calculator.engines.tensorrt_llm.rules import TensorRtLlm
from calculator.engines.vllm.kernels import (
    DESKTOP,
    DISTANCE,
    ENCODER,
    IMAGES,
    KERNELS,
    LATENT,
    SINKS,
    SPARSE,
    Layer,
    device_class,
    why_none,
)
from calculator.engines.vllm.rules import Vllm
from calculator.engines.vllm.values import Values
from calculator.request import PLAN_DEFAULTS

HEADS_OR_LATENTS = "fp32 fp16 bf16"
CLASSES = {
    "vllm": {
        # 0.33.0: config/cache.py; layers/quantization; config/speculative.py
        "kv_cache_dtypes": f"{HEADS_OR_LATENTS} fp8_e4m3 fp8_e5m2 fp8_per_token_head int8_per_token_head "
                           "int4_per_token_head nvfp4 fp8_ds_mla",
        "weight_dtypes": "fp8 int8 awq-int4 gptq-int4 nvfp4",
        "draft_methods": "mtp eagle eagle3 draft_model ngram ngram_gpu suffix",
        "ignores_kv_cache_dtype": "falcon", "expands_latents": "minicpm3",
        "no_pipeline": "whisper zamba2 mamba2 gemma3n_text",
        "no_checkpoints": "olmo_hybrid", "attention_free": "mamba falcon_mamba mamba2",
        "only_here": "async_scheduling enable_prefix_caching disable_hybrid_kv_cache_manager "
                     "decode_context_parallel_size language_model_only speculative_config max_loras max_lora_rank "
                     "mamba_cache_dtype mamba_ssm_cache_dtype cpu_offload_gb usage_context",
    },
    "sglang": {
        # 0.5.23: server_args.py; configs/model_config.py is_hybrid_swa_model
        "kv_cache_dtypes": "fp16 bf16 fp8_e4m3 fp8_e5m2 nvfp4 fp8_ds_mla",
        "weight_dtypes": "fp8 int8 awq-int4 gptq-int4 nvfp4", "draft_methods": "mtp eagle eagle3 draft_model ngram",
        "window_types": "gemma4_text gpt_oss llama4_text mimo_v2_flash",
        "only_here": "enable_attention_dp decode_context_parallel_size disable_hybrid_kv_cache_manager "
                     "speculative_config max_loras max_lora_rank mamba_ssm_cache_dtype cpu_offload_gb "
                     "enable_prefix_caching",
    },
    "tensorrt-llm": {
        "kv_cache_dtypes": "fp16 bf16 fp8_e4m3 nvfp4", "weight_dtypes": "fp8 int8 awq-int4 gptq-int4 nvfp4",
        "only_here": "enable_attention_dp",
    },
    "llama.cpp": {
        # common/arg.cpp --cache-type-k; tools/quantize; src/models/*.cpp that set swa_type
        "kv_cache_dtypes": f"{HEADS_OR_LATENTS} q8_0 q5_1 q5_0 q4_1 q4_0 iq4_nl",
        "weight_dtypes": "q8_0 q6_k q5_k_m q4_k_m q3_k_m q2_k", "draft_methods": "draft_model",
        "window_types": "afmoe cohere2 cohere2_moe exaone4 exaone_moe gemma2 gemma3_text gemma3n_text gemma4_text "
                        "gpt_oss lfm2_moe llama4_text mimo_v2_flash olmo3",
        "only_here": "swa_full speculative_config n_cpu_moe n_gpu_layers",
    },
}  # fmt: skip
SWITCHES = {
    # whether ranks split layers, sequences share blocks, encoders are loaded, the fraction follows from the device, the
    # table of inputs stays on the host, experts are shared by all replicas, a drafter keeps what is the model's, it
    # starts where no sequence fits, a device's context is in what is left free; bytes of a value in flight
    "vllm": (True, True, True, False, False, True, False, False, True, 2),
    "sglang": (True, True, True, True, False, False, True, True, False, 2),
    "tensorrt-llm": (True, True, True, False, False, False, False, True, False, 2),
    "llama.cpp": (False, False, False, False, True, False, False, False, False, 4),
}
FLAGS = {
    "vllm": """model vllm serve, seq_len --max-model-len, tensor_parallel_size --tensor-parallel-size,
        pipeline_parallel_size --pipeline-parallel-size, data_parallel_size --data-parallel-size,
        decode_context_parallel_size --decode-context-parallel-size, weight_dtype --quantization,
        kv_cache_dtype --kv-cache-dtype, gpu_memory_utilization --gpu-memory-utilization,
        enable_expert_parallel --enable-expert-parallel, block_size --block-size, max_num_seqs --max-num-seqs,
        max_num_batched_tokens --max-num-batched-tokens, kv_cache_memory_bytes --kv-cache-memory-bytes,
        async_scheduling --async-scheduling, enable_prefix_caching --enable-prefix-caching,
        disable_hybrid_kv_cache_manager --disable-hybrid-kv-cache-manager, enforce_eager --enforce-eager,
        language_model_only --language-model-only, speculative_config --speculative-config, max_loras --max-loras,
        max_lora_rank --max-lora-rank, mamba_cache_dtype --mamba-cache-dtype,
        mamba_ssm_cache_dtype --mamba-ssm-cache-dtype, cpu_offload_gb --cpu-offload-gb""",
    "sglang": """model python -m sglang.launch_server --model-path, seq_len --context-length,
        tensor_parallel_size --tp-size, pipeline_parallel_size --pp-size, data_parallel_size --dp-size,
        decode_context_parallel_size --dcp-size, enable_attention_dp --enable-dp-attention,
        enable_expert_parallel --ep-size, weight_dtype --quantization, kv_cache_dtype --kv-cache-dtype,
        gpu_memory_utilization --mem-fraction-static, block_size --page-size, max_num_seqs --max-running-requests,
        max_num_batched_tokens --chunked-prefill-size, disable_hybrid_kv_cache_manager --disable-hybrid-swa-memory,
        enforce_eager --disable-cuda-graph, enable_prefix_caching --disable-radix-cache,
        speculative_config --speculative-algorithm, max_loras --max-loras-per-batch, max_lora_rank --max-lora-rank,
        mamba_ssm_cache_dtype --mamba-ssm-dtype, cpu_offload_gb --cpu-offload-gb""",
    "tensorrt-llm": """model trtllm-serve, seq_len --max_seq_len, tensor_parallel_size --tp_size,
        pipeline_parallel_size --pp_size, gpu_memory_utilization --kv_cache_free_gpu_memory_fraction,
        max_num_seqs --max_batch_size, max_num_batched_tokens --max_num_tokens, enable_expert_parallel --ep_size,
        kv_cache_dtype --kv_cache_dtype""",
    "llama.cpp": """model llama-server --model, seq_len --ctx-size, kv_cache_dtype --cache-type-k,
        max_num_seqs --parallel, max_num_batched_tokens --ubatch-size, swa_full --swa-full,
        speculative_config --model-draft, n_cpu_moe --n-cpu-moe, n_gpu_layers --n-gpu-layers""",
}


RULES = {"vllm": Vllm, "sglang": Sglang, "tensorrt-llm": TensorRtLlm, "llama.cpp": LlamaCpp}


@pytest.mark.parametrize("name", CLASSES)
def test_what_an_engine_has(name):
    rules = engine_class(name)
    assert rules is RULES[name]
    assert issubclass(rules, Values) is (name == "vllm")
    for key, words in CLASSES[name].items():
        assert set(getattr(rules, key)) == set(words.split()), key
    listed = [pair.strip().split(" ", 1) for pair in FLAGS[name].split(",")]
    assert dict(rules.flags) == dict(listed)
    switches = (
        rules.splits_layers, rules.in_blocks, rules.loads_encoders, rules.derives_fraction, rules.embeds_on_host,
        rules.shares_experts_across_replicas, rules.keeps_shared, rules.starts_short, rules.context_in_slack,
        rules.in_flight_bytes,
    )  # fmt: skip
    assert switches == SWITCHES[name]
    assert set(rules.only_here) <= set(OPTIONS)
    assert (rules.window_types is None) is ("window_types" not in CLASSES[name])


def test_experts_are_padded_for_their_kernel():
    """gpt-oss 20B: 24 layers of 32 experts, hidden size and width 2,880, 17 bytes for 32 values.

    The hidden size is padded to 3,072, a multiple of 256, the width to 64, 2,880, or for Marlin to 128, 2,944.
    """
    held = {
        gpu: calculator.plan("gpt-oss-20b", gpu).per_gpu.weights_bytes
        for gpu in ("h100-sxm", "b200", "a100-80gb-sxm", "l40s")
    }
    more = 24 * 32 * 3 * 3_072 * (2_944 - 2_880) * 17 // 32
    assert held["a100-80gb-sxm"] - held["h100-sxm"] == held["l40s"] - held["b200"] == more
    assert held["h100-sxm"] == held["b200"]
    rules = engine_class("vllm")
    assert dict(rules.expert_multiples) == {"mxfp4": (256, 64)}
    assert dict(rules.expert_multiples_on) == {("mxfp4", each): (256, 128) for each in ("turing", "ampere", "ada")}


FORMATS = ("bf16", "fp8_e4m3", "fp8_e5m2", "fp8_per_token_head", "int8_per_token_head", "int4_per_token_head", "nvfp4",
           "fp8_ds_mla")  # fmt: skip
PLAIN_SIZES, ODD = (128, 256, 512), 80
# vLLM 0.33.0: get_supported_head_sizes of flashinfer.py is 64, 128, 256 and 512, of its nvfp4 before compute capability
# 10 from 128 on; triton_attn.py takes any, and raises for 8 bit floats below 8.9; flash_attn.py has fp8_e4m3 of FA 3
# and 4, on Hopper and newer. Triton MLA has fp8_e4m3 alone, raises below 8.9; sparse MLA is of 9, 10 and 12
HEADS = {
    "turing": {PLAIN_SIZES: "ynnnyyn", (64, ODD): "ynnnyyn"},
    "ampere": {PLAIN_SIZES: "yyynyyy", (64,): "yyynyyn", (ODD,): "ynnnyyn"},
    "ada": {PLAIN_SIZES: "yyyyyyy", (64,): "yyyyyyn", (ODD,): "yyyyyyn"},
    "hopper": {PLAIN_SIZES: "yyyyyyy", (64,): "yyyyyyn", (ODD,): "yyyyyyn"},
    "blackwell": {PLAIN_SIZES: "yyyyyyy", (64,): "yyyyyyy", (ODD,): "yyyyyyn"},
    DESKTOP: {PLAIN_SIZES: "yyyyyyy", (64,): "yyyyyyn", (ODD,): "yyyyyyn"},
}
ASKS = {
    # sinks and an encoder's tokens by heads of 64, images seen whole of 256, then latents and sparse latents
    "turing": ("ynnnyyn", "ynnnyyn", "ynnnyyn", "ynnnnnn", "nnnnnnn"),
    "ampere": ("ynnnyyn", "ynnnyyn", "ynnnyyn", "ynnnnnn", "nnnnnnn"),
    "ada": ("yyyyyyn", "yyyyyyn", "yyyyyyn", "yynnnnn", "nnnnnnn"),
    "hopper": ("yyyyyyn", "yyyyyyn", "yyyyyyn", "yynnnnn", "yynnnnny"),
    "blackwell": ("yyyyyyy", "yyyyyyn", "yyyyyyn", "yynnnnn", "yynnnnny"),
    DESKTOP: ("yyyyyyn", "yyyyyyn", "yyyyyyn", "yynnnnn", "yynnnnny"),
}


def letters(device, layer):
    return "".join("n" if why_none(KERNELS[device], layer, name) else "y" for name in FORMATS)


@pytest.mark.parametrize("device", HEADS)
def test_kernels_of_attention_serve_these(device):
    assert set(KERNELS) == set(HEADS)
    for some, expected in HEADS[device].items():
        for size in some:
            assert letters(device, Layer(size, ())) == f"{expected}n", size
    asked = (
        Layer(64, (SINKS,)),
        Layer(64, (ENCODER,)),
        Layer(256, (IMAGES,)),
        Layer(0, (LATENT,)),
        Layer(0, (SPARSE,)),
    )
    for layer, expected in zip(asked, ASKS[device], strict=True):
        assert letters(device, layer) == expected.ljust(8, "n"), layer
    # ALiBi: of FlashAttention 3 and 4 it raises in fp8 alone, which only Hopper takes before others
    distance = letters(device, Layer(128, (DISTANCE,)))
    plain = letters(device, Layer(128, ()))
    assert distance == (plain if device != "hopper" else plain[0] + "n" + plain[2:])


@pytest.mark.parametrize(
    ("gpu", "kernels"),
    [("b200", "blackwell"), ("rtx-5090", DESKTOP), ("gb10", DESKTOP), ("rtx-4090", "ada"),
     ("jetson-agx-thor", "blackwell"), ("mi300x", "cdna3"), ("t4", "turing")],
)  # fmt: skip
def test_kernels_by_the_class_of_a_device(gpu, kernels):
    assert device_class(calculator.load_gpu(gpu)) == kernels


# a value of each keyword that not every engine has: what asks for something, and what asks for nothing
ASKS_FOR = {
    "usage_context": (["server"], []), "enable_attention_dp": ([True], [False]),
    "decode_context_parallel_size": ([2], [1]), "async_scheduling": ([True], [False]),
    "enable_prefix_caching": ([True], [False]), "disable_hybrid_kv_cache_manager": ([True], [False]),
    "language_model_only": ([True], [False]), "swa_full": ([True], [False]), "max_loras": ([1, 4], []),
    "max_lora_rank": ([1, 16], []), "mamba_cache_dtype": (["float32"], ["auto"]),
    "mamba_ssm_cache_dtype": (["float32"], ["auto"]), "cpu_offload_gb": ([1, 0.5], []), "n_cpu_moe": ([1, 4], []),
    "n_gpu_layers": ([1, 9], []), "speculative_config": ([{"method": "mtp"}], []),
}  # fmt: skip


@pytest.mark.parametrize("name", CLASSES)
def test_a_keyword_that_an_engine_lacks_is_refused_where_it_asks_for_something(name):
    assert set(ASKS_FOR) == set(OPTIONS)
    rules = engine_class(name).at(None)
    for keyword, (asking, idle) in ASKS_FOR.items():
        has_it = keyword in CLASSES[name]["only_here"].split()
        for value in (*asking, *idle, None):
            values = PLAN_DEFAULTS | {keyword: value}
            if has_it or value not in asking:
                check_keywords(rules, values)
            else:
                with pytest.raises(calculator.UnsupportedError, match=f"{keyword}: .* has no") as caught:
                    check_keywords(rules, values)
                assert (caught.value.what, caught.value.asked) == (keyword, value)


def test_what_an_engine_does_not_cut_load_or_draft():
    vllm = engine_class("vllm").at("0.33")
    whisper = SimpleNamespace(model_type="whisper")
    check_stages(vllm, whisper, 1)
    check_stages(vllm, SimpleNamespace(model_type="llama"), 2)
    with pytest.raises(calculator.ParallelismError, match="own class of whisper has no pipeline stages") as caught:
        check_stages(vllm, whisper, 2)
    assert (caught.value.asked, caught.value.allowed, caught.value.nearest) == (2, (1,), 1)
    for method, said in (("fp_quant", "deprecated"), ("bitsandbytes", "not among its methods"), ("awq", "")):
        stored = SimpleNamespace(name="M", quant_method=method, is_as_stored=lambda dtype: dtype == "auto")
        check_checkpoint(vllm, stored, "fp8")
        if not said:
            check_checkpoint(vllm, stored, "auto")
            continue
        with pytest.raises(calculator.UnsupportedError, match=said) as caught:
            check_checkpoint(vllm, stored, "auto")
        assert caught.value.what == "weight_dtype"
    check_drafts(vllm, None)
    check_drafts(vllm, SimpleNamespace(method="suffix"))
    with pytest.raises(
        calculator.UnsupportedError, match="what drafts by suffix take with SGLang is not known"
    ) as caught:
        check_drafts(engine_class("sglang").at(None), SimpleNamespace(method="suffix"))
    assert caught.value.allowed == ("mtp", "eagle", "eagle3", "draft_model", "ngram")
