"""Foreign text in names of files and in cells of tables that a reader takes away."""

import pytest

import calculator
from calculator.views.kv_heads import kv_head_view
from dashboard.downloads import csv_of
from dashboard.text import cell, file_name, plain


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("llama-3-70b-a100-80gb-sxm", "llama-3-70b-a100-80gb-sxm"),
        ("../../etc/passwd", "etc-passwd"),
        (".bashrc", "bashrc"),
        ('a\r\nb"; x=\\', "a--b---x--"),
        ("\u202e\u2603", "plan"),
    ],
)
def test_a_file_is_named_by_letters_digits_dots_and_dashes(text, name):
    assert file_name(text) == name


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_a_cell_is_no_formula(text):
    assert cell(text) == f"'{text}"
    assert cell(f"x{text}") == f"x{text}"


@pytest.mark.parametrize("value", [-1, -1.5, None, True, ""])
def test_other_cells_are_left(value):
    assert cell(value) is value


def test_a_models_name_starts_no_formula_in_a_csv(fields):
    model = calculator.custom_model(**{**fields, "name": "=HYPERLINK(1)"})
    view = kv_head_view(calculator.plan(model, gpu="l4", tensor_parallel_size=2))
    row = {**view.rows[0], "refused": "=HYPERLINK(1) has no such heads"}
    assert "'=HYPERLINK(1) has no such heads" in csv_of(
        calculator.views.View(view.name, view.title, "", view.plan, [row])
    )


def test_text_on_the_page_cannot_turn_its_direction_or_hide():
    assert plain("a\u202eb\x1b\u200bc\nd") == "a\ufffdb\ufffd\ufffdc d"
    assert plain("4 × A100 · 9 %") == "4 × A100 · 9 %"
