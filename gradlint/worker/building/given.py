"""What a model was constructed with, which tells of its inputs even where it keeps none of it."""

from __future__ import annotations

import ast
import collections
import inspect
import itertools
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import cast

from gradlint.protocol.wire import Candidate
from gradlint.worker.building.inlining import inlined
from gradlint.worker.building.sources import evaluated
from gradlint.worker.running.attempt import tried


def given_to(module: ModuleType, candidate: Candidate) -> Mapping[str, object]:
    """The arguments of a construction by name, defaults as well; {} where they cannot be told.

    Those of the constructions inside of it count where it has none of that name. What is no literal
    is left out, because to evaluate it might take as long as to build the model.
    """
    parsed = tried(lambda: ast.parse(inlined(candidate).strip(), mode="eval").body)
    call = parsed.value
    if not isinstance(call, ast.Call):
        return {}
    # the bindings stand in the text already: to evaluate them would build parts of the model again
    callee = tried(evaluated, ast.unparse(call.func), dict(vars(module))).value
    plain = itertools.takewhile(lambda item: not isinstance(item, ast.Starred), call.args)
    values, words = list(map(_literal, plain)), _words(call)
    bound = tried(lambda: _bound(cast(Callable[..., object], callee), values, words)).value
    own = bound if isinstance(bound, dict) else {}
    inner = (_words(node) for node in ast.walk(call) if isinstance(node, ast.Call))
    return dict(collections.ChainMap(own, *inner))


def _words(call: ast.Call) -> dict[str, object]:
    """The keywords of a call whose values are literals."""
    words = ((word.arg, _literal(word.value)) for word in call.keywords)
    return {name: value for name, value in words if name and value is not _OPEN}


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
