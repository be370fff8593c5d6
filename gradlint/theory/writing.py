"""Operations that write one tensor into places of another, or add it there."""

from __future__ import annotations

from gradlint.theory.elementwise import passing
from gradlint.theory.moments import Moments, bounded
from gradlint.theory.step import NOTHING, Call, Gain, Step, filling


def written(call: Call) -> Step:
    """A source in a share s of the places: q' = (1 - s) q1 + s q2, gains 1 - s and s.

    s is how much of a mask is true, else the number of elements of the source over that of all. A
    tensor alone is written into constants, as into zeros.
    """
    before = call.first.sized(call.shape)
    sources = call.operands[1:2] or call.operands[:1]
    if not sources or (len(call.operands) == 1 and sources[0].moments.elements >= before.elements):
        return passing(call)
    source = sources[0].moments
    share = call.layer.setting("argument1.mean", source.elements / max(before.elements, 1))
    share = min(max(share, 0.0), 1.0)
    if len(call.operands) == 1:
        return Step(_joint(before, source, 0.0, share), (Gain(share),))
    after = _joint(before, source, 1.0 - share, share)
    kept, filled = ((1.0 - share) * before.elements, share * before.elements)
    gains = filling(before, kept, after, 1.0 - share), filling(source, filled, after, share)
    return Step(after, gains + (NOTHING,) * (len(call.operands) - 2))


def added(call: Call) -> Step:
    """A source added to some places, once or often: q' = q1 + q2 n2 / n1, gains 1 and n2 / n1."""
    if len(call.operands) < 2:
        return written(call)
    before, source = call.first.sized(call.shape), call.operands[1].moments
    share = source.elements / max(before.elements, 1)
    after = _joint(before, source, 1.0, share)
    gains = (
        filling(before, before.elements, after, 1.0),
        filling(source, source.elements, after, share),
    )
    return Step(after, gains + (NOTHING,) * (len(call.operands) - 2))


def _joint(base: Moments, source: Moments, one: float, two: float) -> Moments:
    return base._replace(
        square=bounded(one * base.square + two * source.square),
        shared=one * base.shared + two * source.shared,
        local=one * base.local + two * source.local,
        mean=one * base.mean + two * source.mean,
        spread=(),
        curve=None,
        sign=base.sign if base.sign == source.sign else 0,
        skew=0.0,
        total="",
    )
