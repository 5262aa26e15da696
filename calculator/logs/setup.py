"""The set-up that a start-up log states: model, device, flags and formats, as keywords of ``plan``."""

from __future__ import annotations

import re
from typing import Any

from calculator.architecture.model import ModelArchitecture
from calculator.catalogue.presets import gpu_ids, load_gpu, load_model, model_ids
from calculator.engines import engine_rules
from calculator.engines.base import OPTIONS as ONLY_SOME
from calculator.errors import CalculatorError, InvalidValueError
from calculator.hardware import Accelerator
from calculator.logs.reading import UNQUANTISED, StartupLog
from calculator.planning.answer import Plan
from calculator.planning.plan import vary
from calculator.request import OPTIONS
from calculator.units import GIB, gib_to_bytes

SAME_WEIGHTS = 0.03
UNSTATED_MEMORY = 2**44
"""Stands for a device that the log does not name: then only what its pool holds is compared."""


def keywords_of(
    log: StartupLog, model: ModelArchitecture | str | None, gpu: Accelerator | str | None, given: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Return the keywords of ``plan`` that a log states, and what was assumed beside."""
    flags = log.flags
    assumed: list[str] = []
    asked: dict[str, Any] = {"engine": log.engine, "model": model if model is not None else _model_of(flags, assumed)}
    version = given.get("engine_version") or flags.get("engine_version")
    if not version:
        version, why = _version_of(log)
        assumed.append(why)
    if version:
        asked["engine_version"] = version
    known = engine_rules(log.engine, version)
    device = gpu if gpu is not None else _gpu_of(flags.get("device", ""), log.figures.get("memory_gib"))
    if device is not None:
        asked["gpu"] = device
    if "memory_gib" in log.figures:
        asked["gpu_memory_bytes"] = gib_to_bytes(f"{log.figures['memory_gib']:.4f}")
    elif device is None and given.get("gpu_memory_bytes") is None:
        asked["gpu_memory_bytes"] = UNSTATED_MEMORY
        assumed.append("no device: the log names none, so only what the pool holds can be compared; give the GPU")
    logged = (name for name, option in OPTIONS.items() if option.logged and name in flags)
    asked |= {name: flags[name] for name in logged if name not in ONLY_SOME or name in known.only_here}
    length = log.figures.get("concurrency_at") or flags.get("seq_len")
    if length and log.engine != "llama.cpp":
        asked["seq_len"] = int(length)
    if log.engine == "llama.cpp":
        asked |= _llama_cpp_lengths(log)
        asked.pop("tensor_parallel_size", None)
    else:
        asked |= _ranks(log, {**asked, **given}, assumed)
    asked |= _formats(log, load_model(asked["model"]), assumed)
    for name in ("gpu_memory_utilization", "max_num_seqs", "max_num_batched_tokens"):
        if name not in asked and name in known.flags:
            assumed.append(f"{name} by default: the log does not state it")
    if flags.get("speculative") not in (None, "None") or flags.get("lora"):
        assumed.append("no draft model and no LoRA: the log names one, and its memory is not modelled")
    return asked | {name: value for name, value in given.items() if value is not None}, assumed


SHAPES = (
    (
        "v0_lines",
        "0.7",
        "{title} 0.7: the log names no version, its lines are those of the V0 engine or of 0.8 at most",
    ),
    ("since_0_28", None, "the newest rules of {title}: the log names no version, its lines are those of 0.28 or later"),
    (
        "second_runner",
        "0.27",
        "{title} 0.27: the log names no version, its lines are those of the second model runner before 0.28",
    ),
    ("since_0_11", None, "the newest rules of {title}: the log names no version, its lines are those of 0.11 or later"),
    ("v1_lines", None, "the newest rules of {title}: the log names no version, its lines are those of 0.8 or later"),
    ("", None, "the newest rules of {title}: the log names no version"),
)
"""Lines that only some versions print, the version that is then taken, and how that is said; first match wins."""


def _version_of(log: StartupLog) -> tuple[str | None, str]:
    """Return the version that the shape of a log's lines means, None for the newest, and what was assumed."""
    version, why = next((version, why) for name, version, why in SHAPES if not name or name in log.figures)
    return version, why.format(title=engine_rules(log.engine).title)


def _ranks(log: StartupLog, asked: dict[str, Any], assumed: list[str]) -> dict[str, Any]:
    """Return what the ranks that print lines say of parallelism, where the log does not state it."""
    seen = int(log.figures.get("ranks", 1))
    if seen < 2 or asked.get("tensor_parallel_size") is not None:
        return {}
    size = 1 << (seen - 1).bit_length()
    assumed.append(f"tensor_parallel_size {size}: the log shows ranks up to TP{seen - 1}")
    if log.figures.get("expert_ranks", 1) < 2 or asked.get("enable_expert_parallel") is not None:
        return {"tensor_parallel_size": size}
    assumed.append("enable_expert_parallel: the log's ranks are of experts too")
    return {"tensor_parallel_size": size, "enable_expert_parallel": True}


def _llama_cpp_lengths(log: StartupLog) -> dict[str, Any]:
    figures = log.figures
    sequences = int(figures.get("sequences", 1))
    streams = int(figures.get("streams", 1 if figures.get("unified") else sequences)) or 1
    cells = int(figures.get("cells") or figures.get("n_ctx", 0) / streams or log.flags.get("seq_len", 0))
    return {"batch_size": streams, **({"seq_len": cells} if cells else {})}


def _formats(log: StartupLog, model: ModelArchitecture, assumed: list[str]) -> dict[str, str]:
    """Return the formats that a log states, by the names used here."""
    formats, flags = {}, log.flags
    kv = str(flags.get("kv_cache_dtype", "auto")).removeprefix("torch.").lower()
    kv = {
        "f16": "fp16",
        "f32": "fp32",
        "float16": "fp16",
        "bfloat16": "bf16",
        "float8_e4m3fn": "fp8",
        "float8_e5m2": "fp8_e5m2",
    }.get(kv, kv)
    if kv not in ("auto", "none", ""):
        formats["kv_cache_dtype"] = kv
    if flags.get("kv_cache_types"):
        assumed.append("keys and values in one format: the log stores them in two, which one plan cannot hold")
    named = str(flags.get("model", "")).lower()
    quantised = str(flags.get("quantization") or "").lower().rsplit("oss_", 1)[-1]
    weight = {
        "fp8": "fp8", "awq": "awq-int4", "awq_marlin": "awq-int4", "gptq": "gptq-int4", "gptq_marlin": "gptq-int4",
        "bitsandbytes": "nf4", "mxfp4": "mxfp4", "modelopt_fp4": "nvfp4", "modelopt": "fp8",
        "w8a8_int8": "int8",
    }.get(quantised)  # fmt: skip
    by_name = next((form for part, form in _NAMED_FORMATS if part in named), None)
    weight = weight or by_name or _gguf_format(flags, assumed)
    dtype = str(flags.get("dtype", "")).removeprefix("torch.")
    if weight:
        formats["weight_dtype"] = weight
    elif dtype in ("bfloat16", "float16") and log.engine == "vllm" and quantised == UNQUANTISED:
        # else it is the format of computing: a checkpoint that is stored in less stays so, and SGLang prints what
        # was asked for, not what the checkpoint is
        if model.resolve_weight_dtype("auto") not in SIXTEEN_BITS:
            return formats
        formats["weight_dtype"] = {"bfloat16": "bf16", "float16": "fp16"}[dtype]
    return formats


_NAMED_FORMATS = (
    ("nvfp4", "nvfp4"), ("mxfp4", "mxfp4"), ("w8a8", "int8"), ("awq", "awq-int4"), ("gptq", "gptq-int4"),
    ("w4a16", "gptq-int4"), ("int4", "awq-int4"), ("bnb-4bit", "nf4"), ("fp8", "fp8"),
)  # fmt: skip


SIXTEEN_BITS = ("bf16", "fp16")
_GGUF = re.compile(r"(?<![a-z0-9])(?:(bf16|f16|q8_0|q6_k)|q([2-5])_?k(_?m| - medium)?)(?![a-z0-9_])")


def _gguf_format(flags: dict[str, Any], assumed: list[str]) -> str | None:
    """Return the weight format that llama.cpp prints, or that the file's name ends in; None for none known here."""
    for name, said in (("file_type", ""), ("file", "the file's name says so"), ("model", "the file's name says so")):
        text = str(flags.get(name, "")).lower()
        found = _GGUF.search(text) if name != "model" or text.endswith(".gguf") else None
        if found and (found[1] or found[2] == "2" or found[3]):
            form = {"f16": "fp16"}.get(found[1], found[1]) if found[1] else f"q{found[2]}_k"
            form += "_m" if found[2] and found[2] != "2" else ""
            if said:
                assumed.append(f"weights in {form}: {said}")
            return form
        if name == "file_type" and text:
            assumed.append(f"weights in the checkpoint's own format: {flags[name]} is none that is known here")
            return None
    return None


def with_logged_weights(answer: Plan, logged_gib: float) -> tuple[Plan, list[str]]:
    """Take the weight format whose size is the logged one, where the planned one is not."""
    if abs(weights_off(answer, logged_gib)) <= SAME_WEIGHTS:
        return answer, []
    near: list[tuple[bool, int, str, Plan]] = []
    for name in (*SIXTEEN_BITS, *answer.rules.weight_dtypes):
        try:
            other = vary(answer, weight_dtype=name)
        except CalculatorError:
            continue
        off = abs(weights_off(other, logged_gib))
        if off <= SAME_WEIGHTS:
            # formats that differ by less than what is printed are told apart by the order of their names here
            near.append((off > SAME_WEIGHTS / 2, len(near), name, other))
    if not near:
        return answer, []
    _, _, name, other = min(near, key=lambda row: row[:2])
    return other, [f"weights in {name}: their logged size, {logged_gib:.2f} GiB, is that format's"]


def weights_off(answer: Plan, logged_gib: float) -> float:
    """Return the share by which the predicted weights are off the logged ones [-]."""
    return answer.per_gpu.weights_bytes / GIB / logged_gib - 1 if logged_gib > 0 else 0.0


def _model_of(flags: dict[str, Any], assumed: list[str]) -> str:
    """Return the preset that a log's model is, by its id or by its name less what does not change its layers."""
    named = flags.get("model")
    if not named:
        raise InvalidValueError("the log names no model: give one, as --model on the command line")
    wanted = _plain(named)
    by_name: dict[str, str] = {}
    for key in model_ids():
        preset = load_model(key)
        for name in (key, preset.huggingface_id, preset.name):
            if name:
                by_name.setdefault(_plain(name), key)
    if wanted in by_name:
        key = by_name[wanted]
        if named not in (load_model(key).huggingface_id, key):
            assumed.append(f"the preset {key}: its layers are those of the log's model by name")
        return key
    raise InvalidValueError(f"the log's model {named[:80]!r} is not one of the presets: give one, as --model")


_TUNED = re.compile(
    r"(?:^|[-_ ])(instruct|chat|it|hf|base|thinking|gguf|fp8|fp16|bf16|awq|gptq|int4|int8|w8a8|w4a16|4bit|8bit|bnb|"
    r"nvfp4|mxfp4|dynamic|quantized|unsloth|meta|preview|\d{4}|g128|marlin|block|a16)(?=$|[-_. ])"
)


def _plain(name: str) -> str:
    """Return a model's name without owner, and without what says how it was tuned or stored."""
    plain = name.rstrip("/").rsplit("/", 1)[-1].lower().replace("_", "-")
    for _ in range(6):
        plain = _TUNED.sub("", plain)
    return re.sub(r"[^a-z0-9.]", "", plain).replace("llama3.1", "llama31").replace("llama31", "llama3.1")


_DEVICE_WORDS = re.compile(r"[a-z]{0,20}+[0-9]{1,20}+[a-z]{0,20}+|pcie|nvl|sxm|ada|blackwell|pro")
_CHIP = re.compile(r"[a-z]{1,20}+[0-9]{1,20}+[a-z]{0,20}+|[0-9]{4}")


def _gpu_of(device: str, memory_gib: float | None) -> str | None:
    """Return the GPU preset that a device's name means: most words in common, nearest memory; None for none."""
    words = set(_DEVICE_WORDS.findall(device.lower().replace("-", " ")))
    best: tuple[float, str] | None = None
    for key in gpu_ids():
        preset = load_gpu(key)
        own = set(_DEVICE_WORDS.findall(f"{key} {preset.name}".lower().replace("-", " ")))
        chips = {word for word in own if _CHIP.fullmatch(word)}
        if not chips & words:
            continue
        score = 2.0 * len(own & words) - len((own - words) & {"pcie", "nvl", "ada", "pro", "blackwell"})
        score -= 0.1 * len(own - words)
        if memory_gib:
            score -= abs(preset.memory_bytes / GIB / memory_gib - 1) * 10
        if best is None or score > best[0]:
            best = score, key
    return best[1] if best else None
