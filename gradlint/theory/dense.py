"""Layers that multiply by a matrix of independent weights.

Dense, bilinear, embedding, products of signals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gradlint.protocol.nodes import Parameter
from gradlint.theory.moments import BATCH, FEATURE, POSITION, Moments, bounded
from gradlint.theory.places import SCATTERED, spread_by
from gradlint.theory.step import NOTHING, Call, Gain, Operand, Step, weighted_gain


def weight_square(weight: Parameter) -> float:
    """E w^2 of the weight that is applied; a spectrally normalised one is divided by its norm.

    The largest singular value of a random matrix is sigma (sqrt(fan_in) + sqrt(fan_out))
    (Geman 1980); normalisation makes it 1 (Miyato 2018).
    """
    name = weight.id.rpartition(".")[2]
    if name == "weight_orig" or (name == "original" and "parametrizations.weight" in weight.id):
        return (math.sqrt(weight.fan_in) + math.sqrt(weight.fan_out)) ** -2
    return weight.mean_square


def is_rigid(weight: Parameter) -> bool:
    """Whether the weight keeps norms, because it was initialised as an orthogonal matrix."""
    return weight.initialisation is not None and weight.initialisation.function == "orthogonal_"


def dense(call: Call) -> Step:
    """y = W x + b: q' = K (E w^2 q + (E w)^2 ((K - 1) m^2)) + E b^2, gain K E w^2.

    K inputs of a unit.

    The squared norm of the gradient over all elements grows by fan_in E w^2, its mean square by
    fan_out E w^2 (Glorot 2010, He 2015).
    """
    weight = call.weight
    if weight is None:
        return product_of_matrices(call)
    before = call.first
    count = before.shape[-1] if before.shape and before.shape[-1] in weight.shape else weight.fan_in
    square = count * weight_square(weight)
    offset = call.bias_square
    after = before.scaled(square, offset).shaped(call.shape, _dense_axes(before, call.shape))
    after = with_mean_weight(after, before, weight, count)
    lands = SCATTERED if before.axes.endswith(POSITION) else None
    rigid = is_rigid(weight)
    gain = weighted_gain(square, before, after, offset, lands=lands, rigid=rigid)
    return Step(after, (gain,) * len(call.operands))


def _dense_axes(before: Moments, shape: tuple[int, ...]) -> str:
    if len(before.axes) == len(shape):
        return (before.axes[:-1] + FEATURE).replace(
            FEATURE, POSITION, before.axes[:-1].count(FEATURE)
        )
    return (BATCH + POSITION * (len(shape) - 2) + FEATURE)[-len(shape) :]


def with_mean_weight(after: Moments, before: Moments, weight: Parameter, count: float) -> Moments:
    """Add what weights with a mean make of a signal with a mean: the same value in every unit.

    A sample of weights of mean 0 has a mean too; only one beyond three standard errors counts.
    """
    error = max(weight.mean_square - weight.mean**2, 0.0) / max(math.prod(weight.shape), 1)
    if weight.mean**2 <= 9.0 * error:
        return after
    common = count * weight.mean * before.mean
    extra = common * common * (1.0 - 1.0 / max(count, 1.0))
    return after._replace(
        square=bounded(after.square + extra),
        shared=after.shared + extra,
        local=after.local + extra,
        mean=common,
    )


def bilinear(call: Call) -> Step:
    """y = x1 A x2 + b: q' = n1 n2 E w^2 q1 q2 + E b^2.

    And each gain is q' over that operand's q n1 or n2.
    """
    weight = call.weight
    if weight is None or len(call.operands) < 2:
        return dense(call)
    one, two = (operand.moments for operand in call.operands[:2])
    pairs = weight.shape[1] * weight.shape[2] * weight.mean_square
    after = one.scaled(pairs * two.square, call.bias_square).shaped(call.shape, one.axes)
    return Step(after, (Gain(pairs * two.square), Gain(pairs * one.square)))


def embedding(call: Call) -> Step:
    """Rows of a table: q = E w^2; two positions or inputs share a token with probability 1 / rows.

    Indices that depend on no input of the model (positions) are the same for every input: r = q.
    """
    weight = call.weight
    if weight is None:
        return Step(call.first._replace(shape=call.shape, spread=(), curve=None), ())
    square, mean = max(weight.mean_square, 1e-280), weight.mean
    rows = weight.shape[0]
    common = mean * mean + (square - mean * mean) / rows
    varies = any(not operand.constant for operand in call.operands)
    rank = len(call.shape)
    axes = (BATCH + POSITION * (rank - 2) + FEATURE)[-rank:] if rank != 2 else BATCH + FEATURE
    if not varies:
        axes = POSITION * (rank - 1) + FEATURE
    moments = Moments(square, common if varies else square, common, mean, call.shape, axes)
    return Step(moments, (NOTHING,) * len(call.operands))


@dataclass(frozen=True, slots=True)
class Contraction:
    """Which axes a product of A and B sums over.

    The number of terms in each sum, the roles of the summed axis in both, the role of what each
    keeps, and how many rows of A and columns of B there are.
    """

    count: float
    along: str
    across: str
    own: str
    free: str
    rows: int
    columns: int

    @property
    def turned(self) -> Contraction:
        """The same with A and B in each other's place: (A B)^T = B^T A^T."""
        return Contraction(
            self.count, self.across, self.along, self.free, self.own, self.columns, self.rows
        )


def product_of_matrices(call: Call) -> Step:
    """A B with n terms in each sum: q' = n q_A q_B + n (n - 1) x_A x_B, gains n q_B and n q_A.

    x is what two elements along the summed axis have in common: m^2 for features, p for positions,
    as where attention mixes values that are alike. Two rows of A meet the same B: p' has p_A q_B.
    Gradients of logits sum to 0, so that what all keys share gives none to queries, and what all
    values share none to the weights, as far as it passes their softmax.
    """
    if len(call.operands) < 2:
        after = call.first._replace(shape=call.shape, axes=_product_axes(call.shape), curve=None)
        return Step(after, (Gain(1.0),) * len(call.operands))
    first, second = call.operands[:2]
    one, two = first.moments, second.moments
    sums = _contraction(call, one, two)
    if first.constant != second.constant:
        return _times_constant(call, sums.count)
    if sums.along == POSITION and _is_weighing(two, sums.count):  # values stand before weights
        after, (gain, other) = _product(two, one, sums.turned, call)
        axes = (BATCH + FEATURE * len(call.shape))[: len(call.shape) - 1] + POSITION
        after, gains = after._replace(axes=axes), (other, gain)
    else:
        after, gains = _product(one, two, sums, call)
    return Step(after, gains + (NOTHING,) * (len(call.operands) - 2))


def _product(
    one: Moments, two: Moments, sums: Contraction, call: Call
) -> tuple[Moments, tuple[Gain, Gain]]:
    count, keys = sums.count, sums.free == POSITION
    beside = _common(one, sums.along)[0]
    own, other = _common(two, sums.across)
    met = two.square if sums.across == BATCH else two.shared  # two nodes may meet the same third
    after = Moments(
        bounded(count * one.square * two.square + _pairs(one, count, one.square, beside) * own),
        count * one.shared * met + _pairs(one, count, one.shared, beside) * other,
        count * one.local * two.square + _pairs(one, count, one.local, beside) * own,
        count * one.mean * two.mean,
        call.shape,
        _axes_of_product(two, call),
        alike=two.local_correlation if keys else 0.0,
    )
    weighed = sums.across in (BATCH, POSITION) and _is_weighing(one, count)
    lands = SCATTERED if keys else None
    if weighed:
        between = one.shared if sums.across == BATCH else one.local
        lands = spread_by(sums.rows, count, count * one.square, between / one.square)
    apart = two.square - two.local if weighed or (keys and call.competing) else two.square
    return after, (Gain(count * max(apart, 0.0)), Gain(count * one.square, lands=lands))


def _pairs(one: Moments, count: float, same: float, beside: float) -> float:
    """E of the sum over pairs of different elements of a row, or of one from each of two rows.

    What is left of the square of a row's sum, where rows weigh as those of attention do. `same` is
    E of a pair of equal places, `beside` that of two places of one row.
    """
    if _is_weighing(one, count):
        return max((count * one.mean) ** 2 - count * same, 0.0)
    return count * (count - 1.0) * beside


def _is_weighing(one: Moments, count: float) -> bool:
    """Whether rows sum to 1, or to what a column for no key at all has left of it."""
    total = count * one.mean
    return abs(total - 1.0) < 1e-6 or (one.sign > 0 and 0.5 < total < 1.0)


def _common(part: Moments, role: str) -> tuple[float, float]:
    """E of the product of two elements along an axis of this role, of one input and of two."""
    match role:
        case "s":
            return part.local, part.local * max(part.shared / part.square, 0.0)
        case "b":
            return part.shared, part.shared
    return part.mean**2, part.mean**2


def _times_constant(call: Call, count: float) -> Step:
    """A signal times a matrix that no input reaches, such as a transposed weight: a dense layer."""
    signal = call.operands[1 if call.operands[0].constant else 0].moments
    matrix = call.operands[0 if call.operands[0].constant else 1].moments
    after = signal.scaled(count * matrix.square).shaped(call.shape, _dense_axes(signal, call.shape))
    gain = weighted_gain(count * matrix.square, signal, after, 0.0)
    kept = Gain(count * signal.square, along=0.0)
    gains = tuple(kept if operand.constant else gain for operand in call.operands)
    return Step(after, gains)


def _contraction(call: Call, one: Moments, two: Moments) -> Contraction:
    """By the letters of an einsum, else as a product of the last two axes."""
    equation = dict(call.layer.settings).get("argument0")
    if isinstance(equation, str) and equation.count(",") == equation.count("->") == 1:
        left, _, out = equation.replace(" ", "").partition("->")
        first, second = (_sizes(*pair) for pair in zip(left.split(","), (one, two), strict=True))
        joint = [letter for letter in first if letter in second and letter not in out]
        if joint:
            largest = max(joint, key=lambda letter: first[letter][0])
            own = [first[letter] for letter in out if letter in first and letter not in second]
            free = [second[letter] for letter in out if letter in second and letter not in first]
            (rows, role), (columns, other) = (own or [(1, "")])[-1], (free or [(1, "")])[-1]
            count = float(math.prod(first[letter][0] for letter in joint))
            along, across = first[largest][1], second[largest][1]
            return Contraction(count, along, across, role, other, rows, columns)
    count = _terms(one.shape, two.shape, call.shape)
    rows, columns = one.shape[-2] if len(one.shape) > 1 else 1, two.shape[-1] if two.shape else 1
    ends = one.axes[-1:], two.axes[-2:-1], one.axes[-2:-1], two.axes[-1:]
    return Contraction(count, *ends, rows, columns)


def _sizes(letters: str, part: Moments) -> dict[str, tuple[int, str]]:
    """Size and role of the axis behind each letter, those behind dots left out."""
    named = letters.rpartition(".")[2]
    sizes = part.shape[-len(named) :], part.axes[-len(named) :]
    return dict(zip(named, zip(*sizes, strict=False), strict=False))


def _terms(one: tuple[int, ...], two: tuple[int, ...], out: tuple[int, ...]) -> float:
    """The number of terms in each sum of a contraction: sqrt(|A| |B| / (|out| shared sizes))."""
    if len(one) >= 2 and len(two) >= 2 and one[-1] == two[-2]:
        return float(max(one[-1], 1))
    sizes = 1.0
    for size in one:
        if size not in out or (size in two and out.count(size) < one.count(size)):
            sizes *= size
    return max(sizes, 1.0)


def _axes_of_product(two: Moments, call: Call) -> str:
    """Of many leading axes both factors have the same, such as chunks of an image or a text."""
    axes, leading = _product_axes(call.shape), len(call.shape) - 2
    if leading > 2 and two.shape[:leading] == call.shape[:leading]:
        return two.axes[:leading] + axes[leading:]
    return axes


def _product_axes(shape: tuple[int, ...]) -> str:
    rank = len(shape)
    if rank <= 1:
        return FEATURE * rank
    return {2: "bc", 3: "bsc"}.get(rank, BATCH + FEATURE * (rank - 3) + POSITION + FEATURE)


def as_operand(parameter: Parameter) -> Operand:
    """A parameter that is added or multiplied like a signal; every input sees the same values."""
    moments = constant_moments(parameter.shape, parameter.mean, parameter.mean_square)
    return Operand(parameter.id, moments, constant=True)


def constant_moments(shape: tuple[int, ...], mean: float, square: float) -> Moments:
    """Moments of a tensor that is the same for every input: r = q.

    Its leading axes are taken as positions, its last as features; values differ between positions.
    """
    square = max(square, 1e-280)
    axes = (POSITION * (len(shape) - 1) + FEATURE) if shape else ""
    places = math.prod(shape[:-1])
    local = square if places <= 1 else mean * mean
    return Moments(square, square, local, mean, shape, axes)
