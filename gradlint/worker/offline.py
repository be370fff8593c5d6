"""How models that fetch pretrained weights are built without them."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType
from typing import cast

import torch
from torch import nn

_FETCHERS = (
    ("torch.hub", "load_state_dict_from_url"),
    ("torch.hub", "download_url_to_file"),
    ("timm.models._hub", "load_state_dict_from_hf"),
)
_LOADERS = (("timm.models._builder", "load_pretrained"),)


class NoWeights(OrderedDict[str, torch.Tensor]):
    """Stands for weights that were not fetched; loading it changes nothing."""


@contextlib.contextmanager
def without_weights() -> Iterator[None]:
    """Within it, published weights are not fetched: a model keeps its own initialisation.

    Linting must not download. Functions are changed in place, because they may have been imported
    by name already.
    """
    load = nn.Module.load_state_dict

    @functools.wraps(load)
    def load_state_dict(
        self: nn.Module, state_dict: Mapping[str, object], *args: bool, **options: bool
    ) -> object:
        if isinstance(state_dict, NoWeights):
            return torch.nn.modules.module._IncompatibleKeys([], [])
        return load(self, state_dict, *args, **options)

    with contextlib.ExitStack() as stack:
        stack.callback(setattr, nn.Module, "load_state_dict", load)
        nn.Module.load_state_dict = load_state_dict  # type: ignore[method-assign]
        for module, name in _FETCHERS:
            stack.enter_context(_replaced(module, name, _no_weights))
        for module, name in _LOADERS:
            stack.enter_context(_replaced(module, name, _nothing))
        yield


@contextlib.contextmanager
def _replaced(module: str, name: str, replacement: Callable[..., object]) -> Iterator[None]:
    function = getattr(sys.modules.get(module), name, None)
    if not isinstance(function, FunctionType) or function.__closure__:
        yield
        return
    code = function.__code__
    function.__code__ = cast(FunctionType, replacement).__code__
    try:
        yield
    finally:
        function.__code__ = code


def _no_weights(*args: object, **kwargs: object) -> object:
    # Imports what it needs, because it runs in the namespace of the function that it replaces.
    from gradlint.worker.offline import NoWeights as Empty

    return Empty()


def _nothing(*args: object, **kwargs: object) -> None:
    return None
