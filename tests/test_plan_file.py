"""Plan files: what people keep in their repository, checked and written back."""

import re
from pathlib import Path

import pytest
import yaml
from golden import GIB

import calculator
from calculator import FileFormatError, read_plan_file, vary, write_plan_file
from calculator.planning.files import checks
from calculator.planning.files.plan_schema import saved_name
from calculator.reading import strict_yaml

DEPLOYMENT = """\
deployments:
- name: reference
  model: llama-3-70b
  gpu: a100-80gb-sxm
  tensor_parallel_size: 4
  seq_len: 8192
  expect:
    min_batch_size: 40
"""


@pytest.fixture
def plan_file(tmp_path):
    """Return a function that writes the deployment with one text replaced."""

    def write(before="", after=""):
        assert before in DEPLOYMENT
        path = tmp_path / "plan.yaml"
        path.write_text(DEPLOYMENT.replace(before, after) if before else DEPLOYMENT, encoding="utf-8")
        return path

    return write


def test_the_deployment_of_the_issue_is_met(plan_file, reference):
    (deployment,) = read_plan_file(plan_file())
    assert deployment.name == "reference"
    assert deployment.plan.max_batch_size == reference.max_batch_size
    (finding,) = checks.check_file(plan_file())
    assert (finding.subject, finding.field, finding.expected, finding.ok) == ("reference", "min_batch_size", 40, True)
    assert (finding.tolerance, finding.source, finding.line) == ("at least", "the plan file", 8)


@pytest.mark.parametrize(
    ("expectation", "met"),
    [
        ("fits: true", True),
        ("fits: false", False),
        ("min_batch_size: 66", False),  # (0.92 x 80 - 32.86) / 0.625 = 65 is the ceiling without any overhead
        ("min_total_batch_size: 50", True),
        ("min_context_len: 8192", True),
        ("min_context_len: 540000", False),  # 65.2 x 8,192 is the ceiling
        ("min_kv_pool_tokens: 400000", True),
        ("min_kv_pool_bytes: 30000000000", True),
        ("min_kv_pool_bytes: 50000000000", False),
        ("max_kv_bytes_per_sequence: 2684354560", True),  # 327,680 x 8,192
        ("max_kv_bytes_per_sequence: 2684354559", False),
        ("max_weights_bytes: 35300000000", True),  # 70,553,706,496 x 2 / 4 = 35.28e9
        ("max_weights_bytes: 35200000000", False),
        ("max_num_gpus: 4", True),
        ("max_num_gpus: 3", False),
        ("max_price_usd_per_hour: 12", True),  # 4 x 3.0
        ("max_price_usd_per_hour: 11.99", False),
    ],
)
def test_every_expectation_at_its_limit(plan_file, expectation, met):
    (finding,) = checks.check_file(plan_file("min_batch_size: 40", expectation))
    assert finding.ok is met


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "llama-3-70b",
            "llama-3-70",
            ":3: deployments: 0 (reference): model: unknown model 'llama-3-70': did you mean llama-3-70b",
        ),
        (
            "a100-80gb-sxm",
            "a100-80gb-sxn",
            ":4: deployments: 0 (reference): gpu: unknown GPU 'a100-80gb-sxn': did you mean a100-",
        ),
        (
            "_size: 4",
            "_size: 3",
            ":5: deployments: 0 (reference): tensor_parallel_size: tensor_parallel_size 3 is not possible",
        ),
        ("8192", "0", ":6: deployments: 0 (reference): seq_len: seq_len must be at least 1, not 0"),
        (
            "8192",
            "1e4",
            ":6: deployments: 0 (reference): seq_len: seq_len must be a whole number written without quotes, not '1e4'",
        ),
        (
            "seq_len",
            "seq_length",
            ":6: deployments: 0 (reference): seq_length: unknown field 'seq_length': did you mean seq_len",
        ),
        (
            "min_batch_size",
            "min_batch",
            ":8: deployments: 0 (reference): expect: min_batch: unknown field 'expect.min_batch'",
        ),
        (
            "min_batch_size: 40",
            "fits: 1",
            ":8: deployments: 0 (reference): expect: fits: expect.fits must be true or false, not 1",
        ),
        ("- name: reference\n  model", "- model", ":2: deployments: 0: name: name is missing"),
        (
            "  seq_len: 8192\n",
            "  seq_len: 8192\n  engine: sglang\n  engine_version: newest\n",
            ":8: deployments: 0 (reference): engine_version: engine_version must look like 0.5 or 0.5.23, not 'newest'",
        ),
        (
            "  seq_len: 8192\n",
            "  seq_len: 8192\n  kv_cache_dtype: fp9\n",
            ":7: deployments: 0 (reference): kv_cache_dtype: unknown KV-cache format 'fp9'",
        ),
        ("  gpu: a100-80gb-sxm\n", "", ":2: deployments: 0 (reference): gpu is missing: name a GPU preset"),
        ("model: llama-3-70b", 'model: ""', ":3: deployments: 0 (reference): model: model must not be empty"),
        ("model: llama-3-70b", "model: 5", ":3: deployments: 0 (reference): model: model must be text, not 5"),
        ("model: llama-3-70b", "model: {layers: 5}", "deployments: 0 (reference): num_layers is missing"),
        ("reference", "[a]", ":2: deployments: 0: name: name must be text, not ['a']"),
    ],
)
def test_a_deployment_that_cannot_be_planned(plan_file, before, after, message):
    path = plan_file(before, after)
    with pytest.raises(FileFormatError, match=re.escape(f"{path}{message}" if message[0] == ":" else message)):
        read_plan_file(path)


def test_a_price_that_nobody_knows_cannot_be_expected(plan_file):
    text = DEPLOYMENT.replace("a100-80gb-sxm", "mi355x").replace("min_batch_size: 40", "max_price_usd_per_hour: 5")
    path = plan_file(DEPLOYMENT, text)
    with pytest.raises(FileFormatError, match=r":8: .*no price is known for MI355X"):
        checks.check_file(path)


@pytest.mark.parametrize(("count", "text"), [(0, "must list 1 to 1,000 deployments, not 0"), (1001, "not 1,001")])
def test_the_number_of_deployments_is_bounded(tmp_path, count, text):
    path = tmp_path / "many.yaml"
    path.write_text("deployments: [" + ", ".join(["{name: a, model: b, expect: {}}"] * count) + "]")
    with pytest.raises(FileFormatError, match=text):
        read_plan_file(path)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"kv_cache_dtype": "fp8", "weight_dtype": "awq-int4", "batch_size": 7},
        {"pipeline_parallel_size": 2, "data_parallel_size": 3, "gpu_memory_utilization": 0.85},
        {"gpu": None, "gpu_memory_bytes": 48 * GIB, "seq_len": 1000},
        {"gpu_memory_bytes": 79 * GIB, "activation_bytes": 0, "cuda_graph_bytes": 5, "max_num_seqs": 64},
        {"kv_cache_memory_bytes": 20 * GIB, "block_size": 32, "max_num_batched_tokens": 4096},
        {"tensor_parallel_size": 1},
    ],
    ids=lambda changes: "-".join(changes) or "reference",
)
def test_a_plan_written_is_the_plan_read(tmp_path, reference, changes):
    answer = vary(reference, **changes)
    path = tmp_path / "written.yaml"
    path.write_text(write_plan_file(answer, "mine: <b>\n#1"), encoding="utf-8")
    (deployment,) = read_plan_file(path)
    assert deployment.name == "mine: <b>\n#1"
    assert deployment.plan.request == answer.request
    assert deployment.plan.stages == answer.stages
    assert all(finding.ok for finding in checks.check_file(path))
    assert deployment.expect["fits"] is answer.fits
    assert deployment.expect.get("min_batch_size", 0) == answer.max_batch_size_low
    stated = strict_yaml.read(path).data["deployments"][0]
    assert [stated["engine"], stated["engine_version"]] == ["vllm", answer.request.engine_version]


def test_a_saved_file_is_one_that_the_hook_looks_for():
    (hook,) = yaml.safe_load((Path(__file__).parent.parent / ".pre-commit-hooks.yaml").read_text())
    for name in (saved_name("llama-3-70b-a100-80gb-sxm"), "deployments.yaml", "deploy/eu.deployments.yml"):
        assert re.search(hook["files"], name)
    assert not re.search(hook["files"], "model_presets.yaml")


def test_an_architecture_typed_by_hand_survives_the_file(tmp_path, fields):
    model = calculator.custom_model(**fields, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=64)
    answer = calculator.plan(model, gpu="l4")
    path = tmp_path / "own.yaml"
    path.write_text(write_plan_file(answer, "own"), encoding="utf-8")
    (deployment,) = read_plan_file(path)
    assert deployment.plan.model == model
    assert deployment.plan.stages == answer.stages


def test_numpy_numbers_are_written_as_plain_ones(tmp_path):
    numpy = pytest.importorskip("numpy")
    answer = calculator.plan("llama-3-8b", gpu="l4", seq_len=numpy.int64(100), batch_size=numpy.int32(2))
    path = tmp_path / "numpy.yaml"
    path.write_text(write_plan_file(answer, "n"), encoding="utf-8")
    assert read_plan_file(path)[0].plan.request == answer.request
