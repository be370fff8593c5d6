"""Whether a model still knows how bright its input was."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError
from gradlint.worker.tracing.forward import Built, forward

_SCALE, _SHIFT = 3.0, 1.0


def measure(run: Run, claim: Claim) -> float:
    """‖f(3x + 1) - f(x)‖ / (‖f(x) - c‖ + ‖f(3x + 1) - c‖), in [0, 1], of the first output.

    x are the floating-point inputs, c the mean of both outputs in each channel: the constant around
    which an output such as (tanh + 1) / 2 starts says nothing. 0 means that brightness and contrast
    of the input are lost on the way; a model that is linear in them gives at least 1/2. The claim's
    node plays no part.

    Raises:
        UnmeasurableError: the output changes its shape.

    Source: Lim et al., "Enhanced deep residual networks for single image super-resolution", 2017:
    normalisation removes the range flexibility that restoring images needs.

    >>> from gradlint.protocol.claim import Bound, Claim
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.worker.probing.quantities import Example
    >>> blind = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 8))
    >>> seeing = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8))
    >>> claim = Claim(Quantity.INTENSITY_RESPONSE, "loss()", Bound())
    >>> [measure(Run(Example(lambda m=m: m, (64, 8)), 0), claim) > 0.05 for m in (blind, seeing)]
    [False, True]
    """
    before = run.forward.outputs[0].detach()
    after = forward(_Brighter(run.built), run.seed, prepare=run.prepare).outputs[0].detach()
    if after.shape != before.shape:
        raise UnmeasurableError("the output has another shape on inputs of another brightness")
    common = [dimension for dimension in range(before.ndim) if dimension != 1]
    centre = ((before + after) / 2).mean(dim=common, keepdim=True)
    sizes = sum(float(torch.linalg.vector_norm(out - centre)) for out in (before, after))
    return float(torch.linalg.vector_norm(after - before)) / sizes if sizes > 0 else 0.0


@dataclass(frozen=True, slots=True)
class _Brighter:
    """A model with its floating-point inputs changed."""

    built: Built

    def make(self) -> nn.Module:
        return self.built.make()

    def inputs(self) -> tuple[tuple[object, ...], dict[str, object]]:
        args, kwargs = self.built.inputs()
        changed = {name: _changed(value) for name, value in kwargs.items()}
        return tuple(_changed(value) for value in args), changed


def _changed(value: object) -> object:
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return _SCALE * value + _SHIFT
    return value
