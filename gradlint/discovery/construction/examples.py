"""The constructions that the examples in a docstring show."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from gradlint.discovery.construction.parameters import all_parameters, given_arguments
from gradlint.discovery.project.reading import Reading
from gradlint.discovery.text.docstrings import docstrings_of
from gradlint.discovery.text.expressions import is_literal
from gradlint.protocol.wire import BuiltFrom, Candidate

_MOST = 2
"""Examples that are tried; what the first of them need in time the others need as well."""
_LONGEST = 1000
_FETCHED = re.compile(r"pretrained|weights|checkpoint")
_PROMPT = re.compile(r"^[ \t]*(>>>|\.\.\.) ?", re.MULTILINE)


def examples(reading: Reading, name: str) -> Iterator[Candidate]:
    """The constructions of a class in its own docstrings, with literal values alone.

    Only those that give all that must be given.
    """
    parameters = all_parameters(reading, name)
    needed = {parameter.name for parameter in parameters if not parameter.optional}
    found: dict[str, None] = {}
    for text in docstrings_of(reading.model_classes[name]) if needed else ():
        for call in _calls(_PROMPT.sub("", text), name):
            given = given_arguments(call, parameters)
            fetched = any(_FETCHED.search(key) for key in given)
            if needed <= given.keys() and all(map(is_literal, given.values())) and not fetched:
                found[ast.unparse(call)] = None
    for constructor in list(found)[:_MOST]:
        yield Candidate(BuiltFrom.USE_IN_FILE, constructor)


def _calls(text: str, name: str) -> Iterator[ast.Call]:
    """The calls of a name in a text, of which the rest need not be Python."""
    for found in re.finditer(rf"\b{name}\(", text):
        rest = text[found.start() : found.start() + _LONGEST]
        ends = (index for index, letter in enumerate(rest, 1) if letter == ")")
        parsed = (_call(rest[:end]) for end in ends)
        if (call := next(filter(None, parsed), None)) is not None:
            yield call


def _call(text: str) -> ast.Call | None:
    try:
        body = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        return None
    return body if isinstance(body, ast.Call) else None
