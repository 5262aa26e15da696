"""Architectures of GGUF: which type's config has the same layers, and what its metadata call the keys.

References
----------
gguf 0.19.0 ``constants.py``; what a key holds is what llama.cpp's ``convert_hf_to_gguf.py`` writes into it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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
    name : str
        What ``general.architecture`` calls it.
    model_type : str
        The type whose config has the same layers.
    keys : mapping
        Keys of metadata beside those that all have, and what a config calls them.
    said : mapping
        What a config says of it that the metadata leave out.
    sparse : str
        The type where there are experts, empty for the same.
    """

    name: str
    model_type: str
    keys: Mapping[str, str] = field(default_factory=dict)
    said: Mapping[str, Any] = field(default_factory=dict)
    sparse: str = ""


_ROWS = (
    Row("llama", "llama", sparse="mixtral"),
    Row("mistral3", "ministral3"),
    Row("qwen2", "qwen2"),
    Row("qwen2vl", "qwen2"),
    Row("qwen2moe", "qwen2_moe", SHARED),
    Row("qwen3", "qwen3"),
    Row("qwen3vl", "qwen3"),
    Row("qwen3moe", "qwen3_moe"),
    Row("qwen3vlmoe", "qwen3_moe"),
    Row("qwen3next", "qwen3_next", DELTA_NET),
    Row("qwen35", "qwen3_5_text", DELTA_NET),
    Row("qwen35moe", "qwen3_5_moe_text", DELTA_NET),
    Row("gemma", "gemma"),
    Row("gemma2", "gemma2", WINDOW),
    Row("gemma3", "gemma3_text", WINDOW),
    Row("phi3", "phi3"),
    Row("command-r", "cohere"),
    Row("cohere2", "cohere2", WINDOW),
    Row("deepseek2", "deepseek_v3", LATENT),
    Row("glm4", "glm4"),
    Row("glm4moe", "glm4_moe", {key: LATENT[key] for key in ("expert_shared_count", "leading_dense_block_count")}),
    Row("gpt-oss", "gpt_oss", WINDOW),
    Row("granite", "granite"),
    Row("granitemoe", "granitemoe"),
    Row("falcon", "falcon"),
    Row("starcoder2", "starcoder2"),
    Row("stablelm", "stablelm"),
    Row("olmo2", "olmo2"),
    Row("smollm3", "smollm3"),
    Row("seed_oss", "seed_oss"),
    Row("minimax-m2", "minimax_m2"),
    Row("ernie4_5", "ernie4_5"),
    Row("hunyuan-dense", "hunyuan_v1_dense"),
    Row("exaone", "exaone"),
    Row("mamba", "mamba", {"ssm.conv_kernel": "conv_kernel", "ssm.inner_size": "intermediate_size",
                           "ssm.state_size": "state_size", "ssm.time_step_rank": "time_step_rank"}),
)  # fmt: skip
ARCHITECTURES: Mapping[str, Row] = {row.name: row for row in _ROWS}
"""Architectures by the name in ``general.architecture``; one that is not here is refused."""
