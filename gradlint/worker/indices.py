"""Whole numbers that say which places of another tensor are meant."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradlint.worker.attempt import sources_of
from gradlint.worker.case import Case
from gradlint.worker.guesses import Guess
from gradlint.worker.specs import Dim, Whole

_BEYOND = re.compile(r"index -?\d+ is out of bounds for dimension \d+ with size (\d+)")


def indices(case: Case) -> Iterator[Guess]:
    """Numbers lie beyond the end of what they point into: they stay below its size."""
    found, call = _BEYOND.search(case.failure.text), case.failure.call
    if found is None or call is None:
        return
    size = int(found[1])
    alike = (name for name in ("batch", "time") if case.guess.size[name] == size)
    high: Dim = next(alike, size)
    # because the first of all is what they point into
    numbers = (t for t in call.tensors()[1:] if sources_of(t) and not t.is_floating_point())
    for item in (item for tensor in numbers for item in case.blamed(tensor)):
        if isinstance(item.spec, Whole):
            yield case.guess.having(item.name, Whole(item.spec.shape, high))
