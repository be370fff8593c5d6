"""How far from zero an output can get."""

from __future__ import annotations

import torch

from gradlint.claim import Claim
from gradlint.worker.objective import fed_by
from gradlint.worker.run import Run
from gradlint.worker.tail import tail

_FAR = 1e4


def measure(run: Run, claim: Claim) -> float:
    """The smaller of max y and -min y, y the output when the logits of layer `of` go to ±10⁴.

    1 for tanh, 0 for sigmoid and ReLU, which cannot be negative, 10⁴ for a linear output.

    Raises:
        UnmeasurableError: what follows the layer raises.

    Source: measured; the range of an activation is what bounds the targets it can fit.

    >>> from gradlint.claim import Bound
    >>> from gradlint.quantity import Quantity
    >>> from gradlint.worker.quantities import Example
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 1), torch.nn.Tanh())
    >>> measure(Run(Example(lambda: model, (8, 4)), 0), Claim(Quantity.OUTPUT_REACH, "0", Bound()))
    1.0
    """
    highest = _output(run, claim, _FAR).max()
    lowest = _output(run, claim, -_FAR).min()
    return float(torch.minimum(highest, -lowest))


def _output(run: Run, claim: Claim, value: float) -> torch.Tensor:
    end = tail(run, claim, [claim.of], lambda output: torch.full_like(output, value))
    model, objective = run.forward.model, claim.objective
    output = end.outputs[0].detach()
    return fed_by(model, objective, output) if objective else output
