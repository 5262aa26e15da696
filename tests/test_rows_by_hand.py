"""Model types counted by hand, and what single keys of theirs add: worked out from the classes themselves."""

import pytest
from test_rows import BY_HAND, EXPERTS, example

import calculator
from calculator.configs.blocks.extras import Extra
from calculator.formats.kv import storage_format

# Types that bring their own code, counted by hand: what a switch adds, and what is so where a key is left out

H, F, V, N, L = 256, 512, 1000, 32, 4
PLAIN = {
    "hidden_size": H, "intermediate_size": F, "vocab_size": V, "num_attention_heads": N, "num_hidden_layers": L,
}  # fmt: skip


def counted(qkv=0, out=0, mlp=0, norm_bias=0, kv=N, heads=2, width=F, more=0):
    """Count a decoder of plain layers; switches say how many biases there are of a kind."""
    attention = H * H + 2 * H * kv * 8 + H * H + qkv * (H + 2 * kv * 8) + out * H
    norms = (2 * L + 1) * H * (1 + norm_bias)
    return heads * V * H + L * (attention + 3 * H * width + mlp * (2 * width + H)) + norms + more


CHATGLM = {
    "model_type": "chatglm", "max_position_embeddings": 9, "ffn_hidden_size": F, "intermediate_size": None,
    "multi_query_attention": True, "multi_query_group_num": 4, "kv_channels": 8,
}  # fmt: skip
EXPERTS_OF_DEEPSEEK = {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
ROUTED = 4 * 3 * H * 64 + 4 * H
BY_HAND_COUNTED = [
    # c_attn has a bias whatever no_bias says, the MLP is half as wide as its key; config.json of Qwen-7B
    ({"model_type": "qwen"}, counted(qkv=1, width=F // 2), 8192),
    ({"model_type": "baichuan"}, counted(), 4096),
    ({"model_type": "exaone"}, counted(), 2048),
    ({"model_type": "minicpm", "max_position_embeddings": 9}, counted(heads=1), 9),
    ({"model_type": "minicpm", "max_position_embeddings": 9, "attention_bias": True}, counted(1, 1, heads=1), 9),
    # modeling_internlm2.py: bias, true by default, of wqkv and wo
    ({"model_type": "internlm2", "max_position_embeddings": 9}, counted(1, 1), 9),
    ({"model_type": "internlm2", "max_position_embeddings": 9, "bias": False, "num_key_value_heads": 4},
     counted(kv=4), 9),
    # vLLM 0.33.0 model_executor/models: orion.py, solar.py, telechat2.py, teleflm.py, openpangu.py, step1.py, llama.py
    ({"model_type": "orion", "max_position_embeddings": 9, "attention_bias": True, "mlp_bias": True},
     counted(norm_bias=1), 9),
    *(({"model_type": kind, "max_position_embeddings": 9, key: True}, count, 9) for kind, key, count in (
        ("solar", "attention_bias", counted(1, 1)), ("solar", "bias", counted(1, 1)),
        ("solar", "mlp_bias", counted(mlp=1)),
        ("telechat3", "attention_bias", counted(1, 1)), ("telechat3", "mlp_bias", counted(mlp=1)),
        ("TeleFLM", "attention_bias", counted(1, 1)), ("step1", "attention_bias", counted(1, 1)),
        ("PanguEmbedded", "bias", counted(1, 1)), ("PanguEmbedded", "attention_bias", counted(1, 1)),
        ("PanguEmbedded", "qkv_bias", counted(1)),
        ("telechat2", "mlp_bias", counted(out=1, more=L * H)),
    )),
    *(({"model_type": kind, "max_position_embeddings": 9}, counted(), 9)
      for kind in ("solar", "telechat3", "TeleFLM", "step1", "PanguEmbedded")),
    # modeling_chatglm.py: add_qkv_bias, true in the published configs, and add_bias_linear of all
    (CHATGLM, counted(qkv=1, kv=4), 9),
    ({**CHATGLM, "add_bias_linear": True, "add_qkv_bias": False}, counted(1, 1, 1, kv=4), 9),
    # param2moe.py: no biases of MLPs, norms of queries and keys where they are asked for; a correction of each expert
    ({"model_type": "param2moe", "head_dim": 8, **EXPERTS, "first_k_dense_replace": 1, "max_position_embeddings": 9,
      "use_qk_norm": True}, counted(width=0, more=3 * (ROUTED + 4) + 3 * H * F + L * 2 * 8), 9),
    # modeling_deepseek.py of the first DeepSeek: no latent, all layers have experts, none shared, but where it is said
    ({"model_type": "deepseek", "max_position_embeddings": 9, **EXPERTS_OF_DEEPSEEK},
     counted(width=0, more=L * ROUTED), 9),
    ({"model_type": "deepseek", "max_position_embeddings": 9, **EXPERTS_OF_DEEPSEEK, "attention_bias": True,
      "first_k_dense_replace": 1, "n_shared_experts": 3},
     counted(1, 1, width=0, more=3 * (ROUTED + 3 * 3 * H * 64) + 3 * H * F), 9),
]  # fmt: skip


@pytest.mark.parametrize(("config", "num_parameters", "longest"), BY_HAND_COUNTED, ids=lambda it: str(it)[:40])
def test_a_type_that_brings_its_code_is_counted_by_hand(config, num_parameters, longest):
    model = calculator.model_from_hf_config({**PLAIN, **config})
    assert model.num_parameters == num_parameters
    assert model.max_position_embeddings == longest


# Encoders, counted by hand


def masked(attention_bias=0, mlp_bias=0, norm_bias=0, classifier_bias=0, decoder_bias=1):
    """Count ModernBERT: a gated MLP, a norm less in the first layer, a dense head and the embedding with a bias."""
    norm = H * (1 + norm_bias)
    layer = 4 * H * H + attention_bias * 4 * H + 3 * H * F + mlp_bias * (2 * F + H)
    head = H * H + classifier_bias * H + norm + decoder_bias * V
    return V * H + norm + L * layer + (2 * L - 1) * norm + norm + head


@pytest.mark.parametrize("kind", ["modernbert", "modernbert-decoder"])
@pytest.mark.parametrize("switch", ["", "attention_bias", "mlp_bias", "norm_bias", "classifier_bias", "decoder_bias"])
def test_modernbert_is_counted_by_hand(kind, switch):
    # modeling_modernbert.py and modeling_modernbert_decoder.py of transformers 5.23.0; decoder_bias is true by default
    changed = {switch: switch != "decoder_bias"} if switch else {}
    model = calculator.model_from_hf_config({"model_type": kind, **PLAIN, **changed})
    assert model.num_parameters == masked(**{key: int(value) for key, value in changed.items()})
    keeps = [group.spec.bytes_per_token(storage_format("fp16"), 1) for group in model.layers]
    assert any(keeps) is (kind == "modernbert-decoder")


def test_windows_of_the_decoder_of_modernbert_are_half_of_what_an_encoder_sees():
    # local_attention 128 is 64 to each side; a decoder has one side
    model = calculator.model_from_hf_config({"model_type": "modernbert-decoder", **PLAIN})
    assert {group.spec.window for group in model.layers if hasattr(group.spec, "window")} == {64}


@pytest.mark.parametrize(
    ("kind", "embedded", "layer"),
    # modeling_nomic_bert.py: two kinds of token, no bias but of norms; modeling_gte.py: one kind, biases on attention
    # and behind the MLP
    [("nomic_bert", (V + 2) * H, 0), ("gte", (V + 1) * H, 5 * H), ("new", (V + 1) * H, 5 * H)],
)
def test_encoders_with_gates_are_counted_by_hand(kind, embedded, layer):
    # a norm of two vectors behind the embedding, two a layer, one in the head: a dense layer and V biases
    model = calculator.model_from_hf_config({"model_type": kind, **PLAIN})
    layers = L * (4 * H * H + 3 * H * F + 4 * H + layer)
    assert model.num_parameters == embedded + 2 * H + layers + H * H + H + 2 * H + V


# Longest contexts that a class has under another name, or that its package states


@pytest.mark.parametrize(
    ("longest", "kinds"),
    # n_positions of T5; BLOOM was trained with 2,048 tokens, the Mamba models too; Whisper's max_target_positions
    [(512, "t5 mt5 umt5"), (2048, "bloom mamba mamba2 falcon_mamba"), (448, "whisper")],
)
def test_a_longest_context_that_is_no_key_of_the_class(longest, kinds):
    for kind in kinds.split():
        names = {"max_position_embeddings", "n_positions", "seq_length", "max_target_positions"}
        config = {key: value for key, value in example(kind).items() if key not in names}
        assert calculator.model_from_hf_config(config).max_position_embeddings == longest, kind


# Particulars of single types


def test_gemma_3_that_reads_both_ways_keeps_nothing():
    # EmbeddingGemma: use_bidirectional_attention in its config.json
    config = {**example("gemma3_text"), "use_bidirectional_attention": True}
    model = calculator.model_from_hf_config(config)
    assert not any(group.spec.bytes_per_token(storage_format("fp16"), 1) for group in model.layers)


def test_one_layer_of_olmo_hybrid_is_full_though_no_period_ends():
    # configuration_olmo_hybrid.py: the last, where no layer is
    config = {**PLAIN, "model_type": "olmo_hybrid", "num_hidden_layers": 3}
    model = calculator.model_from_hf_config(config)
    assert [type(group.spec).__name__ for group in model.layers] == ["RecurrentState", "FullAttention"]
    assert model.layers[0].count == 2
    # olmo_hybrid.py of vLLM 0.33.0 has A_log and dt_bias in the model's own format
    assert not any(matrix.value_bytes for group in model.layers for matrix in group.weights)


@pytest.mark.parametrize("kind", ["olmo", "olmo2", "olmo3"])
def test_an_mlp_of_olmo_has_no_bias_whatever_a_config_says(kind):
    # no key of OlmoConfig, nor of its successors
    plain, other = ({"model_type": kind, **PLAIN, **more} for more in ({}, {"mlp_bias": True}))
    assert (
        calculator.model_from_hf_config(plain).num_parameters == calculator.model_from_hf_config(other).num_parameters
    )


def test_a_matrix_of_no_part_is_refused_where_the_row_is_made():
    with pytest.raises(ValueError, match="'heads' is no part of a model"):
        Extra("heads", "hidden")


# What single keys add, worked out from the reference's and the engine's classes

STEP = {
    "model_type": "step3p5", **PLAIN, **EXPERTS, "num_hidden_layers": 5, "num_key_value_heads": 8, "head_dim": 16,
    "share_expert_dim": 96, "max_position_embeddings": 9,
}  # fmt: skip
MAMBA2 = {
    "model_type": "mamba2", "vocab_size": V, "hidden_size": H, "num_hidden_layers": L, "num_heads": 8, "head_dim": 64,
    "state_size": 16, "n_groups": 2,
}  # fmt: skip
KIMI = {
    "model_type": "kimi_linear", **PLAIN, **EXPERTS, "num_hidden_layers": 5, "kv_lora_rank": 64, "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8, "v_head_dim": 16, "head_dim": 24,
    "linear_attn_config": {"num_heads": 4, "head_dim": 16, "short_conv_kernel_size": 4,
                           "kda_layers": [1, 2, 3, 5], "full_attn_layers": [4]},
}  # fmt: skip
CONV = {"layer_types": ["conv", "conv", "conv", "full_attention"]}
SIXTEEN = N * 16
BAILING = {
    "model_type": "bailing_hybrid", **PLAIN, **EXPERTS, "num_hidden_layers": 6, "kv_lora_rank": 64, "q_lora_rank": 64,
    "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16, "head_dim": 16, "first_k_dense_replace": 2,
    "num_shared_experts": 2, "layer_group_size": 6,
}  # fmt: skip
LING = {**PLAIN, **EXPERTS, "head_dim": 8, "max_position_embeddings": 9, "first_k_dense_replace": 1}
RING = example("bailing_moe_v2_5")
NEMOTRON = {
    "model_type": "nemotron_h", **PLAIN, **EXPERTS, "hybrid_override_pattern": "M-*E", "mamba_num_heads": 8,
    "mamba_head_dim": 64, "ssm_state_size": 16, "n_groups": 2, "moe_shared_expert_intermediate_size": 96,
    "num_key_value_heads": 4, "head_dim": 8,
}  # fmt: skip
ADDED = [
    # modeling_mamba2.py: in_proj to gate, convolution's input of width, groups and state, and heads; out_proj
    (MAMBA2, {"use_bias": True}, L * (2 * 512 + 2 * 2 * 16 + 8 + H)),
    # modeling_step3p7.py: q, k, v, o; g_proj a head, or an element; MLPs of 3 dense layers, of shared experts of 2
    (STEP, {"attention_bias": True}, 5 * (SIXTEEN + 2 * 8 * 16 + H)),
    (STEP, {"mlp_bias": True}, 3 * (2 * F + H) + 2 * (2 * 96 + H)),
    (STEP, {"gating": "per-element"}, 5 * (SIXTEEN - N) * H),
    (STEP, {"share_expert_dim": 97}, 2 * 3 * H),
    (STEP, {"moe_layers_enum": "2,3,4"}, 4 * 3 * H * 64 + 4 * H + 3 * H * 96 - 3 * H * F),
    (STEP, {"num_key_value_heads": 4}, -5 * 2 * 4 * 16 * H),
    # modeling_hunyuan_v1_moe.py: q, k, v and o
    ({"model_type": "hunyuan_v1_moe", **PLAIN, **EXPERTS}, {"attention_bias": True}, L * 4 * H),
    # modeling_lfm2_moe.py: in_proj of three, the convolution and out_proj
    ({"model_type": "lfm2_moe", **PLAIN, **EXPERTS, **CONV}, {"conv_bias": True}, 3 * 5 * H),
    # longcat_flash.py: a router's bias of each expert, those that only route too
    ({**PLAIN, **EXPERTS, **BY_HAND["longcat_flash_ngram"], "model_type": "longcat_flash", "ffn_hidden_size": F},
     {"router_bias": True}, L * 6),
    # modeling_bailing_hybrid.py: one layer of six has latent attention, of which what leads down and out has biases;
    # shared experts have a width of their own
    (BAILING, {"attention_bias": True}, 64 + (64 + 8) + H),
    (BAILING, {"moe_shared_expert_intermediate_size": 96}, 4 * 2 * 3 * H * (96 - 64)),
    # bailing_moe.py, param2moe.py, openpangu.py, k2_horizon.py, rnj1.py
    *(({**LING, "model_type": kind}, change, added) for kind, change, added in (
        ("bailing_moe", {"use_bias": True}, L * (3 * H + H) + 2 * F + H),
        ("bailing_moe", {"use_qkv_bias": True}, L * 3 * H),
        ("bailing_moe", {"use_qk_norm": True}, L * 2 * 8),
        ("bailing_moe", {"num_shared_experts": 2}, 3 * 2 * 3 * H * 64),
        ("bailing_moe", {"num_shared_experts": 2, "moe_shared_expert_intermediate_size": 96}, 3 * 2 * 3 * H * 96),
        ("bailing_moe", {"moe_router_enable_expert_bias": True}, 3 * 4),
        ("bailing_moe", {"first_k_dense_replace": 0}, ROUTED - 3 * H * F),
        ("param2moe", {"use_bias": True}, L * (3 * H + H)),
        ("param2moe", {"moe_router_enable_expert_bias": False}, -3 * 4),
    )),
    ({"model_type": "bailing_moe", **PLAIN, **EXPERTS, "head_dim": 8, "max_position_embeddings": 9},
     {"first_k_dense_replace": 1}, 3 * H * F - ROUTED),
    *((RING, {key: value + 1}, added) for key, value, added in (
        ("kv_lora_rank", 512, 2 * (H + 1 + N * 256)), ("qk_nope_head_dim", 128, 2 * (16 + 512) * N),
        ("qk_rope_head_dim", 64, 2 * (16 * N + H)), ("v_head_dim", 128, 2 * (512 * N + N * H)),
    )),
    *((example(kind), change, added) for kind, change, added in (
        ("pangu_pro_moe_v2", {"mlp_bias": True}, 2 * F + H), ("pangu_ultra_moe", {"mlp_bias": True}, 2 * F + H),
        ("pangu_pro_moe_v2", {"router_enable_expert_bias": True}, 3 * 4),
        ("pangu_ultra_moe", {"router_enable_expert_bias": True}, 3 * 4),
        ("pangu_pro_moe_v2", {"n_shared_experts": 2}, 3 * 3 * H * 64),
        ("k2_horizon", {"attention_bias": True}, 4 * (3 * N * 32 + H)),
        ("rnj1", {"attention_bias": True}, 4 * (3 * N * 32 + H)),
        ("ernie4_5_vl_moe_text", {"moe_intermediate_size": [65, 34]}, 3 * (4 * 3 + 2) * 3 * H),
    )),
    # Ernie4_5_VLMoeTextConfig: [1536, 512] where nothing is said
    ({key: value for key, value in example("ernie4_5_vl_moe_text").items() if key != "moe_intermediate_size"},
     {"moe_intermediate_size": [1537, 514]}, 3 * (4 * 3 + 2) * 3 * H),
    # modeling_mamba.py: a bias of in_proj, of twice the inner width, and of out_proj
    *(({"model_type": kind, "vocab_size": V, "hidden_size": H, "num_hidden_layers": L, "state_size": 8,
        "intermediate_size": 512}, {"use_bias": True}, L * (2 * 512 + H)) for kind in ("mamba", "falcon_mamba")),
    # modeling_nemotron_h.py: an MLP of two matrices, shared experts of their own width, experts in a narrower one
    (NEMOTRON, {"mlp_bias": True}, F + H + 96 + H),
    (NEMOTRON, {"use_bias": True}, 2 * 512 + 2 * 2 * 16 + 8 + H),
    (NEMOTRON, {"moe_latent_size": 128}, 2 * H * 128 - 4 * 2 * (H - 128) * 64),
    # modeling_granitemoe_swa.py, modeling_llama4.py: shared experts and dense layers of their own width
    ({"model_type": "granitemoe_swa", **PLAIN, "num_local_experts": 4, "num_experts_per_tok": 2,
      "shared_intermediate_size": 64}, {"shared_intermediate_size": 96}, L * 3 * H * 32),
    ({"model_type": "llama4_text", **PLAIN, "num_local_experts": 4, "interleave_moe_layer_step": 2, "head_dim": 8,
      "intermediate_size_mlp": 640}, {"intermediate_size_mlp": 641}, 2 * 3 * H),
    # modeling_opt.py: every bias but those of norms
    ({"model_type": "opt", **PLAIN, "ffn_dim": F, "intermediate_size": None}, {"enable_bias": False},
     -L * (4 * H + F + H)),
    # vLLM 0.33.0 models/kimi_k3/amd/linear.py: experts in a narrower width, a norm there, a gate, residual projections
    (KIMI, {"routed_expert_hidden_size": 128},
     4 * (2 * H * 128 - 4 * 3 * (H - 128) * 64)),
    ({**KIMI, "routed_expert_hidden_size": 128}, {"latent_moe_use_norm": True}, 4 * 128),
    (KIMI, {"mla_use_output_gate": True}, H * N * 16),
    (KIMI, {"attn_res_block_size": 2}, 5 * 4 * H + 2 * H),
    # modeling_minimax_m3_vl.py: dense layers have a width of their own
    ({"model_type": "minimax_m3_vl_text", **PLAIN, **EXPERTS, "num_key_value_heads": 4,
      "mlp_layer_types": ["dense", *["sparse"] * 3], "dense_intermediate_size": 640}, {"dense_intermediate_size": 641},
     3 * H),
]  # fmt: skip


@pytest.mark.parametrize(("config", "change", "added"), ADDED, ids=lambda it: str(it)[:48])
def test_a_key_adds_what_the_class_adds(config, change, added):
    plain, changed = (calculator.model_from_hf_config({**config, **more}).num_parameters for more in ({}, change))
    assert changed - plain == added


def test_windowed_layers_of_mimo_have_heads_of_their_own():
    # modeling_mimo_v2_flash.py: the first and each sixth see all; each kind has heads and sizes of its own, and queries
    # of windowed layers a sink
    config = {
        "model_type": "mimo_v2_flash", **PLAIN, "num_hidden_layers": 12, "num_key_value_heads": 4, "head_dim": 16,
        "v_head_dim": 12, "swa_num_attention_heads": 16, "swa_num_key_value_heads": 8, "swa_head_dim": 24,
        "swa_v_head_dim": 20, "sliding_window": 100, **EXPERTS, "first_k_dense_replace": 12, "n_shared_experts": 3,
    }  # fmt: skip
    model = calculator.model_from_hf_config(config)
    full, windowed = (N * 28 * H + 4 * 28 * H, 16 * 44 * H + 8 * 44 * H + 16)
    assert model.num_parameters == 2 * V * H + 3 * full + 9 * windowed + 12 * (3 * H * F + 2 * H) + H
    specs = {group.spec.num_key_value_heads: (group.spec.head_dim, group.spec.v_head_dim) for group in model.layers}
    assert specs == {4: (16, 12), 8: (24, 20)}
    # shared experts are as many of an expert's width as the config says
    one = calculator.model_from_hf_config({**config, "first_k_dense_replace": 11})
    assert one.num_parameters - model.num_parameters == 4 * 3 * H * 64 + 4 * H + 3 * 3 * H * 64 - 3 * H * F


def test_windowed_layers_of_step_are_as_their_setting_says():
    other = {"num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 8}
    kinds = ["full_attention", "sliding_attention", "sliding_attention", "full_attention", "full_attention"]
    config = {**STEP, "layer_types": kinds, "sliding_window": 64}
    plain, changed = (
        calculator.model_from_hf_config({**config, **more}) for more in ({}, {"attention_other_setting": other})
    )
    # two layers of 32 query heads and 8 of keys of 16, with a gate a head and two norms: of 16, 4 and 8
    assert plain.num_parameters - changed.num_parameters == 2 * (
        2 * (N * 16 + 8 * 16 - 16 * 8 - 4 * 8) * H + (N - 16) * H + 2 * 8
    )
    assert {group.spec.kv_heads for group in changed.layers} == {8, 4}


@pytest.mark.parametrize(("kind", "more"), [("hunyuan_v1_dense", {}), ("hunyuan_v1_moe", EXPERTS)])
def test_layers_of_hunyuan_share_their_keys_and_values(kind, more):
    # hunyuan_v1.py of vLLM 0.33.0: with use_cla each cla_share_factor-th layer has its own, the others take them
    plain = {"model_type": kind, **PLAIN, **more, "num_hidden_layers": 6}
    bytes_ = {
        factor: calculator.model_from_hf_config({**plain, **keys}).kv_bytes_per_token(kv_cache_dtype="fp16")
        for factor, keys in {
            1: {}, 2: {"use_cla": True, "cla_share_factor": 2}, 3: {"use_cla": True, "cla_share_factor": 3}
        }.items()
    }  # fmt: skip
    assert bytes_ == {factor: 6 // factor * 2 * N * 8 * 2 for factor in (1, 2, 3)}


def test_each_fourth_layer_of_hunyuan_4_has_an_indexer():
    # configuration_hy_v4.py: full where the layer is 0, or (layer - 1) % 4 == 0
    config = {
        "model_type": "hy_v4", **PLAIN, **EXPERTS, "num_hidden_layers": 11, "kv_lora_rank": 64, "q_lora_rank": 64,
        "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16,
    }  # fmt: skip
    model = calculator.model_from_hf_config(config)
    own = [not group.spec.shares_index for group in model.layers for _ in range(group.count)]
    assert [layer for layer, has in enumerate(own) if has] == [0, 1, 5, 9]


def test_a_convolutions_length_is_taken_where_no_layer_is_one():
    # Lfm2Config has conv_L_cache whatever layer_types lists
    for kind in ("lfm2", "lfm3"):
        config = {"model_type": kind, **PLAIN, "layer_types": ["full_attention"] * L, "conv_L_cache": 5}
        assert calculator.model_from_hf_config(config).state_bytes_per_sequence() == 0


def test_the_first_two_layers_of_flint_are_dense():
    # FlintConfig: mlp_only_layers [0, 1] where nothing is said
    config = {"model_type": "flint", **PLAIN, **EXPERTS, "num_key_value_heads": 4, "head_dim": 8}
    layers = [group for group in calculator.model_from_hf_config(config).layers for _ in range(group.count)]
    assert ["experts" in {matrix.part for matrix in layer.weights} for layer in layers] == [False, False, True, True]


@pytest.mark.parametrize("kind", ["biogpt", "xglm"])
def test_a_width_that_is_no_multiple_of_the_hidden_size_is_not_made_up(kind):
    # BioGptConfig and XGLMConfig have a width of their own, which a whole config says
    with pytest.raises(calculator.InvalidValueError, match="intermediate_size is missing"):
        calculator.model_from_hf_config({"model_type": kind, **PLAIN, "intermediate_size": None})


@pytest.mark.parametrize("kind", ["bailing_moe_v2_5", "bailing_moe_linear"])
def test_a_layer_of_ling_is_a_group_where_nothing_is_said(kind):
    # layer_group_size and group_norm_size are one where a config has neither: bailing_moe_linear.py
    without = {key: value for key, value in example(kind).items() if key not in ("layer_group_size", "group_norm_size")}
    assert calculator.model_from_hf_config(without).state_bytes_per_sequence() == 0
    model = calculator.model_from_hf_config({**without, "layer_group_size": 2})
    (state,) = {group.spec for group in model.layers if hasattr(group.spec, "divisible")}
    # one norm over all heads, which no rank can have a part of
    assert (state.groups, state.divisible) == (0, 1)
    split = calculator.model_from_hf_config({**without, "layer_group_size": 2, "group_norm_size": 4})
    assert {group.spec.groups for group in split.layers if hasattr(group.spec, "divisible")} == {4}


def test_heads_of_glm_4_5v_are_rounded_down():
    # Glm4vMoeTextAttention: hidden size // heads; 250 // 4 is 62
    config = {**example("glm4v_moe_text"), "hidden_size": 250, "num_attention_heads": 4, "num_key_value_heads": 2}
    assert {group.spec.head_dim for group in calculator.model_from_hf_config(config).layers} == {62}


@pytest.mark.parametrize(
    "kind",
    [
        "bert", "roberta", "ernie", "roberta-prelayernorm", "bert-generation", "megatron-bert", "big_bird", "roc_bert",
        "xlm-roberta-xl", "roformer", "electra", "rembert", "xmod", "nomic_bert", "gte", "modernbert",
    ],
)  # fmt: skip
def test_encoders_keep_nothing_of_a_text(kind):
    model = calculator.model_from_hf_config(example(kind))
    assert not any(group.spec.bytes_per_token(storage_format("fp16"), 1) for group in model.layers)


def test_openelm_is_counted_by_hand_where_it_says_little():
    # configuration_openelm.py: heads of 128, norms on queries and keys, gates, widths in multiples of 256
    config = {
        "model_type": "openelm", "num_transformer_layers": 2, "model_dim": 256, "vocab_size": V, "num_kv_heads": [2, 3],
        "max_context_length": 2048, "num_query_heads": [8, 12], "ffn_multipliers": [0.5, 4.0],
    }  # fmt: skip
    layers = ((8 + 2 * 2 + 8) * 128 + 3 * 256 + (12 + 2 * 3 + 12) * 128 + 3 * 1024) * H
    model = calculator.model_from_hf_config(config)
    assert model.num_parameters == V * H + layers + 2 * (2 * 128 + 2 * H) + H


@pytest.mark.parametrize(
    ("kind", "positions", "norms"),
    # modeling_marian.py, modeling_bart.py, modeling_blenderbot_small.py and others: rows of positions beyond the
    # longest text, and norms behind the embeddings and behind the last layer, of encoder and decoder each
    [("marian", 0, 0), ("bart", 2, 1), ("blenderbot-small", 0, 1), ("blenderbot", 0, 1), ("mbart", 2, 2)],
)
def test_encoder_decoders_are_counted_by_hand(kind, positions, norms):
    config = {
        "model_type": kind, "vocab_size": V, "d_model": H, "encoder_layers": 2, "decoder_layers": 3,
        "encoder_attention_heads": 8, "decoder_attention_heads": 8, "encoder_ffn_dim": F, "decoder_ffn_dim": 640,
        "max_position_embeddings": 64,
    }  # fmt: skip
    attention = 4 * (H * H + H) + 2 * H
    encoder, decoder = (2 * H * width + width + H + 2 * H for width in (F, 640))
    layers = 2 * (attention + encoder) + 3 * (2 * attention + decoder)
    expected = V * H + 2 * (64 + positions) * H + layers + 2 * norms * 2 * H
    assert calculator.model_from_hf_config(config).num_parameters == expected


def test_opt_is_counted_by_hand():
    # modeling_opt.py: two rows of positions more, biases everywhere, the embedding is the head
    model = calculator.model_from_hf_config({"model_type": "opt", **PLAIN, "max_position_embeddings": 64})
    layer = 4 * (H * H + H) + 2 * H * F + F + H + 4 * H
    assert model.num_parameters == V * H + (64 + 2) * H + L * layer + 2 * H


def test_dbrx_has_one_kv_head_where_its_part_says_none():
    # DbrxAttentionConfig of transformers 5.23.0: kv_n_heads 1
    config = {**example("dbrx"), "attn_config": {"clip_qkv": 8}}
    assert {group.spec.kv_heads for group in calculator.model_from_hf_config(config).layers} == {1}
