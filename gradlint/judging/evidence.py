"""From measurements to a verdict: pure functions, the only place where bounds are compared."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from gradlint.protocol.claim import Bound, Claim


class Severity(str, Enum):
    """How bad a confirmed finding is."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """0 for a note, 1 for a warning, 2 for an error."""
        return (Severity.NOTE, Severity.WARNING, Severity.ERROR).index(self)


class Verdict(str, Enum):
    """What became of a suspicion."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    INCONCLUSIVE = "inconclusive"
    PREDICTED = "predicted"


class RemedyVerdict(str, Enum):
    """What a remedy did to the claim it was tried against."""

    RESTORES = "restores"
    IMPROVES = "improves"
    INSUFFICIENT = "insufficient"


DISAGREEMENT = 1.0
"""Decades between prediction and measurement from which one of them is not to be believed."""


def disagrees(measured: float, predicted: float | None) -> bool:
    """Whether a prediction in decades is more than one away from what was measured."""
    if predicted is None or math.isnan(measured) or measured == predicted:
        return False
    return not abs(measured - predicted) <= DISAGREEMENT


@dataclass(frozen=True, slots=True)
class Evidence:
    """One claim beside what was measured, one value for each seed."""

    claim: Claim
    measured: tuple[float, ...]
    verdict: Verdict
    reason: str = ""
    predicted: float | None = None

    @property
    def typical(self) -> float:
        """The median of the measured values, NaN where there are none."""
        ordered = sorted(value for value in self.measured if not math.isnan(value))
        return ordered[len(ordered) // 2] if ordered else math.nan

    @property
    def disagrees(self) -> bool:
        """Whether what is predicted is more than a decade away from what was measured."""
        return self.claim.quantity.unit == "decade" and disagrees(self.typical, self.predicted)

    @property
    def beyond_error(self) -> bool:
        """Whether every seed breaks the bound at which a finding becomes an error.

        Where there is no measurement, the prediction.
        """
        error = self.claim.error
        foretold = self.predicted if self.verdict is Verdict.PREDICTED else None
        values = self.measured if foretold is None else (foretold,)
        return error is not None and _broken_by_all(error, values)


def judge(
    claim: Claim, measured: tuple[float, ...], *, repeatable: bool, reason: str = ""
) -> Evidence:
    """Compare the values of a claim, one for each seed, with its bound.

    A value that is NaN was not measured; an infinite one breaks any finite bound on its side.
    """

    def evidence(verdict: Verdict, why: str = "") -> Evidence:
        return Evidence(claim, measured, verdict, why)

    if not measured or all(math.isnan(value) for value in measured):
        return evidence(Verdict.INCONCLUSIVE, reason or "not run")
    if any(math.isnan(value) for value in measured):
        return evidence(Verdict.INCONCLUSIVE, reason or "not finite")
    broken = [not claim.bound.holds(value) for value in measured]
    if not any(broken):
        return evidence(Verdict.REFUTED)
    if not all(broken):
        return evidence(Verdict.INCONCLUSIVE, "seeds disagree")
    if not repeatable:
        return evidence(Verdict.INCONCLUSIVE, "not repeatable: the same seed gave another value")
    return evidence(Verdict.CONFIRMED)


def foretell(claim: Claim, predicted: float | None) -> Evidence:
    """Compare what is predicted for a claim with its bound, where nothing could be measured."""
    if predicted is None or math.isnan(predicted):
        why = "nothing was measured, and this is not predicted"
        return Evidence(claim, (), Verdict.INCONCLUSIVE, why)
    verdict = Verdict.REFUTED if claim.bound.holds(predicted) else Verdict.PREDICTED
    return Evidence(claim, (), verdict, predicted=predicted)


def _broken_by_all(bound: Bound, values: tuple[float, ...]) -> bool:
    return bool(values) and not any(bound.holds(value) for value in values)
