"""A log's figures beside a plan: what it states, which causes follow, what a start leaves for the next."""

from dataclasses import replace
from math import sqrt

import pytest

import calculator
from calculator import reconcile
from calculator.engines import engine_log, engine_rules
from calculator.engines.overheads import ACTIVATION, LEAST_SPREAD, Line, estimate
from calculator.errors import InvalidValueError
from calculator.logs import calibrating, setup
from calculator.logs.causes import causes_of
from calculator.logs.compared import compare
from calculator.logs.comparison import Term
from calculator.logs.reading import StartupLog
from calculator.logs.setup import kept_bytes, keywords_of, weights_off

GIB = 2**30
WEIGHTS = 2 * 8_030_261_248 / GIB  # Llama 3.1 8B in bf16


def log_of(engine="vllm", figures=None, **flags):
    return StartupLog(engine, figures or {}, flags, 1, (), 0)


def keys_of(texts):
    return [text.key.rpartition(".")[2] for text in texts]


def asked_of(log, model="llama-3.1-8b", gpu=None, **given):
    asked, assumed = keywords_of(log, model, gpu, given)
    return asked, keys_of(assumed)


# What a log states, as keywords of a plan


@pytest.mark.parametrize(
    ("figures", "more", "found", "said"),
    # as many ranks as the last that prints, up to a power of two
    [
        ({}, {}, {}, []), ({"ranks": 1}, {}, {}, []), ({"ranks": 2}, {}, {"tensor_parallel_size": 2}, ["ranks"]),
        ({"ranks": 3}, {}, {"tensor_parallel_size": 4}, ["ranks"]),
        ({"ranks": 8}, {}, {"tensor_parallel_size": 8}, ["ranks"]),
        ({"ranks": 8}, {"tensor_parallel_size": 2}, {}, []),
        ({"ranks": 2, "expert_ranks": 1}, {}, {"tensor_parallel_size": 2}, ["ranks"]),
        ({"ranks": 2, "expert_ranks": 2}, {}, {"tensor_parallel_size": 2, "enable_expert_parallel": True},
         ["ranks", "expert_ranks"]),
        ({"ranks": 2, "expert_ranks": 2}, {"enable_expert_parallel": False}, {"tensor_parallel_size": 2}, ["ranks"]),
    ],
)  # fmt: skip
def test_ranks_that_print_lines(figures, more, found, said):
    assumed = []
    assert setup._ranks(log_of(figures=figures), more, assumed) == found
    assert keys_of(assumed) == said
    assert all(f"up to TP{figures['ranks'] - 1}" in text for text in assumed[:1])


@pytest.mark.parametrize(
    ("date", "version", "key"),
    # packages of SGLang: 0.4.4 of 2025-03-13, 0.4.9 of 2025-07-06, 0.5.23 of 2026-10-30 the newest
    [
        (None, None, "newest"), ("2025-07-06", "0.4.9", "dated"), ("2025-07-05", "0.4.4", "dated"),
        ("2025-01-01", "0.4.4", "dated"), ("2026-10-30", None, "newest"), ("2026-10-29", "0.5.18", "dated"),
    ],
)  # fmt: skip
def test_the_version_that_a_date_means(date, version, key):
    assumed = []
    flags = {"date": date} if date else {}
    assert setup._version_of(log_of("sglang", **flags), engine_log("sglang"), assumed) == version
    assert keys_of(assumed) == [key]


@pytest.mark.parametrize(
    ("value", "off"), [(-1, True), (-0.5, True), (0, False), (1, False), ("-1", False), (None, False)]
)
def test_numbers_below_zero_are_off(value, off):
    assert setup._is_off(value) is off


@pytest.mark.parametrize(
    ("printed", "gpu", "refused"),
    # what a device has may be a tenth less than what is printed of it, as drivers differ
    [(79.0, "h100-sxm", False), (None, "h100-sxm", False), (200.0, "h100-sxm", True), (1.0, "h100-sxm", False)],
)
def test_a_device_that_is_too_small_is_refused(printed, gpu, refused):
    device = calculator.load_gpu(gpu)
    if refused:
        with pytest.raises(InvalidValueError, match=r"the log prints 200\.00 GiB for one GPU") as error:
            setup._check_memory(device, printed)
        assert (error.value.what, error.value.asked) == ("gpu", gpu)
    else:
        setup._check_memory(device, printed)
    own = device.memory_bytes / GIB
    setup._check_memory(device, own * 1.0999)
    with pytest.raises(InvalidValueError):
        setup._check_memory(device, own * 1.1001)


@pytest.mark.parametrize(
    ("flags", "figures", "gpu", "given", "asked"),
    [
        ({}, {}, None, {}, {"gpu_memory_bytes": 2**44}), ({}, {}, "l40s", {}, {"gpu": "l40s"}),
        ({"device": "NVIDIA L40S"}, {}, None, {}, {"gpu": "l40s"}),
        ({"device": "NVIDIA L40S"}, {}, "h200", {}, {"gpu": "h200"}),
        ({"device": "NVIDIA L40S"}, {"memory_gib": 44.39}, None, {}, {"gpu": "l40s",
         "gpu_memory_bytes": 47_663_399_567}),
        ({}, {"memory_gib": 40.0}, None, {}, {"gpu_memory_bytes": 40 * GIB}),
        ({"devices_beside": (("l40s",),)}, {}, None, {}, {"gpu": "l40s"}),
        ({"devices_beside": (("l40s",),)}, {}, None, {"gpu_memory_bytes": GIB}, {}),
        ({"device": "NVIDIA L40S"}, {}, None, {"gpu_memory_bytes": GIB}, {"gpu": "l40s"}),
    ],
)  # fmt: skip
def test_what_a_log_says_of_its_device(flags, figures, gpu, given, asked):
    log, own = log_of(figures=figures, **flags), engine_log("vllm")
    found = setup._device(log, own, engine_rules("vllm", None), gpu, given, [])
    assert found == asked


def test_what_is_said_of_a_device_that_is_not_known():
    for engine, flags, said in (
        ("vllm", {}, ["no_device"]), ("vllm", {"device": "NVIDIA Foo 9"}, ["no_device"]), ("llama.cpp", {}, []),
    ):  # fmt: skip
        assumed = []
        setup._device(log_of(engine, **flags), engine_log(engine), engine_rules(engine, None), None, {}, assumed)
        assert keys_of(assumed) == said
        assert ("'NVIDIA Foo 9' is none of the presets" in str(assumed)) is bool(flags)
    assumed = []
    free = {"free_at_start_gib": 43.0}
    asked = setup._device(
        log_of("sglang", free), engine_log("sglang"), engine_rules("sglang", None), "l40s", {}, assumed
    )
    assert keys_of(assumed) == ["free"]
    assert asked["non_torch_bytes"] > 0
    given = setup._device(
        log_of("sglang", free), engine_log("sglang"), engine_rules("sglang", None), "l40s", {"non_torch_bytes": 5}, []
    )
    assert given == {"gpu": "l40s"}


@pytest.mark.parametrize(
    ("flags", "given", "asked"),
    [
        ({"max_num_seqs": 7, "max_num_batched_tokens": 512, "gpu_memory_utilization": 0.8},
         {}, {"max_num_seqs": 7, "max_num_batched_tokens": 512, "gpu_memory_utilization": 0.8}),
        ({"max_num_seqs": 7}, {"max_num_seqs": 9}, {"max_num_seqs": 9}),
        ({"max_num_seqs": -1}, {}, {"max_num_seqs": None}),
        ({"max_num_seqs": 7}, {"max_num_seqs": None}, {"max_num_seqs": 7}),
        ({"seq_len": 4096}, {}, {"seq_len": 4_096}), ({"model": "x"}, {}, {"model": "llama-3.1-8b"}),
        ({"attention_backend": "x"}, {}, {"attention_backend": None}),
        ({"engine_version": "0.20.1"}, {}, {"engine_version": "0.20.1"}),
        ({"engine_version": "0.20.1"}, {"engine_version": "0.19"}, {"engine_version": "0.19"}),
    ],
)  # fmt: skip
def test_keywords_that_a_log_states(flags, given, asked):
    found, _ = asked_of(log_of(**flags), **given)
    assert {name: found.get(name) for name in asked} == asked


def test_what_is_taken_is_said():
    everything = {
        "engine_version": "0.20.1", "kv_cache_dtype": "fp8", "quantization": "fp8", "gpu_memory_utilization": 0.9,
        "max_num_seqs": 7, "max_num_batched_tokens": 512,
    }  # fmt: skip
    assert asked_of(log_of(**everything), gpu="l40s")[1] == []
    for name, said in (
        ("kv_cache_dtype", "kv_cache_dtype"), ("quantization", "weight_dtype"), ("gpu_memory_utilization", "default"),
        ("max_num_seqs", "default"), ("max_num_batched_tokens", "default"), ("engine_version", "newest"),
    ):  # fmt: skip
        less = {key: value for key, value in everything.items() if key != name}
        assert asked_of(log_of(**less), gpu="l40s")[1] == [said]
    given = {"kv_cache_dtype": "fp8", "weight_dtype": "fp8"}
    less = {key: value for key, value in everything.items() if key not in ("kv_cache_dtype", "quantization")}
    assert asked_of(log_of(**less), gpu="l40s", **given)[1] == []
    assert asked_of(log_of(**everything, speculative="draft"), gpu="l40s")[1] == ["no_draft"]
    assert asked_of(log_of(**everything, lora=True), gpu="l40s")[1] == ["no_draft"]
    for none in ("None", None):
        assert asked_of(log_of(**everything, speculative=none, lora=False), gpu="l40s")[1] == []
    ngram = {"draft_method": "ngram", "draft_tokens": 3, "speculative": "{"}
    asked, said = asked_of(log_of(**everything, **ngram), gpu="l40s")
    assert (asked["speculative_config"], said) == ({"method": "ngram", "num_speculative_tokens": 3}, [])
    for gone in ("draft_method", "draft_tokens"):
        asked, said = asked_of(log_of(**everything, **{k: v for k, v in ngram.items() if k != gone}), gpu="l40s")
        assert ("speculative_config" in asked, said) == (False, ["no_draft"])
    assert asked_of(log_of(**everything, **{**ngram, "draft_method": "eagle"}), gpu="l40s")[1] == ["no_draft"]


# Weights: whose size is printed

PLAN = calculator.plan("llama-3.1-8b", "h100-sxm", engine_version="0.22", seq_len=8_192)


@pytest.mark.parametrize(("share", "off"), [(1, 0.0), (2, -0.5), (0.5, 1.0)])
def test_by_what_share_weights_are_off(share, off):
    assert weights_off(PLAN, WEIGHTS * share) == pytest.approx(off)
    assert weights_off(PLAN, 0.0) == weights_off(PLAN, -1.0) == 0


def test_a_format_is_taken_where_its_weights_are_within_3_percent():
    # only those of 16 bit take so much
    eight = calculator.vary(PLAN, weight_dtype="fp8")
    for share, taken in ((1.0, True), (1 / 1.0299, True), (1 / 0.9701, True), (1 / 1.0301, False), (1 / 0.9699, False)):
        other, said = setup.with_logged_weights(eight, WEIGHTS * share)
        assert (other.request.weight_dtype, keys_of(said)) == (("bf16", ["size_of_weights"]) if taken else ("fp8", []))
    for share in (1.0, 1 / 1.0299, 1 / 0.9701):
        assert setup.with_logged_weights(PLAN, WEIGHTS * share) == (PLAN, [])


def test_weights_that_are_quantised_to_no_format_are_taken_as_logged():
    for share, taken in ((0.201, True), (0.199, False), (0.969, True), (0.9701, False), (0.6, True), (1.2, False)):
        other, said = setup.with_weights_as_logged(PLAN, WEIGHTS * share)
        assert keys_of(said) == (["weights_as_logged"] if taken else [])
        if taken:
            beside = kept_bytes(other.per_gpu)
            assert other.per_gpu.weights_bytes + beside == pytest.approx(WEIGHTS * share * GIB, rel=1e-4)
        else:
            assert other is PLAN


# Terms and their difference


@pytest.mark.parametrize(
    ("predicted", "reported", "more"), [(2, 5, 3), (None, 5, None), (2, None, None), (5, 2.5, -2.5)]
)
def test_a_difference_is_reported_less_predicted(predicted, reported, more):
    assert Term("a", "A", "GiB", predicted, reported).difference == more


# Causes

NONE = {"activation_bytes": 0, "non_torch_bytes": 0, "cuda_graph_bytes": 0}
STATED = {
    "engine_version": "0.22", "seq_len": 8_192, "gpu_memory_utilization": 0.8, "max_num_seqs": 64,
    "max_num_batched_tokens": 8_192, "kv_cache_dtype": "bfloat16",
}  # fmt: skip
POOL = 32 - WEIGHTS


def compared_of(figures, flags=None, **given):
    log = log_of(figures=figures, **{**STATED, **(flags or {})})
    return compare(
        log, "llama-3.1-8b", None, {"gpu_memory_bytes": 40 * GIB, **NONE, "tensor_parallel_size": 1, **given}
    )


def causes(figures, flags=None, **given):
    return keys_of(causes_of(compared_of(figures, flags, **given)))


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"state_blocks": 4, "refused_sequences": 8},
         "max_num_seqs 8 is more than the 4 blocks that there are for states; max_num_seqs 4 starts"),
        ({"nothing_left": "x"}, "the engine did not start: nothing is left for the KV cache"),
        ({"refused_gib": 1.5}, "out of memory: the device did not have the 1.50 GiB that were asked for in one piece"),
        ({"needed_gib": 16.0, "kv_pool_gib": 12.5, "concurrency_at": 131_072},
         "one sequence of 131,072 tokens needs 16 GiB, 12.5 GiB are left"),
        ({"needed_gib": 1.0, "kv_pool_gib": 0.5}, "one sequence of 8,192 tokens needs 1 GiB, 0.5 GiB are left"),
        ({"needed_gib": 16.0, "kv_pool_gib": 12.5, "concurrency_at": 131_072, "max_context_len": 102_400},
         "12.5 GiB are left; a length of 102,400 starts"),
    ],
)  # fmt: skip
def test_why_an_engine_did_not_start(figures, said):
    first = causes_of(compared_of(figures))[0]
    assert first.endswith(said)


@pytest.mark.parametrize(
    "figures",
    [{"state_blocks": 4}, {"refused_sequences": 8}, {"needed_gib": 1.0, "kv_pool_gib": 1.0}, {"needed_gib": 1.0}],
)
def test_what_is_no_refusal(figures):
    assert not any(key.startswith("refused") for key in causes(figures))


@pytest.mark.parametrize(
    ("memory", "free", "named"), [(80.0, 76.99, True), (80.0, 77.01, False), (80.0, None, False), (None, 70.0, False)]
)
def test_more_than_three_gib_in_use_are_another_process(memory, free, named):
    figures = {"kv_pool_gib": POOL, "memory_gib": memory, "free_at_start_gib": free}
    found = causes({name: value for name, value in figures.items() if value is not None}, gpu_memory_bytes=80 * GIB)
    assert ("other_process" in found) is named


def test_a_pool_that_leaves_more_than_half_of_the_predicted_is_capped():
    half = POOL / 2
    assert "capped_unsaid" in causes({"kv_pool_gib": half - 0.01, "free_after_pool_gib": half + 0.01})
    assert "capped_unsaid" not in causes({"kv_pool_gib": half + 0.01, "free_after_pool_gib": half + 0.02})
    assert "capped_unsaid" not in causes({"kv_pool_gib": half - 0.01, "free_after_pool_gib": half - 0.005})
    assert "capped_unsaid" not in causes({"kv_pool_gib": half - 0.01})
    capped = {"max_total_tokens": 5_000}
    found = causes({"kv_pool_gib": half - 0.01, "free_after_pool_gib": half + 0.01}, capped)
    assert "capped_unsaid" not in found
    assert "capped" in found


def test_what_the_log_has_of_drafts_in_flight_is_said():
    assert "draft_states" in causes({"kv_pool_gib": POOL, "draft_states_gib": 2.0})


@pytest.mark.parametrize(
    ("figure", "keyword"),
    [
        ("activation_gib", "activation_bytes"),
        ("non_torch_gib", "non_torch_bytes"),
        ("cuda_graph_gib", "cuda_graph_bytes"),
    ],
)
def test_a_line_as_logged_that_closes_the_difference_is_its_cause(figure, keyword):
    # 2 GiB less than predicted, of which the line says all, then 1.3, then 1.1: less than 0.4 is left, and 0.45
    assert keyword in causes({"kv_pool_gib": POOL - 2, figure: 2.0})
    assert keyword in causes({"kv_pool_gib": POOL - 2, figure: 1.3})
    assert keyword not in causes({"kv_pool_gib": POOL - 2, figure: 1.1})
    assert keyword in causes({"kv_pool_gib": POOL, figure: 0.0}, **{keyword: GIB})
    assert keyword not in causes({"kv_pool_gib": POOL, figure: -0.5}, **{keyword: GIB})
    # within 1 % of 17.04 nothing is to be explained
    assert keyword not in causes({"kv_pool_gib": POOL - 0.16, figure: 0.16})
    assert keyword in causes({"kv_pool_gib": POOL - 0.18, figure: 0.18})


def test_terms_that_differ_are_named_the_largest_first():
    found = [
        str(text) for text in causes_of(compared_of({
            "kv_pool_gib": POOL - 5, "weights_gib": WEIGHTS + 1, "activation_gib": 3.0, "cuda_graph_gib": 0.07,
            "non_torch_gib": 0.11,
        })) if text.key.endswith(".term")
    ]  # fmt: skip
    # half of 1 % of 12.04 GiB reported is 0.06
    assert [text.split(":")[0] for text in found] == ["activations", "weights", "outside the allocator", "CUDA graphs"]
    assert found[0].endswith("3.00 GiB more than predicted")
    less = causes_of(compared_of({"kv_pool_gib": POOL - 5, "activation_gib": 0.5}, activation_bytes=GIB))
    assert any(str(text).endswith("activations: 0.50 GiB less than predicted") for text in less)
    few = causes_of(compared_of({"kv_pool_gib": POOL - 5, "activation_gib": 0.059}))
    assert not any(text.key.endswith(".term") for text in few)


def term_causes(figures, **given):
    texts = causes_of(compared_of({"kv_pool_gib": POOL - 5, **figures}, **given))
    return [str(text) for text in texts if text.key.endswith(".term")]


def test_terms_that_are_printed_together_are_named_together():
    assert term_causes({"activation_and_graphs_gib": 2.0}) == [
        "activations and CUDA graphs: 2.00 GiB more than predicted"
    ]
    found = term_causes({"activation_and_graphs_gib": 2.0}, cuda_graph_bytes=3 * GIB)
    assert found == ["activations and CUDA graphs: 1.00 GiB less than predicted"]
    (consumed,) = term_causes({"consumed_gib": WEIGHTS + 3})
    assert consumed.startswith("weights and outside the allocator: ")
    assert "GiB more than predicted" in consumed
    (sequence,) = term_causes({"needed_gib": 2.0})
    assert sequence == "one sequence: 1.00 GiB more than predicted"


@pytest.mark.parametrize("form", ["fp8", "bf16", "awq-int4"])
def test_a_format_is_told_by_what_weights_and_what_is_outside_take_together(form):
    asked = calculator.vary(PLAN, weight_dtype=form)
    together = asked.per_gpu.weights_bytes + kept_bytes(asked.per_gpu) + asked.per_gpu.lines["non_torch"].bytes
    found, said = setup.with_consumed_weights(PLAN, together / GIB)
    if form == "bf16":
        assert (found, said) == (PLAN, [])
    else:
        assert found.per_gpu.weights_bytes == pytest.approx(asked.per_gpu.weights_bytes, rel=0.01)
        assert keys_of(said) == ["consumed"]
    assert setup.with_consumed_weights(PLAN, 1.0) == (PLAN, [])
    assert setup.with_consumed_weights(PLAN, 70.0) == (PLAN, [])


# What follows from a start for its next

A, B, C = (Line(key, key, key, None) for key in ("activation", "left_out", "cuda_graph"))


def overhead(line, low, middle, high):
    return replace_range(estimate(line, GIB, "x", (0.5, 1.5)), low, middle, high)


def replace_range(one, low, middle, high):
    return one._replace(bytes=middle, low=low, high=high)


@pytest.mark.parametrize(
    ("ranges", "printed", "more", "found"),
    [
        # two equally wide share the rest, each unsure by its range times the root of the other's share
        ({"activation": (0, 100, 200), "cuda_graph": (0, 100, 200)}, {}, 100,
         {"non_torch": (0, LEAST_SPREAD), "activation": (50, round(sqrt(100**2 / 2))),
          "cuda_graph": (50, round(sqrt(100**2 / 2)))}),
        # to the side that the rest lies on: 100 and 50 upwards are 4 : 1, of which the wider has all
        ({"activation": (90, 100, 200), "cuda_graph": (0, 100, 150)}, {}, 100,
         {"non_torch": (0, LEAST_SPREAD), "activation": (100, round(sqrt(100**2 * 0.2))),
          "cuda_graph": (0, round(sqrt(50**2 * 0.8)))}),
        # 100 and 51 are not
        ({"activation": (90, 100, 200), "cuda_graph": (0, 100, 151)}, {}, 12_601,
         {"non_torch": (0, LEAST_SPREAD), "activation": (10_000, round(sqrt(100**2 * 2_601 / 12_601))),
          "cuda_graph": (2_601, round(sqrt(51**2 * 10_000 / 12_601)))}),
        # downwards 10 and 100
        ({"activation": (90, 100, 200), "cuda_graph": (0, 100, 150)}, {}, -100,
         {"non_torch": (0, LEAST_SPREAD), "activation": (0, round(sqrt(10**2 * 10_000 / 10_100))),
          "cuda_graph": (-100, round(sqrt(100**2 * 100 / 10_100)))}),
        # what is printed is that line's, the rest is the other's
        ({"activation": (0, 100, 200), "cuda_graph": (0, 100, 200)}, {"activation": 70}, 100,
         {"non_torch": (0, LEAST_SPREAD), "activation": (70, LEAST_SPREAD), "cuda_graph": (30, 0)}),
        # where no line is left, it is held outside, or where that is printed goes with the weights
        ({"activation": (100, 100, 100)}, {}, 100, {"non_torch": (100, LEAST_SPREAD)}),
        ({}, {"non_torch": 30}, 100, {"non_torch": (30, LEAST_SPREAD), "weights": (70, LEAST_SPREAD)}),
        ({}, {"non_torch": 30, "weights": 5}, 100, {"non_torch": (30, LEAST_SPREAD), "weights": (70, LEAST_SPREAD)}),
        ({"activation": (100, 100, 200)}, {}, -50, {"non_torch": (-50, LEAST_SPREAD)}),
    ],
)  # fmt: skip
def test_a_difference_is_shared_out_over_what_is_not_printed(ranges, printed, more, found):
    lines = {key: overhead(ACTIVATION, *ends) for key, ends in ranges.items()}
    assert calibrating._shared(lines, printed, more) == found


def test_what_is_printed_of_each_line():
    # vLLM weighs tensors; SGLang prints what loading took of the device
    memory = PLAN.stage.memory
    lines = {line.line.key: line for line in PLAN.stage.overheads if not line.in_slack}
    loaded = memory.weights_bytes + memory.draft_bytes

    def found(engine="vllm", some=lines, **figures):
        return calibrating._printed(PLAN, log_of(engine, figures), some)

    assert found() == {}
    assert found(activation_gib=3.0) == {"activation": 3 * GIB - lines["activation"].bytes}
    assert found(some={"non_torch": lines["non_torch"]}, activation_gib=3.0) == {}
    assert found(weights_gib=16.0) == {"weights": 16 * GIB - loaded}
    assert found("sglang", weights_gib=16.0) == {}
    left = {**lines, "left_out": lines["activation"]}
    assert found(some=left, weights_gib=16.0) == {"left_out": 16 * GIB - loaded}
    assert found(some=left, weights_gib=12.0) == {"weights": 12 * GIB - loaded}
    assert found(non_torch_gib=2.0) == {"non_torch": 2 * GIB - lines["non_torch"].bytes}
    assert found(some={"non_torch": lines["non_torch"]._replace(given=True)}, non_torch_gib=2.0) == {}
    beside = kept_bytes(memory) - memory.draft_bytes
    consumed = found(consumed_gib=18.0)
    outside = 18 * GIB - loaded - beside - lines["non_torch"].bytes
    assert consumed == {"non_torch": pytest.approx(outside, abs=2)}
    both = found(consumed_gib=18.0, weights_gib=16.0)
    assert both["non_torch"] == pytest.approx(2 * GIB - beside - lines["non_torch"].bytes, abs=2)
    assert found(some=left, consumed_gib=18.0) == {}
    assert found(non_torch_gib=2.0, consumed_gib=18.0) == {"non_torch": 2 * GIB - lines["non_torch"].bytes}


# llama.cpp: all that it takes


def test_all_that_llama_cpp_takes_and_its_range():
    # without flash attention 512 tokens x (8,192 x 33 + 4.5 x 4,096) x 4 bytes, within 0.9 and 1.1; mixed types 3 %
    log = calculator.read_log(
        "llama_context: n_ctx         = 8192\nllama_context: flash_attn    = disabled\n"
        "load_tensors:        CUDA0 model buffer size = 14336.00 MiB\n"
        "llama_kv_cache: size = 1024.00 MiB (  8192 cells,  32 layers,  1/1 seqs), K (f16):  512.00 MiB\n"
        "llama_context:      CUDA0 compute buffer size =   560.00 MiB\n"
    )
    taken = reconcile(log, "llama-3.1-8b", "h100-sxm", weight_dtype="bf16")
    found = compare(log, "llama-3.1-8b", "h100-sxm", {"weight_dtype": "bf16"}).capacity
    weights = WEIGHTS - 2 * 128_256 * 4_096 / GIB  # the embedding stays on the host
    buffer = 4 * 512 * (8_192 * 33 + 4.5 * 4_096) / GIB
    assert found.reported_gib == 14 + 1 + 560 / 1_024
    assert found.predicted_gib == pytest.approx(weights + 1 + buffer)
    assert found.low_gib == pytest.approx(0.97 * weights + 1 + 0.9 * buffer)
    assert found.high_gib == pytest.approx(1.03 * weights + 1 + 1.1 * buffer)
    assert taken.agrees
    for gone in ("weights_gib", "kv_pool_gib", "activation_gib"):
        less = replace(log, figures={name: value for name, value in log.figures.items() if name != gone})
        assert compare(less, "llama-3.1-8b", "h100-sxm", {"weight_dtype": "bf16"}).capacity is None


def test_the_cache_of_llama_cpp_is_exact_within_the_rounding_of_its_mib():
    line = "llama_kv_cache: size = {:.2f} MiB (  8192 cells,  32 layers,  1/1 seqs), K (f16):  512.00 MiB\n"
    "n_ctx = 8192\n"
    for mib, exact in ((1_024, True), (1_024.02, True), (1_024.03, False), (1_023.98, True), (1_023.97, False)):
        assert reconcile(line.format(mib), "llama-3.1-8b").agrees is exact


@pytest.mark.parametrize(
    ("unit", "gib"), [("1073741824 B", 1), ("1048576 KB", 1), ("1048576 KiB", 1), ("1024 MiB", 1), ("1024 MB", 1),
    ("1.5 GiB", 1.5)]
)  # fmt: skip
def test_sizes_with_a_unit_are_counted_in_1024s(unit, gib):
    from calculator.engines.tensorrt_llm.log import sized

    assert sized(unit) == gib


def test_keys_of_a_result_are_those_of_its_contract():
    import json

    found = reconcile(
        "GPU KV cache size: 81,920 tokens\nAvailable KV cache memory: 10.00 GiB\nnothing of it\n", "llama-3.1-8b"
    )
    told = json.loads(json.dumps(found.as_dict()))
    assert list(told) == [
        "schema_version", "engine", "agrees", "finding", "causes", "assumed", "calibration", "missing", "terms",
        "request", "problems", "not_understood", "unlisted",
    ]  # fmt: skip
    assert (told["engine"], told["agrees"], told["unlisted"], told["calibration"]) == ("vllm", True, 0, None)
    assert told["not_understood"] == [{"line": 3, "text": "nothing of it"}]
    assert list(told["terms"][0]) == ["key", "name", "unit", "predicted", "reported", "low", "high", "difference"]
    (question,) = told["missing"]
    assert list(question) == ["keyword", "text", "choices"]
    assert question["keyword"] == "gpu"
