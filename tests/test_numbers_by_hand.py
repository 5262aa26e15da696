"""What a number one has seen is held against, all of it, worked out here from the sizes of a small model."""

from fractions import Fraction

import pytest

import calculator
from calculator.formats.kv import storage_format
from calculator.planning.heads.seen import cache, weights
from calculator.planning.heads.seen.candidates import Asked
from calculator.planning.heads.seen.check import explain_number
from calculator.planning.heads.seen.circulating import _numbers
from calculator.planning.heads.seen.stated import parse, unit_of

LAYERS, HEADS, KV, SIZE, HIDDEN, INNER, VOCAB = 6, 8, 4, 32, 512, 1024, 1000
BYTES, PARAMETERS = {"kv_cache", "weights", "total", "saved_bytes"}, {"parameters", "active"}
SIXTEEN = range(2, 17)


@pytest.fixture
def model(fields):
    return calculator.custom_model(**fields | {"num_layers": LAYERS, "head_dim": SIZE})


def asked(model, **other):
    given = {"seq_len": 100, "batch_size": 3, "tensor_parallel_size": 1, "unit": "bytes"} | other
    return Asked(model, storage=storage_format("fp16"), weight_dtype="bf16", **given)


@pytest.mark.parametrize(
    ("names", "scale", "kinds"),
    [
        ("bytes byte BYTES", 1, BYTES), ("KB kb", 1000, BYTES), ("MB", 10**6, BYTES), ("GB gb", 10**9, BYTES),
        ("TB", 10**12, BYTES), ("KiB kib", 1024, BYTES), ("MiB", 1024**2, BYTES), ("GiB", 1024**3, BYTES),
        ("TiB", 1024**4, BYTES), ("parameters params parameter param", 1, PARAMETERS),
        ("million mn M", 10**6, PARAMETERS), ("billion bn", 10**9, PARAMETERS), ("trillion tn T", 10**12, PARAMETERS),
        ("% percent", Fraction(1, 100), {"saving"}), ("ms milliseconds", Fraction(1, 1000), {"step_time"}),
        ("s sec second seconds", 1, {"step_time"}),
        ("tokens/s tok/s token/s t/s tps tokens/sec tokens/second tok/sec TOKENS/S", 1, {"speed"}),
    ],
)  # fmt: skip
def test_what_one_of_a_unit_is(names, scale, kinds):
    for name in names.split():
        found = parse("1", name).unit
        assert found.scales == dict.fromkeys(kinds, scale), name


@pytest.mark.parametrize(
    ("written", "scale"),
    [
        ("per cent", Fraction(1, 100)), ("billion parameters", 10**9), ("million params", 10**6), ("b params", 10**9),
        ("bn params", 10**9), ("m parameter", 10**6), ("trillion parameters", 10**12), ("t params", 10**12),
        ("tokens per second", 1), ("tok a sec", 1), ("t/secs", 1), ("token / seconds", 1),
    ],
)  # fmt: skip
def test_a_unit_of_several_words(written, scale):
    found, each, of = unit_of(written)
    assert set(found.scales.values()) == {scale}
    assert (each, of) == ("", "")


def test_b_alone_is_billions_of_parameters_or_bytes():
    assert unit_of("B")[0].scales == dict.fromkeys(PARAMETERS, 10**9) | dict.fromkeys(BYTES, 1)
    assert unit_of("b")[0].scales["parameters"] == 10**9
    with pytest.raises(calculator.UnknownNameError):  # a bit to many
        unit_of("Kb")


@pytest.mark.parametrize(
    ("words", "each", "of"),
    [
        ("GB per token", "token", ""), ("GB/tok", "token", ""), ("GB a layer", "layer", ""), ("GB/gpu", "gpu", ""),
        ("GB per card", "gpu", ""), ("GB per device", "gpu", ""), ("GB for each rank", "gpu", ""),
        ("GB per sequence", "sequence", ""), ("GB per request", "sequence", ""), ("GB per user", "sequence", ""),
        ("GB/seq", "sequence", ""), ("GB in tokens and layers", "layer", ""), ("GB of the weights", "", "weights"),
        ("GB of weight", "", "weights"), ("GB kv", "", "kv_cache"), ("GB cache", "", "kv_cache"),
        ("GB kv cache per gpu", "gpu", "kv_cache"), ("GB total", "", "total"), ("B parameters", "", ""),
        ("million active", "", "active"), ("B active params", "", "active"), ("M params", "", ""),
        ("ms per token", "", ""), ("s a token", "", ""), ("tokens/s per user", "sequence", ""),
        ("tokens/s of all users", "", ""), ("tokens per second of the requests", "", ""),
        ("tokens/s of all sequences", "", ""),
    ],
)  # fmt: skip
def test_what_a_number_says_that_it_is_of(words, each, of):
    assert unit_of(words)[1:] == (each, of)


@pytest.mark.parametrize("words", ["GB per token per gpu", "GB weights total", "GB active", "% of weights", "GB per"])
def test_two_places_or_kinds_at_once_are_no_unit(words):
    if words == "GB per":
        assert unit_of(words)[1:] == ("", "")
    else:
        with pytest.raises(calculator.UnknownNameError, match="unknown unit"):
            unit_of(words)


@pytest.mark.parametrize(
    ("written", "number", "half"),
    [("1,234.50 GB", Fraction("1234.5"), Fraction("0.005")), ("7 GB", 7, Fraction(1, 2)),
     ("1,234 GB", 1234, Fraction(1, 2)), ("0.1 GB", Fraction(1, 10), Fraction(1, 20))],
)  # fmt: skip
def test_digits_as_written(written, number, half):
    stated = parse(written)
    assert (stated.number, stated.half) == (number, half)


def test_a_cache_with_each_single_mistake(model):
    # 2 rows of 32 values of 2 bytes for 4 heads: 512 bytes a layer; 6 layers, 100 tokens, 3 sequences
    layer = 2 * KV * SIZE * 2
    rights = {
        "3 sequences, one copy": layer * LAYERS * 300, "one sequence of 100 tokens, one copy": layer * LAYERS * 100,
        "one token over all layers": layer * LAYERS, "one token in one layer": layer,
    }  # fmt: skip
    found = list(cache.cache_candidates(asked(model)))
    assert {each.reading: each.number for each in found if not each.key} == rights
    for reading, right in rights.items():
        expected = {("all_heads", right * HEADS // KV), ("kv_heads", right // 2), ("kv_heads", right // 4)}
        expected |= {("one_of_k_and_v", right // 2), ("head_size", right * (HIDDEN // HEADS) // SIZE)}
        expected |= {("thousands", Fraction(right * 1000, 1024)), ("bits", 8 * right)}
        expected |= {("gpus", Fraction(right, gpus)) for gpus in SIXTEEN}
        if reading != "one token in one layer":  # 4 KV heads, 8 query heads, one fewer and one more
            expected |= {("layers", Fraction(right * layers, LAYERS)) for layers in (4, 5, 7, 8)}
        mine = {(each.key, each.number) for each in found if each.reading == reading and each.key not in ("", "format")}
        assert mine == expected
        stored = {each.words: each.number / right for each in found if (each.reading, each.key) == (reading, "format")}
        # a row of 32 values: 34 bytes with a 16 bit scale for each 32 (q8_0), 18 with 4 bit (q4_0)
        assert stored["stored in fp32"] == 2
        assert stored["stored in fp16 or bf16"] == 1
        assert stored["stored in fp8_e4m3 or fp8_e5m2"] == Fraction(1, 2)
        assert stored["stored in q8_0"] == Fraction(34, 64)


def test_a_cache_of_gpus_that_copy_heads(model):
    # 8 GPUs, 4 KV heads: each keeps one, all of them two copies of 2 x 4 x 32 x 2 x 6 x 300 = 921,600 bytes
    found = list(cache.cache_candidates(asked(model, tensor_parallel_size=8)))
    rights = {each.reading: each.number for each in found if not each.key}
    assert rights["3 sequences, one copy"] == 921_600
    assert rights["one of 8 GPUs"] == 230_400
    assert rights["all 8 GPUs, copies included"] == 1_843_200
    copies = {each.reading: each.number for each in found if each.key == "copies"}
    assert copies["3 sequences, one copy"] == 115_200
    assert "gpus" not in {each.key for each in found}
    # 4 GPUs keep a head each: nothing is copied, and the share of a GPU is right
    found = list(cache.cache_candidates(asked(model, tensor_parallel_size=4)))
    assert {each.reading for each in found if not each.key and each.number in (921_600, 230_400)} == {
        "3 sequences, one copy", "one of 4 GPUs",
    }  # fmt: skip
    assert {"copies", "gpus"}.isdisjoint(each.key for each in found)
    for each, reading in (("gpu", "3 sequences, one copy"), ("token", "one token over all layers")):
        assert {one.reading for one in cache.cache_candidates(asked(model, each=each))} == {reading}
    for batch, reading in ((1, "one sequence of 100 tokens, one copy"), (2, "2 sequences, one copy")):
        alone = cache.cache_candidates(asked(model, each="gpu", batch_size=batch))
        assert {one.reading for one in alone} == {reading}


@pytest.mark.parametrize("small", ["KB", "MB", "GB", "TB"])
def test_a_power_of_1024_for_one_of_1000(model, small):
    large, power = small[0] + "iB", "KMGT".index(small[0]) + 1
    for unit, factor in ((small, Fraction(1000, 1024)), (large, Fraction(1024, 1000))):
        found = cache.cache_candidates(asked(model, unit=unit))
        numbers = {each.reading: each.number for each in found if each.key == "binary_for_decimal"}
        assert numbers["one token in one layer"] == 512 * factor**power


def test_what_is_saved_with_each_single_mistake(model):
    # 8 heads in place of 4 double the cache: as much is saved as is kept, 921,600 bytes
    found = list(cache.saved_candidates(asked(model)))
    mine = {(each.key, each.number) for each in found}
    assert mine == {("", 921_600), ("thousands", 900_000), ("bits", 7_372_800)} | {
        ("layers", 153_600 * layers) for layers in (4, 5, 7, 8)
    }
    assert list(cache.saved_candidates(asked(model, each="token"))) == []
    assert list(cache.saved_candidates(asked(model.with_kv_heads(8)))) == []


def parameters(heads=KV):
    # Q and output of 8 heads, K and V, gate, up and down, two norms; one embedding, which is the head; the last norm
    layer = 2 * HIDDEN * HEADS * SIZE + 2 * HIDDEN * heads * SIZE + 3 * HIDDEN * INNER + 2 * HIDDEN
    return LAYERS * layer + VOCAB * HIDDEN + HIDDEN


def test_parameters_and_weights_with_each_single_mistake(model):
    whole, embedding = parameters(), VOCAB * HIDDEN
    counted = {("", whole), ("embedding", whole - embedding), ("tied", whole + embedding), ("all_heads", parameters(8))}
    counted |= {("kv_heads", parameters(2)), ("kv_heads", parameters(1))}
    assert {(each.key, each.number) for each in weights.parameter_candidates(asked(model))} == counted
    found = list(weights.weight_candidates(asked(model)))
    expected = {(key, 2 * number) for key, number in counted} | {("parameters_for_bytes", whole)}
    expected |= {("thousands", Fraction(whole * 2000, 1024)), ("bits", 16 * whole)}
    expected |= {("gpus", Fraction(2 * whole, gpus)) for gpus in SIXTEEN}
    assert {(each.key, each.number) for each in found if each.key != "format"} == expected
    stored = {each.words: each.number for each in found if each.key == "format"}
    assert stored["stored in fp32"] == 4 * whole
    assert next(stored[key] for key in stored if "bf16" in key) == 2 * whole
    # two GPUs: half of every matrix and of the embedding, all 13 norms
    two = list(weights.weight_candidates(asked(model, tensor_parallel_size=2)))
    norms = (2 * LAYERS + 1) * HIDDEN
    assert {each.reading: each.number for each in two if not each.key} == {
        "the weights": 2 * whole, "the weights on one of 2 GPUs": whole - norms + 2 * norms,
    }  # fmt: skip
    assert "gpus" not in {each.key for each in two}
    (one,) = (
        each for each in weights.weight_candidates(asked(model, tensor_parallel_size=2, each="gpu")) if not each.key
    )
    assert one.number == whole + norms
    assert {each.number for each in weights.weight_candidates(asked(model, each="gpu")) if not each.key} == {2 * whole}


def test_a_total_with_each_single_mistake(model):
    whole, kept = 2 * parameters(), 921_600
    found = list(weights.total_candidates(asked(model)))
    mine = {(each.key, each.number) for each in found if each.key != "format"}
    expected = {("", whole + kept), ("thousands", Fraction((whole + kept) * 1000, 1024)), ("bits", 8 * (whole + kept))}
    expected |= {("layers", whole + 153_600 * layers) for layers in (4, 5, 7, 8)}
    expected |= {("all_heads", whole + 2 * kept), ("kv_heads", whole + kept // 2), ("kv_heads", whole + kept // 4)}
    expected |= {("one_of_k_and_v", whole + kept // 2), ("head_size", whole + 2 * kept)}
    expected |= {("all_heads", 2 * parameters(8) + kept), ("kv_heads", 2 * parameters(2) + kept)}
    expected |= {("kv_heads", 2 * parameters(1) + kept), ("parameters_for_bytes", whole // 2 + kept)}
    expected |= {("embedding", whole - 2 * VOCAB * HIDDEN + kept), ("tied", whole + 2 * VOCAB * HIDDEN + kept)}
    assert mine == expected
    of_gpu = asked(model, tensor_parallel_size=2, each="gpu")
    assert list(weights.total_candidates(of_gpu)) == []


def test_a_saving_with_each_single_mistake(model):
    found = {(each.key, each.number) for each in weights.saving_candidates(asked(model))}
    half, three, seven = Fraction(1, 2), Fraction(3, 4), Fraction(7, 8)  # of 8 heads 4, 2, 1
    assert found == {("", half), ("kept_for_saved", half), ("all_heads", 0), ("kv_heads", three), ("kv_heads", seven)}


def test_active_parameters_are_counted_with_and_without_the_embedding():
    # Mixtral 8x7B: 12,879,925,248 active, an embedding of 32,000 x 4,096
    mixtral = calculator.load_model("mixtral-8x7b")
    found = [each.number for each in weights.active_candidates(asked(mixtral))]
    assert found == [12_879_925_248, 12_879_925_248 - 32_000 * 4096]
    wrong = {each.number for each in weights.parameter_candidates(asked(mixtral)) if each.key == "active"}
    assert wrong == set(found)


@pytest.mark.parametrize(
    ("layers", "written", "right"),
    [(25, "12 KB", True), (25, "13 KB", True), (25, "11 KB", False), (25, "12.5 KB", True), (25, "12.4 KB", False)],
)
def test_a_number_is_right_up_to_half_of_its_last_digit(fields, layers, written, right):
    # one head of 125: 2 x 125 x 2 bytes x 25 layers = 12,500
    model = calculator.custom_model(
        **fields | {"num_layers": layers, "num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": 125}
    )
    assert bool(explain_number(written, model, seq_len=1, what="kv_cache").right) is right


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        # shares of 15,000 bytes that round to 1 KB are 0.5 to 1.5: of 10 to 16 GPUs, seven, said as one
        (30, ["from the share of one of 10 GPUs to the share of one of 16 GPUs"]),
        # of 16,000 bytes those of 11 to 16, six
        (32, [f"the share of one of {gpus} GPUs" for gpus in range(11, 17)]),
    ],
)
def test_six_of_a_kind_are_listed_and_seven_are_one(fields, layers, words):
    model = calculator.custom_model(
        **fields | {"num_layers": layers, "num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": 125}
    )
    found = explain_number("1 KB", model, seq_len=1, what="kv_cache").mistakes
    assert [each.words for each in found if each.key == "gpus" and "sequence" in each.reading] == words


def test_a_finding_names_twelve_ways_and_counts_the_rest():
    found = calculator.explain_number("0 TB", "llama-3-8b", seq_len=8)
    more = len(found.mistakes) - 12
    assert more > 0
    assert found.finding.endswith(f"And {more} more.")
    said = found.finding.split("Any one of these mistakes gives it: ")[1].split(". And ")[0]
    assert len(said.split("); ")) == 12


def test_the_stated_list_has_these_mistakes():
    assert explain_number("1 GB", "llama-3-8b", seq_len=8).looked_for.keys() == {
        "layers", "all_heads", "kv_heads", "one_of_k_and_v", "head_size", "format", "binary_for_decimal", "thousands",
        "gpus", "copies", "windows", "expanded", "bits", "active", "embedding", "tied", "parameters_for_bytes",
        "kept_for_saved", "nameplate", "weights_alone",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "what", "kinds"),
    [
        ("1 GB per layer", "kv_cache", "kv_cache"), ("1 GB per token", "kv_cache", "kv_cache"),
        ("1 GB per sequence", "kv_cache", "kv_cache"), ("1 GB per gpu", "", "kv_cache weights total"),
        ("1 B active", "active", "active"), ("1 %", "saving", "saving"), ("1 GB weights", "weights", "weights"),
        ("1 GB", "", "kv_cache weights total saved_bytes"), ("1 million", "parameters", "parameters"),
        ("1 B", "", "parameters kv_cache weights total saved_bytes"),
    ],
)  # fmt: skip
def test_what_a_number_is_looked_at_as(text, what, kinds):
    found = explain_number(text, "llama-3-8b", seq_len=8)
    assert found.what == what
    assert {each.what for each in found.expected} == set(kinds.split())


def test_reading_alone_bounds_a_speed():
    plan = calculator.plan("llama-3-70b", gpu="a100-80gb-sxm", tensor_parallel_size=4, seq_len=4096, batch_size=32)
    # (70,553,706,496 - 128,256 x 8,192) x 2 bytes, and 32 x 4,096 x 327,680, over 4 x 2,039 GB/s
    weights_s = (70_553_706_496 - 128_256 * 8192) * 2 / (4 * 2039e9)
    read_s = weights_s + 32 * 4096 * 327_680 / (4 * 2039e9)
    for key, seconds in (("weights_alone", weights_s), ("nameplate", read_s)):
        found = calculator.explain_number(f"{1e3 * seconds:.9f} ms", plan).mistakes
        assert {each.key for each in found if each.reading == "a token with 32 users of 4,096 tokens"} == {key}
        for text, reading in (("tokens/s", "32 users of 4,096 tokens together"),
                              ("tokens/s per user", "one of 32 users of 4,096 tokens")):  # fmt: skip
            number = (32 if "together" in reading else 1) / seconds
            found = calculator.explain_number(f"{number:.9f} {text}", plan).mistakes
            assert key in {each.key for each in found if each.reading == reading}
    # the shortest step is that of the fewest sequences, 32; most tokens a second come from the most
    short = calculator.explain_number("1 ms", plan).finding
    assert f"with 32 users reading weights and cache alone takes {1e3 * read_s:.3g} ms a step." in short
    most = plan.max_batch_size
    assert most > 32
    many_s = weights_s + most * 4096 * 327_680 / (4 * 2039e9)
    fast = calculator.explain_number("90,000 tokens/s", plan).finding
    assert f"with {most} users reading weights and cache alone takes {1e3 * many_s:.3g} ms a step, so at most" in fast
    assert f"at most {most / many_s:,.0f} tokens/s" in fast
    of_one = calculator.explain_number("90,000 tokens/s per user", plan).finding
    assert f"with 32 users reading weights and cache alone takes {1e3 * read_s:.3g} ms a step, so at most" in of_one
    assert f"at most {1 / read_s:,.0f} tokens/s" in of_one


def test_an_estimate_is_right_within_its_range_and_no_further():
    plan = calculator.plan("llama-3-8b", gpu="h100-sxm", seq_len=4096, batch_size=4)
    fast = calculator.speed(plan, 4, 4096, None)
    low, high = 1e3 * fast.time_per_output_token_s_low, 1e3 * fast.time_per_output_token_s_high
    for number, right in ((1.001 * low, True), (0.999 * high, True), (0.98 * low, False), (1.02 * high, False)):
        found = calculator.explain_number(f"{number:.6f} ms", plan)
        assert ("a token with 4 users of 4,096 tokens" in {each.reading for each in found.right}) is right


def test_what_is_asked_otherwise_than_the_plan_is_planned_anew():
    # 8,192 tokens in place of 4,096: twice the cache
    plan = calculator.plan("llama-3-8b", gpu="h100-sxm", seq_len=4096, batch_size=4)
    for tokens in (4096, 8192):
        found = calculator.explain_number("17.04 ms", plan, seq_len=tokens)
        assert f"a token with 4 users of {tokens:,} tokens" in {each.reading for each in found.expected}
        total = calculator.plan("llama-3-8b", gpu="h100-sxm", seq_len=tokens, batch_size=4).per_gpu.total_bytes
        found = calculator.explain_number(f"{total} bytes", plan, seq_len=tokens, what="total")
        assert [each.reading for each in found.right] == ["all that one GPU holds, overheads included"]


def test_numbers_of_a_claim_are_read_with_their_digits():
    found = list(_numbers("It takes 1,234.5 GB, 12 and 0.25 GB, or 93.75 %; in 1998 nobody knew."))
    tenth, one, hundredth = Fraction(1, 20), Fraction(1, 2), Fraction(1, 200)
    assert found == [
        (Fraction("1234.5"), tenth, "GB"), (12, one, "GB"), (Fraction("0.25"), hundredth, "GB"),
        (Fraction("93.75"), hundredth, "%"),
    ]  # fmt: skip
