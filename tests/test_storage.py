"""Storage formats: the bytes of a row, and rows that no engine stores."""

import re

import pytest
from golden import ROWS

import calculator
from calculator.formats.kv import FORMATS, storage_format


@pytest.mark.parametrize("name", ROWS)
def test_bytes_of_a_row(name):
    of_128, of_64, _ = ROWS[name]
    assert storage_format(name).row_bytes(128) == of_128
    assert storage_format(name).row_bytes(64) == of_64


@pytest.mark.parametrize("name", ROWS)
def test_a_whole_model_is_made_of_rows(name):
    # LLaMA 3 70B: 80 layers x 8 heads x (key row + value row) of 128 elements
    assert calculator.load_model("llama-3-70b").kv_bytes_per_token(name) == 80 * 8 * 2 * ROWS[name][0]


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row[2] > 1])
def test_a_row_that_blocks_do_not_divide_is_refused_with_the_multiple_needed(name):
    multiple = ROWS[name][2]
    text = f"{name} stores rows in blocks of {multiple} elements"
    with pytest.raises(calculator.UnsupportedError, match=re.escape(text)) as caught:
        storage_format(name).row_bytes(multiple + 1)
    assert f"head size of {multiple + 1}: it needs a multiple of {multiple}" in str(caught.value)


@pytest.mark.parametrize("name", ["q8_0", "q5_1", "q5_0", "q4_1", "q4_0"])
def test_head_size_80_is_refused_in_blocks_of_32(fields, name):
    model = calculator.custom_model(**{**fields, "head_dim": 80})
    with pytest.raises(calculator.UnsupportedError, match="head size of 80: it needs a multiple of 32"):
        calculator.kv_cache_bytes(model, 1, 1, name)


def test_head_size_80_is_stored_where_rows_are_not_cut_in_32(fields):
    # nvfp4: 5 blocks of 16 at 9 bytes; 4 layers x 4 heads x 2 rows
    model = calculator.custom_model(**{**fields, "head_dim": 80})
    assert model.kv_bytes_per_token("nvfp4") == 4 * 4 * 2 * 45


def test_fp8_is_e4m3():
    assert storage_format("fp8") is storage_format("fp8_e4m3")


def test_every_format_of_the_issue_and_no_other():
    assert set(FORMATS) == set(ROWS) - {"fp8"} | {"iq4_nl", "fp8_ds_mla"}


def test_the_packed_latent_format_is_for_latent_vectors_only():
    # vLLM flashmla_sparse.py: 512 + 4 x 4 + 64 x 2 = 656 bytes a token and layer
    assert calculator.kv_cache_bytes("deepseek-v3", 1, 1, "fp8_ds_mla") == 61 * 656
    with pytest.raises(calculator.UnsupportedError, match="fp8_ds_mla stores latent vectors"):
        calculator.kv_cache_bytes("llama-3-8b", 1, 1, "fp8_ds_mla")


@pytest.mark.parametrize("name", ["fp17", "FP16", "q8", ""])
def test_unknown_formats_are_refused(name):
    with pytest.raises(calculator.UnknownNameError, match=f"unknown KV-cache format '{name}'"):
        calculator.kv_cache_bytes("llama-3-8b", 1, 1, name)


@pytest.mark.parametrize(
    ("preset", "expected"), [("llama-2-7b", "fp16"), ("llama-3-70b", "bf16"), ("palm-540b", "bf16")]
)
def test_auto_is_the_checkpoints_own_16_bit_format(preset, expected):
    assert calculator.load_model(preset).resolve_dtype("auto") == expected


@pytest.mark.parametrize("named", ["float32", None])
def test_auto_means_16_bit_where_the_checkpoint_names_none_and_says_so(fields, named):
    model = calculator.custom_model(**fields, **({"torch_dtype": named} if named else {}))
    plan = calculator.plan(model, gpu="l4")
    assert plan.request.kv_cache_dtype == "bf16"
    assert sum("auto means 16 bit (bf16) here" in note for note in plan.notes) == 1


@pytest.mark.parametrize("name", ["turboquant_4bit_nc", "octave_k3v4", "nvfp4_4over6"])
def test_formats_of_an_engine_that_are_not_computed_are_refused_with_the_reason(name):
    with pytest.raises(calculator.UnsupportedError, match=f"{name} .* is not known here; int4_per_token_head"):
        calculator.plan("llama-3-8b", gpu="h200", kv_cache_dtype=name)
