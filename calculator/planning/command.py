"""A plan as the engine's own command line, to copy."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from calculator.engines.base import caches_of_model
from calculator.planning.answer import Plan
from calculator.request import OPTIONS, PLAN_DEFAULTS

Parts = list[str] | None
"""Words of a command line; none where there is nothing to say, None where the command has no words for it."""

ALWAYS = ("seq_len", "tensor_parallel_size", "pipeline_parallel_size", "gpu_memory_utilization")
"""What a command line states even where it is the default, since the answer hangs on it."""
PARALLEL = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size", "decode_context_parallel_size")
NOT_THE_ENGINES = tuple(name for name, option in OPTIONS.items() if not option.is_engines)
"""Keywords of ``plan`` that describe the load, the device or the estimate, not how the engine is set up."""
SAID_BY_ITSELF = {"llama.cpp": ("weight_dtype", "pipeline_parallel_size", "block_size")}
"""What an engine needs no flag for: the GGUF file is in the format, layers go to every GPU that is seen."""

_PER_HEAD = ("int8_per_token_head", "fp8_per_token_head", "int4_per_token_head")
_GGML = ("q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")
SIXTEEN_BIT = ("bf16", "fp16")
KV_FORMATS = {
    # what each command line calls a format of the cache; what is missing it does not take
    # vLLM 0.33.0 config/cache.py CacheDType
    "vllm": {"bf16": "bfloat16", "fp16": "float16", "fp8_e4m3": "fp8"}
    | {name: name for name in ("fp8_e5m2", "nvfp4", "fp8_ds_mla", *_PER_HEAD)},
    # SGLang 0.5.23 arg_groups/fields/model.py kv_cache_dtype
    "sglang": {"bf16": "bfloat16", "fp8_e4m3": "fp8_e4m3", "fp8_e5m2": "fp8_e5m2", "nvfp4": "nvfp4"},
    # TensorRT-LLM pull request 11487, not verified in a release
    "tensorrt-llm": {"fp8_e4m3": "fp8", "nvfp4": "nvfp4"},
    # llama.cpp 0c1e570 common/arg.cpp kv_cache_types
    "llama.cpp": {"fp32": "f32", "fp16": "f16", "bf16": "bf16"} | {name: name for name in _GGML},
}
KV_FLAG_SINCE = {"tensorrt-llm": (1, 3)}

DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
DTYPE_FLAGS = {"vllm": "--dtype", "sglang": "--dtype"}
QUANTISED_ON_LOAD: dict[str, dict[str, tuple[tuple[tuple[int, ...], tuple[str, ...]], ...]]] = {
    # formats that an engine makes of a 16 bit checkpoint, by the version since, the newest first;
    # any other needs a checkpoint in it, which names its own method
    # vLLM 0.20.0 to 0.33.0 model_executor/layers/quantization; its int8 and nvfp4 shorthands leave linear layers alone
    "vllm": {
        "fp8": (((0, 31), ("fp8_per_tensor",)), ((0,), ("fp8",))),
        "fp8-block": (((0, 20), ("fp8_per_block",)),),
        "nf4": (((0, 28), ()), ((0,), ("bitsandbytes",))),
    },
    # SGLang 0.5.23 arg_groups/choices.py; its nvfp4_online is of experts only
    "sglang": {"fp8": (((0,), ("fp8",)),), "nf4": (((0,), ("bitsandbytes", "--load-format", "bitsandbytes")),)},
}
BATCH_OF_LLAMA_CPP = 2048
"""Default of ``--batch-size``, which bounds ``--ubatch-size``: llama.cpp 0c1e570 common/common.h [tokens]."""
YAML_KEYS = {
    # what its YAML file takes and its command line does not; by its documented names, not verified in a release
    "tensorrt-llm": {
        "enable_attention_dp": "enable_attention_dp",
        "block_size": "kv_cache_config.tokens_per_block",
        "kv_cache_dtype": "kv_cache_config.dtype",
        "enforce_eager": "cuda_graph_config",
    },
}
YAML_FLAG = "--extra_llm_api_options (--config in newer versions)"


def serve_command(plan: Plan) -> str:
    """Return the engine's command line for a plan: what was asked, under the engine's own flags.

    Parameters
    ----------
    plan : Plan
        The plan [-].

    Returns
    -------
    str
        A command of one line, ``max_num_seqs`` no larger than what memory holds; where something was asked that the
        command has no flag for, a line of comment after it that names it.
    """
    flags, engine = plan.rules.flags, plan.request.engine
    known = plan.request.model == plan.model.id and not plan.model.variations
    repository = plan.model.huggingface_id if known else ""
    model = f"{plan.request.model}.gguf" if engine == "llama.cpp" else repository or plan.request.model
    words, left = [*flags["model"].split(), model], []
    unspoken = ("model", *NOT_THE_ENGINES, *SAID_BY_ITSELF.get(engine, ()))
    for name in dict.fromkeys((*flags, *OPTIONS)):
        if name in unspoken:
            continue
        parts = _parts(plan, name) if name in flags or name == "weight_dtype" else None
        if (parts is None and _is_asked(plan, name)) or (name == "enable_expert_parallel" and _shares_too_much(plan)):
            left.append(name)
        words += parts or []
    return " ".join(map(_quoted, words)) + _comment(plan, left)


def _quoted(word: str) -> str:
    """Quote a word for a shell; what does not print is written out, so that a command stays one line."""
    if word.isprintable():
        return shlex.quote(word)
    plain = word.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in plain) + "'"


def _is_asked(plan: Plan, name: str) -> bool:
    default = PLAN_DEFAULTS[name]
    return bool(plan.asked.get(name, default) != default)


def _parts(plan: Plan, name: str) -> Parts:
    """Return the words of one keyword that the engine has a flag for."""
    if name in SPECIAL:
        return SPECIAL[name](plan, plan.rules.flags.get(name, ""))
    value = getattr(plan.request, name)
    if name in PARALLEL and value == 1:
        return []
    if name not in ALWAYS and plan.asked.get(name) is None:
        return []
    return _written(name, plan.rules.flags[name], value)


def _written(name: str, flag: str, value: object) -> list[str]:
    if value is False:  # a switch that the engine sets itself where it is not given has a form that turns it off
        return [flag.replace("--", "--no-", 1)] if PLAN_DEFAULTS[name] is None else []
    return [flag] if value is True else [flag, str(value)]


def _length(plan: Plan, flag: str) -> Parts:
    request = plan.request
    if request.engine != "llama.cpp":
        return [flag, str(request.seq_len)]
    cells = -(-request.seq_len // request.block_size) * request.block_size
    return [flag, str(cells * _slots(plan))]  # which the engine divides by its slots


def _slots(plan: Plan) -> int:
    """Return llama.cpp's slots: each has the cells of a sequence, whether in use or not [-]."""
    if not _is_asked(plan, "max_num_seqs"):
        return plan.request.batch_size
    return min(plan.request.max_num_seqs, max(1, plan.max_batch_size))


def _sequences(plan: Plan, flag: str) -> Parts:
    request = plan.request
    if request.engine == "llama.cpp":  # by default several slots share the cells of one
        return [flag, str(_slots(plan))]
    fit = max(1, plan.max_batch_size // request.attention_replicas)
    if request.max_num_seqs <= fit and not _is_asked(plan, "max_num_seqs"):
        return []
    # SGLang 0.5.23 mem_cache/kv_cache_configurator.py divides it by the ranks of attention DP; vLLM has none and
    # TensorRT-LLM means each rank's
    ranks = request.attention_replicas if request.engine == "sglang" else 1
    return [flag, str(min(request.max_num_seqs, fit) * ranks)]


def _batched_tokens(plan: Plan, flag: str) -> Parts:
    if not _is_asked(plan, "max_num_batched_tokens"):
        return []
    tokens = plan.request.max_num_batched_tokens
    wide = plan.request.engine == "llama.cpp" and tokens > BATCH_OF_LLAMA_CPP
    return [flag, str(tokens), *(["--batch-size", str(tokens)] if wide else [])]


def _data_parallel(plan: Plan, flag: str) -> Parts:
    request = plan.request
    if request.data_parallel_size == 1:
        return []
    # SGLang's flag counts the ranks of attention DP then, and 0.5.23 refuses replicas beside them
    return (
        None if request.engine == "sglang" and request.enable_attention_dp else [flag, str(request.data_parallel_size)]
    )


def _attention_dp(plan: Plan, flag: str) -> Parts:
    request = plan.request
    size = [plan.rules.flags["data_parallel_size"], str(request.tensor_parallel_size)]
    return [flag, *size] if request.enable_attention_dp else []


def _expert_parallel(plan: Plan, flag: str) -> Parts:
    request = plan.request
    if not request.enable_expert_parallel:
        return []
    if request.engine == "vllm":
        return [flag]
    return [flag, str(request.tensor_parallel_size)] if request.tensor_parallel_size > 1 else []


def _shares_too_much(plan: Plan) -> bool:
    """Whether experts are counted as shared by replicas, which only vLLM's command line can say."""
    request = plan.request
    return request.enable_expert_parallel and request.data_parallel_size > 1 and request.engine != "vllm"


def _weights(plan: Plan, flag: str) -> Parts:
    model, name, engine = plan.model, plan.request.weight_dtype, plan.request.engine
    own = model.resolve_weight_dtype("auto")
    if not _is_asked(plan, "weight_dtype") or (
        name == own and (model.weight_dtype or DTYPES[name] == model.torch_dtype)
    ):
        return []
    if model.weight_dtype or engine not in DTYPE_FLAGS:
        return None
    if name in DTYPES:
        return [DTYPE_FLAGS[engine], DTYPES[name]]
    known = QUANTISED_ON_LOAD[engine].get(name, ())
    method = next((method for since, method in known if _version(plan) >= since), ())
    return [flag, *method] if method else None


def _kv_format(plan: Plan, flag: str) -> Parts:
    request, engine = plan.request, plan.request.engine
    name = request.kv_cache_dtype
    if engine != "llama.cpp" and name in SIXTEEN_BIT and not _chooses_its_own_format(plan):
        return []
    if engine == "sglang" and name == "fp8_ds_mla" and _is_sparse(plan):
        name = "fp8_e4m3"  # SGLang 0.5.23 mem_cache/kv_cache_configurator.py: the layout of fp8 with an indexer
    if name not in KV_FORMATS[engine] or (engine in KV_FLAG_SINCE and _version(plan) < KV_FLAG_SINCE[engine]):
        return None
    both = ["--cache-type-v", KV_FORMATS[engine][name]] if engine == "llama.cpp" else []
    return [flag, KV_FORMATS[engine][name], *both]


def _chooses_its_own_format(plan: Plan) -> bool:
    """Whether the engine's ``auto`` may be another format than 16 bit: a checkpoint's, an indexer's, or 32 bit."""
    return bool(plan.model.kv_cache_dtype) or _is_sparse(plan) or plan.request.weight_dtype == "fp32"


def _is_sparse(plan: Plan) -> bool:
    caches = caches_of_model(plan.model, plan.request.storage, plan.request.split)
    return any(cached.cache.sparse for cached in caches)


def _utilisation(plan: Plan, flag: str) -> Parts:
    return [flag, repr(float(plan.request.gpu_memory_utilization))]


def _version(plan: Plan) -> tuple[int, ...]:
    return tuple(int(part) for part in plan.rules.version.split("."))


SPECIAL: dict[str, Callable[[Plan, str], Parts]] = {
    "seq_len": _length,
    "max_num_seqs": _sequences,
    "max_num_batched_tokens": _batched_tokens,
    "data_parallel_size": _data_parallel,
    "enable_attention_dp": _attention_dp,
    "enable_expert_parallel": _expert_parallel,
    "weight_dtype": _weights,
    "kv_cache_dtype": _kv_format,
    "gpu_memory_utilization": _utilisation,
}


def _comment(plan: Plan, left: list[str]) -> str:
    """Return a line that names what the command has no flag for, and where else it goes."""
    if not left:
        return ""
    engine, kv_format = plan.request.engine, plan.request.kv_cache_dtype
    takes = [name for name in left if name != "kv_cache_dtype" or kv_format in KV_FORMATS[engine]]
    keys = [key for name, key in YAML_KEYS.get(engine, {}).items() if name in takes]
    elsewhere = f"; in the YAML file of {YAML_FLAG}: {', '.join(keys)}" if keys else ""
    comment = f"# not on the command line: {', '.join(_named(plan, name) for name in left)}{elsewhere}"
    return "\n" + " ".join(comment.split())


def _named(plan: Plan, name: str) -> str:
    value = getattr(plan.request, name)
    shown = name if value is True else f"{name} {value}"
    if name == "enable_expert_parallel" and name in plan.rules.flags:
        return f"{shown} across data_parallel_size"
    return f"{shown} (needs a checkpoint in it)" if name == "weight_dtype" else shown
