"""Whether any gradient arrives at the parameters of a part of the model."""

from __future__ import annotations

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError


def measure(run: Run, claim: Claim) -> float:
    """Σ numel(p) [∂loss/∂p ≠ 0] / Σ numel(p), in [0, 1], over the trainable parameters p of `of`.

    `of` is the name of a parameter or of a module. A gradient counts if it is not zero at the start
    or after one step of all parameters, which moves layers that were zero and let nothing through.

    Raises:
        UnmeasurableError: `of` holds no trainable parameter.

    Source: by definition; a parameter without gradient is not moved by any optimizer.

    >>> import torch
    >>> from torch import nn
    >>> from gradlint.protocol.claim import Bound, Claim
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.worker.probing.quantities import Example
    >>> class Cut(nn.Sequential):
    ...     def forward(self, x):
    ...         return self[1](self[0](x).detach())
    >>> run = Run(Example(lambda: Cut(nn.Linear(4, 4), nn.Linear(4, 2)), (8, 4)), 0)
    >>> [measure(run, Claim(Quantity.REACHED_SHARE, part, Bound())) for part in ("0", "1")]
    [0.0, 1.0]
    """
    sizes = {
        name: parameter.numel()
        for name, parameter in run.forward.model.named_parameters()
        if parameter.requires_grad and f"{name}.".startswith(f"{claim.of}.")
    }
    if not sizes:
        raise UnmeasurableError(f"{claim.of} holds no trainable parameter")
    reached = {name for name in sizes if run.plain.parameters.get(name)}
    if len(reached) < len(sizes):
        reached |= {name for name in sizes if run.stepped.parameters.get(name)}
    return sum(sizes[name] for name in reached) / sum(sizes.values())
