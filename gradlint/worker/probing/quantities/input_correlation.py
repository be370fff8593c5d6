"""How alike two different inputs have become at a layer."""

from __future__ import annotations

import torch

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError


def measure(run: Run, claim: Claim) -> float:
    """Mean cosine between the outputs of layer `of` for two different samples, in [-1, 1].

    The output has shape (N, …) and is seen as N vectors. 1 means that the layer cannot tell inputs
    apart.

    Raises:
        UnmeasurableError: the output has fewer than two samples.

    Source: Schoenholz et al., "Deep information propagation", 2017 (the correlation map c*).

    >>> import torch
    >>> from gradlint.protocol.claim import Bound, Claim
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.worker.probing.quantities import Example
    >>> model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Sigmoid())
    >>> run = Run(Example(lambda: model, (8, 64)), 0, keep=["1"])
    >>> 0.9 < measure(run, Claim(Quantity.INPUT_CORRELATION, "1", Bound())) < 1
    True
    """
    output = run.output(claim.of)
    if output.ndim < 2 or output.shape[0] < 2:
        raise UnmeasurableError(f"{claim.of} has no samples to compare: {tuple(output.shape)}")
    samples = torch.nn.functional.normalize(output.double().flatten(1), dim=1)
    count = samples.shape[0]
    together = float((samples @ samples.T).sum()) - float((samples**2).sum())
    return together / (count * (count - 1))
