"""Whole models that few checkpoints are of, counted by hand from the classes of vLLM and of the reference."""

import pytest

import calculator
from calculator.architecture.counts import NO_LIMIT
from calculator.architecture.weights import weight_bytes_per_rank

# Types that vLLM has a class of and the reference has none, counted from that class

TINY = {
    "hidden_size": 64, "num_attention_heads": 4, "vocab_size": 100, "max_position_embeddings": 512,
    "intermediate_size": 32, "torch_dtype": "bfloat16", "tie_word_embeddings": False,
}  # fmt: skip
NARROW = {"kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 8}
ENDS = 2 * 100 * 64 + 64  # embedding, head and the last norm
WAIST = 64 * (16 + 4) + 16 + 16 * 4 * (8 + 8) + 4 * 8 * 64  # keys and values down, a norm, up, output

BY_CLASS = {
    # step3_text.py: q down to 24 and by a norm up to 4 x 16, one head of k and v, o; layers 1 and 2 of 3 are sparse
    "step3_text": (
        {"num_hidden_layers": 3, "num_attention_groups": 1, "head_dim": 16, "share_q_dim": 24, "moe_num_experts": 4,
         "moe_top_k": 2, "moe_intermediate_size": 8, "share_expert_dim": 12, "moe_layers_enum": "1,2"},
        3 * (64 * 24 + 2 * 64 * 16 + 24 + 24 * 64 + 64 * 64 + 2 * 64) + 3 * 64 * 32
        + 2 * (64 * 4 + 4 * 3 * 64 * 8 + 3 * 64 * 12) + ENDS,
        3 * 2 * 16 * 2,
    ),
    # plamo3.py: four norms a layer, two on queries and keys, the head's rows to a multiple of 16
    "plamo3": (
        {"num_hidden_layers": 4, "num_key_value_heads": 2, "head_dim": 16, "sliding_window": 32,
         "sliding_window_pattern": 4},
        4 * (64 * 64 * 2 + 2 * 64 * 32 + 2 * 16 + 3 * 64 * 32 + 4 * 64) + 100 * 64 + 112 * 64 + 64,
        2 * 2 * 16 * 2,  # three of four layers stop growing at the window
    ),
    # sarvam.py: latent attention, queries straight; from layer 1 on experts, a correction of each and a shared one
    "sarvam_mla": (
        {**NARROW, "num_hidden_layers": 3, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8},
        3 * (64 * 4 * 12 + WAIST + 2 * 64) + 3 * 64 * 32 + 2 * (4 * 64 + 4 + 5 * 3 * 64 * 8) + ENDS,
        3 * (16 + 4) * 2,
    ),
    # openpangu.py: queries by a rank of 24 and a norm; with sandwich_norm two norms more a layer
    "pangu_ultra_moe": (
        {**NARROW, "num_hidden_layers": 3, "q_lora_rank": 24, "n_routed_experts": 4, "n_shared_experts": 1,
         "num_experts_per_tok": 2, "moe_intermediate_size": 8, "first_k_dense_replace": 2, "sandwich_norm": True,
         "router_enable_expert_bias": True},
        3 * (64 * 24 + 24 + 24 * 4 * 12 + WAIST + 4 * 64) + 2 * 3 * 64 * 32 + 4 * 64 + 4 + 5 * 3 * 64 * 8 + ENDS,
        3 * (16 + 4) * 2,
    ),
    # longcat_flash_ngram.py: 2 x (3 - 1) tables of 3 x 100 + 1, 3, 5, 7 rows of 64 / 4, projected to 64; of each layer
    # two halves with attention and a dense MLP, experts beside the first, of which two only route
    "longcat_flash_ngram": (
        {**NARROW, "num_layers": 2, "q_lora_rank": 24, "n_routed_experts": 4, "zero_expert_num": 2, "moe_topk": 2,
         "expert_ffn_hidden_size": 8, "ffn_hidden_size": 32, "intermediate_size": None, "ngram_vocab_size_ratio": 3,
         "emb_split_num": 2, "emb_neighbor_num": 3},
        4 * (64 * 24 + 24 + 24 * 4 * 12 + WAIST + 2 * 64 + 3 * 64 * 32) + 2 * (6 * 64 + 6 + 4 * 3 * 64 * 8)
        + (4 * 300 + 16) * 16 + 4 * 16 * 64 + ENDS,
        4 * (16 + 4) * 2,
    ),
    # bailing_moe_linear.py: layers 0 and 2 of 4 have lightning attention with a gate, a norm over all heads and two by
    # head, layers 1 and 3 latent attention; from layer 1 on experts, a correction of each and a shared one
    "bailing_moe_v2_5": (
        {**NARROW, "num_hidden_layers": 4, "layer_group_size": 2, "group_norm_size": 2, "head_dim": 16,
         "q_lora_rank": 24, "use_qk_norm": True, "use_bias": False, "use_qkv_bias": False, "num_experts": 4,
         "num_experts_per_tok": 2, "moe_intermediate_size": 8, "num_shared_experts": 1, "first_k_dense_replace": 1,
         "moe_router_enable_expert_bias": True},
        2 * (5 * 64 * 64 + 64 + 2 * 16) + 2 * (64 * 24 + 24 + 24 * 4 * 12 + WAIST) + 4 * 2 * 64 + 3 * 64 * 32
        + 3 * (4 * 64 + 4 + 5 * 3 * 64 * 8) + ENDS,
        2 * (16 + 4) * 2,
    ),
    # SGLang's bailing_moe_linear.py: the same, the last of a group with heads and norms on queries and keys
    "bailing_moe_linear": (
        {"num_hidden_layers": 4, "layer_group_size": 2, "group_norm_size": 2, "num_key_value_heads": 2,
         "use_qk_norm": True, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8,
         "num_shared_experts": 1, "first_k_dense_replace": 1},
        2 * (5 * 64 * 64 + 64) + 2 * (2 * 64 * 64 + 2 * 64 * 32) + 4 * (2 * 64 + 2 * 16) + 3 * 64 * 32
        + 3 * (4 * 64 + 5 * 3 * 64 * 8) + ENDS,
        2 * 2 * 2 * 16 * 2,
    ),
    # k2_horizon.py: a gate as wide as the queries, norms as wide as queries and keys; layer 1 of 2 has experts, and
    # three projections to values behind a router with a bias
    "k2_horizon": (
        {"num_hidden_layers": 2, "num_key_value_heads": 2, "head_dim": 16, "rope_head_dim": 8, "num_experts": 4,
         "num_experts_per_tok": 2, "moe_intermediate_size": 8, "num_shared_experts": 1, "decoder_sparse_step": 1,
         "mlp_only_layers": [0], "moe_gate_bias": True, "mova_num_experts": 3, "mova_num_experts_per_tok": 2,
         "attention_gate_func": "silu", "query_key_norm": True, "attention_bias": False},
        2 * (3 * 64 * 64 + 64 * 32 + 64 + 32 + 2 * 64) + 3 * 64 * 32 + 64 * 32 + 3 * 64 * 32 + 3 * 64 + 3
        + 4 * 64 + 4 + 5 * 3 * 64 * 8 + ENDS,
        2 * 2 * 2 * 16 * 2,
    ),
    # rnj1.py: Gemma 3's layers; a chunked one asks for a window of sliding_window tokens
    "rnj1": (
        {"num_hidden_layers": 2, "num_key_value_heads": 2, "head_dim": 16, "sliding_window": 32,
         "layer_types": ["chunked_attention", "full_attention"]},
        2 * (2 * 64 * 64 + 2 * 64 * 32 + 2 * 16 + 3 * 64 * 32 + 4 * 64) + ENDS,
        2 * 2 * 16 * 2,
    ),
    # openpangu.py: keys of 8 + 4, values of 8, 16 learned tokens of both, a norm on keys; every token is kept
    "pangu_pro_moe_v2": (
        {"num_hidden_layers": 2, "num_key_value_heads": 2, "qk_nope_dim": 8, "qk_rope_dim": 4, "v_channels": 8,
         "param_sink_number": 16, "param_sink_with_value": True, "interleaved_sliding_window": [32, 512],
         "sandwich_norm": True, "n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2,
         "moe_intermediate_size": 8, "first_k_dense_replace": 1},
        2 * (64 * 4 * 12 + 64 * 2 * 12 + 64 * 2 * 8 + 4 * 8 * 64 + 12 + 16 * 2 * (12 + 8) + 4 * 64) + 3 * 64 * 32
        + 4 * 64 + 5 * 3 * 64 * 8 + ENDS,
        2 * 2 * (12 + 8) * 2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BY_CLASS)
def test_types_of_vllm_alone_are_counted_as_its_class_has_them(kind):
    more, parameters, growth = BY_CLASS[kind]
    model = calculator.model_from_hf_config({**TINY, **more, "model_type": kind})
    assert model.num_parameters == parameters
    assert calculator.kv_cache_bytes(model, 401) - calculator.kv_cache_bytes(model, 400) == growth


# Text models that only wrappers of images and speech hold: transformers 5.23.0, parameters of the class of each on the
# meta device, without a head

SMALL = {
    "vocab_size": 1000, "hidden_size": 256, "intermediate_size": 320, "num_hidden_layers": 4,
    "num_attention_heads": 8, "num_key_value_heads": 4, "max_position_embeddings": 512, "tie_word_embeddings": True,
}  # fmt: skip
EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 32, "mlp_layer_types": ["dense", *["sparse"] * 3]}


@pytest.mark.parametrize(
    ("kind", "more", "parameters"),
    [
        ("deepseek_ocr2_text", {"n_routed_experts": 4, **EXPERTS}, 1_735_936),
        (
            "deepseek_ocr2_text",
            {"n_routed_experts": 4, **EXPERTS, "attention_bias": True, "mlp_bias": True},
            1_741_056,
        ),
        ("hunyuan_vl_text", {"head_dim": 32}, 2_028_032),
        ("granite4_vision_text", {"attention_bias": True}, 2_030_848),
        ("glm_ocr_text", {}, 2_029_824),
        ("paddleocr_vl_text", {"head_dim": 64, "use_bias": True}, 2_822_912),
        ("molmo2_text", {"head_dim": 64, "additional_vocab_size": 10}, 2_817_280),
        (
            "molmo2_text",
            {"head_dim": 64, "additional_vocab_size": 10, "qk_norm_type": "olmo", "attention_bias": True},
            2_823_936,
        ),
        ("voxtral_realtime_text", {"head_dim": 64}, 2_879_744),
        ("cosmos3_edge_text", {"head_dim": 128}, 4_059_392),
        (
            "ernie4_5_vl_moe_text",
            {
                "moe_num_experts": 4, "moe_k": 2, "moe_intermediate_size": [64, 32], "moe_num_shared_experts": 1,
                "use_bias": True,
            },
            2_333_976,
        ),
    ],
)  # fmt: skip
def test_text_models_of_wrappers_have_the_parameters_of_the_reference(kind, more, parameters):
    assert calculator.model_from_hf_config({**SMALL, **more, "model_type": kind}).num_parameters == parameters


INKLING = {
    **SMALL, "num_hidden_layers": 7, "num_key_value_heads": 2, "head_dim": 32, "swa_num_attention_heads": 8,
    "swa_num_key_value_heads": 4, "swa_head_dim": 32, "sliding_window_size": 64, "n_routed_experts": 4,
    "num_experts_per_tok": 2, "moe_intermediate_size": 32, "mlp_layer_types": [*["dense"] * 2, *["sparse"] * 5],
    "rel_extent": 128, "model_type": "inkling_text", "tie_word_embeddings": False,
}  # fmt: skip


def test_inkling_has_the_parameters_of_the_reference_and_the_cache_of_its_class():
    # transformers 5.23.0 on the meta device; 2 bytes of 3 columns of keys, values and two streams of 256, of 6 layers
    # with 4 heads and one with 2; two names of the widths, as the checkpoint and as the reference have them
    model = calculator.model_from_hf_config(INKLING)
    assert model.num_parameters == 3_355_079
    assert model.kv_bytes_per_token() == (6 * 4 + 2) * 2 * 32 * 2
    assert model.state_bytes_per_sequence() == 2 * 3 * (6 * 2 * 4 * 32 + 2 * 2 * 32 + 7 * 2 * 256)
    others = {"intermediate_size": 32, "dense_intermediate_size": 320, "dense_mlp_idx": 2, "sconv_kernel_size": 4}
    drop = ("moe_intermediate_size", "mlp_layer_types", "intermediate_size")
    published = {**{name: value for name, value in INKLING.items() if name not in drop}, **others}
    assert calculator.model_from_hf_config(published).layers == model.layers


def test_no_rank_of_inkling_can_be_without_a_kv_head():
    # sconv_swa_attn.py: tp_size <= num_kv_heads, which full attention has 2 of
    asked = {"gpu": "h100-sxm", "seq_len": 512, "weight_dtype": "bf16"}
    model = calculator.model_from_hf_config(INKLING)
    assert calculator.plan(model, tensor_parallel_size=2, **asked).fits
    with pytest.raises(calculator.ParallelismError, match="does not copy KV heads, and there are 2"):
        calculator.plan(model, tensor_parallel_size=4, **asked)
    with pytest.raises(calculator.UnsupportedError, match="keeps the last columns of short convolutions"):
        calculator.plan(model, engine="sglang", **asked)


@pytest.mark.parametrize(
    ("kind", "name", "labels", "parameters"),
    # transformers 5.23.0: parameters of these classes on the meta device
    [
        ("llama", "LlamaForCausalLM", 5, 2_283_776),
        ("qwen3", "Qwen3Model", 2, 4_388_096),
        ("mistral", "MistralModel", 2, 2_027_776),
        ("llama", "LlamaForSequenceClassification", 5, 2_029_056),
        ("qwen3", "Qwen3ForTokenClassification", 5, 4_389_381),
    ],
)
def test_a_decoder_that_makes_vectors_or_scores_has_no_head_and_keeps_its_cache(kind, name, labels, parameters):
    config = {**SMALL, "tie_word_embeddings": False, "model_type": kind, "torch_dtype": "bfloat16"}
    config |= {"head_dim": 128} if kind == "qwen3" else {"sliding_window": None}
    plain = calculator.model_from_hf_config(config)
    model = calculator.model_from_hf_config(
        {**config, "architectures": [name], "id2label": {str(label): "x" for label in range(labels)}}
    )
    assert model.num_parameters == parameters
    assert model.kv_bytes_per_token() == plain.kv_bytes_per_token() > 0


def test_small_models_of_the_type_of_deepseek_v2_have_heads():
    # DeepSeek-OCR's language_config, which names no type; deepseek_v2.py, use_mha: 12 layers of 10 heads of 128
    language = {
        "hidden_size": 1280, "intermediate_size": 6848, "num_hidden_layers": 12, "num_attention_heads": 10,
        "num_key_value_heads": 10, "vocab_size": 129280, "max_position_embeddings": 8192, "first_k_dense_replace": 1,
        "moe_intermediate_size": 896, "n_routed_experts": 64, "n_shared_experts": 2, "num_experts_per_tok": 6,
        "kv_lora_rank": None, "q_lora_rank": None, "qk_nope_head_dim": 0, "qk_rope_head_dim": 0, "v_head_dim": 0,
        "use_mla": False, "torch_dtype": "bfloat16",
    }  # fmt: skip
    model = calculator.model_from_hf_config({"model_type": "deepseek_vl_v2", "language_config": language})
    assert model.kv_bytes_per_token() == 12 * 2 * 10 * 128 * 2
    sparse = 1280 * 64 + 66 * 3 * 1280 * 896
    assert model.num_parameters == (
        2 * 129280 * 1280 + 1280 + 12 * (4 * 1280 * 1280 + 2 * 1280) + 3 * 1280 * 6848 + 11 * sparse
    )


def test_a_class_decides_where_a_type_is_of_several_models():
    # Ling and Ring 2.5 and 3 share the type bailing_hybrid: lightning attention there, delta attention here
    more, parameters, _ = BY_CLASS["bailing_moe_v2_5"]
    config = {**TINY, **more, "model_type": "bailing_hybrid"}
    older = calculator.model_from_hf_config({**config, "architectures": ["BailingMoeV2_5ForCausalLM"]})
    newer = calculator.model_from_hf_config({**config, "architectures": ["BailingMoeV3ForCausalLM"]})
    # bailing_linear_attn.py: 2 layers keep 4 heads of 16 x 16 in 16 bit, and the norm's 2 groups share no more ranks
    assert (older.num_parameters, older.state_bytes_per_sequence()) == (parameters, 2 * 4 * 16 * 16 * 2)
    assert newer.num_parameters != parameters
    with pytest.raises(calculator.CalculatorError, match="2 groups of the lightning attention do not divide by 4"):
        older.state_bytes_per_sequence(tensor_parallel_size=4)


def test_an_unknown_type_of_a_known_class_is_read_by_its_class():
    # DeepSeek-V4-Flash-FP8 of sgl-project: model_type deepseek_ref, class DeepseekV4ForCausalLM
    known = {**SMALL, "head_dim": 64, "torch_dtype": "bfloat16"}
    model = calculator.model_from_hf_config({**known, "model_type": "mine", "architectures": ["Qwen3ForCausalLM"]})
    assert model.layers == calculator.model_from_hf_config({**known, "model_type": "qwen3"}).layers
    assert any(said.key == "configs.by_class" for said in model.assumed)
    with pytest.raises(calculator.UnsupportedError, match="unknown model_type 'mine'"):
        calculator.model_from_hf_config({**known, "model_type": "mine", "architectures": ["MineForCausalLM"]})


def test_a_gate_of_an_element_each_is_wider_than_one_of_a_head_each():
    more, _, _ = BY_CLASS["bailing_moe_v2_5"]
    by_head, by_element = (
        calculator.model_from_hf_config(
            {**TINY, **more, "model_type": "bailing_hybrid", "gated_attention_proj_granularity_type": gate}
        ).num_parameters
        for gate in ("head_wise", "element_wise")
    )
    assert by_element - by_head == 2 * 64 * 4 * (8 - 1)


def test_ranks_hold_what_comes_before_the_heads_of_step_3_whole():
    more, parameters, _ = BY_CLASS["step3_text"]
    model = calculator.model_from_hf_config({**TINY, **more, "model_type": "step3_text"})
    # on 2 ranks: half of wq, o, MLPs, experts, embedding and head; q, k, v, norms and routers whole
    split = 3 * (24 * 64 + 64 * 64) + 3 * 64 * 32 + 2 * (4 * 3 * 64 * 8 + 3 * 64 * 12) + 2 * 100 * 64
    assert weight_bytes_per_rank(model, "bf16", 2) == (2 * (parameters - split // 2),)
    assert calculator.kv_cache_bytes_per_gpu(model, 64, tensor_parallel_size=2) == calculator.kv_cache_bytes(model, 64)


def test_a_list_of_windows_says_which_layers_have_one():
    more = {**BY_CLASS["plamo3"][0], "sliding_window_pattern": 3}
    listed = calculator.model_from_hf_config(
        {**TINY, **more, "model_type": "plamo3", "interleaved_sliding_window": [None, 32, 32, 32]}
    )
    assert [group.spec.grows_until for group in listed.layers] == [NO_LIMIT, 32]
    with pytest.raises(calculator.UnsupportedError, match="has 16 where sliding_window is 32"):
        calculator.model_from_hf_config(
            {**TINY, **more, "model_type": "plamo3", "interleaved_sliding_window": [None, 16, 32, 32]}
        )


def test_shared_experts_of_aria_have_the_biases_of_its_mlps():
    more = {"moe_num_experts": 4, "moe_num_shared_experts": 2, "moe_topk": 2, "num_hidden_layers": 3}
    with_bias, without = (
        calculator.model_from_hf_config({**TINY, **more, "model_type": "aria_text", "mlp_bias": bias})
        for bias in (True, False)
    )
    # gate and up are 2 x 32 wide, down is as wide as the model; AriaSharedExpertsMLP of transformers 5.23.0
    a_layer = 2 * 2 * 32 + with_bias.hidden_size
    assert with_bias.num_parameters - without.num_parameters == with_bias.num_layers * a_layer
