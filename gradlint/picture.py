"""The picture of a model: its layers in the order they ran, with measured and predicted signals."""

from __future__ import annotations

import math
from collections.abc import Mapping

from gradlint.layers.graph import LayerGraph
from gradlint.protocol import wire
from gradlint.protocol.nodes import Input, Layer
from gradlint.report import Picture, PicturedLayer, Signals
from gradlint.theory import Prediction


def pictured(graph: LayerGraph) -> tuple[str, ...]:
    """The nodes whose signals a picture of `graph` needs, in the order of `picture_of`."""
    return tuple(layer.id for layer in graph.layers)


def picture_of(graph: LayerGraph, probed: wire.Probed, prediction: Prediction | None) -> Picture:
    """The inputs, the layers in the order in which they ran, and the loss."""
    nodes: list[Input | Layer] = [*graph.inputs, *graph.layers]
    places = {node.id: place for place, node in enumerate(nodes)}
    layers = [_pictured(graph, node, places) for node in nodes]
    layers.append(
        PicturedLayer("loss", "loss", "", 0, (), _producers(graph, graph.loss.id, places))
    )
    return Picture(
        tuple(layers),
        signals_of(graph, probed, -1) or _around(graph, (), ()),
        _predicted(graph, prediction) if prediction else None,
    )


def signals_of(graph: LayerGraph, probed: wire.Probed, remedy: int) -> Signals | None:
    """What the probe showed under a remedy (-1: none), at the layers of `picture_of`."""
    for found in probed.pictures:
        if found.remedy == remedy:
            return _around(graph, found.decades, found.activations)
    return None


def _around(
    graph: LayerGraph, decades: tuple[float, ...], activations: tuple[float, ...]
) -> Signals:
    """Signals of all that is pictured: none at inputs and inside a loss, 0 decades at the loss."""
    unknown = (math.nan,) * len(graph.inputs)
    decades = tuple(
        math.nan if layer.id in graph.beyond else value
        for layer, value in zip(graph.layers, decades, strict=False)
    )
    missing = (math.nan,) * (len(graph.layers) - len(decades))
    return Signals(
        (*unknown, *decades, *missing, 0.0), (*unknown, *activations, *missing, math.nan)
    )


def _predicted(graph: LayerGraph, prediction: Prediction) -> Signals:
    signals = [prediction.signals[layer.id] for layer in graph.layers]
    return _around(
        graph,
        tuple(_rounded(signal.decades) for signal in signals),
        tuple(_rounded(_log(signal.square) / 2) for signal in signals),
    )


def _log(square: float) -> float:
    return math.log10(square) if square > 0 else -math.inf if square == 0 else math.nan


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _pictured(graph: LayerGraph, node: Input | Layer, places: Mapping[str, int]) -> PicturedLayer:
    if isinstance(node, Input):
        return PicturedLayer(node.id, "input", "", 0, node.shape, ())
    return PicturedLayer(
        node.id,
        node.op,
        node.module,
        node.span.line if node.span else 0,
        node.shape,
        _producers(graph, node.id, places),
        sum(math.prod(parameter.shape) for parameter in graph.parameters_of(node)),
        node.span.cell if node.span else 0,
    )


def _producers(graph: LayerGraph, id: str, places: Mapping[str, int]) -> tuple[int, ...]:
    sources = (places[edge.source] for edge in graph.arriving(id) if edge.source in places)
    return tuple(dict.fromkeys(sources))
