"""Types that are built in a way of their own: what each layer keeps, the bounds of their keys, and what is refused."""

from dataclasses import replace

import pytest
from test_matrices_by_hand import LATENT, NO_HEADS, ROUTED, SIZES, TYPES, found

import calculator
from calculator.architecture.caches import Recurrence
from calculator.architecture.compressed import CompressedAttention
from calculator.architecture.layers import FullAttention, NoCache, SlidingWindow
from calculator.architecture.recurrent import AttentionAndState, ConvolvedAttention, ConvolvedWindow, RecurrentState
from calculator.configs.families.zhipu import ROWS
from calculator.configs.hooks.encoders.with_decoder import EncoderDecoder

INVALID, UNSUPPORTED = calculator.InvalidValueError, calculator.UnsupportedError


def model_of(kind, **more):
    asked = {"model_type": kind, **SIZES, **TYPES.get(kind, ({},))[0], **more}
    return calculator.model_from_hf_config({key: value for key, value in asked.items() if value is not None})


def specs(model):
    return [group.spec for group in model.layers for _ in range(group.count)]


LIGHTNING = RecurrentState(Recurrence.LIGHTNING, 0, 0, 8 * 16 * 16, 2, 8)
"""Heads of 16 x 16."""
# keys and values of 192 channels of a convolution of 4, and 8 heads of 24 x 16, B and C of a group of 16
MAMBA_2 = RecurrentState(Recurrence.MAMBA2, 192, 3, 8 * 24 * 16, 2, 8, groups=1, group_width=32)


@pytest.mark.parametrize(
    ("kind", "more", "kept"),
    [
        ("deepseek_v4", {}, [CompressedAttention(512, 64, 64, *rest)
                             for rest in ((0, False, 0), (128, False, 0), (4, True, 128))]),
        ("inkling_text", {}, [ConvolvedWindow(1, 8, 8, 4, window=64, streams_width=192, kernel=4),
                              ConvolvedAttention(2, 16, 16, None, streams_width=192, kernel=4)]),
        ("bailing_moe_v2_5", {"layer_types": None}, [replace(LIGHTNING, groups=4), None]),
        # one group of the norm goes over all heads, which ranks cannot share
        ("bailing_moe_v2_5", {"group_norm_size": 1}, [replace(LIGHTNING, divisible=1), None]),
        ("bailing_moe_v2_5", {"group_norm_size": 2}, [replace(LIGHTNING, groups=2), None]),
        ("zamba2", {}, [MAMBA_2, *[AttentionAndState(4, 24, 24, state=MAMBA_2)] * 2]),
        ("nemotron-nas", {}, [FullAttention(2, 12, 12), NoCache()]),
        ("step3p5", {}, [FullAttention(2, 16, 16), SlidingWindow(1, 8, 8, 4, window=64)]),
        ("rnj1", {"layer_types": ["full_attention", "chunked_attention"], "sliding_window": 64},
         [FullAttention(2, 16, 16), SlidingWindow(2, 16, 16, window=64)]),
        ("pangu_pro_moe_v2", {}, [FullAttention(2, 20, 10)] * 2),
        ("deepseek_v2", {}, [FullAttention(2, 16, 16)] * 2),
    ],
)  # fmt: skip
def test_what_each_layer_keeps(kind, more, kept):
    found_ = specs(model_of(kind, **more))
    assert [spec for spec, wanted in zip(found_, kept, strict=True) if wanted] == [spec for spec in kept if spec]


# DeepSeek V4: configuration_deepseek_v4.py


def ratios(layers, **more):
    given = {"layer_types": None, "num_hash_layers": None, **more, "num_hidden_layers": layers}
    return [spec.tokens_per_row for spec in specs(model_of("deepseek_v4", **given))]


def hashed(layers, **more):
    model = model_of("deepseek_v4", layer_types=["sliding_attention"] * layers, num_hidden_layers=layers, **more)
    each = [group.weights for group in model.layers for _ in range(group.count)]
    return "".join("t" if "router 1000x2 = 16 4B buffer" in found(weights) else "-" for weights in each)


def test_tokens_of_a_row_by_lists_or_by_turns():
    # two layers of 128, then by turns from 128 on
    assert ratios(1) == [128]
    assert ratios(2) == [128, 128]
    assert ratios(6) == [128, 128, 128, 4, 128, 4]
    assert ratios(3, compress_ratios=[0, 4, 128, 4]) == [0, 4, 128]
    kinds = ["heavily_compressed_attention", "sliding_attention"]
    assert ratios(2, layer_types=kinds, compress_ratios=[4, 4]) == [128, 0]
    assert ratios(2, layer_types=kinds, compress_rates={"heavily_compressed_attention": 4}) == [4, 0]
    assert ratios(2, layer_types=kinds, compress_rates="none") == [128, 0]


def test_layers_that_a_table_routes():
    # three of the first where nothing is said
    assert hashed(5, num_hash_layers=None) == "ttt--"
    assert hashed(5, num_hash_layers=0) == "-----"
    assert hashed(5, num_hash_layers=1) == "t----"
    assert hashed(3, mlp_layer_types=["moe", "hash_moe", "moe"]) == "-t-"


def test_the_rotated_part_is_an_eighth_or_a_stated_share():
    # 0.125 and 0.126 of 512 are 64 in whole elements, and what is no number is none
    for share in (None, True, "1", 0.125, 0.126):
        model = model_of("deepseek_v4", qk_rope_head_dim=None, partial_rotary_factor=share)
        assert specs(model)[0].rope_dim == 64
    for share in (0.25, 0.124, 1):
        with pytest.raises(UNSUPPORTED, match="head_dim 512 of which"):
            model_of("deepseek_v4", qk_rope_head_dim=None, partial_rotary_factor=share)


# Numbers that stand beside the layers


@pytest.mark.parametrize(
    ("kind", "more", "width", "heads"),
    # the widest dense MLP is none where all are experts, or where the list of the layers has multiples alone
    [("deepseek_v4", {}, 0, 8), ("dbrx", {}, 0, 8), ("nemotron-nas", {}, 0, 8), ("bart", {}, 200, 4),
     ("t5", {}, 160, 8),
     ("openelm", {"num_query_heads": [4, 8], "num_key_value_heads": [4, 2], "num_attention_heads": None,
                  "ffn_multipliers": [1, 3], "ffn_dim_divisor": 32, "intermediate_size": None}, 288, 4)],
)  # fmt: skip
def test_numbers_beside_the_layers(kind, more, width, heads):
    model = model_of(kind, **more)
    assert (model.intermediate_size, model.num_attention_heads) == (width, heads)


# What is refused, and what is just not


def ngram(**more):
    return model_of("longcat_flash_ngram", **more)


# 96 / 8 = 12, and a table of one n-gram; as many tables as there may be, each one wide
@pytest.mark.parametrize(
    "more",
    [{"emb_split_num": 4}, {"emb_split_num": 1, "emb_neighbor_num": 2}, {"ngram_vocab_size_ratio": 0.5},
     {"emb_split_num": 1_024, "emb_neighbor_num": 2, "hidden_size": 2_048},
     # 16,777,216 / 1,024 = 16,384 vocabularies
     {"ngram_vocab_size_ratio": 16_384, "vocab_size": 1_024}],
)  # fmt: skip
def test_tables_of_n_grams(more):
    assert len(specs(ngram(**more))) == 2


@pytest.mark.parametrize(
    ("more", "text"),
    [
        *(({"ngram_vocab_size_ratio": ratio}, "ngram_vocab_size_ratio must be a number, more than 0, not")
          for ratio in (0, -1, True, "2", [2])),
        ({"ngram_vocab_size_ratio": 16_385, "vocab_size": 1_024}, "ngram_vocab_size_ratio must be a number"),
        ({"emb_neighbor_num": 1}, "make 0 tables, which do not divide hidden_size 96"),
        ({"emb_split_num": 5}, "make 10 tables, which do not divide hidden_size 96"),
        ({"emb_split_num": 1_025, "emb_neighbor_num": 2, "hidden_size": 8_200}, "make 1,025 tables"),
    ],
)  # fmt: skip
def test_tables_of_n_grams_that_cannot_be(more, text):
    with pytest.raises(INVALID, match=text):
        ngram(**more)


def nas(attention=None, ffn=None):
    attention = {"n_heads_in_group": 4} if attention is None else attention
    ffn = {"ffn_mult": 1} if ffn is None else ffn
    return model_of("nemotron-nas", num_hidden_layers=1, block_configs=[{"attention": attention, "ffn": ffn}])


@pytest.mark.parametrize(
    ("ratio", "nearest"),
    # of 1, 2, 4 and 8 the nearest, of two the smaller
    [(3, "; the nearest that does is 2"), (7, "; the nearest that does is 8"), (5, "; the nearest that does is 4"),
     (0, "; the nearest that does is 1"), (16, "; the nearest that does is 8"), (True, ""), ("4", ""), (4.0, ""),
     (None, "")],
)  # fmt: skip
def test_heads_of_a_group_divide_the_heads(ratio, nearest):
    with pytest.raises(INVALID, match=r"layer 0: n_heads_in_group .* does not divide the heads") as caught:
        nas({"n_heads_in_group": ratio})
    assert str(caught.value).endswith(f"does not divide the heads{nearest}")
    assert caught.value.allowed == (1, 2, 4, 8)
    assert caught.value.asked == ratio


@pytest.mark.parametrize("ratio", [1, 2, 4, 8])
def test_heads_of_every_group_that_can_be(ratio):
    assert specs(nas({"n_heads_in_group": ratio}))[0] == FullAttention(8 // ratio, 12, 12)


@pytest.mark.parametrize(
    ("multiple", "width"),
    # int(2 m x 96 / 3) up to the next multiple of 256
    [(0.01, 0), (0.02, 256), (1, 256), (4, 256), (4.1, 512), (8, 512), (999.9, 64_000)],
)
def test_widths_of_a_list_by_hand(multiple, width):
    held = sum(m.elements for m in nas(ffn={"ffn_mult": multiple}).layers[0].weights if m.part == "dense MLP")
    assert held == 3 * 96 * width


@pytest.mark.parametrize("multiple", [0, -1, 1_000, True, "2", None, [2]])
def test_widths_of_a_list_that_cannot_be(multiple):
    with pytest.raises(INVALID, match=r"layer 0: ffn_mult .* is not a width"):
        nas(ffn={"ffn_mult": multiple})


@pytest.mark.parametrize(
    "key", ["replace_with_linear", "sparsify", "window_length", "num_sink_tokens", "unshifted_sink"]
)
def test_parts_that_a_list_cannot_have(key):
    for name, given in (("attention", nas), ("ffn", lambda part: nas(ffn=part))):
        with pytest.raises(UNSUPPORTED, match=f"layer 0: {name}: {key} is not understood"):
            given({"n_heads_in_group": 4, "ffn_mult": 1, key: 4})
        assert len(specs(given({"n_heads_in_group": 4, "ffn_mult": 1, key: None}))) == 1


@pytest.mark.parametrize("configs", [[], [{}] * 3, {}, None, "x"])
def test_a_list_that_is_none(configs):
    with pytest.raises(INVALID, match="block_configs must list the 2 layers"):
        model_of("nemotron-nas", block_configs=configs)


@pytest.mark.parametrize("one", [5, {}, {"attention": 5, "ffn": {}}, {"attention": {"no_op": True}}, None])
def test_a_layer_of_a_list_that_is_none(one):
    with pytest.raises(INVALID, match=r"block_configs: layer 1: (attention|ffn) is missing"):
        model_of("nemotron-nas", block_configs=[{"attention": {"no_op": True}, "ffn": {"no_op": True}}, one])


ERNIE = "ernie4_5_vl_moe_text"
REFUSED = [
    *((ERNIE, {"moe_num_experts": wrong}, INVALID, "num_experts must be a whole number for texts and one for images")
      for wrong in ([4], [4, 3, 2], [4, -2], [True, 3], ["4", 3], "4")),
    (ERNIE, {"moe_layer_start_index": [1, 0]}, UNSUPPORTED, "in layers of their own are not understood"),
    (ERNIE, {"moe_layer_interval": [1, 2]}, UNSUPPORTED, "in layers of their own are not understood"),
    (ERNIE, {"moe_layer_end_index": [1, 0]}, UNSUPPORTED, "in layers of their own are not understood"),
    (ERNIE, {"moe_layer_end_index": 0}, UNSUPPORTED, "in layers of their own are not understood"),
    ("deepseek_v4", {"layer_types": ["full_attention"] * 3}, UNSUPPORTED, "layer_types must be of sliding_att"),
    ("deepseek_v4", {"layer_types": None, "compress_ratios": [0, 4]}, INVALID, "must list 0, 4 or 128"),
    ("deepseek_v4", {"layer_types": None, "compress_ratios": [0, 4, 8]}, INVALID, "must list 0, 4 or 128"),
    ("deepseek_v4", {"head_dim": 256}, UNSUPPORTED, "head_dim 256 of which 64 are rotated"),
    ("deepseek_v4", {"qk_rope_head_dim": 32}, UNSUPPORTED, "head_dim 512 of which 32 are rotated"),
    ("deepseek_v4", {"num_hash_layers": -1}, INVALID, "num_hash_layers must lie between 0"),
    ("deepseek_v4", {"o_groups": 3}, INVALID, "o_groups 3 does not divide 8 heads of 512"),
    ("bailing_hybrid", {"num_hidden_layers": 3}, UNSUPPORTED, "3 are not whole groups of layer_group_size 2"),
    ("bailing_moe_v2_5", {"num_hidden_layers": 3}, UNSUPPORTED, "3 are not whole groups of layer_group_size 2"),
    ("bailing_hybrid", {"gated_attention_proj_granularity_type": "wise"}, UNSUPPORTED, "only head_wise, elem"),
    ("lfm2", {"block_ffn_dim_multiplier": 0}, INVALID, "block_ffn_dim_multiplier must be a number above 0"),
    ("lfm2", {"block_ffn_dim_multiplier": 1_000}, INVALID, "block_ffn_dim_multiplier must be a number above 0"),
    ("lfm2", {"block_ffn_dim_multiplier": True}, INVALID, "block_ffn_dim_multiplier must be a number above 0"),
    ("lfm2", {"block_ffn_dim_multiplier": "1"}, INVALID, "block_ffn_dim_multiplier must be a number above 0"),
    ("opt", {"word_embed_proj_dim": 48, **NO_HEADS}, UNSUPPORTED, "word_embed_proj_dim other"),
    ("opt", {"do_layer_norm_before": False, **NO_HEADS}, UNSUPPORTED, "norms after the layers"),
    ("molmo2_text", {"qk_norm_type": "none"}, UNSUPPORTED, "qk_norm_type must be qwen3 or olmo, not 'none'"),
    ("chatglm", {"multi_query_attention": True, "head_dim": None}, UNSUPPORTED, "this is the first ChatGLM"),
    ("chatglm", {"head_dim": 16}, UNSUPPORTED, "this is the first ChatGLM"),
    ("gpt_bigcode", {"num_key_value_heads": 2}, INVALID, "num_key_value_heads 2, but multi_query means 1"),
    ("gpt_bigcode", {"num_key_value_heads": 1, "multi_query": False}, INVALID, "but multi_query means 8"),
    ("roformer", {"embedding_size": 48}, UNSUPPORTED, "embedding_size 48 other than hidden_size 96"),
    ("t5", {"feed_forward_proj": 1}, INVALID, "feed_forward_proj must be a text, not 1"),
    ("bart", {"decoder_attention_heads": 5}, INVALID, "hidden_size 96 does not divide by 5 heads"),
    ("bart", {"encoder_attention_heads": 5}, INVALID, "hidden_size 96 does not divide by 5 heads"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "more", "error", "text"), REFUSED)
def test_what_a_type_cannot_be_is_refused(kind, more, error, text):
    with pytest.raises(error, match=text):
        model_of(kind, **more)


def test_a_type_without_an_encoder_is_none_of_two():
    with pytest.raises(UNSUPPORTED, match="this model type has no encoder"):
        EncoderDecoder(None, ROWS["chatglm"])


@pytest.mark.parametrize(
    ("kind", "more", "same"),
    # each says what the other does
    [
        (ERNIE, {"moe_layer_end_index": 1}, {}), (ERNIE, {"moe_layer_end_index": [7, -1]}, {}),
        (ERNIE, {"moe_num_experts": 3}, {"moe_num_experts": [3, 3]}),
        (ERNIE, {"moe_layer_start_index": [1, 1], "moe_layer_interval": [1, 1]}, {}),
        ("bailing_hybrid", {"gated_attention_proj_granularity_type": "head_wise"}, {}),
        ("bailing_hybrid",
         {"num_hidden_layers": 3, "layer_types": ["linear_attention", "full_attention", "full_attention"]},
         {"num_hidden_layers": 3, "layer_types": ["linear_attention", "attention", "attention"]}),
        ("gpt_bigcode", {"num_key_value_heads": 1}, {}), ("roformer", {"embedding_size": 96}, {}),
        ("gpt_bigcode", {"num_key_value_heads": 8, "multi_query": False}, {"multi_query": False}),
        ("opt", {"word_embed_proj_dim": 96, **NO_HEADS, "do_layer_norm_before": True},
         {"word_embed_proj_dim": None, **NO_HEADS, "do_layer_norm_before": True}),
        ("t5", {"feed_forward_proj": "gated-relu"}, {}),
        ("t5", {"feed_forward_proj": None}, {"feed_forward_proj": "relu"}),
        # a decoder as deep as the encoder, where nothing is said
        ("t5", {"num_decoder_layers": None}, {}),
        # two thirds of 240 are 160 whatever is said of both keys
        ("lfm2", {"block_ff_dim": None, "intermediate_size": 240}, {}),
        ("lfm2", {"block_auto_adjust_ff_dim": False, "block_ff_dim": 160}, {}),
        # int(0.9 x 160) = 144 is 160 in blocks of 32; 0.8 of it is 128 as it is
        ("lfm2", {"block_ffn_dim_multiplier": 0.9}, {}),
        ("lfm2", {"block_ffn_dim_multiplier": 0.8}, {"block_auto_adjust_ff_dim": False, "block_ff_dim": 128}),
        ("lfm2", {"block_ffn_dim_multiplier": 999, "block_ff_dim": 3},
         {"block_auto_adjust_ff_dim": False, "block_ff_dim": 2_016}),
        # heads where latent attention is switched off, whatever the sizes of keys
        ("deepseek_v2", {"use_mla": False, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8}, {}),
        ("deepseek_v2", {**LATENT, "use_mla": True, "head_dim": None, "num_key_value_heads": None},
         {**LATENT, "head_dim": None, "num_key_value_heads": None}),
    ],
)  # fmt: skip
def test_the_same_is_said_in_two_ways(kind, more, same):
    one, other = (model_of(kind, **said) for said in (more, same))
    assert (one.layers, one.embedding, one.end) == (other.layers, other.embedding, other.end)


def test_a_rotated_part_alone_is_a_latent_vector():
    for nope, rope in ((16, 0), (16, 8)):
        model = model_of("deepseek_v2", **LATENT | {"qk_nope_head_dim": nope, "qk_rope_head_dim": rope, **ROUTED})
        assert model.kv_bytes_per_token("bf16") == 2 * (24 + rope) * 2


def test_a_gate_of_every_element():
    # 8 heads of 10 in place of 8
    more = model_of("bailing_hybrid", gated_attention_proj_granularity_type="element_wise")
    assert more.num_parameters - model_of("bailing_hybrid").num_parameters == 8 * 9 * 96


def test_norms_over_the_width_of_all_heads():
    model = model_of("molmo2_text", qk_norm_type="olmo")
    assert {"norms 128 C", "norms 32 K"} < set(found(model.layers[0].weights))


def test_tables_of_positions_in_every_layer():
    # umt5: 8 heads of 32 buckets, in two layers of the decoder and two of the encoder
    every, first = model_of("umt5", **TYPES["t5"][0]), model_of("t5")
    assert every.num_parameters - first.num_parameters == 2 * 8 * 32


def test_embeddings_of_layers():
    # gemma4: 700 rows of 2 x 12, a matrix to them and a norm; of each layer two matrices and a norm
    plain = model_of("gemma4_text")
    more = model_of("gemma4_text", hidden_size_per_layer_input=12, vocab_size_per_layer_input=700)
    assert more.num_parameters - plain.num_parameters == 700 * 36 + 36 * 96 + 12 + 3 * (2 * 12 * 96 + 96)


def test_learned_keys_alone():
    # 6 tokens of 2 heads of 10 for values
    one, both = (model_of("pangu_pro_moe_v2", param_sink_with_value=with_value) for with_value in (False, True))
    assert both.num_parameters - one.num_parameters == 2 * 6 * 2 * 10


@pytest.mark.parametrize(
    ("kind", "given", "less"),
    # no types of tokens, whose rows are as wide as the embedding; an adapter of one language in each of two layers
    [
        ("bert", {"type_vocab_size": 0}, 2 * 96), ("bert", {"type_vocab_size": None}, 2 * 96),
        ("electra", {"type_vocab_size": 0}, 2 * 40), ("electra", {"type_vocab_size": None}, 2 * 40),
        ("xmod", {"languages": None}, 2 * 2 * (2 * 48 * 96 + 48 + 96)),
        ("xmod", {"languages": ["en"]}, 2 * 2 * (2 * 48 * 96 + 48 + 96)),
    ],
)  # fmt: skip
def test_what_an_encoder_can_be_without(kind, given, less):
    config = {"model_type": kind, **SIZES, **TYPES[kind][0], **NO_HEADS}
    without = calculator.model_from_hf_config({**config, **given})
    assert model_of(kind).num_parameters - without.num_parameters == less
    assert without.ignored_keys == ()


@pytest.mark.parametrize(
    ("multiple", "divisor", "width"),
    # 256 x 10.5 = 2,688 is half way from 2,560 to 2,816, 10.49 less; nine tenths of 1,280 are 1,152, which is not below
    [(10.5, 256, 2_816), (10.49, 256, 2_560), (5.0, 1_152, 1_152)],
)
def test_widths_round_half_up_and_are_no_more_than_a_tenth_below(multiple, divisor, width):
    lists = {"num_query_heads": [8, 8], "num_key_value_heads": [2, 2], "ffn_multipliers": [multiple] * 2}
    model = model_of("openelm", **lists, hidden_size=256, ffn_dim_divisor=divisor, num_attention_heads=None,
                     intermediate_size=None)  # fmt: skip
    assert model.intermediate_size == width


def test_heads_in_place_of_a_latent_vector_have_biases_of_all_projections():
    # 8 x 16 of queries, 2 x 16 of keys and of values and 96 of the output, in each of two layers
    more, plain = (model_of("deepseek_v2", attention_bias=bias) for bias in (True, False))
    assert more.num_parameters - plain.num_parameters == 2 * (128 + 2 * 32 + 96)
