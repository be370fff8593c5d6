"""Where the value of a variable comes from, and expressions closed over what they need."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from dataclasses import dataclass, field

from gradlint.discovery.arguments import click_default, is_parsed, namespace
from gradlint.discovery.expressions import (
    cleaned,
    free_names,
    is_harmless,
    substituted,
    unwrapped,
)
from gradlint.discovery.imports import Imports
from gradlint.discovery.names import conventional
from gradlint.discovery.outline import Binding, Called, Outline, Scope

_DEEPEST = 12
_MOST_BINDINGS = 40
_LONGEST = 4000
"""Characters of one expression; a longer one is a table of data."""


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """An expression together with the scope and line at which its names have their meaning."""

    expression: ast.expr
    scope: Scope
    line: int


@dataclass(frozen=True, slots=True)
class Closed:
    """Expressions as text, with the bindings they need, in order of evaluation."""

    texts: tuple[str, ...]
    bindings: tuple[tuple[str, str], ...]


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
        if name.startswith("self."):
            owner = scope.class_around
            bound = owner.bindings.get(name, []) if owner else []
            return _reaching(
                [item for item in bound if item.scope is not scope or item.line < line]
            )
        for around in scope.outward:
            if around.is_class and around is not scope:
                continue
            bound = around.bindings.get(name, [])
            if around is scope:
                bound = [binding for binding in bound if binding.line < line]
            if bound:
                return _reaching(bound)
            if name in _parameters(around):
                return []
        return []

    def argument(self, name: str, scope: Scope) -> Placed | None:
        """What a parameter is given: its default, a click option's, or by a call in the file."""
        holder = next((around for around in scope.outward if name in _parameters(around)), None)
        if holder is None or holder.function is None:
            return None
        for called in self.callers(holder):
            if (
                called.scope is not holder
                and (given := _given(called.node, holder, name)) is not None
            ):
                return Placed(given, called.scope, called.node.lineno)
        default = _parameters(holder)[name] or click_default(holder.function, name)
        around = holder.parent or holder
        return Placed(default, around, holder.function.lineno) if default is not None else None

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

    def close(self, *wanted: Placed, guess: bool = False) -> Closed | None:
        """The expressions as text with the bindings they need; None where one is not harmless.

        With `guess`, a parameter that nothing gives a value has the one that is usual for its name.
        """
        closure = _Closure(self, guess)
        texts = [closure.add(placed, 0) for placed in wanted]
        if any(text is None for text in texts):
            return None
        return Closed(tuple(ast.unparse(text) for text in texts if text), tuple(closure.bindings))


class _Closure:
    """Bindings being collected; names of different scopes that collide are renamed."""

    def __init__(self, tracer: Tracer, guess: bool) -> None:
        self.tracer = tracer
        self.guess = guess
        self.bindings: list[tuple[str, str]] = []
        self.taken: set[str] = set()
        self.known: dict[object, str] = {}

    def add(self, placed: Placed, depth: int) -> ast.expr | None:
        """The expression with its names as they are bound here, None where one cannot be."""
        expression = cleaned(placed.expression, self.tracer.imports)
        if depth > _DEEPEST or not is_harmless(expression, self.tracer.imports):
            return None
        names: dict[str, str] = {}
        for name in free_names(expression, of_self=True):
            bound = self._bind(name, placed.scope, placed.line, depth)
            if bound is None:
                return None
            names[name] = bound
        return substituted(expression, names)

    def _bind(self, name: str, scope: Scope, line: int, depth: int) -> str | None:
        """The name under which a variable is to be had, None where its value is not in sight."""
        reaching = self.tracer.bindings(name, scope, line)
        if reaching:
            return self._bind_value(name, reaching[0], depth)
        if any(name in _parameters(around) for around in scope.outward):
            return self._bind_parameter(name, scope, depth)
        if name in self.tracer.imports.late:
            late = ast.parse(self.tracer.imports.late[name], mode="eval").body
            return self._store(("import", name), name, late)
        return name if self._is_global(name) else None

    def _bind_value(self, name: str, binding: Binding, depth: int) -> str | None:
        key: object = id(binding)
        if key in self.known:
            return self.known[key]
        value, scope = binding.value, binding.scope
        if value is not None and is_parsed(value, self.tracer.outline):
            return self._bind_options(name)
        fixed = value is not None and name not in scope.mutated
        if fixed and value is not None:
            added = self.add(Placed(value, scope, binding.line), depth + 1)
            if added is not None:
                return self._store(key, name, added)
        # Because what the module does at its top level has been done when it was imported.
        at_import = scope.is_module and not binding.place.main and binding.place.loop is None
        return name if at_import and name not in self.taken else None

    def _bind_parameter(self, name: str, scope: Scope, depth: int) -> str | None:
        holder = next(around for around in scope.outward if name in _parameters(around))
        key: object = (id(holder), name)
        if key in self.known:
            return self.known[key]
        given = self.tracer.argument(name, scope)
        if given is not None:
            if is_parsed(given.expression, self.tracer.outline):
                return self._bind_options(name)
            added = self.add(given, depth + 1)
        else:
            usual = conventional(name) if self.guess else None
            added = ast.parse(usual, mode="eval").body if usual else None
        return self._store(key, name, added) if added is not None else None

    def _bind_options(self, name: str) -> str | None:
        key = "parsed arguments"
        if key not in self.known:
            words = []
            for option, value in namespace(self.tracer.outline).items():
                placed = Placed(value, self.tracer.outline.module, _END)
                if (added := self.add(placed, _DEEPEST)) is not None:
                    words.append(f"{option}={ast.unparse(added)}")
            text = f"__import__('types').SimpleNamespace({', '.join(words)})"
            return self._store(key, name, ast.parse(text, mode="eval").body)
        return self.known[key]

    def _store(self, key: object, name: str, value: ast.expr) -> str | None:
        if isinstance(value, ast.Name) and value.id in self.taken:
            self.known[key] = value.id
            return value.id
        if key in self.known:
            return self.known[key]
        text = ast.unparse(value)
        if len(self.bindings) >= _MOST_BINDINGS or len(text) > _LONGEST:
            return None
        plain = name.replace(".", "_")
        number, free = 1, plain
        while free in self.taken or (plain == name and number == 1 and self._is_definition(plain)):
            number += 1
            free = f"{plain}_{number}"
        self.taken.add(free)
        self.known[key] = free
        self.bindings.append((free, text))
        return free

    def _is_definition(self, name: str) -> bool:
        imports = self.tracer.imports
        imported = name in imports.names and name not in imports.late
        return imported or name in self.tracer.outline.defined

    def _is_global(self, name: str) -> bool:
        return (
            self._is_definition(name)
            or hasattr(builtins, name)
            or (bool(self.tracer.imports.stars) and not name.startswith("self."))
        )


_END = 1 << 30


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
