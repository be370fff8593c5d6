"""Models that are built for images of another number of dimensions than they were guessed for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from gradlint.protocol.wire import Candidate
from gradlint.worker.building.constructors import GUESSED
from gradlint.worker.building.refusals import refused
from gradlint.worker.running.wording import worded

_NAMED = re.compile(r"((n|num)_)?spatial_?dim(s|ensions)?|n_?dims?|num_dim(s|ensions)|dimensions?")
"""What is called like the number of dimensions that images have."""
_OF_RANK = re.compile(
    r"[34]D \(unbatched\)|\b[345]-?[Dd]\b|(tri|bi)linear|too many indices|Dimension out of range"
    r"|values to unpack|number of (spatial )?dim(ension)?s|modulo by zero|spatial dimensions"
)
"""What messages say where something has too few or too many dimensions."""
_IMAGES, _VOLUMES = "2", "3"


def redimensioned(
    candidate: Candidate, error: BaseException, namespace: dict[str, object]
) -> Iterator[Candidate]:
    """The candidate for volumes where it was guessed for images, none of which run.

    Because a class that says how many dimensions it takes may yet be written for three alone.
    """
    guessed = candidate.built_from in GUESSED and _OF_RANK.search(worded(error))
    case = refused(candidate, error, namespace) if guessed else None
    if case is None:
        return
    given = {n: ast.unparse(value) for n, value in case.given().items() if _NAMED.fullmatch(n)}
    bindings = tuple(
        (n, _VOLUMES if text == _IMAGES and (_NAMED.fullmatch(n) or n in given.values()) else text)
        for n, text in candidate.bindings
    )
    if bindings != candidate.bindings:
        yield replace(candidate, bindings=bindings)
    for name, text in given.items():
        if text == _IMAGES:
            yield case.having(name, _VOLUMES)
