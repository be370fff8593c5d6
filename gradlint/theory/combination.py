"""Sums, products and quotients of several signals, and gates."""

from __future__ import annotations

import math

from gradlint.theory.activations import (
    Power,
    respond,
    sigmoid,
)
from gradlint.theory.elementwise import apply, masked, passing, scalar_of, shift
from gradlint.theory.moments import (
    FEATURE,
    POSITION,
    Moments,
    bounded,
    curve_of,
    through,
)
from gradlint.theory.places import Landing, gathered, thinned
from gradlint.theory.quadrature import expect
from gradlint.theory.step import Call, Gain, Operand, Step

_NOTHING = 1e-4  # the share of a sum below which a term does not change its distribution


def broadcast(operand: Operand, call: Call) -> Moments:
    """The operand spread out to the shape of the result.

    What it lacks in positions is shared by them.
    """
    moments, shape = operand.moments, call.shape
    if moments.shape == shape:
        return moments
    axes = _axes_of_result(call)
    offset = len(shape) - len(moments.shape)
    varies = any(
        axes[axis] == POSITION and axis >= offset and moments.shape[axis - offset] > 1
        for axis in range(len(axes))
    )
    return moments._replace(
        local=moments.local if varies else moments.square,
        mean=moments.mean,
        shape=shape,
        axes=axes,
        spread=(),
    )


def _axes_of_result(call: Call) -> str:
    rank = len(call.shape)
    fitting = [o for o in call.operands if len(o.moments.shape) == rank and not o.constant]
    fitting = fitting or [o for o in call.operands if len(o.moments.shape) == rank]
    largest = max(fitting, key=lambda o: o.moments.elements, default=None)
    return largest.moments.axes if largest else ("bc" + "s" * rank)[:rank]


def addition(call: Call) -> Step:
    """Independent branches add their moments, and their means twice: q' = q1 + q2 + 2 m1 m2.

    Gain 1.
    """
    sign = -1.0 if "sub" in call.name else 1.0
    if len(call.operands) < 2:
        return _with_scalar(call, sign)
    joint = _jointly(call, lambda a, b: (a[0] + sign * b[0], a[1] + sign * b[1]))
    if joint is not None:
        return joint
    if sign < 0.0 and _of_one_total(call):
        return _between(call)
    terms = [broadcast(operand, call) for operand in call.operands]
    alone = _dominant(call, terms, sign)
    if alone is not None:
        return alone
    after = terms[0]
    for term in terms[1:]:
        after = _sum(after, term, sign)
    cross = 0.5 * (after.square - sum(term.square for term in terms))
    gains = tuple(
        _term_gain(term, after, cross, _copies(operand, after))
        for operand, term in zip(call.operands, terms, strict=True)
    )
    if len(terms) == 2 and sign > 0.0 and any(term.rectified for term in terms):
        gains = tuple(
            gain._replace(opened=_opened(term, other, after)) if term.rectified else gain
            for gain, term, other in zip(gains, terms, reversed(terms), strict=True)
        )
    return Step(after.sized(call.shape), gains)


def _opened(term: Moments, other: Moments, after: Moments) -> tuple[float, float]:
    """Where a gradient lies that reaches a rectified term, by where it lies at the sum.

    What is open in the sum was more likely open before: where the term is 0 the sum is positive by
    the other one alone, P(t = 0, y > 0) = P(t = 0) P(b > 0). So less of what comes by the shortcut
    is lost at the next rectifier than its open share says.
    """
    share, positive = term.open_share, after.open
    closed = (1.0 - share) * other.open
    inside = min(max(1.0 - closed / positive, 0.0), 1.0)
    outside = min(max(1.0 - (1.0 - share - closed) / (1.0 - positive), 0.0), 1.0)
    return outside / share, positive * (inside - outside) / share


def _of_one_total(call: Call) -> bool:
    """Whether two places of one running total are subtracted."""
    one, *others = (operand.moments.total for operand in call.operands)
    return bool(one) and others == [one]


def _between(call: Call) -> Step:
    """What a running total has grown by from one place to a later one, as between steps of a scan.

    As far from the end as from the start, but half of the mean square between two places anywhere.
    Short ways are as likely as long ones, so that the mean is taken as that of an exponential law,
    q = 2 m^2. Earlier ones are taken off later ones, so that the sign of what was added stays.
    """
    one, two = (operand.moments for operand in call.operands)
    anywhere = min(one.elements, two.elements) == max(one.elements, two.elements)
    share = 0.5 if anywhere else 1.0
    after = (one if one.elements >= two.elements else two)._replace(
        square=share * one.square,
        shared=share * one.shared,
        local=share * one.local,
        mean=one.sign * math.sqrt(0.5 * share * one.square),
        shape=call.shape,
        axes=_axes_of_result(call),
        spread=(),
        total="",
    )
    return Step(after, (Gain(1.0), Gain(1.0)))


def _copies(operand: Operand, after: Moments) -> Landing | None:
    """An operand that all positions share gets the sum of their gradients."""
    copies = after.extent(POSITION)
    return gathered(copies, 1.0) if _shared(operand.moments, after) and copies > 1 else None


def _shared(own: Moments, after: Moments) -> bool:
    return own.elements < after.elements and own.extent(POSITION) <= 1


def _dominant(call: Call, terms: list[Moments], sign: float) -> Step | None:
    """A sum of which all but one term is nothing, as at a zero-initialised last norm.

    It stays a function of the same Gaussian, so that a ReLU behind a ReLU changes nothing.
    """
    total = sum(term.square for term in terms)
    place = max(range(len(terms)), key=lambda index: terms[index].square)
    kept = terms[place]
    if kept.curve is None or kept.square < (1.0 - _NOTHING) * total:
        return None
    if kept.shape != call.shape or (place and sign < 0):
        return None
    gains = (Gain(1.0, along=1.0 if index == place else 0.0) for index in range(len(terms)))
    return Step(kept, tuple(gains))


def _term_gain(term: Moments, after: Moments, cross: float, lands: Landing | None) -> Gain:
    """1; along the signal, the share of the term in the sum, <a, a + b> / |a + b|^2."""
    share = max(-1.0, min((term.square + cross) / after.square, 1.0))
    return Gain(1.0, along=share * math.sqrt(after.square / term.square), lands=lands)


def _sum(one: Moments, two: Moments, sign: float) -> Moments:
    cross = 2.0 * sign * one.mean * two.mean
    square = bounded(one.square + two.square + cross)
    larger = one if one.square >= two.square else two
    single = None
    if one.single is not None or two.single is not None:
        single = (one.single or one.square) + (two.single or two.square)
    return Moments(
        square,
        one.shared + two.shared + cross,
        one.local + two.local + cross,
        one.mean + sign * two.mean,
        larger.shape,
        larger.axes,
        _joined(one, two),
        single=None if single is None else bounded(single + cross),
        sign=one.sign if one.sign == sign * two.sign else 0,
        skew=one.skew + sign * two.skew,
    )


def _joined(one: Moments, two: Moments) -> tuple[tuple[float, ...], ...]:
    if not one.spread or not two.spread or len(one.spread) != len(two.spread):
        return one.spread or two.spread
    weight = one.square / (one.square + two.square)
    return tuple(
        tuple(weight * a + (1.0 - weight) * b for a, b in zip(x, y, strict=True))
        if len(x) == len(y)
        else ()
        for x, y in zip(one.spread, two.spread, strict=True)
    )


def _with_scalar(call: Call, sign: float) -> Step:
    number = scalar_of(call)
    if not call.operands:
        return Step(call.first.sized(call.shape), ())
    if number is None:
        return masked(call)
    backwards = call.name.startswith("rsub") or _number_first(call)
    slope = sign if backwards and sign < 0 else 1.0
    offset = number if backwards or sign > 0 else -number
    return apply(shift(slope, offset), call.operands[0], call.shape)


def _with_itself(call: Call) -> bool:
    """Whether a tensor meets itself, as in x * x: one edge of the graph stands for both."""
    return len(call.operands) == 1 and not call.layer.settings and not call.operands[0].parts


def _number_first(call: Call) -> bool:
    return any(key in ("argument0", "argument0.mean") for key, _ in call.layer.settings)


def _jointly(call: Call, combine: object) -> Step | None:
    """Two functions of one Gaussian tensor, combined at each of its values, as in x sigmoid(x).

    The gradient goes straight to that tensor with E h'^2, because its two ways are not independent.
    """
    if len(call.operands) != 2 or not callable(combine):
        return None
    first, second = call.operands
    if first.moments.shape != second.moments.shape or first.parts or second.parts:
        return None
    one, two = (curve_of(operand.moments, operand.id) for operand in call.operands)
    if one.source != two.source or not one.source:
        return None

    def function(x: float) -> tuple[float, float]:
        value, slope = combine(one.at(x), two.at(x))
        return value, slope

    response = expect(function, one.mean, one.sigma)
    curve = one.bent(function, response.slope_square)
    after = through(first.moments, response, curve, call.shape, first.moments.spread)
    gains = tuple(_aside(operand, one.source) for operand in call.operands)
    return Step(after, gains, ((one.source, Gain(response.slope_square)),))


def _aside(operand: Operand, source: str) -> Gain:
    return Gain(0.0 if operand.id == source else 1.0, aside=True)


def multiplication(call: Call) -> Step:
    """Independent factors: q' = q1 q2, r' = r1 r2, m' = m1 m2; the gain of one is the other's q."""
    if len(call.operands) < 2:
        number = scalar_of(call)
        if _with_itself(call):
            return apply(Power(2.0), call.operands[0], call.shape)
        if not call.operands or number is None:
            return passing(call)
        return apply(shift(number, 0.0), call.operands[0], call.shape)
    joint = _jointly(call, lambda a, b: (a[0] * b[0], a[0] * b[1] + a[1] * b[0]))
    if joint is not None:
        return joint
    factors = [broadcast(operand, call) for operand in call.operands]
    after = factors[0]
    for factor in factors[1:]:
        after = _product(after, factor)
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
    if _shared(own, after):
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
        if call.name.startswith(("rdiv", "rtruediv")) or _number_first(call):
            inverse = apply(Power(-1.0), call.operands[0], call.shape)
            return inverse._replace(
                moments=_product(inverse.moments, _constant(number, inverse.moments)),
                gains=(Gain(inverse.gains[0].factor * number * number),),
            )
        return apply(shift(1.0 / number, 0.0), call.operands[0], call.shape)
    one, two = call.operands[:2]
    inverse = apply(Power(-1.0), two, two.moments.shape)
    below = broadcast(Operand(two.id, inverse.moments), call)
    above = broadcast(one, call)
    after = _product(above, below).sized(call.shape)
    gain = _divisor_gain(two.moments, below, above, after, inverse.gains[0])
    lands = _weighed(one.moments, after, below.local / below.square)
    return Step(
        after, (Gain(below.square, lands=lands), gain) + (Gain(0.0),) * (len(call.operands) - 2)
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


def addition_of_product(call: Call) -> Step:
    """`addcmul`: a + b c."""
    if len(call.operands) != 3:
        return addition(call)
    product = multiplication(call._replace(operands=call.operands[1:]))
    whole = addition(call._replace(operands=(call.operands[0], Operand("", product.moments))))
    return Step(whole.moments, (whole.gains[0], *product.gains), product.direct)


def extremum(call: Call) -> Step:
    """The larger or the smaller of two independent Gaussians, in moments of Clark (1961).

    E max = m1 P + m2 (1 - P) + t p and E max^2 = q1 P + q2 (1 - P) + (m1 + m2) t p with
    t^2 = s1^2 + s2^2 and the probability P, of density p, that the first one is larger. Each gets
    the gradient where it wins.
    """
    if len(call.operands) != 2:
        return passing(call)
    sign = -1.0 if "min" in call.name else 1.0
    one, two = (broadcast(operand, call) for operand in call.operands)
    theta = math.sqrt(one.variance + two.variance)
    alpha = sign * (one.mean - two.mean) / theta
    wins = 0.5 * math.erfc(-alpha / math.sqrt(2.0))
    between = sign * theta * math.exp(-0.5 * alpha * alpha) / math.sqrt(2.0 * math.pi)
    mean = one.mean * wins + two.mean * (1.0 - wins) + between
    both = 0.5 * (one.mean + two.mean) * between
    squares = one.square * wins + both, two.square * (1.0 - wins) + both
    square = bounded(sum(squares))
    variance = max(square - mean * mean, 0.0)
    after = one._replace(
        square=square,
        mean=mean,
        shared=mean * mean + variance * _weighted(wins, one.correlation, two.correlation),
        local=mean * mean
        + variance * _weighted(wins, one.local_correlation, two.local_correlation),
        spread=(),
        curve=None,
        sign=one.sign if one.sign == two.sign else 0,
    )
    gains = (
        Gain(share, along=own / math.sqrt(square * term.square))
        for share, own, term in zip((wins, 1.0 - wins), squares, (one, two), strict=True)
    )
    return Step(after, tuple(gains))


def _weighted(share: float, one: float, two: float) -> float:
    return share * one + (1.0 - share) * two


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
