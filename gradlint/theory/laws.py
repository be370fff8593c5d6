"""Functions of arguments that have one sign, and the laws that are taken for such arguments."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gradlint.theory.quadrature import Response


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

    def respond(self, mean: float, sigma: float) -> Response:
        """On a log-normal argument: E x^k = m^k (1 + v)^(k (k - 1) / 2) with v = sigma^2 / m^2.

        Log-normal, because a variance or a sum of exponentials is positive, and a Gaussian of the
        same moments has a tail below 0 where these functions have none. v is held below 1.
        """
        spread = min((sigma / mean) ** 2, 1.0) if mean else 1.0
        level = abs(mean) or sigma

        def moment(order: float) -> float:
            value = order * math.log(max(level, 1e-140)) + 0.5 * order * (order - 1) * math.log1p(
                spread
            )
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
