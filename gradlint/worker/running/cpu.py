"""How code written for an accelerator runs on a machine that has none."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping

import torch

from gradlint.worker.running.flexible import without_kernels
from gradlint.worker.running.modes import FunctionMode

_ACCELERATORS = ("cuda", "mps", "xpu", "hpu")
_MOVES = frozenset({"cuda", "xpu", "ipu"})


@contextlib.contextmanager
def on_cpu() -> Iterator[None]:
    """Within it `.cuda()`, `.to("cuda")` and `device="cuda"` mean the CPU.

    Where an accelerator is available they mean what they say.
    """
    if torch.cuda.is_available():
        with without_kernels():
            yield
        return
    before = {name: getattr(torch.cuda, name) for name in _INSTEAD}
    vars(torch.cuda).update(_INSTEAD)
    try:
        with _Redirect(), without_kernels():
            yield
    finally:
        vars(torch.cuda).update(before)


def _nothing(*_: object, **__: object) -> None:
    return None


_TYPES = ("Float", "Double", "Long", "Int", "Short", "Byte", "Char", "Bool", "Half")
_INSTEAD: dict[str, object] = {
    "synchronize": _nothing,
    **{f"{kind}Tensor": getattr(torch, f"{kind}Tensor") for kind in _TYPES},
}


class _Redirect(FunctionMode):
    """Rewrites the devices that torch functions are asked for."""

    def _called(
        self, func: Callable[..., object], args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> object:
        name = getattr(func, "__name__", "")
        if name in _MOVES and args and isinstance(args[0], torch.Tensor):
            return args[0]
        if name == "to":
            args = tuple(_device(value) for value in args)
        elif name == "type" and len(args) > 1:
            args = (args[0], _tensor_type(args[1]), *args[2:])
        if kwargs and "device" in kwargs:
            kwargs = {**kwargs, "device": _device(kwargs["device"])}
        return func(*args, **kwargs)


def _device(value: object) -> object:
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return torch.device("cpu")
    text = str(value) if isinstance(value, (str, torch.device)) else ""
    return torch.device("cpu") if text.split(":")[0] in _ACCELERATORS else value


def _tensor_type(value: object) -> object:
    text = value if isinstance(value, str) else f"torch.{getattr(value, '__name__', '')}"
    if isinstance(value, torch.dtype) or ("FloatTensor" not in text and "cuda" not in text):
        return value
    return text.replace("torch.cuda.", "torch.")
