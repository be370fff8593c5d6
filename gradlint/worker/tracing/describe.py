"""A recorded forward pass in the words of the layer graph: all of it that leaves the worker."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import nn

from gradlint.protocol.nodes import Edge, Input, Layer, Loss, Parameter, Stop, Stray
from gradlint.worker.running.imagined import Imagination
from gradlint.worker.tracing.call import shape_of
from gradlint.worker.tracing.construction import Construction
from gradlint.worker.tracing.lines import Source
from gradlint.worker.tracing.mentions import Mentions
from gradlint.worker.tracing.parameters import parameter_nodes
from gradlint.worker.tracing.recording import LOSS, Forward, reaching
from gradlint.worker.tracing.strays import Found, stray_nodes, strays
from gradlint.worker.tracing.unreached import (
    Fingerprints,
    described,
    fingerprints,
    kept_calls,
    replaced_calls,
    stop_nodes,
)


@dataclass(frozen=True, slots=True)
class Newborn:
    """What is to be seen of a model only before its first forward pass."""

    fingerprints: Fingerprints
    strays: tuple[Found, ...]

    @staticmethod
    def of(model: nn.Module, *, imagined: bool = False) -> Newborn:
        """Look at a model that was just built."""
        if imagined:
            return Newborn({}, ())
        return Newborn(fingerprints(model), strays(model))


def nodes_of(
    forward: Forward,
    construction: Construction,
    newborn: Newborn,
    source: Source,
    imagination: Imagination | None = None,
) -> tuple[Input | Parameter | Layer | Stop | Stray | Loss, ...]:
    """Inputs, parameters, layers in the order in which they ran, stops, strays and the loss.

    Of tensors without values it is not said why the loss does not depend on some of them.
    """
    edges = tuple(forward.edges())
    reached, kept = reaching(edges), kept_calls(forward) | replaced_calls(forward)
    mentions = Mentions(source.path)
    inputs = tuple(
        Input(id, shape_of(tensor), str(tensor.dtype).removeprefix("torch."))
        if imagination is not None
        else _input(id, tensor)
        for id, tensor in forward.inputs.items()
    )
    layers = tuple(
        Layer(
            id=call.id,
            op=call.op,
            module=call.path,
            call=call.index,
            shape=call.shape,
            dtype=call.dtype,
            span=call.span,
            constructed=construction.line_of(call.module),
            settings=call.settings,
            kept=call.id in kept,
        )
        for call in forward.calls.values()
    )
    stops = stop_nodes(forward, reached)
    consumed = {source for source, _ in edges} | {id_ for stop in stops for id_ in stop.takes}
    parameters = parameter_nodes(forward.model, construction, imagination)
    loss = Loss(LOSS, forward.heads(edges))
    if imagination is not None:
        return (*inputs, *parameters, *layers, loss)
    told = described(
        parameters,
        forward,
        reached,
        consumed,
        newborn.fingerprints,
        construction,
        mentions,
    )
    hidden = stray_nodes(newborn.strays, construction, mentions)
    return (*inputs, *told, *layers, *stops, *hidden, loss)


@torch.no_grad()
def _input(id: str, tensor: torch.Tensor) -> Input:
    made = Input(id, shape_of(tensor), str(tensor.dtype).removeprefix("torch."))
    if not tensor.is_floating_point() or tensor.is_nested or not tensor.numel():
        return made
    values = (tensor.to_dense() if tensor.layout is not torch.strided else tensor).double()
    square = float(values.square().mean())
    if not math.isfinite(square):
        return made
    shared, count = square, len(values) if values.dim() else 1
    if count > 1:
        total = values.sum(0)
        pairs = total.numel() * count * (count - 1)
        shared = (float(total.square().sum()) - square * values.numel()) / pairs
    return replace(made, mean=float(values.mean()), mean_square=square, shared=shared)


def edges_of(forward: Forward) -> tuple[Edge, ...]:
    """What flows from node to node, with shape and element type."""
    shapes = {call.id: (call.shape, call.dtype) for call in forward.calls.values()}
    tensors = {**forward.inputs, **dict(forward.model.named_parameters())}
    for name, tensor in tensors.items():
        shapes[name] = (shape_of(tensor), str(tensor.dtype).removeprefix("torch."))
    return tuple(Edge(source, target, *shapes[source]) for source, target in forward.edges())
