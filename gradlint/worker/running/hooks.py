"""Hooks on the layers of a model that are gone afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import nn

See = Callable[[nn.Module, tuple[object, ...]], None]
"""What is told of a layer and of the arguments that it is about to be called with."""


@contextlib.contextmanager
def before_calls(model: nn.Module, kinds: tuple[type[nn.Module], ...], see: See) -> Iterator[None]:
    """Within it `see` is called before each layer of these kinds; no mode sees what it does."""

    def seen(layer: nn.Module, args: tuple[object, ...]) -> None:
        with torch._C.DisableTorchFunction():
            see(layer, args)

    layers = (part for part in model.modules() if isinstance(part, kinds))
    handles = [layer.register_forward_pre_hook(seen) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
