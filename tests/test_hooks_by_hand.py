"""Model types whose layers are built in a way of their own: parameters and caches by hand, and what is refused."""

import pytest

import calculator

SIZES = {
    "num_hidden_layers": 2, "hidden_size": 256, "num_attention_heads": 8, "head_dim": 32, "vocab_size": 1_000,
    "max_position_embeddings": 2_048, "tie_word_embeddings": False,
}  # fmt: skip
ENDS = 2 * 1_000 * 256 + 256  # embedding, head and the last norm


def model_of(**config):
    return calculator.model_from_hf_config({**SIZES, **config})


# Step 3: queries of all heads come from one narrow query with a norm; keys and values are one head


@pytest.mark.parametrize(("said", "waist"), [({"share_q_dim": 64}, 64), ({}, 32), ({"share_q_dim": 0}, 32)])
def test_queries_that_come_of_a_narrow_waist(said, waist):
    # vLLM 0.33.0, step3_text.py: qkv_proj to share_q_dim, head_dim and head_dim, inter_norm, wq, o_proj; without
    # share_q_dim the waist is a head
    config = {"model_type": "step3_text", "intermediate_size": 512, "moe_layers_enum": [], "moe_intermediate_size": 64,
              "moe_num_experts": 4, "moe_top_k": 2, "share_expert_dim": 96}  # fmt: skip
    model = model_of(**config, **said)
    attention = 256 * (waist + 32 + 32) + waist + waist * 8 * 32 + 8 * 32 * 256
    layer = attention + 3 * 256 * 512 + 2 * 256
    assert model.num_parameters == 2 * layer + ENDS
    assert calculator.kv_cache_bytes(model, 100, 1, "fp16") == 100 * 2 * 2 * 32 * 2
    # what comes before the heads every rank holds whole: of two, wq and o_proj and the MLP are halved
    whole, half = (calculator.plan(model, gpu="l4", weight_dtype="bf16", tensor_parallel_size=ranks, seq_len=64,
                                   max_num_seqs=1).per_gpu.weights_bytes for ranks in (1, 2))  # fmt: skip
    split = 2 * (waist * 8 * 32 + 8 * 32 * 256 + 3 * 256 * 512) + 2 * 1_000 * 256
    assert whole - half == 2 * split // 2


# Step 3.5: windowed layers have heads of their own


@pytest.mark.parametrize(
    ("other", "query", "groups", "size"),
    # a setting of their own, in part or whole; a key of their own stands before it
    [
        ({}, 8, 2, 32), ({"attention_other_setting": {"num_attention_heads": 16}}, 16, 2, 32),
        ({"attention_other_setting": {"num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 64}}, 16, 4, 64),
        ({"attention_other_setting": {"num_key_value_heads": 1}}, 8, 1, 32),
        ({"num_sliding_attention_heads": 4}, 4, 2, 32),
        ({"num_sliding_attention_heads": 4, "attention_other_setting": {"num_attention_heads": 16, "head_dim": 64}},
         4, 2, 32),
    ],
)  # fmt: skip
def test_windowed_layers_of_another_setting(other, query, groups, size):
    model = model_of(
        model_type="step3p5", num_key_value_heads=2, intermediate_size=512, sliding_window=64, moe_layers_enum=[],
        layer_types=["full_attention", "sliding_attention"], moe_intermediate_size=64, num_experts=4,
        num_experts_per_tok=2, share_expert_dim=96, gating=False, **other,
    )  # fmt: skip

    def attention(heads, kv, width):  # and norms of queries and keys
        return 2 * 256 * heads * width + 2 * 256 * kv * width + 2 * width

    layers = attention(8, 2, 32) + attention(query, groups, size) + 2 * (3 * 256 * 512 + 2 * 256)
    assert model.num_parameters == layers + ENDS
    assert calculator.kv_cache_bytes(model, 100, 1, "fp16") == (100 * 2 * 32 + 64 * groups * size) * 2 * 2


# MiniMax M3: an index beside the heads of some layers


@pytest.mark.parametrize(
    ("sizes", "index", "heads"),
    # sizes stand in the config, or under other names in a part of it, which stands before them
    [
        ({"index_head_dim": 64, "index_n_heads": 4}, 64, 4),
        ({"sparse_attention_config": {"sparse_index_dim": 128, "sparse_num_index_heads": 2}}, 128, 2),
        ({"sparse_attention_config": {"sparse_index_dim": 128}, "index_head_dim": 64, "index_n_heads": 4}, 128, 4),
    ],
)
def test_an_index_beside_the_heads(sizes, index, heads):
    def made(kinds):
        return model_of(
            model_type="minimax_m3_vl_text", num_key_value_heads=2, intermediate_size=64, dense_intermediate_size=512,
            shared_intermediate_size=64, num_experts=4, num_experts_per_tok=2, layer_types=kinds,
            mlp_layer_types=["dense", "dense"], **sizes,
        )  # fmt: skip

    plain = made(["full_attention"] * 2)
    found = made(["full_attention", "minimax_m3_sparse"])
    # queries of the index, its key, and two norms; a key in 16 bit beside keys and values
    assert found.num_parameters - plain.num_parameters == 256 * heads * index + 256 * index + 2 * index
    assert found.kv_bytes_per_token("fp16") - plain.kv_bytes_per_token("fp16") == 2 * index


# Laguna: query heads from a list, a gate of a number a head or an element


def laguna(**more):
    return model_of(
        model_type="laguna", num_key_value_heads=2, intermediate_size=512, moe_intermediate_size=64, num_experts=4,
        num_experts_per_tok=2, shared_expert_intermediate_size=96, mlp_layer_types=["dense", "dense"],
        layer_types=["full_attention"] * 2, **{"gating": False, **more},
    )  # fmt: skip


@pytest.mark.parametrize(("gating", "width"), [(None, 1), (False, 0), (True, 1), ("per-head", 1), ("per-element", 32)])
def test_a_gate_is_a_number_a_head_or_an_element(gating, width):
    # configuration_laguna.py: gating is true by default
    assert laguna(gating=gating).num_parameters - laguna().num_parameters == (2 * 256 * 8 * width if gating else 0)
    with pytest.raises(calculator.UnsupportedError, match="gating 'per-layer' is not understood"):
        laguna(gating="per-layer")


def test_query_heads_of_every_layer():
    more = laguna(num_attention_heads_per_layer=[8, 16])
    assert more.num_parameters - laguna().num_parameters == 2 * 256 * 8 * 32
    assert laguna(num_attention_heads_per_layer=[2, 65_536]).num_layers == 2
    for wrong in ([8], [8, 8, 8], [8, 0], [8, 65_537]):
        with pytest.raises(calculator.InvalidValueError, match="must list the heads of the 2 layers"):
            laguna(num_attention_heads_per_layer=wrong)


# OpenELM: lists of heads and of widths


def openelm(**more):
    config = {key: value for key, value in SIZES.items() if key != "num_attention_heads"}
    lists = {"num_query_heads": [4, 8], "num_key_value_heads": [1, 2], "ffn_multipliers": [1.0, 2.0]}
    return calculator.model_from_hf_config({**config, "model_type": "openelm", **lists, **more})


@pytest.mark.parametrize(
    ("multiple", "divisor", "width"),
    # the nearest multiple of the divisor to the multiple of 256, at least one, and no more than a tenth below:
    # 0.5 x 256 = 128 -> 256; 1.7 x 256 = 435 -> 512; 1.3 x 256 = 333 -> 256 is 23 % below: 512; 3.1 x 256 = 794 -> 768
    [(1.0, 256, 256), (2, 256, 512), (0.5, 256, 256), (1.7, 256, 512), (1.3, 256, 512), (3.1, 256, 768), (1.3, 64, 320),
     (0.001, 64, 64), (999, 64, 255_744)],
)  # fmt: skip
def test_widths_are_multiples_of_a_divisor(multiple, divisor, width):
    # heads of 32: queries, keys, values, output and two norms of a head; a gated MLP
    model = openelm(ffn_multipliers=[multiple] * 2, ffn_dim_divisor=divisor)
    heads = sum(256 * 32 * (query + 2 * kv) + 256 * 32 * query for query, kv in ((4, 1), (8, 2)))
    assert model.num_parameters == heads + 2 * (2 * 32 + 2 * 256 + 3 * 256 * width) + ENDS
    assert model.intermediate_size == width


@pytest.mark.parametrize("wrong", [[1.0], [1.0, 2.0, 3.0], [1.0, 0], [1.0, 1000], [1.0, True], [1.0, "2"], None])
def test_multiples_that_are_none(wrong):
    with pytest.raises(calculator.InvalidValueError, match="ffn_multipliers must list a multiple for each of the 2"):
        openelm(ffn_multipliers=wrong)


def test_one_multiple_is_that_of_all_layers():
    assert openelm(ffn_multipliers=2.0) == openelm(ffn_multipliers=[2.0, 2.0])


# DBRX: KV heads in a part of the config; one where it says none


@pytest.mark.parametrize(
    ("said", "heads"), [({"attn_config": {"kv_n_heads": 2}}, 2), ({"attn_config": {}}, 1), ({}, 1)]
)
def test_kv_heads_of_a_part(said, heads):
    # DbrxAttentionConfig: kv_n_heads is 1 by default
    model = calculator.model_from_hf_config({
        "model_type": "dbrx", "d_model": 256, "n_heads": 8, "n_layers": 2, "vocab_size": 1_000, "max_seq_len": 2_048,
        "ffn_config": {"moe_num_experts": 4, "moe_top_k": 2, "ffn_hidden_size": 64}, **said,
    })  # fmt: skip
    assert model.kv_bytes_per_token("fp16") == 2 * 2 * heads * 32 * 2


# Hunyuan: layers that share the cache of the first of every so many


@pytest.mark.parametrize(
    ("said", "own"),
    [
        ({}, 6), ({"use_cla": False, "cla_share_factor": 2}, 6), ({"use_cla": True, "cla_share_factor": 2}, 3),
        ({"use_cla": True, "cla_share_factor": 3}, 2), ({"use_cla": True}, 6),
    ],
)  # fmt: skip
def test_layers_that_share_a_cache(said, own):
    sizes = {**SIZES, "num_hidden_layers": 6, "num_key_value_heads": 2, "intermediate_size": 512}
    model = calculator.model_from_hf_config({**sizes, "model_type": "hunyuan_v1_dense", **said})
    assert model.kv_bytes_per_token("fp16") == own * 2 * 2 * 32 * 2
