"""Parts of reading logs, each by hand: numbers as engines print them, which model and GPU, the proof."""

from types import SimpleNamespace

import pytest

from calculator.engines.patterns import LARGEST, as_flag, as_switched_off, count, mib, number, seen, whole_mapping
from calculator.logs import both
from calculator.logs.proof import accuracy, foretold, held, judged
from calculator.logs.reading import StartupLog

# Numbers as engines print them


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (number, "1,234.5", 1234.5), (number, "-2", -2), (number, "1e3", 1000), (number, "3.", 3),
        (number, "999999999999999", 10**15 - 1), (number, "1000000000000000", None), (number, "-1e15", None),
        (number, "3k", None), (number, "x", None), (number, "1e400", None),
        (count, "157,584", 157_584), (count, "32k", 32_000), (count, "32K", 32_768), (count, "2m", 2_000_000),
        (count, "2M", 2**21), (count, "2g", 2 * 10**9), (count, "2G", 2**31), (count, "1.5k", 1_500),
        (count, "999999g", 999_999 * 10**9), (count, "1000000g", None), (count, "2.9", 2),
        (mib, "512", 0.5), (mib, "3072", 3.0),
        (seen, "0", 0), (seen, " false", 0), (seen, "disabled", 0), (seen, "off", 0), (seen, "auto", 1), (seen, "1", 1),
        (as_flag, "True", True), (as_flag, " false", False), (as_flag, "1", None),
        (as_switched_off, "True", False), (as_switched_off, "false", True), (as_switched_off, "x", None),
        (whole_mapping, "{'a': 1} ", 1), (whole_mapping, "{'a': 1", None),
    ],
)  # fmt: skip
def test_what_is_read_of_a_text(read, text, value):
    if value is None and read not in (as_flag, as_switched_off):
        with pytest.raises(ValueError, match=r".*"):
            read(text)
    else:
        assert read(text) == value
    assert LARGEST == 10**15


# Which model and which GPU


@pytest.mark.parametrize(
    ("models", "gpus", "pairs"),
    # no more than 12 models are asked of, and no more than 40 pairs
    [(0, 2, None), (1, 2, 2), (12, 3, 36), (12, 4, 40), (13, 1, None), (1, 0, None)],
)
def test_how_many_pairs_are_asked_of(monkeypatch, models, gpus, pairs):
    monkeypatch.setattr(both, "likely", lambda _flags, _figures: [f"m{number}" for number in range(models)])
    monkeypatch.setattr(both, "sized", lambda _flags, _figures: [])
    monkeypatch.setattr(both, "load_model", lambda name: name)
    monkeypatch.setattr(both, "_on", lambda _log, _model: [(f"g{number}", 0.001 * number) for number in range(gpus)])
    monkeypatch.setattr(both, "nearest", lambda off: list(off))
    found = both.ask_for_both(StartupLog("vllm", {}, {}, 1, (), 0))
    assert (None if found is None else len(found.pairs)) == pairs
    if pairs:
        # the nearest first, and each model once
        assert [gpu for _, gpu in found.pairs] == sorted(gpu for _, gpu in found.pairs)
        assert len(found.choices) == len(set(found.choices)) == models


# The proof


def compared(error, range_gib=(1.0, 3.0), calibration=None, held=True):
    request = SimpleNamespace(engine_version="0.33", tensor_parallel_size=1)
    plan = SimpleNamespace(model=None, request=request)
    return SimpleNamespace(
        capacity_error=error, range_gib=range_gib, calibration=calibration, in_range=held, plan=plan
    )  # fmt: skip


def test_each_start_of_a_machine_is_predicted_from_each_other(monkeypatch):
    rows = [SimpleNamespace(id=name, row={"id": name}) for name in "abcd"]
    # b tells nothing of the machine, and the capacity of c is not compared
    calibrations = {"a": object(), "b": None, "c": object(), "d": object()}

    def of(row, calibration=None):
        error = None if row["id"] == "c" else 0.1 if calibration is None else 0.02
        return compared(error, (-1.0, 3.0) if calibration is None else (1.5, 2.0), calibrations[row["id"]],
                        calibration is not None)  # fmt: skip

    monkeypatch.setattr(accuracy, "compared_of", of)
    monkeypatch.setattr(foretold, "is_of_model", lambda calibration, _model, _request: calibration is calibrations["a"])
    monkeypatch.setattr(foretold, "is_of_setup", lambda calibration, _request: calibration is not calibrations["c"])
    found = list(foretold._of_machine("m", rows))
    assert [(one.of, one.by, one.shares) for one in found] == [
        ("a", "c", foretold.OTHER), ("a", "d", foretold.OF_VERSION), ("b", "a", foretold.OF_SETUP),
        ("b", "c", foretold.OTHER), ("b", "d", foretold.OF_VERSION), ("d", "a", foretold.OF_SETUP),
        ("d", "c", foretold.OTHER),
    ]  # fmt: skip
    # nothing is less than no memory: 3 GiB wide, and 0.5
    for one in found:
        assert (one.machine, one.plain, one.calibrated, one.plain_held, one.held) == ("m", 0.1, 0.02, False, True)
        assert (one.plain_gib, one.width_gib) == (3.0, 0.5)
    monkeypatch.setattr(foretold, "is_of_setup", lambda _calibration, _request: False)
    assert [one.shares for one in foretold._of_machine("m", [rows[1], rows[0]])] == [foretold.OF_MODEL]
    assert len(list(foretold._of_machine("m", [rows[0], rows[3]]))) == 2
    assert list(foretold._of_machine("m", rows[:1])) == []


def test_what_is_judged_of_a_log(monkeypatch):
    def row(name, plan=True, stated=True, capacity=True, calibrates=False, **said):
        return SimpleNamespace(
            id=name, engine="vllm", row={"model": "m", **said}, calibrates=calibrates, tokens_exact=True,
            plan=SimpleNamespace(request=SimpleNamespace(tensor_parallel_size=4)) if plan else None, is_stated=stated,
            capacity=SimpleNamespace(reported_gib=2.0, predicted_gib=2.5, low_gib=-1.0, high_gib=4.0) if capacity
            else None,
            capacity_error=0.25, in_range=True,
        )  # fmt: skip

    rows = (
        row("a", gpu="l4", memory_gib=23.0, version="0.9"), row("b", memory_gib=23.5, calibrates=True), row("c"),
        row("d", plan=False), row("e", stated=False), row("f", capacity=False),
    )  # fmt: skip
    monkeypatch.setattr(accuracy, "comparisons", lambda: rows)
    found = list(judged._logs())
    # what no plan is made of is not judged; a device is told by its id, else by its memory
    assert [(one.id, one.device, one.engine_version, one.held_out) for one in found] == [
        ("a", "l4", "0.9", True), ("b", "23.5 GiB", "", False), ("c", "", "", True), ("e", "", "", True),
        ("f", "", "", True),
    ]  # fmt: skip
    assert {(one.engine, one.model, one.tensor_parallel_size, one.tokens_exact) for one in found} == {
        ("vllm", "m", 4, True)
    }
    whole = (2.0, 2.5, 0.0, 4.0, 0.25, True)
    assert [
        (one.reported_gib, one.predicted_gib, one.low_gib, one.high_gib, one.error, one.in_range) for one in found
    ] == [whole, whole, whole, (None,) * 6, (None,) * 6]


def test_machines_of_an_engine_whose_capacity_is_stated(monkeypatch):
    def row(name, engine="vllm", stated=True, error=0.1, held_too=True):
        return SimpleNamespace(
            id=name, engine=engine, is_stated=stated, capacity_error=error, in_range=held_too, row={"source": name}
        )

    rows = (row("a", error=-0.2), row("a", error=0.1, held_too=False), row("b"), row("c", stated=False),
            row("d", "sglang"), row("e", error=None))  # fmt: skip
    monkeypatch.setattr(held, "comparisons", lambda: rows)
    # of two starts the smaller error is the median
    assert held.by_machine.__wrapped__("vllm") == ((0.1, False), (0.1, True))
    assert held.by_machine.__wrapped__("sglang") == ((0.1, True),)
