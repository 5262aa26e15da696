"""A GGUF file → a model whose matrices take what the file says, tensor by tensor."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from calculator.architecture.matrices import WeightMatrix
from calculator.architecture.model import ModelArchitecture
from calculator.configs.checkpoints.gguf.header import Header, read_gguf
from calculator.configs.checkpoints.gguf.metadata import config_of
from calculator.configs.checkpoints.measured import measured
from calculator.configs.checkpoints.safetensors import Tensor
from calculator.configs.checkpoints.tensors import Module, Tensors
from calculator.configs.reader import model_from_hf_config
from calculator.errors import FileFormatError, shown
from calculator.messages import say

MODULES: Mapping[str, str] = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_qkv": "self_attn.qkv_proj", "attn_output": "self_attn.o_proj", "attn_q_a": "self_attn.q_a_proj",
    "attn_q_b": "self_attn.q_b_proj", "attn_kv_a_mqa": "self_attn.kv_a_proj_with_mqa",
    "attn_kv_b": "self_attn.kv_b_proj", "attn_k_b": "self_attn.kv_b_proj", "attn_v_b": "self_attn.kv_b_proj",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
    "ffn_gate_exps": "mlp.experts.*.gate_proj", "ffn_up_exps": "mlp.experts.*.up_proj",
    "ffn_down_exps": "mlp.experts.*.down_proj", "ffn_gate_up_exps": "mlp.experts.gate_up_proj",
    "ffn_gate_shexp": "mlp.shared_experts.gate_proj", "ffn_up_shexp": "mlp.shared_experts.up_proj",
    "ffn_down_shexp": "mlp.shared_experts.down_proj", "ffn_gate_inp": "mlp.gate",
    "ffn_gate_inp_shexp": "mlp.shared_expert_gate", "ssm_in": "mixer.in_proj", "ssm_out": "mixer.out_proj",
    "ssm_x": "mixer.x_proj", "ssm_dt": "mixer.dt_proj", "ssm_conv1d": "mixer.conv1d",
    "ssm_ba": "linear_attn.in_proj_ba",
    "ssm_alpha": "linear_attn.in_proj_ba", "ssm_beta": "linear_attn.in_proj_ba",
}  # fmt: skip
"""What a tensor of a layer is called here; what is not among them is shared by the rest of the layer."""
IN_DELTA_NETS: Mapping[str, str] = {
    "attn_qkv": "linear_attn.in_proj_qkvz", "attn_gate": "linear_attn.in_proj_qkvz",
    "ssm_in": "linear_attn.in_proj_qkvz", "ssm_out": "linear_attn.out_proj", "ssm_conv1d": "linear_attn.conv1d",
}  # fmt: skip
ENDS: Mapping[str, str] = {"token_embd": "embed_tokens", "output": "lm_head"}
OURS: Mapping[str, str] = {
    "Q8_0": "q8_0", "Q6_K": "q6_k", "Q5_K": "q5_k_m", "Q4_K": "q4_k_m", "Q3_K": "q3_k_m", "Q2_K": "q2_k",
    "MXFP4": "mxfp4", "NVFP4": "nvfp4", "Q5_0": "q5_k_m", "Q5_1": "q5_k_m", "Q4_0": "q4_k_m", "Q4_1": "q4_k_m",
    "IQ4_NL": "q4_k_m", "IQ4_XS": "q4_k_m", "IQ3_S": "q3_k_m", "IQ3_XXS": "q3_k_m", "IQ2_S": "q2_k", "IQ2_XS": "q2_k",
    "IQ2_XXS": "q2_k", "IQ1_S": "q2_k", "IQ1_M": "q2_k", "TQ1_0": "q2_k", "TQ2_0": "q2_k", "Q8_1": "q8_0",
    "Q8_K": "q8_0",
}  # fmt: skip
"""The format here that a type is or is next to; bytes are those of the file, whatever it is called."""
PLAIN = ("F32", "F16", "BF16", "F64")
_LAYER = re.compile(r"blk\.(\d{1,6}+)\.([a-z0-9_.]{1,120}?)(?:\.(weight|bias))?$")
_SPLIT = re.compile(r"(.{0,255})-(\d{5})-of-(\d{5})\.gguf$")
TOLERANCE = 0.002
"""Of a layer's values, what files leave out or add: rotary factors, small scales [-]."""


def read_model(path: Path) -> ModelArchitecture:
    """Read a model from the header of a GGUF file, or of the first of several.

    Raises
    ------
    FileFormatError
        If a file is no GGUF file, is cut short, or its tensors are not what its metadata say.
    UnsupportedError
        If the architecture is not known.
    """
    header = read_gguf(path)
    files = _all_files(path, header)
    for other in files[1:]:
        header.tensors += read_gguf(other).tensors
    name = path.name
    model = model_from_hf_config(config_of(header, name), path.stem)
    tensors = _sorted_by_part(header.tensors, model)
    _check_sizes(model, tensors, name)
    found = measured(model, tensors, name)
    sizes: Counter[str] = Counter()
    for tensor in header.tensors:
        sizes[tensor.dtype] += tensor.elements
    quantised = {kind: size for kind, size in sizes.items() if kind not in PLAIN}
    main = OURS.get(max(quantised, key=lambda kind: quantised[kind])) if quantised else None
    total = sum(sizes.values())
    words = ", ".join(f"{100 * sizes[kind] / total:.1f} % {kind}" for kind in sorted(sizes, key=lambda k: -sizes[k]))
    read = say("checkpoints.gguf", "header of {file} with {tensors:,} tensors", file=name, tensors=len(header.tensors))
    return replace(
        found,
        weight_dtype=main or found.weight_dtype,
        stored_as=words,
        source=str(read),
        variations={**found.variations, "weights": str(read)},
    )


def _all_files(path: Path, header: Header) -> list[Path]:
    """Return the files of a model that is cut into several; all of them must be there."""
    count = header.values.get("split.count", 1)
    if type(count) is not int or count < 2:
        return [path]
    found = _SPLIT.match(path.name)
    if not found or int(found[3]) != count or count > 4_096:
        raise FileFormatError(
            say(
                "reader.one_files_not_named",
                "{path}: is one of {count} files, and not named as one",
                path=path,
                count=shown(count),
            )
        )
    files = [path.with_name(f"{found[1]}-{number:05}-of-{found[3]}.gguf") for number in range(1, count + 1)]
    missing = next((file for file in files if not file.is_file()), None)
    if missing is not None:
        raise FileFormatError(
            say(
                "reader.its_files_not_there",
                "{path}: of its {count} files {name} is not there",
                path=path,
                count=count,
                name=missing.name,
            )
        )
    if path != files[0]:
        raise FileFormatError(
            say(
                "reader.not_first_its_files",
                "{path}: is not the first of its {count} files; read {name}",
                path=path,
                count=count,
                name=files[0].name,
            )
        )
    return files


def _sorted_by_part(tensors: list[Tensor], model: ModelArchitecture) -> Tensors:
    found = Tensors()
    nets = {index for index, group in enumerate(_layer_by_layer(model))
            if any(matrix.module.startswith("linear_attn") for matrix in group)}  # fmt: skip
    for tensor in tensors:
        found.count += 1
        place = _LAYER.match(tensor.name)
        if place is None:
            name = tensor.name.removesuffix(".weight")
            if name.startswith(("v.", "mm.", "a.")):
                continue
            _add(found.ends, ENDS.get(name, name), tensor)
        else:
            layer = int(place[1])
            known = {**MODULES, **IN_DELTA_NETS} if layer in nets else MODULES
            _add(found.layers.setdefault(layer, {}), known.get(place[2], place[2]), tensor)
    return found


def _layer_by_layer(model: ModelArchitecture) -> list[tuple[WeightMatrix, ...]]:
    return [group.weights for group in model.layers for _ in range(group.count)]


def _add(modules: dict[str, Module], name: str, tensor: Tensor) -> None:
    module = modules.setdefault(name, Module())
    module.add(tensor, "stored")  # every type is loaded as it is stored


def _check_sizes(model: ModelArchitecture, tensors: Tensors, name: str) -> None:
    """Refuse metadata whose layers have not as many values as the file's: what is understood of them is wrong."""
    for layer, weights in enumerate(_layer_by_layer(model)):
        made = sum(matrix.elements for matrix in weights)
        stored = sum(module.elements for module in tensors.layers.get(layer, {}).values())
        if abs(stored - made) > TOLERANCE * made:
            raise FileFormatError(
                say(
                    "reader.layer_holds_values_where",
                    "{name}: layer {layer} holds {stored:,} values where its metadata make {made:,}: this "
                    "form of the architecture is not understood",
                    name=name,
                    layer=layer,
                    stored=stored,
                    made=made,
                )
            )
