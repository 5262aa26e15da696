"""The nomenclature is held to the code: every keyword with the engines' flags, every attribute of an answer, once."""

import inspect
import re
from dataclasses import fields
from pathlib import Path

import calculator
from calculator.configs.keys import SYNONYMS
from calculator.engines import ENGINES, engine_class
from calculator.planning.answer import Plan

TEXT = (Path(__file__).parent.parent / "docs" / "nomenclature.md").read_text(encoding="utf-8")
NAME = re.compile(r"`([^`]+)`")


def table(heading):
    """Return the rows below a heading, cell by cell, without the table's own heading."""
    section = TEXT.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.split("\n") if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def test_every_keyword_is_listed_once_with_the_flags_of_each_engine():
    rows = [[cell.strip("`") for cell in row] for row in table("What is asked")]
    assert sorted(row[1] for row in rows) == sorted(inspect.signature(calculator.plan).parameters)
    for engine, column in zip(ENGINES, range(3, 7), strict=True):
        assert {row[1]: row[column] for row in rows if row[column]} == dict(engine_class(engine).flags)


def test_every_keyword_in_bytes_or_tokens_has_that_unit():
    units = {row[1].strip("`"): row[2] for row in table("What is asked")}
    assert {name for name, unit in units.items() if unit == "bytes"} == {n for n in units if n.endswith("_bytes")}
    of_tokens = {"seq_len", "encoder_seq_len", "block_size", "max_num_batched_tokens"}
    assert {name for name, unit in units.items() if unit == "tokens"} == of_tokens


def test_every_attribute_of_a_plan_is_listed_once():
    listed = [name for row in table("What is answered") for name in NAME.findall(row[0])]
    public = {name for name in vars(Plan) if not name.startswith("_")} | {field.name for field in fields(Plan)}
    assert sorted(listed) == sorted(public - {"as_dict"})


def test_every_line_of_memory_is_listed():
    (lines,) = [row[2] for row in table("What is answered") if "`per_gpu`" in row[0]]
    assert sorted(NAME.findall(lines)) == sorted(calculator.plan("llama-3-8b", gpu="h100-sxm").per_gpu.as_dict())


def test_every_attribute_of_traffic_and_speed_is_listed_once():
    rows = table("Traffic and speed")
    listed = [name for row in rows for name in NAME.findall(row[1])]
    answers = (calculator.Workload, calculator.Concurrency, calculator.Speed)
    public = {field.name for answer in answers for field in fields(answer)}
    public |= {name for answer in answers for name in vars(answer) if not name.startswith("_")}
    asked = {name for call in (calculator.concurrency, calculator.speed) for name in inspect.signature(call).parameters}
    assert sorted(listed) == sorted((public | asked) - {"as_dict", "frame", "pairs"})
    symbols = {row[0]: set(NAME.findall(row[1])) for row in rows if row[0]}
    assert {"P", "O", "λ", "TPOT", "TTFT"} <= set(symbols)
    assert {"λ", "TPOT"} == {
        symbol for symbol, names in symbols.items() if names & {"requests_per_second", "time_per_output_token_s"}
    }


def test_every_attribute_of_sizing_is_listed_once():
    listed = [name for row in table("From a load to hardware") for name in NAME.findall(row[0])]
    answers = (calculator.Service, calculator.Found)
    public = {field.name for answer in answers for field in fields(answer)}
    public |= {name for answer in answers for name in vars(answer) if not name.startswith("_")}
    assert sorted(listed) == sorted(public - {"as_dict", "frame", "row"})


def test_a_name_of_traffic_ends_in_its_unit():
    units = {name: row[2] for row in table("Traffic and speed") for name in NAME.findall(row[1])}
    assert {name for name, unit in units.items() if unit == "s"} - {"terms"} == {
        name for name in units if re.search(r"_s(_low|_high)?$", name)
    }
    assert {name for name, unit in units.items() if unit == "tokens"} - {"trace"} == {
        name for name in units if name.endswith("_tokens")
    }


def test_every_column_of_the_study_of_heads_is_listed_once():
    listed = [name for row in table("How many KV heads") for name in NAME.findall(row[0])]
    study = calculator.head_study("llama-3-8b", gpu="l40s", seq_len=1024)
    assert sorted(listed) == sorted(study.frame().columns)


def test_attributes_of_a_model_exist_and_keys_are_those_that_are_read():
    model = calculator.load_model("llama-3-8b")
    named = [name for row in table("A model") for name in NAME.findall(row[4]) if name.startswith("model.")]
    assert [name for name in named if not hasattr(model, name.removeprefix("model."))] == []
    keys = {key for row in table("A model") for key in NAME.findall(row[3])}
    of_kinds = {"v_head_dim", "kv_lora_rank", "qk_rope_head_dim"}
    assert keys - of_kinds <= set(SYNONYMS)


def test_names_of_arrivals_prefixes_and_host_memory_are_those_of_the_code():
    heading = "Arrivals, prefixes and host memory"
    results = (calculator.OpenArrivals, calculator.PrefixReuse, calculator.HostTier)
    known = {name for each in results for name in inspect.signature(each).parameters}
    rows = table(heading)
    named = [name for row in rows for name in NAME.findall(row[1].split(" of ")[0])]
    assert [name for name in named if name not in known] == []
    for suffix, unit in (("_tokens", "tokens"), ("_s", "s"), ("_bytes", "bytes"), ("_per_second", "1/s")):
        units = {row[2] for row in rows for name in NAME.findall(row[1]) if name.endswith(suffix)}
        assert units == {unit}
