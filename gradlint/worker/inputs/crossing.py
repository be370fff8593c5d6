"""Where each sample of a batch meets every other, because an argument lacks an axis of steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch.overrides import TorchFunctionMode

from gradlint.worker.inputs.guesses import Argument, Guess
from gradlint.worker.inputs.specs import Normal, Shape, reshaped
from gradlint.worker.running.attempt import sources_of

_ELEMENTWISE = frozenset("add sub mul div true_divide".split())
_AXES: Mapping[int, Shape] = {1: ("time",), 2: (8, 8), 3: (4, 8, 8)}
"""What stands between the samples and their features, by how many axes that are."""


class Crossing(TorchFunctionMode):
    """Sees what has a row for each sample meet what has steps, as in `x + time[:, None]`.

    That runs, because all samples of the one then count as the steps of each of the other.
    `lacking` has the arguments that made such rows, and how many axes they lack.
    """

    def __init__(self, batch: int) -> None:
        """Begin with none."""
        super().__init__()
        self.batch = batch
        self.lacking: dict[str, int] = {}

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        met = [value for value in args if isinstance(value, torch.Tensor)]
        if len(met) == 2 and getattr(func, "__name__", "").strip("_i") in _ELEMENTWISE:
            self._meet(*sorted(met, key=torch.Tensor.dim))
        return func(*args, **(kwargs or {}))

    def _meet(self, rows: torch.Tensor, steps: torch.Tensor) -> None:
        lacking, ours = steps.dim() - rows.dim(), sources_of(rows)
        if not lacking or rows.dim() < 2 or rows.shape[0] != self.batch:
            return
        alone = steps.shape[0] == self.batch and set(steps.shape[1 : lacking + 1]) == {1}
        if alone and ours.isdisjoint(sources_of(steps)):
            self.lacking |= dict.fromkeys(ours, lacking)


def may_cross(guess: Guess) -> bool:
    """Whether one of several arguments may have a row for each sample."""
    return len(guess.arguments) > 1 and any(_between(item) for item in guess.arguments)


def with_steps(guess: Guess, lacking: Mapping[str, int]) -> Guess:
    """The guess with as many axes more for these arguments."""
    for item in guess.arguments:
        shape: Shape = getattr(item.spec, "shape", ())
        axes = _AXES.get(_between(item) - 1 + lacking.get(item.name, 0), ())
        if axes and item.name in lacking:
            new = reshaped(item.spec, ("batch", *axes, shape[-1]))
            guess = guess.having(item.name, new)
    return guess


def _between(item: Argument) -> int:
    """1 more than the axes of an argument between samples and a number of features, else 0."""
    match item.spec:
        case Normal(shape=("batch", *axes, int())):
            return len(axes) + 1
        case _:
            return 0
