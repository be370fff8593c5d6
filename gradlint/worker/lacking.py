"""Constructions that lack what linting does not have: options set beside data, sizes of tables."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from gradlint.protocol.wire import Candidate
from gradlint.worker.attempt import tried
from gradlint.worker.usual import usual, usual_size

HOLDER = re.compile(r"(__import__\('types'\)\.)?(SimpleNamespace|PassThrough)\(")
"""The beginning of an expression for an object that has attributes."""
_LACKING = re.compile(r"'types\.SimpleNamespace' object has no attribute '(\w+)'")


def supplied(candidate: Candidate, error: Exception) -> Iterator[Candidate]:
    """The construction of the source with a usual value for what it lacks; the rest is the user's.

    So with an option that a script sets where it has its data, and with a size that it reads from a
    table which was not loaded.
    """
    found = _LACKING.fullmatch(str(error))
    for place, (name, text) in enumerate(candidate.bindings) if found else ():
        if found and HOLDER.match(text):
            bindings = list(candidate.bindings)
            bindings[place] = (name, extended(text, [found[1]]))
            yield replace(candidate, bindings=tuple(bindings))
    if isinstance(error, NameError) and error.name:
        parsed = tried(lambda: ast.parse(candidate.constructor.strip(), mode="eval"))
        if isinstance(parsed.value, ast.Expression):
            changed = _Sizes(error.name).visit(parsed.value)
            yield replace(candidate, constructor=ast.unparse(changed))


def extended(call: str, names: list[str]) -> str:
    """A call such as `dict(a=1)` with usual values for further keywords."""
    more = ", ".join(f"{name}={usual(name)}" for name in names if f"{name}=" not in call)
    return f"{call[:-1]}{', ' if call[-2] != '(' else ''}{more})"


class _Sizes(ast.NodeTransformer):
    """Puts the usual value in the place of each size of an object that is not there."""

    def __init__(self, lost: str) -> None:
        self.lost = lost

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        match node:
            case ast.Subscript(ast.Attribute(ast.Name(id=name), "shape")) if name == self.lost:
                return ast.Constant(64)
        return cast(ast.expr, self.generic_visit(node))

    def visit_Call(self, node: ast.Call) -> ast.expr:
        match node:
            case ast.Call(ast.Attribute(ast.Name(id=name), "size")) if name == self.lost:
                return ast.Constant(64)
            case ast.Call(ast.Name("len"), [ast.Name(id=name)]) if name == self.lost:
                return ast.Constant(usual_size(name) or 64)
        return cast(ast.expr, self.generic_visit(node))
