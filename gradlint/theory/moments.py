"""What is predicted of one tensor.

Its second moment, how much of it is shared, and along which axes.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

from gradlint.theory.quadrature import (
    PointFunction,
    Response,
    normal_density,
    normal_share,
    rectify,
)

BATCH, FEATURE, POSITION = "b", "c", "s"
_LEAST, _MOST = 1e-280, 1e280
_EVEN = 0.02  # a skewness below which a Gaussian is meant


class Curve(NamedTuple):
    """A tensor as an elementwise function of an earlier one, which is taken to be Gaussian."""

    source: str
    mean: float
    sigma: float
    shared: float
    local: float
    at: PointFunction
    slope_square: float

    def bent(self, at: PointFunction, slope_square: float) -> Curve:
        """Another function of the same tensor."""
        return Curve(self.source, self.mean, self.sigma, self.shared, self.local, at, slope_square)


class Moments(NamedTuple):
    """Moments of the elements of a tensor, averaged over initialisations and N(0, 1) inputs.

    `square` is E z^2 (q), `shared` E[z(x) z(x')] of the same element for two inputs (r), `local`
    the same for two positions of one input, `mean` is E z (m). `axes` names the role of each axis
    of `shape`: b batch, c feature, s position. `spread` is, for each position axis with a border
    effect, the share of the energy that lies at each place, times the number of places. `curve` is
    set while the tensor is an elementwise function of a Gaussian one. `single` is E z^2 at the one
    position of a token that was joined alone, such as a class token, while it is known to differ.
    `parts` are the tensors whose features were joined to this one, which differ in their moments.
    `visible` is the share of the elements that a mask does not hide, which the moments are of.
    `alike` is the correlation of two features of one place, as of the logits of two keys. `sign` is
    1 or -1 where all elements have it, as behind a softplus or its negative, else 0. `skew` is
    E (z - m)^3, which adds up where independent terms do, as beside a rectified shortcut. `total`
    is the running total that this is a view of, two places of which differ by what lies between.
    `below` are mean and square of each x that this is the larger one of, and E (z - x)^2.
    `factors` are the sizes and roles that each axis is made of, where one has several roles.
    """

    square: float
    shared: float
    local: float
    mean: float
    shape: tuple[int, ...]
    axes: str
    spread: tuple[tuple[float, ...], ...] = ()
    curve: Curve | None = None
    single: float | None = None
    parts: tuple[Moments, ...] = ()
    visible: float = 1.0
    alike: float = 0.0
    sign: int = 0
    skew: float = 0.0
    total: str = ""
    factors: tuple[tuple[tuple[int, str], ...], ...] = ()
    below: tuple[tuple[float, float, float], ...] = ()

    @property
    def variance(self) -> float:
        """E z^2 - (E z)^2, never negative."""
        return max(self.square - self.mean * self.mean, _LEAST)

    @property
    def sigma(self) -> float:
        """The standard deviation of the elements."""
        return math.sqrt(self.variance)

    def extent(self, axis: str) -> int:
        """The number of places along all axes of one role."""
        return _extent(self.shape, self.axes, axis)

    @property
    def direction(self) -> int:
        """The number of elements in which the signal has one direction.

        One place where features come last, because layers there act on places one by one; all of an
        input where they come first, because kernels join places.
        """
        return _direction(self.shape, self.axes)

    @property
    def elements(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def rectified(self) -> bool:
        """Whether this is a Gaussian tensor where that is positive, else 0."""
        return self.curve is not None and self.sign > 0 and self.curve.at is rectify

    @property
    def open_share(self) -> float:
        """The share of the elements that a rectifier has let through."""
        return self.curve.slope_square if self.curve else 1.0

    @property
    def open(self) -> float:
        """The share of positive elements, of a Gaussian or a skewed one (Cramer 1946, 17.6)."""
        place = self.mean / self.sigma
        tilt = self.skewness / 6.0 * (place * place - 1.0) * normal_density(place)
        return min(max(normal_share(place) + tilt, 1e-6), 1.0 - 1e-6)

    @property
    def skewness(self) -> float:
        """E (z - m)^3 over the cube of the standard deviation, where it matters and within 1."""
        if self.variance < 1e-9 * self.square:  # because of what is nearly constant it is rounding
            return 0.0
        share = self.skew / self.sigma**3
        return max(-1.0, min(share, 1.0)) if abs(share) > _EVEN else 0.0

    @property
    def correlation(self) -> float:
        """The correlation of one element for two inputs, (r - m^2) / (q - m^2), within 0 and 1."""
        return min(max((self.shared - self.mean**2) / self.variance, 0.0), 1.0)

    @property
    def local_correlation(self) -> float:
        """The same for two positions of one input."""
        return min(max((self.local - self.mean**2) / self.variance, 0.0), 1.0)

    @property
    def likeness(self) -> float:
        """The mean correlation over pairs of places, of the same input or of two."""
        own = 1.0 / max(self.extent(BATCH), 1)
        return own * self.local_correlation + (1.0 - own) * self.correlation

    def scaled(self, factor: float, offset: float = 0.0) -> Moments:
        """Second moments times `factor`, plus an independent part of second moment `offset`.

        The result's mean is 0, as behind weights that are independent of the signal and have mean
        0.
        """
        return Moments(
            bounded(factor * self.square + offset),
            factor * self.shared + offset,
            factor * self.local + offset,
            0.0,
            self.shape,
            self.axes,
            evened(self.spread, factor * self.square, offset),
        )

    def with_channels(self) -> Moments:
        """The same with features in the second axis, where convolutions and norms look for them."""
        rank = len(self.shape)
        axes = (BATCH + FEATURE + POSITION * (rank - 2))[:rank]
        return self if self.axes == axes else self._replace(axes=axes)

    def sized(self, shape: tuple[int, ...]) -> Moments:
        """The same elements in axes of the same roles."""
        return self if self.shape == shape else self._replace(shape=shape, factors=())

    def shaped(self, shape: tuple[int, ...], axes: str) -> Moments:
        """The same elements in another shape, which are no function of others any more."""
        kept = self.spread if axes.count(POSITION) == self.axes.count(POSITION) else ()
        return Moments(
            self.square,
            self.shared,
            self.local,
            self.mean,
            shape,
            axes,
            kept,
            sign=self.sign,
            skew=self.skew,
            total=self.total,
        )


@lru_cache(maxsize=4096)
def _extent(shape: tuple[int, ...], axes: str, axis: str) -> int:
    return math.prod(size for size, role in zip(shape, axes, strict=False) if role == axis)


@lru_cache(maxsize=4096)
def _direction(shape: tuple[int, ...], axes: str) -> int:
    features = _extent(shape, axes, FEATURE)
    if axes[1:2] == FEATURE and axes.endswith(POSITION):
        features *= _extent(shape, axes, POSITION)
    return max(features, 1)


def relaid(moments: Moments, shape: tuple[int, ...]) -> Moments:
    """The same elements with their axes in the order of `shape`.

    Because of a function in place on a permuted view the graph knows only what it is a view of.
    """
    if moments.shape == shape or sorted(moments.shape) != sorted(shape):
        return moments
    return moments._replace(shape=shape, axes=axes_by_size(moments, shape))


def axes_by_size(before: Moments, shape: tuple[int, ...]) -> str:
    """The roles of axes in another order, by their sizes."""
    free = list(zip(before.shape, before.axes, strict=False))
    axes = ""
    for size in shape:
        match = next((pair for pair in free if pair[0] == size), None)
        if match is not None:
            free.remove(match)
        axes += match[1] if match else POSITION
    return axes


def bounded(value: float) -> float:
    """A second moment kept within the range of a float, because products over layers leave it."""
    return min(max(value, _LEAST), _MOST)


def evened(
    spread: tuple[tuple[float, ...], ...], energy: float, offset: float
) -> tuple[tuple[float, ...], ...]:
    """A spread of energy over places, to which an even part is added."""
    if not offset or not spread or energy <= 0.0:
        return spread
    weight = (energy / (energy + offset)) ** (1.0 / len(spread))
    return tuple(tuple(weight * part + 1.0 - weight for part in axis) for axis in spread)


def default_axes(rank: int, dtype: str = "float32") -> str:
    """The roles of the axes of a tensor of which only the rank is known."""
    if not dtype.startswith(("float", "bfloat", "complex")):
        return (BATCH + POSITION * (rank - 1))[:rank]
    return {0: "", 1: "c", 2: "bc", 3: "bsc"}.get(rank, "bc" + "s" * (rank - 2))


def through(
    before: Moments,
    response: Response,
    curve: Curve,
    shape: tuple[int, ...],
    spread: tuple[tuple[float, ...], ...] = (),
    sign: int = 0,
) -> Moments:
    """The moments of an elementwise function of a Gaussian tensor, of which `curve` tells.

    The correlation of two inputs is that of the Gaussian, c = (r - m^2) / (q - m^2), mapped by
    `Response.shared` (Poole 2016, equation 4).
    """
    variance = curve.sigma**2
    square = bounded(response.square)
    return Moments(
        square,
        min(response.shared((curve.shared - curve.mean**2) / variance, curve.sigma), square),
        min(response.shared((curve.local - curve.mean**2) / variance, curve.sigma), square),
        response.mean,
        shape,
        before.axes,
        spread,
        curve,
        alike=before.alike,
        sign=sign,
        skew=response.skew,
    )


def identity(x: float) -> tuple[float, float]:
    """x, with slope 1."""
    return x, 1.0


def curve_of(tensor: Moments, id: str) -> Curve:
    """The tensor as a function of an earlier Gaussian one, or as the identity of itself."""
    if tensor.curve is not None:
        return tensor.curve
    return Curve(id, tensor.mean, tensor.sigma, tensor.shared, tensor.local, identity, 1.0)


def compose(outer: PointFunction, inner: PointFunction) -> PointFunction:
    """outer(inner(x)), by the chain rule."""
    if inner is identity:
        return outer

    def function(x: float) -> tuple[float, float]:
        middle, inner_slope = inner(x)
        value, slope = outer(middle)
        return value, slope * inner_slope

    return function
