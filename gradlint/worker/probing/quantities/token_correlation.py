"""How alike the positions of one sequence have become at a layer."""

from __future__ import annotations

import torch

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError


def measure(run: Run, claim: Claim) -> float:
    """Mean cosine between two positions of one sample at the output of layer `of`, in [-1, 1].

    The output has shape (N, T, C); the cosine is taken over C and averaged over all pairs of the T
    positions and over N. 1 means that the sequence has collapsed to one vector.

    Raises:
        UnmeasurableError: the output is no batch of sequences of two positions or more.

    Source: Dong, Cordonnier and Loukas, "Attention is not all you need: pure attention loses rank
    doubly exponentially with depth", 2021.

    >>> import torch
    >>> from gradlint.protocol.claim import Bound, Claim
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.worker.probing.quantities import Example
    >>> run = Run(Example(lambda: torch.nn.Linear(64, 64), (8, 10, 64)), 0, keep=["Linear"])
    >>> abs(measure(run, Claim(Quantity.TOKEN_CORRELATION, "Linear", Bound()))) < 0.1
    True
    """
    output = run.output(claim.of)
    if output.ndim != 3 or output.shape[1] < 2:
        shape = tuple(output.shape)
        raise UnmeasurableError(f"{claim.of} gives no sequences (N, T, C): its shape is {shape}")
    tokens = torch.nn.functional.normalize(output.double(), dim=-1)
    count = tokens.shape[1]
    together = (tokens @ tokens.transpose(1, 2)).sum((1, 2)) - (tokens**2).sum((1, 2))
    return float(together.mean()) / (count * (count - 1))
