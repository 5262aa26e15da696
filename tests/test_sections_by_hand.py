"""What a section of a config makes of a model: the modules of its matrices, what stands beside layers, a GGUF file."""

import json
from dataclasses import replace

import pytest

import calculator
from calculator.architecture.matrices import Sharding, WeightMatrix
from calculator.configs.checkpoints import measured
from calculator.configs.checkpoints.gguf import reader
from calculator.configs.checkpoints.given import read_given
from calculator.configs.checkpoints.safetensors import Tensor
from calculator.configs.checkpoints.tensors import Module, Tensors
from calculator.configs.quantisation.stored import as_stored, named_by_its_formats
from calculator.formats.weights import FORMATS

COLUMNS = Sharding.COLUMNS


def matrix(outputs, inputs=1, module="", part="attention", copies=1, stored=None):
    return WeightMatrix(part, outputs, inputs, copies, copies, COLUMNS, module=module, stored=stored)


def module(*tensors):
    """A module of tensors (dtype, values, bytes), each a weight, or what a fourth entry says."""
    made = Module()
    for dtype, elements, size, *parameter in tensors:
        made.add(Tensor("t", dtype, elements, size), *(parameter or ["weight"]))
    return made


def read(weights):
    """Name, bytes and values that are read of each matrix, None where it is in 16 bit."""
    return [
        (each.stored.name, each.stored.read_bytes, each.stored.read_elements) if each.stored else None
        for each in weights
    ]


# What a layer's modules give to its matrices


def test_a_module_of_16_bits_is_left_as_it_is_and_another_is_named_by_its_largest_tensor():
    q, o = matrix(8, 8, "self_attn.q_proj"), matrix(8, 8, "self_attn.o_proj")
    modules = {
        "self_attn.q_proj": module(("F32", 64, 256)),  # loaded in 16 bit
        "attn.dense": module(("F32", 1, 4, "weight_scale"), ("F8_E4M3", 64, 64)),
    }
    assert read(measured._layer([q, o], modules, "a")) == [None, ("fp8", 68, 64)]
    # what a config says of a format is its name, whatever the bytes
    said = replace(o, stored=FORMATS["awq-int4"])
    assert read(measured._layer([q, said], modules, "a")) == [None, ("awq-int4", 68, 64)]


@pytest.mark.parametrize(
    ("dtype", "size", "name"),
    # of 100 values: from 1.8 bytes a value on it is 16 bit with something beside; a type of no name is 16 bit too
    [("F8_E4M3", 179, "fp8"), ("F8_E4M3", 180, "bf16"), ("F8_E4M3", 181, "bf16"), ("I8", 150, "int8"),
     ("I32", 60, "gptq-int4"), ("F8_E5M2", 100, "fp8"), ("U8", 60, "nvfp4"), ("F4", 60, "nvfp4"), ("I64", 50, "bf16")],
)  # fmt: skip
def test_a_matrix_is_called_by_its_bytes_a_value(dtype, size, name):
    (made,) = measured._layer([matrix(10, 10, "a.b")], {"a.b": module((dtype, 100, size, "qweight"))}, "a")
    assert read([made]) == [(name, size, 100)]


@pytest.mark.parametrize(
    ("tensors", "expected"),
    # 64 values in 8 bit and a bias of 8 in 16 or 32 bit: the bias is loaded in 16 bit by itself, 64 bytes are left
    [
        ([("F8_E4M3", 64, 64), ("BF16", 8, 16, "bias")], [("fp8", 64, 64), None]),
        ([("F8_E4M3", 64, 64), ("F32", 8, 32, "bias")], [("fp8", 64, 64), None]),
        # another number of biases than the layer's: shared by all 72
        ([("F8_E4M3", 64, 64), ("BF16", 9, 18, "bias")], [("fp8", 82, 72)] * 2),
        # all in 16 bit or more is as an engine has it
        ([("F32", 64, 256), ("F32", 8, 32, "bias")], [None, None]),
        # integers are no bias that is loaded by itself
        ([("F8_E4M3", 64, 64), ("I32", 8, 32, "bias")], [("fp8", 96, 72)] * 2),
    ],
)  # fmt: skip
def test_a_bias_is_loaded_beside_its_matrix(tensors, expected):
    weights = [matrix(8, 8, "self_attn.q_proj"), matrix(8, 1, "self_attn.q_proj")]
    assert read(measured._layer(weights, {"self_attn.q_proj": module(*tensors)}, "a")) == expected


def test_biases_alone_are_vectors_alone():
    # nothing but vectors: their own bytes, 3 a value
    made = measured._layer([matrix(8, 1, "a.b")], {"a.b": module(("BF16", 8, 16, "bias"), ("U8", 8, 8, "zeros"))}, "a")
    assert read(made) == [("bf16", 24, 8)]


def test_projections_that_are_stored_as_one_are_shared_in_their_order():
    q, k, v = (matrix(rows, 8, f"self_attn.{name}_proj") for name, rows in (("q", 16), ("k", 4), ("v", 4)))
    gate, up = (matrix(8, 8, f"mlp.{name}_proj") for name in ("gate", "up"))
    known = matrix(4, 4, "self_attn.o_proj")
    modules = {
        "attn.query_key_value": module(("F8_E4M3", 192, 196, "weight_packed")),
        "feed_forward.gate_up_proj": module(("I32", 128, 72, "qweight")),
        "self_attn.o_proj": module(("F8_E4M3", 16, 20)),
    }
    made = measured._layer([q, known, k, v, gate, up], modules, "a")
    whole, halves = ("fp8", 196, 192), ("gptq-int4", 72, 128)
    assert read(made) == [whole, ("fp8", 20, 16), whole, whole, halves, halves]
    # experts stand in one tensor without their numbers too
    expert = matrix(8, 8, "mlp.experts.up_proj", part="experts", copies=4)
    for name in ("mlp.experts.up_proj", "mlp.experts.*.w3", "block_sparse_moe.experts.gate_up_proj"):
        assert read(measured._layer([expert], {name: module(("F8_E4M3", 256, 260))}, "a")) == [("fp8", 260, 256)], name


def test_what_has_no_name_shares_what_is_left():
    weights = [matrix(8, 8, "self_attn.q_proj"), matrix(6, 8), matrix(16)]
    modules = {"self_attn.q_proj": module(("BF16", 64, 128)), "x": module(("U8", 48, 48)), "y": module(("F32", 8, 32))}
    # 48 as they are, and 8 loaded in 2 bytes each, over 48 + 16 values; most of them are in bytes
    assert read(measured._layer(weights, modules, "a")) == [None, ("nvfp4", 64, 64), ("nvfp4", 64, 64)]


def test_plain_weights_have_the_size_that_the_config_makes():
    weights = [matrix(8, 8, "self_attn.q_proj"), matrix(8, 1, "self_attn.q_proj")]
    for rows, is_taken in ((64, True), (63, False), (65, False), (72, False)):
        modules = {"self_attn.q_proj": module(("BF16", rows, 2 * rows))}
        if is_taken:
            measured._layer(weights, modules, "a")
        else:
            with pytest.raises(calculator.FileFormatError, match=f"hold {rows} weights where config.json makes 64:"):
                measured._layer(weights, modules, "a")
    # what is packed has another number of values, and vectors alone none
    measured._layer(weights, {"self_attn.q_proj": module(("I32", 8, 32, "qweight"))}, "a")
    measured._layer([matrix(8, 1, "a.b")], {"a.b": module(("BF16", 9, 18))}, "a")


def test_what_is_too_much_is_named_by_its_largest_module():
    sizes = {"small": 2**20, "large": 2**21, "middle": 3 * 2**19}
    modules = {name: module(("U8", size, size)) for name, size in sizes.items()}
    with pytest.raises(calculator.FileFormatError, match="'large' of 2,097,152 bytes"):
        measured._layer([matrix(8, 8)], modules, "a")


def test_encoders_share_their_bytes():
    two = {"a": (matrix(10, 10), matrix(10, 1, copies=5)), "b": (matrix(50, 1),)}
    made = measured._towers(two, 600)
    assert [read(matrices) for matrices in made.values()] == [[("bf16", 600, 200)] * 2, [("bf16", 600, 200)]]
    for towers, size in ((two, 0), ({**two, "c": ()}, 600), ({}, 600)):
        assert measured._towers(towers, size) == towers


DENSE = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "vocab_size": 100,
    "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 1024, "torch_dtype": "bfloat16",
}  # fmt: skip
ROWS = {**{f"self_attn.{each}_proj": 64 * 64 for each in "qkvo"}, **{f"mlp.{each}_proj": 64 * 96 for each in
        ("gate", "up", "down")}}  # fmt: skip


def tensors_of(widths, **ends):
    found = Tensors()
    for layer, width in enumerate(widths):
        dtype = {1: "F8_E4M3", 2: "BF16"}[width]
        found.layers[layer] = {name: module((dtype, size, width * size)) for name, size in ROWS.items()}
        found.layers[layer]["norms"] = module(("BF16", 128, 256))
    found.ends = {name: module(*tensors) for name, tensors in ends.items()}
    return found


TABLE = ("BF16", 6_400, 12_800)


def test_layers_alike_stand_together():
    model = calculator.model_from_hf_config({**DENSE, "tie_word_embeddings": False})
    ends = {"embed_tokens": [TABLE], "lm_head": [("F8_E4M3", 6_400, 6_400)], "norm": [("BF16", 64, 128)]}
    for widths, counts in (((1, 1, 1), [3]), ((2, 1, 1), [1, 2]), ((1, 1, 2), [2, 1]), ((1, 2, 1), [1, 1, 1])):
        found = measured.measured(model, tensors_of(widths, **ends), "a")
        assert [group.count for group in found.layers] == counts
        assert [each for group in found.layers for each in [group.weights[0].stored is None] * group.count] == [
            width == 2 for width in widths
        ]
        assert (found.weights_from, found.weight_dtype) == ("headers", "fp8")
        # the head alone is in 8 bit; embedding and last norm as they are
        assert read(found.embedding) == [None]
        assert sorted(map(str, read(found.end))) == ["('fp8', 6400, 6400)", "None"]
    with pytest.raises(calculator.FileFormatError, match="a: the headers hold no tensor of layer 2 of 3"):
        measured.measured(model, tensors_of((1, 1), **ends), "a")


def test_a_head_that_is_not_stored_is_the_embedding():
    model = calculator.model_from_hf_config({**DENSE, "tie_word_embeddings": False})
    eight = [("F8_E4M3", 6_400, 6_400)]
    found = measured.measured(model, tensors_of((2, 2, 2), wte=eight, norm=[("BF16", 64, 128)]), "a")
    assert read(found.embedding) == [("fp8", 6_400, 6_400)]
    assert ("fp8", 6_400, 6_400) in read(found.end)
    # what else stands there is shared by the last norm: 64 values in 32 bit beside 64 in 8
    more = {"embeddings": [TABLE], "norm": [("U8", 64, 64), ("F32", 32, 128, "scales")]}
    found = measured.measured(model, tensors_of((2, 2, 2), **more), "a")
    assert read(found.embedding) == [None]
    assert sorted(map(str, read(found.end))) == ["('bf16', 192, 64)", "None"]


# What a section makes of a model


@pytest.mark.parametrize(
    ("method", "is_read"),
    # names of one method, as vLLM's verify_quant_method and auto-round's own config write them
    [("fp8", True), ("FP8", True), ("deepseek_v4_fp8", True), ("my_mxfp4", True), ("mxfp4", True), ("mxfp4x", False),
     ("xmxfp4", False), ("fp8x", False)],
)  # fmt: skip
def test_methods_by_their_names(method, is_read):
    model, _ = as_stored(calculator.model_from_hf_config(DENSE), {"quant_method": method})
    assert (model.weight_dtype == f"quantization_config {method}") is not is_read
    if not is_read:
        assert model.stored_as == "vLLM 0.33 raises, it has no such method"


def test_methods_that_are_not_read_here():
    for method in ("experts_int8", "fp_quant", "humming", "moe_wna16", "online"):
        model, _ = as_stored(calculator.model_from_hf_config(DENSE), {"quant_method": method})
        assert (model.weight_dtype, model.stored_as) == (f"quantization_config {method}", "")
    plain = calculator.model_from_hf_config(DENSE)
    assert as_stored(plain, None) == (plain, ())
    model, said = as_stored(plain, {})
    assert model is plain
    assert said == ("quantization_config names no quant_method: 16 bit weights are taken",)
    for wrong in ([], "fp8", 8):
        with pytest.raises(calculator.InvalidValueError, match="quantization_config must be a mapping"):
            as_stored(plain, wrong)


@pytest.mark.parametrize(
    ("name", "is_known"),
    [
        ("model.layers.0.self_attn.o_proj", True), ("model.layers.0.mlp.down_proj", True), ("layers.2.mlp", True),
        ("model.layers.2.strange", False), ("h.0.strange", False), ("layers.0.strange.x", False),
        # behind the last layer, and no layer's
        ("model.layers.3.strange", True), ("strange", True), ("model.layers.x.strange", True),
        # of other parts, or what every format leaves in 16 bit
        *((f"model.layers.0.{each}", True) for each in ("vision.x", "mtp.x", "input_layernorm", "mlp.gate", "x.bias",
          "router", "shared_head.x", "eh_proj", "conv1d", "x_scale", "indexer.weights_proj", "attn_sink")),
        ("model.layers.0.gate.x", True), ("model.layers.0.gatex", False), ("model.layers.0.attn_q", False),
    ],
)  # fmt: skip
def test_a_module_that_no_matrix_goes_by_is_refused(name, is_known):
    section = {"quant_method": "fp8", "ignored_layers": [name]}
    if is_known:
        assert calculator.model_from_hf_config({**DENSE, "quantization_config": section}).weight_dtype == "fp8"
    else:
        with pytest.raises(calculator.UnsupportedError, match="which is not known of this model type") as caught:
            calculator.model_from_hf_config({**DENSE, "quantization_config": section})
        assert caught.value.asked == name


def test_projections_that_are_loaded_as_one_are_in_one_format():
    for left_out in (["q_proj"], ["q_proj", "k_proj"], ["gate_proj"]):
        names = [f"model.layers.1.{'mlp' if 'gate' in each else 'self_attn'}.{each}" for each in left_out]
        with pytest.raises(calculator.UnsupportedError, match=r"layer 1 stores .* in different formats") as caught:
            calculator.model_from_hf_config({**DENSE, "quantization_config": {"quant_method": "fp8",
                                                                             "ignored_layers": names}})  # fmt: skip
        assert left_out[0] in str(caught.value)
    whole = [f"model.layers.1.self_attn.{each}_proj" for each in "qkv"]
    model = calculator.model_from_hf_config(
        {**DENSE, "quantization_config": {"quant_method": "fp8", "ignored_layers": whole}}
    )
    assert [group.count for group in model.layers] == [1, 1, 1]
    # three projections of 64 x 64 of one layer in 16 bit, and all that is never quantised beside them
    plain = calculator.model_from_hf_config(DENSE)
    eight = 3 * sum(ROWS.values()) - 3 * 64 * 64
    assert model.stored_as == (
        f"{100 * eight / plain.num_parameters:.1f} % fp8, {100 - 100 * eight / plain.num_parameters:.1f} % 16 bit"
    )


def test_a_model_is_named_by_the_format_of_most_of_its_weights():
    plain = calculator.model_from_hf_config(DENSE)
    group = plain.layers[0]
    assert (named_by_its_formats(plain, "config").weight_dtype, named_by_its_formats(plain, "x").weights_from) == (
        None, "x",
    )  # fmt: skip
    assert named_by_its_formats(replace(plain, weights_from="x"), "config").weights_from == ""
    # one matrix of 64 x 64 in 4 bit, one of 64 x 96 in 8 bit, and what has 16 bits has no name
    forms = {"self_attn.q_proj": "awq-int4", "mlp.up_proj": "fp8", "self_attn.o_proj": "bf16"}
    weights = tuple(
        replace(each, stored=FORMATS[forms[each.module]] if each.module in forms else None) for each in group.weights
    )
    found = named_by_its_formats(replace(plain, layers=(replace(group, weights=weights),)), "config")
    sizes = {"awq-int4": 3 * 64 * 64, "fp8": 3 * 64 * 96}
    sizes["16 bit"] = plain.num_parameters - sum(sizes.values())
    ordered = sorted(sizes, key=lambda name: -sizes[name])
    assert (found.weight_dtype, found.weights_from) == ("fp8", "config")
    assert found.stored_as == ", ".join(f"{100 * sizes[name] / plain.num_parameters:.1f} % {name}" for name in ordered)
    # all that a format applies to in one: no more to be said, but where the head is in it too
    all_of = replace(group, weights=tuple(
        replace(each, stored=FORMATS["fp8"] if each.quantised and each.inputs > 1 else None) for each in group.weights
    ))  # fmt: skip
    whole = replace(plain, layers=(all_of,))
    assert named_by_its_formats(whole, "config").stored_as == ""
    assert named_by_its_formats(whole, "headers").stored_as.endswith("16 bit")
    head = replace(whole, embedding=tuple(replace(each, stored=FORMATS["fp8"]) for each in plain.embedding))
    assert "fp8" in named_by_its_formats(head, "config").stored_as


# What stands beside the layers of a config


@pytest.mark.parametrize(
    ("more", "dtype"),
    [
        ({"torch_dtype": "float16"}, "float16"), ({"torch_dtype": "torch.float16"}, "float16"),
        ({"torch_dtype": None, "dtype": "float32"}, "float32"), ({"torch_dtype": "x", "dtype": "float32"}, "float32"),
        ({"torch_dtype": 5}, None), ({"torch_dtype": "torch.x"}, None),
    ],
)  # fmt: skip
def test_the_format_that_a_config_names(more, dtype):
    if "dtype" not in more or more["torch_dtype"] is None:
        assert calculator.model_from_hf_config({**DENSE, **more}).torch_dtype == dtype
    outer = {"model_type": "llava", "text_config": {k: v for k, v in DENSE.items() if k != "torch_dtype"}}
    assert calculator.model_from_hf_config({**outer, **more}).torch_dtype == dtype


def test_what_a_model_is_called():
    named = {**DENSE, "_name_or_path": "a" * 90}
    assert calculator.model_from_hf_config(named).name == "a" * 80
    assert calculator.model_from_hf_config(named, "mine").name == "mine"
    for unnamed in ("", None, 7):
        assert calculator.model_from_hf_config({**DENSE, "_name_or_path": unnamed}).name == "llama"


def test_files_of_a_checkpoint_by_their_names():
    config = json.dumps(DENSE).encode()
    for name in ("config.json", "x.txt", "model.index.json"):
        assert read_given({name: config}) == (config.decode(), 0, ("config.json",))
    for alone in ("hf_quant_config.json", "model.safetensors.index.json"):
        with pytest.raises(calculator.FileFormatError, match=r"config\.json is not among the files"):
            read_given({alone: config})
    # a file of another name beside it says nothing; an index by the end of its name, of any part
    names = {"weight_map": {"model.embed_tokens.weight": "a.safetensors"}, "metadata": {"total_size": 77}}
    given = read_given(
        {"config.json": config, "README.md": b"\xff", "x.safetensors.index.json": json.dumps(names).encode()}
    )
    assert given == (config.decode(), 77, ("config.json", "x.safetensors.index.json"))
    # what already states its quantisation keeps it
    stated = json.dumps({**DENSE, "quantization_config": {"quant_method": "fp8"}}).encode()
    given = read_given({"config.json": stated, "hf_quant_config.json": b'{"quant_method": "gptq"}'})
    assert given == (stated.decode(), 0, ("config.json",))


# A GGUF file beside the model of its metadata


def gguf_layers(kinds):
    """Tensors of llama.cpp's names, of each (name, values, bytes)."""
    return [Tensor(name, "Q8_0", elements, size) for name, elements, size in kinds]


def test_tensors_of_a_file_are_sorted_by_its_names():
    model = calculator.model_from_hf_config(DENSE)
    found = reader._sorted_by_part(
        gguf_layers([
            ("blk.0.attn_q.weight", 4, 8), ("blk.0.attn_q.bias", 2, 4), ("blk.1.ffn_up.weight", 3, 6),
            ("blk.2.other_thing.weight", 5, 10), ("token_embd.weight", 6, 12), ("output.weight", 7, 14),
            ("output_norm.weight", 1, 4), ("rope_freqs", 1, 4), ("v.blk.0.attn_q.weight", 9, 9), ("mm.0.weight", 9, 9),
            ("a.conv", 9, 9), ("blk.0.ssm_in.weight", 2, 2),
        ]), model,
    )  # fmt: skip
    assert {layer: {name: (it.elements, it.bytes) for name, it in each.items()} for layer, each in
            found.layers.items()} == {
        0: {"self_attn.q_proj": (6, 12), "mixer.in_proj": (2, 2)}, 1: {"mlp.up_proj": (3, 6)},
        2: {"other_thing": (5, 10)},
    }  # fmt: skip
    assert {name: it.bytes for name, it in found.ends.items()} == {
        "embed_tokens": 12, "lm_head": 14, "output_norm": 4, "rope_freqs": 4,
    }  # fmt: skip
    assert found.count == 12
    # every type is loaded as it is stored
    assert not any(it.is_plain for it in found.ends.values())


def test_layers_of_a_delta_net_have_names_of_their_own():
    # three layers with a state, then one that attends
    model = calculator.model_from_hf_config({
        **DENSE, "model_type": "qwen3_5_text", "num_hidden_layers": 4, "head_dim": 32, "linear_num_key_heads": 2,
        "linear_num_value_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8, "linear_conv_kernel_dim": 4,
        "layer_types": ["linear_attention"] * 3 + ["full_attention"],
    })  # fmt: skip
    made = reader._sorted_by_part(
        gguf_layers([(f"blk.{layer}.attn_qkv.weight", 4, 8) for layer in range(4)] +
                    [(f"blk.{layer}.ffn_up.weight", 4, 8) for layer in (2, 3)]), model,
    )  # fmt: skip
    assert [list(made.layers[layer]) for layer in range(4)] == [
        ["linear_attn.in_proj_qkvz"], ["linear_attn.in_proj_qkvz"], ["linear_attn.in_proj_qkvz", "mlp.up_proj"],
        ["self_attn.qkv_proj", "mlp.up_proj"],
    ]  # fmt: skip


@pytest.mark.parametrize(("more", "is_taken"), [(0, True), (69, True), (-69, True), (70, False), (-70, False)])
def test_a_layer_may_differ_by_a_500th(more, is_taken):
    # a layer of 4 x 64 x 64, 3 x 64 x 96 and two norms of 64 values: 34,944, and 0.2 % of them are 69.9
    model, found = calculator.model_from_hf_config(DENSE), Tensors()
    made = 4 * 64 * 64 + 3 * 64 * 96 + 2 * 64
    assert int(0.002 * made) == 69
    found.layers = {layer: {"a": module(("Q8_0", made + (more if layer == 1 else 0), 1))} for layer in range(3)}
    if is_taken:
        reader._check_sizes(model, found, "a")
    else:
        with pytest.raises(calculator.FileFormatError, match=f"layer 1 holds {made + more:,} values where .* 34,944"):
            reader._check_sizes(model, found, "a")
    del found.layers[2]
    with pytest.raises(calculator.FileFormatError, match=r"layer 1|layer 2 holds 0 values"):
        reader._check_sizes(model, found, "a")
