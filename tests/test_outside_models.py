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
    "num_key_value_heads": 2, "vocab_size": 1000, "max_position_embeddings": 2048,
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
        ("qwen3_vl_moe_text", "qwen3_moe"), ("glm4v_text", "glm4"), ("phi4_multimodal", "phi3"),
        ("gemma3", "gemma3_text"), ("llama4", "llama4_text"),
    ],
)  # fmt: skip
def test_an_outer_type_stands_for_its_decoder(name, kind):
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
    config = DECODER | (experts if kind in ("qwen3_moe", "llama4_text") else {})
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
    assert any(cause.startswith("vLLM 0.16: ") for cause in causes) is not stated
