"""How a model comes to life: from the candidates of the source to a recipe that can be repeated."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from types import ModuleType

from gradlint.protocol.wire import BuiltFrom, Candidate, TraceModel
from gradlint.worker.building import forms
from gradlint.worker.building.constructors import by_signature, open_call, refuse_missing
from gradlint.worker.building.makers import may_train
from gradlint.worker.building.recipe import Built, namespace_of
from gradlint.worker.building.sources import evaluated
from gradlint.worker.building.terms import GIVEN, Terms
from gradlint.worker.building.unrunnable import NoGradientError, NoParametersError
from gradlint.worker.inputs.search import TooSlowError
from gradlint.worker.loading.guarded import missing_behind
from gradlint.worker.running.attempt import released, tried
from gradlint.worker.running.budget import Budget, OutOfTimeError
from gradlint.worker.running.cpu import on_cpu
from gradlint.worker.running.failure import UserError, ran_out_of_memory
from gradlint.worker.running.imagined import Imagination
from gradlint.worker.running.offline import without_weights
from gradlint.worker.running.size import TooLargeError, counted, parameter_limit

_STAGES = ("build", "inputs", "forward")
_REAL, _FAKE = 0.5, 0.3  # of the time for an answer, because the final trace takes some as well
_UNSAID = frozenset({BuiltFrom.DEFAULTS, BuiltFrom.NAMES})
"""Nobody makes the model so: what the project does with it has its turn before, however large."""
_HANDY = 40_000_000  # a pass through 110 million took six times that through 10


def build(module: ModuleType, request: TraceModel) -> Built:
    """The first candidate that can be built and run forward.

    Where the inputs that a candidate names do not run, inputs are searched before the next
    candidate has its turn. Uses torch's random state, which it seeds with `request.seed`.

    Raises:
        UserError: no candidate worked; the first of those that came furthest.
    """
    candidates = request.candidates or _unused(module, request.name)
    trials = _Trials(module, request)
    for index, candidate in enumerate(candidates):
        said = any(waiting.built_from not in _UNSAID for waiting in trials.waiting)
        if said and candidate.built_from in _UNSAID and (built := trials.rest(last=False)):
            return built
        last = index == len(candidates) - 1
        if built := trials.handy(candidate, trials.budget if last else trials.budget.half()):
            return built
    if built := trials.rest(last=True):
        return built
    target = getattr(module, request.name, None)
    error = _latest(trials.failures, request.name, target)
    if (
        error.stage == "build"
        and not isinstance(error.error, (ImportError, NoGradientError))
        and not may_train(target)
    ):
        raise UserError("build", NoParametersError(request.name)) from error
    raise error


class _Trials:
    """The trials of a model's candidates: those that failed, and those that are too much so far.

    Attributes:
        budget: how long the trials on real tensors may take.
        failures: why candidates failed, but for their size.
        huge: candidates that are too large to be tried while there may be smaller ones.
        costly: candidates that failed only for the memory or the time that they take.
    """

    def __init__(self, module: ModuleType, request: TraceModel) -> None:
        self.module, self.request = module, request
        self.budget = Budget(request.seconds * _REAL or math.inf)
        self._until = Budget(request.seconds * (_REAL + _FAKE) or math.inf)
        self.failures: list[UserError] = []
        self.huge: list[Candidate] = []
        self.costly: list[Candidate] = []

    def handy(self, candidate: Candidate, budget: Budget) -> Built | None:
        """A candidate, while it is not too large."""
        built = _attempt(candidate, self._terms(_handy(candidate), budget))
        if isinstance(built, Built):
            return built
        huge = isinstance(built.error, TooLargeError)
        self.failures += [] if huge else [built]
        if huge or built.narrowed:  # because the widths of a narrower form may not fit each other
            self.huge.append(candidate)
        elif _takes_too_much(built):
            self.costly.append(candidate)
        return None

    @property
    def waiting(self) -> tuple[Candidate, ...]:
        """Those that were too much so far."""
        return (*self.huge, *self.costly)

    def rest(self, *, last: bool) -> Built | None:
        """The first of those that wait, with half of the time if not the `last`."""
        real, imagined = self.budget, self._until
        return self._whole(real if last else real.half()) or self._imagined(
            imagined if last else imagined.half()
        )

    def _whole(self, budget: Budget) -> Built | None:
        """The first of the huge ones that this machine can hold."""
        for candidate in self.huge:
            built = _attempt(candidate, self._terms(parameter_limit(), budget))
            if isinstance(built, Built):
                return built
            self.failures.append(_sized(self.module, candidate, built))
            self.costly.append(candidate)  # because what failed may be a smaller form of it
        self.huge.clear()
        return None

    def _imagined(self, budget: Budget) -> Built | None:
        """The first of the costly ones on tensors without values."""
        for candidate in self.costly:
            built = _imagined(candidate, self._terms(sys.maxsize, budget))
            if isinstance(built, Built):
                return built
            huge = all(isinstance(failure.error, TooLargeError) for failure in self.failures)
            late = huge and isinstance(built, TooSlowError)
            if late or (built.stage == "build" and not _takes_too_much(built)):
                self.failures = [built]  # because it would fail with any amount of memory
        self.costly.clear()
        return None

    def _terms(self, limit: int, budget: Budget) -> Terms:
        return Terms(self.module, self.request, limit, budget)


def _takes_too_much(error: UserError) -> bool:
    """Whether a model failed only for the memory or the time that it takes."""
    large = isinstance(error.error, TooLargeError) or ran_out_of_memory(error.error)
    return large or isinstance(error, TooSlowError)


def _attempt(candidate: Candidate, terms: Terms) -> Built | UserError:
    try:
        with terms.budget.enforced():
            return forms.built(candidate, terms)
    except UserError as error:
        lacking = missing_behind(error.error)
        released(error.error)
        error.error = lacking or error.error
        return error
    except OutOfTimeError as error:
        released(error)
        seconds = terms.request.seconds
        why = f"building and trying it takes too long for an answer within {seconds:g} s"
        slow = TooSlowError("build", TimeoutError(why).with_traceback(error.__traceback__))
        slow.constructor = candidate.constructor
        return slow


def _imagined(candidate: Candidate, terms: Terms) -> Built | UserError:
    """The candidate on tensors without values, which take no memory."""
    imagination = Imagination()
    with imagination.building():
        built = _attempt(candidate, terms)
    return replace(built, imagination=imagination) if isinstance(built, Built) else built


def _handy(candidate: Candidate) -> int:
    """How large a model may be while there may be a smaller one of its class."""
    limit = parameter_limit()
    return limit if candidate.built_from in GIVEN else min(_HANDY, limit)


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


def _sized(module: ModuleType, candidate: Candidate, error: UserError) -> UserError:
    """The same error, with the size of the model where that is why it was not built."""
    if not isinstance(error.error, TooLargeError):
        return error
    namespace = namespace_of(module, candidate)
    with on_cpu(), without_weights():
        count = tried(lambda: counted(lambda: evaluated(candidate.constructor, namespace)))
    parameters = count.value if isinstance(count.value, int) else 0
    return UserError("build", TooLargeError(parameters, parameter_limit()))
