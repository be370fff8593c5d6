"""How measured numbers are written: rounded, in words, and drawn as bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from gradlint.protocol.claim import Bound, Claim
from gradlint.protocol.quantity import Quantity

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII_BLOCKS = "_.-=+*#@"

_WORDS = {
    Quantity.UNLEARNED_SHARE: "share of a simple task that a short training leaves unlearnt",
    Quantity.UNLEARNED_START: "loss on one batch after 60 steps, over that of a constant output",
    Quantity.GRADIENT_DECADES: "gradient at {of}, relative to the output",
    Quantity.RECURRENT_DECAY: "gradient at {first_step} of {of}, relative to the last",
    Quantity.TRAINED_DECAY: "gradient after a short training, at {first_step} of {of}",
    Quantity.GRADIENT_NORM: "norm of the whole gradient",
    Quantity.SATURATION: "saturated share of {of}",
    Quantity.DEAD_SHARE: "share of the units of {of} that are always zero",
    Quantity.LOGIT_SPREAD: "deviation of the output over samples",
    Quantity.INPUT_CORRELATION: "correlation of two different inputs at {of}",
    Quantity.WEAKEST_GRADIENT: "rms gradient of the weakest layer, {of}",
    Quantity.TRAINING_SPIKE: "highest loss of a short training run, relative to the first",
    Quantity.GRADIENT_RANK: "rank of the gradient of {of}, as a share of its rows",
    Quantity.TOKEN_CORRELATION: "correlation of the positions of one sequence at {of}",
    Quantity.GRADIENT_GAIN: "gradient that {of} hands down, relative to what it receives",
    Quantity.NONLINEARITY: "share of the gradient through {of} that differs between inputs",
    Quantity.ZERO_SHARE: "share of zeros in the output of {of}",
    Quantity.FORGET_GATE: "share that the forget gate of {of} keeps in one step",
    Quantity.REPRESENTATION_SPREAD: "difference between inputs at {of}, relative to its size",
    Quantity.REACHED_SHARE: "share of the parameters of {of} that a gradient reaches",
    Quantity.STRAY_SHARE: "share of the trained numbers that {of} hides from the optimizer",
    Quantity.SIGNAL_GROWTH: "size of the output of {of}, relative to that of {since}",
    Quantity.NORMALIZED_VALUES: "values behind each mean and variance of {of}",
    Quantity.BIAS_GRADIENT: "gradient of the bias of {of}, relative to its weight's",
    Quantity.VARIANCE_SHIFT: "variance of the input of {of} with dropout, relative to without",
    Quantity.INTENSITY_RESPONSE: "change of the output when brightness and contrast change",
    Quantity.GRADIENT_LOTTERY: "deviation of the gradient at {of} over initialisations",
    Quantity.PASSED_GRADIENT: "gradient that passes through {of}",
    Quantity.WRONG_GRADIENT: "gradient where {of} is badly wrong, relative to where it is unsure",
    Quantity.OUTSIDE_DOMAIN: "share of what the loss is given outside of its domain",
    Quantity.STRESS_FAILURES: "share of extreme outputs whose gradient at {of} is not finite",
    Quantity.OUTPUT_HIGHEST: "highest output that any logits at {of} can reach",
    Quantity.OUTPUT_LOWEST: "lowest output that any logits at {of} can reach",
    Quantity.HALF_UNDERFLOW: "share of the gradients that are zero in half precision",
    Quantity.HALF_OVERFLOW: "share of the output of {of} beyond the range of half precision",
}
_RELATIVE = (Quantity.GRADIENT_DECADES, Quantity.RECURRENT_DECAY)
_SMALLEST_SPREAD = 3.0  # decades; because a bar must not blow up noise into a slope


def rounded(value: float, digits: int = 4) -> float:
    """`value` to `digits` significant digits, never -0."""
    return float(f"{value:.{digits}g}") + 0.0 if math.isfinite(value) else value


def number(value: float, quantity: Quantity = Quantity.GRADIENT_DECADES) -> str:
    """`value` for people: decades with two decimals, all else with three digits."""
    if math.isnan(value):
        return "not measured"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    text = f"{value:.2f}" if quantity.unit == "decade" else f"{value:.3g}"
    return text.removeprefix("-") if float(text) == 0 else text


def numbers(values: Sequence[float], quantity: Quantity) -> str:
    """The values, one for each seed, with commas."""
    return ", ".join(number(value, quantity) for value in values) or "not measured"


def subject(claim: Claim) -> str:
    """What a claim speaks of, in words."""
    steps = f"the first of {claim.steps} steps" if claim.steps else "the first step"
    words = _WORDS.get(claim.quantity, f"{claim.quantity.value.replace('-', ' ')} of {{of}}")
    since = claim.since or "the input"
    text = words.format(of=claim.of or "the model", since=since, first_step=steps)
    return f"{text}, after one optimizer step" if claim.after_step else text


def unit(quantity: Quantity) -> str:
    """The unit with a space before it, nothing where the number is a plain one."""
    return {"decade": " decades"}.get(quantity.unit, "")


def healthy(bound: Bound) -> str:
    """The bound in words."""
    match math.isfinite(bound.at_least), math.isfinite(bound.at_most):
        case True, True:
            return f"between {bound.at_least:.3g} and {bound.at_most:.3g}"
        case True, False:
            return f"at least {bound.at_least:.3g}"
        case False, True:
            return f"at most {bound.at_most:.3g}"
    return "any value"


def factor(quantity: Quantity, decades: float) -> str:
    """What a gradient's decades mean as a factor, "" where they are no comparison of gradients."""
    if quantity not in _RELATIVE or math.isnan(decades):
        return ""
    if math.isinf(decades):
        return "no gradient arrives" if decades < 0 else "not finite"
    size = _times(abs(decades))
    return f"{size} times {'weaker' if decades < 0 else 'stronger'}"


def _times(decades: float) -> str:
    if decades > 15:
        return f"10^{decades:.0f}"
    value = float(f"{10**decades:.2g}")
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def bar(values: Sequence[float], *, width: int = 40, unicode: bool = True) -> str:
    """One character for each of `values`, or for each group of neighbours where there are too many.

    The height grows with the value, over at least three decades; `x` stands where none is finite.
    """
    blocks = BLOCKS if unicode else ASCII_BLOCKS
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return "x" * min(len(values), width)
    high = max(finite)
    low = min(*finite, high - _SMALLEST_SPREAD)
    return "".join(_block(group, low, high, blocks) for group in _groups(values, width))


def _groups(values: Sequence[float], width: int) -> list[list[float]]:
    count = min(len(values), width)
    edges = [round(index * len(values) / count) for index in range(count + 1)]
    return [list(values[start:end]) for start, end in pairwise(edges)]


def _block(group: Sequence[float], low: float, high: float, blocks: str) -> str:
    finite = [value for value in group if math.isfinite(value)]
    if not finite:
        return "x"
    share = (median(finite) - low) / (high - low)
    return blocks[min(int(share * len(blocks)), len(blocks) - 1)]


def typical(values: Sequence[float]) -> float:
    """The median of what was measured, NaN where nothing was."""
    known = [value for value in values if not math.isnan(value)]
    return median(known) if known else math.nan
