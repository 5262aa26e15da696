"""What is written, shared or remembered is what was planned."""

import copy
import json
import pickle
import re
from dataclasses import replace

import numpy as np
import pytest
from golden import GIB
from hypothesis import example, given
from hypothesis import strategies as st

import calculator
from calculator.architecture.latent import as_latent
from calculator.architecture.model import MOST_REMEMBERED
from calculator.catalogue import presets
from calculator.engines import engine_rules
from calculator.hardware import custom_accelerator
from calculator.planning.files import plan_file
from calculator.reading import strict_yaml
from calculator.request import Cutting
from tests.small_config import CONFIG

LLAMA, GEMMA, A100 = "llama-3-8b", "gemma-2-9b", "a100-80gb-sxm"


def read_back(answer):
    """The plan of the file that a plan is written as."""
    (deployment,) = plan_file.read_deployments(strict_yaml.parse(plan_file.write_plan_file(answer, "it"), "it"))
    return deployment.plan


def model(name):
    return calculator.load_model(name)


def own(**changes):
    fields = {
        "num_layers": 4, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 64, "hidden_size": 512,
        "intermediate_size": 1024, "vocab_size": 1000, "max_position_embeddings": 4096, "tie_word_embeddings": True,
    }  # fmt: skip
    return calculator.custom_model(**{**fields, **changes})


MODELS = {
    "preset": lambda: model(LLAMA),
    "preset of a config": lambda: model("deepseek-v3"),
    "not verified": lambda: next(one for one in map(model, calculator.model_ids()) if one.unverified),
    "one KV head": lambda: model(LLAMA).with_kv_heads(1),
    "KV heads and back": lambda: model(LLAMA).with_kv_heads(1).with_kv_heads(8),
    "no windows": lambda: model(GEMMA).without_windows(),
    "both": lambda: model(GEMMA).with_kv_heads(4).without_windows(),
    "typed by hand": lambda: own(name="Mine: <b>"),
    "typed by hand, varied": lambda: own(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=8).with_kv_heads(
        2
    ),
    "own id": lambda: replace(own(), id="mine", unverified="all of it"),
    "config": lambda: calculator.model_from_hf_config({**CONFIG, "rms_norm_eps": 1e-06, "rope_theta": 1e22}, "Mine"),
    "config, varied": lambda: calculator.model_from_hf_config(CONFIG).with_kv_heads(1),
    "assumed": lambda: calculator.model_from_hf_config({**CONFIG, "model_type": "nobody"}, assume_full_attention=True),
    "from the Hub": lambda: replace(calculator.model_from_hf_config(CONFIG, "m"), huggingface_id="a/m", source="Hub"),
}


@pytest.mark.parametrize("kind", MODELS)
def test_a_plan_file_gives_the_model_that_was_planned(kind):
    planned = MODELS[kind]()
    answer = calculator.plan(planned, gpu=A100, tensor_parallel_size=8 if planned.num_parameters > 10**11 else 1)
    again = read_back(answer)
    assert again.as_dict() == answer.as_dict()
    assert again.stages == answer.stages
    assert again.model == planned
    assert again.model.name == planned.name
    assert again.model.unverified == planned.unverified


def test_a_preset_made_from_a_config_is_written_by_its_id():
    assert "\n  model: deepseek-v3\n" in plan_file.write_plan_file(calculator.plan("deepseek-v3", gpu="h200"), "it")


def test_a_variation_is_written_as_data():
    content = plan_file.write_plan_file(calculator.plan(MODELS["both"](), gpu=A100), "it")
    (entry,) = strict_yaml.parse(content, "it").data["deployments"]
    assert entry["model"] == {"preset": GEMMA, "variations": {"num_key_value_heads": 4, "windows": False}}


@pytest.mark.parametrize(
    "change",
    [
        lambda: model(LLAMA).with_specs(as_latent),
        lambda: replace(model(LLAMA), vocab_size=1),
        lambda: replace(model(LLAMA), weight_dtype="fp8"),
        lambda: replace(model("deepseek-v3"), fields={"vision_config": {"num_hidden_layers": 1}}),
        lambda: replace(own(), end=()),
        lambda: replace(model(LLAMA).with_kv_heads(1), hidden_size=8),
    ],
    ids=["layers", "width", "format", "fields", "own", "varied"],
)
def test_a_model_that_no_file_gives_is_refused_by_name(change):
    changed = change()
    answer = calculator.plan(changed, gpu="mi300x", tensor_parallel_size=8)
    with pytest.raises(
        calculator.UnsupportedError, match=f"{re.escape(changed.name)} cannot be written in a plan file: "
    ):
        plan_file.write_plan_file(answer, "it")
    assert (answer.request.model, changed.id in calculator.model_ids()) in (("custom", True), ("custom", False))
    assert f" {changed.huggingface_id or changed.id} " not in calculator.serve_command(answer).replace("custom", "")


A100_GPU = calculator.load_gpu(A100)
GPUS = {
    "another memory": replace(A100_GPU, memory_bytes=40 * GIB),
    "slow links": replace(A100_GPU, link_gb_per_s=64),
    "no links known": replace(A100_GPU, link_gb_per_s=None),
    "another maker": replace(A100_GPU, vendor="AMD", name="Mine", price_usd_per_hour=None, unverified=("memory",)),
    "another figure of the driver": replace(A100_GPU, reported_mib=60_000, program_gib=("1.0", "2.0")),
    "given by hand": custom_accelerator(48 * GIB),
    "given by hand, named": custom_accelerator(48 * GIB, "GB10 of mine"),
    "own id": replace(custom_accelerator(48 * GIB), id="mine", price_usd_per_hour=(0.5, 1.0)),
    "a copy of the preset": replace(A100_GPU),
}


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
@pytest.mark.parametrize("kind", GPUS)
def test_a_plan_file_gives_the_gpu_that_was_planned(kind, engine):
    answer = calculator.plan(LLAMA, gpu=GPUS[kind], tensor_parallel_size=2, engine=engine)
    again = read_back(answer)
    assert again.as_dict() == answer.as_dict()
    assert again.accelerator == answer.accelerator
    known = {"own id": "mine", "a copy of the preset": A100}
    assert answer.request.gpu == known.get(kind, "custom")


def test_a_gpu_is_written_by_what_differs_from_its_preset():
    content = plan_file.write_plan_file(calculator.plan(LLAMA, gpu=GPUS["slow links"]), "it")
    (entry,) = strict_yaml.parse(content, "it").data["deployments"]
    assert entry["gpu"] == {"preset": A100, "link_gb_per_s": 64}


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (f"gpu: {A100}", "gpu: {memory_bytes: 0}", "memory_bytes must be at least 1, not 0"),
        (f"gpu: {A100}", "gpu: {name: x}", "gpu: gpu states neither preset nor memory_bytes"),
        (f"gpu: {A100}", "gpu: {preset: nope}", "unknown GPU 'nope'"),
        (f"gpu: {A100}", "gpu: {memory_gib: 5}", "unknown field 'memory_gib': did you mean memory_bytes"),
        (f"gpu: {A100}", f"gpu: {{preset: {A100}, price_usd_per_hour: [1.0]}}", "must list 2 values"),
        (f"gpu: {A100}", "gpu: 5", "gpu: gpu must be text, not 5"),
        (f"model: {LLAMA}", "model: {preset: nope}", "unknown model 'nope'"),
        (f"model: {LLAMA}", "model: {preset: x/config.json}", "unknown model 'x/config.json'"),
        (f"model: {LLAMA}", f"model: {{preset: {LLAMA}, head_dim: 5}}", "model states preset beside head_dim"),
        (
            f"model: {LLAMA}",
            f"model: {{preset: {LLAMA}, variations: {{heads: 5}}}}",
            "unknown field 'variations.heads'",
        ),
        (
            f"model: {LLAMA}",
            f"model: {{preset: {LLAMA}, variations: {{num_key_value_heads: 5}}}}",
            "num_key_value_heads 5 is not possible: 32 query heads do not divide by it",
        ),
        (
            f"model: {LLAMA}",
            f"model: {{preset: {LLAMA}, assume_full_attention: true}}",
            "model: assume_full_attention is said of a config or a checkpoint alone",
        ),
    ],
)
def test_a_model_or_gpu_stated_wrongly_is_refused_with_the_reason(before, after, message):
    content = plan_file.write_plan_file(calculator.plan(LLAMA, gpu=A100), "it")
    assert before in content
    with pytest.raises(calculator.FileFormatError, match=re.escape(message)):
        plan_file.read_deployments(strict_yaml.parse(content.replace(before, after), "it"))


@pytest.mark.parametrize(
    ("name", "message"),
    [("", "name must not be empty"), ("x" * 121, "at most 120"), (5, "name must be text"), (object(), "cannot repr")],
)
def test_a_name_that_no_file_takes_is_refused(reference, name, message):
    with pytest.raises(calculator.UnsupportedError, match=f"the plan cannot be written as a file: .*{message}"):
        plan_file.write_plan_file(reference, name)


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"rms_norm_eps": float("nan")}, "rms_norm_eps cannot be nan: a config holds what JSON has"),
        ({"time_step_limit": (0.0, float("nan"))}, "1 cannot be nan: a config holds what JSON has"),
        ({"torch_dtype": object}, "torch_dtype cannot be <class 'object'>: "),
        ({"rms_norm_eps": np.array([1, 2])}, "rms_norm_eps cannot be array([1, 2]): "),
        ({"note": b"x"}, "note cannot be b'x': "),
        ({"note": "\ud800"}, "note cannot be '\\ud800': "),
        ({5: 3}, "a key of a config is text, not 5"),
    ],
)
def test_a_config_that_no_file_could_hold_is_refused_where_it_is_read(keys, text):
    with pytest.raises(calculator.InvalidValueError, match="^" + re.escape(text)):
        calculator.model_from_hf_config({**CONFIG, **keys}, "m")


def test_an_infinite_number_is_read_however_it_is_written(tmp_path):
    # transformers 4 writes Infinity, transformers 5 {"__float__": "Infinity"}, to_dict() gives the float
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**CONFIG, "time_step_limit": [0.0, float("inf")]}), encoding="utf-8")
    assert "Infinity" in path.read_text(encoding="utf-8")
    configs = [
        {**CONFIG, "time_step_limit": limit} for limit in ((0.0, float("inf")), [0.0, {"__float__": "Infinity"}])
    ]
    models = [calculator.load_model(str(path)), *(calculator.model_from_hf_config(config) for config in configs)]
    assert {model.fields["time_step_limit"][1]["__float__"] for model in models} == {"Infinity"}
    plan = calculator.plan(models[1], gpu=A100)
    assert read_back(plan).as_dict() == plan.as_dict()


def test_a_config_that_uses_a_part_twice_is_written_out():
    part = {"rope_type": "default"}
    again = calculator.model_from_hf_config({**CONFIG, "rope_scaling": part, "rope_parameters": part}, "m")
    assert "&id" not in plan_file.write_plan_file(calculator.plan(again, gpu="l4"), "it")


# Numbers


@given(st.floats(0, 1, exclude_min=True))
@example(1e-9)
@example(5e-324)
@example(1.2345678901234567e-05)
@example(1.0)
def test_every_fraction_is_written_as_it_is_read(fraction):
    answer = calculator.plan(LLAMA, gpu=A100, gpu_memory_utilization=fraction)
    assert read_back(answer).request.gpu_memory_utilization == fraction
    (written,) = re.findall(r"--gpu-memory-utilization (\S+)", calculator.serve_command(answer))
    assert float(written) == fraction
    log = calculator.read_log(f"{calculator.serve_command(answer)}\nGPU KV cache size: 157,584 tokens\n")
    assert log.flags["gpu_memory_utilization"] == fraction


@given(st.integers(1, 10**9), st.integers(1, 10**9), st.integers(0, 2**53))
@example(10**9, 10**9, 2**53)
def test_every_whole_number_is_written_as_it_is_read(length, batch, size):
    answer = calculator.plan(LLAMA, gpu=A100, seq_len=length, batch_size=batch, activation_bytes=size)
    assert read_back(answer).request == answer.request


@pytest.mark.parametrize("text", ["1.0e+999", "-1.0e+999", "1.0e-9999", "1.e-5", "1.0E-5"])
def test_a_number_that_is_none_is_still_refused(text):
    with pytest.raises(calculator.FileFormatError, match="ambiguous YAML: write a decimal number"):
        strict_yaml.parse(f"a: {text}", "it")


# What is remembered


def test_a_model_forgets():
    forgetful = replace(model(LLAMA))
    for tokens in range(1, 2 * MOST_REMEMBERED):
        calculator.plan(forgetful, gpu=A100, max_num_batched_tokens=tokens)
    assert len(forgetful._remembered) <= MOST_REMEMBERED


def test_an_engine_is_shown_what_is_remembered_by_and_nothing_else(reference):
    cutting = reference.request.cutting
    for name in ("seq_len", "batch_size", "gpu_memory_utilization", "tensor_parallel_size"):
        assert not hasattr(cutting, name)
    assert {name: getattr(reference.request, name) for name in Cutting._fields} == cutting._asdict()


def test_what_is_remembered_is_found_by_all_that_it_was_derived_from():
    one = replace(model(LLAMA))
    derived = []

    def derive(_, *asked):
        derived.append(asked)
        return sum(asked)

    assert [one.remember(derive, 1, 2), one.remember(derive, 1, 2), one.remember(derive, 1, 3)] == [3, 3, 4]
    assert derived == [(1, 2), (1, 3)]


@pytest.mark.parametrize("preset", [LLAMA, GEMMA, "deepseek-v3", "llama-4-scout", "qwen3-next-80b-a3b", "jamba-v0.1"])
@pytest.mark.parametrize(
    ("engine", "version"), [("vllm", "0.7"), ("vllm", None), ("sglang", None), ("llama.cpp", None)]
)
def test_what_is_left_out_of_a_cut_does_not_bear_on_it(preset, engine, version):
    rules, of = engine_rules(engine, version), model(preset)
    for tokens in (512, 16_384):
        cutting = calculator.plan(LLAMA, gpu=A100, engine=engine, max_num_batched_tokens=tokens).request.cutting
        try:
            whole = rules.geometry(of, of.groups, cutting)
        except calculator.UnsupportedError:
            with pytest.raises(calculator.UnsupportedError):
                rules.geometry(of, of.groups, rules.bearing(of, cutting))
        else:
            assert rules.geometry(of, of.groups, rules.bearing(of, cutting)) == whole


def test_a_window_is_cut_anew_for_other_tokens_of_a_pass():
    # llama.cpp keeps the window and the tokens at once, in cells of 256: 4,096 + 512, then 4,096 + 2,048
    limits = [
        {claim.limit for claim in calculator.plan(GEMMA, gpu=A100, engine="llama.cpp", max_num_batched_tokens=tokens)
         .stage.geometry.pools[0].claims if claim.limit < 10**6}
        for tokens in (512, 2048)
    ]  # fmt: skip
    assert limits == [{4608}, {6144}]


# What is shared


def changes_of(shared):
    yield lambda: shared.__setitem__("x", 1)
    yield lambda: shared.update(x=1)
    yield lambda: shared.pop(next(iter(shared)))
    yield lambda: shared.setdefault("x", 1)
    yield lambda: shared.__delitem__(next(iter(shared)))
    yield shared.clear
    yield shared.popitem


SHARED = {
    "asked": lambda: calculator.plan(LLAMA, gpu=A100).asked,
    "fields": lambda: model("deepseek-v3").fields,
    "towers": lambda: model("gemma-3-27b").towers,
    "parts": lambda: model(LLAMA).parts,
    "variations": lambda: model(LLAMA).with_kv_heads(1).variations,
    "fields typed by hand": lambda: own().fields,
    "the file's": lambda: presets.model_file().entries["deepseek-v3"]["config"],
}


@pytest.mark.parametrize("kind", SHARED)
def test_what_is_shared_cannot_be_changed(kind):
    shared = SHARED[kind]()
    before = json.dumps(shared, default=repr)
    for change in changes_of(shared):
        with pytest.raises(TypeError, match="this dict is shared and read-only"):
            change()
    assert json.dumps(SHARED[kind](), default=repr) == before
    assert {**shared, "x": 1}["x"] == 1
    assert dict(shared) == shared


def test_what_a_config_nests_cannot_be_changed_and_is_no_longer_the_callers():
    config = {**CONFIG, "rope_scaling": {"rope_type": "default"}, "architectures": ["A"]}
    built = calculator.model_from_hf_config(config)
    config["rope_scaling"]["rope_type"] = "other"
    assert built.fields["rope_scaling"] == {"rope_type": "default"}
    with pytest.raises(TypeError, match="this dict is shared"):
        built.fields["rope_scaling"]["rope_type"] = "other"
    with pytest.raises(TypeError, match="this list is shared"):
        built.fields["architectures"].append("B")


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))])
@pytest.mark.parametrize("kind", MODELS)
def test_models_and_plans_are_copied_whole(kind, again):
    planned = MODELS[kind]()
    answer = calculator.plan(planned, gpu="mi300x", tensor_parallel_size=1 if planned.num_parameters < 10**11 else 8)
    assert again(planned).is_the_same(planned)
    assert again(planned).variations == planned.variations
    assert again(answer) == answer
    assert again(answer).as_dict() == answer.as_dict()
    assert calculator.vary(again(answer), seq_len=100).as_dict() == calculator.vary(answer, seq_len=100).as_dict()
    with pytest.raises(TypeError, match="read-only"):
        again(answer).asked["x"] = 1


def test_a_pickle_does_not_carry_what_was_remembered():
    one = replace(model(LLAMA))
    before = len(pickle.dumps(one))
    calculator.plan(one, gpu=A100)
    assert len(pickle.dumps(one)) == before
