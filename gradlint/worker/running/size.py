"""How large a model may become before its memory is touched."""

from __future__ import annotations

import contextlib
import math
import os
import weakref
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.nn.parameter import UninitializedParameter

from gradlint.worker.running.attempt import released
from gradlint.worker.running.failure import ran_out_of_memory
from gradlint.worker.running.modes import FunctionMode

_BYTES = 16  # weights and gradients in single precision, of the model and of one copy with a remedy
_FALLBACK = 8 << 30

Count = Callable[[], object]


class TooLargeError(Exception):
    """A model has more `parameters` than the limit; 0 where counting them was impossible."""

    def __init__(self, parameters: int, limit: int) -> None:
        """Say how large the model is and how large it may be."""
        self.parameters = parameters
        count = f"{parameters:,}" if parameters else f"more than {limit:,}"
        super().__init__(
            f"the model has {count} parameters, above the limit of {limit:,} for this machine; "
            "give smaller arguments under [[tool.gradlint.model]]"
        )


class _LimitReached(BaseException):
    """Leaves a constructor at once, through whatever it catches."""


class _SingleTensors(FunctionMode):
    """Abandons a constructor that asks for a tensor of more elements than a model may have.

    Before it is there, because a process whose memory is exhausted may crash.
    """

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def _called(
        self, func: Callable[..., object], args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> object:
        if func in _FACTORIES and _elements(kwargs.get("size", args)) > self._limit:
            raise _LimitReached
        return func(*args, **kwargs)


_FACTORIES = (torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.full)


def _elements(size: object) -> int:
    """How many elements a tensor of this size has, given as for `torch.empty`."""
    while isinstance(size, tuple) and size and isinstance(size[0], (tuple, list)):
        size = size[0]
    if not isinstance(size, (tuple, list)):
        return 0
    return math.prod(side for side in size if isinstance(side, int))


def parameter_limit() -> int:
    """How many parameters half of this machine's memory, or of this process's limit, can hold."""
    memory = _FALLBACK
    with contextlib.suppress(ValueError, OSError, AttributeError):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # because Windows lacks it

        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        memory = soft if 0 < soft < memory else memory
    return memory // 2 // _BYTES


@contextlib.contextmanager
def limited(limit: int = 0) -> Iterator[None]:
    """Within it, what grows beyond `limit` parameters, 0 for `parameter_limit`, is abandoned.

    Parameters are counted as modules register them, before they are initialised, so that the memory
    of a huge model is reserved but never touched. Those that are given up for others, as where a
    weight is normalised, count no longer.

    Raises:
        TooLargeError: the limit was reached.
    """
    limit = limit or parameter_limit()
    alive: dict[int, weakref.ref[nn.Parameter]] = {}
    total = 0

    def forget(key: int, elements: int) -> None:
        nonlocal total
        total -= elements
        alive.pop(key, None)

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal total
        if parameter is None or id(parameter) in alive or parameter.is_meta:
            return
        if isinstance(parameter, UninitializedParameter):
            return
        key, elements = id(parameter), parameter.numel()
        alive[key] = weakref.ref(parameter, lambda _: forget(key, elements))
        total += elements
        if total > limit:
            raise _LimitReached

    handle = register_module_parameter_registration_hook(count)
    try:
        with _SingleTensors(limit):
            yield
    except BaseException as error:
        if isinstance(error, _LimitReached) or ran_out_of_memory(error):
            released(error)  # because what was built so far hangs in its frames
            raise TooLargeError(0, limit) from None
        raise
    finally:
        handle.remove()


def counted(build: Count) -> int:
    """The number of parameters of a model built on the meta device, 0 where that is impossible."""
    with torch.device("meta"):
        model = build()
    return sum(p.numel() for p in model.parameters()) if isinstance(model, nn.Module) else 0
