"""How high an output can get."""

from __future__ import annotations

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.run import Run
from gradlint.worker.probing.tail import extremes


def measure(run: Run, claim: Claim) -> float:
    """max y, y being what the loss is fed when the logits of layer `of` all are 10⁴ or all -10⁴.

    1 for tanh and sigmoid, 10⁴ for a linear output.

    Raises:
        UnmeasurableError: what follows the layer raises.

    Source: the range of an activation bounds the targets that it can fit.

    >>> import torch
    >>> from gradlint.protocol.claim import Bound
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.worker.probing.quantities import Example
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 1), torch.nn.Sigmoid())
    >>> run = Run(Example(lambda: model, (8, 4)), 0)
    >>> measure(run, Claim(Quantity.OUTPUT_HIGHEST, "0", Bound()))
    1.0
    """
    return max(extremes(run, claim))
