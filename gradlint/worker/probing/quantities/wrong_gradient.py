"""How much gradient is left where the model is wrong and sure of it."""

from __future__ import annotations

import math

import torch

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.run import Run
from gradlint.worker.probing.tail import tail
from gradlint.worker.running.failure import UnmeasurableError

_UNSURE = 0.1  # not 0, because ReLU has no slope there
_SURE = 10.0  # logits that a classifier reaches within a few epochs: a probability of .99995


def measure(run: Run, claim: Claim) -> float:
    """min over samples n of log10 |∂loss/∂zₙₖ (wrong)| / |∂loss/∂zₙₖ (unsure)|, in decades.

    z is the output of layer `of`, the logits, shape (N, …). Unsure is z = .1 everywhere; k is the
    element that the loss there reacts to most. Wrong is the unsure z moved along the loss's own
    gradient until its largest element has changed by 10: so each sample is as wrong as it can be
    with logits of that size. Cross-entropy keeps its gradient there (0), a squared sigmoid loses
    four decades, a rectified output all of it. -inf where the loss does not react to z at all.

    Raises:
        UnmeasurableError: the loss is unknown, or cannot be computed from these outputs.

    Source: Golik, Doetsch and Ney, "Cross-entropy vs. squared error training", 2013, for the
    vanishing gradient of a wrong and sure output.

    >>> from gradlint.protocol.claim import Bound
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.protocol.training import Objective
    >>> from gradlint.worker.probing.quantities import Example
    >>> run = Run(Example(lambda: torch.nn.Linear(8, 5), (4, 8)), 0)
    >>> def claim(*applied):
    ...     loss = Objective("CrossEntropyLoss", applied)
    ...     return Claim(Quantity.WRONG_GRADIENT, "Linear", Bound(), objective=loss)
    >>> abs(measure(run, claim())) < 0.3
    True
    >>> measure(run, claim("softmax")) < -3
    True
    """
    unsure = _gradient(run, claim, torch.zeros(()))
    size = unsure.abs().amax(dim=1, keepdim=True)
    if not torch.isfinite(size).all():
        raise UnmeasurableError("the gradient of the loss is not finite")
    reacting = size[:, 0] > 0
    if not reacting.any():
        return -math.inf
    wrong = _gradient(run, claim, _SURE * unsure / size.clamp_min(1e-300))
    most = unsure.abs().argmax(dim=1, keepdim=True)
    ratio = (wrong.gather(1, most).abs() / size)[reacting]
    if not torch.isfinite(ratio).all():
        raise UnmeasurableError("the gradient of the loss is not finite where the model is sure")
    smallest = float(ratio.min())
    return math.log10(smallest) if smallest > 0 else -math.inf


def _gradient(run: Run, claim: Claim, moved: torch.Tensor) -> torch.Tensor:
    """∂loss/∂z at z = .1 + `moved`, shape (N, elements of one sample), in double precision."""

    def chosen(output: torch.Tensor) -> torch.Tensor:
        start = torch.full_like(output, _UNSURE)
        return start + (moved.reshape(output.shape) if moved.ndim else moved).to(output.dtype)

    (gradient, *_) = tail(run, claim, [claim.of], chosen).gradients()
    return gradient.double().reshape(max(gradient.shape[0] if gradient.ndim else 1, 1), -1)
