"""Answers about a model that is alive in the caller's own process."""

from __future__ import annotations

import contextlib
import copy
import random
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType

import torch
from torch import nn

from gradlint.protocol.wire import (
    BuiltFrom,
    Candidate,
    OpenFile,
    Probed,
    ProbeModel,
    Traced,
    TraceModel,
    UserFailure,
)
from gradlint.worker.building.sources import Arguments
from gradlint.worker.running.attempt import tried
from gradlint.worker.running.failure import describe
from gradlint.worker.service import FileService

CANDIDATE = Candidate(BuiltFrom.CALLER, "make()", ("*arguments()", "**keywords()"))
"""How the model is built out of the names that `LiveSession` offers."""


class LiveSession:
    """Asked as the session of a file is; the model itself is never run or changed, copies are.

    `model` is a module, or a function that makes one from torch's current random state. `inputs`
    is a tensor, a tuple or list of arguments, a mapping of keyword arguments, or a function that
    returns one of these. Lines are those of the file that Python compiled as `path`.
    """

    def __init__(self, model: object, inputs: object, path: str, shown: str) -> None:
        self.weights_are_given = isinstance(model, nn.Module)
        self.torch = str(torch.__version__)
        self._opened = OpenFile(path, shown, "", "", (), 0)
        module = ModuleType("gradlint_live")
        vars(module)["make"] = _maker(model)
        vars(module)["arguments"] = lambda: _arguments(inputs)[0]
        vars(module)["keywords"] = lambda: _arguments(inputs)[1]
        with _undisturbed():
            self._service = FileService(module, self._opened)

    def ask(self, request: TraceModel | ProbeModel) -> Traced | Probed | UserFailure:
        """The answer, or how the model failed; the caller's random state is as it was."""
        with _undisturbed():
            match request:
                case TraceModel():
                    outcome = tried(lambda: self._service.trace(request))
                case ProbeModel():
                    outcome = tried(lambda: self._service.probe(request))
        match outcome.value:
            case Traced() | Probed() as answer:
                return answer
        stage = "forward" if isinstance(request, TraceModel) else "backward"
        return describe(outcome.error or TypeError("no answer"), stage, self._opened)


def _maker(model: object) -> Callable[[], object]:
    if isinstance(model, nn.Module):
        return lambda: copy.deepcopy(model)
    if callable(model):
        return model
    raise TypeError(f"expected a module or a function that makes one, not {type(model).__name__}")


def _arguments(inputs: object) -> Arguments:
    """Positional and keyword arguments, fresh tensors in all of them."""
    given = inputs() if callable(inputs) and not isinstance(inputs, nn.Module) else inputs
    if isinstance(given, torch.Tensor):
        given = (given,)
    given = _copied(given)
    if isinstance(given, Mapping):
        return (), dict(given)
    return tuple(given) if isinstance(given, (tuple, list)) else (given,), {}


def _copied(value: object) -> object:
    """The same with tensors that nobody else holds, because a model may write into its inputs."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if type(value) in (tuple, list):
        return type(value)(map(_copied, value))  # type: ignore[call-arg, call-overload]
    if isinstance(value, Mapping):
        return {name: _copied(item) for name, item in value.items()}
    return value


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Within it torch runs as in a worker; afterwards everything is as the caller had it."""
    threads, fast = torch.get_num_threads(), torch.backends.mha.get_fastpath_enabled()
    state, numpy = random.getstate(), sys.modules.get("numpy")
    numbers = numpy.random.get_state() if numpy is not None else None
    try:
        with torch.random.fork_rng(), torch.enable_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # because what the model warns of is not the question
            torch.backends.mha.set_fastpath_enabled(False)
            torch.set_num_threads(1)
            yield
    finally:
        torch.set_num_threads(threads)
        torch.backends.mha.set_fastpath_enabled(fast)
        random.setstate(state)
        if numpy is not None:
            numpy.random.set_state(numbers)
