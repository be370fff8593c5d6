"""What all operations on two tensors need: one shape for both, and whether they are one."""

from __future__ import annotations

from collections.abc import Callable

from gradlint.theory.moments import POSITION, Moments, curve_of, through
from gradlint.theory.quadrature import expect
from gradlint.theory.step import Call, Gain, Operand, Step

Point = tuple[float, float]
Combination = Callable[[Point, Point], Point]
"""What two functions make together: of the value and slope of each those of the whole."""


def broadcast(operand: Operand, call: Call) -> Moments:
    """The operand spread out to the shape of the result.

    What it lacks in positions is shared by them.
    """
    moments, shape = operand.moments, call.shape
    if moments.shape == shape:
        return moments
    axes = axes_of_result(call)
    offset = len(shape) - len(moments.shape)
    varies = any(
        axes[axis] == POSITION and axis >= offset and moments.shape[axis - offset] > 1
        for axis in range(len(axes))
    )
    return moments._replace(
        local=moments.local if varies else moments.square,
        mean=moments.mean,
        shape=shape,
        axes=axes,
        spread=(),
    )


def axes_of_result(call: Call) -> str:
    """The roles of the result's axes: those of its largest operand, constants last."""
    rank = len(call.shape)
    fitting = [o for o in call.operands if len(o.moments.shape) == rank and not o.constant]
    fitting = fitting or [o for o in call.operands if len(o.moments.shape) == rank]
    largest = max(fitting, key=lambda o: o.moments.elements, default=None)
    return largest.moments.axes if largest else ("bc" + "s" * rank)[:rank]


def is_shared(own: Moments, after: Moments) -> bool:
    """Whether all positions of a result share one operand."""
    return own.elements < after.elements and own.extent(POSITION) <= 1


def meets_itself(call: Call) -> bool:
    """Whether a tensor meets itself, as in x * x: one edge of the graph stands for both."""
    return len(call.operands) == 1 and not call.layer.settings and not call.operands[0].parts


def number_comes_first(call: Call) -> bool:
    """Whether a number stands before the tensor, as in 1 - x."""
    return any(key in ("argument0", "argument0.mean") for key, _ in call.layer.settings)


def jointly(call: Call, combine: Combination) -> Step | None:
    """Two functions of one Gaussian tensor, combined at each of its values, as in x sigmoid(x).

    The gradient goes straight to that tensor with E h'^2, because its two ways are not independent.
    """
    if len(call.operands) != 2:
        return None
    first, second = call.operands
    if first.moments.shape != second.moments.shape or first.parts or second.parts:
        return None
    one, two = (curve_of(operand.moments, operand.id) for operand in call.operands)
    if one.source != two.source or not one.source:
        return None

    def function(x: float) -> tuple[float, float]:
        return combine(one.at(x), two.at(x))

    response = expect(function, one.mean, one.sigma)
    curve = one.bent(function, response.slope_square)
    after = through(first.moments, response, curve, call.shape, first.moments.spread)
    gains = tuple(_aside(operand, one.source) for operand in call.operands)
    return Step(after, gains, ((one.source, Gain(response.slope_square)),))


def _aside(operand: Operand, source: str) -> Gain:
    return Gain(0.0 if operand.id == source else 1.0, aside=True)
