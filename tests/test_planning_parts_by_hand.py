"""Parts of a plan, each by hand: matrices on a rank, formats, caches, replicas, what is kept of a search, logs."""

import json
from dataclasses import replace
from fractions import Fraction

import numpy
import pytest

import calculator
from calculator.architecture.caches import CompressedRows, RowsInPassing
from calculator.architecture.compressed import CompressedAttention
from calculator.architecture.groups import LayerGroup, indivisible
from calculator.architecture.latent import LatentAttention, as_latent
from calculator.architecture.layers import CrossAttention, FullAttention, NoCache, SlidingWindow
from calculator.architecture.matrices import Sharding, WeightMatrix
from calculator.architecture.split import (
    Split,
    kv_heads_per_rank,
    kv_replication,
    layers_per_stage,
    not_possible,
    why_not,
)
from calculator.architecture.sums import Layout as LayoutOfRows
from calculator.architecture.sums import copied_bytes_on_rank, kv_bytes_of_sequence, kv_bytes_on_rank
from calculator.architecture.weights import bytes_on_rank, embedding_bytes, shape_on_rank, weight_bytes_per_rank
from calculator.formats.kv import storage_format
from calculator.formats.names import format_in_name, format_of_gguf
from calculator.formats.weights import weight_format
from calculator.planning.comparing.compare import _added, _called, written
from calculator.planning.drafts import draft_of
from calculator.planning.heads.constant import _widened, mlp_width
from calculator.planning.heads.intensity import attention_flops_of_token, query_bytes, ridge_of
from calculator.planning.heads.seen.stated import parse
from calculator.planning.knobs import _batched_tokens, _gpus, _kv_formats, _kv_pool, _lengths, more_gpus
from calculator.planning.kv_cache import size_of
from calculator.planning.sizing.layouts import Layout, in_words, machine_sizes, weights_fit
from calculator.planning.sizing.loads import MOST_KEPT, load_of, users_of
from calculator.planning.sizing.logged import check, keywords_for, taken_out
from calculator.planning.sizing.operating import Goals, Point
from calculator.planning.sizing.prices import checked_prices, price_in_text, prices_in_text
from calculator.planning.sizing.served import Sizing, service, speeds_at
from calculator.planning.sweep.axes import _check_heads, _check_size
from calculator.request.calibration import calibration_of
from calculator.request.speculation import checked

COLUMNS, ROWS, KV_HEADS, COPIED = Sharding.COLUMNS, Sharding.ROWS, Sharding.KV_HEADS, Sharding.COPIED


def llama(**asked):
    return calculator.plan("llama-3.1-8b", "h100-sxm", seq_len=4_096, **asked)


# Matrices on a rank


@pytest.mark.parametrize(
    ("part", "sharding", "ranks", "shape"),
    # 100 x 60 twelve times; ranks: those of MLPs, those that share whole experts, all others
    [
        ("attention", COLUMNS, (8, 1, 2), (50, 60, 12)), ("attention", ROWS, (8, 1, 7), (100, 9, 12)),
        ("dense MLP", COLUMNS, (8, 1, 2), (13, 60, 12)), ("shared experts", ROWS, (8, 1, 2), (100, 8, 12)),
        ("experts", COLUMNS, (8, 1, 1), (13, 60, 12)), ("experts", COLUMNS, (1, 2, 1), (100, 60, 6)),
        ("experts", ROWS, (1, 5, 1), (100, 60, 3)), ("shared experts", COLUMNS, (1, 2, 1), (100, 60, 12)),
        ("router", COPIED, (8, 1, 8), (100, 60, 12)), ("attention", KV_HEADS, (8, 1, 2), (40, 60, 12)),
        ("attention", KV_HEADS, (8, 1, 8), (20, 60, 12)),
    ],
)  # fmt: skip
def test_the_shape_of_a_matrix_on_a_rank(part, sharding, ranks, shape):
    # five KV heads of 20 outputs: on two ranks two of them, on eight one
    assert shape_on_rank(WeightMatrix(part, 100, 60, 12, 12, sharding), 5, *ranks) == shape


@pytest.mark.parametrize(
    ("part", "inputs", "sharding", "elements"),
    # outputs 100; the hidden size in 256s, the width in 64s: columns have the width as outputs, rows as inputs
    [
        ("experts", 300, COLUMNS, 128 * 512), ("experts", 300, ROWS, 256 * 320), ("experts", 2, COLUMNS, 128 * 256),
        ("experts", 2, ROWS, 256 * 64), ("experts", 1, COLUMNS, 100), ("experts", 1, ROWS, 100),
        ("dense MLP", 300, ROWS, 100 * 300),
    ],
)  # fmt: skip
def test_kernels_pad_matrices_of_experts_and_no_vectors(part, inputs, sharding, elements):
    matrix = WeightMatrix(part, 100, inputs, 3, 1, sharding)
    for name, size in (("bf16", 2), ("fp32", 4)):
        assert bytes_on_rank((matrix,), weight_format(name), 1, 1, 1, 1, (256, 64)) == 3 * elements * size
        wide = replace(matrix, value_bytes=8)
        assert bytes_on_rank((matrix, wide), weight_format(name), 1, 1, 1, 1, (256, 64)) == 3 * elements * (size + 8)


def test_the_table_of_embeddings_has_its_share_of_a_checkpoint():
    # Llama 3.1 8B: 128,256 words x 4,096 of 8,030,261,248 parameters
    model, table = calculator.load_model("llama-3.1-8b"), 128_256 * 4_096
    assert embedding_bytes(model, "fp16") == 2 * table
    for given in (10**10, 10**10 + 1, 12_345_678_901):
        assert embedding_bytes(model, "fp16", given) == given * table // 8_030_261_248
        assert weight_bytes_per_rank(model, "fp16", checkpoint_bytes=given) == (given,)
        # in two: norms are whole on each rank, 65 of 4,096; rounded up
        held = (8_030_261_248 - 65 * 4_096) // 2 + 65 * 4_096
        (rank,) = weight_bytes_per_rank(model, "fp16", 2, checkpoint_bytes=given)
        assert rank == -(-given * held // 8_030_261_248)


def test_a_tied_head_is_held_again_by_a_last_stage():
    tied = replace(calculator.load_model("llama-3.1-8b"), tie_word_embeddings=True)
    plain = replace(tied, tie_word_embeddings=False)
    table = 2 * 128_256 * 4_096
    for stages in (1, 2, 4):
        one, other = (weight_bytes_per_rank(model, "bf16", 1, stages) for model in (tied, plain))
        assert one[:-1] == other[:-1]
        assert one[-1] - other[-1] == (table if stages > 1 else 0)


# Formats


@pytest.mark.parametrize(
    ("name", "size"),
    # 130 outputs x 300 inputs are 39,000 weights: scales of 3 groups of 128, of 10 of 32, of 19 of 16 an output,
    # of 2 x 3 blocks of 128 x 128
    [
        ("fp32", 156_000), ("fp16", 78_000), ("bf16", 78_000), ("fp8", 39_004), ("fp8-block", 39_000 + 24),
        ("int8", 39_000 + 260), ("awq-int4", 19_500 + 130 * 3 * 20 // 8), ("gptq-int4", 19_500 + 975),
        ("nvfp4", 19_500 + 130 * 19 + 4), ("mxfp4", 19_500 + 1_300), ("gptq-int8", 39_000 + 130 * 3 * 3),
        ("nf4", 20_120), ("q8_0", 41_438), ("q6_k", 31_993), ("q5_k_m", 27_806), ("q4_k_m", 23_861),
        ("q3_k_m", 19_481), ("q2_k", 15_402), ("awq-int4-g64", 19_500 + 130 * 5 * 20 // 8),
    ],
)  # fmt: skip
def test_bytes_of_a_matrix(name, size):
    assert weight_format(name).bytes_of(130, 300) == size
    assert weight_format(name).is_plain == (name in ("fp32", "fp16", "bf16"))


def test_a_format_of_everything_leaves_vectors_alone():
    for inputs, quantised, everything, servers in ((1, True, False, True), (2, True, True, True), (2, False, True, 0)):
        matrix = WeightMatrix("router", 10, inputs, 1, 1, COPIED, quantised)
        assert weight_format("q8_0").applies_to(matrix) == everything
        assert weight_format("int8").applies_to(matrix) == bool(servers)
        assert not weight_format("mxfp4").applies_to(matrix)
        assert weight_format("mxfp4").applies_to(replace(matrix, part="experts")) == quantised


@pytest.mark.parametrize(
    ("name", "row", "bits"),
    [
        ("fp32", 512, 32), ("fp16", 256, 16), ("bf16", 256, 16), ("fp8_e4m3", 128, 8), ("fp8_e5m2", 128, 8),
        ("int8_per_token_head", 132, 8), ("fp8_per_token_head", 132, 8), ("int4_per_token_head", 68, 4),
        ("nvfp4", 72, 4.5), ("q8_0", 136, 8.5), ("q5_1", 96, 6), ("q5_0", 88, 5.5), ("q4_1", 80, 5),
        ("q4_0", 72, 4.5), ("iq4_nl", 72, 4.5),
    ],
)  # fmt: skip
def test_bytes_of_a_row_of_128(name, row, bits):
    form = storage_format(name)
    assert (form.row_bytes(128), form.bits_per_value) == (row, bits)
    assert form.is_fp8 == (name in ("fp8_e4m3", "fp8_e5m2"))
    if form.block_elements > 1:
        with pytest.raises(calculator.UnsupportedError) as no:
            form.row_bytes(129)
        assert (no.value.what, no.value.asked) == ("kv_cache_dtype", name)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("x-NVFP4", "nvfp4"), ("x-mxfp4", "mxfp4"), ("X-W8A8", "int8"), ("x-AWQ", "awq-int4"), ("x-GPTQ", "gptq-int4"),
        ("x-w4a16", "gptq-int4"), ("x-int4", "awq-int4"), ("x-bnb-4bit", "nf4"), ("x-FP8", "fp8"), ("x", None),
        ("x-int4-gptq", "gptq-int4"), ("x-int4-fp8", "awq-int4"),
    ],
)  # fmt: skip
def test_formats_in_names(name, form):
    assert format_in_name(name) == form


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("x-BF16.gguf", "bf16"), ("x.f16.gguf", "fp16"), ("x-Q8_0", "q8_0"), ("x-Q6_K.gguf", "q6_k"),
        ("x-Q2_K.gguf", "q2_k"), ("x-Q3_K_M", "q3_k_m"), ("Q4_K - Medium", "q4_k_m"), ("q5_km", "q5_k_m"),
        ("q4_k", None), ("q4_k_s", None), ("xq8_0", None), ("q2_k_m", "q2_k"), ("q9_k_m", None),
    ],
)  # fmt: skip
def test_formats_of_gguf_files(text, form):
    assert format_of_gguf(text) == form


# Compressed rows


def test_what_compressed_attention_keeps():
    # a latent row of 512: 448 in 8 bit, 64 in 16 bit, 7 scales and 1 byte; an index key of 128 and its scale
    row, index = 448 + 128 + 7 + 1, 128 + 4
    window = CompressedAttention(512, 64, 128)
    each = storage_format("bf16")
    assert (window.row_bytes, window.bytes_per_token(each, 1), window.grows_until) == (row, row, 128)
    assert [window.kv_bytes(tokens, each, 1) for tokens in (1, 128, 129)] == [row, 128 * row, 128 * row]
    assert window.caches(each, 1) == (RowsInPassing(row, 128),)
    sparse = CompressedAttention(512, 64, 128, 4, True, 128)
    # what is being compressed: keys and scores of 2 x 4 tokens, twice as wide, 4 bytes an element
    passing = (RowsInPassing(row, 128), RowsInPassing(2 * 2 * 512 * 4, 8, 4), RowsInPassing(2 * 2 * 128 * 4, 8, 4))
    assert sparse.caches(each, 1) == (CompressedRows(row, 4), CompressedRows(index, 4), *passing)
    assert (sparse.index_row_bytes, sparse.bytes_per_token(each, 1)) == (index, (row + index) // 4)
    for tokens in (3, 4, 8, 9, 1_001):
        kept = min(tokens, 128) * row + min(tokens, 8) * (8_192 + 2_048) + tokens // 4 * (row + index)
        assert sparse.kv_bytes(tokens, each, 1) == kept
    plain = CompressedAttention(512, 64, 128, 128)
    assert plain.caches(each, 1) == (CompressedRows(row, 128), RowsInPassing(row, 128), RowsInPassing(4_096, 128, 128))
    assert (plain.index_row_bytes, plain.bytes_per_token(each, 1)) == (0, 5)
    # an index key of 192 has one whole 128; 5 rows of 584 bytes do not divide by 3
    assert CompressedAttention(512, 64, 128, 4, True, 192).index_row_bytes == 196
    assert plain.why_not(64, 3) is not None
    assert plain.why_not(64, 64) is None


# Replicas


def with_points(counts, users):
    """Users on a replica that runs so many at the low end of its memory's range, in the middle and at the high end."""
    one = Sizing(llama(), users_of(users, 4_096), Goals(), None)
    one._points = {end: Point(count, "memory", count > 0) for end, count in enumerate(counts)}
    return one


@pytest.mark.parametrize(
    ("counts", "replicas", "holds", "batches"),
    # twelve users; where the low end holds none the middle says how many replicas
    [((2, 3, 6), 6, True, (2, 2, 2)), ((0, 3, 6), 4, False, (0, 3, 3)), ((0, 4, 6), 3, False, (0, 4, 4)),
     ((0, 0, 6), 0, False, (0, 0, 0)), ((1, 3, 6), 12, True, (1, 1, 1))],
)  # fmt: skip
def test_replicas_where_the_low_end_may_hold_none(counts, replicas, holds, batches):
    found = with_points(counts, 12).service()
    assert (found.replicas, found.holds) == (replicas, holds)
    assert (found.batch_size_low, found.batch_size, found.batch_size_high) == batches


def test_a_goal_that_is_just_reached_is_met_at_the_high_end():
    one = Sizing(llama(), users_of(8, 4_096, 96), Goals(), None)
    at = speeds_at(one.replica, 8, Goals()).values
    tpot, ttft = at["time_per_output_token_s_high"], at["time_to_first_token_s_high"]
    for goals, met in (
        (Goals(), True), (Goals(ttft, tpot), True), (Goals(ttft * 0.999, tpot), False), (Goals(ttft), True),
        (Goals(ttft, tpot * 0.999), False), (Goals(max_tpot_s=tpot), True), (Goals(max_ttft_s=ttft * 0.999), False),
    ):  # fmt: skip
        assert speeds_at(one.replica, 8, goals).meets_high == met
    assert at["replica_requests_per_second"] == pytest.approx(at["output_tokens_per_second"] / 96)
    for end in ("_low", "", "_high"):
        assert at[f"replica_requests_per_second{end}"] == pytest.approx(at[f"output_tokens_per_second{end}"] / 96)
    assert at["time_to_first_token_s_low"] < at["time_to_first_token_s"] < ttft


@pytest.mark.parametrize(("kept", "then"), [(126, 127), (127, 128), (128, 1)])
def test_pools_of_128_plans_are_kept(kept, then):
    made = llama()
    load = load_of(4_096, calculator.Workload(1.0, 1_000, 250), risk=0.01)
    load._last.update({-1 - place: (made, {}) for place in range(kept)})
    first = load._under(made, 0)
    assert len(load._last) == then
    assert MOST_KEPT == 128
    # what is kept is found again, end by end
    assert load._under(made, 0) is first
    assert load._under(made, None) is not first
    assert len(load._last) == then


# A log of one start


LOGGED = {"engine": "vllm", "engine_version": "0.20.0", "non_torch_bytes": 10**9}


def line(key="activation", taken=1, usual=1, unsure=0):
    return {"key": key, "bytes": taken, "usual_bytes": usual, "unsure_bytes": unsure}


@pytest.mark.parametrize(
    ("name", "most"),
    [("engine", 80), ("engine_version", 40), ("gpu", 80), ("model", 200), ("weight_dtype", 40)],
)
def test_texts_of_a_log_have_a_length(name, most):
    assert getattr(calibration_of({**LOGGED, name: "x" * most}), name) == "x" * most
    with pytest.raises(calculator.InvalidValueError, match="calibration"):
        calibration_of({**LOGGED, name: "x" * (most + 1)})


def test_numbers_of_a_log_have_bounds():
    for name, least, most in (("tensor_parallel_size", 1, 4_096), ("in_use_bytes", 0, None), ("gpu_memory_bytes", 1, 0),
                              ("non_torch_bytes", 0, None)):  # fmt: skip
        for value in (least, most):
            if value:
                assert getattr(calibration_of({**LOGGED, "non_torch_bytes": 0, name: value}), name) == value
        for value in (least - 1, most + 1 if most else -5):
            with pytest.raises(calculator.InvalidValueError, match="calibration"):
                calibration_of({**LOGGED, name: value})
    for count in (32, 33):
        lines = [line(f"line {place}") for place in range(count)]
        if count == 32:
            assert len(calibration_of({**LOGGED, "lines": lines}).lines) == count
        else:
            with pytest.raises(calculator.InvalidValueError, match="calibration"):
                calibration_of({**LOGGED, "lines": lines})
    with pytest.raises(calculator.InvalidValueError, match="the line activation stands there twice"):
        calibration_of({**LOGGED, "lines": [line(), line("other"), line()]})
    assert calibration_of({**LOGGED, "lines": [line("x" * 40)]}).lines[0].key == "x" * 40
    with pytest.raises(calculator.InvalidValueError, match="calibration"):
        calibration_of({**LOGGED, "lines": [line("x" * 41)]})


def test_a_log_takes_at_most_a_tenth_more_than_the_memory():
    memory = 10**10
    for given in (
        {"non_torch_bytes": 0}, {"in_use_bytes": 0}, {"lines": [line(taken=0)]}, {"lines": [line(usual=0)]},
        {"lines": [line(unsure=0)]},
    ):  # fmt: skip
        for size, fits in ((11 * 10**9, True), (11 * 10**9 + 1, False)):
            values = json.loads(json.dumps(given).replace(": 0", f": {size}"))
            values = {**LOGGED, **values, "gpu_memory_bytes": memory}
            if fits:
                assert calibration_of(values).gpu_memory_bytes == memory
            else:
                with pytest.raises(calculator.InvalidValueError, match=r"more than the 9\.31 GiB of the GPU") as no:
                    calibration_of(values)
                assert (no.value.what, no.value.asked, no.value.nearest) == ("calibration", size, memory)
    with pytest.raises(calculator.InvalidValueError, match="the sum of the lines"):
        calibration_of({**LOGGED, "gpu_memory_bytes": memory, "lines": [line("a", 6 * 10**9), line("b", 6 * 10**9)]})


def test_a_log_of_65_536_bytes_is_read(tmp_path):
    for more, read in ((0, True), (1, False)):
        file = tmp_path / f"{more}.json"
        file.write_text(json.dumps(LOGGED).ljust(65_536 + more))
        if read:
            assert calibration_of(file).non_torch_bytes == 10**9
        else:
            with pytest.raises(calculator.CalculatorError, match="longer than 65,536 bytes"):
                calibration_of(file)


def test_a_log_is_of_a_device_within_a_tenth_of_its_memory():
    device = calculator.plan("llama-3.1-8b", "h100-sxm", seq_len=1_024).accelerator
    size = device.memory_bytes
    for memory, same in ((size * 11 // 10, True), (size * 9 // 10 + 1, True), (size * 11 // 10 + 1, False),
                         (size * 9 // 10 - 1, False)):  # fmt: skip
        assert calibration_of({**LOGGED, "gpu_memory_bytes": memory}).is_of("vllm", device) == same
    for gpu, same in (("h100-sxm", True), ("l4", False), ("custom", True), (None, True)):
        assert calibration_of({**LOGGED, "gpu": gpu}).is_of("vllm", device) == same
    assert calibration_of({**LOGGED, "gpu": "l4"}).is_of("vllm")
    assert not calibration_of(LOGGED).is_of("sglang")
    assert calibration_of({**LOGGED, "in_use_bytes": 4 * 10**8}).grown_bytes == 6 * 10**8
    assert calibration_of(LOGGED).grown_bytes == 0


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


# GPUs that can be bought


@pytest.mark.parametrize(
    ("node", "most", "sizes"),
    [
        (8, 1, (1,)), (8, 3, (1, 2)), (8, 8, (1, 2, 4, 8)), (8, 15, (1, 2, 4, 8)), (8, 24, (1, 2, 4, 8, 16, 24)),
        (1, 1, (1,)), (1, 2, (1, 2)), (1, 7, (1, 2, 4)), (1, 8, (1, 2, 4, 8)), (2, 6, (1, 2, 4, 6)),
        (6, 12, (1, 2, 4, 6, 12)), (16, 16, (1, 2, 4, 8, 16)),
    ],
)  # fmt: skip
def test_machines_that_can_be_bought(node, most, sizes):
    assert machine_sizes(replace(calculator.load_gpu("h100-sxm"), gpus_per_node=node), most) == sizes


@pytest.mark.parametrize(
    ("keywords", "said", "with_stages"),
    [
        ({}, "TP 1", "TP 1, PP 1"), ({"tensor_parallel_size": 2}, "TP 2", "TP 2, PP 1"),
        ({"pipeline_parallel_size": 2}, "TP 1, PP 2", "TP 1, PP 2"),
        ({"decode_context_parallel_size": 2}, "TP 1, DCP 2", "TP 1, PP 1, DCP 2"),
        ({"data_parallel_size": 2}, "TP 1, DP 2", "TP 1, PP 1, DP 2"),
        ({"data_parallel_size": 2, "enable_expert_parallel": True}, "TP 1, DP 2, EP", "TP 1, PP 1, EP, DP 2"),
        ({"enable_expert_parallel": True, "enable_attention_dp": True}, "TP 1, EP, attention DP",
         "TP 1, PP 1, EP, attention DP"),
    ],
)  # fmt: skip
def test_layouts_in_words(keywords, said, with_stages):
    assert (in_words(keywords), in_words(keywords, stages=True)) == (said, with_stages)


def test_weights_must_be_less_than_a_device():
    model, size = calculator.load_model("llama-3.1-8b"), 2 * 8_030_261_248
    for memory, fits in ((size, False), (size + 1, True)):
        assert weights_fit(model, Layout(), "bf16", memory) == fits
    assert weights_fit(model, Layout(), "bf16", 101, checkpoint_bytes=100)
    assert not weights_fit(model, Layout(), "bf16", 100, checkpoint_bytes=100)
    # what plan refuses is left to it: 32 query heads do not divide by 3
    assert weights_fit(model, Layout({"tensor_parallel_size": 3}), "bf16", 1)


def test_prices_as_people_write_them():
    for text, price in (("a=2.5", ("a", 2.5)), (" a =2:3", ("a", (2.0, 3.0)))):
        assert price_in_text(text) == price
    for text in ("a", "a=", "a=x", "a=1:2:3", "a=1:", "=", "a2"):
        with pytest.raises(calculator.InvalidValueError, match="price must be such as"):
            price_in_text(text)
    assert prices_in_text("h100-sxm=2, mi300x=1.5:3,,") == {"h100-sxm": 2.0, "mi300x": (1.5, 3.0)}
    assert prices_in_text("") == {}
    with pytest.raises(calculator.InvalidValueError, match="prices name h100-sxm twice: keep one"):
        prices_in_text("h100-sxm=2,h100-sxm=3")
    for price, pair in ((1e5, (1e5, 1e5)), ((1, 1e5), (1.0, 1e5)), ([2, 2], (2.0, 2.0)), (1e-9, (1e-9, 1e-9))):
        assert checked_prices({"h100-sxm": price}) == {"h100-sxm": pair}
    for price in (0, -1, 100_001, float("nan"), float("inf"), True, "2", (1,), (1, 2, 3), (1, True), (0, 1), None):
        with pytest.raises(calculator.InvalidValueError, match="must be a number of USD") as no:
            checked_prices({"h100-sxm": price})
        assert (no.value.what, no.value.allowed) == ("prices", (0, 1e5))
    with pytest.raises(calculator.InvalidValueError, match="goes from 3 to 2: the lowest comes first") as no:
        checked_prices({"h100-sxm": (3, 2)})
    assert no.value.nearest == (2, 3)
    with pytest.raises(calculator.InvalidValueError, match="prices map the ids of GPUs"):
        checked_prices([2])


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


# A log in a search


def test_a_log_goes_for_its_own_hardware():
    h100, l4 = (calculator.load_gpu(name) for name in ("h100-sxm", "l4"))
    of_h100 = calibration_of({**LOGGED, "gpu": "h100-sxm"})
    assert taken_out({"calibration": of_h100, "seq_len": 5}) == (of_h100, {"seq_len": 5})
    assert taken_out({"seq_len": 5}) == (None, {"seq_len": 5})
    assert keywords_for(of_h100, "vllm", h100) == {"calibration": of_h100}
    assert keywords_for(of_h100, "vllm", l4) == keywords_for(None, "vllm", h100) == {}
    assert check(None, [("vllm", h100)]) == ()
    for searched, rest in (
        ([("vllm", h100)], False),
        ([("vllm", h100)] * 2, False),
        ([("vllm", h100), ("vllm", l4)], 1),
    ):
        (said,) = check(of_h100, searched)
        assert said.key == "size.calibrated"
        assert ("all else by the rules alone" in said) == bool(rest)
    with pytest.raises(calculator.InvalidValueError, match="which is not searched") as no:
        check(of_h100, [("vllm", l4), ("sglang", h100)])
    assert (no.value.what, no.value.asked, no.value.allowed) == ("calibration", "h100-sxm", ("l4", "h100-sxm"))


# What a model remembers, and latent rows


def test_a_model_remembers_1024_answers():
    model = replace(calculator.load_model("llama-3.1-8b"), name="another")
    asked = []

    def derive(_, number):
        asked.append(number)
        return number + 1

    for number in range(1_024):
        assert model.remember(derive, number) == number + 1
    assert (len(model._remembered), model.remember(derive, 0), len(asked)) == (1_024, 1, 1_024)
    assert (model.remember(derive, -5), len(model._remembered), len(asked)) == (-4, 1, 1_025)
    assert (model.remember(derive, 0), len(model._remembered), len(asked)) == (1, 2, 1_026)


@pytest.mark.parametrize(
    ("spec", "form", "row"),
    # 8 bit with 4 bytes a 128 and 16 bit of what is rotated: 512 + 16 + 128; an index of 128 and its scale
    [
        (LatentAttention(512, 64), "bf16", 1_152), (LatentAttention(512, 64), "fp8_e4m3", 576),
        (LatentAttention(512, 64), "fp8_ds_mla", 656), (LatentAttention(512, 64, 128), "bf16", 1_152 + 132),
        (LatentAttention(512, 64, 128), "fp8_e4m3", 656 + 132), (LatentAttention(513, 64), "fp8_ds_mla", 661),
        (LatentAttention(512, 64, 255), "bf16", 1_152 + 259), (LatentAttention(512, 64, 256), "bf16", 1_152 + 264),
        (LatentAttention(512, 64, 128, shares_index=True), "bf16", 1_152),
        (LatentAttention(512, 64, 128, shares_index=True), "fp8_e4m3", 656),
    ],
)  # fmt: skip
def test_a_row_of_a_latent_vector(spec, form, row):
    assert [spec.bytes_per_token(storage_format(form), ranks) for ranks in (1, 8)] == [row, row]
    (cache,) = spec.caches(storage_format(form), 4)
    assert (cache.bytes_per_token, cache.sparse) == (row, spec.index_head_dim > 0)


def test_heads_and_latent_vectors_become_each_other():
    latent = LatentAttention(512, 64)
    assert latent.with_kv_heads(16) == FullAttention(16, 192, 128)
    assert latent.as_heads(16) == FullAttention(16, 192, 192)
    # four head sizes and half of one
    assert as_latent(FullAttention(8, 128, 96)) == LatentAttention(512, 64, qk_head_dim=192, v_head_dim=96)
    assert as_latent(NoCache()) == NoCache()
    assert (latent.kv_heads, latent.why_not(16, 3) is None, latent.why_not(16, 16)) == (1, False, None)


def test_layers_of_stages():
    for layers, stages, each in ((8, 3, (3, 3, 2)), (7, 3, (2, 3, 2)), (7, 7, (1,) * 7), (5, 1, (5,)),
                                 (10, 4, (2, 3, 3, 2)), (11, 4, (3, 3, 3, 2))):  # fmt: skip
        assert layers_per_stage(layers, stages) == each
    with pytest.raises(calculator.ParallelismError, match="the largest is 7") as no:
        layers_per_stage(7, 8)
    assert (no.value.what, no.value.asked, no.value.nearest) == ("pipeline_parallel_size", 8, 7)


@pytest.mark.parametrize(
    ("heads", "kv_heads", "ranks", "kept", "copies", "legal"),
    [(32, 8, 4, 2, 1, True), (32, 8, 8, 1, 1, True), (32, 8, 16, 1, 2, True), (32, 8, 64, 1, 8, False),
     (12, 6, 4, 1, 1, False), (12, 4, 6, 1, 1, False), (12, 1, 12, 1, 12, True), (12, 3, 2, 1, 1, False)],
)  # fmt: skip
def test_heads_on_ranks(heads, kv_heads, ranks, kept, copies, legal):
    assert (kv_heads_per_rank(kv_heads, ranks), kv_replication(kv_heads, ranks)) == (kept, copies)
    assert (why_not(heads, kv_heads, ranks) is None) == legal


def test_the_nearest_of_what_divides():
    # of two as near the smaller one
    for heads, asked, near in ((12, 5, 4), (32, 3, 2), (32, 6, 4), (32, 7, 8), (9, 2, 1), (32, 99, 32)):
        error = indivisible(heads, asked)
        assert (error.nearest, error.asked, error.what) == (near, asked, "num_key_value_heads")
        assert error.allowed == tuple(each for each in range(1, heads + 1) if heads % each == 0)
    for asked, legal, near in ((3, (1, 2, 4), 2), (7, (1, 2, 4, 8), 8), (3, (1, 5), 1), (9, (1, 2), 2)):
        error = not_possible(asked, "why", legal)
        assert (error.nearest, error.allowed, error.asked) == (near, legal, asked)


def test_what_a_rank_keeps_beyond_its_share():
    each = storage_format("bf16")
    heads, latent = FullAttention(8, 128, 128), LatentAttention(512, 64)
    # a head of 512 bytes a token; two heads on a rank of 4, one on each of 16 of which two keep the same
    for spec, ranks, copied in (
        (heads, 4, 0), (heads, 8, 0), (heads, 16, 10 * 512 // 2), (heads, 32, 10 * 512 * 3 // 4), (latent, 1, 0),
        (latent, 4, 10 * 1_152 * 3 // 4), (NoCache(), 4, 0),
    ):  # fmt: skip
        layers = (LayerGroup(spec, 1), LayerGroup(spec, 2))
        assert copied_bytes_on_rank(layers, 10, LayoutOfRows(each, Split(ranks))) == 3 * copied
    # a sequence shared among two ranks: half of its tokens, eight heads on 8 / 2
    shared = LayoutOfRows(each, Split(8, 2))
    assert kv_bytes_on_rank((LayerGroup(heads, 3),), 11, shared) == 3 * 6 * 2 * 512
    assert kv_bytes_of_sequence((LayerGroup(heads, 3),), 11, shared) == 3 * 11 * 2 * 512 * 4


# Knobs


def test_lengths_that_are_tried():
    # Llama 3.1 8B is made for 131,072 tokens
    for tokens, tried in ((65_536, [32_768, 131_072]), (131_072, [65_536]), (65_537, [32_768]), (1, [2]), (2, [1, 4]),
                          (200_000, [100_000])):  # fmt: skip
        made = calculator.plan("llama-3.1-8b", "h100-sxm", seq_len=tokens)
        found = list(_lengths(made))
        assert [change.keywords for change in found] == [{"seq_len": each} for each in tried]
        assert [change.cost for change in found] == [
            "shorter sequences" if each < tokens else "longer sequences" for each in tried
        ]


def test_batched_tokens_that_are_tried():
    for tokens, tried in ((2_048, 0), (2_049, 1), (8_192, 1), (1_024, 0)):
        found = list(_batched_tokens(llama(max_num_batched_tokens=tokens)))
        assert [change.keywords for change in found] == [{"max_num_batched_tokens": 2_048}] * tried


def test_formats_that_are_tried_are_narrower():
    bits = {"fp32": 32, "fp16": 16, "bf16": 16, "nvfp4": 4.5, "int4_per_token_head": 4}
    for now in ("auto", "fp8"):
        made = llama(kv_cache_dtype=now)
        least = 16 if now == "auto" else 8
        offered = [name for name in made.rules.kv_cache_dtypes if bits.get(name, 8) < least]
        assert [change.keywords["kv_cache_dtype"] for change in _kv_formats(made)] == offered


def test_gpus_that_are_tried():
    made = llama(tensor_parallel_size=8)
    memory = made.per_gpu.total_bytes
    found = [calculator.load_gpu(change.keywords["gpu"]) for change in _gpus(made)]
    larger = [gpu for gpu in found if gpu.memory_bytes >= 1.05 * memory]
    assert found[: len(larger)] == larger
    for some in (larger, found[len(larger) :]):
        sizes = [gpu.memory_bytes for gpu in some]
        assert sizes == sorted(sizes)
    assert min(gpu.gpus_per_node for gpu in found) == 8
    assert "h100-sxm" not in {gpu.id for gpu in found}
    assert {change.keywords["gpu_memory_bytes"] for change in _gpus(made)} == {None}


def test_a_pool_that_exceeds_its_device_is_made_smaller():
    made = llama(kv_cache_memory_bytes=79 * 2**30)
    (change,) = _kv_pool(made)
    largest = made.per_gpu.total_bytes - made.per_gpu.before_kv_bytes - made.per_gpu.in_slack_bytes
    assert change.keywords == {"kv_cache_memory_bytes": largest}
    assert list(_kv_pool(llama(kv_cache_memory_bytes=largest))) == []
    (change,) = _kv_pool(llama(kv_cache_memory_bytes=largest + 1))
    assert change.keywords == {"kv_cache_memory_bytes": largest}
    assert list(_kv_pool(llama())) == []


def test_more_and_fewer_gpus():
    assert [more_gpus(count) for count in (1, 2, -1, -3)] == [
        "1 more GPU",
        "2 more GPUs",
        "1 fewer GPU",
        "3 fewer GPUs",
    ]


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


# Money


def test_what_a_service_costs():
    load = calculator.Workload(2.0, 1_000, 250)
    found = service(llama(tensor_parallel_size=2), load, prices={"h100-sxm": (2, 3)}, replicas=3)
    # six GPUs, two requests a second of 250 tokens each
    assert (found.num_gpus, found.usd_per_hour) == (6, (12.0, 18.0))
    output = found.load.output_tokens
    assert found.usd_per_million_output_tokens == pytest.approx([usd * 1e6 / (3_600 * 2 * output) for usd in (12, 18)])
    assert found.usd_per_request == pytest.approx((12 / 7_200, 18 / 7_200))
    assert found.usd_per_user_hour == pytest.approx((4 / found.batch_size, 6 / found.batch_size))
    each = found.output_tokens_per_second
    assert found.usd_per_million_output_tokens_full == pytest.approx((4e6 / 3_600 / each, 6e6 / 3_600 / each))
    assert found.requests_per_second == 2.0
    row = found.row()
    assert (row["usd_per_hour_low"], row["usd_per_hour_high"], row["price_date"], row["price_quotes"]) == (
        12,
        18,
        None,
        None,
    )
    assert found.as_dict()["price_is_own"] is True
    users = Sizing(llama(), users_of(30, 4_096), Goals(), None).service()
    assert (users.usd_per_hour, users.usd_per_request, users.usd_per_user_hour) == (None, None, None)
    assert users.usd_per_million_output_tokens is None
    assert users.as_dict()["price_is_own"] is None


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
