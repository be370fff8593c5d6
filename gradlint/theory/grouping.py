"""Which roles axes have that views merge and split."""

from __future__ import annotations

import math
from functools import lru_cache

from gradlint.theory.moments import BATCH, FEATURE, POSITION, Moments

Factors = tuple[tuple[int, str], ...]
"""What an axis is made of, outermost first: so many places of a role."""


def factors_of(moments: Moments) -> tuple[Factors, ...]:
    """The factors of each axis: those of earlier axes of other roles that a view has merged."""
    known = moments.factors
    if known and _sizes(known) == moments.shape:  # because what changes a shape leaves them behind
        return known
    return _plain(moments.shape, moments.axes)


@lru_cache(maxsize=1024)
def _sizes(axes: tuple[Factors, ...]) -> tuple[int, ...]:
    return tuple(math.prod(count for count, _ in axis) for axis in axes)


@lru_cache(maxsize=1024)
def _plain(shape: tuple[int, ...], axes: str) -> tuple[Factors, ...]:
    return tuple(((size, role),) for size, role in zip(shape, axes, strict=False))


@lru_cache(maxsize=1024)
def regrouped(old: tuple[Factors, ...], shape: tuple[int, ...]) -> tuple[Factors, ...]:
    """The factors of the axes of a view, () where it splits what does not divide."""
    left = [factor for axis in reversed(old) for factor in reversed(axis) if factor[0] != 1]
    axes = []
    for size in shape:
        axis: list[tuple[int, str]] = []
        missing = size
        while missing > 1 and left:
            count, role = left.pop()
            if count > missing and count % missing == 0:
                left.append((count // missing, role))
                count = missing
            if not count or missing % count:
                return ()
            axis.append((count, role))
            missing //= count
        axes.append(tuple(axis))
    return () if left else tuple(axes)


@lru_cache(maxsize=1024)
def roles_of(axes: tuple[Factors, ...]) -> str:
    """One role for each axis, an axis of one place having that of the next one."""
    found = ""
    for place in reversed(range(len(axes))):
        roles = {role for _, role in axes[place]}
        # because windows are joined to images behind the batch
        order = (BATCH, FEATURE, POSITION) if place == 0 else (FEATURE, POSITION, BATCH)
        usual = found[:1] or POSITION
        found = next((role for role in order if role in roles), usual) + found
    return found


def are_mixed(axes: tuple[Factors, ...]) -> bool:
    """Whether an axis is made of places of different roles."""
    return any(len({role for _, role in axis}) > 1 for axis in axes)
