"""The proof: what is compared with public start-up figures, and how far off it may be."""

import hashlib
from pathlib import Path

import pytest

from calculator.logs.accuracy import Row, comparisons, markdown, quantile, summarise

ROOT = Path(__file__).parents[1]
JUDGED = [one for one in comparisons() if one.capacity_error is not None]


def test_the_report_is_up_to_date():
    assert (ROOT / "docs" / "accuracy.md").read_text(encoding="utf-8") == markdown(), "run make accuracy"


def test_rows_are_told_apart_by_the_hash_of_their_id():
    for one in comparisons():
        assert one.calibrates == (hashlib.sha256(one.id.encode()).digest()[0] % 2 == 0)
    assert 0.3 < sum(one.calibrates for one in comparisons()) / len(comparisons()) < 0.7


def test_half_of_the_pools_are_within_one_percent():
    assert quantile((abs(one.capacity_error) for one in JUDGED), 0.5) <= 0.01
    held_out = [abs(one.capacity_error) for one in JUDGED if not one.calibrates]
    assert quantile(held_out, 0.5) <= 0.01


@pytest.mark.parametrize("one", JUDGED, ids=lambda one: one.id)
def test_a_pool_far_too_high_is_explained(one):
    if abs(one.capacity_error) > 0.05:
        assert one.row["explanation"]


@pytest.mark.parametrize("one", [one for one in comparisons() if one.tokens_exact is not None], ids=lambda one: one.id)
def test_the_printed_pool_holds_the_printed_tokens(one):
    assert one.tokens_exact or one.row["explanation"]


def test_a_wrong_figure_is_seen():
    one = next(one for one in JUDGED if one.is_close)
    off = Row(**{**vars(one), "capacity_error": 0.4, "device_error": 0.2, "in_range": False})
    summary = summarise("one", [off])
    assert (summary.close, summary.in_range, summary.errors) == (0, 0, (0.4,))
    assert f"- `{one.id}`: +40.0%. " in markdown([off])


@pytest.mark.parametrize(("share", "expected"), [(0.5, 3), (0.9, 5), (0.2, 1)])
def test_quantile_is_the_nearest_rank(share, expected):
    assert quantile([5, 3, 1, 2, 4], share) == expected
