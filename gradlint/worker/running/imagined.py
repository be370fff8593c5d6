"""Models too large for this machine, built and run on tensors that have shapes but no values."""

from __future__ import annotations

import contextlib
import logging
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist

import torch
from torch.utils._python_dispatch import _disable_current_modes

from gradlint.worker.running.modes import DispatchMode
from gradlint.worker.running.shadows import Entries, Shadows, shadowed

_PASSED_ON = frozenset("clone _to_copy lift_fresh".split())
_FACTORIES = frozenset("ones zeros full randn rand empty ones_like zeros_like randn_like".split())


@dataclass(frozen=True, slots=True)
class Values:
    """What is known of the elements of a tensor: mean, mean square and, roughly, the largest."""

    mean: float
    square: float
    largest: float

    def scaled(self, factor: float) -> Values:
        """The elements times a number."""
        size = abs(factor)
        return Values(self.mean * factor, self.square * factor**2, self.largest * size)

    def shifted(self, by: float) -> Values:
        """The elements plus a number."""
        square = self.square + 2.0 * by * self.mean + by**2
        return Values(self.mean + by, square, self.largest + abs(by))

    def mixed(self, other: Values, share: float) -> Values:
        """These elements with a share of them replaced by others."""
        return Values(
            (1.0 - share) * self.mean + share * other.mean,
            (1.0 - share) * self.square + share * other.square,
            max(self.largest, other.largest),
        )


UNKNOWN = Values(math.nan, math.nan, math.nan)


class Imagination:
    """A world of fake tensors that remembers how each was filled.

    Fake tensors are imported here and no earlier, because that takes a second and 70 MB.
    """

    def __init__(self) -> None:
        from torch._subclasses.fake_tensor import FakeTensorMode

        # because it writes to standard error what the shapes of a guess did not fit
        logging.getLogger(FakeTensorMode.__module__).setLevel(logging.CRITICAL)
        self._mode = FakeTensorMode(allow_non_fake_inputs=True)
        self._known: dict[int, Values] = {}

    @contextlib.contextmanager
    def building(self) -> Iterator[None]:
        """Within it every new tensor is a fake one, and what fills it is remembered."""
        watch = _Watch(self._known)
        entries = Entries(watch.forget)
        with warnings.catch_warnings(), self._mode, Shadows(self._mode), watch, entries:
            # because copying a module deeply asks each tensor where its elements are
            warnings.filterwarnings("ignore", "Accessing the data pointer of FakeTensor")
            yield

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Within it every new tensor is a fake one."""
        with self._mode, Shadows(self._mode), Entries():
            yield

    def values(self, tensor: torch.Tensor) -> Values:
        """What the elements of a tensor would be; NaN where its last fill was not understood."""
        return self._known.get(_storage(tensor)) or _values_of(shadowed(tensor))


class _Watch(DispatchMode):
    """Sees the operations that fill tensors, below the functions of `torch.nn.init`."""

    def __init__(self, known: dict[int, Values]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._known = known

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        name = getattr(func, "_schema").name.partition("::")[2]  # noqa: B009
        output = func(*args, **(kwargs or {}))
        target = args[0] if name.endswith("_") and args else output
        if isinstance(target, torch.Tensor):
            self._note(name, target, args)
        return output

    def forget(self, tensor: torch.Tensor) -> None:
        """The elements of a tensor were written, and are what its shadow says."""
        self._known.pop(_storage(tensor), None)

    def _note(self, name: str, target: torch.Tensor, args: tuple[object, ...]) -> None:
        key, source = _storage(target), args[0] if args else None
        old = self._known.get(key, UNKNOWN)
        if not name.endswith("_") and isinstance(source, torch.Tensor) and key == _storage(source):
            return  # because a view has no values of its own
        if name in _PASSED_ON:
            new = self._of(source)
        elif name == "copy_":
            new = self._of(args[1])
            number = _number(args[1])
            new = _constant(number) if number is not None else new
        elif name.endswith("_"):
            new = _rewritten(name, old, args[1:])
        elif name in _FACTORIES:
            new = _made(name, args)
        else:
            new = _computed(name, self._of(source), args[1:])
        share = target.numel() / max(_length(target), 1)
        self._known[key] = old.mixed(new, share) if name.endswith("_") and share < 1.0 else new

    def _of(self, tensor: object) -> Values:
        if not isinstance(tensor, torch.Tensor):
            return UNKNOWN
        known = self._known.get(_storage(tensor))
        return known or _values_of(shadowed(tensor))


def _values_of(tensor: torch.Tensor) -> Values:
    """Of a tensor that has values, such as one that came out of an array."""
    with _disable_current_modes():
        if type(tensor) is not torch.Tensor or tensor.is_complex() or not tensor.numel():
            return UNKNOWN
        real = tensor.detach().double()
        mean, square = float(real.mean()), float(real.square().mean())
        return Values(mean, square, float(real.abs().max()))


def _rewritten(name: str, old: Values, rest: tuple[object, ...]) -> Values:
    """The values behind an operation in place, by what they were."""
    numbers = [number for value in rest if (number := _number(value)) is not None]
    match name, numbers:
        case "normal_", _:
            mean, deviation = (*numbers, *(0.0, 1.0)[len(numbers) :])
            return Values(mean, mean**2 + deviation**2, abs(mean) + 4.0 * deviation)
        case "uniform_", _:
            low, high = (*numbers, *(0.0, 1.0)[len(numbers) :])
            square = (low * low + low * high + high * high) / 3.0
            return Values(0.5 * (low + high), square, max(abs(low), abs(high)))
        case "zero_", _:
            return _constant(0.0)
        case "fill_", [value]:
            return _constant(value)
        case "erfinv_", _:
            return _erfinv(old)
        case "clamp_", _:
            return old
    return _computed(name.removesuffix("_"), old, rest)


def _computed(name: str, old: Values, rest: tuple[object, ...]) -> Values:
    """The values times, over, plus or minus a number."""
    number = _number(rest[0]) if rest else None
    if number is None:
        return UNKNOWN
    match name:
        case "mul":
            return old.scaled(number)
        case "div":
            return old.scaled(1.0 / number)
        case "add":
            return old.shifted(number)
        case "sub":
            return old.shifted(-number)
    return UNKNOWN


def _made(name: str, args: tuple[object, ...]) -> Values:
    match name.removesuffix("_like"):
        case "ones":
            return _constant(1.0)
        case "zeros":
            return _constant(0.0)
        case "randn":
            return Values(0.0, 1.0, 4.0)
        case "rand":
            return Values(0.5, 1.0 / 3.0, 1.0)
        case "full" if (value := _number(args[1])) is not None:
            return _constant(value)
    return UNKNOWN


def _constant(value: float) -> Values:
    return Values(value, value**2, abs(value))


def _number(value: object) -> float | None:
    """A number, or the one that a fake tensor of one element is known to hold."""
    known = getattr(value, "constant", None)
    if isinstance(known, torch.Tensor) and known.numel() == 1:
        return float(known)
    return float(value) if isinstance(value, int | float) else None


def _erfinv(uniform: Values) -> Values:
    """A step of `trunc_normal_`: half the variance of a normal cut off where U(-a, a) says."""
    edge = uniform.largest
    if not edge < 1.0 - 1e-6:
        return Values(0.0, 0.5, 3.0)
    normal = NormalDist()
    cut = normal.inv_cdf(0.5 * (1.0 + edge))
    return Values(0.0, 0.5 * (1.0 - 2.0 * cut * normal.pdf(cut) / edge), cut / math.sqrt(2.0))


def _storage(tensor: torch.Tensor) -> int:
    storage: int = tensor.untyped_storage()._cdata
    return storage


def _length(tensor: torch.Tensor) -> int:
    """The number of elements of the storage that a tensor is a view of."""
    return tensor.untyped_storage().nbytes() // max(tensor.element_size(), 1)
