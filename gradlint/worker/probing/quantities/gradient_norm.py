"""The size of the whole gradient."""

from __future__ import annotations

import math

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.run import Run


def measure(run: Run, claim: Claim) -> float:
    """‖∇‖₂ over all parameters together, dimensionless; what `clip_grad_norm_` compares.

    Source: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks",
    2013.

    >>> import torch
    >>> from gradlint.protocol.claim import Bound, Claim
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.worker.probing.quantities import Example
    >>> run = Run(Example(lambda: torch.nn.Linear(4, 4), (8, 4)), 0)
    >>> 0.1 < measure(run, Claim(Quantity.GRADIENT_NORM, "loss()", Bound())) < 10
    True
    """
    found = run.gradients_for(claim).parameters
    sizes = {name: parameter.numel() for name, parameter in run.forward.model.named_parameters()}
    return math.sqrt(sum(rms**2 * sizes[name] for name, rms in found.items()))
