"""Statistics of parameters: all that leaves the worker of the weights."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.conv import _ConvTransposeNd

from gradlint.nodes import Parameter
from gradlint.worker.construction import Construction


def parameter_nodes(model: nn.Module, construction: Construction) -> tuple[Parameter, ...]:
    """One node for each parameter of the model; tied parameters have one."""
    transposed = {
        id(module.weight) for module in model.modules() if isinstance(module, _ConvTransposeNd)
    }
    return tuple(
        _node(name, parameter, construction, swapped=id(parameter) in transposed)
        for name, parameter in model.named_parameters()
    )


@torch.no_grad()
def _node(
    name: str, parameter: nn.Parameter, construction: Construction, *, swapped: bool
) -> Parameter:
    values = parameter.detach()
    fans = _fans(values)
    fan_in, fan_out = reversed(fans) if swapped else fans
    real = values.abs() if values.is_complex() else values
    wide = real.double() if real.numel() else real.new_zeros(1, dtype=torch.float64)
    return Parameter(
        id=name,
        shape=tuple(values.shape),
        dtype=str(values.dtype).removeprefix("torch."),
        mean=float(wide.mean()),
        mean_square=float(wide.square().mean()),
        largest=float(wide.abs().max()),
        fan_in=fan_in,
        fan_out=fan_out,
        distinct_rows=_distinct_rows(values),
        requires_grad=parameter.requires_grad,
        initialisation=construction.initialisation_of(parameter),
    )


def _fans(values: torch.Tensor) -> tuple[int, int]:
    if values.ndim < 2:
        return 0, 0
    receptive = values[0, 0].numel() if values.numel() else 1
    return values.shape[1] * receptive, values.shape[0] * receptive


def _distinct_rows(values: torch.Tensor) -> int:
    """1 where every row of the weight is the same, else 2; 1 for vectors with equal entries."""
    if values.ndim == 0 or values.numel() == 0:
        return 1
    return 1 if bool((values == values[:1]).all()) else 2
