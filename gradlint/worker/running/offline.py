"""How models that load published weights are built without them."""

from __future__ import annotations

import contextlib
import functools
from collections import OrderedDict
from collections.abc import Iterator, Mapping

import torch
from torch import nn

from gradlint.worker.running.hub import from_configurations
from gradlint.worker.running.replacing import replaced

_FETCHERS = (
    ("torch.hub", "load_state_dict_from_url"),
    ("torch.hub", "download_url_to_file"),
    ("timm.models._hub", "load_state_dict_from_hf"),
)
_LOADERS = (("timm.models._builder", "load_pretrained"),)
_HUB = ("huggingface_hub.file_download", "hf_hub_download")
_FILES = ("safetensors.torch", "load_file")
_MARK = "_gradlint_unfetched"  # on modules, because copies of a module keep what it holds


class NoWeights(OrderedDict[str, torch.Tensor]):
    """Stands for weights that were not fetched, and for whatever lies in them."""

    def __missing__(self, key: object) -> NoWeights:
        return NoWeights()

    def get(self, key: object, default: object = None) -> NoWeights:  # type: ignore[override]
        """What lies under a key, which is nothing either."""
        return NoWeights()


@contextlib.contextmanager
def without_weights() -> Iterator[None]:
    """Within it, published weights are not fetched: a model keeps its own initialisation.

    Linting must not download. Functions are changed in place, because they may have been imported
    by name already. `unfetched` tells afterwards which parameters weights were meant for.
    """
    load_state_dict, load = nn.Module.load_state_dict, torch.load

    @functools.wraps(load_state_dict)
    def loaded(
        self: nn.Module, state_dict: Mapping[str, object], *args: bool, **options: bool
    ) -> object:
        if not state_dict:  # because what is picked from no weights is empty, too
            mark(self)
            return torch.nn.modules.module._IncompatibleKeys([], [])
        return load_state_dict(self, state_dict, *args, **options)

    @functools.wraps(load)
    def read(*args: object, **options: object) -> object:
        try:
            return load(*args, **options)  # type: ignore[arg-type]
        except FileNotFoundError:
            return NoWeights()

    with contextlib.ExitStack() as stack:
        stack.callback(setattr, nn.Module, "load_state_dict", load_state_dict)
        stack.callback(setattr, torch, "load", load)
        nn.Module.load_state_dict = loaded  # type: ignore[method-assign]
        torch.load = read
        for module, name in _FETCHERS:
            stack.enter_context(replaced(module, name, _no_weights))
        for module, name in _LOADERS:
            stack.enter_context(replaced(module, name, _marked))
        stack.enter_context(replaced(*_HUB, _absent))
        stack.enter_context(replaced(*_FILES, _read))
        stack.enter_context(from_configurations(mark))
        yield


def mark(model: nn.Module) -> None:
    """Remember that the parameters which `model` has now wait for published weights."""
    for module in model.modules():
        module.__dict__[_MARK] = True


def unfetched(model: nn.Module) -> frozenset[int]:
    """The `id` of each parameter of `model` that published weights were meant for."""
    waiting = (module for module in model.modules() if _MARK in module.__dict__)
    return frozenset(id(p) for module in waiting for p in module._parameters.values())


# These import what they need, because they run in the namespace of the function they replace.


def _no_weights(*args: object, **kwargs: object) -> object:
    from gradlint.worker.running.offline import NoWeights as Empty

    return Empty()


def _absent(*args: object, **kwargs: object) -> object:
    from gradlint.worker.running.replacing import originals as before

    try:
        return before["hf_hub_download"](*args, **kwargs)
    except OSError:
        return "/published weights that were not fetched"


def _read(*args: object, **kwargs: object) -> object:
    from gradlint.worker.running.offline import NoWeights as Empty
    from gradlint.worker.running.replacing import originals as before

    try:
        return before["load_file"](*args, **kwargs)
    except FileNotFoundError:
        return Empty()


def _marked(model: nn.Module, *args: object, **kwargs: object) -> None:
    from gradlint.worker.running.offline import mark as remember

    remember(model)
