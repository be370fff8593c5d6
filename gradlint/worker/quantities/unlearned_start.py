"""What a classifier fails to learn of one batch in its first steps."""

from __future__ import annotations

from gradlint.protocol.claim import Claim
from gradlint.worker.quantities.unlearned_share import share_left
from gradlint.worker.run import Run

STEPS = 60


def measure(run: Run, claim: Claim) -> float:
    """As `unlearned_share`, but for 60 steps, which is enough where only the start goes wrong.

    Raises:
        UnmeasurableError: as `unlearned_share`.

    Source: with Adam at .012 post-norm transformers of ten blocks kept .91 to 1.01 of the loss
    with every seed, and did not learn an easy task in 300 steps either.

    >>> from torch import nn
    >>> from gradlint.protocol.claim import Bound, Claim
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.protocol.training import Training
    >>> from gradlint.worker.quantities import Example
    >>> training = Training(optimizer="Adam", learning_rate=0.05, loss="CrossEntropyLoss")
    >>> run = Run(Example(lambda: nn.Linear(16, 4), (8, 16)), 0, training=training)
    >>> measure(run, Claim(Quantity.UNLEARNED_START, "loss()", Bound())) < 0.5
    True
    """
    return share_left(run, STEPS)
