"""How much of what a layer gives depends on the input at all."""

from __future__ import annotations

import math

import torch

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError


def measure(run: Run, claim: Claim) -> float:
    """log10(‖y - ȳ‖₂ / ‖y‖₂), in decades: ȳ is the mean over samples of the output y of `of`.

    The output has shape (N, …). 0 means that samples have nothing in common, -2 that they differ
    by a hundredth of their size; -inf where all samples give the same output.

    Raises:
        UnmeasurableError: the output has fewer than two samples, or all that the model was given
            are the same.

    Source: Schoenholz et al., "Deep information propagation", 2017: in the ordered phase two inputs
    converge to the same representation. The square is the inverse condition number that a gradient
    step on the next layer meets.

    >>> from torch import nn
    >>> from gradlint.protocol.claim import Bound, Claim
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.worker.probing.quantities import Example
    >>> layers = [m for _ in range(4) for m in (nn.Linear(64, 64), nn.Sigmoid())]
    >>> run = Run(Example(lambda: nn.Sequential(*layers), (8, 64)), 0, keep=["7"])
    >>> measure(run, Claim(Quantity.REPRESENTATION_SPREAD, "7", Bound())) < -2
    True
    """
    output = run.output(claim.of)
    if output.ndim < 2 or output.shape[0] < 2:
        raise UnmeasurableError(f"{claim.of} has no samples to compare: {tuple(output.shape)}")
    given = [tensor for tensor in run.forward.inputs.values() if tensor.ndim]
    if given and not any(bool((tensor != tensor[:1]).any()) for tensor in given):
        raise UnmeasurableError("the samples that the model was given are the same")
    wide = output.double()
    size = float(torch.linalg.vector_norm(wide))
    spread = float(torch.linalg.vector_norm(wide - wide.mean(0)))
    if not math.isfinite(size):
        return math.nan
    return math.log10(spread / size) if spread > 0 else -math.inf
