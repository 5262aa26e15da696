"""Check a number one has seen: right, or every single mistake that gives it; never one of several."""

import pytest

import calculator
from calculator.planning.heads.seen.candidates import MISTAKES
from calculator.planning.heads.seen.stated import BINARY, DECIMAL

BATCH = {"seq_len": 8192, "batch_size": 16}


def keys(found):
    return {mistake.key for mistake in found.mistakes}


def test_a_right_number_is_right_to_the_digits_written():
    # 2 x 8 x 128 x 80 x 2 bytes x 8,192 x 16 = 42,949,672,960
    for text in ("42.95 GB", "40.00 GiB", "42,949,672,960 bytes", "42.949673 GB", "43 GB"):
        found = calculator.explain_number(text, "llama-3-70b", **BATCH)
        assert [each.reading for each in found.right] == ["16 sequences, one copy"], text
    for text in ("42.96 GB", "42,949,672,961 bytes", "40.01 GiB"):
        assert calculator.explain_number(text, "llama-3-70b", **BATCH).right == (), text
    assert calculator.explain_number(42.95, "llama-3-70b", "GB", **BATCH).right
    assert calculator.explain_number(42_949_672_960, "llama-3-70b", "bytes", **BATCH).right


@pytest.mark.parametrize(
    ("text", "model", "asked", "mistakes"),
    [
        # 42.95 x 64 / 80: heads taken for layers
        ("34.36 GB", "llama-3-70b", BATCH, {"layers"}),
        # every query head counted, 64 / 8; as is a bit for a byte
        ("343.60 GB", "llama-3-70b", BATCH, {"all_heads", "bits"}),
        # 42.95 x 4 / 8, 8 of 16 bits, K alone, one of two GPUs; one sequence with all heads or in bits; 40 of 80 layers
        # is no mistake of the list
        ("21.47 GB", "llama-3-70b", BATCH, {"kv_heads", "format", "one_of_k_and_v", "gpus", "all_heads", "bits"}),
        # 79 and 81 of 80 layers; 32 as LLaMA 3 8B has; 8, its KV heads: 8 / 80 of 42.95
        ("42.41 GB", "llama-3-70b", BATCH, {"layers"}),
        ("43.49 GB", "llama-3-70b", BATCH, {"layers"}),
        ("17.18 GB", "llama-3-70b", BATCH, {"layers"}),
        ("4.29 GB", "llama-3-70b", BATCH, {"layers", "gpus"}),  # as is one of ten GPUs
        # what 8 of 64 heads save is 7 x 42.95, 300.65; with 64 layers 240.52
        ("240.52 GB", "llama-3-70b", BATCH, {"layers"}),
        # 141.11 + 42.95 are 184.06; with 64 layers 175.47, with MHA's cache 484.70
        ("175.47 GB", "llama-3-70b", BATCH, {"layers"}),
        # a byte for each of 70.55 billion parameters, and one of two GPUs
        ("70.55 GB", "llama-3-70b", BATCH, {"parameters_for_bytes", "gpus"}),
        # 40 GiB called GB
        ("40.00 GB", "llama-3-70b", BATCH, {"binary_for_decimal"}),
        ("42.95 GiB", "llama-3-70b", BATCH, {"binary_for_decimal"}),
        # 32 KiB a layer taken for 32,000 bytes: 10.737 x 1,000 / 1,024
        ("10.5 GB", "llama-1-65b", {"seq_len": 4096}, {"thousands"}),
        ("10.486 GB", "llama-1-65b", {"seq_len": 4096}, {"thousands"}),
        # two mistakes at once are not looked for: 64 heads and 64 layers
        ("274.88 GB", "llama-3-70b", BATCH, set()),
        # hidden 1,024 / 16 heads = 64 in place of 128: 28 layers x 2 x 8 x 64 x 2 = 57,344 bytes a token; half of it
        ("57,344 bytes", "qwen3-0.6b", {"seq_len": 1024},
         {"head_size", "kv_heads", "format", "one_of_k_and_v", "gpus"}),
    ],
)  # fmt: skip
def test_every_single_mistake_that_gives_a_number_is_listed(text, model, asked, mistakes):
    found = calculator.explain_number(text, model, **asked)
    assert found.right == ()
    assert keys(found) == mistakes
    assert found.finding.endswith("No single mistake of the list gives it.") is (not mistakes)


def test_the_other_way_to_274_88_is_found_where_all_heads_are_meant():
    model = calculator.load_model("llama-3-70b").with_kv_heads(64)
    (found,) = calculator.explain_number("274.88 GB", model, **BATCH).mistakes
    assert found.words == "64 layers (its query heads) in place of 80"
    assert found.value == pytest.approx(274.877906944)


def test_none_of_several_is_picked():
    found = calculator.explain_number("21.47 GB", "llama-3-70b", **BATCH)
    assert len(found.mistakes) == 7
    assert "stored in fp8_e4m3 or fp8_e5m2 (16 sequences, one copy)" in found.finding
    assert "Any one of these mistakes gives it" in found.finding
    for mistake in found.mistakes:
        assert mistake.words in found.finding
        assert mistake.value == pytest.approx(21.47483648, rel=1e-9)


@pytest.mark.parametrize(
    ("text", "model", "right", "mistakes"),
    [
        # 46,702,792,704 parameters of which 12,879,925,248 are active
        ("46.7 billion parameters", "mixtral-8x7b", True, set()),
        ("12.9 billion parameters", "mixtral-8x7b", False, {"active"}),
        ("12,879,925,248 parameters", "mixtral-8x7b", False, {"active"}),
        # 70,553,706,496 less 128,256 x 8,192
        ("69.50 billion parameters", "llama-3-70b", False, {"embedding"}),
        # and with 64 KV heads
        ("79.95 billion parameters", "llama-3-70b", False, {"all_heads"}),
        # 1 - 8 / 128; 1 - 2 / 128; 8 / 128
        ("93.75 %", "falcon-40b", True, set()),
        ("98.44 %", "falcon-40b", False, {"kv_heads"}),
        ("6.25 %", "falcon-40b", False, {"kept_for_saved"}),
        ("99.22 %", "falcon-40b", False, {"kv_heads"}),
    ],
)
def test_parameters_and_savings(text, model, right, mistakes):
    found = calculator.explain_number(text, model, seq_len=1024)
    assert bool(found.right) is right
    assert keys(found) == mistakes


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("141.11 GB", None),  # 2 bytes of 70,553,706,496
        ("131.42 GB", {"binary_for_decimal"}),
        ("282.21 GB", {"format"}),
        ("159.90 GB", {"all_heads"}),
        ("139.01 GB", {"embedding"}),
    ],
)
def test_weights(text, mistakes):
    found = calculator.explain_number(text, "llama-3-70b", what="weights", seq_len=8192)
    assert bool(found.right) is (mistakes is None)
    assert keys(found) == (mistakes or set())


def test_the_right_number_beside_it_is_the_nearest():
    found = calculator.explain_number("2.56 MB", "llama-1-65b", seq_len=2048)
    assert found.finding.startswith(
        "2.56 MB is not right for LLaMA 1 65B: 2.62144 MB is, for one token over all layers."
    )
    # without a mistake that says what is meant, the nearest of each kind: both, 141.107 + 42.950, weights, cache
    none = calculator.explain_number("274.88 GB", "llama-3-70b", **BATCH).finding
    assert "184.057 GB is, for weights and the KV cache of 16 sequences; 141.107, for the weights; 42.9497, for" in none
    few = calculator.explain_number("0.04 MB", "llama-1-65b", seq_len=2048)
    assert "0.032768 MB is, for one token in one layer" in few.finding


@pytest.mark.parametrize("layers", [1, 40, 63, 78, 82, 126, 160])
def test_a_number_of_layers_that_is_not_in_the_stated_list_is_no_mistake(layers):
    number = 42_949_672_960 * layers // 80
    found = calculator.explain_number(f"{number} bytes", "llama-3-70b", **BATCH).mistakes
    assert "layers" not in {each.key for each in found if each.reading == "16 sequences, one copy"}


def test_shares_are_looked_for_up_to_sixteen_gpus():
    # 2,684,354,560 bytes of one sequence
    for gpus, there in ((2, True), (16, True), (17, False)):
        found = calculator.explain_number(f"{round(2_684_354_560 / gpus)} bytes", "llama-3-70b", seq_len=8192)
        assert ("gpus" in keys(found)) is there


def test_a_single_kv_head_has_one_copy():
    # Falcon 7B: 2 x 64 x 32 x 2 bytes = 8,192 a token
    found = calculator.explain_number("8,388,608 bytes", "falcon-7b", seq_len=1024)
    assert [each.reading for each in found.right] == ["one sequence of 1,024 tokens, one copy"]


def test_two_sequences_and_one_are_told_apart():
    found = calculator.explain_number("2.684 GB", "llama-3-70b", seq_len=8192, batch_size=2)
    assert [each.reading for each in found.right] == ["one sequence of 8,192 tokens, one copy"]
    assert [each.reading for each in found.expected][:2] == ["2 sequences, one copy", found.right[0].reading]
    assert found.expected[0].value == pytest.approx(5.36870912)


def test_windows_and_latent_vectors():
    # Mistral 7B v0.1 keeps 4,096 tokens of 131,072 bytes; at full length 12,288
    found = calculator.explain_number("1.6106 GB", "mistral-7b-v0.1", seq_len=12_288, what="kv_cache")
    assert [each.words for each in found.mistakes] == ["windows at full length"]
    # DeepSeek V3: 61 layers x 128 heads x (192 + 128) x 2 bytes a token in place of 61 x 576 x 2
    found = calculator.explain_number("4,997,120 bytes", "deepseek-v3", seq_len=4096)
    assert keys(found) == {"expanded"}


def test_a_plan_says_what_it_is_of():
    plan = calculator.plan("llama-3-70b", gpu="h100-sxm", tensor_parallel_size=16, seq_len=8192)
    # 8 KV heads on 16 GPUs: each keeps one, 335,544,320 bytes of a sequence, and all of them twice one copy
    found = calculator.explain_number("335,544,320 bytes", plan)
    assert [each.reading for each in found.right] == ["one of 16 GPUs"]
    assert "copies" not in keys(found)
    found = calculator.explain_number("167,772,160 bytes", plan)  # 2,684,354,560 / 16
    assert found.right == ()
    assert "copies" in keys(found)
    found = calculator.explain_number("5,368,709,120 bytes", plan)
    assert "all 16 GPUs, copies included" in [each.reading for each in found.right]


def test_a_coarse_number_that_many_shares_give_is_one_entry():
    # 1.374 TB: a third of it and less rounds to 0
    found = calculator.explain_number("0 TB", "llama-3-70b", seq_len=8192, batch_size=512, what="kv_cache")
    shares = [each for each in found.mistakes if each.key == "gpus" and "512" in each.reading]
    assert [each.words for each in shares] == [
        "from the share of one of 3 GPUs to the share of one of 16 GPUs"
    ]  # fmt: skip


def test_the_stated_list_is_shown():
    found = calculator.explain_number("1 GB", "llama-3-8b", seq_len=1024)
    assert found.looked_for == MISTAKES
    assert len(DECIMAL) == len(BINARY) == 4
    assert {each.reading for each in found.expected} == {
        "one sequence of 1,024 tokens, one copy", "one token over all layers", "one token in one layer", "the weights",
        "weights and the KV cache of 1 sequence", "saved against multi-head attention, 1 sequence",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "model", "right", "mistakes"),
    [
        # 70,553,706,496 with digits cut off; 671,026,404,352 of which 37,552,282,624 are active, 36.63 billion of them
        # without the embedding of 129,280 x 7,168
        ("70B", "llama-3-70b", {"parameters"}, {"embedding", "kv_heads"}),
        ("70 billion", "llama-3-70b", {"parameters"}, {"embedding", "kv_heads"}),
        ("671 B", "deepseek-v3", {"parameters"}, set()),
        ("671b params", "deepseek-v3", {"parameters"}, set()),
        ("0.671 trillion", "deepseek-v3", {"parameters"}, set()),
        ("37 billion", "deepseek-v3", set(), {"active"}),
        ("37 B active", "deepseek-v3", {"active"}, set()),
        ("141.1 GB", "llama-3-70b", {"weights"}, set()),
        ("141.1 GB of weights", "llama-3-70b", {"weights"}, set()),
        ("184.06 GB", "llama-3-70b", {"total"}, set()),
        ("300.65 GB", "llama-3-70b", {"saved_bytes"}, set()),
        ("320 KiB per token", "llama-3-70b", {"kv_cache"}, set()),
        ("327.68 KB/token", "llama-3-70b", {"kv_cache"}, set()),
        ("4.00 KiB a token and layer", "llama-3-70b", {"kv_cache"}, set()),
        ("4096 B", "llama-3-70b", {"kv_cache"}, set()),
        ("2.5 MB per token", "llama-1-65b", set(), {"binary_for_decimal"}),  # 2.5 MiB
        ("141.1 GB per GPU", "llama-3-70b", {"weights"}, set()),
        ("2.684 GB per user", "llama-3-70b", {"kv_cache"}, set()),
    ],
)
def test_numbers_as_people_write_them(text, model, right, mistakes):
    found = calculator.explain_number(text, model, **BATCH)
    assert {each.what for each in found.right} == right
    assert keys(found) == mistakes


@pytest.mark.parametrize(
    ("text", "model", "numbers"),
    [
        ("274.88 GB", "llama-3-70b", [22, 34]),
        ("240.52 GB", "llama-3-8b", [24]),  # whatever model it is asked of
        ("34.36 GB", "llama-3-70b", [21, 34]),
        ("98.4 %", "llama-3-70b", [15, 19]),
        ("10.5 GB", "llama-1-65b", [13]),
        ("12.34 GB", "llama-3-70b", []),
        ("275 GB", "llama-3-70b", [22, 34]),
        ("0 GB", "llama-3-70b", []),  # too coarse to be any of them
    ],
)
def test_claims_that_say_a_number_are_named(text, model, numbers):
    found = calculator.explain_number(text, model, **BATCH)
    assert [claim.number for claim in found.claims] == numbers
    if numbers:
        assert f"{', '.join(map(str, numbers))}." in found.finding.split("It circulates: ")[1]


def test_a_cause_is_named_once_where_every_gpu_keeps_its_share():
    # TP 4 of 8 KV heads: nothing is copied, all GPUs together keep one copy
    plan = calculator.plan("llama-3-70b", gpu="h100-sxm", tensor_parallel_size=4, **BATCH)
    found = calculator.explain_number("34.36 GB", plan)
    assert [(each.key, each.reading) for each in found.mistakes] == [("layers", "16 sequences, one copy")]


def test_speeds_are_judged_by_the_estimate_and_by_what_memory_can_be_read():
    plan = calculator.plan("llama-3-70b", gpu="a100-80gb-sxm", tensor_parallel_size=4, seq_len=4096, batch_size=32)
    fast = calculator.speed(plan, 32, 4096, None)
    for text in (f"{fast.output_tokens_per_second:.1f} tokens/s", f"{1e3 * fast.time_per_output_token_s:.2f} ms"):
        assert {each.reading.split(" of ")[0] for each in calculator.explain_number(text, plan).right} & {
            "32 users", "a token with 32 users",
        }  # fmt: skip
    one = calculator.explain_number(f"{fast.output_tokens_per_second / 32:.2f} tokens/s per user", plan)
    assert "one of 32 users of 4,096 tokens" in {each.reading for each in one.right}
    # 69.5 billion parameters of 2 bytes over 4 x 2,039 GB/s: no step is shorter than 17.04 ms
    alone = calculator.explain_number("17.04 ms", plan)
    assert "weights_alone" in keys(alone)
    for text in ("1.25 ms", "25,600 tokens/s"):
        assert "It is not possible" in calculator.explain_number(text, plan).finding
    assert "It is not possible" not in alone.finding or fast.time_per_output_token_s > 17.04e-3
    assert 26 in {claim.number for claim in calculator.explain_number("4,000 tokens/s", plan).claims}


def test_a_speed_without_a_device_asks_for_a_plan():
    with pytest.raises(calculator.InvalidValueError, match="tokens a second depend on the GPU: give a plan"):
        calculator.explain_number("800 tokens/s", "llama-3-70b")


@pytest.mark.parametrize(
    ("value", "asked", "sentence"),
    [
        ("about 5 GB", {}, "value must be a number such as 34.36, or a text such as 34.36 GB"),
        ("-5 GB", {}, "value must be a number"),
        (True, {}, "value must be a number"),
        ("nan", {}, "value must be a number"),
        ("5", {}, "unit is missing"),
        ("5 G", {}, "unknown unit 'G'"),
        ("5 GB", {"unit": "GiB"}, "value is written in 'GB', and unit says 'GiB'"),
        ("5 GB", {"what": "parameters"}, "unit 'GB' does not go with parameters"),
        ("5 GB", {"what": "kv"}, "unknown kind of number 'kv'"),
        ("5 GB of cheese", {}, "unknown unit 'GB of cheese'"),
        ("5 Gb", {}, "unknown unit 'Gb'"),
        ("5 GB of weights", {"what": "kv_cache"}, "value says weights, and what says kv_cache"),
        ("5 GB", {"seq_len": 0}, "seq_len must be at least 1"),
        ("5 GB", {"tensor_parallel_size": 3}, "64 query heads do not divide by 3"),
        ("5 GB", {"kv_cache_dtype": "fp17"}, "unknown"),
    ],
)
def test_what_is_no_number_is_refused(value, asked, sentence):
    with pytest.raises(calculator.CalculatorError) as caught:
        calculator.explain_number(value, "llama-3-70b", **asked)
    assert sentence in str(caught.value)
