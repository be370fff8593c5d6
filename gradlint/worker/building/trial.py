"""One trial of a model that was built: inputs with which it runs."""

from __future__ import annotations

import math
import sys
import traceback
from dataclasses import replace
from types import CodeType, ModuleType
from typing import cast

from torch import nn

from gradlint.protocol.wire import Candidate
from gradlint.worker.building.constructors import lacking_type
from gradlint.worker.building.entries import losses, raised_by
from gradlint.worker.building.given import given_to
from gradlint.worker.building.recipe import Built, described_inputs, given_inputs, made
from gradlint.worker.building.sources import (
    Arguments,
    batch_that_runs,
    redrawn,
    runs_with,
    words_of,
)
from gradlint.worker.building.terms import GIVEN, Terms
from gradlint.worker.building.unrunnable import AbstractError
from gradlint.worker.inputs.search import LARGEST, LARGEST_IMAGINED, Search
from gradlint.worker.running.attempt import released, tried
from gradlint.worker.running.cpu import on_cpu
from gradlint.worker.running.failure import UserError
from gradlint.worker.running.outputs import tensors_of
from gradlint.worker.running.size import parameter_limit

_PATIENCE = 10.0  # seconds of one pass, because tensors without values pass as well, and faster


def run(form: Candidate, model: nn.Module, terms: Terms) -> Built:
    """A model that was built, run forward; if nothing is learned from that, by its loss.

    Raises:
        UserError: it does not run, as `_with_inputs` says.
    """
    methods = losses(model) if form.method == "forward" else ()
    ran = tried(_with_inputs, form, model, terms)
    if isinstance(ran.value, Built) and not (methods and not _learns(ran.value)):
        return ran.value
    for other in (replace(form, method=name, inputs=None) for name in methods):
        trained = tried(made, terms.module, other, max(terms.limit, parameter_limit())).value
        loss = tried(_with_inputs, other, trained, terms).value
        if isinstance(loss, Built):
            return loss
    if ran.error is not None:
        raise ran.error
    return cast(Built, ran.value)


def _learns(built: Built) -> bool:
    """Whether anything that its parameters could learn from comes out of a model."""
    return bool(tensors_of(tried(built.output).value))


def _with_inputs(candidate: Candidate, model: nn.Module, terms: Terms) -> Built:
    """Inputs for a model that was built: those of the source if they run, else found ones.

    Raises:
        UserError: neither did; with the inputs of the source where there were any.
    """
    given: BaseException | None = None
    if candidate.inputs is not None:
        built = tried(lambda: _with_given(candidate, model, terms.module))
        if isinstance(built.value, Built):
            return built.value
        given = built.error
        if given is not None and candidate.built_from in GIVEN:
            raise given
        if given is not None:
            released(given)  # because what it holds may be all the memory that there is
        model = made(terms.module, candidate, max(terms.limit, parameter_limit()))
    imagined = terms.limit >= sys.maxsize
    search = Search(
        model,
        terms.request.sequence_length,
        given_to(terms.module, candidate),
        limit=terms.budget.left(),
        patience=math.inf if imagined else _PATIENCE,
        largest=LARGEST_IMAGINED if imagined else LARGEST,
    )
    try:
        guess = search.found()
    except UserError as error:
        if isinstance(given, UserError) and given.stage == "forward":
            raise given from error  # because inputs of the source say more than guessed ones
        if left_open(error.error) and _is_method(error.error, type(model)):
            raise UserError("forward", AbstractError(terms.request.name)) from error
        error.error = lacking_type(model) or error.error
        raise
    args, kwargs = guess.drawn()
    return Built(candidate, described_inputs(args, kwargs), terms.module, guess)


def _with_given(candidate: Candidate, model: nn.Module, module: ModuleType) -> Built:
    example = model if any("self" in text for text in candidate.inputs or ()) else None
    given = tried(lambda: given_inputs(module, candidate, example))
    if given.error is not None:
        raise UserError("inputs", given.error) from given.error
    args, kwargs = cast(Arguments, given.value)
    with on_cpu():
        outcome = tried(model, *args, **kwargs)
    if outcome.error is not None:
        error = UserError("forward", outcome.error)
        error.inputs = described_inputs(args, kwargs)
        raise error from outcome.error
    words = words_of(model) if candidate.built_from not in GIVEN else 0
    drawn = redrawn((args, kwargs), words) if words else None
    if drawn is None or not runs_with(model, drawn):
        drawn, words = (args, kwargs), 0
    batch = batch_that_runs(model, drawn)
    built = Built(candidate, (), module, None, batch, words, example)
    return replace(built, described=described_inputs(*built.inputs()))


def left_open(error: BaseException) -> bool:
    """Whether all that the method does which raised this is to raise it."""
    return isinstance(error, NotImplementedError) and raised_by(_raising(error)) is not None


def _is_method(error: BaseException, owner: type) -> bool:
    """Whether what raised this is a method of a class of the user's own, and not of a part."""
    code = _raising(error)
    bases = (vars(base) for base in owner.__mro__ if not base.__module__.startswith("torch."))
    return any(getattr(each.get(code.co_name), "__code__", None) is code for each in bases)


def _raising(error: BaseException) -> CodeType:
    """The function in which an error was raised."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_code
