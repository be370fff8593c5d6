"""How much of what learns is unknown to the optimizer."""

from __future__ import annotations

import torch

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.run import Run
from gradlint.worker.tracing.strays import strays


def measure(run: Run, claim: Claim) -> float:
    """Share, in [0, 1], of the numbers that get a gradient which the attribute `of` hides.

    Numbers are the elements of the model's parameters and of the trainable tensors that hang on its
    attributes without being registered; `of` is the way to the list, dict or tensor that holds some
    of the latter. An optimizer that is given `model.parameters()` never moves them.

    Source: by definition; `torch.nn.Module.parameters` yields registered tensors only.

    >>> from torch import nn
    >>> from gradlint.protocol.claim import Bound, Claim
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.worker.probing.quantities import Example
    >>> class Listed(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.layers, self.head = [nn.Linear(4, 4), nn.Linear(4, 4)], nn.Linear(4, 4)
    ...     def forward(self, x):
    ...         return self.head(self.layers[1](self.layers[0](x)))
    >>> claim = Claim(Quantity.STRAY_SHARE, "layers", Bound())
    >>> round(measure(Run(Example(Listed, (8, 4)), 0), claim), 3)
    0.667
    """
    model = run.forward.model
    found = [item for item in strays(model) if item.part == claim.of]
    _ = run.plain
    hidden = sum(item.tensor.numel() for item in found if _moved(item.tensor))
    known = sum(p.numel() for p in model.parameters() if _moved(p))
    return hidden / (hidden + known) if hidden else 0.0


def _moved(tensor: torch.Tensor) -> bool:
    return tensor.grad is not None and bool((tensor.grad != 0).any())
