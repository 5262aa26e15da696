"""The command line on bad input: exit code 2, one line on stderr, and never a traceback."""

import ast
import json
import os
import subprocess
import sys

import pytest
from golden import ROOT
from logs import LOGS
from small_config import CONFIG

REFERENCE = ["plan", "--model=llama-3-70b", "--gpu=a100-80gb-sxm", "--tensor-parallel-size=4", "--seq-len=8192"]
FAILING = """\
deployments:
- name: "a::b\\n::error::x"
  model: llama-3-70b
  gpu: a100-80gb-sxm
  tensor_parallel_size: 4
  seq_len: 8192
  expect: {min_batch_size: 400}
"""


def process(*arguments, **options):
    """Run the real command in a process of its own."""
    command = [sys.executable, "-m", "calculator", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=False, **options)


@pytest.mark.parametrize("form", ["text", "github"])
def test_a_name_cannot_start_a_workflow_command(run, tmp_path, form):
    path = tmp_path / "plan,a.yaml"
    path.write_text(FAILING)
    code, out, _ = run("check", path, "--format", form)
    assert code == 1
    first, last = out.splitlines()
    assert last == "0 of 1 expectations of 1 entry are met"
    if form == "github":
        place = str(path).replace(",", "%2C").replace(":", "%3A")
        assert first.startswith(
            f"::error file={place},line=7::a::b%0A::error::x: min_batch_size: expected 400 (at least)"
        )
    else:
        assert first.startswith(rf"{path}:7: a::b\n::error::x: min_batch_size: expected 400 (at least), actual ")


def test_a_key_with_a_line_break_stays_on_one_line_of_stderr(run, tmp_path):
    path = tmp_path / "keys.yaml"
    path.write_text('models: {"a\\n::error::x\\e[31m": 1}')
    code, out, err = run("check", path)
    assert (code, out) == (2, "")
    assert err == rf"error: {path}:1: a\n::error::x\x1b[31m: must be a mapping of fields to values" + "\n"


def test_a_log_whose_path_is_none_is_an_error(run):
    code, out, err = run("reconcile", "a\0")
    assert (code, out) == (2, "")
    assert err.endswith(": cannot be read: embedded null byte\n")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("", "the following arguments are required: COMMAND"),
        ("nope", "invalid choice: 'nope'"),
        ("kv --model llama-3-70b", "the following arguments are required: --seq-len"),
        ("app --port 65536", "error: port must be from 1 to 65,535, not 65536"),
        ("kv --model nope --seq-len 1", "error: unknown model 'nope'"),
        ("kv --model llama-3-70b --seq-len 0", "error: seq_len must be at least 1, not 0"),
        ("kv --model llama-3-70b --seq-len 1.5", "argument --seq-len: must be a whole number, not '1.5'"),
        ("kv --model llama-3-70b --seq-len " + "9" * 5000, "argument --seq-len: must be a whole number, not '999"),
        ("kv --model llama-3-70b --seq-len 1 --tensor-parallel-size 3", "legal are 1, 2, 4, 8, 16, 32, 64"),
        ("kv --model llama-3-70b --seq-len 1 --kv-cache-dtype fp9", "error: unknown KV-cache format 'fp9'"),
        ("plan --model llama-3-70b", "error: gpu is missing"),
        ("plan --model llama-3-70b --gpu nope", "error: unknown GPU 'nope'"),
        ("plan --model llama-3-70b --gpu l4 --gpu-memory-utilization nan", "must be a finite number, not nan"),
        ("plan --model llama-3-70b --gpu l4 --gpu-memory-utilization 1.5", "must be at most 1.0, not 1.5"),
        ("plan --model llama-3-70b --gpu l4 --gpu-memory-bytes 80G", "a bare G could mean either and is refused"),
        ("plan --model llama-3-70b --gpu l4 --gpu-memory-gib 0", "must be a number of GiB above 0, not '0'"),
        ("plan --model llama-3-70b --gpu l4 --gpu-memory-gib 0.0000000001", "gpu_memory_bytes must be at least 1"),
        ("plan --model llama-3-70b --gpu l4 --engine sglan", "unknown engine 'sglan': did you mean sglang"),
        ("check none.yaml", "error: none.yaml: cannot be read: No such file or directory"),
        ("check /dev/zero", "error: /dev/zero: larger than 1,048,576 bytes"),
        ("check tests", "error: tests: cannot be read: Is a directory"),
        ("check pyproject.toml", "error: pyproject.toml:"),
        ("models --format yaml", "invalid choice: 'yaml'"),
    ],
    ids=lambda value: value[:70],
)
def test_bad_usage_and_bad_input_exit_with_2_on_stderr(run, monkeypatch, arguments, text):
    monkeypatch.chdir(ROOT)
    code, out, err = run(*arguments.split())
    assert (code, out) == (2, "")
    assert text in err
    assert "Traceback" not in err


def test_a_binary_file_exits_with_2(run, tmp_path):
    path = tmp_path / "binary.yaml"
    path.write_bytes(os.urandom(10) + b"\xff\x00\xfe")
    code, out, err = run("check", path)
    assert (code, out) == (2, "")
    assert err == f"error: {path}: not UTF-8 text\n"


def test_the_real_command():
    done = process(*REFERENCE)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "LLaMA 3 70B on 4 × A100 80GB SXM: " in done.stdout.decode()
    done = process("kv", "--model", "nope", "--seq-len", "1")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"error: unknown model 'nope'")


def test_deep_nesting_does_not_end_the_process(tmp_path):
    path = tmp_path / "deep.yaml"
    path.write_text("[" * 500_000)
    done = process("check", str(path))
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == f"error: {path}:1: nested more than 20 levels deep\n".encode()


def test_a_terminal_without_unicode_gets_the_answer_all_the_same():
    done = process(*REFERENCE, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"LLaMA 3 70B on 4 \xd7 A100 80GB SXM: " in done.stdout


def test_a_reader_that_goes_away_is_no_traceback():
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        command = [sys.executable, "-m", "calculator", "models"]
        done = subprocess.run(command, cwd=ROOT, stdout=closed, stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.stderr == b""
    assert done.returncode == 2


HOSTILE = "a\x1b[31m\u202e\x9b2J\nb"
ESCAPED = r"a\x1b[31m\u202e\x9b2J\nb"


def acts_on_a_terminal(text):
    """Return the characters of a report that are neither printable nor the end of a line."""
    return {char for char in text if not char.isprintable() and char != "\n"}


def config_of(name):
    return json.dumps({**CONFIG, "_name_or_path": name, f"x{name}": 1, "name": name})


def test_the_names_of_a_config_are_escaped_as_text_and_as_json(run, tmp_path):
    folder = tmp_path / HOSTILE
    folder.mkdir()
    path = folder / "config.json"
    path.write_text(config_of(HOSTILE))
    code, out, err = run("inspect", path)
    assert (code, err, acts_on_a_terminal(out)) == (0, "", set())
    assert out.startswith(f"{ESCAPED}: ")
    assert f"x{ESCAPED}" in out.splitlines()[-1]
    asked = ("--gpu", "l4", "--seq-len", 8)
    for command in (
        ("kv", "--model", path, "--seq-len", 8),
        ("plan", "--model", path, *asked),
        ("speed", "--model", path, *asked),
        ("concurrency", "--model", path, *asked, "--prompt-tokens", 4, "--output-tokens", 4),
        ("service", "--model", path, *asked, "--prompt-tokens", 4, "--output-tokens", 4),
        ("size", "--model", path, "--gpus", "l4", "--users", 2, "--seq-len", 8),
    ):
        code, out, err = run(*command)
        assert (err, acts_on_a_terminal(out)) == ("", set())
    code, out, err = run("inspect", path, "--format", "json")
    assert acts_on_a_terminal(out) == set()
    assert json.loads(out)["model"] == HOSTILE


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", "--model", "llama-3-8b", "--gpu", "l4", "--engine-version", HOSTILE],
        ["plan", "--model", HOSTILE, "--gpu", "l4"],
        ["plan", "--model", "llama-3-8b", "--gpu", HOSTILE],
        ["plan", "--model", "llama-3-8b", "--gpu", "l4", "--gpu-memory-bytes", HOSTILE],
        ["models", HOSTILE],
        ["models", f"--{HOSTILE}"],
        [HOSTILE],
        ["check", HOSTILE],
        ["inspect", HOSTILE],
        ["reconcile", HOSTILE],
        ["concurrency", "--model", "llama-3-8b", "--gpu", "l4", "--workload", HOSTILE],
        ["concurrency", "--model", "llama-3-8b", "--gpu", "l4", "--trace", HOSTILE],
        ["concurrency", "--model", HOSTILE, "--gpu", "l4"],
        ["speed", "--model", "llama-3-8b", "--gpu", "l4", "--clients", HOSTILE],
        ["speed", "--model", "llama-3-8b", "--gpu", HOSTILE],
        ["size", "--model", HOSTILE, "--users", "1"],
        ["size", "--model", "llama-3-8b", "--users", "1", "--gpus", HOSTILE],
        ["size", "--model", "llama-3-8b", "--users", "1", "--price", HOSTILE],
        ["service", "--model", "llama-3-8b", "--gpu", "l4", "--workload", HOSTILE],
    ],
    ids=lambda value: value[0][:9],
)
def test_what_is_asked_is_echoed_escaped(run, arguments):
    code, out, err = run(*arguments)
    assert (code, out, acts_on_a_terminal(err)) == (2, "", set())
    assert "31m" in err


def test_a_log_is_shown_escaped(run, tmp_path):
    path = tmp_path / "start.log"
    path.write_text(LOGS["vllm"] + "\u2028a memory line \u061c\u00ad\n")
    _, out, _ = run("reconcile", path, "--gpu", "h100-sxm")
    assert acts_on_a_terminal(out) == set()
    assert "not understood" in out


def test_a_log_that_names_neither_model_nor_gpu_is_refused_with_both_together(run, tmp_path):
    path = tmp_path / "start.log"
    path.write_text(
        "Model loading took 14.9889 GiB and 9.2 seconds\nGPU KV cache size: 148,096 tokens\n"
        "Maximum concurrency for 131,072 tokens per request: 1.13x\n"
    )
    code, out, err = run("reconcile", path)
    assert (code, out) == (2, "")
    assert "on which GPU? The log says neither: by what it prints it may be --model" in err
    code, out, _ = run("reconcile", path, "--model", "llama-3.1-8b", "--gpu", "a100-40gb")
    assert code in (0, 1)
    assert "148,096" in out


def test_everything_is_printed_by_what_escapes_it():
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "calculator" / "cli").glob("*.py")]
    printing = {
        function.name
        for tree in trees
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.stdout.write", "sys.stderr.write")
    }
    assert printing == {"say", "print_json", "main"}  # which writes what those two made
