"""Studies of KV heads and plans beside one another: stated numbers, widths, FLOPs, conversions, drafters, grids."""

from dataclasses import replace
from fractions import Fraction

import numpy
import pytest

import calculator
from calculator.architecture.groups import LayerGroup
from calculator.architecture.layers import CrossAttention, FullAttention, NoCache, SlidingWindow
from calculator.architecture.matrices import Sharding, WeightMatrix
from calculator.planning.comparing.compare import _added, _called, written
from calculator.planning.drafts import draft_of
from calculator.planning.heads.constant import _widened, mlp_width
from calculator.planning.heads.intensity import attention_flops_of_token, query_bytes, ridge_of
from calculator.planning.heads.seen.stated import parse
from calculator.planning.kv_cache import size_of
from calculator.planning.sweep.axes import _check_heads, _check_size
from calculator.request.speculation import checked

COLUMNS, ROWS, KV_HEADS, COPIED = Sharding.COLUMNS, Sharding.ROWS, Sharding.KV_HEADS, Sharding.COPIED


def llama(**asked):
    return calculator.plan("llama-3.1-8b", "h100-sxm", seq_len=4_096, **asked)


# Numbers as people write them


@pytest.mark.parametrize(
    ("text", "kind", "one", "half", "each", "of"),
    # what one of the unit is, half of the last digit in it
    [
        ("5 bytes", "kv_cache", 1, "1/2", "", ""), ("5 byte", "total", 1, "1/2", "", ""),
        ("5.0 KB", "weights", 10**3, "1/20", "", ""), ("5 MB", "saved_bytes", 10**6, "1/2", "", ""),
        ("5 GB", "total", 10**9, "1/2", "", ""), ("5.25 TB", "kv_cache", 10**12, "1/200", "", ""),
        ("5 KiB", "weights", 2**10, "1/2", "", ""), ("5 mib", "weights", 2**20, "1/2", "", ""),
        ("5 GiB", "weights", 2**30, "1/2", "", ""), ("5 TiB", "weights", 2**40, "1/2", "", ""),
        ("5 parameters", "active", 1, "1/2", "", ""), ("5 params", "parameters", 1, "1/2", "", ""),
        ("5 param", "parameters", 1, "1/2", "", ""), ("5 parameter", "parameters", 1, "1/2", "", ""),
        ("5 million", "parameters", 10**6, "1/2", "", ""), ("5 mn", "active", 10**6, "1/2", "", ""),
        ("5 M", "active", 10**6, "1/2", "", ""), ("5 T", "parameters", 10**12, "1/2", "", ""),
        ("5 bn", "parameters", 10**9, "1/2", "", ""), ("5 tn", "parameters", 10**12, "1/2", "", ""),
        ("5 billion params", "parameters", 10**9, "1/2", "", ""), ("5 m parameters", "active", 10**6, "1/2", "", ""),
        ("5 T params", "active", 10**12, "1/2", "", ""), ("5 bn parameter", "active", 10**9, "1/2", "", ""),
        ("5 B", "parameters", 10**9, "1/2", "", ""), ("5 B", "kv_cache", 1, "1/2", "", ""),
        ("5 %", "saving", "1/100", "1/2", "", ""), ("5 percent", "saving", "1/100", "1/2", "", ""),
        ("5 per cent", "saving", "1/100", "1/2", "", ""), ("5 ms", "step_time", "1/1000", "1/2", "", ""),
        ("5 milliseconds", "step_time", "1/1000", "1/2", "", ""), ("5 s", "step_time", 1, "1/2", "", ""),
        ("5 sec", "step_time", 1, "1/2", "", ""), ("5 second", "step_time", 1, "1/2", "", ""),
        ("5 seconds", "step_time", 1, "1/2", "", ""), ("5 tps", "speed", 1, "1/2", "", ""),
        ("5 t/s", "speed", 1, "1/2", "", ""), ("5 tok/s", "speed", 1, "1/2", "", ""),
        ("5 token/s", "speed", 1, "1/2", "", ""), ("5 tokens/sec", "speed", 1, "1/2", "", ""),
        ("5 tokens per second", "speed", 1, "1/2", "", ""), ("5 tokens a second", "speed", 1, "1/2", "", ""),
        ("5 tok/sec per user", "speed", 1, "1/2", "sequence", ""),
        ("5 ms per token", "step_time", "1/1000", "1/2", "", ""),
        ("5 GB per card", "weights", 10**9, "1/2", "gpu", ""), ("5 GB a device", "weights", 10**9, "1/2", "gpu", ""),
        ("5 GB/rank", "weights", 10**9, "1/2", "gpu", ""), ("5 GB each GPU", "weights", 10**9, "1/2", "gpu", ""),
        ("5 KB per tok", "kv_cache", 10**3, "1/2", "token", ""),
        ("5 KB per layer", "kv_cache", 10**3, "1/2", "layer", ""),
        ("5 KB per token and layer", "kv_cache", 10**3, "1/2", "layer", ""),
        ("5 GB per request", "kv_cache", 10**9, "1/2", "sequence", ""),
        ("5 GB per seq", "kv_cache", 10**9, "1/2", "sequence", ""),
        ("5 GB for sequences", "kv_cache", 10**9, "1/2", "sequence", ""),
        ("5 GB of weights", "weights", 10**9, "1/2", "", "weights"),
        ("5 GB weight", "weights", 10**9, "1/2", "", "weights"),
        ("5 GB of KV cache", "kv_cache", 10**9, "1/2", "", "kv_cache"),
        ("5 GB total", "total", 10**9, "1/2", "", "total"),
        ("5 B active params", "active", 10**9, "1/2", "", "active"),
        ("5 B active", "active", 10**9, "1/2", "", "active"),
        ("5 KV of weights", None, None, None, None, None), ("5 GB of active", None, None, None, None, None),
        ("5 GB of weights and cache", None, None, None, None, None), ("5 Gb", None, None, None, None, None),
        ("5 GB per layer and gpu", None, None, None, None, None), ("5 x params", None, None, None, None, None),
        ("1,005.5 tokens/s of all users", "speed", 1, "1/20", "", ""),
    ],
)  # fmt: skip
def test_a_number_and_its_unit(text, kind, one, half, each, of):
    if kind is None:
        with pytest.raises(calculator.UnknownNameError, match="unknown unit"):
            parse(text)
        return
    found = parse(text)
    assert (found.scale(kind), found.half, found.each, found.of) == (Fraction(one), Fraction(half), each, of)
    assert found.number == Fraction(text.split()[0].replace(",", ""))


# Widths that keep parameters


def layers_of(count, width, keys, sharding=COLUMNS):
    mlp = (
        WeightMatrix("dense MLP", width, 10, 1, 1, COLUMNS), WeightMatrix("dense MLP", width, 10, 1, 1, COLUMNS),
        WeightMatrix("dense MLP", 10, width, 1, 1, ROWS), WeightMatrix("dense MLP", 10, 1, 1, 1, COPIED),
    )  # fmt: skip
    return LayerGroup(FullAttention(1, 4, 4), count, (WeightMatrix("attention", keys, 10, 1, 1, sharding), *mlp))


@pytest.mark.parametrize(
    ("count", "freed", "multiple", "widths"),
    # a column of the MLP has 3 x 10 parameters, a key 10; the width is 100
    [
        (4, 0, 8, [(4, 100)]), (4, 3, 1, [(4, 101)]), (4, 6, 1, [(4, 102)]), (4, 6, 2, [(4, 102)]),
        # two columns more: 102 is 6 above 96 of the 8 to 104, so that 3 of 4 layers have 104
        (4, 6, 8, [(1, 96), (3, 104)]), (4, -9, 1, [(4, 97)]), (4, -12, 8, [(4, 96)]), (4, -9, 8, [(4, 96)]),
        # within a column: 103 and 105 of 104; 102.67 is not, 6.67 of 8 above 96: 3.33 of 4 layers
        (4, 9, 8, [(4, 104)]), (4, 15, 8, [(4, 104)]), (4, 8, 8, [(1, 96), (3, 104)]), (1, 6, 8, [(1, 104)]),
        (2, 1, 8, [(1, 96), (1, 104)]),
    ],
)  # fmt: skip
def test_widths_that_keep_parameters(count, freed, multiple, widths):
    before, now = layers_of(count, 100, 50 + freed), layers_of(count, 100, 50)
    found = list(_widened(now, before, multiple, "x"))
    assert [(group.count, mlp_width(group)) for group in found] == widths
    for group in found:
        assert [matrix.inputs for matrix in group.weights if matrix.sharding is ROWS] == [mlp_width(group)]
        assert group.weights[0] == now.weights[0]
        assert group.weights[-1] == now.weights[-1]


def test_widths_that_cannot_be():
    # 100 columns of 30 parameters: 300 keys of 10 take all of them, 297 leave one
    now = layers_of(1, 100, 400)
    assert [mlp_width(group) for group in _widened(now, layers_of(1, 100, 103), 1, "x")] == [1]
    with pytest.raises(calculator.UnsupportedError, match="an MLP of x would have no column left"):
        list(_widened(now, layers_of(1, 100, 100), 1, "x"))
    bare, other = (replace(layers_of(1, 100, keys), weights=layers_of(1, 100, keys).weights[:1]) for keys in (40, 50))
    with pytest.raises(calculator.UnsupportedError, match="a layer of x has no MLP"):
        list(_widened(bare, other, 1, "x"))
    assert mlp_width(bare) == 0


# FLOPs and bytes of a step


def test_flops_and_queries_of_a_token():
    full = FullAttention(2, 8, 6)
    assert attention_flops_of_token(full, 5, 100) == 2 * 5 * (8 + 6) * 100
    assert attention_flops_of_token(replace(full, query_heads=3), 5, 100) == 2 * 3 * 14 * 100
    assert attention_flops_of_token(full, 5, 100, 40) == 2 * 5 * 14 * 100
    assert attention_flops_of_token(CrossAttention(2, 8, 6), 5, 100, 40) == 2 * 5 * 14 * 140
    assert attention_flops_of_token(SlidingWindow(2, 8, 6, window=64), 5, 100) == 2 * 5 * 14 * 64
    assert attention_flops_of_token(NoCache(), 5, 100) == query_bytes(NoCache(), 5) == 0
    assert (query_bytes(full, 5), query_bytes(replace(full, query_heads=3), 5)) == (2 * 5 * 8, 2 * 3 * 8)
    device = calculator.load_gpu("h100-sxm")
    for tflops, bandwidth, ridge in ((1_000, 4_000, 250.0), (None, 4_000, None), (1_000, None, None), (1, 2_000, 0.5)):
        changed = replace(device, bf16_tflops=tflops, bandwidth_gb_per_s=bandwidth)
        assert ridge_of(changed) == ridge


# Conversions


def test_bounds_of_a_conversion():
    asked = {"training_tokens": 10**16, "share": 1, "utilisation": 1}
    found = calculator.uptraining("llama-3-8b", to_kv_heads=2, gpu="h100-sxm", **asked)
    active = found.converted.num_active_parameters
    assert (found.tokens, found.flops) == (10**16, 6 * active * 10**16)
    peak = calculator.load_gpu("h100-sxm").bf16_tflops * 1e12
    assert found.gpu_hours == pytest.approx(6 * active * 10**16 / peak / 3_600)
    half = calculator.uptraining("llama-3-8b", to_kv_heads=2, gpu="h100-sxm", **{**asked, "utilisation": 0.5})
    assert half.gpu_hours == pytest.approx(2 * found.gpu_hours)
    assert calculator.uptraining("llama-3-8b", to_kv_heads=2, training_tokens=1_000).tokens == 50
    for changes in ({"training_tokens": 10**16 + 1}, {"share": 1.001}, {"share": 0}, {"utilisation": 1.001},
                    {"utilisation": 0}, {"to_kv_heads": 0}, {"training_tokens": 0}):  # fmt: skip
        with pytest.raises(calculator.InvalidValueError) as no:
            calculator.uptraining("llama-3-8b", **{"to_kv_heads": 2, **asked, **changes})
        assert no.value.what == next(iter(changes))


# Drafters


def drafted(**config):
    return draft_of(calculator.load_model("llama-3.1-8b"), checked(config))


def elements(matrices):
    return sum(matrix.elements for matrix in matrices)


def test_heads_that_draft():
    # Llama 3.1 8B: 4,096 wide, 128,256 words, queries 4,096 and 8 KV heads of 128; a layer has 218,112,000 parameters
    hidden, words, layer = 4_096, 128_256, 218_112_000
    one = drafted(method="eagle", model="acme/head", num_speculative_tokens=3)
    assert (one.num_tokens, one.num_layers, one.heads, one.weight_dtype) == (3, 1, 32, "bf16")
    assert (elements(one.own), elements(one.shared), one.perhaps) == (2 * hidden**2, 2 * words * hidden, ())
    assert elements(one.layers[0].weights) == layer
    assert "acme/head" in one.assumed
    third = drafted(method="eagle3", model="acme/head", num_speculative_tokens=5)
    assert (third.num_tokens, third.num_layers, third.heads, third.weight_dtype) == (5, 1, 32, "bf16")
    assert elements(third.own) == 3 * hidden**2 + 2 * hidden + 32_000 * hidden
    assert elements(third.shared) == words * hidden
    assert elements(third.perhaps) == words * hidden + (words - 32_000) * hidden
    assert elements(third.layers[0].weights) == layer + hidden * (4_096 + 2 * 1_024)
    small = replace(calculator.load_model("llama-3.1-8b"), vocab_size=1_000)
    few = draft_of(small, checked({"method": "eagle3", "model": "acme/head", "num_speculative_tokens": 5}))
    assert (elements(few.own), elements(few.perhaps)) == (3 * hidden**2 + 2 * hidden + 1_000 * hidden, 1_000 * hidden)
    for method in ("ngram", "suffix"):
        text = drafted(method=method, num_speculative_tokens=4)
        assert (text.num_tokens, text.is_empty, text.num_layers) == (4, True, 0)
    apart = drafted(method="draft_model", model="llama-3.2-1b", num_speculative_tokens=2)
    # 16 layers of 32 query heads; embedding and head are one table of 128,256 x 2,048
    assert (apart.num_layers, apart.heads, apart.weight_dtype, apart.is_empty) == (16, 32, "bf16", False)
    assert elements(apart.own) == 128_256 * 2_048 + 2_048


def test_what_a_drafter_lacks():
    for config, said in (
        ({"method": "ngram"}, "num_speculative_tokens is missing"),
        ({"method": "eagle", "num_speculative_tokens": 3}, "model is missing: eagle needs"),
        ({"method": "mtp", "model": "acme/head"}, "layers that predict further tokens are the checkpoint's own"),
    ):
        with pytest.raises(calculator.CalculatorError, match=said) as no:
            drafted(**config)
        assert no.value.what == "speculative_config"
    with pytest.raises(calculator.UnsupportedError, match="its config is not known here"):
        draft_of(
            calculator.load_model("gemma-2-9b"),
            checked({"method": "eagle", "model": "acme/head", "num_speculative_tokens": 3}),
        )


# Lists and grids


@pytest.mark.parametrize(
    ("values", "size"),
    [(range(1, 10, 3), 3), (range(1, 11, 3), 4), (range(5, 0, -2), 3), (range(3, 3), 0), ([1, 2], 2), ((), 0),
     (range(0, 10**30, 10**29), 10), (numpy.ones((2, 3)), 6)],
)  # fmt: skip
def test_how_many_values_there_are(values, size):
    assert size_of(values) == size


def test_a_grid_has_at_most_two_million_points():
    for given in ((2_000_000, 1), (2_000, 1_000), (200, 1, 10_000), (1, 1, 100, 100), (100, 2, 100, 100)):
        _check_size(*given)
    for given, points in (((2_000_001, 1), 2_000_001), ((1, 1, 10_001), 10_001), ((1, 2_000_001), 2_000_001),
                          ((2, 1_000_001), 2_000_002), ((1, 1, 101, 100), 10_100)):  # fmt: skip
        with pytest.raises(calculator.InvalidValueError, match="the grid has") as no:
            _check_size(*given)
        assert (no.value.asked, no.value.allowed) == (points, 2_000_000)


def test_kv_heads_of_a_grid():
    for heads in (1, 8, [8, 0], (0, 0), [1]):
        _check_heads(heads)
    for heads in (0, -1, True, 1.0, "8", [8, -1], [True], [8, 2.0]):
        with pytest.raises(calculator.InvalidValueError, match="must be a whole number of at least 1, or a list") as no:
            _check_heads(heads)
        assert (no.value.what, no.value.nearest) == ("num_key_value_heads", 1)


# Two plans side by side


@pytest.mark.parametrize(
    ("old", "new", "unit", "added"),
    [
        (1, 3, "bytes", 2), (3, 1, "-", -2), (1.0, 1.23456, "USD/h", 0.23), (1.0, 1.2345678901, "-", 0.23456789),
        (True, 3, "-", None), (3, False, "-", None), (None, 3, "-", None), ("a", "b", "-", None),
        (2, 2.5, "USD/h", 0.5),
    ],
)  # fmt: skip
def test_what_is_added(old, new, unit, added):
    assert _added(old, new, unit) == added
    assert type(_added(old, new, unit)) is type(added)


def test_numbers_of_a_comparison_as_they_are_written():
    for value, unit, said in (
        (None, "bytes", "-"), (-2.5, "USD/h", "-$2.50"), (1_234.5, "USD/h", "$1,234.50"), (0, "USD/h", "$0.00"),
        (1_234, "-", "1,234"), (True, "-", "True"), ("x", "-", "x"), (2**30, "bytes", "1.00 GiB"),
    ):  # fmt: skip
        assert written(value, unit) == said


def test_what_tells_two_plans_apart():
    one, two, other = llama(), llama(tensor_parallel_size=2), calculator.plan("gemma-2-9b", "h100-sxm", seq_len=4_096)
    engine = f"{one.rules.title} {one.rules.version}"
    assert (_called(one, one), _called(one, two)) == (engine, "1 × H100 SXM")
    assert (_called(two, one), _called(one, other)) == ("2 × H100 SXM", one.model.name)
    sglang = llama(engine="sglang")
    assert _called(one, sglang) == engine
    assert _called(two, sglang) == f"2 × H100 SXM, {engine}"
