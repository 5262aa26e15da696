"""Curves of load by hand: risks of numbers, what is held, closed loops, rules of admission; models of a plan file."""

from dataclasses import replace
from math import ceil
from types import SimpleNamespace

import numpy
import pytest

import calculator
from calculator.engines.measured import architecture_kind
from calculator.errors import FileFormatError, InvalidValueError, UnsupportedError
from calculator.planning.files.models import model_entry, stated_model
from calculator.planning.kv_cache import check_shapes, encoder_tokens, size_of, whole_numbers
from calculator.planning.traffic.curves.batches import bend
from calculator.planning.traffic.curves.policies import known
from calculator.planning.traffic.curves.risk import _steps, holding, risk_curve, risks
from calculator.planning.traffic.timing.clients import decoding, room, running
from calculator.planning.traffic.timing.domain import _queued, _refused
from calculator.planning.traffic.timing.step import Lengths, pace_of

BLOCK = 16 * 131_072
W = calculator.Workload(1.0, 1_000, 250)


def of_room(count, **asked):
    """A plan of Llama 3.1 8B that holds so many sequences of 4,096 tokens: 256 blocks each, and one that is kept."""
    asked = {"seq_len": 4_096, "kv_cache_memory_bytes": (count * 256 + 1) * BLOCK, **asked}
    return calculator.plan("llama-3.1-8b", gpu="h100-sxm", **asked)


# Risks of numbers


def test_steps_between_two_numbers():
    assert _steps(1, 10, 3) == [1, 4, 7, 10]
    assert _steps(5, 5, 4) == [5]
    assert _steps(1, 3, 8) == [1, 2, 3]
    assert _steps(0, 100, 4) == [0, 25, 50, 75, 100]
    assert len(_steps(1, 10**6, 48)) == 49


def test_a_curve_of_risks_passes_its_marks():
    found = calculator.concurrency(of_room(40), W)
    at, over = risks(found, [found.sequences, found.sequences + 1])
    assert at <= 0.01 < over
    even, more = risks(found, [found.sequences_even, found.sequences_even + 1])
    assert even <= 0.5 < more
    curve = risk_curve(found)
    numbers = [count for count, _ in curve]
    assert numbers == sorted(set(numbers))
    assert {found.sequences, found.sequences_even} <= set(numbers)
    assert [risk for _, risk in curve] == sorted(risk for _, risk in curve)
    assert numbers[0] >= 1
    assert curve[0][1] < 1e-4
    assert curve[-1][1] > 0.99
    assert 40 <= len(curve) <= 51
    assert risk_curve(SimpleNamespace(plan=found.plan, sequences_even=0)) == ()


def test_ranks_of_their_own_have_their_share_of_the_requests():
    plan = calculator.plan("deepseek-v3", gpu="h200", tensor_parallel_size=8, enable_attention_dp=True, seq_len=8_192,
                           engine="sglang")  # fmt: skip
    found = calculator.concurrency(plan, W)
    assert found.sequences % 8 == 0
    # 8 ranks: up to eight more of them fall on the next of each
    one, same, more = risks(found, [found.sequences - 7, found.sequences, found.sequences + 1])
    assert one == same <= 0.01 < more
    assert all(count % 8 == 0 for count, _ in risk_curve(found))


def test_what_is_held_at_random_moments():
    # lengths that do not vary: 1,001 to 1,250 tokens, 63 to 79 blocks of 16
    even = calculator.Workload(1.0, 1_000, 250, prompt_cv=0, output_cv=0)
    found = calculator.concurrency(of_room(40), even)
    shown = holding(found, 60)
    blocks = sum(ceil(tokens / 16) for tokens in range(1_001, 1_251)) / 250
    assert (shown.free, shown.tokens) == (40 * 256, 40 * 256 * 16)
    assert shown.mean == pytest.approx(60 * blocks / (40 * 256))
    assert sum(one.share for one in shown.bins) == pytest.approx(1, abs=1e-3)
    middle = sum(one.share * (one.low + one.high) / 2 for one in shown.bins)
    assert middle == pytest.approx(shown.mean, rel=0.01)
    assert all(one.high == after.low for one, after in zip(shown.bins, shown.bins[1:], strict=False))
    full = holding(found, 144).bins
    assert min(abs(one.high - 1) for one in full) < 1e-9  # one ends where the pool does
    alike = calculator.concurrency(of_room(40), calculator.Workload(1.0, 1_000, 1, prompt_cv=0, output_cv=0))
    (only,) = holding(alike, 60).bins  # 1,001 tokens each, always
    assert (only.high, only.share) == (pytest.approx(60 * 63 / (40 * 256)), 1.0)
    assert only.low == pytest.approx(only.high - 1 / 48)
    nothing = calculator.concurrency(of_room(40), replace(even, shared_prefix_tokens=0))
    assert holding(nothing, 0).mean == 0


# Closed loops


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm", "llama.cpp"])
def test_room_for_requests_by_the_rule_of_admission(engine):
    plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", engine=engine, seq_len=4_096)
    rule = plan.rules.admission
    prompt, output = 1_000, 250
    held = prompt + output / 2
    if rule.whole_context:
        held = 4_096
    elif rule.whole_output:
        held = prompt + output
    else:
        held += rule.reserve_ratio * min(output / 2, rule.reserve_most_tokens)
    pool = plan.stage.geometry.sequences(plan.stage.usable_bytes, ceil(held))
    assert room(plan, Lengths(prompt, output)) == int((1 - rule.watermark) * pool)


def test_what_runs_is_what_there_is_room_for_within_the_limit():
    lengths = Lengths(1_000, 250)
    for limit in (1, 7, 10**4):
        plan = of_room(20, max_num_seqs=limit)
        assert running(plan, lengths) == min(limit, room(plan, lengths))
    plan = of_room(20)
    # ceil(1,125 / 16) = 71 blocks of 5,120
    assert room(plan, lengths) == int((1 - plan.rules.admission.watermark) * (5_120 // 71))
    for clients in (1, 5, 60):
        count = decoding(plan, clients, lengths)
        pace = pace_of(plan, lengths)
        step = pace.seconds(count)
        first = plan.rules.speed.first_token(pace.prompt_s, count, step)
        wanted = min(running(plan, lengths), clients * 250 * step / (first + 250 * step))
        assert count == pytest.approx(wanted, rel=1e-3)
    assert decoding(plan, 10**6, lengths) == running(plan, lengths)
    assert decoding(of_room(20, max_num_seqs=3), 10**6, lengths) == 3


def test_lengths_and_numbers_that_a_plan_does_not_take():
    plan = of_room(20, max_num_seqs=10)

    def refused(*lengths, count=10):
        return [one.key for one in _refused(plan, count, Lengths(*lengths))]

    assert refused(3_846, 250) == []
    assert refused(3_847, 250) == ["domain.requests_tokens_where_plan"]
    assert refused(4_096, None) == []
    assert refused(4_097, None) == ["domain.requests_tokens_where_plan"]
    assert refused(10, 10, None, 4_097) == ["domain.requests_tokens_where_plan"]
    assert refused(10, 10, count=11) == ["domain.sequences_at_once_where"]
    queue = plan.rules.speed.longest_queue.get(architecture_kind(plan.model), 1)
    assert _queued(plan, 8 * queue, 8) == []
    (said,) = _queued(plan, 8 * queue + 1, 8)
    assert "where 8 run at once" in said


# Rules of admission


def test_rules_of_all_engines_stand_once_with_their_beginning():
    rules = list(known())
    assert {title for title, *_ in rules} == {"vLLM", "SGLang", "TensorRT-LLM", "llama.cpp"}
    for title in {title for title, *_ in rules}:
        since = [since for name, since, _ in rules if name == title]
        assert len(set(since)) == len(since)


# Models in a plan file


def test_what_a_plan_file_says_of_a_model(tmp_path):
    preset = calculator.load_model("llama-3.1-8b")
    assert stated_model("llama-3.1-8b", tmp_path) == preset
    assert stated_model({"preset": "llama-3.1-8b"}, tmp_path) == preset
    varied = stated_model({"preset": "llama-3.1-8b", "variations": {"num_key_value_heads": 4}}, tmp_path)
    assert varied.num_key_value_heads == 4
    assert model_entry(preset, None, tmp_path) == "llama-3.1-8b"
    assert model_entry(varied, None, tmp_path) == {"preset": "llama-3.1-8b", "variations": {"num_key_value_heads": 4}}
    named = calculator.load_model("meta-llama/Llama-3.1-8B-Instruct")
    assert model_entry(named, None, tmp_path) == "meta-llama/Llama-3.1-8B-Instruct"
    config = {"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 256, "intermediate_size": 512,
              "num_attention_heads": 8, "vocab_size": 1_000, "max_position_embeddings": 2_048}  # fmt: skip
    read = stated_model(config, tmp_path)
    assert stated_model({"config": config}, tmp_path).is_the_same(read)
    assert stated_model({"config": config, "name": "Mine"}, tmp_path).name == "Mine"
    assert model_entry(read, None, tmp_path) == config
    sizes = {"num_layers": 2, "num_attention_heads": 8, "num_key_value_heads": 8, "head_dim": 64, "hidden_size": 512,
             "intermediate_size": 1_024, "vocab_size": 1_000, "max_position_embeddings": 4_096,
             "tie_word_embeddings": True}  # fmt: skip
    own = stated_model({**sizes, "name": "Own"}, tmp_path)
    assert own.is_the_same(calculator.custom_model(**sizes, name="Own"))
    assert stated_model(model_entry(own, None, tmp_path), tmp_path).is_the_same(own)


@pytest.mark.parametrize(
    ("stated", "error", "said"),
    [
        ({"preset": "llama-3.1-8b", "num_layers": 2}, InvalidValueError, "model states preset beside num_layers"),
        ({"preset": "llama-3.1-8b", "checkpoint": "x"}, InvalidValueError, "model states preset beside checkpoint"),
        ({"preset": "nope"}, calculator.UnknownNameError, "unknown model 'nope'"),
        ({"preset": "llama-3.1-8b", "assume_full_attention": True}, InvalidValueError, "of a config or a checkpoint"),
        ({"checkpoint": "nowhere"}, FileFormatError, "model of checkpoint 'nowhere'"),
    ],
)  # fmt: skip
def test_what_a_plan_file_cannot_say_of_a_model(stated, error, said, tmp_path):
    with pytest.raises(error, match=said):
        stated_model(stated, tmp_path)


def test_a_model_that_nothing_gives_again_cannot_be_written(tmp_path):
    odd = replace(calculator.load_model("llama-3.1-8b"), vocab_size=7)
    with pytest.raises(UnsupportedError, match="cannot be written in a plan file"):
        model_entry(odd, None, tmp_path)


# From where on a larger batch gives little


@pytest.mark.parametrize("lengths", [Lengths(1_000, 250), Lengths(4_000, None), Lengths(100, 1_000)])
def test_the_bend_is_the_first_batch_of_half_the_limit(lengths):
    plan = of_room(20)

    def rate(count):
        asked = {"prompt_tokens": lengths.prompt, "output_tokens": lengths.output}
        return calculator.speed(plan, count, **asked).output_tokens_per_second

    found = bend(plan, lengths)
    # one over what a sequence adds to a step, which is the difference of two long ones
    added = 10**6 / rate(10**6) - 9 * 10**5 / rate(9 * 10**5)
    assert found.limit_tokens_per_second == pytest.approx(10**5 / added, rel=1e-3)
    assert rate(found.batch_size) >= found.limit_tokens_per_second / 2
    assert found.batch_size == 1 or rate(found.batch_size - 1) < found.limit_tokens_per_second / 2


# Whole numbers in arrays


def test_how_many_values_there_are():
    assert [size_of(values) for values in (range(0), range(5), range(0, 10, 3), range(10, 0, -3), [1, 2], (3,))] == [
        0, 5, 4, 4, 2, 1,
    ]  # fmt: skip
    assert size_of(numpy.ones((2, 3))) == 6


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "x is empty"), ([1.5], "x must hold whole numbers, not float64"), ([True], "must hold whole numbers"),
        ([0], "x must be at least 1, not 0"), ([[1, 2], [3]], "rows of equal length"),
        (numpy.array([2**63], dtype=numpy.uint64), "x must be at most 1,000,000,000"),
        (range(1, 10**9 + 2), "at most 1,0"),
        (range(10**9 + 1, 0, -1), "at most 1,0"),
    ],
)  # fmt: skip
def test_arrays_that_are_no_whole_numbers(value, said):
    with pytest.raises(InvalidValueError, match=said) as no:
        whole_numbers("x", value)
    assert no.value.what == "x"
    if "at least" in said or "at most" in said:
        assert no.value.nearest == (1 if "least" in said else 10**9)


def test_arrays_of_whole_numbers():
    assert whole_numbers("x", ["1k", "1K", 2]).tolist() == [1_000, 1_024, 2]
    assert whole_numbers("x", "8Ki") == 8_192
    assert whole_numbers("x", numpy.int32(5)) == 5
    assert whole_numbers("x", range(1, 4)).tolist() == [1, 2, 3]
    assert whole_numbers("x", numpy.array([1, 2], dtype=numpy.uint8)).dtype == numpy.int64
    check_shapes(numpy.ones((3, 1)), numpy.ones(4))
    check_shapes(5, numpy.ones(4))
    with pytest.raises(InvalidValueError, match="do not go together"):
        check_shapes(numpy.ones(3), numpy.ones(4))
    assert calculator.kv_cache_bytes("llama-3.1-8b", 10, 2, tensor_parallel_size=16) == 16 * 20 * 32 * 512
    assert calculator.kv_cache_bytes_per_gpu("llama-3.1-8b", [10, 20], 2).tolist() == [20 * 131_072, 40 * 131_072]
    with pytest.raises(InvalidValueError, match=r"about 10\^2\d bytes, exceeds the 64 bits"):
        calculator.kv_cache_bytes("llama-3.1-8b", [10**9], 10**9)
    with pytest.raises(InvalidValueError, match="is for an encoder-decoder") as no:
        encoder_tokens(calculator.load_model("llama-3.1-8b"), 5)
    assert no.value.what == "encoder_seq_len"
