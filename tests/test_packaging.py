"""Both ways to run it work in an empty environment: the package for notebooks, the app from its requirements.

The environments are built offline: a bare venv that holds exactly what is declared, taken from this one.
"""

import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent


def closure(requirements: list[str]) -> set[str]:
    """Return the names of the distributions that these requirements bring, without extras."""
    found: set[str] = set()
    wanted = [Requirement(line) for line in requirements]
    while wanted:
        requirement = wanted.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if applies and name not in found:
            found.add(name)
            wanted += [Requirement(line) for line in distribution(name).requires or []]
    return found


def empty_environment(folder: Path, requirements: list[str]) -> tuple[Path, Path]:
    """Make a venv that holds the closure of some requirements; return its python and its site-packages."""
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for name in closure(requirements):
        files = distribution(name).files or []
        for top in {file.parts[0] for file in files if file.parts[0] != ".."}:
            source = Path(str(distribution(name).locate_file(top)))
            if source.exists() and not (site / top).exists():
                (site / top).symlink_to(source)
    return folder / "bin" / "python", site


def run(python: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def answers(port: int) -> bool:
    """Return whether a server of the page says within a minute that it is well."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5) as response:
                return bool(response.read() == b"ok")
        except urllib.error.URLError:
            time.sleep(0.05)
    return False


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (built,) = folder.glob("*.whl")
    return built


def test_package_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in ("plan_file.schema.json", "published_quality.csv", "circulating_claims.yaml"):
            assert f"calculator/catalogue/data/{name}" in archive.namelist()
        (metadata,) = [name for name in archive.namelist() if name.endswith("METADATA")]
        text = archive.read(metadata).decode("utf-8")
        declared = [line for line in re.findall(r"^Requires-Dist: (.+)$", text, re.MULTILINE) if "extra ==" not in line]
        python, site = empty_environment(tmp_path / "venv", declared)
        archive.extractall(site)
    assert not (site / "streamlit").exists()
    assert not (site / "pandas").exists()
    done = run(
        python, tmp_path, "-m", "calculator", "kv", "--model", "llama-3-70b", "--seq-len", "8192", "--format", "json"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["kv_bytes_per_token"] == 327_680
    code = "from calculator.catalogue import presets as p; print(p.MODEL_FILE.parent.name, len(p.gpu_ids()))"
    assert run(python, tmp_path, "-c", code).stdout == "data 124\n"
    assert run(python, tmp_path, "-m", "calculator", "check").returncode == 0
    asked = ["--model", "llama-3.1-8b", "--gpu", "h100-sxm", "--prompt-tokens", "1000", "--output-tokens", "250"]
    assert run(python, tmp_path, "-m", "calculator", "speed", *asked).returncode == 0
    size = ["--model", "llama-3.1-8b", "--users", "4", "--seq-len", "4096", "--gpus", "l4"]
    assert run(python, tmp_path, "-m", "calculator", "size", *size).returncode == 0
    done = run(python, tmp_path, "-m", "calculator", "concurrency", *asked)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: this needs numpy, which pip install 'kv-cache-planner[traffic]' brings\n"
    done = run(python, tmp_path, "-m", "calculator", "app")
    assert done.stderr == "error: this needs streamlit, which pip install 'kv-cache-planner[app]' brings\n"
    code = (
        "import calculator as c; print(c.circulating_claims(21)[0].verdict, len(c.quality_evidence(kind='gqa').rows))"
    )
    assert run(python, tmp_path, "-c", code).stdout == "refuted 27\n"


def test_app_with_its_requirements_alone(wheel: Path, tmp_path: Path) -> None:
    """The page as the wheel has it, far from a checkout; and the command that serves it, to this machine alone."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in pinned if "==" not in line] == []
    python, site = empty_environment(tmp_path / "venv", pinned)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    port = free_port()
    command = [str(python), "-m", "calculator", "app", "--port", str(port), "--headless"]
    server = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    script = site / "dashboard" / "start" / "app.py"
    code = (
        "from streamlit.testing.v1 import AppTest\n"
        f"page = AppTest.from_file({str(script)!r}, default_timeout=60).run()\n"
        "print(page.title[0].value, len(page.exception))"
    )
    try:
        done = run(python, tmp_path, "-c", code)
        assert answers(port)
        listening = socket.socket()
        listening.bind(("127.0.0.2", port))  # free: the server answers on one address, not on all of the machine
        listening.close()
    finally:
        server.terminate()
        server.wait(20)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"LLaMA 3 70B on 4 × A100 80GB SXM\\: \d\d users of 8,192 tokens 0\n", done.stdout)


def test_pins_are_what_runs_here() -> None:
    lines = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8").splitlines()
    lines += (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.partition(";")[0].split("==") for line in lines if "==" in line]
    assert {name: distribution(name).version for name, _ in pins} == dict(pins)


def test_no_registry_is_named() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    hosts = re.compile(r"pypi\.org|pythonhosted|registry\.npmjs|deb\.debian", re.IGNORECASE)
    named = [
        name
        for name in listed
        if name != "tests/test_packaging.py"
        and hosts.search((ROOT / name).read_text(encoding="utf-8", errors="ignore"))
    ]
    assert named == []
