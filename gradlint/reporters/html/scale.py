"""How decades become colours: nine steps around zero, the same in every picture of a report."""

from __future__ import annotations

import math

STEPS = (-6.0, -4.0, -2.5, -1.0, 1.0, 2.5, 4.0, 6.0)
"""The decades at which one colour ends and the next begins; ±2.5 is what SGD bears."""


def shade(decades: float) -> str:
    """The CSS class of a value: `d0` is healthy, `d-4` vanished, `d4` exploded, `dn` unknown."""
    if math.isnan(decades):
        return "dn"
    if math.isinf(decades):
        return "dz" if decades < 0 else "d4"
    return f"d{sum(decades > step for step in STEPS) - len(STEPS) // 2}"
