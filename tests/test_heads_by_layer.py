"""KV heads and windows that differ from layer to layer: to the byte, written short, refused by layer."""

import pytest

import calculator
from calculator.reading.by_layer import is_by_layer, parse_by_layer, write_by_layer

REFERENCE = {"gpu": "a100-80gb-sxm", "tensor_parallel_size": 4, "seq_len": 8192}
HEADS, WINDOWS = "num_key_value_heads", "sliding_window"


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
