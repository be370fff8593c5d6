"""Convolutions: the fan-in that counts is the number of taps that lie inside the input."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

from gradlint.theory.dense import is_rigid, weight_square, with_mean_weight
from gradlint.theory.elementwise import passing
from gradlint.theory.moments import BATCH, FEATURE, POSITION, Moments, bounded, evened
from gradlint.theory.places import Landing, smeared
from gradlint.theory.step import NOTHING, Call, Step, weighted_gain
from gradlint.theory.taps import Taps


def convolution(call: Call) -> Step:
    """q' = C/groups k E w^2 q + E b^2, gain C/groups k E w^2.

    With k the mean number of taps inside.

    Holds for padding, stride, dilation, groups and depthwise kernels, and for transposed ones,
    where k is the number of inputs that reach an output. At a border fewer taps count, so energy
    moves towards the middle: see `Taps`. A kernel may be computed, as a standardised one is (Qiao
    2019). Source: He 2015, Xiao 2018.
    """
    weight, before = call.weight, call.first.with_channels()
    computed = _computed(call) if weight is None else None
    if computed is not None:
        shape, square = computed.shape, computed.square
    elif weight is not None:
        shape, square = weight.shape, weight_square(weight)
    else:
        return passing(call)
    transposed = "transpose" in call.name
    geometry = _geometry(call, before.shape, shape[2:], transposed=transposed)
    taps = geometry.taps
    channels = shape[1]
    if transposed:
        channels = shape[0] // max(int(call.layer.setting("groups", 1.0)), 1)
    channel_square = channels * square
    share, spread = _forward(taps, before.spread)
    factor, offset = channel_square * share, call.bias_square
    after = Moments(
        bounded(factor * before.square + offset),
        factor * (before.shared * geometry.common) + offset,
        factor * (before.local * geometry.common) + offset,
        0.0,
        call.shape,
        BATCH + FEATURE + POSITION * (len(call.shape) - 2),
        evened(spread, factor * before.square, offset),
    )
    if weight is not None:
        after = with_mean_weight(after, before, weight, channels * share)
    if computed is not None:
        after = _with_alike_taps(after, before, computed, channels * share)
    gain = weighted_gain(
        channel_square,
        before,
        after,
        offset,
        taps,
        lands=geometry.lands,
        rigid=weight is not None and is_rigid(weight),
    )
    return Step(after, (gain, *(NOTHING,) * (len(call.operands) - 1)))


def _computed(call: Call) -> Moments | None:
    """A kernel that is no parameter itself, but computed from one."""
    for operand in call.operands[1:]:
        if operand.constant and len(operand.moments.shape) == len(call.shape):
            return operand.moments
    return None


def _with_alike_taps(after: Moments, before: Moments, kernel: Moments, count: float) -> Moments:
    """Add what taps that are not independent make of the mean of a signal.

    Those of a standardised kernel sum to 0, so that they leave nothing of it.
    """
    extra = count * (count - 1.0) * kernel.local * before.mean**2
    extra = max(extra, -0.999 * after.square)
    return after._replace(
        square=after.square + extra, shared=after.shared + extra, local=after.local + extra
    )


@lru_cache(maxsize=1024)
def _forward(
    taps: tuple[Taps, ...], spread: tuple[tuple[float, ...], ...]
) -> tuple[float, tuple[tuple[float, ...], ...]]:
    sources = spread if len(spread) == len(taps) else ((),) * len(taps)
    moved = [tap.forward(source) for tap, source in zip(taps, sources, strict=True)]
    return math.prod(share for share, _ in moved), tuple(part for _, part in moved)


class Geometry(NamedTuple):
    """The taps along each axis, the share that two outputs have in common, and where g lands."""

    taps: tuple[Taps, ...]
    common: float
    lands: Landing | None


def _geometry(
    call: Call, shape: tuple[int, ...], kernels: tuple[int, ...], *, transposed: bool
) -> Geometry:
    setting, last = call.layer.setting, "argument7" if transposed else "argument5"
    stride = setting("stride", setting("argument3"))
    dilation = max(int(setting("dilation", setting(last, 1.0))), 1)
    return _laid_out(shape, call.shape, kernels, int(stride), dilation, transposed=transposed)


@lru_cache(maxsize=1024)
def _laid_out(
    shape: tuple[int, ...],
    result: tuple[int, ...],
    kernels: tuple[int, ...],
    stride: int,
    dilation: int,
    *,
    transposed: bool,
) -> Geometry:
    inner, outer = shape[-len(kernels) :], result[-len(kernels) :]
    if len(shape) != len(result):  # an input in another shape: its borders are not known
        inner = tuple(
            (o - 1) * (stride or 1) + dilation * (k - 1) + 1
            for o, k in zip(outer, kernels, strict=False)
        )
    taps = tuple(
        _axis(i, o, k, stride, dilation, transposed=transposed)
        for i, o, k in zip(inner, outer, kernels, strict=False)
    )
    return Geometry(taps, math.prod(tap.common for tap in taps), _landing(taps))


def _landing(taps: tuple[Taps, ...]) -> Landing | None:
    if all(tap.kernel == 1 for tap in taps):
        return None
    return smeared(math.prod(1 if tap.transposed else tap.stride for tap in taps))


def _axis(
    inner: int, outer: int, kernel: int, stride: int, dilation: int, *, transposed: bool
) -> Taps:
    """Taps of one axis; the padding follows from the sizes.

    Because settings may be pairs or names.
    """
    big, small = (outer, inner) if transposed else (inner, outer)
    stride = stride or max(math.floor(big / max(small, 1) + 0.5), 1)
    reach = dilation * (kernel - 1) + 1
    needed = (small - 1) * stride + reach
    padding = max(math.ceil((needed - big) / 2), 0)
    return Taps(inner, outer, kernel, stride, padding, dilation, transposed)
