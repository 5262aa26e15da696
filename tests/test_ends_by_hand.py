"""What stands before and behind the layers of a checkpoint, by every name that published ones give it."""

import json

import pytest
from checkpoints import llama_tensors, write_safetensors
from small_config import CONFIG

import calculator
from calculator.architecture.weights import weight_bytes_per_rank

CONFIG = {**CONFIG, "hidden_size": 512, "intermediate_size": 1024}
VOCAB, HIDDEN = CONFIG["vocab_size"], CONFIG["hidden_size"]


def plain(_, __, outputs, inputs):
    return {"weight": ("BF16", (outputs, inputs))}


def rank_of_two(path, names, **config):
    """Bytes of a rank of two, where the head is stored in a byte a value."""
    tensors = llama_tensors(CONFIG, plain) | {"lm_head.weight": ("F8_E4M3", (VOCAB, HIDDEN))}
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps({**CONFIG, **config}))
    renamed = {names.get(name, name): tensor for name, tensor in tensors.items()}
    write_safetensors(path / "model.safetensors", renamed)
    return weight_bytes_per_rank(calculator.load_model(str(path)), tensor_parallel_size=2)[0]


@pytest.mark.parametrize(
    ("embedding", "head"),
    # Llama; GPT-2; Falcon and BLOOM; InternLM2; Mamba; GPT-NeoX's head, and those of Meta's own files and of Qwen-VL
    [
        ("model.embed_tokens", "lm_head"), ("transformer.wte", "lm_head"), ("transformer.word_embeddings", "lm_head"),
        ("model.tok_embeddings", "output"), ("backbone.embeddings", "lm_head"), ("model.embed_tokens", "embed_out"),
        ("tok_embeddings", "output"), ("embed_tokens", "head"), ("model.language_model.embed_tokens", "model.lm_head"),
    ],
)  # fmt: skip
def test_ends_go_by_the_names_of_published_checkpoints(tmp_path, embedding, head):
    names = {"model.embed_tokens.weight": f"{embedding}.weight", "lm_head.weight": f"{head}.weight"}
    layers = CONFIG["num_hidden_layers"]
    kv = HIDDEN // CONFIG["num_attention_heads"] * CONFIG["num_key_value_heads"]
    split = layers * (2 * HIDDEN * HIDDEN + 2 * HIDDEN * kv + 3 * HIDDEN * CONFIG["intermediate_size"])
    whole = HIDDEN * (2 * layers + 1)
    # layers and the embedding in 16 bit, the head in 8, all halved; norms whole
    assert rank_of_two(tmp_path, names) == 2 * split // 2 + 2 * VOCAB * HIDDEN // 2 + VOCAB * HIDDEN // 2 + 2 * whole


def test_without_an_embedding_it_is_not_the_whole_model(tmp_path):
    with pytest.raises(calculator.FileFormatError, match="the headers hold no embedding"):
        rank_of_two(tmp_path, {"model.embed_tokens.weight": "model.other.weight"})


@pytest.mark.parametrize(("stored", "name"), [("BF16", None), ("F16", None), ("F8_E4M3", "fp8"), ("I8", "int8")])
def test_layers_are_called_by_what_headers_hold_where_no_config_says_it(tmp_path, stored, name):
    # less than 1.8 bytes a value are no 16 bit
    tensors = llama_tensors(CONFIG, lambda _, __, outputs, inputs: {"weight": (stored, (outputs, inputs))})
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    write_safetensors(tmp_path / "model.safetensors", tensors)
    model = calculator.load_model(str(tmp_path))
    assert model.weight_dtype == name
    kv = HIDDEN // CONFIG["num_attention_heads"] * CONFIG["num_key_value_heads"]
    layer = 2 * HIDDEN * HIDDEN + 2 * HIDDEN * kv + 3 * HIDDEN * CONFIG["intermediate_size"]
    layers = CONFIG["num_hidden_layers"]
    width = 1 if name else 2
    assert weight_bytes_per_rank(model) == (layers * (width * layer + 4 * HIDDEN) + 2 * HIDDEN + 4 * VOCAB * HIDDEN,)
