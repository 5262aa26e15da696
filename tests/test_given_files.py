"""Files of a checkpoint handed over one by one, and what of them is read."""

import json

import pytest
from small_config import CONFIG

import calculator
from calculator.configs.checkpoints.given import read_given

INDEX = "model.safetensors.index.json"
NAMES = ["model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight", "model.layers.1.mlp.up_proj.weight"]


def files(**more):
    return {
        "config.json": json.dumps(CONFIG).encode(),
        **{name: json.dumps(said).encode() for name, said in more.items()},
    }


def index(total, *names):
    return {INDEX: {"metadata": {"total_size": total}, "weight_map": dict.fromkeys([*NAMES, *names], "a.safetensors")}}


def test_a_config_alone_is_kept_as_it_is():
    given = read_given({"other name.json": json.dumps(CONFIG).encode()})
    assert given == (json.dumps(CONFIG), 0, ("config.json",))


def test_quantisation_and_size_come_from_the_files_beside_it():
    section = {"quant_method": "modelopt", "quantization": {"quant_algo": "FP8"}}
    given = read_given(files(**{"hf_quant_config.json": section}, **index(123_456)))
    assert json.loads(given.content) == {**CONFIG, "quantization_config": section}
    assert given[1:] == (123_456, ("config.json", "hf_quant_config.json", INDEX))


def test_an_index_with_layers_that_are_not_loaded_says_no_size():
    given = read_given(files(**index(123_456, "model.layers.2.eh_proj.weight")))
    assert given[1:] == (0, ("config.json",))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"a.json": b"{}", "b.json": b"{}"}, "config.json is not among the files"),
        ({INDEX: b"{}"}, "config.json is not among the files"),
        ({"config.json": b"\xff", INDEX: b"{}"}, "config.json: not UTF-8"),
        ({"config.json": json.dumps(CONFIG).encode(), INDEX: b"[]"}, "holds no weight_map"),
    ],
)
def test_what_is_no_checkpoint_is_refused_by_name(given, said):
    with pytest.raises(calculator.FileFormatError, match=said):
        read_given(given)
