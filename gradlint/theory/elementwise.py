"""Elementwise functions of one signal."""

from __future__ import annotations

import math
from functools import lru_cache

from gradlint.theory.activations import (
    Activation,
    activation_of,
    as_point_function,
    exp,
    is_of_one_sign,
    respond,
    sign_of,
    sign_of_values,
)
from gradlint.theory.laws import Decay, Power
from gradlint.theory.moments import (
    BATCH,
    FEATURE,
    POSITION,
    Curve,
    Moments,
    compose,
    curve_of,
    relaid,
    through,
)
from gradlint.theory.places import thinned
from gradlint.theory.quadrature import PointFunction, Response, expect, steepness
from gradlint.theory.step import NOTHING, UNCHANGED, Call, Gain, Operand, Step


def activation(call: Call) -> Step:
    """q' = E phi(z)^2 and gain E phi'(z)^2 for z ~ N(m, q - m^2) (Poole 2016, Schoenholz 2017)."""
    function = activation_of(call.name, call.layer, call.parameters)
    if function is None or not call.operands:
        return Step(call.first._replace(shape=call.shape, curve=None), (), known=False)
    return apply(function, call.operands[0], call.shape)


def apply(function: Activation, operand: Operand, shape: tuple[int, ...]) -> Step:
    """One elementwise function; a chain of them is taken as one.

    The one function is of the Gaussian before the chain.
    """
    before = relaid(operand.moments, shape)
    sign = sign_of(function, before.sign)
    if function is exp and before.sign < 0 and before.curve is None:
        function = Decay()
    if is_of_one_sign(function):
        before = before._replace(curve=None)
    point = as_point_function(function)
    curve = curve_of(before, "" if operand.parts else operand.id)
    if before.curve is None:
        response = _respond(function, *_rounded(before))
        whole = point
    else:
        whole = compose(point, curve.at)
        sign = sign or sign_of_values(whole)  # because log(1 + exp(x)) has one, but log has none
        response = expect(whole, curve.mean, curve.sigma)
    bent = curve.bent(whole, response.slope_square)
    after = through(before, response, bent, shape, _bent(before, response), sign)
    if before.visible < 1.0 and (point is exp or isinstance(point, Decay)):
        after = _seen(after, before.visible)
    if before.curve is None or not curve.source:
        gain = _gain(before, curve, response)
        if after.rectified:
            gain = gain._replace(opening=response.slope_square)
        return Step(after, (gain,))
    direct = (curve.source, _chain_gain(after, curve, response))
    return Step(after, (_last_gain(point, curve),), (direct,))


def _seen(after: Moments, share: float) -> Moments:
    """The exponential of what a mask has put to minus infinity is 0."""
    return after._replace(
        square=share * after.square,
        shared=share * after.shared,
        local=share * after.local,
        mean=share * after.mean,
        curve=None,
    )


def _last_gain(point: PointFunction, curve: Curve) -> Gain:
    """E phi2'(phi1(z))^2: shown at phi1, whose own slopes are not independent of these."""

    def last(x: float) -> tuple[float, float]:
        return point(curve.at(x)[0])

    return Gain(steepness(last, curve.mean, curve.sigma), aside=True)


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
        return NOTHING
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
        chance=1.0 / size,
        leak=rest / (before.square * size),
        noise=_noise(before, response),
        places=max(before.extent(BATCH) * before.extent(POSITION), 1),
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
    inputs, places = before.extent(BATCH), before.extent(POSITION)
    independent = inputs / (1.0 + (inputs - 1) * before.correlation)
    independent *= places / (1.0 + (places - 1) * before.local_correlation)
    return math.log1p(
        3.0 * max(kurtosis - 1.0, 0.0) / max(before.extent(FEATURE) * independent, 1.0)
    )


def _rounded(before: Moments) -> tuple[float, float, float]:
    """Mean, deviation and skewness, rounded so that equal layers of a network share an integral."""
    skewness = float(f"{before.skewness:.3g}") if before.skew else 0.0
    return float(f"{before.mean:.5g}"), float(f"{before.sigma:.5g}"), skewness


@lru_cache(maxsize=4096)
def _respond(function: Activation, mean: float, sigma: float, skewness: float) -> Response:
    return respond(function, mean, sigma, skewness)


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


def raising(call: Call) -> Step:
    """x ** k."""
    exponent = scalar_of(call)
    if not call.operands or exponent is None:
        return passing(call)
    return apply(Power(exponent), call.operands[0], call.shape)


def dropout(call: Call) -> Step:
    """Kept with probability 1 - p and divided by it: q' = q / (1 - p), gain 1 / (1 - p)."""
    before = call.first
    rate = min(max(call.layer.setting("p", call.layer.setting("argument1", 0.0)), 0.0), 0.999)
    if rate == 0.0:
        return Step(before.sized(call.shape), (UNCHANGED,) * len(call.operands))
    kept = 1.0 / (1.0 - rate)
    after = before._replace(square=before.square * kept, shape=call.shape, curve=None)
    return Step(after, (Gain(kept, lands=thinned(1.0 - rate)),) * len(call.operands))


def passing(call: Call) -> Step:
    """A copy, or an operation of which nothing is known: moments and gradient are passed on."""
    return Step(call.first.sized(call.shape), (UNCHANGED,) * len(call.operands))


def moving(call: Call) -> Step:
    """Elements in other places, so that they are no longer those of the tensor they come from."""
    step = passing(call)
    return step._replace(moments=step.moments._replace(curve=None))
