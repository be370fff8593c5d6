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
                return self._count(owner)
        if not isinstance(node.func, ast.Attribute):
            return cast(ast.expr, self.generic_visit(node))
        owner = self.visit(node.func.value)  # because what is called is no number of its
        args = [self.visit(value) for value in node.args]
        words = [ast.keyword(word.arg, self.visit(word.value)) for word in node.keywords]
        return ast.Call(ast.Attribute(owner, node.func.attr, ast.Load()), args, words)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """A number that the object has, by its name: `vocab.pad_idx`, `data.num_classes`."""
        number = known(node.attr) or ""
        return ast.Constant(int(number)) if number.isdecimal() and self._is_lost(node) else node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        """`labels.max().item() + 1` is how many labels there are."""
        match node:
            case ast.BinOp(highest, ast.Add(), ast.Constant(1)) if self._is_lost(highest):
                calls = (each for each in ast.walk(highest) if isinstance(each, ast.Call))
                if any(_last_name(call.func) in ("max", "amax") for call in calls):
                    return self._count(highest)
        return cast(ast.expr, self.generic_visit(node))

    def _count(self, owner: ast.expr) -> ast.Constant:
        """The usual number of what an expression over lost things is called after."""
        named = (n for n in ast.walk(owner) if isinstance(n, ast.Name | ast.Attribute))
        names = map(_last_name, named)
        usual = [int(text) for name in names if (text := known(name) or "").isdecimal()]
        return ast.Constant(next((number for number in usual if number > 1), self.size))

    def _is_lost(self, owner: ast.expr) -> bool:
        return any(isinstance(n, ast.Name) and n.id in self.lost for n in ast.walk(owner))


def _last_name(owner: ast.expr) -> str:
    match owner:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""
