"""Every expression that foreign text meets takes a bounded number of steps at each place of the text."""

import ast
import importlib
import pkgutil
import re
import re._constants as op  # type: ignore[import-untyped]
import re._parser as parser  # type: ignore[import-untyped]
from collections.abc import Iterable
from pathlib import Path

import pytest
from logs import LOGS

import calculator
import dashboard
from calculator.logs.lines.vocabulary import vocabulary

ROOT = Path(__file__).parent.parent
PATTERNS = [pattern for log in vocabulary().logs.values() for pattern in log.patterns]
MOST_WAYS = 5_000
"""Ways in which one pattern may match from one place, repeats that keep what they took counted once."""


def of_modules() -> dict[str, re.Pattern[str]]:
    """Return the compiled expressions of all modules."""
    found = {f"PATTERNS {index} {pattern.literal}": pattern.expression for index, pattern in enumerate(PATTERNS)}
    found |= {f"vocabulary {name}": part for name, part in vars(vocabulary()).items() if isinstance(part, re.Pattern)}
    for package in (calculator, dashboard):
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not info.name.endswith("__main__"):
                values = vars(importlib.import_module(info.name)).items()
                found |= {f"{info.name} {name}": value for name, value in values if isinstance(value, re.Pattern)}
    return found


def in_calls() -> dict[str, re.Pattern[str]]:
    """Return the expressions that are written where they are used."""
    found = {}
    for path in (*ROOT.glob("calculator/**/*.py"), *ROOT.glob("dashboard/*.py"), ROOT / "app.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            of_re = isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "re"
            if of_re and called.attr not in ("compile", "escape"):  # type: ignore[union-attr]
                expression = node.args[0]  # type: ignore[attr-defined]
                assert isinstance(expression, ast.Constant), f"{path.name}:{node.lineno}: no constant expression"  # type: ignore[attr-defined]
                found[f"{path.name}:{expression.lineno}"] = re.compile(str(expression.value))
    return found


OUR_OWN_TEXT = {"patterns.py"}
"""Here the calls of ``re`` read the table of patterns itself, not a log."""
ALL = of_modules() | {place: found for place, found in in_calls().items() if place.split(":")[0] not in OUR_OWN_TEXT}


def ways(items: Iterable[tuple[object, object]], *, last: bool = True) -> int:
    """Return in how many ways a sequence may match from one place at most; refuse a repeat without a bound.

    A repeat of m to n takes any of n - m + 1 lengths, one that keeps what it took (possessive) a single one. A repeat
    may be without a bound where nothing follows that could fail.
    """
    sequence, total = list(items), 1
    for index, (kind, value) in enumerate(sequence):
        ends = last and index == len(sequence) - 1
        if kind in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
            least, most, inner = value  # type: ignore[misc]
            assert most is not op.MAXREPEAT or (ends and kind is not op.MIN_REPEAT), "a repeat without a bound"
            if kind is op.POSSESSIVE_REPEAT:
                ways(inner, last=ends)
            elif not ends:
                once = ways(inner, last=False)
                total *= sum(once**times for times in range(least, most + 1)) if once > 1 else most - least + 1
        elif kind is op.BRANCH:
            total *= (
                sum(1 for _ in value[1])
                if all(ways(part, last=ends) == 1 for part in value[1])
                else sum(  # type: ignore[index]
                    ways(part, last=ends)
                    for part in value[1]  # type: ignore[index]
                )
            )
        elif kind is op.SUBPATTERN:
            total *= ways(value[3], last=ends)  # type: ignore[index]
        elif kind in (op.ASSERT, op.ASSERT_NOT):
            total *= ways(value[1], last=False)  # type: ignore[index]
        elif kind is op.ATOMIC_GROUP:
            ways(value, last=ends)  # type: ignore[arg-type]
    return total


@pytest.mark.parametrize("name", ALL)
def test_no_expression_takes_more_steps_the_longer_a_line_is(name):
    assert ways(parser.parse(ALL[name].pattern, ALL[name].flags)) <= MOST_WAYS


@pytest.mark.parametrize(
    ("expression", "match"),
    [
        (r"[\d,]+ GiB", "without a bound"),
        (r"name\s*(?:str)?\s*=", "without a bound"),
        (r"(?:a|b*)c", "without a bound"),
    ],
)
def test_an_expression_without_bounds_is_found(expression, match):
    with pytest.raises(AssertionError, match=match):
        ways(parser.parse(expression))


def test_ways_multiply():
    # 1 to 3 and 0 to 4 of the same letter: 3 x 5; a repeat that keeps what it took has one way
    assert ways(parser.parse("a{1,3}a{0,4}b")) == 15
    assert ways(parser.parse("a{1,3}+a{0,4}b")) == 5
    # of two letters each time, up to three times: 1 + 2 + 4 + 8
    assert ways(parser.parse("(?:aa?|a){0,3}b")) == 1 + 3 + 9 + 27


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.expression.pattern[:60])
def test_what_a_line_must_hold_is_held_by_every_match(pattern):
    assert pattern.literal in "".join(literals(parser.parse(pattern.expression.pattern)))
    for log in LOGS.values():
        for found in pattern.expression.finditer(log):
            assert pattern.literal in found[0]


def literals(items: Iterable[tuple[object, object]]) -> Iterable[str]:
    """Yield the characters that any match holds, and a mark wherever something else may stand."""
    for kind, value in items:
        if kind is op.LITERAL:
            yield chr(value)  # type: ignore[arg-type]
        elif kind is op.SUBPATTERN:
            yield from literals(value[3])  # type: ignore[index]
        elif kind not in (op.AT, op.ASSERT, op.ASSERT_NOT):
            yield "\x00"
