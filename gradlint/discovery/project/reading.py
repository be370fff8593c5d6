"""One file as read: its text, outline, imports, classes and the project around it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from gradlint.discovery.project.evidence import Project
from gradlint.discovery.project.neighbours import (
    Lineage,
    ModuleOutline,
    Neighbourhood,
    module_outline,
)
from gradlint.discovery.text.bindings import Placed, Tracer
from gradlint.discovery.text.expressions import unwrapped
from gradlint.discovery.text.imports import Imports
from gradlint.discovery.text.lookups import Lookups
from gradlint.discovery.text.outline import Binding, Called, Outline, Scope, outline
from gradlint.discovery.text.source import Source

_DEEPEST = 3
"""Functions through which an instance is followed to its construction."""


class Holder(NamedTuple):
    """A name that a value is bound to, after the calls of `apply` in `chain`."""

    name: str
    binding: Binding
    chain: tuple[ast.Call, ...]


@dataclass(frozen=True, eq=False)
class Reading:
    """What the parts of discovery share about one file; what is derived is computed when wanted."""

    source: Source
    outline: Outline
    module: ModuleOutline
    neighbourhood: Neighbourhood
    tracer: Tracer

    @property
    def imports(self) -> Imports:
        """What the names of the file were imported under."""
        return self.module.imports

    @cached_property
    def project(self) -> Project:
        """The other files of the project."""
        around = self.neighbourhood
        return Project(around.root, self.source.path, around.lookups)

    @cached_property
    def lineages(self) -> dict[str, Lineage]:
        """What each class of the file inherits from."""
        names = self.module.classes
        return {name: self.neighbourhood.lineage(name, self.module) for name in names}

    @cached_property
    def model_classes(self) -> dict[str, Scope]:
        """The classes whose instances are torch modules; the last definition of a name counts."""
        return {
            scope.name: scope
            for scope in self.outline.classes
            if self.lineages[scope.name].is_module
        }

    @cached_property
    def functions(self) -> dict[str, Scope]:
        """The functions at the top level of the file."""
        children = self.outline.module.children
        return {scope.name: scope for scope in children if scope.function}

    @cached_property
    def instance_calls(self) -> dict[ast.Call, list[Called]]:
        """For each construction, the calls of what it made: `net(x)`, `net.forward(x)`."""
        return self._by_construction(_instance)

    @cached_property
    def method_calls(self) -> dict[ast.Call, list[Called]]:
        """For each construction, the calls of methods of what it made: `net.loss(x)`."""
        return self._by_construction(_owner)

    @cached_property
    def holders(self) -> dict[ast.Call, list[Holder]]:
        """For each call, the names that its value is bound to, as in `net = Net().apply(f)`."""
        found: dict[ast.Call, list[Holder]] = {}
        for scope in self.outline.scopes:
            for name, bound in scope.bindings.items():
                for binding in bound:
                    made, chain = self._unchained(binding.value)
                    if made is not None:
                        found.setdefault(made, []).append(Holder(name, binding, chain))
        return found

    def _unchained(self, value: ast.expr | None) -> tuple[ast.Call | None, tuple[ast.Call, ...]]:
        """The call that made a value, and those of `apply` on it, the first one first."""
        chain: list[ast.Call] = []
        while value is not None:
            value = unwrapped(value, self.imports)
            match value:
                case ast.Call(func=ast.Attribute(value=inner, attr="apply")):
                    chain.insert(0, value)
                    value = inner
                case ast.Call():
                    return value, tuple(chain)
                case _:
                    return None, ()
        return None, ()

    def _by_construction(
        self, instance: Callable[[ast.expr], ast.expr | None]
    ) -> dict[ast.Call, list[Called]]:
        found: dict[ast.Call, list[Called]] = {}
        for called in self.outline.calls:
            callee = instance(called.node.func)
            if callee is None or self._is_defined(callee):
                continue
            for made in self._made_by(Placed(callee, called.scope, called.node.lineno), 0):
                found.setdefault(made, []).append(called)
        return found

    def _made_by(self, placed: Placed, depth: int) -> Iterator[ast.Call]:
        """The calls that made a value, those in functions of the file that returned it included."""
        for origin in self.tracer.origins(placed):
            call = origin.expression
            if not isinstance(call, ast.Call):
                continue
            yield call
            name = call.func.id if isinstance(call.func, ast.Name) else ""
            if (function := self.functions.get(name)) and depth < _DEEPEST:
                for value in function.returns:
                    yield from self._made_by(Placed(value, function, value.lineno), depth + 1)

    def _is_defined(self, callee: ast.expr) -> bool:
        """Whether a callee is itself a function, class or import, so no instance of anything."""
        if not isinstance(callee, ast.Name):
            return False
        defined = (self.imports.names, self.functions, self.module.classes)
        return any(callee.id in names for names in defined)

    def local_class(self, written: str, scope: Scope) -> str:
        """The model class of this file that a name means in a scope, "" if it means none."""
        for around in scope.outward:
            name = f"{around.name}.{written}" if around.name else written
            if name in self.model_classes:
                return name
        return ""

    def called_class(self, call: ast.expr, scope: Scope) -> str:
        """The model class of this file that a call constructs, "" if it constructs none."""
        match call:
            case ast.Call(func=ast.Name(id=name)):
                return self.local_class(name, scope)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=outer), attr=attr)):
                return self.local_class(f"{outer}.{attr}", scope)
            case _:
                return ""


def _instance(callee: ast.expr) -> ast.expr | None:
    """The expression for the instance that a call calls, None where it is a method of something."""
    match callee:
        case ast.Name() | ast.Call():
            return callee
        case ast.Attribute(value=ast.Name(id="self")):
            return callee
        case ast.Attribute(value=instance, attr="forward"):
            return instance
        case _:
            return None


def _owner(callee: ast.expr) -> ast.expr | None:
    """The expression for the instance whose method a call calls, None where it calls no method."""
    match callee:
        case ast.Attribute(value=ast.Name(id="self")):
            return None
        case ast.Attribute(value=instance):
            return instance
        case _:
            return None


def read_outline(source: Source, tree: ast.Module, root: Path, lookups: Lookups) -> Reading:
    """The reading of a file that has been parsed."""
    outlined = outline(tree)
    module = module_outline(source.path, tree, outlined)
    tracer = Tracer(outlined, module.imports)
    return Reading(source, outlined, module, Neighbourhood(root, lookups), tracer)
