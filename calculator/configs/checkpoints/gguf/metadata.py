"""The metadata of a GGUF file → the keys of a config.json, by rows of data.

References
----------
gguf 0.19.0 ``constants.py`` (names of keys and architectures); the conversion scripts of llama.cpp say what each holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calculator.configs.checkpoints.gguf.header import Header
from calculator.configs.checkpoints.gguf.rows import ARCHITECTURES
from calculator.errors import FileFormatError, UnsupportedError, shown, unknown_name
from calculator.messages import say

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
    if kind is None:
        raise FileFormatError(
            say("metadata.metadata_do_not_say", "{name}: the metadata do not say general.architecture", name=name)
        )
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
            raise FileFormatError(
                say(
                    "metadata.metadata_do_not_say", "{name}: the metadata do not say {needed}", name=name, needed=needed
                )
            )
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
        raise FileFormatError(
            say(
                "metadata.metadata_must_whole_number",
                "{name} of the metadata must be a whole number, not {asked}",
                name=name,
                asked=shown(value),
            )
        )
    return value


def _completed(config: dict[str, Any], values: Mapping[str, Any], kind: str, names: set[str]) -> dict[str, Any]:
    """Fill in what follows from other keys, or from which tensors there are."""
    if "num_key_value_heads" not in config and "num_attention_heads" in config:
        config["num_key_value_heads"] = config["num_attention_heads"]
    if config.get("kv_lora_rank"):
        rope, whole = config.get("qk_rope_head_dim"), config.pop("qk_head_dim", None)
        if not isinstance(rope, int) or not isinstance(whole, int):
            raise FileFormatError(
                say(
                    "metadata.metadata_do_not_say",
                    "the metadata do not say the sizes of latent heads: convert the file with a newer tool",
                )
            )
        config["qk_nope_head_dim"] = whole - rope
        config.pop("head_dim", None)
        config.pop("num_key_value_heads", None)
        config.setdefault("q_lora_rank", None)
    if "linear_num_value_heads" in config and isinstance(values.get(f"{kind}.ssm.inner_size"), int):
        config["linear_value_head_dim"] = values[f"{kind}.ssm.inner_size"] // config["linear_num_value_heads"]
    if "blk.0.attn_q.bias" in names or "blk.0.attn_qkv.bias" in names:
        config["attention_bias"] = True
    return config
