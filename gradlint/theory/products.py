"""Products and quotients of several signals, and gates."""

from __future__ import annotations

import math

from gradlint.theory.activations import respond, sigmoid
from gradlint.theory.elementwise import apply, passing, scalar_of
from gradlint.theory.laws import Line, Power
from gradlint.theory.meeting import (
    axes_of_result,
    broadcast,
    is_shared,
    jointly,
    meets_itself,
    number_comes_first,
)
from gradlint.theory.moments import FEATURE, POSITION, Moments, bounded
from gradlint.theory.places import Landing, gathered, thinned
from gradlint.theory.step import NOTHING, Call, Gain, Operand, Step


def multiplication(call: Call) -> Step:
    """Independent factors: q' = q1 q2, r' = r1 r2, m' = m1 m2; the gain of one is the other's q."""
    if len(call.operands) < 2:
        number = scalar_of(call)
        if meets_itself(call):
            return apply(Power(2.0), call.operands[0], call.shape)
        if not call.operands or number is None:
            return passing(call)
        return apply(Line(number, 0.0), call.operands[0], call.shape)
    joint = jointly(call, lambda a, b: (a[0] * b[0], a[0] * b[1] + a[1] * b[0]))
    if joint is not None:
        return joint
    factors = [broadcast(operand, call) for operand in call.operands]
    after = factors[0]
    for factor in factors[1:]:
        after = _product(after, factor)
    if call.operands[0].constant:  # whose axes have no roles of their own
        after = after._replace(axes=axes_of_result(call))
    alike = [_likeness(factors, place) for place in range(len(factors))]
    gains = tuple(
        _factor_gain(operand.moments, factor, after, likeness)
        for operand, factor, likeness in zip(call.operands, factors, alike, strict=True)
    )
    return Step(after.sized(call.shape), gains)


def _likeness(factors: list[Moments], place: int) -> float:
    """E[f f'] / E f^2 at two positions for the product of all factors but one."""
    others = (factor for index, factor in enumerate(factors) if index != place)
    return math.prod(factor.local / factor.square for factor in others)


def _factor_gain(own: Moments, factor: Moments, after: Moments, likeness: float) -> Gain:
    """The other factors' q. One number for all features, as in a norm, gets <g, y> of its place.

    What is not along the signal has none where places have directions of their own, and its share
    at random where many places have one.
    """
    gain, features = after.square / factor.square, after.extent(FEATURE)
    if own.elements * features != after.elements or features <= 1:
        return Gain(gain, lands=_weighed(own, after, likeness))
    apart = 1.0 - features / after.direction
    lands = _weighed(own, after, likeness) if apart else None
    return Gain(gain * apart, aligned=gain * features, lands=lands)


def _weighed(own: Moments, after: Moments, likeness: float) -> Landing | None:
    """Factors that differ between positions, or are summed over where `own` has no positions."""
    places = after.extent(POSITION)
    if places <= 1:
        return None
    if is_shared(own, after):
        return gathered(places, likeness)
    return thinned(likeness)


def _product(one: Moments, two: Moments) -> Moments:
    return one._replace(
        square=bounded(one.square * two.square),
        shared=one.shared * two.shared,
        local=one.local * two.local,
        mean=one.mean * two.mean,
        curve=None,
        single=_single_of(one, two),
        parts=(),
        sign=one.sign * two.sign,
        total="",
        skew=one.skew * two.square**1.5,
    )


def _single_of(one: Moments, two: Moments) -> float | None:
    if one.single is None and two.single is None:
        return None
    return bounded((one.single or one.square) * (two.single or two.square))


def division(call: Call) -> Step:
    """Division by a number, or by a tensor taken as multiplication by its reciprocal."""
    number = scalar_of(call)
    if len(call.operands) < 2:
        if not call.operands or not number:
            return passing(call)
        if call.name.startswith(("rdiv", "rtruediv")) or number_comes_first(call):
            inverse = apply(Power(-1.0), call.operands[0], call.shape)
            return inverse._replace(
                moments=_product(inverse.moments, _constant(number, inverse.moments)),
                gains=(Gain(inverse.gains[0].factor * number * number),),
            )
        return apply(Line(1.0 / number, 0.0), call.operands[0], call.shape)
    one, two = call.operands[:2]
    inverse = apply(Power(-1.0), two, two.moments.shape)
    below = broadcast(Operand(two.id, inverse.moments), call)
    above = broadcast(one, call)
    after = _product(above, below).sized(call.shape)
    gain = _divisor_gain(two.moments, below, above, after, inverse.gains[0])
    lands = _weighed(one.moments, after, below.local / below.square)
    return Step(
        after, (Gain(below.square, lands=lands), gain) + (NOTHING,) * (len(call.operands) - 2)
    )


def _divisor_gain(
    own: Moments, below: Moments, above: Moments, after: Moments, inverse: Gain
) -> Gain:
    """The gain of the reciprocal as a factor, times that of the reciprocal itself.

    It turns the sign.
    """
    factor = _factor_gain(own, below, after, above.local / above.square)
    growth = math.sqrt(after.square * after.elements / max(own.square * own.elements, 1e-280))
    aligned = None if factor.aligned is None else factor.aligned * inverse.factor
    lands = factor.lands
    return Gain(factor.factor * inverse.factor, along=-growth, aligned=aligned, lands=lands)


def _constant(number: float, like: Moments) -> Moments:
    square = number * number
    return like._replace(square=square, shared=square, local=square, mean=number)


def gated(call: Call) -> Step:
    """GLU: a sigmoid(b) for the two halves: q' = q E s^2, gain E s^2 + q E s'^2 (Dauphin 2017)."""
    before = call.first
    gate = respond(sigmoid, before.mean, before.sigma)
    after = before._replace(
        square=bounded(before.square * gate.square),
        shared=before.shared * gate.shared(before.shared / before.square, before.sigma),
        local=before.local * gate.shared(before.local / before.square, before.sigma),
        mean=before.mean * gate.mean,
        shape=call.shape,
        curve=None,
        skew=0.0,
    )
    return Step(after, (Gain(gate.square + before.square * gate.slope_square),))
