"""The study of KV heads: limits, the ratios of the papers, copies, goals."""

import itertools
import math
from fractions import Fraction

import pytest
from cases import CONFIGS
from golden import SHAPES

import calculator
from calculator.configs.reader import model_from_hf_config
from calculator.engines import ENGINES

REFERENCE = {"gpu": "a100-80gb-sxm", "tensor_parallel_size": 4, "seq_len": 8192}
COLUMNS = {
    "kind", "num_key_value_heads", "kv_bytes_per_token", "kv_bytes_per_token_per_gpu", "saving", "num_parameters",
    "max_batch_size", "time_per_output_token_s", "output_tokens_per_second", "intensity",
}  # fmt: skip
"""Of the contract."""


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


def test_a_range_of_points_says_of_how_many_pairs_it_is():
    """Pairs of a speed or of a conversion stand beside them, and are counted among all."""
    found = calculator.quality_evidence(kv_heads=1)
    of_points = [pair for pair in found.rows if pair.unit == "points" and pair.category.endswith("trained")]
    assert 1 < len(of_points) < len(found.rows)
    low, high = (end(pair.change for pair in of_points) for end in (min, max))
    assert (
        f"; {len(of_points)} of them, of models trained or uptrained so, from {low:+g} to {high:+g} " in found.finding
    )
    assert found.finding.startswith(f"{len(found.rows)} published pairs of ")
