"""Whether the first steps of training blow up."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from gradlint.protocol.claim import Claim
from gradlint.protocol.training import Training
from gradlint.worker.probing.objective import loss_on_random_targets
from gradlint.worker.probing.rehearsal import Rehearsal
from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError

STEPS = 20


def measure(run: Run, claim: Claim) -> float:
    """log10(max over steps 1 … 20 of lossₜ / loss₀), in decades, +inf once the loss is not finite.

    A copy of the model is trained for 20 steps with the optimizer, learning rate and loss of the
    user's loop, on one batch of random inputs with fixed random targets: a healthy step size can
    only lower that loss. 1 means that the loss rose to ten times its start.

    Raises:
        UnmeasurableError: the optimizer or a training step cannot be set up.

    Source: no quantity at initialisation predicts the need for clipping (best AUC .785); a short
    training run sees what they miss, such as orthogonal recurrent weights.

    >>> from gradlint.protocol.claim import Bound, Claim
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.worker.probing.quantities import Example
    >>> hot = Training(optimizer="SGD", learning_rate=100.0, loss="MSELoss")
    >>> claim = Claim(Quantity.TRAINING_SPIKE, "loss()", Bound())
    >>> measure(Run(Example(lambda: nn.Linear(4, 1), (8, 4)), 0, training=hot), claim) > 1
    True
    """
    rehearsal, loss_of = Rehearsal(run), _loss(run.training)
    losses: list[float] = []
    for _ in range(STEPS + 1):
        losses.append(rehearsal.step(loss_of))
        if not math.isfinite(losses[-1]):
            return math.inf
    if losses[0] <= 0:
        raise UnmeasurableError(f"the loss starts at {losses[0]:.3g}, so it has no ratio")
    return math.log10(max(losses[1:]) / losses[0]) if max(losses[1:]) > 0 else -math.inf


def _loss(training: Training) -> Callable[[torch.Tensor], torch.Tensor]:
    """The loop's loss against random targets of the right kind; mean squared error if unknown."""
    return loss_on_random_targets(training.loss) or _squared


def _squared(output: torch.Tensor) -> torch.Tensor:
    return nn.functional.mse_loss(output, torch.randn_like(output))
