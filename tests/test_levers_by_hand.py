"""Levers, comparisons, stages and what a plan file expects: orders, keys and bounds by hand."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

import calculator
from calculator.logs.proof.choices import _at_goals, _differ_in, _sequences_at
from calculator.logs.proof.machines import EACH, MACHINES, groups, machine_of, machines
from calculator.planning.comparing.terms import terms_of
from calculator.planning.drafts import draft_of
from calculator.planning.files.expectations import EXPECTATIONS, OF_SERVICE
from calculator.planning.knobs import change_to, inside_a_replica, layouts_of, more_gpus, split_of
from calculator.planning.memory import in_a_pass
from calculator.planning.said.notes import _on_the_start
from calculator.planning.search import Levers, _by_gain, _size, ways_to_split, what_would_fit
from calculator.planning.stage import distinct, tightest
from calculator.planning.traffic.timing.step import Lengths, step_of
from calculator.request.speculation import checked

GIB = 2**30
BLOCK = 16 * 131_072


def planned(**asked):
    return calculator.plan("llama-3.1-8b", gpu="h100-sxm", **{"seq_len": 4_096, **asked})


# Levers


def lever(key, gain, gpus=1, label="a", memory=1, seq_len=1):
    plan = SimpleNamespace(
        num_gpus=gpus, per_gpu=SimpleNamespace(total_bytes=memory), request=SimpleNamespace(seq_len=seq_len)
    )
    return SimpleNamespace(key=key, gain=gain, plan=plan, label=label)


def test_levers_are_ordered_by_hand():
    # what costs nothing and gains, then the largest gain, the fewest GPUs, the name
    rows = [
        lever("knob.split", 1), lever("knob.gpu", 9, 1, "a"), lever("knob.gpu", 9, 1, "b"),
        lever("knob.gpu", 9, 2, "a"),
        lever("knob.gpus", 5, 4), lever("knob.split", 0), lever("knob.length", -3), lever("knob.split", -4),
    ]  # fmt: skip
    assert list(_by_gain(rows[::-1])) == rows
    assert isinstance(_by_gain([]), Levers)


def test_the_least_change_by_hand():
    # GPUs, then memory of all, then the longer sequences
    rows = [lever("x", 0, 1, memory=9, seq_len=5), lever("x", 0, 1, memory=9, seq_len=4), lever("x", 0, 2, memory=4),
            lever("x", 0, 2, memory=5), lever("x", 0, 3, memory=1)]  # fmt: skip
    turned = rows[::-1]
    assert sorted(turned, key=_size) == rows


def test_rows_of_levers():
    plan = planned(batch_size=4)
    some = calculator.levers(plan)
    assert some
    for one in some:
        row = one.row()
        assert set(row) == {"kind", "change", "users", "gain", "fits", "num_gpus", "usd_per_hour_low",
                            "usd_per_hour_high", "cost", "quality", "risk"}  # fmt: skip
        other = one.plan
        assert (row["users"], row["gain"]) == (
            other.total_max_batch_size, other.total_max_batch_size - plan.total_max_batch_size,
        )  # fmt: skip
        assert (row["fits"], row["num_gpus"], row["kind"]) == (other.fits, other.num_gpus, str(one.kind))
        assert (row["usd_per_hour_low"], row["usd_per_hour_high"]) == (other.price_usd_per_hour or (None, None))
        assert row["change"] == one.label
        assert one.key == one.kind.key
    assert list(some.frame().columns) == list(some[0].row())
    # a length is named for what is cut only where that gains sequences
    lengths = {one.changes["seq_len"]: one.quality for one in some if "seq_len" in one.changes}
    assert lengths[8_192] == ""
    assert lengths[2_048] == "what is longer than 2,048 tokens is cut"
    assert more_gpus(2) == "2 more GPUs"
    assert (more_gpus(1), more_gpus(-1), more_gpus(-3)) == ("1 more GPU", "1 fewer GPU", "3 fewer GPUs")


def test_what_would_fit_has_one_change_of_each_kind():
    assert what_would_fit(planned()) == ()
    tight = planned(batch_size=21, kv_cache_memory_bytes=(20 * 256 + 1) * BLOCK)
    found = what_would_fit(tight)
    assert len({one.key for one in found}) == len(found)
    assert all(one.plan.fits for one in found)
    assert what_would_fit(tight, calculator.levers(tight)) == found


def test_ways_to_split_a_model():
    plan = planned(tensor_parallel_size=2)
    ways = list(ways_to_split(plan))
    assert {} in ways  # the plan's own
    sizes = [
        {**split_of(plan), **way}["tensor_parallel_size"] * {**split_of(plan), **way}["pipeline_parallel_size"]
        for way in ways
    ]
    assert sizes == sorted(sizes)
    assert max(sizes) == 64
    assert inside_a_replica(plan) == ("tensor_parallel_size", "TP")
    alone = calculator.plan("llama-3.1-8b", gpu="h100-sxm", engine="llama.cpp", seq_len=4_096)
    assert inside_a_replica(alone) == ("pipeline_parallel_size", "PP")
    # four GPUs of two stages are asked as they are, all else plain
    layout = next(
        one for one in layouts_of(plan, 4) if one.keywords["pipeline_parallel_size"] == 2 and one.num_gpus == 4
    )
    assert change_to(plan, layout) == {"tensor_parallel_size": 2, "pipeline_parallel_size": 2}


def test_replicas_that_share_experts_share_a_batch_out():
    plan = calculator.plan("qwen3-30b-a3b", gpu="h200", seq_len=4_096, batch_size=10)
    four = next(one for one in layouts_of(plan, 4) if one.units == 4)
    assert change_to(plan, four)["batch_size"] == 3  # 10 over 4, rounded up
    assert change_to(plan, four)["enable_expert_parallel"] is True


# Stages


def test_the_tightest_stage_holds_the_fewest_and_of_two_alike_the_heavier():
    def stage(many, weights):
        return SimpleNamespace(
            geometry=SimpleNamespace(concurrency=lambda pool, seq_len: many * pool / seq_len),
            memory=SimpleNamespace(kv_pool_bytes=8, weights_bytes=weights),
        )

    few, heavy, many = stage(1, 5), stage(1, 7), stage(2, 9)
    assert distinct((few, few, many, few)) == (few, many)
    assert distinct((few,)) == (few,)
    assert tightest((many, few, heavy), 4) is heavy
    assert tightest((many, few), 4) is few
    assert tightest((many,), 4) is many


def test_memory_of_a_gpu_by_its_lines():
    plan = planned()
    memory = plan.stage.memory
    inside = sum(one.bytes for one in memory.overheads if not one.in_slack)
    outside = sum(one.bytes for one in memory.overheads if one.in_slack)
    assert (memory.before_kv_bytes, memory.in_slack_bytes) == (memory.weights_bytes + inside, outside)
    left = memory.total_bytes - memory.weights_bytes - inside - outside - memory.kv_pool_bytes
    assert memory.unused_bytes == left
    assert memory.kv_pool_bytes == memory.requested_bytes - memory.weights_bytes - inside
    three, both = memory.times(3), memory.plus(memory.times(2))
    for name in memory.as_dict():
        assert getattr(three, name) == getattr(both, name) == 3 * getattr(memory, name), name
    assert set(memory.as_dict()) == {
        "total_bytes", "requested_bytes", "weights_bytes", "activation_bytes", "non_torch_bytes", "cuda_graph_bytes",
        "draft_bytes", "lora_bytes", "other_memory_bytes", "kv_pool_bytes",
    }  # fmt: skip
    # ranges of several lines add up in squares
    lines = [one for one in memory.overheads if not one.in_slack]
    more = sum((one.high - one.bytes) ** 2 for one in lines) ** 0.5
    less = sum((one.bytes - one.low) ** 2 for one in lines) ** 0.5
    assert plan.stage.kv_pool_bytes_low == pytest.approx(memory.kv_pool_bytes - more, abs=1)
    assert plan.stage.kv_pool_bytes_high == pytest.approx(memory.kv_pool_bytes + less, abs=1)
    assert plan.stage.usable_range == (plan.stage.kv_pool_bytes_low, plan.stage.kv_pool_bytes_high)
    assert (plan.stage.exceeds, plan.stage.usable_bytes) == (False, memory.kv_pool_bytes)


def test_a_device_that_is_exceeded_has_no_usable_pool():
    size = planned().stage.memory.unused_bytes + planned().stage.memory.kv_pool_bytes
    for more, exceeds in ((0, False), (1, True)):
        stage = planned(kv_cache_memory_bytes=size + more).stage
        assert (stage.exceeds, stage.missing_bytes) == (exceeds, more)
        assert stage.usable_range == ((0, 0) if exceeds else (size, size))
        assert stage.usable_bytes == (0 if exceeds else size)


# What a plan file expects


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("min_batch_size", "max_batch_size"), ("min_total_batch_size", "total_max_batch_size"),
        ("min_context_len", "max_context_len"), ("min_kv_pool_tokens", "kv_pool_tokens"),
        ("min_kv_pool_bytes", "kv_pool_bytes"), ("max_kv_bytes_per_sequence", "kv_bytes_per_sequence"),
        ("max_num_gpus", "num_gpus"),
    ],
)  # fmt: skip
def test_an_expectation_is_met_up_to_its_bound(name, read):
    plan = planned(data_parallel_size=3)
    rule = EXPECTATIONS[name]
    value = getattr(plan, read)
    assert rule.actual(plan) == value
    least = name.startswith("min_")
    assert rule.relation == ("at least" if least else "at most")
    assert [rule.met(value, bound) for bound in (value - 1, value, value + 1)] == [least, True, not least]


def test_expectations_of_money_pools_and_services():
    plan = planned()
    assert EXPECTATIONS["max_weights_bytes"].actual(plan) == 2 * 8_030_261_248
    assert EXPECTATIONS["max_price_usd_per_hour"].actual(plan) == plan.price_usd_per_hour[1]
    rule = EXPECTATIONS["fits"]
    assert (rule.met(True, True), rule.met(True, False), rule.actual(plan)) == (True, False, True)
    size = plan.stage.memory.unused_bytes + plan.stage.memory.kv_pool_bytes
    over = planned(kv_cache_memory_bytes=size + 1)
    for name in ("min_kv_pool_tokens", "min_kv_pool_bytes"):
        assert EXPECTATIONS[name].actual(over) == 0
    unknown = calculator.plan("llama-3.1-8b", gpu_memory_bytes=48 * GIB, seq_len=4_096)
    with pytest.raises(calculator.UnknownNameError, match="no price is known"):
        EXPECTATIONS["max_price_usd_per_hour"].actual(unknown)
    assert set(OF_SERVICE) == {"max_tpot_s", "max_ttft_s", "max_usd_per_million_output_tokens",
                               "min_requests_per_second"}  # fmt: skip
    served = calculator.service(planned(), calculator.Workload(2.0, 1_000, 250))
    assert EXPECTATIONS["max_tpot_s"].actual(served) == served.mean_time_per_output_token_s
    assert EXPECTATIONS["max_ttft_s"].actual(served) == served.mean_time_to_first_token_s
    assert EXPECTATIONS["max_usd_per_million_output_tokens"].actual(served) == served.usd_per_million_output_tokens[1]
    two = replace(served, replicas=2)
    assert EXPECTATIONS["min_requests_per_second"].actual(two) == 2 * served.replica_requests_per_second
    assert EXPECTATIONS["min_requests_per_second"].actual(replace(two, meets=False)) == 0
    assert EXPECTATIONS["min_requests_per_second"].actual(replace(two, replica_requests_per_second=None)) == 0
    for name in ("max_tpot_s", "max_ttft_s"):
        with pytest.raises(calculator.UnsupportedError, match="memory holds no request"):
            EXPECTATIONS[name].actual(replace(served, batch_size=0))


# What two plans are compared by


def test_terms_of_a_comparison_by_their_keys_and_units():
    before = planned()
    after = planned(tensor_parallel_size=2, max_num_seqs=64, kv_cache_dtype="fp8", gpu_memory_bytes=70 * GIB)
    units = {term.key: term.unit for term in terms_of(before, after)}
    assert units["max_batch_size"] == units["num_gpus"] == units["total_max_batch_size"] == "-"
    assert units["max_context_len"] == units["reported_kv_tokens"] == "tokens"
    assert units["kv_bytes_per_sequence"] == units["total_bytes"] == units["kv_pool_bytes"] == "bytes"
    assert units["usd_per_hour_low"] == units["usd_per_hour_high"] == "USD/h"
    # what differs among the inputs has a row, but for the memory, which one states already
    assert {"tensor_parallel_size", "max_num_seqs", "kv_cache_dtype"} <= set(units)
    assert "gpu_memory_bytes" not in units
    assert "pipeline_parallel_size" not in units
    assert set(before.per_gpu.lines) <= set(units)
    read = {term.key: term.of(before) for term in terms_of(before, after)}
    assert (read["usd_per_hour_low"], read["usd_per_hour_high"]) == before.price_usd_per_hour
    assert read["tensor_parallel_size"] == 1
    assert {key: read[key] for key in before.per_gpu.lines} == {
        key: line.bytes for key, line in before.per_gpu.lines.items()
    }


# What an engine prints as the longest sequence


@pytest.mark.parametrize(
    ("printed", "seq_len", "keys"),
    # of 20 sequences of 4,096 tokens 81,920 are held, whatever the engine prints
    [(None, 100_000, []), (81_920, 100_000, []), (81_936, 81_920, []), (81_936, 81_936, ["starts_and_never_finishes"]),
     (81_936, 81_937, ["never_finishes"]), (81_921, 81_921, ["starts_and_never_finishes"])],
)  # fmt: skip
def test_a_length_that_starts_and_never_finishes(printed, seq_len, keys):
    plan = planned(kv_cache_memory_bytes=(20 * 256 + 1) * BLOCK)
    asked = SimpleNamespace(
        reported_max_context_len=printed, request=SimpleNamespace(seq_len=seq_len), stages=plan.stages, rules=plan.rules
    )
    assert [note.key for note in _on_the_start(asked)] == [f"notes.{key}" for key in keys]
    assert all("of more than 81,920 tokens never finishes" in note for note in _on_the_start(asked))


# Sequences of one pass, and sweeps at goals


@pytest.mark.parametrize(
    ("tokens", "limit", "seq_len", "whole"),
    # whole sequences within the tokens of a pass, at least one, at most the limit of sequences
    [(2_048, 99, 1_000, 2), (2_048, 99, 1_024, 2), (2_048, 99, 1_025, 1), (2_048, 99, 2_048, 1), (2_048, 99, 2_049, 1),
     (2_048, 3, 10, 3), (2_048, 1, 10**6, 1)],
)  # fmt: skip
def test_sequences_that_are_read_whole_in_a_pass(tokens, limit, seq_len, whole):
    assert in_a_pass(SimpleNamespace(max_num_batched_tokens=tokens, max_num_seqs=limit), seq_len) == whole


def test_a_sweep_is_read_between_two_of_its_points():
    plan = planned(tensor_parallel_size=2, data_parallel_size=2)

    def row(tpot, rate, decoding):
        return SimpleNamespace(
            tpot_s=tpot, rate=rate, decoding=decoding, prompt_tokens=1_000, output_tokens=250,
            asked={"model": "m", "tensor_parallel_size": 2, "seq_len": 4_096},
        )  # fmt: skip

    # on logarithmic scales 20 ms is half of the way from 10 to 40, and 15 ms 0.29248 of it
    points = [(row(0.04, 400.0, 40.0), plan), (row(0.01, 100.0, 10.0), plan)]
    found = {one.goal_s: one for one in _at_goals(points)}
    assert set(found) == {0.015, 0.02, 0.03}
    assert found[0.02].measured == pytest.approx(200 / 4)
    assert found[0.02].sequences == pytest.approx(20)
    assert found[0.015].sequences == pytest.approx(15)
    one = found[0.02]
    each = one.computed_sequences / 2  # of two replicas
    assert step_of(plan, each, Lengths(1_000, 250)).seconds == pytest.approx(0.02)
    assert one.computed == pytest.approx(2 * each / 0.02 / 4)
    assert one.right == pytest.approx(2 * each / 20 - 1)
    assert (one.load, one.asked) == (("m", 1_000, 250), {"model": "m", "tensor_parallel_size": 2})
    # a goal that no two points enclose, or that one sequence alone misses, is left out
    assert list(_at_goals([(row(0.031, 1.0, 1.0), plan), (row(0.05, 2.0, 2.0), plan)])) == []
    assert {one.goal_s for one in _at_goals([(row(0.03, 1.0, 1.0), plan), (row(0.05, 2.0, 2.0), plan)])} == {0.03}
    assert _sequences_at(plan, row(0.01, 1.0, 1.0), 1e-6) == 0
    assert _sequences_at(plan, row(0.01, 1.0, 1.0), 1e6) == pytest.approx(4_096)
    assert _differ_in({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 3, "d": 4}) == {"b", "c", "d"}
    assert _differ_in({"a": 1}, {"a": 1}) == set()


def test_machines_of_a_table():
    def start(error, close=True, held=True, calibrates=False, engine="vllm", **row):
        return SimpleNamespace(
            id="x", capacity_error=error, is_close=close, in_range=held, calibrates=calibrates, engine=engine,
            row={"source": "https://github.com/a/b @1234 docs/x", "gpu": "l4", **row},
        )  # fmt: skip

    assert machine_of(start(0.0)) == "a/b l4"
    assert machine_of(start(0.0, source="a/b file x", gpu="", memory_gib="24")) == "a/b 24"
    assert machine_of(start(0.0, machine="box")) == "box l4"
    assert machine_of(start(0.0, source="not known")) == machine_of(start(0.0, source="")) == "x l4"
    some = [
        start(-0.04),
        start(0.01),
        start(0.02, held=False),
        start(None),
        start(0.5, engine="sglang", calibrates=True),
    ]
    one, other = machines(some)
    assert (one.engine, len(one.rows), one.error) == ("vllm", 3, pytest.approx(0.02))
    assert (one.is_close, one.held, one.calibrates) == (True, False, False)
    assert (other.engine, other.error, other.calibrates) == ("sglang", 0.5, True)
    assert [(group.name, len(group.machines)) for group in groups(some)] == [
        ("vllm, by machine", 1), ("sglang, by machine", 1), ("held out, by machine", 1),
    ]  # fmt: skip
    assert {name: read(one) for name, read in EACH.items()} == {
        "machine": "a/b l4", "engine": "vllm", "starts": "3", "median error": "2.0%", "close": "yes",
        "range held": "no", "used for": "held out",
    }  # fmt: skip
    assert {name: read(groups(some)[0]) for name, read in MACHINES.items()} == {
        "machines": "vllm, by machine", "compared": "1", "median": "2.0%", "nine of ten within": "2.0%",
        "every start within 5 % or 0.5 % of the device": "1", "every range held": "0",
    }  # fmt: skip


# What starts, and the format of a drafter


@pytest.mark.parametrize(("blocks", "starts"), [(257, True), (256, True), (255, False)])
def test_what_starts_with_a_length_that_never_finishes(blocks, starts):
    # 4,096 tokens are 256 blocks; the check of vLLM 0.23 counts the block that its pool keeps, its scheduler does not
    plan = planned(kv_cache_memory_bytes=blocks * BLOCK, engine_version="0.23.0")
    assert plan.max_batch_size == (blocks == 257)
    assert (plan.starts, plan.reported_max_context_len) == (starts, min(blocks, 257) * 16)


@pytest.mark.parametrize(("more", "form"), [({}, "bf16"), ({"quantization": "fp8"}, "fp8")])
def test_the_format_of_a_drafters_weights(more, form):
    config = {"method": "draft_model", "model": "llama-3.2-1b", "num_speculative_tokens": 2, **more}
    draft = draft_of(calculator.load_model("llama-3.1-8b"), checked(config))
    assert (draft.weight_dtype, draft.num_tokens, draft.heads) == (form, 2, 32)
    assert draft_of(calculator.load_model("llama-3.1-8b"), checked({**config, "method": "ngram"})).is_empty
