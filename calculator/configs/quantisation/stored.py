"""From a section of quantisation to a model whose matrices know how they are stored."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from calculator.architecture.groups import LayerGroup
from calculator.architecture.matrices import WeightMatrix
from calculator.architecture.model import ModelArchitecture
from calculator.configs.quantisation import schemes
from calculator.configs.quantisation.compressed_tensors import compressed_tensors
from calculator.configs.quantisation.modelopt import is_modelopt, modelopt
from calculator.configs.quantisation.patterns import Clock, Place
from calculator.configs.quantisation.places import EMBEDDING, HEAD, WHOLES, Places
from calculator.configs.quantisation.quark import quark
from calculator.configs.quantisation.schemes import NotUnderstood, Scheme
from calculator.configs.quantisation.torchao import torchao
from calculator.errors import InvalidValueError, UnsupportedError, shown
from calculator.formats.weights import FORMATS, WeightFormat
from calculator.messages import say

READERS: Mapping[str, Callable[[Mapping[str, Any]], Scheme]] = {
    "fp8": schemes.fp8,
    "fbgemm_fp8": schemes.fbgemm_fp8,
    "awq": schemes.awq,
    "awq_marlin": schemes.awq,
    "gptq": schemes.gptq,
    "gptq_marlin": schemes.gptq,
    "mxfp4": schemes.mxfp4,
    "bitsandbytes": schemes.bitsandbytes,
    "auto-round": schemes.auto_round,
    "inc": schemes.auto_round,
    "compressed-tensors": compressed_tensors,
    "quark": quark,
    "torchao": torchao,
}
"""What reads a section, by its ``quant_method``; ModelOpt is known by more than that."""
MXFP4 = "mxfp4"
OTHER_NAMES = {
    "compressed_tensors": "compressed-tensors", "auto_round": "auto-round", "intel/auto-round": "auto-round",
    "auto_gptq": "gptq", "auto_awq": "awq", "deepseek_v4_fp8": "fp8",
}  # fmt: skip
NOT_READ = ("experts_int8", "fp_quant", "humming", "moe_wna16", "online")
"""Methods of vLLM 0.33 that are not read here; it has no others."""
_ELSEWHERE = re.compile(
    r"vis|audio|speech|sound|image|mtp|draft|eagle|encoder|projector|mm_|embed|norm|gate$|gate\b|bias|conv|sinks|head|"
    r"router|rotary|scale|A_log|dt_bias|eh_proj|shared_head|weights_proj|attn_(?!q|k|v|o)"
)
"""What every format leaves in 16 bit, or what is not of the text decoder."""
_IN_LAYER = re.compile(r"(?:^|\.)(?:layers|h)\.(\d{1,6})\.([A-Za-z0-9_.]{1,400}+)$")


def as_stored(model: ModelArchitecture, section: object) -> tuple[ModelArchitecture, tuple[str, ...]]:
    """Return a model whose matrices are as a checkpoint's section of quantisation stores them, and what was assumed.

    A scheme that is not understood leaves the matrices alone and is named by the model's ``weight_dtype``, which
    ``weight_format`` refuses.

    Raises
    ------
    InvalidValueError
        If the section is not a mapping, contradicts itself, or holds what could take endless.
    UnsupportedError
        If it stores modules apart that engines load as one, or names a module that is not known here.
    """
    if section is None:
        return model, ()
    if not isinstance(section, Mapping):
        raise InvalidValueError(
            say(
                "stored.quantization_config_must_mapping",
                "quantization_config must be a mapping, not {section}",
                section=shown(section),
            )
        )
    method = str(section.get("quant_method") or "").lower()
    method = MXFP4 if method.endswith(f"_{MXFP4}") else OTHER_NAMES.get(method, method)
    reader = modelopt if is_modelopt(section, method) else READERS.get(method)
    if not method and reader is None:
        said = say("quantisation.no_method", "quantization_config names no quant_method: 16 bit weights are taken")
        return model, (said,)
    try:
        if reader is None:
            why = "" if method in NOT_READ else ": vLLM 0.33 raises, it has no such method"
            raise NotUnderstood(f"quantization_config {method[:40]}{why}")
        scheme = reader(section)
        stored = _with_formats(model, scheme)
    except NotUnderstood as error:
        name, _, why = (str(error) or "a quantisation").partition(": ")
        return replace(model, weight_dtype=name, quant_method=method, stored_as=why), ()
    assumed = (scheme.assumed,) if scheme.assumed else ()
    return replace(stored, kv_cache_dtype=scheme.kv_cache_dtype, quant_method=method or "modelopt"), assumed


def _with_formats(model: ModelArchitecture, scheme: Scheme) -> ModelArchitecture:
    places, clock = Places(scheme.used), Clock()
    seen: set[str] = set()
    layers: list[LayerGroup] = []
    made: dict[tuple[int, tuple[WeightFormat | None, ...]], tuple[WeightMatrix, ...]] = {}
    index = 0
    for group in model.layers:
        for _ in range(group.count):
            clock.check()
            forms = _of_layer(group, index, places, scheme, seen)
            key = id(group.weights), forms
            if key not in made:
                pairs = zip(group.weights, forms, strict=True)
                made[key] = tuple(replace(matrix, stored=form) if form else matrix for matrix, form in pairs)
            if layers and layers[-1].spec == group.spec and layers[-1].weights is made[key]:
                layers[-1] = LayerGroup(group.spec, layers[-1].count + 1, made[key])
            else:
                layers.append(LayerGroup(group.spec, 1, made[key]))
            index += 1
    _refuse_unknown(scheme, seen, index)
    end = _of_ends(model.end, "lm_head", Place("head", HEAD), scheme)
    embedding = _of_ends(model.embedding, "embed_tokens", Place("embedding", EMBEDDING), scheme)
    return named_by_its_formats(replace(model, layers=tuple(layers), end=end, embedding=embedding), "config")


def _of_layer(
    group: LayerGroup, index: int, places: Places, scheme: Scheme, seen: set[str]
) -> tuple[WeightFormat | None, ...]:
    """Return the format of each matrix of a layer."""
    forms: list[WeightFormat | None] = []
    wholes: dict[str, tuple[str, WeightFormat | None]] = {}
    for matrix in group.weights:
        if not matrix.quantised:
            forms.append(None)
            continue
        place = places.of(matrix, index) or Place("experts" if matrix.part == "experts" else "linear", ())
        seen.update(place.all_names)
        form = scheme.choose(place)
        form = scheme.of_experts(form) if form and place.kind == "experts" else form
        container, _, leaf = matrix.module.rpartition(".")
        for whole in WHOLES.get(leaf, ())[:1]:
            at = f"{container}.{whole}"
            is_first = at not in wholes
            first = wholes.setdefault(at, (leaf, form))
            if first[1] != form:
                raise UnsupportedError(
                    say(
                        "stored.layer_stores_different_formats",
                        "layer {index} stores {first} and {leaf} in different formats, which engines load as "
                        "one: vLLM 0.33 refuses that",
                        index=index,
                        first=first[0],
                        leaf=leaf,
                    ),
                    what="quantization_config",
                )
            if form and not is_first and form.module_bytes:
                form = replace(form, matrix_bytes=form.matrix_bytes - form.module_bytes)
        forms.append(form)
    if scheme.layer_bytes and group.spec.kv_heads:
        _add_scales(group, forms, scheme.layer_bytes)
    return tuple(forms)


def _add_scales(group: LayerGroup, forms: list[WeightFormat | None], size: int) -> None:
    """Add the scales of the cache to the projection behind attention."""
    for position, matrix in enumerate(group.weights):
        if matrix.module == "self_attn.o_proj" and matrix.inputs > 1:
            form = forms[position] or FORMATS["bf16"]
            forms[position] = replace(form, matrix_bytes=form.matrix_bytes + size)
            return


def _of_ends(matrices: Sequence[WeightMatrix], module: str, place: Place, scheme: Scheme) -> tuple[WeightMatrix, ...]:
    """Return what stands before or behind the layers, the head or the embedding in its own format."""
    found = []
    for matrix in matrices:
        form = None
        if matrix.inputs > 1 and matrix.module == module:
            form = scheme.choose(place)
        elif matrix.inputs > 1 and matrix.quantised:
            form = scheme.choose(Place("linear", ()))
        found.append(replace(matrix, stored=form) if form else matrix)
    return tuple(found)


def _refuse_unknown(scheme: Scheme, seen: set[str], num_layers: int) -> None:
    """Refuse a name of a module of the decoder's layers that no matrix here goes by: its bytes would be a guess."""
    for name in scheme.used:
        found = _IN_LAYER.search(name)
        if not found or int(found[1]) >= num_layers or _ELSEWHERE.search(name):
            continue
        parts = found[2].split(".")
        if not any(set(parts) & set(known.split(".")) for known in seen):
            raise UnsupportedError(
                say(
                    "stored.quantization_config_names_module",
                    "quantization_config names the module {name}, which is not known of this model type",
                    name=shown(name[:120]),
                ),
                what="quantization_config",
                asked=name,
            )


def named_by_its_formats(model: ModelArchitecture, source: str) -> ModelArchitecture:
    """Return a model with the name of the format that most of its weights are in, and all of them in words."""
    sizes: Counter[str] = Counter()
    blocks = [(1, model.embedding), *((group.count, group.weights) for group in model.layers), (1, model.end)]
    left = 0
    for count, weights in blocks:
        for matrix in weights:
            size = count * matrix.num_parameters
            name = matrix.stored.name if matrix.stored and matrix.stored.bits < 16 else ""
            sizes[name] += size
            left += size if matrix.quantised and matrix.inputs > 1 and not name else 0
    quantised = {name: size for name, size in sizes.items() if name}
    if not quantised:
        return replace(model, weight_dtype=None, weights_from=source if source != "config" else "")
    main = max(quantised, key=lambda name: quantised[name])
    ends = [matrix for matrix in (*model.end, *model.embedding) if matrix.stored]
    words = ""
    if len(quantised) > 1 or left or ends or source != "config":
        total = sum(sizes.values())
        ordered = sorted(sizes, key=lambda name: -sizes[name])
        words = ", ".join(f"{100 * sizes[name] / total:.1f} % {name or '16 bit'}" for name in ordered)
    return replace(model, weight_dtype=main, weights_from=source, stored_as=words)
