"""Which formats an engine runs on which devices, held to what the engines themselves publish."""

import csv

import pytest

import calculator
from calculator.catalogue import presets
from calculator.catalogue.presets import data_file
from calculator.engines import ENGINES, engine_class, engine_support
from calculator.engines.support import ANY, refused
from calculator.formats.kv import FORMATS as KV
from calculator.formats.kv import storage_format
from calculator.formats.names import PLAIN
from calculator.formats.weights import FORMATS, PACKED, weight_format

DEVICES = {"volta": "v100-32gb", "turing": "t4", "ampere": "a100-80gb-sxm", "ada": "l40s", "hopper": "h100-sxm"}
# vLLM's own table of hardware (0.9.2), columns Volta, Turing, Ampere, Ada, Hopper
VLLM = {
    "awq-int4": "nyyyy",
    "gptq-int4": "yyyyy",
    "int8": "nyyyy",
}
# TensorRT-LLM's own table of hardware, rows Ampere, Ada, Hopper, Blackwell (sm100), Blackwell (sm120)
TENSORRT = {
    "a100-80gb-sxm": {"awq-int4", "gptq-int4"},
    "l40s": {"fp8", "awq-int4", "gptq-int4"},
    # its table has no mxfp4 on Hopper, where gpt-oss runs all the same: rows of speed_figures.csv on H100 and H200
    "h100-sxm": {"fp8", "fp8-block", "awq-int4", "gptq-int4", "mxfp4"},
    "b200": {"nvfp4", "mxfp4", "fp8", "fp8-block"},
    "rtx-5090": {"nvfp4", "mxfp4", "fp8"},
}

WEIGHTS = {**FORMATS, **PACKED}


@pytest.mark.parametrize("name", VLLM)
def test_the_published_table_of_one_engine(name):
    for (generation, gpu), expected in zip(DEVICES.items(), VLLM[name], strict=True):
        version = "0.9.2" if generation == "volta" else None
        assert calculator.supports("vllm", gpu, name, engine_version=version).ok == (expected == "y"), generation


@pytest.mark.parametrize("gpu", TENSORRT)
def test_the_published_table_of_another(gpu):
    tried = ("fp8", "fp8-block", "awq-int4", "gptq-int4", "nvfp4", "mxfp4")
    assert {name for name in tried if calculator.supports("tensorrt-llm", gpu, name).ok} == TENSORRT[gpu]


def test_devices_that_an_engine_no_longer_takes():
    # its documentation: compute capability 7.5 or higher; 7.0 up to 0.9.2
    assert not calculator.supports("vllm", "v100-32gb").ok
    assert calculator.supports("vllm", "v100-32gb", engine_version="0.9.2").ok
    assert not calculator.supports("sglang", "mi210").ok
    assert not calculator.supports("vllm", "tpu-v5e").ok


def test_formats_of_the_cache():
    # v1/attention/backends: fp8 from compute capability 8.0 on; FP4 in SGLang on Blackwell alone
    assert not calculator.supports("vllm", "t4", kv_cache_dtype="fp8").ok
    assert calculator.supports("vllm", "a100-80gb-sxm", kv_cache_dtype="fp8").ok
    assert not calculator.supports("sglang", "h100-sxm", kv_cache_dtype="nvfp4").ok
    assert calculator.supports("sglang", "b200", kv_cache_dtype="nvfp4").ok
    assert not calculator.supports("vllm", "h100-sxm", kv_cache_dtype="q8_0").ok


def test_an_answer_says_why_and_from_where():
    refused = calculator.supports("vllm", "mi210", "fp8")
    assert (refused.ok, refused.why.key) == (False, "support.not_here")
    assert "MI210" in refused.why
    assert refused.source
    weak = calculator.supports("vllm", "a100-80gb-sxm", "fp8")
    assert (weak.ok, weak.why) == (True, "weights are stored so and multiplied in 16 bit")


def test_a_device_that_others_of_its_generation_are_not_like_is_told_so():
    """flashinfer.py until 0.31: SM100 alone, and an RTX 5090 is SM120 of the same generation."""
    assert (
        "does on blackwell, but not on each of them"
        in calculator.supports("vllm", "rtx-5090", kv_cache_dtype="nvfp4", engine_version="0.27").why
    )
    assert "not on each" not in calculator.supports("vllm", "v100-32gb", "fp8").why


def test_a_device_of_ones_own_runs_16_bit_alone():
    own = calculator.plan("llama-3.1-8b", gpu_memory_bytes=80 * 2**30, seq_len=8192).accelerator
    assert calculator.supports("vllm", own).ok
    assert calculator.supports("vllm", own, "fp8").why.key == "support.unknown_device"


# what each package has, read at those versions: refused where it was read, open where it was not, never by a guess
@pytest.mark.parametrize(
    ("engine", "gpu", "weight", "kv", "version", "answer"),
    [
        # vLLM, flashinfer.py: SM100 alone until 0.31; 8.x, 9.x and 12.x beside from 0.32
        ("vllm", "b200", "bf16", "nvfp4", "0.26", "runs"),
        ("vllm", "h100-sxm", "bf16", "nvfp4", "0.26", "refused"),
        ("vllm", "rtx-5090", "bf16", "nvfp4", "0.31", "refused"),
        ("vllm", "gb10", "bf16", "nvfp4", "0.31", "refused"),
        ("vllm", "rtx-5090", "bf16", "nvfp4", "0.32", "runs"),
        ("vllm", "a100-80gb-sxm", "bf16", "nvfp4", "0.33", "runs"),
        ("vllm", "b200", "bf16", "nvfp4", "0.19", "refused"),
        # cache.py, CacheDType: int8 and fp8 a token and head at 0.23, int4 at 0.26
        ("vllm", "l40s", "bf16", "int8_per_token_head", "0.19", "refused"),
        ("vllm", "l40s", "bf16", "int8_per_token_head", "0.23", "runs"),
        ("vllm", "l40s", "bf16", "int4_per_token_head", "0.23", "refused"),
        ("vllm", "l40s", "bf16", "int4_per_token_head", "0.26", "runs"),
        # get_min_capability: fp8 75 from 0.15.1, 80 at 0.10.2; awq 75; gptq 60
        ("vllm", "v100-32gb", "fp8", "bf16", "0.33", "refused"),
        ("vllm", "v100-32gb", "nvfp4", "bf16", "0.33", "refused"),
        ("vllm", "t4", "fp8", "bf16", "0.10", "refused"),
        ("vllm", "t4", "fp8", "bf16", "0.17", "runs"),
        # layers/quantization: gguf.py at 0.23 and not at 0.26; bitsandbytes.py at 0.26 and not at 0.28
        ("vllm", "rtx-4090", "q4_k_m", "bf16", "0.23", "runs"),
        ("vllm", "rtx-4090", "q4_k_m", "bf16", "0.24", "open"),
        ("vllm", "rtx-4090", "q4_k_m", "bf16", "0.33", "refused"),
        ("vllm", "rtx-4090", "nf4", "bf16", "0.26", "runs"),
        ("vllm", "rtx-4090", "nf4", "bf16", "0.33", "refused"),
        ("tensorrt-llm", "mi300x", "bf16", "bf16", None, "refused"),
        ("tensorrt-llm", "h100-sxm", "q4_k_m", "bf16", None, "refused"),
        ("sglang", "trainium2", "bf16", "bf16", None, "refused"),
        ("sglang", "mi300x", "nf4", "bf16", None, "refused"),
        ("sglang", "rtx-4090", "q4_k_m", "bf16", None, "runs"),
        ("llama.cpp", "rtx-4090", "awq-int4", "fp16", None, "refused"),
        ("llama.cpp", "M2 Max 64GB", "q4_k_m", "q8_0", None, "runs"),
        ("llama.cpp", "rtx-4090", "q4_k_m", "fp8", None, "refused"),
        ("vllm", "tpu-v5e", "bf16", "bf16", None, "open"),
    ],
)
def test_what_runs_what_is_refused_and_what_is_open(engine, gpu, weight, kv, version, answer):
    found = calculator.supports(engine, gpu, weight, kv, version)
    rules = calculator.engine_rules(engine, version)
    stated = refused(rules, calculator.load_gpu(gpu), weight, kv)
    assert found.source
    assert (found.ok, stated is not None) == (answer == "runs", answer == "refused")


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_both_runs_and_is_refused(engine):
    table = engine_support(engine)
    for version in ("0.10", "0.19", "0.23", "0.26", "0.31", None) if engine == "vllm" else (None,):
        rules = calculator.engine_rules(engine, version)
        for gpu in map(calculator.load_gpu, calculator.gpu_ids()):
            for rows, stated in ((table.weights, table.not_weights), (table.kv, table.not_kv)):
                where = gpu.generation, gpu.id, rules.version
                runs = {name for row in rows for name in row.formats if row.holds(name, *where)}
                ruled_out = {name for row in stated for name in row.formats if row.holds(name, *where)}
                assert not runs & ruled_out, (gpu.id, rules.version)


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_name_formats_and_generations_that_there_are(engine):
    table = engine_support(engine)
    generations = {calculator.load_gpu(gpu).generation for gpu in presets.all_gpu_ids()} | {ANY}
    kinds = ((table.weights, WEIGHTS), (table.kv, KV), (table.not_weights, WEIGHTS), (table.not_kv, KV))
    for rows, formats in kinds:
        for row in rows:
            assert set(row.formats) <= set(formats)
            assert set(row.generations) <= generations
            assert row.source
    vendors = {calculator.load_gpu(gpu).vendor for gpu in presets.all_gpu_ids()}
    assert all(set(row.vendors) <= vendors for row in table.no_devices)
    kept = {name for row in table.kv for name in row.formats}
    assert kept <= set(engine_class(engine).kv_cache_dtypes)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("vlm", "h100-sxm"), "unknown engine 'vlm'"),
        (("vllm", "h100"), "unknown GPU 'h100'"),
        (("vllm", "h100-sxm", "fp9"), "unknown weight format 'fp9'"),
    ],
)
def test_bad_input_is_a_clear_error(given, message):
    with pytest.raises(calculator.UnknownNameError, match=message):
        calculator.supports(*given)


@pytest.mark.parametrize("table", ["startup_figures.csv", "speed_figures.csv"])
def test_what_people_measured_is_not_refused(table):
    # a public start-up or speed of an engine, device and formats shows that it runs there
    rows = csv.DictReader(line for line in data_file(table).read_text("utf-8").splitlines() if not line.startswith("#"))
    known = set(calculator.gpu_ids())
    asked = {
        (row["engine"], row["version"], row["gpu"], row["weight_dtype"], row["kv_cache_dtype"])
        for row in rows
        if row["gpu"] in known and row["engine"] in ENGINES and row["weight_dtype"] in ("", "auto", *WEIGHTS)
    }
    wrong = []
    for engine, version, gpu, weight, kv in asked:
        rules = calculator.engine_rules(engine, version or None)
        stored = PLAIN if weight in ("", "auto") else weight_format(weight).name
        kept = PLAIN if kv in ("", "auto") else storage_format(kv).name
        if refused(rules, calculator.load_gpu(gpu), stored, kept) is not None:
            wrong.append((engine, version, gpu, weight, kv))
    assert len(asked) > 20
    assert wrong == []


def test_devices_of_another_package_are_refused_with_the_reason():
    # vllm-ascend issue 14004: (43.24 × 0.5 - 1.71) / 2 = 9.95 GiB, where vLLM's own rule would give 20
    with pytest.raises(calculator.UnsupportedError, match="vLLM-Ascend is a package of its own"):
        calculator.plan("qwen3-0.6b", gpu="ascend-310p", gpu_memory_utilization=0.5, seq_len=4096)
