"""Checkpoints' files at their bounds, and what of a folder or a header is counted, by hand."""

import io
import json
import struct

import pytest
from checkpoints import llama_gguf, llama_tensors, write_gguf, write_safetensors
from small_config import CONFIG

import calculator
from calculator.architecture.weights import weight_bytes_per_rank
from calculator.configs.checkpoints.gguf.header import _Reader
from calculator.configs.checkpoints.index import parse_index
from calculator.configs.checkpoints.safetensors import tensors_of
from calculator.configs.reader import model_from_hf_config

CONFIG = {**CONFIG, "hidden_size": 512, "intermediate_size": 1024}


def plain(_, __, outputs, inputs):
    return {"weight": ("BF16", (outputs, inputs))}


def folder(path, tensors, name="model.safetensors", **config):
    (path / "config.json").write_text(json.dumps({**CONFIG, **config}))
    return write_safetensors(path / name, tensors)


# A header of GGUF: at most so much, and one more is refused before anything is read


KEY = struct.pack("<Q", 1) + b"a"
DESCRIBED = b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + KEY


def dimension(size, more=()):
    return DESCRIBED + struct.pack(f"<I{1 + len(more)}QIQ", 1 + len(more), size, *more, 0, 0)


@pytest.mark.parametrize(
    ("made", "most"),
    [
        (lambda n: b"GGUF" + struct.pack("<IQQ", 3, n, 0), 100_000),
        (lambda n: b"GGUF" + struct.pack("<IQQ", 3, 0, n), 4_096),
        (lambda n: b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", n), 2**20),
        (lambda n: b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + KEY + struct.pack("<IIQ", 9, 0, n), 8_000_000),
        (dimension, 2**40),
    ],
)
def test_a_header_promises_at_most(tmp_path, made, most):
    path = tmp_path / "a.gguf"
    path.write_bytes(made(most))
    with pytest.raises(calculator.FileFormatError, match="is cut short"):
        calculator.load_model(str(path))
    path.write_bytes(made(most + 1))
    with pytest.raises(calculator.FileFormatError, match=f"at most {most:,} are read"):
        calculator.load_model(str(path))


def test_a_tensor_has_at_most_so_many_values(tmp_path):
    # 2^50 values are none that anyone stores; a row less is described, and not there
    for rows, said in ((2**25, "does not divide into blocks"), (2**25 - 1, "is cut short: the header describes")):
        (tmp_path / "a.gguf").write_bytes(dimension(2**25, (rows,)))
        with pytest.raises(calculator.FileFormatError, match=said):
            calculator.load_model(str(tmp_path / "a.gguf"))


def test_a_header_takes_at_most_128_mib():
    with pytest.raises(calculator.FileFormatError, match="is cut short"):
        _Reader(io.BytesIO(b""), "a").take(134_217_728)
    with pytest.raises(calculator.FileFormatError, match="a header of more than 134,217,728 bytes"):
        _Reader(io.BytesIO(b""), "a").take(134_217_729)
    reader = _Reader(io.BytesIO(b"12345678"), "a")
    reader.take(8)
    with pytest.raises(calculator.FileFormatError, match="more than"):
        reader.take(134_217_721)


def test_a_model_is_cut_into_at_most_4096_files(tmp_path):
    values, tensors = llama_gguf(CONFIG)
    for count, said in ((4_096, "of its 4096 files a-00002-of-04096.gguf is not there"), (4_097, "not named as one")):
        path = tmp_path / f"a-00001-of-{count:05}.gguf"
        write_gguf(path, {**values, "split.count": count}, tensors)
        with pytest.raises(calculator.FileFormatError, match=said):
            calculator.load_model(str(path))


def test_layers_behind_the_last_and_lists_of_nothing(tmp_path):
    values, tensors = llama_gguf(CONFIG)
    stored = write_gguf(tmp_path / "a.gguf", values, tensors)
    # a layer for drafts stands behind the others, and is not loaded; a list may be empty
    more = {"blk.2.nextn.eh_proj.weight": ("F32", (512, 1024))}
    write_gguf(tmp_path / "b.gguf", {**values, "tokenizer.ggml.merges": []}, {**tensors, **more})
    found = [calculator.load_model(str(tmp_path / name)) for name in ("a.gguf", "b.gguf")]
    assert [weight_bytes_per_rank(model) for model in found] == [(stored,), (stored,)]


# Safetensors and their index


def test_a_header_describes_at_most_300000_tensors():
    class Many(dict):
        def __len__(self):
            return self["many"]

        def items(self):
            return ()

    assert tensors_of(Many(many=300_000), "a") == []
    with pytest.raises(calculator.FileFormatError, match="more than 300,000 tensors"):
        tensors_of(Many(many=300_001), "a")


@pytest.mark.parametrize(
    ("total", "taken"),
    [(1, 1), (2**50 - 1, 2**50 - 1), (2**50, None), (0, None), (-1, None), (8.0, 8), (8.5, None), (True, None),
     ("8", None), (None, 0)],
)  # fmt: skip
def test_a_total_size_is_a_number_of_bytes(total, taken):
    text = json.dumps({"metadata": {"total_size": total}, "weight_map": {"a": "a.safetensors"}}).encode()
    if taken is None:
        with pytest.raises(calculator.FileFormatError, match="is no number of bytes"):
            parse_index(text, "a")
    else:
        assert parse_index(text, "a") == (("a",), ("a.safetensors",), taken)


def test_an_index_names_at_most_4096_files():
    files = {f"t{number}": f"{number}.safetensors" for number in range(4_097)}
    with pytest.raises(calculator.FileFormatError, match="name up to 4,096 files"):
        parse_index(json.dumps({"weight_map": files}).encode(), "a")
    del files["t4096"]
    assert len(parse_index(json.dumps({"weight_map": files}).encode(), "a").files) == 4_096
    assert parse_index(b'{"weight_map": {"a": "a.safetensors"}}', "a").total_bytes == 0


def test_weights_that_stand_twice_are_counted_once(tmp_path):
    """Mistral's own files beside the same weights by the Hub's names."""
    total = folder(tmp_path, llama_tensors(CONFIG, plain))
    write_safetensors(tmp_path / "consolidated.safetensors", llama_tensors(CONFIG, plain))
    assert weight_bytes_per_rank(calculator.load_model(str(tmp_path))) == (total,)
    (tmp_path / "model.safetensors").rename(tmp_path / "consolidated-00001-of-00001.safetensors")
    (tmp_path / "consolidated.safetensors").unlink()
    assert weight_bytes_per_rank(calculator.load_model(str(tmp_path))) == (total,)


# a layer whose projection up goes by another name: 16,384 x 512 in 16 bit, and two norms of 512, are 16,779,264 bytes;
# what stands in its place may be an eighth of that, or a tenth more
WIDE = {**CONFIG, "intermediate_size": 16_384, "num_hidden_layers": 1}
REST, NORMS = 2 * (16_384 * 512 + 2 * 512), 2 * 2 * 512


def is_held_or_refused(path, total, size, is_taken):
    """What the folder takes is held, or the matrix of no name is refused with what is left to it."""
    if is_taken:
        (held,) = weight_bytes_per_rank(calculator.load_model(str(path)))
        assert total <= held < total + 4  # each matrix in whole bytes
    else:
        with pytest.raises(calculator.FileFormatError, match=f"'mlp.strange' of {size - NORMS:,} bytes"):
            calculator.load_model(str(path))


@pytest.mark.parametrize(
    ("size", "is_taken"),
    [(REST, True), (REST // 8, True), (REST // 8 - 1, False), (REST * 11 // 10, True), (REST * 11 // 10 + 1, False)],
)
def test_what_is_left_of_a_layer_is_what_is_left_of_its_matrices(tmp_path, size, is_taken):
    tensors = llama_tensors(WIDE, plain)
    del tensors["model.layers.0.mlp.up_proj.weight"]
    total = folder(tmp_path, {**tensors, "model.layers.0.mlp.strange": ("U8", (size - NORMS,))}, **WIDE)
    is_held_or_refused(tmp_path, total, size, is_taken)


@pytest.mark.parametrize(("size", "is_taken"), [(2**20, True), (2**20 + 1, False)])
def test_a_mebibyte_more_of_a_layer_is_no_matrix(tmp_path, size, is_taken):
    tensors = llama_tensors({**CONFIG, "num_hidden_layers": 1}, plain)
    more = {"model.layers.0.mlp.strange": ("U8", (size - NORMS,))}
    total = folder(tmp_path, {**tensors, **more}, num_hidden_layers=1)
    is_held_or_refused(tmp_path, total, size, is_taken)


def test_an_encoder_takes_what_its_tensors_do(tmp_path):
    vision = {"model_type": "clip_vision_model", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    wrapped = {"model_type": "llava", "text_config": {**CONFIG, "model_type": "llama"}, "vision_config": vision}
    assert all(model_from_hf_config(wrapped).towers.values())
    tensors = {f"language_model.{name}": kind for name, kind in llama_tensors(CONFIG, plain).items()}
    of_tower = {"vision_tower.a.weight": ("F32", (1000, 100)), "multi_modal_projector.linear_1.weight": ("BF16", (9,))}
    (tmp_path / "config.json").write_text(json.dumps(wrapped))
    total = write_safetensors(tmp_path / "model.safetensors", {**tensors, **of_tower})
    (found,) = calculator.load_model(str(tmp_path)).towers.values()
    held = sum(matrix.stored.bytes_of(matrix.outputs, matrix.inputs) * matrix.copies for matrix in found)
    # shares are rounded to whole bytes matrix by matrix
    assert held == pytest.approx(4 * 1000 * 100 + 2 * 9, abs=2 * len(found))
    assert total - 400_018 == sum(weight_bytes_per_rank(model_from_hf_config(CONFIG)))
