"""Elementwise functions of one signal, and sums and products of several."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

from gradlint.theory.activations import (
    Activation,
    Power,
    activation_of,
    affine,
    as_point_function,
    respond,
    sigmoid,
)
from gradlint.theory.moments import (
    BATCH,
    FEATURE,
    POSITION,
    Curve,
    Moments,
    bounded,
    compose,
    curve_of,
    relaid,
    through,
)
from gradlint.theory.places import Landing, gathered, thinned
from gradlint.theory.quadrature import PointFunction, Response, expect
from gradlint.theory.step import Call, Gain, Operand, Step

_NOTHING = 1e-4  # the share of a sum below which a term does not change its distribution


def activation(call: Call) -> Step:
    """q' = E phi(z)^2 and gain E phi'(z)^2 for z ~ N(m, q - m^2) (Poole 2016, Schoenholz 2017)."""
    function = activation_of(call.name, call.layer, call.parameters)
    if function is None or not call.operands:
        return Step(replace(call.first, shape=call.shape, curve=None), (), known=False)
    return apply(function, call.operands[0], call.shape)


def apply(function: Activation, operand: Operand, shape: tuple[int, ...]) -> Step:
    """One elementwise function; a chain of them is taken as one.

    The one function is of the Gaussian before the chain.
    """
    before = relaid(operand.moments, shape)
    if isinstance(function, Power) and function.needs_positive:
        before = replace(before, curve=None)
    point = as_point_function(function)
    curve = curve_of(before, "" if operand.parts else operand.id)
    if before.curve is None:
        response = _respond(function, *_rounded(before.mean, before.sigma))
        whole = point
    else:
        whole = compose(point, curve.at)
        response = expect(whole, curve.mean, curve.sigma)
    bent = curve.bent(whole, response.slope_square)
    after = through(before, response, bent, shape, _bent(before, response))
    if before.curve is None or not curve.source:
        return Step(after, (_gain(before, curve, response),))
    direct = (curve.source, _chain_gain(after, curve, response))
    return Step(after, (_last_gain(point, curve),), (direct,))


def _last_gain(point: PointFunction, curve: Curve) -> Gain:
    """E phi2'(phi1(z))^2: shown at phi1, whose own slopes are not independent of these."""

    def last(x: float) -> tuple[float, float]:
        return point(curve.at(x)[0])

    return Gain(expect(last, curve.mean, curve.sigma).slope_square, aside=True)


def _chain_gain(after: Moments, curve: Curve, response: Response) -> Gain:
    """The gain of a chain of functions, straight to the Gaussian tensor of which it is one."""
    origin = Moments(
        curve.mean**2 + curve.sigma**2,
        curve.shared,
        curve.local,
        curve.mean,
        after.shape,
        after.axes,
    )
    return _gain(origin, curve_of(origin, curve.source), response)


def _gain(before: Moments, curve: Curve, response: Response) -> Gain:
    """E phi'^2; along the signal, where phi' z is partly phi itself.

    The share E[phi phi' z] / E phi^2.
    """
    if curve.slope_square <= 0.0:
        return Gain(0.0)
    factor = response.slope_square / curve.slope_square
    if before.curve is not None:
        return Gain(factor)
    square = max(response.square, 1e-280)
    share = response.along / square
    size = before.direction
    rest = max(response.tangent - share * share * square, 0.0)
    return Gain(
        factor,
        along=share * math.sqrt(square / before.square),
        aligned=response.aligned / square,
        leak=rest / (before.square * size),
        noise=_noise(before, response),
        places=max(before.count(BATCH) * before.count(POSITION), 1),
        alike=_alike(before.likeness, curve, response),
        lands=thinned(_alike(before.local_correlation, curve, response)),
    )


def _alike(likeness: float, curve: Curve, response: Response) -> float:
    """E[phi'(u) phi'(v)] / E phi'^2 for two places of this correlation.

    The correlation apart from the mean slope's share.
    """
    if response.slope_square <= 0.0:
        return 1.0
    even = min(response.linear**2 / (curve.sigma**2 * response.slope_square), 1.0)
    return 1.0 - (1.0 - likeness) * (1.0 - even)


def _noise(before: Moments, response: Response) -> float:
    """Variance of ln sum phi'^2 g^2: 3 (E phi'^4 / (E phi'^2)^2 - 1) / n for n independent slopes.

    Source: Hanin & Nica 2020, where ReLU and its weights give 5 / n a layer.
    """
    if response.slope_square <= 0.0:
        return 0.0
    kurtosis = response.slope_fourth / max(response.slope_square**2, 1e-280)
    inputs, places = before.count(BATCH), before.count(POSITION)
    independent = inputs / (1.0 + (inputs - 1) * before.correlation)
    independent *= places / (1.0 + (places - 1) * before.local_correlation)
    return math.log1p(
        3.0 * max(kurtosis - 1.0, 0.0) / max(before.count(FEATURE) * independent, 1.0)
    )


def _rounded(mean: float, sigma: float) -> tuple[float, float]:
    """Five significant digits, so that equal layers of a network share one integral."""
    return float(f"{mean:.5g}"), float(f"{sigma:.5g}")


@lru_cache(maxsize=4096)
def _respond(function: Activation, mean: float, sigma: float) -> Response:
    return respond(function, mean, sigma)


def _bent(before: Moments, response: Response) -> tuple[tuple[float, ...], ...]:
    """The spread of energy over places behind a function that grows slower than its argument."""
    elasticity = response.along / max(response.square, 1e-280)
    if elasticity > 0.95 or not before.spread:
        return before.spread
    bent = []
    for axis in before.spread:
        raised = [part ** max(elasticity, 0.0) for part in axis]
        mean = sum(raised) / max(len(raised), 1)
        bent.append(tuple(part / mean for part in raised))
    return tuple(bent)


def scalar_of(call: Call) -> float | None:
    """The number in `x + 2` or `2 * x`, None where both are tensors."""
    for name in ("argument1", "argument0", "other", "exponent", "value"):
        for key, value in call.layer.settings:
            if key == name and not isinstance(value, str | bool):
                return float(value)
    return _single_constant(call)


def _single_constant(call: Call) -> float | None:
    """The value of a constant tensor of one element."""
    for key, value in call.layer.settings:
        if key.endswith(".shape") and isinstance(value, str):
            sizes = [int(size) for size in value.split(",") if size]
            if math.prod(sizes) == 1:
                return call.layer.setting(key.removesuffix("shape") + "mean")
    return None


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
    return replace(
        moments,
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
    return Step(after.sized(call.shape), gains)


def _copies(operand: Operand, after: Moments) -> Landing | None:
    """An operand that all positions share gets the sum of their gradients."""
    copies = after.count(POSITION)
    return gathered(copies, 1.0) if _shared(operand.moments, after) and copies > 1 else None


def _shared(own: Moments, after: Moments) -> bool:
    return own.elements < after.elements and own.count(POSITION) <= 1


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
        return Step(replace(call.operands[0].moments, shape=call.shape), (Gain(1.0),))
    backwards = call.name.startswith("rsub") or _number_first(call)
    slope = sign if backwards and sign < 0 else 1.0
    offset = number if backwards or sign > 0 else -number
    return apply(_shift(slope, offset), call.operands[0], call.shape)


def _number_first(call: Call) -> bool:
    return any(key in ("argument0", "argument0.mean") for key, _ in call.layer.settings)


@lru_cache(maxsize=256)
def _shift(slope: float, offset: float) -> PointFunction:
    return affine(slope, offset)


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
        if not call.operands or number is None:
            return _unknown_factor(call)
        return apply(_shift(number, 0.0), call.operands[0], call.shape)
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
    """The other factors' q. One number for all features, as in a norm.

    Such a number only gets <g, y> of each place.
    """
    gain = after.square / factor.square
    if own.elements * max(after.count(FEATURE), 1) != after.elements or after.count(FEATURE) <= 1:
        return Gain(gain, lands=_weighed(own, after, likeness))
    return Gain(0.0, aligned=gain * after.count(FEATURE))


def _weighed(own: Moments, after: Moments, likeness: float) -> Landing | None:
    """Factors that differ between positions, or are summed over where `own` has no positions."""
    places = after.count(POSITION)
    if places <= 1:
        return None
    if _shared(own, after):
        return gathered(places, likeness)
    return thinned(likeness)


def _unknown_factor(call: Call) -> Step:
    moments = call.first.sized(call.shape)
    return Step(moments, (Gain(1.0),) * len(call.operands))


def _product(one: Moments, two: Moments) -> Moments:
    return replace(
        one,
        square=bounded(one.square * two.square),
        shared=one.shared * two.shared,
        local=one.local * two.local,
        mean=one.mean * two.mean,
        curve=None,
        single=_single_of(one, two),
        parts=(),
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
            return _unknown_factor(call)
        if call.name.startswith(("rdiv", "rtruediv")) or _number_first(call):
            inverse = apply(Power(-1.0), call.operands[0], call.shape)
            return replace(
                inverse,
                moments=_product(inverse.moments, _constant(number, inverse.moments)),
                gains=(Gain(inverse.gains[0].factor * number * number),),
            )
        return apply(_shift(1.0 / number, 0.0), call.operands[0], call.shape)
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
    return replace(like, square=square, shared=square, local=square, mean=number)


def addition_of_product(call: Call) -> Step:
    """`addcmul`: a + b c."""
    if len(call.operands) != 3:
        return addition(call)
    product = multiplication(replace(call, operands=call.operands[1:]))
    whole = addition(replace(call, operands=(call.operands[0], Operand("", product.moments))))
    return Step(whole.moments, (whole.gains[0], *product.gains), product.direct)


def raising(call: Call) -> Step:
    """x ** k."""
    exponent = scalar_of(call)
    if not call.operands or exponent is None:
        return _unknown_factor(call)
    return apply(Power(exponent), call.operands[0], call.shape)


def gated(call: Call) -> Step:
    """GLU: a sigmoid(b) for the two halves: q' = q E s^2, gain E s^2 + q E s'^2 (Dauphin 2017)."""
    before = call.first
    gate = respond(sigmoid, before.mean, before.sigma)
    after = replace(
        before,
        square=bounded(before.square * gate.square),
        shared=before.shared * gate.shared(before.shared / before.square, before.sigma),
        local=before.local * gate.shared(before.local / before.square, before.sigma),
        mean=before.mean * gate.mean,
        shape=call.shape,
        curve=None,
    )
    return Step(after, (Gain(gate.square + before.square * gate.slope_square),))


def dropout(call: Call) -> Step:
    """Kept with probability 1 - p and divided by it: q' = q / (1 - p), gain 1 / (1 - p)."""
    before = call.first
    rate = min(max(call.layer.setting("p", call.layer.setting("argument1", 0.0)), 0.0), 0.999)
    if rate == 0.0:
        return Step(before.sized(call.shape), (Gain(1.0),) * len(call.operands))
    kept = 1.0 / (1.0 - rate)
    after = replace(before, square=before.square * kept, shape=call.shape, curve=None)
    return Step(after, (Gain(kept, lands=thinned(1.0 - rate)),) * len(call.operands))


def passing(call: Call) -> Step:
    """A copy, or an operation of which nothing is known: moments and gradient are passed on."""
    return Step(call.first.sized(call.shape), (Gain(1.0),) * len(call.operands))


def moving(call: Call) -> Step:
    """Elements in other places, so that they are no longer those of the tensor they come from."""
    step = passing(call)
    return replace(step, moments=replace(step.moments, curve=None))
