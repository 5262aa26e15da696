"""The three estimated lines against what vLLM logged, and the user's own values in their place."""

import dataclasses

import pytest
from golden import GIB, rows

import calculator
from calculator.engines import engine_class
from calculator.engines.llama_cpp.overheads import without_flash_attention
from calculator.engines.overheads import ACTIVATION, Line, Overhead, graph_sizes

POINTS = rows("overhead_points.csv")


def planned(row):
    """Plan a dense model of the row's widths on the H100 that the row was logged on."""
    model = calculator.custom_model(
        num_layers=1,
        num_attention_heads=8,
        num_key_value_heads=8,
        head_dim=8,
        hidden_size=int(row["hidden_size"]),
        intermediate_size=int(row["intermediate_size"]),
        vocab_size=int(row["vocab_size"]),
        max_position_embeddings=2048,
        tie_word_embeddings=True,
    )
    return calculator.plan(model, gpu="h100-sxm", tensor_parallel_size=int(row["tp"]), engine_version="0.19")


@pytest.mark.parametrize("row", POINTS, ids=lambda row: f"{row['id']}-{row['model'].split('/')[-1]}-tp{row['tp']}")
def test_dense_models_on_vllm_0_18_and_0_19(row):
    plan = planned(row)
    # the engine's defaults on an H100 are those of the logged run
    assert plan.request.max_num_seqs == int(row["max_num_seqs"])
    assert plan.request.max_num_batched_tokens == int(row["max_num_batched_tokens"])
    activation = plan.per_gpu.activation_bytes / GIB
    assert activation == pytest.approx(float(row["estimate_gib"]), abs=0.0006)
    assert activation == pytest.approx(float(row["activation_gib"]), abs=0.04)  # overhead_model.md: mean 0.018


@pytest.mark.parametrize(
    ("tp", "gpu", "expected"),
    [(1, "h100-sxm", 0.25), (2, "h100-sxm", 2.1), (8, "h100-sxm", 2.1), (1, "l40s", 0.25), (2, "l40s", 0.6)],
)
def test_memory_outside_the_allocator(tp, gpu, expected):
    # overhead_model.md section 2: 0.25 on one GPU, 2.1 over NVLink, 0.6 over PCIe
    plan = calculator.plan("llama-3.1-8b", gpu=gpu, tensor_parallel_size=tp, engine_version="0.19")
    assert plan.per_gpu.non_torch_bytes / GIB == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize(("row"), [row for row in POINTS if "granite" not in row["model"]], ids=lambda row: row["id"])
def test_memory_outside_the_allocator_as_logged(row):
    assert planned(row).per_gpu.non_torch_bytes / GIB == pytest.approx(float(row["non_torch_gib"]), abs=0.12)


@pytest.mark.parametrize(
    ("preset", "weights", "activation", "logged"),
    # 0.95 x 79.19 - weights - activations - 0.25: points 1, 4 (vLLM 0.19) and 36 (0.18), without graphs before 0.21
    [("llama-3.1-8b", 14.99, 1.87, 58.11), ("qwen2.5-7b", 14.25, 2.20, 58.53), ("qwen3-14b", 27.52, 2.22, 45.23)],
)
def test_end_to_end_on_an_h100(preset, weights, activation, logged):
    plan = calculator.plan(
        preset,
        gpu="h100-sxm",
        engine_version="0.19",
        gpu_memory_bytes=round(79.19 * GIB),
        gpu_memory_utilization=0.95,
        max_num_seqs=1024,
        max_num_batched_tokens=8192,
        cuda_graph_bytes=0,
    )
    assert plan.per_gpu.activation_bytes / GIB == pytest.approx(activation, abs=0.005)
    assert plan.kv_pool_bytes / GIB == pytest.approx(logged, abs=0.07)
    own = 0.95 * 79.19 - weights - activation - 0.25
    assert plan.kv_pool_bytes / GIB == pytest.approx(own, abs=abs(plan.per_gpu.weights_bytes / GIB - weights) + 0.01)


def test_experts_add_to_the_sampler():
    # Mixtral 8x7B at TP 2, T 8,192, S 1,024: point 31 logs 1.21 GiB, the estimate is 1.170
    plan = calculator.plan("mixtral-8x7b", gpu="h100-sxm", tensor_parallel_size=2)
    assert plan.per_gpu.activation_bytes / GIB == pytest.approx(1.170, abs=0.001)
    # Qwen3 30B A3B on one: point 29, estimate 2.519
    plan = calculator.plan("qwen3-30b-a3b", gpu="h100-sxm")
    assert plan.per_gpu.activation_bytes / GIB == pytest.approx(2.519, abs=0.001)


def test_the_first_stage_holds_no_sampler():
    # point 35: Llama 3.1 8B, PP 2: 2 x 8192 x (3 x 14336 + 4.3 x 4096) + 4 x 8192 x 4096 = 0.925 + 0.125 - 0.125 GiB
    # A_mlp = 2 x 8,192 x (43,008 + 17,612.8) = 993,210,..; + 4 x T x h = 134,217,728; together 1.05 GiB, 1.1 logged
    plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", pipeline_parallel_size=2)
    first, last = (stage.memory.activation_bytes / GIB for stage in plan.stages)
    assert first == pytest.approx((2 * 8192 * (3 * 14336 + 4.3 * 4096) + 4 * 8192 * 4096) / GIB, abs=1e-6)
    assert first == pytest.approx(1.10, abs=0.06)
    assert last == pytest.approx(1.873, abs=0.001)


@pytest.mark.parametrize(
    ("max_num_seqs", "expected"),
    # min(2 S, 512): 1, 2, 4, then every 8 to 248, then every 16 from 256: 51 sizes to 512 and 35 to 256 (vLLM 0.33.0);
    # S = 64 is 1, 2, 4 and 16 steps of 8
    [(1, 2), (2, 3), (4, 4), (16, 7), (64, 19), (128, 35), (256, 51), (1024, 51)],
)
def test_captured_graph_sizes(max_num_seqs, expected):
    assert graph_sizes(max_num_seqs) == expected


@pytest.mark.parametrize(
    ("gpu", "max_num_seqs", "expected"),
    [("h100-sxm", 1024, 1.0), ("a100-80gb-sxm", 256, 1.0), ("l40s", 256, 0.5), ("h100-sxm", 64, 19 / 51)],
)
def test_cuda_graphs(gpu, max_num_seqs, expected):
    plan = calculator.plan("llama-3.1-8b", gpu=gpu, max_num_seqs=max_num_seqs)
    assert plan.per_gpu.cuda_graph_bytes / GIB == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("gpu", "tokens", "sequences"),
    # vLLM 0.33.0 engine/arg_utils.py, API server: 160 GiB and more, 70 GiB and more but no A100, all else
    [
        ("b200", 16_384, 1024),
        ("mi300x", 16_384, 1024),
        ("h100-sxm", 8_192, 1024),
        ("h200", 8_192, 1024),
        ("a100-80gb-sxm", 2_048, 256),
        ("a100-80gb-pcie", 2_048, 256),
        ("l40s", 2_048, 256),
        ("rtx-4090", 2_048, 256),
    ],
)
def test_the_engines_defaults_by_device(gpu, tokens, sequences):
    request = calculator.plan("qwen2.5-0.5b", gpu=gpu).request
    assert (request.max_num_batched_tokens, request.max_num_seqs) == (tokens, sequences)


@pytest.mark.parametrize("name", ["activation_bytes", "non_torch_bytes", "cuda_graph_bytes"])
@pytest.mark.parametrize("value", [0, 12_345, 2**31])
def test_an_own_value_replaces_the_estimate_byte_for_byte(reference, name, value):
    own = calculator.vary(reference, **{name: value})
    assert getattr(own.per_gpu, name) == value
    assert own.kv_pool_bytes - reference.kv_pool_bytes == getattr(reference.per_gpu, name) - value
    assert [line.source for line in own.stage.overheads].count("your own value") == 1


def test_an_engine_may_have_any_lines(reference, monkeypatch):
    usual = engine_class("vllm").overheads
    draft = Overhead(Line("draft", "Draft model", "the draft model"), 2 * GIB, "a test", 0, 9 * GIB)
    encoder = Overhead(Line("encoder", "Encoder", "the encoder", ACTIVATION.keyword), GIB, "a test", GIB, GIB)
    monkeypatch.setattr(engine_class("vllm"), "overheads", lambda *asked: (*usual(*asked), draft, encoder))
    more = calculator.vary(reference, model=dataclasses.replace(reference.model))  # of a preset it is known already
    assert list(more.per_gpu.lines) == ["activation", "non_torch", "cuda_graph", "output_counts", "draft", "encoder"]
    assert more.kv_pool_bytes == reference.kv_pool_bytes - 3 * GIB
    assert more.per_gpu.unused_bytes == reference.per_gpu.unused_bytes
    # lines of one keyword add up, and one value stands for them all
    assert more.per_gpu.activation_bytes == reference.per_gpu.activation_bytes + GIB
    own = calculator.vary(more, activation_bytes=5)
    assert own.per_gpu.activation_bytes == 5
    assert own.kv_pool_bytes == more.kv_pool_bytes + more.per_gpu.activation_bytes - 5
    # deviations in squares: 7 GiB more at the high end of the draft
    assert more.range_cause == "the draft model"
    assert reference.kv_pool_bytes - 3 * GIB - more.kv_pool_bytes_low >= 7 * GIB
    assert more.as_dict()["overheads"][4] == {
        "name": "Draft model",
        "bytes": 2 * GIB,
        "source": "a test",
        "low": 0,
        "high": 9 * GIB,
        "in_slack": False,
    }
    assert more.per_replica.lines["draft"].high == 4 * 9 * GIB


@pytest.mark.parametrize(
    ("preset", "cells", "ubatch", "devices", "printed"),
    # "compute buffer size" of public logs with flash attention off [MiB]
    [
        ("llama-3-8b", 8_192, 512, 1, 560.00), ("llama-3-8b", 8_192, 512, 4, 640.01),
        ("llama-3.1-70b", 4_096, 512, 1, 588.01), ("phi-3-mini-4k", 4_096, 256, 1, 150.00),
    ],
)  # fmt: skip
def test_the_compute_buffer_of_llama_cpp_without_flash_attention(preset, cells, ubatch, devices, printed):
    found = without_flash_attention(calculator.load_model(preset), ubatch, cells, devices)
    assert found / 2**20 == pytest.approx(printed, rel=0.035)


def test_the_embedding_of_llama_cpp_stays_on_the_host():
    # Llama 3 8B, q8_0: 8,030,261,248 parameters less the table of 128,256 x 4,096, 34 bytes for 32 of them
    answer = calculator.plan("llama-3-8b", gpu="rtx-3090", engine="llama.cpp", weight_dtype="q8_0", seq_len=8_192)
    assert answer.per_gpu.weights_bytes == pytest.approx((8_030_261_248 - 128_256 * 4_096) * 34 / 32, rel=1e-3)
    # tied: the head is that table, and is on the GPU
    tied = calculator.plan("llama-3.2-1b", gpu="rtx-3090", engine="llama.cpp", weight_dtype="q8_0", seq_len=8_192)
    assert tied.per_gpu.weights_bytes == pytest.approx(1_235_814_400 * 34 / 32, rel=1e-3)
