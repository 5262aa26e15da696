"""What is wrong with an input is said in a sentence: what was asked, what is allowed, what is near."""

import re
from dataclasses import replace

import numpy as np
import pytest

import calculator
from calculator import kv_cache_bytes, plan
from calculator.errors import shown
from calculator.units import parse_bytes

HUGE = 10**5000
"""More digits than Python prints of an integer."""

BAD_COUNTS = [
    (0, "must be at least 1, not 0"),
    (-1, "must be at least 1, not -1"),
    (1.5, "must be a whole number, not 1.5; the nearest is 2"),
    (float("nan"), "must be a whole number, not nan"),
    (float("inf"), "must be a whole number, not inf"),
    (True, "must be a whole number, not True"),
    ("8192", "must be a whole number written without quotes, not '8192'"),
    (10**30, "must be at most [0-9,]+, not about 10^30"),
    (HUGE, "must be at most [0-9,]+, not about 10^5000"),
]
COUNTS = ["seq_len", "batch_size", "tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size"]
COUNTS += ["block_size", "max_num_seqs", "max_num_batched_tokens", "gpu_memory_bytes", "kv_cache_memory_bytes"]


def escaped(text):
    return re.escape(text).replace(re.escape("[0-9,]+"), "[0-9,]+")


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize(
    ("value", "text"), BAD_COUNTS, ids=["0", "-1", "1.5", "nan", "inf", "bool", "text", "30", "5000"]
)
def test_counts_of_a_plan(name, value, text):
    with pytest.raises(calculator.InvalidValueError, match=f"^{name} {escaped(text)}"):
        plan("llama-3-8b", gpu="h100-sxm", **{name: value})


@pytest.mark.parametrize("name", ["seq_len", "batch_size", "tensor_parallel_size"])
@pytest.mark.parametrize(
    ("value", "text"), BAD_COUNTS, ids=["0", "-1", "1.5", "nan", "inf", "bool", "text", "30", "5000"]
)
def test_counts_of_the_formula(name, value, text):
    with pytest.raises(calculator.InvalidValueError, match=f"^{name} {escaped(text)}"):
        kv_cache_bytes("llama-3-8b", **{"seq_len": 1, name: value})


@pytest.mark.parametrize("name", ["activation_bytes", "non_torch_bytes", "cuda_graph_bytes"])
def test_overheads_may_be_zero_but_not_less(name):
    with pytest.raises(calculator.InvalidValueError, match=f"{name} must be at least 0, not -1"):
        plan("llama-3-8b", gpu="h100-sxm", **{name: -1})
    assert plan("llama-3-8b", gpu="h100-sxm", **{name: 0}).fits is True


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "must be more than 0, not 0"),
        (-0.1, "must be more than 0, not -0.1"),
        (1.0001, "must be at most 1.0, not 1.0001"),
        (90, "must be at most 1.0, not 90"),
        (10**400, "must be a number, not about 10^400"),
        (float("nan"), "must be a finite number, not nan"),
        (float("inf"), "must be a finite number, not inf"),
        ("0.9", "must be a number, not '0.9'"),
        (True, "must be a number, not True"),
    ],
)
def test_utilisation_lies_above_0_and_up_to_1(value, text):
    with pytest.raises(calculator.InvalidValueError, match="gpu_memory_utilization " + re.escape(text)):
        plan("llama-3-8b", gpu="h100-sxm", gpu_memory_utilization=value)


def test_a_utilisation_of_1_is_allowed():
    assert plan("llama-3-8b", gpu="h100-sxm", gpu_memory_utilization=1).request.gpu_memory_utilization == 1.0


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("llama-3-70", "unknown model 'llama-3-70': did you mean llama-3-70b or "),
        ("LLaMA-3-70", "unknown model 'LLaMA-3-70': did you mean llama-3-70b or "),
        ("qwen-2.5-7x", "did you mean qwen2.5-7b or "),
        ("zzz", "unknown model 'zzz': known are bloom-7b1, "),
        ("", "unknown model '': known are "),
        ("<b>llama</b>", "unknown model '<b>llama</b>': "),
        ("[x](http://evil)", "unknown model '[x](http://evil)': "),
        ("\n::error::x", r"unknown model '\n::error::x': "),
        ("../../etc/passwd", "unknown model '../../etc/passwd': "),
        ("x" * 100_000, "unknown model 'xxx"),
    ],
    ids=["near", "upper case", "spelling", "far", "empty", "html", "markdown", "newline", "path", "long"],
)
def test_unknown_models_are_quoted_on_one_short_line(asked, text):
    with pytest.raises(
        calculator.UnknownNameError, match="^" + re.escape(text) if text[0] == "u" else re.escape(text)
    ) as caught:
        calculator.load_model(asked)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("asked", "text"),
    [("a100-80gb", "a100-80gb-pcie or a100-80gb-sxm"), ("h100-sxn", "did you mean h100-sxm"), ("x", "and 104 more")],
)
def test_unknown_gpus_name_the_near_ones(asked, text):
    with pytest.raises(calculator.UnknownNameError, match=f"unknown GPU '{asked}': .*{text}"):
        plan("llama-3-8b", gpu=asked)


@pytest.mark.parametrize("value", [None, 5, ["llama-3-8b"], b"llama-3-8b"])
def test_a_model_and_a_gpu_are_names(value):
    with pytest.raises(calculator.InvalidValueError, match="a model is a preset id such as llama-3-70b, not "):
        kv_cache_bytes(value, 1)
    with pytest.raises(calculator.InvalidValueError, match="a GPU is a preset id such as a100-80gb-sxm, not "):
        calculator.load_gpu(value)


def test_no_gpu_is_said():
    with pytest.raises(calculator.InvalidValueError, match="gpu is missing: name a GPU preset"):
        plan("llama-3-8b")


@pytest.mark.parametrize("value", [None, 5, ["fp16"], {}])
def test_a_format_is_a_name(value):
    with pytest.raises(calculator.InvalidValueError, match="a KV-cache format is a name such as fp16, not "):
        kv_cache_bytes("llama-3-8b", 1, 1, value)


def test_unknown_engines_and_config_files_are_refused():
    with pytest.raises(calculator.UnknownNameError, match="unknown engine 'vlm': did you mean vllm"):
        plan("llama-3-8b", gpu="l4", engine="vlm")
    with pytest.raises(calculator.FileFormatError, match=r"config\.json: cannot be read: No such file"):
        calculator.load_model("nowhere/config.json")


def test_misspelt_missing_and_surplus_arguments():
    with pytest.raises(calculator.InvalidValueError, match="plan missing 1 required positional argument: 'model'"):
        calculator.plan(gpu="h100-sxm", tensor_parallel_size=2)
    with pytest.raises(calculator.UnknownNameError, match="unknown keyword of plan 'modl': did you mean model"):
        calculator.plan(modl="llama-3-8b")
    with pytest.raises(calculator.UnknownNameError, match="unknown keyword of plan 'seq_length': did you mean seq_len"):
        plan("llama-3-8b", gpu="l4", seq_length=5)
    with pytest.raises(
        calculator.InvalidValueError, match="kv_cache_bytes missing 1 required positional argument: 'seq_len'"
    ):
        kv_cache_bytes("llama-3-8b")
    with pytest.raises(
        calculator.InvalidValueError, match="plan takes from 1 to 2 positional arguments but 3 were given"
    ):
        plan("llama-3-8b", "l4", 8192)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"num_layers": 10**30}, "num_layers must be at most 10,000, not about 10^30"),
        ({"num_layers": HUGE}, "num_layers must be at most 10,000, not about 10^5000"),
        ({"num_layers": 0}, "num_layers must be at least 1, not 0"),
        ({"num_layers": "80"}, "num_layers must be a whole number written without quotes, not '80'"),
        ({"head_dim": 64.5}, "head_dim must be a whole number, not 64.5; the nearest is 64"),
        (
            {"num_key_value_heads": 3},
            "8 query heads do not divide by it; allowed are the divisors of 8, the nearest is 2",
        ),
        ({"num_key_value_heads": 16}, "the nearest is 8"),
        ({"num_kv_heads": 4}, "unknown field 'num_kv_heads': did you mean num_key_value_heads"),
        ({"tie_word_embeddings": 1}, "tie_word_embeddings must be true or false, not 1"),
        ({"intermediate_size": 0}, "intermediate_size 0 is allowed only where every MLP is made of experts"),
        ({"num_experts": 8}, "num_experts_per_tok and moe_intermediate_size are given together or not at all"),
        (
            {"num_experts": 2, "num_experts_per_tok": 3, "moe_intermediate_size": 8},
            "num_experts_per_tok 3 is more than the 2 experts",
        ),
    ],
)
def test_architectures_typed_by_hand(fields, changes, text):
    with pytest.raises(calculator.CalculatorError, match=re.escape(text)):
        calculator.custom_model(**{**fields, **changes})


def test_a_missing_field_is_named(fields):
    del fields["vocab_size"]
    with pytest.raises(calculator.InvalidValueError, match=r"^vocab_size is missing$"):
        calculator.custom_model(**fields)


@pytest.mark.parametrize("groups", [0, -1, 2.0, 2.5, "2", None])
def test_kv_heads_to_compare_with_are_a_count(groups):
    with pytest.raises(calculator.InvalidValueError, match="num_key_value_heads must be a whole number of at least 1"):
        calculator.load_model("llama-3-8b").with_kv_heads(groups)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([], "seq_len is empty: give at least one value"),
        ([1, 2.5], "seq_len must hold whole numbers, not float64"),
        ([True], "seq_len must hold whole numbers, not bool"),
        ([1, 0], "seq_len must be at least 1, not 0"),
        (np.array([1, -5]), "seq_len must be at least 1, not -5"),
        (np.array([2**63], dtype=np.uint64), "seq_len must be at most 1,000,000,000, not 9223372036854775808"),
        (np.array([10**9 + 1]), "seq_len must be at most 1,000,000,000, not 1000000001"),
        ([10**30], "seq_len must hold whole numbers, not object"),
        ([[1], [2, 3]], "seq_len must be a list of whole numbers, or rows of equal length"),
    ],
    ids=["empty", "fraction", "bool", "zero", "negative", "unsigned", "large", "huge", "ragged"],
)
def test_arrays(value, text):
    with pytest.raises(calculator.InvalidValueError, match=re.escape(text)):
        kv_cache_bytes("llama-3-8b", value)


def test_arrays_that_do_not_go_together():
    text = "seq_len of shape (2,) and batch_size of shape (3,) do not go together: give equal shapes, or use sweep"
    with pytest.raises(calculator.InvalidValueError, match=re.escape(text)):
        kv_cache_bytes("llama-3-8b", [1, 2], [1, 2, 3])


@pytest.mark.parametrize("value", [0.4, -1.5])
def test_a_nearest_value_that_is_not_allowed_is_not_offered(value):
    with pytest.raises(calculator.InvalidValueError, match=rf"seq_len must be a whole number, not {value}$"):
        kv_cache_bytes("llama-3-8b", value)


def test_the_name_of_an_own_architecture_is_text(fields):
    with pytest.raises(calculator.InvalidValueError, match="name must be text, not 5"):
        calculator.custom_model(name=5, **fields)


@pytest.mark.parametrize("text", ["80G", "", "-1", "1e9", "NaN", "1.5", "9" * 30, "٣GiB", "1 GiB GiB", "1,5GB"])
def test_sizes_that_could_mean_two_things_are_refused(text):
    with pytest.raises(calculator.InvalidValueError, match=re.escape(repr(text)) + " is not a size: write whole bytes"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("21474836480", 21_474_836_480),
        ("20GiB", 21_474_836_480),
        ("1.5 GB", 1_500_000_000),
        ("2 mib", 2_097_152),
        ("0B", 0),
    ],
)
def test_sizes(text, expected):
    assert parse_bytes(text) == expected


def test_foreign_values_are_shown_on_one_short_line():
    assert shown("a\nb") == r"'a\nb'"
    assert len(shown("x" * 1000)) == 60
    assert shown(-HUGE) == "about 10^5000"


def test_every_error_is_one_of_the_tree():
    names = ["UnknownNameError", "InvalidValueError", "ParallelismError", "UnsupportedError", "FileFormatError"]
    assert all(getattr(calculator, name).__mro__[1] is calculator.CalculatorError for name in names)
    assert calculator.CalculatorError.__mro__[1] is ValueError


ARRAY = np.array(["fp8", "x"])
NO_NAMES = [
    (lambda: plan("llama-3-8b", gpu=ARRAY), "a GPU is a preset id such as a100-80gb-sxm, not array("),
    (lambda: kv_cache_bytes("llama-3-8b", 1, 1, ARRAY), "a KV-cache format is a name such as fp16, not array("),
    (lambda: calculator.read_log(None), "a log is text or bytes, not None"),
    (lambda: calculator.reconcile(5), "a log is text or bytes, not 5"),
    (lambda: calculator.read_plan_file(None), "a plan file is given by its path, not None"),
    (lambda: kv_cache_bytes("llama-3-8b", range(1, 10**30)), "seq_len must be at most 1,000,000,000, not about 10^30"),
]


@pytest.mark.parametrize(("ask", "text"), NO_NAMES, ids=["gpu", "format", "log", "reconcile", "plan file", "range"])
def test_what_is_of_another_kind_is_refused(ask, text):
    with pytest.raises(calculator.InvalidValueError, match="^" + re.escape(text)):
        ask()


def test_a_log_is_any_bytes():
    line = b"GPU KV cache size: 1,000 tokens"
    assert calculator.read_log(bytearray(line)) == calculator.read_log(memoryview(line)) == calculator.read_log(line)


@pytest.mark.parametrize(
    ("stated", "text"),
    [
        ({"memory_bytes": -5}, "memory_bytes must be at least 1, not -5"),
        ({"memory_bytes": 0}, "memory_bytes must be at least 1, not 0"),
        ({"memory_bytes": 8e10}, "memory_bytes must be a whole number, not 80000000000.0; the nearest is 80000000000"),
        ({"memory_bytes": 2**53 + 1}, "memory_bytes must be at most 9,007,199,254,740,992, not 9007199254740993"),
        ({"gpus_per_node": 0}, "gpus_per_node must be at least 1, not 0"),
        ({"price_usd_per_hour": (1.0, float("nan"))}, "price_usd_per_hour.1 must be a finite number, not nan"),
    ],
)
def test_a_device_that_no_plan_file_could_say_is_refused(stated, text):
    with pytest.raises(calculator.InvalidValueError, match="^" + re.escape(text) + "$"):
        replace(calculator.load_gpu("l4"), **stated)


def test_the_memory_of_a_device_is_a_plain_count():
    assert type(replace(calculator.load_gpu("l4"), memory_bytes=np.int64(2**34)).memory_bytes) is int


@pytest.mark.parametrize(
    ("asked", "fields"),
    # what, asked and nearest of each refusal: bounds of the table, divisors of 64 heads, degrees of 8 KV heads
    [
        ({"model": "lama-3-70b"}, ("model", "lama-3-70b", "llama-3-70b")),
        ({"gpu": "a100-80gb-sx"}, ("gpu", "a100-80gb-sx", "a100-80gb-sxm")),
        ({"seq_len": 0}, ("seq_len", 0, 1)),
        ({"batch_size": 2.6}, ("batch_size", 2.6, 3)),
        ({"gpu_memory_utilization": 1.5}, ("gpu_memory_utilization", 1.5, 1)),
        ({"tensor_parallel_size": 3}, ("tensor_parallel_size", 3, 2)),
        ({"pipeline_parallel_size": 81}, ("pipeline_parallel_size", 81, 80)),
        ({"kv_cache_dtype": "fp17"}, ("kv_cache_dtype", "fp17", "fp16")),
        ({"engine": "vlm"}, ("engine", "vlm", "vllm")),
        ({"encoder_seq_len": 5}, ("encoder_seq_len", 5, None)),
    ],
    ids=lambda asked: next(iter(asked)) if isinstance(asked, dict) else "",
)
def test_a_refusal_has_its_parts_as_fields(asked, fields):
    whole = {"model": "llama-3-70b", "gpu": "a100-80gb-sxm", "seq_len": 8_192, **asked}
    with pytest.raises(calculator.CalculatorError) as caught:
        plan(**whole)
    assert (caught.value.what, caught.value.asked, caught.value.nearest) == fields


def test_kv_heads_that_do_not_divide_name_what_would():
    with pytest.raises(calculator.InvalidValueError) as caught:
        calculator.load_model("llama-3-70b").with_kv_heads(7)
    assert (caught.value.what, caught.value.asked, caught.value.nearest) == ("num_key_value_heads", 7, 8)
    assert caught.value.allowed == (1, 2, 4, 8, 16, 32, 64)
