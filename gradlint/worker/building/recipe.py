"""A recipe by which a model and its inputs can be made again and again."""

from __future__ import annotations

import ast
import copy
import functools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from types import CodeType, ModuleType, SimpleNamespace
from typing import cast

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from gradlint.protocol.wire import MADE, BuiltFrom, Candidate
from gradlint.worker.building.constructors import model_in
from gradlint.worker.building.sources import Arguments, arguments, evaluated, larger, redrawn
from gradlint.worker.building.unrunnable import NoParametersError
from gradlint.worker.inputs.guesses import Guess
from gradlint.worker.inputs.passing import LargestTrial, PassThrough
from gradlint.worker.inputs.specs import described
from gradlint.worker.running.attempt import tried
from gradlint.worker.running.compiler import uncompiled
from gradlint.worker.running.cpu import on_cpu
from gradlint.worker.running.failure import UserError
from gradlint.worker.running.imagined import Imagination
from gradlint.worker.running.offline import without_weights
from gradlint.worker.running.size import limited, parameter_limit
from gradlint.worker.running.texts import text_of

_FOUND = frozenset({BuiltFrom.USE_IN_PROJECT, BuiltFrom.NAMES})
_SMALLEST_BATCH = 2  # because batch normalisation needs two samples


@dataclass(frozen=True, slots=True)
class Built:
    """A model that can be made again and again, each time from torch's current random state.

    `described` are its inputs as a report writes them, such as `float32[8,3,32,32]`. A model that
    is too large for this machine has an `imagination`, in which alone it can be made and run. Those
    inputs that tell a shape only are drawn anew, whole numbers below `_words`; with 0, none are.
    """

    candidate: Candidate
    described: tuple[str, ...]
    _module: ModuleType = field(repr=False)
    _guess: Guess | None = field(default=None, repr=False)
    _batch: int = 0
    _words: int = 0
    _example: nn.Module | None = field(default=None, repr=False)
    imagination: Imagination | None = field(default=None, repr=False)

    @property
    def searched(self) -> bool:
        """Whether the inputs were found by search, so that their sizes are not the user's."""
        return self._guess is not None or self.candidate.built_from in _FOUND

    def make(self) -> nn.Module:
        """A fresh model in training mode, whose lazy layers have seen their first inputs.

        Raises:
            UserError: at stage `build`, whatever the constructor raised; of a model with lazy
                layers also what drawing inputs or running it raised.
        """
        limit = parameter_limit() if self.imagination is None else sys.maxsize
        model = made(self._module, self.candidate, limit)
        if any(isinstance(parameter, UninitializedParameter) for parameter in model.parameters()):
            args, kwargs = self.inputs()
            with on_cpu(), torch.no_grad():
                outcome = tried(model, *args, **kwargs)
            if outcome.error is not None:
                raise UserError("forward", outcome.error) from outcome.error
        return model

    def inputs(self) -> Arguments:
        """Fresh positional and keyword arguments of a forward pass.

        Raises:
            UserError: at stage `inputs`, whatever the user's own expressions raised.
        """
        if self._guess is not None:
            return self._guess.drawn()
        given = given_inputs(self._module, self.candidate, self._example)
        given = (redrawn(given, self._words) if self._words else None) or given
        enlarged = larger(given, self._batch) if self._batch else None
        return enlarged or given

    def output(self) -> object:
        """What a fresh model makes of fresh inputs; raises what these or its forward raise."""
        args, kwargs = self.inputs()
        with on_cpu():
            return self.make()(*args, **kwargs)

    def halved(self) -> Built | None:
        """The same model fed with half of the batch, None where the batch is as small as can be.

        Raises:
            UserError: at stage `inputs`, whatever the user's own expressions raised.
        """
        batch = (self._guess.size["batch"] if self._guess else self._batch) // 2
        if batch < _SMALLEST_BATCH:
            return None
        guess = self._guess.sized(batch=batch) if self._guess else None
        half = replace(self, _guess=guess, _batch=0 if guess else batch)
        return replace(half, described=described_inputs(*half.inputs()))

    def imagined(self) -> Built | None:
        """The same model on tensors without values, None where it is that already."""
        return None if self.imagination else replace(self, imagination=Imagination())


def given_inputs(module: ModuleType, candidate: Candidate, example: nn.Module | None) -> Arguments:
    """The inputs that a candidate names, drawn anew; `example` is what they call `self`."""
    namespace = namespace_of(module, candidate)
    if example is not None:
        namespace["self"] = example
    with on_cpu():
        return arguments(candidate.inputs or (), namespace)


def described_inputs(args: tuple[object, ...], kwargs: dict[str, object]) -> tuple[str, ...]:
    """Arguments as a report writes them, such as `float32[8,3,32,32]`."""
    named = (f"{name}: {described(value)}" for name, value in kwargs.items())
    return (*map(described, args), *named)


def namespace_of(module: ModuleType, candidate: Candidate) -> dict[str, object]:
    """What the expressions of a candidate see: the module's names and the bindings that work."""
    stand_ins = (SimpleNamespace, PassThrough, LargestTrial)
    helpers: dict[str, object] = {each.__name__: each for each in stand_ins}
    namespace = helpers | vars(module)
    with on_cpu(), without_weights():
        for name, text in candidate.bindings:
            outcome = tried(evaluated, text, namespace)
            if outcome.error is None:
                namespace[name] = outcome.value
    return namespace


def made(module: ModuleType, candidate: Candidate, limit: int) -> nn.Module:
    """A fresh model in training mode, of at most `limit` parameters.

    Raises:
        UserError: at stage `build`, whatever the constructor raised.
    """
    namespace = namespace_of(module, candidate)
    existing = {id(part) for part in _modules_of(module)}
    with on_cpu(), without_weights(), uncompiled():
        outcome = tried(lambda: _constructed(module, candidate.constructor, namespace, limit))
    if outcome.error is not None:
        raise UserError("build", outcome.error) from outcome.error
    model = model_in(outcome.value)
    if model is None:
        kind = (
            "the class itself" if isinstance(outcome.value, type) else type(outcome.value).__name__
        )
        reason = f"{candidate.constructor} gives {kind}, not a model"
        raise UserError("build", TypeError(reason))
    if "_parameters" not in vars(model):  # because its class never asked torch to make it a module
        raise UserError("build", NoParametersError(type(model).__name__))
    # because an object of the module's own would carry what one probe did to it into the next
    own = copy.deepcopy(model) if any(id(part) in existing for part in model.modules()) else model
    if tried(own.train).error is not None:  # because `train` may be the name of a whole training
        nn.Module.train(own)
    with on_cpu(), without_weights(), uncompiled(), limited(limit):
        _set_up(own)
    for statement in candidate.then:
        with torch.no_grad(), on_cpu():
            tried(exec, statement, {**namespace, MADE: own})
    if candidate.method != "forward":
        own.forward = getattr(own, candidate.method)
    return own


def _set_up(model: nn.Module) -> None:
    """Run the hooks in which a Lightning module may make its layers, as its trainer does.

    Those that ask for the trainer or for data cannot run, and leave the model as it is.
    """
    if any(base.__name__ == "LightningModule" for base in type(model).__mro__):
        tried(cast(Callable[[str], None], model.setup), "fit")
        tried(cast(Callable[[], None], model.configure_model))


def _modules_of(module: ModuleType) -> Iterator[nn.Module]:
    """What a file builds at its top level, by name or in a list."""
    for value in vars(module).values():
        for item in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(item, nn.Module):
                yield from item.modules()


def _constructed(module: ModuleType, text: str, namespace: dict[str, object], limit: int) -> object:
    callee = namespace.get(text.partition("(")[0].strip())
    own = isinstance(callee, type) and callee.__module__ == module.__name__
    source = "" if own else text_of(module)
    with limited(limit):
        if source and module.__file__:
            return eval(_in_place(text, source, module.__file__), namespace)
        return evaluated(text, namespace)


@functools.lru_cache(maxsize=8)
def _in_place(text: str, source: str, path: str) -> CodeType:
    """An expression as it stands in a file, because its parts then have their own lines."""
    wanted = ast.parse(text.strip(), mode="eval")
    known = ast.dump(wanted.body)
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    found = next((call for call in calls if ast.dump(call) == known), None)
    if found is None:
        return compile(wanted, "<gradlint>", "eval")
    return compile(ast.Expression(found), path, "eval")
