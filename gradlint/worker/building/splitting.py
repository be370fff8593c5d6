"""Models that work through their input in pieces to save memory: they run on it as a whole, too."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from gradlint.protocol.wire import Candidate
from gradlint.worker.building.constructors import GUESSED
from gradlint.worker.building.refusals import Construction, whole_numbers
from gradlint.worker.building.sources import evaluated
from gradlint.worker.running.attempt import tried

_PIECES = re.compile(r"(n|num)_(splits|chunks|tiles|slices)")


def whole(
    candidate: Candidate, error: BaseException, namespace: dict[str, object]
) -> Iterator[Candidate]:
    """The candidate that takes its input in one piece, where inputs for many would be too large.

    Because each of sixteen pieces of what was halved three times must still hold a kernel.
    """
    parsed = tried(lambda: ast.parse(candidate.constructor.strip(), mode="eval").body).value
    if candidate.built_from not in GUESSED or not isinstance(parsed, ast.Call):
        return
    bindings = tuple(
        (name, "1" if _PIECES.fullmatch(name) and text.isdecimal() else text)
        for name, text in candidate.bindings
    )
    if bindings != candidate.bindings:
        yield replace(candidate, bindings=bindings)
        return
    target = tried(evaluated, ast.unparse(parsed.func), namespace).value
    case = Construction(candidate, parsed, target, error, namespace)
    for name, count in whole_numbers(case).items():
        if _PIECES.fullmatch(name) and count > 1:
            yield case.having(name, "1")
