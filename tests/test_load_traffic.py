"""Traffic on the page and in the package is one traffic: what residents hold, what is shared, what is let in."""

import json
from functools import partial

import numpy
import pytest
from test_load import FIXED, LOGNORMAL, exact_risks, marked, plan_of
from test_residence import trace_of

import calculator
from calculator import views
from calculator.planning.traffic import admission
from calculator.planning.traffic.admission import settle, steps_for
from calculator.planning.traffic.concurrency import concurrency
from calculator.planning.traffic.curves.policies import policies
from calculator.planning.traffic.pools.loaded import loaded, tightest_pool
from calculator.planning.traffic.residence import most_at_risk
from calculator.planning.traffic.tables import workload_from_text
from calculator.planning.traffic.workload import Workload

# Speed follows what residents hold


def test_a_step_reads_what_residents_hold_and_not_a_mean_request():
    # 97 of 100 in and 10 out, 3 of 20,000 and 1,500: residents hold sum O (P + (O + 1) / 2) / sum O =
    # (970 x 105.5 + 4,500 x 20,750.5) / 5,470 = 17,089.8 tokens; half a block of 16 more is not read
    traffic = trace_of([100] * 97 + [20_000] * 3, [10] * 97 + [1500] * 3)
    plan = calculator.plan("llama-2-7b", gpu="h100-sxm", seq_len=32_768, batch_size=5)
    # 2 x 32 x 128 x 32 x 2 = 524,288 bytes a token at 3,350 GB/s, of which 1.1 times the ideal time is taken
    kv_s = 1.1 * 5 * 17_089.8 * 524_288 / 3.35e12
    for view in (views.speed_view(plan, traffic), views.step_view(plan, traffic)):
        assert marked(view, "asked").kv_s == pytest.approx(kv_s, rel=0.005)
    seconds = marked(views.speed_view(plan, traffic), "asked").time_per_output_token_s
    assert f"with 5 at once a token takes {1000 * seconds:.0f} ms" in views.load_answer(plan, traffic)


@pytest.mark.parametrize("name", ["azure-2023-code", None])
def test_arrivals_on_the_page_are_those_of_open_arrivals(name):
    traffic = calculator.workload(name) if name else LOGNORMAL
    plan = plan_of()
    found = calculator.open_arrivals(plan, traffic, requests_per_second=2.57)
    view = views.speed_view(plan, traffic, requests_per_second=2.57)
    assert marked(view, "arrivals").batch_size == found.batch_size
    assert f"decoding on one replica in the mean, at {1000 * found.time_per_output_token_s:.2g} ms (" in view.finding
    assert ("as they come in bursts" in view.finding) == (name is not None)


# What prompts share


SHARED = Workload(1.0, 1000, 250, 0.0, 0.0, shared_prefix_tokens=800)


def test_what_is_shared_is_kept_once_only_by_a_cache():
    one = {"input_tokens": [1000], "output_tokens": [250]}
    exact = max(count for count in range(350, 450) if exact_risks(one, 28_687, [count])[0] <= 0.01)
    off = plan_of(enable_prefix_caching=False)
    assert [concurrency(off, traffic).sequences for traffic in (SHARED, FIXED)] == [exact, exact]
    # 50 blocks are kept once: residents hold 13 to 29 blocks of their own
    assert concurrency(plan_of(), SHARED).sequences == pytest.approx(28_637 / 20.8, rel=0.03)


@pytest.mark.parametrize("traffic", [SHARED, Workload(1.0, 1000, 250, 0.0, 0.0, prefix_hit_rate=0.8)])
def test_what_a_cache_finds_is_not_computed_again_on_the_page(traffic):
    def prefill_s(plan, of):
        return marked(views.step_view(plan, of), "asked").prefill_s

    # 200 of 1,000 tokens: 0.2 of the matrices; attention, 2 x 32 x 4,096 x 10^6 FLOPs beside 2 x 8.03 x 10^12, is 1.6 %
    # of it all, and of it 1 - 0.8^2 are left
    plan, off = plan_of(batch_size=64), plan_of(batch_size=64, enable_prefix_caching=False)
    assert prefill_s(plan, traffic) / prefill_s(plan, FIXED) == pytest.approx(0.984 * 0.2 + 0.016 * 0.36, rel=0.01)
    assert prefill_s(off, traffic) == pytest.approx(prefill_s(off, FIXED))
    by_itself = calculator.open_arrivals(plan, traffic, requests_per_second=5)
    given = calculator.open_arrivals(plan, traffic, requests_per_second=5, computed_prompt_tokens=200)
    assert by_itself == given
    assert by_itself != calculator.open_arrivals(plan, FIXED, requests_per_second=5)


def test_a_cache_that_finds_all_computes_the_last_token():
    found = views.load_answer(plan_of(), Workload(1.0, 1000, 250, prefix_hit_rate=1.0))
    assert "a token takes" in found


# A full queue of long answers


LONG = Workload(1.0, 200, 4000, 0.7, 0.7)


def test_preemptions_of_long_answers_are_counted_once_the_queue_has_forgotten_its_beginning():
    # by memory alone: 6.9 of a simulation apart from this package, 7.5 of a longer one; after three answers only 2.7
    assert _long(most=10**6, seed=1).preemptions_per_request == pytest.approx(7.2, rel=0.1)


def test_the_range_of_preemptions_holds_other_draws_and_a_longer_run(monkeypatch):
    low, central, high = concurrency(plan_of(), LONG).preemptions_per_request
    assert low < central < high
    assert low < _long(most=1024, seed=77).preemptions_per_request < high
    monkeypatch.setattr(admission, "MOST_WORKED", 10**6)
    assert low < _long(most=1024, seed=9, steps=150_000).preemptions_per_request < high


def _long(**asked):
    pairs = LONG.pairs(131_072)
    lengths = pairs.prompt_tokens, pairs.output_tokens, pairs.weights
    return settle(lambda tokens: -(-tokens // 16), 28_687, *lengths, watermark=0.0, **asked)


def test_a_queue_is_simulated_for_stays_as_long_as_answers_that_are_met():
    # E[O^2] / E[O] = (1,000^2 + 5,000^2) / 6,000 = 4,333.3: four of them, then eight
    assert steps_for(numpy.array([1000, 5000]), numpy.array([0.5, 0.5])) == (17_333, 17_333 + 34_667)
    # short answers: 48 of them, 30 % of that for the beginning
    assert steps_for(numpy.array([50]), numpy.array([1.0])) == (720, 2400)


# What an engine lets in


def test_what_is_recommended_is_let_in():
    # a pool of 60 GiB and slots of 131,072 tokens of 131,072 bytes, 16 GiB each: 3.75, so 3
    plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", engine="llama.cpp", seq_len=131_072,
                           kv_cache_memory_bytes=60 * 2**30)  # fmt: skip
    found = concurrency(plan, LOGNORMAL)
    assert (found.max_num_seqs, found.servable) == (3, 3)
    assert found.saturated == pytest.approx(3.75, rel=0.01)
    assert found.sequences > 300  # by memory alone
    assert views.load_answer(plan, LOGNORMAL).startswith("3 requests of this traffic run at once, as llama.cpp lets")
    assert marked(views.speed_view(plan, LOGNORMAL), "fits").batch_size == 3


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm", "llama.cpp"])
def test_no_engine_is_told_more_than_it_lets_in(engine):
    plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", engine=engine, seq_len=8192)
    for traffic in (LOGNORMAL, FIXED, LONG):
        found = concurrency(plan, traffic)
        assert 1 <= found.max_num_seqs <= max(1, found.saturated)
        assert found.servable <= found.saturated


def test_answers_end_where_requests_ask_for_no_more():
    traffic = Workload(1.0, 1000, 250, 0.0, 1.0, max_output_tokens=300)
    pairs = traffic.pairs(8192)
    assert pairs.output_tokens.max() == 300
    whole = Workload(1.0, 1000, 250, 0.0, 1.0).pairs(8192).output_tokens
    assert pairs.output_tokens.tolist() == numpy.minimum(whole, 300).tolist()
    # 1,000 and 300 tokens are 41 blocks of 32, whatever is answered
    plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", engine="tensorrt-llm", seq_len=8192,
                           kv_cache_memory_bytes=8200 * 32 * 131_072)  # fmt: skip
    assert concurrency(plan, traffic).saturated == pytest.approx(8200 / 41, rel=0.002)
    row = trace_of([1000] * 2, [200, 900], max_output_tokens=300).pairs(8192)
    assert row.output_tokens.tolist() == [200, 300]


def test_the_pool_that_holds_fewest_throws_out():
    # gpt-oss on SGLang: 485,451 tokens of full layers, 388,360 of windows: the second is the tighter for short requests
    plan = calculator.plan(
        "gpt-oss-20b", gpu_memory_bytes=2**44, engine="sglang", kv_cache_dtype="bf16", seq_len=4_096,
        kv_cache_memory_bytes=20 * 2**30,
    )  # fmt: skip
    short, long = trace_of([10], [100]), trace_of([2000], [100])
    assert tightest_pool(plan, short, 0.01) == (0, 1)
    assert tightest_pool(plan, long, 0.01) == (0, 0)
    lengths = numpy.array([10]), numpy.array([100]), numpy.ones(1)
    alone = partial(settle, lambda tokens: tokens, watermark=0.0, most=16_384, seed=1)
    (known,) = [row for row in policies(plan, short) if row.engine == "vLLM" and not row.admission.watermark]
    assert known.preemptions == alone(388_360, *lengths).preemptions_per_request
    assert known.preemptions != alone(485_451, *lengths).preemptions_per_request


# Small risks


@pytest.mark.parametrize(
    ("pool_tokens", "cvs", "risk"),
    [
        (120_000, (1.0, 1.0), 1e-6),
        (120_000, (1.0, 1.0), 1e-4),
        (459_000, (2.0, 2.0), 1e-3),
        (459_000, (0.5, 0.5), 1e-3),
    ],
)
def test_the_most_at_a_small_risk_is_that_of_the_whole_law(pool_tokens, cvs, risk):
    # a grid of lognormal lengths apart from the package's, each met for all steps of its answer: the blocks of one
    # resident, convolved N times by their transform at one block's resolution
    deviates = numpy.arange(-7.5, 7.5001, 0.05)
    share = numpy.exp(-(deviates**2) / 2)
    sigma = [numpy.sqrt(numpy.log1p(cv**2)) for cv in cvs]
    prompt, output = (
        numpy.clip(numpy.rint(mean * numpy.exp(s * deviates - s**2 / 2)), 1, 131_071).astype(int)
        for mean, s in zip((1000, 250), sigma, strict=True)
    )
    begins, ends = numpy.zeros(2 * 131_072), numpy.zeros(2 * 131_072)
    for tokens, part in zip(prompt, share, strict=True):
        last = numpy.minimum(tokens + output, 131_072)
        begins[tokens + 1] += part * share[last > tokens].sum()
        numpy.add.at(ends, last + 1, part * share * (last > tokens))
    held = numpy.cumsum(begins - ends)
    blocks = numpy.bincount(-(-numpy.arange(held.size) // 16), numpy.maximum(held, 0) * (held > 1e-15))
    free = pool_tokens // 16
    size = 2 * free + 2
    law = numpy.zeros(size)
    law[: min(blocks.size, free + 1)] = (blocks / blocks.sum())[: free + 1]
    tilt = numpy.exp(-20 / size * numpy.arange(size))
    transform = numpy.fft.rfft(law * tilt)

    def exceeds(count):
        return 1 - (numpy.fft.irfft(transform**count, size) / tilt)[: free + 1].sum()

    exact = max(count for count in range(1, pool_tokens // 1000) if exceeds(count) <= risk)
    found = concurrency(plan_of(pool_tokens), Workload(1.0, 1000, 250, *cvs), risk).sequences
    assert found == pytest.approx(exact, abs=1)
    if risk == 1e-6:
        assert exact == 40  # the expansion says 55


def test_where_the_law_hands_over_to_the_expansion_both_say_the_same():
    def found(pool_tokens):
        plan = plan_of(pool_tokens, gpu="custom", gpu_memory_bytes=2**41)
        ((pool,),) = loaded(plan, LOGNORMAL)
        return pool.most(1e-4), most_at_risk(pool.moments, pool.free, 1e-4)[0], pool.law.most(1e-4)

    for pool_tokens in (2_600_000, 2_700_000):  # 2,048 requests at that risk are between
        most, expanded, law = found(pool_tokens)
        assert most in (expanded, law)
        assert expanded == pytest.approx(law, abs=2)


# What is no question


@pytest.mark.parametrize(
    "ask",
    [
        lambda: calculator.host_tier(plan_of(), 100, workload=5),
        lambda: calculator.host_tier(5, 100),
        lambda: calculator.host_tier(),
        lambda: calculator.prefix_reuse(5),
        lambda: calculator.prefix_reuse(LOGNORMAL, plan=5),
        lambda: calculator.open_arrivals(plan_of(), LOGNORMAL, computed_prompt_tokens="x"),
        lambda: calculator.open_arrivals(plan_of(), LOGNORMAL, computed_prompt_tokens=10**400),
        lambda: calculator.open_arrivals(plan_of(), LOGNORMAL, computed_prompt_tokens=-1),
        lambda: calculator.open_arrivals(plan_of()),
        lambda: calculator.workload_from_trace({"input_tokens": [5], "output_tokens": [5]}, hash_block_tokens=0),
        lambda: Workload(1.0, 1000, 250, name=5),
        lambda: Workload(1.0, 1000, 250, licence=None),
    ],
)
def test_what_cannot_be_asked_is_refused(ask):
    with pytest.raises(calculator.CalculatorError):
        ask()


def test_an_array_of_json_is_told_how_to_be_lines():
    text = json.dumps([{"input_tokens": 5, "output_tokens": 7}]).encode()
    with pytest.raises(calculator.FileFormatError, match="JSON array: write each request as an object on a line"):
        workload_from_text(text, "trace")


def test_arrivals_are_plain_values_and_a_row():
    found = calculator.open_arrivals(plan_of(), LOGNORMAL, requests_per_second=5)
    plain = found.as_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["batch_size"] == found.batch_size
    assert found.frame().iloc[0]["largest_requests"] == found.largest_requests
    beyond = calculator.open_arrivals(plan_of(), LOGNORMAL, requests_per_second=10_000)
    assert json.loads(json.dumps(beyond.as_dict(), allow_nan=False))["requests"] is None
