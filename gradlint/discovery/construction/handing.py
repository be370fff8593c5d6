"""What is read of a constructor's argument: in its class, and in all that this hands it on to."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

from gradlint.discovery.construction.keeping import Handed, Keeping, Parts
from gradlint.discovery.construction.parameters import given_arguments, parameters_of
from gradlint.discovery.project.neighbours import ClassOutline, ModuleOutline
from gradlint.discovery.project.reading import Reading
from gradlint.discovery.text.outline import Scope

_FARTHEST = 5
"""Classes through which an argument is handed: model, encoder, stack, layer, attention."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A class with the file that it stands in."""

    scope: Scope
    module: ModuleOutline


def parts_handed(reading: Reading, scope: Scope, name: str) -> Parts:
    """What a class of the file reads of the constructor's argument `name`, by itself or by others.

    Others are the classes of the project that it constructs with the argument or with a part of it,
    and the one whose constructor it inherits and calls.
    """
    return _parts(reading, Owner(scope, reading.module), name, ())


def _parts(reading: Reading, owner: Owner, name: str, seen: tuple[tuple[int, str], ...]) -> Parts:
    keeping = Keeping.of(owner.scope, name)
    found, key = copy.deepcopy(keeping.parts()), (id(owner.scope), name)
    if key in seen or len(seen) >= _FARTHEST:
        return found
    for handed in keeping.handed():
        taker = _taker(reading, owner, handed.call)
        if taker is not None and (parameter := _parameter(taker.scope, handed)):
            found.at(handed.path).add(_parts(reading, taker, parameter, (*seen, key)))
    return found


def _taker(reading: Reading, owner: Owner, call: ast.Call) -> Owner | None:
    """The class of the project that defines the constructor which a call runs."""
    around = reading.neighbourhood
    match call.func:
        case ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr="__init__"):
            lineage = around.lineage(owner.scope.name, owner.module).classes[1:]
        case ast.Name() | ast.Attribute():
            name = owner.module.imports.qualified(call.func)
            lineage = around.lineage(name, owner.module).classes
        case _:
            return None
    return next(_constructors(reading, lineage), None)


def _constructors(
    reading: Reading, lineage: tuple[tuple[ClassOutline, ModuleOutline], ...]
) -> Iterator[Owner]:
    for outlined, module in lineage:
        if outlined.init is not None:
            same = module.path == reading.module.path
            other = None if same else reading.project.parsed(module.path)
            outline = reading.outline if same else other.outline if other else None
            for scope in outline.classes if outline else ():
                if scope.name == outlined.name:
                    yield Owner(scope, module)


def _parameter(taker: Scope, handed: Handed) -> str:
    """The constructor's name for what it is handed, "" where the call does not tell."""
    init = taker.method("__init__")
    if init is None or init.function is None:
        return ""
    given = given_arguments(handed.call, parameters_of(init.function.args))
    return next((name for name, value in given.items() if value is handed.argument), "")
