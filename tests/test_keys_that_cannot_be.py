"""Numbers and switches of a config that cannot be: each key that a type reads or its reference has is tried."""

import json
from pathlib import Path

import pytest

import calculator
from calculator.configs.reference import defaults_of

DATA = Path(__file__).parent / "data"
FILES = ("reference_parameters.jsonl", "reference_small.jsonl", "reference_parameters_plain.jsonl")
CONFIGS = [json.loads(line)["config"] for name in FILES for line in (DATA / name).read_text("utf-8").splitlines()]
TO_THE_END = {"moe_layer_end_index"}
"""Keys whose reference itself says -1 for the last layer: ``Ernie4_5_MoeConfig``."""


def places(config, kind, above=()):
    for key, value in config.items():
        if isinstance(value, dict):
            yield from places(value, kind, (*above, key))
        elif type(value) is kind:
            yield (*above, key)


def changed(config, place, value):
    first, *rest = place
    return {**config, first: changed(config[first], rest, value) if rest else value}


def places_of_all(kind):
    """Yield a config and a key of it, once for each type and key."""
    seen = set()
    for config in CONFIGS:
        name = config["model_type"]
        filled = {**{key: value for key, value in defaults_of(name).items() if type(value) is kind}, **config}
        for place in places(filled, kind):
            if (name, place) not in seen:
                seen.add((name, place))
                yield config, place


def answers(config):
    model = calculator.model_from_hf_config(config)
    encoder = 100 if model.needs_encoder else None
    kept = (calculator.kv_cache_bytes(model, tokens, 1, "fp16", 1, encoder) for tokens in (1, 100, 3_000, 40_000))
    counts = model.num_parameters, model.num_active_parameters, model.tensor_parallel_degrees
    return *counts, model.max_position_embeddings, model.state_bytes_per_sequence(1), *kept


def taken(config, place, value):
    """Whether a config with such a value is answered otherwise than both with its own and without the key."""
    try:
        found = answers(changed(config, place, value))
    except calculator.CalculatorError:
        return False
    if found == answers(config):
        return False
    return len(place) > 1 or found != answers({key: kept for key, kept in config.items() if key != place[0]})


def test_no_count_is_negative():
    # no layer, head, expert, width or length is: it is refused, or it is a key that says nothing
    wrong = [place for config, place in places_of_all(int) if taken(config, place, -1)]
    assert {place[-1] for place in wrong} <= TO_THE_END


@pytest.mark.parametrize(("kind", "value"), [(int, True), (int, "1"), (bool, 1), (bool, "no")])
def test_what_is_of_another_kind_is_not_read(kind, value):
    once = {place[-1]: (config, place) for config, place in places_of_all(kind)}
    assert len(once) > 50
    assert [place for config, place in once.values() if taken(config, place, value)] == []
