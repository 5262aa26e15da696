"""Public measured speeds: the aims on rows held out, figures that follow from the rows given, and ratios of papers."""

import csv
import hashlib
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import median

import pytest

import calculator
from calculator.catalogue.presets import data_file
from calculator.engines.measured import BANDS
from calculator.hardware import custom_accelerator
from calculator.logs.proof.speed_accuracy import not_computed, served, speed_markdown
from calculator.logs.proof.tables import quantile
from calculator.planning.traffic.judged.accuracy import Measured, judged, measured
from calculator.planning.traffic.judged.fit import bands
from calculator.planning.traffic.timing.speed import PROMPT_RANGE

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.xdist_group("judged")  # by one worker: all rows are computed once


@cache
def of_steps():
    return [one for one in judged() if one.plan and one.row.kind == "serve"]


@cache
def held_out():
    return [one for one in of_steps() if not one.row.given]


def shares(errors):
    sizes = [abs(error) for error in errors]
    return quantile(sizes, 0.5), quantile(sizes, 0.9)


def test_steps_of_rows_held_out_are_close():
    middle, most = shares(one.step_error for one in held_out())
    assert len(held_out()) > 700
    assert middle <= 0.10
    assert most <= 0.35
    assert abs(median(one.step_error for one in held_out())) <= 0.02


@pytest.mark.parametrize("group", BANDS)
def test_the_range_of_every_group_holds_nine_of_ten_held_out(group):
    held = [one.in_range for one in held_out() if one.group == group]
    assert len(held) >= 10
    assert sum(held) / len(held) >= 0.9


def test_tokens_a_second_with_only_the_clients_known():
    assert shares(one.rate_error for one in held_out() if one.rate_error is not None)[0] <= 0.10


def test_full_load_of_dense_models_with_this_packages_own_pool():
    full = [one for one in judged() if one.plan and one.row.kind == "full" and one.group == "dense"]
    assert len(full) > 80
    for given in (True, False):
        assert shares(one.rate_error for one in full if one.row.given == given)[0] <= 0.09


def test_the_first_token_is_an_order_of_magnitude():
    low, high = PROMPT_RANGE
    ratios = [1 / (1 + one.first_error) for one in of_steps() if one.first_error is not None]
    assert sum(low <= ratio <= high for ratio in ratios) / len(ratios) >= 0.9


def test_one_request_alone_lies_in_the_range_of_its_prefill():
    alone = [one for one in judged() if one.plan and one.row.kind == "ttft1"]
    for one in alone:
        found = calculator.speed(one.plan, 1, one.row.prompt_tokens, None)
        # what is shown is what is judged
        assert one.first_error == found.prefill_s / one.row.ttft_s - 1
        assert one.in_range == (found.prefill_s_low <= one.row.ttft_s <= found.prefill_s_high)
    assert len(alone) >= 30
    assert sum(one.in_range for one in alone) / len(alone) >= 0.9
    # what llama.cpp measures is builds of 2024; of the others half are within 15 %
    others = [abs(one.first_error) for one in alone if one.row.asked["engine"] != "llama.cpp"]
    assert median(others) <= 0.15


def test_rows_are_told_apart_by_the_hash_of_their_id():
    for row in measured():
        assert row.given == (hashlib.sha256(row.id.encode()).digest()[0] % 2 == 0)
    assert 0.45 < sum(row.given for row in measured()) / len(measured()) < 0.55
    assert len({row.id for row in measured()}) == len(measured())


def test_ranges_hold_what_the_rows_given_spread_over():
    given = [one for one in judged() if one.row.given and one.checked and one.row.kind in ("serve", "static")]
    for group, (low, high) in bands(given).items():
        # to the two digits that the figures have
        assert BANDS[group][0] <= low + 0.005
        assert BANDS[group][1] >= high - 0.005


def test_a_range_leaves_out_a_few_at_either_end():
    some = [replace(of_steps()[0], group="dense", step_error=1 / ratio - 1) for ratio in range(1, 101)]
    # 2 % of 100 rows at either end: the third of them, and the third from the end
    assert bands(some)["dense"] == pytest.approx((3, 98))


def test_every_row_has_a_source_with_a_licence():
    lines = data_file("speed_sources.csv").read_text(encoding="utf-8").splitlines()[1:]
    sources = {row["source"]: row for row in csv.DictReader(lines)}
    assert {row.source for row in measured()} == set(sources)
    assert [name for name, row in sources.items() if not (row["url"] and row["licence"])] == []


def test_what_a_row_measured():
    row = Measured("x", "serve", "s", {}, 1000, 100, 10, None, 0.02, 0.5, None)
    # 100 tokens at 20 ms take 2 s; 0.5 s of 2.5 s are spent on the prompt: 10 x 2 / 2.5 decode
    assert row.decoding == pytest.approx(8)
    # 10 x 100 tokens in 0.5 + 99 x 0.02 s
    assert row.rate == pytest.approx(1000 / 2.48)
    # one batch of 10 at 400 tokens a second: 25 ms a token each
    assert replace(row, kind="static", tpot_s=None, ttft_s=None, output_tokens_per_second=400).step_s == 0.025


def test_rows_that_cannot_be_computed_are_named():
    reasons = not_computed()
    assert reasons["engine gpt-fast"] == 10
    assert reasons["gpu apple-m2-ultra"] == 6
    assert sum(reasons.values()) == sum(one.plan is None for one in judged())
    assert "- engine gpt-fast: 10" in speed_markdown()


def test_what_the_readme_says_of_speeds():
    middle, most = shares(one.step_error for one in held_out())
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"beside {len(measured()):,} public ones" in text
    assert f"a token is {middle:.0%} off in the median and {most:.0%} at nine of ten".replace("%", " %") in text


def test_the_table_counts_each_row_once():
    every = {summary.name: summary for summary in served()}
    for half in ("given", "held out"):
        groups = sum(every[f"{group}, {half}"].rows for group in BANDS)
        assert groups == every[f"all, {half}"].rows


# GQA paper (arXiv 2305.13245), table 1, T5-XXL on TPUs, seconds a sample: MHA 1.51, GQA-8 0.28, MQA 0.24. Batch and
# lengths are not printed with them: 32 sequences a chip, 2,048 tokens in and 512 out are taken here, on 8 chips of
# 1,200 GB/s. A loop compiled for a TPU launches nothing and the encoder is apart: what is compared is the time that the
# bytes of weights and cache take.


def terms_of(plan, sequences, prompt, output):
    found = calculator.speed(plan, batch_size=sequences, prompt_tokens=prompt, output_tokens=output)
    return {term.name: term.seconds for term in found.terms}


def decoder(kv_heads, **shape):
    return calculator.custom_model(
        num_key_value_heads=kv_heads, max_position_embeddings=4096, tie_word_embeddings=True, **shape
    )


def test_ratios_of_the_gqa_paper():
    chip = replace(custom_accelerator(32 * 2**30), bandwidth_gb_per_s=1200, bf16_tflops=275, link_gb_per_s=300)
    shape = {
        "num_layers": 24, "hidden_size": 4096, "num_attention_heads": 64, "head_dim": 64, "intermediate_size": 10_240,
        "vocab_size": 32_128,
    }  # fmt: skip
    seconds = {}
    for kv_heads in (64, 8, 1):
        plan = calculator.plan(
            decoder(kv_heads, **shape), gpu=chip, tensor_parallel_size=8, seq_len=2560, kv_cache_dtype="bf16"
        )
        terms = terms_of(plan, 8 * 32, 2048, 512)
        seconds[kv_heads] = terms["weights"] + terms["kv"]
    # within a third: the paper's time holds what is not bytes as well
    assert seconds[64] / seconds[8] == pytest.approx(1.51 / 0.28, rel=1 / 3)
    # 8 chips hold one KV head each with 8 heads and with one, which is copied: nearly the same
    assert seconds[8] / seconds[1] == pytest.approx(0.28 / 0.24, rel=0.2)


def test_ratio_of_the_mqa_paper():
    # arXiv 1911.02150, table 2: 46 us a token of the decoder with 8 heads, 3.8 with one; 6 layers, 1,024 wide, 8 heads
    # of 128; 128 sequences a core, 128 tokens in and 128 out. Reading keys and values took all but all of the time.
    core = replace(custom_accelerator(8 * 2**30), bandwidth_gb_per_s=350, bf16_tflops=22.5, link_gb_per_s=300)
    shape = {
        "num_layers": 6, "hidden_size": 1024, "num_attention_heads": 8, "head_dim": 128, "intermediate_size": 4096,
        "vocab_size": 32_768,
    }  # fmt: skip
    kv = [
        terms_of(calculator.plan(decoder(heads, **shape), gpu=core, seq_len=256), 128, 128, 128)["kv"]
        for heads in (8, 1)
    ]
    # an eighth of the bytes; the paper's ratio of 12 is of the same order, within a factor of 1.6
    assert kv[0] / kv[1] == pytest.approx(8)
    assert 1 / 1.6 <= (46 / 3.8) / (kv[0] / kv[1]) <= 1.6
