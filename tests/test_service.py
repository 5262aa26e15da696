"""A plan under a load: against hand arithmetic, published worked values and brute force over ``speed``."""

import json
import math

import pytest

import calculator
from calculator.planning.sizing.operating import largest_within, most_in_service

CHAT = calculator.Workload(requests_per_second=17.0, prompt_tokens=1000, output_tokens=250)
TOKENS = 459_000
"""The pool of the worked plan: Llama-3.1-8B in 16 bit on one H100."""


@pytest.fixture(scope="module")
def chat_plan():
    # 32 layers x 8 KV heads x 128 x 2 (K and V) x 2 bytes = 131,072 bytes a token
    return calculator.plan(
        "llama-3.1-8b", gpu="h100-sxm", seq_len=16384, weight_dtype="bf16", kv_cache_memory_bytes=TOKENS * 131_072
    )


def test_memory_stops_the_worked_plan_at_its_published_number(chat_plan):
    # worked: 327 at a risk of 1 %, 316 at 0.1 % (Monte Carlo 328 and 315)
    for risk, expected in ((0.01, 327), (0.001, 316)):
        found = calculator.service(chat_plan, CHAT, risk=risk)
        assert found.limited_by == "memory"
        assert found.batch_size == pytest.approx(expected, abs=2)
        assert found.batch_size_low == found.batch_size == found.batch_size_high  # the pool is given: no range
        assert found.max_num_seqs == found.batch_size == found.concurrency.sequences


def test_arrivals_at_random_leave_the_room_that_was_worked_out(chat_plan):
    # worked: at 0.1 % the mean in service is 296, not 316. m = 1000 + 250 (1 + 1) / 2 + 8 = 1258 tokens
    mean = 296
    step = calculator.speed(chat_plan, mean, 1000, 250, resident_tokens=1258).time_per_output_token_s
    rate = mean / (250 * step)
    replicas = {
        factor: calculator.service(
            chat_plan, calculator.Workload(factor * rate, prompt_tokens=1000, output_tokens=250), risk=0.001
        ).replicas
        for factor in (0.98, 1.02)
    }
    assert replicas == {0.98: 1, 1.02: 2}


def test_room_for_arrivals_by_hand():
    # R + 3 sqrt(R) = 40 at R = 25; with a dispersion of 4: R + 6 sqrt(R) = 40 at R = 16
    assert most_in_service(40, 3, 1) == pytest.approx(25)
    assert most_in_service(40, 3, 4) == pytest.approx(16)
    assert most_in_service(40, 0, 1) == pytest.approx(40)


def test_cost_is_the_formula_that_everybody_uses(chat_plan):
    # 2 USD an hour over 4,340 tokens/s x 3,600 s is 0.128 USD a million: the formula, with this plan's own speed
    found = calculator.service(chat_plan, CHAT, prices={"h100-sxm": (2, 5)})
    assert found.usd_per_hour == (2.0, 5.0)
    full = 2.0 / (found.output_tokens_per_second * 3600) * 1e6
    assert found.usd_per_million_output_tokens_full[0] == pytest.approx(full)
    # lengths are cut at 16,384 tokens, which takes nothing off a mean of 250
    assert found.usd_per_million_output_tokens[0] == pytest.approx(2.0 / (17 * 250 * 3600) * 1e6, rel=1e-3)
    assert found.usd_per_request[1] == pytest.approx(5.0 / (17 * 3600))
    assert found.usd_per_user_hour[0] == pytest.approx(2.0 / found.batch_size)
    assert found.utilisation == pytest.approx(17 / found.replica_requests_per_second)
    assert found.num_gpus == found.replicas == 1


def test_a_goal_of_time_per_output_token_is_met_by_the_largest_batch(chat_plan):
    goal = 0.03
    found = calculator.service(chat_plan, CHAT, max_tpot_s=goal)

    def reached(count):
        lengths = found.load.lengths
        return calculator.speed(
            chat_plan, count, lengths.prompt_tokens, lengths.output_tokens, resident_tokens=lengths.held_tokens
        ).time_per_output_token_s

    assert found.batch_size == max(count for count in range(1, 328) if reached(count) <= goal)
    assert (found.limited_by, found.meets, found.meets_high) == ("tpot", True, False)
    assert found.time_per_output_token_s == pytest.approx(reached(found.batch_size))
    assert found.time_per_output_token_s_low < found.time_per_output_token_s < found.time_per_output_token_s_high


def test_a_goal_of_the_first_token_is_met_by_the_largest_batch(chat_plan):
    # published for this engine: TTFT = 1.27 T_p + 0.076 N T_p + 6.2 t + 12 ms
    found = calculator.service(chat_plan, CHAT, max_ttft_s=0.5)

    def first(count):
        lengths = found.load.lengths
        step = calculator.speed(
            chat_plan, count, lengths.prompt_tokens, lengths.output_tokens, resident_tokens=lengths.held_tokens
        )
        prompt = step.prompt_compute_s
        return 1.27 * prompt + 0.076 * count * prompt + 6.2 * step.time_per_output_token_s + 0.012

    assert found.limited_by == "ttft"
    assert first(found.batch_size) <= 0.5 < first(found.batch_size + 1)
    assert found.time_to_first_token_s == pytest.approx(first(found.batch_size))


def test_prefill_stops_where_a_step_has_no_room_for_prompts(chat_plan):
    # a step of 2,048 tokens, each answer of 100 brings a prompt of 4,000: N (1 + 40) <= 2048, N = 49
    plan = calculator.vary(chat_plan, max_num_batched_tokens=2048)
    load = calculator.Workload(1.0, prompt_tokens=4000, output_tokens=100, prompt_cv=0, output_cv=0)
    found = calculator.service(plan, load)
    assert (found.batch_size, found.limited_by) == (49, "prefill")


def test_a_prefix_that_all_share_is_not_computed_again(chat_plan):
    # half of every prompt of 1,000 is the same: the prefill share of a step halves, what a sequence holds does not
    asked = {"prompt_tokens": 1000, "output_tokens": 250, "prompt_cv": 0, "output_cv": 0}
    alone = calculator.service(chat_plan, calculator.Workload(1.0, **asked), max_tpot_s=0.03)
    shared = calculator.service(chat_plan, calculator.Workload(1.0, **asked, shared_prefix_tokens=500), max_tpot_s=0.03)
    assert shared.batch_size > alone.batch_size
    half, whole = (
        {term.name: term.seconds for term in one.speed.terms}["prefill"] / one.batch_size for one in (shared, alone)
    )
    assert half / whole == pytest.approx(0.5, abs=0.03)  # attention to what is there counts


def test_a_limit_that_was_asked_for_holds(chat_plan):
    found = calculator.service(calculator.vary(chat_plan, max_num_seqs=20), CHAT)
    assert (found.batch_size, found.limited_by) == (20, "max_num_seqs")


def test_a_goal_that_one_sequence_misses_is_said(chat_plan):
    found = calculator.service(chat_plan, CHAT, max_tpot_s=0.001)
    assert (found.meets, found.batch_size, found.limited_by, found.holds) == (False, 1, "tpot", False)


def test_replicas_hold_the_rate_and_one_fewer_does_not(chat_plan):
    load = calculator.Workload(170.0, prompt_tokens=1000, output_tokens=250)
    found = calculator.service(chat_plan, load)
    assert found.holds
    assert found.utilisation < 1
    fewer = calculator.service(chat_plan, load, replicas=found.replicas - 1)
    assert not fewer.holds
    assert fewer.utilisation == pytest.approx(found.utilisation * found.replicas / fewer.replicas)


def test_traffic_that_comes_in_bursts_takes_more_replicas(chat_plan):
    even = calculator.Workload(2000.0, prompt_tokens=1000, output_tokens=250)
    bursts = calculator.Workload(2000.0, prompt_tokens=1000, output_tokens=250, dispersion=17.5)
    assert calculator.service(chat_plan, bursts).replicas > calculator.service(chat_plan, even).replicas


def test_the_mean_at_the_loads_own_rate_is_where_as_many_leave_as_come(chat_plan):
    found = calculator.service(chat_plan, CHAT)
    leaving = found.mean_batch_size / (250 * found.mean_time_per_output_token_s)
    assert leaving == pytest.approx(17.0, rel=1e-3)
    assert found.mean_batch_size < found.batch_size


def test_replicas_that_share_experts_come_together():
    plan = calculator.plan("deepseek-v3", gpu="h200", data_parallel_size=8, enable_expert_parallel=True, seq_len=8192)
    found = calculator.service(plan, calculator.Workload(0.1, prompt_tokens=1000, output_tokens=250))
    assert (found.replicas, found.num_gpus) == (8, 8)


def test_a_plan_that_does_not_fit_serves_nothing():
    plan = calculator.plan("llama-3.1-405b", gpu="h100-sxm", seq_len=8192)
    found = calculator.service(plan, CHAT)
    assert (found.batch_size, found.replicas, found.num_gpus, found.holds) == (0, 0, 0, False)
    assert found.time_per_output_token_s is None
    json.dumps(found.as_dict(), allow_nan=False)


def test_the_command_states_the_limit(chat_plan):
    found = calculator.service(chat_plan, CHAT, max_tpot_s=0.03)
    assert f"--max-num-seqs {found.batch_size}" in found.command


def test_the_answer_is_plain_values(chat_plan):
    row = json.loads(json.dumps(calculator.service(chat_plan, CHAT).as_dict(), allow_nan=False))
    assert row["replicas"] == 1
    assert row["price_date"] == "2026-05"
    assert sum(row["terms"].values()) == pytest.approx(row["time_per_output_token_s"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_tpot_s": 0}, "max_tpot_s must be a number of seconds, more than 0"),
        ({"max_ttft_s": math.nan}, "max_ttft_s must be a number of seconds"),
        ({"risk": 0.9}, "risk must be at most 0.5, not 0.9"),
        ({"replicas": 0}, "replicas must be a whole number from 1"),
        ({"prices": {"h100-sxm": 0}}, "the price of h100-sxm must be a number of USD .*, more than 0"),
        ({"prices": {"h100-sxm": -2}}, "more than 0"),
        ({"prices": {"h100-sxm": "$2.50"}}, "not '\\$2.50': write 2.5 or \\(2, 3\\), without a currency"),
        ({"prices": {"h100-sxm": (3, 2)}}, "goes from 3 to 2: the lowest comes first"),
        ({"prices": {"h100": 2}}, "unknown GPU 'h100': it can be h100-nvl or h100-pcie"),
        ({"prices": 2}, "prices map the ids of GPUs to USD"),
    ],
)
def test_bad_input_is_a_clear_error(chat_plan, given, message):
    with pytest.raises(calculator.CalculatorError, match=message):
        calculator.service(chat_plan, CHAT, **given)


@pytest.mark.parametrize("goal", [0.5, 1, 7.3, 33.5, 99, 1000])
def test_the_largest_count_within_a_goal_is_found(goal):
    def reached(count):  # concave, as experts are, and never a round number
        return 3 * math.sqrt(count) + 0.01 * count + 0.3

    expected = max((count for count in range(1, 1001) if reached(count) <= goal), default=0)
    assert largest_within(reached, goal, 1000) == expected
