"""Functions whose expectations are known in closed form, some under laws of one sign."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gradlint.theory.quadrature import Response


@dataclass(frozen=True, slots=True)
class Line:
    """slope x + intercept."""

    slope: float
    intercept: float

    def __call__(self, x: float) -> tuple[float, float]:
        """The value and slope at x."""
        return self.slope * x + self.intercept, self.slope

    def respond(self, mean: float, sigma: float, skewness: float) -> Response:
        """On any argument of these moments: only E y^3 asks for its skewness."""
        slope, square = self.slope, self.slope * self.slope
        level, own = slope * mean + self.intercept, square * sigma * sigma
        whole = own + level * level
        return Response(
            mean=level,
            square=whole,
            linear=slope * sigma,
            slope_square=square,
            along=slope * (slope * sigma * sigma + level * mean),
            aligned=square * whole,
            tangent=own + square * mean * mean,
            slope_fourth=square * square,
            cube=level * (level * level + 3.0 * own) + skewness * (slope * sigma) ** 3,
        )


@dataclass(frozen=True, slots=True)
class Power:
    """x ** exponent; whole and not negative ones on a Gaussian, others on a positive argument."""

    exponent: float

    @property
    def signed(self) -> bool:
        """Whether the function exists for positive arguments only, or has a pole at 0."""
        return self.exponent < 0.0 or self.exponent != int(self.exponent)

    def __call__(self, x: float) -> tuple[float, float]:
        """The value and slope at x; a positive argument is kept away from 0."""
        if self.signed:
            x = max(x, 1e-12)
        if self.exponent == 0.0:
            return 1.0, 0.0
        return x**self.exponent, self.exponent * x ** (self.exponent - 1.0)

    def squared(self, mean: float, sigma: float) -> Response:
        """x^2 of a Gaussian: E x^4 = m^4 + 6 m^2 v + 3 v^2 and E x^6, with v = sigma^2."""
        m, v = mean * mean, sigma * sigma
        fourth = m * m + 6.0 * m * v + 3.0 * v * v
        sixth = m * m * m + 15.0 * m * v * (m + 3.0 * v) + 15.0 * v * v * v
        return Response(
            mean=m + v,
            square=fourth,
            linear=2.0 * mean * sigma,
            slope_square=4.0 * (m + v),
            along=2.0 * fourth,
            aligned=4.0 * sixth,
            tangent=4.0 * fourth,
            slope_fourth=16.0 * fourth,
            cube=sixth,
        )

    def respond(self, mean: float, sigma: float) -> Response:
        """On a log-normal argument: E x^k = m^k (1 + v)^(k (k - 1) / 2) with v = sigma^2 / m^2.

        Log-normal, because a variance or a sum of exponentials is positive, and a Gaussian of the
        same moments has a tail below 0 where these functions have none. v is held below 1.
        """
        spread = math.log1p(min((sigma / mean) ** 2, 1.0) if mean else 1.0)
        level = math.log(max(abs(mean) or sigma, 1e-140))

        def moment(order: float) -> float:
            value = order * level + 0.5 * order * (order - 1) * spread
            return math.exp(min(max(value, -640.0), 640.0))

        k = self.exponent
        return Response(
            mean=moment(k),
            square=moment(2.0 * k),
            linear=k * moment(k - 1.0) * sigma,
            slope_square=k * k * moment(2.0 * k - 2.0),
            along=k * moment(2.0 * k),
            aligned=k * k * moment(4.0 * k - 2.0),
            tangent=k * k * moment(2.0 * k),
            slope_fourth=k**4 * moment(4.0 * k - 4.0),
        )


@dataclass(frozen=True, slots=True)
class Decay:
    """exp(x) of negative x, such as the share of a state that a step of a scan keeps."""

    signed = True

    def __call__(self, x: float) -> tuple[float, float]:
        """The value and slope at x."""
        value = math.exp(min(x, 0.0))
        return value, value

    def respond(self, mean: float, sigma: float) -> Response:
        """Of an argument whose negative has a Gamma law: E e^kx = (1 + k t)^-a, t = s^2 / |m|.

        With a = m^2 / s^2, its Laplace transform. A Gaussian of the same moments has a tail above
        0, where a state would grow. Measured on steps of a selective scan: E e^2x within .01
        decades, against .4 for the Gaussian.
        """
        scale = max(sigma * sigma / max(abs(mean), 1e-140), 1e-140)
        shape = abs(mean) / scale

        def moment(order: float, power: int = 0) -> float:
            rising = math.prod(-scale * (shape + step) for step in range(power))
            return rising * math.exp(-(shape + power) * math.log1p(order * scale))

        return Response(
            mean=moment(1.0),
            square=moment(2.0),
            linear=(moment(1.0, 1) - mean * moment(1.0)) / sigma,
            slope_square=moment(2.0),
            along=moment(2.0, 1),
            aligned=moment(4.0),
            tangent=moment(2.0, 2),
            slope_fourth=moment(4.0),
        )
