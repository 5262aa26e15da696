"""What one device must hold at once: budget, slack and pool; ranges that hold the answer; sentences at extremes."""

import re

import pytest
from golden import GIB
from hypothesis import given
from hypothesis import strategies as st

import calculator
from calculator import plan, vary, views
from calculator.engines import ENGINES
from calculator.engines.overheads import OWN_VALUE
from calculator.engines.pools import Claim, Pool
from calculator.engines.sglang.groups import StatePools
from calculator.planning.files import checks
from calculator.views import engines as engine_views
from calculator.views import words
from calculator.views.memory import gauge

ON_SGLANG = {"model": "llama-3.1-8b", "gpu": "h100-sxm", "engine": "sglang", "seq_len": 8192}
TOKEN = 131_072  # Llama 3.1 8B: 32 layers x 8 KV heads x 2 x 128 x 2 bytes
MODELS = sorted(calculator.model_ids())
HYBRIDS = [name for name in MODELS if any(group.spec.state_bytes(1) for group in calculator.load_model(name).groups)]


def largest_pool():
    """What the device has less everything that SGLang keeps on it, in the budget and in the slack."""
    memory = plan(**ON_SGLANG).per_gpu
    assert memory.in_slack_bytes == memory.activation_bytes + memory.cuda_graph_bytes
    fixed = memory.weights_bytes + memory.activation_bytes + memory.non_torch_bytes + memory.cuda_graph_bytes
    return memory.total_bytes - fixed


@pytest.fixture
def exceeding():
    """Return a plan whose given pool is 0.91 GiB more than the device can hold."""
    return plan(**ON_SGLANG, kv_cache_memory_bytes=largest_pool() + int(0.91 * GIB))


@pytest.mark.parametrize("more", [int(0.91 * GIB), 1])
def test_a_pool_that_exceeds_the_device_can_be_lowered_to_the_largest(more):
    answer = plan(**ON_SGLANG, kv_cache_memory_bytes=largest_pool() + more)
    for found in (calculator.levers(answer), calculator.what_would_fit(answer), calculator.next_steps(answer)):
        (lever,) = [lever for lever in found if lever.key == "knob.kv_pool"]
        assert lever.changes == {"kv_cache_memory_bytes": largest_pool()}
        assert lever.plan.fits
    pools = (largest_pool(), largest_pool() + more)
    sizes = [f"{pool:,} bytes" for pool in pools] if more == 1 else [f"{pool / GIB:.2f} GiB" for pool in pools]
    assert lever.label == f"KV pool of {sizes[0]} instead of {sizes[1]}"
    assert not [
        lever
        for lever in calculator.levers(vary(answer, kv_cache_memory_bytes=largest_pool()))
        if lever.key == "knob.kv_pool"
    ]


def test_too_many_sequences_that_are_too_long_say_how_long_one_could_be():
    asked = {"model": "llama-3-8b", "gpu": "a100-80gb-sxm"}
    answer = plan(**asked, seq_len=10**9, batch_size=10**9)
    # one sequence can have all blocks but the one that vLLM keeps, 16 tokens each
    longest = answer.kv_pool_bytes // (16 * TOKEN) * 16 - 16
    assert answer.notes[0].endswith(f"; one sequence of {longest:,} tokens would fit")
    assert plan(**asked, seq_len=longest).fits


def test_the_largest_pool_fits_and_one_byte_more_does_not():
    most = plan(**ON_SGLANG, kv_cache_memory_bytes=largest_pool())
    assert most.fits
    assert most.per_gpu.unused_bytes == 0
    more = vary(most, kv_cache_memory_bytes=largest_pool() + 1)
    assert not more.fits
    assert (more.max_batch_size_low, more.max_batch_size, more.max_batch_size_high) == (0, 0, 0)
    assert more.max_context_len == 0
    assert more.notes[0].startswith("does not fit: 1 byte is missing: weights and overheads (")
    assert more.notes[0].endswith(f"({largest_pool():,} bytes)")


def test_a_pool_that_exceeds_the_device_keeps_its_arithmetic(exceeding):
    tokens = exceeding.kv_pool_bytes // TOKEN
    assert exceeding.kv_pool_bytes == largest_pool() + int(0.91 * GIB)
    assert exceeding.num_blocks == exceeding.kv_pool_tokens == exceeding.reported_kv_tokens == tokens
    assert exceeding.max_concurrency == tokens / 8192
    assert not exceeding.fits


def test_every_sentence_says_that_a_pool_exceeds_the_device(exceeding):
    size = f"{exceeding.kv_pool_bytes / GIB:.2f} GiB"
    assert words.headline(exceeding) == f"LLaMA 3.1 8B with a KV pool of {size} does not fit on 1 × H100 SXM"
    assert words.spread(exceeding) == ""
    assert "tokens long" not in words.detail(exceeding)
    assert exceeding.notes[0].startswith("does not fit: 0.91 GiB are missing")
    length = views.sequence_length_view(exceeding)
    assert length.finding.endswith("All that one GPU must hold at once exceeds it by 931.84 MiB, at any length.")
    assert not any(row["fits"] for row in length.rows)
    here = next(row for row in engine_views.engines_view(exceeding).rows if row["this_plan"])
    assert here["max_batch_size"] == here["max_batch_size_high"] == 0
    assert re.search(r"Verdict\W+\w+\W+\w+>does not fit<", exceeding._repr_html_())


def test_no_engine_holds_a_pool_that_exceeds_the_device(exceeding):
    finding = engine_views.engines_view(vary(exceeding, kv_cache_memory_bytes=80 * GIB)).finding
    assert finding == (
        "No engine holds even one of the sequences of 8,192 tokens in the KV pool given, beside weights and overheads."
    )


def test_the_lines_sum_to_the_device_with_what_is_missing(exceeding):
    lines = words.memory_lines(exceeding)
    assert sum(size for _, size, _ in lines) == exceeding.per_gpu.total_bytes
    assert [size for name, size, _ in lines if name == "Missing"] == [-int(0.91 * GIB)]


@pytest.mark.parametrize(
    "expectation",
    ["min_batch_size", "min_total_batch_size", "min_context_len", "min_kv_pool_tokens", "min_kv_pool_bytes"],
)
@pytest.mark.parametrize(("more", "met"), [(0, True), (1, False)])
def test_no_expectation_is_met_by_a_pool_that_exceeds_the_device(tmp_path, expectation, more, met):
    path = tmp_path / "plan.yaml"
    path.write_text(
        "deployments:\n- name: pool\n  model: llama-3.1-8b\n  gpu: h100-sxm\n  engine: sglang\n  seq_len: 8192\n"
        f"  kv_cache_memory_bytes: {largest_pool() + more}\n  expect: {{{expectation}: 1}}\n"
    )
    (finding,) = checks.check_file(path)
    assert finding.ok is met


def test_the_stage_that_exceeds_decides_and_the_fewest_blocks_are_counted():
    # 16 layers over 3 stages: 5, 6, 5; the outer ones also hold 128,256 x 2,048 embeddings, and so weigh more
    asked = {"pipeline_parallel_size": 3, "kv_cache_memory_bytes": 2**26, "seq_len": 64}
    own = {"activation_bytes": 0, "non_torch_bytes": 0, "cuda_graph_bytes": 0}
    roomy = plan("llama-3.2-1b", gpu_memory_bytes=2**40, **asked, **own)
    first, inner, last = (stage.memory.weights_bytes for stage in roomy.stages)
    assert last > first > inner
    answer = vary(roomy, gpu_memory_bytes=inner + 2**26)
    assert [stage.exceeds for stage in answer.stages] == [True, False, True]
    assert answer.per_gpu.unused_bytes == inner - last
    assert answer.num_blocks == roomy.num_blocks == 2**26 // (16 * 2048 * 6)
    assert answer.max_concurrency == roomy.max_concurrency
    assert "are missing: weights and overheads" in answer.notes[0]


def test_what_runs_outside_the_budget_must_fit_beside_it():
    # the slack of 0.999 is a thousandth of what is free before loading: less than the least that activations take
    tight = plan(**ON_SGLANG, gpu_memory_utilization=0.999)
    memory = tight.per_gpu
    left = int((memory.total_bytes - memory.non_torch_bytes) * (1 - 0.999))
    assert memory.unused_bytes == left - memory.in_slack_bytes
    assert not tight.fits
    said = re.search(r"gpu_memory_utilization (0\.\d+) would leave them room", tight.notes[0])
    assert vary(tight, gpu_memory_utilization=float(said[1])).fits
    assert not vary(tight, gpu_memory_utilization=float(said[1]) + 0.001).fits


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("gib", [2**-30, 1, 12, 16.5, 24])
@pytest.mark.parametrize("own", [{}, {"non_torch_bytes": 30 * GIB}], ids=["estimated", "own"])
def test_the_budget_never_exceeds_the_device_and_the_lack_is_named(engine, gib, own):
    answer = plan("llama-3.1-8b", gpu_memory_bytes=int(gib * GIB), engine=engine, seq_len=8192, **own)
    memory = answer.per_gpu
    assert memory.requested_bytes <= memory.total_bytes
    if memory.before_kv_bytes > memory.requested_bytes:
        lacking = memory.before_kv_bytes - memory.requested_bytes
        assert f", {lacking / GIB:.2f} GiB more than there is: available are " in answer.notes[0]
        assert "of the 0.00 GiB" not in answer.notes[0]


def test_a_fraction_of_nothing_leaves_no_block():
    answer = plan("llama-3.1-8b", gpu="h100-sxm", engine="tensorrt-llm", seq_len=8192, gpu_memory_utilization=1e-12)
    assert answer.kv_pool_bytes == 0
    assert "needs 1.00 GiB on one GPU, available are 0.00 GiB after weights and overheads" in answer.notes[0]


def test_a_pool_whose_last_block_is_held_back_says_what_its_blocks_hold():
    # vLLM keeps one block for itself: of exactly the bytes of 2 sequences, blocks for 1 are left
    answer = plan("llama-3.1-8b", gpu="h100-sxm", seq_len=8192, batch_size=2, kv_cache_memory_bytes=2 * 8192 * TOKEN)
    assert "needs 2.00 GiB" in answer.notes[0]
    assert "available are 2.00 GiB, the KV pool given, whose whole blocks hold 1 such sequence; " in answer.notes[0]


def test_a_lack_that_rounding_would_hide_is_said():
    asked = {"gpu": "h100-sxm", "engine": "sglang", "seq_len": 8192}
    answer = plan("llama-3.1-8b", kv_cache_memory_bytes=8192 * TOKEN - 4096, **asked)
    assert "needs 1.00 GiB on one GPU, available are 1.00 GiB, the KV pool given, 4.00 KiB less; " in answer.notes[0]


@pytest.mark.parametrize("eager", [False, True], ids=["graphs", "eager"])
@pytest.mark.parametrize(
    ("engine", "version"),
    [("vllm", version) for version in ("0.6", "0.11", "0.19", "0.20", "0.27", "0.33")]
    + [("sglang", None), ("tensorrt-llm", None), ("llama.cpp", None)],
)
@pytest.mark.parametrize("name", ["activation_bytes", "non_torch_bytes", "cuda_graph_bytes"])
def test_an_own_value_is_taken_from_where_the_engine_takes_the_line(engine, version, name, eager):
    usual = plan("llama-3.1-8b", gpu="h100-sxm", seq_len=8192, engine=engine, engine_version=version)
    own = vary(usual, **{name: 3 * GIB}, **({"enforce_eager": True} if eager else {}))
    slack = {line.line.key: line.in_slack for line in usual.stage.overheads}
    assert {line.line.key: line.in_slack for line in own.stage.overheads}.items() <= slack.items()
    (line,) = (line for line in own.stage.overheads if line.source == OWN_VALUE)
    assert line.bytes == 3 * GIB


def test_own_graphs_outside_the_budget_leave_the_pool_alone_without_an_estimate_too():
    # vLLM takes graphs from the budget from 0.20 on; before, and in SGLang, they run beside it
    for asked, taken in ({"engine_version": "0.19"}, 0), ({"engine": "sglang"}, 0), ({"engine_version": "0.33"}, 2**30):
        eager = plan("llama-3.1-8b", gpu="h100-sxm", seq_len=8192, enforce_eager=True, **asked)
        assert eager.kv_pool_bytes - vary(eager, cuda_graph_bytes=2**30).kv_pool_bytes == taken


@given(
    slot=st.integers(1, 60), page=st.integers(1, 12), ratio=st.sampled_from([0.9, 0.3, 2.5]),
    low=st.integers(0, 600), wide=st.integers(0, 400), seq_len=st.integers(1, 20),
)  # fmt: skip
def test_a_range_is_the_fewest_and_the_most_of_every_size_within(slot, page, ratio, low, wide, seq_len):
    pools = StatePools((Pool(page, (Claim(1),)), Pool(slot, (Claim(0, fixed=3),))), 1, ratio, 0, 0, 1, 1, 0)
    held = [pools.sequences(size, seq_len) for size in range(low, low + wide + 1)]
    assert pools.sequences_between(low, low + wide, seq_len) == (min(held), max(held))


def test_more_memory_can_hold_less_and_the_range_knows():
    # a slot of 100 bytes and pages of 10: 100 x 3 bytes of states at 0.5 of the memory for a slot; at 400 bytes a
    # second slot leaves 400 - 2 x 100 = 200 of tokens, where 399 with one slot left 299
    pools = StatePools((Pool(10, (Claim(1),)), Pool(100, (Claim(0),))), 1, 1.0, 0, 0, 1, 1, 0)
    assert (pools.counts(399, 1), pools.counts(400, 1)) == ((29, 0), (20, 1))
    assert pools.drops(399, 400) == (400, 400)
    assert pools.drops(400, 599) == ()


def test_a_pool_that_grows_into_one_more_slot_does_not_turn_the_range():
    # at some sizes a slot more of states takes what a second sequence of 262,144 tokens needs
    geometry = plan("nemotron-h-56b", engine="sglang", gpu_memory_bytes=169 * GIB, seq_len=262_144).stage.geometry
    slot = geometry.pools[1].block_bytes

    def held(size):
        return geometry.sequences(size, 262_144)

    drops = [size for start in range(GIB, 64 * GIB, slot) for size in geometry.drops(start, start + 2 * slot)]
    size = next(size for size in drops if (held(size - 1), held(size)) == (2, 1))
    assert geometry.sequences_between(size - 1, size, 262_144) == (1, 2)
    assert geometry.sequences_between(size - slot // 8, size + slot // 8, 262_144) == (1, 2)


asked_of_any_engine = st.fixed_dictionaries(
    {
        "model": st.sampled_from(MODELS) | st.sampled_from(HYBRIDS),
        "engine": st.sampled_from(sorted(ENGINES)) | st.just("sglang"),
        "gpu_memory_bytes": st.sampled_from([1, 2**20, 2**53]) | st.integers(4, 300).map(lambda gib: gib * GIB),
        "seq_len": st.integers(1, 20_000),
    },
    optional={
        "tensor_parallel_size": st.sampled_from([1, 2, 4, 8]),
        "pipeline_parallel_size": st.sampled_from([1, 2, 3]),
        "gpu_memory_utilization": st.sampled_from([1e-9, 0.5, 0.95, 0.999, 1.0]),
        "kv_cache_memory_bytes": st.sampled_from([1, 2**30, 2**53]),
        "activation_bytes": st.sampled_from([0, 2**30]),
        "non_torch_bytes": st.sampled_from([0, 2**40]),
        "cuda_graph_bytes": st.sampled_from([0, 2**31]),
        "enforce_eager": st.booleans(),
        "batch_size": st.integers(1, 100),
    },
)


@given(asked_of_any_engine)
def test_what_holds_of_every_plan(asked):
    encoder = {"encoder_seq_len": 100} if calculator.load_model(asked["model"]).needs_encoder else {}
    try:
        answer = plan(**asked, **encoder)
    except calculator.CalculatorError:
        return
    request, memory = answer.request, answer.per_gpu
    assert answer.max_batch_size_low <= answer.max_batch_size <= answer.max_batch_size_high
    assert answer.fits is (answer.max_batch_size >= request.batch_size)
    assert sum(size for _, size, _ in words.memory_lines(answer)) == memory.total_bytes
    assert (words.headline(answer).key == "words.fits") is answer.fits
    segments = gauge(answer)
    assert min(one.whole_bytes for one in segments) > 0
    assert sum(one.bytes for one in segments) == sum(one.whole_bytes for one in segments if one.key != "missing")
    assert sum(one.bytes for one in segments) == memory.total_bytes or not answer.fits
    for stage in answer.stages:
        assert stage.kv_pool_bytes_low <= stage.memory.kv_pool_bytes <= stage.kv_pool_bytes_high
        assert 0 <= stage.memory.requested_bytes <= stage.memory.total_bytes
        assert stage.memory.unused_bytes >= 0 or not answer.max_batch_size_high
        held = answer.max_batch_size // request.attention_replicas * stage.geometry.bytes_of(request.seq_len)
        assert held <= stage.memory.kv_pool_bytes


@pytest.mark.parametrize("memory", [1, 1000, 2**20 - 1, 2**43])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_device_of_any_size_is_answered(engine, memory):
    answer = plan("llama-3.1-8b", gpu_memory_bytes=memory, engine=engine, seq_len=8192)
    assert answer.fits is (memory == 2**43)
    assert answer.per_gpu.total_bytes == memory
