"""How many units of a saturating activation stand where its derivative has died."""

from __future__ import annotations

from collections.abc import Callable

import torch

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError

# φ'(x) / max φ', as a function of y = φ(x): no inputs need to be kept.
_RELATIVE_DERIVATIVE: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "sigmoid": lambda y: 4 * y * (1 - y),
    "tanh": lambda y: 1 - y**2,
    "softsign": lambda y: (1 - y.abs()) ** 2,
    "hardsigmoid": lambda y: ((y > 0) & (y < 1)).to(y.dtype),
    "hardtanh": lambda y: (y.abs() < 1).to(y.dtype),
}
_DEAD = 0.05


def measure(run: Run, claim: Claim) -> float:
    """Share of the elements of φ(x) at layer `of` with φ'(x) < .05 · max φ', over the whole batch.

    Raises:
        UnmeasurableError: the layer is no saturating activation.

    Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", 2010, who watch the saturation of sigmoid and tanh units.

    >>> import torch
    >>> from gradlint.protocol.claim import Bound, Claim
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.worker.probing.quantities import Example
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 64), torch.nn.Tanh())
    >>> run = Run(Example(lambda: model, (8, 4)), 0, keep=["1"])
    >>> measure(run, Claim(Quantity.SATURATION, "1", Bound())) < 0.02
    True
    """
    name = run.call(claim.of).op.rpartition(".")[2].lower()
    if name not in _RELATIVE_DERIVATIVE:
        raise UnmeasurableError(f"{claim.of} is a {name}, which does not saturate on both sides")
    derivative = _RELATIVE_DERIVATIVE[name](run.output(claim.of))
    return float((derivative < _DEAD).double().mean())
