"""YAML that means one thing only: hostile and ambiguous files are refused with file and line, at once."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calculator import FileFormatError
from calculator.reading import strict_yaml


def refused(text, message):
    with pytest.raises(FileFormatError, match=re.escape(message)):
        strict_yaml.parse(text, "f.yaml")


def test_values_and_their_lines():
    document = strict_yaml.parse("a: 1\nb:\n  - 0.5\n  - text\n  - true\nc: null\n", "f.yaml")
    assert document.data == {"a": 1, "b": [0.5, "text", True], "c": None}
    assert [document.line(place) for place in [("a",), ("b",), ("b", 0), ("b", 2), ("c",), ("c", "x")]] == [
        1,
        2,
        3,
        5,
        6,
        6,
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "f.yaml:3: a: duplicate key, first given in line 1"),
        ("x:\n  y: 1\n  y: 1", "f.yaml:3: x: y: duplicate key, first given in line 2"),
        ("a: 1e9\nb: .inf", "f.yaml:2: b: '.inf' is ambiguous YAML: write a decimal number such as 0.9"),
        ("a: on", "f.yaml:1: a: 'on' is ambiguous YAML: write true or false, or quote it if it is text"),
        ("a: 1:30", "'1:30' is ambiguous YAML: write decimal digits"),
        ("a: 0x10", "'0x10' is ambiguous YAML: write decimal digits"),
        ("a: 010", "'010' is ambiguous YAML: write decimal digits"),
        ("a: 1_000", "'1_000' is ambiguous YAML: write decimal digits"),
        ("a: .nan", "'.nan' is ambiguous YAML"),
        ("a: &x 1\nb: *x", "f.yaml:1: anchors and aliases are not allowed: write the value out"),
        ("a: &x [*x]", "anchors and aliases are not allowed"),
        ("? [a]\n: 1", "a key must be plain text"),
        ("a: !!binary aGk=", "is ambiguous YAML"),
        ("a: [1\nb: 2", "not valid YAML"),
        ("a: 1\n---\nb: 1", "f.yaml:2: not valid YAML: but found another document"),
        ("a: \x00", "not valid YAML"),
        ("a: " + "9" * 42, "is ambiguous YAML"),
    ],
)
def test_ambiguous_or_hostile_text(text, message):
    refused(text, message)


def test_a_foreign_tag_is_never_acted_on():
    assert strict_yaml.parse("a: !!python/object/apply:os.system [x]", "f").data == {"a": ["x"]}


@pytest.mark.parametrize("text", ["1e9", "2026-11-22", "3.10.1", "no-tag", "~x"])
def test_text_stays_text(text):
    assert strict_yaml.parse(f"a: {text}", "f").data == {"a": text}


def test_an_alias_bomb_is_refused_unexpanded():
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    refused("\n".join(levels), "f.yaml:1: anchors and aliases are not allowed")


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
@pytest.mark.parametrize("depth", [21, 1000, 300_000])
def test_deep_nesting_is_refused_however_deep(opening, depth):
    # composing 100,000 levels in C ends the process: the depth is counted before
    refused(opening * depth, "f.yaml:1: nested more than 20 levels deep")


def test_twenty_levels_are_allowed():
    data = strict_yaml.parse("[" * 20 + "]" * 20, "f").data
    for _ in range(19):
        (data,) = data
    assert data == []


def test_a_file_of_50_mb_is_refused_without_reading_it(tmp_path):
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(50_000_000)
    with pytest.raises(FileFormatError, match=r"large\.yaml: larger than 1,048,576 bytes, the most that is read"):
        strict_yaml.read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\xff\xfe\x00", "not UTF-8 text"), (b"\x7fELF\x02\x01\x01\x00", "not valid YAML"), (b"a: \xc3", "not UTF-8")],
)
def test_binary_files(tmp_path, content, message):
    path = tmp_path / "binary.yaml"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=message):
        strict_yaml.read(path)


def test_directories_missing_files_and_endless_ones(tmp_path):
    from pathlib import Path

    for path, message in [
        (tmp_path, "cannot be read: Is a directory"),
        (tmp_path / "none.yaml", "cannot be read: No such file or directory"),
        (Path("/dev/zero"), "larger than 1,048,576 bytes"),
        (Path("a\0b"), "cannot be read: embedded null byte"),
    ]:
        with pytest.raises(FileFormatError, match=message):
            strict_yaml.read(path)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text("abc é:#'\"", min_size=1),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner),
    )
)
def test_what_is_written_plainly_reads_back(value):
    import json

    assert strict_yaml.parse(json.dumps({"value": value}), "f").data == {"value": value}


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_its_place(text):
    with contextlib.suppress(FileFormatError):
        assert strict_yaml.parse(text, "f.yaml").name == "f.yaml"
