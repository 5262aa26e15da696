"""Which part of a model a tensor of a checkpoint belongs to, by its name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from calculator.configs.checkpoints.safetensors import Tensor

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d{1,6}+)\.(.{1,400}+)$")
_TOWER = re.compile(
    r"(?:^|[._])(?:visual|vision\w{0,60}+|audio\w{0,60}+|speech\w{0,60}+|multi_modal\w{0,60}+|mm_\w{1,60}+|mlp1|image\w{0,60}+|embed_vision)\b"
)
_APART = re.compile(r"(?:^|\.)(?:mtp|draft|eagle|mtp_block|nextn)\b|rotary_emb\.inv_freq$")
_EXPERT = re.compile(r"\bexperts\.\d{1,6}\.")
_PARAMETER = re.compile(
    r"(?P<module>.{1,180}?)[._](?P<parameter>weight|bias|weight_scale|weight_scale_inv|weight_scale_2|weight_packed|weight_shape|"
    r"weight_zero_point|weight_global_scale|input_global_scale|input_scale|weight_g_idx|qweight|qzeros|scales|g_idx|"
    r"blocks|k_scale|v_scale|q_scale|zeros|absmax|quant_map|nested_absmax|nested_quant_map|weight_offset)$"
)
EMBEDDINGS, HEADS = ("embed_tokens", "wte", "word_embeddings", "tok_embeddings", "embeddings"), ("lm_head", "embed_out")
VALUES = ("weight", "bias")
FLOATS = ("F64", "F32", "F16", "BF16")


@dataclass
class Module:
    """What the tensors of one module take together.

    Attributes
    ----------
    bytes : int
        All of them [bytes].
    elements : int
        Values of them [-].
    weights, biases : int
        Values of the weight alone, and of a bias in floats [-].
    is_plain : bool
        Whether all are floats of 16 bit or more, weights and biases, so that an engine loads them in its own format.
    main : str
        The type of the largest tensor.
    largest : int
        Its size [bytes].
    bias_bytes : int
        What the biases take in the file [bytes].
    """

    bytes: int = 0
    elements: int = 0
    weights: int = 0
    biases: int = 0
    is_plain: bool = True
    main: str = ""
    largest: int = -1
    bias_bytes: int = 0

    def add(self, tensor: Tensor, parameter: str) -> None:
        """Add a tensor."""
        self.bytes += tensor.bytes
        self.elements += tensor.elements
        self.weights += tensor.elements if parameter == "weight" else 0
        if parameter == "bias" and tensor.dtype in FLOATS:
            self.biases += tensor.elements
            self.bias_bytes += tensor.bytes
        self.is_plain = self.is_plain and parameter in VALUES and tensor.dtype in FLOATS
        if tensor.bytes > self.largest:
            self.main, self.largest = tensor.dtype, tensor.bytes

    @property
    def loaded_bytes(self) -> int:
        """What an engine holds of it: plain values in 16 bit, the rest as it is stored [bytes]."""
        return 2 * self.elements if self.is_plain else self.bytes


@dataclass
class Tensors:
    """What a checkpoint stores, by the part of the model.

    Attributes
    ----------
    layers : dict
        The modules of each layer, by the names below it; every expert under ``experts.*``.
    ends : dict
        The modules before and behind the layers.
    tower_bytes, apart_bytes : int
        What encoders take, and what no engine loads without being asked to: layers for drafts [bytes].
    count : int
        Tensors that were read [-].
    """

    layers: dict[int, dict[str, Module]] = field(default_factory=dict)
    ends: dict[str, Module] = field(default_factory=dict)
    tower_bytes: int = 0
    apart_bytes: int = 0
    count: int = 0

    def add(self, tensors: Iterable[Tensor], num_layers: int) -> None:
        """Add the tensors of a file."""
        for tensor in tensors:
            self.count += 1
            place = place_of(tensor.name, num_layers)
            if place.part == "tower":
                self.tower_bytes += tensor.bytes
            elif place.part == "apart":
                self.apart_bytes += tensor.bytes
            else:
                modules = self.ends if place.part == "ends" else self.layers.setdefault(place.layer, {})
                modules.setdefault(place.module, Module()).add(tensor, place.parameter)


class Place(NamedTuple):
    """Where a tensor belongs: ``layer``, ``ends``, ``tower`` or ``apart``, and what it is there."""

    part: str
    layer: int
    module: str
    parameter: str


def place_of(name: str, num_layers: int) -> Place:
    """Return where a tensor belongs, by its name alone."""
    if _APART.search(name):
        return Place("apart", 0, name, "")
    if _TOWER.search(name):
        return Place("tower", 0, name, "")
    found = _LAYER.search(name)
    below = _EXPERT.sub("experts.*.", found[2]) if found else name
    parts = _PARAMETER.match(below)
    module, parameter = (parts["module"], parts["parameter"]) if parts else (below, "weight")
    if found is None:
        return Place("ends", 0, module.rpartition(".")[2], parameter)
    layer = int(found[1])
    return Place("layer" if layer < num_layers else "apart", layer, module, parameter)
