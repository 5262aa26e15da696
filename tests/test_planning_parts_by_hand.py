"""Parts of a plan, each by hand: matrices on a rank, formats, caches, replicas, what is kept of a search, logs."""

import json
from dataclasses import replace

import pytest

import calculator
from calculator.architecture.caches import CompressedRows, RowsInPassing
from calculator.architecture.compressed import CompressedAttention
from calculator.architecture.matrices import Sharding, WeightMatrix
from calculator.architecture.weights import bytes_on_rank, embedding_bytes, shape_on_rank, weight_bytes_per_rank
from calculator.formats.kv import storage_format
from calculator.formats.names import format_in_name, format_of_gguf
from calculator.formats.weights import weight_format
from calculator.planning.sizing.loads import MOST_KEPT, load_of, users_of
from calculator.planning.sizing.operating import Goals, Point
from calculator.planning.sizing.served import Sizing, speeds_at
from calculator.request.calibration import calibration_of

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
