"""Keys that a config leaves out: the answer is that of the default which the reference's own config class has."""

import json
from collections import defaultdict
from pathlib import Path

import pytest
from golden import rows

import calculator
from calculator.configs.reference import defaults_of

CASES = (Path(__file__).parent / "data" / "reference_parameters.jsonl").read_text(encoding="utf-8").splitlines()
CONFIGS = {
    (case["config"]["model_type"], case["case"]): case["config"] for case in (json.loads(line) for line in CASES)
}
DEFAULTS = defaultdict(list)
for row in rows("reference_defaults.csv"):
    DEFAULTS[row["model_type"]].append(row)
PLAIN = {
    "vocab_size": 1000, "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 6, "num_attention_heads": 32,
}  # fmt: skip


def answers(config):
    model = calculator.model_from_hf_config(config)
    encoder = 100 if model.needs_encoder else None
    lengths = (1, 100, 3_000, 40_000)
    return (
        model.num_parameters, model.num_active_parameters, model.max_position_embeddings,
        model.tensor_parallel_degrees, model.state_bytes_per_sequence(1),
        *(calculator.kv_cache_bytes(model, tokens, 1, "fp16", 1, encoder) for tokens in lengths),
    )  # fmt: skip


@pytest.mark.parametrize("kind", DEFAULTS)
def test_a_key_left_out_has_the_value_of_the_reference(kind):
    for row in DEFAULTS[kind]:
        experts = {"num_experts": 64} if defaults_of(kind).get("num_experts") else {}
        config = CONFIGS[kind, row["case"]] if row["case"] else {"model_type": kind, **PLAIN, **experts}
        without = {key: value for key, value in config.items() if key != row["key"]}
        stated = answers({**without, row["key"]: json.loads(row["default"])})
        assert answers(without) == stated, row["key"]


PUBLISHED = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "reference_parameters_plain.jsonl").read_text("utf-8").splitlines()
]


@pytest.mark.parametrize("case", PUBLISHED, ids=lambda case: f"{case['config']['model_type']}-{case['case']}")
def test_a_published_config_has_the_parameters_of_the_reference(case):
    assert calculator.model_from_hf_config(case["config"]).num_parameters == case["num_parameters"]


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"model_type": "gemma4"}, "num_hidden_layers"),
        ({"model_type": "gemma4", "text_config": {}}, "num_hidden_layers"),
        ({"model_type": "qwen3", **{k: v for k, v in PLAIN.items() if k != "num_hidden_layers"}}, "num_hidden_layers"),
        ({"model_type": "qwen3_moe", **PLAIN}, "num_experts"),
        ({"model_type": "qwen3_vl_moe", "text_config": {"model_type": "qwen3_vl_moe_text", **PLAIN}}, "num_experts"),
    ],
)
def test_what_decides_is_not_assumed(config, key):
    with pytest.raises(calculator.InvalidValueError, match=f"{key} is missing") as caught:
        calculator.model_from_hf_config(config)
    assert caught.value.what == key


def test_a_text_part_is_filled_as_its_wrapper_fills_it():
    # The published config of LLaVA 1.5 7B says no size of its Llama but these two: the reference's LlamaConfig has the
    # rest, 32 layers of 4,096 with 32 heads and an MLP of 11,008. By hand: 2 x 32,064 x 4,096 for embedding and head,
    # 32 layers of 4 x 4,096^2 + 3 x 4,096 x 11,008 + 2 x 4,096, and the last norm.
    text = {"model_type": "llama", "max_position_embeddings": 4096, "vocab_size": 32064}
    model = calculator.model_from_hf_config({"model_type": "llava", "text_config": text})
    layer = 4 * 4096**2 + 3 * 4096 * 11008 + 2 * 4096
    assert model.num_parameters == 2 * 32064 * 4096 + 32 * layer + 4096
    # Voxtral fills the same class otherwise: 30 layers of 3,072, 8 KV heads, size 128 of 32 heads left out: 96
    voxtral = calculator.model_from_hf_config({"model_type": "voxtral", "text_config": {"model_type": "llama", "a": 1}})
    assert (voxtral.num_layers, voxtral.hidden_size, voxtral.num_key_value_heads) == (30, 3072, 8)


@pytest.mark.parametrize(
    ("outer", "text", "tied"),
    # a wrapper and its text part that disagree: a head is counted, unless the wrapper's class takes the text's word
    [("qwen3_vl", (False, True), False), ("qwen3_vl", (True, False), False), ("qwen2_5_vl", (False, True), True)],
)
def test_a_wrapper_has_the_word_on_the_head(outer, text, tied):
    part = {"model_type": f"{outer}_text", **PLAIN, "tie_word_embeddings": text[1]}
    config = {"model_type": outer, "tie_word_embeddings": text[0], "text_config": part}
    assert calculator.model_from_hf_config(config).tie_word_embeddings is tied


@pytest.mark.parametrize(
    ("config", "num_parameters"),
    # six layers of 256 by 512 and 1,000 words; by hand, of what the class of transformers 5.23.0 has
    [
        # biases on q, k, v, o, up and down; no gate; norms with a bias
        (
            {"model_type": "zzz", "architectures": ["Jais2ForCausalLM"]},
            2 * 1000 * 256 + 6 * (4 * 256 * 257 + 512 * 257 + 256 * 513 + 4 * 256) + 2 * 256,
        ),
        # 4 KV heads of 256 for the 32 queries, a head that is the embedding
        (
            {"model_type": "zzz", "architectures": ["VaultGemmaForCausalLM"]},
            1000 * 256 + 6 * (256 * 256 * (32 + 4 + 4 + 32) + 3 * 256 * 512 + 2 * 256) + 256,
        ),
        # heads of hidden size over heads, whatever GLM-4 has; biases on q, k and v are no key of this class
        (
            {"model_type": "glm4v_text", "num_key_value_heads": 4},
            2 * 1000 * 256 + 6 * (256 * 257 + 2 * 32 * 257 + 256 * 256 + 3 * 256 * 512 + 4 * 256) + 256,
        ),
    ],
)
def test_a_type_by_another_name_has_what_its_class_has(config, num_parameters):
    assert calculator.model_from_hf_config({**PLAIN, **config}).num_parameters == num_parameters


def test_a_part_out_of_its_wrapper_has_the_sizes_of_its_class():
    # Qwen3VLTextConfig of transformers 5.23.0: 151,936 words, 4,096 wide, 22,016 in the MLP, 32 heads of 128
    part = {"model_type": "qwen3_vl_text", "num_hidden_layers": 1, "num_key_value_heads": 8}
    layer = 4096 * 128 * (32 + 8 + 8 + 32) + 3 * 4096 * 22_016 + 2 * 4096 + 2 * 128
    assert calculator.model_from_hf_config(part).num_parameters == 2 * 151_936 * 4096 + layer + 4096
    with pytest.raises(calculator.InvalidValueError, match="num_hidden_layers is missing"):
        calculator.model_from_hf_config({"model_type": "qwen3_vl_text"})
    with pytest.raises(calculator.InvalidValueError, match="hidden_size is missing"):
        calculator.model_from_hf_config({"model_type": "qwen3", "num_hidden_layers": 1, "num_attention_heads": 8})
