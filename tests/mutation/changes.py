"""What is changed: every small fault that one file of the calculator could have, as a change of its syntax tree.

Numbers become one more, one less and twice; comparisons, sums, products, ``and``, ``min`` and switches their
neighbours; names in data and look-ups another name; a bound moves by one; the body of an ``if`` that refuses or returns
early goes. What people read (texts, messages, docstrings) and types stay: changing them changes no answer.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

SWAPS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult,
}  # fmt: skip
NAME = re.compile(r"[a-z0-9_][\w./-]*")
NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
"""A number in a text, which stays one."""
NOT_ANSWERS = ("dataclass", "TypeVar", "field", "re.compile", "transformers", "read_in", "Source", "shown")
"""Calls whose arguments are types, or what people read."""
TEXTS = (ast.JoinedStr, ast.Raise, ast.Import, ast.ImportFrom)


@dataclass(frozen=True)
class Mutant:
    """One change of one file: the lines that must be run for it to matter, and how to make it in the tree."""

    line: int
    lines: range
    function: str
    before: str
    after: str
    apply: Callable[[], None]


def mutants(tree: ast.Module) -> Iterator[Mutant]:
    """Yield every mutant of a file, in an order that depends on its text alone."""
    yield from _below(tree, tree.body[0], "")


def _below(node: ast.AST, statement: ast.stmt, function: str) -> Iterator[Mutant]:
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "ctx", "type_comment"):
            continue
        for place, child in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(child, ast.AST) or _is_text(node, child):
                continue
            within = child if isinstance(child, ast.stmt) else statement
            runs_later = isinstance(node, ast.FunctionDef) and field == "body"
            inside = function or (node.name if runs_later else "")
            for other in _others(node, child):
                shown = node if isinstance(child, ast.operator | ast.cmpop | ast.boolop) else child
                last = getattr(child.test if isinstance(child, ast.If) else shown, "end_lineno", within.lineno)
                lines, at = range(within.lineno, last + 1), getattr(child, "lineno", within.lineno)
                apply = functools.partial(_put, node, field, place if isinstance(value, list) else None, other)
                before = ast.unparse(shown)
                apply()
                after = "pass" if isinstance(other, ast.Pass) else ast.unparse(node if shown is node else other)
                _put(node, field, place if isinstance(value, list) else None, child)
                yield Mutant(at, lines, inside, _short(before), _short(after), apply)
            yield from _below(child, within, inside)


def _put(node: ast.AST, field: str, place: int | None, child: ast.AST) -> None:
    if place is None:
        setattr(node, field, child)
    else:
        getattr(node, field)[place] = child


def _short(text: str) -> str:
    return " ".join(text.split())[:100]


def _is_text(parent: ast.AST, node: ast.AST) -> bool:
    """Whether a node holds what people read, or types: changing it changes no answer."""
    if isinstance(node, TEXTS) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
        return True
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.JoinedStr):  # where a text is cut
        return True
    if isinstance(node, ast.FunctionDef) and node.name in ("__repr__", "__str__", "_repr_html_"):
        return True
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return True
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
        return True
    if isinstance(node, ast.keyword) and node.arg == "strict":  # of zip: what holds anyway is asserted
        return True
    called = ast.unparse(parent.func) if isinstance(parent, ast.Call) else ""
    if called == "say" and node is parent.args[0]:  # the key of a text, by which a face can say it otherwise
        return True
    return called in NOT_ANSWERS and node is not getattr(parent, "func", None)


def _others(parent: ast.AST, node: ast.AST) -> Iterator[ast.AST]:
    """Yield what could stand in place of a node."""
    kind = type(node)
    if kind in SWAPS:
        sides = (parent.left, parent.right) if isinstance(parent, ast.BinOp) else ()
        if not any(isinstance(side, ast.JoinedStr | ast.List | ast.Tuple) or _is_str(side) for side in sides):
            yield SWAPS[kind]()
    elif isinstance(node, ast.Constant):
        yield from (ast.copy_location(ast.Constant(value), node) for value in _values(node.value))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand
    elif isinstance(node, ast.Name) and node.id in ("min", "max"):
        yield ast.copy_location(ast.Name({"min": "max", "max": "min"}[node.id], ast.Load()), node)
    elif isinstance(node, ast.If) and isinstance(node.body[-1], ast.Raise | ast.Return | ast.Continue):
        body = ast.copy_location(ast.Pass(), node.body[0])
        yield ast.copy_location(ast.If(node.test, [body], node.orelse), node) if node.orelse else body
    elif isinstance(parent, ast.Slice) and not _is_number(node):
        yield ast.copy_location(ast.BinOp(node, ast.Add(), ast.copy_location(ast.Constant(1), node)), node)


def _values(value: object) -> list[object]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1, value - 1, *([2 * value] if value else [])]
    if isinstance(value, str) and NUMBER.fullmatch(value):
        return [value + "9"]
    if isinstance(value, str) and NAME.fullmatch(value):
        return [value + "_"]
    return []


def _is_str(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_number(node: ast.AST) -> bool:
    return isinstance(node.operand if isinstance(node, ast.UnaryOp) else node, ast.Constant)
