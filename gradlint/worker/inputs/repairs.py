"""Better guesses at inputs than one that failed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from gradlint.worker.inputs.absent import conditioned_on
from gradlint.worker.inputs.assertions import ASSERTIONS, RANKS
from gradlint.worker.inputs.batches import BATCHES
from gradlint.worker.inputs.case import Case, Repair, larger, uses, view_sizes
from gradlint.worker.inputs.guesses import Guess
from gradlint.worker.inputs.messages import MESSAGES
from gradlint.worker.inputs.multimodal import PLACES
from gradlint.worker.inputs.shape_errors import CALLS


def repairs(case: Case) -> Iterator[tuple[bool, Guess]]:
    """Better guesses than the one that failed, the most specific first, and whether deduced.

    Those that were not are mere alternatives.
    """
    side = case.facts.published()
    if side and uses(case.guess, "height"):
        yield True, case.guess.sized(height=side, width=side)
    for repair in (*PLACES, conditioned_on, *BATCHES, *ASSERTIONS, *CALLS, *MESSAGES, *RANKS):
        yield from ((True, guess) for guess in repair(case))
    for repair in _ALTERNATIVES:
        yield from ((False, guess) for guess in repair(case))


def mismatch(case: Case) -> float:
    """How far apart two sizes are that should agree: abs(log(ratio)), 0 where that is unknown."""
    text = case.failure.text
    product = re.search(r"\(\d+x(\d+) and (\d+)x\d+\)", text)
    pair = (int(product[1]), int(product[2])) if product else view_sizes(case)
    return abs(math.log(pair[0] / pair[1])) if pair and min(pair) > 0 else 0.0


def _fixed_batch(case: Case) -> Iterator[Guess]:
    """The model knows its batch size by an attribute."""
    batch = case.facts.number("batch_size", "bs", "batchsize", "minibatch_size")
    if batch and batch <= 256:
        yield case.guess.sized(batch=batch)


_LONGEST = 8


def _other_ideas(case: Case) -> Iterator[Guess]:
    """The further ideas of each argument, those that the failing tensors stem from first."""
    blamed = [item.name for item in case.blamed(case.failing())]
    items = sorted(case.guess.arguments, key=lambda item: item.name not in blamed)
    for item in items:
        yield from (case.guess.having(item.name, other) for other in item.others)
    yield from larger(case)
    if uses(case.guess, "time"):
        yield from (case.guess.sized(time=length) for length in (36, 64))
    if uses(case.guess, "height"):
        wide = case.guess.size["width"]
        # because no image is a strip of one side by sixteen
        heights = (side for side in (16, 64) if max(side, wide) <= _LONGEST * min(side, wide))
        yield from (case.guess.sized(height=side) for side in heights)
        yield case.guess.sized(height=16, width=16)


_ALTERNATIVES: tuple[Repair, ...] = (_fixed_batch, _other_ideas)
