"""By which method a model runs that has no forward of its own."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping

from torch import nn

from gradlint.worker.attempt import tried

_MOST = 3
_TRAINING = re.compile(
    r"_.*|(set|save|load|init|reset|configure|freeze|export|print|plot|log|update|optimi[sz]e"
    r"|train|fit|step|backward|test|validat|eval|on)(_.*|$)"
)
"""Methods that are no pass: what begins like this moves, keeps or trains a model."""
_DRAWING = re.compile(r"(sample|generat|predict|infer|reconstruct|act|visuali[sz]e|inverse)\w*")
"""Passes of a trained model, which come after others that see as much of it."""
_WITHOUT_GRADIENT = re.compile(r"\b(no_grad|inference_mode)\b")


def entries(model: nn.Module) -> tuple[str, ...]:
    """The methods that may stand for `forward`, those that use most of the parameters first.

    A method takes an argument and uses parts of the model, by itself or through methods that it
    calls; which ones is read from its source.
    """
    methods = dict(_methods(type(model)))
    sizes = {
        name: sum(parameter.numel() for parameter in part.parameters())
        for name, part in model.named_children()
    }
    sizes |= {name: parameter.numel() for name, parameter in model.named_parameters(recurse=False)}
    used = {
        name: sum(sizes[part] for part in _reached(name, methods) if part in sizes)
        for name, tree in methods.items()
        if _takes(tree) and not _TRAINING.match(name)
        if not _WITHOUT_GRADIENT.search(ast.unparse(tree))
    }
    ranked = sorted(used, key=lambda name: (-used[name], bool(_DRAWING.match(name))))
    return tuple(name for name in ranked if used[name])[:_MOST]


def _methods(kind: type) -> Iterator[tuple[str, ast.FunctionDef]]:
    """The methods that the classes of a model define themselves, those of its bases first."""
    own = [base for base in reversed(kind.__mro__) if issubclass(base, nn.Module)]
    for base in own[own.index(nn.Module) + 1 :]:
        for name, value in vars(base).items():
            if inspect.isfunction(value):
                source = tried(lambda value=value: textwrap.dedent(inspect.getsource(value))).value
                parsed = tried(ast.parse, source).value if isinstance(source, str) else None
                match parsed:
                    case ast.Module(body=[ast.FunctionDef() as tree]):
                        yield name, tree


def _takes(tree: ast.FunctionDef) -> bool:
    """Whether a method takes an argument beside `self`."""
    return len(tree.args.args) > 1


def _reached(name: str, methods: Mapping[str, ast.FunctionDef]) -> set[str]:
    """The attributes of `self` that a method names, and those that the methods it names do."""
    found: set[str] = set()
    pending = [name]
    while pending:
        for node in ast.walk(methods[pending.pop()]):
            match node:
                case ast.Attribute(value=ast.Name(id="self"), attr=attr) if attr not in found:
                    found.add(attr)
                    pending += [attr] if attr in methods else []
    return found
