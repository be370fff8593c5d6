"""Operations that move elements without changing them: views, permutations, slices, joins."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache

from gradlint.theory.grouping import Factors, are_mixed, factors_of, regrouped, roles_of
from gradlint.theory.moments import (
    FEATURE,
    POSITION,
    Moments,
    axes_by_size,
    bounded,
    default_axes,
)
from gradlint.theory.places import APART, ONE, READ_OUT, SCATTERED, Landing, gathered
from gradlint.theory.step import UNCHANGED, Call, Gain, Step, filling

_PARTING = ("split", "chunk", "tensor_split", "unbind")

Settings = tuple[tuple[str, bool | int | float | str], ...]


def reshaped(call: Call) -> Step:
    """A view: elements keep their moments; axes that are merged or split hand on their roles."""
    before = call.first
    if before.shape == call.shape:
        return Step(before, (UNCHANGED,) * len(call.operands))
    return _moved(call, *_viewed(before, call.shape))


def _viewed(before: Moments, shape: tuple[int, ...]) -> tuple[str, tuple[Factors, ...]]:
    """The roles of the axes of a view, and what they are made of."""
    factors = regrouped(factors_of(before), shape)
    return (roles_of(factors), factors) if factors else (default_axes(len(shape)), ())


def _moved(call: Call, axes: str, factors: tuple[Factors, ...] = ()) -> Step:
    before = call.first
    after = before.shaped(call.shape, axes)
    if are_mixed(factors):
        after = after._replace(factors=factors)
    if POSITION in before.axes and POSITION not in axes:
        after = after._replace(local=before.square)
        if before.extent(POSITION) > 1:
            return Step(after, (Gain(1.0, lands=SCATTERED),) * len(call.operands))
    return Step(after, (UNCHANGED,) * len(call.operands))


def permuted(call: Call) -> Step:
    """Axes in another order: by the order in the call, else by their sizes."""
    before = call.first
    order = _order(call.name, call.layer.settings, len(before.shape))
    if order is None or len(before.axes) < len(before.shape):
        return _moved(call, axes_by_size(before, call.shape))
    if tuple(before.shape[axis] for axis in order) != call.shape:
        return _moved(call, axes_by_size(before, call.shape))
    factors = factors_of(before) if before.factors else ()
    moved = tuple(factors[axis] for axis in order) if factors else ()
    return _moved(call, "".join(before.axes[axis] for axis in order), moved)


@lru_cache(maxsize=1024)
def _order(name: str, settings: Settings, rank: int) -> tuple[int, ...] | None:
    numbers = [
        int(value)
        for key, value in settings
        if key.startswith(("argument", "dim", "axis")) and isinstance(value, int)
    ]
    if name in ("t", "mt", "h", "mh", "adjoint") and rank >= 2:
        numbers = [rank - 2, rank - 1]
    if len(numbers) == rank and name == "permute":
        return tuple(number % rank for number in numbers)
    if len(numbers) == 2 and name in ("movedim", "moveaxis"):
        order = [axis for axis in range(rank) if axis != numbers[0] % rank]
        order.insert(numbers[1] % rank, numbers[0] % rank)
        return tuple(order)
    if len(numbers) == 2 and name not in ("permute",) and rank >= 2:
        order = list(range(rank))
        one, two = (number % rank for number in numbers)
        order[one], order[two] = order[two], order[one]
        return tuple(order)
    return None


def windowed(call: Call) -> Step:
    """Windows of one axis, which may overlap: places inside of them are the last axis or the next.

    Elements keep their moments, and what is in several windows gets the sum of their gradients.
    """
    before, rank = call.first, len(call.shape)
    if rank != len(before.shape) + 1:
        return reshaped(call)
    inside = call.name == "unfold"
    axes = before.axes + POSITION if inside else before.axes[:1] + POSITION + before.axes[1:]
    return _moved(call, axes)


def selected(call: Call) -> Step:
    """A part of a tensor: moments stay, and all of the part's gradient reaches the whole."""
    before = call.first
    axes = _surviving(before, call.shape)
    after = before._replace(shape=call.shape, axes=axes, spread=(), curve=None, parts=())
    if 1 < after.extent(POSITION) < before.extent(POSITION):
        after = after._replace(single=None)  # because the token was left out, as for its patches
        if len(call.shape) == len(before.shape) and not call.name.startswith(_PARTING):
            cut = after.elements / before.elements
            return Step(after, (Gain(1.0, cut=cut),) * len(call.operands))
    if call.name.startswith("split") and len(call.shape) == len(before.shape):
        return Step(after, (UNCHANGED,))  # because the shape is that of the first of its parts
    if after.extent(POSITION) <= 1:
        after = after._replace(local=after.square)
        if before.extent(POSITION) > 1:
            return _read_out(call, after)
    return Step(after, (UNCHANGED,) * len(call.operands))


def _read_out(call: Call, after: Moments) -> Step:
    if after.single is not None:
        shared = min(after.shared, after.single)
        after = after._replace(square=after.single, shared=shared, local=after.single, single=None)
    return Step(after, (Gain(1.0, lands=READ_OUT),) * len(call.operands))


def _surviving(before: Moments, shape: tuple[int, ...]) -> str:
    if len(shape) == len(before.shape):
        return before.axes
    if len(shape) > len(before.shape):  # an index of None adds an axis
        return _viewed(before, shape)[0]
    axes, place = "", 0
    for axis, size in enumerate(before.shape):
        left = len(before.shape) - axis
        if place < len(shape) and (size == shape[place] or left == len(shape) - place):
            axes, place = axes + before.axes[axis : axis + 1], place + 1
    if len(axes) != len(shape):
        return default_axes(len(shape))
    return axes


def joined(call: Call) -> Step:
    """Concatenation: moments are averaged by size, and each part gets its share of the gradient."""
    if not call.operands:
        return Step(call.first._replace(shape=call.shape), ())
    sizes = [operand.moments.elements for operand in call.operands]
    whole = max(math.prod(call.shape), sum(sizes), 1)
    missing = max(whole - sum(sizes), 0)
    shares = [size / max(whole - missing, 1) for size in sizes]
    parts = [operand.moments for operand in call.operands]

    def mean(values: list[float]) -> float:
        return sum(share * value for share, value in zip(shares, values, strict=True))

    first = max(parts, key=lambda part: part.elements)
    rank = len(call.shape)
    axes = _joint_axes(call, first)
    after = first._replace(
        square=bounded(mean([part.square for part in parts])),
        shared=mean([part.shared for part in parts]),
        local=mean([part.local for part in parts]),
        mean=mean([part.mean for part in parts]),
        shape=call.shape,
        axes=axes,
        spread=first.spread if len(first.axes) == rank else (),
        curve=None,
        sign=first.sign if all(part.sign == first.sign for part in parts) else 0,
    )
    alike = all(len(part.shape) == rank for part in parts)
    landings = _shares_of_one(parts, after, sizes) if alike else [None] * len(parts)
    single = next((part for part, way in zip(parts, landings, strict=True) if _holds(way)), None)
    leaves = [part.parts or (part,) for part in parts] if _by_features(parts, after) else []
    joint = tuple(leaf for own in leaves for leaf in own)
    after = after._replace(single=single.square if single else None, parts=joint)
    ends = list(itertools.accumulate((len(own) for own in leaves), initial=0))
    spans: list[tuple[int, int] | None] = [*itertools.pairwise(ends)] or [None] * len(parts)
    along = len(parts) > 1 and _by_places(parts, after)
    gains = (
        filling(part, size, after, size / whole)._replace(
            lands=lands, span=span, fills=size / whole if along else 0.0
        )
        for part, size, lands, span in zip(parts, sizes, landings, spans, strict=True)
    )
    return Step(after, tuple(gains))


def _joint_axes(call: Call, first: Moments) -> str:
    """The roles of a join; what is stacked are features of one more axis."""
    rank = len(call.shape)
    if len(first.axes) == rank:
        return first.axes
    if call.name != "stack" or len(first.axes) != rank - 1 or rank < 4:
        return default_axes(rank)
    place = int(call.layer.setting("dim", call.layer.setting("argument1"))) % rank
    return first.axes[:place] + FEATURE + first.axes[place:]


def _by_features(parts: list[Moments], whole: Moments) -> bool:
    """Whether tensors are joined along their features only."""
    return whole.axes[1:2] == FEATURE and all(
        part.shape[:1] + part.shape[2:] == whole.shape[:1] + whole.shape[2:] for part in parts
    )


def _by_places(parts: list[Moments], whole: Moments) -> bool:
    """Whether tensors of different sizes are joined along their positions."""
    if len({part.shape for part in parts}) < len(parts):
        return False
    axes = {
        i
        for part in parts
        for i, size in enumerate(whole.shape)
        if part.shape[i : i + 1] != (size,)
    }
    return all(whole.axes[axis] == POSITION for axis in axes)


def _holds(landing: Landing | None) -> bool:
    return landing is not None and landing.one[1] is ONE


def _shares_of_one(parts: list[Moments], whole: Moments, sizes: list[int]) -> list[Landing | None]:
    """Where tokens are joined, the one that is read out later is one that comes alone."""
    axis = next((i for i, size in enumerate(whole.shape) if size != parts[-1].shape[i]), 0)
    alone = [part.shape[axis] == 1 for part in parts]
    number = sum(alone)
    if whole.axes[axis] != POSITION or not number or number == len(parts):
        return [None] * len(parts)
    return [
        Landing(one=(whole.elements / (size * number), ONE) if single and size else (0.0, APART))
        for size, single in zip(sizes, alone, strict=True)
    ]


def expanded(call: Call) -> Step:
    """Copies along new or longer axes: moments stay, the gradients of the copies add up."""
    before = call.first
    rank, own = len(call.shape), len(before.shape)
    axes = POSITION * (rank - own) + before.axes if rank >= own else default_axes(rank)
    after = before._replace(shape=call.shape, axes=axes, spread=(), curve=None)
    copies, own = after.extent(POSITION), before.extent(POSITION)
    lands = gathered(copies, 1.0) if own <= 1 < copies else None
    return Step(after, (Gain(1.0, lands=lands),) * len(call.operands))


def padded(call: Call) -> Step:
    """Zeros around a tensor thin out its energy, and their gradient is lost; copies keep both."""
    if dict(call.layer.settings).get("mode", "constant") != "constant":
        return expanded(call)
    before = call.first
    share = before.elements / max(math.prod(call.shape), 1)
    share = min(share, 1.0)
    after = before._replace(
        square=before.square * share,
        shared=before.shared * share,
        local=before.local * share,
        mean=before.mean * share,
        shape=call.shape,
        axes=before.axes if len(before.axes) == len(call.shape) else default_axes(len(call.shape)),
        spread=(),
        curve=None,
    )
    return Step(after, (Gain(share),) * len(call.operands))
