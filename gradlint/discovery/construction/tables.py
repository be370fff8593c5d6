"""Tables of a file's models: a class beside the arguments that a program is to give it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradlint.discovery.construction.parameters import all_parameters
from gradlint.discovery.project.reading import Reading
from gradlint.discovery.text.trees import walk
from gradlint.protocol.wire import BuiltFrom, Candidate

_MOST = 3
"""Rows of one class that are tried; the others differ in size."""


def rows(reading: Reading, name: str) -> Iterator[Candidate]:
    """The constructions that tables at the top level say, as `{"model": Net, "params": {…}}`."""
    parameters = all_parameters(reading, name)
    required = {parameter.name for parameter in parameters if not parameter.optional}
    known = {parameter.name for parameter in parameters}
    found = 0
    for table in _tables(reading, name):
        for value in table.values:
            given = _keywords(value)
            if given and required <= given.keys() and known & given.keys() and found < _MOST:
                found += 1
                words = ", ".join(f"{key}={ast.unparse(item)}" for key, item in given.items())
                yield Candidate(BuiltFrom.USE_IN_FILE, f"{name}({words})")


def _tables(reading: Reading, name: str) -> Iterator[ast.Dict]:
    """The dictionaries at the top level of the file that have the class itself as a value."""
    module = reading.outline.module.node
    for statement in module.body:
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
            found = (node for node in walk(statement.value) if isinstance(node, ast.Dict))
            for node in sorted(found, key=lambda node: node.lineno):
                if any(_is(value, name) for value in node.values):
                    yield node


def _is(value: ast.expr, name: str) -> bool:
    return isinstance(value, ast.Name) and value.id == name


def _keywords(value: ast.expr) -> dict[str, ast.expr]:
    """The entries of a dictionary that can be spread over keywords, {} for anything else."""
    if not isinstance(value, ast.Dict):
        return {}
    keys = [key.value if isinstance(key, ast.Constant) else None for key in value.keys]
    words = [key for key in keys if isinstance(key, str) and key.isidentifier()]
    return dict(zip(words, value.values, strict=True)) if len(words) == len(keys) else {}
