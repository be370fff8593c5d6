"""Modes that see each operation of torch, without what a compiler would need for that."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode


class FunctionMode(TorchFunctionMode):
    """Sees each call of a torch function and decides what comes of it."""

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        return self._called(func, args, kwargs or {})

    def _called(
        self, func: Callable[..., object], args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> object:
        """What a call gives."""
        raise NotImplementedError


class DispatchMode(TorchDispatchMode):
    """A dispatch mode for code that is never compiled.

    To keep its compiler away from a mode, torch imports it at the first operation, which takes a
    second in each process.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False
