"""What the docstring of a class says of the parameters of its constructor."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from gradlint.discovery.text.outline import Scope


def said_of(scope: Scope, name: str) -> str:
    """The entry for a parameter in the docstring of a class or of its constructor, "" for none."""
    pattern = rf"^([ \t]*)(?::param )?{name}\b ?[(:].*(?:\n\1[ \t]+.*)*"
    entry = re.compile(pattern, re.MULTILINE)
    found = (entry.search(text) for text in docstrings_of(scope))
    return next((match[0] for match in found if match), "")


def docstrings_of(scope: Scope) -> Iterator[str]:
    """The docstrings of a class and of its constructor."""
    init = scope.method("__init__")
    for node in (scope.node, init.function if init else None):
        text = ast.get_docstring(node) if isinstance(node, _DOCUMENTED) else None
        if text:
            yield text


def classes_named(said: str) -> list[str]:
    """The names of classes that an entry quotes, as in `an instance of :py:class:`nets.UNet``."""
    return re.findall(r"`~?((?:\w+\.)*[A-Z]\w*)`", said)


_DOCUMENTED = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
