"""Parts of a config.json that few checkpoints have, each worked by hand from the sources that define them."""

import json

import pytest

import calculator
from calculator.architecture.counts import NO_LIMIT
from calculator.architecture.weights import weight_bytes_per_rank

PLAIN = {
    "model_type": "llama", "num_hidden_layers": 4, "hidden_size": 256, "intermediate_size": 512,
    "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 32, "vocab_size": 1_000,
    "max_position_embeddings": 2_048, "torch_dtype": "bfloat16", "tie_word_embeddings": False,
}  # fmt: skip


def model_of(**more):
    return calculator.model_from_hf_config({**PLAIN, **more})


def stored(**section):
    return model_of(quantization_config=section).weight_dtype


# Checkpoints: quantization_config


@pytest.mark.parametrize(
    ("weights", "name"),
    # compressed-tensors quantization/quant_args.py: num_bits, type, strategy and group_size of a scheme
    [
        ({"num_bits": 8, "type": "float", "strategy": "tensor"}, "fp8"),
        ({"num_bits": 8, "type": "float", "strategy": "channel"}, "fp8"),
        ({"num_bits": 8, "type": "float", "strategy": "block", "block_structure": [128, 128]}, "fp8-block"),
        ({"num_bits": 8, "type": "int", "strategy": "channel"}, "int8"),
        ({"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16}, "nvfp4"),
        ({"num_bits": 4, "type": "int", "strategy": "group", "group_size": 128}, "gptq-int4"),
        ({"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32}, "gptq-int4-g32"),
        ({"num_bits": 4, "type": "float", "strategy": "group", "group_size": 32}, "mxfp4"),
        ({"num_bits": 4, "type": "int", "strategy": "channel", "group_size": None}, "gptq-int4"),
        # what is none of these is known by its own name alone
        ({"num_bits": 2, "type": "int", "group_size": 16}, "compressed-tensors 2 bit int"),
        ({"num_bits": 6, "type": "float", "group_size": 16}, "compressed-tensors 6 bit float"),
    ],
)
def test_a_scheme_of_compressed_tensors_is_its_format(weights, name):
    groups = {"group_0": {"weights": weights, "targets": ["Linear"]}}
    assert stored(quant_method="compressed-tensors", config_groups=groups) == name


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        (None, "whose config_groups are no schemes"), ([], "whose config_groups are no schemes"),
        ({"a": "b"}, "whose config_groups are no schemes"), ({"a": {"weights": None}}, "with a scheme without weights"),
        ({"a": {}}, "with a scheme without weights"),
        ({"a": {"weights": {"num_bits": 8}}, "b": {}}, "with a scheme without weights"),
    ],
)  # fmt: skip
def test_what_is_no_scheme_is_not_read(groups, said):
    assert stored(quant_method="compressed-tensors", config_groups=groups) == f"compressed-tensors {said}"


def test_no_scheme_is_no_quantisation():
    assert stored(quant_method="compressed-tensors", config_groups={}) is None


@pytest.mark.parametrize(
    ("section", "name"),
    [
        ({"quant_method": "AWQ", "bits": 4, "group_size": 64}, "awq-int4-g64"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, "gptq-int4"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 1}, "gptq-int4-g1"),
        ({"quant_method": "gptq", "bits": 4, "group_size": -1}, "gptq-int4"),
        ({"quant_method": "gptq", "bits": 8, "group_size": 128}, "int8"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 0}, "gptq of 4 bit"),
        ({"quant_method": "gptq", "bits": 4, "group_size": -2}, "gptq of 4 bit"),
        ({"quant_method": "gptq", "bits": 3, "group_size": 128}, "gptq of 3 bit"),
        ({"quant_method": "gptq", "bits": 4}, "a quantisation whose group_size is None"),
        ({"quant_method": "fbgemm_fp8"}, "fp8"), ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "int8"),
        ({"quant_method": "modelopt", "quant_algo": "FP8"}, "fp8"),
        ({"quant_method": "modelopt", "quant_algo": "W4A8"}, "modelopt W4A8"),
        ({"quant_method": "modelopt"}, "modelopt without a quant_algo"), ({}, None),
    ],
)  # fmt: skip
def test_a_method_is_its_format(section, name):
    assert stored(**section) == name


@pytest.mark.parametrize(
    ("module", "left_out"),
    # fp8 takes names in full; what every format leaves in 16 bit, and what is not of the decoder, says nothing
    [
        ("lm_head", 0), ("model.layers.0.mlp.gate", 0), ("re:.*vision.*", 0), ("model.embed_tokens", 0), ("mlp", 0),
        ("model.layers.0.self_attn.o_proj", 256 * 256), ("model.layers.3.mlp.down_proj", 256 * 512),
    ],
)  # fmt: skip
def test_what_a_checkpoint_leaves_out(module, left_out):
    model = model_of(quantization_config={"quant_method": "fp8", "modules_to_not_convert": ["lm_head", module]})
    plain = [(group.count, matrix) for group in model.layers for matrix in group.weights if matrix.quantised]
    assert (
        sum(count * matrix.num_parameters for count, matrix in plain if not matrix.stored or matrix.stored.bits == 16)
        == left_out
    )


# Falcon: modeling_falcon.py

FALCON = {
    "model_type": "falcon", "num_hidden_layers": 3, "hidden_size": 256, "num_attention_heads": 8, "vocab_size": 1_000,
    "bias": False, "alibi": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("layout", "heads", "norms"),
    # FalconDecoderLayer: ln_attn and ln_mlp with the new architecture unless num_ln_in_parallel_attn is 1; otherwise
    # input_layernorm, and post_attention_layernorm where attention and MLP follow each other; each weight and bias
    [
        ({"new_decoder_architecture": True, "num_kv_heads": 4}, 4, 2),
        ({"new_decoder_architecture": True, "num_kv_heads": 4, "num_ln_in_parallel_attn": 2}, 4, 2),
        ({"new_decoder_architecture": True, "num_kv_heads": 4, "num_ln_in_parallel_attn": 1}, 4, 1),
        ({"new_decoder_architecture": False, "multi_query": True, "parallel_attn": True}, 1, 1),
        ({"new_decoder_architecture": False, "multi_query": True, "parallel_attn": False}, 1, 2),
        ({"new_decoder_architecture": False, "multi_query": False, "parallel_attn": True}, 8, 1),
    ],
)
def test_norms_and_heads_of_falcon_follow_its_layout(layout, heads, norms):
    model = calculator.model_from_hf_config({**FALCON, **layout})
    attention = 256 * (8 + 2 * heads) * 32 + 256 * 256
    layer = attention + 2 * 4 * 256 * 256 + norms * 2 * 256
    assert model.num_parameters == 3 * layer + 1_000 * 256 + 2 * 256
    assert model.kv_bytes_per_token("fp16") == 3 * heads * 2 * 32 * 2


# Sparse attention whose layers share an indexer: configuration of GLM-5.2 and vLLM's deepseek_v2.py

SPARSE = {
    "model_type": "deepseek_v32", "num_hidden_layers": 6, "hidden_size": 256, "intermediate_size": 512,
    "moe_intermediate_size": 64, "num_attention_heads": 8, "vocab_size": 1_000, "kv_lora_rank": 64, "q_lora_rank": 96,
    "qk_nope_head_dim": 32, "qk_rope_head_dim": 16, "v_head_dim": 32, "n_routed_experts": 4, "num_experts_per_tok": 2,
    "n_shared_experts": 1, "first_k_dense_replace": 1, "index_n_heads": 4, "index_head_dim": 128, "index_topk": 64,
    "max_position_embeddings": 2_048,
}  # fmt: skip
LATENT, INDEX = (64 + 16) * 2, 132  # an index key of 128 bytes and its scale


@pytest.mark.parametrize(
    ("keys", "own"),
    [
        ({}, 6), ({"index_topk_pattern": "FFFFFF"}, 6), ({"index_topk_pattern": "FSSFSS"}, 2),
        ({"index_topk_pattern": "FSSSSS"}, 1),
        ({"indexer_types": ["full", "shared", "full", "shared", "shared", "shared"]}, 2),
        # the list holds where both are there
        ({"indexer_types": ["full"] * 5 + ["shared"], "index_topk_pattern": "FSSSSS"}, 5),
        # every second, third or seventh layer from the offset on, 2 by default: layers 0, 1, 3, 5; 0, 1, 4; 0, 1
        ({"index_topk_freq": 1}, 6), ({"index_topk_freq": 2}, 4), ({"index_topk_freq": 3}, 3),
        ({"index_topk_freq": 7}, 2), ({"index_topk_freq": 2, "index_skip_topk_offset": 1}, 3),
        ({"index_topk_freq": 3, "index_skip_topk_offset": 3}, 4), ({"index_topk_freq": 0}, 6),
        ({"index_topk_freq": 3, "index_skip_topk_offset": 0}, 2),
    ],
)  # fmt: skip
def test_layers_that_share_an_index_keep_none(keys, own):
    model = calculator.model_from_hf_config({**SPARSE, **keys})
    assert model.kv_bytes_per_token("bf16") == 6 * LATENT + own * INDEX


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"index_topk_pattern": "FSS"}, "index_topk_pattern must be a letter F or S a layer, not 'FSS'"),
        ({"index_topk_pattern": "FSSXSS"}, "index_topk_pattern must be a letter F or S a layer"),
        ({"index_topk_pattern": ["F"] * 6}, "index_topk_pattern must be a letter F or S a layer"),
        ({"index_topk_pattern": "SFFFFF"}, "full of the first"),
        ({"indexer_types": ["full"] * 5 + ["half"]}, "indexer_types must say full or shared"),
    ],
)
def test_a_pattern_that_is_none_is_refused(keys, text):
    with pytest.raises(calculator.InvalidValueError, match=text):
        calculator.model_from_hf_config({**SPARSE, **keys})


# Heads that single layers have of their own


def test_a_layer_has_its_own_heads():
    model = model_of(per_layer_config={"1": {"num_key_value_heads": 4}, "3": {"head_dim": 64}, "0": {}})
    # two layers of 2 heads of 32, one of 4, one of 2 of 64; keys and values of 2 bytes
    assert model.kv_bytes_per_token("fp16") == 2 * 2 * (2 * 2 * 32 + 4 * 32 + 2 * 64)


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({"4": {"head_dim": 64}}, calculator.InvalidValueError, "'4' is not a layer with keys of its own"),
        ({"x": {"head_dim": 64}}, calculator.InvalidValueError, "'x' is not a layer with keys of its own"),
        ({"0000001": {"head_dim": 64}}, calculator.InvalidValueError, "'0000001' is not a layer"),
        ({"1": 5}, calculator.InvalidValueError, "1"),
        ({"1": {"head_dim": 64, "window": 3}}, calculator.UnsupportedError, "'window' of layer 1 is not understood"),
        ({"1": {"num_key_value_heads": 3}}, calculator.InvalidValueError, "3"),
    ],
)
def test_a_layer_that_is_none_is_refused(given, error, text):
    with pytest.raises(error, match=text):
        model_of(per_layer_config=given)


def test_six_digits_are_a_layer():
    model = model_of(per_layer_config={"000001": {"head_dim": 64}})
    assert model.kv_bytes_per_token("fp16") == 2 * 2 * 2 * (3 * 32 + 64)


# Layers that are listed in two lists that count from one: Kimi Linear's modeling_kimi.py


def kimi(**more):
    return calculator.model_from_hf_config(
        {
            "model_type": "kimi_linear", "num_hidden_layers": 8, "hidden_size": 1_024, "intermediate_size": 2_816,
            "num_attention_heads": 16, "num_key_value_heads": 16, "q_lora_rank": None, "kv_lora_rank": 512,
            "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "num_experts": 16,
            "num_experts_per_token": 4, "moe_intermediate_size": 512, "vocab_size": 1_000, **more,
        }
    )  # fmt: skip


HEADS = {"num_heads": 16, "head_dim": 128, "short_conv_kernel_size": 4}


@pytest.mark.parametrize(("full", "linear"), [([4, 8], [1, 2, 3, 5, 6, 7]), ([1], [8, 7, 6, 5, 4, 3, 2])])
def test_two_lists_name_every_layer_once(full, linear):
    model = kimi(linear_attn_config={"full_attn_layers": full, "kda_layers": linear, **HEADS})
    assert model.kv_bytes_per_token("fp16") == len(full) * 576 * 2


@pytest.mark.parametrize(
    ("full", "linear"), [([4], [1, 2, 3, 5, 6, 7]), ([4, 8], [1, 2, 3, 4, 5, 6, 7]), ([0, 4], [1, 2, 3, 5, 6, 7])]
)
def test_two_lists_that_do_not_are_refused(full, linear):
    with pytest.raises(calculator.InvalidValueError, match="must name each of the layers 1 to 8 once"):
        kimi(linear_attn_config={"full_attn_layers": full, "kda_layers": linear, **HEADS})


# Text: JSON as others write it


def test_a_key_that_stands_twice_is_named(tmp_path):
    path = tmp_path / "config.json"
    text = json.dumps(PLAIN)[:-1] + ', "rope_scaling": {"factor": 8, "type": "x", "factor": 9}}'
    path.write_text(text, encoding="utf-8")
    with pytest.raises(calculator.FileFormatError, match="duplicate key 'factor'"):
        calculator.load_model(str(path))


@pytest.mark.parametrize(("levels", "fine"), [(11, True), (12, False)])
def test_a_config_is_twelve_levels_deep_at_most(levels, fine):
    inner = {}
    for _ in range(levels - 1):
        inner = {"more": inner}
    if fine:
        assert model_of(notes=inner).num_layers == 4
    else:
        with pytest.raises(calculator.InvalidValueError, match="nested more than 12 levels deep"):
            model_of(notes=inner)


@pytest.mark.parametrize(("entries", "fine"), [(200_000, True), (200_001, False)])
def test_a_config_has_200_000_entries_at_most(entries, fine):
    notes = [0] * (entries - len(PLAIN) - 1)
    if fine:
        assert model_of(notes=notes).num_layers == 4
    else:
        with pytest.raises(calculator.InvalidValueError, match="more than 200,000 entries"):
            model_of(notes=notes)


# KV heads by layer


DECI = [4] * 5 + [2] * 5 + [4] + [2] * 9 + [1] * 11 + [4]
"""Deci/DeciLM-7B: num_key_value_heads_per_layer of its config.json."""
DECILM = {
    "model_type": "deci", "num_hidden_layers": 32, "hidden_size": 4096, "intermediate_size": 14336,
    "num_attention_heads": 32, "vocab_size": 32000, "max_position_embeddings": 8192, "torch_dtype": "bfloat16",
    "tie_word_embeddings": False, "rope_scaling": {"type": "dynamic", "factor": 2.0},
    "num_key_value_heads_per_layer": DECI,
}  # fmt: skip
OPENELM = {
    "model_type": "openelm", "num_transformer_layers": 2, "model_dim": 256, "head_dim": 32, "vocab_size": 1000,
    "max_context_length": 2048, "num_query_heads": [8, 12], "num_kv_heads": [2, 3], "ffn_multipliers": [0.5, 4.0],
    "ffn_dim_divisor": 256, "torch_dtype": "float16",
}  # fmt: skip


@pytest.mark.parametrize("beside", [{}, {"num_key_value_heads": 32}, {"model_type": "deci_lm"}])
def test_decilm_has_the_kv_heads_of_its_list(beside):
    model = calculator.model_from_hf_config({**DECILM, **beside})
    assert model.kv_heads_by_layer == DECI
    assert model.kv_bytes_per_token() == sum(DECI) * 2 * 128 * 2
    # The Hub reports 7.04 billion: embedding and head 2 x 32,000 x 4,096; a layer 2 x 4,096^2 + 3 x 4,096 x 14,336 +
    # 2 x 4,096 and 2 x 4,096 x 128 for each of its KV heads, 67 of them; a last norm.
    layer = 2 * 4096**2 + 3 * 4096 * 14336 + 2 * 4096
    assert model.num_parameters == 2 * 32000 * 4096 + 32 * layer + 67 * 2 * 4096 * 128 + 4096 == 7_043_551_232


LISTED = "num_key_value_heads_per_layer"


@pytest.mark.parametrize(
    ("config", "sentence", "what", "nearest"),
    [
        ({**DECILM, LISTED: DECI[:-1]}, "lists 31 layers, and there are 32: give one entry a layer", LISTED, 32),
        (
            {**DECILM, LISTED: [*DECI[:-1], 3]},
            f"{LISTED} of layer 31, 3; the nearest that it divides by is 2",
            LISTED,
            2,
        ),
        ({**DECILM, LISTED: [0, *DECI[1:]]}, f"{LISTED} of layer 0 must be a whole number from 1 to", LISTED, None),
        ({**DECILM, LISTED: 4}, "must list the KV heads of each of the 32 layers, not 4", LISTED, None),
        ({**OPENELM, "num_kv_heads": [2]}, "num_key_value_heads lists 1 layers", "num_key_value_heads", 2),
        ({**OPENELM, "num_kv_heads": [2, 5]}, "num_key_value_heads of layer 1, 5", "num_key_value_heads", 4),
        # a type that knows no such list refuses it by its key
        (
            {**PLAIN, "num_key_value_heads": [2] * 4},
            "num_key_value_heads must be a whole number",
            "num_key_value_heads",
            None,
        ),
        ({**PLAIN, LISTED: [2] * 4}, f"the key '{LISTED}' bears on the cache and is not understood", LISTED, None),
        ({**PLAIN, "num_key_value_heads": 3}, "the nearest that it divides by is 2", "num_key_value_heads", 2),
    ],
)
def test_a_bad_list_of_kv_heads_names_its_layer_and_the_nearest(config, sentence, what, nearest):
    with pytest.raises(calculator.CalculatorError) as caught:
        calculator.model_from_hf_config(config)
    assert sentence in str(caught.value)
    assert (caught.value.what, caught.value.nearest) == (what, nearest)


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
