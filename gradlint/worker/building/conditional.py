"""Attributes that a constructor sets only under a condition, or leaves to its caller to set."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from torch import nn

from gradlint.protocol.wire import MADE, Candidate
from gradlint.worker.building.constructors import GUESSED
from gradlint.worker.building.refusals import refused
from gradlint.worker.loading.usual import known, usual
from gradlint.worker.running.attempt import tried
from gradlint.worker.running.texts import text_of

_LACKING = re.compile(r"'(\w+)' object has no attribute '(\w+)'")


def conditioned(
    candidate: Candidate, model: nn.Module, error: BaseException, namespace: dict[str, object]
) -> Iterator[Candidate]:
    """The candidate with an argument without which the attribute that `forward` reads is not set.

    As in `if context_dim is not None: self.cross = Attention(…)`; only where values are guessed,
    and where the class is the model's own, because a part is constructed by other code. What it
    never sets is set from outside, as with `model.drop_path_prob = 0.2`, to what is usual.
    """
    found = _LACKING.search(str(error))
    if not found or found[1] != type(model).__name__:
        return
    if (value := known(found[2])) is not None and not _is_set(type(model), found[2]):
        yield replace(candidate, then=(*candidate.then, f"{MADE}.{found[2]} = {value}"))
    case = refused(candidate, error, namespace)
    if candidate.built_from not in GUESSED or case is None:
        return
    for name in _conditions(type(model), found[2]):
        if name in case.parameters() and name not in case.given():
            flag = case.parameters()[name].default is False
            yield case.having(name, "True" if flag else usual(name))


def _is_set(kind: type, attribute: str) -> bool:
    """Whether any method of a class, or of one that it is made of, mentions that it sets this."""
    sources = (text_of(base) for base in kind.__mro__)
    return any(re.search(rf"\bself\.{attribute}\s*(:[^=\n]+)?=(?!=)", text) for text in sources)


def _conditions(kind: type, attribute: str) -> Iterator[str]:
    """The names in the tests under which the constructor of a class sets an attribute."""
    constructor = kind.__init__  # type: ignore[misc]
    tree = tried(ast.parse, text_of(constructor)).value
    for node in ast.walk(tree) if isinstance(tree, ast.AST) else ():
        if isinstance(node, ast.If) and any(_sets(part, attribute) for part in node.body):
            names = (part.id for part in ast.walk(node.test) if isinstance(part, ast.Name))
            yield from dict.fromkeys(names)


def _sets(statement: ast.stmt, attribute: str) -> bool:
    return any(
        isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and node.attr == attribute
        for node in ast.walk(statement)
    )
