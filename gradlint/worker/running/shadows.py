"""Real values of the small tensors among fake ones, so that code can decide by what they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch.utils._python_dispatch import _disable_current_modes

from gradlint.worker.running.attempt import tried
from gradlint.worker.running.modes import DispatchMode, FunctionMode
from gradlint.worker.running.selections import of_all

if TYPE_CHECKING:
    from torch._subclasses.fake_tensor import FakeTensorMode

_LARGEST = 1 << 14
_VALUE = "_gradlint_value"
_NARROW = "Expected inputs of BF16 type"
_ITEMS = ("aten::item", "aten::_local_scalar_dense")
Function = Callable[..., object]


@dataclass(frozen=True, slots=True)
class Shadow:
    """What a fake tensor holds; it is copied with it, among real tensors."""

    value: torch.Tensor

    def __deepcopy__(self, memo: dict[int, object]) -> Shadow:
        with _disable_current_modes():
            return Shadow(self.value.clone())


def shadowed(tensor: torch.Tensor) -> torch.Tensor:
    """The values of a tensor: of a fake one its shadow, where it has one, else itself."""
    shadow = getattr(tensor, _VALUE, None)
    return shadow.value if isinstance(shadow, Shadow) else tensor


class Entries(FunctionMode):
    """Writes single numbers into the shadow of a tensor alone, and then calls `written` with it.

    Because a constructor may fill a table number by number, and each would cost a millisecond: the
    shapes of four operations, of which none changes.
    """

    def __init__(self, written: Callable[[torch.Tensor], None] = lambda tensor: None) -> None:
        super().__init__()
        self._written = written

    def _called(
        self, func: Callable[..., object], args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> object:
        if func is not torch.Tensor.__setitem__ or not _is_entry(*args):
            return func(*args, **kwargs)
        tensor, index, number = cast(tuple[torch.Tensor, tuple[int, ...], float], args)
        with _disable_current_modes():
            shadowed(tensor)[index] = number
        self._written(tensor)
        return None


def _is_entry(tensor: object, index: object, number: object) -> bool:
    """Whether this writes a number at one place of a tensor that has a shadow."""
    places = index if isinstance(index, tuple) else (index,)
    whole = all(type(place) is int for place in places)
    if not whole or type(number) not in (bool, int, float) or not isinstance(tensor, torch.Tensor):
        return False
    single = len(places) == tensor.dim() and not tensor.requires_grad
    return single and hasattr(tensor, _VALUE)


class Shadows(DispatchMode):
    """Computes beside `mode` what is small and does not depend on a large tensor.

    Schedules, position indices, masks and lengths are such tensors: constructors read numbers from
    them, and `forward` branches on them. What depends on a large tensor is unknown: it is false
    where a branch asks, because checks ask whether something is wrong.
    """

    def __init__(self, mode: FakeTensorMode) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        from torch._subclasses import fake_tensor  # because that takes a second and 70 MB

        self._mode = mode
        self._fake = fake_tensor.FakeTensor
        self._unknown = fake_tensor.DynamicOutputShapeException
        self._leaving = fake_tensor.unset_fake_temporarily

    def __torch_dispatch__(
        self,
        func: Function,
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        kwargs = kwargs or {}
        tensors = list(_tensors((args, kwargs)))
        known = all(
            hasattr(tensor, _VALUE) or not isinstance(tensor, self._fake) for tensor in tensors
        )
        schema = getattr(func, "_schema")  # noqa: B009
        if schema.name in _ITEMS:
            return self._item(func, tensors[0], known)
        outcome = tried(lambda: func(*args, **kwargs))
        if outcome.error is not None and _NARROW in str(outcome.error):
            outcome = tried(lambda: _in_bfloat16(func, args, kwargs))
        if isinstance(outcome.error, self._unknown) and not known:
            chosen = tried(of_all, func, args)
            outcome = outcome if chosen.error is not None else chosen
        if outcome.error is not None and not known:
            raise outcome.error
        if known and all(tensor.numel() <= _LARGEST for tensor in _tensors(outcome.value)):
            return self._shadowed(func, args, kwargs, outcome.value, outcome.error)
        if outcome.error is not None:
            raise outcome.error
        if schema.is_mutable and args and isinstance(args[0], torch.Tensor):
            _forget(args[0])
        return outcome.value

    def _item(self, func: Function, tensor: torch.Tensor, known: bool) -> object:
        if known:
            with self._leaving():
                return shadowed(tensor).item()
        return False if tensor.dtype is torch.bool else func(tensor)

    def _shadowed(
        self,
        func: Function,
        args: tuple[object, ...],
        kwargs: dict[str, object],
        output: object,
        error: Exception | None,
    ) -> object:
        """The output with its values; where shapes depend on values, made from them."""
        with self._leaving(), torch.no_grad():
            real = tried(
                lambda: func(*map(_real, args), **{k: _real(v) for k, v in kwargs.items()})
            )
        if real.error is not None:
            if error is not None:
                raise error
            return output
        if error is not None:
            output = _mapped(real.value, self._mode.from_tensor)
        for fake, value in zip(_tensors(output), _tensors(real.value), strict=False):
            if isinstance(fake, self._fake) and fake.shape == value.shape:
                setattr(fake, _VALUE, Shadow(value))
        return output


def _in_bfloat16(
    func: Function, args: tuple[object, ...], kwargs: Mapping[str, object]
) -> torch.Tensor:
    """What a kernel gives whose fake form knows bfloat16 alone, in single precision."""

    def narrow(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.bfloat16() if tensor.is_floating_point() else tensor

    given = [_mapped(value, narrow) for value in args]
    output = func(*given, **{name: _mapped(value, narrow) for name, value in kwargs.items()})
    return cast(torch.Tensor, output).float()


def _forget(tensor: torch.Tensor) -> None:
    for each in (tensor, tensor._base):
        if each is not None and hasattr(each, _VALUE):
            delattr(each, _VALUE)


def _real(value: object) -> object:
    return _mapped(value, shadowed)


def _mapped(value: object, change: Callable[[torch.Tensor], object]) -> object:
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, (tuple, list)):
        return type(value)(_mapped(item, change) for item in value)
    if isinstance(value, Mapping):
        return {key: _mapped(item, change) for key, item in value.items()}
    return value


def _tensors(value: object) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from _tensors(item)
