"""Names of modules: those of published checkpoints and of the reference's classes."""

import pytest

from calculator.architecture import blocks
from calculator.architecture.matrices import Sharding, WeightMatrix
from calculator.configs.quantisation.patterns import Place
from calculator.configs.quantisation.places import CLASSES, HEAD, Places


# Names of modules as published checkpoints have them: Llama, Falcon, Mixtral, DBRX, DeepSeek, Qwen, Nemotron-H, Phi
# and so on
@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("self_attn.q_proj", "model.layers.3.self_attn.q_proj model.language_model.layers.3.self_attn.q_proj "
         "language_model.model.layers.3.self_attn.q_proj language_model.layers.3.self_attn.q_proj "
         "model.decoder.layers.3.self_attn.q_proj decoder.layers.3.self_attn.q_proj layers.3.attention.wq "
         "transformer.h.3.attn.q_proj transformer.layers.3.self_attention.q_proj backbone.layers.3.mixer.q_proj"),
        ("self_attn.k_proj", "layers.3.attention.wk model.layers.3.self_attn.k_proj"),
        ("self_attn.v_proj", "layers.3.attention.wv model.layers.3.self_attn.v_proj"),
        ("self_attn.o_proj", "layers.3.attention.wo model.decoder.layers.3.self_attn.out_proj "
         "transformer.h.3.self_attention.dense model.layers.3.self_attn.o_proj"),
        ("self_attn.indexer.wk", "model.layers.3.self_attn.indexer.wk model.layers.3.attn.indexer.wk"),
        ("mlp.gate_proj", "model.layers.3.mlp.gate_proj layers.3.feed_forward.w1 model.layers.3.ffn.w1"),
        ("mlp.up_proj", "layers.3.feed_forward.w3 model.layers.3.mlp.fc1 backbone.layers.3.mixer.up_proj "
         "model.layers.3.block_sparse_moe.up_proj model.layers.3.mlp.up_proj"),
        ("mlp.down_proj", "layers.3.feed_forward.w2 model.layers.3.mlp.fc2 model.layers.3.mlp.down_proj"),
        ("mlp.experts.gate_proj",
         "model.layers.3.block_sparse_moe.experts.0.w1 model.layers.3.mlp.experts.0.gate_proj"),
        ("mlp.experts.up_proj",
         "model.layers.3.feed_forward.experts.0.up_proj backbone.layers.3.mixer.experts.0.up_proj"),
        ("mlp.experts.down_proj", "layers.3.ffn.experts.0.w2 model.layers.3.moe.experts.0.down_proj"),
        ("mlp.shared_experts.up_proj",
         "model.layers.3.mlp.shared_experts.up_proj model.layers.3.mlp.shared_expert.up_proj "
         "model.layers.3.feed_forward.shared_expert.up_proj backbone.layers.3.mixer.shared_experts.up_proj "
         "layers.3.ffn.shared_experts.w3 model.layers.3.block_sparse_moe.shared_experts.up_proj "
         "model.layers.3.mlp.shared_mlp.up_proj model.layers.3.shared_mlp.up_proj"),
        ("mixer.in_proj", "backbone.layers.3.mixer.in_proj model.layers.3.mamba.in_proj model.layers.3.ssm.in_proj "
         "model.layers.3.linear_attn.in_proj"),
        ("linear_attn.in_proj_qkvz", "model.layers.3.linear_attn.in_proj_qkvz model.layers.3.linear_attn.in_proj_qkv "
         "model.layers.3.linear_attn.in_proj_z model.layers.3.self_attn.in_proj_z"),
        ("linear_attn.in_proj_ba", "model.layers.3.linear_attn.in_proj_ba model.layers.3.linear_attn.in_proj_b "
         "model.layers.3.linear_attn.in_proj_a"),
        ("other.thing", "model.layers.3.other.thing"),
    ],
)  # fmt: skip
def test_modules_go_by_the_names_of_published_checkpoints(module, names):
    part = "experts" if ".experts." in module else "attention"
    matrix = WeightMatrix(part, 512, 256, 1, 1, Sharding.COLUMNS, module=module)
    for name in names.split():
        place = Places([name]).of(matrix, 3)
        assert name in place.names, name
        assert place.kind == ("experts" if part == "experts" else "linear")
        escaped = Places([name.replace(".", r"\.")]).of(matrix, 3)
        assert name in escaped.names
    assert Places([]).of(matrix, 4).names[0].startswith("model.layers.4.")
    assert len(Places([]).of(matrix, 4).names) == 1


@pytest.mark.parametrize(
    ("module", "wholes"),
    [
        ("self_attn.q_proj", "self_attn.qkv_proj self_attn.query_key_value"),
        ("self_attn.k_proj", "self_attn.qkv_proj self_attn.query_key_value"),
        ("self_attn.v_proj", "self_attn.qkv_proj self_attn.query_key_value"), ("self_attn.o_proj", ""),
        ("mlp.gate_proj", "mlp.gate_up_proj"), ("mlp.up_proj", "mlp.gate_up_proj"), ("mlp.down_proj", ""),
        ("self_attn.q_a_proj", "self_attn.fused_qkv_a_proj"),
        ("self_attn.kv_a_proj_with_mqa", "self_attn.fused_qkv_a_proj"),
    ],
)  # fmt: skip
def test_what_an_engine_loads_a_module_as_part_of(module, wholes):
    place = Places([]).of(WeightMatrix("attention", 512, 256, 1, 1, Sharding.COLUMNS, module=module), 0)
    assert place.wholes == tuple(f"model.layers.0.{whole}" for whole in wholes.split())


def test_experts_are_loaded_as_one():
    place = Places([]).of(WeightMatrix("experts", 512, 256, 8, 2, Sharding.COLUMNS, module="mlp.experts.up_proj"), 0)
    at = "model.layers.0.mlp.experts"
    assert place == Place("experts", (f"{at}.0.up_proj",), (at, f"{at}.gate_up_proj", f"{at}.up_proj"))
    assert Places([]).of(WeightMatrix("norms", 512, 1, 1, 1, Sharding.COPIED), 0) is None


def test_heads_and_classes_by_their_names():
    assert set(HEAD) == {"lm_head", "language_model.lm_head", "model.lm_head", "output", "head"}
    assert {kind: set(names.split()) for kind, names in CLASSES.items()} == {
        "linear": {"QKVParallelLinear", "MergedColumnParallelLinear", "RowParallelLinear", "ReplicatedLinear"},
        "experts": {"Linear", "RoutedExperts"}, "head": {"ParallelLMHead"}, "embedding": {"VocabParallelEmbedding"},
    }  # fmt: skip


# what the reference's classes call the matrices of a layer
LATENT = "q_b_proj kv_a_proj_with_mqa kv_b_proj o_proj"
MODULES = {  # made in the test
    "attention": (lambda: blocks.attention(64, 4, 2, 16, 16), "self_attn", "q_proj k_proj v_proj o_proj"),
    "latent": (lambda: blocks.latent_attention(64, 4, 32, 16, 8, 4, 8), "self_attn", f"q_a_proj {LATENT}"),
    "latent, whole queries": (lambda: blocks.latent_attention(64, 4, 0, 16, 8, 4, 8), "self_attn",
     f"q_proj {LATENT[9:]}"),
    "indexer": (lambda: blocks.indexer(64, 32, 4, 16), "self_attn.indexer", "wq_b wk weights_proj"),
    "mlp": (lambda: blocks.mlp(64, 128, True), "mlp", "gate_proj up_proj down_proj"),
    "mlp, no gate": (lambda: blocks.mlp(64, 128, False), "mlp", "up_proj down_proj"),
    "experts": (lambda: blocks.mlp(64, 128, True, part="experts"), "mlp.experts", "gate_proj up_proj down_proj"),
    "shared": (lambda: blocks.mlp(64, 128, True, part="shared experts"), "mlp.shared_experts",
     "gate_proj up_proj down_proj"),
    "router": (lambda: blocks.router(64, 8), "mlp", "gate"),
    "mamba 1": (lambda: blocks.mamba1(64, 128, 16, 4, 4, False, False), "mixer",
     "in_proj conv1d x_proj dt_proj dt_proj out_proj"),
    "mamba 2": (lambda: blocks.mamba2(64, 128, 8, 1, 16, 4, False, False, False, True), "mixer",
     "in_proj conv1d out_proj"),
    "delta net": (lambda: blocks.gated_delta_net(64, 2, 4, 16, 16, 4), "linear_attn",
     "in_proj_qkvz in_proj_ba conv1d out_proj"),
    "kimi": (lambda: blocks.kimi_delta_attention(64, 4, 16, 4), "self_attn",
             "qkv_proj f_a_proj f_b_proj g_a_proj g_b_proj b_proj o_proj"),
    "kimi, one gate": (lambda: blocks.kimi_delta_attention(64, 4, 16, 4, True), "self_attn",
                       "qkv_proj g_proj f_a_proj f_b_proj b_proj o_proj"),
}  # fmt: skip


@pytest.mark.parametrize(("made", "at", "leaves"), MODULES.values(), ids=MODULES)
def test_blocks_call_their_modules_as_the_reference_does(made, at, leaves):
    weights = tuple(made())
    assert [each.module for each in weights if each.module] == [f"{at}.{leaf}" for leaf in leaves.split()]
    # convolutions, norms, biases and routers are not quantised
    assert not any(
        each.quantised for each in weights if each.inputs == 1 or each.module.endswith(("conv1d", "mlp.gate"))
    )
