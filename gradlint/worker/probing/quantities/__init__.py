"""One file for each quantity; `measure` finds the file by the quantity's name."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.run import Run


@dataclass(frozen=True, slots=True)
class Example:
    """A model and its inputs given by hand, for the examples in the docstrings of quantities."""

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]

    def inputs(self) -> tuple[tuple[object, ...], dict[str, object]]:
        """One tensor of standard normal numbers."""
        return (torch.randn(self.shape),), {}


def measure(run: Run, claim: Claim) -> float:
    """The value of the claim's quantity in one seeded run.

    Raises:
        UserError: the user's code raised.
        UnmeasurableError: the quantity does not exist for this node.
    """
    module = importlib.import_module(f"{__name__}.{claim.quantity.module}")
    value: float = module.measure(run, claim)
    return value
