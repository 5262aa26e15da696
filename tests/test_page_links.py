"""Links with values that cannot be had: what is used in their place is said, and nothing else is lost."""

import pytest
from pages import agrees, change, checked, expected, headline, open_page, unescaped, warnings

# Links with bad values

DEFAULTED, ESTIMATED = "the engine's default", "the estimate"
BAD = [
    ("model", "nope", "unknown model 'nope'", "llama-3-70b"),
    ("model", "lama-3-70b", "did you mean llama-3-70b", "llama-3-70b"),
    ("model", "", "unknown model ''", "llama-3-70b"),
    ("model", "/etc/passwd.json", "unknown model '/etc/passwd.json'", "llama-3-70b"),
    ("model", "x/config.json", "unknown model 'x/config.json'", "llama-3-70b"),
    ("model", "README.md", "unknown model 'README.md'", "llama-3-70b"),
    ("gpu", "<b>x</b>", "unknown GPU '<b>x</b>'", "a100-80gb-sxm"),
    ("gpu", "gpu_presets.yaml", "unknown GPU 'gpu_presets.yaml'", "a100-80gb-sxm"),
    ("tensor_parallel_size", "0", "must lie between 1 and 65,536, not 0", "4"),
    ("tensor_parallel_size", "-4", "must lie between 1 and 65,536, not -4", "4"),
    ("seq_len", "0", "must lie between 1 and 1,000,000,000, not 0", "8192"),
    ("seq_len", "-8192", "must lie between 1 and 1,000,000,000, not -8192", "8192"),
    ("seq_len", "abc", "must be a whole number, not 'abc'", "8192"),
    ("seq_len", "", "must be a whole number, not ''", "8192"),
    ("seq_len", "8192.5", "must be a whole number, not '8192.5'", "8192"),
    ("seq_len", str(10**30), "must lie between 1 and 1,000,000,000, not about 10^30", "8192"),
    ("seq_len", "1e30", "must be a whole number, not '1e30'", "8192"),
    ("seq_len", "²", "must be a whole number, not '²'", "8192"),
    ("batch_size", "NaN", "must be a whole number, not 'NaN'", "16"),
    ("batch_size", "inf", "must be a whole number, not 'inf'", "16"),
    ("gpu_memory_utilization", "1.5", "must lie between 0.01 and 1.0, not 1.5", "the engine's default"),
    ("gpu_memory_utilization", "0", "must lie between 0.01 and 1.0, not 0.0", "the engine's default"),
    ("gpu_memory_utilization", "nan", "must be a number, not 'nan'", "the engine's default"),
    ("gpu_memory_utilization", "x", "must be a number, not 'x'", "the engine's default"),
    ("gpu_memory_gib", "inf", "must lie between 0.1 and 1,000,000.0, not inf", "what the catalogue says"),
    ("kv_cache_memory_gib", "0", "must lie between 0.001 and 1,000,000.0, not 0.0", "what is left"),
    ("weight_dtype", "fp7", "unknown weight format 'fp7'", "auto"),
    ("kv_cache_dtype", "x" * 10_000, "longer than 100 characters", "auto"),
    (
        "view",
        "pie",
        "known are about, engines, kv-heads, kv-in-use, load, memory, parallelism, reconcile",
        "sequence-length",
    ),
    ("log_x", "yes", "must be true or false, not 'yes'", "False"),
    ("activation_gib", "-1", "must lie between 0.0 and 1,000,000.0, not -1.0", ESTIMATED),
    ("max_num_seqs", "99999999", "must lie between 1 and 1,048,576, not 99999999", DEFAULTED),
    ("pipeline_parallel_size", "2000", "must lie between 1 and 1,024, not 2000", "1"),
    ("num_layers", "5", "belongs to model=custom", "nothing"),
    ("tie_word_embeddings", "true", "belongs to model=custom", "nothing"),
    ("config_json", "x", "belongs to model=config", "nothing"),
    ("workload", "nope", "unknown workload 'nope': known are azure-2023-code", "means"),
    ("workload", "/etc/passwd", "unknown workload '/etc/passwd'", "means"),
    ("prompt_tokens", "0", "must lie between 1 and 1,000,000,000, not 0", "1000"),
    ("output_tokens", "2.5", "must be a whole number, not '2.5'", "250"),
    ("prompt_cv", "101", "must lie between 0.0 and 100.0, not 101.0", "1.0"),
    ("correlation", "-1.5", "must lie between -1.0 and 1.0, not -1.5", "0.0"),
    ("risk", "0", "must lie between 1e-06 and 0.5, not 0.0", "0.01"),
    ("risk", "nan", "must be a number, not 'nan'", "0.01"),
    ("requests_per_second", "0", "must lie between 1e-06 and 1,000,000,000.0, not 0.0", "none"),
    ("shared_prefix_tokens", "-1", "must lie between 0 and 1,000,000,000, not -1", "0"),
    ("trace", "x", "belongs to workload=trace", "nothing"),
    (
        "kv_heads",
        "0",
        "must be a whole number from 1 to 65,536, mla, own, list or a list by layer such as 4x40,16x40, not '0'",
        "the model's own",
    ),
    (
        "kv_heads",
        "gqa",
        "must be a whole number from 1 to 65,536, mla, own, list or a list by layer such as 4x40,16x40, not 'gqa'",
        "the model's own",
    ),
    ("constant_parameters", "yes", "must be true or false, not 'yes'", "nothing"),
    ("min_batch_size", "0", "must lie between 1 and 1,000,000,000, not 0", "none"),
    ("max_tpot_s", "inf", "must lie between 1e-06 and 1,000,000.0, not inf", "none"),
    ("without_copies", "1", "must be true or false, not '1'", "nothing"),
    ("seen", "x" * 61, "must be at most 60 characters that can be seen", "nothing"),
    ("seen_of", "layers", "unknown kind of number 'layers'", "what its unit says"),
    ("claim", "a\tb", "must be at most 60 characters that can be seen", "nothing"),
    ("training_tokens", "0", "must lie between 1 and 1,000,000,000,000,000, not 0", "needed"),
    ("share", "1.5", "must lie between 1e-06 and 1.0, not 1.5", "0.05"),
    ("panel", "pie", "known are prefill, uptraining, why", "why"),
]


@pytest.mark.parametrize(
    ("name", "value", "why", "used"), BAD, ids=[f"{case[0]}={case[1][:20] or 'nothing'}" for case in BAD]
)
def test_a_bad_value_in_a_link_is_named_with_the_reason_and_what_is_used(name, value, why, used):
    page = open_page(**{name: value})
    (said,) = warnings(page)
    assert said.startswith(f"The link asked for {name}=")
    assert why in said
    assert said.endswith(f" Used in its place: {used}.")
    assert len(said) < 700
    agrees(page, expected())
    default = page.query_params
    assert default == open_page().query_params


def test_a_degree_in_a_link_that_the_model_cannot_take():
    page = open_page(tensor_parallel_size=3)
    (said,) = warnings(page)
    assert "tensor_parallel_size 3 is not possible: 64 query heads do not divide by 3" in said
    assert "legal are 1, 2, 4, 8, 16, 32, 64, the nearest is 2; that is used" in said
    agrees(page, expected(tensor_parallel_size=2))


def test_an_unknown_parameter_is_named():
    page = open_page(foo="bar", seq_len=4096)
    (said,) = warnings(page)
    assert "'foo'" in said
    assert "left out" in said
    agrees(page, expected(seq_len=4096))
    assert "foo" not in page.query_params


def test_of_many_unknown_parameters_the_first_are_named_and_the_rest_counted():
    page = open_page(**{f"z{number}": "1" for number in range(8)})
    said = warnings(page)
    assert said[:5] == [f"The link names 'z{n}', which this page does not have; it was left out." for n in range(5)]
    assert said[5:] == ["The link names 3 more that this page does not have."]
    agrees(page, expected())


def test_every_bad_value_of_a_link_is_said_and_the_good_ones_are_kept():
    page = open_page(model="nope", seq_len="abc", gpu="h100-sxm", batch_size=4, utilization="1")
    said = warnings(page)
    assert len(said) == 3
    for part in ("model='nope'", "seq_len='abc'", "'utilization'"):
        assert [line for line in said if part in line] != [], part
    agrees(page, expected(gpu="h100-sxm", batch_size=4))


def test_architecture_fields_beside_a_preset_are_said_to_be_left_out():
    page = open_page(num_layers=5)
    agrees(page, expected())
    (said,) = warnings(page)
    assert "num_layers='5': belongs to model=custom" in said
    assert "num_layers" not in page.query_params


# Bounds that the library allows and a widget does not: what is used must be what the link says, or said.
BEYOND_THE_WIDGET = [
    ("gpu_memory_utilization", "0.001"),
    ("gpu_memory_gib", "0"),
    ("gpu_memory_gib", "0.01"),
    ("kv_cache_memory_gib", "0"),
    ("pipeline_parallel_size", "2000"),
    ("max_num_batched_tokens", "16777216"),
]


@pytest.mark.parametrize(
    ("name", "value"), BEYOND_THE_WIDGET, ids=[f"{name}={value}" for name, value in BEYOND_THE_WIDGET]
)
def test_a_link_is_never_changed_in_silence(name, value):
    page = open_page(**{name: value})
    kept = page.query_params.get(name)
    kept_as_asked = kept is not None and float(kept) == float(value)
    said = [text for text in (*warnings(page), *(unescaped(error.value) for error in page.error)) if name in text]
    assert kept_as_asked or said != [], f"{name}={value} became {kept} and nothing was said"


def test_a_request_too_large_for_an_array_is_still_answered():
    page = open_page(seq_len=10**9, batch_size=10**9)
    assert headline(page) == "LLaMA 3 70B on 4 × A100 80GB SXM: not one user of 1,000,000,000 tokens"


def test_more_stages_than_layers_is_refused_with_the_largest():
    page = open_page(pipeline_parallel_size=81)
    said = " ".join(unescaped(error.value) for error in page.error)
    assert "there are 80 layers" in said
    assert "the largest is 80" in said
    assert page.query_params["pipeline_parallel_size"] == "81"
    (nearest, opening) = [button for button in page.button if (button.key or "").startswith("nearest-")]
    assert (nearest.label, opening.label) == ("PP 80", "Open with LLaMA 3 70B on 4 × A100 80GB")
    checked(nearest.click().run())
    agrees(page, expected(pipeline_parallel_size=80))


def test_correcting_an_input_forgets_what_was_said_about_the_link():
    page = open_page(model="nope")
    change(page, "seq_len", 4096)
    assert warnings(page) == []
    agrees(page, expected(seq_len=4096))
