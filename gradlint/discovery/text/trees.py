"""Walking syntax trees, however deep they are."""

from __future__ import annotations

import ast
from collections.abc import Iterator


def walk(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a tree in the order of the source, each before those inside it."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(list(ast.iter_child_nodes(node)))
