"""Sizes of what is lost: tables of data that are not there, objects of missing packages."""

from __future__ import annotations

import ast
import copy
from collections.abc import Collection
from typing import cast

from gradlint.worker.loading.usual import known


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
