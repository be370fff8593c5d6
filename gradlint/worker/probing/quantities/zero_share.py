"""How much of a layer's output is exactly zero."""

from __future__ import annotations

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.run import Run


def measure(run: Run, claim: Claim) -> float:
    """Share of the elements at layer `of` that are exactly 0, over the whole batch, any shape.

    Source: Glorot, Bordes and Bengio, "Deep sparse rectifier neural networks", 2011: half of the
    elements behind a ReLU that sees a symmetric signal, none behind a smooth activation.

    >>> import torch
    >>> from gradlint.protocol.claim import Bound, Claim
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.worker.probing.quantities import Example
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 64), torch.nn.ReLU())
    >>> run = Run(Example(lambda: model, (8, 4)), 0, keep=["1"])
    >>> 0.4 < measure(run, Claim(Quantity.ZERO_SHARE, "1", Bound())) < 0.6
    True
    """
    return float((run.output(claim.of) == 0).double().mean())
