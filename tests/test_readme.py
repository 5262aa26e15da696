"""The README, the notebook and the CI snippets do what they say."""

import doctest
import re
import shlex
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from nbclient import NotebookClient

import calculator
from calculator.logs.held import by_machine
from calculator.logs.tables import quantile

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
ACCURACY = (ROOT / "docs" / "accuracy.md").read_text(encoding="utf-8")
CONSOLE = re.findall(r"```console\n\$ (.+)\n((?:.+\n)*?)```", README)
COMMANDS = re.findall(r"^python -m calculator (?:concurrency|speed|heads|size|service) .+", README, re.MULTILINE)
YAML_BLOCKS = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)


def block(key: str) -> dict:
    """Return the one YAML block of the README with this top-level key."""
    (found,) = [content for content in map(yaml.safe_load, YAML_BLOCKS) if key in content]
    return found


def run(command: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "calculator"], command
    return subprocess.run(
        [sys.executable, *words[1:]], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def test_there_are_commands_to_try() -> None:
    assert len(CONSOLE) == 2
    assert len(COMMANDS) == 7


@pytest.mark.parametrize("command", COMMANDS, ids=[" ".join(command.split()[3:6]) for command in COMMANDS])
def test_command_that_is_shown_without_its_output_runs(command: str) -> None:
    done = run(command)
    assert (done.returncode, done.stderr) == (0, "")
    said = (
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


def test_python_session_answers_what_the_readme_shows() -> None:
    session = doctest.DocTestParser().get_doctest(README, {}, "README.md", "README.md", 0)
    assert len(session.examples) == 34
    report: list[str] = []
    failed, _ = doctest.DocTestRunner().run(session, out=report.append)
    assert failed == 0, "".join(report)


def test_plan_file_of_the_readme_holds(tmp_path: Path) -> None:
    (tmp_path / "deployments.yaml").write_text(yaml.safe_dump(block("deployments")), encoding="utf-8")
    deployments = calculator.read_plan_file(tmp_path / "deployments.yaml")
    assert [deployment.name for deployment in deployments] == ["chat"]
    assert run(f"python -m calculator check {tmp_path / 'deployments.yaml'}").returncode == 0


def test_workflow_checks_and_fails_on_a_missed_expectation(tmp_path: Path) -> None:
    steps = block("jobs")["jobs"]["check"]["steps"]
    command = steps[-1]["run"]
    assert run(command).returncode == 0
    content = (ROOT / "examples" / "deployments.yaml").read_text(encoding="utf-8")
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "deployments.yaml").write_text(
        content.replace("min_batch_size: 40", "min_batch_size: 4000"), encoding="utf-8"
    )
    path = tmp_path / "examples" / "deployments.yaml"
    done = run(command.replace("examples/deployments.yaml", str(path)))
    line = 1 + content[: content.index("min_batch_size: 40")].count("\n")
    assert done.returncode == 1
    assert done.stdout.startswith(f"::error file={path},line={line}::chat: min_batch_size: expected 4,000 (at least)")


def test_hook_runs_on_plan_files() -> None:
    (hook,) = block("repos")["repos"][0]["hooks"]
    (published,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert re.search(hook["files"], "examples/deployments.yaml")
    assert not re.search(hook["files"], "model_presets.yaml")
    assert run(f"{hook['entry']} examples/deployments.yaml").returncode == 0
    assert (published["id"], published["files"]) == (hook["id"], hook["files"])


def test_counts_in_the_readme() -> None:
    assert f"**{len(calculator.model_ids())} models**" in README
    assert f"**{len(calculator.gpu_ids())} GPUs**" in README
    assert f"`circulating_claims` what {len(calculator.circulating_claims())} claims say" in README


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


def test_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make (\w+)", README, re.MULTILINE))
    assert {"app", "test", "check", "bench", "lint"} <= named
    assert {name for name in named if not re.search(rf"^{name}:", makefile, re.MULTILINE)} == set()


def test_links_of_the_readme_lead_somewhere() -> None:
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in target]
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


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
