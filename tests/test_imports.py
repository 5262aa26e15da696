"""What ``import calculator`` loads, and which room may know which."""

import ast
import doctest
import subprocess
import sys
from pathlib import Path

import pytest
from golden import PRESETS, ROOT

import calculator

# A family is a row of data: there names are keys, as in the preset files. "gptq" is a weight format, and Molmo's
# configs name a norm after another model.
ROWS = ("configs/towers/rows.py", "configs/towers/sounds.py", "configs/hooks/widths/molmo2.py")
DATA = [*(ROOT / "calculator/configs/families").rglob("*.py"), *(ROOT / "calculator" / path for path in ROWS)]
MODULES = [path for path in sorted((ROOT / "calculator").rglob("*.py")) if path not in DATA]
HEAVY = ["streamlit", "pandas", "numpy", "plotly", "pydantic.main", "pydantic_core", "dashboard"]
FAMILIES = ("llama", "mistral", "mixtral", "falcon", "qwen", "palm", "gpt")


def python(code):
    """Run code in a fresh interpreter and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.mark.parametrize(
    "code",
    [
        "import calculator",
        "import calculator; calculator.plan('llama-3-70b', gpu='l4'); calculator.kv_cache_bytes('llama-3-70b', 5)",
        "from calculator.cli.main import main; main(['gpus', '--format', 'json'])",
        "import calculator; calculator.head_study('llama-3-8b', gpu='l4', seq_len=512).recommend(min_batch_size=1)",
        "import calculator; calculator.circulating_claims(21); calculator.explain_number('1 GB', 'llama-3-8b')",
    ],
    ids=["import", "plan", "command line", "study of heads", "claims"],
)
def test_nothing_heavy_is_loaded(code):
    loaded = python(f"{code}\nimport sys\nprint('LOADED', [name for name in {HEAVY} if name in sys.modules])")
    assert loaded.endswith("LOADED []")


def test_a_command_loads_what_it_needs_and_no_other():
    code = "from calculator.cli.main import main; main(['kv', '--model', 'llama-3-70b', '--seq-len', '8192'])"
    others = ["calculator.engines", "calculator.planning.plan", "calculator.views", "calculator.configs.reader"]
    loaded = python(f"{code}\nimport sys\nprint('LOADED', [name for name in {HEAVY + others} if name in sys.modules])")
    assert loaded.endswith("LOADED []")


def test_import_contracts_are_kept():
    tool = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([tool, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert "Contracts: 2 kept, 0 broken." in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_no_family_of_models_decides_anything(path):
    """A name may stand in a sentence or a source; it may not be compared, looked up or matched."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    deciding = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            deciding += [node.left, *node.comparators]
        elif isinstance(node, ast.Dict):
            deciding += [key for key in node.keys if key]
        elif isinstance(node, ast.Subscript):
            deciding.append(node.slice)
        elif isinstance(node, ast.MatchValue):
            deciding.append(node.value)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in (
            "startswith",
            "endswith",
            "get",
            "search",
        ):
            deciding += node.args
    texts = [
        leaf.value.lower()
        for part in deciding
        for leaf in ast.walk(part)
        if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str)
    ]
    # llama.cpp is an engine
    assert [text for text in texts if text.replace("llama.cpp", "").replace("gptq", "").startswith(FAMILIES)] == []
    assert set(texts).isdisjoint(PRESETS)


ASKS_GIT = ROOT / "calculator" / "reading" / "revision.py"
"""Runs git for ``check --against REV``, which a person types; nothing that is read from a file gets there."""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_no_module_does_what_none_may(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    called = {getattr(node.func, "id", "") for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert called.isdisjoint({"eval", "exec", "__import__", "compile"})
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    never = {"pickle", "subprocess", "socket", "urllib", "urllib.request", "requests", "http.client"}
    assert imported & never == ({"subprocess"} if path == ASKS_GIT else set())


def test_the_examples_in_the_packages_docstring_hold():
    results = doctest.testmod(calculator)
    assert (results.failed, results.attempted) == (0, 4)


def test_what_is_imported_later_is_listed_and_found():
    rooms = {"charts", "views"}
    wanted = {*calculator.__all__, *rooms}
    code = "import calculator as c; print(*dir(c)); print(c.views.VIEWS is not None, c.charts.__name__)"
    names, found = python(code).splitlines()
    assert wanted <= set(names.split())
    assert found == "True calculator.charts"
    with pytest.raises(AttributeError, match="module 'calculator' has no attribute 'chart'"):
        _ = calculator.chart


def test_a_star_takes_every_exported_name():
    code = "from calculator import *; import calculator; print(set(calculator.__all__) <= set(globals()))"
    assert python(code) == "True"
