"""What the equation of an einsum says about the inputs that its operands stem from."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradlint.worker.inputs.case import Case, reshape, resize, usual_shapes
from gradlint.worker.inputs.guesses import Argument, Guess
from gradlint.worker.inputs.specs import Group, Normal, Shape
from gradlint.worker.running.attempt import sources_of

_SIZES = re.compile(
    r"has size (\d+) for operand (\d+) which does not broadcast with previously seen size (\d+)"
)
_SUBSCRIPTS = re.compile(
    r"subscripts in the equation \((\d+)\).*dimensions \((\d+)\).*operand (\d+)"
)


def einsum(case: Case) -> Iterator[Guess]:
    """An operand has other sizes or dimensions than the equation and the other operands have."""
    yield from _sized(case)
    yield from _lettered(case)


def _sized(case: Case) -> Iterator[Guess]:
    found, call = _SIZES.search(case.failure.text), case.failure.call
    if not found or call is None:
        return
    own, operand, before = map(int, found.groups())
    for index, tensor in enumerate(call.tensors()):
        have, want = (own, before) if index == operand else (before, own)
        if sources_of(tensor):
            yield from resize(case, case.blamed(tensor), have, want)


def _lettered(case: Case) -> Iterator[Guess]:
    """An operand has more or fewer dimensions than the equation has letters for it."""
    found, call = _SUBSCRIPTS.search(case.failure.text), case.failure.call
    if not found or call is None:
        return
    wanted, have, operand = map(int, found.groups())
    tensors = call.tensors()
    for item in case.blamed(tensors[operand] if operand < len(tensors) else None):
        yield from (
            guess
            for shape in _shapes(case, item, wanted - have)
            for guess in reshape(case, item, shape)
        )


def _shapes(case: Case, item: Argument, more: int) -> Iterator[Shape]:
    """Shapes with so many dimensions more: those of an argument beside it, then usual ones."""
    own = _shape(item)
    others = (_shape(other) for other in case.guess.arguments if other.name != item.name)
    yield from (shape for shape in others if own and len(shape) == len(own) + more)
    yield from usual_shapes(case, item, len(own) + more)


def _shape(item: Argument) -> Shape:
    """The shape of an argument, or of the tensors in its list."""
    spec = item.spec
    first = (
        next((p for p in spec.items if isinstance(p, Normal)), None)
        if isinstance(spec, Group)
        else spec
    )
    shape: Shape = getattr(first, "shape", ())
    return shape
