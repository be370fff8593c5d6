"""What decides whether a model can be taught a simple task in some hundred quick steps."""

from __future__ import annotations

import math

from gradlint.layers.graph import LayerGraph
from gradlint.layers.operations import Role, name_of, role_of
from gradlint.layers.patterns import multiplications
from gradlint.layers.recurrence import loops

_NARROWEST = 8  # two toy models of width 2 learn in 5,000 steps, not in 300
_PLACES = 16


def recurs(graph: LayerGraph) -> bool:
    """Whether there is a recurrent layer, a cell or a loop written by hand."""
    fused = any(role_of(layer) in (Role.RECURRENT, Role.CELL) for layer in graph.layers)
    return fused or next(loops(graph), None) is not None


def is_separable(graph: LayerGraph) -> bool:
    """Whether a sample has as many numbers as the narrowest layer, so that patterns lie apart."""
    shapes = [item.shape for item in graph.inputs if len(item.shape) > 1]
    return any(math.prod(shape[1:]) >= _NARROWEST for shape in shapes)


def is_wide(graph: LayerGraph) -> bool:
    """Whether no hidden layer is so narrow that ten classes hardly fit: it takes longer then."""
    weighted = {layer.id for layer in graph.layers if graph.weight_of(layer) is not None}
    narrow = (
        layer.id
        for layer in graph.layers
        if layer.id in weighted and math.prod(layer.shape[1:]) < _NARROWEST
    )
    return not any(graph.behind_all([id]) & (weighted - {id}) for id in narrow)


def blurs(graph: LayerGraph) -> bool:
    """Whether convolutions end in a mean over so many places that it blurs the patterns."""
    return any(role_of(layer) is Role.CONVOLUTION for layer in graph.layers) and any(
        math.prod(producer.shape) >= _PLACES * math.prod(layer.shape)
        for layer in graph.layers
        if name_of(layer) == "mean" or "avg" in name_of(layer)
        for producer in graph.producers(layer)
    )


def work(graph: LayerGraph) -> int:
    """The multiplications of one forward pass, with those of recurrent layers."""
    recurrent = (
        (layer, graph.weight_of(layer))
        for layer in graph.layers
        if role_of(layer) in (Role.RECURRENT, Role.CELL)
    )
    inside = sum(math.prod(layer.shape) * weight.fan_in for layer, weight in recurrent if weight)
    return multiplications(graph) + inside
