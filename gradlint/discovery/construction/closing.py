"""Expressions closed over what they need: as text, with the bindings of their variables."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeGuard

from gradlint.discovery.construction.parameters import all_parameters, given_arguments
from gradlint.discovery.construction.signatures import Filling
from gradlint.discovery.knowledge.names import conventional
from gradlint.discovery.project.reading import Reading
from gradlint.discovery.text.arguments import is_parsed, namespace
from gradlint.discovery.text.bindings import THE_END, Placed, Tracer, holder_of
from gradlint.discovery.text.branches import settled
from gradlint.discovery.text.expressions import (
    cleaned,
    free_names,
    is_harmless,
    substituted,
    unwrapped,
)
from gradlint.discovery.text.outline import Binding, Scope
from gradlint.discovery.text.trees import walk

_DEEPEST = 12
_MOST_BINDINGS = 40
_LONGEST = 4000
"""Characters of one expression; a longer one is a table of data."""
_OPTIONS = re.compile(r"args|arguments|opts?|options|flags|FLAGS|hparams|params|cfg|config")


@dataclass(frozen=True, slots=True)
class Closed:
    """Expressions as text, with the bindings they need, in order of evaluation.

    `guessed` says that usual values stand in them for what is not in sight.
    """

    texts: tuple[str, ...]
    bindings: tuple[tuple[str, str], ...]
    guessed: bool = False


Abroad = Callable[[str, Scope], Closed | None]
"""What another file gives a parameter of a function or constructor of this one, closed there."""


def close(
    tracer: Tracer,
    *wanted: Placed,
    guess: bool = False,
    models: Reading | None = None,
    abroad: Abroad | None = None,
) -> Closed | None:
    """The expressions as text with the bindings they need; None where one is not harmless.

    With `guess`, a parameter that nothing gives a value has the one that is usual for its name. Of
    a construction of one of the `models` it is enough that some of the arguments are in sight: the
    others are left to their defaults or have the values that are usual for them. What nothing in
    the file gives a parameter may be given `abroad`.
    """
    closure = _Closure(tracer, guess, models, abroad)
    texts = [closure.add(placed, 0) for placed in wanted]
    if any(text is None for text in texts):
        return None
    written = tuple(ast.unparse(text) for text in texts if text)
    return Closed(written, tuple(closure.bindings), closure.guessed)


class _Closure:
    """Bindings being collected; names of different scopes that collide are renamed."""

    def __init__(
        self, tracer: Tracer, guess: bool, models: Reading | None, abroad: Abroad | None
    ) -> None:
        self.tracer = tracer
        self.guess = guess
        self.models = models
        self.abroad = abroad
        self.guessed = False
        self.bindings: list[tuple[str, str]] = []
        self.taken: set[str] = set()
        self.known: dict[object, str] = {}

    def add(self, placed: Placed, depth: int) -> ast.expr | None:
        """The expression with its names as they are bound here, None where one cannot be."""
        if depth > _DEEPEST:
            return None
        added = self._whole(placed, depth)
        return self._completed(placed, depth) if added is None and self.models else added

    def _whole(self, placed: Placed, depth: int) -> ast.expr | None:
        expression = cleaned(placed.expression, self.tracer.imports)
        if not is_harmless(expression, self.tracer.imports):
            return None
        names: dict[str, str] = {}
        for name in free_names(expression, of_self=True):
            bound = self._bind(name, placed.scope, placed.line, depth)
            if bound is None and self.guess and _is_only_measured(name, expression):
                self.guessed, bound = True, self._open(name)
            if bound is None:
                return None
            names[name] = bound
        return substituted(expression, names)

    def _open(self, name: str) -> str | None:
        """A name that nothing has, so that the worker takes usual sizes for what it is to be."""
        if name in self.taken or self._is_global(name) or not name.isidentifier():
            return None
        return name

    def _completed(self, placed: Placed, depth: int) -> ast.expr | None:
        """A construction of a model of which only some arguments are in sight."""
        call, reading = unwrapped(placed.expression, self.tracer.imports), self.models
        name = reading.called_class(call, placed.scope) if reading else ""
        if reading is None or not name or not isinstance(call, ast.Call):
            return None
        parameters = all_parameters(reading, name)
        values: dict[str, ast.expr] = {}
        for key, argument in given_arguments(_bare(call, placed.scope), parameters).items():
            added = self.add(Placed(argument, placed.scope, placed.line), depth + 1)
            values |= {key: added} if added is not None else {}
        usual = Filling(reading, name, 0).lacking(values) if values else None
        if usual is None:
            return None
        self.guessed |= bool(usual)
        values |= {key: ast.parse(text, mode="eval").body for key, text in usual.items()}
        order = dict.fromkeys((*(parameter.name for parameter in parameters), *values))
        words = [ast.keyword(key, values[key]) for key in order if key in values]
        return ast.Call(call.func, [], words)

    def _bind(self, name: str, scope: Scope, line: int, depth: int) -> str | None:
        """The name under which a variable is to be had, None where its value is not in sight."""
        binding = settled(self.tracer, name, scope, line)
        if binding is not None:
            return self._bind_value(name, binding, depth)
        if (holder := holder_of(name, scope)) is not None:
            return self._bind_parameter(name, holder, scope, depth)
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

    def _bind_parameter(self, name: str, holder: Scope, scope: Scope, depth: int) -> str | None:
        key: object = (id(holder), name)
        if key in self.known:
            return self.known[key]
        given = self.tracer.argument(name, scope)
        if given is not None:
            if is_parsed(given.expression, self.tracer.outline):
                return self._bind_options(name)
            added = self.add(given, depth + 1)
        elif nothing := _nothing_more(name, holder):
            added = nothing
        elif (given_abroad := self._given_abroad(name, holder)) is not None:
            added = given_abroad
        elif _OPTIONS.fullmatch(name) and namespace(self.tracer.outline):
            return self._bind_options(name)  # because another process calls the function with them
        else:
            usual = self._usual(name, holder) if self.guess else None
            added = ast.parse(usual, mode="eval").body if usual else None
            self.guessed |= added is not None
        return self._store(key, name, added) if added is not None else None

    def _given_abroad(self, name: str, holder: Scope) -> ast.expr | None:
        """What another file gives a parameter; None where its names are taken here."""
        closed = self.abroad(name, holder) if self.abroad is not None else None
        own = dict(self.bindings)
        if closed is None or any(own.get(key, text) != text for key, text in closed.bindings):
            return None
        new = [(key, text) for key, text in closed.bindings if key not in own]
        self.taken.update(key for key, _ in new)
        self.bindings += new
        return ast.parse(closed.texts[0], mode="eval").body

    def _usual(self, name: str, holder: Scope) -> str | None:
        """The value that is usual for a parameter, of a model's constructor what fits its use."""
        reading, owner = self.models, holder.parent.name if holder.parent else ""
        constructs = holder.function is not None and holder.function.name == "__init__"
        if reading is None or not constructs or owner not in reading.model_classes:
            return conventional(name)
        parameters = (item for item in all_parameters(reading, owner) if item.name == name)
        values = (Filling(reading, owner, 1).value(parameter) for parameter in parameters)
        return next(values, None) or conventional(name)

    def _bind_options(self, name: str) -> str | None:
        key = "parsed arguments"
        if key not in self.known:
            words = []
            for option, value in namespace(self.tracer.outline).items():
                placed = Placed(value, self.tracer.outline.module, THE_END)
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


def _is_only_measured(name: str, expression: ast.expr) -> bool:
    """Whether an expression asks a variable for its sizes only, as `X.shape[1]` and `len(vocab)`.

    As of data that are loaded in the function that makes a model.
    """
    measured: set[ast.AST] = set()
    for node in walk(expression):
        match node:
            case (
                ast.Subscript(value=ast.Attribute(value=owner, attr="shape"))
                | ast.Call(func=ast.Attribute(value=owner, attr="size" | "nunique"))
                | ast.Call(func=ast.Name(id="len"), args=[owner])
            ):
                measured.update(walk(owner))
    uses = [node for node in walk(expression) if isinstance(node, ast.Name) and node.id == name]
    return all(use in measured for use in uses)


def _nothing_more(name: str, holder: Scope) -> ast.expr | None:
    """What `*args` or `**kwargs` of a function hold where it is given no more than it names."""
    arguments = holder.function.args if holder.function else None
    if arguments is not None and arguments.kwarg is not None and arguments.kwarg.arg == name:
        return ast.Dict([], [])
    if arguments is not None and arguments.vararg is not None and arguments.vararg.arg == name:
        return ast.Tuple([], ast.Load())
    return None


def _bare(call: ast.Call, scope: Scope) -> ast.Call:
    """A call without what a function around it spreads of its own `*args` and `**kwargs`."""

    def is_nothing(value: ast.expr) -> bool:
        holder = holder_of(value.id, scope) if isinstance(value, ast.Name) else None
        return holder is not None and _nothing_more(ast.unparse(value), holder) is not None

    args = [item for item in call.args if not (_is_spread(item) and is_nothing(item.value))]
    words = [word for word in call.keywords if word.arg or not is_nothing(word.value)]
    return ast.Call(call.func, args, words)


def _is_spread(item: ast.expr) -> TypeGuard[ast.Starred]:
    return isinstance(item, ast.Starred)
