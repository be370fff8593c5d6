"""How fast the gradient dies along a sequence in a recurrence that failed to learn to remember."""

from __future__ import annotations

import math

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.learning import RECALLED, learning
from gradlint.worker.probing.quantities import recurrent_decay
from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError


def measure(run: Run, claim: Claim) -> float:
    """D = T · s in decades, as of `recurrent_decay`, after a rehearsal; -inf after an overflow.

    A copy of the model was trained to recall the first of T steps, T being `claim.steps`, with the
    optimizer and learning rate of the user's loop: see `Lesson`. A recurrence may start with a
    gradient that survives all of its sequence, as orthogonal weights have it, and lose it within
    some dozen steps because each of them moves the weights too far: the states saturate. Weights
    that overflowed let nothing through at all. The slope is that of the model's own sequence,
    because what it was trained on decides which units are off.

    Raises:
        UnmeasurableError: the model learnt to recall, or could not be trained.

    Source: Pascanu, Mikolov and Bengio 2013, section 2.3, on what saturated states do to gradients;
    measured: 20 rehearsals of 7 recurrences that began above -2 and did not come to recall ended
    between -2.2 and no gradient at all.

    >>> import torch
    >>> from torch import nn
    >>> from gradlint.protocol.claim import Bound, Claim
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.protocol.training import Training
    >>> from gradlint.worker.probing.quantities import Example
    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.rnn = nn.RNN(8, 16, batch_first=True)
    ...     def forward(self, x):
    ...         return self.rnn(x)[0][:, -1]
    >>> hot = Training(optimizer="SGD", learning_rate=10.0, loss="CrossEntropyLoss")
    >>> run = Run(Example(Net, (8, 6, 8)), 0, training=hot, keep=["rnn"])
    >>> claim = Claim(Quantity.TRAINED_DECAY, "rnn", Bound(at_least=-2), steps=6, batch=8)
    >>> measure(run, claim) < -2
    True
    """
    outcome = learning(run, batch=claim.batch, steps=claim.steps, enough=RECALLED)
    if outcome.left < RECALLED:
        raise UnmeasurableError("the model learnt to recall")
    if math.isinf(outcome.left):
        return -math.inf
    return recurrent_decay.decay(run.after(outcome.model), claim, shortest=0)
