"""Repairs for models whose batch stands elsewhere: after the time, or nowhere at all."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradlint.worker.case import Case, Repair
from gradlint.worker.guesses import Argument, Guess
from gradlint.worker.specs import Normal, Shape, Whole, reshaped

_SIZES = re.compile(
    r"batch_size, but got (\d+) \(batch_size=(\d+)\)"
    r"|Expected size (\d+) but got size (\d+)"
    r"|tensor a \((\d+)\) must match the size of tensor b \((\d+)\)"
    r"|[Ee]xpected hidden(?:\[\d\])? size \((?:\d+, )?(\d+), \d+\), got \[(?:\d+, )?(\d+), \d+\]"
)
_FOLDED = re.compile(r"Expected (\d+), got (\d+)|hidden\[?0?\]? has inconsistent")


def _time_first(case: Case) -> Iterator[Guess]:
    """The batch and the time of sequences disagree: those that put the batch first put it second.

    All at once before one alone, because a model seldom mixes both orders.
    """
    found = _SIZES.search(case.failure.text)
    size = case.guess.size
    if not found or {int(n) for n in found.groups() if n} != {size["batch"], size["time"]}:
        return
    swapped = [item for item in case.guess.arguments if _swapped(item)]
    whole = case.guess
    for item in swapped:
        whole = whole.having(item.name, reshaped(item.spec, _swapped(item)))
    yield whole
    for item in swapped if len(swapped) > 1 else ():
        yield case.guess.having(item.name, reshaped(item.spec, _swapped(item)))


def _swapped(item: Argument) -> Shape:
    """The shape with batch and time in the other order, () where it has not both in front."""
    shape: Shape = getattr(item.spec, "shape", ())
    both = isinstance(item.spec, Normal | Whole) and set(shape[:2]) == {"batch", "time"}
    return (shape[1], shape[0], *shape[2:]) if both else ()


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


BATCHES: tuple[Repair, ...] = (_time_first, _one_by_one)
"""The repairs, the most specific first."""
