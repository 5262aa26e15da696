"""A search for hardware in parts: replicas, GPUs that can be bought, prices, logs of a start."""

import json
from dataclasses import replace

import pytest

import calculator
from calculator.planning.knobs import _batched_tokens, _gpus, _kv_formats, _kv_pool, _lengths, more_gpus
from calculator.planning.sizing.layouts import Layout, in_words, machine_sizes, weights_fit
from calculator.planning.sizing.loads import MOST_KEPT, load_of, users_of
from calculator.planning.sizing.logged import check, keywords_for, taken_out
from calculator.planning.sizing.operating import Goals, Point
from calculator.planning.sizing.prices import checked_prices, price_in_text, prices_in_text
from calculator.planning.sizing.served import Sizing, service, speeds_at
from calculator.request.calibration import calibration_of


def llama(**asked):
    return calculator.plan("llama-3.1-8b", "h100-sxm", seq_len=4_096, **asked)


# Replicas


def with_points(counts, users):
    """Users on a replica that runs so many at the low end of its memory's range, in the middle and at the high end."""
    one = Sizing(llama(), users_of(users, 4_096), Goals(), None)
    one._points = {end: Point(count, "memory", count > 0) for end, count in enumerate(counts)}
    return one


@pytest.mark.parametrize(
    ("counts", "replicas", "holds", "batches"),
    # twelve users; where the low end holds none the middle says how many replicas
    [((2, 3, 6), 6, True, (2, 2, 2)), ((0, 3, 6), 4, False, (0, 3, 3)), ((0, 4, 6), 3, False, (0, 4, 4)),
     ((0, 0, 6), 0, False, (0, 0, 0)), ((1, 3, 6), 12, True, (1, 1, 1))],
)  # fmt: skip
def test_replicas_where_the_low_end_may_hold_none(counts, replicas, holds, batches):
    found = with_points(counts, 12).service()
    assert (found.replicas, found.holds) == (replicas, holds)
    assert (found.batch_size_low, found.batch_size, found.batch_size_high) == batches


def test_a_goal_that_is_just_reached_is_met_at_the_high_end():
    one = Sizing(llama(), users_of(8, 4_096, 96), Goals(), None)
    at = speeds_at(one.replica, 8, Goals()).values
    tpot, ttft = at["time_per_output_token_s_high"], at["time_to_first_token_s_high"]
    for goals, met in (
        (Goals(), True), (Goals(ttft, tpot), True), (Goals(ttft * 0.999, tpot), False), (Goals(ttft), True),
        (Goals(ttft, tpot * 0.999), False), (Goals(max_tpot_s=tpot), True), (Goals(max_ttft_s=ttft * 0.999), False),
    ):  # fmt: skip
        assert speeds_at(one.replica, 8, goals).meets_high == met
    assert at["replica_requests_per_second"] == pytest.approx(at["output_tokens_per_second"] / 96)
    for end in ("_low", "", "_high"):
        assert at[f"replica_requests_per_second{end}"] == pytest.approx(at[f"output_tokens_per_second{end}"] / 96)
    assert at["time_to_first_token_s_low"] < at["time_to_first_token_s"] < ttft


@pytest.mark.parametrize(("kept", "then"), [(126, 127), (127, 128), (128, 1)])
def test_pools_of_128_plans_are_kept(kept, then):
    made = llama()
    load = load_of(4_096, calculator.Workload(1.0, 1_000, 250), risk=0.01)
    load._last.update({-1 - place: (made, {}) for place in range(kept)})
    first = load._under(made, 0)
    assert len(load._last) == then
    assert MOST_KEPT == 128
    # what is kept is found again, end by end
    assert load._under(made, 0) is first
    assert load._under(made, None) is not first
    assert len(load._last) == then


# GPUs that can be bought


@pytest.mark.parametrize(
    ("node", "most", "sizes"),
    [
        (8, 1, (1,)), (8, 3, (1, 2)), (8, 8, (1, 2, 4, 8)), (8, 15, (1, 2, 4, 8)), (8, 24, (1, 2, 4, 8, 16, 24)),
        (1, 1, (1,)), (1, 2, (1, 2)), (1, 7, (1, 2, 4)), (1, 8, (1, 2, 4, 8)), (2, 6, (1, 2, 4, 6)),
        (6, 12, (1, 2, 4, 6, 12)), (16, 16, (1, 2, 4, 8, 16)),
    ],
)  # fmt: skip
def test_machines_that_can_be_bought(node, most, sizes):
    assert machine_sizes(replace(calculator.load_gpu("h100-sxm"), gpus_per_node=node), most) == sizes


@pytest.mark.parametrize(
    ("keywords", "said", "with_stages"),
    [
        ({}, "TP 1", "TP 1, PP 1"), ({"tensor_parallel_size": 2}, "TP 2", "TP 2, PP 1"),
        ({"pipeline_parallel_size": 2}, "TP 1, PP 2", "TP 1, PP 2"),
        ({"decode_context_parallel_size": 2}, "TP 1, DCP 2", "TP 1, PP 1, DCP 2"),
        ({"data_parallel_size": 2}, "TP 1, DP 2", "TP 1, PP 1, DP 2"),
        ({"data_parallel_size": 2, "enable_expert_parallel": True}, "TP 1, DP 2, EP", "TP 1, PP 1, EP, DP 2"),
        ({"enable_expert_parallel": True, "enable_attention_dp": True}, "TP 1, EP, attention DP",
         "TP 1, PP 1, EP, attention DP"),
    ],
)  # fmt: skip
def test_layouts_in_words(keywords, said, with_stages):
    assert (in_words(keywords), in_words(keywords, stages=True)) == (said, with_stages)


def test_weights_must_be_less_than_a_device():
    model, size = calculator.load_model("llama-3.1-8b"), 2 * 8_030_261_248
    for memory, fits in ((size, False), (size + 1, True)):
        assert weights_fit(model, Layout(), "bf16", memory) == fits
    assert weights_fit(model, Layout(), "bf16", 101, checkpoint_bytes=100)
    assert not weights_fit(model, Layout(), "bf16", 100, checkpoint_bytes=100)
    # what plan refuses is left to it: 32 query heads do not divide by 3
    assert weights_fit(model, Layout({"tensor_parallel_size": 3}), "bf16", 1)


def test_prices_as_people_write_them():
    for text, price in (("a=2.5", ("a", 2.5)), (" a =2:3", ("a", (2.0, 3.0)))):
        assert price_in_text(text) == price
    for text in ("a", "a=", "a=x", "a=1:2:3", "a=1:", "=", "a2"):
        with pytest.raises(calculator.InvalidValueError, match="price must be such as"):
            price_in_text(text)
    assert prices_in_text("h100-sxm=2, mi300x=1.5:3,,") == {"h100-sxm": 2.0, "mi300x": (1.5, 3.0)}
    assert prices_in_text("") == {}
    with pytest.raises(calculator.InvalidValueError, match="prices name h100-sxm twice: keep one"):
        prices_in_text("h100-sxm=2,h100-sxm=3")
    for price, pair in ((1e5, (1e5, 1e5)), ((1, 1e5), (1.0, 1e5)), ([2, 2], (2.0, 2.0)), (1e-9, (1e-9, 1e-9))):
        assert checked_prices({"h100-sxm": price}) == {"h100-sxm": pair}
    for price in (0, -1, 100_001, float("nan"), float("inf"), True, "2", (1,), (1, 2, 3), (1, True), (0, 1), None):
        with pytest.raises(calculator.InvalidValueError, match="must be a number of USD") as no:
            checked_prices({"h100-sxm": price})
        assert (no.value.what, no.value.allowed) == ("prices", (0, 1e5))
    with pytest.raises(calculator.InvalidValueError, match="goes from 3 to 2: the lowest comes first") as no:
        checked_prices({"h100-sxm": (3, 2)})
    assert no.value.nearest == (2, 3)
    with pytest.raises(calculator.InvalidValueError, match="prices map the ids of GPUs"):
        checked_prices([2])


# A log of one start


LOGGED = {"engine": "vllm", "engine_version": "0.20.0", "non_torch_bytes": 10**9}


def line(key="activation", taken=1, usual=1, unsure=0):
    return {"key": key, "bytes": taken, "usual_bytes": usual, "unsure_bytes": unsure}


@pytest.mark.parametrize(
    ("name", "most"),
    [("engine", 80), ("engine_version", 40), ("gpu", 80), ("model", 200), ("weight_dtype", 40)],
)
def test_texts_of_a_log_have_a_length(name, most):
    assert getattr(calibration_of({**LOGGED, name: "x" * most}), name) == "x" * most
    with pytest.raises(calculator.InvalidValueError, match="calibration"):
        calibration_of({**LOGGED, name: "x" * (most + 1)})


def test_numbers_of_a_log_have_bounds():
    for name, least, most in (("tensor_parallel_size", 1, 4_096), ("in_use_bytes", 0, None), ("gpu_memory_bytes", 1, 0),
                              ("non_torch_bytes", 0, None)):  # fmt: skip
        for value in (least, most):
            if value:
                assert getattr(calibration_of({**LOGGED, "non_torch_bytes": 0, name: value}), name) == value
        for value in (least - 1, most + 1 if most else -5):
            with pytest.raises(calculator.InvalidValueError, match="calibration"):
                calibration_of({**LOGGED, name: value})
    for count in (32, 33):
        lines = [line(f"line {place}") for place in range(count)]
        if count == 32:
            assert len(calibration_of({**LOGGED, "lines": lines}).lines) == count
        else:
            with pytest.raises(calculator.InvalidValueError, match="calibration"):
                calibration_of({**LOGGED, "lines": lines})
    with pytest.raises(calculator.InvalidValueError, match="the line activation stands there twice"):
        calibration_of({**LOGGED, "lines": [line(), line("other"), line()]})
    assert calibration_of({**LOGGED, "lines": [line("x" * 40)]}).lines[0].key == "x" * 40
    with pytest.raises(calculator.InvalidValueError, match="calibration"):
        calibration_of({**LOGGED, "lines": [line("x" * 41)]})


def test_a_log_takes_at_most_a_tenth_more_than_the_memory():
    memory = 10**10
    for given in (
        {"non_torch_bytes": 0}, {"in_use_bytes": 0}, {"lines": [line(taken=0)]}, {"lines": [line(usual=0)]},
        {"lines": [line(unsure=0)]},
    ):  # fmt: skip
        for size, fits in ((11 * 10**9, True), (11 * 10**9 + 1, False)):
            values = json.loads(json.dumps(given).replace(": 0", f": {size}"))
            values = {**LOGGED, **values, "gpu_memory_bytes": memory}
            if fits:
                assert calibration_of(values).gpu_memory_bytes == memory
            else:
                with pytest.raises(calculator.InvalidValueError, match=r"more than the 9\.31 GiB of the GPU") as no:
                    calibration_of(values)
                assert (no.value.what, no.value.asked, no.value.nearest) == ("calibration", size, memory)
    with pytest.raises(calculator.InvalidValueError, match="the sum of the lines"):
        calibration_of({**LOGGED, "gpu_memory_bytes": memory, "lines": [line("a", 6 * 10**9), line("b", 6 * 10**9)]})


def test_a_log_of_65_536_bytes_is_read(tmp_path):
    for more, read in ((0, True), (1, False)):
        file = tmp_path / f"{more}.json"
        file.write_text(json.dumps(LOGGED).ljust(65_536 + more))
        if read:
            assert calibration_of(file).non_torch_bytes == 10**9
        else:
            with pytest.raises(calculator.CalculatorError, match="longer than 65,536 bytes"):
                calibration_of(file)


def test_a_log_is_of_a_device_within_a_tenth_of_its_memory():
    device = calculator.plan("llama-3.1-8b", "h100-sxm", seq_len=1_024).accelerator
    size = device.memory_bytes
    for memory, same in ((size * 11 // 10, True), (size * 9 // 10 + 1, True), (size * 11 // 10 + 1, False),
                         (size * 9 // 10 - 1, False)):  # fmt: skip
        assert calibration_of({**LOGGED, "gpu_memory_bytes": memory}).is_of("vllm", device) == same
    for gpu, same in (("h100-sxm", True), ("l4", False), ("custom", True), (None, True)):
        assert calibration_of({**LOGGED, "gpu": gpu}).is_of("vllm", device) == same
    assert calibration_of({**LOGGED, "gpu": "l4"}).is_of("vllm")
    assert not calibration_of(LOGGED).is_of("sglang")
    assert calibration_of({**LOGGED, "in_use_bytes": 4 * 10**8}).grown_bytes == 6 * 10**8
    assert calibration_of(LOGGED).grown_bytes == 0


# A log in a search


def test_a_log_goes_for_its_own_hardware():
    h100, l4 = (calculator.load_gpu(name) for name in ("h100-sxm", "l4"))
    of_h100 = calibration_of({**LOGGED, "gpu": "h100-sxm"})
    assert taken_out({"calibration": of_h100, "seq_len": 5}) == (of_h100, {"seq_len": 5})
    assert taken_out({"seq_len": 5}) == (None, {"seq_len": 5})
    assert keywords_for(of_h100, "vllm", h100) == {"calibration": of_h100}
    assert keywords_for(of_h100, "vllm", l4) == keywords_for(None, "vllm", h100) == {}
    assert check(None, [("vllm", h100)]) == ()
    for searched, rest in (
        ([("vllm", h100)], False),
        ([("vllm", h100)] * 2, False),
        ([("vllm", h100), ("vllm", l4)], 1),
    ):
        (said,) = check(of_h100, searched)
        assert said.key == "size.calibrated"
        assert ("all else by the rules alone" in said) == bool(rest)
    with pytest.raises(calculator.InvalidValueError, match="which is not searched") as no:
        check(of_h100, [("vllm", l4), ("sglang", h100)])
    assert (no.value.what, no.value.asked, no.value.allowed) == ("calibration", "h100-sxm", ("l4", "h100-sxm"))


# Money


def test_what_a_service_costs():
    load = calculator.Workload(2.0, 1_000, 250)
    found = service(llama(tensor_parallel_size=2), load, prices={"h100-sxm": (2, 3)}, replicas=3)
    # six GPUs, two requests a second of 250 tokens each
    assert (found.num_gpus, found.usd_per_hour) == (6, (12.0, 18.0))
    output = found.load.output_tokens
    assert found.usd_per_million_output_tokens == pytest.approx([usd * 1e6 / (3_600 * 2 * output) for usd in (12, 18)])
    assert found.usd_per_request == pytest.approx((12 / 7_200, 18 / 7_200))
    assert found.usd_per_user_hour == pytest.approx((4 / found.batch_size, 6 / found.batch_size))
    each = found.output_tokens_per_second
    assert found.usd_per_million_output_tokens_full == pytest.approx((4e6 / 3_600 / each, 6e6 / 3_600 / each))
    assert found.requests_per_second == 2.0
    row = found.row()
    assert (row["usd_per_hour_low"], row["usd_per_hour_high"], row["price_date"], row["price_quotes"]) == (
        12,
        18,
        None,
        None,
    )
    assert found.as_dict()["price_is_own"] is True
    users = Sizing(llama(), users_of(30, 4_096), Goals(), None).service()
    assert (users.usd_per_hour, users.usd_per_request, users.usd_per_user_hour) == (None, None, None)
    assert users.usd_per_million_output_tokens is None
    assert users.as_dict()["price_is_own"] is None


# Knobs


def test_lengths_that_are_tried():
    # Llama 3.1 8B is made for 131,072 tokens
    for tokens, tried in ((65_536, [32_768, 131_072]), (131_072, [65_536]), (65_537, [32_768]), (1, [2]), (2, [1, 4]),
                          (200_000, [100_000])):  # fmt: skip
        made = calculator.plan("llama-3.1-8b", "h100-sxm", seq_len=tokens)
        found = list(_lengths(made))
        assert [change.keywords for change in found] == [{"seq_len": each} for each in tried]
        assert [change.cost for change in found] == [
            "shorter sequences" if each < tokens else "longer sequences" for each in tried
        ]


def test_batched_tokens_that_are_tried():
    for tokens, tried in ((2_048, 0), (2_049, 1), (8_192, 1), (1_024, 0)):
        found = list(_batched_tokens(llama(max_num_batched_tokens=tokens)))
        assert [change.keywords for change in found] == [{"max_num_batched_tokens": 2_048}] * tried


def test_formats_that_are_tried_are_narrower():
    bits = {"fp32": 32, "fp16": 16, "bf16": 16, "nvfp4": 4.5, "int4_per_token_head": 4}
    for now in ("auto", "fp8"):
        made = llama(kv_cache_dtype=now)
        least = 16 if now == "auto" else 8
        offered = [name for name in made.rules.kv_cache_dtypes if bits.get(name, 8) < least]
        assert [change.keywords["kv_cache_dtype"] for change in _kv_formats(made)] == offered


def test_gpus_that_are_tried():
    made = llama(tensor_parallel_size=8)
    memory = made.per_gpu.total_bytes
    found = [calculator.load_gpu(change.keywords["gpu"]) for change in _gpus(made)]
    larger = [gpu for gpu in found if gpu.memory_bytes >= 1.05 * memory]
    assert found[: len(larger)] == larger
    for some in (larger, found[len(larger) :]):
        sizes = [gpu.memory_bytes for gpu in some]
        assert sizes == sorted(sizes)
    assert min(gpu.gpus_per_node for gpu in found) == 8
    assert "h100-sxm" not in {gpu.id for gpu in found}
    assert {change.keywords["gpu_memory_bytes"] for change in _gpus(made)} == {None}


def test_a_pool_that_exceeds_its_device_is_made_smaller():
    made = llama(kv_cache_memory_bytes=79 * 2**30)
    (change,) = _kv_pool(made)
    largest = made.per_gpu.total_bytes - made.per_gpu.before_kv_bytes - made.per_gpu.in_slack_bytes
    assert change.keywords == {"kv_cache_memory_bytes": largest}
    assert list(_kv_pool(llama(kv_cache_memory_bytes=largest))) == []
    (change,) = _kv_pool(llama(kv_cache_memory_bytes=largest + 1))
    assert change.keywords == {"kv_cache_memory_bytes": largest}
    assert list(_kv_pool(llama())) == []


def test_more_and_fewer_gpus():
    assert [more_gpus(count) for count in (1, 2, -1, -3)] == [
        "1 more GPU",
        "2 more GPUs",
        "1 fewer GPU",
        "3 fewer GPUs",
    ]
