"""In how many directions the rows of a weight are pulled."""

from __future__ import annotations

import torch
from torch import nn

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError

_RELATIVE_TOLERANCE = 1e-4  # single precision noise of a gradient summed over a batch is below


def measure(run: Run, claim: Claim) -> float:
    """rank(∂loss/∂W) / fan_out, in (0, 1]: W is the weight of layer `of` as fan_out rows.

    Hidden units whose incoming and outgoing weights are all equal get equal gradients: the rank is
    1 and they stay copies of each other for ever. Random outgoing weights break the symmetry, and
    the rank shows it. A batch of N samples bounds the rank by N for dense layers.

    Raises:
        UnmeasurableError: the layer has no weight, or no gradient arrives there.

    Source: Goodfellow, Bengio and Courville, "Deep Learning", 2016, section 8.4 (symmetry
    breaking).

    >>> from gradlint.protocol.claim import Bound, Claim
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.worker.probing.quantities import Example
    >>> model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    >>> _ = [nn.init.constant_(parameter, 0.1) for parameter in model.parameters()]
    >>> example = Example(lambda: model, (8, 4))
    >>> claim = Claim(Quantity.GRADIENT_RANK, "0", Bound())
    >>> round(measure(Run(example, 0, nodes=["0"]), claim) * 6)
    1
    """
    module = run.call(claim.of).module
    weight = getattr(module, "weight", None) if isinstance(module, nn.Module) else None
    if not isinstance(weight, torch.Tensor) or weight.ndim < 2:
        raise UnmeasurableError(f"{claim.of} is no layer with a weight of rows")
    run.gradients_for(claim)
    if weight.grad is None:
        raise UnmeasurableError(f"no gradient arrives at the weight of {claim.of}")
    rows = weight.grad.double().flatten(1)
    rank = int(torch.linalg.matrix_rank(rows, rtol=_RELATIVE_TOLERANCE))
    return rank / rows.shape[0]
