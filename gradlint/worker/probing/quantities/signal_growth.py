"""How much the signal grows from one layer to another."""

from __future__ import annotations

import math

import torch

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.run import Run


def measure(run: Run, claim: Claim) -> float:
    """log10(rms(y) / rms(x)), in decades: y is what layer `of` gives, x what layer `since` gives.

    Root mean squares are taken over all elements, so the two shapes need not agree. 1 means that
    the signal is ten times as large. NaN where either is not finite or x is zero.

    Source: De and Smith, "Batch normalization biases residual blocks towards the identity function
    in deep networks", 2020: without norms the variance doubles with every block.

    >>> from torch import nn
    >>> from gradlint.protocol.claim import Bound, Claim
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.worker.probing.quantities import Example
    >>> double = nn.Linear(8, 8, bias=False)
    >>> _ = nn.init.eye_(double.weight).data.mul_(10)
    >>> model = nn.Sequential(nn.Linear(8, 8), double)
    >>> run = Run(Example(lambda: model, (16, 8)), 0, keep=["0", "1"])
    >>> round(measure(run, Claim(Quantity.SIGNAL_GROWTH, "1", Bound(), since="0")), 6)
    1.0
    """
    before, after = (_square(run.output(node)) for node in (claim.since, claim.of))
    if before == 0 or not math.isfinite(before) or not math.isfinite(after):
        return math.nan
    return math.log10(after / before) / 2 if after > 0 else -math.inf


def _square(output: torch.Tensor) -> float:
    return float(output.double().square().mean())
