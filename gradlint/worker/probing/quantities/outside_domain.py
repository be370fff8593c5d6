"""How much of what a loss is fed lies where the loss means nothing."""

from __future__ import annotations

import math

import torch

from gradlint.protocol.claim import Claim
from gradlint.protocol.training import Objective
from gradlint.worker.probing.objective import REPLACED, by_class, fed_by
from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError

_TOLERANCE = 1e-6
_OFF = 0.01  # in the logarithm of the sum of probabilities: more than rounding makes
_DOMAINS = {
    "binary_cross_entropy": (0.0, 1.0),
    "nll_loss": (-math.inf, 0.0),
    "kl_div": (-math.inf, 0.0),
}


def measure(run: Run, claim: Claim) -> float:
    """Share of the elements fed to the loss outside of its domain, in [0, 1], at initialisation.

    Binary cross-entropy takes probabilities in [0, 1]; negative log-likelihood and the
    Kullback-Leibler divergence take logarithms of probabilities, which are not positive. Those of
    the first must also be of probabilities that are one in sum: else it is the share of samples of
    which that is not true, if larger. Any other loss takes all numbers.

    Raises:
        UnmeasurableError: the loss is inside the model, or an operation before it is unknown.

    Source: the documentation of BCELoss, NLLLoss and KLDivLoss in torch.nn.

    >>> import torch
    >>> from gradlint.protocol.claim import Bound
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.worker.probing.quantities import Example
    >>> claim = Claim(Quantity.OUTSIDE_DOMAIN, "loss()", Bound(), objective=Objective("NLLLoss"))
    >>> probabilities = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Softmax(-1))
    >>> measure(Run(Example(lambda: probabilities, (8, 4)), 0), claim)
    1.0
    >>> negative = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.LogSigmoid())
    >>> measure(Run(Example(lambda: negative, (8, 4)), 0), claim)  # not one in sum
    1.0
    >>> logarithms = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.LogSoftmax(-1))
    >>> measure(Run(Example(lambda: logarithms, (8, 4)), 0), claim)
    0.0
    """
    objective = claim.objective
    if objective is None or not objective.loss:
        raise UnmeasurableError("no loop shows what the loss is fed")
    outputs, model = run.forward.outputs, run.forward.model
    if objective.output >= len(outputs):
        raise UnmeasurableError(f"the model gives no output {objective.output}")
    loss = Objective(str(getattr(model, REPLACED, objective.loss))).function
    low, high = _DOMAINS.get(loss, (-math.inf, math.inf))
    fed = fed_by(model, objective, outputs[objective.output].detach())
    outside = (fed < low - _TOLERANCE) | (fed > high + _TOLERANCE)
    share = float(outside.double().mean())
    return max(share, _unnormalised(fed)) if loss == "nll_loss" else share


def _unnormalised(fed: torch.Tensor) -> float:
    """Share of the samples whose probabilities, were these their logarithms, are not one in sum."""
    total = by_class(fed).double().logsumexp(1)
    return float((total.abs() > _OFF).double().mean())
