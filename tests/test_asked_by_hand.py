"""What is asked of a plan, at each bound: calibrations, how tokens are drafted, and what a plan makes of options."""

import json
from dataclasses import replace

import pytest

import calculator
from calculator.architecture.draft import Draft
from calculator.catalogue.presets import load_gpu
from calculator.errors import CalculatorError, FileFormatError, InvalidValueError, UnsupportedError
from calculator.planning.drafts import draft_of, served
from calculator.request import OPTIONS
from calculator.request.calibration import Calibration, LoggedLine, calibration_of
from calculator.request.speculation import Speculation, checked

GIB = 2**30
MOST = 1_000_000_000


def caught(call, *given, kind=CalculatorError, **named):
    with pytest.raises(kind) as error:
        call(*given, **named)
    return error.value


# Calibrations


def of_log(**given):
    return Calibration(**{"engine": "vllm", "engine_version": "0.19", "non_torch_bytes": GIB, **given})


def test_a_calibration_is_of_its_engine():
    error = caught(of_log().check, "sglang", kind=InvalidValueError)
    assert (error.what, error.asked, error.allowed, error.nearest) == ("calibration", "vllm", ("sglang",), "sglang")
    of_log().check("vllm")
    assert (of_log().is_of("vllm"), of_log().is_of("sglang")) == (True, False)


def device(size, key="h200"):
    return replace(load_gpu("h200"), memory_bytes=size, id=key)


@pytest.mark.parametrize(
    ("own", "other", "held"),
    # a tenth of the device that is planned, either way, is the same memory
    [
        (90 * GIB, 100 * GIB, True), (90 * GIB - 1, 100 * GIB, False), (110 * GIB, 100 * GIB, True),
        (110 * GIB + 1, 100 * GIB, False), (100 * GIB, 100 * GIB, True), (None, 50 * GIB, True),
    ],
)  # fmt: skip
def test_a_calibration_is_of_a_device_with_its_memory(own, other, held):
    one = of_log(gpu_memory_bytes=own)
    assert one.is_of("vllm", device(other)) is held
    if not held:
        error = caught(one.check, "vllm", device(other), kind=InvalidValueError)
        assert (error.what, error.asked, error.nearest) == ("calibration", own, other)


@pytest.mark.parametrize(
    ("gpu", "planned", "held"),
    [
        ("h100-sxm", "h100-sxm", True), ("h100-sxm", "h200", False), ("custom", "h200", True), ("h200", "custom", True),
        (None, "h200", True), ("h200", "h200", True),
    ],
)  # fmt: skip
def test_a_calibration_is_of_its_device(gpu, planned, held):
    one = of_log(gpu=gpu)
    assert one.is_of("vllm", device(80 * GIB, key=planned)) is held
    if not held:
        error = caught(one.check, "vllm", device(80 * GIB, key=planned))
        assert (error.what, error.asked, error.nearest) == ("calibration", gpu, planned)


@pytest.mark.parametrize(
    ("given", "most", "more"),
    [
        ({"non_torch_bytes": 11 * GIB}, 10 * GIB, 10 * GIB - 1), ({"in_use_bytes": 22 * GIB}, 20 * GIB, 20 * GIB - 1),
        *(({"lines": (LoggedLine(**{"key": "draft", "bytes": 0, "usual_bytes": 0, "unsure_bytes": 0,
          name: 22 * GIB}),)},
           20 * GIB, 20 * GIB - 1) for name in ("bytes", "usual_bytes", "unsure_bytes")),
        # each is less, but not their sum
        ({"lines": (LoggedLine("a", 11 * GIB, 0, 0), LoggedLine("b", 11 * GIB, 0, 0))}, 20 * GIB, 20 * GIB - 1),
    ],
)  # fmt: skip
def test_nothing_logged_is_more_than_a_tenth_beyond_the_memory(given, most, more):
    one = of_log(**given)
    one.check_sizes(most)
    error = caught(one.check_sizes, more, kind=InvalidValueError)
    assert (error.what, error.nearest) == ("calibration", more)
    assert error.asked >= 11 * GIB


def test_a_calibration_as_plain_values():
    line = LoggedLine("draft", 3, 2, 1)
    one = of_log(in_use_bytes=GIB // 4, lines=(line,), gpu="h200")
    plain = {
        "engine": "vllm", "engine_version": "0.19", "non_torch_bytes": GIB, "gpu_memory_bytes": None,
        "tensor_parallel_size": None, "gpu": "h200", "model": None, "weight_dtype": None, "in_use_bytes": GIB // 4,
        "lines": [{"key": "draft", "bytes": 3, "usual_bytes": 2, "unsure_bytes": 1}],
    }  # fmt: skip
    assert one.as_dict() == plain
    assert one.stated() == {name: value for name, value in plain.items() if value is not None}
    assert "lines" not in of_log().stated()
    assert (one.grown_bytes, of_log().grown_bytes) == (3 * GIB // 4, 0)
    assert calibration_of(plain) == one
    assert calibration_of(one) is one


def test_a_calibration_from_its_file(tmp_path):
    one, path = of_log(gpu_memory_bytes=80 * GIB), tmp_path / "c.json"
    one.save(path)
    assert calibration_of(path) == calibration_of(str(path)) == one
    assert path.read_text().splitlines()[1] == '  "engine": "vllm",'
    text = json.dumps(one.stated())
    path.write_text(text + " " * (65_536 - len(text)))
    assert calibration_of(path) == one
    path.write_text(text + " " * (65_537 - len(text)))
    assert "longer than 65,536 bytes" in str(caught(calibration_of, path, kind=FileFormatError))
    for content in ("{", "[" * 60_000):
        path.write_text(content)
        assert "no JSON" in str(caught(calibration_of, path, kind=FileFormatError))
    assert "cannot be read" in str(caught(calibration_of, tmp_path / "none", kind=FileFormatError))
    path.write_text("[5]")
    error = caught(calibration_of, path, kind=InvalidValueError)
    assert error.what == "calibration"


STATED = {"engine": "e", "engine_version": "v", "non_torch_bytes": 0}
ONE_LINE = {"key": "a", "bytes": 0, "usual_bytes": 0, "unsure_bytes": 0}


@pytest.mark.parametrize(
    ("name", "taken", "refused"),
    [
        ("engine", "e" * 80, "e" * 81), ("engine", "e", ""), ("engine_version", "v" * 40, "v" * 41),
        ("gpu", "g" * 80, "g" * 81), ("model", "m" * 200, "m" * 201), ("weight_dtype", "w" * 40, "w" * 41),
        ("non_torch_bytes", 0, -1), ("gpu_memory_bytes", 1, 0), ("in_use_bytes", 0, -1),
        ("tensor_parallel_size", 1, 0), ("tensor_parallel_size", 4_096, 4_097),
        ("lines", [], [ONE_LINE, ONE_LINE]), ("lines", [{**ONE_LINE, "key": f"k{n}"} for n in range(32)],
         [{**ONE_LINE, "key": f"k{n}"} for n in range(33)]),
        ("lines", [{**ONE_LINE, "key": "k" * 40}], [{**ONE_LINE, "key": "k" * 41}]),
        *(("lines", [ONE_LINE], [{**ONE_LINE, key: -1}]) for key in ("bytes", "usual_bytes", "unsure_bytes")),
        *(("lines", [ONE_LINE], [{one: 0 for one in ONE_LINE if one != key}]) for key in ONE_LINE),
    ],
)  # fmt: skip
def test_the_values_of_a_calibration_within_their_bounds(name, taken, refused):
    found = calibration_of({**STATED, name: taken})
    assert getattr(found, name) == (tuple(LoggedLine(**line) for line in taken) if name == "lines" else taken)
    assert caught(calibration_of, {**STATED, name: refused}, kind=InvalidValueError).what == "calibration"


@pytest.mark.parametrize("name", [*STATED])
def test_a_calibration_needs_its_engine_version_and_size(name):
    assert caught(calibration_of, {key: value for key, value in STATED.items() if key != name}).what == "calibration"


def test_a_line_that_stands_there_twice_is_named():
    lines = [{**ONE_LINE, "key": key} for key in ("a", "b", "c", "b")]
    assert "the line b stands there twice" in str(caught(calibration_of, {**STATED, "lines": lines}))


def test_sizes_of_a_log_in_text():
    line = {"key": "a", "bytes": "1GiB", "usual_bytes": "2GiB", "unsure_bytes": "3GiB"}
    sizes = {"non_torch_bytes": "4GiB", "gpu_memory_bytes": "80GiB", "in_use_bytes": "5GiB"}
    found = calibration_of({**STATED, **sizes, "lines": [line]})
    assert (found.non_torch_bytes, found.gpu_memory_bytes, found.in_use_bytes) == (4 * GIB, 80 * GIB, 5 * GIB)
    assert found.lines == (LoggedLine("a", GIB, 2 * GIB, 3 * GIB),)


def test_what_is_more_than_the_memory_of_its_own_log_is_refused():
    given = {**STATED, "non_torch_bytes": 12 * GIB}
    assert caught(calibration_of, {**given, "gpu_memory_bytes": 10 * GIB}).asked == 12 * GIB
    assert calibration_of({**given, "gpu_memory_bytes": 11 * GIB}).non_torch_bytes == 12 * GIB


# How tokens are drafted


@pytest.mark.parametrize(
    ("given", "method"),
    [
        ({"method": "eagle3", "model": "ngram"}, "eagle3"), ({"method": "deepseek_mtp"}, "mtp"), ({"method": "mtp"},
        "mtp"),
        ({"model": "ngram"}, "ngram"), ({"model": "[ngram]"}, "ngram"), ({"model": "NGRAM"}, "ngram"),
        ({"model": "ngram-model"}, "draft_model"), ({"model": "yuhuili/EAGLE3-LLaMA3.1"}, "eagle3"),
        ({"model": "yuhuili/EAGLE-LLaMA3"}, "eagle"), ({"model": "x/eagle2"}, "draft_model"), ({}, "draft_model"),
    ],
)  # fmt: skip
def test_how_tokens_are_drafted_by_name(given, method):
    assert Speculation(given).method == method


def test_ways_to_draft_that_are_known_and_others():
    known = ("mtp", "eagle", "eagle3", "draft_model", "ngram", "ngram_gpu", "suffix")
    assert [checked({"method": name}).method for name in known] == list(known)
    for name in ("dflash", "dspark", "medusa", "mlp_speculator", "extract_hidden_states", "custom_class"):
        error = caught(checked, {"method": name}, kind=UnsupportedError)
        assert (error.what, error.asked, error.allowed) == ("speculative_config", name, known)
    error = caught(checked, {"method": "eagel3"})
    assert (type(error).__name__, error.nearest) == ("UnknownNameError", "eagle3")
    assert Speculation({"num_speculative_tokens": 5}).num_tokens == 5
    assert Speculation({}).num_tokens is None
    assert len({Speculation({"a": 1, "b": 2}), Speculation({"b": 2, "a": 1}), Speculation({"a": 1})}) == 2


TEXTS = {
    "method": 40, "model": 400, "quantization": 40, "kv_cache_dtype": 40, "revision": 400, "code_revision": 400,
    "attention_backend": 400, "moe_backend": 400, "draft_sample_method": 40, "rejection_sample_method": 40,
}  # fmt: skip
COUNTS = {"num_speculative_tokens": (1, 1_024), "draft_tensor_parallel_size": (1, 65_536), "max_model_len": (1, MOST),
          "prompt_lookup_min": (1, MOST), "prompt_lookup_max": (1, MOST), "suffix_decoding_max_tree_depth": (0, 10**9),
          "suffix_decoding_max_cached_requests": (0, 10**9)}  # fmt: skip
FLAGS = ("enforce_eager", "disable_padded_drafter_batch", "disable_eagle_block_drop", "use_local_argmax_reduction",
         "disable_lookahead_block_hashes", "parallel_drafting")  # fmt: skip
# vllm/config/speculative.py has all of these
KEYS = [
    *((name, "x" * most, "x" * (most + 1)) for name, most in TEXTS.items()),
    *((name, most, most + 1) for name, (_, most) in COUNTS.items()),
    *((name, least, least - 1) for name, (least, _) in COUNTS.items()),
    *((name, value, 5) for name in FLAGS for value in (True, False)),
    ("posterior_threshold", 1, 1.01), ("posterior_threshold", 0.01, 0),
]  # fmt: skip


@pytest.mark.parametrize(("key", "taken", "refused"), KEYS, ids=lambda value: str(value)[:20])
def test_the_keys_of_a_speculative_config(key, taken, refused):
    field = OPTIONS["speculative_config"].field
    from calculator.reading.schema import Schema

    schema = Schema("One", {"speculative_config": field})
    assert dict(schema.validate({"speculative_config": {key: taken}})["speculative_config"]) == {key: taken}
    caught(schema.validate, {"speculative_config": {key: refused}})


def speculation(**given):
    return Speculation(given)


def test_drafts_without_weights_keep_nothing():
    model = calculator.load_model("llama-3.1-8b")
    for method in ("ngram", "ngram_gpu", "suffix"):
        config = speculation(method=method, num_speculative_tokens=4)
        assert draft_of(model, config) == Draft(4)
        assert served(model, config) is model
    assert draft_of(model, None) is None
    assert served(model, None) is model


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"method": "ngram"}, "num_speculative_tokens is missing"),
        ({"method": "eagle", "num_speculative_tokens": 2}, "model is missing"),
        ({"method": "draft_model", "num_speculative_tokens": 2}, "model is missing"),
        ({"method": "mtp", "model": "x", "num_speculative_tokens": 2}, "the checkpoint's own"),
    ],
)
def test_drafts_that_lack_something_are_refused(given, words):
    error = caught(draft_of, calculator.load_model("deepseek-v3"), Speculation(given))
    assert words in str(error)
    assert error.what == "speculative_config"


def test_a_model_that_drafts_has_its_own_ends():
    small = calculator.load_model("llama-3.2-1b")
    found = draft_of(
        calculator.load_model("llama-3.1-8b"),
        speculation(method="draft_model", model="llama-3.2-1b", num_speculative_tokens=3),
    )
    assert (found.num_tokens, found.layers, found.heads) == (3, small.layers, 32)
    # 128,256 tokens of 2,048 and a norm behind the layers
    assert sum(matrix.num_parameters for matrix in found.own) == 128_256 * 2_048 + 2_048
    assert served(small, speculation(method="draft_model", model="llama-3.2-1b", num_speculative_tokens=3)) is not small


def counted(matrices):
    return sum(matrix.num_parameters for matrix in matrices)


def test_a_head_of_the_first_kind_by_hand():
    # vLLM's llama_eagle: one layer of Llama 3.1 8B, 2 x 4,096 inputs joined into 4,096; embedding and head shared
    found = draft_of(
        calculator.load_model("llama-3.1-8b"), speculation(method="eagle", model="a/b", num_speculative_tokens=2)
    )
    assert (found.num_tokens, len(found.layers), found.layers[0].count, found.heads) == (2, 1, 1, 32)
    assert found.weight_dtype == "bf16"
    assert counted(found.own) == 2 * 4_096 * 4_096
    assert counted(found.shared) == 2 * 128_256 * 4_096
    assert "taken for one layer" in found.assumed


@pytest.mark.parametrize(("quantization", "dtype"), [(None, "bf16"), ("fp8", "fp8")])
def test_a_head_of_the_third_kind_by_hand(quantization, dtype):
    # vLLM's llama_eagle3: three hidden states of 4,096 become one, two norms, a head of 32,000 of 128,256 tokens;
    # queries, keys and values of its layer read the token beside the state: 4,096 x (4,096 + 2 x 1,024) more
    given = {"quantization": quantization} if quantization else {}
    model = calculator.load_model("llama-3.1-8b")
    found = draft_of(model, speculation(method="eagle3", model="a/b", num_speculative_tokens=2, **given))
    assert (found.num_tokens, len(found.layers), found.layers[0].count) == (2, 1, 1)
    assert found.weight_dtype == dtype
    assert counted(found.own) == 3 * 4_096 * 4_096 + 2 * 4_096 + 32_000 * 4_096
    own = model.layers[-1].weights
    assert counted(found.layers[0].weights) == counted(own) + 4_096 * (4_096 + 2 * 1_024)
    assert counted(found.shared) == 128_256 * 4_096
    # a head that drafts from all tokens, and an embedding of its own, are the most there may be
    assert counted(found.perhaps) == 128_256 * 4_096 + (128_256 - 32_000) * 4_096


def test_a_head_whose_config_is_known(tmp_path):
    config = {
        "model_type": "llama", "hidden_size": 2_048, "num_hidden_layers": 2, "num_attention_heads": 16,
        "num_key_value_heads": 4, "head_dim": 128, "intermediate_size": 4_096, "vocab_size": 128_256,
        "max_position_embeddings": 2_048, "torch_dtype": "bfloat16", "draft_vocab_size": 16_000,
    }  # fmt: skip
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    model = calculator.load_model("llama-3.1-8b")
    found = draft_of(model, speculation(method="eagle3", model=str(path), num_speculative_tokens=5))
    # its own width of 2,048, the model's states of 4,096; the first of two layers is the one that reads the token
    assert [group.count for group in found.layers] == [1, 1]
    assert counted(found.own) == 3 * 4_096 * 2_048 + 2 * 2_048 + 16_000 * 2_048
    own = calculator.load_model(str(path)).layers[0].weights
    assert counted(found.layers[0].weights) == counted(own) + 2_048 * (2_048 + 2 * 512)
    assert counted(found.layers[1].weights) == counted(own)
    assert (found.heads, found.assumed) == (16, "")
    assert counted(found.perhaps) == counted(found.shared) == 128_256 * 2_048
    other = tmp_path / "other.json"
    other.write_text(json.dumps({**config, "num_aux_hidden_states": 4, "draft_vocab_size": None}))
    four = draft_of(model, speculation(method="eagle3", model=str(other), num_speculative_tokens=5))
    assert counted(four.own) == 4 * 4_096 * 2_048 + 2 * 2_048 + 128_256 * 2_048
    first = draft_of(model, speculation(method="eagle", model=str(path), num_speculative_tokens=5))
    assert counted(first.own) == 2 * 2_048 * 2_048
    assert [group.count for group in first.layers] == [2]


@pytest.mark.parametrize("name", ["mixtral-8x7b", "gemma-2-9b", "deepseek-v2-lite"])
def test_the_shape_of_a_head_on_layers_of_other_kinds_is_not_guessed(name):
    error = caught(
        draft_of,
        calculator.load_model(name),
        speculation(method="eagle3", model="a/b", num_speculative_tokens=2),
        kind=UnsupportedError,
    )
    assert (error.what, error.asked) == ("speculative_config", "a/b")


@pytest.mark.parametrize(
    ("given", "asked", "wanted"),
    [
        ({"draft_tensor_parallel_size": 1}, 1, 2), ({"kv_cache_dtype": "fp8"}, "fp8", "auto"),
        ({"draft_tensor_parallel_size": 2, "kv_cache_dtype": "auto"}, None, None),
    ],
)  # fmt: skip
def test_a_drafter_is_split_and_kept_as_the_model_is(given, asked, wanted):
    config = {"method": "draft_model", "model": "llama-3.2-1b", "num_speculative_tokens": 2, **given}
    ask = {"gpu": "h100-sxm", "tensor_parallel_size": 2, "seq_len": 512, "speculative_config": config}
    if wanted is None:
        assert calculator.plan("llama-3.1-8b", **ask).request.speculative_config["num_speculative_tokens"] == 2
        return
    error = caught(calculator.plan, "llama-3.1-8b", kind=UnsupportedError, **ask)
    assert (error.what, error.asked, error.allowed, error.nearest) == ("speculative_config", asked, wanted, wanted)


# Where a drafter stands


def test_a_drafter_is_split_as_attention_is():
    # 71 heads of Falcon 7B go over one rank and not over two; attention left whole splits none
    ask = {
        "gpu": "h200", "tensor_parallel_size": 2, "seq_len": 512,
        "speculative_config": {"method": "draft_model", "model": "falcon-7b", "num_speculative_tokens": 2},
    }  # fmt: skip
    assert "71" in str(caught(calculator.plan, "llama-3.1-8b", **ask))
    assert calculator.plan("llama-3.1-8b", **{**ask, "tensor_parallel_size": 1}).fits


# Options and what a plan makes of them


@pytest.mark.parametrize(
    ("name", "taken", "refused"),
    [
        ("tensor_parallel_size", 65_536, 65_537), ("tensor_parallel_size", 1, 0),
        ("checkpoint_bytes", 2**50, 2**50 + 1),
        ("activation_bytes", 0, -1), ("non_torch_bytes", 0, -1), ("cuda_graph_bytes", 0, -1),
        ("seq_len", MOST, MOST + 1),
        ("batch_size", 1, 0), ("max_loras", 1_024, 1_025), ("max_lora_rank", 4_096, 4_097), ("cpu_offload_gb", 0, -0.1),
        ("cpu_offload_gb", 100_000, 100_001), ("gpu_memory_utilization", 1, 1.01), ("block_size", 1_048_576, 1_048_577),
    ],
)  # fmt: skip
def test_options_within_their_bounds(name, taken, refused):
    from calculator.request import PLAN_SCHEMA

    assert PLAN_SCHEMA.validate({name: taken})[name] == taken
    assert caught(PLAN_SCHEMA.validate, {name: refused}).what == name


def test_what_an_option_is():
    kinds = {
        "seq_len": "int, optional", "tensor_parallel_size": "int", "weight_dtype": "str", "mamba_cache_dtype": "str",
        "enforce_eager": "bool", "async_scheduling": "bool, optional", "gpu_memory_utilization": "float, optional",
        "cpu_offload_gb": "float, optional", "speculative_config": "dict, optional",
    }  # fmt: skip
    assert {name: OPTIONS[name].type_name for name in kinds} == kinds
    assert not {"model", "gpu", "split"} & set(OPTIONS)
    for name in ("activation_bytes", "non_torch_bytes", "cuda_graph_bytes"):
        own = OPTIONS[name]
        assert (own.unit, own.is_bytes, own.is_engines, own.default, own.absent) == (
            "bytes", True, False, None, "the estimate",
        )  # fmt: skip
        assert (own.page.least, own.page.most, own.page.clears) == (0.0, 1_000_000.0, True)
    plain = OPTIONS["decode_context_parallel_size"]
    assert (plain.unit, plain.is_bytes, plain.is_engines, plain.everywhere) == ("-", False, True, False)
    assert (plain.page.least, plain.page.most, plain.page.clears) == (None, None, True)
    assert OPTIONS["swa_full"].logged is False
    assert OPTIONS["enforce_eager"].cuts is False
    # a default may be left out, and what has none may be None
    assert OPTIONS["seq_len"].of_plan.default is None
    assert OPTIONS["batch_size"].of_plan.default == 1


def test_values_of_ones_own_are_told_from_estimates():
    plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", seq_len=512)
    assert plan.request.given_overheads == {}
    assert plan.request.encoder_seq_len is None
    own = calculator.vary(plan, activation_bytes=0, cuda_graph_bytes=5).request
    assert own.given_overheads == {"activation_bytes": 0, "cuda_graph_bytes": 5}
    assert own.attention_replicas == 1
    within = own.cutting.within(17, 3)
    assert (within.max_num_batched_tokens, within.max_num_seqs) == (17, 3)
    assert within[:-2] == own.cutting[:-2]


def test_a_device_that_is_not_named():
    error = caught(calculator.plan, "llama-3.1-8b", seq_len=512, kind=InvalidValueError)
    assert error.what == "gpu"
    assert caught(calculator.plan, "llama-3.1-8b", gpu="custom", seq_len=512, kind=InvalidValueError).what == "gpu"
    for name in (None, "custom"):
        plan = calculator.plan("llama-3.1-8b", gpu=name, gpu_memory_bytes=50 * GIB, seq_len=512)
        assert (plan.request.gpu, plan.accelerator.memory_bytes) == ("custom", 50 * GIB)
    given = calculator.plan("llama-3.1-8b", gpu="h100-sxm", gpu_memory_bytes=50 * GIB, seq_len=512)
    assert (given.request.gpu, given.accelerator.memory_bytes, given.request.gpu_memory_bytes) == (
        "h100-sxm", 50 * GIB, 50 * GIB,
    )  # fmt: skip
    assert (given.accelerator.memory_source, given.accelerator.memory_verified) == ("given by hand", True)


def test_the_memory_of_a_log_stands_for_the_devices():
    log = of_log(gpu_memory_bytes=78 * GIB, gpu="h100-sxm")
    ask = {"gpu": "h100-sxm", "seq_len": 512, "calibration": log, "engine_version": "0.19"}
    assert calculator.plan("llama-3.1-8b", **ask).accelerator.memory_bytes == 78 * GIB
    assert calculator.plan("llama-3.1-8b", **ask, gpu_memory_bytes=90 * GIB).accelerator.memory_bytes == 90 * GIB
    assert "more than" in str(caught(calculator.plan, "llama-3.1-8b", **ask, gpu_memory_bytes=GIB // 2))
    assert caught(calculator.plan, "llama-3.1-8b", **{**ask, "gpu": "h200"}).what == "calibration"


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm", "llama.cpp"])
@pytest.mark.parametrize(
    "asked",
    [
        {}, {"kv_cache_memory_bytes": 40 * GIB}, {"kv_cache_memory_bytes": 70 * GIB}, {"gpu_memory_utilization": 0.999},
        {"gpu_memory_bytes": 12 * GIB}, {"pipeline_parallel_size": 2, "kv_cache_memory_bytes": 75 * GIB},
    ],
    ids=str,
)  # fmt: skip
def test_what_a_device_lacks_is_what_all_lines_exceed_it_by(engine, asked):
    plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", engine=engine, seq_len=4_096, **asked)
    given = asked.get("kv_cache_memory_bytes")
    for stage in plan.stages:
        inside = sum(line.bytes for line in stage.overheads if not line.in_slack)
        outside = sum(line.bytes for line in stage.overheads if line.in_slack)
        weights, total = stage.memory.weights_bytes, stage.memory.total_bytes
        pool = max(0, stage.memory.requested_bytes - weights - inside) if given is None else given
        assert stage.memory.kv_pool_bytes == pool
        # a fraction is taken before what runs outside of it is known: then that counts at its least
        least = outside if given else sum(line.low for line in stage.overheads if line.in_slack)
        assert stage.missing_bytes == max(0, weights + inside + pool + least - total)


def test_stages_hold_their_own_layers_and_ends():
    # Llama 3.1 8B over four: eight layers of 218,112,000 parameters each; the first has the embedding of 525,336,576,
    # the last as much again as the head, and a norm; what lies between is one object
    plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", pipeline_parallel_size=4, seq_len=4_096)
    layers, ends = 8 * 218_112_000, 128_256 * 4_096
    assert [stage.memory.weights_bytes for stage in plan.stages] == [
        2 * (layers + ends), 2 * layers, 2 * layers, 2 * (layers + ends + 4_096),
    ]  # fmt: skip
    assert plan.stages[1] is plan.stages[2]
    assert len({id(stage) for stage in plan.stages}) == 3
    assert [sum(group.count for group in stage.layers) for stage in plan.stages] == [8] * 4
