"""How a kernel along one axis meets the border: which share of its taps lies inside the input."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

_LONGEST = 48  # because borders matter little along longer axes, and each place costs time

Spread = tuple[float, ...]


class Taps(NamedTuple):
    """A kernel of `kernel` taps along an axis of `inner` places that gives `outer` places.

    A spread is the energy at each place over the mean, and empty where it is even. `transposed`
    says that the kernel spreads each input over several outputs instead of gathering.
    """

    inner: int
    outer: int
    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    transposed: bool = False

    def forward(self, spread: Spread) -> tuple[float, Spread]:
        """Mean number of taps inside, weighted by the input's energy, and the output's spread."""
        return _moved(self, spread, forward=True)

    def backward(self, spread: Spread) -> tuple[float, Spread]:
        """The same for the gradient: by the transposed kernel, weighted by its energy."""
        return _moved(self, spread, forward=False)

    @property
    def common(self) -> float:
        """Of the taps inside at one output place, the share that is inside at another, on average.

        A field that is the same everywhere does not stay so at a border: two outputs share only
        these.
        """
        if self.kernel == 1:
            return 1.0
        return _common(self)


@lru_cache(maxsize=256)
def _moved(taps: Taps, spread: Spread, *, forward: bool) -> tuple[float, Spread]:
    if taps.kernel == 1 and taps.stride == 1:
        return 1.0, spread
    pairs = _pairs(taps)
    if max(taps.inner, taps.outer) > _LONGEST:
        return len(pairs) / taps.outer, ()
    source, target = (taps.inner, taps.outer) if forward else (taps.outer, taps.inner)
    places = [0.0] * target
    weights = spread if len(spread) == source else (1.0,) * source
    for inner, outer in pairs:
        if forward:
            places[outer] += weights[inner]
        else:
            places[inner] += weights[outer]
    total = sum(places)
    if total <= 0.0:
        return 0.0, ()
    mean = total / target
    return total / taps.outer, tuple(place / mean for place in places)


@lru_cache(maxsize=512)
def _pairs(taps: Taps) -> tuple[tuple[int, int], ...]:
    """The (input place, output place) pairs that a tap connects."""
    near, far = (taps.inner, taps.outer) if taps.transposed else (taps.outer, taps.inner)
    found = (
        (place * taps.stride - taps.padding + tap * taps.dilation, place)
        for place in range(near)
        for tap in range(taps.kernel)
    )
    inside = [(reached, place) for reached, place in found if 0 <= reached < far]
    return tuple((b, a) for a, b in inside) if taps.transposed else tuple(inside)


@lru_cache(maxsize=512)
def _common(taps: Taps) -> float:
    near = taps.outer
    counts = [0] * taps.kernel
    if taps.transposed or near <= 0:
        return 1.0
    for tap in range(taps.kernel):
        first = taps.padding - tap * taps.dilation
        low = max(-(-first // taps.stride), 0)
        high = min((first + taps.inner - 1) // taps.stride, near - 1)
        counts[tap] = max(high - low + 1, 0)
    total = sum(counts)
    return sum(count * count for count in counts) / (near * total) if total else 1.0
