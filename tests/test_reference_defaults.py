"""Keys that a config leaves out: the answer is that of the default which the reference's own config class has."""

import json
from collections import defaultdict
from pathlib import Path

import pytest
from golden import rows

import calculator

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
        config = CONFIGS[kind, row["case"]] if row["case"] else {"model_type": kind, **PLAIN}
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
