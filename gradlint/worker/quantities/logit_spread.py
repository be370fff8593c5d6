"""How much the output differs between samples before training."""

from __future__ import annotations

import math

import torch

from gradlint.claim import Claim
from gradlint.worker.run import Run, UnmeasurableError


def measure(run: Run, claim: Claim) -> float:
    """log10 of the standard deviation of the first output over the samples, in decades.

    The output has shape (N, …); the deviation is taken over N and averaged (root mean square) over
    the rest. -inf where all samples give the same output.

    Raises:
        UnmeasurableError: the output has fewer than two samples.

    Source: measured on 360 networks, AUC .949 (SGD) and .945 (Adam) for training to fail.

    >>> import torch
    >>> from gradlint.claim import Bound, Claim
    >>> from gradlint.quantity import Quantity
    >>> from gradlint.worker.quantities import Example
    >>> run = Run(Example(lambda: torch.nn.Linear(64, 10), (32, 64)), 0)
    >>> -1 < measure(run, Claim(Quantity.LOGIT_SPREAD, "loss()", Bound())) < 1
    True
    """
    output = run.forward.outputs[0].detach()
    if output.ndim < 2 or output.shape[0] < 2:
        raise UnmeasurableError(f"the output has no samples to compare: {tuple(output.shape)}")
    variance = float(torch.var(output.double().flatten(1), dim=0).mean())
    if not math.isfinite(variance):
        return math.inf
    return 0.5 * math.log10(variance) if variance > 0 else -math.inf
