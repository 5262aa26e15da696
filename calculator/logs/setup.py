"""The set-up that a start-up log states: model, device, flags and formats, as keywords of ``plan``."""

from __future__ import annotations

from typing import Any

from calculator.architecture.model import ModelArchitecture
from calculator.catalogue.presets import load_model
from calculator.engines import engine_log, engine_rules
from calculator.engines.base import OPTIONS as ONLY_SOME
from calculator.engines.base import Engine
from calculator.engines.log import Log
from calculator.errors import CalculatorError
from calculator.formats.names import METHODS, SIXTEEN_BIT, TORCH, format_in_name, format_of_gguf
from calculator.hardware import Accelerator
from calculator.logs.names import gpu_of, name_of, named_model
from calculator.logs.reading import StartupLog
from calculator.logs.vocabulary import UNQUANTISED
from calculator.messages import say
from calculator.planning.answer import Plan
from calculator.planning.drafts import draft_of
from calculator.planning.plan import vary
from calculator.request import OPTIONS
from calculator.request.speculation import checked
from calculator.units import GIB, gib_to_bytes

SAME_WEIGHTS = 0.03
UNSTATED_MEMORY = 2**44
"""Stands for a device that the log does not name: then only what its pool holds is compared."""


DEFAULTS = ("gpu_memory_utilization", "max_num_seqs", "max_num_batched_tokens")
"""Those whose default is worth a word."""


def keywords_of(
    log: StartupLog, model: ModelArchitecture | str | None, gpu: Accelerator | str | None, given: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Return the keywords of ``plan`` that a log states, and what was assumed beside."""
    flags, own = log.flags, engine_log(log.engine)
    assumed: list[str] = []
    named = model if model is not None else name_of(named_model(flags, assumed))
    asked: dict[str, Any] = {"engine": log.engine, "model": named}
    version = given.get("engine_version") or flags.get("engine_version") or _version_of(log, own, assumed)
    if version:
        asked["engine_version"] = version
    known = engine_rules(log.engine, version)
    device = gpu if gpu is not None else gpu_of(flags.get("device", ""), log.figures.get("memory_gib"))
    if device is not None:
        asked["gpu"] = device
    if "memory_gib" in log.figures:
        asked["gpu_memory_bytes"] = gib_to_bytes(f"{log.figures['memory_gib']:.4f}")
    elif device is None and given.get("gpu_memory_bytes") is None:
        asked["gpu_memory_bytes"] = UNSTATED_MEMORY
        text = "no device: the log names none, so only what the pool holds can be compared; give the GPU"
        assumed.append(say("logs.assumed.no_device", text))
    logged = (name for name, option in OPTIONS.items() if option.logged and name in flags)
    asked |= {name: flags[name] for name in logged if _takes(known, name)}
    asked |= own.lengths(log)
    if known.splits_layers:
        asked |= _ranks(log, {**asked, **given}, assumed)
    else:
        asked.pop("tensor_parallel_size", None)
    asked |= _formats(log, own, load_model(asked["model"]), assumed)
    for name in DEFAULTS:
        if name not in asked and name in known.flags:
            text = "{keyword} by default: the log does not state it"
            assumed.append(say("logs.assumed.default", text, keyword=name))
    drafts = _drafts(flags, known, load_model(asked["model"]))
    asked |= drafts
    if (flags.get("speculative") not in (None, "None") and not drafts) or flags.get("lora"):
        text = "no draft model and no LoRA: the log names one, and its memory is not modelled"
        assumed.append(say("logs.assumed.no_draft", text))
    return asked | {name: value for name, value in given.items() if value is not None}, assumed


def _drafts(flags: dict[str, Any], known: Engine, model: ModelArchitecture) -> dict[str, Any]:
    """Return how a log's engine drafts tokens, where nothing but its method and their number decides that."""
    if not {"draft_method", "draft_tokens"} <= set(flags):
        return {}
    config = {"method": flags["draft_method"], "num_speculative_tokens": flags["draft_tokens"]}
    try:
        speculation = checked(config)
        draft_of(model, speculation)
    except CalculatorError:
        return {}
    return {"speculative_config": config} if speculation.method in known.draft_methods else {}


def _takes(known: Engine, name: str) -> bool:
    """Whether an engine takes a keyword that not every engine has."""
    return name not in ONLY_SOME or name in known.only_here


def _version_of(log: StartupLog, own: Log, assumed: list[str]) -> str | None:
    """Return the version that the shape of a log's lines means, None for the newest."""
    for figure, version, why in own.shapes:
        if figure in log.figures:
            assumed.append(why)
            return version
    text = "the newest rules of {engine}: the log names no version"
    assumed.append(say("logs.assumed.newest", text, engine=engine_rules(log.engine).title))
    return None


def _ranks(log: StartupLog, asked: dict[str, Any], assumed: list[str]) -> dict[str, Any]:
    """Return what the ranks that print lines say of parallelism, where the log does not state it."""
    seen = int(log.figures.get("ranks", 1))
    if seen < 2 or asked.get("tensor_parallel_size") is not None:
        return {}
    size = 1 << (seen - 1).bit_length()
    text = "tensor_parallel_size {size}: the log shows ranks up to TP{last}"
    assumed.append(say("logs.assumed.ranks", text, size=size, last=seen - 1))
    if log.figures.get("expert_ranks", 1) < 2 or asked.get("enable_expert_parallel") is not None:
        return {"tensor_parallel_size": size}
    text = "enable_expert_parallel: the log's ranks are of experts too"
    assumed.append(say("logs.assumed.expert_ranks", text))
    return {"tensor_parallel_size": size, "enable_expert_parallel": True}


def _formats(log: StartupLog, own: Log, model: ModelArchitecture, assumed: list[str]) -> dict[str, str]:
    """Return the formats that a log states, by the names used here."""
    formats, flags = {}, log.flags
    kv = str(flags.get("kv_cache_dtype", "auto")).removeprefix("torch.").lower()
    if kv not in ("auto", "none", ""):
        formats["kv_cache_dtype"] = own.kv_formats.get(kv, kv)
    if flags.get("kv_cache_types"):
        text = "keys and values in one format: the log stores them in two, which one plan cannot hold"
        assumed.append(say("logs.assumed.one_format", text))
    quantised = str(flags.get("quantization") or "").lower()
    weight = (
        METHODS.get(quantised)
        or next((form for end, form in own.quantisations.items() if quantised.endswith(end)), None)
        or format_in_name(str(flags.get("model", "")))
        or _gguf_format(flags, assumed)
    )
    dtype = TORCH.get(str(flags.get("dtype", "")).removeprefix("torch."))
    if weight:
        formats["weight_dtype"] = weight
    elif (
        dtype in SIXTEEN_BIT
        and own.prints_stored_dtype
        and quantised == UNQUANTISED
        and model.resolve_weight_dtype("auto") in SIXTEEN_BIT  # else it is the format of computing alone
    ):
        formats["weight_dtype"] = dtype
    return formats


def _gguf_format(flags: dict[str, Any], assumed: list[str]) -> str | None:
    """Return the weight format that a GGUF file's type or name says; None for none known here."""
    if flags.get("file_type"):
        form = format_of_gguf(str(flags["file_type"]))
        if not form:
            text = "weights in the checkpoint's own format: {stated} is none that is known here"
            assumed.append(say("logs.assumed.file_type", text, stated=flags["file_type"]))
        return form
    for name in (str(flags.get("file", "")), str(flags.get("model", ""))):
        form = format_of_gguf(name) if name.lower().endswith(".gguf") else None
        if form:
            assumed.append(say("logs.assumed.file_name", "weights in {form}: the file's name says so", form=form))
            return form
    return None


def with_logged_weights(answer: Plan, logged_gib: float) -> tuple[Plan, list[str]]:
    """Take the weight format whose size is the logged one, where the planned one is not."""
    if abs(weights_off(answer, logged_gib)) <= SAME_WEIGHTS:
        return answer, []
    near: list[tuple[bool, int, str, Plan]] = []
    for name in (*SIXTEEN_BIT, *answer.rules.weight_dtypes):
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
    text = "weights in {form}: their logged size, {size:.2f} GiB, is that format's"
    return other, [say("logs.assumed.size_of_weights", text, form=name, size=logged_gib)]


def weights_off(answer: Plan, logged_gib: float) -> float:
    """Return the share by which the predicted weights are off the logged ones [-]."""
    return answer.per_gpu.weights_bytes / GIB / logged_gib - 1 if logged_gib > 0 else 0.0
