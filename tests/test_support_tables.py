"""What runs where, format by format and device by device, and on both sides of each version that is named.

A second reading of the packages: get_min_capability of each method, supported_kv_cache_dtypes of each backend and the
lists of a platform (vLLM 0.33.0, SGLang 0.5.23), TensorRT-LLM's matrix of hardware, llama.cpp's types of ggml.
"""

import pytest

import calculator
from calculator.engines import engine_support
from calculator.engines.llama_cpp.support import SUPPORT as LLAMA_CPP
from calculator.engines.sglang.support import SUPPORT as SGLANG
from calculator.engines.support import refused
from calculator.engines.tensorrt_llm.support import SUPPORT as TENSORRT_LLM
from calculator.engines.vllm.support import SUPPORT as VLLM

DEVICES = (
    "p40", "v100-32gb", "t4", "a100-80gb-sxm", "l40s", "h100-sxm", "b200", "rtx-5090", "gb10", "jetson-agx-thor",
    "mi210", "mi300x", "mi355x", "rx-7900-xtx", "rx-9070", "arc-b580", "gaudi2", "trainium2", "tpu-v5e", "ascend-910b",
)  # fmt: skip
"""Compute capability 6.1, 7.0, 7.5, 8.0, 8.9, 9.0, 10.0, 12.0, 12.1, 11.0; gfx90a, 942, 950, 1100, 1201; Xe2."""
NOWHERE, EVERYWHERE = "nnnnnnnnnnnnnnnnnnnn", "yyyyyyyyyyyyyyyynnn."
GGUF, GGML = "q8_0 q6_k q5_k_m q4_k_m q3_k_m q2_k", "q8_0 q5_1 q5_0 q4_1 q4_0 iq4_nl"
OF_A_HEAD = "int8_per_token_head int4_per_token_head fp8_per_token_head"
# y runs, n is refused with its reason, a dot is neither: not offered, as it was not read
WEIGHTS = {
    "vllm": {
        "bf16 fp16": "n.yyyyyyyyyyyyyyn..n",  # 7.5 and more, every AMD and Xe
        "fp32": "n.yyyyyyyyyyyyy.n..n",
        "fp8": "nnyyyyyyyy.yyyyyn..n",  # fp8.py 75; rocm.py from gfx94 on; xpu.py
        "fp8-block": "nnyyyyyyyy.yyyy.n..n",
        "int8": "nnyyyyyyyy......n..n",  # compressed_tensors_w8a8_int8.py 75
        "awq-int4": "nnyyyyyyyyyyyyyyn..n",  # auto_awq.py 75
        "gptq-int4": "n.yyyyyyyyyyyyyyn..n",  # auto_gptq.py 60, so nothing is said of 7.0
        "gptq-int8": "n.yyyyyyyyyyy...n..n",
        "mxfp4": "nnnyyyyyyy.yy..yn..n",  # mxfp4.py 80
        "nvfp4": "nnyyyyyyyy......n..n",  # modelopt.py 75
        f"nf4 {GGUF}": NOWHERE,  # neither bitsandbytes.py nor gguf.py is there
    },
    "sglang": {
        "bf16 fp16 fp32 int8 gptq-int4 gptq-int8": "n..yyyyyyy......nn..",  # AMD below, where it differs
        "fp8 fp8-block": "nnnyyyyyyy.yy...nn..",  # fp8.py 80
        "awq-int4": "n..yyyyyyy.yy...nn..",
        "mxfp4": "nnnyyyyyyy.yy...nn..",  # mxfp4.py 80
        "nvfp4": "nnnyyyyyyy......nn..",  # modelopt_quant.py 80
        f"nf4 {GGUF}": "n..yyyyyyy.nn...nn..",  # not in rocm_supported_quantization
    },
    "tensorrt-llm": {
        "bf16 fp16 fp32": "n..yyyyyyynnnnnnnnnn",
        "fp8": "n..nyyyyyynnnnnnnnnn",  # Ada and newer
        "fp8-block": "n..nnyy..ynnnnnnnnnn",  # Hopper, SM100
        "int8 awq-int4 gptq-int4": "n..yyy....nnnnnnnnnn",  # Ampere, Ada, Hopper
        "gptq-int8": "..........nnnnnnnnnn",
        "mxfp4": "n....yyyyynnnnnnnnnn",
        "nvfp4": "n..nnnyyyynnnnnnnnnn",  # Blackwell
        f"nf4 {GGUF}": NOWHERE,
    },
    "llama.cpp": {
        f"bf16 fp16 fp32 mxfp4 {GGUF}": EVERYWHERE,
        "fp8 fp8-block int8 awq-int4 gptq-int4 gptq-int8 nf4": NOWHERE,
        "nvfp4": "................nnn.",
    },
}
CACHES = {
    "vllm": {
        "bf16 fp16": "n.yyyyyyyyyyyyyyn..n",
        "fp32": "n.yyyyyyyyyyy...n..n",
        "fp8_e4m3 fp8_e5m2": "nnnyyyyyyyyyyyy.n..n",  # 8.0 and more
        "int8_per_token_head int4_per_token_head": "nnyyyyyyyyyyy...n..n",  # triton_attn.py 7.5
        "fp8_per_token_head": "nnnnyyyyyyyyy...n..n",  # triton_attn.py 8.9
        "nvfp4": "nnnyyyyyy.nnn...n..n",  # flashinfer.py, 8.x to 10.0 and 12.x
        "fp8_ds_mla": "nnnnnyyyy.......n..n",  # flashmla_sparse.py 9 and 10, flashinfer_mla_sparse.py 12
        GGML: NOWHERE,
    },
    "sglang": {
        "bf16 fp16 fp8_e4m3 fp8_e5m2": "n..yyyyyyy.yy...nn..",
        "fp32": "n...............nn..",
        "nvfp4": "nnnnnnyyyy.nn...nn..",  # kv_cache_hook.py: SM100 or SM120
        "fp8_ds_mla": "n....yyyyy......nn..",
        f"{OF_A_HEAD} {GGML}": NOWHERE,
    },
    "tensorrt-llm": {
        "bf16 fp16 fp8_e4m3": "n..yyyyyyynnnnnnnnnn",
        "fp32 fp8_ds_mla": "n.........nnnnnnnnnn",
        "nvfp4": "n..nnnyyyynnnnnnnnnn",
        f"fp8_e5m2 {OF_A_HEAD} {GGML}": NOWHERE,
    },
    "llama.cpp": {
        f"bf16 fp16 fp32 {GGML}": EVERYWHERE,
        f"fp8_e4m3 fp8_e5m2 {OF_A_HEAD} nvfp4 fp8_ds_mla": NOWHERE,
    },
}
ON_AMD = {("sglang", name): "yy" for name in ("bf16", "fp16", "fp32")}


def letters(engine, weight, kv, version=None, devices=DEVICES):
    rules = calculator.engine_rules(engine, version)
    found = []
    for name in devices:
        gpu = calculator.load_gpu(name)
        runs = calculator.supports(engine, gpu, weight, kv, version).ok
        found.append("y" if runs else "n" if refused(rules, gpu, weight, kv) else ".")
    return "".join(found)


TABLES = {"vllm": VLLM, "sglang": SGLANG, "tensorrt-llm": TENSORRT_LLM, "llama.cpp": LLAMA_CPP}


@pytest.mark.parametrize("engine", WEIGHTS)
def test_each_format_of_weights_runs_where_its_package_has_it(engine):
    assert engine_support(engine) is TABLES[engine]
    plain = "fp16" if engine == "llama.cpp" else "bf16"
    for names, expected in WEIGHTS[engine].items():
        for name in names.split():
            amd = ON_AMD.get((engine, name))
            wanted = expected if amd is None else expected[:11] + amd + expected[13:]
            assert letters(engine, name, plain) == wanted, name


@pytest.mark.parametrize("engine", CACHES)
def test_each_format_of_the_cache_runs_where_its_package_has_it(engine):
    for names, expected in CACHES[engine].items():
        for name in names.split():
            assert letters(engine, "bf16", name) == expected, name


# package by package: what one has and the next that was read has not is open between them
BOUNDS = [
    # documentation of 0.9.2: compute capability 7.0; 7.5 later
    ("vllm", "v100-32gb", "bf16", "bf16", "0.9.2 y  0.9.3 .  0.10 .  0.33 ."),
    ("vllm", "v100-32gb", "gptq-int4", "bf16", "0.9.2 y  0.9.3 .  0.33 ."),
    ("vllm", "v100-32gb", "bf16", "fp16", "0.9.2 y  0.9.3 ."),
    # fp8.py: 80 at 0.10.2, 75 from 0.15.1
    ("vllm", "t4", "fp8", "bf16", "0.10 n  0.10.2 n  0.11 .  0.15.0 .  0.15.1 y  0.33 y"),
    # bitsandbytes.py at 0.26.0, none at 0.28.0; gguf.py at 0.23.0, none at 0.26.0
    ("vllm", "l40s", "nf4", "bf16", "0.19 y  0.26 y  0.26.2 y  0.27 .  0.28 n  0.33 n"),
    ("vllm", "l40s", "q4_k_m", "bf16", "0.19 y  0.23 y  0.23.1 y  0.24 .  0.25 .  0.26 n  0.33 n"),
    # cache.py, CacheDType: none a head at 0.19.1, int8 and fp8 at 0.23.0, int4 at 0.26.0
    ("vllm", "l40s", "bf16", "int8_per_token_head", "0.19 n  0.19.1 n  0.20 .  0.22 .  0.23 y"),
    ("vllm", "l40s", "bf16", "fp8_per_token_head", "0.19.1 n  0.20 .  0.22 .  0.23 y"),
    ("vllm", "l40s", "bf16", "int4_per_token_head", "0.19.1 n  0.20 n  0.23 n  0.23.1 n  0.24 .  0.25 .  0.26 y"),
    # flashinfer.py: SM100 from 0.23.0, 8.x, 9.x and 12.x from 0.32.0, never 11.0
    ("vllm", "b200", "bf16", "nvfp4", "0.19.1 n  0.20 .  0.22 .  0.23 y  0.33 y"),
    ("vllm", "l40s", "bf16", "nvfp4", "0.19.1 n  0.23 n  0.31 n  0.31.1 n  0.32 y  0.33 y"),
    ("vllm", "rtx-5090", "bf16", "nvfp4", "0.19.1 n  0.23 n  0.31 n  0.31.1 n  0.32 y"),
    ("vllm", "jetson-agx-thor", "bf16", "nvfp4", "0.31.1 n  0.32 .  0.33 ."),
    ("vllm", "mi300x", "bf16", "nvfp4", "0.19.1 n  0.23 n  0.33 n"),
    # flashinfer_mla_sparse.py: 12 from 0.26.0
    ("vllm", "rtx-5090", "bf16", "fp8_ds_mla", "0.23 .  0.25 .  0.26 y  0.33 y"),
    ("vllm", "b200", "bf16", "fp8_ds_mla", "0.10 y  0.33 y"),
    # what was read at 0.33.0 alone is open before
    ("vllm", "t4", "bf16", "fp8_e4m3", "0.32 .  0.33 n"),
    ("vllm", "v100-32gb", "bf16", "int8_per_token_head", "0.19.1 n  0.32 .  0.33 n"),
    ("vllm", "a100-80gb-sxm", "bf16", "fp8_per_token_head", "0.19.1 n  0.32 .  0.33 n"),
    ("vllm", "l40s", "bf16", "fp8_ds_mla", "0.32 .  0.33 n"),
    # 0.4.9 has no gguf.py, and no FP4 among its types of the cache; a release that was not read is as the nearest
    ("sglang", "l40s", "q4_k_m", "bf16", "0.4.4 n  0.4.9 n  0.4.10 .  0.5.5 .  0.5.8 y  0.5.23 y"),
    ("sglang", "l40s", "nf4", "bf16", "0.4.9 .  0.5.12 .  0.5.18 y  0.5.23 y"),
    ("sglang", "l40s", "bf16", "nvfp4", "0.4.9 n  0.4.10 .  0.5.18 .  0.5.23 n"),
    ("sglang", "mi300x", "bf16", "nvfp4", "0.4.9 n  0.4.10 .  0.5.18 .  0.5.23 n"),
    *(("sglang", "t4", name, "bf16", "0.4.9 .  0.5.18 .  0.5.23 n") for name in ("mxfp4", "fp8", "nvfp4")),
    *(("sglang", "mi300x", name, "bf16", "0.5.18 .  0.5.23 n") for name in ("nf4", "q4_k_m")),
]  # fmt: skip


@pytest.mark.parametrize(("engine", "gpu", "weight", "kv", "history"), BOUNDS)
def test_a_version_has_what_its_package_has(engine, gpu, weight, kv, history):
    words = history.split()
    for version, expected in zip(words[::2], words[1::2], strict=True):
        assert letters(engine, weight, kv, version, (gpu,)) == expected, version
