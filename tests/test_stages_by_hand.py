"""Sizes of a cache, splits and the memory of a stage, by hand."""

import numpy
import pytest

import calculator
from calculator.engines.overheads import Line, Overhead
from calculator.errors import CalculatorError, InvalidValueError
from calculator.planning.kv_cache import kv_cache_bytes_per_gpu, size_of, whole_numbers
from calculator.planning.memory import in_a_pass
from calculator.planning.resolve import check_degree, legal_degrees
from calculator.planning.stage import Budget, Memory, Stage, distinct, tightest
from calculator.request.asked import asked_of, is_left_out
from tests import cases

GIB = 2**30
MOST = 1_000_000_000


def caught(call, *given, kind=CalculatorError, **named):
    with pytest.raises(kind) as error:
        call(*given, **named)
    return error.value


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
