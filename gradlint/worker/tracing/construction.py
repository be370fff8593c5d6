"""What is learned while a model is built: the line of each module and of each weight's values."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FrameType

import torch
from torch import nn

from gradlint.protocol.nodes import Initialisation
from gradlint.protocol.span import Span
from gradlint.worker.running.modes import FunctionMode
from gradlint.worker.tracing.lines import Source

_INIT_FILE = os.path.join("torch", "nn", "init.py")
_LAYERS_FOLDER = os.path.join("torch", "nn", "modules") + os.sep
_FACTORIES = frozenset(
    "randn rand zeros ones full empty normal eye tensor randn_like zeros_like".split()
)
_FILLS = frozenset(
    "normal_ uniform_ fill_ zero_ copy_ mul_ div_ add_ sub_ clamp_ exponential_ erfinv_ eye_ "
    "set_ trunc_normal_ constant_ ones_ zeros_ kaiming_uniform_ kaiming_normal_ xavier_uniform_ "
    "xavier_normal_ orthogonal_ sparse_ dirac_ __setitem__".split()
)
_DISPATCH = ("__torch_function__", "_called", "handle_torch_function")


class Construction:
    """Lines of modules and of initialisations, asked for by the objects themselves."""

    def __init__(self) -> None:
        self._lines: dict[int, tuple[nn.Module, Span]] = {}
        self._fills: dict[int, Initialisation] = {}

    def line_of(self, module: nn.Module | None) -> Span | None:
        """The line of the linted file that constructed `module`, None if none did."""
        known = self._lines.get(id(module))
        return known[1] if known and known[0] is module else None

    def initialisation_of(self, parameter: torch.Tensor) -> Initialisation | None:
        """The last call that filled `parameter`, None if that was not seen."""
        return self._fills.get(_storage(parameter))

    def built(self, module: nn.Module, span: Span) -> None:
        """Remember the line of a module; the first constructor to say so is the outermost."""
        self._lines.setdefault(id(module), (module, span))

    def filled(self, tensor: torch.Tensor, initialisation: Initialisation) -> None:
        """Remember a fill."""
        self._fills[_storage(tensor)] = initialisation


@contextlib.contextmanager
def watch_construction(source: Source) -> Iterator[Construction]:
    """Watch modules and their parameters come into being until the block ends."""
    construction = Construction()
    original = nn.Module.__init__

    def init(module: nn.Module, *args: object, **kwargs: object) -> None:
        span = source.locate(sys._getframe(1), building=module)
        if span is not None:
            construction.built(module, span)
        original(module, *args, **kwargs)

    nn.Module.__init__ = init  # type: ignore[method-assign,assignment]
    try:
        with _Fills(construction, source):
            yield construction
    finally:
        nn.Module.__init__ = original  # type: ignore[method-assign]


class _Fills(FunctionMode):
    """Sees every call that writes into a tensor in place, or makes one."""

    def __init__(self, construction: Construction, source: Source) -> None:
        super().__init__()
        self._construction = construction
        self._source = source

    def _called(
        self, func: Callable[..., object], args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> object:
        output = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        target = (
            output if name in _FACTORIES else _written(args, kwargs) if name in _FILLS else None
        )
        if isinstance(target, torch.Tensor):
            frame = sys._getframe(2)
            self._construction.filled(target, self._describe(name, args[1:], kwargs, frame))
        return output

    def _describe(
        self,
        name: str,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        frame: FrameType,
    ) -> Initialisation:
        initialiser, default = _initialiser(frame)
        span = self._source.locate(frame)
        if default:
            return Initialisation("default", (), span)
        if initialiser is not None:
            code = initialiser.f_code
            given = code.co_varnames[: code.co_argcount]
            values = [(name, initialiser.f_locals.get(name)) for name in given]
            return Initialisation(code.co_name, _numbers(values), span)
        positional = zip(("argument0", "argument1"), args, strict=False)
        return Initialisation(name, _numbers([*positional, *kwargs.items()]), span)


def _written(args: tuple[object, ...], kwargs: Mapping[str, object]) -> object:
    """The tensor written into; `torch.nn.init` hands it on by its name."""
    return args[0] if args else kwargs.get("tensor")


def _initialiser(frame: FrameType | None) -> tuple[FrameType | None, bool]:
    """The outermost function of `torch.nn.init` on the stack; whether a layer itself called it."""
    found: FrameType | None = None
    while frame is not None:
        path = frame.f_code.co_filename
        if path.endswith(_INIT_FILE):
            found = frame
        elif frame.f_code.co_name in ("reset_parameters", "_reset_parameters"):
            return found, _LAYERS_FOLDER in path
        elif found is not None and frame.f_code.co_name not in _DISPATCH:
            return found, False
        frame = frame.f_back
    return found, False


def _numbers(pairs: Iterable[tuple[str, object]]) -> tuple[tuple[str, float], ...]:
    return tuple(
        (name, float(value))
        for name, value in pairs
        if isinstance(value, int | float) and not isinstance(value, bool)
    )


def _storage(tensor: torch.Tensor) -> int:
    storage: int = tensor.untyped_storage()._cdata
    return storage
