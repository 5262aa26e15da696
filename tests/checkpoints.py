"""Writers of checkpoints' files for tests: headers of any tensors, and data that are holes."""

import json
import struct
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


GGML = {"F32": (0, 1, 4), "Q4_K": (12, 256, 144), "Q6_K": (14, 256, 210)}


def write_gguf(path, values, tensors, cut=0, version=3):
    """Write a GGUF file of whole numbers, texts and a list of texts; data are a hole; return their bytes."""

    def text(value):
        return struct.pack("<Q", len(value)) + value.encode()

    content = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(values))
    for key, value in values.items():
        if isinstance(value, int):
            content += text(key) + struct.pack("<II", 4, value)
        elif isinstance(value, str):
            content += text(key) + struct.pack("<I", 8) + text(value)
        else:
            content += text(key) + struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(text, value))
    reached = 0
    for name, (kind, shape) in tensors.items():
        number, values_of_block, bytes_of_block = GGML[kind]
        content += text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
        content += struct.pack("<IQ", number, reached)
        reached += prod(shape) // values_of_block * bytes_of_block
    content += b"\0" * (-len(content) % 32)
    with path.open("wb") as file:
        file.write(content)
        file.truncate(len(content) + reached - cut)
    return reached


def llama_gguf(config):
    """Return the metadata and tensors of a Llama file: Q4_K, ``ffn_down`` and the head Q6_K, norms F32."""
    hidden, width = config["hidden_size"], config["intermediate_size"]
    shared = hidden // config["num_attention_heads"] * config["num_key_value_heads"]
    values = {
        "general.architecture": "llama",
        "llama.context_length": config["max_position_embeddings"],
        "llama.embedding_length": hidden,
        "llama.block_count": config["num_hidden_layers"],
        "llama.feed_forward_length": width,
        "llama.attention.head_count": config["num_attention_heads"],
        "llama.attention.head_count_kv": config["num_key_value_heads"],
        "tokenizer.ggml.tokens": [str(number) for number in range(config["vocab_size"])],
    }
    ends = (config["vocab_size"], hidden)
    tensors = {"token_embd.weight": ("Q4_K", ends), "output.weight": ("Q6_K", ends)}
    tensors["output_norm.weight"] = ("F32", (hidden,))
    for layer in range(config["num_hidden_layers"]):
        for name, kind, shape in (
            ("attn_norm", "F32", (hidden,)),
            ("ffn_norm", "F32", (hidden,)),
            ("attn_q", "Q4_K", (hidden, hidden)),
            ("attn_k", "Q4_K", (shared, hidden)),
            ("attn_v", "Q4_K", (shared, hidden)),
            ("attn_output", "Q4_K", (hidden, hidden)),
            ("ffn_gate", "Q4_K", (width, hidden)),
            ("ffn_up", "Q4_K", (width, hidden)),
            ("ffn_down", "Q6_K", (hidden, width)),
        ):
            tensors[f"blk.{layer}.{name}.weight"] = (kind, shape)
    return values, tensors
