"""Rows of views are typed and frozen and read by key as well; texts know their keys, and no logic reads one."""

import copy
import json
import pickle
from dataclasses import FrozenInstanceError, fields, replace
from functools import cache

import pytest

import calculator
from calculator import charts, views
from calculator.charts import base, registry
from calculator.messages import Message, joined, say
from calculator.views import words
from calculator.views.kv_heads import Kind
from dashboard.link.tab_names import BESIDE_FORMULA, IDS, ON_PAGES, SHOWN
from dashboard.state import VIEW_IDS

each_view = pytest.mark.parametrize("name", list(views.VIEWS))


def plan_of(**changes):
    """Qwen2.5 14B on TP 4: 40 query heads, of which 5 and 10 KV heads cannot be shared, so that rows are refused."""
    asked = {"gpu": "a100-80gb-sxm", "tensor_parallel_size": 4, "seq_len": 2048, "batch_size": 4, **changes}
    return calculator.plan("qwen2.5-14b", **asked)


@cache
def view_of(name):
    return views.VIEWS[name](plan_of())


@pytest.fixture
def other_language(monkeypatch):
    """Say every text by its key alone."""

    def keyed(cls, key, template, values):
        made = str.__new__(cls, f"¿{key}?")
        made.key, made.template, made.values = key, template, values
        return made

    def begin():
        monkeypatch.setattr(Message, "__new__", keyed)

    return begin


@each_view
def test_a_row_is_read_by_attribute_and_by_key_and_cannot_be_changed(name):
    for row in view_of(name).rows:
        assert {key: getattr(row, key) for key in row} == dict(row) == {**row}
        assert set(row) <= {field.name for field in fields(row)}
        with pytest.raises(TypeError, match="read-only"):
            row["seq_len"] = 1
        with pytest.raises(FrozenInstanceError):
            row.seq_len = 1


@each_view
def test_a_row_copies_pickles_and_serialises(name):
    rows = view_of(name).rows
    for again in (copy.deepcopy(rows), pickle.loads(pickle.dumps(rows))):
        assert again == rows
        assert [type(row) for row in again] == [type(row) for row in rows]
        assert [vars(row) for row in again] == [vars(row) for row in rows]
    assert json.loads(json.dumps(rows)) == rows
    assert replace(rows[0]) == rows[0]


def test_what_a_refused_row_lacks_is_not_among_its_keys():
    view = views.kv_head_view(plan_of())
    assert [(row.num_key_value_heads, row.called) for row in view.refused] == [(5, "KV heads 5"), (10, "KV heads 10")]
    for row in view.refused:
        assert row.max_batch_size is None
        assert "max_batch_size" not in row
        assert row.get("max_batch_size", 0) == 0
    assert len(view.possible) + len(view.refused) == len(view.rows)


def test_kinds_are_the_names_that_they_were():
    kinds = [row["kind"] for row in views.kv_head_view(plan_of()).rows]
    assert kinds == ["MQA", "GQA", "GQA", "GQA", "GQA", "GQA", "GQA", "MHA", "MLA"]
    assert [kind for kind in Kind if kind.is_counted] == ["MQA", "GQA", "MHA"]


def test_one_registry_names_tabs_links_charts_and_views():
    own = [name for name, question in views.VIEWS.items() if not question.part_of]
    assert IDS == VIEW_IDS == (*own[:3], "load", *own[3:], "memory", "reconcile", "about")
    shown = [name for names in SHOWN.values() for name in names]
    assert sorted((*shown, *BESIDE_FORMULA, *ON_PAGES)) == sorted(IDS)  # each name opens something, and one thing
    shared = [name for name, question in views.VIEWS.items() if question.part_of == "load"]
    assert shared == ["risk", "resident-tokens", "preemptions", "speed", "step"]
    assert list(registry.DRAWN) == list(views.VIEWS)
    assert [view_of(name).name for name in views.VIEWS] == list(views.VIEWS)
    assert [name for name, question in views.VIEWS.items() if question.has_log_x] == ["sequence-length"]


@each_view
def test_a_finding_knows_its_key_and_its_values(name):
    finding = view_of(name).finding
    assert finding.key.startswith(f"{name.replace('-', '_')}.")
    assert finding.template.format(**finding.values) == finding
    assert finding.values


def test_texts_of_an_answer_know_their_keys():
    plan = plan_of(batch_size=10_000)
    said = [words.headline(plan), words.detail(plan), words.spread(plan), words.price(plan), words.formula(plan)]
    said += [part for what, how, _ in words.formula_steps(plan) for part in (what, how)]
    said += [lever.label for lever in calculator.levers(plan)] + [lever.cost for lever in calculator.levers(plan)]
    assert [text for text in said if not isinstance(text, Message)] == []
    assert plan.notes[0].key == "shortfall.kv_cache"
    assert plan.notes[0].values["batch_size"] == 10_000


def test_every_line_of_memory_has_a_key():
    keys = [line.key for line in words.memory_lines(plan_of())]
    assert [key for key in keys if key != "rounding"] == [
        "weights", "activation", "non_torch", "cuda_graph", "output_counts", "kv_cache", "kept_free",
    ]  # fmt: skip
    assert set(base.LINE_COLOURS) == set(keys) - {"rounding", "output_counts"}
    assert words.memory_lines(plan_of(tensor_parallel_size=1, gpu_memory_bytes=2**30))[-1].key == "missing"


def numbers(plan):
    """All of an answer that is no text."""
    found = [plan.fits, plan.max_batch_size, plan.max_context_len, len(plan.notes)]
    for name, question in views.VIEWS.items():
        view = question(plan)
        frame = view.frame().select_dtypes(exclude="string")
        found.append((name, frame.to_csv(), len(view.possible)))
        figure = charts.draw(view)
        found.append([(trace.type, trace.marker.to_plotly_json().get("color")) for trace in figure.data])
    found.append([bar.marker.color for bar in charts.memory_bar(plan).data])
    found.append([bar.textfont.color for bar in charts.memory_bar(plan).data])
    for levers in (calculator.levers, calculator.next_steps, calculator.what_would_fit):
        found.append(sorted((lever.key, str(lever.changes), lever.gain) for lever in levers(plan)))
    smallest = calculator.smallest_fit(plan)
    return [*found, smallest and smallest.num_gpus]


@pytest.mark.parametrize(
    "asked",
    [{"batch_size": 10_000}, {"activation_bytes": 0}],
    ids=["does-not-fit", "fits"],
)
def test_no_logic_reads_a_text(asked, other_language):
    english = numbers(plan_of(**asked))
    other_language()
    assert numbers(plan_of(**asked)) == english
    assert words.headline(plan_of(**asked)).startswith("¿words.fits")  # the other language was spoken indeed


def test_the_way_that_others_are_compared_with_is_found_in_any_language(other_language):
    # 4 KV heads on 8 GPUs: each is kept twice, and sharing the tokens over 2 holds twice as many
    plan = calculator.plan("qwen3-30b-a3b", gpu="a100-80gb-sxm", tensor_parallel_size=8, seq_len=8192)
    assert views.parallelism_view(plan).finding.endswith(
        ", 2 times as many as TP 8, where every KV head is kept 2 times."
    )
    other_language()
    assert views.parallelism_view(plan).finding.values["more"].key == "parallelism.times"


def test_parts_that_stand_one_after_the_other_are_still_known():
    text = joined(" or ", [say("a.b", "{n} {{}}", n=1), "x{y}"])
    assert text == "1 {} or x{y}"
    assert text.values["part_0"].key == "a.b"
    assert joined(", ", []) == ""
