"""What a classifier fails to learn of a simple task."""

from __future__ import annotations

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.learning import RECALLED, learning
from gradlint.worker.probing.run import Run

_CLEAR = 0.5  # as far below the bound nothing more has to be shown
_LENIENT, _LITTLE = 0.8, 0.2  # nor so little below a bound that asks for next to nothing


def measure(run: Run, claim: Claim) -> float:
    """min(H / ln K, (1 - a) K / (K - 1)) with the cross entropy H and the share a of right answers.

    A copy of the model is trained for at most 300 steps with the optimizer and learning rate of the
    user's loop on fresh batches of a simple task of K classes: see `Lesson`. The means over the
    last 20 steps are taken; training ends early where both are .5 below the bound, with SGD for as
    many steps again as that took, or one of them .2 below a bound of more than .8, or where .97 is
    left after 200 steps. 1 means that the answers tell nothing of the input, 0 that they are all
    right and certain; infinite where the loss overflows. Both are taken because large weights make
    wrong answers certain ones: their loss stays high long after most answers are right.
    `claim.batch` is the number of samples in a batch; with `claim.steps` only the first of so many
    steps tells the class, and 500 steps are taken, all of them where a sequence is short.

    Raises:
        UnmeasurableError: the loop's loss is not cross entropy, the model cannot be taught, or a
            step cannot be taken.

    >>> from torch import nn
    >>> from gradlint.protocol.claim import Bound, Claim
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.protocol.training import Training
    >>> from gradlint.worker.probing.quantities import Example
    >>> training = Training(optimizer="Adam", learning_rate=0.01, loss="CrossEntropyLoss")
    >>> run = Run(Example(lambda: nn.Linear(16, 4), (8, 16)), 0, training=training)
    >>> measure(run, Claim(Quantity.UNLEARNED_SHARE, "loss()", Bound(at_most=0.6))) < 0.3
    True
    """
    if claim.steps:
        return learning(run, batch=claim.batch, steps=claim.steps, enough=RECALLED).left
    bound = claim.bound.at_most
    lenient = bound > _LENIENT
    enough = bound - (_LITTLE if lenient else _CLEAR)
    return learning(run, batch=claim.batch, steps=0, enough=enough, lasting=not lenient).left
