"""What a list of modules matches by the rules of each engine, and what of a folder or of an index is read, by hand."""

import json
import time

import pytest
from checkpoints import llama_tensors, write_safetensors
from small_config import CONFIG

import calculator
from calculator.configs.checkpoints import folder
from calculator.configs.checkpoints.folder import from_headers, from_index
from calculator.configs.checkpoints.index import Index
from calculator.configs.checkpoints.safetensors import Tensor
from calculator.configs.checkpoints.tensors import Module, place_of
from calculator.configs.quantisation import patterns
from calculator.configs.quantisation.patterns import (
    Clock,
    Place,
    exactly,
    flattened,
    is_named,
    listed,
    named,
    pattern,
    pattern_of_glob,
    wildcards,
    within,
)

Q, QKV = "model.layers.1.self_attn.q_proj", "model.layers.1.self_attn.qkv_proj"
LINEAR = Place("linear", (Q,), (QKV,))
EXPERTS = Place("experts", ("model.layers.1.mlp.experts.0.up_proj",), ("model.layers.1.mlp.experts",))


@pytest.mark.parametrize(
    ("rule", "entries", "place", "matches"),
    [
        # vLLM fp8.py: names in full, of what it is loaded as part of too; of experts any entry that holds their own
        (exactly, [Q], LINEAR, True), (exactly, [QKV], LINEAR, True), (exactly, ["self_attn"], LINEAR, False),
        (exactly, [Q + "2"], LINEAR, False), (exactly, [], LINEAR, False),
        (exactly, ["model.layers.1.mlp.experts.7.up_proj"], EXPERTS, True),
        (exactly, ["model.layers.2.mlp.experts.7.up_proj"], EXPERTS, False),
        (exactly, ["model.layers.1.mlp"], EXPERTS, False),
        (exactly, ["model.layers.1.mlp.experts"], EXPERTS, True),
        (exactly, [f"{QKV}.experts"], LINEAR, False),
        # vLLM awq.py: a part of a name
        (within, ["self_attn"], LINEAR, True), (within, ["layers.1.self_attn.q_"], LINEAR, True),
        (within, ["o_proj"], LINEAR, False),
        (within, ["qkv"], LINEAR, True), (within, [], LINEAR, False),
        # vLLM modelopt.py: either, and wildcards; a star right behind a name is the module and all below it
        (wildcards, [Q], LINEAR, True), (wildcards, ["self_attn"], LINEAR, True),
        (wildcards, ["*self_attn*"], LINEAR, True),
        (wildcards, ["layers.1*"], LINEAR, True), (wildcards, ["layers.1.*"], LINEAR, False),
        (wildcards, ["*.1.*q_proj"], LINEAR, True), (wildcards, ["*.2.*q_proj"], LINEAR, False),
        (wildcards, ["model.layers.1*"], LINEAR, True),
        (wildcards, ["model.layers.1*"], Place("linear", ("model.layers.10.a",)), True),
        (wildcards, ["model.layers.1.*"], LINEAR, True), (wildcards, ["model.layers.2*"], LINEAR, False),
        (wildcards, ["model.layers.?.self_attn.q_proj"], LINEAR, True),
        (wildcards, ["model.layers.??.self_attn.q_proj"], LINEAR, False),
        (wildcards, ["model.layers.[12].self_attn.q_proj"], LINEAR, True), (wildcards, ["*"], LINEAR, True),
        # compressed-tensors utils.py: names in full, and expressions behind re:, from the beginning
        (named, [Q], LINEAR, True), (named, [QKV], LINEAR, True), (named, ["self_attn"], LINEAR, False),
        (named, ["re:.*self_attn"], LINEAR, True), (named, ["re:self_attn"], LINEAR, False),
        (named, ["re:.*o_proj"], LINEAR, False),
        (named, ["lm_head", "re:.*qkv_proj$"], LINEAR, True), (named, [], LINEAR, False),
    ],
)  # fmt: skip
def test_modules_that_a_list_matches(rule, entries, place, matches):
    assert rule(entries)(place) is matches


def test_a_target_is_a_name_or_an_expression():
    assert [is_named("Linear", each) for each in ("Linear", "linear", "re:Lin.*", "re:.*ear", "re:inear",
      "re:Linear")] == [
        True, False, True, True, False, True,
    ]  # fmt: skip
    assert LINEAR.all_names == (Q, QKV)


@pytest.mark.parametrize(
    ("entry", "parts"),
    [("a*", ("a", "a.*")), ("a.*", ("a.*",)), ("*", ("*",)), ("a", ("a",)), ("ab", ("ab",)), (".*", (".*",)),
     ("**", ("*", "*.*")),
     ("*a", ("*a",)), ("", ("",)), ("a*b", ("a*b",))],
)  # fmt: skip
def test_a_star_right_behind_a_name_is_the_module_and_all_below_it(entry, parts):
    assert patterns._whole_tree(entry) == parts


# What can take endless is not compiled


@pytest.mark.parametrize(
    "text", ["a" * 300, "a*b*c*d*e*f*", "(a){2}", "a{1,}b{2,3}", "(ab)+", "[*]" * 2, r"a\.b", "(a|b)c*", "(?:a)b+"]
)
def test_expressions_that_are_compiled(text):
    assert pattern(text).pattern == text


@pytest.mark.parametrize(
    "text",
    ["a" * 301, "a*b*c*d*e*f*g*", "(a*)*", "(a+)+", "(a+b)*", "(a{2})*", r"(a)\1", r"(a)\9", "(?P<x>a)(?P=x)",
     "(a*){3}",
     "a+b+c+d+e+f+g+", "a{1,}" * 7, "((a))*"],
)  # fmt: skip
def test_expressions_that_can_take_endless(text):
    with pytest.raises(calculator.InvalidValueError, match="longer than 300 characters or repeats within") as caught:
        pattern(text)
    assert (caught.value.what, caught.value.asked) == ("quantization_config", text)


@pytest.mark.parametrize("text", ["(", "[", "*a", "(?P<1>a)"])
def test_what_is_no_expression(text):
    with pytest.raises(calculator.InvalidValueError, match="is no regular expression"):
        pattern(text)


def test_wildcards_have_their_bounds():
    assert pattern_of_glob("a*b*c*d*e*f*").match("abcdef")
    assert pattern_of_glob("a" * 300).match("a" * 300)
    for text in ("a*b*c*d*e*f*g*", "a" * 301):
        with pytest.raises(calculator.InvalidValueError, match="longer than 300 characters or has more than 6 stars"):
            pattern_of_glob(text)


def test_lists_of_names():
    assert (listed(None, "a"), listed(["x"], "a"), listed(("x",), "a")) == ((), ("x",), ("x",))
    assert flattened(None, "a") == ()
    assert flattened([["x", "y"], "z", ("w",)], "a") == ("x", "y", "z", "w")
    assert len(listed(["x"] * 50_000, "a")) == 50_000
    for wrong, text in (("x", "a must be a list of names"), ([1], "a must be a list"), ({}, "a must be a list"),
                        (["x"] * 50_001, "a has more than 50,000 entries")):  # fmt: skip
        for read in (listed, flattened):
            with pytest.raises(calculator.InvalidValueError, match=text) as caught:
                read(wrong, "a")
            assert caught.value.what == "a"
    with pytest.raises(calculator.InvalidValueError, match="a must be a list of names"):
        flattened([[["x"]]], "a")


def test_matching_ends_after_ten_seconds(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    clock = Clock()
    for now[0] in (100.0, 109.9, 110.0):
        clock.check()
    now[0] = 110.001
    with pytest.raises(calculator.InvalidValueError, match="takes more than 10 s"):
        clock.check()
    assert patterns.MOST_SECONDS == 10


# Where a tensor belongs


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("model.layers.1.self_attn.q_proj.weight", ("layer", 1, "self_attn.q_proj", "weight")),
        ("transformer.h.0.attn.c_attn.bias", ("layer", 0, "attn.c_attn", "bias")),
        ("layers.1.mlp.experts.17.w1.weight_scale_inv", ("layer", 1, "mlp.experts.*.w1", "weight_scale_inv")),
        ("model.layers.1.mlp.experts.gate_up_proj_blocks", ("layer", 1, "mlp.experts.gate_up_proj", "blocks")),
        ("model.layers.1.mlp.experts.gate_up_proj", ("layer", 1, "mlp.experts.gate_up_proj", "weight")),
        ("model.layers.2.eh_proj.weight", ("apart", 2, "eh_proj", "weight")),
        ("mtp.fc.weight", ("apart", 0, "mtp.fc.weight", "")),
        ("model.layers.1.self_attn.rotary_emb.inv_freq",
         ("apart", 0, "model.layers.1.self_attn.rotary_emb.inv_freq", "")),
        ("visual.blocks.0.attn.qkv.weight", ("tower", 0, "visual.blocks.0.attn.qkv.weight", "")),
        ("multi_modal_projector.linear_1.weight", ("tower", 0, "multi_modal_projector.linear_1.weight", "")),
        ("model.embed_tokens.weight", ("ends", 0, "embed_tokens", "weight")),
        ("lm_head.qweight", ("ends", 0, "lm_head", "qweight")),
        ("model.norm.weight", ("ends", 0, "norm", "weight")),
    ],
)  # fmt: skip
def test_where_a_tensor_belongs(name, place):
    assert place_of(name, 2) == place


def test_what_tensors_of_a_module_take():
    def tensor(dtype, elements, size):
        return Tensor("a", dtype, elements, size)

    module = Module()
    assert (module.loaded_bytes, module.main, module.largest) == (0, "", -1)
    module.add(tensor("F32", 10, 40), "weight")
    module.add(tensor("F16", 5, 10), "bias")
    assert (module.bytes, module.elements, module.weights, module.biases, module.bias_bytes) == (50, 15, 10, 5, 10)
    # plain values are loaded in 16 bit
    assert (module.is_plain, module.loaded_bytes, module.main, module.largest) == (True, 30, "F32", 40)
    module.add(tensor("F8_E4M3", 100, 100), "weight")
    module.add(tensor("I32", 5, 20), "bias")
    assert (module.is_plain, module.loaded_bytes, module.main) == (False, 170, "F8_E4M3")
    assert (module.weights, module.biases, module.bias_bytes) == (110, 5, 10)
    scaled = Module()
    scaled.add(tensor("F32", 1, 4), "weight_scale")
    assert (scaled.is_plain, scaled.weights) == (False, 0)


# Folders


def plain(_, __, outputs, inputs):
    return {"weight": ("BF16", (outputs, inputs))}


def test_a_checkpoint_has_so_many_files_and_tensors_at_most(tmp_path, monkeypatch):
    assert (folder.MAX_FILES, folder.MAX_TENSORS) == (4_096, 2_000_000)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    write_safetensors(tmp_path / "model.safetensors", tensors := llama_tensors(CONFIG, plain))
    model = calculator.model_from_hf_config(CONFIG)
    for most, fine in ((len(tensors), True), (len(tensors) - 1, False)):
        monkeypatch.setattr(folder, "MAX_TENSORS", most)
        if fine:
            found = from_headers(model, [tmp_path / "model.safetensors"], "a")
            assert found.variations["weights"] == f"headers of 1 files with {len(tensors)} tensors"
        else:
            with pytest.raises(calculator.FileFormatError, match="has more than 20 tensors"):
                from_headers(model, [tmp_path / "model.safetensors"], "a")
    monkeypatch.setattr(folder, "MAX_TENSORS", 100)
    for number in range(3):
        write_safetensors(tmp_path / f"adapter_{number}.safetensors", {"a": ("BF16", (1,))})
    for most, fine in ((4, True), (3, False)):
        monkeypatch.setattr(folder, "MAX_FILES", most)
        if fine:
            assert calculator.load_model(str(tmp_path)).num_layers == 2
        else:
            with pytest.raises(calculator.FileFormatError, match="more than 3 safetensors files"):
                calculator.load_model(str(tmp_path))


def of_index(size=1_000, names=("model.norm.weight",), **config):
    model = calculator.model_from_hf_config({**CONFIG, **config})
    return from_index(model, Index(names, ("a.safetensors",), size)).checkpoint_bytes or 0


def test_what_an_index_says_of_all_weights():
    assert of_index() == 1_000
    # nothing is said, a layer for drafts is among them, an encoder that is not counted, or values that are not 16 bit
    assert of_index(0) == 0
    assert of_index(names=("model.layers.2.eh_proj.weight",)) == 0
    assert of_index(names=("visual.a.weight",)) == 0
    assert of_index(torch_dtype="float32") == 0
    assert of_index(torch_dtype="float16") == 1_000
    assert of_index(torch_dtype="float32", quantization_config={"quant_method": "fp8"}) == 1_000
    wrapped = {"model_type": "llava", "text_config": CONFIG, "vision_config": {
        "model_type": "clip_vision_model", "hidden_size": 64, "intermediate_size": 128,
        "num_hidden_layers": 2}}  # fmt: skip
    index = Index(("vision_tower.a.weight",), ("a.safetensors",), 1_000)
    assert from_index(calculator.model_from_hf_config(wrapped), index).checkpoint_bytes == 1_000
    found = from_index(calculator.model_from_hf_config(CONFIG), index._replace(names=("a",)))
    assert (found.weights_from, found.variations["checkpoint_bytes"]) == ("index", 1_000)
    assert found.source.endswith("; total_size of its index, 1,000 bytes")
