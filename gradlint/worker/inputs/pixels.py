"""The range of images and signals that a model brings into its own range first, as by `x / 255`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch

from gradlint.worker.inputs.guesses import Guess
from gradlint.worker.inputs.specs import Normal
from gradlint.worker.running.attempt import sources_of
from gradlint.worker.running.modes import FunctionMode

_CHANGED = "_gradlint_changed"
_ALIKE = frozenset(
    "float to type double contiguous clone permute transpose view reshape unsqueeze squeeze flatten"
    " detach".split()
)
_DIVISION = frozenset({"div", "divide", "true_divide"})
_PRODUCT = frozenset({"mul", "multiply"})
_DIFFERENCE = frozenset({"sub", "subtract"})
_PIXELS = (127.0, 127.5, 128.0, 255.0, 256.0)
_DARKEST = 50.0
"""What is subtracted from pixels of 0 … 255, as their mean, is at least this."""
_SPREAD = 58.0
"""The standard deviation of the pixels of ImageNet."""
_CHANNELS = 16
"""How many means or scales there may be; of what has more, such as a mask, each place differs."""

Affine = tuple[float, float]
"""Mean and scale that an argument has where its changed values have 0 and 1."""


class Ranges(FunctionMode):
    """Sees how a pass changes its arguments by constants, before anything else is done to them.

    `found` has the mean and the scale that an argument must have to be standard normal then.
    """

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__()
        self.found: dict[str, Affine] = {}

    def fitted(self, guess: Guess) -> Guess:
        """The guess with arguments that are standard normal where the model has changed them."""
        for name, (mean, scale) in self.found.items():
            spec = guess.spec(name)
            if isinstance(spec, Normal) and len(spec.shape) > 2 and not spec.dtype.startswith("c"):
                guess = guess.having(name, replace(spec, mean=mean, scale=scale))
        return guess

    def _called(
        self, func: Callable[..., object], args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> object:
        value, *others = args or (None,)
        before = _affine(value) if isinstance(value, torch.Tensor) else None
        result = func(*args, **kwargs)
        if isinstance(value, torch.Tensor) and isinstance(result, torch.Tensor):
            name = getattr(func, "__name__", "").strip("_")
            after = before and _changed(before, name, others[0] if others else None)
            if sources_of(value):
                setattr(result, _CHANGED, after)
            if after and after != before:
                self._note(value, after)
        return result

    def _note(self, value: torch.Tensor, after: Affine) -> None:
        (name,) = sources_of(value)
        mean, scale = after
        if scale in _PIXELS or (mean and scale != 1.0):
            self.found[name] = after
        elif abs(mean) >= _DARKEST:
            self.found[name] = (mean, _SPREAD)


def _affine(value: torch.Tensor) -> Affine | None:
    """How an argument was changed to become this, None where it became it in another way."""
    if len(sources_of(value)) != 1 or value.requires_grad:
        return None
    known: Affine | None = getattr(value, _CHANGED, (0.0, 1.0))
    return known


def _changed(before: Affine, name: str, by: object) -> Affine | None:
    if name in _ALIKE:
        return before
    number, (mean, scale) = _constant(by), before
    if number is None:
        return None
    if name in _DIFFERENCE:
        return mean + number * scale, scale
    if name == "add":
        return mean - number * scale, scale
    if name in _DIVISION and number:
        return mean, scale * number
    if name in _PRODUCT and number:
        return mean, scale / number
    return None


def _constant(value: object) -> float | None:
    """A number, or the mean of a tensor that stems from no argument and is not trained."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, torch.Tensor) or sources_of(value) or value.requires_grad:
        return None
    if not value.is_floating_point() or not 0 < value.numel() <= _CHANNELS or value.is_meta:
        return None
    with torch._C.DisableTorchFunction():
        mean = float(value.detach().mean())
    return mean if math.isfinite(mean) else None
