"""Plans side by side: numbers of each with their ratio, what differs in words, and what cannot be said."""

import pytest

import calculator
from calculator.views import engines_view, side_by_side
from calculator.views.comparing.difference import engine_by_engine, fitting, headline, told_apart, verdict

ASKED = {"tensor_parallel_size": 4, "seq_len": 8192}


def of(gpu="a100-80gb-sxm", model="llama-3-70b", **asked):
    return calculator.plan(model, gpu=gpu, **{**ASKED, **asked})


# sixteen A100s in four replicas of 50 users each, and four GPUs of one replica, for 200 users
FOUR_REPLICAS = of(data_parallel_size=4, batch_size=50)
ONE = of("mi325x", batch_size=200)


def test_numbers_are_totals_and_ratios_are_to_the_first():
    beside = side_by_side([FOUR_REPLICAS, ONE])
    assert [cell.value for cell in beside.row("users").cells] == [200, 200]
    assert beside.row("num_gpus").ratio(1) == 4 / 16
    held = beside.row("held")
    assert held.cells[0].value == 4 * FOUR_REPLICAS.max_batch_size
    assert held.cells[0].text == (
        f"{4 * FOUR_REPLICAS.max_batch_size} "
        f"({4 * FOUR_REPLICAS.max_batch_size_low}–{4 * FOUR_REPLICAS.max_batch_size_high})"
    )
    low, high = FOUR_REPLICAS.accelerator.price_usd_per_hour
    assert beside.row("usd_per_hour").cells[0][1:3] == (16 * low, 16 * high)
    # 200 users, a token each every TPOT, at the lowest price: USD for 10^6 of them
    seconds = beside.row("time_per_output_token_s").cells[1].value
    expected = 4 * ONE.accelerator.price_usd_per_hour[0] / 3600 / (200 / seconds) * 1e6
    assert beside.row("usd_per_million_output_tokens").cells[1].value == pytest.approx(expected)


def test_what_differs_and_what_does_not_are_apart_and_all_is_in_the_frame():
    beside = side_by_side([FOUR_REPLICAS, of("mi325x", batch_size=200, max_num_seqs=300)])
    differing, same = ({row.key for row in rows} for rows in (beside.differing, beside.same))
    assert {"gpu", "num_gpus", "split", "held", "max_num_seqs"} <= differing
    assert {"model", "weights_bytes", "seq_len", "users"} <= same
    assert not differing & same
    frame = beside.frame()
    assert set(frame["term"]) == differing | same
    assert list(frame.loc[frame["term"] == "model", ["A", "B"]].iloc[0]) == ["LLaMA 3 70B", "LLaMA 3 70B"]


def test_the_headline_says_price_users_and_speed():
    # 7.80 for 12.80 USD an hour is 39 % less
    before, after = (plan.price_usd_per_hour[0] for plan in (FOUR_REPLICAS, ONE))
    assert round(100 * (1 - after / before)) == 39
    more = round(100 * (ONE.total_max_batch_size / FOUR_REPLICAS.total_max_batch_size - 1))
    paces = [
        calculator.speed(plan, each, 8192, None).time_per_output_token_s
        for plan, each in ((FOUR_REPLICAS, 50), (ONE, 200))
    ]
    assert max(paces) / min(paces) < 1.05
    beside = side_by_side([FOUR_REPLICAS, ONE])
    assert headline(beside) == (
        f"LLaMA 3 70B, 200 users of 8,192 tokens: B costs 39 % less, holds {more} % more and is as fast"
    )
    assert fitting(beside) == (True, "both hold 200")
    assert "B takes 4 GPUs in place of 16." in verdict(beside)
    assert told_apart(beside) == ("16 × A100 80GB SXM, TP 4, DP 4", "4 × MI325X, TP 4")


@pytest.mark.parametrize(
    ("plans", "said"),
    [
        ([ONE, ONE], "A and B are the same"),
        ([of(batch_size=200), ONE], "only B holds what is asked and costs 2.4 × as much"),  # 7.80 for 3.20
        ([ONE, of(batch_size=200)], "only A holds what is asked; B costs 59 % less"),
        ([of(batch_size=200), of(batch_size=300)], "neither holds what is asked"),
        ([of(batch_size=200), of(batch_size=300), ONE], "only C holds what is asked"),
        ([FOUR_REPLICAS, ONE, of("b200", batch_size=200)], "B costs the least and holds the most, C is the fastest"),
    ],
)
def test_what_is_said_of_those_that_do_not_hold_it_and_of_several(plans, said):
    beside = side_by_side(plans)
    if "fastest" in said:
        assert [plan.fits for plan in plans] == [True] * 3
    assert headline(beside).split(": ", 1)[1] == said


def test_a_step_of_fewer_users_is_called_neither_faster_nor_slower():
    beside = side_by_side([of(batch_size=8), of("h200", batch_size=200)])
    assert "fast" not in headline(beside)
    assert headline(beside).startswith("LLaMA 3 70B, 8,192 tokens each: ")


def test_replicas_that_share_a_few_more_users_are_compared_as_the_same_load():
    # 3 × 67 for 200, within 5 %; 220 is not
    three = of("h200", data_parallel_size=3, batch_size=67)
    assert headline(side_by_side([ONE, three])).startswith("LLaMA 3 70B, about 200 users of 8,192 tokens: ")
    assert "each" in headline(side_by_side([ONE, of("h200", batch_size=220)]))


def test_two_models_are_both_named_and_told_apart():
    beside = side_by_side([of(batch_size=16), of(model="qwen2.5-72b", batch_size=16)])
    assert headline(beside).startswith("LLaMA 3 70B and Qwen2.5 72B, 16 users of 8,192 tokens: ")
    assert told_apart(beside)[1] == "Qwen2.5 72B, 4 × A100 80GB SXM, TP 4"


def test_one_plan_by_itself_or_five_are_refused():
    for plans in ([ONE], [ONE] * 5):
        with pytest.raises(calculator.InvalidValueError, match="two to 4 plans"):
            side_by_side(plans)


def test_a_plan_alone_says_how_far_its_engine_moves_it():
    view = engines_view(of(batch_size=16))
    held = {row.engine: row.max_batch_size for row in view.possible}
    least, most = min(held, key=held.get), max(held, key=held.get)
    assert engine_by_engine(view) == (
        f"LLaMA 3 70B on 4 × A100 80GB SXM: {held[least]} users on {least}, {held[most]} on {most}"
    )
