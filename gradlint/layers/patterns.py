"""Shapes of layers that several rules look for: places, gates, recurrence, skips that would fit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from gradlint.layers.graph import LayerGraph
from gradlint.layers.operations import Role, is_weighted, role_of
from gradlint.protocol.nodes import Layer
from gradlint.protocol.span import Span

_LARGEST_BLOCK = 4  # weights that one skip goes around at most, because a long branch needs its own
_RECURRENT_CALLS = 3  # twice is a Siamese tower or a tied decoder


def site(layers: Iterable[Layer]) -> Span:
    """The line to blame: where the first of `layers` with a known line was built, else called.

    A span with an empty path says that no line is known, and that the model's own stands for it.
    """
    layers = tuple(layers)
    lines = [layer.constructed or layer.span for layer in layers]
    return next((line for line in lines if line is not None), Span("", 1))


def names(layers: Sequence[Layer]) -> str:
    """`a`, `a and b`, or `a … z` for more."""
    ids = [layer.id for layer in layers]
    return " and ".join(ids) if len(ids) < 3 else f"{ids[0]} … {ids[-1]}"


def gates(graph: LayerGraph, layer: Layer) -> bool:
    """Whether the output of `layer`, but for its shape, multiplies the output of another layer."""
    pending, seen = list(graph.consumers(layer)), set()
    while pending:
        after = pending.pop()
        if role_of(after) is Role.PRODUCT and len(graph.producers(after)) > 1:
            return True
        if role_of(after) is Role.SHAPE and after.id not in seen:
            seen.add(after.id)
            pending.extend(graph.consumers(after))
    return False


def repeats(graph: LayerGraph, layer: Layer) -> bool:
    """Whether the weight of `layer` is used again and again, as over the steps of a sequence."""
    return len(graph.calls(layer)) >= _RECURRENT_CALLS


def attends(graph: LayerGraph, layer: Layer) -> bool:
    """Whether the layer is attention, or a softmax whose output multiplies a matrix."""
    if role_of(layer) is not Role.SOFTMAX:
        return role_of(layer) is Role.ATTENTION
    behind = list(graph.consumers(layer))
    behind += [after for layer in behind for after in graph.consumers(layer)]
    return any(role_of(after) is Role.DENSE and graph.weight_of(after) is None for after in behind)


def skip_pairs(graph: LayerGraph, weighted: Sequence[Layer]) -> Iterator[tuple[str, str]]:
    """First and last layers of the trunk between which a skip would fit in shape.

    Where norms stand in front of the weights, as in a transformer, from each norm to the layer
    before the next; otherwise from one of the `weighted` layers to the activation behind it, or
    behind the next at which the shape is the same again.
    """
    blocks = tuple(_normed_blocks(graph, weighted))
    if blocks:
        yield from blocks
        return
    first = 0
    while first < len(weighted):
        length, last = _block(graph, weighted[first : first + _LARGEST_BLOCK])
        if last is not None:
            yield weighted[first].id, last.id
        first += length


def _block(graph: LayerGraph, weighted: Sequence[Layer]) -> tuple[int, Layer | None]:
    """How many of `weighted` the shortest block of constant shape takes, and its last layer."""
    wanted = graph.input_shapes(weighted[0])[:1]
    for length, layer in enumerate(weighted, start=1):
        behind = graph.behind(layer)
        bent = [other for other in behind if role_of(other) is Role.ACTIVATION]
        last = bent[-1] if bent else layer
        if last.shape in wanted and (bent or length > 1):
            return length, last
    return 1, None


def _normed_blocks(graph: LayerGraph, weighted: Sequence[Layer]) -> Iterator[tuple[str, str]]:
    trunk = graph.trunk
    begin, end = (trunk.index(layer) for layer in (weighted[0], weighted[-1]))
    run = trunk[max(begin - 1, 0) : end + 1]
    takers = {layer.id for layer in weighted}
    starts = [
        index
        for index, (layer, next_) in enumerate(pairwise(run))
        if role_of(layer) is Role.NORM and next_.id in takers
    ]
    for start, next_start in pairwise(starts):
        first, last = run[start], run[next_start - 1]
        if last.shape in graph.input_shapes(first)[:1]:
            yield first.id, last.id


def fitting_norm(layer: Layer) -> str:
    """The norm for this layer's output: "layer" for sequences (N, T, C), else "batch"."""
    return "layer" if len(layer.shape) == 3 and role_of(layer) is Role.DENSE else "batch"


def multiplications(graph: LayerGraph) -> int:
    """How many a forward pass takes in its layers with weights, recurrent layers left out."""
    work = 0
    for layer in graph.layers:
        weight = graph.weight_of(layer) if is_weighted(layer) else None
        work += math.prod(layer.shape) * weight.fan_in if weight is not None else 0
    return work
