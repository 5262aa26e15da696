"""The answer in words: the same numbers as the plan, and lines that sum to the memory of one GPU."""

import pytest
from golden import PRESETS

import calculator
from calculator import vary
from calculator.views import words
from calculator.views.fits import verdict
from calculator.views.memory import gauge
from calculator.views.sequence_length import sequence_length_view


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"batch_size": 10**6},
        {"gpu_memory_bytes": 2**30},
        {"kv_cache_memory_bytes": 10**10},
        {"kv_cache_memory_bytes": 10**13},
        {"pipeline_parallel_size": 5, "activation_bytes": 0},
    ],
    ids=lambda asked: "-".join(asked) or "default",
)
def test_memory_lines_sum_to_the_memory_of_one_gpu(preset, asked):
    plan = calculator.plan(preset, gpu="mi300x", seq_len=1000, **asked)
    assert sum(size for _, size, _ in words.memory_lines(plan)) == plan.per_gpu.total_bytes


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("kv_cache_dtype", ["fp16", "fp8", "q8_0"])
def test_formula_steps_end_at_the_plans_bytes(preset, kv_cache_dtype):
    engine = "llama.cpp" if kv_cache_dtype == "q8_0" else "vllm"  # a format of GGML
    asked = {"gpu": "mi300x", "seq_len": 1000, "batch_size": 3, "kv_cache_dtype": kv_cache_dtype}
    plan = calculator.plan(preset, **asked, engine=engine)
    sizes = [size for _, _, size in words.formula_steps(plan)]
    per_token = plan.model.kv_bytes_per_token(kv_cache_dtype)
    assert sizes[2:] == [per_token, per_token * 1000, per_token * 1000, per_token * 3000]


def test_formula_of_the_reference(reference):
    # the formula with the numbers of LLaMA 3 70B: 2 x G x d_k x L x s x b x bytes
    assert words.formula(reference) == "2 × 8 × 128 × 80 × 8,192 × 1 × 2 bytes"
    steps = words.formula_steps(reference)
    assert [size for _, _, size in steps] == [512, 4096, 327_680, 2_684_354_560, 671_088_640]


def test_headlines(reference):
    begins = "LLaMA 3 70B on 4 × A100 80GB SXM: "
    held = f"{reference.max_batch_size} users of 8,192 tokens"
    assert words.headline(reference) == begins + held
    assert words.headline(vary(reference, batch_size=100)) == f"{begins}{held}, not 100"
    assert words.headline(vary(reference, batch_size=67, data_parallel_size=3), users=200) == (
        f"LLaMA 3 70B on 12 × A100 80GB SXM: {3 * reference.max_batch_size} users of 8,192 tokens, not 200"
    )
    assert words.headline(vary(reference, seq_len=1_000_000)) == begins + "not one user of 1,000,000 tokens"
    assert words.headline(vary(reference, tensor_parallel_size=1)) == "LLaMA 3 70B does not fit on 1 × A100 80GB SXM"


def test_a_verdict_says_the_margin_and_what_is_missing(reference):
    # 36.33 GiB of KV in a pool, 0.625 GiB a user on each of four GPUs: 58; 200 users need 125 GiB.
    assert verdict.room(reference, 16) == "fits, 3.6\u00a0×\u00a0room"  # 58 / 16 = 3.625
    assert verdict.room(reference, 56) == "fits, nothing to spare"
    short = vary(reference, batch_size=200)
    assert verdict.room(short, 200) == "142 users too many"
    assert verdict.shortfall(short) == "Needed on each GPU: 125.00 GiB of KV; there are 36.33 GiB."
    assert verdict.shortfall(reference) == ""
    sizes = {one.key: one for one in gauge(short)}
    assert list(sizes) == ["weights", "overheads", "kv", "missing"]
    assert sizes["kv"].whole_bytes == 125 * 2**30
    assert sizes["kv"].bytes + sizes["missing"].bytes == 125 * 2**30


def test_detail_names_whose_limit_it_is(reference):
    assert words.detail(reference) == (
        "Each takes 2.50 GiB of KV cache. "
        "One alone could be 8,192 tokens long: the model's own limit, not the memory's."
    )
    assert "the memory's limit; the model's own is 8,192." in words.detail(vary(reference, batch_size=200))


def test_what_blocks_add_is_said_where_the_number_stands(reference):
    # gpt-oss 20B, vLLM: 12 layers of 8,192 tokens, 12 windows of 128 that hold a step of 8,192 as it comes, in blocks
    # of 16: 12 x 2,048 x (8,192 + 8,208) bytes; by the formula 12 x 2,048 x (8,192 + 128)
    plan = calculator.plan("gpt-oss-20b", gpu="h100-sxm", seq_len=8192, batch_size=16)
    assert words.detail(plan).startswith(
        "Each takes 195.00 MiB of KV cache: 195.00 MiB of one GPU, 384.38 MiB in the engine's blocks. "
    )
    assert verdict.of_one_user(plan) == "384.38 MiB in the engine's blocks"
    assert "take 3.05 GiB of one GPU, 6.01 GiB in the engine's blocks. " in sequence_length_view(plan).finding
    assert verdict.of_one_user(reference) == "640.00 MiB on each GPU"


def test_price_has_its_date_and_is_an_example(reference):
    text = words.price(reference)
    assert text.startswith("$3.20 to $12.00 per hour, ")
    assert text.endswith("per sequence and hour (prices seen 2026-05; examples, not quotes)")
    assert words.price(calculator.plan("llama-3-8b", gpu="mi355x")) == ""
