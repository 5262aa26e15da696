"""Host memory behind a cache, judged speeds and changes that are tried: by hand or computed apart from the package."""

import csv
import hashlib
import math
from dataclasses import replace
from pathlib import Path

import pytest

import calculator
from calculator.errors import InvalidValueError
from calculator.planning.knobs import changes_of, more_gpus
from calculator.planning.traffic.judged.accuracy import Judged, Measured, _error, _judge, measured
from calculator.planning.traffic.judged.fit import _inner, bands
from calculator.planning.traffic.reuse.host_tier import host_tier
from calculator.planning.traffic.timing.speed import speed

A_TOKEN = 131_072  # bytes of Llama 3.1 8B: 2 x 8 x 128 x 32 layers x 2


def plan_of(tokens, **given):
    """Return a plan of Llama 3.1 8B whose pool holds so many tokens beside the block that is kept."""
    size = (tokens + 16) * A_TOKEN
    return calculator.plan(
        "llama-3.1-8b", **{"gpu": "h100-sxm", "kv_cache_memory_bytes": size, "seq_len": 8_192, **given}
    )


# Host memory


@pytest.mark.parametrize(
    ("name", "taken", "refused"),
    [
        ("prompt_tokens", 1, 0), ("prompt_tokens", 10**9, 10**9 + 1), ("host_memory_bytes", 0, -1),
        ("host_memory_bytes", 2**60, 2**60 + 1), ("sequences", 1, 0), ("sequences", 10**9, 10**9 + 1),
        ("host_gb_per_s", 1e6, 1.01e6), ("host_gb_per_s", 1e-3, 0), ("host_gb_per_s", 5, True),
        ("host_gb_per_s", 5, "5"), ("sequences", 5, 5.0),
    ],
)  # fmt: skip
def test_host_memory_within_its_bounds(name, taken, refused):
    plan, given = plan_of(10_000, seq_len=32), {"prompt_tokens": 16, "host_gb_per_s": 10.0}
    host_tier(plan, **{**given, name: taken})
    with pytest.raises(InvalidValueError) as error:
        host_tier(plan, **{**given, name: refused})
    assert (error.value.what, error.value.asked) == (name, refused)


def test_a_prefix_over_a_link_that_is_given():
    # 1,000 tokens are 63 blocks of 16: 1,008 tokens
    found = host_tier(plan_of(10_000), 1_000, host_memory_bytes=1_008 * A_TOKEN * 3 - 1, sequences=2, host_gb_per_s=50)
    size = 1_008 * A_TOKEN
    assert (found.bytes_per_sequence, found.sequences, found.working_set_bytes) == (size, 2, 2 * size)
    assert (found.load_s, found.load_s_low, found.load_s_high) == pytest.approx((size / 50e9,) * 3)
    assert (found.recompute_s_low, found.recompute_s_high) == pytest.approx(
        (found.recompute_s / 2, 2.9 * found.recompute_s)
    )
    assert found.holds_working_set is True
    assert (found.link, found.source) == ("a link as given", "given by hand")
    assert found.pays_from_hit_rate == pytest.approx(found.load_s / found.recompute_s)
    assert (found.hit_rate_without, found.hit_rate_with) == (None, None)
    held = host_tier(plan_of(10_000), 1_000, host_memory_bytes=2 * size, sequences=2, host_gb_per_s=50)
    assert held.holds_working_set is True
    assert host_tier(plan_of(10_000), 1_000, host_memory_bytes=2 * size - 1, sequences=2).holds_working_set is False


# Judged speeds


def row_of(**given):
    asked_ = {"engine": "vllm", "model": "llama-3.1-8b", "gpu": "h100-sxm", "weight_dtype": "bf16",
              "kv_cache_dtype": "auto", "seq_len": 1_250}  # fmt: skip
    return Measured(**{
        "id": "a", "kind": "serve", "source": "s", "asked": asked_, "prompt_tokens": 1_000.0, "output_tokens": 250.0,
        "sequences": 10.0, "clients": None, "tpot_s": 0.02, "ttft_s": 1.0, "output_tokens_per_second": None, **given,
    })  # fmt: skip


@pytest.mark.parametrize(
    ("given", "step_s", "decoding_", "rate"),
    [
        # 250 tokens at 20 ms are 5 s of 6; 10 x 250 in 1 + 249 x 0.02 s
        ({}, 0.02, 10 * 5 / 6, 2_500 / 5.98), ({"output_tokens_per_second": 400.0}, 0.02, 10 * 5 / 6, 400.0),
        ({"tpot_s": None, "output_tokens_per_second": 400.0}, 0.025, 10.0, 400.0),
        ({"tpot_s": None, "output_tokens_per_second": 400.0, "kind": "static"}, 0.025, 10.0, 400.0),
        ({"tpot_s": None, "output_tokens_per_second": 400.0, "kind": "full"}, None, 10.0, 400.0),
        ({"tpot_s": None}, None, 10.0, None), ({"ttft_s": None}, 0.02, 10.0, None),
        ({"sequences": None}, 0.02, None, None),
        ({"sequences": None, "tpot_s": None, "output_tokens_per_second": 400.0}, None, None, 400.0),
    ],
)  # fmt: skip
def test_what_a_row_of_measured_speeds_says(given, step_s, decoding_, rate):
    row = row_of(**given)
    for found, expected in ((row.step_s, step_s), (row.decoding, decoding_), (row.rate, rate)):
        assert found == (None if expected is None else pytest.approx(expected, rel=1e-12))


def test_half_of_the_rows_are_given_by_the_hash_of_their_ids():
    for name in "abcdefgh":
        assert row_of(id=name).given is (int(hashlib.sha256(name.encode()).hexdigest()[:2], 16) % 2 == 0)


def test_rows_are_read_in_their_units():
    text = (Path(calculator.__file__).parent / "catalogue" / "data" / "speed_figures.csv").read_text(encoding="utf-8")
    table = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))

    def number(cell, per=1):
        return None if cell == "" else pytest.approx(float(cell) / per, rel=1e-12)

    for row, cells in zip(measured(), table, strict=True):
        asked_ = {name: cells[name] for name in ("engine", "model", "gpu", "weight_dtype", "kv_cache_dtype")}
        for name in ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size"):
            asked_ |= {name: int(cells[name])} if cells[name] else {}
        for name in ("enable_attention_dp", "enable_expert_parallel"):
            asked_ |= {name: True} if cells[name] else {}
        asked_ |= {"engine_version": cells["version"]} if cells["version"] else {}
        tokens = float(cells["prompt_tokens"] or 0) + float(cells["output_tokens"] or 0)
        assert row.asked == {**asked_, "seq_len": math.ceil(tokens)}
        assert (row.id, row.kind, row.source) == (cells["id"], cells["kind"], cells["source"])
        assert row.prompt_tokens + row.output_tokens == pytest.approx(tokens)
        assert (row.tpot_s, row.ttft_s) == (number(cells["tpot_ms"], 1_000), number(cells["ttft_ms"], 1_000))
        assert (row.sequences, row.clients) == (number(cells["sequences"]), number(cells["clients"]))
        assert row.output_tokens_per_second == number(cells["output_tokens_per_second"])


def test_a_row_beside_its_answer():
    row = row_of()
    found = _judge(row)
    plan = calculator.plan(**row.asked)
    known = speed(plan, 10 * 5 / 6, 1_000, 250)
    assert found.step_error == pytest.approx(known.time_per_output_token_s / 0.02 - 1, rel=1e-12)
    loop = speed(plan, None, 1_000, 250, clients=10)
    assert found.rate_error == pytest.approx(loop.output_tokens_per_second * 5.98 / 2_500 - 1, rel=1e-12)
    waited = plan.rules.speed.first_token(loop.prompt_compute_s, loop.batch_size, loop.time_per_output_token_s)
    assert found.first_error == pytest.approx(waited / 1.0 - 1, rel=1e-12)
    static = _judge(row_of(kind="static", ttft_s=None))
    assert (static.rate_error, static.first_error) == (None, None)
    full = _judge(row_of(kind="full", clients=200.0, output_tokens_per_second=400.0))
    queue = speed(plan, None, 1_000, 250, clients=200)
    assert full.rate_error == pytest.approx(queue.output_tokens_per_second / 400 - 1, rel=1e-12)
    one = speed(plan, 1, 1_000, None)
    for ttft_s, held in (
        (one.prefill_s_low, True), (one.prefill_s_high, True), (0.99 * one.prefill_s_low, False),
        (1.01 * one.prefill_s_high, False), (None, None),
    ):  # fmt: skip
        first = _judge(row_of(kind="ttft1", ttft_s=ttft_s))
        assert (first.in_range, first.group) == (held, "one request")
        assert first.first_error == (None if ttft_s is None else pytest.approx(one.prefill_s / ttft_s - 1, rel=1e-12))
    two = _judge(replace(row, asked={**row.asked, "data_parallel_size": 2}))
    each = speed(calculator.plan(**row.asked, data_parallel_size=2), 5 * 5 / 6, 1_000, 250)
    assert two.step_error == pytest.approx(each.time_per_output_token_s / 0.02 - 1, rel=1e-12)
    nobody = _judge(row_of(sequences=None))
    assert (nobody.step_error, nobody.group) == (None, "")
    assert _judge(replace(row, asked={**row.asked, "engine": "none"})).refused == "engine none"
    assert _judge(replace(row, asked={**row.asked, "gpu": "none"})).plan is None


def test_errors_and_bands():
    assert (_error(3.0, 2.0), _error(3.0, None), _error(3.0, 0.0)) == (0.5, None, None)
    # all but one in fifty at either end
    for many, outside in ((49, 0), (50, 1), (99, 1), (100, 2)):
        assert _inner([float(one) for one in range(many)]) == (outside, many - 1 - outside)
    rows = [Judged(row_of(), None, group=group, step_error=error) for group, error in (
        ("a", 0.25), ("a", -0.5), ("b", 1.0), ("c", None),
    )]  # fmt: skip
    assert bands(rows) == {"a": (0.8, 2.0), "b": (0.5, 0.5)}


# Knobs


def changes(plan, key):
    return [change.keywords for change in changes_of(plan) if change.knob.key == key]


def test_other_lengths_go_up_to_what_the_model_is_made_for():
    # Llama 3.1: 131,072
    for now, others in ((4_096, [2_048, 8_192]), (65_536, [32_768, 131_072]), (65_537, [32_768]), (1, [2])):
        assert changes(plan_of(400_000, seq_len=now), "knob.length") == [{"seq_len": one} for one in others]


@pytest.mark.parametrize(("now", "others"), [(2_048, []), (2_049, [2_048]), (8_192, [2_048]), (1_024, [])])
def test_fewer_batched_tokens(now, others):
    found = changes(plan_of(400_000, max_num_batched_tokens=now), "knob.batched_tokens")
    assert found == [{"max_num_batched_tokens": one} for one in others]


def test_formats_with_fewer_bits_are_proposed():
    names = [one["kv_cache_dtype"] for one in changes(plan_of(400_000), "knob.kv_format")]
    assert {"fp8_e4m3", "fp8_e5m2"} < set(names)
    assert not {"bf16", "fp16", "fp32", "auto"} & set(names)
    fewer = [one["kv_cache_dtype"] for one in changes(plan_of(400_000, kv_cache_dtype="fp8_e4m3"), "knob.kv_format")]
    assert {"int4_per_token_head", "nvfp4"} <= set(fewer) < set(names)
    assert not {"fp8_e4m3", "fp8_e5m2", "int8_per_token_head"} & set(fewer)


def test_a_pool_that_is_too_large_is_cut_to_what_the_device_holds():
    plan = plan_of(700_000)
    (found,) = changes(plan, "knob.kv_pool")
    left = plan.per_gpu.unused_bytes + plan.per_gpu.kv_pool_bytes
    assert found == {"kv_cache_memory_bytes": left}
    assert 0 < left < plan.request.kv_cache_memory_bytes
    assert changes(plan_of(100_000), "knob.kv_pool") == []


def test_devices_with_more_memory_come_first():
    plan = plan_of(100_000)
    names = [one["gpu"] for one in changes(plan, "knob.gpu")]
    sizes = [calculator.load_gpu(name).memory_bytes for name in names]
    larger = [size for size in sizes if size >= 1.05 * plan.per_gpu.total_bytes]
    assert sizes[: len(larger)] == sorted(larger)
    assert sizes[len(larger) :] == sorted(sizes[len(larger) :])
    assert "h100-sxm" not in names
    assert (str(more_gpus(1)), str(more_gpus(2)), str(more_gpus(-1)), str(more_gpus(-3))) == (
        "1 more GPU", "2 more GPUs", "1 fewer GPU", "3 fewer GPUs",
    )  # fmt: skip


def test_other_numbers_of_gpus_the_nearest_first():
    # what nodes of eight are bought in; of two replicas each has as many; more first, fewer behind
    for given, found in (
        ({"tensor_parallel_size": 2}, [({"tensor_parallel_size": 4}, "2 more GPUs"),
         ({"tensor_parallel_size": 8}, "6 more GPUs"), ({"tensor_parallel_size": 1}, "1 fewer GPU")]),
        ({"tensor_parallel_size": 2, "data_parallel_size": 2}, [({"tensor_parallel_size": 4}, "4 more GPUs"),
         ({"tensor_parallel_size": 8}, "12 more GPUs"), ({"tensor_parallel_size": 1}, "2 fewer GPUs")]),
        ({"pipeline_parallel_size": 2}, [({"tensor_parallel_size": 2}, "2 more GPUs"),
         ({"tensor_parallel_size": 4}, "6 more GPUs"), ({"tensor_parallel_size": 8}, "14 more GPUs")]),
    ):  # fmt: skip
        plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", seq_len=4_096, **given)
        counts = [change for change in changes_of(plan) if change.knob.key == "knob.gpus"]
        assert [(change.keywords, str(change.cost)) for change in counts] == found
        for change in counts:
            # what was planned to judge it is the plan of its keywords
            assert change.plan.max_batch_size == calculator.vary(plan, **change.keywords).max_batch_size


def test_copies_of_latents_need_not_be_kept_on_eight_ranks():
    # DeepSeek-V3 on eight: latents are shared by no heads, so that ranks keep copies unless they share tokens, stages
    # or sequences; each way holds as many GPUs
    plan = calculator.plan(
        "deepseek-v3", gpu="h200", engine="sglang", tensor_parallel_size=8, batch_size=10, seq_len=4_096
    )
    names = ("tensor_parallel_size", "pipeline_parallel_size", "decode_context_parallel_size", "enable_attention_dp")
    found = [tuple(one[name] for name in names) for one in changes(plan, "knob.split")]
    assert set(found) == {(8, 1, 8, False), (4, 2, 4, False), (2, 4, 2, False), (8, 1, 1, True)}
    assert all("batch_size" not in one for one in changes(plan, "knob.split"))
