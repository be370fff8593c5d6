"""A construction as a report writes it: with the values of its variables in their places."""

from __future__ import annotations

import ast
import copy
import functools
import warnings

from gradlint.protocol.wire import Candidate
from gradlint.worker.running.attempt import tried

_LITERAL = (ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.Compare, ast.cmpop, ast.Load)


@functools.lru_cache(maxsize=64)
def inlined(form: Candidate) -> str:
    """The construction with the values of its bindings in place of their names."""
    written = tried(lambda: ast.unparse(_Chosen().visit(_closed(form))))
    return str(written.value) if written.error is None else form.constructor


def _closed(form: Candidate) -> ast.Expression:
    tree = ast.parse(form.constructor.strip(), mode="eval")
    for name, text in reversed(form.bindings):
        tree = _Bound(name, ast.parse(text, mode="eval").body).visit(tree)
    return tree


class _Bound(ast.NodeTransformer):
    """Puts a value in the place of a variable."""

    def __init__(self, name: str, value: ast.expr) -> None:
        self.name, self.value = name, value

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return copy.deepcopy(self.value) if node.id == self.name else node


class _Chosen(ast.NodeTransformer):
    """Puts an option, an item or a branch in the place of the whole that it is chosen from."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        match self.generic_visit(node):
            case ast.Attribute(value=ast.Call(func=called, keywords=words), attr=attr) if (
                ast.unparse(called).endswith("SimpleNamespace")
            ):
                return next((word.value for word in words if word.arg == attr), node)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic_visit(node)
        return _known(node) or node

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        self.generic_visit(node)
        test = _known(node.test)
        match test:
            case ast.Constant(value):
                return node.body if value else node.orelse
        return node


def _known(node: ast.expr) -> ast.expr | None:
    """An expression of literals alone as the literal that it comes to."""
    parts = (ast.Subscript, *_LITERAL)
    if not all(isinstance(part, parts) for part in ast.walk(node)):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # because `32 is not None` is worth a warning to Python
        outcome = tried(eval, ast.unparse(node), {})
    return ast.parse(repr(outcome.value), mode="eval").body if outcome.error is None else None
