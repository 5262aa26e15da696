"""The names that published configs have for one thing, the keys that change nothing, and which layers are experts."""

import pytest

import calculator

PLAIN = {
    "model_type": "llama", "num_hidden_layers": 6, "hidden_size": 256, "intermediate_size": 512,
    "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 48, "vocab_size": 1_000,
    "max_position_embeddings": 3_000, "torch_dtype": "bfloat16", "tie_word_embeddings": True,
}  # fmt: skip
EXPERTS = {
    **PLAIN, "model_type": "qwen3_moe", "num_experts": 6, "num_experts_per_tok": 3, "moe_intermediate_size": 96,
}  # fmt: skip
ROUTED = {
    **PLAIN, "model_type": "deepseek_v3", "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64,
    "n_shared_experts": 3, "first_k_dense_replace": 1, "kv_lora_rank": 64, "q_lora_rank": None,
    "qk_nope_head_dim": 32, "qk_rope_head_dim": 16, "v_head_dim": 32,
}  # fmt: skip
del ROUTED["head_dim"], ROUTED["num_key_value_heads"]
WINDOWED = {**PLAIN, "model_type": "mistral", "sliding_window": 100}


def facts(config):
    model = calculator.model_from_hf_config(config)
    return (
        model.num_parameters, model.num_active_parameters, model.max_position_embeddings, model.tie_word_embeddings,
        model.torch_dtype, calculator.kv_cache_bytes(model, 1_000, 1, "fp16"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("config", "key", "others"),
    # GPT-2, MPT, DBRX, ChatGLM, T5, BART, Falcon, Megatron, OpenELM, Whisper, Mixtral, DeepSeek, ERNIE, Hunyuan, Step,
    # LongCat, Gemma 4, dots and Kimi each have names of their own
    [
        (PLAIN, "num_hidden_layers", (
            "n_layer", "n_layers", "num_layers", "num_decoder_layers", "decoder_layers", "num_transformer_layers")),
        (PLAIN, "num_attention_heads", (
            "n_head", "n_heads", "num_heads", "decoder_attention_heads", "attention_heads")),
        (PLAIN, "num_key_value_heads", (
            "num_kv_heads", "n_head_kv", "num_query_groups", "multi_query_group_num", "kv_n_heads")),
        (PLAIN, "head_dim", ("kv_channels", "attention_head_dim", "d_kv", "head_size")),
        (PLAIN, "hidden_size", ("n_embd", "d_model", "model_dim")),
        (PLAIN, "intermediate_size", ("n_inner", "ffn_dim", "d_ff", "ffn_hidden_size", "decoder_ffn_dim")),
        (PLAIN, "vocab_size", ("padded_vocab_size",)),
        (PLAIN, "max_position_embeddings", (
            "n_positions", "max_seq_len", "seq_length", "max_sequence_length", "max_target_positions",
            "max_context_length")),
        (PLAIN, "tie_word_embeddings", ("share_input_output_layers", "tie_embedding")),
        (PLAIN, "torch_dtype", ("dtype",)),
        (EXPERTS, "num_experts", ("num_local_experts", "n_routed_experts", "moe_num_experts")),
        (EXPERTS, "num_experts_per_tok", (
            "experts_per_token", "moe_topk", "moe_k", "moe_top_k", "num_experts_per_token", "top_k_experts")),
        (EXPERTS, "moe_intermediate_size", ("expert_ffn_hidden_size",)),
        (ROUTED, "n_shared_experts", ("num_shared_experts", "moe_num_shared_experts", "num_shared_expert")),
        (WINDOWED, "sliding_window", ("sliding_window_size", "window_size")),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_other_names_of_a_key_are_the_key(config, key, others):
    usual = facts(config)
    rest = {name: value for name, value in config.items() if name != key}
    for other in others:
        assert facts({**rest, other: config[key]}) == usual, other
        if key == "max_position_embeddings":  # the shorter of two holds
            assert facts({**config, other: config[key] - 1})[2] == config[key] - 1
        elif type(config[key]) is int:
            with pytest.raises(calculator.InvalidValueError, match=f"contradictory: {key} .* are names of the same"):
                facts({**config, other: config[key] + 1})


@pytest.mark.parametrize(
    "key",
    # of transformers' configuration classes, each by name like what bears on the cache, and without effect on it
    [
        "use_cache", "cache_implementation", "original_max_position_embeddings", "chunk_size_feed_forward",
        "use_mamba_kernels", "use_mambapy", "mamba_chunk_size", "num_nextn_predict_layers", "attn_window_size",
        "pretraining_tp", "residual_in_fp32", "index_topk", "use_cache_quantization", "classifier_heads",
        "mtp_num_hidden_layers", "mtp_layers_block_type", "indexer_rope_interleave", "index_share_for_mtp_iteration",
        "encoder_layerdrop", "decoder_layerdrop", "alternating_heads", "mamba_norm_before_gate",
    ],
)  # fmt: skip
def test_a_key_without_effect_on_the_cache_is_passed_over(key):
    assert facts({**PLAIN, key: 7}) == facts(PLAIN)


@pytest.mark.parametrize(
    "key",
    # of real configs that keep less, or otherwise, than every token of every head
    [
        "sliding_window_pattern_of_mine", "attention_chunk_size", "kv_lora_rank", "ssm_state_size", "mamba_d_state",
        "mamba_expand", "conv_kernel", "layer_types", "layers_block_type", "num_kv_shared_layers", "head_dim_of_mine",
        "global_attn_every_n_layers", "linear_attn_config", "linear_num_key_heads", "linear_key_head_dim",
        "linear_value_head_dim", "block_configs", "hybrid_layer_pattern", "full_attention_interval",
        "attn_layer_period",
        "attention_layers", "cross_attention_layers", "block_types", "add_cross_attention", "lru_width", "use_mla",
        "attn_type_list", "swa_layers", "attention_type", "sparse_attention", "nsa_block", "recurrent_width",
        "state_dim", "use_cla", "cla_factor", "yoco", "index_head_dim", "indexer_types", "compress_ratios",
        "multi_query", "new_decoder_architecture", "no_rope_layers", "nope_layers", "encoder_layers",
    ],
)  # fmt: skip
def test_a_key_that_bears_on_the_cache_is_refused_where_it_is_not_read(key):
    with pytest.raises(calculator.CalculatorError, match=key.split("_of_mine")[0][:8]):
        facts({**PLAIN, "model_type": "mixtral", "num_local_experts": 2, "num_experts_per_tok": 1, key: "seven"})
    for off in (None, False, 0, "", "auto", [], {}):
        if key not in ("layer_types", "layers_block_type", "sliding_window"):
            assert facts({**PLAIN, f"x_{key}": off})[0] == facts(PLAIN)[0]


@pytest.mark.parametrize("key", ["num_experts_per_tok", "moe_intermediate_size"])
def test_a_number_that_is_repeated_for_every_layer_is_that_number(key):
    assert facts({**EXPERTS, key: [EXPERTS[key]] * 6}) == facts(EXPERTS)
    with pytest.raises(calculator.InvalidValueError, match=f"{key} must be a whole number, not"):
        facts({**EXPERTS, key: [EXPERTS[key]] * 5 + [1]})
    with pytest.raises(calculator.InvalidValueError, match=f"{key} must be a whole number, not"):
        facts({**EXPERTS, key: []})


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("num_hidden_layers", True, "must be a whole number, not True"), ("hidden_size", 256.0,
        "must be a whole number"),
        ("hidden_size", "256", "must be a whole number, not '256'"), ("num_attention_heads", 0,
        "must lie between 1 and"),
        ("tie_word_embeddings", 1, "must be true or false, not 1"), ("layer_types", "full", "must be a list of names"),
        ("layer_types", ["full_attention"] * 5, "has 5 entries for 6 layers"), ("layer_types", [1] * 6,
        "list of names"),
        ("num_hidden_layers", None, "num_hidden_layers is missing"), ("head_dim", 65_537,
        "must lie between 1 and 65,536"),
        ("head_dim", -1, "must lie between 1 and 65,536, not -1"),
    ],
)  # fmt: skip
def test_a_key_of_the_wrong_kind_is_refused(key, value, text):
    with pytest.raises(calculator.InvalidValueError, match=f"{key}.*{text.removeprefix(key)}"):
        facts({**PLAIN, key: value})


# Which layers are a mixture of experts, counting from 0: each model's own decoder layer


def sparse(config):
    """Return how many layers have experts, of 6."""
    model = calculator.model_from_hf_config(config)
    count, width = model.num_experts if hasattr(model, "num_experts") else 0, model.moe_intermediate_size
    each = 3 * width * 256 * (count or config.get("num_local_experts") or config["num_experts"])
    found, rest = divmod(model.parts.get("experts", 0), each)
    assert rest == 0
    return found


QWEN = {**EXPERTS, "num_experts": 6}


@pytest.mark.parametrize(
    ("keys", "layers"),
    # modeling_qwen3_moe.py: layer_idx not in mlp_only_layers and (layer_idx + 1) % decoder_sparse_step == 0
    [
        ({}, 6), ({"decoder_sparse_step": 2}, 3), ({"decoder_sparse_step": 4}, 1), ({"mlp_only_layers": [0, 5]}, 4),
        ({"decoder_sparse_step": 2, "mlp_only_layers": [1]}, 2), ({"decoder_sparse_step": 2,
        "mlp_only_layers": [2]}, 3),
        ({"decoder_sparse_step": 7}, 0),
    ],
)  # fmt: skip
def test_experts_by_a_step(keys, layers):
    assert sparse({**QWEN, **keys}) == layers


LLAMA_4 = {
    **PLAIN, "model_type": "llama4_text", "num_local_experts": 4, "num_experts_per_tok": 1, "intermediate_size": 96,
    "intermediate_size_mlp": 512, "attention_chunk_size": 64,
}  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "layers"),
    # configuration_llama4.py: moe_layers, or range(step - 1, num_hidden_layers, step)
    [
        ({"interleave_moe_layer_step": 1}, 6), ({"interleave_moe_layer_step": 2}, 3),
        ({"interleave_moe_layer_step": 4}, 1), ({"moe_layers": [0, 3]}, 2),
        ({"moe_layers": [], "interleave_moe_layer_step": 1}, 0), ({"interleave_moe_layer_step": 0}, 0),
    ],
)  # fmt: skip
def test_experts_that_interleave(keys, layers):
    parts = calculator.model_from_hf_config({**LLAMA_4, **keys}).parts
    assert parts.get("experts", 0) == layers * 4 * 3 * 96 * 256
    assert parts.get("dense MLP", 0) == (6 - layers) * 3 * 512 * 256


@pytest.mark.parametrize(
    ("keys", "layers"),
    # modeling_deepseek.py: layer_idx >= first_k_dense_replace and layer_idx % moe_layer_freq == 0; a list says it
    # outright
    [
        ({}, 5), ({"first_k_dense_replace": 0}, 6), ({"first_k_dense_replace": 3}, 3), ({"moe_layer_freq": 2}, 2),
        ({"moe_layer_freq": 3}, 1), ({"first_k_dense_replace": 0, "moe_layer_freq": 3}, 2),
        ({"moe_layer_freq": [0, 1, 1, 0, 1, 0]}, 3), ({"mlp_layer_types": ["dense"] * 2 + ["sparse"] * 4}, 4),
        ({"mlp_layer_types": ["sparse"] * 6, "first_k_dense_replace": 3, "moe_layer_freq": 2}, 6),
    ],
)  # fmt: skip
def test_experts_after_the_first(keys, layers):
    parts = calculator.model_from_hf_config({**ROUTED, **keys}).parts
    assert parts["experts"] == layers * 4 * 3 * 64 * 256
    assert parts["shared experts"] == layers * 3 * 3 * 64 * 256
    assert parts.get("dense MLP", 0) == (6 - layers) * 3 * 512 * 256


@pytest.mark.parametrize(
    ("config", "keys", "text"),
    [
        (ROUTED, {"moe_layer_freq": [0, 1]}, "moe_layer_freq must list 0 or 1 for each of the 6 layers"),
        (ROUTED, {"moe_layer_freq": [0, 1, 1, 0, 1, 2]}, "moe_layer_freq must list 0 or 1"),
        (ROUTED, {"mlp_layer_types": ["dense"] * 5 + ["half"]}, "must say dense or sparse of each layer"),
        (ROUTED, {"mlp_layer_types": ["dense"] * 5}, "has 5 entries for 6 layers"),
        (EXPERTS, {"num_experts_per_tok": 7}, "num_experts_per_tok 7 is more than the 6 experts there are"),
    ],
)
def test_layers_of_experts_that_are_none_are_refused(config, keys, text):
    with pytest.raises(calculator.InvalidValueError, match=text):
        calculator.model_from_hf_config({**config, **keys})


ERNIE = {
    **PLAIN, "model_type": "ernie4_5_moe", "moe_num_experts": 4, "moe_k": 2, "moe_intermediate_size": 64,
    "moe_num_shared_experts": 2, "use_bias": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "layers"),
    # modeling_ernie4_5_moe.py: (layer_idx + 1) % moe_layer_interval == 0 and start <= layer_idx <= end
    [
        ({"moe_layer_start_index": 1}, 5), ({"moe_layer_start_index": 0}, 6),
        ({"moe_layer_start_index": 1, "moe_layer_interval": 2}, 3),
        ({"moe_layer_start_index": 2, "moe_layer_interval": 2}, 2),
        ({"moe_layer_start_index": 1, "moe_layer_end_index": 3}, 3),
        ({"moe_layer_start_index": 1, "moe_layer_end_index": -1}, 5),
        ({"moe_layer_start_index": 0, "moe_layer_end_index": 0}, 1),
    ],
)  # fmt: skip
def test_experts_between_two_layers(keys, layers):
    parts = calculator.model_from_hf_config({**ERNIE, **keys}).parts
    assert parts["experts"] == layers * 4 * 3 * 64 * 256
    assert parts["shared experts"] == layers * 2 * 3 * 64 * 256


def test_a_token_passes_through_as_many_experts_as_it_chooses():
    # Qwen3 MoE by hand, 6 layers: attention of 256 x (8 + 2 + 2 + 8) x 48 and two head norms of 48, 2 norms of 256, a
    # router of 6 x 256; of 6 experts of 3 x 96 x 256 three; embedding, which is the head, and a norm
    rest = 6 * (256 * 20 * 48 + 2 * 48 + 2 * 256 + 6 * 256) + 1_000 * 256 + 256
    model = calculator.model_from_hf_config(EXPERTS)
    assert model.num_parameters == rest + 6 * 6 * 3 * 96 * 256
    assert model.num_active_parameters == rest + 6 * 3 * 3 * 96 * 256
