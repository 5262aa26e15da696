"""What each engine's figures mean beside a plan: its words for a pool, what may be otherwise, what shares the pool."""

from types import SimpleNamespace

import pytest

import calculator
from calculator import load_model, read_log
from calculator.engines import engine_log
from calculator.logs import compared as comparing
from calculator.logs.causes import causes_of
from calculator.logs.compared import compare
from calculator.logs.reading import StartupLog

GIB = 2**30
VLLM, SGLANG, LLAMA = (engine_log(name) for name in ("vllm", "sglang", "llama.cpp"))
PLAN = calculator.plan("llama-3.1-8b", "h100-sxm", engine_version="0.22", seq_len=8_192)


def log_of(engine="vllm", figures=None, **flags):
    return StartupLog(engine, figures or {}, flags, 1, (), 0)


# vLLM


@pytest.mark.parametrize(
    ("plain", "figures", "keys"),
    # 10 sequences of 1,000 fit by the plan: where the log's tokens are that product they are no count of slots
    [
        (True, {"kv_tokens": 10_000}, []), (False, {}, []), (False, {"kv_tokens": 10_000}, ["tokens_of_concurrency"]),
        (False, {"kv_tokens": 9_902}, ["tokens_of_concurrency"]), (False, {"kv_tokens": 9_900}, ["tokens_of_groups"]),
        (False, {"kv_tokens": 10_101}, ["tokens_of_concurrency"]), (False, {"kv_tokens": 10_102}, ["tokens_of_groups"]),
        (False, {"kv_tokens": 16_000, "max_concurrency": 8.0, "concurrency_at": 2_000}, ["tokens_of_concurrency"]),
        (False, {"kv_tokens": 10_000, "max_concurrency": 8.0, "concurrency_at": 2_000}, ["tokens_of_groups"]),
        (False, {"kv_tokens": 10_000, "max_concurrency": 8.0}, ["tokens_of_concurrency"]),
        # half as many sequences: every layer keeps all tokens there
        (False, {"kv_tokens": 10_000, "max_concurrency": 4.99, "concurrency_at": 2_000}, []),
        (False, {"kv_tokens": 10_000, "max_concurrency": 5.0, "concurrency_at": 2_000}, ["tokens_of_concurrency"]),
    ],
)  # fmt: skip
def test_tokens_that_vllm_prints_where_windows_share_a_pool(plain, figures, keys):
    held = SimpleNamespace(
        stage=SimpleNamespace(geometry=SimpleNamespace(is_plain=plain)),
        max_concurrency=10.0,
        request=SimpleNamespace(seq_len=1_000),
    )
    said = [text.key.removeprefix("logs.cause.") for text in VLLM.peculiarities(held, log_of(figures=figures))]
    assert said == keys


def test_the_offline_class_has_larger_batches_where_neither_is_stated():
    assert list(VLLM.unstated(PLAN, {})) == list(VLLM.unstated(PLAN, {"seq_len": 5})) == [{"usage_context": "offline"}]
    for stated in ("usage_context", "max_num_batched_tokens"):
        assert list(VLLM.unstated(PLAN, {stated: 5})) == []


def changes(figures=None, plan=PLAN, **flags):
    newer = {"since_0_28": 1, **(figures or {})}  # which says that graphs stand within the budget
    return [change for _, change in VLLM.assumptions(plan, log_of(figures=newer, **flags))]


BOTH = {"max_num_seqs": 5, "max_num_batched_tokens": 5}
FRACTION = {"gpu_memory_utilization": 0.92}


def test_what_may_be_otherwise_on_vllm():
    # by default 0.92 since 0.22 or so, 0.90 before; what is stated is none
    own = PLAN.request.gpu_memory_utilization
    assert own == 0.92
    assert changes(**BOTH, **FRACTION) == []
    assert changes(**BOTH) == [{"gpu_memory_utilization": 0.90}]
    other = calculator.vary(PLAN, gpu_memory_utilization=0.9)
    assert changes(plan=other, **BOTH) == [{"gpu_memory_utilization": 0.92}]
    # all that is not default is printed, and so is the version: then its default is the one
    assert changes({"args_whole": 1}, engine_version="0.22", **BOTH) == []
    assert (
        changes({"args_whole": 1}, **BOTH)
        == changes(engine_version="0.22", **BOTH)
        == [{"gpu_memory_utilization": 0.90}]
    )
    few = changes(**FRACTION, max_num_batched_tokens=5)
    assert few == [{"max_num_seqs": many} for many in (64, 128, 256, 1_024)]
    assert changes({"args_whole": 1}, **FRACTION, max_num_batched_tokens=5) == [
        {"max_num_seqs": n} for n in (256, 1_024)
    ]
    batches = [{"max_num_batched_tokens": n} for n in (2_048, 8_192, 16_384)]
    assert changes(**FRACTION, max_num_seqs=5) == changes({"args_whole": 1}, **FRACTION, max_num_seqs=5) == batches
    # up to 0.19 graphs stood outside the budget: where neither the lines nor the plan say so, that may be
    outside = {"engine_version": "0.19", "gpu_memory_utilization": 0.92}
    for plan, found in ((PLAN, [outside]), (calculator.vary(PLAN, engine_version="0.19"), [])):
        assert [change for _, change in VLLM.assumptions(plan, log_of(**BOTH, **FRACTION))] == found


def test_what_an_encoder_was_profiled_with_is_counted_where_it_stands_in_the_plan():
    seeing = calculator.plan("qwen2.5-vl-7b", "h100-sxm", seq_len=8_192)
    line = seeing.per_gpu.lines["activation"]
    found = VLLM.measured(seeing, log_of(figures={"encoder_tokens": 16_384}))
    assert found["activation_bytes"] > line.bytes
    more = VLLM.measured(seeing, log_of(figures={"encoder_tokens": 32_768}))
    assert more["activation_bytes"] - line.bytes == 2 * (found["activation_bytes"] - line.bytes)
    assert VLLM.measured(seeing, log_of()) == {}
    assert VLLM.measured(PLAN, log_of(figures={"encoder_tokens": 16_384})) == {}
    for change in ({"language_model_only": True}, {"activation_bytes": GIB}):
        other = calculator.vary(seeing, **change)
        assert VLLM.measured(other, log_of(figures={"encoder_tokens": 16_384})) == {}


# SGLang


@pytest.mark.parametrize(
    ("pools", "figures", "tokens"),
    # blocks of 16 tokens and 1,024 bytes; windows of 512 bytes a block beside them, or states without blocks
    [
        ([(1_024, True)], {"window_tokens": 4_096}, 77), ([(1_024, True), (512, True)], {}, 77),
        ([(1_024, True), (512, True)], {"window_tokens": 16 * 1_024}, (GIB - 512 * 1_024) // 1_024 * 16),
        ([(1_024, True), (512, True)], {"state_gib": 0.25}, GIB * 3 // 4 // 1_024 * 16),
        ([(1_024, True), (512, False)], {"state_gib": 0.25}, GIB * 3 // 4 // 1_024 * 16),
        ([(1_024, True), (512, False)], {}, GIB // 1_024 * 16), ([(1_024, True), (512, False)], {"state_gib": 2.0}, 0),
    ],
)  # fmt: skip
def test_tokens_of_the_first_pool_of_sglang(pools, figures, tokens):
    made = [
        SimpleNamespace(block_bytes=size, claims=[SimpleNamespace(block_size=16 if blocks else 0)])
        for size, blocks in pools
    ]
    held = SimpleNamespace(
        stage=SimpleNamespace(geometry=SimpleNamespace(pools=made)),
        request=SimpleNamespace(block_size=16),
        reported_kv_tokens=77,
    )
    assert SGLANG.held_tokens(held, log_of("sglang", figures), 1.0) == tokens


# llama.cpp


def test_the_cache_that_llama_cpp_was_asked_for():
    # Gemma 3 1B keeps 4 of 26 layers whole, 22 windows of 512: 1 head of 256, keys and values of 2 bytes, 1,024 a cell
    model = load_model("gemma-3-1b")
    asked = {"engine": "llama.cpp", "seq_len": 8_192, "gpu": "h100-sxm"}
    one = calculator.plan(model, **asked)
    four = calculator.plan(model, batch_size=4, **asked)

    def size(plan, **figures):
        return LLAMA.asked_cache_gib(plan, log_of("llama.cpp", figures)) * GIB / 1_024

    whole = 4 * 8_192
    windows = size(one) - whole
    assert windows % 22 == 0
    assert windows / 22 >= 512
    assert size(four) == 4 * size(one)
    # sequences that share cells have their windows in them: as many as the log says
    assert size(one, sequences=4, window_cells=2_048) == whole + 22 * 2_048
    assert size(one, sequences=4) == size(one, sequences=1, window_cells=2_048) == size(one)
    assert size(one, window_cells=2_048) == size(one)


def test_states_of_llama_cpp_that_are_printed_apart_are_not_of_its_cache():
    plan = calculator.plan("qwen3.5-27b", engine="llama.cpp", seq_len=8_192, gpu="h100-sxm")
    apart = LLAMA.asked_cache_gib(plan, log_of("llama.cpp", {"state_gib": 0.5})) * GIB
    assert apart == 8_192 * 16 * 2 * 4 * 256 * 2  # 16 of 64 layers keep tokens
    assert LLAMA.asked_cache_gib(plan, log_of("llama.cpp")) * GIB > apart


def test_the_buffer_of_llama_cpp_without_flash_attention():
    model = load_model("llama-3.1-8b")

    def found(figures, **asked):
        return LLAMA.estimates(log_of("llama.cpp", figures), model, asked).get("activation_bytes")

    off = {"flash_attention": 0}
    # tokens x (context x (32 heads + 1) + 4.5 x 4,096) x 4 bytes
    assert found(off, seq_len=8_192) == 4 * 512 * (8_192 * 33 + 18_432)
    assert found(off, seq_len=8_192, max_num_batched_tokens=256) == 4 * 256 * (8_192 * 33 + 18_432)
    assert found(off, seq_len=8_192, pipeline_parallel_size=2) > found(off, seq_len=8_192)
    assert found(off) is found({"flash_attention": 1}, seq_len=8_192) is found({}, seq_len=8_192) is None


# Beside the plan


STATED = {
    "engine_version": "0.22", "seq_len": 8_192, "gpu_memory_utilization": 0.8, "max_num_seqs": 64,
    "max_num_batched_tokens": 8_192, "kv_cache_dtype": "bfloat16",
}  # fmt: skip
NONE = {"activation_bytes": 0, "non_torch_bytes": 0, "cuda_graph_bytes": 0}
WEIGHTS = 2 * 8_030_261_248 / GIB


def compared_of(figures, flags=None, **given):
    log = log_of(figures=figures, **{**STATED, **(flags or {})})
    return compare(
        log, "llama-3.1-8b", None, {"gpu_memory_bytes": 40 * GIB, **NONE, "tensor_parallel_size": 1, **given}
    )


@pytest.mark.parametrize(
    ("held", "printed", "found"),
    # 10 GiB of 8,192 tokens of 131,072 bytes: 10 sequences; a quarter more or less are other layers'
    [(10, 12.4, None), (10, 8.1, None), (10, 13.5, 10), (10, 7.9, 10)],
)
def test_sequences_that_a_pool_holds(held, printed, found):
    figures = {"kv_pool_gib": 10.0, "kv_tokens": 81_920, "max_concurrency": printed, "concurrency_at": 8_192}
    one = compared_of(figures)
    assert one.sequences_held == (None if found is None else pytest.approx(held, rel=0.01))
    assert one.holds_what_is_printed is (found is None)
    assert compared_of({**figures, "concurrency_at": 8_191}, {"seq_len": 8_192}).plan.request.seq_len == 8_191
    less = {name: value for name, value in figures.items() if name != "max_concurrency"}
    assert compared_of(less).sequences_held is None


def test_tokens_or_blocks_are_what_is_printed():
    assert compared_of({"num_blocks": 100}).printed_tokens == 1_600
    assert compared_of({"num_blocks": 100, "kv_tokens": 5}).printed_tokens == 5
    assert compared_of({}).printed_tokens is None
    assert compared_of({}).reported_gib is None


@pytest.mark.parametrize(
    ("tokens", "exact"),
    # 10 GiB less and more 0.01 hold 81,838 and 82,001 tokens, in blocks of 16 81,824 and 82,000
    [(81_920, True), (81_824, True), (81_823, False), (82_000, True), (82_001, False)],
)
def test_tokens_that_are_exact(tokens, exact):
    assert compared_of({"kv_pool_gib": 10.0, "kv_tokens": tokens}).tokens_exact is exact


@pytest.mark.parametrize(
    ("gib", "exact"), [(1.0, True), (1.005, True), (1.0051, False), (0.995, True), (0.9949, False)]
)
def test_what_a_sequence_needs_is_exact_within_the_last_digit(gib, exact):
    assert compared_of({"needed_gib": gib}).tokens_exact is exact


def test_a_pool_without_tokens_or_without_either_is_not_judged():
    assert compared_of({"kv_pool_gib": 10.0}).tokens_exact is compared_of({"kv_tokens": 10}).tokens_exact is None
    one = compared_of({})
    assert (one.capacity, one.capacity_error, one.device_error, one.off_by, one.in_range) == (None,) * 5
    assert one.calibration is None


def test_an_error_as_a_share_of_the_pool_and_of_the_device():
    pool = 32 - WEIGHTS
    found = compared_of({"kv_pool_gib": pool / 2})
    assert found.capacity_error == pytest.approx(1, rel=1e-6)
    assert found.device_error == found.off_by == pytest.approx(pool / 2 / 40, rel=1e-6)
    more = compared_of({"kv_pool_gib": pool * 2})
    assert (more.capacity_error, more.device_error) == pytest.approx((-0.5, -pool / 40), rel=1e-6)
    assert more.off_by == -more.device_error


@pytest.mark.parametrize(
    ("flags", "given", "unmodelled"),
    [({}, {}, False), ({"speculative": "None"}, {}, False), ({"speculative": "draft"}, {}, True),
     ({"speculative": "{"}, {"speculative_config": {"method": "ngram", "num_speculative_tokens": 3}}, False)],
)  # fmt: skip
def test_drafts_whose_memory_is_not_in_the_plan(flags, given, unmodelled):
    assert compared_of({}, flags, **given).drafts_unmodelled is unmodelled


def test_terms_by_their_keys():
    figures = {
        "memory_gib": 40.0, "requested_gib": 32.0, "weights_gib": 14.96, "activation_gib": 1.0, "non_torch_gib": 0.5,
        "cuda_graph_gib": 0.25, "consumed_gib": 15.5, "activation_and_graphs_gib": 1.25, "kv_pool_gib": 10.0,
        "kv_tokens": 81_920, "max_concurrency": 10.0, "concurrency_at": 8_192, "num_blocks": 5_120,
        "max_context_len": 81_904, "needed_gib": 1.0,
    }  # fmt: skip
    given = {"activation_bytes": GIB, "non_torch_bytes": GIB // 2, "cuda_graph_bytes": GIB // 4}
    found = {term.key: (term.unit, term.predicted, term.reported) for term in compared_of(figures, **given).terms}
    assert list(found) == [
        "memory", "budget", "weights", "activations", "outside", "graphs", "consumed", "activations_and_graphs",
        "kv_pool", "held_tokens", "held_sequences", "held_blocks", "kv_tokens", "longest", "sequence",
    ]  # fmt: skip
    assert found["memory"] == ("GiB", 40, 40.0)
    assert found["budget"] == ("GiB", pytest.approx(32), 32.0)
    assert found["consumed"][1:] == (pytest.approx(WEIGHTS + 0.5, abs=0.2), 15.5)
    assert found["activations_and_graphs"] == ("GiB", 1.25, 1.25)
    assert found["kv_pool"] == ("GiB", pytest.approx(32 - WEIGHTS - 1.75, abs=0.2), 10.0)
    assert found["held_tokens"] == ("tokens", 81_920, 81_920)
    assert found["held_sequences"] == ("sequences", pytest.approx(10, rel=0.01), 10.0)
    assert found["held_blocks"] == ("blocks", 5_120, 5_120)
    assert found["kv_tokens"][2] == 81_920
    assert found["longest"][0] == "tokens"
    assert found["sequence"] == ("GiB", 1, 1.0)
    bare = [term.key for term in compared_of({}).terms]
    assert bare == ["memory", "budget", "weights", "activations", "outside", "graphs", "kv_pool", "kv_tokens"]


def test_a_format_of_the_cache_that_tokens_say_is_taken_where_none_is_stated():
    twice = {"kv_pool_gib": 10.0, "kv_tokens": 163_840}
    auto = {"kv_cache_dtype": "auto"}
    found = compared_of(twice, auto)
    assert (found.plan.request.kv_cache_dtype[:3], found.holds_what_is_printed) == ("fp8", True)
    assert "kv_of_tokens" in [text.key.rpartition(".")[2] for text in found.assumed]
    assert "logs.assumed.kv_cache_dtype" not in [text.key for text in found.assumed]
    assert not compared_of(twice).holds_what_is_printed
    for flags, given in (({**auto, "speculative": "x"}, {}), (auto, {"kv_cache_dtype": "bf16"})):
        assert not compared_of(twice, flags, **given).holds_what_is_printed


def test_what_is_left_of_what_is_assumed():
    text = [SimpleNamespace(key="a"), SimpleNamespace(key="b"), "c"]
    assert comparing._less(text, "a") == text[1:]
    assert comparing._less(text, "a", "b") == ["c"]


def test_tokens_of_one_batch_in_flight_or_of_whole_windows_are_named():
    # what else decides how many tokens a pool holds than formats and ranks is asked one at a time
    from calculator.logs.causes import WINDOWS_AND_STATES

    assert [(key, change) for key, change, _ in WINDOWS_AND_STATES] == [
        ("one_batch", {"async_scheduling": False}), ("two_batches", {"async_scheduling": True}),
        *(("tokens_in_flight", {"max_num_batched_tokens": tokens}) for tokens in (2_048, 8_192, 16_384)),
        ("full_length", {"disable_hybrid_kv_cache_manager": True}), ("two_pages", {"enable_prefix_caching": True}),
        ("one_page", {"enable_prefix_caching": False}),
    ]  # fmt: skip


@pytest.mark.parametrize(("size", "named"), [(2, True), (4, True), (8, True)])
def test_tokens_of_other_ranks(size, named):
    # 8 heads of keys and values are divided: so many times as many tokens in 10 GiB
    log = log_of(figures={"kv_pool_gib": 10.0, "kv_tokens": 81_920 * size}, **STATED)
    found = causes_of(compare(log, "llama-3.1-8b", None, {"gpu_memory_bytes": 40 * GIB, **NONE}))
    keys = [text.key.rpartition(".")[2] for text in found]
    assert ("ranks_of_tokens" in keys) is named
    assert f"tensor_parallel_size {size} would hold as many tokens" in next(t for t in found if "ranks_of" in t.key)
    assert "ranks_of_tokens" not in [text.key.rpartition(".")[2] for text in causes_of(
        compared_of({"kv_pool_gib": 10.0, "kv_tokens": 81_920 * size}))]  # fmt: skip


def test_a_calibration_is_of_the_start_that_is_logged():
    pool = 32 - WEIGHTS
    log = log_of(figures={"kv_pool_gib": pool - 3, "memory_gib": 40.0}, **STATED)
    found = compare(
        log, "llama-3.1-8b", None, {"activation_bytes": 0, "cuda_graph_bytes": 0, "tensor_parallel_size": 1}
    )
    made = found.calibration
    assert (made.engine, made.engine_version, made.tensor_parallel_size) == ("vllm", "0.22", 1)
    assert (made.gpu_memory_bytes, made.gpu, made.model, made.weight_dtype) == (40 * GIB, None, "llama-3.1-8b", "bf16")
    line = next(line for line in made.lines if line.key == "non_torch")
    # all 3 GiB are held outside: nothing else is an estimate
    assert line.bytes == pytest.approx(3 * GIB, abs=0.01 * GIB)
    assert made.non_torch_bytes == line.bytes


def test_of_a_log_without_figures_of_a_known_engine_nothing_is_asked_twice():
    found = compare(read_log("Available KV cache memory: 8.00 GiB\n"), "llama-3.1-8b", None, {})
    (question,) = found.missing
    assert question.keyword == "gpu"
    within = compared_of({"kv_pool_gib": 32 - WEIGHTS - 0.25})
    assert [question.keyword for question in within.missing] == ([] if within.in_range else ["gpu"])
    assert [question.keyword for question in compared_of({"kv_pool_gib": 8.0}).missing] == ["gpu"]
    llama = compare(read_log("KV self size  =  82.00 MiB\nn_ctx = 64\n"), "llama-3.1-8b", None, {})
    assert (llama.missing, llama.calibration) == ((), None)
