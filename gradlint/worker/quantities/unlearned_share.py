"""What a classifier fails to learn of a simple task."""

from __future__ import annotations

import math

from gradlint.protocol.claim import Claim
from gradlint.protocol.training import loss_function
from gradlint.worker.lesson import Lesson
from gradlint.worker.rehearsal import Rehearsal
from gradlint.worker.run import Run, UnmeasurableError

STEPS = 300
RECALL_STEPS = 500  # because three networks began to recall after 430 and learnt
_CLEAR = 0.5  # as far below the bound nothing more has to be shown
_HOPELESS, _LATE = 0.97, 200  # with so much left after so many steps none learnt more
_BRIEF = 40  # steps of a sequence: with longer ones 500 steps of training take too many seconds
_LAST = 20  # steps over which answers are counted
_SOON = 100  # steps: 11 networks overflowed sooner with each seed, and all failed


def measure(run: Run, claim: Claim) -> float:
    """min(H / ln K, (1 - a) K / (K - 1)) with the cross entropy H and the share a of right answers.

    A copy of the model is trained for at most 300 steps with the optimizer and learning rate of the
    user's loop on fresh batches of a simple task of K classes: see `Lesson`. The means over the
    last 20 steps are taken; training ends early at .5 below the bound, or where .97 is left after
    200 steps. 1 means that the answers tell nothing of the input, 0 that they are all right and
    certain; infinite where the loss overflows within 100 steps. Both are taken because large
    weights make wrong answers certain ones: their loss stays high long after most answers are
    right. `claim.batch` is the number of samples in a batch; with `claim.steps` only the first of
    so many steps tells the class, and 500 steps are taken, all of them where a sequence is short.

    Raises:
        UnmeasurableError: the loop's loss is not cross entropy, the model cannot be taught, the
            loss overflowed late, or a step cannot be taken.

    >>> from torch import nn
    >>> from gradlint.protocol.claim import Bound, Claim
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.protocol.training import Training
    >>> from gradlint.worker.quantities import Example
    >>> training = Training(optimizer="Adam", learning_rate=0.01, loss="CrossEntropyLoss")
    >>> run = Run(Example(lambda: nn.Linear(16, 4), (8, 16)), 0, training=training)
    >>> measure(run, Claim(Quantity.UNLEARNED_SHARE, "loss()", Bound(at_most=0.6))) < 0.3
    True
    """
    if loss_function(run.training.loss) != "cross_entropy":
        raise UnmeasurableError(f"the loop's loss is {run.training.loss or 'unknown'}")
    lesson, rehearsal = Lesson(run, batch=claim.batch, steps=claim.steps), Rehearsal(run)
    losses, wrong, left = [], [], math.nan
    enough = claim.bound.at_most - _CLEAR
    late = RECALL_STEPS if 0 < claim.steps <= _BRIEF else _LATE
    for step in range(RECALL_STEPS if claim.steps else STEPS):
        losses.append(rehearsal.step(lesson.loss, on=lesson.draw(), draw=step))
        wrong.append(lesson.wrong)
        if not math.isfinite(losses[-1]):
            if step < _SOON:
                return math.inf
            raise UnmeasurableError(f"the loss overflowed after {step} steps")
        chance = 1.0 - 1.0 / lesson.classes
        left = min(_mean(losses) / math.log(lesson.classes), _mean(wrong) / chance)
        if step >= _LAST and (left < enough or (step >= late and left > _HOPELESS)):
            break
    return left


def _mean(values: list[float]) -> float:
    last = values[-_LAST:]
    return sum(last) / len(last)
