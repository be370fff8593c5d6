"""How much of a layer's output is too large for half precision."""

from __future__ import annotations

import torch

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.run import Run


def measure(run: Run, claim: Claim) -> float:
    """Share of the finite elements of layer `of`'s output beyond ±65504, in [0, 1].

    65504 is the largest number of float16; what is beyond becomes infinite, or raises where it is
    the value of a fill.

    Source: IEEE 754-2019, binary16.

    >>> from gradlint.protocol.claim import Bound
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.worker.probing.quantities import Example
    >>> run = Run(Example(lambda: torch.nn.Linear(4, 4), (8, 4)), 0, keep=["Linear"])
    >>> measure(run, Claim(Quantity.HALF_OVERFLOW, "Linear", Bound()))
    0.0
    """
    output = run.output(claim.of)
    finite = output[torch.isfinite(output)].abs().double()
    return float((finite > torch.finfo(torch.float16).max).double().mean()) if len(finite) else 0.0
