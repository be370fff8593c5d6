"""What reaches a loss: the operations between a model's last weights and the loss, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gradlint.layers.graph import LayerGraph
from gradlint.layers.operations import Role, is_weighted, name_of, role_of
from gradlint.layers.patterns import site
from gradlint.program import LossCall
from gradlint.protocol.nodes import Layer
from gradlint.protocol.span import Span
from gradlint.protocol.training import LOSS_FUNCTIONS, Objective, loss_function

_WITHOUT_EFFECT = (Role.SHAPE, Role.DROPOUT)
_SPELLINGS = {"logsoftmax": "log_softmax", "softmax2d": "softmax"}


@dataclass(frozen=True, slots=True)
class Step:
    """One operation in front of a loss: a layer of the model, or a call in the loop (no layer)."""

    name: str
    span: Span
    layer: Layer | None = None


@dataclass(frozen=True, slots=True)
class LossUse:
    """A loss and what it is fed.

    `function` is its name in `torch.nn.functional`. `logits` is the layer behind which nothing is
    learnt any more: the last weights, or the last sum of branches. `steps` are the operations
    between it and the loss, but for those that change only the shape. `objective` names no loss
    where the model computes its own.
    """

    function: str
    objective: Objective
    span: Span
    logits: Layer
    steps: tuple[Step, ...]
    target: tuple[float, float] | None = None

    @property
    def region(self) -> tuple[str, ...]:
        """The ids of the layers from the logits to the loss."""
        return (self.logits.id, *(step.layer.id for step in self.steps if step.layer))

    @property
    def classes(self) -> int:
        """The number of units that the logits of one position have, 0 where they have no axis."""
        axis = 1 if role_of(self.logits) is Role.CONVOLUTION else -1
        return self.logits.shape[axis] if len(self.logits.shape) > 1 else 0

    def last(self, *names: str) -> Step | None:
        """The last step, if it is one of `names`."""
        step = self.steps[-1] if self.steps else None
        return step if step is not None and step.name in names else None


def loss_uses(calls: Sequence[LossCall], graph: LayerGraph) -> Iterator[LossUse]:
    """The losses that `calls` compute on the model's only output, and those inside the model."""
    for call in calls:
        if len(graph.outputs) == 1 and call.objective.output == 0:
            applied = zip(call.objective.applied, call.applied, strict=True)
            steps = tuple(Step(name, span) for name, span in applied)
            logits, inside = _steps_behind(graph, graph.outputs[0])
            yield LossUse(
                call.objective.function,
                call.objective,
                call.span,
                logits,
                (*inside, *steps),
                call.target,
            )
    for layer in graph.layers:
        function = loss_function(layer.op.rpartition(".")[2])
        fed = graph.producers(layer)[:1]
        if function in LOSS_FUNCTIONS and fed and graph.reaches_loss(layer):
            logits, steps = _steps_behind(graph, fed[0])
            yield LossUse(function, Objective(), site([layer]), logits, steps)


def _steps_behind(graph: LayerGraph, fed: Layer) -> tuple[Layer, tuple[Step, ...]]:
    """The logits and, in order, what is done to them until `fed`."""
    steps: list[Step] = []
    layer = fed
    while not is_weighted(layer):
        before = graph.producers(layer)
        if len(before) != 1:
            break
        if role_of(layer) not in _WITHOUT_EFFECT:
            name = name_of(layer)
            steps.insert(0, Step(_SPELLINGS.get(name, name), site([layer]), layer))
        layer = before[0]
    return layer, tuple(steps)
