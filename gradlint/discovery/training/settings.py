"""Which optimizer, learning rate, loss and model a training loop works with."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gradlint.discovery.construction.factories import returned_models
from gradlint.discovery.construction.models import Models
from gradlint.discovery.knowledge.optimizers import default_learning_rate, family_of, is_optimizer
from gradlint.discovery.project.reading import Reading
from gradlint.discovery.project.steps import loss_class
from gradlint.discovery.text.bindings import Placed
from gradlint.discovery.text.constants import NotConstantError, constant, number
from gradlint.discovery.text.outline import Called, Scope
from gradlint.discovery.text.trees import walk
from gradlint.protocol.span import Span
from gradlint.protocol.training import OptimizerFamily, Training

_DEEPEST = 3
_MOST_LOOKED_AT = 60
"""Values that are looked at in search of a loss; it is seldom more than three assignments away."""


@dataclass(frozen=True, slots=True, eq=False)
class Optimizer:
    """The construction of an optimizer and where it stands."""

    call: ast.Call
    scope: Scope
    name: str
    qualified: str

    @property
    def family(self) -> OptimizerFamily:
        """What it does with a small gradient."""
        return family_of(self.name)


def optimizers_of(reading: Reading, placed: Placed, depth: int = 0) -> Iterator[Optimizer]:
    """The optimizer constructions behind an expression, through functions of the file."""
    for origin in reading.tracer.origins(placed):
        call = origin.expression
        if not isinstance(call, ast.Call):
            continue
        qualified = reading.imports.qualified(call.func)
        if is_optimizer(qualified):
            yield Optimizer(call, origin.scope, qualified.rpartition(".")[2], qualified)
        elif depth < _DEEPEST:
            for function in functions_called(reading, call):
                for value in function.returns:
                    returned = Placed(value, function, value.lineno)
                    yield from optimizers_of(reading, returned, depth + 1)


def functions_called(reading: Reading, call: ast.Call) -> list[Scope]:
    """The functions of the file that a call may run; a method by its name, whatever the object."""
    match call.func:
        case ast.Name(id=name) if name in reading.functions:
            return [reading.functions[name]]
        case ast.Attribute(attr=attr):
            methods = (scope.method(attr) for scope in reading.outline.classes)
            return [method for method in methods if method]
        case _:
            return []


def all_optimizers(reading: Reading, scope: Scope | None = None) -> list[Optimizer]:
    """The optimizers constructed in the file, or in one scope of it."""
    found = []
    for called in reading.outline.calls if scope is None else scope.calls:
        qualified = reading.imports.qualified(called.node.func)
        if is_optimizer(qualified):
            name = qualified.rpartition(".")[2]
            found.append(Optimizer(called.node, called.scope, name, qualified))
    return found


def decided(optimizers: Iterable[Optimizer]) -> Optimizer | None:
    """The one of several possible optimizers, None where they are of different families."""
    several = list(optimizers)
    families = {optimizer.family for optimizer in several}
    return several[0] if len(families) == 1 else None


def training_of(reading: Reading, optimizer: Optimizer | None, loss: str) -> Training:
    """The settings that an optimizer's construction shows."""
    if optimizer is None:
        return Training(loss=loss)
    return Training(
        optimizer.family,
        optimizer.name,
        _learning_rate(reading, optimizer),
        tuple(_arguments(reading, optimizer)),
        loss,
    )


def span_of(reading: Reading, optimizer: Optimizer | None) -> Span | None:
    """Where the optimizer is constructed."""
    return reading.source.span(optimizer.call) if optimizer else None


def _learning_rate(reading: Reading, optimizer: Optimizer) -> float | None:
    call = optimizer.call
    given = next((word.value for word in call.keywords if word.arg == "lr"), None)
    if given is None and len(call.args) > 1:
        given = call.args[1]
    if given is not None:
        rate = number(Placed(given, optimizer.scope, call.lineno), reading.tracer)
        return float(rate) if rate is not None else None
    if any(word.arg is None for word in call.keywords):
        return None  # Because `**settings` may hold it.
    of_torch = optimizer.qualified.startswith("torch.optim.")
    return default_learning_rate(optimizer.name) if of_torch else None


def _arguments(reading: Reading, optimizer: Optimizer) -> Iterator[tuple[str, bool | int | float]]:
    for word in optimizer.call.keywords:
        if word.arg in (None, "lr", "params"):
            continue
        placed = Placed(word.value, optimizer.scope, optimizer.call.lineno)
        try:
            value = constant(placed, reading.tracer)
        except NotConstantError:
            continue
        if isinstance(value, (int, float)):
            yield str(word.arg), value


def loss_of(reading: Reading, placed: Placed) -> str:
    """The name of torch's loss class or function that a value comes from, "" if from none."""
    waiting, seen = [placed], {id(placed.expression)}
    while waiting and len(seen) < _MOST_LOOKED_AT:
        here = waiting.pop(0)
        for node in walk(here.expression):
            if not isinstance(node, ast.expr):
                continue
            inner = Placed(node, here.scope, here.line)
            if found := loss_name(reading, inner):
                return found
            behind = [item for item in _values(reading, inner) if id(item.expression) not in seen]
            seen.update(id(item.expression) for item in behind)
            waiting += behind
    return ""


def loss_name(reading: Reading, placed: Placed) -> str:
    """The name of the loss class or function of torch that a call computes, "" for any other."""
    if not isinstance(placed.expression, ast.Call):
        return ""
    callee = placed.expression.func
    qualified = reading.imports.qualified(callee)
    head, _, last = qualified.rpartition(".")
    if head == "torch.nn.functional":
        return last if last.endswith(("loss", "cross_entropy", "_div", "with_logits")) else ""
    return loss_class(reading, Placed(callee, placed.scope, placed.line))


def _values(reading: Reading, placed: Placed) -> Iterator[Placed]:
    """What a variable is ever bound to around its scope, or what a function of the file returns."""
    match placed.expression:
        case ast.Name(id=name, ctx=ast.Load()):
            for around in placed.scope.outward:
                for bound in around.bindings.get(name, []):
                    if bound.value is not None:
                        yield Placed(bound.value, bound.scope, bound.line)
        case ast.Call(func=ast.Name(id=name)) if name in reading.functions:
            function = reading.functions[name]
            for value in function.returns:
                yield Placed(value, function, value.lineno)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=name)):
            owner = placed.scope.class_around
            method = owner.method(name) if owner else None
            for value in method.returns if method else ():
                yield Placed(value, method or placed.scope, value.lineno)


def trained_model(reading: Reading, models: Models, optimizer: Optimizer | None) -> str:
    """The model whose parameters an optimizer is given, "" where it is not of this file."""
    if optimizer is None:
        return ""
    arguments = [*optimizer.call.args[:1], *(word.value for word in optimizer.call.keywords)]
    for argument in arguments:
        placed = Placed(argument, optimizer.scope, optimizer.call.lineno)
        if found := _owner_of_parameters(reading, models, placed, 0):
            return found
    return ""


def _owner_of_parameters(reading: Reading, models: Models, placed: Placed, depth: int) -> str:
    for node in walk(placed.expression):
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr="parameters" | "named_parameters")):
                here = Placed(owner, placed.scope, placed.line)
                if found := model_of(reading, models, here):
                    return found
            case ast.Name() if depth < _DEEPEST:
                here = Placed(node, placed.scope, placed.line)
                for origin in reading.tracer.origins(here):
                    if not isinstance(origin.expression, ast.Name):
                        found = _owner_of_parameters(reading, models, origin, depth + 1)
                        if found:
                            return found
    return ""


def model_of(reading: Reading, models: Models, placed: Placed) -> str:
    """The model definition behind an expression, "" where it is not of this file."""
    if isinstance(placed.expression, ast.Name) and placed.expression.id == "self":
        owner = placed.scope.class_around
        return owner.name if owner and owner.name in reading.model_classes else ""
    for origin in reading.tracer.origins(placed):
        call = origin.expression
        if not isinstance(call, ast.Call):
            continue
        name = reading.called_class(call, origin.scope) or models.of_expression.get(call, "")
        if not name and isinstance(call.func, ast.Name) and call.func.id in reading.functions:
            function = reading.functions[call.func.id]
            name = next(returned_models(reading, function), "") or _expression_of(models, function)
        if name:
            return name
    return ""


def _expression_of(models: Models, function: Scope) -> str:
    """The model expression that a function returns."""
    prefixes = (function.name, f"{function.name}.")
    for definition in models.definitions:
        if definition.name == prefixes[0] or definition.name.startswith(prefixes[1]):
            return definition.name
    return ""


def model_called(reading: Reading, models: Models, calls: Iterable[Called]) -> str:
    """The first model of the file that one of the calls calls."""
    for called in calls:
        callee = called.node.func
        if isinstance(callee, ast.Attribute) and callee.attr == "forward":
            callee = callee.value
        found = model_of(reading, models, Placed(callee, called.scope, called.node.lineno))
        if found:
            return found
    return ""
