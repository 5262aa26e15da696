"""Which tests run which line, by one run of the fast tests under coverage, kept until a source changes."""

from __future__ import annotations

import ast
import fnmatch
import functools
import hashlib
import json
import os
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.mutation.changes import Mutant

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".pytest_cache" / "mutation.json"
NOT_COUNTED = (
    "tests/browser/*", "tests/test_page*", "tests/test_fuzz.py", "tests/test_charts.py", "tests/test_packaging.py",
    "tests/test_readme.py", "tests/test_imports.py", "tests/test_docstrings.py",
    "tests/test_accuracy.py::test_the_report_is_up_to_date", "tests/test_every_face.py::test_no_face_raises",
    "tests/test_ranks.py::test_no_face_raises_for_a_plan_that_was_answered",
)  # fmt: skip
"""Tests that hold the program to its own earlier output or to its texts, or that no mutant reaches in time.

Two walk every face for minutes and ask only that none raises: they would take two fifths of the trace.
"""


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a name is like one of the patterns."""
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


class Tracer:
    """A plugin of pytest that notes, by coverage's contexts, which tests run which lines, and how long each takes."""

    def __init__(self, part: int, parts: int) -> None:
        """Start to measure one part of the tests, before the project is imported."""
        import coverage

        self.part, self.parts = part, parts
        self.coverage = coverage.Coverage(data_file=None, source=[str(ROOT / "calculator")], config_file=False)
        self.coverage.start()
        self.seconds: dict[str, float] = {}
        self.function = ""

    def pytest_collectstart(self, collector: pytest.Collector) -> None:
        """What a file does while it is collected counts for all its tests."""
        if isinstance(collector, pytest.Module):
            self.coverage.switch_context(collector.nodeid)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep one test of so many: the rows of a long table take about the same time each."""
        items[:] = items[self.part :: self.parts]

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Forget what an earlier test function has cached, so that each runs the lines that it rests on."""
        if self.function != (function := item.nodeid.split("[")[0]):
            self.function = function
            forget()
        self.coverage.switch_context(item.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep how long a test that passes takes."""
        if report.when == "call" and report.passed:
            self.seconds[report.nodeid] = report.duration


def forget() -> None:
    """Empty the caches of the project's functions."""
    for name in [name for name in sys.modules if name.startswith("calculator")]:
        for value in list(vars(sys.modules[name]).values()):
            getattr(value, "cache_clear", int)()


def traced(reuse: bool, jobs: int, only: list[str]) -> dict[str, Any]:
    """Return the seconds of each test and, for each line of each file, the tests, or files of tests, that run it.

    A trace of ``only`` some files of tests is not kept.
    """
    texts = [path.read_bytes() for top in ("calculator", "tests") for path in sorted((ROOT / top).rglob("*.py"))]
    digest = hashlib.sha256(b"".join(texts)).hexdigest()
    if KEPT.exists() and not only and (reuse or json.loads(KEPT.read_text())["digest"] == digest):
        return _kept()
    KEPT.parent.mkdir(exist_ok=True)
    parts = [KEPT.with_suffix(f".{os.getpid()}.{part}") for part in range(jobs)]
    for part, file in enumerate(parts):
        if not os.fork():
            file.write_text(json.dumps(_trace(part, jobs, only)))
            os._exit(0)
    while _waits():
        pass
    found = [json.loads(file.read_text()) for file in parts]
    number: dict[str, int] = {}
    lines: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for one in found:
        of_all = [number.setdefault(name, len(number)) for name in one["names"]]
        for source, by_line in one["lines"].items():
            for line, numbers in by_line.items():
                lines[source][line] += [of_all[n] for n in numbers]
    seconds = {name: value for one in found for name, value in one["seconds"].items()}
    for file in parts:
        file.unlink()
    whole = {"digest": digest, "seconds": seconds, "names": [*number], "lines": lines}
    if only:
        return _named(whole)
    KEPT.write_text(json.dumps(whole))
    return _kept()


def _trace(part: int, parts: int, only: list[str]) -> dict[str, Any]:
    """Run one part of the tests under coverage."""
    tracer = Tracer(part, parts)
    pytest.main(arguments([str(ROOT / file) for file in only or ["tests"]]), plugins=[tracer])
    tracer.coverage.stop()
    data, lines = tracer.coverage.get_data(), {}
    number = {name: index for index, name in enumerate(sorted(data.measured_contexts()))}
    for file in data.measured_files():
        by_line = data.contexts_by_lineno(file).items()
        lines[Path(file).relative_to(ROOT).as_posix()] = {line: [number[n] for n in names] for line, names in by_line}
    return {"seconds": tracer.seconds, "names": [*number], "lines": lines}


def _waits() -> bool:
    """Wait for one child; whether there was one."""
    try:
        return bool(os.wait())
    except ChildProcessError:
        return False


def _kept() -> dict[str, Any]:
    return _named(json.loads(KEPT.read_text()))


def _named(kept: dict[str, Any]) -> dict[str, Any]:
    """Put the names of tests for their numbers."""
    for by_line in kept["lines"].values():
        for line, numbers in by_line.items():
            by_line[line] = [kept["names"][number] for number in numbers]
    return kept


def arguments(what: list[str]) -> list[str]:
    left_out = [f"--ignore-glob={ROOT / pattern}" for pattern in NOT_COUNTED if "::" not in pattern]
    left_out += [f"--deselect={pattern}" for pattern in NOT_COUNTED if "::" in pattern]
    already_imported = "-Wignore::pytest.PytestAssertRewriteWarning"
    return [*what, already_imported, "-qs", "-n0", "--tb=no", "-pno:cacheprovider", f"--rootdir={ROOT}", *left_out]


def tests_of(file: str, mutant: Mutant, trace: dict[str, Any]) -> set[str]:
    """Return the tests, and files of tests, that a mutant can bear on."""
    lines = trace["lines"].get(file, {})
    if mutant.function:
        return {test for line in mutant.lines for test in lines.get(str(line), ()) if test}
    users, found = {file}, _called(file, lines)
    while not found and users:
        users = {name for name in trace["lines"] if any(_imports(name, user) for user in users)}
        found = {test for name in users for test in _called(name, trace["lines"][name])}
    return found | readers_of(file)


def readers_of(file: str) -> frozenset[str]:
    """Return the files of tests that import a module by its name: they may hold a table of it to another."""
    name = _dotted(file)
    return frozenset(test for test, imported in _imported().items() if name in imported)


def near(file: str) -> dict[str, int]:
    """Return how much of a module's name the nearest import of each file of tests shares: itself, its package, none."""
    name = _dotted(file).split(".")
    return {
        test: max((_shared(name, one.split(".")) for one in found), default=0) for test, found in _imported().items()
    }


def _shared(one: list[str], other: list[str]) -> int:
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def _dotted(file: str) -> str:
    return file.removesuffix(".py").replace("/", ".")


@functools.cache
def _imported() -> dict[str, frozenset[str]]:
    """Return the modules that each file of tests imports, names taken from a package among them."""
    found = {}
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        name = path.relative_to(ROOT).as_posix()
        if not matches(name, NOT_COUNTED):
            lines = re.findall(r"^from (calculator[\w.]*) import (.+)$", path.read_text("utf-8"), re.M)
            found[name] = frozenset(
                each for at, names in lines for each in (at, *(f"{at}.{one.strip()}" for one in names.split(",")))
            )
    return found


def _called(file: str, lines: dict[str, list[str]]) -> set[str]:
    """Return the tests that run any function; whoever runs the rest may only have been the first to import it."""
    return {test for line, tests in lines.items() if line in _in_functions(file) for test in tests if "::" in test}


@functools.cache
def _in_functions(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return frozenset(str(n) for one in functions for n in range(one.body[0].lineno, (one.end_lineno or 0) + 1))


@functools.cache
def _imports(file: str, other: str) -> bool:
    text, package = (ROOT / file).read_text(), file.removesuffix("__init__.py")
    if package != file and other.startswith(package) and re.search(r"import_module\(f?\"", text):
        return file != other  # a package that imports what is below it by names that are put together
    module = re.escape(other.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    return file != other and bool(re.search(rf"^\s*(from|import) {module}\b", text, re.M))
