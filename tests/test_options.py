"""One table of options: every face has its keywords, and what is plainly valid is what pydantic takes."""

import argparse
import inspect
import json
import re
import shutil
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields
from functools import reduce

import pytest
from golden import ROOT
from hypothesis import example, given, settings
from hypothesis import strategies as st

import calculator
from calculator.architecture.decoder import _SCHEMA as ARCHITECTURE
from calculator.catalogue.presets import entries
from calculator.cli import main as cli
from calculator.planning.files import plan_schema
from calculator.planning.heads.goals import GOALS
from calculator.planning.kv_cache import _SCHEMA as FORMULA
from calculator.planning.traffic import inputs as traffic
from calculator.reading.fields import Count, Field, Flag, Listed, Names, NotPlain, Number, Text, taken
from calculator.request import OPTIONS, PLAN_SCHEMA, Cutting, Request
from calculator.views.comparing.same_request import SAME_REQUEST
from dashboard import inputs, state

SCHEMAS = {
    schema.name: schema
    for schema in (
        PLAN_SCHEMA, ARCHITECTURE, FORMULA, entries.PLAIN_SCHEMA, entries.CONFIG_SCHEMA, entries.GPU_SCHEMA,
        plan_schema.DEPLOYMENT, plan_schema.MODEL, plan_schema.GPU, traffic.OF_MEANS, traffic.OF_TRACE, traffic.OF_RISK,
        traffic.OF_STEP,
    )
}  # fmt: skip


# Every face has what the table says


def arguments(command):
    """Return the arguments of a command by their names in code."""
    subparsers = next(a for a in cli._parser([command])._actions if isinstance(a, argparse._SubParsersAction))
    return {action.dest: action for action in subparsers.choices[command]._actions}


def test_the_signature_and_the_documentation_of_plan_are_the_table():
    parameters = inspect.signature(calculator.plan).parameters
    assert list(parameters) == ["model", "gpu", *OPTIONS]
    documented = inspect.getdoc(calculator.plan)
    for name, option in OPTIONS.items():
        assert (parameters[name].kind, parameters[name].default) == (inspect.Parameter.KEYWORD_ONLY, option.default)
        block = re.search(rf"^{name} : {re.escape(option.type_name)}\n((?: {{4}}.*\n)+)", documented, re.MULTILINE)[1]
        assert " ".join(block.split()) == f"{option.help[0].upper()}{option.help[1:]} [{option.unit}]."


def test_the_command_line_is_the_table():
    shown = arguments("plan")
    beside = {"help", "format", "model", "gpu", "gpu_memory_gib", "upgrade_to", "calibration", "report"}
    assert set(shown) - beside == set(OPTIONS)
    for name, option in OPTIONS.items():
        assert shown[name].help.startswith(option.help), name
        assert isinstance(shown[name], argparse.BooleanOptionalAction) is isinstance(option.field, Flag), name
        # a size is read with its unit, any other count without
        assert (getattr(shown[name].type, "__name__", "") == "size") is (option.unit == "bytes"), name


@pytest.mark.parametrize(
    ("command", "fields", "others"),
    [
        ("concurrency", {**traffic.LENGTHS, **traffic.TRAFFIC, **traffic.RISK}, {"trace", "workload"}),
        ("speed", {name: field for name, field in traffic.STEP.items() if name != "batch_size"}, set()),
        ("heads", GOALS, {"kv_heads", "output_tokens", "latent", "constant_parameters", "sliding_window"}),
    ],
)
def test_commands_have_the_options_of_plan_and_the_fields_of_their_tables(command, fields, others):
    shown = arguments(command)
    assert set(shown) - {"help", "format", "model", "gpu", "gpu_memory_gib"} == {*OPTIONS, *fields, *others}
    for name, field in fields.items():
        assert shown[name].help == field.help, name
        # what is left out is left to the table
        assert shown[name].default is None, name
        kind = None if isinstance(field, Flag) else "count" if isinstance(field, Count) else "number"
        assert getattr(shown[name].type, "__name__", None) == kind, name
        assert isinstance(shown[name], argparse.BooleanOptionalAction) is isinstance(field, Flag), name
    for name, option in OPTIONS.items():
        if name not in ("seq_len", "batch_size"):
            assert shown[name].help.startswith(option.help), name


def test_numbers_of_traffic_have_a_unit_and_a_phrase():
    for schema in (traffic.OF_MEANS, traffic.OF_RISK, traffic.OF_STEP):
        for name, field in schema.fields.items():
            assert (field.unit == "tokens") is name.endswith("_tokens"), name
            assert (field.unit == "1/s") is name.endswith("_per_second"), name
            assert field.help[0].islower() or field.help.startswith("Pearson"), name


def test_links_are_the_table():
    of_page = {name: option for name, option in OPTIONS.items() if option.page}
    names = [name.replace("_bytes", "_gib") for name in of_page]
    assert [name for name in state.PARAMETERS if name in names] == names
    assert set(OPTIONS) - set(of_page) == {"async_scheduling", "enable_prefix_caching", "usage_context"}
    assert set(inputs.SWITCHES) == {name for name, option in of_page.items() if isinstance(option.field, Flag)}
    for (name, option), key in zip(of_page.items(), names, strict=True):
        parameter = state.PARAMETERS[key]
        assert parameter.default == state.OPENING.get(name, option.default)
        if isinstance(option.field, Count | Number) and option.unit != "bytes":
            assert parameter.most <= option.field.most
            assert parameter.least >= getattr(option.field, "least", 0)


def test_plan_files_requests_and_engines_have_the_keywords_of_the_table():
    assert set(OPTIONS) <= set(plan_schema.DEPLOYMENT.fields)
    assert set(Request.__dataclass_fields__) == {"model", "gpu", *OPTIONS}
    assert set(Cutting._fields) == {name for name, option in OPTIONS.items() if option.cuts} | {"split"}
    assert set(SAME_REQUEST) == {"model", "gpu"} | {name for name, option in OPTIONS.items() if option.everywhere}


NEW = """    spare_tokens: Annotated[
        int | None,
        Option(field=count(77), help="tokens to spare", unit="tokens", cuts=True, everywhere=True, is_engines=False),
    ]
    activation_bytes:"""
PROOF = """
import inspect, json
import calculator
from calculator.cli import main as cli
from calculator.planning.files import plan_schema
from calculator.planning.command import NOT_THE_ENGINES
from calculator.request import Cutting
from calculator.views.comparing.same_request import SAME_REQUEST
from dashboard import state
answer = calculator.plan("llama-3-8b", "l4", spare_tokens=5)
schema = json.loads(plan_schema.json_schema())["$defs"]["Deployment"]["properties"]["spare_tokens"]
print(json.dumps({
    "signature": "spare_tokens" in inspect.signature(calculator.plan).parameters,
    "docstring": "spare_tokens : int, optional\\n    Tokens to spare [tokens]." in calculator.plan.__doc__,
    "request": answer.request.spare_tokens,
    "engine": [answer.request.cutting.spare_tokens, "spare_tokens" in Cutting._fields],
    "report": answer.as_dict()["request"]["spare_tokens"],
    "same": ["spare_tokens" in SAME_REQUEST, "spare_tokens" in NOT_THE_ENGINES],
    "file": "spare_tokens: 5" in calculator.write_plan_file(answer, "it"),
    "schema": [schema["description"], schema["unit"]],
    "link": [state.PARAMETERS["spare_tokens"].least, state.PARAMETERS["spare_tokens"].most],
}))
try:
    calculator.plan("llama-3-8b", "l4", spare_tokens=78)
except calculator.CalculatorError as error:
    print(error)
try:
    cli.main(["plan", "--help"])
except SystemExit:
    pass
"""


def test_a_keyword_that_is_added_to_the_table_is_on_every_face(tmp_path):
    for name in ("calculator", "dashboard"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "model_presets.yaml", tmp_path)
    table = tmp_path / "calculator" / "request" / "table.py"
    content = table.read_text(encoding="utf-8")
    assert content.count("    activation_bytes:") == 1
    table.write_text(content.replace("    activation_bytes:", NEW), encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", PROOF], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    faces, refused, help = done.stdout.split("\n", 2)
    assert json.loads(faces) == {
        "signature": True,
        "docstring": True,
        "request": 5,
        "engine": [5, True],
        "report": 5,
        "same": [True, True],
        "file": True,
        "schema": ["tokens to spare", "tokens"],
        "link": [1, 77],
    }
    assert refused == "spare_tokens must be at most 77, not 78"
    assert re.search(r"--spare-tokens N\s+tokens to spare", help)


# What is taken without pydantic is what pydantic takes


def values_for(field: Field):
    """Draw values at and around what a field may be, of its kind and of others."""
    edges = [getattr(field, name) for name in ("least", "most", "above") if getattr(field, name, None) is not None]
    drawn = [st.sampled_from([None, True, False, 0, 1, 1.0, 0.5, float("nan"), float("inf"), "", "a", "é", "\ud800"])]
    drawn += [st.sampled_from([edge + step for edge in edges for step in (-1, 0, 1)])] if edges else []
    if isinstance(field, Text):
        drawn.append(st.sampled_from([field.least, field.most]).flatmap(lambda n: st.just("x" * (n + 1))))
        drawn.append(st.text(max_size=5))
    if isinstance(field, Names):
        drawn.append(st.dictionaries(st.text("ab", max_size=2) | st.integers(0, 2), st.integers(), max_size=2))
    if isinstance(field, Listed):
        drawn.append(st.lists(values_for(field.item), max_size=3))
        drawn.append(st.sampled_from([(), ("memory",)]))
    if getattr(field, "names", None):
        drawn.append(st.sampled_from(field.names))
    return reduce(lambda one, other: one | other, drawn)


@pytest.mark.parametrize("name", SCHEMAS)
@settings(max_examples=30)
@given(data=st.data())
def test_what_is_plainly_valid_pydantic_takes_as_it_is(name, data):
    schema = SCHEMAS[name]
    plain = {}
    for key, field in schema.fields.items():
        if hasattr(field, "kinds") or hasattr(field, "fields"):
            continue
        value = data.draw(values_for(field))
        try:
            plain |= taken({key: field}, {key: value})
        except NotPlain:
            continue
    problems = [place for place, _ in schema.all_problems({**plain, "unknown": 1})]
    assert [place for place in problems if place[0] in plain] == []
    assert ("unknown",) in problems
    missing = {place[0] for place in problems} - {"unknown"}
    assert missing == {key for key, field in schema.fields.items() if field.required} - set(plain)
    if not missing:
        assert schema.judged(plain) == schema.validate(plain) == plain


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_default_is_valid_itself(name):
    defaults = {key: field.default for key, field in SCHEMAS[name].fields.items() if field.default is not None}
    assert {key: SCHEMAS[name].fields[key].take(value) for key, value in defaults.items()} == defaults


def test_a_request_made_at_once_is_the_one_made_field_by_field():
    made = calculator.plan("llama-3-8b", gpu="l4").request
    values = {field.name: getattr(made, field.name) for field in fields(Request)}
    assert made == Request(**values)
    assert vars(Request.of(values)) == vars(Request(**values)) == values
    with pytest.raises(FrozenInstanceError):
        made.seq_len = 1


@given(st.dictionaries(st.sampled_from([*OPTIONS]), st.sampled_from([1, 0, -1, 2.5, True, "x", None, 10**30])))
@example({"gpu_memory_utilization": 1})
def test_options_are_checked_the_same_with_and_without_pydantic(values):
    def answer(check):
        try:
            return check(values)
        except calculator.CalculatorError as error:
            return str(error)

    assert answer(PLAN_SCHEMA.validate) == answer(PLAN_SCHEMA.judged)


# The JSON Schema


def test_the_json_schema_in_the_package_is_the_models():
    path = ROOT / "calculator" / "catalogue" / "data" / "plan_file.schema.json"
    assert path.read_text(encoding="utf-8") == plan_schema.json_schema(), "make schema writes it"


def test_the_json_schema_names_units_bounds_and_what_each_is():
    schema = json.loads(plan_schema.json_schema())
    assert schema["title"] == "Plan file"
    deployment = schema["$defs"]["Deployment"]
    assert (deployment["required"], deployment["additionalProperties"]) == (["name", "model", "expect"], False)
    for name, option in OPTIONS.items():
        shown = deployment["properties"][name]
        assert (shown["description"], shown["unit"], shown["default"]) == (option.help, option.unit, option.default)
    assert deployment["properties"]["tensor_parallel_size"]["maximum"] == 65_536
    assert {kind.get("type") for kind in deployment["properties"]["model"]["anyOf"]} == {"string", None}
    assert set(schema["$defs"]["Expect"]["properties"]) == set(plan_schema.EXPECTATIONS)


# Notes


def test_notes_are_made_when_they_are_shown(reference):
    answer = calculator.vary(reference, seq_len=9000)
    assert "notes" not in vars(answer)
    assert answer.notes[0].startswith("9,000 tokens are more than the 8,192 that LLaMA 3 70B is made for")
    assert answer == calculator.vary(reference, seq_len=9000)
