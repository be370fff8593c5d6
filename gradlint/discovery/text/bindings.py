"""Where the value of a variable comes from."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from gradlint.discovery.text.expressions import unwrapped
from gradlint.discovery.text.given import decorated, fixture
from gradlint.discovery.text.imports import Imports
from gradlint.discovery.text.outline import Binding, Called, Outline, Scope

THE_END = 1 << 30
"""A line after every other, where all bindings of a scope have been made."""
_DEEPEST = 12


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """An expression together with the scope and line at which its names have their meaning."""

    expression: ast.expr
    scope: Scope
    line: int


@dataclass(frozen=True, slots=True, eq=False)
class Tracer:
    """Follows names of one file to their values, through scopes, parameters and calls."""

    outline: Outline
    imports: Imports
    _calls: dict[str, list[Called]] = field(default_factory=dict)

    def callers(self, function: Scope) -> list[Called]:
        """The calls by the name of a function or method; of `__init__`, those of its class."""
        if not self._calls:
            for called in self.outline.calls:
                callee = called.node.func
                if isinstance(callee, (ast.Name, ast.Attribute)):
                    name = callee.id if isinstance(callee, ast.Name) else f".{callee.attr}"
                    self._calls.setdefault(name, []).append(called)
        if function.function is None or function.parent is None:
            return []
        name, around = function.function.name, function.parent
        if not isinstance(around.node, ast.ClassDef):
            return self._calls.get(name, [])
        return self._calls.get(around.node.name if name == "__init__" else f".{name}", [])

    def bindings(self, name: str, scope: Scope, line: int) -> list[Binding]:
        """What a variable may be bound to at a line: one binding, or those of all branches."""
        return _reaching(self.bound(name, scope, line))

    def bound(self, name: str, scope: Scope, line: int) -> list[Binding]:
        """All that a variable is bound to before a line, in the innermost scope that binds it."""
        if name.startswith("self."):
            owner = scope.class_around
            bound = owner.bindings.get(name, []) if owner else []
            return [item for item in bound if item.scope is not scope or item.line < line]
        for around in scope.outward:
            if around.is_class and around is not scope:
                continue
            bound = around.bindings.get(name, [])
            if around is scope:
                bound = [binding for binding in bound if binding.line < line]
            if bound:
                return bound
            if name in _parameters(around):
                return []
        return []

    def argument(self, name: str, scope: Scope) -> Placed | None:
        """What a parameter is given: by a call in the file, its default, or by its decorators."""
        holder = holder_of(name, scope)
        if holder is None or holder.function is None:
            return None
        for called in self.callers(holder):
            if (
                called.scope is not holder
                and (given := _given(called.node, holder, name)) is not None
            ):
                return Placed(given, called.scope, called.node.lineno)
        default = _parameters(holder)[name] or decorated(holder.function, name)
        around = holder.parent or holder
        if default is not None:
            return Placed(default, around, holder.function.lineno)
        made = fixture(self.outline.module, name)
        return Placed(made[0], made[1], THE_END) if made else None

    def returned(self, function: Scope) -> Iterator[Placed]:
        """The expressions that made what a function returns."""
        for value in function.returns:
            yield from self.origins(Placed(value, function, value.lineno + 1))

    def origins(self, placed: Placed, depth: int = 0) -> Iterator[Placed]:
        """The expressions that made a value, names followed and wrappers taken off.

        Of a value with several possible origins, such as one for each branch, all are given.
        """
        expression = unwrapped(_prepared(placed.expression), self.imports)
        name = _variable(expression)
        here = Placed(expression, placed.scope, placed.line)
        if name is None or depth > _DEEPEST:
            yield here
            return
        bound = self.bindings(name, placed.scope, placed.line)
        for binding in bound:
            if binding.value is not None:
                yield from self.origins(
                    Placed(binding.value, binding.scope, binding.line), depth + 1
                )
        if not bound:
            given = self.argument(name, placed.scope)
            if given is not None:
                yield from self.origins(given, depth + 1)
            else:
                yield here


def holder_of(name: str, scope: Scope) -> Scope | None:
    """The function around a scope that has a parameter of this name."""
    return next((around for around in scope.outward if name in _parameters(around)), None)


def _reaching(bound: list[Binding]) -> list[Binding]:
    """The last binding, or where it stands in a branch, the last before it that always runs."""
    if not bound or not bound[-1].place.conditional:
        return bound[-1:]
    always = [binding for binding in bound if not binding.place.conditional]
    return always[-1:] or bound


def _parameters(scope: Scope) -> dict[str, ast.expr | None]:
    """The parameters of a function with their defaults, but for `self`."""
    if scope.function is None:
        return {}
    arguments = scope.function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + arguments.defaults
    named = {item.arg: default for item, default in zip(positional, defaults, strict=True)}
    named |= {
        item.arg: default
        for item, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    }
    starred = [item.arg for item in (arguments.vararg, arguments.kwarg) if item]
    named |= dict.fromkeys(starred)
    named.pop("self", None)
    return named


def _given(call: ast.Call, function: Scope, name: str) -> ast.expr | None:
    """The argument that a call passes for a parameter."""
    for word in call.keywords:
        if word.arg == name:
            return word.value
    names = list(_parameters(function))
    if any(isinstance(item, ast.Starred) for item in call.args) or name not in names:
        return None
    index = names.index(name)
    return call.args[index] if index < len(call.args) else None


def _variable(expression: ast.expr) -> str | None:
    match expression:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=ast.Name(id="self"), attr=attr):
            return f"self.{attr}"
        case _:
            return None


def _prepared(expression: ast.expr) -> ast.expr:
    """The argument behind a result of `accelerator.prepare(model, …)` and the like."""
    match expression:
        case ast.Subscript(
            value=ast.Call(func=ast.Attribute(attr="prepare" | "setup"), args=args),
            slice=ast.Constant(int() as index),
        ) if index < len(args):
            return args[index]
        case ast.Call(func=ast.Attribute(attr="prepare" | "setup"), args=[only], keywords=[]):
            return only
        case ast.Subscript(
            value=ast.Call(func=ast.Attribute(attr="initialize"), keywords=words),
            slice=ast.Constant(int() as index),
        ) if index < 2:
            wanted = ("model", "optimizer")[index]
            given = (word.value for word in words if word.arg == wanted)
            return next(given, expression)
        case _:
            return expression
