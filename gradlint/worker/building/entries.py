"""By which method a model runs that has no forward of its own."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from typing import cast

from torch import nn
from torch.nn.parameter import UninitializedParameter

from gradlint.worker.running.attempt import tried
from gradlint.worker.running.texts import text_of
from gradlint.worker.tracing.call import is_installed

_MOST = 3
_TRAINING = re.compile(
    r"_.*|(set|save|load|init|reset|configure|freeze|export|print|plot|log|update|optimi[sz]e"
    r"|train|fit|step|backward|test|validat|eval|on)(_.*|$)"
)
"""Methods that are no pass: what begins like this moves, keeps or trains a model."""
_DRAWING = re.compile(r"(sample|generat|predict|infer|reconstruct|act|visuali[sz]e|inverse)\w*")
"""Passes of a trained model, which come after others that see as much of it."""
_LOSS = re.compile(r"(\w+_)?(loss|nll|(neg(ative)?_)?log_?likelihood)(_\w+)?")
_WITHOUT_GRADIENT = re.compile(r"\b(no_grad|inference_mode)\b")


def has_forward(model: nn.Module) -> bool:
    """Whether the model has a forward that does more than to ask its base's or to refuse."""
    forward = _forward(model)
    return forward is not None and not _refuses(forward)


def leaves_forward_open(model: nn.Module) -> bool:
    """Whether the forward of the model only says that it is not implemented, or nothing."""
    forward = _forward(model)
    return forward is not None and _refuses(forward)


def is_open(kind: type) -> bool:
    """Whether a class defines a forward that does nothing, and leaves it to subclasses."""
    for base in kind.__mro__:
        if base is nn.Module:
            return False
        if "forward" in vars(base):
            tree = _tree(vars(base)["forward"])
            return tree is not None and all(isinstance(part, _IDLE) for part in tree.body)
    return False


_IDLE = (ast.Expr, ast.Pass, ast.Raise)


def learns_by_forward(model: nn.Module) -> bool:
    """Whether something is learned through the forward: no decorator of it turns gradients off."""
    tree = _tree(_forward(model))
    decorators = map(ast.unparse, tree.decorator_list) if tree else ()
    return not any(map(_WITHOUT_GRADIENT.search, decorators))


def _forward(model: nn.Module) -> object | None:
    for kind in type(model).__mro__:
        if kind is nn.Module:
            return None
        if "forward" in vars(kind) and not _hands_on(_tree(vars(kind)["forward"])):
            return cast(object, vars(kind)["forward"])
    return None


def _refuses(forward: object) -> bool:
    if (tree := _tree(forward)) is not None and all(map(_says_nothing, tree.body)):
        return True
    match raised_by(forward):
        case ast.Raise(exc=ast.expr() as error):
            return ast.unparse(error).startswith("NotImplementedError")
        case _:
            return False


def _says_nothing(statement: ast.stmt) -> bool:
    match statement:
        case ast.Pass() | ast.Expr(value=ast.Constant()):
            return True
        case _:
            return False


def raised_by(function: object) -> ast.Raise | None:
    """The statement by which a function, or its code, raises where it does nothing else."""
    tree = _tree(function)
    body = [part for part in tree.body if not isinstance(part, ast.Expr)] if tree else []
    match body:
        case [ast.Raise() as only]:
            return only
        case _:
            return None


def entries(model: nn.Module) -> tuple[str, ...]:
    """The methods that may stand for `forward`, those that use most of the parameters first.

    A method takes an argument, gives something back and uses parts of the model, by itself or
    through methods that it calls; which ones is read from its source.
    """
    methods = dict(_methods(type(model)))
    sizes = {
        name: sum(_size(parameter) for parameter in part.parameters())
        for name, part in model.named_children()
    }
    sizes |= {name: _size(parameter) for name, parameter in model.named_parameters(recurse=False)}
    used = {
        name: sum(sizes[part] for part in _reached(name, methods) if part in sizes)
        for name, tree in methods.items()
        if _takes(tree) and _gives(tree) and not _TRAINING.match(name)
        if not _WITHOUT_GRADIENT.search(ast.unparse(tree))
    }
    ranked = sorted(used, key=lambda name: (-used[name], bool(_DRAWING.match(name))))
    return tuple(name for name in ranked if used[name])[:_MOST]


def _size(parameter: nn.Parameter) -> int:
    return 1 if isinstance(parameter, UninitializedParameter) else parameter.numel()


def losses(model: nn.Module) -> tuple[str, ...]:
    """The methods by which a model is trained whose forward only decodes: those that give a loss.

    As of a field of labels whose forward searches the best path, from which no gradient comes.
    """
    return tuple(name for name in entries(model) if _LOSS.fullmatch(name))


def _methods(kind: type) -> Iterator[tuple[str, ast.FunctionDef]]:
    """The methods that the classes of a model define themselves, those of its bases first.

    What a package lends to the user's class, such as a trainer's hooks, is left out.
    """
    for base in reversed(kind.__mro__):
        if issubclass(base, nn.Module) and (is_installed(kind) or not is_installed(base)):
            for name, value in vars(base).items() if base is not nn.Module else ():
                if inspect.isfunction(value) and (tree := _tree(value)) is not None:
                    yield name, tree


def _tree(function: object) -> ast.FunctionDef | None:
    match tried(ast.parse, text_of(function)).value:
        case ast.Module(body=[ast.FunctionDef() as tree]):
            return tree
        case _:
            return None


def _hands_on(tree: ast.FunctionDef | None) -> bool:
    """Whether a forward returns that of its base and does nothing else."""
    match tree.body[-1:] if tree else []:
        case [ast.Return(value=ast.Call(func=ast.Attribute(value=owner, attr="forward")))]:
            others = tree.body[:-1] if tree else []
            return ast.unparse(owner) == "super()" and all(
                isinstance(statement, ast.Expr) for statement in others
            )
        case _:
            return False


def _takes(tree: ast.FunctionDef) -> bool:
    """Whether a method takes an argument beside `self`."""
    return len(tree.args.args) > 1


def _gives(tree: ast.FunctionDef) -> bool:
    """Whether a method returns a value."""
    returned = (node.value for node in ast.walk(tree) if isinstance(node, ast.Return))
    return any(value is not None for value in returned)


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
