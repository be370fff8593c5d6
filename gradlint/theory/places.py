"""How a gradient is spread over positions: at one of them, the same at all, or apart at each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Places(NamedTuple):
    """Shares of a gradient's energy by how it lies over the positions of an input.

    `one` lies at a single position, as where a class token is read out; `alike` is the same at
    every position, as behind a mean over them; the rest points elsewhere at every position.
    """

    one: float = 0.0
    alike: float = 0.0


APART = Places()
ONE = Places(one=1.0)
ALIKE = Places(alike=1.0)


class Landing(NamedTuple):
    """What a step does to each part of a gradient.

    By what its energy changes beyond the gain's factor, and how what arrives lies over positions.
    """

    one: tuple[float, Places] = (1.0, ONE)
    alike: tuple[float, Places] = (1.0, ALIKE)
    rest: tuple[float, Places] = (1.0, APART)

    def apply(self, places: Places) -> tuple[float, Places]:
        """The factor on the energy beyond the gain's, and how it lies then."""
        if places is APART:
            return self.rest
        rest = max(1.0 - places.one - places.alike, 0.0)
        return together(
            (
                (places.one * self.one[0], self.one[1]),
                (places.alike * self.alike[0], self.alike[1]),
                (rest * self.rest[0], self.rest[1]),
            )
        )


def together(parts: Iterable[tuple[float, Places]]) -> tuple[float, Places]:
    """The sum of several energies, and how it lies over positions."""
    total = one = alike = 0.0
    for energy, places in parts:
        total += energy
        one += energy * places.one
        alike += energy * places.alike
    return (total, Places(one / total, alike / total)) if total > 0.0 else (0.0, APART)


READ_OUT = Landing((1.0, ONE), (1.0, ONE), (1.0, ONE))
"""A selected position."""
AVERAGED = Landing((1.0, ALIKE), (1.0, ALIKE), (1.0, ALIKE))
"""The mean or sum over positions, which hands the same gradient to each."""
SCATTERED = Landing((1.0, APART), (1.0, APART), (1.0, APART))
"""Weights of their own for each position, or one that wins."""


def thinned(alike: float) -> Landing:
    """Factors whose values at two positions agree by so much: E[f f'] / E f^2."""
    return Landing(alike=(1.0, Places(alike=min(max(alike, 0.0), 1.0))))


def smeared(phases: int) -> Landing:
    """A kernel over several positions, and in steps: only positions of one phase stay alike."""
    return Landing(one=(1.0, APART), alike=(1.0, Places(alike=1.0 / max(phases, 1))))


def gathered(count: float, likeness: float) -> Landing:
    """Summed over so many positions, with factors whose values at two positions agree by so much.

    What is the same at all positions adds up: 1 + (count - 1) likeness instead of 1.
    """
    grown = 1.0 + (count - 1.0) * min(max(likeness, 0.0), 1.0)
    return Landing(one=(1.0, APART), alike=(grown, APART))


def spread_by(queries: int, keys: float, peak: float, likeness: float) -> Landing:
    """Values that positions mix by weights that sum to 1, as in attention; peak is E sum A_ij^2.

    The gradient of a value is sum_i A_ij g_i. With likeness = E[A_ij A_i'j] / E A_ij^2 the part of
    g that is the same at all i arrives with 1 + (n - 1) likeness. As rows sum to 1, of that all
    values share 1 over this factor and the peak, and 1 / (N peak) of gradients that differ.
    """
    grown = 1.0 + (queries - 1.0) * min(max(likeness, 0.0), 1.0)
    same = Places(alike=min(1.0 / (keys * peak), 1.0))
    return Landing((1.0, same), (grown, Places(alike=min(1.0 / (peak * grown), 1.0))), (1.0, same))
