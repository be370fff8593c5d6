"""Shapes of layers that several rules look for: places, gates, recurrence, skips that would fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gradlint.graph import LayerGraph
from gradlint.nodes import Layer
from gradlint.operations import Role, role_of
from gradlint.span import Span

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


def skip_pairs(graph: LayerGraph, weighted: Iterable[Layer]) -> Iterator[tuple[str, str]]:
    """From each of these trunk layers to its activation, where a skip would fit in shape."""
    for layer in weighted:
        activations = [other for other in graph.behind(layer) if role_of(other) is Role.ACTIVATION]
        if activations and activations[-1].shape in graph.input_shapes(layer)[:1]:
            yield layer.id, activations[-1].id


def fitting_norm(layer: Layer) -> str:
    """The norm for this layer's output: "layer" for sequences (N, T, C), else "batch"."""
    return "layer" if len(layer.shape) == 3 and role_of(layer) is Role.DENSE else "batch"
