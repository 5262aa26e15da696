"""What a model is called elsewhere, what it weighs, and what a plan says of it where memory is short."""

import json
from pathlib import Path

import pytest

import calculator
from calculator import plan, read_log, reconcile

GIB = 2**30
LINES = (Path(__file__).parent / "data" / "reference_parameters.jsonl").read_text(encoding="utf-8").splitlines()
CASES = [json.loads(line) for line in LINES]
OTHER_NAMES = {
    # names of the same decoder in transformers 5.23.0 (models/auto/configuration_auto.py, the outer types of models
    # with encoders) and in configs that bring their own code
    "qwen3_5": "qwen3_5_text", "qwen3_5_moe": "qwen3_5_moe_text", "gemma3n": "gemma3n_text", "gemma4": "gemma4_text",
    "minimax_text_01": "minimax", "minimax_m1": "minimax", "hunyuan": "hunyuan_v1_moe", "mimo_v2": "mimo_v2_flash",
    "internlm": "internlm2",
}  # fmt: skip
DECODER = {
    "num_hidden_layers": 2, "hidden_size": 256, "intermediate_size": 512, "num_attention_heads": 8,
    "num_key_value_heads": 2, "vocab_size": 1000, "max_position_embeddings": 2048, "tie_word_embeddings": False,
}  # fmt: skip


@pytest.mark.parametrize(("name", "kind"), OTHER_NAMES.items())
def test_another_name_of_a_type_is_the_type(name, kind):
    case = next(case for case in CASES if case["config"]["model_type"] == kind)
    model = calculator.model_from_hf_config({**case["config"], "model_type": name})
    assert model.num_parameters == case["num_parameters"]
    assert model.state_bytes_per_sequence() == case["state_bytes"]


@pytest.mark.parametrize(
    ("name", "kind"),
    # the decoder of a model with an encoder of images has its outer type where text_config names none
    [
        ("mimo", "qwen2"), ("phi4mm", "phi3"), ("qwen2_vl", "qwen2"), ("qwen2_vl_text", "qwen2"),
        ("qwen2_5_vl", "qwen2"), ("qwen2_5_vl_text", "qwen2"), ("qwen3_vl_text", "qwen3"),
        ("qwen3_vl_moe_text", "qwen3_moe"), ("phi4_multimodal", "phi3"), ("gemma3", "gemma3_text"),
        ("llama4", "llama4_text"), ("kimi_k2", "deepseek_v3"),
    ],
)  # fmt: skip
def test_an_outer_type_stands_for_its_decoder(name, kind):
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
    config = DECODER | (experts if kind in ("qwen3_moe", "llama4_text", "deepseek_v3") else {})
    outer, inner = (calculator.model_from_hf_config({**config, "model_type": kind}) for kind in (name, kind))
    assert (outer.num_parameters, outer.groups) == (inner.num_parameters, inner.groups)


def test_experts_of_an_odd_width_are_not_padded_where_no_kernel_asks_for_it():
    config = {
        **DECODER, "model_type": "mixtral", "hidden_size": 263, "head_dim": 32, "intermediate_size": 515,
        "num_local_experts": 3, "num_experts_per_tok": 1,
    }  # fmt: skip
    model = calculator.model_from_hf_config(config)
    # 16 bit, two bytes each; gpt-oss alone pads its experts, to 256 x 64
    assert plan(model, gpu="l4", weight_dtype="bf16").per_gpu.weights_bytes == 2 * model.num_parameters


@pytest.mark.parametrize(
    ("ranks", "factor"),
    # NVIDIA aiconfigurator 0.12.0, TensorRT-LLM backend: 2 x tokens x hidden size x 11, 6.5, 5 and 5
    [(1, 11), (2, 6.5), (4, 5), (8, 5)],
)
def test_a_forward_pass_takes_less_on_more_ranks(ranks, factor):
    asked = {"gpu": "h100-sxm", "engine": "tensorrt-llm", "max_num_batched_tokens": 8_192, "seq_len": 8_192}
    dense = plan("llama-3-8b", tensor_parallel_size=ranks, **asked)
    assert dense.per_gpu.activation_bytes == 2 * 8_192 * 4_096 * factor
    experts = plan("mixtral-8x7b", tensor_parallel_size=ranks, **{**asked, "gpu": "b200"})
    assert experts.per_gpu.activation_bytes == 2 * 2 * 8_192 * 4_096 * factor


def test_a_forward_pass_takes_at_least_70_mib(fields):
    # aiconfigurator's least: 2 x 128 x 512 x 11 bytes would be 1.4 MiB
    small = calculator.custom_model(**fields)
    answer = plan(small, gpu="l4", engine="tensorrt-llm", max_num_batched_tokens=128, seq_len=128)
    assert answer.per_gpu.activation_bytes == 70 * 2**20


@pytest.mark.parametrize(("scheme", "kept"), [({"type": "float"}, "fp8_e4m3"), ({}, "kv_cache_scheme 8 bit int")])
def test_a_cache_scheme_without_a_type_is_of_integers(scheme, kept):
    # compressed-tensors 0.20.0 quantization/quant_args.py QuantizationArgs: num_bits 8, type "int" by default
    config = {**DECODER, "model_type": "llama", "quantization_config": {
        "quant_method": "compressed-tensors", "kv_cache_scheme": {"num_bits": 8, **scheme},
        "config_groups": {"group_0": {"weights": {"num_bits": 8, "type": "float", "strategy": "tensor"}}},
    }}  # fmt: skip
    assert calculator.model_from_hf_config(config).kv_cache_dtype == kept


def test_a_pool_that_does_not_fit_has_no_range():
    answer = plan("llama-3-8b", gpu="l4", kv_cache_memory_bytes=100 * GIB)
    assert (answer.fits, answer.max_batch_size_low, answer.max_batch_size_high) == (False, 0, 0)
    assert answer.range_cause == ""


def test_what_a_gpu_would_need_counts_its_own_sequences():
    # attention data parallelism: 17 sequences on 8 ranks are 3 on the fullest; 61 layers x 576 x 2 bytes a token
    answer = plan(
        "deepseek-v3", gpu="h200", tensor_parallel_size=8, engine="sglang", enable_attention_dp=True, batch_size=17,
        seq_len=1_000_000,
    )  # fmt: skip
    needed = 3 * 1_000_000 * 61 * 576 * 2 / GIB
    assert f"of 17 × 1,000,000 tokens needs {needed:.2f} GiB on one GPU" in " ".join(answer.notes)


def test_of_ranks_that_print_bytes_the_smallest_pool_holds():
    line = "(Worker_TP{} pid=1) INFO Current kv cache memory in use is {} bytes\n"
    log = read_log(line.format(0, 55_147_241_472) + line.format(1, 54_073_499_648))
    assert log.figures["kv_pool_gib"] == 54_073_499_648 / GIB
    assert any("the smallest is taken" in problem for problem in log.problems)


@pytest.mark.parametrize("stated", [True, False])
def test_another_version_is_named_only_where_none_is_stated(stated):
    # 9.6 copies of the logits up to 0.16, 3.7 from 0.17 on: of 1,024 x 128,256 logits in fp32 3.10 GB less
    asked = {"gpu": "h100-sxm", "seq_len": 8_192, "gpu_memory_utilization": 0.9}
    real = plan("llama-3.1-8b", engine_version="0.16", **asked)
    version = "INFO vLLM API server version 0.33.0\n" if stated else ""
    log = (
        f"{version}Initializing a V1 LLM engine with config: model='meta-llama/Llama-3.1-8B', dtype=torch.bfloat16, "
        "max_seq_len=8192, gpu_memory_utilization=0.9, max_num_seqs=1024, max_num_batched_tokens=8192\n"
        f"Available KV cache memory: {real.kv_pool_bytes / GIB:.4f} GiB\n"
    )
    causes = reconcile(log, gpu="h100-sxm").causes
    same = f": {real.kv_pool_bytes / GIB:.2f} GiB would be predicted"  # by any version whose rules of it are those
    assert any(cause.startswith("vLLM 0.") and cause.endswith(same) for cause in causes) is not stated


def test_the_parts_of_latent_attention_and_experts_by_hand():
    # DeepSeek-V3, 61 layers, 3 of them dense. Attention: 7,168 x 1,536 + 1,536 x 128 x 192 + 7,168 x 576
    # + 512 x 128 x 256 + 128 x 128 x 7,168 = 187,105,280 a layer. Experts: 58 x 256 x 3 x 2,048 x 7,168; a shared one
    # each. Dense: 3 x 3 x 18,432 x 7,168. Router: 58 x 256 x 7,168, its correction a buffer
    parts = calculator.load_model("deepseek-v3").parts
    assert parts == {
        "embedding": 129_280 * 7_168, "head": 129_280 * 7_168, "attention": 61 * 187_105_280,
        "norms": 61 * (2 * 7_168 + 1_536 + 512) + 7_168, "dense MLP": 3 * 3 * 18_432 * 7_168,
        "router": 58 * 256 * 7_168, "experts": 58 * 256 * 3 * 2_048 * 7_168,
        "shared experts": 58 * 3 * 2_048 * 7_168,
    }  # fmt: skip


def test_the_parts_of_a_model_typed_by_hand(fields):
    # 4 layers of 512 x (8 + 4 + 4 + 8) x 64 and 3 x 512 x 1,024; 9 norms of 512
    parts = calculator.custom_model(**{**fields, "tie_word_embeddings": False}).parts
    assert parts == {
        "embedding": 512_000, "head": 512_000, "attention": 4 * 512 * 24 * 64, "dense MLP": 4 * 3 * 512 * 1_024,
        "norms": 9 * 512,
    }  # fmt: skip


def test_embedding_and_head_of_a_config_stay_16_bit():
    # Llama of 2 layers: 8 bit are q, k, v, o of 256 x (8 + 2 + 2 + 8) x 32 and 3 x 256 x 512, with a scale of 4 bytes
    # for each of 7 matrices; 16 bit 2 x 1,000 x 256 and 5 norms
    model = calculator.model_from_hf_config({**DECODER, "model_type": "llama", "tie_word_embeddings": False})
    eight = 2 * (256 * 20 * 32 + 3 * 256 * 512 + 4 * 7)
    answer = plan(model, gpu="l4", weight_dtype="fp8")
    assert answer.per_gpu.weights_bytes == eight + 2 * (2 * 1_000 * 256 + 5 * 256)


@pytest.mark.parametrize(
    ("engine", "asked", "used"),
    # the versions whose rules are known: the oldest and the newest stand for what is beyond them
    [
        ("vllm", "0.5", "0.6"), ("vllm", "0.34", "0.33"), ("sglang", "0.4.1", "0.4.4"), ("sglang", "0.6", "0.5.23"),
        ("tensorrt-llm", "0.5", "0.11"), ("tensorrt-llm", "2.0", "1.3"),
    ],
)  # fmt: skip
def test_beyond_the_known_versions_the_nearest_is_taken(engine, asked, used):
    answer = plan("llama-3-8b", gpu="h100-sxm", engine=engine, engine_version=asked)
    assert answer.request.engine_version == used
    assert any(f"{asked} are not known: those of {used}, the nearest" in note for note in answer.notes)


@pytest.mark.parametrize("kind", ["qwen2", "qwen3"])
def test_windows_begin_after_the_reference_s_own_28_layers(kind):
    # configuration_qwen2.py: max_window_layers 28, from where layers are windowed where windows are used
    config = {**DECODER, "model_type": kind, "num_hidden_layers": 30, "use_sliding_window": True, "sliding_window": 64}
    model = calculator.model_from_hf_config({**config, "head_dim": 32})
    # 2 KV heads of 32, 16 bit: 256 bytes a token and layer
    assert calculator.kv_cache_bytes(model, 1_000, 1, "fp16") == 256 * (28 * 1_000 + 2 * 64)


@pytest.mark.parametrize(("ranks", "sglang", "tensorrt"), [(1, 0.67, 2.1), (8, 2.52, 2.5)])
def test_what_is_in_use_outside_torch(ranks, sglang, tensorrt):
    # 0.35-0.7 GiB logged on one H100 and 2.3-2.5 on eight H200s, and 0.12 that loading leaves; 1.13-2.42 logged of
    # TensorRT-LLM, and 0.4 for NCCL
    for engine, expected in (("sglang", sglang), ("tensorrt-llm", tensorrt)):
        answer = plan("llama-3-8b", gpu="h100-sxm", engine=engine, tensor_parallel_size=ranks, seq_len=8_192)
        assert answer.per_gpu.non_torch_bytes / GIB == pytest.approx(expected, abs=1e-8)


def test_a_step_of_three_makes_every_third_layer_sparse():
    # modeling_qwen3_moe.py: (layer_idx + 1) % decoder_sparse_step == 0, of five layers the third alone
    config = {
        **DECODER, "model_type": "qwen3_moe", "num_hidden_layers": 5, "head_dim": 32, "num_experts": 4,
        "num_experts_per_tok": 2, "moe_intermediate_size": 64, "decoder_sparse_step": 3,
    }  # fmt: skip
    parts = calculator.model_from_hf_config(config).parts
    assert parts["experts"] == 4 * 3 * 64 * 256
    assert parts["dense MLP"] == 4 * 3 * 512 * 256


@pytest.mark.parametrize(("dtype", "size"), [("float32", 4), ("bfloat16", 2), ("float16", 2), ("auto", 2)])
def test_a_state_is_kept_in_the_format_that_the_config_names(dtype, size):
    # Nemotron 3 Nano: 23 layers; (4,096 + 2 x 8 x 128) x 3 in 16 bit and 64 x 64 x 128 in the format that is named
    config = next(case["config"] for case in CASES if case["case"] == "nemotron-3-nano-30b-a3b")
    model = calculator.model_from_hf_config({**config, "mamba_ssm_cache_dtype": dtype})
    assert model.state_bytes_per_sequence() == 23 * (6_144 * 3 * 2 + 64 * 64 * 128 * size)


def test_kv_heads_that_query_heads_do_not_divide_by_are_refused_with_the_nearest():
    with pytest.raises(calculator.InvalidValueError, match="divisors of 32, the nearest is 2"):
        calculator.load_model("llama-3.1-8b").with_kv_heads(3)


def test_the_lever_of_tokens_in_a_pass_is_vllm_s_smaller_default():
    # engine/arg_utils.py: 2,048 on smaller devices, 8,192 on an H100; an MLP's peak follows it
    answer = plan("llama-3.1-8b", gpu="h100-sxm", seq_len=8_192, max_num_seqs=16)
    changes = [lever.changes for lever in calculator.levers(answer)]
    assert {"max_num_batched_tokens": 2_048} in changes
