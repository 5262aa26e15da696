"""Writers of checkpoints' files for tests: headers of any tensors, and data that are holes."""

import json
from math import prod

BITS = {"BF16": 16, "F16": 16, "F32": 32, "F8_E4M3": 8, "U8": 8, "I8": 8, "I32": 32, "I64": 64}


def write_safetensors(path, tensors, **changed):
    """Write a file of tensors {name: (dtype, shape)}; data are a hole of the right size."""
    header, reached = {}, 0
    for name, (dtype, shape) in tensors.items():
        size = prod(shape) * BITS[dtype] // 8
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [reached, reached + size]}
        reached += size
    text = json.dumps({"__metadata__": {"format": "pt"}, **header, **changed}).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + reached)
    return reached


def llama_tensors(config, linear):
    """Return the tensors of a Llama checkpoint; ``linear(layer, module, outputs, inputs)`` gives a projection's."""
    hidden, width = config["hidden_size"], config["intermediate_size"]
    size = hidden // config["num_attention_heads"]
    shared = config["num_key_value_heads"] * size
    modules = {
        "self_attn.q_proj": (hidden, hidden),
        "self_attn.k_proj": (shared, hidden),
        "self_attn.v_proj": (shared, hidden),
        "self_attn.o_proj": (hidden, hidden),
        "mlp.gate_proj": (width, hidden),
        "mlp.up_proj": (width, hidden),
        "mlp.down_proj": (hidden, width),
    }
    tensors = {
        "model.embed_tokens.weight": ("BF16", (config["vocab_size"], hidden)),
        "model.norm.weight": ("BF16", (hidden,)),
    }
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}"
        for module, (outputs, inputs) in modules.items():
            for name, kind in linear(layer, module, outputs, inputs).items():
                tensors[f"{at}.{module}.{name}"] = kind
        tensors[f"{at}.input_layernorm.weight"] = tensors[f"{at}.post_attention_layernorm.weight"] = ("BF16", (hidden,))
    tensors["lm_head.weight"] = ("BF16", (config["vocab_size"], hidden))
    return tensors
