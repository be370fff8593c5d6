"""What a hypothesis predicts: a named quantity of a named node stays within a bound, or not."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gradlint.protocol.quantity import Quantity
from gradlint.protocol.training import Objective


@dataclass(frozen=True, slots=True)
class Bound:
    """The interval in which a healthy model's value lies; an open end is infinite."""

    at_least: float = -math.inf
    at_most: float = math.inf

    def holds(self, value: float) -> bool:
        """Whether `value` lies inside; NaN lies inside no bound."""
        return self.at_least <= value <= self.at_most

    def distance(self, value: float) -> float:
        """How far `value` lies outside, 0 inside, infinite for NaN."""
        if self.holds(value):
            return 0.0
        if math.isnan(value):
            return math.inf
        return max(self.at_least - value, value - self.at_most)


@dataclass(frozen=True, slots=True)
class Claim:
    """`quantity` of node `of` breaks `bound`; beyond `error` it is an error, not a warning.

    `since` is the node at whose output a quantity of several layers begins; "" means `of` alone.
    `steps` is the sequence length at which a decay per step is judged; 0 where it plays no part.
    `batch` is the number of samples at which it is judged, 0 for those of the run.
    `after_step` asks for the measurement after one optimizer step, as zero-initialised layers need.
    `objective` is the loss under which it is measured, None where the loss plays no part.
    """

    quantity: Quantity
    of: str
    bound: Bound
    error: Bound | None = None
    steps: int = 0
    after_step: bool = False
    since: str = ""
    batch: int = 0
    objective: Objective | None = None
