"""Statistics of parameters: all that leaves the worker of the weights."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import nn
from torch.nn.modules.conv import _ConvTransposeNd

from gradlint.protocol.nodes import Initialisation, Parameter
from gradlint.worker.running.imagined import Imagination, Values
from gradlint.worker.running.offline import unfetched
from gradlint.worker.tracing.construction import Construction
from gradlint.worker.tracing.moments import moments


def parameter_nodes(
    model: nn.Module, construction: Construction, imagination: Imagination | None = None
) -> tuple[Parameter, ...]:
    """One node for each parameter of the model; tied parameters have one.

    Parameters without values are described by what filled them, with NaN where that is not known.
    """
    waiting = unfetched(model)

    def node(name: str, parameter: nn.Parameter) -> Parameter:
        owner = model.get_submodule(name.rpartition(".")[0])
        made = _node(name, parameter, construction, imagination, connections(parameter, owner))
        return replace(made, unfetched=id(parameter) in waiting)

    # because `parameters` may be the model's own, which names only what is trained
    return tuple(node(name, parameter) for name, parameter in model.named_parameters())


def connections(weight: torch.Tensor, owner: nn.Module) -> tuple[int, int]:
    """fan_in and fan_out: the values that one output sums, and the outputs that sum one value.

    Zeros for vectors. What a transposed convolution spreads meets only where its kernel is longer
    than its stride: each output sums 1 / stride of the kernel along each axis.
    """
    if weight.ndim < 2:
        return 0, 0
    receptive = weight[0, 0].numel() if weight.numel() else 1
    if isinstance(owner, _ConvTransposeNd) and weight is owner.weight:
        met = weight.shape[0] * receptive // (owner.groups * math.prod(owner.stride))
        return max(met, 1), weight.shape[1] * receptive
    return weight.shape[1] * receptive, weight.shape[0] * receptive


@torch.no_grad()
def _node(
    name: str,
    parameter: nn.Parameter,
    construction: Construction,
    imagination: Imagination | None,
    fans: tuple[int, int],
) -> Parameter:
    initialisation = construction.initialisation_of(parameter)
    if imagination is None:
        values, rows = moments(parameter), _distinct_rows(parameter.detach())
    else:
        values = _imagined(imagination.values(parameter), fans, initialisation)
        rows = 1 if values.square == values.mean**2 else 2
    return Parameter(
        id=name,
        shape=tuple(parameter.shape),
        dtype=str(parameter.dtype).removeprefix("torch."),
        mean=values.mean,
        mean_square=values.square,
        largest=values.largest,
        fan_in=fans[0],
        fan_out=fans[1],
        distinct_rows=rows,
        requires_grad=parameter.requires_grad,
        initialisation=initialisation,
    )


def _imagined(
    known: Values, fans: tuple[int, int], initialisation: Initialisation | None
) -> Values:
    """What filled a parameter; orthogonal matrices have rows or columns of length `gain`."""
    if initialisation is None or initialisation.function != "orthogonal_":
        return known
    square = dict(initialisation.settings).get("gain", 1.0) ** 2 / max(*fans, 1)
    return Values(0.0, square, 4.0 * math.sqrt(square))


def _distinct_rows(values: torch.Tensor) -> int:
    """1 where every row of the weight is the same, else 2; 1 for vectors with equal entries."""
    if values.ndim == 0 or values.numel() == 0:
        return 1
    alike = torch.equal(values[0], values[-1]) and bool((values == values[:1]).all())
    return 1 if alike else 2
