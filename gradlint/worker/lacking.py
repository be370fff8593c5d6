"""Constructions that lack what linting does not have: options set beside data, sizes of tables."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import cast

from gradlint.protocol.wire import Candidate
from gradlint.worker.attempt import tried
from gradlint.worker.usual import known, usual

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
            changed = with_usual_sizes(parsed.value.body, {error.name})
            yield replace(candidate, constructor=ast.unparse(changed))


def extended(call: str, names: list[str]) -> str:
    """A call such as `dict(a=1)` with usual values for further keywords."""
    more = ", ".join(f"{name}={usual(name)}" for name in names if f"{name}=" not in call)
    return f"{call[:-1]}{', ' if call[-2] != '(' else ''}{more})"


def with_usual_sizes(expression: ast.expr, lost: Collection[str], size: int = 64) -> ast.expr:
    """A copy with usual values for the sizes of what any of the `lost` names is needed for.

    What is not called after something that has a usual size has this `size`.
    """
    changed = _Sizes(lost, size).visit(copy.deepcopy(expression))
    return cast(ast.expr, ast.fix_missing_locations(changed))


class _Sizes(ast.NodeTransformer):
    """Puts the usual value in the place of each size of an object that is not there."""

    def __init__(self, lost: Collection[str], size: int) -> None:
        self.lost, self.size = lost, size

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        match node:
            case ast.Subscript(ast.Attribute(value=owner, attr="shape")) if self._is_lost(owner):
                return ast.Constant(self.size)
        return cast(ast.expr, self.generic_visit(node))

    def visit_Call(self, node: ast.Call) -> ast.expr:
        match node:
            case ast.Call(ast.Attribute(owner, "size" | "nunique")) if self._is_lost(owner):
                return ast.Constant(self.size)
            case ast.Call(ast.Name("len"), [owner]) if self._is_lost(owner):
                named = known(_last_name(owner)) or ""
                return ast.Constant(
                    int(named) if named.isdecimal() and int(named) > 1 else self.size
                )
        return cast(ast.expr, self.generic_visit(node))

    def _is_lost(self, owner: ast.expr) -> bool:
        return any(isinstance(n, ast.Name) and n.id in self.lost for n in ast.walk(owner))


def _last_name(owner: ast.expr) -> str:
    match owner:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""
