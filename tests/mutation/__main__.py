"""Spoil the calculator one small thing at a time and see which spoilt versions the tests let pass.

``make mutate``, or ``python -m tests.mutation --sample 300 --seed 1 --only 'calculator/engines/*'``.

How it works. Every Python file below ``calculator`` is parsed, less those of ``OUT_OF_SCOPE``; ``changes`` lists its
mutants and ``trace`` the tests that run each line. All tests are collected once, and each mutant is tried in a fork of
that process. Where it lies within a function, the function gets its changed code in place and the tests that run its
line follow one another, the fastest and the least alike first, until one fails. A row of data is read when its module
is imported: the project's modules are forgotten, the module is compiled from the changed tree, and the files with tests
that import it or run any line of it (or, where nothing of it runs later, of the modules that import it) are collected
and run anew, those first whose imports are the nearest to it and that speak of what the row names. A test that fails
there without any change as well does not count.

A test that takes ``HANGS_S`` of processor time kills; a mutant that lives through ``BUDGET_S`` of tests is alive. The
exit code is 0 whatever is found: survivors are read by people, and some are equivalent.
"""

from __future__ import annotations

import argparse
import ast
import gc
import importlib.machinery
import importlib.util
import os
import random
import re
import signal
import sys
import time
from collections import Counter, defaultdict
from types import CodeType, FunctionType
from typing import Any

import pytest

from tests.mutation.changes import Mutant, mutants
from tests.mutation.trace import KEPT, ROOT, arguments, forget, matches, near, readers_of, tests_of, traced

OUT_OF_SCOPE = (
    "*/__init__.py", "*/__main__.py", "*cli*", "*chart*", "*views*", "*html*", "*words*", "*checks*", "*accuracy*",
    "*hub*", "*strict_yaml*", "*schema*", "*presets*", "*errors*", "*messages*", "*plan_file*", "*units*",
)  # fmt: skip
HEAVY = ("hypothesis", "numpy", "pandas", "yaml", "pydantic_core", "plotly.graph_objects", "nbformat")
HANGS_S, BUDGET_S = 20.0, 30.0
LONG_S, ROWS_ABOVE, MOST_NAMED, DIRECT = 12.0, 6, 40, 20
NAMES = re.compile(r"[\w.]+(?=[\]-])")
"""Files of tests that take longer run last; a row's name stands up to so many lines above a value of it."""
SURVIVED, NOT_RUN = "survives", "is run by no test"


def module_of(file: str) -> str:
    """Return the name by which a file is imported."""
    return file.removesuffix(".py").replace("/", ".")


def parsed(file: str) -> ast.Module:
    """Parse a file of the project."""
    return ast.parse((ROOT / file).read_text(encoding="utf-8"), file)


def sources() -> list[str]:
    """Return every module that is in scope, wherever it lies."""
    files = (path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "calculator").rglob("*.py")))
    return [file for file in files if not matches(file.removeprefix("calculator"), OUT_OF_SCOPE)]


class Swapped(importlib.machinery.SourceFileLoader):
    """Loads one module of the project from a changed tree."""

    def __init__(self, file: str, code: CodeType) -> None:
        """Keep the code that stands in for a file's."""
        super().__init__(module_of(file), str(ROOT / file))
        self.code = code

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002
        """Return the code of the changed tree."""
        return self.code

    def find_spec(self, name: str, *_: Any) -> Any:
        """Answer for this module only."""
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.name else None


class Watch:
    """A plugin of pytest that notes the first failure and bounds every test."""

    failed = ""

    def pytest_runtest_logstart(self) -> None:
        """Set the clock by processor time, which does not depend on what else the machine does."""
        signal.setitimer(signal.ITIMER_PROF, HANGS_S)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note which test kills."""
        self.failed = self.failed or (report.nodeid if report.failed else "")


class Runner:
    """A plugin of pytest whose run of the tests is a run for each mutant, in a fork."""

    def __init__(self, tried: list[tuple[str, int, Mutant]], trace: dict[str, Any], asked: argparse.Namespace) -> None:
        """Take the mutants, which tests run which lines, and what the command line asks for."""
        self.tried, self.trace, self.asked = tried, trace, asked
        self.results = [NOT_RUN] * len(tried)
        self.running: dict[int, int] = {}
        self.unchanged: dict[str, bool] = {}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try every mutant, some at a time."""
        for place, (file, _, mutant) in enumerate(self.tried):
            tests = tests_of(file, mutant, self.trace)
            if not tests and not self.asked.also:
                continue
            while len(self.running) >= self.asked.jobs:
                self.finish(session)
            self.start(session, place, tests)
        while self.running:
            self.finish(session)
        return True

    def start(self, session: pytest.Session, place: int, tests: set[str]) -> None:
        """Try one mutant in a fork."""
        if not (pid := os.fork()):
            for stream in (1, 2):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
            try:
                KEPT.with_suffix(f".{os.getppid()}-{place}").write_text(self.child(session, place, tests))
            finally:
                os._exit(0)
        self.running[pid] = place

    def finish(self, session: pytest.Session) -> None:
        """Wait for one child, and show what became of its mutant."""
        pid, status = os.wait()
        place = self.running.pop(pid)
        told = KEPT.with_suffix(f".{os.getpid()}-{place}")
        ended = "killed by a test that hangs" if os.WIFSIGNALED(status) else "could not be tried"
        result = told.read_text() if told.exists() else ended
        told.unlink(missing_ok=True)
        if self.fails_unchanged(killer := result.removeprefix("killed by ")):
            print(f"{killer} fails without a change too: it does not count", flush=True)
            file, _, mutant = self.tried[place]
            self.start(session, place, tests_of(file, mutant, self.trace))
        else:
            self.results[place] = result
            print(f"{place:4} {shown(self.tried[place])}  {result[:120]}", flush=True)

    def fails_unchanged(self, test: str) -> bool:
        """Whether a test fails where the modules are imported anew and nothing is changed: then it kills nothing."""
        name = test.split("[")[0]
        if "::" in test and name not in self.unchanged:
            if not (pid := os.fork()):
                for stream in (1, 2):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
                try:
                    anew()
                    os._exit(pytest.main(arguments([str(ROOT / test)])) not in (0, 5))
                finally:
                    os._exit(0)
            self.unchanged[name] = os.waitpid(pid, 0)[1] != 0
        return self.unchanged.get(name, False)

    def child(self, session: pytest.Session, place: int, tests: set[str]) -> str:
        """Run the tests against one mutant, one after another where its function can be changed in place."""
        (file, number, mutant), seconds = self.tried[place], self.trace["seconds"]
        tree = parsed(file)
        list(mutants(tree))[number].apply()
        code = compile(ast.fix_missing_locations(tree), ROOT / file, "exec")
        tests = {test for test in tests if not self.unchanged.get(test.split("[")[0])}
        left_out = [f"--deselect={name}" for name, fails in self.unchanged.items() if fails]
        chosen = {item.nodeid: item for item in session.items if item.nodeid in tests and item.nodeid in seconds}
        files = {test for test in tests if "::" not in test}
        watch = Watch()
        if mutant.function:
            importlib.import_module(module_of(file))  # one that is only imported within a test is changed as well
            change(code)
            forget()
            session.config.pluginmanager.register(watch)
            items = [chosen[name] for name in varied({name: seconds[name] for name in chosen}, readers_of(file))]
            for done, (item, following) in enumerate(zip(items, [*items, None][1:], strict=True), start=1):
                session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if watch.failed:
                    return f"killed by {watch.failed}"
                if time.process_time() > BUDGET_S:
                    return f"{SURVIVED} {done} of {len(items)} tests, for which there was time"
        else:
            files |= {test.split("::")[0] for test in tests}
        anew()
        sys.meta_path.insert(0, Swapped(file, code))
        cost = {name: sum(seconds[test] for test in chosen if test.startswith(name)) for name in files}
        named = [test for test in chosen if not mutant.function and words_of(file, mutant) & set(NAMES.findall(test))]
        for some in [sorted(named, key=seconds.get)[:MOST_NAMED]] if named else []:
            if pytest.main([*arguments([str(ROOT / test) for test in some]), "-x", *left_out], plugins=[watch]) not in (
                0,
                5,
            ):
                return f"killed by {watch.failed or some[0]}"
        shared, close, left = speaks_of(file, mutant, files), near(file), 0
        for name in [
            *sorted(files, key=lambda name: (-close.get(name, 0), cost[name] > LONG_S, -shared[name], cost[name])),
            *self.asked.also,
        ]:
            if time.process_time() > BUDGET_S and name not in self.asked.also:
                left += 1
                continue
            signal.setitimer(signal.ITIMER_PROF, 2 * HANGS_S)
            code_ = pytest.main([*arguments([str(ROOT / name)]), "-x", *left_out], plugins=[watch])
            if code_ not in (0, 5):
                return f"killed by {watch.failed or name}"
        return f"{SURVIVED} all but {left} files of {len(files)}, for which there was no time" if left else SURVIVED


def varied(seconds: dict[str, float], direct: frozenset[str]) -> list[str]:
    """Order tests so that every test function gets the same share of the time: rows of one mostly tell the same.

    Those of files that import the module by its name get so many times more.
    """
    rows: dict[str, list[str]] = defaultdict(list)
    for test in sorted(seconds, key=lambda test: seconds[test]):
        rows[test.split("[")[0]].append(test)
    spent = {test: place * seconds[test] for tests in rows.values() for place, test in enumerate(tests, start=1)}
    return sorted(seconds, key=lambda test: spent[test] / (DIRECT if test.split("::")[0] in direct else 1))


def anew() -> None:
    """Forget the project's modules, so that all of them are imported again: one that stays would hold old classes."""
    tops = tuple(f"{ROOT}/{top}" for top in ("calculator", "dashboard", "tests", "app.py"))
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(tops):
            del sys.modules[name]


def words_of(file: str, mutant: Mutant) -> set[str]:
    """Return the names that stand in and above the row of a mutant."""
    around = (ROOT / file).read_text(encoding="utf-8").splitlines()[max(0, mutant.line - ROWS_ABOVE) : mutant.line]
    return set(re.findall(r"[\"']([\w./-]{3,})[\"']", "\n".join(around)))


def speaks_of(file: str, mutant: Mutant, files: set[str]) -> dict[str, float]:
    """Return how much each file of tests, and the data that it reads, speaks of what a row of data names."""
    words = words_of(file, mutant)
    parts = {word.rstrip("s") for word in re.split(r"[/_.]", file)[1:-1]}
    data = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "data").glob("*.*")}
    found = {}
    for name in files:
        text = (ROOT / name).read_text(encoding="utf-8")
        text += "".join(content for title, content in data.items() if title in text)
        found[name] = {word for word in words if word in text} | {part for part in parts if part in name}
    many = Counter(word for words in found.values() for word in words)
    return {name: sum(1 / many[word] for word in words) for name, words in found.items()}


def change(code: CodeType) -> None:
    """Give every living function of a file its code in the changed tree, also those that conftest has frozen."""
    gc.unfreeze()
    found, inside = {}, [code]
    while inside:
        inside += (nested := [part for part in inside.pop().co_consts if isinstance(part, CodeType)])
        found |= {(part.co_qualname, part.co_firstlineno): part for part in nested if part.co_name != "<lambda>"}
    living = [thing for thing in gc.get_objects() if isinstance(thing, FunctionType)]
    of_file = [one for one in living if one.__code__.co_filename == code.co_filename]
    if not of_file:
        raise LookupError(f"no function of {code.co_filename} is alive: nothing would be changed")
    for one in of_file:
        one.__code__ = found.get((one.__code__.co_qualname, one.__code__.co_firstlineno), one.__code__)


def shown(one: tuple[str, int, Mutant]) -> str:
    """Return place, before and after of a mutant."""
    return f"{one[0]}:{one[2].line}  {one[2].before}  →  {one[2].after}"


def main() -> None:
    """Draw a sample, try it, print the table."""
    ask = argparse.ArgumentParser(description="Which small faults do the tests let pass?")
    ask.add_argument("--sample", type=int, default=100, help="how many mutants; 0 for all")
    ask.add_argument("--seed", type=int, default=0)
    ask.add_argument("--only", nargs="*", default=["*"], help="patterns of FILE:LINE, such as 'calculator/engines/*'")
    ask.add_argument("--jobs", type=int, default=2)
    ask.add_argument("--also", nargs="*", default=[], help="files of tests to run last, whether traced or not")
    ask.add_argument("--tests", nargs="*", default=[], help="trace and run these files of tests alone")
    ask.add_argument("--reuse", action="store_true", help="keep the last trace though sources have changed")
    asked = ask.parse_args()
    for name in HEAVY:
        importlib.import_module(name)
    every = [(file, number, mutant) for file in sources() for number, mutant in enumerate(mutants(parsed(file)))]
    every = [one for one in every if matches(f"{one[0]}:{one[2].line}", tuple(f"{only}*" for only in asked.only))]
    if 0 < asked.sample < len(every):
        every = random.Random(asked.seed).sample(every, asked.sample)
    runner = Runner(every, trace := traced(asked.reuse, asked.jobs, asked.tests), asked)
    needed = {test.split("::")[0] for file, _, mutant in every for test in tests_of(file, mutant, trace)}
    pytest.main(arguments([str(ROOT / file) for file in sorted(needed) if (ROOT / file).exists()]), plugins=[runner])
    table: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for (file, _, _), result in zip(every, runner.results, strict=True):
        for name in (file, "all"):
            table[name][not result.startswith("killed")] += 1
    print(f"\n{'':48}{'killed':>8}{'alive':>8}")
    for name, (killed, alive) in sorted(table.items(), key=lambda row: (row[0] == "all", row[0])):
        print(f"{name:48}{killed:8}{alive:8}{killed / (killed + alive):8.1%}")
    alive_ones = [(one, result) for one, result in zip(every, runner.results, strict=True) if "killed" not in result]
    print(
        "", *(f"{shown(one)}  ({result})" for one, result in sorted(alive_ones, key=lambda pair: pair[0][:2])), sep="\n"
    )


if __name__ == "__main__":
    main()
