"""Whether images and signals are so small that layers which look around see one place alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import nn

from gradlint.worker.inputs.case import SIDES, uses
from gradlint.worker.inputs.guesses import Guess
from gradlint.worker.inputs.specs import Shape
from gradlint.worker.running.hooks import before_calls
from gradlint.worker.running.modes import DispatchMode

_LARGEST = 128  # above which nothing is doubled
_SMALLEST = 32  # below which nothing is halved
_WAVE = 4096
"""Samples of a waveform."""
_MONO_OR_STEREO = (1, 2)
_MOSTLY = 2
"""Places of padding for each other one, above which there is little but padding."""
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_SOFTMAX = ("_softmax", "_safe_softmax")


def roomier(guess: Guess) -> Guess | None:
    """The guess with images twice as high and wide, signals or else sequences twice as long.

    Waveforms are given thousands of samples at once, because what is too short for a frame of them
    is filled up to one. None where all are large already.
    """
    names = [name for name in sorted(SIDES) if uses(guess, name)]
    names = names or (["time"] if uses(guess, "time") else [])
    largest = max((guess.size[name] for name in names), default=0)
    if not names or largest > (_WAVE // 2 if of_waves(guess) else _LARGEST):
        return None
    if of_waves(guess):
        return guess.sized(length=_WAVE)
    return guess.sized(**{name: 2 * guess.size[name] for name in names})


def smaller_images(guess: Guess) -> Guess | None:
    """The guess with images half as high and wide, None where there are none or they are small."""
    sides = {name: guess.size[name] for name in ("height", "width") if uses(guess, name)}
    if len(sides) < 2 or min(sides.values()) // 2 < _SMALLEST:
        return None
    return guess.sized(**{name: side // 2 for name, side in sides.items()})


def of_waves(guess: Guess) -> bool:
    """Whether inputs are waveforms, which are cut into frames of hundreds of samples.

    Only such signals have but one channel, or two of them.
    """
    shapes: list[Shape] = [getattr(item.spec, "shape", ()) for item in guess.arguments]
    return any(shape[2:] == ("length",) and shape[1] in _MONO_OR_STEREO for shape in shapes)


class Narrow(DispatchMode):
    """Counts the calls of a pass that have one place where they are made for several.

    These are convolutions of one pixel by more, attention to one token, and padding around next
    to nothing: neither the outer weights of a convolution nor the queries and keys of an attention
    matter then, nor get a gradient.
    """

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    @contextlib.contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """Within it the calls of `model` are counted."""
        with before_calls(model, _CONVOLUTIONS, self._convolving), self:
            yield

    def _convolving(self, layer: nn.Module, args: tuple[object, ...]) -> None:
        assert isinstance(layer, _CONVOLUTIONS)
        kernel, image = layer.kernel_size, args[0] if args else None
        if isinstance(image, torch.Tensor) and max(kernel) > 1:
            extents = zip(image.shape[-len(kernel) :], kernel, strict=True)
            self.count += all(extent == 1 for extent, side in extents if side > 1)

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        name = getattr(func, "_schema").name.partition("::")[2]  # noqa: B009
        if name in _SOFTMAX:
            self.count += _extent(args[0], args[1]) == 1
        elif name.startswith("_scaled_dot_product"):
            self.count += _extent(args[1], -2) == 1
        elif name == "constant_pad_nd":
            self.count += _pads_little(args[0], args[1])
        return func(*args, **(kwargs or {}))


def _extent(tensor: object, dim: object) -> int:
    """The size of a tensor along a dimension, 0 where there is none."""
    return tensor.shape[dim] if isinstance(tensor, torch.Tensor) and isinstance(dim, int) else 0


def _pads_little(tensor: object, pads: object) -> bool:
    """Whether a padding makes several places of one, as in front of a convolution or a window.

    Or whether little of what comes of it is not padding, as where half a frame is filled up.
    """
    if not isinstance(tensor, torch.Tensor) or not isinstance(pads, (list, tuple)):
        return False
    sides = zip(reversed(tensor.shape), pads[::2], pads[1::2], strict=False)
    padded = [(extent, before + after) for extent, before, after in sides if max(before, after) > 0]
    return bool(padded) and all(n == 1 or more > _MOSTLY * n for n, more in padded)
