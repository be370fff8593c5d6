"""Models that work through their input in pieces to save memory: they run on it as a whole, too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from gradlint.protocol.wire import Candidate
from gradlint.worker.building.constructors import GUESSED
from gradlint.worker.building.refusals import refused, whole_numbers

_PIECES = re.compile(r"(n|num)_(splits|chunks|tiles|slices)")


def whole(
    candidate: Candidate, error: BaseException, namespace: dict[str, object]
) -> Iterator[Candidate]:
    """The candidate that takes its input in one piece, where inputs for many would be too large.

    Because each of sixteen pieces of what was halved three times must still hold a kernel.
    """
    case = refused(candidate, error, namespace)
    if candidate.built_from not in GUESSED or case is None:
        return
    bindings = tuple(
        (name, "1" if _PIECES.fullmatch(name) and text.isdecimal() else text)
        for name, text in candidate.bindings
    )
    if bindings != candidate.bindings:
        yield replace(candidate, bindings=bindings)
        return
    for name, count in whole_numbers(case).items():
        if _PIECES.fullmatch(name) and count > 1:
            yield case.having(name, "1")
