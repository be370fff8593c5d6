"""Functions and class methods of a file that return one of its models."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from gradlint.discovery.construction.parameters import without_defaults
from gradlint.discovery.knowledge.names import conventional
from gradlint.discovery.project.reading import Reading
from gradlint.discovery.text.bindings import Placed
from gradlint.discovery.text.outline import Function, Scope
from gradlint.protocol.wire import BuiltFrom, Candidate

_MOST = 3
_DEEPEST = 4
_SIZES = (
    "atto femto pico nano micro mini xxs xs xxsmall xsmall tiny small s m medium base b l large"
    " xl xlarge huge giant"
).split()
_SOME_NAME = "base"
UNTRIED = re.compile(r"_*(test|train|main|load|run|eval|get_data|download|from_pretrained)(_\w+)?")


def factories(reading: Reading) -> dict[str, tuple[Candidate, ...]]:
    """For each model, the functions that make it, the smallest first, judged by their names.

    A function counts if it stands at the top level, needs no arguments and returns an instance,
    directly or through other functions. Names are compared with numbers as numbers (`resnet18`
    before `resnet50` before `resnet101`) and sizes as sizes (`tiny` before `base`): a smaller
    member of a family has the same structure and is traced sooner.
    """
    found: dict[str, list[Function]] = {}
    for name, scope in reading.functions.items():
        function = scope.function
        if function is None or scope.place.main or not _is_callable(function):
            continue
        if UNTRIED.fullmatch(name):
            continue
        for model in dict.fromkeys(returned_models(reading, scope)):
            found.setdefault(model, []).append(function)
    return {model: _candidates(functions) for model, functions in found.items()}


def alternatives(reading: Reading, name: str) -> Iterator[Candidate]:
    """The class methods that construct a model, as `Net.from_name("small")`, with usual values.

    Those that load something are left out.
    """
    for scope in reading.model_classes[name].children:
        function = scope.function
        if function is None or UNTRIED.fullmatch(function.name) or not _is_alternative(scope):
            continue
        needed = without_defaults(function.args)
        words = (f"{item.name}={conventional(item.name) or _SOME_NAME!r}" for item in needed)
        yield Candidate(BuiltFrom.NAMES, f"{name}.{function.name}({', '.join(words)})")


def _is_alternative(scope: Scope) -> bool:
    """Whether a method is a class method that returns an instance made of what it is given."""
    decorators = getattr(scope.node, "decorator_list", ())
    if all(ast.unparse(item) != "classmethod" for item in decorators):
        return False
    made = {
        target.id
        for node in scope.nodes(ast.Assign)
        if _makes_own(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return any(
        _makes_own(value) or (isinstance(value, ast.Name) and value.id in made)
        for value in scope.returns
    )


def _makes_own(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and ast.unparse(value.func) == "cls"


def returned_models(reading: Reading, scope: Scope, depth: int = 0) -> Iterator[str]:
    """The model classes of the file whose instances a function returns."""
    for origin in reading.tracer.returned(scope):
        yield from _made(reading, origin, depth)


def _made(reading: Reading, origin: Placed, depth: int) -> Iterator[str]:
    call = origin.expression
    if not isinstance(call, ast.Call):
        return
    model = reading.called_class(call, origin.scope)
    if model:
        yield model
        return
    callee = call.func
    function = reading.functions.get(callee.id) if isinstance(callee, ast.Name) else None
    if function is not None and depth < _DEEPEST:
        yield from returned_models(reading, function, depth + 1)
    elif call.args and isinstance(call.args[0], ast.Name):
        # Because registries of models take the class first: build_model_with_cfg(ResNet,
        # 'resnet18').
        model = reading.local_class(call.args[0].id, origin.scope)
        if model and isinstance(callee, ast.Name):
            yield model


def _is_callable(function: Function) -> bool:
    arguments = function.args
    positional = len(arguments.posonlyargs) + len(arguments.args)
    needed = positional - len(arguments.defaults) + sum(d is None for d in arguments.kw_defaults)
    return needed == 0 and isinstance(function, ast.FunctionDef)


def _candidates(functions: list[Function]) -> tuple[Candidate, ...]:
    ordered = sorted(functions, key=lambda function: _size(function.name))
    return tuple(
        Candidate(BuiltFrom.FACTORY, f"{function.name}({_offline(function)})")
        for function in ordered[:_MOST]
    )


def _size(name: str) -> tuple[object, ...]:
    """A key that sorts names of a family by size."""
    words = re.split(r"(\d+)|_", name.lower())
    size = next((_SIZES.index(word) for word in words if word in _SIZES), _SIZES.index("base"))
    numbers = tuple((0, int(w), "") if w.isdigit() else (1, 0, w) for w in words if w)
    return (name.startswith("_"), size, numbers)


def _offline(function: Function) -> str:
    """The argument that keeps a factory from fetching weights."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [*arguments.defaults[::-1], *([None] * len(positional))][: len(positional)][::-1]
    named = dict(zip((item.arg for item in positional), defaults, strict=True))
    named |= dict(
        zip((item.arg for item in arguments.kwonlyargs), arguments.kw_defaults, strict=True)
    )
    default = named.get("pretrained")
    if default is None or (isinstance(default, ast.Constant) and default.value is False):
        return ""
    return "pretrained=False"
