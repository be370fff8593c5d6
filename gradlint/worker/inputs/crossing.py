"""Where each sample of a batch meets every other, because an argument lacks an axis of steps."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from gradlint.worker.inputs.guesses import Argument, Guess
from gradlint.worker.inputs.specs import Dim, Normal, Shape, Whole, reshaped
from gradlint.worker.running.attempt import sources_of
from gradlint.worker.running.hooks import before_calls
from gradlint.worker.running.modes import FunctionMode

_ELEMENTWISE = frozenset("add sub mul div true_divide".split())
_OF_STEPS = (nn.RNNBase, nn.MultiheadAttention)
_FLAT = 2  # dimensions of rows: samples and their features
_AXES: Mapping[int, Shape] = {1: ("time",), 2: (8, 8), 3: (4, 8, 8)}
"""What stands beside the samples and their features, by how many axes that are."""


class Crossing(FunctionMode):
    """Sees what has a row for each sample meet what has places, as in `x + time[:, None]`.

    That runs, because all samples of the one then count as the places of each of the other. So
    does a layer of sequences that is given rows: to it, they are the steps of one sequence. And so
    do rows that a constant scales which has room for places.

    `met` has the arguments that made such rows, and the sizes of one sample of what they met;
    `first` those of them whose steps stand before the samples.
    """

    def __init__(self, batch: int) -> None:
        """Begin with none."""
        super().__init__()
        self.batch = batch
        self.met: dict[str, tuple[int, ...]] = {}
        self.first: set[str] = set()

    @contextlib.contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """Within it the calls of `model` are seen."""
        with before_calls(model, _OF_STEPS, self._step), self:
            yield

    def _step(self, layer: nn.Module, args: tuple[object, ...]) -> None:
        rows = args[0] if args else None
        if isinstance(rows, torch.Tensor) and rows.dim() == 2 and rows.shape[0] == self.batch:
            ours = sources_of(rows)
            self.met |= dict.fromkeys(ours, (1, rows.shape[1]))
            self.first |= set() if getattr(layer, "batch_first", False) else ours

    def _called(
        self, func: Callable[..., object], args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> object:
        pair = [value for value in args if isinstance(value, torch.Tensor)]
        if len(pair) == 2 and getattr(func, "__name__", "").strip("_ir") in _ELEMENTWISE:
            self._meet(*sorted(pair, key=torch.Tensor.dim))
        return func(*args, **kwargs)

    def _meet(self, rows: torch.Tensor, places: torch.Tensor) -> None:
        if not 0 < rows.dim() < places.dim():
            return
        ours = sources_of(rows)
        constant = rows.shape[0] == self.batch and _has_room(places, rows.dim())
        one_each = places.shape[0] == self.batch and 1 in places.shape[1:]
        if constant or (
            one_each and self.batch in rows.shape and ours.isdisjoint(sources_of(places))
        ):
            self.met |= dict.fromkeys(ours, tuple(places.shape[1:]))


def may_cross(guess: Guess, model: nn.Module) -> bool:
    """Whether an argument has a row for each sample, and something that it could cross with."""
    items = [item for item in guess.arguments if _is_of_samples(item)]
    if len(guess.arguments) > 1 and items:
        return True
    flat = any(len(getattr(item.spec, "shape", ())) == _FLAT for item in items)
    constants = itertools.chain(model.parameters(), model.buffers())
    return flat and (
        any(isinstance(part, _OF_STEPS) for part in model.modules())
        or any(_has_room(constant, _FLAT) for constant in constants)
    )


def _has_room(constant: torch.Tensor, dimensions: int) -> bool:
    """Whether a constant is one sample with places, which meets what has so many dimensions."""
    if is_lazy(constant) or sources_of(constant):
        return False
    return constant.dim() > dimensions and set(constant.shape[: 1 - dimensions]) == {1}


def with_places(guess: Guess, crossing: Crossing) -> Iterator[Guess]:
    """The guess with places for what crossed, where one sample of what it met has room.

    First with as many features as they have, then with those of what they met.
    """
    kept, taken = guess, guess
    for item in guess.arguments:
        shape: Shape = getattr(item.spec, "shape", ())
        sizes = crossing.met.get(item.name, ()) if _is_of_samples(item) else ()
        room = len(sizes) >= len(shape) and sizes.count(1) == len(sizes) - (len(shape) > 1)
        if sizes and room:
            own, theirs = _spread(shape[-1], sizes), _spread(max(sizes), sizes)
            if item.name in crossing.first:
                own, theirs = (own[1], own[0], *own[2:]), (theirs[1], theirs[0], *theirs[2:])
            kept = kept.having(item.name, reshaped(item.spec, own))
            taken = taken.having(item.name, reshaped(item.spec, theirs))
    yield from dict.fromkeys(new for new in (kept, taken) if new != guess)


def _spread(features: Dim, sizes: tuple[int, ...]) -> Shape:
    """Samples of these sizes, with places where there is room for them and so many features."""
    places = iter(_AXES.get(len(sizes) - 1, ()))
    return ("batch", *(next(places, 1) if size == 1 else features for size in sizes))


def _is_of_samples(item: Argument) -> bool:
    return isinstance(item.spec, (Normal, Whole)) and "batch" in item.spec.shape
