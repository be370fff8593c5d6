"""The conditions under which a program refuses its inputs: assertions, and what it raises under."""

from __future__ import annotations

import ast
import functools
import linecache
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gradlint.worker.running.attempt import Failure, Frame, tried


@dataclass(frozen=True, slots=True)
class Wanted:
    """What must hold of two numbers: that they are equal, or that `right` divides `left`.

    Or that `left` is `right` at least or at most, to which `step` is added.
    """

    left: ast.expr
    right: ast.expr
    order: str = "=="
    step: int = 0


def wanted(failure: Failure) -> Iterator[Wanted]:
    """What a line wants that refused its inputs, as far as that are comparisons of two."""
    frame = failure.frames[-1] if failure.frames else None
    if frame is None or not frame.users:
        return
    parsed = tried(lambda: ast.parse(frame.text.strip()).body[0]).value
    if isinstance(parsed, ast.Assert):
        yield from _held(parsed.test, holds=True)
    elif test := _refusals(frame.file).get(frame.line):
        yield from _held(test, holds=False)


@functools.lru_cache(maxsize=8)
def _nodes_of(file: str) -> tuple[ast.AST, ...]:
    """All nodes of a file, () where it cannot be read."""
    parsed = tried(lambda: ast.parse("".join(linecache.getlines(file)))).value
    return tuple(ast.walk(parsed)) if isinstance(parsed, ast.Module) else ()


@functools.lru_cache(maxsize=8)
def _refusals(file: str) -> Mapping[int, ast.expr]:
    """The condition under which each line of a file raises something."""
    found: dict[int, ast.expr] = {}
    for node in _nodes_of(file):
        for statement in node.body if isinstance(node, ast.If) else ():
            if isinstance(node, ast.If) and isinstance(statement, ast.Raise):
                last = statement.end_lineno or statement.lineno
                found |= dict.fromkeys(range(statement.lineno, last + 1), node.test)
    return found


def assigned(frame: Frame) -> Mapping[str, ast.expr]:
    """What the function of a frame assigns to each name that it assigns just once."""
    return _assigned_around(frame.file, frame.line)


@functools.lru_cache(maxsize=64)
def _assigned_around(file: str, line: int) -> Mapping[str, ast.expr]:
    found: dict[str, ast.expr] = {}
    names = Counter[str]()
    function = _function_at(file, line)
    for node in ast.walk(function) if function is not None else ():
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                names[name] += 1
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found[name] = value
    return {name: value for name, value in found.items() if names[name] == 1}


def _function_at(file: str, line: int) -> ast.AST | None:
    """The innermost function of a file that has this line."""
    functions = [
        node
        for node in _nodes_of(file)
        if isinstance(node, ast.FunctionDef) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    return functions[-1] if functions else None


_OPPOSITE: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
}
_ORDERS: Mapping[type[ast.cmpop], tuple[str, int]] = {
    ast.Eq: ("==", 0),
    ast.Lt: ("<=", -1),
    ast.LtE: ("<=", 0),
    ast.Gt: (">=", 1),
    ast.GtE: (">=", 0),
}


def _held(test: ast.expr, *, holds: bool) -> Iterator[Wanted]:
    """The comparisons of a test that must hold, each by itself, for it to be as it should."""
    match test:
        case ast.BoolOp(values=parts):
            for part in parts:
                yield from _held(part, holds=holds)
        case ast.UnaryOp(op=ast.Not(), operand=part):
            yield from _held(part, holds=not holds)
        case ast.BinOp(left=left, op=ast.Mod(), right=right) if not holds:
            yield Wanted(left, right, "%")
        case ast.Compare(left=left, ops=[given], comparators=[right]):
            kind = type(given) if holds else _OPPOSITE.get(type(given), ast.Is)
            match left, right:
                case ast.BinOp(left=whole, op=ast.Mod(), right=part), ast.Constant(value=0):
                    yield from (Wanted(whole, part, "%"),) if kind is ast.Eq else ()
                case _ if kind in _ORDERS:
                    yield Wanted(left, right, *_ORDERS[kind])
