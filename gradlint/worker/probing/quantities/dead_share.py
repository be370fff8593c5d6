"""How many units of an activation are zero on every input."""

from __future__ import annotations

import torch

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError


def measure(run: Run, claim: Claim) -> float:
    """Share of the units at layer `of` whose output is exactly 0 for every sample and position.

    A unit is a channel (axis 1) of images and volumes, shape (N, C, …) with four or more axes, and
    an entry of the last axis of (N, C). Three axes may be (N, T, C) or (N, C, L): the larger of
    both shares counts, because whole units are dead only along the axis that holds them.

    Raises:
        UnmeasurableError: the output has no axis of units.

    Source: Lu et al., "Dying ReLU and initialization", 2019.

    >>> import torch
    >>> from gradlint.protocol.claim import Bound, Claim
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.worker.probing.quantities import Example
    >>> dead = torch.nn.Linear(4, 6)
    >>> _ = torch.nn.init.constant_(dead.bias, -100.0)
    >>> model = torch.nn.Sequential(dead, torch.nn.ReLU())
    >>> run = Run(Example(lambda: model, (8, 4)), 0, keep=["1"])
    >>> measure(run, Claim(Quantity.DEAD_SHARE, "1", Bound()))
    1.0
    """
    output = run.output(claim.of)
    if output.ndim < 2:
        raise UnmeasurableError(f"{claim.of} has no axis of units: {tuple(output.shape)}")
    axes = (1, 2) if output.ndim == 3 else (1,)
    return max(_dead(torch.movedim(output, axis, 0).flatten(1)) for axis in axes)


def _dead(units: torch.Tensor) -> float:
    return float((units == 0).all(dim=1).double().mean())
