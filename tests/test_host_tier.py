"""Host memory behind the cache: bytes and seconds by hand, and from where on loading pays."""

import pytest

import calculator
from calculator.catalogue.host_links import BY_GENERATION, LINKS, host_link
from calculator.planning.traffic.reuse.host_tier import host_tier

TOKEN = 131_072  # Llama 3.1 8B: 2 x 8 x 128 x 32 layers x 2 bytes
PAIRS = 32 * 2 * 32 * 256  # FLOPs of attention for a pair of tokens: layers x 2 x heads x (128 + 128)
MATRICES = 2 * (8_030_261_248 - 128_256 * 4096)  # FLOPs of a token in matrices


def plan_of(**asked):
    return calculator.plan(**{"model": "llama-3.1-8b", "gpu": "h100-sxm", "seq_len": 131_072, **asked})


def test_a_prefix_by_hand():
    # 8,192 tokens are 1 GiB; 56.9 GB/s over PCIe 5.0; half a GPU's share of a prompt's FLOPs at 1.45 times the peak
    found = host_tier(plan_of(), 8192, host_memory_bytes=256 * 2**30)
    assert found.bytes_per_sequence == 2**30
    assert found.sequences == 256
    assert found.load_s == pytest.approx(2**30 / 56.9e9)
    assert (found.load_s_low, found.load_s_high) == pytest.approx((2**30 / 57.1e9, 2**30 / 12.3e9))
    flops = 8192 * MATRICES + PAIRS * 8192**2 / 2
    assert found.recompute_s == pytest.approx(1.45 * flops / (plan_of().accelerator.bf16_tflops * 1e12), rel=1e-6)
    assert found.recompute_s_low < found.recompute_s < found.recompute_s_high
    assert (found.faster, found.link) == ("load", "PCIe 5.0 x16")
    assert "A prefix of 8,192 tokens takes 1.00 GiB of host memory; it holds 256; it loads in 19 ms" in found.finding
    assert found.finding.key == "host_tier.finding"


def test_whole_blocks_are_moved():
    assert host_tier(plan_of(), 8177).bytes_per_sequence == 2**30
    assert host_tier(plan_of(), 8176).bytes_per_sequence == 2**30 - 16 * TOKEN


def test_every_gpu_loads_its_own_share():
    one, four = (host_tier(plan_of(tensor_parallel_size=size), 8192) for size in (1, 4))
    assert four.bytes_per_sequence == one.bytes_per_sequence
    assert four.load_s == pytest.approx(one.load_s / 4)
    stages = host_tier(plan_of(pipeline_parallel_size=2), 8192)
    assert stages.bytes_per_sequence == one.bytes_per_sequence
    assert stages.load_s == pytest.approx(one.load_s / 2)


def test_copies_are_kept_once_for_every_gpu_that_has_one():
    # latent vectors of 576 values in 61 layers, 2 bytes, whole on each of 8 GPUs; one GPU's alone with attention DP
    plan = calculator.plan("deepseek-r1", gpu="h200", tensor_parallel_size=8)
    assert host_tier(plan, 4096).bytes_per_sequence == 8 * 576 * 61 * 2 * 4096
    alone = calculator.plan(
        "deepseek-r1", gpu="h200", tensor_parallel_size=8, engine="sglang", enable_attention_dp=True
    )
    assert host_tier(alone, 4096).bytes_per_sequence == 576 * 61 * 2 * 4096


@pytest.mark.parametrize("tokens", [1600, 16_000, 100_000])
def test_loading_pays_from_where_the_quadratic_part_outweighs_the_link(tokens):
    # TOKEN / link = 1.45 (MATRICES + PAIRS P / 2) / peak at P tokens, which are whole blocks
    plan = plan_of()
    link = TOKEN * plan.accelerator.bf16_tflops * 1e12 / 1.45 / (MATRICES + PAIRS * tokens / 2)
    found = host_tier(plan, tokens, host_gb_per_s=link / 1e9)
    assert abs(found.pays_from_tokens - tokens) <= 16
    assert found.faster == "open"
    assert found.load_s == pytest.approx(found.recompute_s, rel=1e-6)


def test_a_link_too_slow_never_pays():
    found = host_tier(plan_of(seq_len=4096), 4096, host_gb_per_s=0.1)
    assert (found.faster, found.pays_from_tokens, found.pays_from_hit_rate) == ("recompute", None, None)
    assert "computing is faster over the whole range" in found.finding


def test_the_hit_rate_from_which_storing_is_paid_for():
    # h (recompute - load) = (1 - h) store, with store as long as load
    found = host_tier(plan_of(), 8192, host_gb_per_s=10)
    hit = found.pays_from_hit_rate
    assert hit * (found.recompute_s - found.load_s) == pytest.approx((1 - hit) * found.load_s)


def test_a_working_set():
    few = host_tier(plan_of(), 8192, host_memory_bytes=100 * 2**30, sequences=100)
    assert (few.working_set_bytes, few.holds_working_set) == (100 * 2**30, True)
    assert host_tier(plan_of(), 8192, host_memory_bytes=100 * 2**30 - 1, sequences=100).holds_working_set is False
    assert host_tier(plan_of(), 8192, sequences=100).holds_working_set is None


def test_a_trace_finds_more_with_host_memory_and_no_more_where_the_pool_is_larger():
    plan, traffic = plan_of(kv_cache_memory_bytes=10**6 * TOKEN), calculator.workload("mooncake-synthetic")
    found = host_tier(plan, 8192, host_memory_bytes=10**7 * TOKEN, workload=traffic)
    reuse = calculator.prefix_reuse(traffic, plan)
    assert found.working_set_bytes == reuse.unique_tokens * TOKEN
    assert found.hit_rate_without == reuse.hit_rate < found.hit_rate_with < 0.651
    same = host_tier(plan, 8192, host_memory_bytes=10**5 * TOKEN, workload=traffic)
    assert same.hit_rate_with == same.hit_rate_without
    # all of it: what an unbounded cache finds, a few prompts of more than 131,071 tokens being cut
    assert host_tier(plan, 8192, host_memory_bytes=10**8 * TOKEN, workload=traffic).hit_rate_with == pytest.approx(
        0.651, abs=0.003
    )


def test_links_have_their_source_and_are_ordered():
    for link in LINKS.values():
        assert link.gb_per_s_low < link.gb_per_s <= link.gb_per_s_high
        assert "20" in link.source
    assert set(BY_GENERATION.values()) < set(LINKS)
    assert host_link("gh200-96gb", "hopper") is LINKS["nvlink-c2c"]
    assert host_link("h200", "hopper") is LINKS["pcie5"]


@pytest.mark.parametrize(
    ("ask", "text"),
    [
        (lambda: host_tier(plan_of(gpu="gb200"), 8192), "how fast host memory reaches .* was not measured"),
        (lambda: host_tier(plan_of(), 0), "prompt_tokens must be a whole number from 1"),
        (lambda: host_tier(plan_of(), 8192.5), "prompt_tokens must be a whole number"),
        (lambda: host_tier(plan_of(), True), "prompt_tokens must be a whole number"),
        (lambda: host_tier(plan_of(), 8192, -1), "host_memory_bytes must be a whole number from 0"),
        (lambda: host_tier(plan_of(), 8192, sequences=0), "sequences must be a whole number from 1"),
        (lambda: host_tier(plan_of(), 8192, host_gb_per_s=0), "host_gb_per_s must be more than 0"),
        (lambda: host_tier(plan_of(), 8192, host_gb_per_s=float("nan")), "host_gb_per_s must be more than 0"),
        (
            lambda: host_tier(plan_of(), 8192, sequences=1, workload=calculator.Workload(1, 10, 10)),
            "give one of sequences and workload",
        ),
        (lambda: host_tier(plan_of(), 8192, workload=calculator.Workload(1, 10, 10)), "has no hash_ids"),
    ],
)
def test_what_cannot_be_answered_is_refused(ask, text):
    with pytest.raises(calculator.CalculatorError, match=text):
        ask()
