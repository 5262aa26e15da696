"""A plan as the engine's own command line, to copy."""

from __future__ import annotations

import shlex

from calculator.answer import Plan

ALWAYS = ("seq_len", "tensor_parallel_size", "pipeline_parallel_size", "gpu_memory_utilization", "kv_cache_dtype")
"""What a command line states even where it is the default, since the answer hangs on it."""
PARALLEL = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size", "decode_context_parallel_size")
FORMATS = {
    # how each engine calls a format of the cache; what is missing here goes by the same name
    "vllm": {"fp8_e4m3": "fp8", "bf16": "auto", "fp16": "auto"},
    "sglang": {"bf16": "auto", "fp16": "auto", "nvfp4": "fp4_e2m1"},
    "llama.cpp": {"fp16": "f16", "fp32": "f32"},
}
WEIGHTS_BY_FLAG = {"fp8": "fp8", "awq-int4": "awq", "gptq-int4": "gptq", "nf4": "bitsandbytes"}


def serve_command(plan: Plan) -> str:
    """Return the engine's command line for a plan: what was asked, under the engine's own flags.

    Parameters
    ----------
    plan : Plan
        The plan [-].

    Returns
    -------
    str
        A command of one line; ``max_num_seqs`` no larger than what memory holds.
    """
    request, flags, asked = plan.request, plan.rules.flags, plan.asked
    model = plan.model.huggingface_id or plan.model.id
    if request.engine == "llama.cpp":
        model = f"{plan.model.id}.gguf"
    parts = [*flags["model"].split(), model]
    for name, flag in flags.items():
        if name == "model":
            continue
        value = getattr(request, name)
        if name in PARALLEL and value == 1:
            continue
        if name == "max_num_seqs":
            fit = max(1, plan.max_batch_size // request.attention_replicas)
            value = min(request.max_num_seqs, fit) if name in asked else request.max_num_seqs
            if value == request.max_num_seqs and name not in asked and request.max_num_seqs <= fit:
                continue
            value = min(value, fit)
        elif name == "weight_dtype":
            value = WEIGHTS_BY_FLAG.get(request.weight_dtype) if name in asked and asked[name] != "auto" else None
        elif name == "kv_cache_dtype":
            value = FORMATS.get(request.engine, {}).get(value, value)
            if value == "auto":
                continue
        elif name not in ALWAYS and asked.get(name) is None:
            continue
        elif name == "seq_len" and request.engine == "llama.cpp":
            value = -(-value // request.block_size) * request.block_size * request.batch_size
        parts += _written(flag, value)
        if name == "kv_cache_dtype" and request.engine == "llama.cpp":
            parts += ["--cache-type-v", str(value)]
        if name == "enable_attention_dp" and value and request.engine == "sglang":
            parts += ["--dp-size", str(request.tensor_parallel_size)]
    if request.engine == "llama.cpp" and request.batch_size > 1:
        parts += ["--parallel", str(request.batch_size)]
    if request.engine == "tensorrt-llm" and request.kv_cache_dtype in ("fp8_e4m3", "nvfp4"):
        parts += ["--kv_cache_dtype", request.kv_cache_dtype.removesuffix("_e4m3")]
    return shlex.join(parts)


def _written(flag: str, value: object) -> list[str]:
    if value is None or value is False:
        return [flag.replace("--", "--no-", 1)] if value is False and "scheduling" in flag else []
    if value is True:
        return [flag]
    return [flag, f"{value:g}" if isinstance(value, float) else str(value)]
