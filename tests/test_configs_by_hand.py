"""Parts of a config.json that few checkpoints have, each worked by hand from the sources that define them."""

import json

import pytest

import calculator

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
