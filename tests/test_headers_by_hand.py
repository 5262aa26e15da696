"""Headers of checkpoints: sizes of every type, bounds met exactly and passed by one, and where a tensor belongs."""

import struct

import pytest

import calculator
from calculator.configs.checkpoints.gguf.header import read_gguf
from calculator.configs.checkpoints.measured import OF_TYPES
from calculator.configs.checkpoints.safetensors import Tensor, header_length, parse_header, tensors_of
from calculator.configs.checkpoints.tensors import Module, Tensors, place_of

# safetensors' format: bytes of 48 values of each type
BYTES = {
    "F64": 384, "I64": 384, "U64": 384, "C64": 384, "F32": 192, "I32": 192, "U32": 192, "F16": 96, "BF16": 96,
    "I16": 96, "U16": 96, "I8": 48, "U8": 48, "BOOL": 48, "F8_E4M3": 48, "F8_E5M2": 48, "F8_E8M0": 48,
    "F8_E4M3FNUZ": 48, "F8_E5M2FNUZ": 48, "F6_E2M3": 36, "F6_E3M2": 36, "F4": 24,
}  # fmt: skip


def header(dtype, shape, begin, end):
    tensor = f'{{"dtype": "{dtype}", "shape": {shape}, "data_offsets": [{begin}, {end}]}}'
    return f'{{"__metadata__": {{"a": "b"}}, "t": {tensor}}}'


@pytest.mark.parametrize(("dtype", "size"), BYTES.items())
def test_bytes_of_every_type(dtype, size):
    assert parse_header(header(dtype, [6, 8], 0, size).encode(), size, "a") == [Tensor("t", dtype, 48, size)]
    with pytest.raises(calculator.FileFormatError, match=f"takes {size} bytes, and not {size - 1}"):
        parse_header(header(dtype, [6, 8], 0, size - 1).encode(), size - 1, "a")


@pytest.mark.parametrize(
    ("shape", "elements"), [([], 1), ([0], 0), ([2] * 8, 256), ([2] * 9, None), ([2**50 - 1, 0], 0), ([2**50, 0], None)]
)
def test_shapes_up_to_their_bounds(shape, elements):
    size = 2 * (elements or 512)
    text = header("BF16", shape, 0, 2 * (elements if elements is not None else 512)).encode()
    if elements is None:
        with pytest.raises(calculator.FileFormatError, match="has the shape"):
            parse_header(text, size, "a")
    else:
        assert parse_header(text, 2 * elements, "a")[0].elements == elements


def test_half_a_byte_is_rounded_up():
    assert parse_header(header("F4", [3], 0, 2).encode(), 2, "a")[0].bytes == 2  # 12 bits
    with pytest.raises(calculator.FileFormatError, match="holds more than its header says: the header describes 2"):
        parse_header(header("F4", [3], 0, 2).encode(), 3, "a")


def test_lengths_of_headers():
    most = 32 * 2**20
    assert header_length(most.to_bytes(8, "little"), most + 8, "a") == most
    assert header_length((2).to_bytes(8, "little"), 10, "a") == 2
    for length, size, said in ((most + 1, most + 9, "at most 33,554,432"), (1, 10, "cut short"), (3, 10, "cut short")):
        with pytest.raises(calculator.FileFormatError, match=said):
            header_length(length.to_bytes(8, "little"), size, "a")
    with pytest.raises(calculator.FileFormatError, match="ends after 7 bytes"):
        header_length(b"\2" + b"\0" * 6, 10, "a")


def test_what_a_client_has_read_is_read_alike():
    class Entry:
        dtype, shape, data_offsets = "I16", (2, 3), (4, 16)

    assert tensors_of({"t": Entry}, "a") == [Tensor("t", "I16", 6, 12)]
    with pytest.raises(calculator.FileFormatError, match="of the type None"):
        tensors_of({"t": object()}, "a")


def test_what_types_are_called():
    assert dict(OF_TYPES) == {"F8_E4M3": "fp8", "F8_E5M2": "fp8", "I8": "int8", "U8": "nvfp4", "F4": "nvfp4",
                              "I32": "gptq-int4"}  # fmt: skip


def test_a_module_is_the_sum_of_its_tensors():
    # a matrix of 6 x 8 in 8 bit, its scale in float32, a bias of 6 in bf16
    module = Module()
    for tensor, parameter in ((Tensor("w", "F8_E4M3", 48, 48), "weight"), (Tensor("s", "F32", 1, 4), "weight_scale"),
                              (Tensor("b", "BF16", 6, 12), "bias")):  # fmt: skip
        module.add(tensor, parameter)
    assert (module.bytes, module.elements, module.weights, module.biases, module.bias_bytes) == (64, 55, 48, 6, 12)
    assert (module.main, module.largest, module.is_plain, module.loaded_bytes) == ("F8_E4M3", 48, False, 64)
    plain = Module()
    plain.add(Tensor("w", "F32", 48, 192), "weight")
    assert (plain.is_plain, plain.loaded_bytes, plain.main) == (True, 96, "F32")  # loaded in 16 bit
    packed = Module()
    packed.add(Tensor("b", "I32", 6, 24), "bias")
    assert (packed.biases, packed.bias_bytes, packed.is_plain) == (0, 0, False)
    empty = Module()
    empty.add(Tensor("w", "BF16", 0, 0), "weight")
    assert (empty.main, empty.largest) == ("BF16", 0)


@pytest.mark.parametrize(
    ("name", "part", "layer", "module", "parameter"),
    [
        ("model.layers.3.self_attn.q_proj.weight", "layer", 3, "self_attn.q_proj", "weight"),
        ("transformer.h.0.attn.c_attn.bias", "layer", 0, "attn.c_attn", "bias"),
        ("model.layers.5.mlp.experts.17.up_proj.weight_scale_inv", "layer", 5, "mlp.experts.*.up_proj",
         "weight_scale_inv"),
        ("model.layers.5.mlp.gate_proj.qweight", "layer", 5, "mlp.gate_proj", "qweight"),
        ("model.layers.6.mlp.gate_proj.weight", "apart", None, None, None),
        ("model.mtp.layers.0.mlp.gate_proj.weight", "apart", None, None, None),
        ("model.layers.0.self_attn.rotary_emb.inv_freq", "apart", None, None, None),
        ("visual.blocks.0.attn.qkv.weight", "tower", None, None, None),
        ("vision_tower.encoder.layers.0.mlp.fc1.weight", "tower", None, None, None),
        ("multi_modal_projector.linear_1.weight", "tower", None, None, None),
        ("model.embed_tokens.weight", "ends", None, None, "weight"), ("lm_head.weight", "ends", None, None, "weight"),
    ],
)  # fmt: skip
def test_where_a_tensor_belongs(name, part, layer, module, parameter):
    place = place_of(name, 6)
    assert place.part == part
    for found, expected in ((place.layer, layer), (place.module, module), (place.parameter, parameter)):
        assert expected is None or found == expected


def test_tensors_are_sorted_by_their_part():
    found = Tensors()
    names = ["model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.bias",
             "model.layers.1.mlp.up_proj.weight",
             "visual.blocks.0.attn.qkv.weight", "mtp.fc.weight", "lm_head.weight"]  # fmt: skip
    found.add((Tensor(name, "BF16", 2**place, 2 * 2**place) for place, name in enumerate(names)), 2)
    assert {layer: {name: it.bytes for name, it in modules.items()} for layer, modules in found.layers.items()} == {
        0: {"mlp.up_proj": 2 + 4}, 1: {"mlp.up_proj": 8},
    }  # fmt: skip
    assert (found.tower_bytes, found.apart_bytes, found.count) == (16, 32, 6)
    assert [it.bytes for it in found.ends.values()] == [64]


# A file of GGUF, byte by byte


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


def described(name, shape, kind, offset):
    return (
        text(name)
        + struct.pack("<I", len(shape))
        + struct.pack(f"<{len(shape)}Q", *shape)
        + struct.pack("<IQ", kind, offset)
    )


def gguf(pairs=(), tensors=(), data=0, version=3, alignment=32):
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(pairs)) + b"".join(pairs) + b"".join(tensors)
    return head + b"\0" * (-len(head) % alignment + data)


def read(tmp_path, content):
    (tmp_path / "a.gguf").write_bytes(content)
    return read_gguf(tmp_path / "a.gguf")


def test_values_of_every_type_are_read(tmp_path):
    numbers = {0: ("<B", 200), 1: ("<b", -3), 2: ("<H", 60_000), 3: ("<h", -300), 4: ("<I", 2**31), 5: ("<i", -(2**30)),
               6: ("<f", 0.5), 7: ("<?", True), 10: ("<Q", 2**63), 11: ("<q", -(2**62)), 12: ("<d", 0.25)}  # fmt: skip
    pairs = [
        text(f"n{kind}") + struct.pack("<I", kind) + struct.pack(form, value) for kind, (form, value) in numbers.items()
    ]
    pairs += [
        text("t") + struct.pack("<I", 8) + text("words"),
        text("l") + struct.pack("<IIQ", 9, 4, 2) + struct.pack("<II", 5, 6),
    ]
    found = read(tmp_path, gguf(pairs, version=2)).values
    assert {key: found[key] for key in found if key != "#l"} == {
        **{f"n{kind}": value for kind, (_, value) in numbers.items()}, "t": "words", "l": [5, 6],
    }  # fmt: skip
    assert found["#l"] == 2


@pytest.mark.parametrize("kind", [4, 8])
def test_a_long_list_is_counted_and_not_kept(tmp_path, kind):
    for many in (4_096, 4_097):
        items = struct.pack(f"<{many}I", *range(many)) if kind == 4 else b"".join(map(text, map(str, range(many))))
        pairs = [text("l") + struct.pack("<IIQ", 9, kind, many) + items, text("after") + struct.pack("<IB", 0, 7)]
        found = read(tmp_path, gguf(pairs)).values
        assert (found["#l"], found["after"], "l" in found) == (many, 7, many == 4_096)


@pytest.mark.parametrize(
    ("shape", "kind", "taken"),
    # 0 is float32; 2 blocks of 32 in 18 bytes; 12 blocks of 256 in 144
    [((3,), 0, 12), ((64, 5), 2, 2 * 5 * 18), ((256, 2, 3, 2), 12, 12 * 144)],
)
def test_a_tensor_takes_its_blocks(tmp_path, shape, kind, taken):
    (tensor,) = read(tmp_path, gguf(tensors=[described("t", shape, kind, 0)], data=taken)).tensors
    assert tensor.bytes == taken
    with pytest.raises(calculator.FileFormatError, match=f"describes {taken:,} bytes, and {taken - 1:,} follow it"):
        read(tmp_path, gguf(tensors=[described("t", shape, kind, 0)], data=taken - 1))


@pytest.mark.parametrize(
    ("pairs", "tensors", "said"),
    [
        ((), [described("t", (), 0, 0)], "has 0 dimensions"),
        ((), [described("t", (1,) * 5, 0, 0)], "has 5 dimensions"),
        ((), [described("t", (33,), 2, 0)], "does not divide into blocks of Q4_0"),
        ((), [described("t", (1,), 4, 0)], "type 4"),
        ((), [described("t", (2**25, 2**25), 0, 0)], "does not divide"),
        ((), [described("t", (2**40 + 1,), 0, 0)], "elements"),
        ((), [described("t", (4,), 0, 0), described("t", (4,), 0, 16)], "two tensors have one name"),
        ((), [described("t", (4,), 0, 0), described("u", (4,), 0, 12)], "data of two tensors overlap at 12"),
        ([text("a") + struct.pack("<IB", 0, 7)] * 2, (), "duplicate key 'a'"),
        ([text("general.alignment") + struct.pack("<II", 4, 0)], (), "an alignment of 0"),
        ([text("general.alignment") + struct.pack("<II", 4, 2**20 + 1)], (), "an alignment of 1048577"),
        ([text("general.alignment") + struct.pack("<If", 6, 32.0)], (), "an alignment of 32.0"),
    ],
)  # fmt: skip
def test_headers_that_contradict_themselves(tmp_path, pairs, tensors, said):
    with pytest.raises(calculator.FileFormatError, match=said):
        read(tmp_path, gguf(pairs, tensors, data=64))


def test_data_begin_at_the_alignment(tmp_path):
    for alignment in (1, 64, 2**20):
        pairs = [text("general.alignment") + struct.pack("<II", 4, alignment)]
        tensors = [described("t", (4,), 0, 0), described("u", (4,), 0, 16)]
        assert len(read(tmp_path, gguf(pairs, tensors, 32, alignment=alignment)).tensors) == 2
        with pytest.raises(calculator.FileFormatError, match="describes 32 bytes, and 31 follow it"):
            read(tmp_path, gguf(pairs, tensors, 31, alignment=alignment))
