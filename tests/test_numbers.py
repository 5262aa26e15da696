"""Check a number one has seen: right, or every single mistake that gives it; never one of several."""

import pytest

import calculator
from calculator.planning.heads.mistakes import BINARY, DECIMAL, MISTAKES

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
        # 42.95 x 4 / 8, 8 of 16 bits, K alone, 40 of 80 layers, one of two GPUs; one sequence with all heads or in bits
        ("21.47 GB", "llama-3-70b", BATCH,
         {"kv_heads", "format", "one_of_k_and_v", "layers", "gpus", "all_heads", "bits"}),
        # 40 GiB called GB
        ("40.00 GB", "llama-3-70b", BATCH, {"binary_for_decimal"}),
        ("42.95 GiB", "llama-3-70b", BATCH, {"binary_for_decimal"}),
        # 32 KiB a layer taken for 32,000 bytes: 10.737 x 1,000 / 1,024; 78 of 80 layers give 10.469 as well
        ("10.5 GB", "llama-1-65b", {"seq_len": 4096}, {"thousands", "layers"}),
        ("10.486 GB", "llama-1-65b", {"seq_len": 4096}, {"thousands"}),
        # two mistakes at once are not looked for: 64 heads and 64 layers
        ("274.88 GB", "llama-3-70b", BATCH, set()),
        # hidden 1,024 / 16 heads = 64 in place of 128: 28 layers x 2 x 8 x 64 x 2 = 57,344 bytes a token; half of it
        ("57,344 bytes", "qwen3-0.6b", {"seq_len": 1024},
         {"head_size", "kv_heads", "format", "one_of_k_and_v", "layers", "gpus"}),
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
    assert len(found.mistakes) == 8
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
    few = calculator.explain_number("0.04 MB", "llama-1-65b", seq_len=2048)
    assert "0.032768 MB is, for one token in one layer" in few.finding


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (42_949_672_960 * 159 // 80, "159 layers in place of 80"),
        (42_949_672_960 * 160 // 80, "160 layers in place of 80"),
        (42_949_672_960 // 80, "1 layer in place of 80"),
        (42_949_672_960 * 161 // 80, None),
    ],
)
def test_how_far_layers_and_gpus_are_looked_for(number, words):
    found = calculator.explain_number(f"{number} bytes", "llama-3-70b", **BATCH).mistakes
    of_batch = [each.words for each in found if each.reading == "16 sequences, one copy"]
    assert (words in of_batch) if words else of_batch == []


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
    found = calculator.explain_number("1.6106 GB", "mistral-7b-v0.1", seq_len=12_288)
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


def test_a_coarse_number_that_many_layer_counts_give_is_one_entry():
    found = calculator.explain_number("4 TB", "llama-3-70b", seq_len=8192, batch_size=2048)
    layers = [each for each in found.mistakes if each.key == "layers" and "2,048" in each.reading]
    # 5.498 TB over 80 layers: 51 to 65 of them round to 4
    assert [each.words for each in layers] == [
        "from 51 layers in place of 80 to 65 layers in place of 80"
    ]  # fmt: skip


def test_the_stated_list_is_shown():
    found = calculator.explain_number("1 GB", "llama-3-8b", seq_len=1024)
    assert found.looked_for == MISTAKES
    assert len(DECIMAL) == len(BINARY) == 4
    assert {each.reading for each in found.expected} == {
        "one sequence of 1,024 tokens, one copy", "one token over all layers", "one token in one layer",
    }  # fmt: skip


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
        ("5 GB", {"seq_len": 0}, "seq_len must be at least 1"),
        ("5 GB", {"tensor_parallel_size": 3}, "64 query heads do not divide by 3"),
        ("5 GB", {"kv_cache_dtype": "fp17"}, "unknown"),
    ],
)
def test_what_is_no_number_is_refused(value, asked, sentence):
    with pytest.raises(calculator.CalculatorError) as caught:
        calculator.explain_number(value, "llama-3-70b", **asked)
    assert sentence in str(caught.value)
