"""Recurrences in a layer graph: fused layers, cells and loops by hand, and how long they run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from gradlint.layers.graph import LayerGraph
from gradlint.layers.operations import Role, is_weighted, name_of, role_of
from gradlint.layers.patterns import gates, site
from gradlint.protocol.nodes import Layer, Parameter

ASSUMED_STEPS = 100
"""The length of a sequence at which a recurrence is judged where the file does not say it."""

_FEWEST_CALLS = 5  # a loop shorter than this is a stack of tied layers


@dataclass(frozen=True, slots=True)
class Ungated:
    """A recurrence without gates: its calls, one for a fused layer, and the name of its activation.

    `measured` is where its gradient is taken, `own` the length of its sequence, 0 if unknown.
    """

    calls: tuple[Layer, ...]
    measured: Layer
    activation: str
    own: int


def own_steps(graph: LayerGraph, layer: Layer) -> int:
    """The length of the sequence that a fused layer reads, 0 where it is not the file's own."""
    shape = next(iter(graph.input_shapes(layer)), ())
    if not graph.own_inputs or len(shape) < 2:
        return 0
    return shape[1] if len(shape) == 3 and layer.setting("batch_first") else shape[0]


def length(own: int) -> str:
    """The steps over which a recurrence is judged, in words; 0 is an unknown length."""
    known = f"sequences of unknown length (judged at {ASSUMED_STEPS} steps)"
    return f"{own} steps" if own else known


def loops(graph: LayerGraph) -> Iterator[tuple[Layer, ...]]:
    """Weights used in five calls or more, each behind the one before it, on states of one shape.

    Only the batch may change: a pyramid that halves its signal has as few steps as halvings.
    """
    for layer in graph.layers:
        if not (is_weighted(layer) or role_of(layer) is Role.CELL):
            continue
        calls = graph.calls(layer)
        if calls[0] is not layer or len(calls) < _FEWEST_CALLS:
            continue
        if len({call.shape[1:] for call in calls}) == 1 and _in_sequence(graph, calls):
            yield calls


def _in_sequence(graph: LayerGraph, calls: tuple[Layer, ...]) -> bool:
    return all(graph.connected(one, next_) for one, next_ in pairwise(calls))


def own_turns(graph: LayerGraph, calls: tuple[Layer, ...]) -> int:
    """How many steps a loop takes, 0 where that is up to a sequence that is not the file's own.

    Layers that share a weight, and a loop that looks for a fixed point, are as long as the model
    says: their steps take nothing new from outside.
    """
    reads = bool(_fed(graph, calls, 1)) and not _iterates(graph, calls)
    return len(calls) if graph.own_inputs or not reads else 0


def _iterates(graph: LayerGraph, calls: tuple[Layer, ...]) -> bool:
    """Whether a loop takes the same input at every step."""
    return _fed(graph, calls, 0) == _fed(graph, calls, 1) != set()


def _fed(graph: LayerGraph, calls: tuple[Layer, ...], step: int) -> set[str]:
    """What enters a loop between two of its steps, by the ids of the layers that it comes from."""
    inside = graph.between(calls[step], calls[step + 1])
    entering = {producer for layer in inside[1:] for producer in graph.producers(layer)}
    return {p.id for p in entering if p not in inside and not graph.connected(calls[0], p)}


def ungated(graph: LayerGraph) -> Iterator[Ungated]:
    """The recurrences without gates: fused layers, cells, and loops around an activation."""
    for layer in graph.layers:
        if name_of(layer) in ("rnn", "rnn_tanh", "rnn_relu"):
            yield Ungated((layer,), layer, _fused_activation(layer), own_steps(graph, layer))
    for calls in loops(graph):
        first, own = calls[0], own_turns(graph, calls)
        if role_of(first) is Role.CELL:
            if name_of(first) == "rnncell":
                yield Ungated(calls, first, _fused_activation(first), own)
        elif activation := _only_activation(graph, calls):
            measured = first if first.op.startswith("torch.nn.") else activation
            yield Ungated(calls, measured, name_of(activation), own)


def _fused_activation(layer: Layer) -> str:
    if name_of(layer) == "rnn_relu":
        return "relu"
    return str(dict(layer.settings).get("nonlinearity", "tanh"))


def _only_activation(graph: LayerGraph, calls: tuple[Layer, ...]) -> Layer | None:
    """The activation on every path from one step to the next; none beside a gate or a skip."""
    first, second, third = calls[:3]
    inside = [layer for layer in graph.between(first, second) if layer not in (first, second)]
    if any(role_of(layer) is Role.PRODUCT or gates(graph, layer) for layer in inside):
        return None
    if any(graph.connected(layer, third, avoiding=[second]) for layer in inside):
        return None
    if _iterates(graph, calls):
        return None
    found = [layer for layer in inside if role_of(layer) is Role.ACTIVATION]
    alone = (a for a in found if not graph.connected(first, second, avoiding=[a]))
    return next(alone, None)


def gated(graph: LayerGraph, kind: str) -> Iterator[tuple[Layer, int]]:
    """The layers and cells of `kind` ("lstm" or "gru") and their own steps, one for each line.

    Layers that are built by the same line in a loop start alike, so the first speaks for all.
    """
    found = [(layer, own_steps(graph, layer)) for layer in graph.layers if name_of(layer) == kind]
    cells = (calls for calls in loops(graph) if name_of(calls[0]) == f"{kind}cell")
    found += [(calls[0], own_turns(graph, calls)) for calls in cells]
    yield from {site([layer]): (layer, own) for layer, own in reversed(found)}.values()


def between_steps(graph: LayerGraph, layer: Layer) -> Parameter | None:
    """The weight that leads from one step to the next; of a stack of layers, that of the first."""
    own = graph.parameters_of(layer)
    hidden = (p for p in own if p.id.rpartition(".")[2].startswith("weight_hh"))
    return next(hidden, graph.weight_of(layer))
