"""A GGUF file: its metadata are an architecture, its tensors the bytes; what is none is refused by name."""

import struct

import pytest
from checkpoints import llama_gguf, write_gguf
from small_config import CONFIG

import calculator
from calculator.architecture.weights import weight_bytes_per_rank

CONFIG = {**CONFIG, "hidden_size": 512, "intermediate_size": 1024}


def test_a_file_is_a_model_of_its_own_bytes(tmp_path):
    path = tmp_path / "small-Q4_K_M.gguf"
    total = write_gguf(path, *llama_gguf(CONFIG))
    model = calculator.load_model(str(path))
    assert weight_bytes_per_rank(model) == (total,)
    assert model.num_parameters == calculator.model_from_hf_config(CONFIG).num_parameters
    assert model.kv_bytes_per_token() == 2 * 2 * 2 * 128 * 2
    assert (model.vocab_size, model.max_position_embeddings, model.tie_word_embeddings) == (1000, 2048, False)
    # ffn_down and the head are Q6_K: 1,560,576 of 5,745,152, of which 2,560 are in norms
    assert model.stored_as == "72.8 % Q4_K, 27.2 % Q6_K, 0.0 % F32"
    plan = calculator.plan(model, gpu="rtx-4090", engine="llama.cpp")
    assert plan.weights_from == "headers"
    # the embedding stays on the host: 1,000 x 512 values in blocks of 256 that take 144 bytes
    assert plan.per_gpu.weights_bytes == total - 1000 * 512 // 256 * 144


def test_heads_of_every_layer_may_differ_only_where_that_is_understood(tmp_path):
    values, tensors = llama_gguf(CONFIG)
    tensors["blk.1.attn_k.weight"] = ("Q4_K", (512, 512))
    write_gguf(tmp_path / "a.gguf", values, tensors)
    with pytest.raises(calculator.FileFormatError, match="layer 1 holds 2,491,392 values where its metadata make"):
        calculator.load_model(str(tmp_path / "a.gguf"))


def test_files_of_one_model_are_read_together(tmp_path):
    values, tensors = llama_gguf(CONFIG)
    names, total = list(tensors), 0
    for number in (1, 2):
        part = {name: tensors[name] for name in names[number - 1 :: 2]}
        said = {**values, "split.count": 2, "split.no": number - 1} if number == 1 else {"split.count": 2}
        total += write_gguf(tmp_path / f"a-0000{number}-of-00002.gguf", said, part)
    assert weight_bytes_per_rank(calculator.load_model(str(tmp_path / "a-00001-of-00002.gguf"))) == (total,)
    (tmp_path / "a-00002-of-00002.gguf").unlink()
    with pytest.raises(calculator.FileFormatError, match=r"of its 2 files a-00002-of-00002\.gguf is not there"):
        calculator.load_model(str(tmp_path / "a-00001-of-00002.gguf"))


START = b"GGUF" + struct.pack("<IQQ", 3, 0, 1)
HOSTILE = {
    "empty": (b"", "is cut short"),
    "another file": (b"PK\x03\x04" + b"\0" * 40, "does not begin with GGUF"),
    "version": (b"GGUF" + struct.pack("<IQQ", 9, 0, 0), "version 9 of GGUF"),
    "tensors": (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0), "tensors; at most 100,000"),
    "pairs": (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**60), "pairs of metadata; at most 4,096"),
    "a text of an exabyte": (START + struct.pack("<Q", 2**60), "bytes of one text; at most"),
    "a list of lists": (START + struct.pack("<Q", 1) + b"a" + struct.pack("<IIQI", 9, 9, 1, 9), "type 9"),
    "a long list": (START + struct.pack("<Q", 1) + b"a" + struct.pack("<IIQ", 9, 4, 2**60), "items of one list"),
    "another type": (START + struct.pack("<Q", 1) + b"a" + struct.pack("<I", 77), "of the type 77"),
}


@pytest.mark.parametrize(("content", "said"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_header_is_refused_by_name(tmp_path, content, said):
    path = tmp_path / "hostile.gguf"
    path.write_bytes(content)
    with pytest.raises(calculator.FileFormatError, match=said) as refused:
        calculator.load_model(str(path))
    assert "hostile.gguf" in str(refused.value)


def test_a_file_that_ends_early_is_refused(tmp_path):
    write_gguf(tmp_path / "a.gguf", *llama_gguf(CONFIG), cut=1)
    with pytest.raises(calculator.FileFormatError, match="is cut short: the header describes"):
        calculator.load_model(str(tmp_path / "a.gguf"))


def test_an_architecture_that_is_not_known_is_refused(tmp_path):
    values, tensors = llama_gguf(CONFIG)
    write_gguf(tmp_path / "a.gguf", {**values, "general.architecture": "rwkv7"}, tensors)
    with pytest.raises(calculator.UnsupportedError, match="unknown architecture of GGUF 'rwkv7'"):
        calculator.load_model(str(tmp_path / "a.gguf"))


def test_a_file_that_names_no_architecture_is_refused_by_the_key(tmp_path):
    values, tensors = llama_gguf(CONFIG)
    write_gguf(tmp_path / "a.gguf", {k: v for k, v in values.items() if k != "general.architecture"}, tensors)
    with pytest.raises(calculator.FileFormatError, match=r"do not say general\.architecture"):
        calculator.load_model(str(tmp_path / "a.gguf"))


def test_a_plan_file_names_a_gguf_file_beside_it(tmp_path):
    write_gguf(tmp_path / "small.gguf", *llama_gguf(CONFIG))
    plan = calculator.plan(str(tmp_path / "small.gguf"), gpu="rtx-4090", engine="llama.cpp")
    (tmp_path / "plans.yaml").write_text(content := calculator.write_plan_file(plan, "small", tmp_path))
    assert "checkpoint: small.gguf" in content
    (read,) = calculator.read_plan_file(tmp_path / "plans.yaml")
    assert read.plan.as_dict() == plan.as_dict()
