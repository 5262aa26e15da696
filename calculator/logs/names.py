"""The preset that a log's model or device is, by the names that logs print."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from calculator.architecture.model import ModelArchitecture
from calculator.catalogue.presets import gpu_id, gpu_ids, load_gpu, load_model, model_by_name, model_ids
from calculator.errors import InvalidValueError, UnknownNameError
from calculator.logs.implied import implied_by, likely, named_beside, of_class
from calculator.messages import joined, phrase, say, template
from calculator.units import GIB

_WORDS = re.compile(r"[^a-z0-9.]{1,80}")
MOST_NAMED = 4
"""No more presets than these are said where a log names none of them [-]."""


def named_model(
    flags: dict[str, Any],
    assumed: list[str],
    figures: Mapping[str, Any] | None = None,
    described: ModelArchitecture | None = None,
) -> ModelArchitecture:
    """Return the model that a log names: by its repository, the last part of a path that says one, or what it implies.

    What a log describes, layer by layer, holds against a name.

    Raises
    ------
    InvalidValueError
        If the log names no model, or none that is known.
    """
    named = str(flags.get("model") or "")
    last = named.rstrip("/").rpartition("/")[2]
    found = (model_by_name(named) or model_by_name(last)) if named else _of_file(flags)
    if described is not None and (found is None or found.groups != described.groups):
        text = "the model that the metadata of its file describe: {layers} layers, {parameters:.1f} billion parameters"
        size = described.num_parameters / 1e9
        assumed.append(say("logs.assumed.described", text, layers=described.num_layers, parameters=size))
        return described
    if found is None and (served := model_by_name(str(flags.get("served_name") or ""))) is not None:
        text = template("the preset {preset}: it is served by that name, {named} is none")
        assumed.append(say("logs.assumed.served", text, preset=served.id, named=repr(named[:80])))
        return served
    if found is None:
        return _beside(flags, assumed, figures or {}) or _implied(named, flags, assumed, figures or {})
    if found.repository:
        text = template("the preset {preset}: its layers are those of the log's model by name")
        assumed.append(say("logs.assumed.preset", text, preset=found.id))
    return found


def _of_file(flags: dict[str, Any]) -> ModelArchitecture | None:
    """Return the model that the name of its file says, None for none that is known."""
    return model_by_name(str(flags.get("file") or "").replace("\\", "/").rpartition("/")[2])


def _beside(flags: dict[str, Any], assumed: list[str], figures: Mapping[str, Any]) -> ModelArchitecture | None:
    """Return the one model that the text beside the log's lines names, None for none or several."""
    beside = named_beside(flags, figures)
    if len({(model.groups, model.num_parameters) for model in beside}) != 1:
        return None
    text = template("the preset {preset}: no line of the log names a model, the text beside them names that one")
    assumed.append(say("logs.assumed.beside", text, preset=beside[0].id))
    return beside[0]


def _implied(named: str, flags: dict[str, Any], assumed: list[str], figures: Mapping[str, Any]) -> ModelArchitecture:
    """Return the preset whose weights and tokens are of the size that a log prints."""
    implied = implied_by(flags, figures, named)
    if implied and named:
        text = template("the preset {preset}: {named} is none, its weights and its tokens are of that size")
        assumed.append(say("logs.assumed.implied_of", text, preset=implied, named=repr(named[:80])))
    elif implied:
        text = template("the preset {preset}: the log names no model, its weights and its tokens are of that size")
        assumed.append(say("logs.assumed.implied", text, preset=implied))
    elif implied := of_class(flags, figures, named):
        text = template("the preset {preset}: it is the only one of the log's class, {kind}, that has its size")
        assumed.append(say("logs.assumed.of_class", text, preset=implied, kind=str(flags["architecture"])))
    some = likely(flags, figures)
    if not implied and (implied := _said_by(named, some)):
        text = template("the preset {preset}: {named} says so among other words, and what the log prints may be of it")
        assumed.append(say("logs.assumed.said_by", text, preset=implied, named=repr(named[:80])))
    if implied:
        return load_model(implied)
    probable = some[0] if len(some) == 1 else None
    may_be = phrase("")
    if 0 < len(some) <= MOST_NAMED:
        may_be = say("names.may_be", "; by what it prints it may be {presets}", presets=joined(" or ", some))
    if not named:
        text = say(
            "names.log_names_none",
            "the log names no model: give one, as --model on the command line{may_be}",
            may_be=may_be,
        )
        raise InvalidValueError(text, what="model", allowed=model_ids(), nearest=probable)
    wanted = plain(named)
    near = next((key for key in model_ids() if plain(key) == wanted), None) or _said_by(named, model_ids())
    hint = (
        say("names.give_one_model_if", "give one, as --model {near} if its layers are the same", near=near)
        if near
        else say("names.give_one_model", "give one, as --model{may_be}", may_be=may_be)
    )
    raise InvalidValueError(
        say(
            "names.log_s_model_not",
            "the log's model {named!r} is not one of the presets: {hint}",
            named=named[:80],
            hint=hint,
        ),
        what="model",
        asked=named[:80],
        allowed=model_ids(),
        nearest=near or probable,
    )


_DISTILLED = "distill"


def _said_by(named: str, choices: Iterable[str]) -> str | None:
    """Return the one preset whose id stands in a name, word by word; the longest of one within another, else None."""
    words = _in_words(named.rstrip("/").rpartition("/")[2].lower())
    said = {key: _in_words(key) for key in choices if _in_words(key) in words}
    best = max(said, key=len, default=None)
    if best is None or (_DISTILLED in words and _DISTILLED not in best):
        return None
    return best if all(other in said[best] for other in said.values()) else None


def _in_words(name: str) -> str:
    return f"-{_WORDS.sub('-', name)}-"


def name_of(model: ModelArchitecture) -> ModelArchitecture | str:
    """Return the name to plan a log's model by: its own, where the weight format that it says is one that is known."""
    if model.id not in model_ids():
        return model
    return model.id if " " in (model.weight_dtype or "") else model.repository or model.id


_TUNED = re.compile(
    r"(?:^|[-_ ])(instruct|chat|it|hf|base|thinking|gguf|fp8|fp16|bf16|awq|gptq|int4|int8|w8a8|w4a16|4bit|8bit|bnb|"
    r"nvfp4|mxfp4|dynamic|quantized|unsloth|meta|preview|\d{4}|g128|marlin|block|a16)(?=$|[-_. ])"
)


def plain(name: str) -> str:
    """Return a model's name without owner, and without what says how it was tuned or stored."""
    bare = name.rstrip("/").rsplit("/", 1)[-1].lower().replace("_", "-")
    for _ in range(6):
        bare = _TUNED.sub("", bare)
    return re.sub(r"[^a-z0-9.]", "", bare).replace("llama3.1", "llama31").replace("llama31", "llama3.1")


_DEVICE_WORDS = re.compile(r"[a-z]{0,20}+[0-9]{1,20}+[a-z]{0,20}+|pcie|nvl|sxm|ada|blackwell|pro")
_CHIP = re.compile(r"[a-z]{1,20}+[0-9]{1,20}+[a-z]{0,20}+|[0-9]{4}")


_PART = re.compile(r"\bMIG [1-7]g\.[0-9]|-[0-9]{1,3}[QCAB]$")
"""What a driver's name of a MIG slice or a vGPU profile has, such as 3g.40gb or DC-4-96Q."""
NEAR = 0.05
"""How far a part's memory may lie from what is printed, where its name leaves several [-]."""


def _part_of(device: str, memory_gib: float | None) -> str | None:
    """Return the slice or profile that a name means; of several the one with the printed memory."""
    try:
        return gpu_id(device)
    except UnknownNameError as error:
        known, choices = gpu_ids(), error.allowed if isinstance(error.allowed, tuple) else ()
    if not memory_gib:
        return None
    off = {key: abs(load_gpu(key).memory_bytes / GIB / memory_gib - 1) for key in choices if key not in known}
    near = sorted((share, key) for key, share in off.items() if share <= NEAR)
    return near[0][1] if near else None


_MEMORY_BEHIND = re.compile(r"[ ,(]{1,8}+[0-9]{3,7} ?Mi?B\b.{0,80}$")


def _plainly(device: str) -> str | None:
    """Return the GPU that a name means by all its words, Ti and SUPER among them; None where it leaves several."""
    try:
        return gpu_id(_MEMORY_BEHIND.sub("", device))
    except UnknownNameError:
        return None


def gpu_of(device: str, memory_gib: float | None) -> str | None:
    """Return the GPU preset that a device's name means: most words in common, nearest memory; None for none.

    A slice or a profile is never the whole device: one that is not known is none.
    """
    if _PART.search(device):
        return _part_of(device, memory_gib)
    plain = _plainly(device)
    if plain and (not memory_gib or abs(load_gpu(plain).memory_bytes / GIB / memory_gib - 1) <= NEAR):
        return plain
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


def gpu_beside(flags: Mapping[str, Any], memory_gib: float | None, assumed: list[str]) -> str | None:
    """Return the one GPU that the text beside the log's lines names, of the memory that is printed; None for none."""
    named: set[str] = set()
    for ids in flags.get("devices_beside", ()):
        near = {key for key in ids if has_memory(key, memory_gib)}
        named |= near if memory_gib else set(ids)
    if len(named) != 1:
        return None
    gpu = named.pop()
    text = template("on {gpu}: no line of the log names a device, the text beside them names that one")
    assumed.append(say("logs.assumed.gpu_beside", text, gpu=load_gpu(gpu).name))
    return gpu


def has_memory(gpu: str, memory_gib: float | None) -> bool:
    """Whether a GPU's memory is what is printed, or nothing is [GiB]."""
    return memory_gib is None or abs(load_gpu(gpu).memory_bytes / GIB / memory_gib - 1) <= NEAR
