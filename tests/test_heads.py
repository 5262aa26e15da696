"""The study of KV heads: limits, the ratios of the papers, copies, goals; memory of prefill, intensity of decode."""

import itertools
import math
from fractions import Fraction

import pytest
from cases import CONFIGS
from golden import SHAPES

import calculator
from calculator.architecture.latent import LatentAttention
from calculator.configs.reader import model_from_hf_config
from calculator.engines import ENGINES
from calculator.planning.heads.presets import preset_heads
from calculator.reading.by_layer import is_by_layer, parse_by_layer, write_by_layer

REFERENCE = {"gpu": "a100-80gb-sxm", "tensor_parallel_size": 4, "seq_len": 8192}
COLUMNS = {
    "kind", "num_key_value_heads", "kv_bytes_per_token", "kv_bytes_per_token_per_gpu", "saving", "num_parameters",
    "max_batch_size", "time_per_output_token_s", "output_tokens_per_second", "intensity",
}  # fmt: skip
"""Of the contract."""
HEADS, WINDOWS = "num_key_value_heads", "sliding_window"


@pytest.fixture(scope="module")
def study():
    return calculator.head_study("llama-3-70b", batch_size=16, **REFERENCE)


def by_heads(study):
    return {row.num_key_value_heads: row for row in study.rows if row.num_key_value_heads}


def divisors(number):
    return [each for each in range(1, number + 1) if number % each == 0]


# Limits


@pytest.mark.parametrize("preset", SHAPES)
def test_every_number_of_heads_keeps_two_rows_a_head_and_layer_to_the_byte(preset):
    layers, heads, own, size, _ = SHAPES[preset]
    rows = by_heads(calculator.head_study(preset, gpu="mi300x", seq_len=1024, latent=False))
    assert list(rows) == divisors(heads)
    for count, row in rows.items():
        assert row.kv_bytes_per_token == 2 * count * size * layers * 2
        assert row.kv_bytes_per_sequence == 1024 * 2 * count * size * layers * 2
        assert row.saving == float(Fraction(heads - count, heads))
        assert row.query_heads_per_kv_head == heads / count
        assert row.intensity == pytest.approx(heads / count, rel=1e-12)
        assert row.this_model is (count == own)
    assert rows[heads].kind == "mha"
    assert rows[1].kind == ("mqa" if heads > 1 else "mha")
    assert {row.kind for count, row in rows.items() if 1 < count < heads} <= {"gqa"}


def test_the_ends_are_the_same_model_built_by_hand(fields):
    model = calculator.custom_model(**fields)
    rows = by_heads(calculator.head_study(model, gpu="l4", seq_len=512))
    for count in (1, 8):
        by_hand = calculator.custom_model(**{**fields, "num_key_value_heads": count})
        assert rows[count].num_parameters == by_hand.num_parameters
        assert rows[count].kv_bytes_per_sequence == calculator.kv_cache_bytes(by_hand, 512)
        plan = calculator.plan(by_hand, gpu="l4", seq_len=512)
        assert rows[count].max_batch_size == plan.max_batch_size
        assert rows[count].weights_bytes_per_gpu == plan.per_gpu.weights_bytes


def test_parameters_grow_by_the_projections_of_k_and_v(study):
    # LLaMA 3 70B has 70,553,706,496 parameters with 8; a head more adds 2 x 128 x 8,192 in each of 80 layers.
    for count, row in by_heads(study).items():
        assert row.num_parameters == 70_553_706_496 + (count - 8) * 2 * 128 * 8192 * 80


@pytest.mark.parametrize(
    "preset", ["llama-3-70b", "llama-2-7b", "qwen2.5-72b", "gemma-2-9b", "falcon-7b", "mixtral-8x7b"]
)
def test_constant_parameters_stay_within_half_a_column_of_the_mlp_in_each_layer(preset):
    model = calculator.load_model(preset)
    layers = model.num_layers
    # A column is an input weight of each projection that fills the MLP and an output weight of the one that empties it.
    column = model.hidden_size * model.mlp_projections * max(1, model.moe_intermediate_size and 8)
    study = calculator.head_study(preset, gpu="mi300x", seq_len=1024, latent=False, constant_parameters=True)
    rows = by_heads(study)
    for row in rows.values():
        assert abs(row.num_parameters - model.num_parameters) <= layers * column / 2
    widths = [row.mlp_width for row in rows.values()]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > widths[-1]
    assert next(row for row in rows.values() if row.this_model).num_parameters == model.num_parameters


@pytest.mark.parametrize("degree", [1, 4, 16])
@pytest.mark.parametrize("preset", ["llama-3-70b", "mixtral-8x7b"])
def test_constant_parameters_hold_within_a_column_a_layer_at_any_degree(preset, degree):
    model = calculator.load_model(preset)
    column = model.hidden_size * model.mlp_projections * max(1, model.moe_intermediate_size and 8)
    study = calculator.head_study(
        preset, gpu="mi300x", seq_len=1024, tensor_parallel_size=degree, latent=False, constant_parameters=True
    )
    for row, plan in zip(study.rows, study.plans, strict=True):
        if row.refused:
            continue
        assert abs(row.num_parameters - model.num_parameters) <= model.num_layers * column
        widths = {matrix.outputs for group in plan.model.layers for matrix in group.weights
                  if matrix.part in ("dense MLP", "experts") and matrix.sharding.name == "COLUMNS"}  # fmt: skip
        assert {width % degree for width in widths} <= {0}
        assert max(widths) - min(widths) in (0, degree)


def test_constant_parameters_keep_a_width_that_the_gpus_can_share():
    # 64 heads in place of 8: 2 x 56 x 128 x 8,192 / (3 x 8,192) = 4,778.67 columns fewer than 28,672, 23,893.33. 4 GPUs
    # share 23,892, and 23,896 in 27 of the 80 layers: 80 x 1.33 / 4 = 26.67. That is 4 x 27 - 106.67 = 1.33 columns of
    # 3 x 8,192 parameters too many in the whole model.
    study = calculator.head_study("llama-3-70b", constant_parameters=True, **REFERENCE)
    row = by_heads(study)[64]
    assert (row.mlp_width, row.refused) == (23_892, "")
    assert row.num_parameters - 70_553_706_496 == 4 * 8192
    assert calculator.plan(study.plans[6].model, **REFERENCE).max_batch_size == row.max_batch_size
    # One GPU: 23,893 in every layer, a third of a column too few
    alone = calculator.head_study("llama-3-70b", gpu="mi300x", seq_len=1024, constant_parameters=True)
    assert by_heads(alone)[64].mlp_width == 23_893


def test_a_layer_without_an_mlp_cannot_keep_its_parameters():
    study = calculator.head_study("nemotron-h-56b", gpu="h200", tensor_parallel_size=8, seq_len=1024,
                                  constant_parameters=True)  # fmt: skip
    refused = {row.label: row.refused for row in study.rows if row.refused}
    assert "has no MLP that could keep its parameters constant" in refused["1"]
    assert [row.refused for row in study.rows if row.this_model] == [""]


# The ratios of the papers


def test_latent_attention_is_as_large_as_two_and_a_quarter_kv_heads(study):
    # arXiv 2405.04434, table 1: 4 d + d / 2 elements a token and layer, 2.25 groups of 2 d.
    (latent,) = [row for row in study.rows if row.kind == "mla"]
    assert latent.kv_bytes_per_token == 80 * (512 + 64) * 2
    assert latent.kv_bytes_per_token / by_heads(study)[1].kv_bytes_per_token == 2.25
    (assumed,) = study.assumptions
    assert "512" in assumed
    assert "64" in assumed


def test_projections_of_latent_attention_are_counted():
    # A layer of LLaMA 3 70B, hidden 8,192, 64 heads: 2 x 8,192^2 + 2 x 1,024 x 8,192 = 150,994,944 in its attention.
    # Latent: queries 64 x 192 x 8,192, down 576 x 8,192, a norm of 512, up 64 x 256 x 512, output 8,192^2: 180,879,872.
    study = calculator.head_study("llama-3-70b", kv_heads=[8], **REFERENCE)
    own, latent = study.rows
    assert latent.num_parameters - own.num_parameters == 80 * (180_879_872 - 150_994_944)


def test_heads_in_place_of_a_models_own_latent_vector():
    # DeepSeek-V2-Lite, a layer: 16 heads of 192 and 128 of a width of 2,048 are 2,048 x 16 x (192 + 192 + 128 + 128)
    # = 20,971,520; its latent attention has 6,291,456 + 1,179,648 + 2,097,152 + 4,194,304 = 13,762,560 (and norms,
    # which stay). 27 layers.
    study = calculator.head_study("deepseek-v2-lite", gpu="h100-sxm", seq_len=4096)
    rows = by_heads(study)
    assert list(rows) == [1, 2, 4, 8, 16]
    assert rows[16].num_parameters - 15_706_484_224 == 27 * (20_971_520 - 13_762_560)
    (own,) = [row for row in study.rows if row.this_model]
    assert (own.kind, own.num_key_value_heads, own.kv_bytes_per_token) == ("mla", None, 27 * 576 * 2)
    assert study.assumptions == ()


def test_the_latent_size_that_deepseek_prints():
    # arXiv 2405.04434, table 9: 15.6K elements a token of the small model, 27 layers
    assert calculator.load_model("deepseek-v2-lite").kv_bytes_per_token("fp16") // 2 == 15_552


# One GPU: copies


def test_below_the_gpus_that_share_a_layer_heads_are_copied_and_nothing_is_saved(study):
    rows = by_heads(study)
    one_head = 2 * 128 * 80 * 2  # K and V of one head, 80 layers, 16 bit
    kept = {count: max(1, count // 4) * one_head for count in rows}
    assert {count: row.kv_bytes_per_token_per_gpu for count, row in rows.items()} == kept
    assert {count: row.kv_replication for count, row in rows.items()} == {1: 4, 2: 2} | dict.fromkeys(
        (4, 8, 16, 32, 64), 1
    )
    assert {count: row.saving_per_gpu for count, row in rows.items()} == {
        count: 1 - max(1, count // 4) / 16 for count in rows
    }
    assert {count: row.degrees_without_copies for count, row in rows.items()} == {
        count: tuple(each for each in divisors(64) if each <= count) for count in rows
    }
    assert "Below 4 KV heads they are copied to 4 GPUs" in study.finding
    # of 8,192 tokens: three quarters of what a GPU keeps of 1 head, half of 2
    copied = {count: row.copied_bytes_per_gpu for count, row in rows.items()}
    assert copied == {1: 8192 * one_head * 3 // 4, 2: 8192 * one_head // 2} | dict.fromkeys((4, 8, 16, 32, 64), 0)


def test_copies_of_layers_that_differ_are_counted_layer_by_layer():
    # 8 GPUs: of 4 heads each GPU keeps 1, as another does; of 16 heads 2 of its own. 40 layers of each.
    study = calculator.head_study(
        "llama-3-70b", gpu="h100-sxm", tensor_parallel_size=8, seq_len=1024, kv_heads=[[4] * 40 + [16] * 40]
    )
    row = study.rows[0]
    head = 1024 * 2 * 128 * 2
    assert row.copied_bytes_per_gpu == 40 * head // 2
    assert study.plans[0].kv_bytes_per_gpu == 40 * head + 40 * 2 * head
    assert (row.kv_heads_by_layer, row.kv_replication) == ("4 x 40, 16 x 40", 2)


def test_what_the_gpus_cannot_share_is_a_row_that_says_so():
    study = calculator.head_study("qwen2.5-14b", gpu="h100-sxm", tensor_parallel_size=4, seq_len=4096)
    refused = {row.num_key_value_heads: row.refused for row in study.rows if row.refused}
    assert list(refused) == [5, 10]
    assert "5 KV heads do not divide by 4" in refused[5]
    assert [row.max_batch_size for row in study.rows if row.refused] == [None, None]
    # 40 heads of 128, 48 layers
    assert by_heads(study)[10].kv_bytes_per_token == 2 * 10 * 128 * 48 * 2
    assert study.plans[study.rows.index(by_heads(study)[5])] is None


def test_where_no_row_can_be_planned_the_reason_is_raised():
    with pytest.raises(calculator.ParallelismError, match="64 query heads do not divide by 3"):
        calculator.head_study("llama-3-70b", gpu="a100-80gb-sxm", tensor_parallel_size=3)
    with pytest.raises(calculator.UnknownNameError, match="unknown GPU 'a100-80'"):
        calculator.head_study("llama-3-70b", gpu="a100-80")


# What is planned


def test_the_largest_batch_follows_from_the_pool(study):
    # vLLM cuts the pool into blocks of 16 tokens and keeps one; 8,192 tokens take 512.
    for row, plan in zip(study.rows, study.plans, strict=True):
        block = 16 * row.kv_bytes_per_token_per_gpu
        assert row.block_bytes_per_gpu == block
        assert row.max_batch_size == (plan.kv_pool_bytes // block - 1) // 512
        assert row.block_waste_bytes_per_gpu == 15 * row.kv_bytes_per_token_per_gpu // 2
        assert row.reserved_bytes_per_gpu == 8192 * row.kv_bytes_per_token_per_gpu
        assert row.fits is (row.max_batch_size >= 16)


def test_no_step_is_shorter_than_reading_weights_and_cache_takes(study):
    bandwidth = 4 * 2039e9  # four A100 80GB SXM
    embedding = 128_256 * 8192  # not read
    for row in study.rows:
        weights = 2 * (row.num_parameters - embedding)
        read = 4 * row.kv_bytes_per_token_per_gpu * 8192
        assert row.time_per_output_token_s >= (weights + 16 * read) / bandwidth
        assert row.full_time_per_output_token_s >= (weights + row.max_batch_size * read) / bandwidth
        assert row.output_tokens_per_second == pytest.approx(16 / row.time_per_output_token_s)
        assert row.full_output_tokens_per_second == pytest.approx(row.max_batch_size / row.full_time_per_output_token_s)
        assert row.output_tokens_per_second_low < row.output_tokens_per_second < row.output_tokens_per_second_high


def test_speeds_are_those_of_the_plans(study):
    for row, plan in zip(study.rows, study.plans, strict=True):
        fast = calculator.speed(plan, 16, 8192, None)
        assert (row.time_per_output_token_s, row.bound, row.checked) == (
            fast.time_per_output_token_s, fast.bound, fast.checked,
        )  # fmt: skip
    answered = calculator.head_study(
        "llama-3-70b", kv_heads=[8], latent=False, output_tokens=192, batch_size=16, **REFERENCE
    )
    fast = calculator.speed(study.plans[3], 16, 8000, 192)
    assert answered.rows[0].time_per_output_token_s == fast.time_per_output_token_s


def test_price_of_a_million_tokens_at_the_ends_of_both_ranges(study):
    # 0.8 to 3.0 USD an hour for each of 4 GPUs
    for row in study.rows:
        low = 4 * 0.8 / (row.full_output_tokens_per_second_high * 3600) * 1e6
        high = 4 * 3.0 / (row.full_output_tokens_per_second_low * 3600) * 1e6
        assert row.usd_per_million_output_tokens_low == pytest.approx(low)
        assert row.usd_per_million_output_tokens_high == pytest.approx(high)


def test_scores_depend_on_the_query_heads_alone(study):
    # 2 x 64 heads x (128 + 128) FLOPs for each of 8,192 tokens and 80 layers
    assert {row.attention_flops_per_token for row in study.rows if row.kind != "mla"} == {2 * 64 * 256 * 8192 * 80}
    (latent,) = [row for row in study.rows if row.kind == "mla"]
    assert latent.attention_flops_per_token == 2 * 64 * (2 * 512 + 64) * 8192 * 80
    for row in study.rows:
        assert row.matrix_flops_per_token == 2 * (row.num_parameters - 128_256 * 8192)


def test_an_unknown_bandwidth_leaves_memory_and_says_why():
    study = calculator.head_study("llama-3-8b", gpu_memory_bytes=80 * 2**30, seq_len=4096, kv_heads=[8], latent=False)
    (row,) = study.rows
    assert row.max_batch_size > 0
    assert (row.time_per_output_token_s, row.ridge) == (None, None)
    assert "is not known" in row.why


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_answers_or_refuses_row_by_row(engine):
    study = calculator.head_study("llama-3-8b", gpu="h100-sxm", seq_len=4096, engine=engine)
    batches = [row.max_batch_size for row in study.rows if row.num_key_value_heads]
    assert batches == sorted(batches, reverse=True)
    assert len(set(batches)) == 6
    assert {plan.request.engine for plan in study.plans if plan} == {engine}


@pytest.mark.parametrize(
    "preset", ["gemma-3-27b", "gpt-oss-20b", "jamba-v0.1", "qwen3-next-80b-a3b", "deepseek-v3.2", "gemma-4-26b-a4b",
               "nemotron-super-49b", "llama-4-scout", "opt-13b", "palm-540b"],
)  # fmt: skip
def test_every_kind_of_model_has_a_study(preset):
    study = calculator.head_study(preset, gpu="h200", tensor_parallel_size=8, seq_len=2048)
    assert len(study.frame()) == len(study.rows)
    assert sum(row.this_model for row in study.rows) == 1
    assert study.finding.endswith(".")
    mha = max(by_heads(study))
    assert by_heads(study)[mha].saving == 0


def test_an_encoder_decoder_counts_keys_and_values_of_both_of_its_attentions():
    # whisper of 4 layers, 20 heads of 64, a width of 1,280: a head fewer is 64 x (1,280 + 1,280) weights and a bias of
    # 64 of V alone, in self- and in cross-attention.
    model = model_from_hf_config(CONFIGS["encoder and decoder"], "it")
    study = calculator.head_study(model, gpu="l4", seq_len=400, encoder_seq_len=1500)
    rows = by_heads(study)
    assert list(rows) == [1, 2, 4, 5, 10, 20]
    fewer = 19 * 64 * 4 * 2 * (2 * 1280 + 1)
    assert rows[20].num_parameters - rows[1].num_parameters == fewer
    assert rows[1].kv_bytes_per_sequence == 4 * (400 + 1500) * 2 * 64 * 2
    assert rows[20].this_model
    assert "a KV head for each query head (MHA)" in study.finding


def test_layers_with_a_state_beside_their_heads_have_no_latent_form():
    model = model_from_hf_config(CONFIGS["attention and state in one layer"], "it")
    study = calculator.head_study(model, gpu="l4", seq_len=400)
    assert [row.kind for row in study.rows] == ["mqa", "gqa", "gqa", "gqa", "mha"]
    with pytest.raises(calculator.UnsupportedError, match="latent attention could take the place of"):
        calculator.uptraining(model, to_latent=True, training_tokens=10**12)


def test_a_model_without_heads_is_refused():
    model = model_from_hf_config(CONFIGS["mamba 2 alone"], "it")
    for ask in (
        lambda: calculator.head_study(model, gpu="l4", seq_len=400),
        lambda: calculator.attention_memory(model, 400),
        lambda: calculator.arithmetic_intensity(model, 1, 400),
        lambda: calculator.head_sharing(model),
        lambda: calculator.uptraining(model, training_tokens=10**12),
    ):
        with pytest.raises(calculator.UnsupportedError, match=r"has no (layer with )?attention heads"):
            ask()


# Frame


def test_the_frame_has_the_columns_of_the_contract_and_nan_for_latent_attention(study):
    frame = study.frame()
    assert set(frame.columns) >= COLUMNS
    assert frame["kind"].tolist() == ["mqa", "gqa", "gqa", "gqa", "gqa", "gqa", "mha", "mla"]
    assert frame["num_key_value_heads"].tolist()[:-1] == [1, 2, 4, 8, 16, 32, 64]
    assert math.isnan(frame["num_key_value_heads"].iloc[-1])
    assert frame["saving"].tolist()[:-1] == [1 - count / 64 for count in (1, 2, 4, 8, 16, 32, 64)]
    assert frame["degrees_without_copies"].iloc[3] == "1, 2, 4, 8"
    assert {type(label) for label in frame["label"]} == {str}


def test_a_window_reserves_no_more_than_itself():
    # Mistral 7B v0.1: 32,768 tokens, of which 4,096 of 131,072 bytes are kept
    (row,) = calculator.head_study("mistral-7b-v0.1", gpu="l40s", seq_len=8192, kv_heads=[8], latent=False).rows
    assert row.reserved_bytes_per_gpu == 4096 * 131_072


def test_numbers_of_any_integer_type():
    numpy = pytest.importorskip("numpy")
    asked = numpy.array([1, 8])
    study = calculator.head_study("llama-3-8b", gpu="l40s", seq_len=numpy.int64(2048), kv_heads=asked, latent=False)
    assert [row.num_key_value_heads for row in study.rows] == [1, 8]


def test_without_latent_attention_and_with_numbers_of_ones_own():
    study = calculator.head_study("llama-3-8b", gpu="l40s", seq_len=2048, kv_heads=[2, 32], latent=False)
    # the model itself has 8 heads, is not asked for, and not among them
    assert [row.label for row in study.rows] == ["2", "32"]


# Lists


def test_a_list_gives_each_layer_its_heads_to_the_byte(fields):
    counts = [1, 2, 8, 8]
    model = calculator.custom_model(**{**fields, "num_key_value_heads": counts})
    assert model.kv_bytes_per_token("fp16") == sum(2 * count * 64 * 2 for count in counts)
    uniform = calculator.custom_model(**fields)  # 4 heads in each of 4 layers
    assert model.num_parameters - uniform.num_parameters == sum(2 * (count - 4) * 64 * 512 for count in counts)
    assert model.kv_heads_by_layer == counts
    assert [group.count for group in model.layers] == [1, 1, 2]


def test_a_list_of_equal_numbers_is_the_number(fields):
    listed = calculator.custom_model(**{**fields, "num_key_value_heads": [4] * 4, "sliding_window": [None] * 4})
    assert listed == calculator.custom_model(**fields)
    model = calculator.load_model("llama-3-8b")
    assert model.with_kv_heads([8] * 32) is model
    assert model.with_kv_heads([4] * 32).groups == model.with_kv_heads(4).groups


def test_windows_by_layer(fields):
    model = calculator.custom_model(**fields, sliding_window=[None, 128, 128, 256])
    row = 2 * 4 * 64 * 2
    assert calculator.kv_cache_bytes(model, 1024) == row * (1024 + 128 + 128 + 256)
    one = calculator.custom_model(**fields, sliding_window=128)
    assert calculator.kv_cache_bytes(one, 1024) == 4 * 128 * row


def test_a_model_with_other_windows_is_written_to_a_plan_file_and_read_back(tmp_path):
    model = (
        calculator.load_model("llama-3-8b").with_kv_heads([4] * 16 + [8] * 16).with_windows([None] * 8 + [1024] * 24)
    )
    row = 2 * 128 * 2
    assert calculator.kv_cache_bytes(model, 4096) == row * (8 * 4 * 4096 + 8 * 4 * 1024 + 16 * 8 * 1024)
    path = tmp_path / "windows.yaml"
    plan = calculator.plan(model, gpu="l40s", seq_len=4096)
    path.write_text(calculator.write_plan_file(plan, "it"), encoding="utf-8")
    (read,) = calculator.read_plan_file(path)
    assert (read.plan.model.groups, read.plan.max_batch_size) == (model.groups, plan.max_batch_size)
    # windows of all, and none again
    whole = calculator.load_model("llama-3-8b")
    assert calculator.kv_cache_bytes(whole.with_windows(512), 4096) == 32 * 8 * 512 * row
    assert whole.with_windows(512).without_windows().groups == whole.groups


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("8x2, 4", [8, 8, 4]),
        ("8*2,4 × 1", [8, 8, 4]),
        ("[8, 8, 4]", [8, 8, 4]),
        ("none x 2, 128", [None, None, 128]),
    ],
)
def test_a_value_for_each_layer_written_short(text, values):
    assert parse_by_layer(text, "it", may_be_none=True) == values
    assert parse_by_layer(write_by_layer(values), "it", may_be_none=True) == values
    assert is_by_layer(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("8,y", "it of layer 1: 'y' is not a number, or one times layers such as 8x40"),
        ("8x3,none", "it of layer 3: 'none' is not a number"),
        ("8x10001", "it gives 10,001 layers; give 1 to 10,000"),
        ("8,,4", "it of layer 1: '' is not a number"),
    ],
)
def test_what_is_no_value_for_each_layer_names_its_layer(text, sentence):
    with pytest.raises(calculator.InvalidValueError) as caught:
        parse_by_layer(text, "it")
    assert sentence in str(caught.value)


def test_a_study_has_a_number_once_and_tells_lists_apart():
    lists = [[4] * 40 + [16] * 40, [16] * 40 + [4] * 40, [8] * 80]
    study = calculator.head_study("llama-3-70b", kv_heads=[8, 8, 1, *lists], latent=False, **REFERENCE)
    assert [row.label for row in study.rows] == ["8", "1", "4 to 16 by layer", "4 to 16 by layer (2)"]
    assert [row.this_model for row in study.rows] == [True, False, False, False]


def test_windows_of_a_study_are_those_of_every_row():
    windows = [None] * 40 + [1024] * 40
    study = calculator.head_study("llama-3-70b", sliding_window=windows, kv_heads=[8, 64], latent=False, **REFERENCE)
    for row in study.rows:
        assert row.kv_bytes_per_sequence == row.num_key_value_heads * 40 * (8192 + 1024) * 2 * 128 * 2
    assert study.assumptions == (
        "Windows are those that were asked for, not the model's own: none x 40, 1024 x 40.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("field", "values", "sentence"),
    [
        (HEADS, [4, 4, 4], "num_key_value_heads lists 3 layers, and there are 4: give one entry a layer"),
        (WINDOWS, [None] * 5, "sliding_window lists 5 layers, and there are 4: give one entry a layer"),
        (HEADS, [4, 4, 3, 4], "num_key_value_heads of layer 2: 3 is not possible: 8 query heads do not divide by it"),
        (HEADS, [4, 4, 3, 4], "the nearest is 2"),
        (HEADS, [4, "4", 4, 4], "num_key_value_heads of layer 1 must be a whole number of at least 1, not '4'"),
        (HEADS, [4, 0, 4, 4], "num_key_value_heads of layer 1 must be a whole number of at least 1, not 0"),
        (WINDOWS, [None, None, None, 0], "sliding_window of layer 3 must be a whole number of tokens from 1 to"),
        (WINDOWS, [True, None, None, None], "sliding_window of layer 0 must be a whole number of tokens"),
    ],
)
def test_a_bad_list_names_its_layer(fields, field, values, sentence):
    with pytest.raises(calculator.InvalidValueError) as caught:
        calculator.custom_model(**{**fields, field: values})
    assert sentence in str(caught.value)


def test_a_list_is_written_to_a_plan_file_and_read_back(fields, tmp_path):
    model = calculator.custom_model(
        **{**fields, "num_key_value_heads": [1, 2, 8, 8]}, sliding_window=[None, 64, 64, None]
    )
    varied = calculator.load_model("llama-3-8b").with_kv_heads([1] * 16 + [8] * 16)
    for number, each in enumerate((model, varied)):
        plan = calculator.plan(each, gpu="l40s", seq_len=1024)
        path = tmp_path / f"{number}.yaml"
        path.write_text(calculator.write_plan_file(plan, "it"), encoding="utf-8")
        (read,) = calculator.read_plan_file(path)
        assert read.plan.model.groups == each.groups
        assert read.plan.max_batch_size == plan.max_batch_size


def test_a_model_whose_layers_differ_stands_beside_equal_numbers(fields):
    model = calculator.custom_model(**{**fields, "num_key_value_heads": [1, 2, 8, 8]})
    study = calculator.head_study(model, gpu="l4", seq_len=512, latent=False)
    assert [(row.kind, row.label) for row in study.rows] == [
        ("mqa", "1"), ("gqa", "2"), ("gqa", "4"), ("mha", "8"), ("mixed", "1 to 8 by layer"),
    ]  # fmt: skip
    own = study.rows[-1]
    assert (own.this_model, own.num_key_value_heads) == (True, None)
    assert own.saving == 1 - 19 / 32  # 1 + 2 + 8 + 8 of 4 x 8
    asked = calculator.head_study(model, gpu="l4", seq_len=512, kv_heads=[8, [2, 2, 4, 4]], latent=False)
    assert [row.kv_bytes_per_token for row in asked.rows[:2]] == [2 * 32 * 64 * 2, 2 * 12 * 64 * 2]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"kv_heads": [3]}, "64 query heads do not divide by it"),
        ({"kv_heads": [[8] * 79]}, "lists 79 layers, and there are 80"),
        ({"kv_heads": [True]}, "must be a whole number of at least 1, not True"),
        ({"sliding_window": [None] * 79}, "sliding_window lists 79 layers, and there are 80"),
        ({"sliding_window": True}, "sliding_window of layer 0 must be a whole number"),
        ({"kv_heads": 8}, "kv_heads must list numbers of KV heads, not 8"),
        ({"kv_heads": []}, "kv_heads lists no numbers: give 1 to 200"),
        ({"kv_heads": itertools.repeat(8)}, "kv_heads lists more than 200 numbers"),
        ({"latent": 1}, "latent must be true or false, not 1"),
        ({"constant_parameters": "yes"}, "constant_parameters must be true or false"),
        ({"output_tokens": 8192}, "output_tokens must be a whole number from 1 to 8,191"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"kv_headz": [1]}, "unknown"),
    ],
)
def test_a_study_refuses_what_cannot_be_asked(asked, sentence):
    with pytest.raises(calculator.CalculatorError) as caught:
        calculator.head_study("llama-3-70b", **{**REFERENCE, **asked})
    assert sentence in str(caught.value)


# Goals


def test_goals_give_the_fewest_and_the_most_heads_that_meet_them(study):
    batches = {count: row.max_batch_size for count, row in by_heads(study).items()}
    found = study.recommend(min_batch_size=batches[8])
    assert (found.smallest, found.largest) == (1, 8)
    assert found.reasons["16"] == f"holds {batches[16]:,} sequences, fewer than {batches[8]:,}"
    assert (study.recommend(min_batch_size=batches[8] + 1).largest) == 4
    whole = study.recommend(min_batch_size=batches[8], without_copies=True)
    assert (whole.smallest, whole.largest, whole.latent_meets) == (4, 8, False)
    assert whole.reasons["1"] == "keeps the same on 4 GPUs"
    assert whole.finding.startswith("4 to 8 KV heads meet the goals. With 16 it holds")


def test_goals_of_speed(study):
    rows = by_heads(study)
    rate = study.recommend(min_output_tokens_per_second=rows[16].full_output_tokens_per_second)
    assert (rate.smallest, rate.largest) == (1, 16)
    slow = study.recommend(max_tpot_s=rows[8].time_per_output_token_s)
    assert (slow.smallest, slow.largest) == (1, 8)
    # 64 heads do not hold the 16 sequences that were asked, however long a token may take
    patient = study.recommend(max_tpot_s=10.0)
    assert patient.largest == 16
    assert patient.reasons["64"] == "does not hold the batch that was asked"


def test_a_recommendation_says_what_is_published_there(study):
    found = study.recommend(min_batch_size=by_heads(study)[8].max_batch_size)
    # 8 of 64 heads: T5-XXL and conversions have that ratio, Llama 2 and DeepSeek print 8 KV heads and no query heads
    rows = found.evidence.rows
    assert {(pair.query_heads_per_kv_head, pair.num_key_value_heads) for pair in rows} == {
        (8, 8),
        (8, 4),
        (8, 1),
        (None, 8),
    }
    changes = {pair.study: pair.change for pair in rows if pair.benchmark in ("MMLU", "average of 7 tasks")}
    assert changes == {"gqa-paper": -0.1, "llama-2-ablation": -1.1, "deepseek-v2-heads": -4.0}
    assert "from -5.2 to +1.6 points" in found.finding
    assert found.evidence.finding in found.finding
    fewest = {(pair.query_heads_per_kv_head, pair.num_key_value_heads) for pair in found.smallest_evidence.rows}
    assert fewest == {(64, 1), (None, 1)}


def test_no_goal_and_no_number_that_meets(study):
    with pytest.raises(calculator.InvalidValueError, match="no goal is stated"):
        study.recommend()
    with pytest.raises(calculator.InvalidValueError, match="min_batch_size must be at least 1"):
        study.recommend(min_batch_size=0)
    nothing = study.recommend(min_batch_size=10**6)
    assert (nothing.smallest, nothing.largest, nothing.meets) == (None, None, ())
    # without a number there is no quality to set beside it
    assert nothing.finding.startswith("No number of KV heads meets the goals (1: holds ")
    assert nothing.finding.endswith("fewer than 1,000,000).")
    assert (nothing.evidence.rows, nothing.smallest_evidence.rows) == ((), ())


def test_goals_that_exclude_each_other_are_said_one_by_one(study):
    rows = by_heads(study)
    fewest, most = rows[1].max_batch_size, 1e-3
    found = study.recommend(min_batch_size=fewest, max_tpot_s=most, without_copies=True)
    assert found.smallest is None
    assert found.finding.startswith("No number of KV heads meets the goals together. 1 to 4 would hold")
    assert "None would take 1.0 ms a token or less (1: takes" in found.finding
    assert found.finding.endswith("4 to 64 would keep nothing twice.")


def test_what_is_published_of_both_ends_is_said(study):
    found = study.recommend(min_batch_size=by_heads(study)[8].max_batch_size)
    assert f"With 8: {found.evidence.finding}" in found.finding
    assert f"With 1: {found.smallest_evidence.finding}" in found.finding
    assert found.as_dict()["smallest_evidence"] == found.smallest_evidence.finding
    alone = study.recommend(min_batch_size=by_heads(study)[64].max_batch_size, without_copies=True)
    assert (alone.smallest, alone.largest) == (4, 64)
    # below the fewest, too, it says why not
    assert "With 2 it keeps the same on 2 GPUs." in alone.finding


def test_numbers_between_that_gpus_cannot_share_are_no_part_of_the_range():
    study = calculator.head_study("qwen2.5-14b", gpu="h100-sxm", tensor_parallel_size=4, seq_len=4096)
    found = study.recommend(min_batch_size=1)
    assert found.finding.startswith("1 to 4, 8, 20 to 40 KV heads meet the goals.")


# Prefill and decode


def test_prefill_with_and_without_a_score_matrix_worked_by_hand():
    # LLaMA 3 70B, 8,192 tokens: 64 heads x 8,192^2 x 2 bytes of scores; Q and output 64 x 128, K and V 8 x 128 each.
    scores, rows = 64 * 8192**2 * 2, 2 * 8192 * (2 * 64 * 128 + 2 * 8 * 128)
    assert scores == 8 * 2**30
    assert calculator.attention_memory("llama-3-70b", 8192) == rows
    assert calculator.attention_memory("llama-3-70b", 8192, flash_attention=False) == scores + rows
    assert calculator.attention_memory("llama-3-70b", 8192, batch_size=3) == 3 * rows
    # chunks of 512 tokens against 8,192
    chunk = calculator.attention_memory("llama-3-70b", 8192, flash_attention=False, query_tokens=512)
    assert chunk == (scores + rows) // 16


def test_values_in_flight_are_as_wide_as_the_engine_computes_them():
    # llama.cpp, Llama 3 8B, n_ubatch 512, n_ctx 8,192: 4 x 512 x 8,192 x 32 = 512 MiB of scores, twice those in 16 bit
    asked = {"model": "llama-3-8b", "seq_len": 8192, "query_tokens": 512}
    for engine, wide in (("llama.cpp", 4), ("vllm", 2), (None, 2)):
        both = [calculator.attention_memory(**asked, engine=engine, flash_attention=flash) for flash in (False, True)]
        assert both[0] - both[1] == wide * 512 * 8192 * 32
        assert both[1] == wide * 512 * (2 * 32 + 2 * 8) * 128
    with pytest.raises(calculator.UnknownNameError, match="unknown engine 'llama'"):
        calculator.attention_memory(**asked, engine="llama")


@pytest.mark.parametrize("count", [1, 8, 64])
def test_the_score_matrix_does_not_depend_on_the_kv_heads(count):
    model = calculator.load_model("llama-3-70b").with_kv_heads(count)
    both = [calculator.attention_memory(model, 4096, flash_attention=flash) for flash in (False, True)]
    assert both[0] - both[1] == 64 * 4096**2 * 2


def test_prefill_of_latent_attention_has_heads():
    # DeepSeek-V2-Lite: 16 heads of 192 for Q and K, of 128 for V and output
    assert calculator.attention_memory("deepseek-v2-lite", 1000) == 2 * 1000 * 16 * (192 + 192 + 128 + 128)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"seq_len": 0}, "seq_len must be at least 1"),
        ({"query_tokens": 9000}, "query_tokens 9,000 is more than the 8,192 tokens of the prompt"),
        ({"flash_attention": 1}, "flash_attention must be true or false"),
    ],
)
def test_prefill_refuses_what_cannot_be(asked, sentence):
    with pytest.raises(calculator.InvalidValueError, match=sentence):
        calculator.attention_memory(**{"model": "llama-3-70b", "seq_len": 8192, **asked})


@pytest.mark.parametrize(("dtype", "factor"), [("fp16", 1), ("fp8", 2), ("fp32", 0.5)])
def test_intensity_of_attention_is_query_heads_a_kv_head(dtype, factor):
    for batch, tokens in ((1, 100), (64, 8192)):
        found = calculator.arithmetic_intensity("llama-3-70b", batch, tokens, kv_cache_dtype=dtype)
        assert found.attention == 8 * factor


def test_intensity_worked_by_hand():
    # Q of a layer: 64 x 128 x 2 bytes = 16 KiB; K and V of a token: 2 x 8 x 128 x 2 = 4 KiB, 80 layers.
    found = calculator.arithmetic_intensity("llama-3-70b", 32, 8192, gpu="h100-sxm")
    assert (found.query_bytes_per_layer, found.kv_bytes_per_token_per_layer) == (16 * 2**10, 4 * 2**10)
    assert (found.query_bytes_per_token, found.kv_bytes_per_token) == (80 * 16 * 2**10, 80 * 4 * 2**10)
    assert found.kv_bytes_read == 32 * 8192 * 327_680
    assert found.weights_bytes_read == 2 * (70_553_706_496 - 128_256 * 8192)
    assert found.attention_flops == 32 * 2 * 64 * 256 * 8192 * 80
    assert found.matrix_flops == 32 * found.weights_bytes_read
    assert found.step == (found.attention_flops + found.matrix_flops) / (found.kv_bytes_read + found.weights_bytes_read)
    assert round(found.ridge) == 295  # 989 TFLOPS over 3.35 TB/s


def test_intensity_of_latent_attention_is_near_the_ridge():
    # DeepSeek V3: 128 heads, 2 x 128 x (2 x 512 + 64) FLOPs and 576 x 2 bytes for each token
    assert calculator.arithmetic_intensity("deepseek-v3", 1, 1000, "bf16").attention == 2 * 128 * 1088 / 1152


def test_a_window_ends_what_is_read_and_computed():
    # Mistral 7B v0.1 keeps 4,096 tokens
    near, far = (calculator.arithmetic_intensity("mistral-7b-v0.1", 1, tokens) for tokens in (4096, 32_768))
    assert (near.kv_bytes_read, near.attention_flops) == (far.kv_bytes_read, far.attention_flops)
    assert far.kv_bytes_read == 4096 * 131_072


def test_an_encoders_tokens_are_read_and_computed_in_every_step():
    # whisper of 4 layers, 20 heads of 64: 400 tokens of its own and 1,500 of the encoder, K and V in 16 bit
    model = model_from_hf_config(CONFIGS["encoder and decoder"], "it")
    found = calculator.arithmetic_intensity(model, 3, 400, encoder_seq_len=1500)
    assert found.attention_flops == 3 * 2 * 20 * 128 * (400 + 1500) * 4
    assert found.kv_bytes_read == 3 * 2 * 20 * 64 * 2 * (400 + 1500) * 4
    assert found.attention == 1


def test_what_is_not_counted_is_refused():
    with pytest.raises(calculator.UnsupportedError, match="sparse indexer"):
        calculator.arithmetic_intensity("deepseek-v3.2", 1, 4096)


def test_query_heads_share_kv_heads_in_turn():
    shared = calculator.head_sharing("llama-3-8b", 8)
    assert [row.kv_head for row in shared] == list(range(8))
    assert shared[1].query_heads == (4, 5, 6, 7)  # repeat_interleave: query head i reads KV head i // 4
    assert [head for row in shared for head in row.query_heads] == list(range(32))
    assert {row.gpus for row in shared} == {(0,)}
    on_two = calculator.head_sharing("llama-3-8b", 8, tensor_parallel_size=2)
    assert [row.gpus for row in on_two] == [(0,)] * 4 + [(1,)] * 4
    copied = calculator.head_sharing("llama-3-8b", 2, tensor_parallel_size=8)
    assert [row.gpus for row in copied] == [(0, 1, 2, 3), (4, 5, 6, 7)]
    (alone,) = calculator.head_sharing("llama-3-8b", 1)
    assert alone.query_heads == tuple(range(32))
    assert len(calculator.head_sharing("llama-3-8b", 32)) == 32


@pytest.mark.parametrize("ranks", [1, 2, 4, 8, 16, 32])
@pytest.mark.parametrize("count", [1, 2, 4, 8, 16, 32])
def test_every_gpu_keeps_the_heads_that_its_query_heads_read(count, ranks):
    shared = calculator.head_sharing("llama-3-8b", count, ranks)
    for rank in range(ranks):
        mine = range(rank * 32 // ranks, (rank + 1) * 32 // ranks)
        read = {row.kv_head for row in shared if set(row.query_heads) & set(mine)}
        assert {row.kv_head for row in shared if rank in row.gpus} == read


def test_a_latent_vector_is_shared_by_all_and_kept_by_every_gpu():
    (row,) = calculator.head_sharing("deepseek-v2-lite", tensor_parallel_size=4)
    assert (row.query_heads, row.gpus) == (tuple(range(16)), (0, 1, 2, 3))


def test_sharing_refuses_layers_that_differ(fields):
    model = calculator.custom_model(**{**fields, "num_key_value_heads": [1, 2, 8, 8]})
    with pytest.raises(calculator.UnsupportedError, match="have 1 to 8 KV heads: give num_key_value_heads"):
        calculator.head_sharing(model)


def test_present_models_on_the_same_axis():
    found = {each.model: each for each in preset_heads()}
    assert list(found) == list(calculator.model_ids())
    for preset, (_, heads, groups, _, _) in SHAPES.items():
        assert (found[preset].num_attention_heads, found[preset].num_key_value_heads) == (heads, groups)
        assert found[preset].query_heads_per_kv_head == heads / groups
    assert found["deepseek-v3"].is_latent
    assert found["deepseek-v3"].query_heads_per_kv_head is None
    assert any(isinstance(group.spec, LatentAttention) for group in calculator.load_model("deepseek-v3").groups)
