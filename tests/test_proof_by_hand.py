"""How the proof counts: machines and pairs, quantiles and tables, choices read between two points, by hand."""

import json
from types import SimpleNamespace

import pytest

from calculator import load_model
from calculator.logs import both
from calculator.logs.proof import choices as choosing
from calculator.logs.proof import foretold, held, judged
from calculator.logs.proof.choices import AtGoal, Choice
from calculator.logs.proof.foretold import Foretold, Pair
from calculator.logs.proof.machines import EACH, MACHINES, groups, machine_of, machines
from calculator.logs.proof.tables import quantile, table
from calculator.logs.questions import Question
from calculator.logs.reading import StartupLog, read_log


@pytest.mark.parametrize(
    ("values", "share", "found"),
    # the nearest rank: of ten, the fifth is the median, the ninth bounds nine of ten; of three the second
    [(range(1, 11), 0.5, 5), (range(1, 11), 0.9, 9), ([3, 1, 2], 0.5, 2), ([7], 0.5, 7), ([2, 1], 0.5, 1),
    ([2, 1], 0.51, 2),
     ([5, 4], 0.0, 4), (range(1, 101), 0.01, 1), (range(1, 101), 1.0, 100)],
)  # fmt: skip
def test_a_quantile_is_the_nearest_rank(values, share, found):
    assert quantile(values, share) == found


def test_a_table_has_a_rule_below_its_columns():
    columns = {"a": lambda row: str(row), "b": lambda row: str(-row)}
    assert table(columns, [1, 2]) == "| a | b |\n| --- | --- |\n| 1 | -1 |\n| 2 | -2 |"


def row_of(name, engine="vllm", error=0.01, close=True, in_range=True, calibrates=False, **row):
    return SimpleNamespace(
        id=name, engine=engine, row=row, capacity_error=error, is_close=close, in_range=in_range, calibrates=calibrates
    )


@pytest.mark.parametrize(
    ("row", "machine"),
    [
        ({"source": "https://github.com/o/r @abc", "gpu": "l4"}, "o/r l4"), ({"source": "o/r docs/x.md"}, "o/r"),
        ({"source": "o/r file x", "memory_gib": 80}, "o/r 80"),
        ({"source": "o/r accuracy/x", "gpu": "l4", "memory_gib": 9}, "o/r l4"),
        ({"machine": "m", "source": "o/r"}, "m"), ({"source": "it is not known"}, "one"), ({}, "one"),
        ({"source": "o/r (log)"}, "o/r (log)"),
    ],
)  # fmt: skip
def test_what_tells_machines_apart(row, machine):
    assert machine_of(row_of("one", **row)) == machine


def test_all_starts_of_a_machine_are_one():
    rows = [
        row_of("a", source="x", error=-0.04), row_of("b", source="x", error=0.02, in_range=False),
        row_of("c", source="y", close=False, calibrates=True), row_of("d", "sglang", source="x", error=0.03),
        row_of("e", source="x", error=None),
    ]  # fmt: skip
    found = machines(rows)
    assert [(one.name, one.engine, [row.id for row in one.rows]) for one in found] == [
        ("x", "vllm", ["a", "b"]), ("y", "vllm", ["c"]), ("x", "sglang", ["d"]),
    ]  # fmt: skip
    # of two the smaller is the median, without its sign; one miss is a miss
    assert [(one.error, one.is_close, one.held, one.calibrates) for one in found] == [
        (0.02, True, False, False), (0.01, False, True, True), (0.03, True, True, False),
    ]  # fmt: skip
    assert [(group.name, [one.name for one in group.machines]) for group in groups(rows)] == [
        ("vllm, by machine", ["x", "y"]), ("sglang, by machine", ["x"]), ("held out, by machine", ["x", "x"]),
    ]  # fmt: skip
    cells = [column(groups(rows)[0]) for column in MACHINES.values()]
    assert cells == ["vllm, by machine", "2", "1.0%", "2.0%", "1", "1"]
    assert [column(found[0]) for column in EACH.values()] == ["x", "vllm", "2", "2.0%", "yes", "no", "held out"]
    assert [column(found[1]) for column in EACH.values()] == ["y", "vllm", "1", "1.0%", "no", "yes", "calibration"]
    assert [group.name for group in groups([rows[2]])] == ["vllm, by machine"]


def test_tables_name_what_they_count():
    assert list(MACHINES) == [
        "machines", "compared", "median", "nine of ten within", "every start within 5 % or 0.5 % of the device",
        "every range held",
    ]  # fmt: skip
    assert list(EACH) == ["machine", "engine", "starts", "median error", "close", "range held", "used for"]
    assert list(foretold._columns("x")) == [
        "x", "pairs", "median without", "with", "worst without", "with ", "range held without", "with  ",
        "width of the range without, GiB", "with   ",
    ]  # fmt: skip


# Choices


def at_goal(measured, computed, load=("m", 1, 2), goal=0.02, sequences=10, computed_sequences=12, **asked):
    return AtGoal(load, asked, goal, measured, computed, sequences, computed_sequences)


def test_every_pair_of_one_load_at_one_goal_is_a_choice(monkeypatch):
    some = (
        at_goal(100, 50, tensor_parallel_size=1, gpu="a"), at_goal(150, 60, tensor_parallel_size=2, gpu="a"),
        at_goal(300, 40, tensor_parallel_size=2, gpu="b"), at_goal(9, 9, goal=0.03), at_goal(9, 9, load=("n", 1, 2)),
    )  # fmt: skip
    monkeypatch.setattr(choosing, "at_goals", lambda: some)
    assert choosing.choices() == [
        Choice(pytest.approx(0.5), True, True), Choice(pytest.approx(2), False, False), Choice(pytest.approx(1),
        False, False),
    ]  # fmt: skip
    assert choosing.share(choosing.choices()) == pytest.approx(1 / 3)
    assert some[0].right == pytest.approx(0.2)
    text = choosing.choices_markdown().splitlines()
    assert [line for line in text if line.startswith("| ")] == [
        "| which gives more tokens/s a GPU within a TPOT | pairs | right | |", "| --- | --- | --- | --- |",
        "| pairs that differ by more than 10% | 3 | 1 | 33.3% |", "| by more than 50% | 2 | 0 | 0.0% |",
        "| in tensor parallelism alone | 1 | 1 | 100.0% |",
    ]  # fmt: skip
    assert text[-1] == (
        "Sequences at once that meet the goal, 5 sweeps and goals: 20.0% off in the median, nine of ten within 20.0%, "
        "signed +20.0%."
    )


@pytest.mark.parametrize(
    ("goal", "count"),
    # a step of a millisecond a sequence; one alone takes that, and more than 4,096 are not asked for
    [(0.02, 20), (0.001, 1), (0.00099, 0), (100, 4_096)],
)
def test_how_many_sequences_take_a_goal(goal, count, monkeypatch):
    monkeypatch.setattr(choosing, "step_of", lambda _plan, count, _lengths: SimpleNamespace(seconds=count / 1_000))
    row = SimpleNamespace(prompt_tokens=5, output_tokens=7)
    assert choosing._sequences_at(None, row, goal) == pytest.approx(count, abs=1e-6)


def point(tpot, rate, decoding):
    return SimpleNamespace(
        tpot_s=tpot, rate=rate, decoding=decoding, asked={"model": "m", "seq_len": 9, "gpu": "g"}, prompt_tokens=5,
        output_tokens=7
    )  # fmt: skip


def test_a_goal_is_read_between_two_points_on_logarithmic_scales(monkeypatch):
    # 0.02 lies half way between 0.01 and 0.04: of 100 and 400 it is 200, of 10 and 40 it is 20; two replicas on 4 GPUs
    monkeypatch.setattr(choosing, "step_of", lambda _plan, count, _lengths: SimpleNamespace(seconds=count / 1_000))
    plan = SimpleNamespace(request=SimpleNamespace(data_parallel_size=2), num_gpus=4)
    points = [(point(0.04, 400, 40), plan), (point(0.01, 100, 10), plan)]
    found = list(choosing._at_goals(points))
    assert [one.goal_s for one in found] == [0.015, 0.02, 0.03]
    middle = found[1]
    assert (middle.load, middle.asked) == (("m", 5, 7), {"model": "m", "gpu": "g"})
    assert (middle.measured, middle.sequences) == pytest.approx((50, 20))
    assert (middle.computed, middle.computed_sequences) == pytest.approx((40 / 0.02 / 4, 40))
    # a point at the goal is enough below it, and not above it
    at = [(point(0.02, 100, 10), plan), (point(0.03, 200, 20), plan)]
    assert [one.goal_s for one in choosing._at_goals(at)] == [0.02]
    assert next(choosing._at_goals(at)).measured == pytest.approx(25)
    nothing = [(point(0.01, 0, 10), plan), (point(0.04, 400, 40), plan)]
    assert list(choosing._at_goals(nothing)) == []
    assert [one.goal_s for one in choosing._at_goals([*points, (point(0.06, 500, 50), plan)])] == [
        0.015,
        0.02,
        0.03,
        0.05,
    ]


def test_set_ups_differ_in_what_one_of_them_has():
    assert choosing._differ_in({"a": 1, "b": 2}, {"a": 1, "c": 3}) == {"b", "c"}
    assert choosing._differ_in({"a": 1}, {"a": 1}) == set()


# One start from another


def pair(plain, calibrated, machine="m", shares=foretold.OF_SETUP, plain_held=True, was_held=True, widths=(2.0, 1.0)):
    return Pair(machine, "a", "b", shares, plain, calibrated, plain_held, was_held, *widths)


def test_pairs_are_summed_up(monkeypatch):
    some = (
        pair(-0.04, 0.01), pair(0.02, -0.03, plain_held=False), pair(0.01, 0.02, "n", foretold.OTHER, True, False,
        (4.0, 3.0)),
    )  # fmt: skip
    monkeypatch.setattr(foretold, "pairs", lambda: some)
    group = Foretold("g", some)
    assert (group.plain_median, group.median) == (0.02, 0.02)
    assert [column(group) for column in foretold._columns("x").values()] == [
        "g", "3", "2.0%", "2.0%", "-4.0%", "-3.0%", "2", "2", "2.0", "1.0",
    ]  # fmt: skip
    assert [(one.name, len(one.pairs)) for one in foretold.by_what_is_shared()] == [
        (foretold.OF_SETUP, 2), (foretold.OTHER, 1), (foretold.ALL, 3),
    ]  # fmt: skip
    assert [(one.name, len(one.pairs)) for one in foretold.by_machine()] == [("m", 2), ("n", 1)]
    # of two machines 0.02 and 0.01, then 0.01 and 0.02: the smaller of either
    assert "One machine as one row: 1.0% without, 1.0% with, in the median." in foretold.foretold_markdown()


def test_nothing_is_said_of_fewer_than_three_machines(monkeypatch):
    for machines_, said in (
        (((0.01, True), (0.05, False)), False),
        (((0.01, True), (0.05, False), (0.02, True)), True),
    ):
        monkeypatch.setattr(held, "proof", lambda one=machines_: SimpleNamespace(machines={"vllm": one}))
        text = held.how_often_it_held("vllm")
        assert bool(text) is said
    assert text == (
        "the range held on 2 of 3 machines whose starts of vLLM are public; half of them are within 2.0%"
    )  # fmt: skip


def test_the_table_of_the_proof_is_rounded_and_read_back():
    one = judged.JudgedLog("a", "vllm", "0.9", "m", "l4", 1, True, error=0.123456789, in_range=False)
    other = judged.JudgedLog("b", "vllm", "0.9", "m", "l4", 1, True, error=-0.5, in_range=False)
    right = judged.JudgedLog("c", "vllm", "0.9", "m", "l4", 1, True, error=0.01, in_range=True)
    none = judged.JudgedLog("d", "vllm", "0.9", "m", "l4", 1, True)
    proof = judged.Proof((one, other, right, none), {"vllm": ((0.0123456789, True),)}, (), ())
    assert (proof.compared, proof.misses) == ((one, other, right), (other, one))
    told = json.loads(judged.written(proof))
    assert list(told) == ["logs", "machines", "speeds", "calibrated"]
    assert told["logs"][0]["error"] == 0.123457
    assert "reported_gib" not in told["logs"][0]
    assert told["machines"] == {"vllm": [[0.0123457, True]]}
    assert judged._of((-0.3, 0.1, 0.2), 0.5) == 0.2


# Questions


def test_a_question_as_plain_values():
    assert Question("gpu", "which?", ("a", "b")).as_dict() == {
        "keyword": "gpu",
        "text": "which?",
        "choices": ["a", "b"],
    }
    assert Question("model", "which?", pairs=(("m", "g"),)).as_dict() == {
        "keyword": "model", "text": "which?", "choices": [], "pairs": [["m", "g"]],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "figures", "named"),
    [
        ({}, {}, False), ({"device": "NVIDIA L40S"}, {}, True), ({"device": "NVIDIA Foo"}, {}, False),
        ({}, {"memory_gib": 40.0}, True),
        ({"devices_beside": (("l4",),)}, {}, True), ({"devices_beside": (("l4",), ("l40s",))}, {}, False),
    ],
)  # fmt: skip
def test_a_log_that_names_its_device(flags, figures, named):
    assert both._names_a_device(StartupLog("vllm", figures, flags, 1, (), 0)) is named


def test_neither_is_asked_for_where_the_log_allows_none_or_too_many():
    assert both.ask_for_both(read_log("KV self size  =  82.00 MiB\nn_ctx = 64\n")) is None  # the engine sizes no pool
    assert both.ask_for_both(read_log("Available KV cache memory: 8.00 GiB\n")) is None  # any model


@pytest.mark.parametrize(
    ("weights", "fraction", "gpus"),
    # 0.3 GiB at least are beside pool and weights, 16 at most; 0.8 of a device at least are taken, or what is stated:
    # 4090 23.52, L40S 44.39, A100 39.39, H100 79.18 GiB; 15 + 8 + 0.3 are 0.9 of 25.9 and 0.97 of 24.0, 15 + 8 + 16 0.8
    # of 48.8 and 0.9 of 43.3
    [
        (15.0, None, {"rtx-4090", "l40s", "a100-40gb"}), (15.0, 0.9, {"a100-40gb"}),
        (15.0, 0.97, {"a100-40gb"}),
        (15.3, None, {"l40s", "a100-40gb"}), (None, 0.9, {"a100-40gb"}),
    ],
)  # fmt: skip
def test_devices_that_a_model_with_its_pool_may_fill(weights, fraction, gpus):
    flags = {"devices_beside": (("rtx-4090", "l40s"), ("a100-40gb", "h100-sxm")), "seq_len": 8_192}
    figures = {"kv_pool_gib": 8.0, "kv_tokens": 65_536}
    if weights:
        figures["weights_gib"] = weights
    if fraction:
        flags["gpu_memory_utilization"] = fraction
    found = dict(both._on(StartupLog("vllm", figures, flags, 1, (), 0), load_model("llama-3.1-8b")))
    assert set(found) == gpus
    assert all(0 <= off < 1 for off in found.values())


def test_a_log_without_a_capacity_is_of_no_device():
    log = StartupLog("vllm", {"weights_gib": 15.0}, {"devices_beside": (("l40s",),)}, 1, (), 0)
    assert list(both._on(log, load_model("llama-3.1-8b"))) == []
