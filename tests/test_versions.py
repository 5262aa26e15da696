"""What the name of an engine's version says, and which rules are taken for it."""

import pytest
import yaml

import calculator
from calculator.engines import ENGINES, engine_class, engine_rules


@pytest.mark.parametrize(
    ("engine", "asked", "used"),
    [
        # what changed was read from the oldest to the newest, and builds after a release are the release
        ("vllm", "0.19", "0.19"), ("vllm", "v0.19.1", "0.19.1"), ("vllm", "0.6.4.post1", "0.6.4"),
        ("vllm", "0.10.1.1", "0.10.1"), ("vllm", "0.10.2-cu128", "0.10.2"), ("vllm", "0.8.5+cu124", "0.8.5"),
        ("vllm", "0.33.0.post2", "0.33"), ("vllm", " 0.33.0. ", "0.33"), ("vllm", "0.9.1", "0.9.1"),
        ("sglang", "0.5.23.post2", "0.5.23"), ("sglang", "0.5.8.post1", "0.5.8"), ("sglang", "0.4.10.post2", "0.4.10"),
        ("sglang", "v0.4.4", "0.4.4"), ("sglang", "0.5.23.0", "0.5.23"), ("tensorrt-llm", "1.2.5", "1.2.5"),
        ("sglang", "0.5.23", "0.5.23"), ("sglang", "0.5.23.post1", "0.5.23"), ("tensorrt-llm", "1.2", "1.2"),
        ("llama.cpp", "0c1e570", "0c1e570"), ("llama.cpp", "8012 (0c1e570a)", "0c1e570"),
    ],
)  # fmt: skip
def test_a_known_version_is_taken_without_a_note(engine, asked, used):
    rules = engine_rules(engine, asked)
    assert (rules.version, rules.note) == (used, "")


@pytest.mark.parametrize(
    ("engine", "asked", "used"),
    [
        ("vllm", "0.34", "0.33"), ("vllm", "1.0.0", "0.33"), ("vllm", "0.1", "0.6"), ("vllm", "0.5.5", "0.6"),
        # SGLang changes its rules in patches, and those of ten were read: between two the nearer, of both the older
        ("sglang", "0.5.24", "0.5.23"), ("sglang", "0.6", "0.5.23"), ("sglang", "0.4.1", "0.4.4"),
        ("sglang", "0.4.6", "0.4.4"), ("sglang", "0.4.7", "0.4.9"), ("sglang", "0.4.11", "0.4.10"),
        ("sglang", "0.5.0", "0.5.1"), ("sglang", "0.5.3", "0.5.1"), ("sglang", "0.5.11", "0.5.10"),
        ("sglang", "0.5.17", "0.5.18"), ("sglang", "0.5.21", "0.5.23"),
        # of a whole minor the newest that was read
        ("sglang", "0.5", "0.5.23"), ("sglang", "0.4", "0.4.10"),
        ("tensorrt-llm", "1.4", "1.3"), ("tensorrt-llm", "0.10.0", "0.11"),
        # patches of the newest that was read were made after it, and may have changed what was read
        ("vllm", "0.33.9", "0.33"), ("tensorrt-llm", "1.3.5", "1.3"), ("sglang", "0.5.23.1", "0.5.23"),
        ("vllm", "0.33.0.1", "0.33"),
        # the source of vLLM's rows: "0.8.5 ... 0.9.1 ...; between 0.8.5 and them not read"
        ("vllm", "0.9.0", "0.8.5"), ("vllm", "0.9", "0.8.5"), ("vllm", "0.8.6", "0.8.5"), ("vllm", "0.9.0.1", "0.8.5"),
    ],
)  # fmt: skip
def test_an_unknown_version_takes_the_nearest_and_says_so(engine, asked, used):
    rules = engine_rules(engine, asked)
    said = f"the rules of {rules.title} {asked} are not known: those of {used}, the nearest known version, are used"
    assert (rules.version, rules.note) == (used, said)


@pytest.mark.parametrize(
    ("engine", "asked", "before", "used"),
    [
        ("vllm", "0.33.1.dev12", "0.33.1", "0.33"), ("vllm", "0.33.1.dev12+gabc1234", "0.33.1", "0.33"),
        ("vllm", "0.34.0rc1", "0.34.0", "0.33"), ("vllm", "0.9.0rc1", "0.9.0", "0.8.5"),
         ("vllm", "v0.21.0-rc1", "0.21.0", "0.21"),
        ("vllm", "0.11.2.dev0+g0b1c2d3.d20251101", "0.11.2", "0.11.2"), ("vllm", "0.15.2rc1.dev93", "0.15.2", "0.15.2"),
        ("vllm", "0.33.0-nightly", "0.33.0", "0.33"), ("sglang", "0.5.24rc0", "0.5.24", "0.5.23"),
        ("tensorrt-llm", "1.2.0rc4", "1.2.0", "1.2"),
    ],
)  # fmt: skip
def test_a_build_before_a_release_takes_the_nearest_and_says_so(engine, asked, before, used):
    rules = engine_rules(engine, asked)
    said = f"{rules.title} {asked} is a build before {before}: the rules of {used}, the nearest known version, are used"
    assert (rules.version, rules.note) == (used, said)


@pytest.mark.parametrize("asked", ["0.1.dev1+g1234567", "0.0.0.dev3", "v0.1.0.dev20260101", "0.0.0+unknown"])
@pytest.mark.parametrize("engine", [name for name in ENGINES if name != "llama.cpp"])
def test_a_build_that_names_no_release_takes_the_newest_rules_and_says_so(engine, asked):
    # setuptools_scm and versioningit: what they write where they find no tag
    rules = engine_rules(engine, asked)
    assert rules.version == engine_rules(engine).version
    assert rules.note == (
        f"{rules.title} {asked} is a development build whose version names no release: the newest rules that are "
        f"known, those of {rules.version}, are used"
    )


@pytest.mark.parametrize(
    "asked", ["b1234", "4321", "4321 (abcdef0)", "b4321-abcdef0", "4321 (abcd)", "ABCDEF012", "0 (unknown)"]
)
def test_a_build_of_llama_cpp_that_was_not_read_says_so(asked):
    rules = engine_rules("llama.cpp", asked)
    assert rules.version == "0c1e570"
    assert rules.note.startswith(f"the rules of llama.cpp {asked} are not known: llama.cpp is told apart by its builds")


BAD = ["latest", "0.33x", "0.33.abc", "33", "0.33 or so", "b4321", "\u0660.\u0663", "12345.1", "0..3", "-0.3", " "]


@pytest.mark.parametrize("asked", BAD)
@pytest.mark.parametrize("engine", [name for name in ENGINES if name != "llama.cpp"])
def test_what_is_no_version_is_refused_with_what_it_looks_like(engine, asked):
    newest = engine_rules(engine).version
    with pytest.raises(calculator.InvalidValueError, match=r"^engine_version must look like ") as error:
        calculator.plan("llama-3-8b", gpu="l4", seq_len=100, engine=engine, engine_version=asked)
    assert str(error.value).endswith(f"(of {engine_class(engine).title}); the newest known is {newest}")


@pytest.mark.parametrize("asked", ["latest", "0.33", "b12x", "4321 (abc)", "xyz1234"])
def test_what_is_no_build_is_refused_with_what_it_looks_like(asked):
    with pytest.raises(calculator.InvalidValueError, match=r"engine_version of llama.cpp is a build such as b4321"):
        calculator.plan("llama-3-8b", gpu="l4", seq_len=100, engine="llama.cpp", engine_version=asked)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        # 0.30 without quotes is the number 0.3 to Python and to YAML
        (0.30, "engine_version must be text, not 0.3; write it in quotes"),
        (1, "engine_version must be text, not 1; write it in quotes"),
        (True, "engine_version must be text, not True"),
        ("", "engine_version must not be empty"),
        ("soon", "engine_version must look like 0.33 or 0.33.0, not 'soon' (of vLLM); the newest known is 0.33"),
    ],
)
def test_a_bad_version_is_the_same_clear_error_from_the_api_and_a_plan_file(asked, said, tmp_path, run):
    with pytest.raises(calculator.InvalidValueError) as error:
        calculator.plan("llama-3-8b", gpu="l4", seq_len=100, engine_version=asked)
    assert str(error.value) == said
    file = tmp_path / "deployments.yaml"
    entry = {"name": "a", "model": "llama-3-8b", "gpu": "l4", "engine_version": asked, "expect": {"fits": True}}
    file.write_text(yaml.safe_dump({"deployments": [entry]}, sort_keys=False))
    code, _, err = run("check", str(file))
    assert code == 2
    assert err.rstrip().endswith(f":5: deployments: 0 (a): engine_version: {said}")


@pytest.mark.parametrize("asked", ["soon", "b4321", "0.33.abc"])
def test_a_bad_version_is_an_error_on_the_command_line(asked, run):
    code, _, err = run("plan", "--model", "llama-3-8b", "--gpu", "l4", "--engine-version", asked)
    assert (code, err) == (
        2, f"error: engine_version must look like 0.33 or 0.33.0, not '{asked}' (of vLLM); the newest known is 0.33\n"
    )  # fmt: skip


def test_the_note_is_among_those_of_a_plan():
    plan = calculator.plan("llama-3-8b", gpu="l4", seq_len=100, engine="sglang", engine_version="0.5.24")
    assert plan.rules.note in plan.notes
