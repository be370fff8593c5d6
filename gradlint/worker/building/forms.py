"""One candidate in all its forms: what the errors of its constructor make of it, until it runs."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from gradlint.protocol.wire import BuiltFrom, Candidate
from gradlint.worker.building.conditional import conditioned
from gradlint.worker.building.constructors import repaired
from gradlint.worker.building.demands import advised
from gradlint.worker.building.dimensions import redimensioned
from gradlint.worker.building.entries import (
    entries,
    has_forward,
    learns_by_forward,
    leaves_forward_open,
)
from gradlint.worker.building.inlining import inlined
from gradlint.worker.building.recipe import Built, made, namespace_of
from gradlint.worker.building.refitting import refitted
from gradlint.worker.building.splitting import whole
from gradlint.worker.building.terms import Terms
from gradlint.worker.building.trial import left_open, run
from gradlint.worker.building.unrunnable import (
    AbstractError,
    NoForwardError,
    NoGradientError,
    NoParametersError,
)
from gradlint.worker.building.unset import begun, completed
from gradlint.worker.building.widths import reduced, with_heads
from gradlint.worker.inputs.hopeless import runs_a_holder
from gradlint.worker.running.attempt import told
from gradlint.worker.running.failure import UserError
from gradlint.worker.running.size import TooLargeError, parameter_limit

_REPAIRS = 40
_CHANGES = 12
_FITS = 4  # because each costs a search of inputs
_FITTING = 6.0  # seconds of processor time after which only one other size is tried


def built(candidate: Candidate, terms: Terms) -> Built:
    """The candidate, or what its constructor's errors make of it, with inputs that run.

    Raises:
        UserError: no form of the candidate gives a model with parameters and inputs that run.
    """
    queue: list[tuple[Candidate, str]] = [(candidate, "")]
    seen = {_written(candidate)}
    first: UserError | None = None
    fitted, deadline = 0, time.process_time() + _FITTING
    for _ in range(_REPAIRS):
        if not queue:
            break
        form, before = queue.pop(0)
        try:
            torch.manual_seed(terms.request.seed)
            model = made(terms.module, form, terms.limit)
        except UserError as error:
            error.constructor = inlined(form)
            if left_open(error.error):
                raise UserError("build", AbstractError(terms.request.name)) from error
            first = _telling(first, error)
            now = told(error.error)
            repairs = _repaired(form, error, terms)
            new = [(item, now) for item in repairs if _written(item) not in seen]
            seen.update(_written(item) for item, _ in new)
            # because a change after which the same is wrong was not the right one
            queue = [*queue, *new] if now == before else [*new, *queue]
            continue
        if not any(map(_is_trained, model.parameters())):
            nothing = UserError("build", NoParametersError(terms.request.name))
            nothing.constructor = form.constructor
            raise nothing
        if form.method == "forward" and not (has_forward(model) and learns_by_forward(model)):
            first = _without_forward(model)
            queue = [(replace(form, method=name), "") for name in entries(model)]
            continue
        if candidate.method != "forward" and candidate.method not in entries(model)[:1]:
            raise UserError("build", NoForwardError())  # because another sees more of the model
        if form is not candidate:
            form = replace(form, built_from=BuiltFrom.NAMES)  # because values in it are ours now
        try:
            return run(form, model, terms)
        except UserError as error:
            error.constructor = inlined(form)
            error.narrowed = _is_narrowed(first)
            early = first is None or first.stage == "build" or runs_a_holder(first.error)
            if form.method == "forward":
                first = error if early else first
            elif first is None or not str(first.error):
                first = UserError("build", NoForwardError(_unrun(form.method, error.error)))
            changed = _changed(form, model, error.error, terms)
            fits = [item for item in changed if _written(item) not in seen]
            seen.update(map(_written, fits))
            fitted += 1
            late = fitted >= _FITS or (fitted > 1 and time.process_time() > deadline)
            queue = [] if late else [*((item, "") for item in fits[:_FITS]), *queue]
    raise first or UserError("build", ValueError(f"{candidate.constructor} gives no model"))


def _without_forward(model: nn.Module) -> UserError:
    if has_forward(model):
        return UserError("build", NoGradientError(type(model).__name__))
    if leaves_forward_open(model):
        return UserError("forward", AbstractError())
    return UserError("build", NoForwardError())


def _written(candidate: Candidate) -> tuple[object, ...]:
    return candidate.constructor, candidate.bindings, candidate.then


def _unrun(method: str, error: BaseException) -> str:
    reason = " ".join(str(error).split())
    return f"and {method} does not run with guessed inputs: {type(error).__name__}: {reason}"


def _telling(first: UserError | None, error: UserError) -> UserError:
    """Of two errors of constructors the later where no other arguments help, else the first."""
    hopeless = isinstance(error.error, ImportError) or _is_but_large(error, first)
    return error if first is None or hopeless else first


def _is_narrowed(first: UserError | None) -> bool:
    """Whether what is tried is narrower than what was asked for, by how that failed first."""
    return first is not None and (first.narrowed or isinstance(first.error, TooLargeError))


def _is_trained(parameter: nn.Parameter) -> bool:
    """Whether training changes a parameter: a number of it, even if its shape is not known yet."""
    filled = isinstance(parameter, UninitializedParameter) or parameter.numel() > 0
    return parameter.requires_grad and filled


def _is_but_large(error: UserError, before: UserError | None) -> bool:
    """Whether a form of the candidate has but its size against it, where others were wrong."""
    built = before is not None and before.stage != "build"
    return isinstance(error.error, TooLargeError) and not built


def _changed(
    form: Candidate, model: nn.Module, cause: BaseException, terms: Terms
) -> Iterator[Candidate]:
    """The candidate with other arguments, where those are why no inputs run."""
    yield from conditioned(form, model, cause, namespace_of(terms.module, form))
    yield from advised(form, cause, namespace_of(terms.module, form))
    yield from completed(form, model, cause)
    yield from with_heads(form, cause)
    yield from redimensioned(form, cause, namespace_of(terms.module, form))
    yield from whole(form, cause, namespace_of(terms.module, form))
    yield from refitted(form, cause)


def _repaired(form: Candidate, error: UserError, terms: Terms) -> list[Candidate]:
    cause, namespace = error.error, namespace_of(terms.module, form)
    if isinstance(cause, TooLargeError):
        last = terms.limit >= parameter_limit()
        return list(reduced(form, namespace, defaults=last))
    if not isinstance(cause, Exception):
        return []
    changed = itertools.chain(begun(form, cause), repaired(form, cause, namespace))
    return list(itertools.islice(changed, _CHANGES))
