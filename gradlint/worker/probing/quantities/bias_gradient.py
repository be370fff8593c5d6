"""How much a bias feels beside the weight of its layer."""

from __future__ import annotations

import math

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError


def measure(run: Run, claim: Claim) -> float:
    """log10(rms(∂loss/∂b) / rms(∂loss/∂W)) of the bias b and weight W of `of`, in decades.

    A norm that subtracts the mean of each channel subtracts the bias with it: the gradient is zero
    but for rounding, below -4 in single precision. -inf where it is exactly zero.

    Raises:
        UnmeasurableError: the layer has no bias, or no gradient arrives at its weight.

    Source: Ioffe and Szegedy, "Batch normalization", 2015, section 3.2.

    >>> from torch import nn
    >>> from gradlint.protocol.claim import Bound, Claim
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.worker.probing.quantities import Example
    >>> model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    >>> run = Run(Example(lambda: model, (16, 8)), 0)
    >>> measure(run, Claim(Quantity.BIAS_GRADIENT, "0", Bound())) < -4
    True
    """
    path = claim.of.partition("#")[0]
    bias, weight = (run.plain.parameters.get(f"{path}.{name}") for name in ("bias", "weight"))
    if bias is None or not weight:
        raise UnmeasurableError(f"no gradient arrives at a bias and a weight of {claim.of}")
    return math.log10(bias / weight) if bias > 0 else -math.inf
