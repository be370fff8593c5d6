"""The layer whose weights feel the least."""

from __future__ import annotations

import math

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.run import Run


def measure(run: Run, claim: Claim) -> float:
    """min over weights W of log10 √mean((∂loss/∂W)²), in decades; weights have two or more axes.

    Below -8 the gradient is smaller than the eps that Adam adds to its denominator, and Adam stops
    moving the layer. -inf where a weight's gradient is exactly zero.

    Source: Kingma and Ba, "Adam", 2015 (eps); measured: precision .83 for failing with Adam.

    >>> import torch
    >>> from gradlint.protocol.claim import Bound, Claim
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.worker.probing.quantities import Example
    >>> run = Run(Example(lambda: torch.nn.Linear(4, 4), (8, 4)), 0)
    >>> -3 < measure(run, Claim(Quantity.WEAKEST_GRADIENT, "loss()", Bound())) < 1
    True
    """
    found = run.gradients_for(claim).parameters
    weights = {n for n, p in run.forward.model.named_parameters() if p.ndim >= 2}
    smallest = min((rms for name, rms in found.items() if name in weights), default=math.nan)
    return math.log10(smallest) if smallest > 0 else (-math.inf if smallest == 0 else math.nan)
