"""The README, the notebook and the CI snippets do what they say."""

import doctest
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from math import prod
from pathlib import Path
from threading import Thread

import nbformat
import pytest
import yaml
from nbclient import NotebookClient

import calculator
from calculator.cli.main import COMMANDS as COMMAND_LINE
from calculator.cli.main import main
from calculator.logs.proof.held import by_machine
from calculator.logs.proof.tables import quantile
from calculator.logs.reading import MAX_LOG_BYTES
from calculator.planning.files.checks import check_file

ROOT = Path(__file__).parent.parent
MADE = {"accuracy.md", "coverage.md", "presets.md"}
TEXTS = {
    path.name: path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    if path.name not in MADE
}
README, CI = TEXTS["README.md"], TEXTS["ci.md"]
WHOLE = "\n".join(TEXTS.values())
ACCURACY = (ROOT / "docs" / "accuracy.md").read_text(encoding="utf-8")
CONSOLE = sorted(set(re.findall(r"```console\n\$ (.+)\n((?:.+\n)*?)```", WHOLE)))
COMMANDS = re.findall(r"^python -m calculator (?:plan|concurrency|speed|heads|size|service) .+", WHOLE, re.MULTILINE)
SHORTCUTS = re.findall(r"^\| [^|]+ \| ([^|=]+) = ([0-9,]+)[^|]* \| ([0-9,]+) \| `(.+)` \|$", README, re.MULTILINE)


def block(text: str, key: str) -> dict:
    """Return the one YAML block of a text with this top-level key."""
    blocks = map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", text, re.DOTALL))
    (found,) = [content for content in blocks if key in content]
    return found


def run(command: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "calculator"], command
    return subprocess.run(
        [sys.executable, *words[1:]], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def test_there_are_commands_to_try() -> None:
    assert len(CONSOLE) == 2
    assert len(COMMANDS) == 8
    assert len(SHORTCUTS) == 8


@pytest.mark.parametrize("command", COMMANDS, ids=[" ".join(command.split()[3:6]) for command in COMMANDS])
def test_command_that_is_shown_without_its_output_runs(command: str) -> None:
    done = run(command)
    assert (done.returncode, done.stderr) == (0, "")
    said = (
        "LLaMA 3 70B on 4 × A100 80GB SXM: 58 users of 8,192 tokens",
        "One replica holds ",
        "With 64 sequences at once ",
        "LLaMA 3 70B keeps ",
        "2 × MI325X ",
        "1 × ",
        "1 replica of H100 SXM ",
        "2 replicas",
    )
    assert done.stdout.startswith(said)


@pytest.mark.parametrize(("command", "output"), CONSOLE, ids=[command for command, _ in CONSOLE])
def test_command_prints_what_the_readme_shows(command: str, output: str) -> None:
    done = run(command)
    assert (done.returncode, done.stdout, done.stderr) == (0, output, "")


@pytest.mark.parametrize(("name", "examples"), [("README.md", 7), ("notebook.md", 38), ("contributing.md", 4)])
def test_python_session_answers_what_is_shown(name: str, examples: int) -> None:
    session = doctest.DocTestParser().get_doctest(TEXTS[name], {}, name, name, 0)
    assert len(session.examples) == examples
    report: list[str] = []
    failed, _ = doctest.DocTestRunner().run(session, out=report.append)
    assert failed == 0, "".join(report)


def test_python_is_shown_where_it_is_run() -> None:
    assert {name for name, text in TEXTS.items() if ">>> " in text} == {"README.md", "notebook.md", "contributing.md"}


@pytest.mark.parametrize(("by_hand", "shortcut", "actual", "command"), SHORTCUTS, ids=[row[-1] for row in SHORTCUTS])
def test_what_is_often_wrong_is_wrong(
    by_hand: str, shortcut: str, actual: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert re.fullmatch(r"[0-9 ×/]+", by_hand)
    factors = [int(number) for number in re.findall(r"(?:^|× )([0-9]+)", by_hand)]
    (divisor,) = re.findall(r"/ ([0-9]+)", by_hand) or ["1"]
    assert f"{prod(factors) // int(divisor):,}" == shortcut != actual
    assert main(shlex.split(command)[3:]) == 0
    said = capsys.readouterr().out
    assert re.search(rf"\b{actual}\b", said)
    assert shortcut not in said


@pytest.mark.parametrize("text", [README, CI], ids=["README.md", "ci.md"])
def test_plan_file_that_is_shown_holds(tmp_path: Path, text: str) -> None:
    (tmp_path / "deployments.yaml").write_text(yaml.safe_dump(block(text, "deployments")), encoding="utf-8")
    deployments = calculator.read_plan_file(tmp_path / "deployments.yaml")
    assert [deployment.name for deployment in deployments] == ["chat"]
    assert all(finding.ok for finding in check_file(tmp_path / "deployments.yaml"))


def test_gpu_that_is_shown_is_a_file_that_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "my_gpus.yaml"
    path.write_text(yaml.safe_dump(block(TEXTS["contributing.md"], "gpus"), sort_keys=False), encoding="utf-8")
    assert [finding.ok for finding in check_file(path)] == [True] * 3


def git(folder: Path, *words: str) -> None:
    named = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *named, *words], cwd=folder, check=True, capture_output=True, timeout=60)


def test_workflow_runs_as_printed_in_an_empty_checkout(tmp_path: Path) -> None:
    """The steps of the action that it uses, but for the installation, in a clone whose branch changes a plan."""
    steps = block(CI, "jobs")["jobs"]["check"]["steps"]
    planner, used = steps[1]["with"]["path"], steps[2]
    assert used["uses"] == f"./{planner}"
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    assert set(used["with"]) <= set(action["inputs"])
    (install, check) = [step for step in action["runs"]["steps"] if "run" in step]
    assert install["run"] == 'python -m pip install --quiet "$GITHUB_ACTION_PATH[traffic]"'

    path = tmp_path / "work" / used["with"]["files"]
    git(tmp_path, "init", "-q", "--bare", "origin.git")
    git(tmp_path, "clone", "-q", "origin.git", "work")
    deployments = block(CI, "deployments")
    git(path.parent, "commit", "-q", "--allow-empty", "-m", "empty")
    git(path.parent, "push", "-q", "origin", "HEAD:main")
    base = used["with"]["against"].replace("${{ github.base_ref }}", "main")
    command = tmp_path / "bin" / "kv-cache-planner"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m calculator "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    summary = tmp_path / "summary.md"
    env = {
        **os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{command.parent}:{os.environ['PATH']}",
        "GITHUB_STEP_SUMMARY": str(summary), "FILES": used["with"]["files"], "AGAINST": base, "UPGRADE_TO": "",
    }  # fmt: skip
    assert set(check["env"]) <= set(env)

    def checked() -> tuple[int, str]:
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", check["run"]]
        done = subprocess.run(shell, cwd=path.parent, env=env, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout

    path.write_text(yaml.safe_dump(deployments, sort_keys=False), encoding="utf-8")
    code, said = checked()  # a pull request that adds the file
    assert (code, summary.read_text().splitlines()[2].startswith("| chat | new |")) == (0, True)
    git(path.parent, "add", ".")
    git(path.parent, "commit", "-qm", "plans")
    git(path.parent, "push", "-q", "origin", "HEAD:main")
    assert checked() == (0, f"nothing differs from {base}\n2 of 2 expectations of 1 entry are met\n")
    deployments["deployments"][0]["seq_len"] *= 2
    path.write_text(yaml.safe_dump(deployments, sort_keys=False), encoding="utf-8")
    code, said = checked()
    line = 1 + path.read_text().splitlines().index("    min_batch_size: 40")
    assert code == 1
    assert said.startswith(f"::error file={path.name},line={line}::chat: min_batch_size: expected 40 (at least)")
    assert "seq_len: 8,192 → 16,384" in said


def test_hook_that_is_shown_is_one_that_is_published() -> None:
    (repository,) = block(CI, "repos")["repos"]
    published = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert {"repo", "rev"} <= set(repository)
    assert [hook["id"] for hook in repository["hooks"]] == [hook["id"] for hook in published]
    assert [hook["entry"] for hook in published] == ["kv-cache-planner check"]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert [hook["additional_dependencies"] for hook in published] == [extras["traffic"]]


def test_container_file_names_what_exists() -> None:
    text = (ROOT / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    copied = [
        name for words in re.findall(r"^COPY (?!--from)(.+) /src\S*$", text, re.MULTILINE) for name in words.split()
    ]
    packaged = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = packaged["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {Path(name).parts[0] for name in (*wheel["packages"], *wheel["force-include"])}
    assert needed | {"pyproject.toml", "requirements.txt", packaged["project"]["readme"]} == set(copied)
    assert [name for name in copied if not (ROOT / name).exists()] == []
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line[1:] for line in kept if line.startswith("!")} == set(copied)
    (bases,) = {tuple(re.findall(r"^FROM (\S+)", text, re.MULTILINE))}
    assert set(bases) == {"python:${PYTHON}"}  # a name without the host of a registry, pinned by its tag
    assert re.search(r"^ARG PYTHON=[0-9]+\.[0-9]+\.[0-9]+-\S+$", text, re.MULTILINE)
    (command,) = re.findall(r"^CMD (\[.+\])$", text, re.MULTILINE)
    program, face = json.loads(command)
    assert program in packaged["project"]["scripts"]
    assert face in COMMAND_LINE
    assert re.search(r"^USER [1-9][0-9]*:[1-9][0-9]*$", text, re.MULTILINE)
    variables = dict(re.findall(r"(STREAMLIT_\w+)=(\S+)", text))
    options = {
        f"STREAMLIT_{re.sub(r'[.](.)|([A-Z])', lambda m: f'_{m[1] or m[2]}', name).upper()}" for name in settings()
    }
    told = set(re.findall(r"`(STREAMLIT_\w+)`", TEXTS["deploy.md"]))
    assert set(variables) <= told <= options
    assert int(variables["STREAMLIT_SERVER_MAX_UPLOAD_SIZE"]) * 2**20 == MAX_LOG_BYTES


@pytest.mark.parametrize(("base", "path"), [(None, "/_stcore/health"), ("/planner/", "/planner/_stcore/health")])
def test_health_is_asked_where_the_server_is_told_to_answer(base: str | None, path: str) -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == path else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    text = (ROOT / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    (command,) = re.findall(r"^HEALTHCHECK .* CMD +(\[.+\])$", text, re.MULTILINE)
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.handle_request).start()
        env = {"STREAMLIT_SERVER_PORT": str(server.server_port)} | (
            {"STREAMLIT_SERVER_BASE_URL_PATH": base} if base else {}
        )
        done = subprocess.run(
            [sys.executable, *json.loads(command)[1:]], env=os.environ | env, capture_output=True, check=False
        )
    assert (done.returncode, done.stderr) == (0, b"")


def settings() -> set[str]:
    """The names of the server's settings."""
    from streamlit import config

    return set(config.get_config_options())


def test_counts_in_the_readme() -> None:
    assert f"**{len(calculator.model_ids())} models**" in README
    assert f"**{len(calculator.gpu_ids())} GPUs**" in README
    assert not re.search(r"[0-9]+ (?:models|GPUs)\*\*", TEXTS["method.md"])
    said = f"{len(calculator.circulating_claims())} claims say"
    assert f"`circulating_claims` knows what {said}" in README
    assert f"`circulating_claims` what {said}" in TEXTS["notebook.md"]


def test_licences_in_the_readme_are_those_of_the_tables() -> None:
    for table in map(calculator.workload, calculator.workload_ids()):
        (row,) = [line for line in README.splitlines() if line.startswith(f"| traffic `{table.name}` | ")]
        assert row.endswith(f" | {table.licence} |")


def test_accuracy_in_the_readme_is_that_of_each_engine() -> None:
    table = {
        line.split(" | ")[0]: line.strip("| ").split(" | ") for line in ACCURACY.splitlines() if line.startswith("| ")
    }
    for title in ("vLLM", "TensorRT-LLM", "SGLang", "llama.cpp"):
        (row,) = [line for line in README.splitlines() if line.startswith(f"| {title} | ")]
        said = [cell.strip() for cell in row.strip("|").split("|")]
        _, logs, tokens, compared, median, nine, *_, held = (*table[f"| {title.lower()}"], *[""] * 9)[:9]
        expected = [logs, tokens, compared, median, nine, held]
        assert [said[1], said[2], "" if said[3].startswith("none") else said[3], *said[4:7]] == expected
    found = by_machine("vllm")
    each = f"on {sum(held for _, held in found)} of {len(found)}, and half of those are within "
    assert each + f"{quantile([error for error, _ in found], 0.5):.1%}".replace("%", " %") in README


def test_make_targets_that_are_named_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make (\w+)", WHOLE, re.MULTILINE))
    assert {"app", "test", "check", "bench", "lint"} <= named
    assert {name for name in named if not re.search(rf"^{name}:", makefile, re.MULTILINE)} == set()


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_somewhere(name: str) -> None:
    folder = ROOT if name == "README.md" else ROOT / "docs"
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", TEXTS[name]) if "://" not in target]
    assert [target for target in targets if not (folder / target).exists()] == []


def test_every_text_is_found_from_the_index() -> None:
    linked = set(re.findall(r"\]\((\w+\.md)\)", TEXTS["index.md"]))
    assert linked == {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}


def test_notebook_runs() -> None:
    notebook = nbformat.read(ROOT / "notebooks" / "walkthrough.ipynb", as_version=4)
    resources = {"metadata": {"path": str(ROOT)}}
    done = NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
    outputs = [output for cell in done.cells if cell.cell_type == "code" for output in cell.outputs]
    plain = [output["data"].get("text/plain", "") for output in outputs if "data" in output]
    assert "42949672960" in plain
    (terms,) = [text for text in plain if re.search(r"\bterm +seconds +share\b", text)]
    assert re.findall(r"\b(weights|kv|compute|links|launch|prefill) ", terms) == [
        "weights", "kv", "compute", "links", "launch", "prefill",
    ]  # fmt: skip
    tables = [output["data"].get("text/html", "") for output in outputs if "data" in output]
    assert any("Requests that decode at once, risk 1 %" in text for text in tables)
    assert sum("application/vnd.plotly.v1+json" in output.get("data", {}) for output in outputs) == 6
    assert not any(output.output_type == "error" for output in outputs)


def test_the_notebook_from_a_trace_to_a_price_runs() -> None:
    notebook = nbformat.read(ROOT / "notebooks" / "from_a_trace_to_a_price.ipynb", as_version=4)
    resources = {"metadata": {"path": str(ROOT)}}
    done = NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
    outputs = [output for cell in done.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not any(output.output_type == "error" for output in outputs)
    said = "".join(output.get("text", "") for output in outputs)
    assert "hold it for the least" in said
    assert "--max-num-seqs" in said
    assert "Nothing meets the goals. " in said
    assert sum("text/html" in output.get("data", {}) for output in outputs) == 3
