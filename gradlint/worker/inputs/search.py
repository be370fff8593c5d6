"""Inputs for a model that nobody described, found by trying and by reading what the trials say."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import math
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import nn

from gradlint.worker.inputs.case import Case
from gradlint.worker.inputs.conditions import wanted
from gradlint.worker.inputs.crossing import Crossing, may_cross, with_places
from gradlint.worker.inputs.facts import Facts
from gradlint.worker.inputs.forwards import Forward
from gradlint.worker.inputs.guesses import Guess, first_guess, further, switched
from gradlint.worker.inputs.hopeless import counts_in_fractions, left_unset, runs_a_holder
from gradlint.worker.inputs.multimodal import MODALITIES
from gradlint.worker.inputs.pixels import Ranges
from gradlint.worker.inputs.repairs import mismatch, repairs
from gradlint.worker.inputs.room import Narrow, of_waves, roomier, smaller_images
from gradlint.worker.inputs.specs import Filled, described, volume
from gradlint.worker.running.attempt import Failure, mark, released, tried, watched
from gradlint.worker.running.budget import Budget, OutOfTimeError
from gradlint.worker.running.cpu import on_cpu
from gradlint.worker.running.failure import UserError, ran_out_of_memory
from gradlint.worker.running.outputs import tensors_of
from gradlint.worker.running.restoring import Remembered

BATCH = 8
_FEW = 2
_ATTEMPTS = 40
_IDLE = 28  # of 397 searches that found something, two took more to get further
_SECONDS = 10.0  # of processor time, because a busy machine must not change what is found
_SLOWEST = 4.0  # of one pass, because a probe repeats it many times
_ROOMY = 3.0  # for larger images than a model needs to run, because a probe repeats their passes
LARGEST = 1 << 24
"""How many numbers an input may hold."""
LARGEST_IMAGINED = 1 << 26
"""How many where they have no values, which is not more because few larger ones are right."""
_TRIAL = 1 << 21  # numbers of what was not deduced, because it is seldom right and takes as long
_HOPELESS = 2  # passes that fail for the model and not for its inputs, which seldom mend that
_PACED = 1 << 14  # because below it a pass costs the same whatever its inputs


class TooSlowError(UserError):
    """Inputs that might run were not tried, because a pass takes too long or too much memory."""


Rank = tuple[int, bool, float]


class Agenda:
    """Guesses to try, each once, the lowest rank first and among equals the earliest.

    It ends when many of them in turn have come no further than others before.

    Attributes:
        refused: whether something that was deduced is too large to be tried here, and only here.
    """

    def __init__(self, largest: int) -> None:
        """Begin with nothing to try, of no more than `largest` numbers."""
        self._largest, self.refused = largest, False
        self._furthest = self._idle = 0
        self._queue: list[tuple[Rank, int, Guess]] = []
        self._ranks: dict[str, Rank] = {}
        self._order = itertools.count()

    def add(self, rank: Rank, guess: Guess) -> None:
        """Add a guess, or move it forward, unless it was tried already or is too large to try."""
        key = guess.key
        known, numbers = self._ranks.get(key), guess.volume()
        self.refused |= not rank[1] and self._largest < numbers <= LARGEST_IMAGINED
        if (known is None or rank < known) and numbers <= (_TRIAL if rank[1] else self._largest):
            self._ranks[key] = rank
            heapq.heappush(self._queue, (rank, next(self._order), guess))

    def add_all(self, rank: Rank, guesses: Iterable[Guess]) -> None:
        """Add guesses of the same rank."""
        for guess in guesses:
            self.add(rank, guess)

    def add_others(self, unsound: Guess, facts: Facts) -> None:
        """Add what may give a sound output where a guess ran without one.

        Because a model whose numbers are lost has seldom lost them by itself.
        """
        self._advance(sys.maxsize)
        self.add_all((-sys.maxsize, False, 0.0), _inverted(unsound))
        self.add_all((-sys.maxsize, True, 0.0), switched(unsound, facts))
        self.add_all((0, True, 0.0), further(unsound, facts))

    def reached(self, guess: Guess, failure: Failure) -> int:
        """How far a guess came; one that is refused as far as what it was deduced from.

        Because a model looks at its inputs before it does anything with them.
        """
        before = -self._ranks[guess.key][0] if any(wanted(failure)) else 0
        self._advance(failure.progress)
        return max(failure.progress, before)

    def _advance(self, progress: int) -> None:
        if progress > self._furthest:
            self._furthest, self._idle = progress, 0

    def __iter__(self) -> Iterator[Guess]:
        """The guesses that are still to be tried, while more may be added."""
        tried = set[str]()
        while self._queue and self._idle < _IDLE:
            guess = heapq.heappop(self._queue)[-1]
            if guess.key not in tried:
                tried.add(guess.key)
                self._idle += 1
                yield guess


class Pace:
    """The seconds that a pass takes for each number of its inputs, as far as passes came."""

    def __init__(self) -> None:
        """Begin with none."""
        self._furthest, self._seconds = 0, 0.0

    def allows(self, guess: Guess) -> bool:
        """Whether a pass with a guess does not take too long."""
        return guess.volume() * self._seconds <= _SLOWEST

    def learn(self, guess: Guess, progress: int, seconds: float) -> None:
        """Note how long a pass with a guess took, and how far it came."""
        if guess.volume() <= _PACED or progress < self._furthest:
            return
        own = seconds / guess.volume()
        # because a part of the time is the same for inputs of any size
        self._seconds = min(self._seconds, own) if progress == self._furthest else own
        self._furthest = progress


@dataclass(frozen=True, slots=True)
class Seen:
    """Inputs that ran, and what was seen of that pass.

    Whether its output is sound, how many calls saw one place alone, and what crossed.
    """

    guess: Guess
    sound: bool
    cramped: int
    crossing: Crossing


@dataclass(frozen=True)
class Search:
    """Looks for inputs that a model accepts.

    The guess whose failure came latest in the forward pass is refined first, because each equation
    that was solved lets the pass get further. `given` is what the model was constructed with. One
    pass may take `patience` seconds, the search `limit`.
    """

    model: nn.Module
    sequence_length: int = 0
    given: Mapping[str, object] = field(default_factory=dict)
    attempts: int = _ATTEMPTS
    limit: float = math.inf
    patience: float = math.inf
    largest: int = LARGEST

    @cached_property
    def _facts(self) -> Facts:
        return Facts(self.model, self.given)

    @cached_property
    def _has_sides(self) -> bool:
        """Whether the model says how large its images are; asked once, as it asks every part."""
        return bool(self._facts.sides())

    def found(self) -> Guess:
        """Inputs that run forward, if possible with an output that carries a gradient.

        Raises:
            UserError: at stage `forward`, with the error of the first guess, where nothing worked.
            OutOfTimeError: the time was over before the first guess had failed.
        """
        budget = Budget(self.limit)
        first = first_guess(self._facts, self.sequence_length)
        found = self._from(_affordable(first, self.largest))
        if found.crossing.met:
            found = self._with_places(found, budget.left() / 2)
        forward = Forward.of(self.model)
        for modality in MODALITIES:
            beside = modality.beside(found.guess, self._facts, forward)
            if beside is not None:
                found = replace(self, limit=budget.left() / 2)._instead(found, beside)
        if self.sequence_length:
            return found.guess  # because nobody asked for more
        return self._with_room(found, budget.left() / 2).guess

    def _with_places(self, found: Seen, seconds: float) -> Seen:
        """The same with places for what would mix the samples of a batch without any."""
        try:
            with Budget(min(seconds, _ROOMY)).enforced():
                for roomy in with_places(found.guess, found.crossing):
                    seen = self._seen(roomy)
                    if isinstance(seen, Seen):
                        return seen
                    released(seen.error)
        except OutOfTimeError as error:
            released(error)
        return found

    def _with_room(self, found: Seen, seconds: float) -> Seen:
        """The same with larger images and signals, for as long as that leaves fewer layers cramped.

        Because a network that halves its image five times sees one pixel of 32 at its end. Few
        samples tell; where there is no time for all of a longer wave, it is those few.
        """
        best, batch, limit = found, found.guess.size["batch"], min(seconds, _ROOMY)
        few, budget = min(batch, _FEW), Budget(limit)
        try:
            with budget.enforced():
                while best.cramped and (larger := self._roomier(best.guess)) is not None:
                    roomy = self._seen(larger.sized(batch=few))
                    if isinstance(roomy, Failure):
                        released(roomy.error)
                        break
                    late = (limit - budget.left()) * batch / few > limit
                    if roomy.cramped >= best.cramped or (late and not of_waves(larger)):
                        break
                    best = replace(roomy, guess=roomy.guess.sized(batch=few if late else batch))
        except OutOfTimeError as error:
            released(error)
        return best

    def _roomier(self, guess: Guess) -> Guess | None:
        """The guess with more room, None where there is enough or the model says how much."""
        larger = roomier(guess)
        return None if larger is None or self._has_sides else larger

    def _instead(self, found: Seen, wanted: Guess) -> Seen:
        """What `wanted` leads to if that runs, else what was found."""
        try:
            with Budget(self.limit).enforced():
                better = tried(lambda: self._from(wanted))
        except OutOfTimeError as error:
            released(error)
            return found
        if isinstance(better.error, UserError):
            released(better.error.error)
        return better.value if isinstance(better.value, Seen) else found

    def _from(self, first: Guess) -> Seen:
        errors: list[tuple[int, Exception, Guess]] = []
        try:
            return self._found(first, errors)
        except OutOfTimeError:
            if not errors:
                raise
        error = _telling(errors, TooSlowError)
        raise error

    def _found(self, first: Guess, errors: list[tuple[int, Exception, Guess]]) -> Seen:
        facts, forward = self._facts, Forward.of(self.model)
        whole = Budget(self.limit)
        deadline = time.process_time() + min(_SECONDS, self.limit)
        before, pace, agenda = Remembered(self.model), Pace(), Agenda(self.largest)
        agenda.add((0, False, 0.0), first)
        fallback: Seen | None = None
        slow, hopeless = False, 0
        for guess in itertools.islice(agenda, self.attempts):
            started = time.process_time()
            if started > deadline:
                break
            result = self._seen_in_time(guess, whole) if pace.allows(guess) else None
            seconds = time.process_time() - started
            if result is None:
                slow = True
                continue
            if isinstance(result, Seen):
                confirmed = self._confirmed(result, seconds)
                if confirmed.sound:
                    return confirmed
                agenda.add_others(fallback.guess if fallback else guess, facts)
                fallback = fallback or confirmed
                continue
            pace.learn(guess, result.progress, seconds)
            errors.append((result.progress, result.error, guess))
            hopeless += _is_hopeless(self.model, result)
            if runs_a_holder(result.error) or hopeless >= _HOPELESS:
                break
            case, reached = Case(result, guess, facts, forward), agenda.reached(guess, result)
            for deduced, better in repairs(case):
                agenda.add((-reached, not deduced, mismatch(case)), better)
            released(result.error)
            before.restore()
        if fallback is not None:
            return fallback
        error = _telling(errors, TooSlowError if slow or agenda.refused else UserError)
        raise error

    def _seen_in_time(self, guess: Guess, whole: Budget) -> Seen | Failure | None:
        """The guess, run once as it is; None where one pass takes too long.

        Raises:
            OutOfTimeError: the time of the `whole` search is over.
        """
        turn = Budget(self.patience if self.patience < whole.left() else math.inf)
        try:
            with turn.enforced():
                return self._seen(guess)
        except OutOfTimeError as late:
            if turn.left():
                raise
            released(late)
            return None

    def _confirmed(self, seen: Seen, seconds: float) -> Seen:
        """What ran with few samples, with a batch that is large enough.

        What ran with two, and nothing is wrong with it, is taken to run with more. Else as many are
        tried as there is time for. `seconds` is what the pass took.
        """
        guess, ours = seen.guess, seen.guess.size["batch"]
        large = seconds * BATCH / ours > _SLOWEST
        # because the first pass also pays for what comes once
        if large and seconds < 2.0 * _SLOWEST:
            started = time.process_time()
            self._seen(guess)
            seconds = time.process_time() - started
        larger = [n for n in (BATCH, BATCH // 2) if n > ours and seconds * n / ours <= _SLOWEST]
        if not larger:
            return seen
        if ours == _FEW and seen.sound and not seen.crossing.met:
            return replace(seen, guess=guess.sized(batch=larger[0]))
        # because two are as many as there are of other things
        passes = [(_FEW + 1, larger[0])] if ours <= _FEW else []
        for batch, final in (*passes, *zip(larger, larger, strict=True)):
            result = self._seen(guess.sized(batch=batch))
            if isinstance(result, Seen):
                return replace(result, guess=result.guess.sized(batch=final))
            released(result.error)
        return seen

    def _seen(self, guess: Guess) -> Seen | Failure:
        """The guess, run once as it is."""
        narrow, crossing, ranges = Narrow(), Crossing(guess.size["batch"]), Ranges()
        with contextlib.ExitStack() as watching:
            if self._roomier(guess) is not None:
                watching.enter_context(narrow.watching(self.model))
            if may_cross(guess, self.model):
                watching.enter_context(crossing.watching(self.model))
            watching.enter_context(ranges)
            failure, output = attempted(self.model, guess)
        if failure is not None:
            return failure
        return Seen(ranges.fitted(guess), _is_sound(output), narrow.count, crossing)


def _is_hopeless(model: nn.Module, failure: Failure) -> bool:
    exhausted = ran_out_of_memory(failure.error)
    return exhausted or left_unset(model, failure) or counts_in_fractions(failure)


def _is_sound(output: object) -> bool:
    """Whether an output carries a gradient, and its numbers are such."""
    tensors = tensors_of(output)
    finite = (tried(lambda t: bool(torch.isfinite(t).all()), tensor).value for tensor in tensors)
    return bool(tensors) and False not in finite


def _affordable(guess: Guess, largest: int) -> Guess:
    """The guess with smaller images, or other ideas, for what is too large to be tried.

    Because many a model that was made for large images takes small ones as well, and a remark may
    say a size that is no good here.
    """
    while _is_large(guess, largest) and (halves := smaller_images(guess)) is not None:
        guess = halves
    for item in guess.arguments:
        if volume(item.spec, guess.size) > largest:
            smaller = (idea for idea in item.others if volume(idea, guess.size) <= largest)
            guess = guess.having(item.name, next(smaller, item.spec))
    return guess


def _is_large(guess: Guess, largest: int) -> bool:
    return any(volume(item.spec, guess.size) > largest for item in guess.arguments)


def _inverted(guess: Guess) -> Iterator[Guess]:
    """The same guess with masks that keep what they hid, because nothing is left of all hidden."""
    for item in guess.arguments:
        if isinstance(item.spec, Filled) and item.spec.value in (0.0, 1.0):
            yield guess.having(item.name, replace(item.spec, value=1.0 - item.spec.value))


def attempted(model: nn.Module, guess: Guess) -> tuple[Failure | None, object]:
    """Run a model on inputs drawn from a guess: the failure, or None and the output."""
    args, kwargs = guess.drawn(mark)
    with on_cpu():
        result = watched(model, args, kwargs)
    if isinstance(result, Failure):
        return result, None
    return None, result.value


def _telling(errors: list[tuple[int, Exception, Guess]], kind: type[UserError]) -> UserError:
    """The error of the pass that got furthest, the earliest of them, and its inputs.

    What lacks a package came further than what had the wrong inputs.
    """
    if not errors:
        return kind("forward", RuntimeError("no inputs could be tried"))
    lacking = [item for item in errors if isinstance(item[1], ImportError)]
    _, error, guess = max(lacking or errors, key=lambda item: item[0])
    telling = kind("forward", error)
    telling.inputs = shown(guess)
    return telling


def shown(guess: Guess) -> tuple[str, ...]:
    """Inputs drawn from a guess as a report writes them."""
    args, kwargs = guess.drawn()
    named = (f"{name}: {described(value)}" for name, value in kwargs.items())
    return (*map(described, args), *named)
