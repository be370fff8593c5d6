"""What one call of the graph does: the moments of its output and the gain of each of its inputs."""

from __future__ import annotations

import math
from typing import NamedTuple

from gradlint.protocol.nodes import Layer, Parameter
from gradlint.theory.moments import FEATURE, Moments, default_axes
from gradlint.theory.places import APART, Landing, Places, together
from gradlint.theory.taps import Taps


class Operand(NamedTuple):
    """A tensor that flows into a call.

    `constant` ones depend on no input of the model. `parts` says that the node has several outputs,
    so that two tensors from it may have different elements.
    """

    id: str
    moments: Moments
    constant: bool = False
    parts: bool = False


class Call(NamedTuple):
    """One call: its layer, its plain name, the tensors and the parameters that it takes, in order.

    `competing` says that a softmax follows, so that what its elements share has no effect.
    """

    layer: Layer
    name: str
    operands: tuple[Operand, ...]
    parameters: tuple[Parameter, ...]
    competing: bool = False

    @property
    def first(self) -> Moments:
        """The moments of the first tensor, or of N(0, 1) noise where there is none."""
        if self.operands:
            return self.operands[0].moments
        shape = self.layer.shape
        return Moments(1.0, 0.0, 0.0, 0.0, shape, default_axes(len(shape)))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the output."""
        return self.layer.shape

    def vector(self, *names: str) -> Parameter | None:
        """The parameter whose name ends so, None where the call takes none."""
        for parameter in self.parameters:
            if parameter.id.rpartition(".")[2] in names:
                return parameter
        return None

    @property
    def weight(self) -> Parameter | None:
        """The largest parameter with at least two axes, or the one called weight."""
        matrices = [p for p in self.parameters if len(p.shape) >= 2]
        if len(matrices) < 2:
            return matrices[0] if matrices else None
        return max(matrices, key=lambda p: (p.fan_in * p.fan_out, p.id))

    @property
    def bias_square(self) -> float:
        """The mean square of the bias, 0 where there is none."""
        for parameter in self.parameters:
            if len(parameter.shape) == 1 and "weight" not in parameter.id.rpartition(".")[2]:
                return parameter.mean_square
        return 0.0


class Flow(NamedTuple):
    """The gradient at a tensor: its squared norm over all elements, and where it lies.

    `along` is the length of its part along the signal z, <g, z> / |z|, root of the sum of squares
    over inputs and positions; its sign tells whether it has turned against the signal on the way.
    `spread` tells where along positions the energy lies. `noise` is the variance of ln(energy) over
    initialisations, which grows with depth / width: the typical energy is the mean times exp(-noise
    / 2). `overlap` is the mean of cos^2 between the gradients of two places, each with itself among
    them. `places` says which part of it positions have in common, `portions` the shares of the
    energy in the parts of features that were joined, where they differ from those of their sizes.
    `open` is how much more of it lies at positive elements than their number says. `kept` is the
    share of places that it lies in, where a selection has cut off the others.
    """

    energy: float
    along: float = 0.0
    spread: tuple[tuple[float, ...], ...] = ()
    noise: float = 0.0
    overlap: float = 1.0
    places: Places = APART
    portions: tuple[float, ...] = ()
    open: float = 1.0
    kept: float = 1.0

    @property
    def typical(self) -> float:
        """The energy of a typical initialisation, that is exp of the mean of its logarithm."""
        return self.energy * math.exp(-0.5 * self.noise)

    def joined(self, other: Flow) -> Flow:
        """The sum with another branch: in squares, but along the signal the two add up.

        <g1 + g2, z> = <g1, z> + <g2, z>.
        """
        along = self.along + other.along
        energy = self.energy - self.along**2 + other.energy - other.along**2 + along**2
        energy = max(energy, along**2)
        spread = self.spread if self.energy >= other.energy else other.spread
        total = self.energy + other.energy
        share = self.energy / total if total > 0.0 else 0.5
        overlap = share * self.overlap + (1.0 - share) * other.overlap
        places = self.places
        if places is not other.places:
            _, places = together(((self.energy, places), (other.energy, other.places)))
        larger = self if self.energy >= other.energy else other
        open = share * self.open + (1.0 - share) * other.open
        noise = self._noise_with(other)
        portions, kept = larger.portions, larger.kept
        return Flow(energy, along, spread, noise, overlap, places, portions, open, kept)

    def _noise_with(self, other: Flow) -> float:
        """What both branches have gone through stays.

        The rest counts by the square of its share.
        """
        total = self.energy + other.energy
        common = min(self.noise, other.noise)
        if total <= 0.0:
            return common
        own = (self.energy / total) ** 2 * (self.noise - common)
        return common + own + (other.energy / total) ** 2 * (other.noise - common)


_SAME = 1e-9  # within which two shares of places are one


class Gain(NamedTuple):
    """The factor by which the squared norm of the gradient changes on its way to one operand.

    The part of the gradient along the signal keeps the share `along` of its length (None: as for a
    homogeneous function, |y| / |x|), and changes its squared norm by `aligned` in all (None:
    `factor`). `chance` is the share of any gradient, squared, that lies along a signal of so many
    elements and fares as the rest does: it is small, but `aligned` is huge for heavy tails. `leak`
    is the share of the other gradient, squared, that turns into the direction of the signal. `taps`
    says how the gradient moves along positions. `aside` marks one that is accounted for on a direct
    way to an earlier tensor: it is shown but not passed on. `noise` is the variance that the step
    adds to ln(energy) by its slopes, `wander` what random weights add for a single gradient: less
    where gradients of several places differ in direction. Weights turn them towards each other;
    slopes that differ turn them apart, as far as they are not `alike`. `lands` tells apart what
    positions have in common, None where all parts fare the same. `portions` are the shares of the
    energy that features get which were joined from several tensors, `span` says which of them are
    the operand's. `opening` is the share of elements that a rectifier lets through, where all of
    the gradient lies then; `opened` are a and b in a + b x, what a sum makes of the flow's `open` x
    for a rectified term. `cut` is what a selection leaves and `fills` the share of places that the
    operand has of those that were joined: if just as many are left of them, those are the operand's
    own, and so is all of the gradient.
    """

    factor: float
    taps: tuple[Taps, ...] = ()
    aside: bool = False
    along: float | None = None
    aligned: float | None = None
    chance: float = 0.0
    leak: float = 0.0
    noise: float = 0.0
    wander: float = 0.0
    places: float = 1.0
    alike: float = 1.0
    lands: Landing | None = None
    portions: tuple[float, ...] = ()
    span: tuple[int, int] | None = None
    opening: float = 0.0
    opened: tuple[float, float] = (1.0, 0.0)
    cut: float = 1.0
    fills: float = 0.0

    def apply(self, flow: Flow, growth: float = 0.0) -> Flow:
        """The gradient at the operand, given that at the output; `growth` is |y| / |x|."""
        if self is UNCHANGED and growth == 1.0:
            return flow
        lands, reaching, places, overlap = self.lands, flow.along, flow.places, flow.overlap
        share, spread = self._moved(flow) if self.taps else (1.0, flow.spread)
        rest = max(flow.energy - reaching * reaching, 0.0)
        extra = 1.0
        if lands is not None:
            if lands.one[0] < 1.0:
                reaching *= 1.0 - places.one * (1.0 - lands.one[0])
            extra, places = lands.apply(places)
        along = (growth if self.along is None else self.along) * reaching
        if self.leak:
            along = math.copysign(math.sqrt(along * along + self.leak * rest), along)
        aligned = self.factor if self.aligned is None else self.aligned
        factor, portions = self._portioned(flow) if self.span else (self.factor, self.portions)
        open = self.opened[0] + self.opened[1] * flow.open
        if self.opening:
            factor, open = factor * flow.open, 1.0 / self.opening
        kept = self.cut if self.cut < 1.0 else flow.kept
        if self.fills and abs(kept - self.fills) < _SAME:
            factor, aligned, along = (part / self.fills for part in (factor, aligned, along))
            kept = 1.0
        reached = reaching * reaching
        if self.chance:
            by_chance = min(self.chance * flow.energy, reached)
            reached, rest = reached - by_chance, rest + by_chance
        energy = share * (factor * extra * rest + aligned * reached)
        noise = self.noise + self.wander * overlap
        if self.alike < 1.0:
            overlap = max(overlap * self.alike**2, 1.0 / self.places)
        if noise:
            overlap += (1.0 - overlap) * min(0.5 * (self.wander + self.noise), 1.0)
            noise += flow.noise
        else:
            noise = flow.noise
        energy = max(energy, along * along)
        return Flow(energy, along, spread, noise, overlap, places, portions, open, kept)

    def _portioned(self, flow: Flow) -> tuple[float, tuple[float, ...]]:
        """The share of the energy that the operand's features get, and how they part it."""
        portions = flow.portions[slice(*self.span)] if self.span else ()
        factor = sum(portions) if portions else self.factor
        if portions and factor > 0.0:
            portions = tuple(portion / factor for portion in portions)
        return factor, portions

    def _moved(self, flow: Flow) -> tuple[float, tuple[tuple[float, ...], ...]]:
        # a gradient that came through a reshape may be spread over another number of axes
        even = ((),) * len(self.taps)
        spread = flow.spread if len(flow.spread) == len(self.taps) else even
        moved = [tap.backward(part) for tap, part in zip(self.taps, spread, strict=True)]
        return math.prod(share for share, _ in moved), tuple(part for _, part in moved)


UNCHANGED = Gain(1.0)
"""The gain of a copy or a view."""
NOTHING = Gain(0.0, along=0.0)
"""The gain of what has no part in the result, such as a mask or an index."""


def filling(part: Moments, places: float, whole: Moments, factor: float) -> Gain:
    """The gain of a tensor that fills so many places of a whole.

    Of <g, y> it gets its share of the energy, <g_x, x> = <g, y> places E x^2 / |y|^2.
    """
    sizes = max(float(part.elements) * float(whole.elements), 1.0)
    return Gain(factor, along=places * math.sqrt(part.square / (whole.square * sizes)))


def weighted_gain(
    factor: float,
    before: Moments,
    after: Moments,
    offset: float,
    taps: tuple[Taps, ...] = (),
    *,
    lands: Landing | None = None,
    rigid: bool = False,
) -> Gain:
    """The gain of y = W x + b for random W, with the channel along the signal.

    Given y, W = y x^T / |x|^2 + W', so W^T g = x <g, y> / |x|^2 + W'^T g: the first term passes on
    the part of the gradient along y, the second is random in the directions across x. A bias takes
    its share of y. Orthogonal (`rigid`) weights keep norms, so that they add no noise.
    """
    size, width = before.direction, after.direction
    share = 1.0 - min(offset / after.square, 1.0)
    growth = after.square * after.elements / (before.square * max(before.elements, 1))
    along = share * math.sqrt(growth)
    across = factor * (1.0 - 1.0 / size)
    return Gain(
        across,
        taps,
        along=along,
        aligned=across + along * along,
        leak=share * (1.0 - share) * growth / width,
        wander=0.0 if rigid else 2.0 / max(before.extent(FEATURE), 1),
        lands=lands,
    )


class Step(NamedTuple):
    """The outcome of one call. `gains` has one entry for each operand.

    `direct` leads to earlier tensors.
    """

    moments: Moments
    gains: tuple[Gain, ...]
    direct: tuple[tuple[str, Gain], ...] = ()
    known: bool = True
