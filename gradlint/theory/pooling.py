"""Averages, sums, largest values and interpolation along axes."""

from __future__ import annotations

import math

from gradlint.theory.moments import BATCH, FEATURE, POSITION, Moments, bounded, curve_of
from gradlint.theory.places import AVERAGED, SCATTERED, Landing, thinned
from gradlint.theory.quadrature import expect
from gradlint.theory.step import UNCHANGED, Call, Gain, Step


def reduced_axes(before: Moments, call: Call) -> tuple[int, ...]:
    """The axes along which the output is smaller.

    By their settings, else by comparing the shapes.
    """
    rank, shape = len(before.shape), call.shape
    if len(shape) == rank:
        return tuple(i for i in range(rank) if before.shape[i] != shape[i])
    named = [value for name, value in call.layer.settings if name in ("dim", "axis")]
    named += [value for name, value in call.layer.settings if name == "argument1"]
    if len(shape) == rank - 1 and named and isinstance(named[0], int):
        return (named[0] % rank,)
    return _missing(before.shape, shape)


def _missing(before: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, ...]:
    missing, place = [], 0
    for axis, size in enumerate(before):
        if place < len(after) and size == after[place]:
            place += 1
        else:
            missing.append(axis)
    return tuple(missing)


def _without(before: Moments, axes: tuple[int, ...], call: Call) -> str:
    if len(call.shape) == len(before.shape):
        return before.axes
    return "".join(role for axis, role in enumerate(before.axes) if axis not in axes)


def averaged(before: Moments, features: int, positions: int, inputs: int) -> Moments:
    """The mean over so many elements.

    What they share stays, the rest is divided by their number.
    """
    square, local, shared = before.square, before.local, before.shared
    if positions > 1:
        square = local + (square - local) / positions
    if inputs > 1:
        square, local = (shared + (part - shared) / inputs for part in (square, local))
    if features > 1:
        mean = before.mean**2
        square, local, shared = (
            mean + (part - mean) / features for part in (square, local, shared)
        )
    return before._replace(
        square=bounded(square), local=local, shared=shared, spread=(), curve=None, skew=0.0
    )


def average(call: Call) -> Step:
    """Mean along axes: q' = p + (q - p) / K over K positions; the gain is 1 / K.

    Where places have directions of their own, one gradient lies along some of them by chance.
    """
    before = call.first
    axes = reduced_axes(before, call)
    counts = dict.fromkeys((FEATURE, POSITION, BATCH), 1)
    for axis in axes:
        role = before.axes[axis] if axis < len(before.axes) else POSITION
        size = call.shape[axis] if len(call.shape) == len(before.shape) else 1
        counts[role] *= max(before.shape[axis] // max(size, 1), 1)
    after = averaged(before, counts[FEATURE], counts[POSITION], counts[BATCH])
    after = settled(after._replace(shape=call.shape, axes=_without(before, axes, call)))
    lands = AVERAGED if counts[POSITION] > 1 else None
    factor = 1.0 / math.prod(counts.values())
    leak = factor * _differing(before, after) if counts[POSITION] > 1 else 0.0
    gain = Gain(factor, leak=leak, lands=lands)
    return Step(after, (gain,) * len(call.operands))


def _differing(before: Moments, after: Moments) -> float:
    """The share of a gradient that a place's own direction gets of it, apart from the mean's."""
    if before.direction > before.extent(FEATURE):
        return 0.0
    return max(1.0 - after.square / before.square, 0.0) / before.direction


def settled(after: Moments) -> Moments:
    """Where one position is left, two positions are the same one."""
    if after.extent(POSITION) <= 1:
        return after._replace(local=after.square)
    return after


def total(call: Call) -> Step:
    """Sum along axes: K^2 times the second moment of the mean; the gain is K."""
    mean = average(call)
    before, count = call.first, call.first.elements / max(math.prod(call.shape), 1)
    scale = count * count
    after = mean.moments._replace(
        square=bounded(mean.moments.square * scale),
        shared=mean.moments.shared * scale,
        local=mean.moments.local * scale,
        mean=before.mean * count,
    )
    return Step(
        after,
        (mean.gains[0]._replace(factor=count, leak=mean.gains[0].leak * scale),)
        * len(call.operands),
    )


def running_total(call: Call) -> Step:
    """The sum of the first t of N elements, over all t: m' = m (N + 1) / 2.

    q' = (q - p) (N + 1) / 2 + p (N + 1) (2 N + 1) / 6, and an element gets the gradients of all
    later sums, (N + 1) / 2 on average.
    """
    before = call.first
    rank = max(len(before.shape), 1)
    setting = call.layer.setting
    axis = int(setting("dim", setting("argument1", -1.0))) % rank
    count = float(before.shape[axis]) if before.shape else 1.0
    mean, steps = 0.5 * (count + 1.0), (count + 1.0) * (2.0 * count + 1.0) / 6.0
    common = before.local if before.axes[axis : axis + 1] == POSITION else before.mean**2

    def summed(own: float, other: float) -> float:
        return (own - other) * mean + other * steps

    beside = min(common, before.shared)
    after = before._replace(
        square=bounded(summed(before.square, common)),
        shared=summed(before.shared, beside),
        local=summed(before.local, common),
        mean=before.mean * mean,
        shape=call.shape,
        spread=(),
        curve=None,
        skew=0.0,
        total=call.layer.id,
    )
    return Step(after, (Gain(mean),) * len(call.operands))


def length(call: Call) -> Step:
    """The norm over K elements: q' = K q, nearly the same everywhere; a gradient keeps its norm."""
    before = call.first
    count = before.elements / max(math.prod(call.shape), 1)
    square = bounded(before.square * count)
    axes = _without(before, reduced_axes(before, call), call)
    after = before._replace(
        square=square,
        shared=square,
        local=square,
        mean=math.sqrt(square),
        shape=call.shape,
        axes=axes,
        spread=(),
        curve=None,
        sign=1,
        skew=0.0,
    )
    return Step(after, (Gain(1.0),) * len(call.operands))


def deviation(call: Call) -> Step:
    """Variance v over K elements, or its root: nearly the same everywhere.

    The gradients of their elements are 2 (z - m) / K and (z - m) / (K sqrt(v)), so that the gains
    are 4 v / K and 1 / K.
    """
    before = call.first
    count = max(before.elements / max(math.prod(call.shape), 1), 1.0)
    root = call.name == "std"
    level = math.sqrt(before.variance) if root else before.variance
    square = bounded(level * level)
    axes = _without(before, reduced_axes(before, call), call)
    after = Moments(square, square, square, level, call.shape, axes, sign=1)
    return Step(after, (Gain((1.0 if root else 4.0 * before.variance) / count),))


def average_pool(call: Call) -> Step:
    """Mean over windows of k^d positions, or over as many as lie in each adaptive window."""
    before = call.first
    count = _window(call, before)
    after = averaged(before, 1, count, 1)
    axes = (
        before.axes if len(before.axes) == len(call.shape) else "bc" + "s" * (len(call.shape) - 2)
    )
    after = settled(after._replace(shape=call.shape, axes=axes))
    lands = AVERAGED if count > 1 and after.extent(POSITION) <= 1 else None
    return Step(after, (Gain(1.0 / count, lands=lands),))


def _window(call: Call, before: Moments) -> int:
    kernel = call.layer.setting("kernel_size", 0.0)
    dimensions = max(len(call.shape) - 2, 1)
    if kernel >= 1.0 and "adaptive" not in call.name:
        return max(round(math.pow(int(kernel), dimensions)), 1)
    return max(round(before.elements / max(math.prod(call.shape), 1)), 1)


def largest(call: Call) -> Step:
    """Maximum over K positions: moments under the density K Phi^(K-1) phi of the largest of K.

    The gradient flows to the largest place only. Where an increasing activation comes before, the
    place with the largest activation is the one with the largest pre-activation, where slopes are
    larger: so the gain to that Gaussian tensor is taken under the same density. Source: order
    statistics of independent Gaussians (David & Nagaraja 2003).
    """
    before, id = call.first, call.operands[0].id if call.operands else ""
    count = _window(call, before) if "pool" in call.name else _reduced_count(before, call)
    apart = 1.0 - max(before.local - before.mean**2, 0.0) / before.variance
    effective = 1.0 + (count - 1.0) * max(apart, 0.0)
    curve = curve_of(before, id)
    response = expect(curve.at, curve.mean, curve.sigma, largest_of=effective)
    kept = before._replace(
        square=bounded(response.square),
        mean=response.mean,
        shared=_follow(before.shared, before, response.mean, response.square),
        local=_follow(before.local, before, response.mean, response.square),
        shape=call.shape,
        spread=(),
        curve=None,
        skew=0.0,
    )
    axes = (
        before.axes
        if len(before.axes) == len(call.shape)
        else _without(before, reduced_axes(before, call), call)
    )
    after = settled(kept._replace(axes=axes))
    lands = _winning(count, after)
    if curve.source in (id, ""):
        return Step(after, (Gain(1.0, lands=lands),))
    direct = (curve.source, Gain(response.slope_square, lands=lands))
    return Step(after, (Gain(1.0, aside=True, lands=lands),), (direct,))


def _winning(count: int, after: Moments) -> Landing:
    return SCATTERED if after.extent(POSITION) <= 1 else thinned(1.0 / count)


def _reduced_count(before: Moments, call: Call) -> int:
    return max(round(before.elements / max(math.prod(call.shape), 1)), 1)


def _follow(part: float, before: Moments, mean: float, square: float) -> float:
    """A shared part keeps its correlation."""
    correlation = (part - before.mean**2) / before.variance
    return mean**2 + correlation * (square - mean**2)


def interpolation(call: Call) -> Step:
    """Up- or downsampling: nearest keeps q.

    Linear averages neighbours, (5/8) of the variance per axis.
    """
    before = call.first
    mode = dict(call.layer.settings).get("mode", "nearest")
    dimensions = max(len(call.shape) - 2, 1)
    share = 1.0 if mode in ("nearest", "nearest-exact") else 0.625**dimensions
    smoothed = before.local + (before.square - before.local) * share
    after = before._replace(square=smoothed, shape=call.shape, spread=(), curve=None)
    return Step(after, (Gain(share),) * len(call.operands))


def sampled(call: Call) -> Step:
    """`grid_sample`: each point mixes its neighbours by weights 1 - u and u along d axes.

    E[(1 - u)^2 + u^2] = 2/3 for even u, so that q' = p + (2/3)^d (q - p), with that gain for the
    values. A place moves y by n/2 times the difference of neighbours along an axis of n values,
    of mean square 2 (q - p) (2/3)^(d - 1) (Jaderberg 2015).
    """
    before, sides = call.first, call.first.shape[2:]
    settings = dict(call.layer.settings)
    mode = settings.get("mode", settings.get("argument2", "bilinear"))
    if mode != "bilinear" or len(call.operands) < 2 or not sides:
        return Step(before.sized(call.shape), (UNCHANGED,) * len(call.operands))
    mixed, apart = (2.0 / 3.0) ** len(sides), max(before.square - before.local, 0.0)
    after = before._replace(
        square=before.local + mixed * apart, shape=call.shape, spread=(), curve=None, skew=0.0
    )
    steep = 2.0 * apart * 1.5 * mixed * sum(0.25 * side * side for side in sides)
    return Step(after, (Gain(mixed), Gain(steep, along=0.0)))
