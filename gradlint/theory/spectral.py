"""Fourier transforms: sums of N terms of modulus 1."""

from __future__ import annotations

import math

from gradlint.theory.moments import bounded
from gradlint.theory.step import Call, Gain, Step


def fourier(call: Call) -> Step:
    """q' = N q for N transformed elements, 1 / N for an inverse.

    Half of it returns to a real input.

    The rows of the transform have modulus 1, and the gradient of a real input is the real part of
    the sum over N outputs: gain N / 2 (Parseval).
    """
    before = call.first
    rank = len(before.shape)
    first = 1 if call.name.endswith("n") else max(rank - (2 if call.name.endswith("2") else 1), 0)
    count = max(math.prod(before.shape[first:]), 1)
    factor = 1.0 / count if "ifft" in call.name or "irfft" in call.name else float(count)
    after = before._replace(
        square=bounded(before.square * factor),
        shared=before.shared * factor,
        local=0.0,
        mean=0.0,
        shape=call.shape,
        spread=(),
        curve=None,
        sign=0,
        skew=0.0,
    )
    return Step(after, (Gain(0.5 * factor),) * len(call.operands))


def real_part(call: Call) -> Step:
    """The real or the imaginary part: half of the energy."""
    before = call.first
    after = before._replace(
        square=0.5 * before.square,
        shared=0.5 * before.shared,
        local=0.5 * before.local,
        shape=call.shape,
        curve=None,
        sign=0,
        skew=0.0,
    )
    return Step(after, (Gain(1.0),) * len(call.operands))
