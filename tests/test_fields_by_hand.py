"""Fields of what people write, an index, tables and presets: each bound, met exactly and by one more."""

import copy
import csv
import json
import pickle
from dataclasses import replace

import pytest

import calculator
from calculator.catalogue import published
from calculator.catalogue.preset_file import Entries, PresetFile, _parts
from calculator.catalogue.presets import all_gpu_ids, data_file, load_model
from calculator.catalogue.presets.entries import build_gpu
from calculator.catalogue.presets.models import _same_beginning
from calculator.catalogue.quantised import quantised_repository
from calculator.configs.checkpoints import index
from calculator.reading import fields, schema, strict_yaml
from calculator.reading.fields import NotPlain
from calculator.reading.frozen import FrozenDict, FrozenList, frozen
from calculator.reading.schema import Schema


def read(weights):
    """Name, bytes and values that are read of each matrix, None where it is in 16 bit."""
    return [
        (each.stored.name, each.stored.read_bytes, each.stored.read_elements) if each.stored else None
        for each in weights
    ]


# An index


def test_an_index_of_48_mib_is_read(tmp_path):
    most = 48 * 2**20
    for size, said in ((most, "not UTF-8 text"), (most + 1, "larger than 50,331,648 bytes")):
        with pytest.raises(calculator.FileFormatError, match=said):
            index.parse_index(b"\xff" * size, "a")
    with pytest.raises(calculator.FileFormatError, match="cannot be read"):
        index.read_index(tmp_path)
    (tmp_path / "a").write_text('{"weight_map": {"t": "b.safetensors", "u": "a.safetensors", "v": "b.safetensors"}}')
    assert index.read_index(tmp_path / "a") == (("t", "u", "v"), ("a.safetensors", "b.safetensors"), 0)


def test_an_index_names_at_most_600000_tensors(monkeypatch):
    class Many(dict):
        many = 600_000

        def __len__(self):
            return self.many

    parsed = {"weight_map": Many(a="a.safetensors"), "metadata": {"total_size": 7}}
    monkeypatch.setattr(index.strict_json, "parse_config", lambda *_: parsed)
    assert index.parse_index(b"", "a") == (("a",), ("a.safetensors",), 7)
    Many.many = 600_001
    with pytest.raises(calculator.FileFormatError, match="no weight_map of 1 to 600,000 tensors"):
        index.parse_index(b"", "a")


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ([], "no weight_map"), ({}, "no weight_map"), ({"weight_map": {}}, "no weight_map"),
        ({"weight_map": ["a.safetensors"]}, "no weight_map"),
        *(({"weight_map": {"a": name}}, "is not the name of a safetensors file") for name in
          ("a\\b.safetensors", "a/b.safetensors", ".a.safetensors", "a.safetensors.bin", "")),
        *(({"weight_map": {"a": "a.safetensors"}, "metadata": metadata}, None) for metadata in (None, [], {}, "x")),
    ],
)  # fmt: skip
def test_what_is_no_index(said, error):
    text = json.dumps(said).encode()
    if error is None:
        assert index.parse_index(text, "a").total_bytes == 0
    else:
        with pytest.raises(calculator.FileFormatError, match=error):
            index.parse_index(text, "a")


# Fields of what people write


INNER = fields.Nested(name="Inner", fields={"a": fields.count(3), "b": fields.flag(required=False)})


@pytest.mark.parametrize(
    ("field", "taken", "refused"),
    [
        (fields.flag(), [True, False], [0, 1, "true", None]),
        (fields.choice(["x", "y"]), ["x", "y"], ["z", "", 1, None]),
        (fields.names(["x", "y"]), [[], ["x", "y", "x"]], [["z"], "x", ("x",), None]),
        (fields.listed(fields.count(3)), [[], [1, 2, 3, 3]], [[4], [0], 1]),
        (fields.listed(fields.count(3), 2), [[1, 2]], [[1], [1, 2, 3], []]),
        (fields.Listed(item=fields.count(3), least=1), [[1], [1] * 9], [[]]),
        (fields.mapping(), [{}, {"a": [1]}], [{1: 2}, [], None]),
        (INNER, [{"a": 1}, {"a": 3, "b": True}], [{}, {"b": True}, {"a": 4}, {"a": 1, "c": 2}, [], {"a": None}]),
        (fields.count(9, 2), [2, 9], [1, 10]), (fields.count(9), [1], [0]),
        (fields.number(2, -1), [0, -0.5, 2], [-1, 2.1]), (fields.number(2), [0.1], [0, float("nan")]),
        (fields.text(3), ["a", "abc", "\u20ac"], ["", "abcd", "\ud800"]),
        (fields.text(3, minimum=0), [""], ["abcd"]),
    ],
)  # fmt: skip
def test_a_field_takes_what_is_plainly_of_its_kind(field, taken, refused):
    one = Schema("One", {"it": field})
    for value in taken:
        assert field.take(value) == value
        assert one.validate({"it": value}) == one.judged({"it": value}) == {"it": value}
        assert one.all_problems({"it": value}) == []
    for value in refused:
        with pytest.raises(NotPlain):
            field.take(value)
        # the model refuses it too, naming the field or what is in it
        for read in (one.validate, one.judged):
            with pytest.raises(calculator.CalculatorError, match=r"^it[ .]|unknown field"):
                read({"it": value})
        assert one.all_problems({"it": value})[0][0][0] == "it"


def test_what_need_not_be_there():
    made = {"a": fields.count(3), "b": fields.optional(fields.count(3)), "c": fields.flag(required=False)}
    assert fields.required(made) == ("a",)
    assert fields.required(fields.left_out(made)) == ()
    assert [field.nullable for field in fields.left_out(made).values()] == [False, True, False]
    assert fields.taken(made, {"a": 1, "b": None}) == {"a": 1, "b": None}
    assert fields.taken(made, {"b": 2}, ()) == {"b": 2}
    for wrong in ({"b": 2}, {"a": 1, "c": None}, {"a": 1, "d": 2}):
        with pytest.raises(NotPlain):
            fields.taken(made, wrong)
    makers = {
        fields.count: (3,), fields.number: (3,), fields.text: (3,), fields.flag: (), fields.choice: (["x"],),
        fields.names: (["x"],), fields.listed: (fields.flag(),), fields.mapping: (),
    }  # fmt: skip
    for make, given in makers.items():
        assert (make(*given).required, make(*given, required=False).required) == (True, False)
        assert make(*given).nullable is False


def test_sizes_in_text():
    size, tokens = (replace(fields.count(2**40), unit=unit) for unit in ("bytes", "tokens"))
    assert (size.take("2 KiB"), tokens.take("2K"), size.take(5)) == (2_048, 2_048, 5)
    for field, wrong in ((size, "2 XB"), (size, "2G"), (tokens, "2 KiB"), (fields.count(9), "2K"), (size, "7")):
        with pytest.raises(NotPlain):
            field.take(wrong)
    for field in (
        replace(fields.number(2**40), unit="bytes"),
        replace(fields.Between(least=0, most=2**40), unit="bytes"),
    ):
        assert field.take("1.5 KiB") == 1_536
        assert Schema("One", {"it": field}).judged({"it": "1.5 KiB"}) == {"it": 1_536}


def test_what_an_editor_is_shown():
    # the keywords of JSON Schema: bounds of numbers, lengths of texts and lists, closed mappings, defaults, units
    size = replace(fields.count(9), unit="bytes", help="how much", required=False, default=4)
    made = Schema("One", {
        "size": size, "plain": fields.count(9, 2), "maybe": fields.optional(fields.flag()),
        "texts": fields.listed(fields.text(7), 2), "name": fields.choice(["x", "y"]),
        "inner": replace(INNER, help="in"),
        "open": fields.Nested(name="Open", fields={"a": fields.flag()}, open=True), "some": fields.mapping(),
        "number": fields.number(5, 1), "between": fields.Between(least=2, most=3),
        "either": fields.Either(kinds=(fields.flag(), fields.text(4))),
    }).json_schema("A title", "what it is")  # fmt: skip
    assert (made["title"], made["description"], made["additionalProperties"]) == ("A title", "what it is", False)
    assert set(made["required"]) == {"plain", "texts", "name", "inner", "open", "some", "number", "between", "either"}
    shown = made["properties"]
    assert (shown["size"]["default"], shown["size"]["unit"], shown["size"]["description"]) == (4, "bytes", "how much")
    # a size may be written in text, another number not
    assert [kind["type"] for kind in shown["size"]["anyOf"]] == ["integer", "string"]
    assert (shown["plain"]["type"], shown["plain"]["minimum"], shown["plain"]["maximum"]) == ("integer", 2, 9)
    assert [kind["type"] for kind in shown["maybe"]["anyOf"]] == ["boolean", "null"]
    assert shown["maybe"]["default"] is None
    assert "unit" not in shown["plain"]
    assert "description" not in shown["plain"]
    texts = shown["texts"]
    assert (texts["minItems"], texts["maxItems"], texts["items"]["minLength"], texts["items"]["maxLength"]) == (
        2,
        2,
        1,
        7,
    )
    assert shown["name"]["enum"] == ["x", "y"]
    assert (shown["number"]["exclusiveMinimum"], shown["number"]["maximum"]) == (1, 5)
    assert (shown["between"]["minimum"], shown["between"]["maximum"]) == (2, 3)
    assert [kind["type"] for kind in shown["either"]["anyOf"]] == ["boolean", "string"]
    inner, opened = made["$defs"]["Inner"], made["$defs"]["Open"]
    assert (inner["additionalProperties"], inner["required"], inner["description"]) == (False, ["a"], "in")
    assert opened["additionalProperties"] is True


@pytest.mark.parametrize(
    ("field", "value", "allowed", "nearest"),
    [
        (fields.count(9, 2), 1, (2, 9), 2), (fields.count(9, 2), 12, (2, 9), 9), (fields.count(9, 2), 3.6, (2, 9), 4),
        (fields.count(9, 2), True, (2, 9), None), (fields.count(9, 2), "3", (2, 9), None),
        (fields.number(5, 1), 6, (1, 5), 5), (fields.number(5, 1), 1, (1, 5), None),
        (fields.number(5, 1), 0, (1, 5), None),
        (fields.number(5, 1), float("nan"), (1, 5), None),
        (fields.Between(least=2, most=3), 1.5, (2, 3), 2), (fields.Between(least=2, most=3), 4, (2, 3), 3),
        (fields.choice(["x", "y"]), "z", ("x", "y"), None), (fields.flag(), 1, None, None),
    ],
)  # fmt: skip
def test_what_a_refusal_says_of_the_field(field, value, allowed, nearest):
    for fields_, given, name in (({"it": field}, {"it": value}, "it"),
                                 ({"in": fields.Nested(name="In", fields={"it": field})}, {"in": {"it": value}},
                                  "in.it")):  # fmt: skip
        with pytest.raises(calculator.InvalidValueError) as caught:
            Schema("One", fields_).judged(given)
        assert (caught.value.what, caught.value.allowed, caught.value.nearest) == (name, allowed, nearest)
        assert type(caught.value.nearest) is type(nearest)


def test_numbers_in_refusals():
    assert [schema._most(bound) for bound in (1.0, 1, 2.0, 1.5, 10**6, 0.5)] == [
        "1.0",
        "1",
        "2",
        "1.5",
        "1,000,000",
        "0.5",
    ]
    assert [schema._least(bound) for bound in (1.0, 1, 0.25, 10**6)] == ["1", "1", "0.25", "1000000"]
    for value, near in ((0.5, ""), (0.6, "; the nearest is 1"), (7.2, "; the nearest is 7"), (1e15, ""), (9e14,
          "; the nearest is 900000000000000")):  # fmt: skip
        assert schema._whole_number(value, {}).partition(";")[1:] == near.partition(";")[1:]
    for value, quoted in ((7, True), (7.5, True), (True, False), ([], False)):
        assert ("write it in quotes" in schema._text(value, {})) is quoted


def test_a_misspelt_field_is_why_another_is_missing():
    both = Schema("Both", {"model": fields.text(9), "size": fields.count(9)})
    with pytest.raises(calculator.InvalidValueError, match=r"model is missing; unknown field 'modle'") as caught:
        both.validate({"modle": "a", "size": 1})
    assert (caught.value.what, caught.value.nearest) == ("model", "model")
    with pytest.raises(calculator.UnknownNameError, match="unknown field 'sise'"):
        both.validate({"model": "a", "size": 1, "sise": 1})
    with pytest.raises(calculator.InvalidValueError, match="size must be at most 9"):
        both.validate({"model": "a", "size": 10})


def test_what_is_shared_cannot_be_changed():
    found = frozen({"a": [1, {"b": 2}], "c": (3,)})
    assert found == {"a": [1, {"b": 2}], "c": (3,)}
    assert (type(found), type(found["a"]), type(found["a"][1])) == (FrozenDict, FrozenList, FrozenDict)
    assert frozen(found) is found
    for name, given in {"__setitem__": ("a", 1), "__delitem__": ("a",), "__ior__": ({},), "clear": (), "pop": ("a",),
                        "popitem": (), "setdefault": ("a", 1), "update": ({},)}.items():  # fmt: skip
        with pytest.raises(TypeError, match="this dict is shared and read-only"):
            getattr(found, name)(*given)
    for name, given in {"__setitem__": (0, 1), "__delitem__": (0,), "__iadd__": ([],), "__imul__": (2,), "append": (1,),
                        "clear": (), "extend": ([],), "insert": (0, 1), "pop": (), "remove": (1,), "reverse": (),
                        "sort": ()}.items():  # fmt: skip
        with pytest.raises(TypeError, match="this list is shared and read-only"):
            getattr(found["a"], name)(*given)
    for same in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
        assert (same, type(same), type(same["a"])) == (found, FrozenDict, FrozenList)


def test_where_in_a_document_something_is_wrong():
    text = "a:\n  - name: first\n    b: 1\n  - c: 2\n" + f"{'k' * 81}: 3\n"
    document = strict_yaml.parse(text, "f")

    def said(*location):
        return str(document.error(location, "is wrong"))

    assert said("a", 0, "b") == "f:3: a: 0 (first): b: is wrong"
    assert said("a", 1, "c") == "f:4: a: 1: c: is wrong"
    assert said("a", 1, "d") == "f:4: a: 1: d: is wrong"
    assert said("a", 7) == "f:1: a: 7: is wrong"
    assert said() == "f:1: is wrong"
    # a name of 80 characters is shown whole, of a longer one 79
    assert said("k" * 81) == f"f:5: {'k' * 79}…: is wrong"
    assert said("x" * 80) == f"f:1: {'x' * 80}: is wrong"
    assert document.error(("a", 0, "b"), "x").line == 3


# Tables


PAIR = ["s", "trained", "gqa", "v", "m", "70", "64", "8", "", "0.875", "b", "u", "yes", "47.25", "47.1", "no", "at", ""]


def test_a_row_of_published_pairs():
    pair = published._pair(PAIR, "a:2")
    assert (pair.num_parameters, pair.num_attention_heads, pair.num_key_value_heads, pair.training_tokens) == (
        70,
        64,
        8,
        None,
    )
    assert (pair.kv_saving, pair.higher_is_better, pair.second_hand, pair.note) == (0.875, True, False, "")
    assert (pair.query_heads_per_kv_head, pair.change) == (8.0, -0.15)
    assert published._pair([*PAIR[:6], "", *PAIR[7:]], "a").query_heads_per_kv_head is None
    assert published._pair([*PAIR[:7], "", *PAIR[8:]], "a").query_heads_per_kv_head is None
    names = list(published.PublishedPair.__slots__)
    # what a cell cannot be, by its column
    wrong = {
        "study": "", "category": "x", "kind": "mhaa", "variant": "", "model": "", "benchmark": "", "unit": "",
        "source": "",
        "num_parameters": "7.5", "num_attention_heads": "x", "num_key_value_heads": "8.0", "training_tokens": "many",
        "kv_saving": "x", "higher_is_better": "true", "second_hand": "", "baseline": "", "value": "x",
    }  # fmt: skip
    for name, cell in wrong.items():
        row = [cell if column == name else kept for column, kept in zip(names, PAIR, strict=True)]
        with pytest.raises(calculator.FileFormatError, match=f"a:2: {name} cannot be"):
            published._pair(row, "a:2")
    for row in (PAIR[:-1], [*PAIR, ""]):
        with pytest.raises(calculator.FileFormatError, match=f"has {len(row)} cells, and there are 18 columns"):
            published._pair(row, "a:2")
    for column, values in (("kind", "mqa gqa mla format"), ("category", "trained uptrained converted format speed")):
        for value in values.split():
            row = [value if each == column else kept for each, kept in zip(names, PAIR, strict=True)]
            assert getattr(published._pair(row, "a"), column) == value


def test_a_repository_is_named_up_to_its_longest_context():
    with data_file("quantised_repositories.csv").open(encoding="utf-8", newline="") as file:
        rows = [row["repository"] for row in csv.DictReader(file)]
    name = "hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4"
    assert name in rows
    model = load_model("llama-3.1-8b")
    assert quantised_repository(model, "awq-int4", 131_072) == name == quantised_repository(model, "awq-int4")
    assert quantised_repository(model, "awq-int4", 131_073) == ""
    assert quantised_repository(model, "q2_k") == ""
    # a model that is not the preset as it is has no repository
    assert quantised_repository(replace(model, variations={"num_layers": 8}), "awq-int4") == ""


def test_of_many_choices_eight_are_named():
    # every chip of Apple that is called Max, in alphabetical order
    chips = sorted(key for key in all_gpu_ids() if "max" in key.split("-"))
    assert len(chips) == 14
    with pytest.raises(calculator.UnknownNameError) as caught:
        calculator.load_gpu("Max")
    assert f"it can be {' or '.join(chips[:8])} or 6 more: name one" in str(caught.value)
    assert caught.value.allowed == tuple(chips)
    ultra = sorted(key for key in all_gpu_ids() if "ultra" in key.split("-"))
    with pytest.raises(calculator.UnknownNameError, match=f"it can be {' or '.join(ultra)}: name one") as caught:
        calculator.load_gpu("Ultra")
    assert len(ultra) == 8


# Presets


GPU = {"name": "A", "vendor": "B", "gpus_per_node": 8, "sources": "x"}


@pytest.mark.parametrize(
    ("more", "memory", "prices"),
    [
        ({"reported_mib": 1_000}, 1_000 * 2**20, None),
        ({"program_gib_low": 10.0, "program_gib_high": 12.0}, 11 * 2**30, None),
        ({"reported_mib": 1, "program_gib_low": 10.0, "program_gib_high": 10.0}, 10 * 2**30, None),
        ({"reported_mib": 1, "price_usd_per_hour_low": 2.0}, 2**20, (2.0, 2.0)),
        ({"reported_mib": 1, "price_usd_per_hour_high": 3.0}, 2**20, (3.0, 3.0)),
        ({"reported_mib": 1, "price_usd_per_hour_low": 2.0, "price_usd_per_hour_high": 3.0}, 2**20, (2.0, 3.0)),
        ({"reported_mib": 1, "price_usd_per_hour_low": 2.0, "price_usd_per_hour_high": 2.0}, 2**20, (2.0, 2.0)),
    ],
)  # fmt: skip
def test_a_device_of_its_entry(more, memory, prices):
    made = build_gpu("a", {**GPU, **more})
    assert (made.id, made.memory_bytes, made.price_usd_per_hour, made.unverified) == ("a", memory, prices, ())
    stated = {
        "generation": "hopper", "label_gb": 80, "bandwidth_gb_per_s": 1.5, "bf16_tflops": 2.5, "fp8_tflops": 3.5,
        "fp4_tflops": 4.5, "link_gb_per_s": 5.5, "price_date": "2026", "price_quotes": 3,
    }  # fmt: skip
    made = build_gpu("a", {**GPU, **more, **stated, "unverified": ["memory"]})
    assert {name: getattr(made, name) for name in stated} == stated
    assert (made.name, made.vendor, made.gpus_per_node, made.sources, made.unverified) == (
        "A",
        "B",
        8,
        "x",
        ("memory",),
    )
    assert made.reported_mib == more.get("reported_mib")


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({}, "program_gib_low or reported_mib is needed"), ({"program_gib_low": 1.0}, "given together or not at all"),
        ({"program_gib_high": 1.0, "reported_mib": 1}, "given together or not at all"),
        ({"reported_mib": 1, "price_usd_per_hour_low": 3.0, "price_usd_per_hour_high": 2.9},
         "3 is more than the high 2.9"),
    ],
)  # fmt: skip
def test_a_device_that_its_entry_does_not_describe(more, text):
    with pytest.raises(calculator.InvalidValueError, match=text):
        build_gpu("a", {**GPU, **more})


def test_a_file_is_cut_where_its_ids_stand():
    content = "# first\nmodels:\n  a:\n    x: 1\n\n  # of b\n  b.1-c:  # here\n      y: 2\n"
    assert _parts(content, "models") == {
        "a": (3, "  a:\n    x: 1\n\n  # of b"), "b.1-c": (7, "  b.1-c:  # here\n      y: 2\n"),
    }  # fmt: skip
    # another section, an id twice or in front of the section, text in front of the first, and a section twice
    for other in ("gpus:\n  a:\n    x: 1\n", "models:\n  a:\n    x: 1\n  a:\n    x: 1\n", "  a:\n    x: 1\nmodels:\n",
                  "models:\n    x: 1\n  a:\n    x: 1\n", "models:\n  a:\n    x: 1\nmodels:\n  b:\n    x: 1\n",
                  "models:\n  a:\n    x: 1\n  b:\n    x: 1\n  a:\n    x: 1\n", "models:\n", ""):  # fmt: skip
        assert _parts(other, "models") == {}, other
    entries = Entries(content, "f", "models")
    assert (dict(entries), len(entries), "a" in entries, "c" in entries) == (
        {"a": {"x": 1}, "b.1-c": {"y": 2}},
        2,
        True,
        False,
    )
    with pytest.raises(KeyError):
        entries["c"]
    assert (
        entries.document("a").line(("models", "a", "x")),
        entries.document("b.1-c").line(("models", "b.1-c", "y")),
    ) == (4, 8)


def test_what_entries_state_is_read_without_them():
    lines = {
        "a": "    name: plain words", "b": '    name: "quoted: words"', "c": "    name: 'single'", "d": "    other: x",
        "e": "    name:\n      next line", "f": "    name: with # comment", "h": "    name: ''",
    }  # fmt: skip
    content = "models:\n" + "".join(f"  {key}:\n    x: 1\n{line}\n" for key, line in lines.items())
    assert dict(Entries(content, "f", "models").stated("name")) == {
        "a": "plain words", "b": "quoted: words", "c": "single", "e": "next line", "f": "with",
    }  # fmt: skip
    # laid out otherwise, all is parsed
    assert dict(Entries("models: {a: {name: x}, b: {y: 1}, c: 5}", "f", "models").stated("name")) == {"a": "x"}


def test_a_file_of_presets_validates_what_is_asked_for(tmp_path):
    (tmp_path / "f").write_text("things:\n  a:\n    n: 1\n  b:\n    n: 10\n  c: 5\n  d:\n    n: 3\n")
    built = []

    def build(key, fields_):
        built.append(key)
        if fields_["n"] == 3:
            raise calculator.InvalidValueError("three", what="n")
        return key, fields_["n"]

    one = Schema("One", {"n": fields.count(9)})
    file = PresetFile(tmp_path / "f", "things", lambda _: one, build, lambda first, second: first[1] == second[1])
    assert file.get("a") is file.get("a")
    assert (file.get("a"), built) == (("a", 1), ["a"])
    for key, text in (("b", "f:5: b: n: n must be at most 9"), ("c", "f:6: c: must be a mapping of fields"),
                      ("d", "f:8: d: n: three")):  # fmt: skip
        with pytest.raises(calculator.FileFormatError, match=text):
            file.get(key)
    # an id stands for its own preset, for one that is the same, and for any where no preset has it
    assert file.is_not_another("a", file.get("a"))
    assert file.is_not_another("a", ("other", 1))
    assert not file.is_not_another("a", ("a", 2))
    assert file.is_not_another("none", ("a", 2))
    assert (file.line("a"), file.line("b", "n")) == (2, 5)


def test_names_that_begin_alike():
    pairs = (("abc", "abd"), ("abc", "abc"), ("abc", "ab"), ("", "a"), ("x", "y"))
    assert [_same_beginning(*pair) for pair in pairs] == [2, 3, 2, 0, 0]


def test_no_more_than_three_are_near(tmp_path, monkeypatch):
    with pytest.raises(calculator.UnknownNameError, match="did you mean") as caught:
        calculator.load_model("qwen3-9")
    named = str(caught.value).partition("did you mean ")[2].partition("?")[0].split(" or ")
    assert len(named) == len(set(named)) == 3
    assert all(each.startswith("qwen3-") for each in named)
    assert caught.value.nearest == named[0]
    # what is there is read, whatever its name could mean; without a slash a name is a name
    monkeypatch.chdir(tmp_path)
    assert calculator.load_model("meta-llama/Llama-3.1-8B-Instruct").num_layers == 32
    (tmp_path / "meta-llama" / "Llama-3.1-8B-Instruct").mkdir(parents=True)
    (tmp_path / "Llama-3.1-8B-Instruct").mkdir()
    with pytest.raises(calculator.FileFormatError, match=r"holds no config\.json"):
        calculator.load_model("meta-llama/Llama-3.1-8B-Instruct")
    assert calculator.load_model("Llama-3.1-8B-Instruct").num_layers == 32
    (tmp_path / "llama-3.1-8b.gguf").write_bytes(b"")
    with pytest.raises(calculator.FileFormatError, match="is cut short"):
        calculator.load_model("llama-3.1-8b.gguf")
