"""Whether a file shows a learning rate that may start low and rise."""

from __future__ import annotations

import re

from gradlint.discovery.project.reading import Reading

_NAMED = re.compile(r"warm(?!_?restarts)", re.IGNORECASE)
_BY_HAND = re.compile(r"""\[["']lr["']\]\s*[*/]?=(?!=)|\bstep\w*\s*\*\*\s*\(?\s*-""")
_FALLING = frozenset(
    {
        "CosineAnnealingLR",
        "CosineAnnealingWarmRestarts",
        "ExponentialLR",
        "MultiStepLR",
        "PolynomialLR",
        "ReduceLROnPlateau",
        "StepLR",
    }
)


def warms_up(reading: Reading) -> bool:
    """Whether the file speaks of a warm-up or has a schedule that may be one.

    May be: any but torch's falling ones, so LambdaLR, LinearLR, OneCycleLR, a schedule of another
    package, and a rate that the loop assigns itself, such as d_model**-0.5 · step**-0.5.
    """
    text = reading.source.text
    if _NAMED.search(text) or _BY_HAND.search(text):
        return True
    names = (reading.imports.qualified(called.node.func) for called in reading.outline.calls)
    return any(_may_rise(name.rpartition(".")[2]) for name in names)


def _may_rise(called: str) -> bool:
    """Whether what is called, by the last part of its name, makes a schedule that may rise."""
    is_schedule = called.endswith("LR") or "sched" in called.lower()
    return is_schedule and called not in _FALLING
