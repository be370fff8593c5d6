"""What a model was constructed with, which tells of its inputs even where it keeps none of it."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import cast

from gradlint.protocol.wire import Candidate
from gradlint.worker.attempt import tried
from gradlint.worker.inlining import inlined
from gradlint.worker.recipe import namespace_of
from gradlint.worker.sources import evaluated


def given_to(module: ModuleType, candidate: Candidate) -> Mapping[str, object]:
    """The arguments of a construction by name, defaults as well; {} where they cannot be told.

    What is no literal is left out, because to evaluate it might take as long as to build the model.
    """
    parsed = tried(lambda: ast.parse(inlined(candidate).strip(), mode="eval").body)
    call = parsed.value
    if not isinstance(call, ast.Call):
        return {}
    callee = tried(evaluated, ast.unparse(call.func), namespace_of(module, candidate)).value
    values = [_literal(item) for item in call.args]
    words = {word.arg: _literal(word.value) for word in call.keywords if word.arg}
    bound = tried(lambda: _bound(cast(Callable[..., object], callee), values, words)).value
    return bound if isinstance(bound, dict) else {}


def _bound(
    callee: Callable[..., object], values: list[object], words: dict[str, object]
) -> dict[str, object]:
    bound = inspect.signature(callee).bind_partial(*values, **words)
    bound.apply_defaults()
    return {name: value for name, value in bound.arguments.items() if value is not _OPEN}


_OPEN = object()
"""Stands for what is no literal."""


def _literal(node: ast.expr) -> object:
    outcome = tried(ast.literal_eval, node)
    return _OPEN if outcome.error is not None else outcome.value
