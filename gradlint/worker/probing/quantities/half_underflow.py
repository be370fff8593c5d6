"""How much of the gradient is too small for half precision."""

from __future__ import annotations

import torch

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.objective import SCALE, value_of
from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError

_SMALLEST = 2.0**-25  # half of the smallest positive float16: what is below rounds to zero


def measure(run: Run, claim: Claim) -> float:
    """Share of the non-zero ∂loss/∂w that round to zero in float16, in [0, 1], over all weights w.

    The loss is that of the loop, a mean over the batch; the model runs in single precision, where
    nothing is lost.

    Raises:
        UnmeasurableError: the loss is unknown, or no weight has a gradient.

    Source: Micikevicius et al., "Mixed precision training", 2018: 31 % of the gradients of one
    detector were lost in this way, and with them its training.

    >>> from gradlint.protocol.claim import Bound
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.protocol.training import Objective
    >>> from gradlint.worker.probing.quantities import Example
    >>> loss = Objective("MSELoss")
    >>> claim = Claim(Quantity.HALF_UNDERFLOW, "loss()", Bound(), objective=loss)
    >>> measure(Run(Example(lambda: torch.nn.Linear(4, 4), (8, 4)), 0), claim)
    0.0
    """
    done = run.forward
    loss = done.loss
    if claim.objective is not None and claim.objective.loss:
        torch.manual_seed(run.seed)
        loss = value_of(done.model, claim.objective, done.outputs[0])
    weights = [parameter for parameter in done.model.parameters() if parameter.requires_grad]
    found = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
    elements = [g.detach().flatten().float() for g in found if g is not None and not g.is_sparse]
    scale = float(getattr(done.model, SCALE, 1.0))
    together = scale * torch.cat(elements).abs() if elements else torch.zeros(0)
    nonzero = together[together > 0]
    if not nonzero.numel():
        raise UnmeasurableError("no weight has a gradient")
    return float((nonzero < _SMALLEST).double().mean())
