"""What one call of the graph does: the moments of its output and the gain of each of its inputs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from gradlint.nodes import Layer, Parameter
from gradlint.theory.moments import Moments, default_axes
from gradlint.theory.taps import Taps


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor that flows into a call; `constant` ones depend on no input of the model."""

    id: str
    moments: Moments
    constant: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One call: its layer, its plain name, the tensors and the parameters that it takes, in order."""

    layer: Layer
    name: str
    operands: tuple[Operand, ...]
    parameters: tuple[Parameter, ...]

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
        return max(matrices, key=lambda p: (p.fan_in * p.fan_out, p.id), default=None)

    @property
    def bias_square(self) -> float:
        """The mean square of the bias, 0 where there is none."""
        for parameter in self.parameters:
            if len(parameter.shape) == 1 and "weight" not in parameter.id.rpartition(".")[2]:
                return parameter.mean_square
        return 0.0


@dataclass(frozen=True, slots=True)
class Flow:
    """The gradient at a tensor: its squared norm over all elements, and where along positions it lies."""

    energy: float
    spread: tuple[tuple[float, ...], ...] = ()

    def __add__(self, other: Flow) -> Flow:
        """Gradients that arrive over independent branches add in squares."""
        energy = self.energy + other.energy
        spread = self.spread if self.energy >= other.energy else other.spread
        return Flow(energy, spread)


@dataclass(frozen=True, slots=True)
class Gain:
    """The factor by which the squared norm of the gradient changes on its way to one operand.

    `taps` says how it moves along positions. `aside` marks a gradient that is already accounted for on a
    direct way to an earlier tensor, so that it is shown but not passed on.
    """

    factor: float
    taps: tuple[Taps, ...] = ()
    aside: bool = False

    def apply(self, flow: Flow) -> Flow:
        """The gradient at the operand, given that at the output."""
        if not self.taps:
            return replace(flow, energy=flow.energy * self.factor)
        spread = flow.spread or ((),) * len(self.taps)
        moved = [tap.backward(part) for tap, part in zip(self.taps, spread, strict=True)]
        factor = self.factor
        for share, _ in moved:
            factor *= share
        return Flow(flow.energy * factor, tuple(part for _, part in moved))


@dataclass(frozen=True, slots=True)
class Step:
    """The outcome of one call. `gains` has one entry for each operand, `direct` leads to earlier tensors."""

    moments: Moments
    gains: tuple[Gain, ...]
    direct: tuple[tuple[str, Gain], ...] = ()
    known: bool = True
    slope_loss: float = field(default=0.0)
