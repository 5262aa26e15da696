"""What is wrong with traffic is said: the bounds of a number, the nearest that works; so with the numbers of speed."""

import numpy
import pytest
from loads import HUGE, refused, spelt, traffic

import calculator

BOUNDS = {
    "requests_per_second": (0, 10**9),
    "prompt_tokens": (1, 10**9),
    "output_tokens": (1, 10**9),
    "prompt_cv": (0, 100),
    "output_cv": (0, 100),
    "correlation": (-1, 1),
    "shared_prefix_tokens": (0, 10**9),
    "max_output_tokens": (1, 10**9),
}
NO_NUMBERS = [float("nan"), True, "5", [1], None, object()]


# Numbers of a workload


@pytest.mark.parametrize("value", [*NO_NUMBERS, float("inf"), -float("inf"), HUGE, -HUGE], ids=spelt)
@pytest.mark.parametrize("name", BOUNDS)
def test_what_is_no_number_within_the_bounds_is_refused(name, value):
    if value is None and name == "max_output_tokens":
        assert traffic(max_output_tokens=None).max_output_tokens is None
        return
    error = refused(lambda: traffic(**{name: value}), f"{name} must be ")
    assert (error.what, error.asked is value, error.allowed) == (name, True, BOUNDS[name])


@pytest.mark.parametrize(
    ("name", "value", "nearest"),
    [
        ("requests_per_second", 0, None),
        ("requests_per_second", 1.1e9, 10**9),
        ("prompt_tokens", 0.5, 1),
        ("output_tokens", 2e9, 10**9),
        ("prompt_cv", -0.1, 0),
        ("output_cv", 100.5, 100),
        ("correlation", 1.5, 1),
        ("correlation", -7, -1),
        ("shared_prefix_tokens", -1, 0),
        ("shared_prefix_tokens", 7.6, 8),
        ("max_output_tokens", 0, 1),
    ],
)
def test_the_nearest_number_is_named(name, value, nearest):
    assert refused(lambda: traffic(**{name: value}), f"{name} must be ").nearest == nearest


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"requests_per_second": 10**9}, 1e9),
        ({"requests_per_second": 1e-9}, 1e-9),
        ({"prompt_cv": 0}, 0.0),
        ({"output_cv": 100}, 100.0),
        ({"prompt_tokens": numpy.float32(7.5)}, 7.5),
        ({"prompt_tokens": numpy.int64(7)}, 7.0),
        ({"shared_prefix_tokens": numpy.int64(7)}, 7),
        ({"correlation": 1.0}, 1.0),
    ],
)
def test_what_lies_on_a_bound_is_kept_as_a_plain_number(given, kept):
    ((name, _),) = given.items()
    value = getattr(traffic(**given), name)
    assert (value, type(value) in (int, float)) == (kept, True)


@pytest.mark.parametrize(
    ("cvs", "correlation", "nearest"),
    [
        # for lognormals exp(s_p s_o) - 1 over c_p c_o, s^2 = ln(1 + c^2): c = 1, 1 gives exp(ln 2) - 1 = 1 and
        # exp(-ln 2) - 1 = -0.5; c = 3, 3 gives (10 - 1) / 9 = 1 and (0.1 - 1) / 9 = -0.1; c = 1, 3 gives
        # exp(sqrt(ln 2 ln 10)) - 1 = 2.5372, over 3
        ((1, 1), -0.6, -0.5),
        ((3, 3), -0.2, -0.1),
        ((1, 3), 0.9, 0.84574),
        ((0, 1), 0.5, 0.0),
        ((0, 0), -1, 0.0),
        ((1e-200, 1), 0.5, 0.0),
    ],
)
def test_a_correlation_that_lognormals_cannot_have_names_the_nearest(cvs, correlation, nearest):
    asked = {"prompt_cv": cvs[0], "output_cv": cvs[1]}
    error = refused(lambda: traffic(**asked, correlation=correlation), f"correlation {correlation:g} is not possible")
    assert (error.what, error.asked) == ("correlation", correlation)
    assert error.nearest == pytest.approx(nearest, abs=2e-5)
    assert traffic(**asked, correlation=error.nearest).correlation == error.nearest


def test_a_prefix_that_all_prompts_share_is_no_longer_than_they_are():
    error = refused(
        lambda: traffic(shared_prefix_tokens=1001), "shared_prefix_tokens must be at most the mean of prompt"
    )
    assert error.nearest == 1000
    assert traffic(shared_prefix_tokens=1000).shared_prefix_tokens == 1000


def test_a_prefix_is_cut_with_its_prompts():
    # prompts of 1,000 become 127, answers 1: 8 blocks of 16, of which the prefix fills 7, kept once in a pool of 1,000
    pool = (1000 + 1) * 16 * 2 * 8 * 128 * 32 * 2
    plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", seq_len=128, kv_cache_memory_bytes=pool)
    asked = {"prompt_cv": 0, "output_cv": 0, "output_tokens": 1}
    assert calculator.concurrency(plan, traffic(**asked)).sequences == 1000 // 8
    shared = calculator.concurrency(plan, traffic(**asked, shared_prefix_tokens=1000))
    assert (shared.sequences, shared.saturated) == (1000 - 7, 1000 - 7)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: calculator.Workload(rps=1, prompt_tokens=1, output_tokens=1), "unknown keyword of Workload 'rps'"),
        (lambda: calculator.Workload(1), "Workload missing 2 required positional arguments"),
        (lambda: calculator.workload_from_trace(), "workload_from_trace missing 1 required positional argument"),
        (lambda: calculator.workload(["azure"]), "unknown workload ['azure']"),
        (lambda: calculator.workload("azure-2023-chat"), "did you mean azure-2023-code"),
        (lambda: calculator.workload("mooncake-synthetic", requests_per_second=0), "must be more than 0, not 0"),
    ],
)
def test_names_and_keywords(call, text):
    refused(call, text)


@pytest.mark.parametrize("value", [None, "plan", 5, {}])
def test_a_plan_and_a_workload_are_such(value):
    plan = calculator.plan("llama-3-8b", gpu="l40s")
    assert refused(lambda: calculator.concurrency(value, traffic()), "a plan is what calculator.plan").what == "plan"
    assert refused(lambda: calculator.speed(value, batch_size=1), "a plan is what calculator.plan").what == "plan"
    assert refused(lambda: calculator.concurrency(plan, value), "a workload is a Workload").what == "workload"


# Speed


@pytest.mark.parametrize("value", [*NO_NUMBERS, float("inf"), HUGE, 0, -1, 1.1e9], ids=spelt)
@pytest.mark.parametrize("name", ["batch_size", "clients", "prompt_tokens", "output_tokens"])
def test_numbers_of_speed(name, value):
    plan = calculator.plan("llama-3-8b", gpu="l40s")
    asked = {"batch_size": 1, name: value}
    if name == "clients":
        del asked["batch_size"]
    if value is None and name == "output_tokens":
        assert calculator.speed(plan, **asked).terms[-1].seconds == 0
        return
    if value is None and name in ("batch_size", "clients"):
        refused(lambda: calculator.speed(plan, **asked), "give one of batch_size and clients")
        return
    error = refused(lambda: calculator.speed(plan, **asked), f"{name} must be ")
    assert (error.what, error.asked is value) == (name, True)


def test_a_workload_as_plain_values():
    plain = {
        "requests_per_second": 2.0, "prompt_tokens": 10.0, "output_tokens": 5.0, "prompt_cv": 0.5, "output_cv": 0.25,
        "correlation": 0.0, "shared_prefix_tokens": 3, "max_output_tokens": 7,
    }  # fmt: skip
    found = calculator.Workload(**plain).as_dict()
    assert {name: found[name] for name in plain} == plain
    assert found["num_requests"] is None
    assert {"trace", "times", "prefixes"}.isdisjoint(found)
    assert (
        calculator.workload_from_trace({"input_tokens": [1, 2], "output_tokens": [1, 1]}).as_dict()["num_requests"] == 2
    )
