"""Docstrings and help are held to the code: every argument with a unit, every keyword in every face."""

import argparse
import inspect
import re
import typing

import pytest

import calculator
from calculator import request
from calculator.cli import main as cli
from calculator.planning.traffic import inputs

FUNCTIONS = {name: value for name in calculator.__all__ if inspect.isfunction(value := getattr(calculator, name))}
OF_PLAN = {f"--{name.replace('_', '-')}" for name in inspect.signature(calculator.plan).parameters} | {
    "--gpu-memory-gib"
}
OF_TRAFFIC = {f"--{name.replace('_', '-')}" for name in (*inputs.LENGTHS, *inputs.TRAFFIC, *inputs.RISK)}
FUNCTIONS |= {
    f"ModelArchitecture.{name}": getattr(calculator.ModelArchitecture, name)
    for name in ("kv_bytes_per_token", "state_bytes_per_sequence")
}
CLASSES = {
    name: value
    for name in calculator.__all__
    if inspect.isclass(value := getattr(calculator, name)) and not issubclass(value, Exception)
}
UNIT = re.compile(r"\[[^\]]+\]\.?$")


def sections(thing):
    """Split a numpydoc docstring into its sections."""
    text = inspect.getdoc(thing)
    parts = re.split(r"^([A-Z][a-z]+)\n-{3,}\n", text, flags=re.MULTILINE)
    return {"Summary": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def entries(section):
    """Return the names that a section documents, each with its description."""
    found = {}
    for block in re.split(r"\n(?=\S)", section.strip()):
        head, _, body = block.partition("\n")
        names = head.partition(" : ")[0]
        for one in names.split(","):
            found[one.strip()] = " ".join(body.split())
    return found


def parameters_of(function):
    kinds = inspect.Parameter
    stars = {kinds.VAR_KEYWORD: "**", kinds.VAR_POSITIONAL: "*"}
    return [
        stars.get(parameter.kind, "") + name
        for name, parameter in inspect.signature(function).parameters.items()
        if name != "self"
    ]


@pytest.mark.parametrize("name", [name for name, function in FUNCTIONS.items() if parameters_of(function)])
def test_every_parameter_is_documented_with_its_unit(name):
    documented = entries(sections(FUNCTIONS[name])["Parameters"])
    assert list(documented) == parameters_of(FUNCTIONS[name])
    assert [one for one, text in documented.items() if not UNIT.search(text)] == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_says_what_it_returns(name):
    function = FUNCTIONS[name]
    assert (
        typing.get_type_hints(inspect.unwrap(function), vars(inspect.getmodule(function)) | TYPING)["return"]
        is not None
    )
    found = sections(function)
    assert "Returns" in found or not parameters_of(function)
    assert re.match(r"[A-Z][^\n]+[.:]\n*", found["Summary"])


TYPING = {
    "pandas": argparse.Namespace(DataFrame=object),
    "numpy": argparse.Namespace(ndarray=object),
    "Plan": calculator.Plan,
    "Workload": calculator.Workload,
}


@pytest.mark.parametrize(
    "name",
    [
        "concurrency",
        "custom_model",
        "kv_cache_bytes",
        "kv_cache_bytes_per_gpu",
        "load_gpu",
        "load_model",
        "plan",
        "read_plan_file",
        "speed",
        "sweep",
        "sweep_arrays",
        "vary",
        "workload",
        "workload_from_trace",
        "ModelArchitecture.kv_bytes_per_token",
    ],
)
def test_what_can_be_refused_says_so(name):
    names = {one for one in vars(calculator.errors) if one.endswith("Error")}
    assert set(entries(sections(FUNCTIONS[name])["Raises"])) <= names


@pytest.mark.parametrize("name", CLASSES)
def test_every_attribute_of_a_result_is_documented(name):
    fields = set(inspect.signature(CLASSES[name]).parameters)
    found = sections(CLASSES[name])
    if "Attributes" in found:
        assert set(entries(found["Attributes"])) == fields
    else:
        assert name == "Request", "only a request documents its fields under plan, whose keywords they are"
        assert fields <= set(parameters_of(calculator.plan))


def test_plan_request_schema_and_command_line_have_the_same_keywords():
    keywords = set(parameters_of(calculator.plan)) - {"model", "gpu"}
    assert set(request.PLAN_FIELDS) == keywords
    assert set(request.PLAN_DEFAULTS) == keywords
    assert set(request.Request.__dataclass_fields__) == keywords | {"model", "gpu"}


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("plan", OF_PLAN | {"--upgrade-to", "--calibration", "--report"}),
        ("concurrency", OF_PLAN | OF_TRAFFIC | {"--trace", "--workload"}),
        (
            "speed",
            OF_PLAN | {f"--{name.replace('_', '-')}" for name in parameters_of(calculator.speed) if name != "plan"},
        ),
        (
            "heads",
            OF_PLAN
            | {f"--{name.replace('_', '-')}" for name in parameters_of(calculator.head_study) if "*" not in name}
            | {f"--{name.replace('_', '-')}" for name in parameters_of(calculator.HeadStudy.recommend)},
        ),
        ("kv", {f"--{name.replace('_', '-')}" for name in parameters_of(calculator.kv_cache_bytes)}),
        ("models", set()),
        ("gpus", set()),
        ("check", {"--upgrade-to", "--against"}),
    ],
)
def test_help_names_every_flag_and_no_other(capsys, command, flags):
    with pytest.raises(SystemExit, match="0"):
        cli.main([command, "--help"])
    out = capsys.readouterr().out
    negated = {flag.replace("--no-", "--") for flag in re.findall(r"--no-[a-z-]+", out)} - {"--torch-bytes"}
    assert negated <= flags - {"--non-torch-bytes"}
    assert set(re.findall(r"--(?!no-)[a-z-]+", out)) == flags | {"--format", "--help"}


def test_help_names_every_command_and_the_exit_codes(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--help"])
    out = " ".join(capsys.readouterr().out.split())
    assert "Exit codes: 0 fine; 1 an expectation is missed or the plan does not fit; 2 bad usage or bad input." in out
    assert re.findall(
        r"\b(kv|plan|concurrency|speed|heads|models|gpus|check) +(?:bytes|what|how|list|verify)", out
    ) == [
        "kv",
        "plan",
        "concurrency",
        "speed",
        "heads",
        "models",
        "gpus",
        "check",
    ]


def test_the_error_tree_is_drawn_as_it_is():
    drawn = set(re.findall(r"\w+Error", calculator.errors.__doc__.split("Every error")[0])) - {"ValueError"}
    assert drawn == {name for name in calculator.__all__ if name.endswith("Error")}
