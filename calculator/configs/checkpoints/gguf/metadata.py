"""The metadata of a GGUF file → the keys of a config.json, by rows of data.

References
----------
gguf 0.19.0 ``constants.py`` (names of keys and architectures); the conversion scripts of llama.cpp say what each holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from calculator.configs.checkpoints.gguf.header import Header
from calculator.errors import FileFormatError, UnsupportedError, shown, unknown_name

KEYS: Mapping[str, str] = {
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "expert_count": "num_experts",
    "expert_used_count": "num_experts_per_tok",
    "expert_feed_forward_length": "moe_intermediate_size",
}
"""What all architectures name alike."""
LATENT: Mapping[str, str] = {
    "attention.q_lora_rank": "q_lora_rank",
    "attention.kv_lora_rank": "kv_lora_rank",
    "attention.value_length_mla": "v_head_dim",
    "rope.dimension_count": "qk_rope_head_dim",
    "attention.key_length_mla": "qk_head_dim",
    "expert_shared_count": "n_shared_experts",
    "leading_dense_block_count": "first_k_dense_replace",
}
DELTA_NET: Mapping[str, str] = {
    "ssm.conv_kernel": "linear_conv_kernel_dim",
    "ssm.state_size": "linear_key_head_dim",
    "ssm.group_count": "linear_num_key_heads",
    "ssm.time_step_rank": "linear_num_value_heads",
    "full_attention_interval": "full_attention_interval",
    "expert_shared_feed_forward_length": "shared_expert_intermediate_size",
}
WINDOW: Mapping[str, str] = {"attention.sliding_window": "sliding_window"}
SHARED: Mapping[str, str] = {"expert_shared_feed_forward_length": "shared_expert_intermediate_size"}


@dataclass(frozen=True)
class Row:
    """An architecture of GGUF.

    Attributes
    ----------
    model_type : str
        The type whose config has the same layers.
    keys : mapping
        Keys of metadata beside those that all have, and what a config calls them.
    said : mapping
        What a config says of it that the metadata leave out.
    sparse : str
        The type where there are experts, empty for the same.
    """

    model_type: str
    keys: Mapping[str, str] = field(default_factory=dict)
    said: Mapping[str, Any] = field(default_factory=dict)
    sparse: str = ""


ARCHITECTURES: Mapping[str, Row] = {
    "llama": Row("llama", sparse="mixtral"),
    "mistral3": Row("ministral3"),
    "qwen2": Row("qwen2"),
    "qwen2vl": Row("qwen2"),
    "qwen2moe": Row("qwen2_moe", SHARED),
    "qwen3": Row("qwen3"),
    "qwen3vl": Row("qwen3"),
    "qwen3moe": Row("qwen3_moe"),
    "qwen3vlmoe": Row("qwen3_moe"),
    "qwen3next": Row("qwen3_next", DELTA_NET),
    "qwen35": Row("qwen3_5_text", DELTA_NET),
    "qwen35moe": Row("qwen3_5_moe_text", DELTA_NET),
    "gemma": Row("gemma"),
    "gemma2": Row("gemma2", WINDOW),
    "gemma3": Row("gemma3_text", WINDOW),
    "phi3": Row("phi3"),
    "command-r": Row("cohere"),
    "cohere2": Row("cohere2", WINDOW),
    "deepseek2": Row("deepseek_v3", LATENT),
    "glm4": Row("glm4"),
    "glm4moe": Row("glm4_moe", {key: LATENT[key] for key in ("expert_shared_count", "leading_dense_block_count")}),
    "gpt-oss": Row("gpt_oss", WINDOW),
    "granite": Row("granite"),
    "granitemoe": Row("granitemoe"),
    "falcon": Row("falcon"),
    "starcoder2": Row("starcoder2"),
    "stablelm": Row("stablelm"),
    "olmo2": Row("olmo2"),
    "smollm3": Row("smollm3"),
    "seed_oss": Row("seed_oss"),
    "minimax-m2": Row("minimax_m2"),
    "ernie4_5": Row("ernie4_5"),
    "hunyuan-dense": Row("hunyuan_v1_dense"),
    "exaone": Row("exaone"),
    "mamba": Row("mamba", {"ssm.conv_kernel": "conv_kernel", "ssm.inner_size": "intermediate_size",
                           "ssm.state_size": "state_size", "ssm.time_step_rank": "time_step_rank"}),
}  # fmt: skip
"""Architectures by the name in ``general.architecture``; one that is not here is refused."""


def config_of(header: Header, name: str) -> dict[str, Any]:
    """Return the config.json that metadata stand for.

    Raises
    ------
    UnsupportedError
        If the architecture is not known.
    FileFormatError
        If a key is missing or no number.
    """
    values = header.values
    kind = values.get("general.architecture")
    row = ARCHITECTURES.get(kind) if isinstance(kind, str) else None
    if row is None:
        known = unknown_name("architecture of GGUF", kind, ARCHITECTURES)
        raise UnsupportedError(f"{name}: {known}", what="general.architecture", asked=kind)
    config: dict[str, Any] = {}
    for key, ours in {**KEYS, **row.keys}.items():
        value = values.get(f"{kind}.{key}")
        if value is not None:
            config[ours] = _one(value, ours)
    for needed in ("num_hidden_layers", "hidden_size"):
        if type(config.get(needed)) is not int:
            raise FileFormatError(f"{name}: the metadata do not say {needed}")
    drafts = values.get(f"{kind}.nextn_predict_layers", 0)
    if type(drafts) is int and 0 < drafts < config["num_hidden_layers"]:
        config["num_hidden_layers"] -= drafts
    names = {tensor.name for tensor in header.tensors}
    vocabulary = values.get(f"{kind}.vocab_size") or values.get("#tokenizer.ggml.tokens")
    if type(vocabulary) is int:
        config["vocab_size"] = vocabulary
    config |= {"tie_word_embeddings": "output.weight" not in names, "torch_dtype": "float16", **row.said}
    has_experts = bool(config.get("num_experts"))
    config["model_type"] = row.sparse if has_experts and row.sparse else row.model_type
    if not has_experts:
        config = {key: value for key, value in config.items() if not key.startswith("num_experts")}
    return _completed(config, values, str(kind), names)


def _one(value: Any, name: str) -> Any:
    """Return a number, or the number that every entry of a list is; a list of several stays one."""
    if isinstance(value, list):
        kinds = {entry for entry in value if not isinstance(entry, list)}
        return value[0] if len(kinds) == 1 else value
    if isinstance(value, bool) or not isinstance(value, int):
        raise FileFormatError(f"{name} of the metadata must be a whole number, not {shown(value)}")
    return value


def _completed(config: dict[str, Any], values: Mapping[str, Any], kind: str, names: set[str]) -> dict[str, Any]:
    """Fill in what follows from other keys, or from which tensors there are."""
    if "num_key_value_heads" not in config and "num_attention_heads" in config:
        config["num_key_value_heads"] = config["num_attention_heads"]
    if config.get("kv_lora_rank"):
        rope, whole = config.get("qk_rope_head_dim"), config.pop("qk_head_dim", None)
        if not isinstance(rope, int) or not isinstance(whole, int):
            raise FileFormatError(
                "the metadata do not say the sizes of latent heads: convert the file with a newer tool"
            )
        config["qk_nope_head_dim"] = whole - rope
        config.pop("head_dim", None)
        config.pop("num_key_value_heads", None)
        config.setdefault("q_lora_rank", None)
    if "linear_num_value_heads" in config and isinstance(values.get(f"{kind}.ssm.inner_size"), int):
        config["linear_value_head_dim"] = values[f"{kind}.ssm.inner_size"] // config["linear_num_value_heads"]
    if "blk.0.attn_q.bias" in names or "blk.0.attn_qkv.bias" in names:
        config["attention_bias"] = True
    if config["model_type"] == "mixtral":
        config["num_local_experts"] = config.pop("num_experts")
        config.pop("moe_intermediate_size", None)
    return config
