"""What is asked of a plan, at each bound: calibrations, drafts, sizes of a cache, splits and the memory of a stage."""

import json
from dataclasses import replace

import numpy
import pytest

import calculator
from calculator.architecture.draft import Draft
from calculator.catalogue.presets import load_gpu
from calculator.engines.overheads import Line, Overhead
from calculator.errors import CalculatorError, FileFormatError, InvalidValueError, UnsupportedError
from calculator.planning.drafts import draft_of, served
from calculator.planning.kv_cache import kv_cache_bytes_per_gpu, size_of, whole_numbers
from calculator.planning.memory import in_a_pass
from calculator.planning.resolve import check_degree, legal_degrees
from calculator.planning.stage import Budget, Memory, Stage, distinct, tightest
from calculator.request import OPTIONS
from calculator.request.asked import asked_of, is_left_out
from calculator.request.calibration import Calibration, LoggedLine, calibration_of
from calculator.request.speculation import Speculation, checked
from tests import cases

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
PIB = 2**50


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


# Bytes of a cache


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "is empty"), ([1.5], "whole numbers, not float64"), ([True], "whole numbers, not bool"),
        ([[1], [2, 3]], "rows of equal length"), ([0, 1], "at least 1, not 0"), ([5, -3], "at least 1, not -3"),
        (range(MOST, MOST + 2), "at most 1,000,000,000"), (range(MOST + 1, MOST - 1, -1), "at most 1,000,000,000"),
        (numpy.array([2**63], numpy.uint64), "at most 1,000,000,000"),
    ],
)  # fmt: skip
def test_lists_of_lengths_that_are_none(value, words):
    error = caught(whole_numbers, "seq_len", value, kind=InvalidValueError)
    assert words in str(error)
    assert error.what == "seq_len"
    if "at most" in words:
        assert (error.nearest, error.asked > MOST) == (MOST, True)
    if "at least" in words:
        assert (error.nearest, error.asked) == (1, min(value))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ([1, 2], [1, 2]), ((7,), [7]), (range(3, 0, -1), [3, 2, 1]), (["1k", 5], [1_000, 5]), ([1], [1]),
        (range(MOST, MOST + 1), [MOST]), (numpy.array([2**63 - 1], numpy.uint64), [2**63 - 1]),
    ],
)  # fmt: skip
def test_lists_of_lengths(value, found):
    array = whole_numbers("seq_len", value)
    assert array.tolist() == found
    assert array.dtype == numpy.int64


def test_one_length_is_a_plain_number():
    assert whole_numbers("seq_len", numpy.int32(5)) == 5
    assert type(whole_numbers("seq_len", numpy.array(5))) is int
    assert whole_numbers("seq_len", "8k") == whole_numbers("seq_len", 8_000)
    assert caught(whole_numbers, "seq_len", "8 apples").what == "seq_len"


@pytest.mark.parametrize(
    ("values", "size"),
    [
        (range(0), 0), (range(10), 10), (range(1, 10, 3), 3), (range(10, 0, -4), 3), (range(5, 6), 1),
        ([1, 2, 3], 3), (numpy.ones((2, 3)), 6), (range(10**30), 10**30), (range(2, 2), 0),
    ],
)  # fmt: skip
def test_how_many_values_there_are(values, size):
    assert size_of(values) == size


def test_an_array_holds_results_of_64_bits():
    # 131,072 bytes a token: 2^46 tokens are 2^63 bytes, one more than 64 bits with a sign hold
    tokens, batch = numpy.array([2**26]), numpy.array([2**20 - 1])
    assert kv_cache_bytes_per_gpu("llama-3.1-8b", tokens, batch)[0] == 2**43 * (2**20 - 1)
    error = caught(kv_cache_bytes_per_gpu, "llama-3.1-8b", tokens, batch + 1, kind=InvalidValueError)
    assert "10^18" in str(error)  # 9.2e18
    # all eight ranks together would exceed it
    assert kv_cache_bytes_per_gpu("llama-3.1-8b", tokens, batch // 8, "auto", 8)[0] == 2**40 * (2**17 - 1)
    caught(kv_cache_bytes_per_gpu, "llama-3.1-8b", tokens, batch + 1, "auto", 8)
    assert kv_cache_bytes_per_gpu("llama-3.1-8b", 2**26, 2**20) == 2**63
    shapes = caught(kv_cache_bytes_per_gpu, "llama-3.1-8b", numpy.array([1, 2]), numpy.array([1, 2, 3]))
    assert "do not go together" in str(shapes)


def test_the_tokens_of_an_encoder_are_asked_for_where_there_is_one():
    assert caught(kv_cache_bytes_per_gpu, "llama-3.1-8b", 5, encoder_seq_len=5).asked == 5
    whisper = cases.model("encoder and decoder")
    assert caught(kv_cache_bytes_per_gpu, whisper, 5).what == "encoder_seq_len"
    # 4 layers, 20 heads of 64, keys and values in 16 bit, of its own tokens and of 1,500 encoded ones
    assert kv_cache_bytes_per_gpu(whisper, 5, encoder_seq_len=1_500) == 4 * 20 * 64 * 2 * 2 * 1_505
    assert kv_cache_bytes_per_gpu(whisper, 5, encoder_seq_len=MOST) == 4 * 20 * 64 * 2 * 2 * (MOST + 5)
    for bad in (0, MOST + 1, 1.5):
        caught(kv_cache_bytes_per_gpu, whisper, 5, encoder_seq_len=bad)


# Splits


@pytest.mark.parametrize(
    ("options", "degrees"),
    # Llama 3.1 8B: 32 heads over 8 KV heads, whole or copied; attention alone left whole lets the MLP of 14,336 decide
    [({}, (1, 2, 4, 8, 16, 32)), ({"enable_expert_parallel": True}, (1, 2, 4, 8, 16, 32))],
)
def test_legal_degrees(options, degrees):
    model = calculator.load_model("llama-3.1-8b")
    values = {"enable_attention_dp": False, "enable_expert_parallel": False, **options}
    assert legal_degrees(model, values) == degrees
    check_degree(model, {**values, "tensor_parallel_size": 8})
    error = caught(check_degree, model, {**values, "tensor_parallel_size": 3})
    assert (error.what, error.asked, error.allowed) == ("tensor_parallel_size", 3, degrees)


def test_attention_left_whole_is_no_bound():
    model = calculator.load_model("llama-3.1-8b")
    whole = legal_degrees(model, {"enable_attention_dp": True, "enable_expert_parallel": False})
    assert {1, 7, 64} <= set(whole)  # divisors of 14,336 and of no number of heads
    assert 3 not in whole


@pytest.mark.parametrize(
    ("tokens", "sequences", "length", "held"),
    # at least one is read, however long; no more than may be in a pass
    [(2_048, 256, 100, 20), (2_048, 8, 100, 8), (2_048, 256, 2_048, 1), (2_048, 256, 2_049, 1), (2_048, 256, 9_999, 1),
     (2_048, 256, 1_024, 2), (2_048, 256, 8, 256), (2_048, 256, 7, 256)],
)  # fmt: skip
def test_sequences_of_one_pass(tokens, sequences, length, held):
    request = calculator.plan(
        "llama-3.1-8b", gpu="h100-sxm", seq_len=128, max_num_batched_tokens=tokens, max_num_seqs=sequences
    ).request
    assert in_a_pass(request, length) == held


# The memory of a stage


def overhead(key, keyword, size, low, high, slack=False):
    return Overhead(Line(key, key, key, keyword), size, "", low, high, slack)


LINES = (
    overhead("activation", "activation_bytes", 10, 7, 16), overhead("non_torch", "non_torch_bytes", 20, 16, 28),
    overhead("cuda_graph", "cuda_graph_bytes", 40, 30, 50, slack=True), overhead("draft", None, 80, 80, 80),
    overhead("lora", None, 160, 160, 160), overhead("other_memory", "other_memory_bytes", 320, 320, 320),
    overhead("left_out", "activation_bytes", 1, 1, 1),
)  # fmt: skip
OF_GPU = Memory(5_000, 4_000, 1_000, 2_000, LINES)


def test_memory_line_by_line():
    assert OF_GPU.as_dict() == {
        "total_bytes": 5_000, "requested_bytes": 4_000, "weights_bytes": 1_000, "activation_bytes": 11,
        "non_torch_bytes": 20, "cuda_graph_bytes": 40, "draft_bytes": 80, "lora_bytes": 160, "other_memory_bytes": 320,
        "kv_pool_bytes": 2_000,
    }  # fmt: skip
    assert [*OF_GPU.lines] == ["activation", "non_torch", "cuda_graph", "draft", "lora", "other_memory", "left_out"]
    # all but the graphs stand in the budget: 10 + 20 + 80 + 160 + 320 + 1
    assert (OF_GPU.in_slack_bytes, OF_GPU.before_kv_bytes) == (40, 1_591)
    assert OF_GPU.unused_bytes == 5_000 - 1_591 - 2_000 - 40


def test_memory_of_several_gpus():
    three = OF_GPU.times(3)
    assert three.as_dict() == {name: 3 * size for name, size in OF_GPU.as_dict().items()}
    other = Memory(1, 2, 3, 4, (overhead("draft", None, 5, 4, 6), overhead("output_counts", None, 7, 6, 8)))
    both = OF_GPU.plus(other)
    assert both[:4] == (5_001, 4_002, 1_003, 2_004)
    draft = both.lines["draft"]
    assert (draft.bytes, draft.low, draft.high, both.lines["output_counts"].bytes) == (85, 84, 86, 7)
    assert len(both.overheads) == 8


class Rules:
    """Takes a fraction of the device."""

    def requested_bytes(self, total, fraction, *_):
        return int(total * fraction)


@pytest.mark.parametrize("given", [None, 700])
@pytest.mark.parametrize("missing", [-1, 0, 1])
def test_the_pool_of_a_stage_and_its_range(given, missing):
    budget = Budget(Rules(), 0.8, 5_000, 1_000, given)
    stage = Stage((), OF_GPU, None, budget, 0, missing)
    # 4,000 less 1,000 and 591; what is unsure besides the graphs: 6 and 8 more, 3 and 4 less, by their squares
    low, high = (700, 700) if given else (4_000 - 1_591 - 10, 4_000 - 1_591 + 5)
    assert (stage.kv_pool_bytes_low, stage.kv_pool_bytes_high) == (low, high)
    assert stage.exceeds is (missing > 0)
    assert stage.usable_bytes == (0 if missing > 0 else 2_000)
    assert stage.usable_range == ((0, 0) if missing > 0 else (low, high))
    assert stage.overheads == LINES
    assert (stage.drafted, stage.hosted_bytes) == ((), 0)


def test_no_pool_is_less_than_none():
    budget = Budget(Rules(), 0.8, 5_000, 1_000, None)
    assert [budget.pool_bytes(taken) for taken in (2_999, 3_000, 3_001)] == [1, 0, 0]
    assert budget.requested_bytes(5) == 4_000
    # as a key it stands by its numbers: rules have no hash
    assert hash(budget) == hash(Budget({}, 0.8, 5_000, 1_000, None))
    for numbers in ((0.7, 5_000, 1_000, None), (0.8, 5_001, 1_000, None), (0.8, 5_000, 1_001, None)):
        assert hash(budget) != hash(Budget({}, *numbers))


class Pools:
    """Holds a sequence in so many bytes."""

    def __init__(self, each):
        self.each = each

    def concurrency(self, pool, seq_len):
        return pool / (self.each * seq_len)


def test_the_tightest_stage():
    def stage(weights, each):
        return Stage((), OF_GPU._replace(weights_bytes=weights), Pools(each), None, 0, 0)

    one, more, heavy = stage(1, 2), stage(1, 3), stage(9, 3)
    assert tightest((one,), 5) is one
    assert tightest((one, more), 5) is tightest((more, one), 5) is more
    # of stages that hold as many the one with more weights
    assert tightest((one, more, heavy), 5) is heavy
    assert tightest((one, one), 5) is one
    assert distinct((one, more, one, heavy)) == (one, more, heavy)
    assert len(distinct((one, one))) == 1


def test_options_as_given():
    found = asked_of({"seq_len": "8k", "gpu_memory_bytes": "80GiB", "engine": "sglang", "block_size": None})
    assert (found["seq_len"], found["gpu_memory_bytes"], found["engine"]) == (8_000, 80 * GIB, "sglang")
    assert "block_size" not in found
    assert (found["tensor_parallel_size"], found["batch_size"], found["weight_dtype"]) == (1, 1, "auto")
    error = caught(asked_of, {"seqlen": 5})
    assert (error.nearest, "model" in error.allowed, "gpu" in error.allowed) == ("seq_len", True, True)
    error = caught(asked_of, {"seq_len": "8 apples"}, kind=InvalidValueError)
    assert (error.what, error.asked) == ("seq_len", "8 apples")


@pytest.mark.parametrize(
    ("name", "value", "left_out"),
    [
        ("cpu_offload_gb", 0, True), ("cpu_offload_gb", 0.0, True), ("cpu_offload_gb", 1, False),
        ("cpu_offload_gb", None, True), ("cpu_offload_gb", False, False), ("cpu_offload_gb", "0", False),
        ("n_cpu_moe", 0, True), ("n_gpu_layers", 0, False), ("n_gpu_layers", None, True),
        ("other_memory_bytes", 0, False),
    ],
)  # fmt: skip
def test_a_nought_that_says_no_more_than_nothing(name, value, left_out):
    assert is_left_out(name, value) is left_out


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
