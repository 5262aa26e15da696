"""Bounds, devices and parts: where a rule begins or ends, worked by hand."""

import json
from pathlib import Path

import pytest

import calculator
from calculator import plan, reconcile

GIB = 2**30
LINES = (Path(__file__).parent / "data" / "reference_parameters.jsonl").read_text(encoding="utf-8").splitlines()
CONFIGS = {case["case"]: case["config"] for case in (json.loads(line) for line in LINES)}


def test_half_a_character_in_a_config_is_refused(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"model_type": "llama", "name": "\\ud800"}', encoding="utf-8")
    with pytest.raises(calculator.FileFormatError, match="holds half a character, which is no text"):
        calculator.load_model(str(path))


@pytest.mark.parametrize("tied", [True, False])
def test_what_of_an_encoder_decoder_is_stored_in_8_bit(tied):
    # BART: 256 wide; 3 encoder layers of 4 x 256² + 2 x 256 x 300, 2 decoder layers of 8 x 256² + 2 x 256 x 400; the
    # embeddings and the head stay, and each of 3 x 6 + 2 x 10 matrices has a scale of 4 bytes
    config = {
        "model_type": "bart", "vocab_size": 1000, "d_model": 256, "encoder_layers": 3, "decoder_layers": 2,
        "encoder_attention_heads": 4, "decoder_attention_heads": 8, "encoder_ffn_dim": 300, "decoder_ffn_dim": 400,
        "max_position_embeddings": 100, "tie_word_embeddings": tied,
    }  # fmt: skip
    model = calculator.model_from_hf_config(config)
    asked = {"gpu": "l4", "seq_len": 100, "encoder_seq_len": 100}
    sixteen, eight = (plan(model, weight_dtype=name, **asked).per_gpu.weights_bytes for name in ("bf16", "fp8"))
    quantised = 3 * (4 * 256**2 + 2 * 256 * 300) + 2 * (8 * 256**2 + 2 * 256 * 400)
    assert sixteen == 2 * model.num_parameters
    assert sixteen - eight == quantised - 4 * (3 * 6 + 2 * 10)


def test_no_experts_make_a_dense_model():
    config = {
        "model_type": "qwen3_moe", "num_hidden_layers": 2, "hidden_size": 256, "intermediate_size": 512, "head_dim": 32,
        "num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 1000, "num_experts": 0,
        "num_experts_per_tok": 0, "moe_intermediate_size": 64,
    }  # fmt: skip
    parts = calculator.model_from_hf_config(config).parts
    assert parts["dense MLP"] == 2 * 3 * 512 * 256
    assert "experts" not in parts


@pytest.mark.parametrize(("ranks", "gib"), [(1, 2.8), (2, 3.55), (8, 8.05)])
def test_memory_outside_the_allocator_on_a_large_amd_gpu(ranks, gib):
    # 2.4-3.3 GiB logged on one MI300X, 7-9 GiB on each of eight: 2.8 and 0.75 for each rank more
    answer = plan("llama-3.1-8b", gpu="mi300x", tensor_parallel_size=ranks)
    assert answer.per_gpu.lines["non_torch"].bytes / GIB == pytest.approx(gib, abs=1e-8)


def vllm_log(model, more=""):
    return (
        f"Initializing a V1 LLM engine (v0.33.0) with config: model='{model}', dtype=torch.bfloat16, "
        f"quantization=None, max_seq_len=8192, gpu_memory_utilization=0.9, max_num_seqs=16{more}\n"
    )


@pytest.mark.parametrize(
    ("model", "weight_dtype"),
    # the log's dtype is the format of computing: a checkpoint that is stored in less stays so
    [("meta-llama/Llama-3.1-8B", "bf16"), ("deepseek-ai/DeepSeek-V3", "auto")],
)
def test_a_checkpoint_in_8_bit_is_not_read_as_16_bit(model, weight_dtype):
    log = vllm_log(model, ", tensor_parallel_size=8") + "Available KV cache memory: 20.00 GiB\n"
    result = reconcile(log, gpu="h200")
    assert result.plan.asked.get("weight_dtype", "auto") == weight_dtype


@pytest.mark.parametrize(
    ("device", "gpu"),
    # as nvidia-smi prints them
    [
        ("NVIDIA H100 80GB HBM3", "h100-sxm"), ("NVIDIA H100 PCIe", "h100-pcie"), ("NVIDIA H100 NVL", "h100-nvl"),
        ("NVIDIA H200", "h200"), ("NVIDIA A100-SXM4-80GB", "a100-80gb-sxm"), ("NVIDIA L40S", "l40s"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
    ],
)  # fmt: skip
def test_the_device_of_a_log_is_the_preset(device, gpu):
    log = vllm_log("meta-llama/Llama-3.1-8B") + f"Available KV cache memory: 2.00 GiB\ndevice memory: {device}\n"
    assert reconcile(log).plan.accelerator.id == gpu


@pytest.mark.parametrize(("last", "ranks"), [(0, 1), (1, 2), (2, 4), (3, 4), (7, 8)])
def test_the_last_rank_that_prints_says_how_many_there_are(last, ranks):
    line = f"(Worker_TP{last} pid=9) INFO 09-29 11:34:04 [gpu_worker.py:298] Available KV cache memory: 11.55 GiB\n"
    result = reconcile(vllm_log("meta-llama/Llama-3.1-8B") + line, gpu="h100-sxm")
    assert result.plan.request.tensor_parallel_size == ranks


@pytest.mark.parametrize(("off", "silent"), [(0.015, True), (-0.015, True), (0.3, False)])
def test_a_small_pool_counts_as_equal_within_0_02_gib(off, silent):
    # sizes are printed to 0.01 GiB: of a pool of 1 GiB a hundredth would be less than that
    memory = {"gpu_memory_bytes": 20 * GIB, "activation_bytes": 0, "non_torch_bytes": 0, "cuda_graph_bytes": 0}
    asked = {"seq_len": 8_192, "gpu_memory_utilization": 0.8, "engine_version": "0.33"}
    real = plan("llama-3.1-8b", **memory, **asked)
    assert 0.9 < real.kv_pool_bytes / GIB < 1.1
    log = (
        "Initializing a V1 LLM engine (v0.33.0) with config: model='meta-llama/Llama-3.1-8B', max_seq_len=8192, "
        f"gpu_memory_utilization=0.8, max_num_batched_tokens=8192\nModel loading took "
        f"{real.per_gpu.weights_bytes / GIB - 0.3:.4f} GiB\nAvailable KV cache memory: "
        f"{real.kv_pool_bytes / GIB + off:.4f} GiB\n"
    )
    causes = [cause for cause in reconcile(log, **memory).causes if "predicted" in cause]
    assert (causes == []) is silent


def test_a_plain_mlp_holds_two_matrices_of_activations():
    # 2 x 8,192 x (2 x 1,024 + 4.3 x 512); with a gate 3 x 1,024
    model = calculator.custom_model(
        num_layers=4, num_attention_heads=8, num_key_value_heads=4, head_dim=64, hidden_size=512,
        intermediate_size=1_024, vocab_size=100, max_position_embeddings=4_096, tie_word_embeddings=True,
        gated_mlp=False,
    )  # fmt: skip
    answer = plan(model, gpu="l4", max_num_seqs=1, max_num_batched_tokens=8_192, seq_len=1_024)
    assert answer.per_gpu.activation_bytes == -(-2 * 8_192 * (10 * 2 * 1_024 + 43 * 512) // 10)


def test_the_fewest_gpus_are_searched_up_to_64():
    # 65 layers of 9.5 GiB that one GPU of 16 GiB holds singly: 65 stages would do, 64 do not
    model = calculator.custom_model(
        num_layers=65, num_attention_heads=1, num_key_value_heads=1, head_dim=64, hidden_size=8_192,
        intermediate_size=204_800, vocab_size=1_000, max_position_embeddings=4_096, tie_word_embeddings=True,
    )  # fmt: skip
    asked = {"gpu_memory_bytes": 16 * GIB, "activation_bytes": 0, "seq_len": 16, "weight_dtype": "bf16"}
    assert plan(model, pipeline_parallel_size=65, **asked).fits
    assert calculator.smallest_fit(plan(model, **asked)) is None


def test_the_answer_as_values_has_the_documented_keys():
    answer = plan("llama-3-8b", gpu="h100-sxm").as_dict()
    assert {
        "schema_version", "fits", "max_batch_size", "max_batch_size_low", "max_batch_size_high", "range_cause",
        "max_context_len", "num_blocks", "block_size", "kv_pool_tokens", "kv_pool_bytes", "kv_pool_bytes_low",
        "kv_pool_bytes_high", "reported_kv_tokens", "max_concurrency", "per_gpu", "per_replica", "all_gpus",
        "overheads", "request", "notes",
    } <= set(answer)  # fmt: skip
    assert answer["max_batch_size_low"] <= answer["max_batch_size"] <= answer["max_batch_size_high"]


def test_the_indexer_of_sparse_attention_by_hand():
    # DeepSeek-V3.2: 64 heads of 128 from 1,536 compressed queries, a key of 128 and 64 head weights from 7,168
    parts = calculator.load_model("deepseek-v3.2").parts
    assert parts["indexer"] == 61 * (64 * 128 * 1_536 + 128 * 7_168 + 64 * 7_168)


def test_a_device_typed_by_hand_stands_among_eight():
    assert plan("llama-3-8b", gpu_memory_bytes=80 * GIB).accelerator.gpus_per_node == 8


@pytest.mark.parametrize("keyword", ["tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size"])
def test_a_degree_lies_within_its_bound(keyword):
    with pytest.raises(calculator.InvalidValueError, match=f"{keyword} must be at most 65,536, not 65537"):
        plan("llama-3-8b", gpu="h100-sxm", **{keyword: 65_537})


@pytest.mark.parametrize(
    ("kept", "match"),
    # Gemma 3n: its first layer is windowed, so one layer alone leaves the full ones nothing to share
    [(None, "must lie between 0 and"), (0, "without a cache to share"), (1, "without a cache to share")],
)
def test_shared_caches_need_one_of_their_kind_before_them(kept, match):
    config = next(config for config in CONFIGS.values() if config["model_type"] == "gemma3n_text")
    shared = -1 if kept is None else config["num_hidden_layers"] - kept
    with pytest.raises(calculator.InvalidValueError, match=f"num_kv_shared_layers.*{match}"):
        calculator.model_from_hf_config({**config, "num_kv_shared_layers": shared})
