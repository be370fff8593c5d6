"""What stands for an argument of which nothing says which one it is."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


class PassThrough(nn.Module):
    """Returns the first of its arguments; it has no parameters, so no finding can be about it.

    Its attributes are what the model around it reads, such as the width of its output.
    """

    def __init__(self, **attributes: object) -> None:
        """Hold `attributes`."""
        super().__init__()
        vars(self).update(attributes)

    def forward(self, first: object = None, *others: object, **words: object) -> object:
        """The first argument, or the first of those given by name."""
        return next(iter(words.values()), None) if first is None else first


class LargestTrial:
    """Stands for a trial of a search: each size is the largest, each choice the first.

    Because the deepest network of the search is the one to look at. The methods are Optuna's.
    """

    number = 0

    def suggest_int(self, name: str, low: int, high: int, **options: object) -> int:
        """The largest number."""
        return high

    def suggest_float(self, name: str, low: float, high: float, **options: object) -> float:
        """The number in the middle."""
        return 0.5 * (low + high)

    suggest_uniform = suggest_loguniform = suggest_discrete_uniform = suggest_float

    def suggest_categorical(self, name: str, choices: Sequence[object]) -> object:
        """The first choice."""
        return choices[0]
