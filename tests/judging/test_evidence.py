"""Judging: the verdict that follows from the values of several seeds."""

from __future__ import annotations

import math

import pytest

from gradlint.judging.evidence import Evidence, Severity, Verdict, disagrees, foretell, judge
from gradlint.protocol.claim import Bound, Claim
from gradlint.protocol.quantity import Quantity

CLAIM = Claim(
    Quantity.GRADIENT_DECADES, "body.0", Bound(at_least=-2.5, at_most=2.5), error=Bound(-3, 3)
)


@pytest.mark.parametrize(
    ("measured", "verdict", "reason"),
    [
        pytest.param((-9.4, -9.3, -9.5), Verdict.CONFIRMED, "", id="all seeds far below"),
        pytest.param((4.0, 3.0, 2.6), Verdict.CONFIRMED, "", id="all seeds above"),
        pytest.param((-math.inf,) * 3, Verdict.CONFIRMED, "", id="no gradient at all"),
        pytest.param((-1.0, 0.0, 2.5), Verdict.REFUTED, "", id="all inside, the bound included"),
        pytest.param((-2.4, -2.6, -3.0), Verdict.INCONCLUSIVE, "seeds disagree", id="split"),
        pytest.param((math.nan, -9.0, -9.0), Verdict.INCONCLUSIVE, "not finite", id="one NaN"),
        pytest.param((), Verdict.INCONCLUSIVE, "not run", id="nothing measured"),
        pytest.param((math.nan,), Verdict.INCONCLUSIVE, "not run", id="only NaN"),
    ],
)
def test_the_verdict_follows_from_all_seeds(
    measured: tuple[float, ...], verdict: Verdict, reason: str
) -> None:
    evidence = judge(CLAIM, measured, repeatable=True)
    assert (evidence.verdict, evidence.reason) == (verdict, reason)
    assert evidence.measured == measured


def test_what_cannot_be_repeated_is_not_confirmed() -> None:
    evidence = judge(CLAIM, (-9.0, -9.0), repeatable=False)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "not repeatable" in evidence.reason


def test_health_needs_no_repetition() -> None:
    assert judge(CLAIM, (0.0,), repeatable=False).verdict is Verdict.REFUTED


def test_a_reason_from_the_worker_is_passed_on() -> None:
    evidence = judge(CLAIM, (math.nan,), repeatable=True, reason="the layer did not run")
    assert evidence.reason == "the layer did not run"


def test_the_typical_value_is_the_median_of_what_was_measured() -> None:
    def typical(*values: float) -> float:
        return Evidence(CLAIM, values, Verdict.CONFIRMED).typical

    assert typical(3.0, math.nan, 1.0, 2.0) == 2.0
    assert typical(-math.inf, -math.inf, 0.0) == -math.inf
    assert math.isnan(typical())
    assert math.isnan(typical(math.nan))


def test_an_error_needs_every_seed_beyond_its_bound() -> None:
    assert judge(CLAIM, (-3.1, -9.0), repeatable=True).beyond_error
    assert not judge(CLAIM, (-2.9, -9.0), repeatable=True).beyond_error
    assert not judge(CLAIM, (), repeatable=True).beyond_error


def test_a_claim_without_an_error_bound_is_never_an_error() -> None:
    mild = Claim(Quantity.SATURATION, "act", Bound(at_most=0.5))
    assert not judge(mild, (0.99,), repeatable=True).beyond_error


@pytest.mark.parametrize(
    ("bound", "value", "holds", "distance"),
    [
        pytest.param(Bound(-1, 1), 1.0, True, 0.0, id="on the edge"),
        pytest.param(Bound(-1, 1), 1.5, False, 0.5, id="above"),
        pytest.param(Bound(-1, 1), -3.0, False, 2.0, id="below"),
        pytest.param(Bound(at_most=1), -math.inf, True, 0.0, id="open end"),
        pytest.param(Bound(at_most=1), math.inf, False, math.inf, id="infinite"),
        pytest.param(Bound(), math.nan, False, math.inf, id="NaN is inside no bound"),
    ],
)
def test_a_bound_says_whether_and_how_far_a_value_is_outside(
    bound: Bound, value: float, holds: bool, distance: float
) -> None:
    assert bound.holds(value) is holds
    assert bound.distance(value) == distance


def test_severities_are_ordered() -> None:
    assert sorted(Severity, key=lambda s: s.rank) == [
        Severity.NOTE,
        Severity.WARNING,
        Severity.ERROR,
    ]


@pytest.mark.parametrize(
    ("predicted", "verdict", "error"),
    [
        pytest.param(-9.0, Verdict.PREDICTED, True, id="far outside"),
        pytest.param(-2.8, Verdict.PREDICTED, False, id="a little outside"),
        pytest.param(-1.0, Verdict.REFUTED, False, id="inside"),
        pytest.param(None, Verdict.INCONCLUSIVE, False, id="not predicted"),
        pytest.param(math.nan, Verdict.INCONCLUSIVE, False, id="not a number"),
    ],
)
def test_where_nothing_can_be_measured_the_prediction_decides(
    predicted: float | None, verdict: Verdict, error: bool
) -> None:
    evidence = foretell(CLAIM, predicted)
    assert (evidence.verdict, evidence.beyond_error) == (verdict, error)


@pytest.mark.parametrize(
    ("measured", "predicted", "expected"),
    [
        pytest.param(-9.0, -8.1, False, id="within a decade"),
        pytest.param(-9.0, -7.9, True, id="more than a decade"),
        pytest.param(-math.inf, -12.0, True, id="no gradient arrives"),
        pytest.param(-math.inf, -math.inf, False, id="both say that none arrives"),
        pytest.param(math.nan, -7.9, False, id="not measured"),
        pytest.param(-9.0, None, False, id="not predicted"),
    ],
)
def test_measurement_and_prediction_disagree_beyond_a_decade(
    measured: float, predicted: float | None, expected: bool
) -> None:
    assert disagrees(measured, predicted) is expected
