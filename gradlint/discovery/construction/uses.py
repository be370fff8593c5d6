"""Where a file constructs its models and calls them, with what arguments."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

from gradlint.discovery.construction.closing import Closed, close
from gradlint.discovery.construction.finishing import finished
from gradlint.discovery.project.reading import Reading
from gradlint.discovery.project.steps import is_backward
from gradlint.discovery.text.bindings import Placed
from gradlint.discovery.text.outline import Called, Scope
from gradlint.protocol.wire import BuiltFrom, Candidate

_MOST = 3
"""Candidates from uses of one model: a fourth seldom builds where three did not."""


class Setting(IntEnum):
    """Where a use stands; the lower, the more it tells about how the model is meant."""

    MAIN = 0
    FUNCTION = 1
    TEST = 2
    MODEL = 3


@dataclass(frozen=True, slots=True, eq=False)
class _Pass:
    called: Called
    method: str


@dataclass(frozen=True, slots=True, eq=False)
class _Use:
    construction: Called
    setting: Setting
    calls: tuple[_Pass, ...] = ()
    by_heir: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Uses:
    """All constructions of model classes in a file, with the calls of what they made."""

    by_model: dict[str, list[_Use]]

    def candidates(self, reading: Reading, name: str) -> tuple[Candidate, ...]:
        """Candidates for a model: those without guesses first, then those with inputs.

        Among these they are ordered by setting, then as in the source.
        """
        return tuple(
            candidate
            for use, candidate in self._ranked(reading, name)
            if not (use.by_heir and _is_guessed(candidate))
        )[:_MOST]

    def of_heirs(self, reading: Reading, name: str) -> tuple[Candidate, ...]:
        """What its subclasses make of a model where they say but a part of it.

        Because that is more particular than the model itself: a critic is a classifier of one.
        """
        return tuple(
            candidate
            for use, candidate in self._ranked(reading, name)
            if use.by_heir and _is_guessed(candidate)
        )[:_MOST]

    def _ranked(self, reading: Reading, name: str) -> list[tuple[_Use, Candidate]]:
        found: dict[Candidate, tuple[tuple[bool, bool, int], _Use, Candidate]] = {}
        for use in self.by_model.get(name, ()):
            for candidate in _candidates(reading, use):
                key = replace(candidate, built_from=BuiltFrom.USE_IN_FILE)
                rank = (_is_guessed(candidate), candidate.inputs is None, use.setting)
                found.setdefault(key, (rank, use, candidate))
        ranked = sorted(found.values(), key=lambda item: item[0])
        return [(use, candidate) for _, use, candidate in ranked]


def _is_guessed(candidate: Candidate) -> bool:
    return candidate.built_from is BuiltFrom.NAMES


def read_uses(reading: Reading) -> Uses:
    """Find every construction of a model class and every call of an instance."""
    by_model: dict[str, list[_Use]] = {}
    for found in reading.outline.calls:
        called = _of_base(reading, found) or found
        name = reading.called_class(called.node, called.scope)
        if name and not _is_inside(called.scope, name):
            passes = tuple(_passes(reading, name, called))
            use = _Use(called, _setting(reading, called), passes, by_heir=called is not found)
            by_model.setdefault(name, []).append(use)
    return Uses(by_model)


def _of_base(reading: Reading, called: Called) -> Called | None:
    """The construction of its base that a subclass makes by `super().__init__(…)`.

    None where it hands on what it is given, because that is not in sight.
    """
    around = called.scope.class_around
    node = around.node if around is not None else None
    match called.node.func:
        case ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr="__init__"):
            base = node.bases[0] if isinstance(node, ast.ClassDef) and node.bases else None
            given = (*called.node.args, *(word.value for word in called.node.keywords if word.arg))
            spread = len(given) < len(called.node.args) + len(called.node.keywords)
            spread |= any(isinstance(item, ast.Starred) for item in given)
            if isinstance(base, ast.Name) and base.id in reading.model_classes and not spread:
                made = ast.Call(base, called.node.args, called.node.keywords)
                return replace(called, node=ast.copy_location(made, called.node))
    return None


def _passes(reading: Reading, name: str, construction: Called) -> Iterator[_Pass]:
    """The calls of an instance: of its forward, without one of methods in a loop that trains."""
    for called in reading.instance_calls.get(construction.node, ()):
        yield _Pass(called, "forward")
    lineage = reading.lineages[name]
    if lineage.has_forward:
        return
    for called in reading.method_calls.get(construction.node, ()):
        callee = called.node.func
        method = callee.attr if isinstance(callee, ast.Attribute) else ""
        if lineage.defines(method) and any(map(is_backward, called.scope.calls)):
            yield _Pass(called, method)


def _setting(reading: Reading, called: Called) -> Setting:
    scope = called.scope
    around = scope.class_around
    if around is not None and around.name in reading.model_classes:
        return Setting.MODEL
    parts = scope.name.lower().split(".")
    if any(part.startswith("test") for part in parts) or (around and "Test" in around.name):
        return Setting.TEST
    return Setting.MAIN if scope.is_module or scope.name == "main" else Setting.FUNCTION


def _is_inside(scope: Scope, name: str) -> bool:
    return any(around.name == name for around in scope.outward)


def _candidates(reading: Reading, use: _Use) -> Iterator[Candidate]:
    called = use.construction
    built = Placed(called.node, called.scope, called.node.lineno)
    guess = use.setting is Setting.MODEL
    # Because inside a model what a part is given is only known when the whole runs.
    for run in () if guess else use.calls:
        closed = close_call(reading, built, run.called)
        if closed is not None:
            yield finished(reading, called.node, replace(closed, method=run.method))
    alone = close(reading.tracer, built, guess=guess, models=reading)
    if alone is not None:
        candidate = Candidate(_source(alone), alone.texts[0], None, alone.bindings)
        yield finished(reading, called.node, candidate)


def close_call(reading: Reading, built: Placed, call: Called, maker: str = "") -> Candidate | None:
    """A construction with the arguments of a call of it; None where one is not in sight.

    `maker` is what gives the model where its construction alone does not.
    """
    node = _learning(call.node)
    arguments = [*node.args, *(word.value for word in node.keywords)]
    # Because `*inputs` is no expression of its own, what is spread is traced and marked again.
    bare = [Placed(_spread(argument), call.scope, call.node.lineno) for argument in arguments]
    wanted = bare if maker else [built, *bare]
    closed = close(reading.tracer, *wanted, models=reading) if arguments else None
    if closed is None:
        return None
    texts = closed.texts[len(wanted) - len(bare) :]
    return Candidate(
        _source(closed), maker or closed.texts[0], _inputs_of(node, texts), closed.bindings
    )


_WITHOUT_GRADIENT = re.compile(r"(\w+_)?no_?grad(_\w+)?")


def _learning(node: ast.Call) -> ast.Call:
    """A call of a model as it is trained: what tells it to keep no gradient tells it to keep it."""
    words = [
        ast.keyword(word.arg, ast.Constant(False))
        if word.arg
        and _WITHOUT_GRADIENT.fullmatch(word.arg)
        and isinstance(word.value, ast.Constant)
        and word.value.value is True
        else word
        for word in node.keywords
    ]
    return ast.Call(node.func, node.args, words)


def _source(closed: Closed) -> BuiltFrom:
    return BuiltFrom.NAMES if closed.guessed else BuiltFrom.USE_IN_FILE


def _inputs_of(call: ast.Call, texts: tuple[str, ...]) -> tuple[str, ...]:
    marks = ["*" if isinstance(argument, ast.Starred) else "" for argument in call.args]
    marks += [f"{word.arg}=" if word.arg else "**" for word in call.keywords]
    return tuple(f"{mark}{text}" for mark, text in zip(marks, texts, strict=True))


def _spread(expression: ast.expr) -> ast.expr:
    return expression.value if isinstance(expression, ast.Starred) else expression
