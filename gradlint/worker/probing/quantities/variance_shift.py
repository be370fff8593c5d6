"""How much more a norm's input varies in training than it will afterwards."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError
from gradlint.worker.tracing.call import Call
from gradlint.worker.tracing.forward import forward
from gradlint.worker.tracing.trace import Intervention


def measure(run: Run, claim: Claim) -> float:
    """log10(Σ var(x) / Σ var(x')), in decades, over the channels of the input of norm `of`.

    x is the input with dropout at work, as in training, x' that of the same model on the same
    samples with dropout modules switched off, as at inference; channels are axis 1 of (N, C, …).

    Raises:
        UnmeasurableError: `of` takes no tensor (N, C, …), or its input does not vary.

    Source: Li et al., "Understanding the disharmony between dropout and batch normalization by
    variance shift", 2019.

    >>> from gradlint.protocol.claim import Bound, Claim
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.worker.probing.quantities import Example
    >>> model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Dropout(0.5), nn.BatchNorm1d(64))
    >>> run = Run(Example(lambda: model, (256, 8)), 0, keep=["3"])
    >>> 0.3 < measure(run, Claim(Quantity.VARIANCE_SHIFT, "3", Bound())) < 0.8
    True
    """
    training = _variance(run.call(claim.of))
    calm = forward(run.built, run.seed, prepare=_without_dropout, keep=[claim.of])
    afterwards = _variance(calm.calls[claim.of]) if claim.of in calm.calls else 0.0
    if training <= 0 or afterwards <= 0:
        raise UnmeasurableError(f"the input of {claim.of} does not vary")
    return math.log10(training / afterwards)


def _without_dropout(model: nn.Module) -> dict[str, Intervention]:
    for module in model.modules():
        if isinstance(module, _DropoutNd):
            module.eval()
    return {}


def _variance(call: Call) -> float:
    given = call.arguments[0] if call.arguments else None
    if not isinstance(given, torch.Tensor) or given.ndim < 2:
        raise UnmeasurableError(f"{call.id} takes no tensor with channels")
    channels = given.detach().double().movedim(1, 0).flatten(1)
    return float(channels.var(dim=1).sum())
