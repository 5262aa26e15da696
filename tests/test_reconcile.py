"""Predicted beside reported: the term, the range and the assumption that explains a difference."""

import io
import json
import sys

import pytest
from logs import (
    LLAMA_CPP,
    LLAMA_CPP_DRAFT,
    LLAMA_CPP_TWO_TYPES,
    LLAMA_CPP_VULKAN,
    LOGS,
    SGLANG,
    SGLANG_ONE_OF_TWO_POOLS,
    SGLANG_SMALL,
    SGLANG_STATES,
    SGLANG_WINDOWS,
    VLLM_COMMAND,
    VLLM_RANKS,
    VLLM_RAY,
    VLLM_V0,
    VLLM_V1,
)

import calculator
from calculator.logs import causes
from calculator.logs.names import gpu_of, plain
from calculator.logs.reconciliation import reconcile
from calculator.logs.setup import with_logged_weights
from calculator.messages import Message
from calculator.planning.command import serve_command


def terms(result):
    return {term.name: term for term in result.terms}


def test_a_start_of_vllm_agrees_term_by_term():
    result = reconcile(VLLM_V1)
    assert result.agrees
    assert result.plan.request.engine_version == "0.11"
    found = terms(result)
    assert found["Weights"].difference == pytest.approx(0.03, abs=0.01)
    assert abs(found["Activations"].difference) < 0.01
    assert found["KV pool"].low < 51.38 < found["KV pool"].high
    assert abs(found["KV pool"].difference) < 0.1
    assert found["Tokens that the reported pool holds"].difference == 0
    assert result.causes == ()


def test_a_start_of_v0_agrees():
    result = reconcile(VLLM_V0)
    assert result.agrees
    assert terms(result)["Blocks that the reported pool holds"].difference == pytest.approx(0, abs=3)


def test_another_utilisation_than_assumed_is_named():
    # a start of 0.22 whose log does not state the utilisation, which was 0.90: the default would be 0.92
    plan = calculator.plan(
        "llama-3.1-8b", gpu="h100-sxm", engine_version="0.22", gpu_memory_utilization=0.9, seq_len=8192
    )
    log = (
        "Initializing a V1 LLM engine (v0.22.0) with config: model='meta-llama/Llama-3.1-8B', dtype=torch.bfloat16, "
        f"max_seq_len=8192\nAvailable KV cache memory: {plan.kv_pool_bytes / 2**30:.2f} GiB\n"
    )
    assert reconcile(log, gpu="h100-sxm").causes[0].startswith("a utilisation of 0.90 in place of 0.92")


def test_graphs_inside_or_outside_the_budget_are_named():
    plan = calculator.plan(
        "llama-3.1-8b", gpu="h100-sxm", engine_version="0.22", gpu_memory_utilization=0.9, seq_len=8192
    )
    without = plan.kv_pool_bytes + plan.per_gpu.cuda_graph_bytes
    log = (
        "Initializing a V1 LLM engine (v0.22.0) with config: model='meta-llama/Llama-3.1-8B', dtype=torch.bfloat16, "
        "max_seq_len=8192, gpu_memory_utilization=0.9, max_num_seqs=1024, max_num_batched_tokens=8192\n"
        f"Available KV cache memory: {without / 2**30:.2f} GiB\n"
    )
    result = reconcile(log, gpu="h100-sxm")
    assert result.causes[0].startswith("CUDA graphs outside the budget")


def test_a_cache_format_that_the_checkpoint_asks_for_is_named():
    result = reconcile(VLLM_V1.replace("420,864", "841,856"))
    assert any(cause.startswith("the KV cache is stored in fp8_e4m3") for cause in result.causes)


def test_windows_in_flight_are_named():
    asked = {
        "gpu_memory_bytes": 2**44,
        "kv_cache_memory_bytes": 20 * 2**30,
        "seq_len": 32_768,
        "engine_version": "0.33",
    }
    tokens = calculator.plan(
        "gemma-3-27b", async_scheduling=False, max_num_batched_tokens=8192, **asked
    ).reported_kv_tokens
    log = (
        "Initializing a V1 LLM engine (v0.33.0) with config: model='google/gemma-3-27b-it', max_seq_len=32768, "
        "max_num_batched_tokens=8192\nAvailable KV cache memory: 20.00 GiB\n"
        f"GPU KV cache size: {tokens:,} tokens\nMaximum concurrency for 32,768 tokens per request: 1.00x\n"
    )
    result = reconcile(log, gpu="h100-sxm")
    assert any("one batch in flight" in cause for cause in result.causes)


def test_another_process_is_named():
    result = reconcile(VLLM_V1.replace("(78.7/79.18 GiB)", "(60.7/79.18 GiB)"))
    assert any(cause.startswith("another process: 18.48 GiB") for cause in result.causes)


def test_gb_that_are_gib_are_named():
    result = reconcile(SGLANG, gpu="t4")
    assert "the log's GB are GiB (2^30 bytes)" in result.causes


def test_llama_cpp_is_compared_to_the_byte():
    result = reconcile(LLAMA_CPP)
    assert result.agrees
    assert result.finding.endswith("a KV cache of 640.00 MiB is predicted, 640.00 MiB reported.")


def test_a_log_without_a_device_is_compared_as_far_as_it_goes():
    result = reconcile(SGLANG)
    assert result.agrees
    assert "no device: the log names none" in " ".join(result.assumed)
    assert terms(result)["KV pool"].predicted is None


def test_the_command_needs_no_device(run, tmp_path):
    path = tmp_path / "start.log"
    path.write_text(SGLANG, encoding="utf-8")
    code, out, err = run("reconcile", path)
    assert (code, err) == (0, "")
    assert "assumed: no device: the log names none" in out


@pytest.mark.parametrize(("log", "megabytes"), [(LLAMA_CPP_DRAFT, "4,352.00"), (LLAMA_CPP_VULKAN, "512.00")])
def test_cells_that_sequences_share_count_once_and_a_drafts_not_at_all(log, megabytes):
    result = reconcile(log, "qwen3.5-27b")
    assert result.agrees
    assert result.finding.endswith(f"a KV cache of {megabytes} MiB is predicted, {megabytes} MiB reported.")
    assert "no draft model" in " ".join(result.assumed)


def test_windows_shared_by_sequences_are_counted_as_printed():
    log = (
        "llama_context: n_ctx         = 8192\nllama_context: n_seq_max     = 4\nllama_context: kv_unified    = true\n"
        "llama_kv_cache_iswa: creating non-SWA KV cache, size = 8192 cells\n"
        "llama_kv_cache:    Vulkan0 KV buffer size =   128.00 MiB\n"
        "llama_kv_cache_iswa: creating     SWA KV cache, size = 6144 cells\n"
        "llama_kv_cache:    Vulkan0 KV buffer size =  1920.00 MiB\n"
    )
    predicted = terms(reconcile(log, "gemma-3-27b"))["KV cache"].predicted
    # 52 layers with windows, 10 without, 16 heads of 128 for keys and as many for values, 16 bit
    assert predicted * 2**30 == (52 * 6144 + 10 * 8192) * 2 * 16 * 128 * 2


def test_keys_and_values_of_two_formats_are_said_to_be():
    result = reconcile(LLAMA_CPP_TWO_TYPES, "llama-3-8b")
    assert not result.agrees
    assert "keys and values in one format: the log stores them in two" in " ".join(result.assumed)


def test_windows_of_sglang_are_compared_with_both_pools():
    result = reconcile(SGLANG_WINDOWS, "mimo-v2-flash")
    assert result.agrees
    assert "tensor_parallel_size 4: the log shows ranks up to TP2" in result.assumed
    assert not any("the model is another" in cause for cause in result.causes)
    result = reconcile(SGLANG_ONE_OF_TWO_POOLS)
    assert "the 375,360 tokens reported cannot be predicted" in result.finding
    assert result.log.problems == ("the size of one of the two pools is not printed: only their tokens are compared",)


def test_states_of_drafts_are_named():
    result = reconcile(SGLANG_STATES, "qwen3.5-27b")
    assert result.causes[0].startswith("states of drafts in flight, 49.18 GiB")
    assert terms(result)["KV pool"].reported == pytest.approx(12.16)


def test_ranks_in_front_of_lines_are_taken_as_parallelism():
    result = reconcile(VLLM_RANKS, "qwen3-235b-a22b", "l40s")
    assert (result.plan.request.tensor_parallel_size, result.plan.request.enable_expert_parallel) == (8, True)
    assert "tensor_parallel_size 8: the log shows ranks up to TP7" in result.assumed
    assert (
        reconcile(VLLM_RANKS, "qwen3-235b-a22b", "l40s", tensor_parallel_size=4).plan.request.tensor_parallel_size == 4
    )


def test_weights_and_tokens_of_a_split_model_are_named():
    result = reconcile(VLLM_RAY, "llama-3.1-405b", "mi300x")
    assert result.finding.endswith("0 tokens are predicted, 552,016 reported.")
    assert result.causes[0] == "tensor_parallel_size 8 would explain the weights of 95.52 GiB"
    # Qwen2.5-72B over 8 ranks: the blocks are eight times those of one
    log = VLLM_V0.replace("Qwen/Qwen3-4B", "Qwen/Qwen2.5-72B").replace("tensor_parallel_size=1, ", "")
    log = log.replace("blocks: 1394", "blocks: 5013").replace("model weights take 7.56GiB; ", "")
    assert "tensor_parallel_size 8 would hold as many tokens as are reported" in reconcile(log).causes


def test_tokens_without_a_pool_are_compared():
    log = VLLM_COMMAND.replace("-tp 2", "-tp 2 --gpu-memory-utilization 0.95")
    result = reconcile(log, gpu="l40s")
    assert result.agrees
    assert result.plan.request.weight_dtype == "fp8"
    assert "tokens are predicted, 566,016 reported, within the range of" in result.finding


@pytest.mark.parametrize(
    ("lines", "version", "text"),
    [
        ("# GPU blocks: 1394, # CPU blocks: 1820", "0.7", "its lines are those of the V0 engine"),
        ("INFO [gpu_worker.py:298] Available KV cache memory: 3.00 GiB", "0.33", "of 0.8 or later"),
        ("[gpu_worker.py:9] Desired GPU memory utilization is (0.9, 71.26 GiB)", "0.33", "of 0.11 or later"),
        ("[kv_cache_utils.py:864] GPU KV cache size: 256,800 tokens", "0.33", "the log names no version"),
    ],
)  # fmt: skip
def test_the_shape_of_lines_bounds_the_version(lines, version, text):
    result = reconcile(lines, "llama-3.1-8b", "h100-sxm")
    assert result.plan.rules.version == version
    assert text in " ".join(result.assumed)


def test_a_version_given_wins(run, tmp_path):
    path = tmp_path / "start.log"
    path.write_text(VLLM_V1, encoding="utf-8")
    _, out, _ = run("reconcile", path, "--engine-version", "0.20", "--format", "json")
    assert json.loads(out)["request"]["engine_version"] == "0.20"


def test_graphs_inside_the_budget_are_no_cause_before_they_were():
    result = reconcile(VLLM_V1.replace("51.38 GiB", "50.80 GiB"))
    assert result.plan.request.engine_version == "0.11"
    assert not any("CUDA graphs inside" in cause for cause in result.causes)


@pytest.mark.parametrize(
    ("said", "form"),
    [
        ("print_info: file type   = Q4_K - Medium", "q4_k_m"),
        ("llm_load_print_meta: file type   = Q8_0", "q8_0"),
        ("llama_model_loader: loaded meta data from /models/Meta-Llama-3-8B.Q5_K_M.gguf (version GGUF V3)", "q5_k_m"),
        ("llama_model_loader: loaded meta data from /models/llama-ud-q5km.gguf (version GGUF V3)", "q5_k_m"),
        ("llama_model_loader: loaded meta data from /models/llama-UD-Q2_K_XL.gguf (version GGUF V3)", "auto"),
        ("print_info: file type   = IQ4_NL - 4.5 bpw", "auto"),
    ],
)  # fmt: skip
def test_formats_of_gguf_files_are_read(said, form):
    result = reconcile(f"{said}\n{LLAMA_CPP_TWO_TYPES.replace('4941', '0')}", "llama-3-8b")
    assert result.plan.asked["weight_dtype"] == form


@pytest.mark.parametrize(
    ("engine", "other", "of"), [("vllm", "q4_k_m", "llama.cpp"), ("llama.cpp", "awq-int4", "vllm")]
)
def test_only_formats_that_the_engine_has_explain_logged_weights(engine, other, of):
    plan = calculator.plan("llama-3.1-8b", "h100-sxm", engine=engine)
    elsewhere = calculator.plan("llama-3.1-8b", "h100-sxm", engine=of, weight_dtype=other)
    logged = elsewhere.per_gpu.weights_bytes / 2**30
    found, assumed = with_logged_weights(plan, logged)
    assert found.request.weight_dtype != other
    assert (found is plan) == (not assumed)
    own = plan.rules.weight_dtypes[0]
    logged = calculator.plan("llama-3.1-8b", "h100-sxm", engine=engine, weight_dtype=own).per_gpu.weights_bytes / 2**30
    assert with_logged_weights(plan, logged)[0].request.weight_dtype == own


def test_the_format_of_computing_is_not_that_of_a_checkpoint_in_fp8():
    log = "vllm serve deepseek-ai/DeepSeek-R1 --dtype bfloat16 -tp 16\n[x] GPU KV cache size: 335,360 tokens\n"
    result = reconcile(log, gpu="h200")
    assert result.plan.model.resolve_weight_dtype(result.plan.request.weight_dtype) == "fp8-block"


def test_a_small_pool_is_rounded_and_a_capped_one_is_named():
    result = reconcile(SGLANG_SMALL, "qwen2.5-0.5b", "h100-sxm")
    assert not any("the model is another" in cause for cause in result.causes)
    assert any(cause.startswith("the pool is capped, as by max_total_tokens: 77.12 GiB") for cause in result.causes)
    assert reconcile(SGLANG_SMALL, "qwen2.5-0.5b").agrees
    result = reconcile(f"--max-total-tokens 20480\n{SGLANG_SMALL}", "qwen2.5-0.5b", "h100-sxm")
    assert result.causes[0] == "the pool is capped by max_total_tokens 20,480"


def test_a_model_that_is_another_is_not_explained_by_flags():
    log = "Available KV cache memory: 55.15 GiB\nGPU KV cache size: 451,744 tokens\nModel loading took 14.08 GiB\n"
    causes = reconcile(log, "qwen3-8b", "h100-sxm").causes
    assert "the model is another" in causes[0]
    assert not any(cause.startswith("max_num_seqs") for cause in causes)


def test_weights_of_another_format_are_recognised_by_their_size():
    # Llama-3.1-8B in fp8 at run time: 8.49 GiB logged
    log = VLLM_V1.replace("14.9889", "8.49").replace("14.99 GiB for weight", "8.49 GiB for weight")
    result = reconcile(log.replace("dtype=torch.bfloat16, ", ""))
    assert result.plan.request.weight_dtype.startswith("fp8")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("Available KV cache memory: 1.00 GiB\n", "the log names no model: give one, as --model"),
        ("LLM engine (v0.11.0) with config: model='acme/unheard-of-9b'\nAvailable KV cache memory: 1.00 GiB\n",
         "'acme/unheard-of-9b' is not one of the presets"),
    ],
)  # fmt: skip
def test_an_unknown_model_is_refused_and_can_be_given(text, match):
    with pytest.raises(calculator.CalculatorError, match=match):
        reconcile(text, gpu="l4")
    assert reconcile(text, "llama-3.1-8b", "l4").plan.model.id == "llama-3.1-8b"


@pytest.mark.parametrize(
    ("named", "preset"),
    [
        ("meta-llama/Meta-Llama-3-8B-Instruct", "llama-3-8b"),
        ("/models/Llama-3.1-8B-Instruct/", "llama-3.1-8b"),
        ("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", "llama-3.3-70b"),
        ("Qwen/Qwen2.5-7B-Instruct-AWQ", "qwen2.5-7b"),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", "qwen3-30b-a3b"),
        ("unsloth/meta-llama-3.1-8b-instruct-bnb-4bit", "llama-3.1-8b"),
        ("openai/gpt-oss-20b", "gpt-oss-20b"),
    ],
)  # fmt: skip
def test_a_tuned_or_quantised_model_has_its_layers(named, preset):
    log = f"vLLM API server version 0.24.0\nmodel='{named}', max_seq_len=4096\nAvailable KV cache memory: 4.00 GiB\n"
    assert reconcile(log, gpu="h100-sxm").plan.model.id == preset


def test_models_of_other_layers_are_not_taken_for_each_other():
    layers = {}
    for key in calculator.model_ids():
        model = calculator.load_model(key)
        name = plain(model.huggingface_id or key)
        assert layers.setdefault(name, model.groups) == model.groups


@pytest.mark.parametrize(
    ("device", "memory", "preset"),
    [
        ("NVIDIA H100 80GB HBM3", 79.19, "h100-sxm"),
        ("NVIDIA H100 PCIe", None, "h100-pcie"),
        ("NVIDIA A100-SXM4-80GB", None, "a100-80gb-sxm"),
        ("NVIDIA A100-SXM4-40GB", 39.39, "a100-40gb"),
        ("NVIDIA GeForce RTX 3090", None, "rtx-3090"),
        ("Tesla T4", None, "t4"),
        ("NVIDIA L40S", None, "l40s"),
        ("AMD Instinct MI300X", None, "mi300x"),
        ("NVIDIA H200", None, "h200"),
        ("some accelerator", None, None),
    ],
)
def test_devices_are_recognised_by_their_name(device, memory, preset):
    assert gpu_of(device, memory) == preset


def test_the_command_reads_a_file_or_stdin(run, tmp_path, monkeypatch):
    path = tmp_path / "start.log"
    path.write_text(VLLM_V1, encoding="utf-8")
    code, out, err = run("reconcile", path)
    assert (code, err) == (0, "")
    assert out.startswith("LLaMA 3.1 8B on vLLM: a KV pool of")
    assert "not understood, line" in out
    assert "hf_abcdefghijkl" not in out
    assert "sk-abcdef123456" not in out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(VLLM_V1.encode())))
    code, out, _ = run("reconcile", "-", "--format", "json")
    report = json.loads(out)
    assert (code, report["agrees"], report["engine"]) == (0, True, "vllm")
    assert {"key", "name", "unit", "predicted", "reported", "low", "high", "difference"} == set(report["terms"][0])


@pytest.mark.parametrize(
    ("content", "code", "text"),
    [
        (VLLM_V1.replace("51.38 GiB", "41.38 GiB").encode(), 1, "outside the range"),
        (b"\x00\x01", 2, "error: the log is no text"),
        (b"nothing of memory", 2, "error: no line is one"),
    ],
)
def test_exit_codes(run, tmp_path, content, code, text):
    path = tmp_path / "start.log"
    path.write_bytes(content)
    found, out, err = run("reconcile", path)
    assert found == code
    assert text in out + err


def test_a_missing_file_is_bad_input(run):
    assert run("reconcile", "nowhere.log")[0] == 2


@pytest.mark.parametrize("name", LOGS)
def test_every_engines_log_can_be_written_as_json(name):
    model = {"sglang windows": "mimo-v2-flash", "sglang states": "qwen3.5-27b", "llama.cpp draft": "qwen3.5-27b"}
    assert json.loads(json.dumps(reconcile(LOGS[name], model.get(name), gpu="h200").as_dict()))["terms"]


@pytest.mark.parametrize(
    ("asked", "command"),
    [
        ({"tensor_parallel_size": 4},
         "vllm serve meta-llama/Meta-Llama-3-70B --max-model-len 8192 --tensor-parallel-size 4 "
         "--gpu-memory-utilization 0.92 --max-num-seqs 58"),
        ({"tensor_parallel_size": 4, "kv_cache_dtype": "fp8", "max_num_seqs": 16, "enforce_eager": True},
         "vllm serve meta-llama/Meta-Llama-3-70B --max-model-len 8192 --tensor-parallel-size 4 --kv-cache-dtype fp8 "
         "--gpu-memory-utilization 0.92 --max-num-seqs 16 --enforce-eager"),
        ({"tensor_parallel_size": 4, "engine": "tensorrt-llm", "max_num_seqs": 32},
         "trtllm-serve meta-llama/Meta-Llama-3-70B --max_seq_len 8192 --tp_size 4 "
         "--kv_cache_free_gpu_memory_fraction 0.9 --max_batch_size 32"),
        ({"pipeline_parallel_size": 4, "engine": "llama.cpp", "weight_dtype": "q4_k_m", "batch_size": 2},
         "llama-server --model llama-3-70b.gguf --ctx-size 16384 --cache-type-k bf16 --cache-type-v bf16 --parallel 2"),
    ],
)  # fmt: skip
def test_a_plan_is_written_as_the_engines_command(asked, command):
    plan = calculator.plan("llama-3-70b", gpu="a100-80gb-sxm", seq_len=8192, **asked)
    assert serve_command(plan) == command


def test_a_log_without_a_version_is_dated_by_its_lines():
    # vLLM 0.27 prints tokens and concurrency on two lines, 0.28 on one; before 0.28 the second model runner subtracts
    # no CUDA graphs: 22.07 - 1.23 - 0.31 = 20.53 GiB
    head = (
        "(EngineCore pid=20075) INFO 08-22 20:52:25 [model_runner.py:329] Model loading took 0.93 GiB and 6.2 seconds\n"
    )
    lines = (
        "INFO 08-22 20:52:01 [scheduler.py:242] Chunked prefill is enabled with max_num_batched_tokens=8192.\n" + head
        + "(EngineCore pid=20075) INFO 08-22 20:52:36 [gpu_worker.py:563] Available KV cache memory: 20.52 GiB\n"
        "(EngineCore pid=20075) INFO 08-22 20:52:36 [kv_cache_utils.py:2235] GPU KV cache size: 1,793,232 tokens\n"
        "(EngineCore pid=20075) INFO 08-22 20:52:39 [gpu_worker.py:789] Free memory on device (22.45/23.99 GiB) on "
        "startup. Desired GPU memory utilization is (0.92, 22.07 GiB). Actual usage is 1.23 GiB for consumed memory "
        "(weights + non-torch), 0.31 GiB for peak activation, and 0.0 GiB for CUDAGraph memory.\n"
    )  # fmt: skip
    older = calculator.reconcile(lines, "qwen2.5-0.5b")
    assert older.plan.rules.version == "0.27"
    assert older.agrees
    assert older.plan.kv_pool_bytes / 2**30 == pytest.approx(20.52, abs=0.15)
    one_line = " tokens, Maximum concurrency for 32,768 tokens per request: 54.72x\n"
    newer = calculator.reconcile(lines.replace(" tokens\n", one_line), "qwen2.5-0.5b")
    assert newer.plan.rules.version == "0.33"
    assert any("0.28 or later" in said for said in newer.assumed)


@pytest.mark.parametrize("name", LOGS)
def test_terms_causes_and_assumptions_are_told_apart_by_their_keys(name):
    model = {"sglang windows": "mimo-v2-flash", "sglang states": "qwen3.5-27b", "llama.cpp draft": "qwen3.5-27b"}
    result = reconcile(LOGS[name].replace("51.38 GiB", "41.38 GiB"), model.get(name), gpu="h200")
    keys = [term.key for term in result.terms]
    assert len(set(keys)) == len(keys)
    assert {"memory", "budget", "weights", "activations", "outside", "graphs"} < set(keys)
    assert ("kv_cache" if result.log.engine == "llama.cpp" else "kv_pool") in keys
    for text in (
        result.finding,
        *result.causes,
        *result.assumed,
        *result.log.problems,
        *(t.name for t in result.terms),
    ):
        assert text.key.startswith("logs.")


def test_what_a_cause_says_decides_nothing(monkeypatch):
    # after the cause that the model is another one no flag is looked for, in whatever words it is said
    log = "Available KV cache memory: 55.15 GiB\nGPU KV cache size: 451,744 tokens\nModel loading took 14.08 GiB\n"

    def in_other_words(key, _, /, **values):
        return Message(key, "?", values)

    monkeypatch.setattr(causes, "say", in_other_words)
    keys = [cause.key for cause in reconcile(log, "qwen3-8b", "h100-sxm").causes]
    assert keys[0] == causes.OTHER_MODEL
    assert "logs.cause.max_num_seqs" not in keys


def test_tokens_of_a_pool_that_a_log_prints_without_its_states():
    # SGLang prints the size of keys and values apart from that of states: 16 of 64 layers,
    # and on each of 4 ranks one KV head of 256 in 16 bit: 16 × 2 × 256 × 2 bytes = 16 KiB a token; 2^20 take 16 GiB
    log = (
        "server_args=ServerArgs(model_path='Qwen/Qwen3.6-27B', tp_size=4, kv_cache_dtype='auto')\n"
        "KV Cache is allocated. #tokens: 1048576, K size: 8.00 GB, V size: 8.00 GB\n"
    )
    result = reconcile(log, "qwen3.5-27b")
    assert result.agrees
    assert terms(result)["Tokens that the reported pool holds"].difference == 0
