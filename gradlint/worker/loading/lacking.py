"""Constructions that lack what linting does not have: options set beside data, sizes of tables."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from gradlint.protocol.wire import BuiltFrom, Candidate
from gradlint.worker.loading.lost import with_usual_sizes
from gradlint.worker.loading.usual import known, usual
from gradlint.worker.running.attempt import tried

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
    yield from _handed_on(candidate, error)
    if isinstance(error, NameError) and error.name:
        yield from _rebound(candidate, error.name)
        parsed = tried(lambda: ast.parse(candidate.constructor.strip(), mode="eval"))
        if isinstance(parsed.value, ast.Expression):
            changed = with_usual_sizes(parsed.value.body, {error.name})
            yield replace(candidate, constructor=ast.unparse(changed))


_UNGIVEN = re.compile(r"\w+\.__init__\(\) missing \d+ required ")


def _handed_on(candidate: Candidate, error: Exception) -> Iterator[Candidate]:
    """With usual values for what a function with `**more` is to hand on, and nobody gives it."""
    text = candidate.constructor.strip()
    lacking = re.findall(r"'(\w+)'", str(error)) if _UNGIVEN.match(str(error)) else []
    if lacking and candidate.built_from is BuiltFrom.FACTORY:
        yield replace(candidate, constructor=extended(text, lacking))
    for name, value in candidate.bindings if lacking else ():
        if value == "{}" and f"**{name}" in text:
            yield _with(candidate, name, extended("dict()", lacking))


def _rebound(candidate: Candidate, name: str) -> Iterator[Candidate]:
    """With a usual value for a variable that is lost, as `n_words = len(vocab)` of no file."""
    if name not in dict(candidate.bindings):
        return
    tree = ast.parse(dict(candidate.bindings)[name].strip(), mode="eval").body
    lost = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    text = ast.unparse(with_usual_sizes(tree, lost))
    text = known(name) or "" if text == ast.unparse(tree) else text
    if text not in ("", "None"):
        yield _with(candidate, name, text)


def _with(candidate: Candidate, name: str, text: str) -> Candidate:
    """The candidate with another value for one of its variables."""
    bindings = ((key, text if key == name else value) for key, value in candidate.bindings)
    return replace(candidate, bindings=tuple(bindings))


def extended(call: str, names: list[str]) -> str:
    """A call such as `dict(a=1)` with usual values for further keywords."""
    more = ", ".join(f"{name}={usual(name)}" for name in names if f"{name}=" not in call)
    return f"{call[:-1]}{', ' if call[-2] != '(' else ''}{more})"
