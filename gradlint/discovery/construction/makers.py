"""Functions of other files that make a model of this one and give it back."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradlint.discovery.construction.elsewhere import Callers, Sight, called_as, is_construction
from gradlint.discovery.construction.factories import UNTRIED
from gradlint.discovery.construction.parameters import parameters_of
from gradlint.discovery.project.evidence import OtherFile
from gradlint.discovery.project.reading import Reading
from gradlint.discovery.text.outline import Called, Scope
from gradlint.protocol.wire import BuiltFrom, Candidate


def makers(reading: Reading, name: str) -> Iterator[Candidate]:
    """The calls of functions that return an instance of a model class, whatever they do before.

    Each argument is what other files give the function, or what the project's options and
    settings say of it; a function of which one is not in sight is not called.
    """
    for file in reading.project.naming(called_as(name)) if "." not in name else ():
        for scope in _functions(file):
            if _makes(scope, name, file, reading):
                yield from _call(scope, Sight(reading, file, whole=True))


def _functions(file: OtherFile) -> Iterator[Scope]:
    for scope in file.outline.module.children:
        function = scope.function
        if isinstance(function, ast.FunctionDef) and not UNTRIED.fullmatch(function.name):
            yield scope


def _makes(scope: Scope, name: str, file: OtherFile, reading: Reading) -> bool:
    """Whether all that a function returns are instances of the class."""
    returned = list(file.tracer.returned(scope))
    return bool(returned) and all(
        isinstance(origin.expression, ast.Call)
        and is_construction(
            Called(origin.expression, origin.scope, scope.place), name, file, reading
        )
        for origin in returned
    )


def _call(scope: Scope, sight: Sight) -> Iterator[Candidate]:
    assert scope.function is not None
    bindings: dict[str, str] = {}
    words: list[str] = []
    for parameter in parameters_of(scope.function.args, bound=False):
        if not parameter.optional:
            closed = Callers(sight)(parameter.name, scope)
            text = closed.texts[0] if closed else sight.reading.project.value(parameter.name)
            if text is None:
                return
            words.append(f"{parameter.name}={text}")
            bindings |= dict(closed.bindings) if closed else {}
    made = sight.own(scope.function.name)
    if made is not None:
        constructor = f"{made}({', '.join(words)})"
        yield Candidate(BuiltFrom.FACTORY, constructor, None, tuple(bindings.items()))
