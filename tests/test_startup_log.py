"""Logs read: every figure found, every line accounted for, and nothing hostile let through."""

import contextlib
import json
import random
import re
import textwrap
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
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
    TENSORRT_LLM,
    VLLM_COMMAND,
    VLLM_RANKS,
    VLLM_V0,
    VLLM_V1,
)

import calculator
from calculator.logs.reading import MAX_LOG_BYTES, clean, read_log
from calculator.reading.masking import mask


def test_vllm_v1_is_read():
    log = read_log(VLLM_V1)
    assert log.engine == "vllm"
    assert log.flags["engine_version"] == "0.11.0"
    assert log.flags["model"] == "meta-llama/Llama-3.1-8B-Instruct"
    assert (log.flags["seq_len"], log.flags["max_num_batched_tokens"], log.flags["block_size"]) == (16_000, 8192, 128)
    assert log.flags["gpu_memory_utilization"] == 0.9
    wanted = {
        "weights_gib": 14.9889,
        "activation_gib": 4.76,
        "non_torch_gib": 0.13,
        "cuda_graph_gib": -0.45,
        "kv_pool_gib": 51.38,
        "kv_tokens": 420_864,
        "max_concurrency": 26.30,
        "memory_gib": 79.18,
        "free_at_start_gib": 78.7,
    }
    assert {name: log.figures[name] for name in wanted} == wanted


def test_vllm_v0_is_read():
    log = read_log(VLLM_V0)
    assert (log.flags["engine_version"], log.flags["max_num_seqs"]) == ("0.7.3", 1)
    assert (log.figures["memory_gib"], log.figures["num_blocks"], log.figures["kv_pool_gib"]) == (12.0, 1394, 3.06)


def test_sglang_is_read():
    log = read_log(SGLANG)
    assert (log.engine, log.flags["model"], log.flags["max_num_batched_tokens"]) == ("sglang", "Qwen/Qwen3-0.6B", 2048)
    assert (log.figures["kv_tokens"], log.figures["kv_pool_gib"]) == (104_273, 11.14)
    assert (log.figures["free_at_start_gib"], log.figures["weights_gib"]) == (15.16, 1.25)


def test_tensorrt_llm_is_read():
    log = read_log(TENSORRT_LLM)
    assert (log.engine, log.flags["gpu_memory_utilization"], log.flags["max_num_seqs"]) == ("tensorrt-llm", 0.9, 32)
    assert (log.figures["peak_gib"], log.figures["kv_pool_gib"], log.figures["kv_tokens"]) == (17.76, 109.96, 900_800)


def test_llama_cpp_is_read():
    log = read_log(LLAMA_CPP)
    assert (log.engine, log.flags["kv_cache_dtype"], log.flags["device"]) == (
        "llama.cpp",
        "f16",
        "NVIDIA GeForce RTX 3090",
    )
    assert (log.figures["cells"], log.figures["kv_pool_gib"]) == (4096, 0.625)


def test_a_line_that_is_not_understood_is_listed_with_secrets_masked():
    log = read_log(VLLM_V1)
    ((number, text),) = log.not_understood
    assert number == VLLM_V1.count("\n")
    assert "a line about memory that nobody knows" in text
    assert "hf_abcdefghijkl" not in text
    assert log.understood + len(log.not_understood) == VLLM_V1.count("\n")


def test_ranks_that_differ_give_the_smallest_and_say_so():
    log = read_log("Available KV cache memory: 8.50 GiB\nAvailable KV cache memory: 8.11 GiB\n")
    assert log.figures["kv_pool_gib"] == 8.11
    assert log.problems == ("kv_pool_gib is printed as 8.11 to 8.5: the smallest is taken",)


@pytest.mark.parametrize(
    ("line", "figures"),
    [
        ("# rocm blocks: 37011", {"num_blocks": 37_011}),
        ("GPU KV cache size: 1,249,840 tokens, Maximum concurrency for 4,096 tokens per request: "
         "305.14x",
         {"kv_tokens": 1_249_840, "concurrency_at": 4096, "max_concurrency": 305.14}),
        ("To serve at least one request with the models's max seq len (262144), (18.35 GiB KV cache is needed, which is "
         "larger than the available KV cache memory (8.72 GiB). Based on the available memory, the "
         "estimated maximum model length is 121840.", {"needed_gib": 18.35, "kv_pool_gib": 8.72, "max_context_len": 121_840}),
        ("Actual usage is 11.22 GiB for consumed memory (weights + non-torch), 1.46 GiB for peak activation, and 0.52 GiB "
         "for CUDAGraph memory. Current kv cache memory in use is 9.27 GiB.",
         {"consumed_gib": 11.22, "activation_and_graphs_gib": 1.46, "cuda_graph_gib": 0.52, "kv_pool_gib": 9.27}),
        ("KV Cache is allocated. dtype: torch.bfloat16, #tokens: 2454421, KV size: 160.63 GB",
         {"kv_tokens": 2_454_421, "kv_pool_gib": 160.63}),
        ("llama_new_context_with_model: KV self size  = 10980.00 MiB, c^KV (f16): 10980.00 MiB, kv^T: not used",
         {"kv_pool_gib": 10_980 / 1024}),
        ("[MemUsageChange] Allocated 16.05 GiB for max tokens in paged KV cache (263008).",
         {"kv_pool_gib": 16.05, "kv_tokens": 263_008}),
    ],
)  # fmt: skip
def test_lines_of_other_versions(line, figures):
    assert {name: read_log(line).figures[name] for name in figures} == figures


@pytest.mark.parametrize(
    ("content", "figures"),
    [
        (SGLANG_WINDOWS, {"kv_tokens": 1_496_958, "window_tokens": 1_496_958, "kv_pool_gib": 77.63, "ranks": 3}),
        (SGLANG_WINDOWS.replace("SWAKVPool", "").replace("full size", "").replace("1496958, K", "1, K"),
         {"kv_pool_gib": 69.6}),
        (SGLANG_ONE_OF_TWO_POOLS, {"kv_tokens": 375_360, "window_tokens": 300_288, "kv_pool_gib": None}),
        (SGLANG_STATES, {"state_gib": 3.12, "draft_states_gib": 49.18, "kv_pool_gib": 12.16, "cuda_graph_gib": 9.98}),
        (LLAMA_CPP_DRAFT, {"kv_pool_gib": 4.25, "streams": 1, "sequences": 4, "weights_gib": 16386.94 / 1024}),
        (LLAMA_CPP_VULKAN, {"kv_pool_gib": 0.5, "state_gib": 448.88 / 1024, "weights_gib": 18163.06 / 1024}),
        (LLAMA_CPP_TWO_TYPES, {"kv_pool_gib": 82 / 1024, "weights_gib": 4941 / 1024}),
        (VLLM_RANKS, {"ranks": 8, "expert_ranks": 8}),
        ("[TensorRT-LLM][INFO] [MemUsageChange] Allocated 0.00 GiB for max tokens in paged KV cache (3958272).",
         {"kv_pool_gib": None, "kv_tokens": 3_958_272}),
        ("kv size per token is 35136.", {"kv_bytes_per_token": 35_136}),
        ("CUDA graph pool memory: 0.71 GiB (actual), 1.55 GiB (estimated), difference: 0.84 GiB (119.3%).",
         {"cuda_graph_gib": 0.71, "cuda_graph_estimate_gib": 1.55}),
        ("[TRT-LLM] [I] Memory dynamically allocated during inference (inside torch) in memory usage profiling: 0.85 GiB",
         {"activation_gib": 0.85}),
        ("[TRT-LLM] [I] Memory used outside torch (e.g., NCCL and CUDA graphs) in memory usage profiling: 49.28 GiB",
         {"non_torch_gib": 49.28}),
    ],
)  # fmt: skip
def test_parts_and_ranks_are_added_up_as_printed(content, figures):
    found = read_log(content).figures
    assert {name: found.get(name) for name in figures} == pytest.approx(figures)


@pytest.mark.parametrize(
    ("content", "flags"),
    [
        (VLLM_COMMAND, {
            "model": "Qwen/Qwen3-30B-A3B-Instruct-2507-FP8", "tensor_parallel_size": 2, "seq_len": 32_768,
            "enable_expert_parallel": True, "enable_prefix_caching": False, "engine_version": "0.10.2"}),
        ("vllm serve Qwen/Qwen3-8B -tp 8 -pp 2 -dp 4 --max-model-len 32k --enforce-eager\n# GPU blocks: 10\n", {
            "model": "Qwen/Qwen3-8B", "tensor_parallel_size": 8, "pipeline_parallel_size": 2, "data_parallel_size": 4,
            "seq_len": 32_000, "enforce_eager": True}),
        ("##### Docker Image : rocm/sgl-dev:v0.5.8.post1-rocm720\nMemory pool end. avail mem=45.36 GB\n", {
            "engine_version": "0.5.8.post1"}),
        ("quay.io/ascend/vllm-ascend:v0.11.0rc0\n# GPU blocks: 10\n", {"engine_version": "0.11.0rc0"}),
        (SGLANG_ONE_OF_TWO_POOLS, {"model": "XiaomiMiMo/MiMo-V2-Flash", "tensor_parallel_size": 4}),
        (SGLANG_STATES, {"kv_cache_dtype": "bfloat16", "speculative": "draft"}),
        (LLAMA_CPP_DRAFT, {"file_type": "Q4_K - Medium", "kv_cache_dtype": "q8_0", "speculative": "draft"}),
        (LLAMA_CPP_VULKAN, {"file": "qwen3.8-27b-ud-q5km.gguf"}),
        (LLAMA_CPP_TWO_TYPES, {"kv_cache_dtype": None}),
        ("Replace gpu_memory_utilization config with `--kv-cache-memory-bytes=7564378828`. Current kv cache memory in "
         "use is 11423138508 bytes.", {"kv_cache_memory_bytes": None}),
    ],
)  # fmt: skip
def test_what_a_log_states_in_other_forms(content, flags):
    found = read_log(content).flags
    assert {name: found.get(name) for name in flags} == flags


def test_a_path_is_no_secret():
    ((_, text),) = read_log(SGLANG_SMALL).not_understood
    assert "/hf_home/hub/models--qwen--qwen2.5" in text
    assert mask("/data/task-something/hub memory") == "/data/task-something/hub memory"


def test_escapes_and_markup_are_taken_out():
    log = read_log(
        "\x1b[36m(EngineCore pid=1)\x1b[0m Available \x1b[1mKV cache memory: 19.24 GiB\x1b[0m\n<b>**x** memory\n"
    )
    assert log.figures["kv_pool_gib"] == 19.24
    assert clean("\x1b]0;title\x07a\x00b\u202ec") == "abc"


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"\x7fELF\x00\x00\x00", "no text: it holds zero bytes"),
        (VLLM_V1 + SGLANG, "lines of sglang and vllm: give the log of one engine at a time"),
        ("", "no line is one that vLLM, SGLang, TensorRT-LLM or llama.cpp prints"),
        ("hello\nworld\n", 'would be "GPU KV cache size: 157,584 tokens"'),
        (b"a" * (MAX_LOG_BYTES + 1), "longer than 67,108,864 bytes"),
    ],
)  # fmt: skip
def test_what_is_no_log_is_refused(content, match):
    with pytest.raises(calculator.CalculatorError, match=match):
        read_log(content)


def test_fifty_megabytes_are_read_and_bounded():
    noise = "INFO [loggers.py:123] Engine 000: Avg prompt throughput: 1.0 tokens/s, GPU KV cache usage: 1.0%\n"
    content = (VLLM_V1 + noise * (50_000_000 // len(noise))).encode()
    log = read_log(content)
    assert log.figures["kv_tokens"] == 420_864
    assert len(log.not_understood) <= 400
    assert log.unlisted > 400_000


@pytest.mark.parametrize("name", LOGS)
def test_a_log_that_is_cut_off_or_spoilt_anywhere_is_read_or_refused(name):
    whole, chance = LOGS[name], random.Random(7)
    for _ in range(150):
        cut = whole[: chance.randrange(len(whole))]
        spoilt = list(cut)
        for _ in range(chance.randrange(12)):
            if spoilt:
                spoilt[chance.randrange(len(spoilt))] = chr(
                    chance.choice([0x1B, 0x41, 0x39, 0x2C, 0xFFFD, 0x1F4A9, 10])
                )
        with contextlib.suppress(calculator.FileFormatError):
            read_log("".join(spoilt))


NO_NUMBERS = (
    "1e400K",
    "1e400",
    "9" * 20,
    "9" * 400,
    "9" * 400 + "K",
    "nan",
    "inf",
    "٣٤",
    ",",
    "-",
    "999999999999999G",
    "1.2.3",
)
UNREADABLE = (
    *NO_NUMBERS,
    "-1",
    "0",
    "1e-9",
    "\x00",
    "\x1b[",
    "\x1b]0;",
    "\ud800",
    "'",
    '"',
    "\n",
    "\\\n",
    "None",
    "\u2028",
    "",
)


@pytest.mark.parametrize("number", NO_NUMBERS, ids=lambda number: number[:12])
def test_what_is_no_number_of_an_engine_is_not_read(number):
    log = read_log(VLLM_V1.replace("420,864", number).replace("'max_model_len': 16000", f"'max_model_len': {number}"))
    assert "kv_tokens" not in log.figures
    # the second line that states the length is read, whatever the first one held
    assert log.flags["seq_len"] == 16_000
    assert any("GPU KV cache size" in text for _, text in log.not_understood)


@given(st.sampled_from(sorted(LOGS)), st.randoms(use_true_random=False))
def test_a_log_with_spoilt_numbers_is_compared_or_refused(name, rng):
    content = LOGS[name]
    for _ in range(rng.randint(1, 5)):
        numbers = list(re.finditer(r"\d[\d,.]*", content))
        place = rng.choice(numbers).span() if numbers and rng.random() < 0.7 else (rng.randrange(len(content) + 1),) * 2
        content = content[: place[0]] + rng.choice(UNREADABLE) + content[place[1] :]
    with contextlib.suppress(calculator.CalculatorError):
        log = read_log(content)
        assert all(abs(value) < 1e18 for value in log.figures.values() if isinstance(value, int | float))
        json.dumps(calculator.reconcile(log).as_dict(), allow_nan=False)


BROKEN = (
    "(APIServer pid=1) INFO 10-02 09:12:05 [api_server.py:1839] vLLM API server version 0.19.0\n"
    "(APIServer pid=1) INFO 10-02 09:12:05 [utils.py:233] non-default args: {'model_tag': 'Qwen/Qwen3-8B', "
    "'max_model_len': 131072, 'gpu_memory_utilization': 0.85}\n"
    "(EngineCore_DP0 pid=99) INFO 10-02 09:12:40 [gpu_model_runner.py:2653] Model loading took 15.2683 GiB and 10 s\n"
    "(EngineCore_DP0 pid=99) INFO 10-02 09:13:01 [gpu_worker.py:298] Available KV cache memory: 4.60 GiB\n"
    "(EngineCore_DP0 pid=99) ERROR 10-02 09:13:01 [core.py:700] ValueError: To serve at least one request with the "
    "models's max seq len (131072), (18.0 GiB KV cache is needed, which is larger than the available KV cache memory "
    "(4.60 GiB). Based on the available memory, the estimated maximum model length is 33488.\n"
)


@pytest.mark.parametrize("width", [72, 80, 100, 120])
@pytest.mark.parametrize("cuts_words", [True, False], ids=["a terminal", "between words"])
def test_a_log_that_was_broken_at_a_width_says_the_same(width, cuts_words):
    broken = []
    for line in BROKEN.splitlines():
        if cuts_words:
            broken += [line[start : start + width] for start in range(0, len(line), width)]
        else:
            broken += textwrap.wrap(line, width, break_on_hyphens=False)
    log, whole = read_log("\n".join(broken)), read_log(BROKEN)
    assert (log.figures, log.flags) == (whole.figures, whole.flags)
    assert whole.figures["needed_gib"] == 18.0


@pytest.mark.parametrize(
    ("lines", "device"),
    [
        ("NVIDIA Release 26.02 (build 12)\nDevice 0: NVIDIA GeForce RTX 3090, compute capability 8.6", "RTX 3090"),
        ("== NVIDIA Dynamo 1.0 ==\nGPU 0: NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA Inference Server 26\n|   0  NVIDIA L40S          On  |   00000000:04:00.0 Off |", "L40S"),
        ("Using default MoE config. file: E=128,N=768,device_name=NVIDIA_H200.json", "H200"),
        ("NVIDIA Release 26.02 (build 12)", None),
    ],
)
def test_a_device_is_read_wherever_it_is_printed_and_never_from_a_banner(lines, device):
    named = read_log(f"{lines}\nGPU KV cache size: 1,024 tokens\n").flags.get("device")
    assert (device in named) if device else named is None


def test_what_stands_for_a_model_is_none():
    log = read_log(
        "python -m vllm.entrypoints.openai.api_server --model Qwen/Qwen3-8B\n"
        "WARNING use `vllm serve <model>`, --model <model> or --model $MODEL\nGPU KV cache size: 1,024 tokens\n"
    )
    assert log.flags == {"model": "Qwen/Qwen3-8B"}


def test_what_a_result_line_of_sglang_came_to_was_not_asked_for():
    log = read_log(
        "[2026-08-20 03:07:01] max_total_num_tokens=1543256, chunked_prefill_size=16384, max_prefill_tokens=16384, "
        "max_running_requests=32, context_len=262144, available_gpu_mem=77.76 GB\n"
    )
    assert (log.figures["kv_tokens"], log.flags["seq_len"]) == (1_543_256, 262_144)
    assert "max_num_seqs" not in log.flags


def test_the_pool_of_tensorrt_llm_is_the_last_that_is_allocated():
    # the first is the profiling run's; on each of two ranks
    profile = "[MemUsageChange] Allocated 1.38 GiB for max tokens in paged KV cache (65536).\n"
    pool = "[MemUsageChange] Allocated 39.26 GiB for max tokens in paged KV cache (1871136).\n"
    peak = "Peak memory during memory usage profiling (torch + non-torch): 5.13 GiB, fraction is set 0.9\n"
    log = read_log(2 * profile + peak + 2 * pool)
    assert (log.figures["kv_pool_gib"], log.figures["kv_tokens"]) == (39.26, 1_871_136)


@pytest.mark.parametrize("size", [2, 4])
def test_reading_takes_as_long_as_the_log_is(size):
    lines = [
        line * 200 for line in (BROKEN, "x" * 79 + "\n", "memory of 1 GiB model KV --\n" * 3, "NVIDIA " * 12 + "\n")
    ]
    for line in lines:
        times = []
        for count in (1, size):
            start = time.process_time()
            read_log("GPU KV cache size: 1,024 tokens\n" + line * count)
            times.append(time.process_time() - start)
        assert times[1] < 3 * size * times[0] + 0.05
