"""Over how many values a norm takes its mean and variance."""

from __future__ import annotations

import math

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError


def measure(run: Run, claim: Claim) -> float:
    """The number of values behind each mean and variance of the norm `of` in training, at least 1.

    BatchNorm: samples times positions of a channel, for batches of `batch` samples where the claim
    names a size. InstanceNorm: positions. GroupNorm: channels of a group times positions.
    LayerNorm: the size of the normalised axes. The norm of one value is zero whatever the value,
    and of two values it is ±1: then no gradient passes.

    Raises:
        UnmeasurableError: `of` is no such norm.

    Source: Ioffe and Szegedy, "Batch normalization", 2015; Wu and He, "Group normalization", 2018.

    >>> from gradlint.protocol.claim import Bound
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.worker.probing.quantities import Example
    >>> model = nn.Sequential(nn.Linear(8, 8), nn.GroupNorm(8, 8))
    >>> run = Run(Example(lambda: model, (16, 8)), 0, keep=["1"])
    >>> measure(run, Claim(Quantity.NORMALIZED_VALUES, "1", Bound()))
    1.0
    """
    call = run.call(claim.of)
    samples, positions = call.shape[0], math.prod(call.shape[2:])
    match call.module:
        case nn.LayerNorm(normalized_shape=shape):
            return float(math.prod(shape))
        case nn.GroupNorm(num_channels=channels, num_groups=groups):
            return float(channels // groups * positions)
        case _InstanceNorm():
            return float(positions)
        case _BatchNorm():
            return float((claim.batch or samples) * positions)
        case _:
            raise UnmeasurableError(f"{claim.of} is no norm of torch")
