"""Places that are hidden, written over, or chosen from one of two tensors."""

from __future__ import annotations

import math

from gradlint.theory.elementwise import passing
from gradlint.theory.places import thinned
from gradlint.theory.step import NOTHING, UNCHANGED, Call, Gain, Step, filling

_HIDDEN = -1e4
"""Below this a logit is meant to have no weight."""


def chosen(call: Call) -> Step:
    """One of two tensors at each place: moments and gradient by the share of places that it has."""
    share = call.layer.setting("argument0.mean", -1.0)
    if len(call.operands) != 2 or not 0.0 <= share <= 1.0:
        return masked(call)
    one, two = (operand.moments for operand in call.operands)
    if one.shape != two.shape:
        return masked(call)
    if share in (0.0, 1.0):  # because the one that is left may still be a function or have a sign
        gains = (UNCHANGED, NOTHING) if share else (NOTHING, UNCHANGED)
        return Step((one if share else two).sized(call.shape), gains)
    after = one._replace(
        square=share * one.square + (1.0 - share) * two.square,
        shared=share * one.shared + (1.0 - share) * two.shared,
        local=share * one.local + (1.0 - share) * two.local,
        mean=share * one.mean + (1.0 - share) * two.mean,
        shape=call.shape,
        curve=None,
        sign=one.sign if one.sign == two.sign else 0,
    )
    shares = ((one, share), (two, 1.0 - share))
    return Step(after, tuple(filling(own, s * one.elements, after, s) for own, s in shares))


def masked(call: Call) -> Step:
    """A copy of which some elements are hidden, as from the softmax that follows, or written over.

    A share s that gets the value v: q' = (1 - s) q + s v^2, gain 1 - s.
    """
    step, hidden = passing(call), hidden_share(call)
    if 0.0 < hidden < 1.0:
        return step._replace(moments=step.moments._replace(visible=1.0 - hidden, curve=None))
    share, value = _written_over(call)
    if not 0.0 < share < 1.0 or not math.isfinite(value):
        return step
    kept, before, level = 1.0 - share, step.moments, share * value * value
    after = before._replace(
        square=kept * before.square + level,
        shared=kept * before.shared + level,
        local=kept * kept * before.local + share * level,
        mean=kept * before.mean + share * value,
        curve=None,
        sign=before.sign if value * before.sign >= 0.0 else 0,
        skew=0.0,
    )
    return Step(after, (Gain(kept, lands=thinned(kept)),) * len(call.operands))


def _written_over(call: Call) -> tuple[float, float]:
    """The share of the elements that get another value, and that value, as far as both are told."""
    setting = dict(call.layer.settings).get
    if call.name == "masked_fill":
        share, value = setting("argument1.mean", setting("mask.mean")), "argument2"
    elif call.name == "where" and "argument1" in dict(call.layer.settings):
        share, value = setting("argument0.mean"), "argument1"
    else:
        share, value = 1.0 - call.layer.setting("argument0.mean", 1.0), "argument2"
    written = setting(value, setting("value"))
    if isinstance(share, float) and isinstance(written, int | float):
        return share, float(written)
    return 0.0, 0.0


def hidden_share(call: Call) -> float:
    """Of a choice between logits and a very negative number, or of the sum with a mask of such."""
    setting = call.layer.setting
    match call.name:
        case "where" if min(setting("argument2"), setting("argument2.mean")) < _HIDDEN:
            return 1.0 - setting("argument0.mean", 1.0)
        case "where" if min(setting("argument1"), setting("argument1.mean")) < _HIDDEN:
            return setting("argument0.mean")
        case "where" if setting("argument0.mean") < _HIDDEN:  # as in hidden.where(mask, x)
            return setting("argument1.mean")
        case "masked_fill" if setting("argument2", setting("value")) < _HIDDEN:
            return setting("argument1.mean", setting("mask.mean"))
    for name in ("argument0", "argument1", "other", "input"):
        mean, square = setting(f"{name}.mean"), setting(f"{name}.square")
        if mean < 0.0 and square > _HIDDEN**2:
            return min(mean * mean / square, 1.0)
    return 0.0
