"""The activations of torch: value and derivative at a point, or the pieces that they consist of."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TypeGuard

from gradlint.protocol.nodes import Layer, Parameter
from gradlint.theory.laws import Decay, Line, Power
from gradlint.theory.quadrature import (
    Piece,
    PointFunction,
    Response,
    at_pieces,
    expect,
    expect_pieces,
    normal_density,
    normal_share,
)

Activation = PointFunction | tuple[Piece, ...]

_LOW = -math.inf
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def _logistic(x: float) -> float:
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x)) if x < 700.0 else 1.0
    return math.exp(x) / (1.0 + math.exp(x)) if x > -700.0 else 0.0


def sigmoid(x: float) -> tuple[float, float]:
    """1 / (1 + exp(-x))."""
    y = _logistic(x)
    return y, y * (1.0 - y)


def log_sigmoid(x: float) -> tuple[float, float]:
    """log(1 / (1 + exp(-x)))."""
    return -_softplus(-x), _logistic(-x)


def tanh(x: float) -> tuple[float, float]:
    """The hyperbolic tangent."""
    y = math.tanh(x)
    return y, 1.0 - y * y


def softsign(x: float) -> tuple[float, float]:
    """x / (1 + |x|)."""
    scale = 1.0 / (1.0 + abs(x))
    return x * scale, scale * scale


def gelu(x: float) -> tuple[float, float]:
    """x Phi(x) (Hendrycks & Gimpel 2016); the tanh form differs by less than 1e-3."""
    share = normal_share(x)
    return x * share, share + x * normal_density(x)


def silu(x: float) -> tuple[float, float]:
    """x sigmoid(x) (Elfwing 2018)."""
    y = _logistic(x)
    return x * y, y * (1.0 + x * (1.0 - y))


def _softplus(x: float) -> float:
    return x + math.log1p(math.exp(-x)) if x > 0.0 else math.log1p(math.exp(x))


def mish(x: float) -> tuple[float, float]:
    """x tanh(softplus(x)) (Misra 2019)."""
    y = math.tanh(_softplus(x))
    return x * y, y + x * (1.0 - y * y) * _logistic(x)


def hardswish(x: float) -> tuple[float, float]:
    """x min(max(x + 3, 0), 6) / 6 (Howard 2019)."""
    if x <= -3.0:
        return 0.0, 0.0
    return (x, 1.0) if x >= 3.0 else (x * (x + 3.0) / 6.0, (2.0 * x + 3.0) / 6.0)


def tanhshrink(x: float) -> tuple[float, float]:
    """x - tanh(x)."""
    y = math.tanh(x)
    return x - y, y * y


def erf(x: float) -> tuple[float, float]:
    """The error function."""
    return math.erf(x), 2.0 / math.sqrt(math.pi) * math.exp(-x * x) if abs(x) < 26.0 else 0.0


def exp(x: float) -> tuple[float, float]:
    """The exponential, cut off where a 32-bit float overflows."""
    y = math.exp(min(x, 88.0))
    return y, y


def expm1(x: float) -> tuple[float, float]:
    """exp(x) - 1."""
    y = exp(x)[0]
    return y - 1.0, y


def logarithm(x: float) -> tuple[float, float]:
    """log(x); arguments are kept positive.

    Because the Gaussian picture of them has a negative tail.
    """
    x = max(x, 1e-12)
    return math.log(x), 1.0 / x


def log1p(x: float) -> tuple[float, float]:
    """log(1 + x)."""
    return logarithm(1.0 + x)


def absolute(x: float) -> tuple[float, float]:
    """|x|."""
    return abs(x), math.copysign(1.0, x)


def sine(x: float) -> tuple[float, float]:
    """sin(x)."""
    return math.sin(x), math.cos(x)


def cosine(x: float) -> tuple[float, float]:
    """cos(x)."""
    return math.cos(x), -math.sin(x)


_POINTS = (0.0, 1e-3, 0.1, 1.0, 3.0, 30.0)


@lru_cache(maxsize=512)
def sign_of(activation: Activation, sign: int) -> int:
    """The sign that a function gives to all arguments of one, 0 where it gives both."""
    return sign_of_values(as_point_function(activation), sign)


def sign_of_values(point: PointFunction, sign: int = 0) -> int:
    """The same for a function made of several, which is a new one for each tensor."""
    arguments = [side * x for side in (1.0, -1.0) if sign * side >= 0.0 for x in _POINTS]
    values = [point(x)[0] for x in arguments]
    if min(values) >= 0.0:
        return 1
    return -1 if max(values) <= 0.0 else 0


def exponential_unit(scale: float, alpha: float, decay: float = 1.0) -> PointFunction:
    """scale (x if x > 0 else alpha (exp(x / decay) - 1)): ELU, SELU and CELU (Clevert 2016)."""

    def function(x: float) -> tuple[float, float]:
        if x > 0.0:
            return scale * x, scale
        y = math.exp(max(x / decay, -700.0))
        return scale * alpha * (y - 1.0), scale * alpha / decay * y

    return function


def softplus(beta: float) -> PointFunction:
    """log(1 + exp(beta x)) / beta."""
    return lambda x: (_softplus(beta * x) / beta, _logistic(beta * x))


def leaky(slope: float) -> tuple[Piece, ...]:
    """x if x > 0 else slope x."""
    return (_LOW, slope, 0.0), (0.0, 1.0, 0.0)


def clip(low: float, high: float) -> tuple[Piece, ...]:
    """min(max(x, low), high)."""
    return (_LOW, 0.0, low), (low, 1.0, 0.0), (high, 0.0, high)


def hard_shrink(edge: float) -> tuple[Piece, ...]:
    """x where |x| > edge, else 0."""
    return (_LOW, 1.0, 0.0), (-edge, 0.0, 0.0), (edge, 1.0, 0.0)


def soft_shrink(edge: float) -> tuple[Piece, ...]:
    """x moved towards 0 by edge."""
    return (_LOW, 1.0, edge), (-edge, 0.0, 0.0), (edge, 1.0, -edge)


def threshold(edge: float, value: float) -> tuple[Piece, ...]:
    """x where x > edge, else value."""
    return (_LOW, 0.0, value), (edge, 1.0, 0.0)


_HARD_SIGMOID: tuple[Piece, ...] = ((_LOW, 0.0, 0.0), (-3.0, 1.0 / 6.0, 0.5), (3.0, 0.0, 1.0))

_SQUARE = Power(2.0)

_FIXED: dict[str, Activation] = {
    "relu": leaky(0.0),
    "relu6": clip(0.0, 6.0),
    "hardsigmoid": _HARD_SIGMOID,
    "sigmoid": sigmoid,
    "logsigmoid": log_sigmoid,
    "tanh": tanh,
    "softsign": softsign,
    "selu": exponential_unit(_SELU_SCALE, _SELU_ALPHA),
    "gelu": gelu,
    "silu": silu,
    "mish": mish,
    "hardswish": hardswish,
    "tanhshrink": tanhshrink,
    "exp": exp,
    "expm1": expm1,
    "erf": erf,
    "log": logarithm,
    "log1p": log1p,
    "abs": absolute,
    "sin": sine,
    "cos": cosine,
    "neg": Line(-1.0, 0.0),
    "square": _SQUARE,
    "sqrt": Power(0.5),
    "rsqrt": Power(-0.5),
    "reciprocal": Power(-1.0),
    "quickgelu": lambda x: (x * _logistic(1.702 * x), _quick_gelu_slope(x)),
}


def _quick_gelu_slope(x: float) -> float:
    y = _logistic(1.702 * x)
    return y * (1.0 + 1.702 * x * (1.0 - y))


def _elu(layer: Layer) -> Activation:
    return exponential_unit(1.0, layer.setting("alpha", 1.0))


def _celu(layer: Layer) -> Activation:
    alpha = layer.setting("alpha", 1.0)
    return exponential_unit(1.0, alpha, alpha)


def _rrelu(layer: Layer) -> Activation:
    return leaky(0.5 * (layer.setting("lower", 1.0 / 8.0) + layer.setting("upper", 1.0 / 3.0)))


def _hardtanh(layer: Layer) -> Activation:
    return clip(layer.setting("min_val", -1.0), layer.setting("max_val", 1.0))


def _clamp(layer: Layer) -> Activation:
    low = layer.setting("min", layer.setting("min_val", _LOW))
    high = layer.setting("max", layer.setting("max_val", math.inf))
    if math.isinf(low):
        return Line(1.0, 0.0) if math.isinf(high) else ((_LOW, 1.0, 0.0), (high, 0.0, high))
    return threshold(low, low) if math.isinf(high) else clip(low, high)


_SETTINGS: dict[str, Callable[[Layer], Activation]] = {
    "leaky_relu": lambda layer: leaky(layer.setting("negative_slope", 0.01)),
    "rrelu": _rrelu,
    "hardtanh": _hardtanh,
    "clamp": _clamp,
    "clip": _clamp,
    "clamp_min": lambda layer: threshold(*(2 * (layer.setting("min", 0.0),))),
    "elu": _elu,
    "celu": _celu,
    "softplus": lambda layer: softplus(layer.setting("beta", 1.0)),
    "hardshrink": lambda layer: hard_shrink(layer.setting("lambd", 0.5)),
    "softshrink": lambda layer: soft_shrink(layer.setting("lambd", 0.5)),
    "threshold": lambda layer: threshold(
        layer.setting("threshold", 0.0), layer.setting("value", 0.0)
    ),
}


def activation_of(name: str, layer: Layer, parameters: tuple[Parameter, ...]) -> Activation | None:
    """The function that an activation layer applies, with its settings; None where it is none.

    `name` is the plain lower-case name of the operation. A PReLU takes its slope from its
    parameter.
    """
    if name == "prelu":
        return leaky(parameters[0].mean if parameters else 0.25)
    if name in _FIXED:
        return _FIXED[name]
    return _SETTINGS[name](layer) if name in _SETTINGS else None


_OF_ONE_SIGN = (Power, Decay)


def is_of_one_sign(activation: Activation) -> TypeGuard[Power | Decay]:
    """Whether the function asks for arguments of one sign."""
    return isinstance(activation, _OF_ONE_SIGN) and activation.signed


def as_point_function(activation: Activation) -> PointFunction:
    """The value and derivative at a point, for pieces too."""
    return activation if callable(activation) else at_pieces(activation)


def respond(activation: Activation, mean: float, sigma: float, skewness: float = 0.0) -> Response:
    """The response of an activation to N(mean, sigma^2), in closed form where there is one."""
    if not callable(activation):
        return expect_pieces(activation, mean, sigma, skewness)
    if isinstance(activation, Line):
        return activation.respond(mean, sigma, skewness)
    if is_of_one_sign(activation):
        return activation.respond(mean, sigma)
    if activation == _SQUARE and not skewness:
        return _SQUARE.squared(mean, sigma)
    if activation is sine:
        return _wave(mean, sigma)
    if activation is cosine:
        return _wave(mean + math.pi / 2.0, sigma)
    return expect(activation, mean, sigma, skewness=skewness)


def _wave(mean: float, sigma: float) -> Response:
    single, double = math.exp(-0.5 * sigma**2), math.exp(-2.0 * sigma**2)
    square = 0.5 * (1.0 - double * math.cos(2.0 * mean))
    slope_square = 0.5 * (1.0 + double * math.cos(2.0 * mean))
    return Response(
        mean=single * math.sin(mean),
        square=square,
        linear=sigma * single * math.cos(mean),
        slope_square=slope_square,
        along=sigma * sigma * double * math.cos(2.0 * mean),
        aligned=0.125,
        tangent=sigma * sigma * slope_square,
    )
