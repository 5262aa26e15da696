"""Which figures of speed hold for a set-up, and which were not measured: rules by themselves, on set-ups made here."""

from types import SimpleNamespace

import pytest

import calculator
from calculator.engines.measured import (
    BANDS,
    KINDS,
    LARGEST_MODEL,
    LONGEST_PROMPT,
    MOST_GPUS,
    MOST_SEQUENCES,
    NOT_DESCRIBED,
    SMALLEST_MODEL,
    UNSEEN,
    NotDescribed,
    architecture_kind,
    group_of,
    plain,
    release,
)
from calculator.engines.speeds import Speeds

MODELS = {"dense": "llama-3-8b", "experts": "mixtral-8x7b", "latent": "deepseek-v2-lite", "sparse": "deepseek-v3.2",
          "hybrid": "qwen3.5-27b"}  # fmt: skip


def setup(kind="dense", weights="bf16", gpu="h100-sxm", **more):
    device = calculator.load_gpu(gpu)
    request = SimpleNamespace(**{"weight_dtype": weights, "tensor_parallel_size": 1, **more})
    rules = SimpleNamespace(asked_version=more.get("version", ""))
    return SimpleNamespace(model=calculator.load_model(MODELS[kind]), request=request, accelerator=device, rules=rules)


def test_models_are_of_a_kind():
    assert {kind: architecture_kind(calculator.load_model(name)) for kind, name in MODELS.items()} == {
        kind: kind for kind in MODELS
    }
    assert set(KINDS) == set(MODELS)
    assert set(BANDS) == set(MODELS) | {"experts in mxfp4", "one sequence"}
    assert all(low < 1 < high for low, high in (*BANDS.values(), UNSEEN))
    # Qwen3 0.6B and Kimi K2.5, the smallest and the largest model of the table
    assert calculator.load_model("qwen3-0.6b").num_parameters == SMALLEST_MODEL
    assert calculator.load_model("kimi-k2.5").num_parameters == LARGEST_MODEL
    assert (MOST_SEQUENCES, LONGEST_PROMPT, MOST_GPUS) == (512, 10_000, 8)


@pytest.mark.parametrize(
    ("asked", "sequences", "group"),
    [
        ({}, 1, "one sequence"), ({}, 0.5, "one sequence"), ({}, 1.01, "dense"), ({"kind": "experts"}, 2, "experts"),
        ({"kind": "experts", "weights": "mxfp4"}, 2, "experts in mxfp4"), ({"weights": "mxfp4"}, 2, "dense"),
        ({"kind": "latent"}, 2, "latent"), ({"kind": "sparse", "weights": "mxfp4"}, 2, "sparse"),
    ],
)  # fmt: skip
def test_a_range_is_that_of_its_group(asked, sequences, group):
    assert group_of(setup(**asked), sequences) == group


def test_formats_and_releases_by_their_heads():
    named = {"fp16": "bf16", "bf16": "bf16", "awq-int4-g64": "awq-int4", "fp8": "fp8"}
    assert {name: plain(name) for name in named} == named
    said = {
        "0.33": (0, 33),
        "v0.5.10": (0, 5, 10),
        "0.9.2.dev1": (0, 9, 2),
        "1": (),
        "nightly": (),
        "0.4.4.post1": (0, 4, 4),
    }
    assert {name: release(name) for name in said} == said


@pytest.mark.parametrize(
    ("asked", "output", "sequences", "holds"),
    [
        ({}, 500, 2, []), ({"kind": "experts", "weights": "gptq-int4"}, 500, 1, [0]),
        ({"kind": "experts", "weights": "gptq-int4-g32"}, 500, 1, [0]), ({"weights": "gptq-int4"}, 500, 1, []),
        ({"kind": "experts", "weights": "awq-int4"}, 500, 1, []),
        ({"gpu": "mi300x"}, 500, 1, []), ({"gpu": "mi300x"}, 500, 1.5, [1]), ({"gpu": "mi355x"}, 500, 8, []),
        *(({"gpu": gpu}, 500, many, [2] if many > 1 else []) for gpu in ("rtx-3090", "rtx-4090", "rtx-5090")
          for many in (1, 2)),
        ({"gpu": "rtx-6000-ada"}, 500, 8, []), ({}, 15, 1, [3]), ({}, 16, 1, []), ({}, None, 1, []),
        ({"gpu": "rtx-4090"}, 1, 2, [2, 3]),
    ],
)  # fmt: skip
def test_what_the_sum_does_not_describe(asked, output, sequences, holds):
    plan = setup(**asked)
    assert [place for place, each in enumerate(NOT_DESCRIBED) if each.holds(plan, output, sequences)] == holds


def test_all_that_is_named_has_to_hold():
    row = NotDescribed(
        "", kinds=("dense",), weights=("bf16",), generations=("hopper",), gpus=("h100-",), output_below=10
    )
    assert row.holds(setup(), 9, 1)
    for asked, output in (
        ({"kind": "experts"}, 9),
        ({"weights": "fp8"}, 9),
        ({"gpu": "h200"}, 9),
        ({}, 10),
        ({}, None),
    ):
        assert not row.holds(setup(**asked), output, 1)
    assert NotDescribed("").holds(setup(), None, 0.5)
    assert not NotDescribed("").holds(setup(), None, 0)


SPEEDS = Speeds(
    launch_us={"dense": 50, "experts": 70}, launch_us_by_version={"dense": {"0.5.6": 60, "0.4": 55}},
    patches_from=(0, 5), first_token_factors=(2.0, 0.5, 10.0, 0.1),
)  # fmt: skip


@pytest.mark.parametrize(
    ("version", "part", "microseconds"),
    # from 0.5 on three numbers tell figures apart, two before
    [("0.5.6", "0.5.6", 60), ("0.5.6.post1", "0.5.6", 60), ("0.5.7", "0.5.7", 50), ("0.4.9", "0.4", 55), ("", "", 50),
     ("0.5", "0.5", 50), ("0.6.1", "0.6.1", 50)],
)  # fmt: skip
def test_launches_of_a_version(version, part, microseconds):
    assert SPEEDS.told_apart_by(version) == part
    assert SPEEDS.launch_s(setup(version=version)) == pytest.approx(1e-6 * microseconds)
    assert SPEEDS.launch_s(setup("experts", version=version)) == pytest.approx(70e-6)
    # 100 where none was measured
    assert SPEEDS.launch_s(setup("latent", version=version)) == pytest.approx(100e-6)
    assert Speeds().told_apart_by("0.5.6") == "0.5"


def test_the_first_token_of_a_closed_loop():
    # 2 T + 0.5 N T + 10 t + 0.1
    assert SPEEDS.first_token(3.0, 4, 0.02) == pytest.approx(2 * 3 + 0.5 * 4 * 3 + 10 * 0.02 + 0.1)
    assert Speeds().first_token(1, 1, 1) == pytest.approx(1.3 + 0.3 + 10 + 0.1)
    bare = Speeds()
    assert (bare.most_sequences, bare.longest_output, bare.longest_sequence, bare.without_gate) == (512, 0, 0, False)


@pytest.mark.parametrize(
    ("gpu", "weights", "factor"),
    # measured time of a prompt over that at the dense peak, by what matrices are multiplied in where the device can
    [
        ("h100-sxm", "bf16", 1.45), ("h100-sxm", "fp8", 1.7), ("h100-sxm", "int8", 1.7), ("h100-sxm", "awq-int4", 1.45),
        ("b200", "fp8", 2.3), ("b200", "nvfp4", 2.05), ("b200", "mxfp4", 2.05), ("a100-80gb-sxm", "fp8", 1.45),
        ("h100-sxm", "nvfp4", 1.45), ("b200", "bf16", 1.45),
    ],
)  # fmt: skip
def test_how_far_a_prompt_is_from_the_peak(gpu, weights, factor):
    assert SPEEDS.prompt_factor(setup(gpu=gpu, weights=weights)) == factor


@pytest.mark.parametrize(
    ("gpu", "ranks", "gb_per_s"),
    # all-reduce of large messages: within a node of linked devices by generation, over PCIe 5.0 and 4.0, between nodes
    [
        ("h100-sxm", 8, 350), ("h100-sxm", 9, 20), ("h100-sxm", 16, 20), ("b200", 8, 650), ("a100-80gb-sxm", 8, 200),
        ("mi300x", 8, 300), ("mi355x", 8, 300), ("l40s", 4, 18), ("h100-pcie", 2, 40),
        ("rtx-pro-6000-blackwell", 2, 40), ("v100-32gb", 8, 200),
    ],
)  # fmt: skip
def test_what_an_all_reduce_moves(gpu, ranks, gb_per_s):
    assert SPEEDS.bus_gb_per_s(setup(gpu=gpu, tensor_parallel_size=ranks)) == gb_per_s
