"""Repairs for models whose batch stands elsewhere: after the time, or nowhere at all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from torch import nn

from gradlint.worker.inputs.broadcasts import met, stepped
from gradlint.worker.inputs.case import Case, Repair, reshape
from gradlint.worker.inputs.guesses import Guess
from gradlint.worker.inputs.naming import HIDDEN
from gradlint.worker.inputs.specs import Constant, Group, Normal, Shape, Spec, Whole, reshaped
from gradlint.worker.running.attempt import sources_of

_SIZES = re.compile(
    r"batch_size, but got (\d+) \(batch_size=(\d+)\)"
    r"|Expected size (\d+) but got size (\d+)"
    r"|tensor a \((\d+)\) must match the size of tensor b \((\d+)\)"
    r"|[Ee]xpected hidden(?:\[\d\])? size \((?:\d+, )?(\d+), \d+\), got \[(?:\d+, )?(\d+), \d+\]"
)
_LONGER = re.compile(r"start \(\d+\) \+ length \(\d+\) exceeds dimension size")
"""What is said of packed sequences that end before their lengths: their batch is the time."""
_FOLDED = re.compile(r"Expected (\d+), got (\d+)|hidden\[?0?\]? has inconsistent")


def _without_steps(case: Case) -> Iterator[Guess]:
    """What meets a sequence, and is no state of one, lacks an axis of steps.

    Before batch and time change places, which is as good where the state of each sample meets it.
    """
    recurrent = case.facts.first(nn.RNNBase, nn.RNNCellBase)
    tensors = met(case.failure.call) if case.failure.call else []
    if (
        recurrent is None
        and _met_time(case)
        and len(tensors) == 2
        and all(map(sources_of, tensors))
    ):
        for item, guess in stepped(case, tensors):
            if not HIDDEN.fullmatch(item.name.lower()):
                yield guess


def _time_first(case: Case) -> Iterator[Guess]:
    """The batch and the time of sequences disagree: those that put the batch first put it second.

    All at once before one alone, because a model seldom mixes both orders.
    """
    if not (_met_time(case) or _LONGER.match(case.failure.text)):
        return
    changed = {item.name: _swapped(item.spec) for item in case.guess.arguments}
    swapped = [item for item in case.guess.arguments if changed[item.name] != item.spec]
    whole = case.guess
    for item in swapped:
        whole = whole.having(item.name, changed[item.name])
    yield whole
    for item in swapped if len(swapped) > 1 else ():
        yield case.guess.having(item.name, changed[item.name])


def _met_time(case: Case) -> bool:
    """Whether the batch stands somewhere where the steps of a sequence are."""
    found, size = _SIZES.search(case.failure.text), case.guess.size
    numbers = {int(n) for n in found.groups() if n} if found else set()
    return numbers == {size["batch"], size["time"]}


def _swapped(spec: Spec) -> Spec:
    """The same with batch and time in the other order, itself where it has not both in front."""
    match spec:
        case Group(items=items):
            return replace(spec, items=tuple(map(_swapped, items)))
        case Normal(shape=shape) | Whole(shape=shape) if set(shape[:2]) == {"batch", "time"}:
            return reshaped(spec, (shape[1], shape[0], *shape[2:]))
        case _:
            return spec


def _one_by_one(case: Case) -> Iterator[Guess]:
    """The model folds its batch into the features, because it takes one sample at a time."""
    found = _FOLDED.search(case.failure.text)
    if not found:
        return
    want, have = (int(found[1]), int(found[2])) if found[1] else (0, 0)
    if have and (want == 0 or have % want):
        return
    yield case.guess.sized(batch=1)
    yield case.guess.sized(batch=1, time=1)


def in_steps(case: Case) -> Iterator[Guess]:
    """Several arguments that have one row for each sample have one for each step of it instead."""
    shapes = {item.name: getattr(item.spec, "shape", ()) for item in case.guess.arguments}
    flat = [name for name, shape in shapes.items() if shape[:1] == ("batch",) and len(shape) < 3]
    if len(flat) < 2 or any("time" in shape for shape in shapes.values()):
        return
    guess = case.guess
    for item in case.guess.arguments:
        if item.name in flat:
            shape = ("batch", "time", *shapes[item.name][1:])
            guess = guess.having(item.name, reshaped(item.spec, shape))
    yield guess


def _grouped(case: Case) -> Iterator[Guess]:
    """A number of ours is how many samples belong together, as frames do, and is above the batch.

    Because nothing is left of a batch that is divided by more than it has.
    """
    counts = (item.spec.value for item in case.guess.arguments if isinstance(item.spec, Constant))
    for count in counts if case.failure.text.startswith("shape '[0,") else ():
        if type(count) is int and count > case.guess.size["batch"]:
            yield case.guess.sized(batch=2 * count)


_JOINED = re.compile(r"Expected (?:size )?(\d+)(?: in dimension \d)? but got (?:size )?(\d+)")


def _repeated(case: Case) -> Iterator[Guess]:
    """The model repeats an argument for each sample, which is therefore given once."""
    found, batch = _JOINED.search(case.failure.text), case.guess.size["batch"]
    if found and (int(found[1]), int(found[2])) == (batch, batch**2) and case.failure.call:
        for tensor in case.failure.call.tensors():
            for item in case.blamed(tensor) if batch**2 in tensor.shape else ():
                shape: Shape = getattr(item.spec, "shape", ())
                if shape[:1] == ("batch",):
                    yield from reshape(case, item, (1, *shape[1:]))


BATCHES: tuple[Repair, ...] = (_grouped, _repeated, _without_steps, _time_first, _one_by_one)
"""The repairs, the most specific first."""
