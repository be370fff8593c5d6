"""Sums, differences and the larger or smaller of several signals."""

from __future__ import annotations

import math

from gradlint.theory.choices import hidden_share, masked
from gradlint.theory.elementwise import apply, passing, scalar_of
from gradlint.theory.laws import Line
from gradlint.theory.meeting import (
    axes_of_result,
    broadcast,
    is_shared,
    jointly,
    number_comes_first,
)
from gradlint.theory.moments import POSITION, Moments, bounded
from gradlint.theory.places import Landing, gathered
from gradlint.theory.products import multiplication
from gradlint.theory.step import NOTHING, Call, Gain, Operand, Step

_NOTHING = 1e-4  # the share of a sum below which a term does not change its distribution


def addition(call: Call) -> Step:
    """Independent branches add their moments, and their means twice: q' = q1 + q2 + 2 m1 m2.

    Gain 1.
    """
    sign = -1.0 if "sub" in call.name else 1.0
    if len(call.operands) < 2:
        return _with_scalar(call, sign)
    joint = jointly(call, lambda a, b: (a[0] + sign * b[0], a[1] + sign * b[1]))
    if joint is not None:
        return joint
    if sign < 0.0 and _of_one_total(call):
        return _between(call)
    gap = _gap_below_larger(call) if sign < 0.0 else None
    if gap is not None:
        return _beaten(call, gap)
    terms = [broadcast(operand, call) for operand in call.operands]
    alone = _dominant(call, terms, sign)
    if alone is not None:
        return alone
    after = terms[0]
    for term in terms[1:]:
        after = _sum(after, term, sign)
    cross = 0.5 * (after.square - sum(term.square for term in terms))
    gains = tuple(
        _term_gain(term, after, cross, _copies(operand, after))
        for operand, term in zip(call.operands, terms, strict=True)
    )
    if len(terms) == 2 and sign > 0.0 and any(term.rectified for term in terms):
        gains = tuple(
            gain._replace(opened=_opened(term, other, after)) if term.rectified else gain
            for gain, term, other in zip(gains, terms, reversed(terms), strict=True)
        )
    hidden = hidden_share(call)
    if 0.0 < hidden < 1.0:
        after = after._replace(visible=min(after.visible, 1.0 - hidden))
    return Step(after.sized(call.shape), gains)


def _opened(term: Moments, other: Moments, after: Moments) -> tuple[float, float]:
    """Where a gradient lies that reaches a rectified term, by where it lies at the sum.

    What is open in the sum was more likely open before: where the term is 0 the sum is positive by
    the other one alone, P(t = 0, y > 0) = P(t = 0) P(b > 0). So less of what comes by the shortcut
    is lost at the next rectifier than its open share says.
    """
    share, positive = term.open_share, after.open
    closed = (1.0 - share) * other.open
    inside = min(max(1.0 - closed / positive, 0.0), 1.0)
    outside = min(max(1.0 - (1.0 - share - closed) / (1.0 - positive), 0.0), 1.0)
    return outside / share, positive * (inside - outside) / share


def _of_one_total(call: Call) -> bool:
    """Whether two places of one running total are subtracted."""
    one, *others = (operand.moments.total for operand in call.operands)
    return bool(one) and others == [one]


def _between(call: Call) -> Step:
    """What a running total has grown by from one place to a later one, as between steps of a scan.

    As far from the end as from the start, but half of the mean square between two places anywhere.
    Short ways are as likely as long ones, so that the mean is taken as that of an exponential law,
    q = 2 m^2. Earlier ones are taken off later ones, so that the sign of what was added stays.
    """
    one, two = (operand.moments for operand in call.operands)
    anywhere = min(one.elements, two.elements) == max(one.elements, two.elements)
    share = 0.5 if anywhere else 1.0
    after = (one if one.elements >= two.elements else two)._replace(
        square=share * one.square,
        shared=share * one.shared,
        local=share * one.local,
        mean=one.sign * math.sqrt(0.5 * share * one.square),
        shape=call.shape,
        axes=axes_of_result(call),
        spread=(),
        total="",
    )
    return Step(after, (Gain(1.0), Gain(1.0)))


def _gap_below_larger(call: Call) -> float | None:
    """E (z - x)^2 where the larger one z of two is taken off one of them, x.

    Told by its moments, because x is often computed once for z and once more for the difference.
    """
    one, *others = (operand.moments for operand in call.operands)
    for mean, square, gap in others[0].below if len(others) == 1 else ():
        if (mean, square) == (one.mean, one.square):
            return gap
    return None


def _beaten(call: Call, gap: float) -> Step:
    """x - max(x, y): 0 where x wins, else negative, so that its exponential never exceeds 1.

    What such exponentials are divided by takes the maximum out again, so that of its gradients
    nothing is left in all.
    """
    one, two = (operand.moments for operand in call.operands)
    square = bounded(gap)
    mean = one.mean - two.mean
    apart = max(square - mean * mean, 0.0)
    after = one._replace(
        square=square,
        shared=mean * mean + apart * one.correlation,
        local=mean * mean + apart * one.local_correlation,
        mean=mean,
        spread=(),
        curve=None,
        sign=-1,
        skew=0.0,
    )
    return Step(after.sized(call.shape), (Gain(1.0), NOTHING))


def _copies(operand: Operand, after: Moments) -> Landing | None:
    """An operand that all positions share gets the sum of their gradients."""
    copies = after.extent(POSITION)
    return gathered(copies, 1.0) if is_shared(operand.moments, after) and copies > 1 else None


def _dominant(call: Call, terms: list[Moments], sign: float) -> Step | None:
    """A sum of which all but one term is nothing, as at a zero-initialised last norm.

    It stays a function of the same Gaussian, so that a ReLU behind a ReLU changes nothing.
    """
    total = sum(term.square for term in terms)
    place = max(range(len(terms)), key=lambda index: terms[index].square)
    kept = terms[place]
    if kept.curve is None or kept.square < (1.0 - _NOTHING) * total:
        return None
    if kept.shape != call.shape or (place and sign < 0):
        return None
    gains = (Gain(1.0, along=1.0 if index == place else 0.0) for index in range(len(terms)))
    return Step(kept, tuple(gains))


def _term_gain(term: Moments, after: Moments, cross: float, lands: Landing | None) -> Gain:
    """1; along the signal, the share of the term in the sum, <a, a + b> / |a + b|^2."""
    share = max(-1.0, min((term.square + cross) / after.square, 1.0))
    return Gain(1.0, along=share * math.sqrt(after.square / term.square), lands=lands)


def _sum(one: Moments, two: Moments, sign: float) -> Moments:
    cross = 2.0 * sign * one.mean * two.mean
    square = bounded(one.square + two.square + cross)
    larger = one if one.square >= two.square else two
    single = None
    if one.single is not None or two.single is not None:
        single = (one.single or one.square) + (two.single or two.square)
    return Moments(
        square,
        one.shared + two.shared + cross,
        one.local + two.local + cross,
        one.mean + sign * two.mean,
        larger.shape,
        larger.axes,
        _joined(one, two),
        single=None if single is None else bounded(single + cross),
        sign=one.sign if one.sign == sign * two.sign else 0,
        skew=one.skew + sign * two.skew,
        visible=min(one.visible, two.visible),
    )


def _joined(one: Moments, two: Moments) -> tuple[tuple[float, ...], ...]:
    if not one.spread or not two.spread or len(one.spread) != len(two.spread):
        return one.spread or two.spread
    weight = one.square / (one.square + two.square)
    return tuple(
        tuple(weight * a + (1.0 - weight) * b for a, b in zip(x, y, strict=True))
        if len(x) == len(y)
        else ()
        for x, y in zip(one.spread, two.spread, strict=True)
    )


def _with_scalar(call: Call, sign: float) -> Step:
    number = scalar_of(call)
    if not call.operands:
        return Step(call.first.sized(call.shape), ())
    if number is None:
        return masked(call)
    backwards = call.name.startswith("rsub") or number_comes_first(call)
    slope = sign if backwards and sign < 0 else 1.0
    offset = number if backwards or sign > 0 else -number
    return apply(Line(slope, offset), call.operands[0], call.shape)


def addition_of_product(call: Call) -> Step:
    """`addcmul`: a + b c."""
    if len(call.operands) != 3:
        return addition(call)
    product = multiplication(call._replace(operands=call.operands[1:]))
    whole = addition(call._replace(operands=(call.operands[0], Operand("", product.moments))))
    return Step(whole.moments, (whole.gains[0], *product.gains), product.direct)


def extremum(call: Call) -> Step:
    """The larger or the smaller of two independent Gaussians, in moments of Clark (1961).

    E max = m1 P + m2 (1 - P) + t p and E max^2 = q1 P + q2 (1 - P) + (m1 + m2) t p with
    t^2 = s1^2 + s2^2 and the probability P, of density p, that the first one is larger. Each gets
    the gradient where it wins.
    """
    if len(call.operands) != 2:
        return passing(call)
    sign = -1.0 if "min" in call.name else 1.0
    one, two = (broadcast(operand, call) for operand in call.operands)
    theta = math.sqrt(one.variance + two.variance)
    alpha = sign * (one.mean - two.mean) / theta
    wins = 0.5 * math.erfc(-alpha / math.sqrt(2.0))
    between = sign * theta * math.exp(-0.5 * alpha * alpha) / math.sqrt(2.0 * math.pi)
    mean = one.mean * wins + two.mean * (1.0 - wins) + between
    both = 0.5 * (one.mean + two.mean) * between
    squares = one.square * wins + both, two.square * (1.0 - wins) + both
    square = bounded(sum(squares))
    variance = max(square - mean * mean, 0.0)
    after = one._replace(
        square=square,
        mean=mean,
        shared=mean * mean + variance * _weighted(wins, one.correlation, two.correlation),
        local=mean * mean
        + variance * _weighted(wins, one.local_correlation, two.local_correlation),
        spread=(),
        curve=None,
        sign=one.sign if one.sign == two.sign else 0,
        below=_gaps((one, two), square, mean, wins) if sign > 0.0 else (),
    )
    gains = (
        Gain(share, along=own / math.sqrt(square * term.square))
        for share, own, term in zip((wins, 1.0 - wins), squares, (one, two), strict=True)
    )
    return Step(after, tuple(gains))


def _gaps(
    terms: tuple[Moments, Moments], square: float, mean: float, wins: float
) -> tuple[tuple[float, float, float], ...]:
    """E (z - x)^2 = E z^2 + E x^2 - 2 E z x of the larger one z of two, for each of them.

    E z x = E z E x + s^2 P, by partial integration, where x wins with the probability P.
    """
    found = []
    for term, share in zip(terms, (wins, 1.0 - wins), strict=True):
        joint = mean * term.mean + term.variance * share
        found.append((term.mean, term.square, max(square + term.square - 2.0 * joint, 0.0)))
    return tuple(found)


def _weighted(share: float, one: float, two: float) -> float:
    return share * one + (1.0 - share) * two
