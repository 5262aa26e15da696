"""What was asked → a request with every default filled in, those of the engine at its version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from calculator.architecture.limits import MOST_RANKS
from calculator.architecture.model import ModelArchitecture
from calculator.architecture.split import Split, not_possible
from calculator.architecture.weights import why_width_not
from calculator.catalogue.presets import load_gpu, named
from calculator.engines import engine_rules
from calculator.engines.base import Engine
from calculator.engines.beside.logged import check_names
from calculator.engines.support import refused
from calculator.errors import InvalidValueError, UnsupportedError
from calculator.formats.kv import storage_format
from calculator.formats.weights import FORMATS, weight_format, why_not
from calculator.hardware import CUSTOM, Accelerator, custom_accelerator
from calculator.messages import joined, phrase, say
from calculator.planning.drafts import draft_of
from calculator.planning.kv_cache import encoder_tokens
from calculator.request import PLAN_DEFAULTS, PLAN_SCHEMA, Request
from calculator.request.calibration import Calibration
from calculator.request.speculation import Speculation, checked


def resolve(
    model: ModelArchitecture,
    device: Accelerator | str | None,
    options: Mapping[str, Any],
    calibration: Calibration | None = None,
    own: Engine | None = None,
) -> tuple[Accelerator, Engine, Request]:
    """Check every input and fill in the defaults, those of the engine at its version or of rules that are given."""
    given = {
        name: value
        for name, value in options.items()
        if value is not None and value is not PLAN_DEFAULTS[name]  # what the table states needs no check
    }
    values = {**PLAN_DEFAULTS, **PLAN_SCHEMA.validate(given)}
    rules = own or engine_rules(values["engine"], values["engine_version"])
    if calibration is not None:
        values["gpu_memory_bytes"] = _memory_logged(calibration, rules.name, device, values["gpu_memory_bytes"])
    gpu, accelerator = _accelerator(device, values["gpu_memory_bytes"])
    check_degree(model, values)
    if values["speculative_config"] is not None:
        values["speculative_config"] = checked(values["speculative_config"])
    rules.check(model, values)
    if values["speculative_config"] is not None:
        values["speculative_config"] = _speculation(model, values)
    seq_len = values["seq_len"] or model.max_position_embeddings
    kv_dtype = storage_format(model.resolve_kv_dtype(values["kv_cache_dtype"]))
    tokens, sequences = values["max_num_batched_tokens"], values["max_num_seqs"]
    if tokens is None or sequences is None:
        defaults = rules.batch_defaults(accelerator, seq_len, values["speculative_config"], values["usage_context"])
        tokens, sequences = tokens or defaults[0], sequences or defaults[1]
    values["max_num_batched_tokens"] = tokens
    fraction = values["gpu_memory_utilization"] or rules.default_fraction(model, accelerator, values)
    split = Split(values["tensor_parallel_size"], values["decode_context_parallel_size"], values["enable_attention_dp"])
    values |= {
        "model": named(model),
        "gpu": gpu,
        "gpu_memory_bytes": accelerator.memory_bytes,
        "seq_len": seq_len,
        "weight_dtype": _weight_dtype(model, values),
        "kv_cache_dtype": kv_dtype.name,
        "gpu_memory_utilization": fraction,
        "encoder_seq_len": encoder_tokens(model, values["encoder_seq_len"]) or None,
        "engine": rules.name,
        "engine_version": rules.version,
        "block_size": rules.default_block_size(model, kv_dtype, split, values["block_size"], values),
        "max_num_seqs": sequences,
        "split": split,
    }
    stated = refused(rules, accelerator, values["weight_dtype"], values["kv_cache_dtype"])
    if stated is not None:
        raise UnsupportedError(stated.why, what="gpu", asked=gpu)
    _check_kernels(model, accelerator, rules, values)
    return accelerator, rules, Request.of(values)


def _check_kernels(
    model: ModelArchitecture, accelerator: Accelerator, rules: Engine, values: Mapping[str, Any]
) -> None:
    """Raise ``UnsupportedError``, with the formats that would do, where no kernel of attention reads a cache's."""
    asked = values["kv_cache_dtype"]
    why = rules.why_no_kernel(model, accelerator, asked, values)
    if why is None:
        return
    offered = tuple(
        name for name in rules.kv_cache_dtypes
        if name != "fp32"
        and refused(rules, accelerator, values["weight_dtype"], name) is None
        and rules.why_no_kernel(model, accelerator, name, values) is None
    )  # fmt: skip
    raise UnsupportedError(
        say(
            "support.no_kernel",
            "{engine} {version} does not start {model} with a KV cache in {name} on {gpu}: {why}{instead}",
            engine=rules.title, version=rules.version, model=model.name, name=asked, gpu=accelerator.name, why=why,
            instead=say("support.other_formats", "; kv_cache_dtype can be {names}", names=joined(", ", offered))
            if offered else phrase("; use another device"),
        ),
        what="kv_cache_dtype",
        asked=asked,
        allowed=offered,
        nearest=offered[0] if offered else None,
    )  # fmt: skip


def _weight_dtype(model: ModelArchitecture, values: Mapping[str, Any]) -> str:
    """Return the weight format; where the checkpoint's is not understood, given bytes are shared as 16 bit ones are."""
    name = model.resolve_weight_dtype(values["weight_dtype"])
    if values["checkpoint_bytes"] and " " in name:
        return model.resolve_dtype("auto")
    if " " in name and model.stored_as:
        raise UnsupportedError(why_not(name, model.stored_as), what="weight_dtype", asked=name, allowed=tuple(FORMATS))
    return weight_format(name).name


def _speculation(model: ModelArchitecture, values: Mapping[str, Any]) -> Speculation:
    """Return how tokens are drafted, by name and number; raise ``CalculatorError`` where a drafter is not possible."""
    config: Speculation = values["speculative_config"]
    draft, tp = draft_of(model, config), values["tensor_parallel_size"]
    assert draft is not None
    draft.check_split(1 if values["enable_attention_dp"] else tp)
    for key, wanted in (("draft_tensor_parallel_size", tp), ("kv_cache_dtype", values["kv_cache_dtype"])):
        if config.get(key, wanted) != wanted and not draft.is_empty:
            raise UnsupportedError(
                say(
                    "resolve.speculative_config_other_than",
                    "speculative_config: {key_} {config} other than the model's {wanted} is not known here; leave it",
                    key_=key,
                    config=config[key],
                    wanted=wanted,
                ),
                what="speculative_config",
                asked=config[key],
                allowed=wanted,
                nearest=wanted,
            )
    return Speculation({**config, "method": config.method, "num_speculative_tokens": draft.num_tokens})


_BEARS_ON_DEGREES = ("enable_attention_dp", "enable_expert_parallel")


def why_degree_not(model: ModelArchitecture, values: Mapping[str, Any]) -> str | None:
    """Say why layers cannot be split over the tensor-parallel ranks asked for, or None where they can.

    Attention data parallelism leaves attention whole, expert parallelism experts; what is split must divide.
    """
    degree = values["tensor_parallel_size"]
    reason = None if values["enable_attention_dp"] else model.why_not(degree)
    return reason or why_width_not(model, degree, whole_experts=values["enable_expert_parallel"])


def legal_degrees(model: ModelArchitecture, values: Mapping[str, Any]) -> tuple[int, ...]:
    """Return every tensor-parallel degree that layers can be split into under some options, ascending [-]."""
    return model.remember(_legal_degrees, *(bool(values[name]) for name in _BEARS_ON_DEGREES))


def _legal_degrees(model: ModelArchitecture, *options: bool) -> tuple[int, ...]:
    asked = dict(zip(_BEARS_ON_DEGREES, options, strict=True))
    tried = range(1, MOST_RANKS + 1) if options[0] else model.tensor_parallel_degrees
    return tuple(degree for degree in tried if not why_degree_not(model, {**asked, "tensor_parallel_size": degree}))


def check_degree(model: ModelArchitecture, values: Mapping[str, Any]) -> None:
    """Raise ``ParallelismError`` with the legal degrees where layers cannot be split so."""
    reason = why_degree_not(model, values)
    if reason:
        raise not_possible(values["tensor_parallel_size"], reason, legal_degrees(model, values))


def _memory_logged(
    calibration: Calibration, engine: str, gpu: Accelerator | str | None, memory_bytes: int | None
) -> int | None:
    """Return the memory of a device, that of the log where none is given; refuse a log of another engine or device."""
    named_gpu = gpu is not None and not (isinstance(gpu, str) and gpu == CUSTOM)
    calibration.check(engine, load_gpu(gpu) if named_gpu and gpu is not None and memory_bytes is None else None)
    check_names(calibration)
    if memory_bytes is not None:
        calibration.check_sizes(memory_bytes)
    return memory_bytes or calibration.gpu_memory_bytes


def _accelerator(gpu: Accelerator | str | None, memory_bytes: int | None) -> tuple[str, Accelerator]:
    """Return what a GPU is called, and the GPU with the memory that is given by hand."""
    if gpu is None or (isinstance(gpu, str) and gpu == CUSTOM):
        if memory_bytes is None:
            raise InvalidValueError(
                say(
                    "resolve.gpu_missing_name_gpu",
                    "gpu is missing: name a GPU preset such as a100-80gb-sxm, or give gpu_memory_bytes",
                ),
                what="gpu",
            )
        return CUSTOM, custom_accelerator(memory_bytes)
    accelerator = load_gpu(gpu)
    if memory_bytes is None:
        return named(accelerator), accelerator
    given = replace(accelerator, memory_bytes=memory_bytes, memory_source="given by hand", memory_verified=True)
    return named(accelerator), given
