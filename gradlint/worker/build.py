"""How a model comes to life: from the candidates of the source to a recipe that can be repeated."""

from __future__ import annotations

import itertools
import math
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from types import CodeType, ModuleType
from typing import cast

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from gradlint.protocol.wire import BuiltFrom, Candidate, TraceModel
from gradlint.worker.attempt import released, told, tried
from gradlint.worker.budget import Budget, OutOfTimeError
from gradlint.worker.conditional import conditioned
from gradlint.worker.constructors import (
    by_signature,
    open_call,
    refuse_missing,
    repaired,
)
from gradlint.worker.cpu import on_cpu
from gradlint.worker.entries import (
    entries,
    has_forward,
    leaves_forward_open,
    losses,
    raised_by,
)
from gradlint.worker.failure import UserError, ran_out_of_memory
from gradlint.worker.given import given_to
from gradlint.worker.imagined import Imagination
from gradlint.worker.inlining import inlined
from gradlint.worker.inputs import Search, TooSlowError
from gradlint.worker.makers import may_train
from gradlint.worker.offline import without_weights
from gradlint.worker.outputs import tensors_of
from gradlint.worker.recipe import (
    Built,
    described_inputs,
    given_inputs,
    made,
    namespace_of,
)
from gradlint.worker.refitting import beyond_inputs, refitted
from gradlint.worker.size import TooLargeError, counted, parameter_limit
from gradlint.worker.sources import Arguments, batch_that_runs, evaluated
from gradlint.worker.unset import begun, completed
from gradlint.worker.widths import reduced, with_heads

_GIVEN = frozenset(
    {
        BuiltFrom.GET_INPUTS,
        BuiltFrom.COMMAND_LINE,
        BuiltFrom.CONFIGURATION,
        BuiltFrom.CALLER,
    }
)
_STAGES = ("build", "inputs", "forward")
_REPAIRS = 40
_REAL, _FAKE = 0.5, 0.3  # of the time for an answer, because the final trace takes some as well
_HANDY = 40_000_000  # a pass through 110 million took six times that through 10
_CHANGES = 12
_FITS = 4  # because each costs a search of inputs
_PATIENCE = 10.0  # seconds of one pass, because tensors without values pass as well, and faster
_FITTING = 6.0  # seconds of processor time after which only one other size is tried


class NoForwardError(Exception):
    """Neither a forward of its own nor another method runs the module: a base, a container."""


class NoParametersError(Exception):
    """The module has nothing to train: a transform, a loss, a frozen or functional module."""


class AbstractError(Exception):
    """The constructor calls a method that subclasses are to write, or the forward is or does so."""


def build(module: ModuleType, request: TraceModel) -> Built:
    """The first candidate that can be built and run forward.

    Where the inputs that a candidate names do not run, inputs are searched before the next
    candidate has its turn. Uses torch's random state, which it seeds with `request.seed`.

    Raises:
        UserError: no candidate worked; the first of those that came furthest.
    """
    candidates = request.candidates or _unused(module, request.name)
    budget = Budget(request.seconds * _REAL or math.inf)
    whole = Budget(request.seconds * (_REAL + _FAKE) or math.inf)
    failures: list[UserError] = []
    large: list[Candidate] = []
    costly: list[Candidate] = []
    for candidate in candidates:
        part = budget if candidate is candidates[-1] else budget.half()
        built = _attempt(module, candidate, request, _handy(candidate), part)
        if isinstance(built, Built):
            return built
        huge = isinstance(built.error, TooLargeError)
        failures += [] if huge else [built]
        if huge or built.narrowed:  # because the widths of a narrower form may not fit each other
            large.append(candidate)
        elif _takes_too_much(built):
            costly.append(candidate)
    for candidate in large:
        built = _attempt(module, candidate, request, parameter_limit(), budget)
        if isinstance(built, Built):
            return built
        failures.append(_sized(module, candidate, built))
        costly.append(candidate)  # because what failed may be a smaller form of it
    for candidate in costly:
        built = _imagined(module, candidate, request, whole)
        if isinstance(built, Built):
            return built
        huge = all(isinstance(failure.error, TooLargeError) for failure in failures)
        late = huge and isinstance(built, TooSlowError)
        if late or (built.stage == "build" and not _takes_too_much(built)):
            failures = [built]  # because it would fail with any amount of memory
    target = getattr(module, request.name, None)
    error = _latest(failures, request.name, target)
    if (
        error.stage == "build"
        and not isinstance(error.error, ImportError)
        and not may_train(target)
    ):
        raise UserError("build", NoParametersError(request.name)) from error
    raise error


def _takes_too_much(error: UserError) -> bool:
    """Whether a model failed only for the memory or the time that it takes."""
    large = isinstance(error.error, TooLargeError) or ran_out_of_memory(error.error)
    return large or isinstance(error, TooSlowError)


def _attempt(
    module: ModuleType, candidate: Candidate, request: TraceModel, limit: int, budget: Budget
) -> Built | UserError:
    try:
        with budget.enforced():
            return _from(module, candidate, request, limit, budget)
    except UserError as error:
        released(error.error)
        return error
    except OutOfTimeError as error:
        released(error)
        why = f"building and trying it takes too long for an answer within {request.seconds:g} s"
        slow = TooSlowError("build", TimeoutError(why).with_traceback(error.__traceback__))
        slow.constructor = candidate.constructor
        return slow


def _imagined(
    module: ModuleType, candidate: Candidate, request: TraceModel, budget: Budget
) -> Built | UserError:
    """The candidate on tensors without values, which take no memory."""
    imagination = Imagination()
    with imagination.building():
        built = _attempt(module, candidate, request, sys.maxsize, budget)
    return replace(built, imagination=imagination) if isinstance(built, Built) else built


def _handy(candidate: Candidate) -> int:
    """How large a model may be while there may be a smaller one of its class."""
    limit = parameter_limit()
    return limit if candidate.built_from in _GIVEN else min(_HANDY, limit)


def _how_far(failure: UserError) -> tuple[int, bool, bool]:
    """How far an attempt came; what has no parameters beside those given to it was built.

    What lacks a package came further than what had the wrong arguments.
    """
    nothing = isinstance(failure.error, NoParametersError)
    stage, lacking = _STAGES.index(failure.stage), isinstance(failure.error, ImportError)
    return stage, nothing and "PassThrough" in failure.constructor, lacking


def _latest(failures: list[UserError], name: str, target: object) -> UserError:
    if failures:
        return max(failures, key=_how_far)
    reason = (
        f"{name} is made inside of a function; define it at the top level of the file to have it"
        " checked"
        if target is None and "." in name
        else f"nothing in the source says what arguments {name} takes; give them under"
        " [[tool.gradlint.model]]"
    )
    error = UserError("build", ValueError(reason))
    error.constructor = open_call(name, target)
    return error


def _unused(module: ModuleType, name: str) -> list[Candidate]:
    refuse_missing(getattr(module, name, None))
    candidate = by_signature(name, getattr(module, name, None))
    return [candidate] if candidate is not None else []


def _from(
    module: ModuleType, candidate: Candidate, request: TraceModel, limit: int, budget: Budget
) -> Built:
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
            torch.manual_seed(request.seed)
            model = made(module, form, limit)
        except UserError as error:
            error.constructor = inlined(form)
            if _is_left_open(error.error):
                raise UserError("build", AbstractError(request.name)) from error
            first = _telling(first, error)
            now = told(error.error)
            repairs = _repaired(module, form, error, limit)
            new = [(item, now) for item in repairs if _written(item) not in seen]
            seen.update(_written(item) for item, _ in new)
            # because a change after which the same is wrong was not the right one
            queue = [*queue, *new] if now == before else [*new, *queue]
            continue
        if not any(map(_is_trained, model.parameters())):
            nothing = UserError("build", NoParametersError(request.name))
            nothing.constructor = form.constructor
            raise nothing
        if form.method == "forward" and not has_forward(model):
            first = _without_forward(model)
            queue = [(replace(form, method=name), "") for name in entries(model)]
            continue
        if candidate.method != "forward" and candidate.method not in entries(model)[:1]:
            raise UserError("build", NoForwardError())  # because another sees more of the model
        if form is not candidate:
            form = replace(form, built_from=BuiltFrom.NAMES)  # because values in it are ours now
        try:
            return _run(module, form, model, request, limit, budget)
        except UserError as error:
            error.constructor = inlined(form)
            error.narrowed = _is_narrowed(first)
            early = first is None or first.stage == "build" or beyond_inputs(first.error)
            if form.method == "forward":
                first = error if early else first
            elif first is None or not str(first.error):
                first = UserError("build", NoForwardError(_unrun(form.method, error.error)))
            changed = _changed(module, form, model, error.error)
            fits = [item for item in changed if _written(item) not in seen]
            seen.update(map(_written, fits))
            fitted += 1
            late = fitted >= _FITS or (fitted > 1 and time.process_time() > deadline)
            queue = [] if late else [*((item, "") for item in fits[:_FITS]), *queue]
    raise first or UserError("build", ValueError(f"{candidate.constructor} gives no model"))


def _without_forward(model: nn.Module) -> UserError:
    if leaves_forward_open(model):
        return UserError("forward", AbstractError())
    return UserError("build", NoForwardError())


def _written(candidate: Candidate) -> tuple[object, ...]:
    return candidate.constructor, candidate.bindings


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


def _is_left_open(error: BaseException) -> bool:
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


def _is_trained(parameter: nn.Parameter) -> bool:
    """Whether training changes a parameter: a number of it, even if its shape is not known yet."""
    filled = isinstance(parameter, UninitializedParameter) or parameter.numel() > 0
    return parameter.requires_grad and filled


def _is_but_large(error: UserError, before: UserError | None) -> bool:
    """Whether a form of the candidate has but its size against it, where others were wrong."""
    built = before is not None and before.stage != "build"
    return isinstance(error.error, TooLargeError) and not built


def _changed(
    module: ModuleType, form: Candidate, model: nn.Module, cause: BaseException
) -> Iterator[Candidate]:
    """The candidate with other arguments, where those are why no inputs run."""
    yield from conditioned(form, model, cause, namespace_of(module, form))
    yield from completed(form, model, cause)
    yield from with_heads(form, cause)
    yield from refitted(form, cause)


def _repaired(module: ModuleType, form: Candidate, error: UserError, limit: int) -> list[Candidate]:
    cause = error.error
    if isinstance(cause, TooLargeError):
        last = limit >= parameter_limit()
        return list(reduced(form, namespace_of(module, form), defaults=last))
    if not isinstance(cause, Exception):
        return []
    changed = itertools.chain(begun(form, cause), repaired(form, cause, namespace_of(module, form)))
    return list(itertools.islice(changed, _CHANGES))


def _run(
    module: ModuleType,
    form: Candidate,
    model: nn.Module,
    request: TraceModel,
    limit: int,
    budget: Budget,
) -> Built:
    """A model that was built, run forward; if nothing is learned from that, by its loss.

    Raises:
        UserError: it does not run, as `_with_inputs` says.
    """
    methods = losses(model) if form.method == "forward" else ()
    ran = tried(_with_inputs, module, form, model, request, limit, budget)
    if isinstance(ran.value, Built) and not (methods and not _learns(ran.value)):
        return ran.value
    for other in (replace(form, method=name, inputs=None) for name in methods):
        trained = tried(made, module, other, max(limit, parameter_limit())).value
        loss = tried(_with_inputs, module, other, trained, request, limit, budget).value
        if isinstance(loss, Built):
            return loss
    if ran.error is not None:
        raise ran.error
    return cast(Built, ran.value)


def _learns(built: Built) -> bool:
    """Whether anything that its parameters could learn from comes out of a model."""
    args, kwargs = built.inputs()
    with on_cpu():
        return bool(tensors_of(tried(built.make(), *args, **kwargs).value))


def _with_inputs(
    module: ModuleType,
    candidate: Candidate,
    model: nn.Module,
    request: TraceModel,
    limit: int,
    budget: Budget,
) -> Built:
    """Inputs for a model that was built: those of the source if they run, else found ones.

    Raises:
        UserError: neither did; with the inputs of the source where there were any.
    """
    given: BaseException | None = None
    if candidate.inputs is not None:
        built = tried(lambda: _with_given(module, candidate, model))
        if isinstance(built.value, Built):
            return built.value
        given = built.error
        if given is not None and candidate.built_from in _GIVEN:
            raise given
        model = made(module, candidate, max(limit, parameter_limit()))
    patience = _PATIENCE if limit < sys.maxsize else math.inf
    search = Search(
        model,
        request.sequence_length,
        given_to(module, candidate),
        limit=budget.left(),
        patience=patience,
    )
    try:
        guess = search.found()
    except UserError as error:
        if isinstance(given, UserError) and given.stage == "forward":
            raise given from error  # because inputs of the source say more than guessed ones
        if _is_left_open(error.error) and _is_method(error.error, type(model)):
            raise UserError("forward", AbstractError(request.name)) from error
        raise
    args, kwargs = guess.drawn()
    return Built(candidate, described_inputs(args, kwargs), module, guess)


def _with_given(module: ModuleType, candidate: Candidate, model: nn.Module) -> Built:
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
    batch = batch_that_runs(model, (args, kwargs))
    built = Built(candidate, (), module, None, batch, example)
    return replace(built, described=described_inputs(*built.inputs()))


def _sized(module: ModuleType, candidate: Candidate, error: UserError) -> UserError:
    """The same error, with the size of the model where that is why it was not built."""
    if not isinstance(error.error, TooLargeError):
        return error
    namespace = namespace_of(module, candidate)
    with on_cpu(), without_weights():
        count = tried(lambda: counted(lambda: evaluated(candidate.constructor, namespace)))
    parameters = count.value if isinstance(count.value, int) else 0
    return UserError("build", TooLargeError(parameters, parameter_limit()))
