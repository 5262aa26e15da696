"""States, extras, ends, drafts and what a config says beside its layers: each by itself, worked out by hand."""

import json
from dataclasses import replace

import pytest
from checkpoints import llama_gguf, llama_tensors, write_gguf, write_safetensors
from small_config import CONFIG
from test_matrices_by_hand import LATENT, ROUTED, SIZES, found, line

import calculator
from calculator.architecture.caches import Recurrence
from calculator.architecture.latent import LatentAttention
from calculator.architecture.layers import (
    ChunkedAttention,
    EncoderAttention,
    FullAttention,
    IndexedAttention,
    SharedCache,
    SlidingWindow,
)
from calculator.architecture.matrices import Sharding
from calculator.architecture.recurrent import RecurrentState
from calculator.architecture.weights import weight_bytes_per_rank
from calculator.configs.blocks.builder import check_understood
from calculator.configs.blocks.ends import end_of
from calculator.configs.blocks.experts import experts_of
from calculator.configs.blocks.extras import Extra, _size, end_extras, extras_of
from calculator.configs.blocks.layers import Assembler
from calculator.configs.blocks.mtp import MTP, mtp_draft
from calculator.configs.blocks.state_layers import state_layer
from calculator.configs.checkpoints.index import parse_index
from calculator.configs.family import Family
from calculator.configs.keys import Keys
from calculator.configs.reader import with_quantisation
from calculator.configs.traits import State

INVALID, UNSUPPORTED = calculator.InvalidValueError, calculator.UnsupportedError


def model_of(kind="llama", **more):
    asked = {"model_type": kind, **SIZES, **more}
    return calculator.model_from_hf_config({key: value for key, value in asked.items() if value is not None})


def state(block, given, hidden=96, **row):
    keys = Keys(given, {})
    spec, weights = state_layer(keys, Family(state=State(block, **row)), hidden)
    return spec, weights, keys


# States: vLLM 0.33.0 model_executor/layers/mamba/mamba_utils.py

M2 = {"mamba_n_heads": 8, "mamba_n_groups": 2, "mamba_d_state": 16, "mamba_d_conv": 4, "mamba_expand": 2}
MAMBA_2 = RecurrentState(Recurrence.MAMBA2, 192, 3, 8 * 24 * 16, 2, 8, groups=2, group_width=32)
M1 = {"mamba_d_state": 10, "mamba_d_conv": 4, "mamba_expand": 2}
MAMBA_1 = RecurrentState(Recurrence.MAMBA1, 192, 3, 1_920, 2, 192)
NET = {"linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8, "linear_value_head_dim": 12,
       "linear_conv_kernel_dim": 4}  # fmt: skip
DELTA = RecurrentState(Recurrence.GATED_DELTA_NET, 2 * 16 + 48, 3, 4 * 8 * 12, 2, 2)
KIMI = RecurrentState(Recurrence.KIMI_DELTA, 3 * 64, 3, 4 * 16 * 16, 4, 4)
LIGHT = RecurrentState(Recurrence.LIGHTNING, 0, 0, 8 * 16 * 16, 2, 8)
NAMED = {"dtype": "my_dtype"}
WITHOUT = [{key: value for key, value in one.items() if key != "mamba_expand"} for one in (M2, M1)]


@pytest.mark.parametrize(
    ("block", "given", "row", "expected"),
    [
        ("mamba2", M2, {}, MAMBA_2), ("mamba2", {**M2, "mamba_d_head": "auto"}, {}, MAMBA_2),
        ("mamba2", {**M2, "mamba_d_head": 24}, {}, MAMBA_2),
        ("mamba2", {**WITHOUT[0], "inner": 192}, {"inner": "inner"}, MAMBA_2),
        # the inner width is that of the heads, whatever the expansion
        ("mamba2", {**M2, "mamba_expand": 7, "mamba_d_head": 24}, {"inner_is_heads": True}, MAMBA_2),
        ("mamba2", {**M2, "my_dtype": "float32"}, NAMED, replace(MAMBA_2, state_element_bytes=4, state_named=True)),
        ("mamba2", {**M2, "my_dtype": "torch.bfloat16"}, NAMED, replace(MAMBA_2, state_named=True)),
        ("mamba2", {**M2, "my_dtype": "auto"}, NAMED, replace(MAMBA_2, state_named=True)),
        ("mamba2", M2, NAMED, MAMBA_2),
        ("mamba1", M1, {}, MAMBA_1), ("mamba1", {**WITHOUT[1], "wide": 192}, {"inner": "wide"}, MAMBA_1),
        ("mamba1", {**M1, "my_dtype": "float16"}, NAMED, replace(MAMBA_1, state_named=True)),
        ("gated_delta_net", NET, {}, DELTA),
        ("gated_delta_net", {**NET, "my_dtype": "float32"}, NAMED,
         replace(DELTA, state_element_bytes=4, state_named=True)),
        # heads of attention; three quarters of 96 over 4 heads, and values twice as wide
        ("gated_delta_net", {"num_attention_heads": 4, "linear_conv_kernel_dim": 4}, {},
         RecurrentState(Recurrence.GATED_DELTA_NET, 4 * 4 * 18, 3, 4 * 18 * 36, 2, 4)),
        ("gated_delta_net", {"linear_conv_kernel_dim": 2}, {},
         RecurrentState(Recurrence.GATED_DELTA_NET, 4 * 72, 1, 72 * 144, 2, 1)),
        ("kimi_delta", {"linear_attn_config": {"num_heads": 4, "head_dim": 16, "short_conv_kernel_size": 4}}, {}, KIMI),
        ("kimi_delta", {"linear_num_heads": 4, "linear_head_dim": 16, "linear_conv_kernel_dim": 4}, {}, KIMI),
        ("kimi_delta", {"num_attention_heads": 4, "head_dim": 16, "linear_conv_kernel_dim": 4}, {}, KIMI),
        ("kimi_delta", {"linear_attn_config": {"num_heads": 4}, "head_dim": 16, "linear_conv_kernel_dim": 4}, {}, KIMI),
        ("kimi_delta", {"num_attention_heads": 4, "head_dim": 16, "linear_conv_kernel_dim": 4, "my_dtype": "float16"},
         NAMED, replace(KIMI, state_element_bytes=2)),
        ("lightning", {"num_attention_heads": 8, "head_dim": 16}, {}, LIGHT),
        ("lightning", {"num_attention_heads": 6}, {}, RecurrentState(Recurrence.LIGHTNING, 0, 0, 6 * 16 * 16, 2, 6)),
        ("short_conv", {"mamba_d_conv": 3}, {}, RecurrentState(Recurrence.SHORT_CONV, 96, 2, 0, 2, 96)),
        ("short_conv", {"mamba_d_conv": 3, "conv_dim": 96, "conv_dim_out": 96}, {},
         RecurrentState(Recurrence.SHORT_CONV, 96, 2, 0, 2, 96)),
    ],
)  # fmt: skip
def test_what_a_state_keeps(block, given, row, expected):
    spec, _, keys = state(block, given, **row)
    assert spec == expected
    assert keys.ignored() == ()


@pytest.mark.parametrize(("said", "rank"), [({}, 6), ({"mamba_dt_rank": "auto"}, 6), ({"mamba_dt_rank": 9}, 9)])
def test_the_rank_of_a_time_step(said, rank):
    # 96 / 16 in whole numbers, and of 97 one more
    _, weights, _ = state("mamba1", {**M1, **said}, inner_norms=True)
    assert f"state-layers 192x{rank} C mixer.dt_proj" in found(weights)
    assert found(weights)[f"norms {rank} ="] == 1
    assert found(weights)["norms 2/2*10 ="] == 1
    if not said:
        assert "state-layers 194x7 C mixer.dt_proj" in found(state("mamba1", M1, hidden=97)[1])


@pytest.mark.parametrize(
    ("block", "given", "error", "text"),
    [
        ("mamba2", {**M2, "mamba_d_head": 23}, INVALID, "8 mamba_d_head"),
        ("mamba2", {**M2, "mamba_n_groups": 3}, INVALID,
         "mamba_n_heads 8 does not divide by mamba_n_groups 3"),
        ("mamba2", {**M2, "mamba_n_heads": 7}, INVALID, "do not make the state layers' inner width 192"),
        ("gated_delta_net", {**NET, "linear_num_value_heads": 3}, INVALID,
         "3 does not divide by linear_num_key_heads 2"),
        ("short_conv", {"mamba_d_conv": 3, "conv_dim": 95}, UNSUPPORTED, "conv_dim 95 other than hidden_size 96"),
        ("mamba1", {**M1, "my_dtype": "float8"}, UNSUPPORTED,
         "my_dtype must be one of auto, bfloat16, float16, float32"),
    ],
)  # fmt: skip
def test_states_that_cannot_be(block, given, error, text):
    with pytest.raises(error) as caught:
        state(block, given, dtype="my_dtype")
    assert text.replace("8 mamba_d_head", "do not make the state layers' inner width 192") in str(caught.value)
    with pytest.raises(UNSUPPORTED, match="this model type has no recurrent layers"):
        state_layer(Keys({}, {}), Family(), 96)
    with pytest.raises(UNSUPPORTED, match="this model type has no experts"):
        next(experts_of(Assembler(Keys(SIZES, {}), Family())))


# What attention keeps, by its kind


@pytest.mark.parametrize(
    ("kind", "more", "expected"),
    [
        ("llama", {}, [FullAttention(2, 16, 16)] * 2),
        ("mistral", {"sliding_window": 64}, [SlidingWindow(2, 16, 16, window=64)] * 2),
        ("llama4_text", {"attention_chunk_size": 32, "num_local_experts": 2, "num_experts_per_tok": 1,
                         "no_rope_layers": [1, 0]}, [ChunkedAttention(2, 16, 16, window=32), FullAttention(2, 16, 16)]),
        ("minimax_m3_vl_text", {"layer_types": ["full_attention", "minimax_m3_sparse"], "num_experts": 2,
          "index_n_heads": 4,
                                "num_experts_per_tok": 1, "index_head_dim": 32, "shared_intermediate_size": 8,
                                "mlp_layer_types": ["dense"] * 2, "dense_intermediate_size": 160},
         [FullAttention(2, 16, 16), IndexedAttention(2, 16, 16, index_head_dim=32)]),
        ("hunyuan_v1_dense", {"use_cla": True, "cla_share_factor": 2}, [FullAttention(2, 16, 16), SharedCache()]),
        ("qwen3", {"is_causal": False}, [EncoderAttention(8, 2)] * 2),
        ("qwen3", {"architectures": ["LlamaBidirectionalModel"]}, [EncoderAttention(8, 2)] * 2),
        ("minicpm3", {**LATENT, "num_key_value_heads": 8, "head_dim": None},
         [LatentAttention(24, 8, 0, 24, 10, False)] * 2),
        ("minicpm3", {**LATENT, "num_key_value_heads": 8, "head_dim": None, "qk_rope_head_dim": 0},
         [LatentAttention(24, 0, 0, 16, 10, False)] * 2),
        ("deepseek_v32", {**LATENT, **ROUTED, "first_k_dense_replace": 2, "index_n_heads": 4, "index_head_dim": 128,
                          "n_shared_experts": 1, "indexer_types": ["full", "shared"], "head_dim": None},
         [LatentAttention(24, 8, 128, 24, 10, False), LatentAttention(24, 8, 128, 24, 10, True)]),
    ],
)  # fmt: skip
def test_what_attention_keeps(kind, more, expected):
    model = model_of(kind, **more)
    assert [group.spec for group in model.layers for _ in range(group.count)] == expected


def test_what_reads_a_text_as_a_whole_has_no_copies_of_heads():
    split = found(model_of("qwen3", is_causal=False).layers[0].weights)
    assert "attention 32x96 C self_attn.k_proj" in split
    assert not [each for each in split if " K " in each]
    with pytest.raises(UNSUPPORTED, match="latent attention that reads a text as a whole"):
        model_of("minicpm3", **LATENT, is_causal=False, head_dim=None)
    with pytest.raises(INVALID, match="q_lora_rank is missing: the indexer reads"):
        calculator.model_from_hf_config({
            **{key: value for key, value in SIZES.items() if key != "head_dim"}, "model_type": "deepseek_v32", **LATENT,
            **ROUTED, "q_lora_rank": None, "index_n_heads": 4, "index_head_dim": 128, "n_shared_experts": 1,
        })  # fmt: skip


def test_values_of_latent_heads_are_hidden_size_over_heads_where_nothing_is_said():
    config = {**SIZES, "model_type": "minicpm3", **LATENT, "v_head_dim": None}
    del config["head_dim"]
    assert calculator.model_from_hf_config(config).layers[0].spec == LatentAttention(24, 8, 0, 24, 12, False)


# Matrices that only some types have


def extra(*args, plan=None, end=False, given=None, **more):
    class Layer:
        hidden, keys = 96, Keys({"rows": 5, "cols": 7, "on": True, "off": False, **(given or {})}, {})
        family = Family(extras=(Extra(*args, **more),))

    made = end_extras(Layer) if end else extras_of(Layer, plan)
    return [line(matrix) for matrix in made]


def plan(kind="full_attention", sparse=False, width=160):
    from calculator.configs.blocks.builder import LayerPlan
    from calculator.configs.blocks.heads import Heads

    return LayerPlan(kind, Heads(8, 2, 16, 12), sparse, width)


@pytest.mark.parametrize(
    ("outputs", "inputs", "shape"),
    [
        ("hidden", "1", "96"), ("heads*head_dim", "hidden", "128x96"), ("groups*v_head_dim", "3", "24x3"),
        ("rows*2", "cols", "10x7"),
        ("width", "hidden", "160x96"), ("1", "1", "1"), ("hidden", "rows*rows", "96x25"),
    ],
)  # fmt: skip
def test_sizes_of_an_extra_are_products(outputs, inputs, shape):
    assert extra("attention", outputs, inputs, plan=plan()) == [f"attention {shape} ="]
    assert extra("streams", outputs, inputs, copies=3, sharding=Sharding.ROWS, plan=plan()) == [
        f"streams 3/3*{shape} R"
    ]


@pytest.mark.parametrize(
    ("where", "kinds"),
    [("all", "fwsF"), ("attention", "fwF"), ("sparse", "F"), ("dense", "fws"), ("sliding_attention", "w"),
     ("linear_attention", "s"),
     ("end", "")],
)  # fmt: skip
def test_layers_that_have_an_extra(where, kinds):
    plans = {"f": plan(), "w": plan("sliding_attention"), "s": plan("linear_attention"), "F": plan(sparse=True)}
    has = "".join(kind for kind, one in plans.items() if extra("norms", "hidden", where=where, plan=one))
    assert has == kinds
    assert bool(extra("norms", "hidden", where=where, end=True)) is (where == "end")


@pytest.mark.parametrize(
    ("when", "is_there"),
    [
        (True, True),
        (False, False),
        ("on", True),
        ("off", False),
        ("none", False),
        ("off?", True),
        ("none?", False),
        ("off or on", True),
    ],
)
def test_keys_that_decide_of_an_extra(when, is_there):
    assert bool(extra("head", "hidden", when=when, plan=plan())) is is_there
    assert bool(extra("head", "hidden", when=when, where="end", end=True)) is is_there


def test_an_extra_of_no_part_or_no_size():
    with pytest.raises(ValueError, match="'heads' is no part of a model"):
        Extra("heads", "hidden")
    assert extra("attention", "rows", "hidden", given={"rows": 0}, plan=plan()) == []
    assert extra("attention", "hidden", "rows", given={"rows": 0}, plan=plan()) == []
    assert extra("attention", "rows", given={"rows": 0}, plan=plan()) == []
    # a layer without a dense MLP has no width of its own: a key of that name is read
    assert extra("attention", "width", "hidden", given={"width": 9}, plan=plan(width=0)) == ["attention 9x96 ="]

    class Layer:
        keys = Keys({"rows": 5}, {})

    assert _size(Layer, "rows*4*known", {"known": 3}) == 60


# What a type does not understand


def check(given, **row):
    keys = Keys(given, {})
    check_understood(keys, Family(**row))
    return keys


def test_what_would_change_a_model_is_refused():
    for given in ({"num_experts": 1}, {"num_experts": 0}, {"num_experts": None}, {}):
        check(given)
    with pytest.raises(UNSUPPORTED, match="num_experts 2: a mixture of experts is not understood") as caught:
        check({"num_experts": 2})
    assert (caught.value.what, caught.value.asked) == ("num_experts", 2)
    check({"num_experts": 2}, harmless=("num_experts",))
    assert check({"my_window": 5}, harmless=("my_window",)).ignored() == ()
    for wanted, others in ((1, (2, True, 0)), (True, (1, False)), ("x", ("y",)), (0, (False, 1))):
        check({"a": wanted}, required={"a": wanted})
        check({}, required={"a": wanted})
        check({"b": {"a": wanted}}, required={"b.a": wanted})
        check({"b": None}, required={"b.a": wanted})
        for other in others:
            for given, name in (({"a": other}, "a"), ({"b": {"a": other}}, "b.a")):
                with pytest.raises(
                    UNSUPPORTED, match=f"{name} .* is not understood for this model type, only"
                ) as caught:
                    check(given, required={name: wanted})
                assert (caught.value.what, caught.value.asked, caught.value.allowed) == (name, other, wanted)


# The end of a model that is none of language


@pytest.mark.parametrize(
    ("name", "more", "expected"),
    [
        ("LlamaForCausalLM", {}, ["norms 96 =", "head 1000x96 C 16 lm_head"]), ("LlamaModel", {}, ["norms 96 ="]),
        ("GPT2LMHeadModel", {}, ["norms 96 =", "head 1000x96 C 16 lm_head"]),
        ("GPT2DoubleHeadsModel", {}, ["norms 96 =", "head 1000x96 C 16 lm_head"]),
        ("ChatGLMModel", {}, ["norms 96 =", "head 1000x96 C 16 lm_head"]),
        ("XChatModel", {}, ["norms 96 =", "head 1000x96 C 16 lm_head"]),
        ("LlamaForSequenceClassification", {}, ["norms 96 =", "head 2x96 = 16"]),
        ("LlamaForSequenceClassification", {"num_labels": 5}, ["norms 96 =", "head 5x96 = 16"]),
        ("LlamaForSequenceClassification", {"num_labels": 5, "id2label": {"0": "a"}}, ["norms 96 =", "head 1x96 = 16"]),
        ("LlamaForSequenceClassification", {"num_labels": 0}, ["norms 96 =", "head 2x96 = 16"]),
        ("LlamaForSequenceClassification", {"num_labels": True}, ["norms 96 =", "head 2x96 = 16"]),
        ("LlamaForSequenceClassification", {"num_labels": 2**24 - 1}, ["norms 96 =", f"head {2**24 - 1}x96 = 16"]),
        ("LlamaForSequenceClassification", {"num_labels": 2**24}, ["norms 96 =", "head 2x96 = 16"]),
        ("LlamaForTokenClassification", {"num_labels": 3}, ["norms 96 =", "head 3x96 = 16", "head 3 ="]),
        (None, {}, ["norms 96 =", "head 1000x96 C 16 lm_head"]),
    ],
)  # fmt: skip
def test_the_end_of_a_model_follows_its_class(name, more, expected):
    end = model_of().end
    text = {"architectures": [name] if name else [], **more}
    assert [line(matrix) for matrix in end_of(end, text, 96)] == expected
    assert end_of(end, {"architectures": "LlamaModel"}, 96) == end
    assert end_of(end, {}, 96) == end


# Layers that predict further tokens


def test_types_whose_layers_predict_further_tokens():
    assert {name: (row.key, row.parts, row.norms, row.splits_join) for name, row in MTP.items()} == {
        **dict.fromkeys(("deepseek_v3", "deepseek_v32", "glm_moe_dsa", "glm4_moe", "glm4_moe_lite", "mimo"),
                        ("num_nextn_predict_layers", ("last",), 3, False)),
        "ernie4_5_moe": ("num_nextn_predict_layers", ("first",), 2, False),
        "qwen3_next": ("num_nextn_predict_layers", ("full",), 3, True),
        **dict.fromkeys(("qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text"),
                        ("mtp_num_hidden_layers", ("full",), 3, True)),
        "nemotron_h": ("num_nextn_predict_layers", ("full", "experts"), 3, False),
    }  # fmt: skip


def deepseek(**more):
    return model_of("deepseek_v3", **{**LATENT, **ROUTED, "first_k_dense_replace": 1, "n_shared_experts": 1,
      "head_dim": None,
                                      "num_key_value_heads": 8, **more})  # fmt: skip


def test_a_draft_of_layers_like_the_last():
    model = deepseek(num_nextn_predict_layers=2)
    draft = mtp_draft(model, None)
    assert (draft.num_tokens, draft.heads, mtp_draft(model, 5).num_tokens) == (2, 8, 5)
    assert [(group.count, group.weights) for group in draft.layers] == [(2, model.layers[-1].weights)]
    # eh_proj of both halves whole on every rank, enorm, hnorm and the norm before the head, each layer's own
    assert [line(each) for each in draft.own] == ["draft 96x192 = 16", "norms 3/3*96 ="] * 2
    assert [line(each) for each in draft.shared] == ["embedding 1000x96 C 16 embed_tokens", "head 1000x96 C 16 lm_head"]
    tied = mtp_draft(deepseek(tie_word_embeddings=True), None)
    assert [line(each) for each in tied.shared] == ["embedding 1000x96 C 16 embed_tokens"] * 2
    assert (tied.num_tokens, tied.layers[0].count) == (1, 1)


def test_a_draft_of_a_hybrid_is_like_its_last_full_attention():
    config = {
        **ROUTED, "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8,
        "linear_value_head_dim": 12,
        "linear_conv_kernel_dim": 4, "layer_types": ["full_attention", "linear_attention"],
        "shared_expert_intermediate_size": 24,
    }  # fmt: skip
    model = model_of("qwen3_next", **config, num_nextn_predict_layers=2)
    draft = mtp_draft(model, None)
    assert [(group.count, group.weights) for group in draft.layers] == [(2, model.layers[0].weights)]
    assert [line(each) for each in draft.own] == ["draft 96x192 C", "norms 3/3*96 ="]


@pytest.mark.parametrize("count", [0, -1, True, "1", 1.0])
def test_a_checkpoint_without_such_layers_is_refused(count):
    model = replace(deepseek(), fields={"model_type": "deepseek_v3", "num_nextn_predict_layers": count})
    with pytest.raises(UNSUPPORTED, match="has no layers that predict further tokens") as caught:
        mtp_draft(model, None)
    assert (caught.value.what, caught.value.asked) == ("speculative_config", "mtp")


def test_a_type_whose_such_layers_are_not_known_is_refused():
    with pytest.raises(UNSUPPORTED, match=r"are not known for .*, of the type llama") as caught:
        mtp_draft(model_of(), None)
    assert caught.value.allowed == tuple(MTP)
    # what a wrapper's text part says stands above the rest
    fields = {
        "model_type": "w",
        "num_nextn_predict_layers": 9,
        "text_config": {"model_type": "mimo", "num_nextn_predict_layers": 3},
    }
    assert mtp_draft(replace(model_of(), fields=fields), None).num_tokens == 3
    assert (
        mtp_draft(replace(model_of(), fields={"num_nextn_predict_layers": 4}, model_type="mimo"), None).num_tokens == 4
    )


# What a config says beside its layers


@pytest.mark.parametrize(
    ("more", "field", "expected"),
    [
        ({"model_max_length": 512}, "max_position_embeddings", 512), ({}, "max_position_embeddings", 2_048),
        ({}, "mlp_projections", 3),
        ({"torch_dtype": "torch.float16"}, "torch_dtype", "float16"), ({"dtype": "float32"}, "torch_dtype", "float32"),
        ({"torch_dtype": "float8"}, "torch_dtype", None), ({"torch_dtype": 5}, "torch_dtype", None),
        ({}, "name", "llama"),
        ({"_name_or_path": "x" * 81}, "name", "x" * 80), ({"_name_or_path": ""}, "name", "llama"), ({}, "id", "custom"),
        ({"_name_or_path": 5}, "name", "llama"), ({"my_key": 5, "another": 6}, "ignored_keys", ("another", "my_key")),
        ({}, "num_experts_per_tok", 0), ({}, "moe_intermediate_size", 0), ({}, "needs_encoder", False),
        ({}, "source", "config.json of model_type llama"), ({}, "model_type", "llama"), ({}, "unverified", ""),
    ],
)  # fmt: skip
def test_what_a_config_says_beside_its_layers(more, field, expected):
    assert getattr(model_of(**more), field) == expected


def test_what_a_config_of_experts_says_beside_its_layers():
    model = model_of("qwen3_moe", **ROUTED)
    assert (model.num_experts_per_tok, model.moe_intermediate_size, model.intermediate_size) == (2, 40, 160)
    assert model_of("gpt2", intermediate_size=None, head_dim=None, num_key_value_heads=None).mlp_projections == 2
    assert model_of("t5", num_layers=2, num_heads=8, d_kv=16, d_ff=160, relative_attention_num_buckets=32).needs_encoder
    wrapped = calculator.model_from_hf_config(
        {"model_type": "w", "dtype": "float16", "text_config": {**SIZES, "model_type": "llama"}}
    )
    assert (wrapped.torch_dtype, wrapped.model_type, wrapped.name) == ("float16", "llama", "w")
    assert len(wrapped.assumed) >= 1
    with pytest.raises(INVALID, match="max_position_embeddings is missing"):
        calculator.model_from_hf_config({**SIZES, "model_type": "chatglm", "multi_query_attention": True,
          "kv_channels": 16,
                                         "multi_query_group_num": 2, "max_position_embeddings": None, "head_dim": None,
                                         "num_key_value_heads": None, "add_qkv_bias": True})  # fmt: skip


def test_the_quantisation_that_stands_beside_a_config(tmp_path):
    config, said = {"model_type": "llama"}, {"quant_method": "fp8"}
    assert with_quantisation(config, None) is config
    assert with_quantisation([], said) == []
    assert with_quantisation({"quantization_config": {}}, said) == {"quantization_config": {}}
    assert with_quantisation(config, said) == {**config, "quantization_config": said}
    assert with_quantisation({**config, "quantization_config": None}, said)["quantization_config"] == said
    assert with_quantisation(config, {}) is config
    assert with_quantisation(config, tmp_path / "none.json") is config
    (tmp_path / "a.json").write_text(json.dumps(said))
    assert with_quantisation(config, tmp_path / "a.json")["quantization_config"] == said
    (tmp_path / "a.json").write_text("[1]")
    with pytest.raises(calculator.CalculatorError):
        with_quantisation(config, tmp_path / "a.json")


# Files


def test_an_index_names_texts():
    for files in ({"a": 5}, {"a": "a.safetensors", "b": 5}, {"a": None, "b": "a.safetensors"}):
        with pytest.raises(calculator.FileFormatError, match="must name up to 4,096 files"):
            parse_index(json.dumps({"weight_map": files}).encode(), "a")


WIDE = {**CONFIG, "hidden_size": 512, "intermediate_size": 1024}


def test_a_gguf_file_is_named_by_most_of_its_values(tmp_path):
    values, tensors = llama_gguf(WIDE)
    size = write_gguf(tmp_path / "a.gguf", values, tensors)
    model = calculator.load_model(str(tmp_path / "a.gguf"))
    counted = {"Q4_K": 0, "Q6_K": 0, "F32": 0}
    for kind, shape in tensors.values():
        counted[kind] += shape[0] * (shape[1] if len(shape) > 1 else 1)
    total = sum(counted.values())
    kinds = sorted(counted, key=lambda kind: -counted[kind])
    assert model.weight_dtype == "q4_k_m"
    assert model.stored_as == ", ".join(f"{100 * counted[kind] / total:.1f} % {kind}" for kind in kinds)
    assert model.source == f"header of a.gguf with {len(tensors)} tensors" == model.variations["weights"]
    assert weight_bytes_per_rank(model) == (size,)
    # more of six bits than of four
    heavier = {
        name: ("Q6_K" if "ffn" in name and len(shape) > 1 else kind, shape) for name, (kind, shape) in tensors.items()
    }
    write_gguf(tmp_path / "b.gguf", values, heavier)
    assert calculator.load_model(str(tmp_path / "b.gguf")).weight_dtype == "q6_k"
    plain = {name: ("F32", shape) for name, (_, shape) in tensors.items()}
    write_gguf(tmp_path / "c.gguf", values, plain)
    assert (
        calculator.load_model(str(tmp_path / "c.gguf")).weight_dtype
        == calculator.model_from_hf_config(WIDE).weight_dtype
    )


@pytest.mark.parametrize("prefix", ["v.blk.0.attn_q", "mm.0", "a.conv1"])
def test_encoders_in_a_gguf_file_are_not_of_its_layers(tmp_path, prefix):
    values, tensors = llama_gguf(WIDE)
    size = write_gguf(tmp_path / "a.gguf", values, tensors)
    write_gguf(tmp_path / "b.gguf", values, {**tensors, f"{prefix}.weight": ("F32", (64, 64))})
    assert weight_bytes_per_rank(calculator.load_model(str(tmp_path / "b.gguf"))) == (size,)


def test_projections_that_are_stored_as_one_are_shared_by_their_sizes(tmp_path):
    # qkv_proj and gate_up_proj of Phi 3; a rank of two has half of each
    tensors = llama_tensors(WIDE, lambda _, __, outputs, inputs: {"weight": ("F8_E4M3", (outputs, inputs))})
    joined = {name: kind for name, kind in tensors.items() if not any(each in name for each in ("q_proj", "k_proj",
       "v_proj",
              "gate_proj", "up_proj"))}  # fmt: skip
    for layer in range(2):
        at = f"model.layers.{layer}"
        joined[f"{at}.self_attn.qkv_proj.weight"] = ("F8_E4M3", (512 + 2 * 256, 512))
        joined[f"{at}.mlp.gate_up_proj.weight"] = ("F8_E4M3", (2 * 1024, 512))
    sizes = []
    for number, each in enumerate((tensors, joined)):
        (path := tmp_path / str(number)).mkdir()
        (path / "config.json").write_text(json.dumps(WIDE))
        total = write_safetensors(path / "model.safetensors", each)
        model = calculator.load_model(str(path))
        assert weight_bytes_per_rank(model) == (total,)
        assert model.weight_dtype == "fp8"
        sizes.append([weight_bytes_per_rank(model, "auto", 2), [len(group.weights) for group in model.layers]])
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize(
    ("given", "longest", "rows"),
    # a table has the positions of the class, however short the texts are that a checkpoint is made for
    [
        ({"n_positions": 2_048, "model_max_length": 512}, 512, 2_048), ({"n_positions": 2_048}, 2_048, 2_048),
        ({"n_positions": None, "model_max_length": 512}, 512, 512),
    ],
)  # fmt: skip
def test_positions_that_are_learned(given, longest, rows):
    config = {key: SIZES[key] for key in ("num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size")}
    model = calculator.model_from_hf_config({**config, "model_type": "gpt2", **given})
    assert model.max_position_embeddings == longest
    assert f"embedding {rows * 96} =" in found(model.embedding)
