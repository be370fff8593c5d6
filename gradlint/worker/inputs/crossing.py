"""Where each sample of a batch meets every other, because an argument lacks an axis of steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch

from gradlint.worker.inputs.guesses import Argument, Guess
from gradlint.worker.inputs.specs import Dim, Normal, Shape, Whole, reshaped
from gradlint.worker.running.attempt import sources_of
from gradlint.worker.running.modes import FunctionMode

_ELEMENTWISE = frozenset("add sub mul div true_divide".split())
_AXES: Mapping[int, Shape] = {1: ("time",), 2: (8, 8), 3: (4, 8, 8)}
"""What stands beside the samples and their features, by how many axes that are."""


class Crossing(FunctionMode):
    """Sees what has a row for each sample meet what has places, as in `x + time[:, None]`.

    That runs, because all samples of the one then count as the places of each of the other.
    `met` has the arguments that made such rows, and the sizes of one sample of what they met.
    """

    def __init__(self, batch: int) -> None:
        """Begin with none."""
        super().__init__()
        self.batch = batch
        self.met: dict[str, tuple[int, ...]] = {}

    def _called(
        self, func: Callable[..., object], args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> object:
        pair = [value for value in args if isinstance(value, torch.Tensor)]
        if len(pair) == 2 and getattr(func, "__name__", "").strip("_ir") in _ELEMENTWISE:
            self._meet(*sorted(pair, key=torch.Tensor.dim))
        return func(*args, **kwargs)

    def _meet(self, rows: torch.Tensor, places: torch.Tensor) -> None:
        ours, fewer = sources_of(rows), 0 < rows.dim() < places.dim()
        if not fewer or places.shape[0] != self.batch or 1 not in places.shape[1:]:
            return
        if self.batch in rows.shape and ours.isdisjoint(sources_of(places)):
            self.met |= dict.fromkeys(ours, tuple(places.shape[1:]))


def may_cross(guess: Guess) -> bool:
    """Whether one of several arguments may have a row for each sample."""
    return len(guess.arguments) > 1 and any(_is_of_samples(item) for item in guess.arguments)


def with_places(guess: Guess, met: Mapping[str, tuple[int, ...]]) -> Iterator[Guess]:
    """The guess with places for these arguments, where one sample of what they met has room.

    First with as many features as they have, then with those of what they met.
    """
    kept, taken = guess, guess
    for item in guess.arguments:
        shape: Shape = getattr(item.spec, "shape", ())
        sizes = met.get(item.name, ()) if _is_of_samples(item) else ()
        if sizes and sizes.count(1) == len(sizes) - (len(shape) > 1):
            kept = kept.having(item.name, reshaped(item.spec, _spread(shape[-1], sizes)))
            taken = taken.having(item.name, reshaped(item.spec, _spread(max(sizes), sizes)))
    yield from dict.fromkeys(new for new in (kept, taken) if new != guess)


def _spread(features: Dim, sizes: tuple[int, ...]) -> Shape:
    """Samples of these sizes, with places where there is room for them and so many features."""
    places = iter(_AXES.get(len(sizes) - 1, ()))
    return ("batch", *(next(places, 1) if size == 1 else features for size in sizes))


def _is_of_samples(item: Argument) -> bool:
    return isinstance(item.spec, (Normal, Whole)) and "batch" in item.spec.shape
