"""A recorded forward pass in the words of the layer graph: all of it that leaves the worker."""

from __future__ import annotations

from gradlint.nodes import Edge, Input, Layer, Loss, Parameter
from gradlint.worker.construction import Construction
from gradlint.worker.parameters import parameter_nodes
from gradlint.worker.trace import LOSS, Forward, shape_of


def nodes_of(
    forward: Forward, construction: Construction
) -> tuple[Input | Parameter | Layer | Loss, ...]:
    """Inputs, parameters, layers in the order in which they ran, and the loss."""
    inputs = tuple(
        Input(id, shape_of(tensor), str(tensor.dtype).removeprefix("torch."))
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
        )
        for call in forward.calls.values()
    )
    return (*inputs, *parameter_nodes(forward.model, construction), *layers, Loss(LOSS))


def edges_of(forward: Forward) -> tuple[Edge, ...]:
    """What flows from node to node, with shape and element type."""
    shapes = {call.id: (call.shape, call.dtype) for call in forward.calls.values()}
    tensors = {**forward.inputs, **dict(forward.model.named_parameters())}
    for name, tensor in tensors.items():
        shapes[name] = (shape_of(tensor), str(tensor.dtype).removeprefix("torch."))
    return tuple(Edge(source, target, *shapes[source]) for source, target in forward.edges())
