"""Which model and which device a log means, where its names do not say it: by bytes, classes, sizes and words."""

import pytest

from calculator import load_gpu, load_model
from calculator.catalogue.presets import gpu_ids, model_ids
from calculator.errors import InvalidValueError
from calculator.logs import implied, names
from calculator.logs.implied import KEPT_IN, _Printed, likely, named_beside, of_class, sized
from calculator.logs.questions import nearest

GIB = 2**30
LLAMA = load_model("llama-3.1-8b")
PARAMETERS = 8_030_261_248
SIZE = PARAMETERS / GIB
"""Llama 3.1 8B: 32 layers of 2 x 8 heads x 128, 131,072 bytes a token in 16 bit; 14.957 GiB in bf16."""


def printed(**changes):
    return _Printed(**{"token": None, "weights_gib": 0.0, "ranks": 1, "holders": 1, **changes})


@pytest.mark.parametrize(
    ("flags", "kept"),
    [
        *(({"kv_cache_dtype": name}, KEPT_IN[:1])
          for name in ("f16", "fp16", "float16", "bf16", "bfloat16", "half", "torch.bfloat16", "F16")),
        ({"kv_cache_dtype": "auto", "quantization": "none"}, ("fp16",)),
        ({"kv_cache_dtype": "auto"}, ("fp16", "fp8_e4m3")),
        ({"quantization": "none"}, ("fp16", "fp8_e4m3")), ({}, ("fp16", "fp8_e4m3")),
        ({"kv_cache_dtype": "fp8"}, ("fp8_e4m3",)), ({"kv_cache_dtype": "fp8_e5m2"}, ("fp8_e4m3",)),
        ({"kv_cache_dtype": "torch.float8_e4m3fn"}, ("fp8_e4m3",)), ({"kv_cache_dtype": "q8_0"}, ("fp16", "fp8_e4m3")),
        ({"kv_cache_dtype": "fp4"}, ("fp16", "fp8_e4m3")),
    ],
)  # fmt: skip
def test_formats_that_a_cache_may_be_in(flags, kept):
    assert implied._kept_in(flags) == kept


@pytest.mark.parametrize(
    ("figures", "token"),
    [
        ({}, None), ({"kv_bytes_per_token": 35_136}, (35_136, 35_136)), ({"kv_pool_gib": 8.0}, None),
        ({"kv_tokens": 5}, None),
        # keys and values, each of two places: 8 GiB are 7.99 to 8.01
        ({"kv_pool_gib": 8.0, "kv_tokens": 65_536}, (7.99 * 16_384, 8.01 * 16_384)),
        ({"kv_pool_gib": 8.0, "cells": 65_536, "n_ctx": 5}, (7.99 * 16_384, 8.01 * 16_384)),
        ({"kv_pool_gib": 8.0, "n_ctx": 65_536}, (7.99 * 16_384, 8.01 * 16_384)),
        ({"needed_gib": 8.0, "concurrency_at": 65_536, "kv_pool_gib": 1.0,
         "kv_tokens": 7}, (7.99 * 16_384, 8.01 * 16_384)),
        ({"needed_gib": 1.0, "kv_pool_gib": 8.0, "kv_tokens": 65_536}, (7.99 * 16_384, 8.01 * 16_384)),
    ],
)  # fmt: skip
def test_bytes_of_a_token_as_a_log_tells_them(figures, token):
    assert implied._token_bytes(figures) == (token and pytest.approx(token))


@pytest.mark.parametrize(
    ("flags", "figures", "told"),
    [
        ({}, {}, (0.0, 1, 1, 0, False)),
        ({"tensor_parallel_size": 2}, {"ranks": 4, "weights_gib": 5.0}, (5.0, 2, 2, 0, False)),
        ({}, {"ranks": 4, "layers": 16}, (0.0, 4, 4, 16, False)),
        ({"tensor_parallel_size": 2, "states_apart": True}, {"checkpoint_gib": 9.0,
         "weights_gib": 5.0}, (9.0, 2, 1, 0, True)),
        ({"pipeline_parallel_size": 1}, {}, (0.0, 1, 1, 0, False)), ({"pipeline_parallel_size": 2}, {}, None),
    ],
)  # fmt: skip
def test_what_a_log_prints_of_a_model(flags, figures, told):
    found = implied._printed(flags, figures)
    assert told == (found and (found.weights_gib, found.ranks, found.holders, found.layers, found.apart))


@pytest.mark.parametrize(
    ("token", "more", "fits"),
    [
        ((131_072, 131_072), {}, True), ((131_073, 200_000), {}, False), ((65_537, 131_071), {}, False),
        ((65_536, 65_536), {}, True), ((65_536, 65_536), {"kept_in": ("fp16",)}, False), (None, {}, None),
        ((131_072, 131_072), {"layers": 32}, True), ((131_072, 131_072), {"layers": 31}, False),
        ((65_536, 65_536), {"ranks": 2, "kept_in": ("fp16",)}, True),
    ],
)  # fmt: skip
def test_bytes_of_a_token_are_the_models(token, more, fits):
    assert implied._tokens_fit(LLAMA, printed(token=token, **more)) is fits


def test_states_share_a_pool_or_are_apart():
    # 16 of 64 layers keep tokens, 48 a state: with states in the pool no byte of it is a token's alone
    model, token = load_model("qwen3.5-27b"), (16 * 2 * 4 * 256 * 2,) * 2
    assert implied._tokens_fit(model, printed(token=token)) is None
    assert implied._tokens_fit(model, printed(token=token, apart=True)) is True


@pytest.mark.parametrize(
    ("gib", "holders", "may"),
    # 0.45 bytes a parameter at least, 2.3 and a GiB at most
    [(0.45 * SIZE + 1e-6, 1, True), (0.45 * SIZE - 1e-6, 1, False), (2.3 * SIZE + 1 - 1e-6, 1, True),
     (2.3 * SIZE + 1 + 1e-6, 1, False), (0.45 * SIZE / 2 + 1e-6, 2, True), (2.3 * SIZE / 2 + 1 + 1e-6, 2, False),
     (0, 1, True)],
)  # fmt: skip
def test_weights_that_a_model_may_have(gib, holders, may):
    assert implied._may_hold(LLAMA, printed(weights_gib=gib, holders=holders)) is may
    assert implied._may_hold(LLAMA, printed(weights_gib=gib, token=(1.0, 1.0))) is False


@pytest.mark.parametrize(
    ("gib", "stored", "off"),
    [(2 * SIZE, ("bf16",), 0), (2 * SIZE / 1.0199, ("bf16",), 0.0199), (2 * SIZE / 1.0201, ("bf16",), None),
     (2 * SIZE / 0.9801, ("bf16",), 0.0199), (SIZE / 1.5, ("bf16",), None)],
)  # fmt: skip
def test_how_far_weights_are_off(gib, stored, off):
    assert implied._off(LLAMA, printed(weights_gib=gib), stored) == (
        None if off is None else pytest.approx(off, abs=1e-6)
    )


@pytest.mark.parametrize(
    ("share", "others", "found"),
    # Mistral 7B has 0.9026 of the parameters, Qwen3 8B 1.01998; the near one is alone within three times 2 %
    [
        (1.0, ["mistral-7b-v0.3"], ["llama-3.1-8b"]), (1.019, ["mistral-7b-v0.3"], ["llama-3.1-8b"]),
        (1.045, ["mistral-7b-v0.3"], []), (1.015, ["qwen3-8b"], []), (0.99, ["qwen3-8b"], ["llama-3.1-8b", "qwen3-8b"]),
    ],
)  # fmt: skip
def test_weights_tell_one_where_no_other_is_near(share, others, found):
    some = [LLAMA, *map(load_model, others)]
    assert [model.id for _, model in implied._by_weights(some, printed(weights_gib=2 * SIZE / share), True)] == found


def test_weights_of_8_bit_are_those_of_a_log_that_does_not_say_16():
    # the matrices in a byte, embeddings and head in two
    from calculator import plan

    eight = plan("llama-3.1-8b", "h100-sxm", weight_dtype="fp8").per_gpu.weights_bytes / GIB
    assert implied._by_weights([LLAMA], printed(weights_gib=eight), True) == []
    assert [model.id for _, model in implied._by_weights([LLAMA], printed(weights_gib=eight), False)] == [
        "llama-3.1-8b"
    ]


@pytest.mark.parametrize(
    ("preset", "architecture", "is_of"),
    [
        ("llama-3.1-8b", "LlamaForCausalLM", True), ("llama-3.1-8b", "MistralForCausalLM", False),
        ("qwen3-30b-a3b", "Qwen3MoeForCausalLM", True), ("qwen3-8b", "Qwen3MoeForCausalLM", False),
        ("gpt2", "GPT2LMHeadModel", True), ("bloom-7b1", "BloomModel", True), ("llama-3.1-8b", "ForCausalLM", False),
        ("kimi-k2.5", "KimiK25ForConditionalGeneration", True), ("kimi-k2", "KimiK25ForConditionalGeneration", False),
        ("qwen3.5-27b", "Qwen3_5ForConditionalGeneration", True),
        ("qwen3.5-35b-a3b", "Qwen3_5ForConditionalGeneration", False),
        ("qwen3.5-35b-a3b", "Qwen3_5MoeForConditionalGeneration", True), ("llama-3.1-8b", "", False),
        ("deepseek-v3", "DeepseekV3ForCausalLM", True), ("deepseek-v3.2", "DeepseekV3ForCausalLM", False),
    ],
)  # fmt: skip
def test_the_class_of_a_model(preset, architecture, is_of):
    assert implied._is_of_class(load_model(preset), architecture) is is_of


def by_rule(keep):
    return {key for key in model_ids() if keep(load_model(key))}


def test_a_model_by_its_weights_and_its_tokens():
    figures = {"kv_pool_gib": 8.0, "kv_tokens": 65_536, "weights_gib": 14.96}
    assert implied.implied_by({"seq_len": 131_072}, figures, "org/Llama-3.1-8B-x") == "llama-3.1-8b"
    assert implied.implied_by({"seq_len": 8_192}, figures, "org/Llama-3-8B-x") == "llama-3-8b"
    assert implied.implied_by({"architecture": "LlamaForCausalLM", "seq_len": 131_072}, figures) == "llama-3.1-8b"
    assert implied.implied_by({"architecture": "MixtralForCausalLM"}, figures) is None
    for gone in figures:
        assert implied.implied_by({}, {name: value for name, value in figures.items() if name != gone}) is None
    assert implied.implied_by({"pipeline_parallel_size": 2}, figures) is None


@pytest.mark.parametrize(
    ("flags", "figures", "named", "preset"),
    [
        # 14.96 GiB of a Llama are 8B; 16-bit weights of no quantisation say it
        ({"architecture": "Qwen3ForCausalLM", "quantization": "none"}, {"weights_gib": 15.26}, "", "qwen3-8b"),
        ({"architecture": "Qwen3ForCausalLM"}, {}, "", None), ({}, {"weights_gib": 15.26}, "", None),
        ({"architecture": "Qwen3ForCausalLM"}, {"weights_gib": 60.0}, "org/x-14b", None),
        ({"architecture": "Qwen3ForCausalLM"}, {"weights_gib": 15.26}, "org/x_14b", "qwen3-14b"),
        ({"architecture": "Qwen3ForCausalLM"}, {"weights_gib": 9.0}, "org/x-14b", "qwen3-14b"),
        ({"architecture": "Qwen3ForCausalLM", "served_name": "y-14b"}, {"weights_gib": 9.0}, "org/x", "qwen3-14b"),
        ({"architecture": "Qwen3ForCausalLM", "pipeline_parallel_size": 2}, {"weights_gib": 9.0}, "x-14b", None),
    ],
)  # fmt: skip
def test_the_one_model_of_a_class(flags, figures, named, preset):
    assert of_class(flags, figures, named) == preset


def test_models_that_a_log_may_be_of():
    # by class alone all of it; weights leave those out that cannot have them
    # and those of no type whose id begins as the class
    qwen = by_rule(lambda one: one.model_type == "qwen3" or (not one.model_type and one.id.startswith("qwen3")))
    assert set(likely({"architecture": "Qwen3ForCausalLM"}, {})) == qwen
    fits = {key for key in qwen if implied._may_hold(load_model(key), printed(weights_gib=15.26))}
    assert set(likely({"architecture": "Qwen3ForCausalLM"}, {"weights_gib": 15.26})) == fits
    first = likely({"architecture": "Qwen3ForCausalLM"}, {"weights_gib": 15.26})[0]
    assert implied._off(load_model(first), printed(weights_gib=15.26)) is not None
    assert set(likely({"architecture": "Qwen3ForCausalLM", "model": "a/x-14b"}, {})) == {
        key for key in qwen if "14b" in implied._sizes_in(key) or not implied._sizes_in(key)
    }
    assert likely({}, {}) == likely({}, {"weights_gib": 15.26}) == ()
    assert likely({"architecture": "Qwen3ForCausalLM", "pipeline_parallel_size": 2}, {}) == ()
    by_tokens = likely({}, {"kv_bytes_per_token": 131_072})
    assert set(by_tokens) == by_rule(lambda model: implied._tokens_fit(model, printed(token=(131_072, 131_072))))
    assert likely({"words_beside": ("Qwen3-8B",), "architecture": "LlamaForCausalLM"}, {}) == ("qwen3-8b",)


def test_models_by_their_weights_alone():
    found = sized({"seq_len": 131_072}, {"weights_gib": 14.96})
    assert found[0] == "llama-3.1-8b"
    assert set(found) == by_rule(
        lambda model: (
            implied._off(model, printed(weights_gib=14.96)) is not None
            and (model.max_position_embeddings is None or model.max_position_embeddings >= 131_072)
        )
    )
    assert "llama-3-8b" not in found
    assert "llama-3-8b" in sized({}, {"weights_gib": 14.96})
    assert sized({}, {"weights_gib": 14.96, "concurrency_at": 8_192})[0] == "llama-3-8b"
    assert sized({}, {"weights_gib": 14.96, "kv_bytes_per_token": 131_072}) == sized({}, {}) == ()
    # 0.08 GiB beside 1.11 are 7 %
    small = load_model("qwen3-0.6b").num_parameters * 2 / GIB
    assert "qwen3-0.6b" in sized({}, {"weights_gib": small + 0.075})
    assert "qwen3-0.6b" not in sized({}, {"weights_gib": small + 0.095})


@pytest.mark.parametrize(
    ("words", "figures", "ids"),
    [
        (("Qwen3-8B",), {}, ["qwen3-8b"]), (("qwen3-8b", "Meta-Llama-3.1-8B"), {}, ["llama-3.1-8b", "qwen3-8b"]),
        (("Qwen3-8B",), {"weights_gib": 60.0}, []), (("qwen3-30b",), {}, ["qwen3-30b-a3b"]), (("qwen3",), {}, []),
        (("gemma-4-26B",), {}, ["gemma-4-26b-a4b"]), (("nothing7",), {}, []), ((), {}, []),
    ],
)  # fmt: skip
def test_models_that_the_text_beside_names(words, figures, ids):
    assert [model.id for model in named_beside({"words_beside": words}, figures)] == ids


@pytest.mark.parametrize(
    ("name", "ids"),
    [("org/Llama-3.1", ["llama-3.1-8b"]), ("llama-3.1-8b-tuned/", ["llama-3.1-8b"]), ("qwen3-8b", ["qwen3-8b"]),
    ("x", []), ("", [])],
)  # fmt: skip
def test_of_several_those_that_a_name_begins(name, ids):
    some = [(0.0, LLAMA), (0.1, load_model("qwen3-8b"))]
    assert [model.id for _, model in implied._of_that_name(some, name)] == ids


def test_of_several_the_one_of_the_length_is_taken_else_the_nearest():
    rows = [(0.01, LLAMA), (0.0, load_model("llama-3-8b"))]
    assert implied._nearest(rows, {"seq_len": 131_072}) == "llama-3.1-8b"
    assert implied._nearest(rows, {}) == "llama-3-8b"
    assert implied._nearest([], {}) is None


# Names


@pytest.mark.parametrize(
    ("flags", "figures", "preset", "key"),
    [
        ({"model": "meta-llama/Llama-3.1-8B"}, {}, "llama-3.1-8b", None),
        ({"model": "/models/Llama-3.1-8B/"}, {}, "llama-3.1-8b", None),
        ({"file": "C:\\m\\Qwen3-8B-Q8_0.gguf"}, {}, "qwen3-8b", "preset"),
        ({"model": "/m/t", "served_name": "Qwen/Qwen3-8B"}, {}, "qwen3-8b", "served"),
        ({"words_beside": ("Qwen3-8B",)}, {}, "qwen3-8b", "beside"),
        ({"seq_len": 131_072}, {"kv_pool_gib": 8.0, "kv_tokens": 65_536, "weights_gib": 14.96}, None, "implied"),
        ({"model": "/m/Llama-3.1-8B-tuned7", "seq_len": 131_072},
         {"kv_pool_gib": 8.0, "kv_tokens": 65_536, "weights_gib": 14.96}, "llama-3.1-8b", "implied_of"),
        ({"architecture": "Qwen3ForCausalLM"}, {"weights_gib": 15.26}, "qwen3-8b", "of_class"),
    ],
)  # fmt: skip
def test_where_a_model_is_known_from(flags, figures, preset, key):
    assumed = []
    found = names.named_model(flags, assumed, figures)
    assert [text.key for text in assumed] == ([f"logs.assumed.{key}"] if key else [])
    assert preset in (None, found.id)


@pytest.mark.parametrize(
    ("flags", "figures", "asked", "near", "match"),
    [
        ({}, {}, None, None, "the log names no model: give one, as --model on the command line$"),
        ({"model": "/m/target"}, {}, "/m/target", None, "'/m/target' is not one of the presets: give one, as --model$"),
        ({"model": "/m/" + "t" * 90}, {}, "/m/" + "t" * 77, None, "is not one of the presets"),
        ({"model": "/m/qwen_3-8b-custom", "words_beside": ("x",)}, {}, "/m/qwen_3-8b-custom", None, "is not one"),
    ],
)  # fmt: skip
def test_a_model_that_is_not_known_is_refused(flags, figures, asked, near, match):
    with pytest.raises(InvalidValueError, match=match) as refused:
        names.named_model(flags, [], figures)
    assert (refused.value.what, refused.value.asked, refused.value.nearest) == ("model", asked, near)
    assert refused.value.allowed == model_ids()


def test_as_many_as_four_are_said_by_name():
    # classes by their number of presets: one is the nearest, up to four are said, more are not
    from collections import Counter

    many = Counter(load_model(key).model_type for key in model_ids())
    for kind, name in (("qwen3", "Qwen3ForCausalLM"), ("phi3", "Phi3ForCausalLM"), ("gemma2", "Gemma2ForCausalLM")):
        with pytest.raises(InvalidValueError) as refused:
            names.named_model({"architecture": name}, [], {})
        assert ("may be" in str(refused.value)) is (many[kind] <= 4)
        assert refused.value.nearest is None
    assert many["phi3"] == 4
    with pytest.raises(InvalidValueError) as refused:
        names.named_model({"architecture": "Starcoder2ForCausalLM"}, [], {})
    assert refused.value.nearest == "starcoder2-7b"


@pytest.mark.parametrize(
    ("name", "bare"),
    # what people add to a name of how it was tuned or stored is none of it
    [
        ("Qwen/Qwen3-8B-FP8", "qwen38b"), ("org/x_y-Instruct/", "xy"), ("a-chat-hf", "a"),
        ("Llama-3.1-8B", "llama3.18b"),
        ("Llama31-8B", "llama3.18b"), ("m-2507", "m"), ("gguf-m", "m"), ("m-awq-int4-g128-marlin-dynamic-base", "m"),
        ("itm", "itm"), ("m-25071", "m25071"),
    ],
)  # fmt: skip
def test_a_name_without_how_it_was_stored(name, bare):
    assert names.plain(name) == bare


@pytest.mark.parametrize(
    ("device", "memory", "gpu"),
    [
        ("NVIDIA L40S", None, "l40s"), ("NVIDIA GeForce RTX 4090", 23.6, "rtx-4090"), ("NVIDIA Foo", None, None),
        ("", None, None),
        ("NVIDIA H100 80GB HBM3", None, "h100-sxm"), ("NVIDIA A100-SXM4-40GB", 39.4, "a100-40gb"),
        # the memory that is printed holds against a name: 80 GiB are no 40
        ("NVIDIA A100", 79.2, "a100-80gb-sxm"), ("NVIDIA A100", 39.4, "a100-40gb"),
        ("NVIDIA H100 PCIe", None, "h100-pcie"), ("NVIDIA H100 NVL", None, "h100-nvl"),
        ("NVIDIA GeForce RTX 3090, 24576 MiB", None, "rtx-3090"), ("NVIDIA X99-96Q", None, None),
    ],
)  # fmt: skip
def test_the_gpu_that_a_name_means(device, memory, gpu):
    assert names.gpu_of(device, memory) == gpu


def test_a_part_of_a_device_by_its_memory():
    # 3g.40gb is of several devices: what is printed tells which, within 5 %
    found = names.gpu_of("NVIDIA A100 80GB PCIe MIG 3g.40gb", 39.38)
    assert found not in gpu_ids()
    assert load_gpu(found).memory_bytes / GIB == pytest.approx(39.38, rel=0.05)


def test_the_gpu_that_the_text_beside_names():
    size = load_gpu("l40s").memory_bytes / GIB

    def beside(ids, memory=None):
        assumed = []
        found = names.gpu_beside({"devices_beside": ids}, memory, assumed)
        assert [text.key for text in assumed] == (["logs.assumed.gpu_beside"] if found else [])
        return found

    assert beside((("l40s",),)) == "l40s"
    assert beside((("l40s",), ("l4",))) is beside(()) is beside((("l40s", "l4"),)) is None
    assert beside((("l40s", "l4"),), size) == "l40s"
    assert beside((("l40s",),), size / 1.049) == "l40s"
    assert beside((("l40s",),), size / 1.051) is None
    assert beside((("l40s",),), size / 0.951) == "l40s"
    assert beside((("l40s",),), size / 0.949) is None
    assert names.gpu_beside({}, None, []) is None


@pytest.mark.parametrize(
    ("off", "keys"),
    [({"a": 0.06, "b": 0.0601}, ["a"]), ({"a": 0.15, "b": 0.1501}, ["a"]), ({"a": 0.2}, []), ({}, []),
    ({"a": 0, "b": 0.06}, ["a", "b"])],
)  # fmt: skip
def test_what_may_be_meant_for_want_of_any_nearer(off, keys):
    assert nearest(off) == keys
