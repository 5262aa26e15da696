"""The set-up that a start-up log states: model, device, flags and formats, as keywords of ``plan``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calculator.architecture.model import ModelArchitecture
from calculator.catalogue.presets import load_gpu, load_model
from calculator.engines import engine_log, engine_rules
from calculator.engines.base import Engine
from calculator.engines.lacking import OPTIONS as ONLY_SOME
from calculator.engines.log import Log
from calculator.engines.overheads import ACTIVATION, CUDA_GRAPH, NON_TORCH
from calculator.engines.support import runs_nowhere
from calculator.engines.versions import in_words, names_no_release
from calculator.errors import CalculatorError, InvalidValueError
from calculator.formats.names import METHODS, PLAIN, SIXTEEN_BIT, TORCH, format_in_name, format_of_gguf
from calculator.hardware import Accelerator
from calculator.logs.lines.vocabulary import UNQUANTISED
from calculator.logs.names import gpu_beside, gpu_of, has_memory, name_of, named_model
from calculator.logs.reading import StartupLog
from calculator.messages import phrase, say, template
from calculator.planning.answer import Plan
from calculator.planning.drafts import draft_of
from calculator.planning.plan import vary
from calculator.planning.stage import Memory
from calculator.request import OPTIONS
from calculator.request.calibration import SAME_MEMORY, calibration_of
from calculator.request.speculation import checked
from calculator.units import GIB, gib_to_bytes

SAME_WEIGHTS = 0.03
KEPT_BY_THE_DRIVER_GIB = 0.5
"""By so much less than nvidia-smi prints is what a program sees: an H100 79.65 and 79.18 [GiB]."""
UNSTATED_MEMORY = 2**44
"""Stands for a device that the log does not name: then only what its pool holds is compared."""


DEFAULTS = ("gpu_memory_utilization", "max_num_seqs", "max_num_batched_tokens")
"""Those whose default is worth a word."""


NOT_STATED = {
    "weight_dtype": phrase("the checkpoint's own weight format: the log states none"),
    "kv_cache_dtype": phrase("the checkpoint's own KV format, else 16 bit: the log states none"),
}
"""Formats that a log need not state."""


OF_SEVERAL = ("modelopt",)
"""Methods of several formats: which of them, a checkpoint's name says."""


def keywords_of(
    log: StartupLog, model: ModelArchitecture | str | None, gpu: Accelerator | str | None, given: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Return the keywords of ``plan`` that a log states, and what was assumed beside."""
    flags, own = log.flags, engine_log(log.engine)
    assumed: list[str] = []
    named = model if model is not None else name_of(named_model(flags, assumed, log.figures, own.described(log)))
    asked: dict[str, Any] = {"engine": log.engine, "model": named}
    version = given.get("engine_version") or flags.get("engine_version")
    if version is None or (names_no_release(str(version)) and given.get("engine_version") is None):
        version = _version_of(log, own, assumed) or version
    if version:
        asked["engine_version"] = version
    known = engine_rules(log.engine, version)
    asked |= _device(log, own, known, gpu, given, assumed)
    logged = (name for name, option in OPTIONS.items() if option.logged and name in flags)
    asked |= {name: flags[name] for name in logged if _takes(known, name) and not _is_off(flags[name])}
    asked |= own.lengths(log)
    if known.splits_layers:
        asked |= _ranks(log, {**asked, **given}, assumed)
    else:
        asked.pop("tensor_parallel_size", None)
    own_lines = own.estimates(log, load_model(asked["model"]), asked)
    asked |= {name: value for name, value in own_lines.items() if given.get(name) is None}
    asked |= _formats(log, own, load_model(asked["model"]), assumed)
    for name, said in NOT_STATED.items():
        if name not in asked and given.get(name) is None:
            assumed.append(say(f"logs.assumed.{name}", said))
    for name in DEFAULTS:
        if name not in asked and name in known.flags:
            text = template("{keyword} by default: the log does not state it")
            assumed.append(say("logs.assumed.default", text, keyword=name))
    if is_elsewhere(flags):
        text = template("the rules of CUDA and ROCm: the log's devices are {platform}, whose memory is not known here")
        assumed.append(say("logs.assumed.platform", text, platform=flags["platform"]))
    drafts = _drafts(flags, known, load_model(asked["model"]))
    asked |= drafts
    if (flags.get("speculative") not in (None, "None") and not drafts) or flags.get("lora"):
        text = phrase("no draft model and no LoRA: the log names one, and its memory is not modelled")
        assumed.append(say("logs.assumed.no_draft", text))
    return asked | {name: value for name, value in given.items() if value is not None}, assumed


def _device(
    log: StartupLog,
    own: Log,
    known: Engine,
    gpu: Accelerator | str | None,
    given: dict[str, Any],
    assumed: list[str],
) -> dict[str, Any]:
    """Return what the log says of the device and of its memory; where it says nothing, memory that stands for none."""
    figures = log.figures
    asked: dict[str, Any] = {}
    driver = log.flags.get("device_gib")
    device = gpu if gpu is not None else gpu_of(log.flags.get("device", ""), figures.get("memory_gib") or driver)
    memory: int | None = given.get("gpu_memory_bytes")
    if device is None and memory is None:
        device = gpu_beside(log.flags, figures.get("memory_gib"), assumed)
    if device is not None:
        asked["gpu"] = device
    if gpu is not None and memory is None:
        _check_memory(load_gpu(gpu), figures.get("memory_gib"))
    if "memory_gib" in figures:
        asked["gpu_memory_bytes"] = gib_to_bytes(f"{figures['memory_gib']:.4f}")
    elif driver and gpu is None and isinstance(device, str) and memory is None and not has_memory(device, driver):
        asked["gpu_memory_bytes"] = gib_to_bytes(f"{driver - KEPT_BY_THE_DRIVER_GIB:.4f}")
        text = template("{size:.2f} GiB of each GPU: nvidia-smi prints {driver:.2f}, of which its driver keeps a part")
        assumed.append(say("logs.assumed.driver", text, size=driver - KEPT_BY_THE_DRIVER_GIB, driver=driver))
    if memory is None:
        memory = asked.get("gpu_memory_bytes") or (load_gpu(device).memory_bytes if device is not None else None)
    derives = "gpu_memory_utilization" not in log.flags and given.get("gpu_memory_utilization") is None
    if memory is not None or not (derives and known.derives_fraction):
        asked |= {name: value for name, value in own.in_use(log, memory).items() if given.get(name) is None}
        if "non_torch_bytes" in asked and given.get("calibration") is not None:
            asked["non_torch_bytes"] += calibration_of(given["calibration"]).grown_bytes
    if memory is None and "gpu_memory_bytes" not in asked:
        asked["gpu_memory_bytes"] = UNSTATED_MEMORY
        named = str(log.flags.get("device", ""))
        if named and own.sizes_pool:
            unknown = template(
                "no device: {named} is none of the presets, so only what the pool holds can be compared; give the GPU"
            )
            assumed.append(say("logs.assumed.no_device", unknown, named=repr(named[:80])))
        elif own.sizes_pool:
            text = phrase("no device: the log names none, so only what the pool holds can be compared; give the GPU")
            assumed.append(say("logs.assumed.no_device", text))
    elif "non_torch_bytes" in asked:
        text = phrase("in use before loading: what the log prints, whatever else holds it")
        assumed.append(say("logs.assumed.free", text))
    return asked


def is_elsewhere(flags: Mapping[str, Any]) -> bool:
    """Whether a log says that it is of devices of another kind than any that is known here: NPUs, TPUs, CPUs."""
    return flags.get("platform", "cuda") not in ("cuda", "rocm", "gpu", "auto")


def _check_memory(device: Accelerator, logged_gib: float | None) -> None:
    """Refuse a device that has not the memory that a log prints; a part of a larger one may have been used."""
    own_gib = device.memory_bytes / GIB
    if logged_gib is None or logged_gib <= own_gib * (1 + SAME_MEMORY):
        return
    raise InvalidValueError(
        say(
            "logs.device_too_small",
            "gpu: the log prints {logged:.2f} GiB for one GPU, and {device} has {own:.2f}; give the GPU that it was, "
            "or leave it out",
            logged=logged_gib,
            device=device.name,
            own=own_gib,
        ),
        what="gpu",
        asked=device.id,
    )


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


def _is_off(value: Any) -> bool:
    """Whether a number is one by which engines say that something is off, or theirs to choose: -1."""
    return isinstance(value, int | float) and value < 0


def _takes(known: Engine, name: str) -> bool:
    """Whether an engine takes a keyword that not every engine has."""
    return name not in ONLY_SOME or name in known.only_here


def _version_of(log: StartupLog, own: Log, assumed: list[str]) -> str | None:
    """Return the version that the shape of a log's lines means, None for the newest."""
    for figure, version, why in own.shapes:
        if figure in log.figures:
            assumed.append(why)
            return version
    date = log.flags.get("date")
    built = max((version for version, day in own.built.items() if date and day <= date), default=None)
    if date and own.built and built != max(own.built):
        used = in_words(built or min(own.built))
        text = template(
            "{engine} {used}: the log names no version and is of {date}, no other that is known is nearer before it"
        )
        title = engine_rules(log.engine).title
        assumed.append(say("logs.assumed.dated", text, engine=title, used=used, date=date))
        return used
    text = template("the newest rules of {engine}: the log names no version")
    assumed.append(say("logs.assumed.newest", text, engine=engine_rules(log.engine).title))
    return None


def _ranks(log: StartupLog, asked: dict[str, Any], assumed: list[str]) -> dict[str, Any]:
    """Return what the ranks that print lines say of parallelism, where the log does not state it."""
    seen = int(log.figures.get("ranks", 1))
    if seen < 2 or asked.get("tensor_parallel_size") is not None:
        return {}
    size = 1 << (seen - 1).bit_length()
    text = template("tensor_parallel_size {size}: the log shows ranks up to TP{last}")
    assumed.append(say("logs.assumed.ranks", text, size=size, last=seen - 1))
    if log.figures.get("expert_ranks", 1) < 2 or asked.get("enable_expert_parallel") is not None:
        return {"tensor_parallel_size": size}
    text = phrase("enable_expert_parallel: the log's ranks are of experts too")
    assumed.append(say("logs.assumed.expert_ranks", text))
    return {"tensor_parallel_size": size, "enable_expert_parallel": True}


def _formats(log: StartupLog, own: Log, model: ModelArchitecture, assumed: list[str]) -> dict[str, str]:
    """Return the formats that a log states, by the names used here."""
    formats, flags = {}, log.flags
    kv = str(flags.get("kv_cache_dtype", "auto")).removeprefix("torch.").lower()
    if kv not in ("auto", "none", ""):
        formats["kv_cache_dtype"] = own.kv_formats.get(kv, kv)
    if flags.get("kv_cache_types"):
        text = phrase("keys and values in one format: the log stores them in two, which one plan cannot hold")
        assumed.append(say("logs.assumed.one_format", text))
    quantised = str(flags.get("quantization") or "").lower()
    weight = (
        (format_in_name(str(flags.get("model", ""))) if quantised in OF_SEVERAL else None)
        or METHODS.get(quantised)
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
    elif runs_nowhere(engine_rules(log.engine), own_format := model.resolve_weight_dtype("auto")):
        formats["weight_dtype"] = PLAIN
        why = template(
            "weights in 16 bit: the log states no format, and the engine runs none in the checkpoint's own, {form}"
        )
        assumed.append(say("logs.assumed.not_its_own", why, form=own_format))
    return formats


def _gguf_format(flags: dict[str, Any], assumed: list[str]) -> str | None:
    """Return the weight format that a GGUF file's type or name says; None for none known here."""
    if flags.get("file_type"):
        form = format_of_gguf(str(flags["file_type"]))
        if not form:
            text = template("weights in the checkpoint's own format: {stated} is none that is known here")
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
    near: list[tuple[bool, str, Plan]] = []
    for name in (*SIXTEEN_BIT, *answer.rules.weight_dtypes):
        try:
            other = vary(answer, weight_dtype=name)
        except CalculatorError:
            continue
        off = abs(weights_off(other, logged_gib))
        if off <= SAME_WEIGHTS:
            # formats that differ by less than what is printed are told apart by the order of their names here
            near.append((off > SAME_WEIGHTS / 2, name, other))
    if not near:
        return answer, []
    _, name, other = min(near, key=lambda row: row[0])
    text = template("weights in {form}: their logged size, {size:.2f} GiB, is that format's")
    return other, [say("logs.assumed.size_of_weights", text, form=name, size=logged_gib)]


def kept_bytes(memory: Memory) -> int:
    """Return what is kept on a GPU as weights are, beside them: drafts, adapters, what a sampler counts [bytes]."""
    others = (ACTIVATION.key, NON_TORCH.key, CUDA_GRAPH.key)
    return sum(line.bytes for line in memory.overheads if not line.in_slack and line.line.key not in others)


QUANTISED = (0.2, 1 - SAME_WEIGHTS)
"""Weights between these shares of 16 bit are quantised [-]."""


def with_weights_as_logged(answer: Plan, logged_gib: float) -> tuple[Plan, list[str]]:
    """Take the bytes of weights that are logged, where they are quantised and of the size of no format."""
    try:
        plain = vary(answer, weight_dtype=PLAIN)
        sized = vary(answer, checkpoint_bytes=plain.all_gpus.weights_bytes)
    except CalculatorError:
        return answer, []
    low, high = (share * plain.per_gpu.weights_bytes / GIB for share in QUANTISED)
    if not low < logged_gib < high or abs(weights_off(answer, logged_gib)) <= SAME_WEIGHTS:
        return answer, []
    # what stands beside them is logged with them
    logged_bytes = max(0.0, logged_gib * GIB - kept_bytes(sized.per_gpu))
    size = round(plain.all_gpus.weights_bytes * logged_bytes / sized.per_gpu.weights_bytes)
    if size <= 0:
        return answer, []
    text = template(
        "weights of {size:.2f} GiB, as logged: they are quantised, and no format that is known here is of that size"
    )
    said = say("logs.assumed.weights_as_logged", text, size=logged_gib)
    return vary(answer, checkpoint_bytes=size), [said]


def with_consumed_weights(answer: Plan, consumed_gib: float) -> tuple[Plan, list[str]]:
    """Take the weight format that, with what is outside the allocator, is what a log prints of both together."""
    best: tuple[float, str, Plan] | None = None
    for name in (answer.request.weight_dtype, *SIXTEEN_BIT, *answer.rules.weight_dtypes):
        try:
            other = answer if name == answer.request.weight_dtype else vary(answer, weight_dtype=name)
        except CalculatorError:
            continue
        outside = other.per_gpu.lines[NON_TORCH.key]
        kept = kept_bytes(other.per_gpu)
        rest = consumed_gib * GIB - other.per_gpu.weights_bytes - kept
        off = round(abs(rest - outside.bytes) / GIB, 1)
        # the low end of what is outside follows from links, which a device that is not known is taken to have
        if -kept <= rest <= outside.high and (best is None or off < best[0]):
            best = off, name, other
    if best is None or best[2] is answer:
        return answer, []
    text = template("weights in {form}: with what is outside the allocator they are the {size:.2f} GiB that are logged")
    return best[2], [say("logs.assumed.consumed", text, form=best[1], size=consumed_gib)]


def weights_off(answer: Plan, logged_gib: float) -> float:
    """Return the share by which the predicted weights are off the logged ones [-]."""
    return answer.per_gpu.weights_bytes / GIB / logged_gib - 1 if logged_gib > 0 else 0.0
