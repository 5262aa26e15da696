"""The contract of design.md: names, defaults, what results are and can do."""

import inspect
import json
import pickle
from dataclasses import FrozenInstanceError, is_dataclass

import pytest
from golden import PRESETS

import calculator
from calculator.formats.kv import FORMATS as KV_FORMATS
from calculator.formats.kv import storage_format
from calculator.formats.weights import FORMATS as WEIGHT_FORMATS
from calculator.planning.answer import Plan

EMPTY = inspect.Parameter.empty
PLAN_KEYWORDS = {
    "model": inspect.Parameter.empty,
    "gpu": None,
    "seq_len": None,
    "batch_size": 1,
    "tensor_parallel_size": 1,
    "pipeline_parallel_size": 1,
    "data_parallel_size": 1,
    "weight_dtype": "auto",
    "kv_cache_dtype": "auto",
    "gpu_memory_utilization": None,
    "encoder_seq_len": None,
    "enable_expert_parallel": False,
    "engine": "vllm",
    "engine_version": None,
    "async_scheduling": None,
    "enable_prefix_caching": None,
    "usage_context": None,
    "disable_hybrid_kv_cache_manager": False,
    "swa_full": False,
    "enable_attention_dp": False,
    "decode_context_parallel_size": 1,
    "enforce_eager": False,
    "language_model_only": False,
    "block_size": None,
    "max_num_seqs": None,
    "max_num_batched_tokens": None,
    "gpu_memory_bytes": None,
    "kv_cache_memory_bytes": None,
    "checkpoint_bytes": None,
    "speculative_config": None,
    "max_loras": None,
    "max_lora_rank": None,
    "mamba_cache_dtype": "auto",
    "mamba_ssm_cache_dtype": "auto",
    "cpu_offload_gb": None,
    "n_cpu_moe": None,
    "n_gpu_layers": None,
    "other_memory_bytes": None,
    "activation_bytes": None,
    "non_torch_bytes": None,
    "cuda_graph_bytes": None,
}


def test_the_names_that_notebooks_import():
    wanted = {"load_model", "kv_cache_bytes", "kv_cache_bytes_per_gpu", "plan", "sweep", "CalculatorError"}
    assert wanted <= set(calculator.__all__)
    assert list(calculator.__all__) == sorted(calculator.__all__)
    for name in calculator.__all__:
        assert getattr(calculator, name).__module__.startswith("calculator.")
    offered = {name for name in dir(calculator) if not name.startswith("_")}
    assert set(calculator.__all__) <= offered
    assert offered.isdisjoint({"Any", "import_module", "say"})  # what it is made with is not offered


def test_plan_keywords_and_defaults():
    parameters = inspect.signature(calculator.plan).parameters
    assert {name: parameter.default for name, parameter in parameters.items()} == PLAN_KEYWORDS


@pytest.mark.parametrize("name", ["kv_cache_bytes", "kv_cache_bytes_per_gpu"])
def test_formula_keywords_and_defaults(name):
    parameters = inspect.signature(getattr(calculator, name)).parameters
    first = ["model", "seq_len", "batch_size", "kv_cache_dtype", "tensor_parallel_size"]
    assert list(parameters) == [*first, "encoder_seq_len"]
    assert [parameter.default for parameter in parameters.values()][2:] == [1, "auto", 1, None]


def test_the_example_of_the_contract():
    model = calculator.load_model("llama-3-70b")
    assert model.num_parameters == 70_553_706_496
    assert model.state_bytes_per_sequence(tensor_parallel_size=1) == 0
    assert model.kv_bytes_per_token(kv_cache_dtype="fp16") == 327_680
    exact = calculator.kv_cache_bytes(model, seq_len=8192, batch_size=16, kv_cache_dtype="fp16", tensor_parallel_size=1)
    assert (type(exact), exact) == (int, 42_949_672_960)
    assert calculator.kv_cache_bytes_per_gpu(model, 8192, 16, "fp16", tensor_parallel_size=16) == 5_368_709_120


def test_defaults_filled_in_by_the_engine():
    request = calculator.plan("llama-3-8b", gpu="h100-sxm").request
    assert (request.gpu_memory_utilization, request.block_size, request.seq_len) == (0.92, 16, 8192)
    assert (request.weight_dtype, request.kv_cache_dtype, request.engine) == ("bf16", "bf16", "vllm")
    explicit = {name: value for name, value in PLAN_KEYWORDS.items() if name not in ("model", "gpu")}
    assert calculator.plan("llama-3-8b", "h100-sxm", **explicit).request == request


@pytest.mark.parametrize("preset", PRESETS)
def test_results_are_whole_numbers_and_survive_pickling(preset):
    plan = calculator.plan(preset, gpu="mi300x")
    again = pickle.loads(pickle.dumps(plan))
    assert again == plan
    assert again.as_dict() == plan.as_dict()
    assert pickle.loads(pickle.dumps(plan.model)) == plan.model
    assert {type(size) for size in (*plan.per_gpu.as_dict().values(), plan.per_gpu.in_slack_bytes)} == {int}
    for name in ("max_batch_size", "max_context_len", "num_blocks", "kv_pool_tokens", "kv_pool_bytes"):
        assert type(getattr(plan, name)) is int
    assert type(plan.max_concurrency) is float
    assert json.loads(json.dumps(plan.as_dict()))["num_blocks"] == plan.num_blocks


def test_keywords_of_traffic_and_speed():
    signatures = {
        calculator.Workload: {
            "requests_per_second": EMPTY, "prompt_tokens": EMPTY, "output_tokens": EMPTY, "prompt_cv": 1.0,
            "output_cv": 1.0, "correlation": 0.0, "shared_prefix_tokens": 0, "max_output_tokens": None,
        },
        calculator.concurrency: {"plan": EMPTY, "workload": EMPTY, "risk": 0.01},
        calculator.speed: {
            "plan": EMPTY, "batch_size": None, "prompt_tokens": 1000, "output_tokens": 250, "clients": None,
        },
    }  # fmt: skip
    for call, wanted in signatures.items():
        parameters = inspect.signature(call).parameters
        assert {name: parameters[name].default for name in wanted} == wanted


def test_answers_of_traffic_and_speed_are_frozen_plain_and_survive_pickling(reference):
    traffic = calculator.workload_from_trace({"input_tokens": [100, 300], "output_tokens": [50, 10]})
    held = calculator.concurrency(reference, traffic)
    fast = calculator.speed(reference, batch_size=8)
    for thing, name in ((traffic, "prompt_cv"), (held, "sequences"), (fast, "bound")):
        with pytest.raises(FrozenInstanceError, match=f"cannot assign to field '{name}'"):
            setattr(thing, name, 0)
        again = pickle.loads(pickle.dumps(thing))
        assert again == thing
        assert again.as_dict() == thing.as_dict()
        assert json.loads(json.dumps(thing.as_dict(), allow_nan=False)) == thing.as_dict()
    for name in ("sequences", "sequences_even", "max_num_seqs"):
        assert type(getattr(held, name)) is int
    for name in ("mean_tokens", "sd_tokens", "saturated", "risk"):
        assert type(getattr(held, name)) is float


def test_keywords_of_sizing():
    signatures = {
        calculator.service: {"plan": EMPTY, "workload": EMPTY, "risk": 0.01, "max_ttft_s": None, "max_tpot_s": None},
        calculator.size: {
            "model": EMPTY, "workload": None, "users": None, "seq_len": None, "output_tokens": None, "gpus": None,
            "engines": ("vllm",), "weight_dtypes": ("auto",), "kv_cache_dtypes": ("auto",), "max_ttft_s": None,
            "max_tpot_s": None, "max_gpus": 64, "prices": None, "risk": 0.01,
        },
        calculator.what_runs: {"gpu": EMPTY, "num_gpus": 1, "engine": "vllm", "min_context": 8192},
        calculator.supports: {
            "engine": EMPTY, "gpu": EMPTY, "weight_dtype": "auto", "kv_cache_dtype": "auto", "engine_version": None,
        },
    }  # fmt: skip
    for call, wanted in signatures.items():
        parameters = inspect.signature(call).parameters
        assert {name: parameters[name].default for name in wanted} == wanted


def test_answers_of_sizing_are_frozen_plain_and_survive_pickling(reference):
    traffic = calculator.workload_from_trace({"input_tokens": [100, 300], "output_tokens": [50, 10]}, 2.0)
    served = calculator.service(reference, traffic)
    found = calculator.size("llama-3-8b", users=4, seq_len=2048, gpus="l4")
    for thing, name in ((served, "replicas"), (found, "options"), (calculator.supports("vllm", "l4"), "ok")):
        with pytest.raises(FrozenInstanceError, match=f"cannot assign to field '{name}'"):
            setattr(thing, name, 0)
        again = pickle.loads(pickle.dumps(thing))
        assert again == thing
        if thing in (served, found):
            assert again.as_dict() == thing.as_dict()
            assert json.loads(json.dumps(thing.as_dict(), allow_nan=False)) == thing.as_dict()
            assert thing._repr_html_().endswith("</table>")


def test_results_are_frozen(reference):
    for thing, name in [
        (reference, "fits"),
        (reference.per_gpu, "total_bytes"),
        (reference.request, "seq_len"),
        (reference.model, "vocab_size"),
        (reference.accelerator, "memory_bytes"),
        (reference.model.layers[0].spec, "head_dim"),
        (storage_format("fp16"), "block_bytes"),
    ]:
        before = getattr(thing, name)
        with pytest.raises(AttributeError):  # of a frozen class or of a named tuple
            setattr(thing, name, 0)
        assert getattr(thing, name) == before
    assert is_dataclass(Plan)


def test_pickled_errors_keep_their_text():
    with pytest.raises(calculator.ParallelismError, match="legal are 1, 71") as caught:
        calculator.plan("falcon-7b", gpu="l4", tensor_parallel_size=2)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again)) == (calculator.ParallelismError, str(caught.value))


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", '"><img src=x>', "a & b", "**bold** [x](http://y)"])
def test_notebook_tables_escape_foreign_names(fields, name):
    model = calculator.custom_model(name=name, **fields)
    plan = calculator.plan(model, gpu="l4", seq_len=10**6)
    assert any(name in note for note in plan.notes)
    for table in (model._repr_html_(), plan._repr_html_()):
        assert "<script" not in table
        assert "<img" not in table
        assert " & " not in table
        assert table.startswith("<table><caption>")
        assert table.endswith("</table>")


def test_notebook_table_of_the_reference(reference):
    table = reference._repr_html_()
    assert "<caption>LLaMA 3 70B on 4 × A100 80GB SXM</caption>" in table
    assert '<th scope="row">Verdict</th><td>fits</td>' in table
    assert f"<td>{reference.max_batch_size}</td>" in table


def test_as_dict_holds_every_number_of_the_contract(reference):
    report = reference.as_dict()
    for name in ("fits", "max_batch_size", "max_context_len", "num_blocks", "kv_pool_tokens", "max_concurrency"):
        assert report[name] == getattr(reference, name)
    assert report["per_gpu"]["total_bytes"] == reference.per_gpu.total_bytes
    assert report["kv_pool_bytes"] == reference.kv_pool_bytes == reference.per_gpu.kv_pool_bytes


@pytest.mark.parametrize(
    "name",
    [
        *("fp32", "fp16", "bf16", "fp8", "fp8_e5m2", "nvfp4"),
        *("int8_per_token_head", "fp8_per_token_head", "int4_per_token_head"),
    ],
)
def test_kv_format_names(name):
    assert calculator.plan("llama-3-8b", gpu="l40s", kv_cache_dtype=name).request.kv_cache_dtype in KV_FORMATS


@pytest.mark.parametrize("name", ["q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"])
def test_kv_format_names_of_ggml_are_those_of_the_engine_that_has_them(name):
    asked = {"gpu": "l40s", "kv_cache_dtype": name}
    assert calculator.plan("llama-3-8b", **asked, engine="llama.cpp").request.kv_cache_dtype == name
    assert calculator.kv_cache_bytes("llama-3-8b", seq_len=8192, kv_cache_dtype=name) > 0
    with pytest.raises(calculator.UnsupportedError, match="does not run a KV cache in"):
        calculator.plan("llama-3-8b", **asked)


@pytest.mark.parametrize("name", ["fp16", "bf16", "fp8", "int8", "awq-int4", "gptq-int4", "nvfp4"])
def test_weight_format_names(name):
    assert calculator.plan("llama-3-8b", gpu="l40s", weight_dtype=name).request.weight_dtype == name
    assert WEIGHT_FORMATS[name].name == name


def test_errors_show_no_traceback_in_a_notebook():
    assert calculator.UnknownNameError("no")._render_traceback_() == ["UnknownNameError: no"]


def test_a_plan_shows_itself_in_ten_lines(reference):
    shown = repr(reference).splitlines()
    assert shown[0] == "Plan: LLaMA 3 70B on 4 × A100 80GB SXM"
    assert "  Verdict: fits" in shown
    assert len(shown) == 10
    assert max(map(len, shown)) <= 100


@pytest.mark.parametrize("package", ["", "views", "charts"])
def test_completion_shows_every_public_name(package):
    module = getattr(calculator, package) if package else calculator
    assert set(module.__all__) <= set(dir(module))
