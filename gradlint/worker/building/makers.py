"""Whether a class may make something to train, read from its source where it cannot be built."""

from __future__ import annotations

import ast
import inspect
import sys
from types import FunctionType

import torch
from torch import nn

from gradlint.worker.running.attempt import tried
from gradlint.worker.running.texts import text_of

_DEEPEST = 3
_REGISTERING = frozenset("register_parameter register_module add_module".split())


def may_train(kind: object) -> bool:
    """Whether a module class, a base of it or a function that they call names a layer or parameter.

    True as well of what is no class, and where a source cannot be read. A layer is what may train.
    """
    return not isinstance(kind, type) or _trains(kind, frozenset(), 0)


def _trains(kind: type, seen: frozenset[type], depth: int) -> bool:
    own = seen.union(kind.__mro__)
    bases = (base for base in kind.__mro__ if base not in _PLAIN)
    return depth >= _DEEPEST or any(_names_layers(base, own, depth) for base in bases)


_PLAIN = frozenset({object, nn.Module})
_WITHOUT_WEIGHTS = frozenset("distance dropout flatten fold padding pooling upsampling".split())
"""The modules of `torch.nn.modules` whose layers hold nothing that is trained."""


def _names_layers(item: type | FunctionType, own: frozenset[type], depth: int) -> bool:
    source = text_of(item)
    parsed = tried(ast.parse, source).value if source else None
    if item.__module__.startswith("torch.nn."):
        kind = item.__module__.rpartition(".")[2]
        return item is not nn.Identity and kind not in _WITHOUT_WEIGHTS
    if not isinstance(parsed, ast.AST):
        return True
    namespace = vars(sys.modules.get(item.__module__, object))
    for node in ast.walk(parsed):
        if isinstance(node, ast.Attribute) and node.attr in _REGISTERING:
            return True
        value = _value(node, namespace)
        part = value if isinstance(value, type) and issubclass(value, _TRAINED) else None
        if part is not None and part not in own and _trains(part, own, depth + 1):
            return True
        if isinstance(value, FunctionType) and value is not item and depth < _DEEPEST:
            outside = value.__module__.startswith("torch.")
            if not outside and _names_layers(value, own, depth + 1):
                return True
    return False


_TRAINED = (nn.Module, torch.nn.Parameter)


def _value(node: ast.AST, namespace: dict[str, object]) -> object:
    """What a name or a dotted name stands for in a module, None for anything else."""
    match node:
        case ast.Name(id=name):
            return namespace.get(name)
        case ast.Attribute(value=owner, attr=attr):
            held = _value(owner, namespace)
            return tried(getattr, held, attr).value if inspect.ismodule(held) else None
        case _:
            return None
