"""Nothing outside ``calculator/engines`` names an engine: what differs is a question that the engine answers."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from calculator.engines import DEFAULT_ENGINE, ENGINES, engine_class, engine_command, engine_log
from calculator.request import PLAN_DEFAULTS

ROOT = Path(__file__).parents[1]
NAMES = {name: {name, folder, engine_class(name).title.lower()} for name, (folder, _) in ENGINES.items()}
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("calculator/**/*.py"), *ROOT.glob("dashboard/**/*.py"), ROOT / "app.py")
    if not path.is_relative_to(ROOT / "calculator" / "engines")
)
ALLOWED = {
    "vllm": "request.py: a room below the engines cannot ask them which is the first; a test holds the two together",
    "vLLM and llama.cpp": "where a format's layout is read from",
    "whose rules apply: vllm, sglang, tensorrt-llm or llama.cpp": "help, in a room below the engines",
    "whether windows are allocated at full length (vLLM, and SGLang under a flag of its own)": "help",
}
"""The few texts that may, and why; help says which engines take a keyword."""
ASKING = ("startswith", "endswith", "removeprefix", "removesuffix", "get", "index", "find", "count", "split", "replace")


def engines_in(text: str) -> set[str]:
    """Return the engines that a text names."""
    return {engine for engine, names in NAMES.items() if any(name in text.lower() for name in names)}


def named(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of every name of an engine in code: compared, looked up, a key, a word by itself, a list.

    A sentence for readers may name one engine; a docstring any.
    """
    tree = ast.parse(source)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        for attribute in ("id", "attr", "name", "arg", "module"):
            value = getattr(node, attribute, None)
            if isinstance(value, str) and engines_in(value):
                yield getattr(node, "lineno", 0), value
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        parent = parents[node]
        found = engines_in(node.value)
        if not found or isinstance(parent, ast.Expr):
            continue
        asked = (
            isinstance(parent, ast.Compare | ast.Subscript)
            or (isinstance(parent, ast.Dict) and node in parent.keys)
            or (isinstance(parent, ast.Call) and getattr(parent.func, "attr", "") in ASKING)
        )
        if asked or len(found) > 1 or not any(part.isspace() for part in node.value.strip()):
            yield node.lineno, node.value


def test_nothing_outside_the_engines_names_one():
    there, found = [], []
    for file in FILES:
        texts = [text for _, text in named((ROOT / file).read_text(encoding="utf-8"))]
        found += [(file, text) for text in texts if text not in ALLOWED]
        there += texts
    assert found == []
    assert set(there) == set(ALLOWED)
    assert there.count("vllm") == 1


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('if engine == "vllm": pass', ["vllm"]),
        ('x = {"llama.cpp": 1}', ["llama.cpp"]),
        ('y = names.get("sglang and more", 0)', ["sglang and more"]),
        ("def llama_cpp_cache(): pass", ["llama_cpp_cache"]),
        ("import calculator.engines.vllm.rules", ["calculator.engines.vllm.rules"]),
        ("from calculator.engines.vllm import rules", ["calculator.engines.vllm"]),
        ('text = "what vLLM or SGLang printed"', ["what vLLM or SGLang printed"]),
        ('source = "vLLM 0.33.0: v1/kv_cache_interface.py"', []),
        ('"""What vLLM and SGLang do."""', []),
    ],
)  # fmt: skip
def test_a_name_in_code_is_found(code, found):
    assert [text for _, text in named(code)] == found


def test_the_engine_by_default_is_the_first():
    assert PLAN_DEFAULTS["engine"] == DEFAULT_ENGINE == next(iter(ENGINES))


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_has_the_same_files(name):
    folder = ROOT / "calculator" / "engines" / ENGINES[name][0]
    assert {"rules.py", "command.py", "log.py"} <= {path.name for path in folder.iterdir()}
    assert set(engine_command(name).kv_formats) <= set(engine_class(name).kv_cache_dtypes)


def test_engines_mean_the_same_by_one_argument():
    # which engine's a log is, is known only when it is read: what is read of it must not depend on that
    known = {}
    for engine in ENGINES:
        for name, argument in engine_log(engine).arguments.items():
            assert known.setdefault(name, argument) == argument
