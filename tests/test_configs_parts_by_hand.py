"""Parts that read checkpoints and tables, each called by itself: shares of bytes, bounds, names, by hand."""

import copy
import csv
import json
import pickle
from dataclasses import replace

import pytest

import calculator
from calculator.architecture.matrices import Sharding, WeightMatrix
from calculator.catalogue import published
from calculator.catalogue.preset_file import Entries, PresetFile, _parts
from calculator.catalogue.presets import all_gpu_ids, data_file, load_model
from calculator.catalogue.presets.entries import build_gpu
from calculator.catalogue.presets.models import _same_beginning
from calculator.catalogue.quantised import quantised_repository
from calculator.configs.checkpoints import index, measured
from calculator.configs.checkpoints.gguf import reader
from calculator.configs.checkpoints.given import read_given
from calculator.configs.checkpoints.safetensors import Tensor
from calculator.configs.checkpoints.tensors import Module, Tensors
from calculator.configs.quantisation.stored import as_stored, named_by_its_formats
from calculator.formats.weights import FORMATS
from calculator.reading import fields, schema, strict_yaml
from calculator.reading.fields import NotPlain
from calculator.reading.frozen import FrozenDict, FrozenList, frozen
from calculator.reading.schema import Schema

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


# An index


def test_an_index_of_48_mib_is_read(tmp_path):
    most = 48 * 2**20
    for size, said in ((most, "not UTF-8 text"), (most + 1, "larger than 50,331,648 bytes")):
        with pytest.raises(calculator.FileFormatError, match=said):
            index.parse_index(b"\xff" * size, "a")
    with pytest.raises(calculator.FileFormatError, match="cannot be read"):
        index.read_index(tmp_path)
    (tmp_path / "a").write_text('{"weight_map": {"t": "b.safetensors", "u": "a.safetensors", "v": "b.safetensors"}}')
    assert index.read_index(tmp_path / "a") == (("t", "u", "v"), ("a.safetensors", "b.safetensors"), 0)


def test_an_index_names_at_most_600000_tensors(monkeypatch):
    class Many(dict):
        many = 600_000

        def __len__(self):
            return self.many

    parsed = {"weight_map": Many(a="a.safetensors"), "metadata": {"total_size": 7}}
    monkeypatch.setattr(index.strict_json, "parse_config", lambda *_: parsed)
    assert index.parse_index(b"", "a") == (("a",), ("a.safetensors",), 7)
    Many.many = 600_001
    with pytest.raises(calculator.FileFormatError, match="no weight_map of 1 to 600,000 tensors"):
        index.parse_index(b"", "a")


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ([], "no weight_map"), ({}, "no weight_map"), ({"weight_map": {}}, "no weight_map"),
        ({"weight_map": ["a.safetensors"]}, "no weight_map"),
        *(({"weight_map": {"a": name}}, "is not the name of a safetensors file") for name in
          ("a\\b.safetensors", "a/b.safetensors", ".a.safetensors", "a.safetensors.bin", "")),
        *(({"weight_map": {"a": "a.safetensors"}, "metadata": metadata}, None) for metadata in (None, [], {}, "x")),
    ],
)  # fmt: skip
def test_what_is_no_index(said, error):
    text = json.dumps(said).encode()
    if error is None:
        assert index.parse_index(text, "a").total_bytes == 0
    else:
        with pytest.raises(calculator.FileFormatError, match=error):
            index.parse_index(text, "a")


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


# Fields of what people write


INNER = fields.Nested(name="Inner", fields={"a": fields.count(3), "b": fields.flag(required=False)})


@pytest.mark.parametrize(
    ("field", "taken", "refused"),
    [
        (fields.flag(), [True, False], [0, 1, "true", None]),
        (fields.choice(["x", "y"]), ["x", "y"], ["z", "", 1, None]),
        (fields.names(["x", "y"]), [[], ["x", "y", "x"]], [["z"], "x", ("x",), None]),
        (fields.listed(fields.count(3)), [[], [1, 2, 3, 3]], [[4], [0], 1]),
        (fields.listed(fields.count(3), 2), [[1, 2]], [[1], [1, 2, 3], []]),
        (fields.Listed(item=fields.count(3), least=1), [[1], [1] * 9], [[]]),
        (fields.mapping(), [{}, {"a": [1]}], [{1: 2}, [], None]),
        (INNER, [{"a": 1}, {"a": 3, "b": True}], [{}, {"b": True}, {"a": 4}, {"a": 1, "c": 2}, [], {"a": None}]),
        (fields.count(9, 2), [2, 9], [1, 10]), (fields.count(9), [1], [0]),
        (fields.number(2, -1), [0, -0.5, 2], [-1, 2.1]), (fields.number(2), [0.1], [0, float("nan")]),
        (fields.text(3), ["a", "abc", "\u20ac"], ["", "abcd", "\ud800"]),
        (fields.text(3, minimum=0), [""], ["abcd"]),
    ],
)  # fmt: skip
def test_a_field_takes_what_is_plainly_of_its_kind(field, taken, refused):
    one = Schema("One", {"it": field})
    for value in taken:
        assert field.take(value) == value
        assert one.validate({"it": value}) == one.judged({"it": value}) == {"it": value}
        assert one.all_problems({"it": value}) == []
    for value in refused:
        with pytest.raises(NotPlain):
            field.take(value)
        # the model refuses it too, naming the field or what is in it
        for read in (one.validate, one.judged):
            with pytest.raises(calculator.CalculatorError, match=r"^it[ .]|unknown field"):
                read({"it": value})
        assert one.all_problems({"it": value})[0][0][0] == "it"


def test_what_need_not_be_there():
    made = {"a": fields.count(3), "b": fields.optional(fields.count(3)), "c": fields.flag(required=False)}
    assert fields.required(made) == ("a",)
    assert fields.required(fields.left_out(made)) == ()
    assert [field.nullable for field in fields.left_out(made).values()] == [False, True, False]
    assert fields.taken(made, {"a": 1, "b": None}) == {"a": 1, "b": None}
    assert fields.taken(made, {"b": 2}, ()) == {"b": 2}
    for wrong in ({"b": 2}, {"a": 1, "c": None}, {"a": 1, "d": 2}):
        with pytest.raises(NotPlain):
            fields.taken(made, wrong)
    makers = {
        fields.count: (3,), fields.number: (3,), fields.text: (3,), fields.flag: (), fields.choice: (["x"],),
        fields.names: (["x"],), fields.listed: (fields.flag(),), fields.mapping: (),
    }  # fmt: skip
    for make, given in makers.items():
        assert (make(*given).required, make(*given, required=False).required) == (True, False)
        assert make(*given).nullable is False


def test_sizes_in_text():
    size, tokens = (replace(fields.count(2**40), unit=unit) for unit in ("bytes", "tokens"))
    assert (size.take("2 KiB"), tokens.take("2K"), size.take(5)) == (2_048, 2_048, 5)
    for field, wrong in ((size, "2 XB"), (size, "2G"), (tokens, "2 KiB"), (fields.count(9), "2K"), (size, "7")):
        with pytest.raises(NotPlain):
            field.take(wrong)
    for field in (
        replace(fields.number(2**40), unit="bytes"),
        replace(fields.Between(least=0, most=2**40), unit="bytes"),
    ):
        assert field.take("1.5 KiB") == 1_536
        assert Schema("One", {"it": field}).judged({"it": "1.5 KiB"}) == {"it": 1_536}


def test_what_an_editor_is_shown():
    # the keywords of JSON Schema: bounds of numbers, lengths of texts and lists, closed mappings, defaults, units
    size = replace(fields.count(9), unit="bytes", help="how much", required=False, default=4)
    made = Schema("One", {
        "size": size, "plain": fields.count(9, 2), "maybe": fields.optional(fields.flag()),
        "texts": fields.listed(fields.text(7), 2), "name": fields.choice(["x", "y"]),
        "inner": replace(INNER, help="in"),
        "open": fields.Nested(name="Open", fields={"a": fields.flag()}, open=True), "some": fields.mapping(),
        "number": fields.number(5, 1), "between": fields.Between(least=2, most=3),
        "either": fields.Either(kinds=(fields.flag(), fields.text(4))),
    }).json_schema("A title", "what it is")  # fmt: skip
    assert (made["title"], made["description"], made["additionalProperties"]) == ("A title", "what it is", False)
    assert set(made["required"]) == {"plain", "texts", "name", "inner", "open", "some", "number", "between", "either"}
    shown = made["properties"]
    assert (shown["size"]["default"], shown["size"]["unit"], shown["size"]["description"]) == (4, "bytes", "how much")
    # a size may be written in text, another number not
    assert [kind["type"] for kind in shown["size"]["anyOf"]] == ["integer", "string"]
    assert (shown["plain"]["type"], shown["plain"]["minimum"], shown["plain"]["maximum"]) == ("integer", 2, 9)
    assert [kind["type"] for kind in shown["maybe"]["anyOf"]] == ["boolean", "null"]
    assert shown["maybe"]["default"] is None
    assert "unit" not in shown["plain"]
    assert "description" not in shown["plain"]
    texts = shown["texts"]
    assert (texts["minItems"], texts["maxItems"], texts["items"]["minLength"], texts["items"]["maxLength"]) == (
        2,
        2,
        1,
        7,
    )
    assert shown["name"]["enum"] == ["x", "y"]
    assert (shown["number"]["exclusiveMinimum"], shown["number"]["maximum"]) == (1, 5)
    assert (shown["between"]["minimum"], shown["between"]["maximum"]) == (2, 3)
    assert [kind["type"] for kind in shown["either"]["anyOf"]] == ["boolean", "string"]
    inner, opened = made["$defs"]["Inner"], made["$defs"]["Open"]
    assert (inner["additionalProperties"], inner["required"], inner["description"]) == (False, ["a"], "in")
    assert opened["additionalProperties"] is True


@pytest.mark.parametrize(
    ("field", "value", "allowed", "nearest"),
    [
        (fields.count(9, 2), 1, (2, 9), 2), (fields.count(9, 2), 12, (2, 9), 9), (fields.count(9, 2), 3.6, (2, 9), 4),
        (fields.count(9, 2), True, (2, 9), None), (fields.count(9, 2), "3", (2, 9), None),
        (fields.number(5, 1), 6, (1, 5), 5), (fields.number(5, 1), 1, (1, 5), None),
        (fields.number(5, 1), 0, (1, 5), None),
        (fields.number(5, 1), float("nan"), (1, 5), None),
        (fields.Between(least=2, most=3), 1.5, (2, 3), 2), (fields.Between(least=2, most=3), 4, (2, 3), 3),
        (fields.choice(["x", "y"]), "z", ("x", "y"), None), (fields.flag(), 1, None, None),
    ],
)  # fmt: skip
def test_what_a_refusal_says_of_the_field(field, value, allowed, nearest):
    for fields_, given, name in (({"it": field}, {"it": value}, "it"),
                                 ({"in": fields.Nested(name="In", fields={"it": field})}, {"in": {"it": value}},
                                  "in.it")):  # fmt: skip
        with pytest.raises(calculator.InvalidValueError) as caught:
            Schema("One", fields_).judged(given)
        assert (caught.value.what, caught.value.allowed, caught.value.nearest) == (name, allowed, nearest)
        assert type(caught.value.nearest) is type(nearest)


def test_numbers_in_refusals():
    assert [schema._most(bound) for bound in (1.0, 1, 2.0, 1.5, 10**6, 0.5)] == [
        "1.0",
        "1",
        "2",
        "1.5",
        "1,000,000",
        "0.5",
    ]
    assert [schema._least(bound) for bound in (1.0, 1, 0.25, 10**6)] == ["1", "1", "0.25", "1000000"]
    for value, near in ((0.5, ""), (0.6, "; the nearest is 1"), (7.2, "; the nearest is 7"), (1e15, ""), (9e14,
          "; the nearest is 900000000000000")):  # fmt: skip
        assert schema._whole_number(value, {}).partition(";")[1:] == near.partition(";")[1:]
    for value, quoted in ((7, True), (7.5, True), (True, False), ([], False)):
        assert ("write it in quotes" in schema._text(value, {})) is quoted


def test_a_misspelt_field_is_why_another_is_missing():
    both = Schema("Both", {"model": fields.text(9), "size": fields.count(9)})
    with pytest.raises(calculator.InvalidValueError, match=r"model is missing; unknown field 'modle'") as caught:
        both.validate({"modle": "a", "size": 1})
    assert (caught.value.what, caught.value.nearest) == ("model", "model")
    with pytest.raises(calculator.UnknownNameError, match="unknown field 'sise'"):
        both.validate({"model": "a", "size": 1, "sise": 1})
    with pytest.raises(calculator.InvalidValueError, match="size must be at most 9"):
        both.validate({"model": "a", "size": 10})


def test_what_is_shared_cannot_be_changed():
    found = frozen({"a": [1, {"b": 2}], "c": (3,)})
    assert found == {"a": [1, {"b": 2}], "c": (3,)}
    assert (type(found), type(found["a"]), type(found["a"][1])) == (FrozenDict, FrozenList, FrozenDict)
    assert frozen(found) is found
    for name, given in {"__setitem__": ("a", 1), "__delitem__": ("a",), "__ior__": ({},), "clear": (), "pop": ("a",),
                        "popitem": (), "setdefault": ("a", 1), "update": ({},)}.items():  # fmt: skip
        with pytest.raises(TypeError, match="this dict is shared and read-only"):
            getattr(found, name)(*given)
    for name, given in {"__setitem__": (0, 1), "__delitem__": (0,), "__iadd__": ([],), "__imul__": (2,), "append": (1,),
                        "clear": (), "extend": ([],), "insert": (0, 1), "pop": (), "remove": (1,), "reverse": (),
                        "sort": ()}.items():  # fmt: skip
        with pytest.raises(TypeError, match="this list is shared and read-only"):
            getattr(found["a"], name)(*given)
    for same in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
        assert (same, type(same), type(same["a"])) == (found, FrozenDict, FrozenList)


def test_where_in_a_document_something_is_wrong():
    text = "a:\n  - name: first\n    b: 1\n  - c: 2\n" + f"{'k' * 81}: 3\n"
    document = strict_yaml.parse(text, "f")

    def said(*location):
        return str(document.error(location, "is wrong"))

    assert said("a", 0, "b") == "f:3: a: 0 (first): b: is wrong"
    assert said("a", 1, "c") == "f:4: a: 1: c: is wrong"
    assert said("a", 1, "d") == "f:4: a: 1: d: is wrong"
    assert said("a", 7) == "f:1: a: 7: is wrong"
    assert said() == "f:1: is wrong"
    # a name of 80 characters is shown whole, of a longer one 79
    assert said("k" * 81) == f"f:5: {'k' * 79}…: is wrong"
    assert said("x" * 80) == f"f:1: {'x' * 80}: is wrong"
    assert document.error(("a", 0, "b"), "x").line == 3


# Tables


PAIR = ["s", "trained", "gqa", "v", "m", "70", "64", "8", "", "0.875", "b", "u", "yes", "47.25", "47.1", "no", "at", ""]


def test_a_row_of_published_pairs():
    pair = published._pair(PAIR, "a:2")
    assert (pair.num_parameters, pair.num_attention_heads, pair.num_key_value_heads, pair.training_tokens) == (
        70,
        64,
        8,
        None,
    )
    assert (pair.kv_saving, pair.higher_is_better, pair.second_hand, pair.note) == (0.875, True, False, "")
    assert (pair.query_heads_per_kv_head, pair.change) == (8.0, -0.15)
    assert published._pair([*PAIR[:6], "", *PAIR[7:]], "a").query_heads_per_kv_head is None
    assert published._pair([*PAIR[:7], "", *PAIR[8:]], "a").query_heads_per_kv_head is None
    names = list(published.PublishedPair.__slots__)
    # what a cell cannot be, by its column
    wrong = {
        "study": "", "category": "x", "kind": "mhaa", "variant": "", "model": "", "benchmark": "", "unit": "",
        "source": "",
        "num_parameters": "7.5", "num_attention_heads": "x", "num_key_value_heads": "8.0", "training_tokens": "many",
        "kv_saving": "x", "higher_is_better": "true", "second_hand": "", "baseline": "", "value": "x",
    }  # fmt: skip
    for name, cell in wrong.items():
        row = [cell if column == name else kept for column, kept in zip(names, PAIR, strict=True)]
        with pytest.raises(calculator.FileFormatError, match=f"a:2: {name} cannot be"):
            published._pair(row, "a:2")
    for row in (PAIR[:-1], [*PAIR, ""]):
        with pytest.raises(calculator.FileFormatError, match=f"has {len(row)} cells, and there are 18 columns"):
            published._pair(row, "a:2")
    for column, values in (("kind", "mqa gqa mla format"), ("category", "trained uptrained converted format speed")):
        for value in values.split():
            row = [value if each == column else kept for each, kept in zip(names, PAIR, strict=True)]
            assert getattr(published._pair(row, "a"), column) == value


def test_a_repository_is_named_up_to_its_longest_context():
    with data_file("quantised_repositories.csv").open(encoding="utf-8", newline="") as file:
        rows = [row["repository"] for row in csv.DictReader(file)]
    name = "hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4"
    assert name in rows
    model = load_model("llama-3.1-8b")
    assert quantised_repository(model, "awq-int4", 131_072) == name == quantised_repository(model, "awq-int4")
    assert quantised_repository(model, "awq-int4", 131_073) == ""
    assert quantised_repository(model, "q2_k") == ""
    # a model that is not the preset as it is has no repository
    assert quantised_repository(replace(model, variations={"num_layers": 8}), "awq-int4") == ""


def test_of_many_choices_eight_are_named():
    # every chip of Apple that is called Max, in alphabetical order
    chips = sorted(key for key in all_gpu_ids() if "max" in key.split("-"))
    assert len(chips) == 14
    with pytest.raises(calculator.UnknownNameError) as caught:
        calculator.load_gpu("Max")
    assert f"it can be {' or '.join(chips[:8])} or 6 more: name one" in str(caught.value)
    assert caught.value.allowed == tuple(chips)
    ultra = sorted(key for key in all_gpu_ids() if "ultra" in key.split("-"))
    with pytest.raises(calculator.UnknownNameError, match=f"it can be {' or '.join(ultra)}: name one") as caught:
        calculator.load_gpu("Ultra")
    assert len(ultra) == 8


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


GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 32}


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


# Presets


GPU = {"name": "A", "vendor": "B", "gpus_per_node": 8, "sources": "x"}


@pytest.mark.parametrize(
    ("more", "memory", "prices"),
    [
        ({"reported_mib": 1_000}, 1_000 * 2**20, None),
        ({"program_gib_low": 10.0, "program_gib_high": 12.0}, 11 * 2**30, None),
        ({"reported_mib": 1, "program_gib_low": 10.0, "program_gib_high": 10.0}, 10 * 2**30, None),
        ({"reported_mib": 1, "price_usd_per_hour_low": 2.0}, 2**20, (2.0, 2.0)),
        ({"reported_mib": 1, "price_usd_per_hour_high": 3.0}, 2**20, (3.0, 3.0)),
        ({"reported_mib": 1, "price_usd_per_hour_low": 2.0, "price_usd_per_hour_high": 3.0}, 2**20, (2.0, 3.0)),
        ({"reported_mib": 1, "price_usd_per_hour_low": 2.0, "price_usd_per_hour_high": 2.0}, 2**20, (2.0, 2.0)),
    ],
)  # fmt: skip
def test_a_device_of_its_entry(more, memory, prices):
    made = build_gpu("a", {**GPU, **more})
    assert (made.id, made.memory_bytes, made.price_usd_per_hour, made.unverified) == ("a", memory, prices, ())
    stated = {
        "generation": "hopper", "label_gb": 80, "bandwidth_gb_per_s": 1.5, "bf16_tflops": 2.5, "fp8_tflops": 3.5,
        "fp4_tflops": 4.5, "link_gb_per_s": 5.5, "price_date": "2026", "price_quotes": 3,
    }  # fmt: skip
    made = build_gpu("a", {**GPU, **more, **stated, "unverified": ["memory"]})
    assert {name: getattr(made, name) for name in stated} == stated
    assert (made.name, made.vendor, made.gpus_per_node, made.sources, made.unverified) == (
        "A",
        "B",
        8,
        "x",
        ("memory",),
    )
    assert made.reported_mib == more.get("reported_mib")


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({}, "program_gib_low or reported_mib is needed"), ({"program_gib_low": 1.0}, "given together or not at all"),
        ({"program_gib_high": 1.0, "reported_mib": 1}, "given together or not at all"),
        ({"reported_mib": 1, "price_usd_per_hour_low": 3.0, "price_usd_per_hour_high": 2.9},
         "3 is more than the high 2.9"),
    ],
)  # fmt: skip
def test_a_device_that_its_entry_does_not_describe(more, text):
    with pytest.raises(calculator.InvalidValueError, match=text):
        build_gpu("a", {**GPU, **more})


def test_a_file_is_cut_where_its_ids_stand():
    content = "# first\nmodels:\n  a:\n    x: 1\n\n  # of b\n  b.1-c:  # here\n      y: 2\n"
    assert _parts(content, "models") == {
        "a": (3, "  a:\n    x: 1\n\n  # of b"), "b.1-c": (7, "  b.1-c:  # here\n      y: 2\n"),
    }  # fmt: skip
    # another section, an id twice or in front of the section, text in front of the first, and a section twice
    for other in ("gpus:\n  a:\n    x: 1\n", "models:\n  a:\n    x: 1\n  a:\n    x: 1\n", "  a:\n    x: 1\nmodels:\n",
                  "models:\n    x: 1\n  a:\n    x: 1\n", "models:\n  a:\n    x: 1\nmodels:\n  b:\n    x: 1\n",
                  "models:\n  a:\n    x: 1\n  b:\n    x: 1\n  a:\n    x: 1\n", "models:\n", ""):  # fmt: skip
        assert _parts(other, "models") == {}, other
    entries = Entries(content, "f", "models")
    assert (dict(entries), len(entries), "a" in entries, "c" in entries) == (
        {"a": {"x": 1}, "b.1-c": {"y": 2}},
        2,
        True,
        False,
    )
    with pytest.raises(KeyError):
        entries["c"]
    assert (
        entries.document("a").line(("models", "a", "x")),
        entries.document("b.1-c").line(("models", "b.1-c", "y")),
    ) == (4, 8)


def test_what_entries_state_is_read_without_them():
    lines = {
        "a": "    name: plain words", "b": '    name: "quoted: words"', "c": "    name: 'single'", "d": "    other: x",
        "e": "    name:\n      next line", "f": "    name: with # comment", "h": "    name: ''",
    }  # fmt: skip
    content = "models:\n" + "".join(f"  {key}:\n    x: 1\n{line}\n" for key, line in lines.items())
    assert dict(Entries(content, "f", "models").stated("name")) == {
        "a": "plain words", "b": "quoted: words", "c": "single", "e": "next line", "f": "with",
    }  # fmt: skip
    # laid out otherwise, all is parsed
    assert dict(Entries("models: {a: {name: x}, b: {y: 1}, c: 5}", "f", "models").stated("name")) == {"a": "x"}


def test_a_file_of_presets_validates_what_is_asked_for(tmp_path):
    (tmp_path / "f").write_text("things:\n  a:\n    n: 1\n  b:\n    n: 10\n  c: 5\n  d:\n    n: 3\n")
    built = []

    def build(key, fields_):
        built.append(key)
        if fields_["n"] == 3:
            raise calculator.InvalidValueError("three", what="n")
        return key, fields_["n"]

    one = Schema("One", {"n": fields.count(9)})
    file = PresetFile(tmp_path / "f", "things", lambda _: one, build, lambda first, second: first[1] == second[1])
    assert file.get("a") is file.get("a")
    assert (file.get("a"), built) == (("a", 1), ["a"])
    for key, text in (("b", "f:5: b: n: n must be at most 9"), ("c", "f:6: c: must be a mapping of fields"),
                      ("d", "f:8: d: n: three")):  # fmt: skip
        with pytest.raises(calculator.FileFormatError, match=text):
            file.get(key)
    # an id stands for its own preset, for one that is the same, and for any where no preset has it
    assert file.is_not_another("a", file.get("a"))
    assert file.is_not_another("a", ("other", 1))
    assert not file.is_not_another("a", ("a", 2))
    assert file.is_not_another("none", ("a", 2))
    assert (file.line("a"), file.line("b", "n")) == (2, 5)


def test_names_that_begin_alike():
    pairs = (("abc", "abd"), ("abc", "abc"), ("abc", "ab"), ("", "a"), ("x", "y"))
    assert [_same_beginning(*pair) for pair in pairs] == [2, 3, 2, 0, 0]


def test_no_more_than_three_are_near(tmp_path, monkeypatch):
    with pytest.raises(calculator.UnknownNameError, match="did you mean") as caught:
        calculator.load_model("qwen3-9")
    named = str(caught.value).partition("did you mean ")[2].partition("?")[0].split(" or ")
    assert len(named) == len(set(named)) == 3
    assert all(each.startswith("qwen3-") for each in named)
    assert caught.value.nearest == named[0]
    # what is there is read, whatever its name could mean; without a slash a name is a name
    monkeypatch.chdir(tmp_path)
    assert calculator.load_model("meta-llama/Llama-3.1-8B-Instruct").num_layers == 32
    (tmp_path / "meta-llama" / "Llama-3.1-8B-Instruct").mkdir(parents=True)
    (tmp_path / "Llama-3.1-8B-Instruct").mkdir()
    with pytest.raises(calculator.FileFormatError, match=r"holds no config\.json"):
        calculator.load_model("meta-llama/Llama-3.1-8B-Instruct")
    assert calculator.load_model("Llama-3.1-8B-Instruct").num_layers == 32
    (tmp_path / "llama-3.1-8b.gguf").write_bytes(b"")
    with pytest.raises(calculator.FileFormatError, match="is cut short"):
        calculator.load_model("llama-3.1-8b.gguf")
