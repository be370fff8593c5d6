"""Where gradients stop though values go on: `detach`, `no_grad`, `argmax`, `.item()` and so on."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import FrameType

import torch

from gradlint.protocol.span import Span
from gradlint.worker.running.modes import FunctionMode

Locate = Callable[[FrameType | None], Span | None]

LET_THROUGH = "_gradlint_let_through"
"""The attribute by which a model says that a remedy lets gradients through its stops."""

_LEAVING = frozenset("item tolist numpy array float int index".split())
_VALUELESS = re.compile(r"(empty|full|ones|zeros|rand|randn|randint)_like|new_\w+|grad")
_GRAD_MODE = os.path.join("torch", "autograd", "grad_mode.py")
_DISTRIBUTIONS = os.path.join("torch", "distributions") + os.sep


@dataclass(slots=True)
class Stopped:
    """One call at which gradients stop; `taken` are autograd nodes and the `id`s of leaves."""

    id: str
    cause: str
    path: str
    span: Span | None
    taken: list[torch.autograd.graph.Node | int]
    feeds: dict[str, None] = field(default_factory=dict)
    leaves: bool = False


def leaves_torch(name: str) -> bool:
    """Whether a function of this name turns a tensor into numbers or an array."""
    return name in _LEAVING


def hands_values_on(name: str) -> bool:
    """Whether the tensors that a function of this name gives depend on the values that it takes."""
    return not _VALUELESS.fullmatch(name)


def with_gradient(tensors: Iterable[torch.Tensor]) -> list[torch.autograd.graph.Node | int]:
    """The autograd node of each tensor that has one, and the `id` of each leaf that wants one.

    A view that was made while gradients are off wants one, but has none: that of its base stands
    for it.
    """
    wanting = (t for t in tensors if t.requires_grad)
    bases = (t if carries_gradient(t) or t._base is None else t._base for t in wanting)
    return [base.grad_fn or id(base) for base in bases]


def carries_gradient(tensor: torch.Tensor) -> bool:
    """Whether a gradient at this tensor would flow on, or stay because it is a leaf."""
    return tensor.requires_grad and (tensor.grad_fn is not None or tensor._base is None)


class Switches:
    """Who switched gradients off last, and on which line of the linted file."""

    def __init__(self, locate: Locate) -> None:
        self._locate = locate
        self._last: tuple[str, Span | None] | None = None

    def blamed(self, frame: FrameType | None) -> tuple[str, Span | None]:
        """The switch and its line; in a custom function nobody did, and `frame` is blamed."""
        return self._last or ("no_grad", self._locate(frame))

    def forget(self) -> None:
        """Gradients are on again."""
        self._last = None

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Notice every switch until the block ends."""
        places = ((torch.no_grad, "__enter__"), (torch.inference_mode, "__enter__"))
        with contextlib.ExitStack() as stack:
            for kind, method in (*places, (torch.set_grad_enabled, "__init__")):
                stack.enter_context(self._wrapped(kind, method))
            yield

    @contextlib.contextmanager
    def _wrapped(self, kind: type, method: str) -> Iterator[None]:
        original = getattr(kind, method)

        def switch(self_: object, *args: object, **kwargs: object) -> object:
            frame = sys._getframe(1)
            if torch.is_grad_enabled() and not frame.f_code.co_filename.endswith(_GRAD_MODE):
                cause = "sample" if _draws(frame) else kind.__name__
                self._last = (cause, self._locate(frame))
            return original(self_, *args, **kwargs)

        with _replaced(kind, method, switch):
            yield


def _draws(frame: FrameType) -> bool:
    """Whether the switch belongs to `sample()` of a distribution of torch."""
    return _DISTRIBUTIONS in frame.f_code.co_filename


@contextlib.contextmanager
def as_remedied(model: object) -> Iterator[None]:
    """Let gradients through until the block ends, if a remedy wants it for this model."""
    if not hasattr(model, LET_THROUGH):
        yield
        return
    with contextlib.ExitStack() as stack:
        for kind in (torch.no_grad, torch.inference_mode):
            for method in ("__enter__", "__exit__"):
                stack.enter_context(_replaced(kind, method, _nothing))
        stack.enter_context(_replaced(torch.set_grad_enabled, "__init__", _nothing))
        stack.enter_context(_replaced(torch.set_grad_enabled, "__exit__", _nothing))
        stack.enter_context(_Through())
        yield


@contextlib.contextmanager
def _replaced(kind: type, method: str, by: Callable[..., object]) -> Iterator[None]:
    original = getattr(kind, method)
    setattr(kind, method, by)
    try:
        yield
    finally:
        setattr(kind, method, original)


def _nothing(*_: object, **__: object) -> None:
    return None


class _Through(FunctionMode):
    """Gives the tensor itself where its gradient would be cut off."""

    def _called(
        self, func: Callable[..., object], args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> object:
        name = getattr(func, "__name__", "")
        getter = name == "__get__" and getattr(func, "__self__", None) is torch.Tensor.data
        if getter or name in ("detach", "detach_"):
            return args[0]
        return func(*args, **kwargs)
