"""A second reading of the rows of model types: what each value of a row says, beside what it was read from."""

import json

import pytest
from golden import DATA

import calculator
from calculator.configs import families
from calculator.configs.families.refused import REASONS
from calculator.configs.families.without_reference import CLASSES
from calculator.configs.reference import _table, defaults_of

SIZES = {
    "vocab_size": 1000, "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 61,
    "num_attention_heads": 32,
}  # fmt: skip
OWN_CACHES = {"num_kv_shared_layers": 0}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
LETTERS = {
    "FullAttention": "f", "LatentAttention": "f", "SlidingWindow": "w", "ChunkedAttention": "c", "RecurrentState": "s",
    "ConvolvedWindow": "v", "ConvolvedAttention": "h", "AttentionAndState": "h",
}  # fmt: skip
LAYERS = [json.loads(line) for line in (DATA / "reference_layers.jsonl").read_text(encoding="utf-8").splitlines()]


def named(row):
    return "-".join((row["type"], *row["asked"]))


@pytest.mark.parametrize("row", LAYERS, ids=named)
def test_each_layer_is_of_the_kind_that_the_class_makes_it(row):
    experts = EXPERTS if defaults_of(row["type"]).get("num_experts") else {}
    model = calculator.model_from_hf_config(
        {"model_type": row["type"], **SIZES, **experts, **OWN_CACHES, **row["asked"]}
    )
    each = [group for group in model.layers for _ in range(group.count)]
    if "layer_types" in row:
        assert "".join(LETTERS.get(type(group.spec).__name__, "?") for group in each) == row["layer_types"]
    if "mlp_layer_types" in row:
        parts = [{matrix.part for matrix in group.weights} for group in each]
        assert "".join("e" if "experts" in one else "d" for one in parts) == row["mlp_layer_types"]


# Keys that look as if they bore on the cache

CONFIGS = {}
for name in ("small", "parameters", "parameters_plain"):
    for line in (DATA / f"reference_{name}.jsonl").read_text(encoding="utf-8").splitlines():
        CONFIGS.setdefault((config := json.loads(line)["config"])["model_type"], config)
BY_HAND = {
    "qwen": {},
    "modernbert": {}, "nomic_bert": {}, "gte": {}, "opt": {}, "inkling_text": EXPERTS, "step3p5": EXPERTS,
    "rnj1": {"layer_types": ["full_attention"] * 4, "head_dim": 32},
    "k2_horizon": {**EXPERTS, "decoder_sparse_step": 1, "n_shared_experts": 0, "head_dim": 32},
    "step3_text": {**EXPERTS, "share_expert_dim": 96, "share_q_dim": 128, "moe_layers_enum": "2,3"},
    "longcat_flash_ngram": {
        **EXPERTS, "kv_lora_rank": 64, "q_lora_rank": 64, "qk_nope_head_dim": 16, "qk_rope_head_dim": 16,
        "v_head_dim": 16, "zero_expert_num": 2, "expert_ffn_hidden_size": 64, "ngram_vocab_size_ratio": 2,
        "emb_neighbor_num": 3, "emb_split_num": 2,
    },
    "bailing_moe": {**EXPERTS, "head_dim": 8}, "param2moe": {**EXPERTS, "head_dim": 8}, "deepseek": EXPERTS,
    "deepseek_ocr2_text": {**EXPERTS, "mlp_layer_types": ["dense", *["sparse"] * 3]},
    "glm4v_moe_text": {**EXPERTS, "num_key_value_heads": 4},
    "ernie4_5_vl_moe_text": {**EXPERTS, "moe_intermediate_size": [64, 32], "moe_k": 2},
    "bailing_moe_v2_5": {
        **EXPERTS, "head_dim": 8, "q_lora_rank": 16, "layer_group_size": 2, "group_norm_size": 2, "use_qk_norm": True,
    },
    "pangu_pro_moe_v2": {
        **EXPERTS, "qk_nope_dim": 8, "qk_rope_dim": 4, "v_channels": 8, "param_sink_number": 16,
        "param_sink_with_value": True, "first_k_dense_replace": 1, "n_shared_experts": 1, "num_key_value_heads": 4,
    },
    "bailing_moe_linear": {**EXPERTS, "head_dim": 8},
    "PanguEmbedded": {},
    "sarvam_mla": {**EXPERTS, "kv_lora_rank": 64, "qk_nope_head_dim": 16, "qk_rope_head_dim": 16, "v_head_dim": 16},
    "pangu_ultra_moe": {
        **EXPERTS, "kv_lora_rank": 64, "q_lora_rank": 64, "qk_nope_head_dim": 16, "qk_rope_head_dim": 16,
        "v_head_dim": 16, "first_k_dense_replace": 1, "n_shared_experts": 1,
    },
}  # fmt: skip
"""Types of which no line of the reference is here: what a config of theirs has beside sizes."""


def example(kind):
    if kind in BY_HAND:
        few = {"num_hidden_layers": 4, "max_position_embeddings": 4096}
        return {"model_type": kind, **SIZES, **few, **BY_HAND[kind]}
    return CONFIGS[kind]


# transformers 5.23.0, models/*/configuration_*.py and modeling_*.py: keys of the class, or of published configs, that
# decide no size of a cache or a weight
HARMLESS = {
    "nemotron_h": "mamba_hidden_act mamba_dt_min mamba_dt_max mamba_dt_limit mamba_dt_init_floor chunk_size"
    " mamba_proj_bias sliding_window",
    "deepseek_v4": "compress_rope_theta",
    "longcat_flash": "mla_scale_kv_lora",
    "longcat_flash_ngram": "mla_scale_kv_lora",
    "inkling_text": "mtp_local_layer_ids swa_v_head_dim v_head_dim",
    "minimax": "linear_attn_alpha_factor linear_attn_beta_factor sliding_window layernorm_full_attention_alpha"
    " layernorm_full_attention_beta",
    "minimax_m2": "layernorm_full_attention_beta",
    "mellum": "mtp_layer_types mtp_mlp_layer_types",
    "minimax_m3_vl_text": "index_n_heads index_head_dim index_block_size index_topk_blocks index_local_blocks",
    "mamba2": "chunk_size",
    "mimo_v2_flash": "attention_chunk_size",
    "zamba2": "chunk_size",
    "step3p5": "mtp_layer_types mtp_mlp_layer_types n_shared_experts",
    "doge": "keep_window_size num_experts",
    "bert": "pooler_num_attention_heads",
    "modernbert": "local_attention sliding_window global_attn_every_n_layers",
    "big_bird": "pooler_num_attention_heads attention_type",
    "k2_horizon": "rope_head_dim",
    "rnj1": "sliding_window_pattern use_bidirectional_attention",
    "step3_text": "max_position_embedding",
    "falcon_h1": "mamba_expand mamba_use_mlp ssm_in_multiplier ssm_out_multiplier ssm_multipliers",
}  # fmt: skip
VALUES = {
    "mamba_dt_limit": [0.0, 1.0], "attention_type": "original_full", "use_bidirectional_attention": True,
    "mamba_proj_bias": True, "mtp_layer_types": ["full_attention"], "mtp_mlp_layer_types": ["dense"],
    "mtp_local_layer_ids": [0], "mamba_use_mlp": True,
}  # fmt: skip


@pytest.mark.parametrize(("kind", "key"), [(kind, key) for kind, keys in HARMLESS.items() for key in keys.split()])
def test_a_key_that_decides_nothing_is_taken(kind, key):
    config = {name: value for name, value in example(kind).items() if name != key}
    model = calculator.model_from_hf_config(config)
    other = calculator.model_from_hf_config({**config, key: VALUES.get(key, 7)})
    assert (other.num_parameters, other.layers) == (model.num_parameters, model.layers)
    assert key not in other.ignored_keys


# of these one value only is what the class builds here: what is taken, and what is refused
REQUIRED = [
    ("qwen", "no_bias", True, False),
    ("opt", "layer_norm_elementwise_affine", True, False),
    ("gemma4_text", "use_bidirectional_attention", "vision", "all"), ("nemotron_h", "tie_word_embeddings", False, True),
    ("inkling_text", "use_embed_norm", True, False), ("inkling_text", "shared_expert_sink", True, False),
    ("inkling_text", "q_bias", False, True), ("inkling_text", "o_bias", False, True),
    ("mpt", "expansion_ratio", 4, 3), ("mpt", "no_bias", True, False), ("doge", "is_moe", False, True),
    ("gpt_neox_japanese", "intermediate_multiple_size", 4, 3), ("bailing_hybrid", "use_bias", False, True),
    ("bailing_hybrid", "use_qkv_bias", False, True), ("zamba2", "tie_word_embeddings", True, False),
    ("bert", "is_decoder", False, True),
    ("ernie", "use_task_id", False, True),
    ("modernbert-decoder", "local_attention", 128, 64), ("roc_bert", "concat_input", True, False),
    ("roc_bert", "enable_shape", True, False), ("roc_bert", "enable_pronunciation", True, False),
    ("roformer", "rotary_value", False, True), ("xmod", "adapter_layer_norm", False, True),
    ("xmod", "pre_norm", False, True), ("bailing_moe", "use_rmsnorm", True, False),
    ("bailing_moe_linear", "full_attention_type", "gqa", "mla"), ("PanguEmbedded", "is_causal", True, False),
    ("step3_text", "num_key_value_heads", 1, 2), ("sarvam_mla", "moe_layer_freq", 1, 2),
    ("pangu_ultra_moe", "param_sink_number", 0, 1),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "key", "taken", "refused"), REQUIRED)
def test_a_value_that_is_built_otherwise_is_refused(kind, key, taken, refused):
    config = example(kind)
    without = {name: value for name, value in config.items() if name != key}
    model = calculator.model_from_hf_config({**config, key: taken})
    assert calculator.model_from_hf_config(without).layers == model.layers
    with pytest.raises(calculator.CalculatorError, match=key):
        calculator.model_from_hf_config({**config, key: refused})


def test_attention_of_mpt_is_of_many_heads():
    config = {**example("mpt"), "attn_config": {"attn_type": "multihead_attention"}}
    assert calculator.model_from_hf_config(config).num_parameters
    with pytest.raises(calculator.CalculatorError, match="attn_type"):
        calculator.model_from_hf_config({**config, "attn_config": {"attn_type": "multiquery_attention"}})


# transformers 5.23.0, models/auto/configuration_auto.py: types whose class, or whose text part's class, builds the
# layers of another; beside them names of configs that bring their own code, as vLLM 0.33.0 registers their classes
ALIASES = {
    "qwen2": "mimo qwen2_vl qwen2_vl_text qwen2_5_vl qwen2_5_vl_text qwen2_5_omni qwen2_5_omni_text"
    " qwen2_5_omni_thinker qwen2_audio",
    "qwen3": "qwen3_vl qwen3_vl_text qwen3_asr",
    "qwen3_moe": "qwen3_vl_moe_text qwen3_omni_moe qwen3_omni_moe_text qwen3_omni_moe_thinker",
    "qwen3_5_text": "qwen3_5", "qwen3_5_moe_text": "qwen3_5_moe", "llama": "iquestcoder emu3_text_model",
    "llama4_text": "llama4", "gemma3_text": "gemma3", "gemma3n_text": "gemma3n", "gemma4_text": "gemma4",
    "gemma4_unified_text": "gemma4_unified", "deepseek_v3": "kimi_k2", "gpt2": "gpt-sw3",
    "glm4": "glm4v_text glm_image_text", "phi3": "phi3_v phi4mm phi4_multimodal",
    "granite": "granite4_vision_text granite_docling_text", "cohere2": "cohere_compass_text",
    "falcon": "RefinedWeb RefinedWebModel", "deci": "deci_lm", "arcee": "cosmos3_edge_text",
    "ernie4_5": "paddleocr_vl_text", "ernie4_5_vl_moe_text": "ernie4_5_moe_vl", "plbart": "mvp",
    "inkling_text": "inkling_model", "exaone4": "exaone4_5 exaone4_5_text", "minimax": "minimax_text_01 minimax_m1",
    "minimax_m3_vl_text": "minimax_m3 minimax_m3_vl", "internlm2": "internlm", "hunyuan_v1_dense": "hunyuan_vl_text",
    "hunyuan_v1_moe": "hunyuan", "mimo_v2_flash": "mimo_v2", "step3p5": "step3p6 step3p7 step3p7_text",
    "roberta": "camembert data2vec-text xlm-roberta", "gte": "new", "bailing_moe": "bailing_moe_v2 sarvam_moe",
    "bailing_moe_linear": "bailing_moe_linear_v2", "telechat": "telechat2", "TeleFLM": "teleflm",
}  # fmt: skip
WITHOUT_A_CLASS = """
qwen deepseek chatglm nemotron-nas openelm deci baichuan exaone longcat_flash_ngram minicpm internlm2 bailing_moe
param2moe bailing_moe_v2_5 bailing_moe_linear pangu_pro_moe_v2 k2_horizon rnj1 orion solar telechat telechat3 TeleFLM
PanguEmbedded step1 step3_text plamo3 sarvam_mla pangu_ultra_moe
"""
"""Types of configs that bring their own code."""


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for kind, names in ALIASES.items() for name in names.split()])
def test_another_name_is_of_its_type(name, kind):
    assert families.find(name) == families.find(kind)
    assert families.find(kind)[0] == kind


def test_types_are_those_that_have_a_class_and_those_that_bring_their_own():
    assert {kind for kind in families.names() if not defaults_of(kind)} == set(WITHOUT_A_CLASS.split())
    assert set(families.all_names()) - set(families.names()) == {
        name for names in ALIASES.values() for name in names.split()
    }


# What engines keep of routers, and of KV heads: vLLM 0.33.0 model_executor/models

# GateLinear(params_dtype=torch.float32): the router in 32 bits
WIDE = """
afmoe beam bailing_hybrid ernie4_5_moe ernie4_5_vl_moe_text glm4_moe glm4v_moe_text glm4_moe_lite hy_v3 hy_v4 minimax_m2
minimax_m3_vl_text mimo_v2_flash step3p5 longcat_flash longcat_flash_ngram param2moe bailing_moe_v2_5 bailing_moe_linear
"""
# e_score_correction_bias, expert_bias and the like: a value in 32 bits an expert, which transformers has as a buffer
BUFFERS = """
deepseek_v3 deepseek_v32 mistral4 glm4_moe glm4v_moe_text glm4_moe_lite glm_moe_dsa nemotron_h beam axk1 axk2
bailing_hybrid inkling_text exaone_moe lfm2_moe longcat_flash minimax_m2 kimi_linear kolibri1 minimax_m3_vl_text dots1
hy_v3 hy_v4 solar_open mimo_v2_flash step3p5 deepseek_v4
"""
PARAMETERS = "afmoe ernie4_5_moe ernie4_5_vl_moe_text longcat_flash_ngram laguna sarvam_mla param2moe"
MIXTURES = """
qwen2_moe qwen3_moe qwen3_next qwen3_5_moe_text llama4_text deepseek_v2 mixtral gpt_oss phimoe granitemoe
granitemoeshared granitemoehybrid granitemoe_swa cohere2_moe olmoe flex_olmo jamba dbrx flint aria_text minimax jetmoe
mellum hunyuan_v1_moe bailing_moe k2_horizon step3_text pangu_ultra_moe pangu_pro_moe_v2 deepseek deepseek_ocr2_text
bailing_moe_v2_5 bailing_moe_linear
"""
# ranks hold no copies of KV heads: gpt_oss.py, inkling.py, param2moe.py (an assertion), openpangu.py of the Pro V2
WITHOUT_COPIES = {"gpt_oss", "inkling_text", "param2moe", "pangu_pro_moe_v2"}


@pytest.mark.parametrize("kind", sorted({*WIDE.split(), *BUFFERS.split(), *PARAMETERS.split(), *MIXTURES.split()}))
def test_routers_are_kept_as_the_class_of_the_engine_keeps_them(kind):
    model = calculator.model_from_hf_config(example(kind))
    routers = {matrix for group in model.layers for matrix in group.weights if matrix.part == "router"}
    chosen = [matrix for matrix in routers if matrix.inputs == model.hidden_size]
    assert chosen
    wide = {matrix.value_bytes == 4 for matrix in chosen if matrix.outputs > 1}
    assert wide <= {kind in WIDE.split()} or kind == "deepseek_v4"
    corrections = {
        matrix.is_parameter for matrix in routers if matrix.inputs != model.hidden_size and matrix.value_bytes
    }
    expected = {False} if kind in BUFFERS.split() else {True} if kind in PARAMETERS.split() else set()
    assert corrections == expected


def test_ranks_hold_copies_of_kv_heads_but_for_some_types():
    rows = {kind: families.find(kind)[1] for kind in families.names()}
    assert {kind for kind, row in rows.items() if not row.copies_kv_heads} == WITHOUT_COPIES


def test_classes_by_another_name_are_of_types_that_are_known():
    known = {*families.all_names(), *REASONS, *_table()["wrappers"]}
    assert set(CLASSES.values()) <= known
