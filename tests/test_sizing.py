"""The search for hardware equals trying everything with ``plan()``, and says what it left out."""

import itertools
import json
import math

import pytest

import calculator
from calculator.planning.sizing.layouts import layouts, machine_sizes

GPUS = ("a100-80gb-sxm", "h100-sxm", "mi325x", "l40s")
LOAD = calculator.Workload(requests_per_second=3.0, prompt_tokens=2000, output_tokens=400)


def every_plan(model, gpus, counts=(1, 2, 4, 8), **keywords):
    """Plan every split of a model over some counts of GPUs of each kind that is possible."""
    for gpu, tensor, stages in itertools.product(gpus, (1, 2, 4, 8), range(1, 1 + max(counts))):
        if tensor * stages not in counts:
            continue
        try:
            plan = calculator.plan(
                model, gpu=gpu, tensor_parallel_size=tensor, pipeline_parallel_size=stages, **keywords
            )
        except calculator.ParallelismError:
            continue
        if plan.fits:
            yield plan


def cheapest_first(found):
    return sorted(found, key=lambda one: (round(one[0], 6), one[1], one[2]))


def front_of(found):
    """Return what nothing beats in price and time, by comparing all with all."""
    return {
        (price, gpus, seconds)
        for price, gpus, seconds in found
        if not any(
            (other[0], other[2]) != (price, seconds) and other[0] <= price and other[2] <= seconds for other in found
        )
    }


def rounded(rows):
    return {(round(price, 6), gpus, round(seconds, 9)) for price, gpus, seconds in rows}


def exhaustive(users, counts, most):
    found = []
    for plan in every_plan("qwen2.5-72b", GPUS, counts, seq_len=16384):
        if not plan.max_batch_size_low:
            continue
        replicas = math.ceil(users / plan.max_batch_size_low)
        gpus = replicas * plan.gpus_per_replica
        if gpus > most:
            continue
        step = calculator.speed(plan, math.ceil(users / replicas), 16384, None)
        price = plan.accelerator.price_usd_per_hour[0] * gpus
        found.append((price, gpus, step.time_per_output_token_s))
    return found


@pytest.mark.parametrize("users", [1, 50, 200])
def test_users_equal_exhaustive_search(users):
    found = exhaustive(users, (1, 2, 4, 8), 8)
    size = calculator.size("qwen2.5-72b", users=users, seq_len=16384, gpus=GPUS, max_gpus=8)
    best = cheapest_first(found)[0]
    assert (size.best.usd_per_hour[0], size.best.num_gpus) == (pytest.approx(best[0]), best[1])
    assert rounded(
        (one.usd_per_hour[0], one.num_gpus, one.mean_time_per_output_token_s) for one in size.pareto
    ) == rounded(front_of(found))
    assert size.complete


def test_replicas_of_several_machines_equal_exhaustive_search():
    best = cheapest_first(exhaustive(900, (1, 2, 4, 8, 16, 24, 32), 64))[0]
    found = calculator.size("qwen2.5-72b", users=900, seq_len=16384, gpus=GPUS, max_gpus=64).best
    assert (found.usd_per_hour[0], found.num_gpus) == (pytest.approx(best[0]), best[1])


@pytest.mark.parametrize("goal", [None, 0.05])
def test_traffic_equals_exhaustive_search(goal):
    found = []
    for plan in every_plan("llama-3.1-70b", GPUS, seq_len=16384):
        service = calculator.service(plan, LOAD, max_tpot_s=goal)
        if service.holds and service.num_gpus <= 8:
            price = plan.accelerator.price_usd_per_hour[0] * service.num_gpus
            found.append((price, service.num_gpus, service.mean_time_per_output_token_s))
    size = calculator.size("llama-3.1-70b", LOAD, seq_len=16384, gpus=GPUS, max_gpus=8, max_tpot_s=goal)
    best = cheapest_first(found)[0]
    assert (size.best.usd_per_hour[0], size.best.num_gpus) == (pytest.approx(best[0]), best[1])
    front = rounded(front_of(found))
    assert (
        rounded((one.usd_per_hour[0], one.num_gpus, one.mean_time_per_output_token_s) for one in size.pareto) == front
    )


WAYS = (
    {},
    *({"decode_context_parallel_size": ranks} for ranks in (2, 4, 8)),
    *({"data_parallel_size": replicas, "enable_expert_parallel": True} for replicas in (2, 4, 8)),
    {"enable_attention_dp": True},
)
"""Ways to share a model besides TP and PP: copies of a cache or of experts that need not be kept."""


@pytest.mark.parametrize(
    ("model", "engine"), [("deepseek-v3", "vllm"), ("deepseek-v3", "sglang"), ("gpt-oss-120b", "vllm")]
)
@pytest.mark.parametrize("load", ["users", "traffic"])
def test_shared_experts_and_caches_equal_exhaustive_search(model, engine, load):
    found = []
    traffic = calculator.Workload(2.0, prompt_tokens=6000, output_tokens=500, prompt_cv=1.0, output_cv=1.0)
    for tp, pp, more in itertools.product((1, 2, 4, 8), (1, 2, 4, 8), WAYS):
        experts = more.get("data_parallel_size", 1)
        shares = bool({"enable_expert_parallel", "enable_attention_dp"} & more.keys())
        if tp * pp * experts not in (1, 2, 4, 8) or (shares and pp > 1):
            continue
        if experts > 1 and engine == "sglang":  # shares experts among the ranks of one replica alone
            continue
        if more.get("decode_context_parallel_size", tp) != tp:  # of a latent cache every rank keeps a copy
            continue
        for gpu in ("h200", "mi325x"):
            asked = {"seq_len": 32768, "engine": engine, "tensor_parallel_size": tp, "pipeline_parallel_size": pp}
            try:
                plan = calculator.plan(model, gpu=gpu, **asked, **more)
            except calculator.CalculatorError:
                continue
            if not plan.fits:
                continue
            if load == "users":
                low = plan.max_batch_size_low * experts
                units = math.ceil(300 / low) if low else 99
                replicas = units * experts
                step = calculator.speed(plan, math.ceil(300 / replicas), 32768, None)
                gpus, seconds = units * plan.num_gpus, step.time_per_output_token_s
            else:
                one = calculator.service(plan, traffic)
                gpus, seconds = one.num_gpus if one.holds else 99, one.mean_time_per_output_token_s
            if gpus <= 16:
                found.append((plan.accelerator.price_usd_per_hour[0] * gpus, gpus, seconds))
    asked = {"users": 300, "seq_len": 32768} if load == "users" else {"workload": traffic, "seq_len": 32768}
    size = calculator.size(model, **asked, gpus=("h200", "mi325x"), engines=engine, max_gpus=16)
    best = cheapest_first(found)[0]
    assert (size.best.usd_per_hour[0], size.best.num_gpus) == (pytest.approx(best[0]), best[1])
    shown = [(one.usd_per_hour[0], one.num_gpus, one.mean_time_per_output_token_s) for one in size.pareto]
    within = [row for row, one in zip(shown, size.pareto, strict=True) if one.plan.num_gpus <= 8]
    assert rounded(within) <= rounded(found)
    for price, _, seconds in front_of(found):  # what is missing is beaten by replicas of two machines
        assert any(other[0] <= price + 1e-6 and other[2] <= seconds * (1 + 2e-5) for other in shown)


def test_experts_are_shared_over_machines_and_given_replicas_are_kept():
    model, gpu = calculator.load_model("deepseek-v3"), calculator.load_gpu("h100-sxm")
    two = [
        each.keywords for each in layouts(model, calculator.engine_rules("vllm"), gpu, 16, {}) if each.num_gpus == 16
    ]
    assert {"tensor_parallel_size": 8, "pipeline_parallel_size": 1, "data_parallel_size": 2,
            "enable_expert_parallel": True} in two  # fmt: skip
    ranks = [each.keywords for each in layouts(model, calculator.engine_rules("sglang"), gpu, 16, {})]
    shared = [each for each in ranks if each.get("enable_attention_dp")]
    assert {(each["tensor_parallel_size"], each["pipeline_parallel_size"]) for each in shared} >= {(16, 1), (8, 2)}
    given = {"enable_expert_parallel": True, "data_parallel_size": 4}
    kept = list(layouts(model, calculator.engine_rules("vllm"), gpu, 8, given))
    assert {each.keywords["data_parallel_size"] for each in kept} == {4}
    assert {each.num_gpus for each in kept} == {4, 8}


def test_of_two_alike_the_plainer_is_an_option():
    # a step of stages with half of the sequences each takes what a step of two replicas takes
    size = calculator.size("llama-3.1-8b", LOAD, gpus="h100-sxm", max_gpus=8)
    shown = [(one.num_gpus, round(one.mean_time_per_output_token_s, 6)) for one in size.options]
    assert len(shown) == len(set(shown))


def test_prices_of_gpus_that_are_not_searched_are_said():
    asked = {"users": 2, "seq_len": 1024, "gpus": ["h100-sxm"]}
    size = calculator.size("llama-3.1-8b", **asked, prices={"h100-sxm": 2, "mi300x": 1, "l4": 1})
    assert [str(note) for note in size.notes] == [
        "the prices of MI300X, L4 are not used: only the GPUs that are named are searched"
    ]
    assert size.as_dict()["notes"] == list(map(str, size.notes))
    assert calculator.size("llama-3.1-8b", **asked, prices={"h100-sxm": 2}).notes == ()


def test_a_price_and_a_gpu_go_by_the_names_that_drivers_print():
    # 4 GPUs hold the weights of 141 GB beside a cache, 2 do not: 4 × $2 an hour
    named = ["NVIDIA H100 80GB HBM3", "h100-sxm"]
    found = calculator.size(
        "llama-3-70b", users=5, seq_len=8192, gpus=named, prices={"NVIDIA H100 80GB HBM3": 2}, max_gpus=4
    )
    assert [(one.num_gpus, one.usd_per_hour) for one in found.options].count((4, (8.0, 8.0))) == 1
    assert found.best.usd_per_hour == (8.0, 8.0)
    with pytest.raises(calculator.InvalidValueError, match="prices name h100-sxm twice"):
        calculator.size("llama-3-70b", users=5, seq_len=8192, prices={"H100-SXM": 2, "h100-sxm": 3})


def test_a_search_says_that_sequences_are_longer_than_the_model_is_made_for():
    # LLaMA 3 8B was trained for 8,192 tokens
    longer = calculator.size("llama-3-8b", users=1, seq_len=9_000, gpus=["l40s"], max_gpus=1)
    assert [note.key for note in longer.notes] == ["notes.beyond_the_model"]
    assert calculator.size("llama-3-8b", users=1, seq_len=8_192, gpus=["l40s"], max_gpus=1).notes == ()


def test_users_have_a_price_of_a_million_tokens():
    best = calculator.size("llama-3.1-8b", users=64, seq_len=4096, gpus="h100-sxm", prices={"h100-sxm": 3}).best
    # 64 users, one token each a step
    tokens_per_hour = 64 / best.time_per_output_token_s * 3600
    expected = 3 * best.num_gpus / tokens_per_hour * 1e6
    assert best.usd_per_million_output_tokens == pytest.approx((expected, expected), rel=1e-6)
    assert best.row()["usd_per_million_output_tokens_low"] == pytest.approx(expected)


def test_the_load_of_the_table_of_prices():
    # 50 of 16,384 tokens of Qwen2.5 72B: two MI325X at 1.95 USD an hour each
    best = calculator.size("qwen2.5-72b", users=50, seq_len=16384).best
    assert (best.plan.accelerator.id, best.num_gpus, best.usd_per_hour[0]) == ("mi325x", 2, pytest.approx(3.90))
    assert best.price.date == "2026-05-18"
    assert best.price.quotes == 1


def test_options_are_cheapest_first_hold_the_load_and_unpriced_ones_come_last():
    size = calculator.size("llama-3.1-8b", users=64, seq_len=8192, gpus=("h20", "h100-sxm", "l4"))
    prices = [option.usd_per_hour for option in size.options]
    known = [price[0] for price in prices if price is not None]
    assert known == sorted(known)
    assert prices[-1] is None  # no price of an H20 is known
    assert None not in prices[: len(known)]
    for option in size.options:
        assert option.plan.max_batch_size_low * option.replicas >= 64
    assert [row["gpu"] for row in size.frame().to_dict("records")] == [
        option.plan.accelerator.id for option in size.options
    ]


def test_own_prices_stand_before_the_catalogues():
    size = calculator.size(
        "llama-3.1-8b", users=8, seq_len=8192, gpus=("h100-sxm", "l4"), prices={"l4": 9, "h100-sxm": (1, 2)}
    )
    assert size.best.plan.accelerator.id == "h100-sxm"
    assert (size.best.usd_per_hour, size.best.price.own) == ((1.0, 2.0), True)


def test_counts_are_those_that_can_be_bought():
    assert machine_sizes(calculator.load_gpu("h100-sxm"), 40) == (1, 2, 4, 8, 16, 24, 32, 40)
    assert machine_sizes(calculator.load_gpu("gb200"), 12) == (1, 2, 4, 8, 12)
    assert machine_sizes(calculator.load_gpu("gh200-96gb"), 12) == (1, 2, 4, 8)
    assert machine_sizes(calculator.load_gpu("h100-sxm"), 3) == (1, 2)


def test_splits_that_cost_nothing_are_among_the_layouts():
    # DeepSeek-V3 on 8 x H200 at 32,768 tokens, each of 61 x 576 x 2 x 32,768 = 2.14 GiB: 20 by TP, 112 by DP and EP,
    # 161 by DCP, less what counts of 1,024 x 129,280 tokens take of each GPU, 0.52 GiB
    model, gpu = calculator.load_model("deepseek-v3"), calculator.load_gpu("h200")
    held = {}
    for layout in layouts(model, calculator.engine_rules("vllm"), gpu, 8, {}):
        if layout.num_gpus == 8 and layout.keywords["pipeline_parallel_size"] == 1:
            plan = calculator.plan(model, gpu=gpu, seq_len=32768, **layout.keywords)
            request = plan.request
            key = request.tensor_parallel_size, request.decode_context_parallel_size, request.data_parallel_size
            held[key] = plan.max_batch_size * layout.units
    assert (held[8, 1, 1], held[1, 1, 8], held[8, 8, 1]) == (19, 104, 159)


def test_ranks_that_share_all_copies_hold_no_fewer_than_ranks_that_share_some():
    # a sequence takes ceil(tokens / (block x DCP)) of as many blocks, and a rank reads ceil(tokens / DCP): degrees
    # between 1 and the number of copies, here 8, are never better, and are not searched
    for seq_len in (100, 5_000, 32_768):
        asked = {"gpu": "h200", "tensor_parallel_size": 8, "seq_len": seq_len}
        plans = [calculator.plan("deepseek-v3", **asked, decode_context_parallel_size=size) for size in (1, 2, 4, 8)]
        held = [plan.max_batch_size for plan in plans]
        seconds = [calculator.speed(plan, 64, seq_len, None).time_per_output_token_s for plan in plans]
        assert held == sorted(held)
        assert seconds == sorted(seconds, reverse=True)


def test_a_range_that_holds_only_at_its_centre_is_listed_apart():
    plan = calculator.plan("llama-3.1-8b", gpu="l40s", seq_len=1024)
    assert plan.max_batch_size_low < plan.max_batch_size
    size = calculator.size("llama-3.1-8b", users=plan.max_batch_size, seq_len=1024, gpus="l40s")
    assert size.best.num_gpus > 1
    assert [one.num_gpus for one in size.nearly] == [1]
    assert not size.nearly[0].holds
    alone = calculator.size("llama-3.1-8b", users=plan.max_batch_size, seq_len=1024, gpus="l40s", max_gpus=1)
    assert alone.best is None
    assert [row.why.key for row in alone.refused] == ["size.at_the_centre"]
    assert "holds it at the centre" in alone.finding


def test_goals_that_nothing_meets_name_the_nearest_and_the_goal_that_would():
    asked = {"users": 10, "seq_len": 8192, "gpus": ("h100-sxm", "l40s"), "max_gpus": 8}
    size = calculator.size("llama-3.1-70b", max_tpot_s=0.001, **asked)
    assert size.best is None
    assert {row.why.key for row in size.refused} == {"size.goals"}
    near = size.nearest
    assert near.plan.accelerator.id == "h100-sxm"
    assert f"{near.time_per_output_token_s * 1e3:.3g} ms, the goal is 1 ms" in size.finding
    again = calculator.size("llama-3.1-70b", max_tpot_s=1.001 * near.time_per_output_token_s, **asked)
    assert {row.gpu: row.why.key for row in again.refused}["h100-sxm"] == "size.too_many"
    assert again.finding.key == "size.more_gpus"  # one at a time: ten replicas of eight


def test_what_is_left_out_says_why():
    size = calculator.size("llama-3.1-405b", users=4, seq_len=8192, gpus=("t4", "v100-32gb", "h100-sxm"), max_gpus=4)
    why = {row.gpu: row.why for row in size.refused}
    assert why["t4"].key == why["h100-sxm"].key == "size.does_not_fit"
    assert why["v100-32gb"].key == "size.not_supported"
    many = calculator.size("llama-3.1-8b", users=10**9, seq_len=8192, gpus="h100-sxm")
    assert [row.why.key for row in many.refused] == ["size.too_many"]
    assert many.finding.key == "size.more_gpus"


def test_a_device_whose_speed_is_not_known_holds_users_and_meets_no_goal():
    own = calculator.plan("llama-3.1-8b", gpu_memory_bytes=48 * 2**30, seq_len=4096).accelerator
    asked = {"users": 5, "seq_len": 4096, "gpus": own}
    best = calculator.size("llama-3.1-8b", **asked).best
    assert (best.num_gpus, best.time_per_output_token_s, best.usd_per_hour) == (1, None, None)
    (refused,) = calculator.size("llama-3.1-8b", max_tpot_s=0.1, **asked).refused
    assert refused.why == "Own GPU: the bandwidth of Own GPU is not known, so no speed can be computed"


def test_a_search_that_is_cut_short_says_so_and_shows_what_it_has():
    seen = []
    size = calculator.size(
        "llama-3.1-8b", users=4, seq_len=8192, progress=lambda done, total: seen.append((done, total))
    )
    assert size.complete
    assert seen[-1] == (size.to_try, size.to_try)
    for cut in ({"max_seconds": 1e-9}, {"progress": lambda *_: False}):
        short = calculator.size("llama-3.1-8b", users=4, seq_len=8192, **cut)
        assert 0 < short.tried < short.to_try
        assert not short.complete
        assert "The search was cut short" in short.finding
    assert short.best.plan.accelerator.id == "v100-16gb" or short.options  # the cheapest kinds come first


def test_formats_and_engines_are_searched():
    size = calculator.size(
        "llama-3.1-70b",
        users=16,
        seq_len=8192,
        gpus=("h100-sxm", "a100-80gb-sxm"),
        engines=("vllm", "sglang"),
        weight_dtypes=("auto", "fp8", "mxfp4"),
        kv_cache_dtypes=("auto", "fp8"),
        max_gpus=8,
    )
    kinds = {
        (one.plan.request.engine, one.plan.request.weight_dtype, one.plan.request.kv_cache_dtype)
        for one in size.options
    }
    assert ("sglang", "fp8", "fp8_e4m3") in kinds
    assert ("vllm", "bf16", "bf16") in kinds
    assert size.best.plan.request.weight_dtype in ("fp8", "mxfp4")


def test_the_longest_sequence_follows_the_traffic():
    # 2,000 and 400 tokens with a variation of 1: one in a thousand is longer than 16,384, and fewer than 32,768
    size = calculator.size("llama-3.1-8b", LOAD, gpus="h100-sxm")
    pairs = LOAD.pairs(131072)
    total = pairs.prompt_tokens + pairs.output_tokens
    assert float(pairs.weights[total > size.seq_len].sum()) < 0.001
    assert float(pairs.weights[total > size.seq_len // 2].sum()) >= 0.001
    json.dumps(size.as_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give one of workload and users"),
        ({"users": 0}, "users must be a whole number from 1 to 1,000,000,000, not 0"),
        ({"users": 10**10}, "users must be a whole number"),
        ({"users": 2.5}, "users must be a whole number"),
        ({"users": 2, "seq_len": 0}, "seq_len must be a whole number from 1"),
        ({"users": 2, "seq_len": 100, "output_tokens": 100}, "output_tokens must be more than 0 and less than seq_len"),
        ({"users": 2, "max_gpus": 0}, "max_gpus must be a whole number from 1"),
        ({"users": 2, "gpus": ()}, "gpus names no GPU"),
        ({"users": 2, "gpus": ("h100",)}, "unknown GPU 'h100'"),
        ({"users": 2, "engines": ()}, "engines is empty"),
        ({"users": 2, "weight_dtypes": ("fp9",)}, "unknown weight format 'fp9'"),
        ({"users": 2, "gpu": "h100-sxm"}, "gpu is searched over: give gpus"),
        ({"users": 2, "max_seconds": 0}, "max_seconds must be a number above 0"),
        ({"users": 2, "prices": {"nope": 1}}, "unknown GPU in prices 'nope'"),
        ({"users": 2, "batch_sise": 1}, "unknown keyword of plan 'batch_sise'"),
    ],
)
def test_bad_input_is_a_clear_error(given, message):
    with pytest.raises(calculator.CalculatorError, match=message):
        calculator.size("llama-3.1-8b", **{"gpus": "h100-sxm", **given})


def test_gpus_that_are_there_run_the_largest_models_first():
    found = calculator.what_runs(
        "rtx-3090", num_gpus=2, models=("llama-3.1-8b", "llama-3.1-70b", "qwen2.5-32b", "llama-2-7b")
    )
    rows = {row.model: row for row in found.rows}
    assert [row.model for row in found.rows] == ["qwen2.5-32b", "llama-3.1-8b"]
    # 8.03 x 10^9 parameters x 2 bytes = 15 GiB of two times 23.6: as stored. 32.8 x 10^9 x 2 = 61 GiB: not in 16 bit
    assert rows["llama-3.1-8b"].weight_dtype == "bf16"
    assert rows["qwen2.5-32b"].weight_dtype == "fp8"
    assert dict(found.refused)["llama-2-7b"].key == "what_runs.too_short"
    assert dict(found.refused)["llama-3.1-70b"].key == "what_runs.no_room"
    row = rows["llama-3.1-8b"]
    splits = [
        calculator.plan(
            "llama-3.1-8b", gpu="rtx-3090", seq_len=8192, tensor_parallel_size=tp, pipeline_parallel_size=pp
        )
        for tp, pp in ((1, 1), (2, 1), (1, 2))
    ]
    assert row.max_batch_size == max(plan.max_batch_size_low for plan in splits)
    assert list(found.frame()["model"]) == ["qwen2.5-32b", "llama-3.1-8b"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_gpus": 0}, "num_gpus must be a whole number"),
        ({"min_context": "8G"}, "min_context cannot be read: '8G' is not a number of tokens"),
    ],
)
def test_what_runs_refuses_bad_input(given, message):
    with pytest.raises(calculator.InvalidValueError, match=message):
        calculator.what_runs("h100-sxm", **given)


def test_what_runs_tries_the_layouts_of_the_search_and_takes_many_gpus():
    (row,) = calculator.what_runs("h200", 8, min_context=32768, models=["deepseek-v3"]).rows
    stages = calculator.plan("deepseek-v3", gpu="h200", pipeline_parallel_size=8, seq_len=32768)
    shared = calculator.plan(
        "deepseek-v3", gpu="h200", tensor_parallel_size=8, decode_context_parallel_size=8, seq_len=32768
    )
    assert row.max_batch_size == shared.max_batch_size_low > stages.max_batch_size_low
    assert (row.split, row.decode_context_parallel_size, row.replicas) == ("TP 8, DCP 8", 8, 1)
    (many,) = calculator.what_runs("h200", 200, models=["llama-3.1-8b"]).rows
    assert many.replicas == 200 // many.num_gpus
    assert many.num_gpus <= 64
    (experts,) = calculator.what_runs(
        "h200", 8, min_context=32768, models=["deepseek-v3"], enable_expert_parallel=True, data_parallel_size=8
    ).rows
    each = calculator.plan("deepseek-v3", gpu="h200", data_parallel_size=8, enable_expert_parallel=True, seq_len=32768)
    assert (experts.num_gpus, experts.max_batch_size) == (8, 8 * each.max_batch_size_low)
