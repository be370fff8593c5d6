"""The losses of a file: which of torch's, on the output of which model, and what lies between."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace

from gradlint.discovery.construction.models import Models
from gradlint.discovery.project.ranges import range_of
from gradlint.discovery.project.reading import Reading
from gradlint.discovery.project.steps import Steps
from gradlint.discovery.text.bindings import Placed
from gradlint.discovery.text.outline import Called
from gradlint.discovery.training.settings import loss_name, model_called
from gradlint.program import LossCall, StepKind
from gradlint.protocol.span import Span
from gradlint.protocol.training import LOSS_FUNCTIONS, Objective, loss_function

_DEEPEST = 12
_OPERATIONS = {
    "softmax": "softmax",
    "softmax2d": "softmax",
    "log_softmax": "log_softmax",
    "logsoftmax": "log_softmax",
    "sigmoid": "sigmoid",
    "logsigmoid": "logsigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "log": "log",
    "exp": "exp",
    "softplus": "softplus",
    "hardtanh": "hardtanh",
    "hardsigmoid": "hardsigmoid",
}
_SHAPING = frozenset(
    "view reshape flatten squeeze unsqueeze permute transpose contiguous float double t type_as"
    " view_as reshape_as expand_as swapaxes movedim Flatten Squeeze Identity mT".split()
)


@dataclass(frozen=True, slots=True)
class _Fed:
    """What a loss is fed: an output of the model that `called` calls, after operations."""

    called: Called
    output: int = 0
    applied: tuple[tuple[str, Span], ...] = ()


def read_losses(reading: Reading, models: Models) -> tuple[LossCall, ...]:
    """The calls of torch's losses on what a model of the file, or one not in sight, gives."""
    follower = _Follower(reading, Steps(reading))
    return tuple(sorted(_losses(reading, models, follower), key=lambda loss: loss.span))


def _losses(reading: Reading, models: Models, follower: _Follower) -> Iterator[LossCall]:
    for called in reading.outline.calls:
        name = loss_name(reading, Placed(called.node, called.scope, called.node.lineno))
        prediction, target = _argument(called, 0, "input"), _argument(called, 1, "target")
        if loss_function(name) not in LOSS_FUNCTIONS or prediction is None:
            continue
        fed = follower.follow(prediction)
        if fed is None:
            continue
        operations = tuple(name for name, _ in fed.applied)
        yield LossCall(
            Objective(name, operations, fed.output),
            reading.source.span(called.node),
            model_called(reading, models, [fed.called]),
            tuple(span for _, span in fed.applied),
            range_of(reading, target) if target else None,
        )


def _argument(called: Called, index: int, name: str) -> Placed | None:
    node = called.node
    given = next((word.value for word in node.keywords if word.arg == name), None)
    if given is None and index < len(node.args):
        given = node.args[index]
    return Placed(given, called.scope, node.lineno) if given is not None else None


class _Follower:
    """Follows a value back to the call of a model, through functions whose effect is known."""

    def __init__(self, reading: Reading, steps: Steps) -> None:
        self._reading = reading
        self._steps = steps
        self._calls = {called.node: called for called in reading.outline.calls}

    def follow(self, placed: Placed, depth: int = 0) -> _Fed | None:
        """What the value is made of, None where that is not in sight or differs by branches."""
        if depth > _DEEPEST or _may_be_bound_again(placed):
            return None
        origins = self._reading.tracer.origins(placed)
        found = [self._behind(origin, depth + 1) for origin in origins]
        ways = {(fed.output, tuple(n for n, _ in fed.applied)) for fed in found if fed}
        return found[0] if None not in found and len(ways) == 1 else None

    def _behind(self, placed: Placed, depth: int) -> _Fed | None:
        match placed.expression:
            case ast.Call() as call:
                return self._behind_call(call, placed, depth)
            case ast.Attribute(value=value, attr="logits"):
                return self.follow(replace(placed, expression=value), depth)
            case ast.Subscript(value=value, slice=ast.Constant(value=int(index))):
                fed = self.follow(replace(placed, expression=value), depth)
                return fed if fed is None or fed.applied else replace(fed, output=index)
            case ast.Subscript(value=value, slice=ast.Tuple() | ast.Slice()):
                return self.follow(replace(placed, expression=value), depth)
        return None

    def _behind_call(self, call: ast.Call, placed: Placed, depth: int) -> _Fed | None:
        operation, operand = self._operation(call, placed)
        if operation:
            fed = self.follow(replace(placed, expression=operand), depth) if operand else None
            known = _OPERATIONS.get(operation.lower())
            if fed is None or known is None:
                return fed
            step = (known, self._reading.source.span(call))
            return replace(fed, applied=(*fed.applied, step))
        called = self._calls.get(call)
        if called is not None and self._steps.kind(called) is StepKind.FORWARD:
            return _Fed(called)
        return None

    def _operation(self, call: ast.Call, placed: Placed) -> tuple[str, ast.expr | None]:
        """The name and the operand of a function whose effect is known, "" for any other call."""
        first = call.args[0] if call.args else None
        name = self._reading.imports.qualified(call.func)
        if name.startswith("torch."):
            last = name.rpartition(".")[2]
            return (last if _is_known(last) else ""), first
        if isinstance(call.func, ast.Attribute) and _is_known(call.func.attr):
            return call.func.attr, call.func.value
        for origin in self._reading.tracer.origins(replace(placed, expression=call.func)):
            if isinstance(origin.expression, ast.Call):
                made = self._reading.imports.qualified(origin.expression.func)
                last = made.rpartition(".")[2]
                if made.startswith("torch.nn.") and _is_known(last):
                    return last, first
        return "", None


def _may_be_bound_again(placed: Placed) -> bool:
    """Whether a branch that need not run gives the variable another value before it is used."""
    if not isinstance(placed.expression, ast.Name):
        return False
    bound = placed.scope.bindings.get(placed.expression.id, [])
    before = [binding for binding in bound if binding.line < placed.line]
    always = [binding for binding in before if not binding.place.conditional]
    return bool(always) and before[-1].place.conditional


def _is_known(name: str) -> bool:
    return name in _SHAPING or name.lower() in _OPERATIONS
