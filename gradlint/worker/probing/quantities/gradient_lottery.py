"""How much the gradient's fate depends on the draw of the weights."""

from __future__ import annotations

import math
import statistics

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.run import Run

_DRAWS = 8


def measure(run: Run, claim: Claim) -> float:
    """Standard deviation of L over eight initialisations, in decades; ∞ where one lets none by.

    L = log10(‖∂loss/∂y_of‖₂ / ‖∂loss/∂y_out‖₂) as in gradient decades, each on inputs of its own.

    Source: Hanin, "Which neural net architectures give rise to exploding and vanishing gradients?",
    2018: with ReLU the variance of the logarithm grows as 5 Σ 1/width, whatever the scale of the
    weights.

    >>> from torch import nn
    >>> from gradlint.protocol.claim import Bound, Claim
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.worker.probing.quantities import Example
    >>> def spread(width):
    ...     layers = [nn.Linear(width, width) for _ in range(10)]
    ...     run = Run(Example(lambda: nn.Sequential(*layers), (8, width)), 0)
    ...     return measure(run, Claim(Quantity.GRADIENT_LOTTERY, "0", Bound()))
    >>> spread(64) < 0.2
    True
    """
    draws = (run.seed * _DRAWS + index for index in range(_DRAWS))
    runs = (Run(run.built, draw, nodes=[claim.of], prepare=run.prepare) for draw in draws)
    decades = [draw.gradients.decades(claim.of) for draw in runs]
    if not all(map(math.isfinite, decades)):
        return math.inf
    return statistics.stdev(decades)
