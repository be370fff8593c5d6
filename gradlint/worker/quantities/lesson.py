"""What a classifier learns of one batch."""

from __future__ import annotations

import math

import torch
from torch import nn

from gradlint.claim import Claim
from gradlint.training import loss_function
from gradlint.worker.objective import by_class
from gradlint.worker.rehearsal import Rehearsal
from gradlint.worker.run import Run, UnmeasurableError

STEPS = 100
_ENOUGH = 1.0  # nats after which nothing more has to be shown
_LAST = 5
_SOON = 16  # steps: 4 networks overflowed sooner and all failed; 2 of 3 that did later learnt


def measure(run: Run, claim: Claim) -> float:
    """Mean over i of z_i[y_i] - mean over j of z_i[y_j], in nats: what of the labels was learnt.

    A copy of the model is trained for at most 100 steps with the optimizer and learning rate of the
    user's loop and with cross entropy, on one batch of random inputs with fixed random labels y; z
    are the logits. 0 means that the output tells nothing of the input, whatever it has learnt of
    how frequent the labels are. Training ends early where 1 is reached. The mean of the last five
    steps is taken; 0 where the loss overflows within 16 steps.

    Raises:
        UnmeasurableError: the loop's loss is not cross entropy, the loss overflowed late, or a step
            cannot be taken.

    Source: of 20 small networks that failed with SGD, 14 stayed below .03; of 30 that learnt, with
    SGD or Adam, the least reached .15, but for one that was slow (.03).

    >>> from gradlint.claim import Bound, Claim
    >>> from gradlint.quantity import Quantity
    >>> from gradlint.training import Training
    >>> from gradlint.worker.quantities import Example
    >>> training = Training(optimizer="Adam", learning_rate=0.01, loss="CrossEntropyLoss")
    >>> run = Run(Example(lambda: nn.Linear(16, 4), (8, 16)), 0, training=training)
    >>> measure(run, Claim(Quantity.LESSON, "loss()", Bound())) > 0.5
    True
    """
    if loss_function(run.training.loss) != "cross_entropy":
        raise UnmeasurableError(f"the loop's loss is {run.training.loss or 'unknown'}")
    rehearsal, learnt = Rehearsal(run), _Learnt()
    for step in range(STEPS):
        if not math.isfinite(rehearsal.step(learnt.loss)):
            if step < _SOON:
                return 0.0
            raise UnmeasurableError(f"the loss overflowed after {step} steps")
        if min(learnt.margins[-_LAST:]) > _ENOUGH and step >= _LAST:
            break
    last = learnt.margins[-_LAST:]
    return sum(last) / len(last)


class _Learnt:
    """Cross entropy against random labels, and how far own labels lead those of the others."""

    def __init__(self) -> None:
        self.margins: list[float] = []

    def loss(self, output: torch.Tensor) -> torch.Tensor:
        logits = by_class(output)
        labels = torch.randint(logits.shape[1], logits.shape[:1])
        with torch.no_grad():
            own = logits.gather(1, labels[:, None]).mean()
            frequent = torch.bincount(labels, minlength=logits.shape[1]) / len(labels)
            self.margins.append(float(own - (logits.double() @ frequent.double()).mean()))
        return nn.functional.cross_entropy(logits, labels)
