"""Whole numbers that say which places of another tensor are meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import torch

from gradlint.worker.inputs.case import Case, resize
from gradlint.worker.inputs.guesses import Guess
from gradlint.worker.inputs.specs import Dim, Group, Normal, Ring, Spec, Whole
from gradlint.worker.running.attempt import sources_of

_BEYOND = re.compile(r"index (-?\d+) is out of bounds for dimension \d+ with size (\d+)")


_WHOLE = re.compile(r"Expected dtype int(32/int)?64 for index")
_VECTOR = re.compile(r"Index is supposed to be a vector")


def pointers(case: Case) -> Iterator[Guess]:
    """Fractions stand where the places of another tensor are meant, into which values are added."""
    call = case.failure.call
    vector = bool(_VECTOR.search(case.failure.text))
    told = vector or _WHOLE.search(case.failure.text)
    if call is None or not told or len(call.tensors()) < 2:
        return
    target, index, *values = call.tensors()
    dim = call.argument(1, "dim")
    high = target.shape[dim] if isinstance(dim, int) and target.dim() else 1
    like = values[0] if values else index
    rows = like.shape[dim : dim + 1] if vector and isinstance(dim, int) else like.shape
    wanted = Whole(tuple(_named(case, size) for size in rows), high)
    for item in case.blamed(index) if sources_of(index) else ():
        yield case.guess.having(item.name, _with(case, item.spec, index, wanted))


def _with(case: Case, spec: Spec, index: torch.Tensor, wanted: Whole) -> Spec:
    """What is wanted in the place of the index, be it an entry of a batch."""
    if not isinstance(spec, Group):
        return wanted
    entries = (
        wanted
        if isinstance(entry, Normal | Ring) and case.shape(entry) == tuple(index.shape)
        else entry
        for entry in spec.items
    )
    return replace(spec, items=tuple(entries))


def _named(case: Case, size: int) -> Dim:
    return next((name for name in ("batch", "time") if case.guess.size[name] == size), size)


def indices(case: Case) -> Iterator[Guess]:
    """Numbers lie beyond the end of what they point into: they stay below its size.

    What is read at a place of the model's own is long enough for it.
    """
    found, call = _BEYOND.search(case.failure.text), case.failure.call
    if found is None or call is None:
        return
    place, size = int(found[1]), int(found[2])
    high = _named(case, size)
    tensors = call.tensors()
    # because the first of all is what they point into
    numbers = (t for t in tensors[1:] if sources_of(t) and not t.is_floating_point())
    for item in (item for tensor in numbers for item in case.blamed(tensor)):
        if isinstance(item.spec, Whole):
            yield case.guess.having(item.name, Whole(item.spec.shape, high))
    if len(tensors) == 1 and size > 1 and sources_of(tensors[0]):
        yield from resize(case, case.blamed(tensors[0]), size, place + 1 if place > 0 else -place)
