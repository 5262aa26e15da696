"""Configs of many families against the reference implementation: parameters, bytes a token, recurrent state.

The parameters in ``data/reference_parameters.jsonl`` were counted in transformers 5.23.0 on the meta device by
``data/make_parameters.py`` (or are those of the published checkpoint, where the line says so). Bytes a token follow
from the layer types, heads and sizes that its config classes give; state bytes from the shapes and formats of vLLM
0.33.0's ``mamba_utils.py``. No line was made by this program.
"""

import json
from pathlib import Path

import pytest

from calculator import ParallelismError, model_from_hf_config
from calculator.architecture.counts import NO_LIMIT
from calculator.formats.kv import storage_format

LINES = (Path(__file__).parent / "data" / "reference_parameters.jsonl").read_text().splitlines()
CASES = [json.loads(line) for line in LINES]


def named(case):
    return f"{case['config']['model_type']}-{case['case']}"


@pytest.fixture(params=CASES, ids=named)
def case(request):
    return request.param


def test_parameters(case):
    assert model_from_hf_config(case["config"]).num_parameters == case["num_parameters"]


def test_bytes_per_token(case):
    found = {}
    for group in model_from_hf_config(case["config"]).groups:
        size = group.spec.bytes_per_token(storage_format("fp16"), 1)
        limit = group.spec.grows_until
        if size:
            found.setdefault(group.spec.kind, []).append([group.count, None if limit == NO_LIMIT else limit, size])
    assert {kind: sorted(rows, key=str) for kind, rows in found.items()} == {
        kind: sorted(rows, key=str) for kind, rows in case["kv"].items()
    }


def test_state(case):
    assert model_from_hf_config(case["config"]).state_bytes_per_sequence() == case["state_bytes"]


def test_answer_does_not_depend_on_an_unrelated_key(case):
    plain = model_from_hf_config(case["config"])
    other = model_from_hf_config({**case["config"], "zzz_unrelated": "x", "license": 7})
    assert (other.num_parameters, other.groups) == (plain.num_parameters, plain.groups)
    assert {"zzz_unrelated", "license"} <= set(other.ignored_keys)


@pytest.mark.parametrize(
    ("name", "tensor_parallel_size", "expected"),
    [
        # 36 layers of a Mamba 2 state with one group: (8192 / 4 + 2 x 128) x 3 x 2 B + (128 / 4) x 64 x 128 x 2 B
        ("granite-4.0-h-small", 4, 36 * (2304 * 3 * 2 + 32 * 64 * 128 * 2)),
        # 23 layers, 8 groups split too, state in fp32: (4096 / 8 + 2 x 128) x 3 x 2 B + (64 / 8) x 64 x 128 x 4 B
        ("nemotron-3-nano-30b-a3b", 8, 23 * (768 * 3 * 2 + 8 * 64 * 128 * 4)),
        # 20 layers of Kimi delta attention, fp32: 3 x 4096 / 2 x 3 x 2 B + (32 / 2) x 128 x 128 x 4 B
        ("kimi-linear-48b", 2, 20 * (6144 * 3 * 2 + 16 * 128 * 128 * 4)),
        # 10 short convolutions: 2048 / 4 x 2 x 2 B
        ("lfm2-1.2b", 4, 10 * 512 * 2 * 2),
    ],
)
def test_state_is_divided_as_the_engine_divides_it(name, tensor_parallel_size, expected):
    config = next(case["config"] for case in CASES if case["case"] == name)
    assert model_from_hf_config(config).state_bytes_per_sequence(tensor_parallel_size) == expected


def test_groups_that_ranks_do_not_divide_are_refused():
    config = next(case["config"] for case in CASES if case["case"] == "nemotron-3-nano-30b-a3b")
    with pytest.raises(ParallelismError, match="8 groups of the Mamba 2 state do not divide by 16"):
        model_from_hf_config(config).state_bytes_per_sequence(16)
