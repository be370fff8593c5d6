"""One region, one finding: which of several rules names the cause, and what a remedy achieved."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gradlint.judging.causes import Judged, findings, remedy_verdict
from gradlint.judging.evidence import Evidence, RemedyVerdict, Severity, Verdict
from gradlint.protocol.claim import Bound, Claim
from gradlint.protocol.quantity import Quantity
from gradlint.protocol.remedy import (
    Action,
    AddSkip,
    Initialise,
    Normalise,
    Remedy,
    ReplaceActivation,
)
from gradlint.protocol.span import Span
from gradlint.report import Finding, TriedRemedy
from gradlint.rule import Family, GraphRule, Hypothesis, LayerGraph
from gradlint.theory import Attribution, Cause

DECADES = Claim(Quantity.GRADIENT_DECADES, "body.0", Bound(-2.5, 2.5), error=Bound(-3, 3))
DECAY = Claim(Quantity.RECURRENT_DECAY, "rnn", Bound(at_least=-2), error=Bound(at_least=-3))

INITIALISE: tuple[Action, ...] = (Initialise(("a",), 1.4),)
NORM: tuple[Action, ...] = (Normalise(("a",), "batch"),)
SKIP_AND_NORM: tuple[Action, ...] = (Normalise(("a",), "layer"), AddSkip((("a", "b"),)))


class Silent(GraphRule):
    """A rule that suspects nothing; the tests speak for it."""

    family = Family.TOPOLOGY
    references = ()
    examples = ()

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        yield from ()


class DeepSigmoid(Silent):
    """One rule."""

    family = Family.ACTIVATION


class BadScale(Silent):
    """Another rule."""

    family = Family.INIT


def judged(
    rule: type[GraphRule],
    *remedies: tuple[tuple[Action, ...], float],
    region: tuple[str, ...] = ("a", "b"),
    verdict: Verdict = Verdict.CONFIRMED,
    measured: tuple[float, ...] = (-9.0, -9.1, -9.2),
    definite: bool = False,
    only_if_cured: bool = False,
    symptom: bool = False,
    severity: Severity = Severity.ERROR,
    line: int = 7,
) -> Judged:
    offers = tuple(Remedy(str(actions), actions) for actions, _ in remedies)
    hypothesis = Hypothesis(
        Span("model.py", line), "a", "something is wrong", (DECADES,), region, offers,
        severity=severity, definite=definite, only_if_cured=only_if_cured,
        symptom=symptom,
    )  # fmt: skip
    tried = tuple(
        TriedRemedy(str(actions), (after,), remedy_verdict(DECADES, -9.0, after))
        for actions, after in remedies
    )
    return Judged(rule, hypothesis, (Evidence(DECADES, measured, verdict, ""),), tried)


def winner(*suspicions: Judged) -> str:
    (finding,) = findings(suspicions, "Net")
    assert {note.rule for note in finding.notes} | {finding.rule} == {
        item.rule.name() for item in suspicions
    }
    return finding.rule


@pytest.mark.parametrize(
    ("claim", "before", "after", "verdict"),
    [
        pytest.param(DECADES, -9.4, -0.3, RemedyVerdict.RESTORES, id="a third of a decade"),
        pytest.param(DECADES, -9.4, 1.0, RemedyVerdict.RESTORES, id="one decade on the other side"),
        pytest.param(DECADES, -9.4, -1.9, RemedyVerdict.IMPROVES, id="under two decades"),
        pytest.param(
            DECADES, -9.4, 2.4, RemedyVerdict.INSUFFICIENT, id="inside the bound, yet far"
        ),
        pytest.param(
            DECADES, -math.inf, -1.2, RemedyVerdict.IMPROVES, id="from no gradient at all"
        ),
        pytest.param(DECADES, -9.4, math.nan, RemedyVerdict.INSUFFICIENT, id="not measured"),
        pytest.param(DECADES, -9.4, math.inf, RemedyVerdict.INSUFFICIENT, id="exploded"),
        pytest.param(DECAY, -10.0, -1.9, RemedyVerdict.RESTORES, id="decay inside the bound"),
        pytest.param(DECAY, -10.0, -6.0, RemedyVerdict.IMPROVES, id="half of the distance"),
        pytest.param(DECAY, -10.0, -6.5, RemedyVerdict.INSUFFICIENT, id="less than half"),
        pytest.param(DECAY, -10.0, -12.0, RemedyVerdict.INSUFFICIENT, id="worse"),
        pytest.param(DECAY, -math.inf, -30.0, RemedyVerdict.IMPROVES, id="finite at last"),
        pytest.param(DECAY, -math.inf, -math.inf, RemedyVerdict.INSUFFICIENT, id="still infinite"),
    ],
)
def test_a_remedy_is_judged_by_where_it_leaves_the_value(
    claim: Claim, before: float, after: float, verdict: RemedyVerdict
) -> None:
    assert remedy_verdict(claim, before, after) is verdict


def test_one_suspicion_is_one_finding() -> None:
    (finding,) = findings([judged(DeepSigmoid, (NORM, -0.2))], "Net")
    assert (finding.rule, finding.family, finding.model) == ("deep-sigmoid", "activation", "Net")
    assert finding.verdict is Verdict.CONFIRMED
    assert finding.severity is Severity.ERROR
    assert finding.span == Span("model.py", 7)
    assert finding.notes == ()


def test_regions_that_meet_give_one_finding_with_notes() -> None:
    (finding,) = findings(
        [
            judged(DeepSigmoid, (NORM, -0.2), region=("a", "b")),
            judged(BadScale, (INITIALISE, -8.0), region=("b", "c")),
        ],
        "Net",
    )
    assert finding.rule == "deep-sigmoid"
    assert [note.rule for note in finding.notes] == ["bad-scale"]


def test_regions_that_meet_through_a_third_are_one() -> None:
    suspicions = [
        judged(DeepSigmoid, region=("a",)),
        judged(DeepSigmoid, region=("c",)),
        judged(BadScale, region=("a", "b", "c")),
    ]
    assert len(findings(suspicions, "Net")) == 1


def test_regions_apart_stay_two_findings() -> None:
    suspicions = [judged(DeepSigmoid, region=("a",)), judged(BadScale, region=("b",))]
    assert [f.rule for f in findings(suspicions, "Net")] == ["deep-sigmoid", "bad-scale"]


def test_the_rule_whose_remedy_recovers_most_names_the_cause() -> None:
    assert winner(judged(DeepSigmoid, (NORM, -0.3)), judged(BadScale, (INITIALISE, -1.8))) == (
        "deep-sigmoid"
    )
    assert winner(judged(DeepSigmoid, (NORM, -1.8)), judged(BadScale, (INITIALISE, -0.3))) == (
        "bad-scale"
    )


def test_a_rule_with_a_remedy_goes_before_one_without() -> None:
    assert winner(judged(BadScale), judged(DeepSigmoid, (NORM, -0.5))) == "deep-sigmoid"


def test_among_remedies_that_recover_alike_what_works_in_general_decides() -> None:
    weaker = judged(BadScale, (INITIALISE, 0.11))
    better = judged(DeepSigmoid, (SKIP_AND_NORM, 0.14))
    assert winner(weaker, better) == "deep-sigmoid"


def test_a_definite_fault_goes_before_the_shape_of_the_whole() -> None:
    definite = judged(BadScale, (INITIALISE, -0.4), definite=True)
    assert winner(judged(DeepSigmoid, (SKIP_AND_NORM, 0.1)), definite) == "bad-scale"


def test_a_symptom_comes_after_a_cause_however_well_its_remedy_does() -> None:
    symptom = judged(BadScale, (SKIP_AND_NORM, 0.0), symptom=True, definite=True)
    assert winner(symptom, judged(DeepSigmoid, (INITIALISE, -1.5))) == "deep-sigmoid"


def test_a_definite_fault_whose_remedy_fails_does_not() -> None:
    definite = judged(BadScale, (INITIALISE, -7.0), definite=True)
    assert winner(judged(DeepSigmoid, (SKIP_AND_NORM, 0.1)), definite) == "deep-sigmoid"


def test_of_equal_remedies_the_one_that_leaves_the_healthier_value_wins() -> None:
    assert winner(judged(BadScale, (NORM, -0.9)), judged(DeepSigmoid, (NORM, 0.0))) == (
        "deep-sigmoid"
    )


def test_the_order_of_the_rules_does_not_matter() -> None:
    one, other = judged(BadScale, (NORM, 0.11)), judged(DeepSigmoid, (NORM, 0.1))
    assert winner(one, other) == winner(other, one)


def test_the_worst_of_a_region_decides_how_severe_its_finding_is() -> None:
    mild = judged(DeepSigmoid, (NORM, -0.2), measured=(-2.7, -2.8, -2.6))
    severe = judged(BadScale, symptom=True)
    (finding,) = findings([mild, severe], "Net")
    assert (finding.rule, finding.severity) == ("deep-sigmoid", Severity.ERROR)


def test_a_rule_that_may_only_warn_does_not_speak_for_an_error() -> None:
    capped = judged(DeepSigmoid, (NORM, -0.2), severity=Severity.WARNING)
    (finding,) = findings([capped, judged(BadScale)], "Net")
    assert (finding.rule, finding.severity) == ("bad-scale", Severity.ERROR)


def test_the_cause_that_carries_most_decades_names_the_finding() -> None:
    shares = Attribution(-8.0, {Cause.ACTIVATION: -6.0, Cause.WEIGHTS: -2.0})
    pair = (judged(BadScale, (NORM, -0.1)), judged(DeepSigmoid, (NORM, -0.9)))
    assert winner(*pair) == "bad-scale"
    assert winner(*(replace(item, attribution=shares) for item in pair)) == "deep-sigmoid"


def test_a_region_is_split_by_cause_for_what_measures_something_else_of_it_too() -> None:
    shares = Attribution(-8.0, {Cause.ACTIVATION: -6.0, Cause.WEIGHTS: -2.0})
    weights = replace(judged(BadScale, (NORM, -0.1)), attribution=shares)
    assert winner(weights, judged(DeepSigmoid, (NORM, -0.9))) == "deep-sigmoid"


def test_what_speaks_of_the_whole_model_joins_one_finding_and_unites_none() -> None:
    apart = [judged(DeepSigmoid, (NORM, -0.2)), judged(BadScale, (NORM, -0.2), region=("c",))]
    symptom = judged(Silent, region=(), symptom=True)
    found = findings([symptom, *apart], "Net")
    assert len(found) == 2
    assert [[note.rule for note in finding.notes] for finding in found].count(["silent"]) == 1
    (alone,) = findings([symptom], "Net")
    assert alone.rule == "silent"


def test_what_is_confirmed_goes_before_what_is_only_suspected() -> None:
    unsure = judged(BadScale, (NORM, 0.0), verdict=Verdict.INCONCLUSIVE)
    assert winner(unsure, judged(DeepSigmoid)) == "deep-sigmoid"


LESSON = Claim(Quantity.UNLEARNED_SHARE, "loss()", Bound(at_most=0.6), error=Bound(at_most=0.8))


def rehearsed(verdict: Verdict, *shares: float) -> Judged:
    symptom = judged(Silent, region=(), verdict=verdict, symptom=True)
    return replace(symptom, evidence=(Evidence(LESSON, shares, verdict),))


@pytest.mark.parametrize(
    ("rehearsal", "measured", "severity"),
    [
        pytest.param(rehearsed(Verdict.REFUTED, 0.1), -9.0, Severity.WARNING, id="learnt"),
        pytest.param(
            rehearsed(Verdict.INCONCLUSIVE, 1.0, 0.1), -9.0, Severity.WARNING, id="learnt by a seed"
        ),
        pytest.param(
            rehearsed(Verdict.REFUTED, 0.1), -math.inf, Severity.ERROR, id="cut off, not weak"
        ),
        pytest.param(
            rehearsed(Verdict.INCONCLUSIVE, math.nan), -9.0, Severity.ERROR, id="not rehearsed"
        ),
    ],
)
def test_a_weak_gradient_is_no_error_where_training_was_seen_to_learn(
    rehearsal: Judged, measured: float, severity: Severity
) -> None:
    weak = judged(DeepSigmoid, measured=(measured,) * 3)
    found = findings([weak, rehearsal], "Net")
    assert next(f for f in found if f.rule == "deep-sigmoid").severity is severity


def fading_beside(rehearsal: Judged) -> Finding:
    """What is said of a gradient that loses six decades over time, beside a rehearsal."""
    decay = Claim(Quantity.RECURRENT_DECAY, "rnn", Bound(-2.0), error=Bound(-3.0), steps=30)
    lost = Evidence(decay, (-6.0,) * 3, Verdict.CONFIRMED)
    found = findings([replace(judged(DeepSigmoid), evidence=(lost,)), rehearsal], "Net")
    return next(finding for finding in found if finding.rule == "deep-sigmoid")


@pytest.mark.parametrize(
    ("steps", "severity"),
    [
        pytest.param(0, Severity.ERROR, id="a task without memory was learnt"),
        pytest.param(30, Severity.WARNING, id="the first step was recalled"),
    ],
)
def test_what_a_gradient_loses_over_time_is_forgiven_only_by_recall(
    steps: int, severity: Severity
) -> None:
    recall = Evidence(replace(LESSON, steps=steps), (0.1,), Verdict.REFUTED)
    taught = replace(rehearsed(Verdict.REFUTED), evidence=(recall,))
    assert fading_beside(taught).severity is severity


@pytest.mark.parametrize(
    ("left", "forgets", "severity"),
    [
        pytest.param(0.66, Verdict.REFUTED, Severity.WARNING, id="half of the symbols are told"),
        pytest.param(0.66, Verdict.CONFIRMED, Severity.ERROR, id="but the memory is gone again"),
        pytest.param(0.95, Verdict.REFUTED, Severity.ERROR, id="next to nothing is recalled"),
    ],
)
def test_a_memory_in_part_is_one_unless_its_gradient_has_vanished(
    left: float, forgets: Verdict, severity: Severity
) -> None:
    recall = Evidence(replace(LESSON, steps=30), (1.0, left, left), Verdict.CONFIRMED)
    trained = Claim(Quantity.TRAINED_DECAY, "rnn", Bound(at_least=-2.0), steps=30)
    rehearsal = replace(
        rehearsed(Verdict.CONFIRMED), evidence=(recall, Evidence(trained, (-2.2,), forgets))
    )
    assert fading_beside(rehearsal).severity is severity


@pytest.mark.parametrize(
    ("left", "severity"),
    [
        pytest.param((1.0, 0.1), Severity.WARNING, id="one of two recalls"),
        pytest.param((1.0, 0.1, 0.1), Severity.WARNING, id="two of three recall"),
        pytest.param((1.0, 0.1, 1.0), Severity.ERROR, id="one of three recalls"),
    ],
)
def test_a_recall_from_few_initialisations_is_luck(
    left: tuple[float, ...], severity: Severity
) -> None:
    recall = Evidence(replace(LESSON, steps=30), left, Verdict.INCONCLUSIVE)
    rehearsal = replace(rehearsed(Verdict.INCONCLUSIVE), evidence=(recall,))
    assert fading_beside(rehearsal).severity is severity


@pytest.mark.parametrize(
    ("most", "rule", "severity"),
    [
        pytest.param(Severity.WARNING, "bad-scale", Severity.ERROR, id="a warning names the cause"),
        pytest.param(Severity.NOTE, "silent", Severity.ERROR, id="a note does not"),
    ],
)
def test_an_error_that_only_a_symptom_shows_is_laid_to_what_was_confirmed(
    most: Severity, rule: str, severity: Severity
) -> None:
    mild = judged(BadScale)
    mild = replace(mild, hypothesis=replace(mild.hypothesis, severity=most))
    (found,) = findings([mild, rehearsed(Verdict.CONFIRMED, 1.0, 1.0)], "Net")
    assert (found.rule, found.severity) == (rule, severity)


def test_what_was_refuted_stands_alone() -> None:
    refuted = judged(BadScale, verdict=Verdict.REFUTED, measured=(-1.0,))
    found = findings([refuted, judged(DeepSigmoid, (NORM, 0.0))], "Net")
    assert [(f.rule, f.verdict) for f in found] == [
        ("deep-sigmoid", Verdict.CONFIRMED),
        ("bad-scale", Verdict.REFUTED),
    ]
    assert found[0].notes == ()


def test_a_rule_that_is_confirmed_in_one_way_is_not_refuted_in_another() -> None:
    tasks = [rehearsed(Verdict.CONFIRMED, 1.0, 1.0), rehearsed(Verdict.REFUTED, 0.1)]
    assert [finding.verdict for finding in findings(tasks, "Net")] == [Verdict.CONFIRMED]


def test_the_best_remedy_is_listed_first() -> None:
    suspicion = judged(DeepSigmoid, (INITIALISE, -0.1), (NORM, -7.0), (SKIP_AND_NORM, 0.3))
    (finding,) = findings([suspicion], "Net")
    assert [remedy.title for remedy in finding.remedies] == [
        str(SKIP_AND_NORM),
        str(INITIALISE),
        str(NORM),
    ]


def test_a_bound_broken_but_not_by_much_is_a_warning() -> None:
    (finding,) = findings([judged(DeepSigmoid, measured=(-2.6, -2.9, -9.0))], "Net")
    assert finding.severity is Severity.WARNING


def test_a_hypothesis_can_cap_its_severity() -> None:
    (finding,) = findings([judged(DeepSigmoid, severity=Severity.NOTE)], "Net")
    assert finding.severity is Severity.NOTE


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        pytest.param("CC", Verdict.CONFIRMED, id="all confirmed"),
        pytest.param("CR", Verdict.REFUTED, id="one refuted"),
        pytest.param("IR", Verdict.REFUTED, id="refuted beats inconclusive"),
        pytest.param("CI", Verdict.INCONCLUSIVE, id="one inconclusive"),
        pytest.param("CP", Verdict.PREDICTED, id="one only predicted"),
        pytest.param("", Verdict.INCONCLUSIVE, id="no claim"),
    ],
)
def test_every_claim_must_hold_for_a_suspicion_to_be_true(verdicts: str, expected: Verdict) -> None:
    by_letter = {verdict.name[0]: verdict for verdict in Verdict}
    evidence = tuple(Evidence(DECADES, (), by_letter[v], f"because {v}") for v in verdicts)
    item = Judged(DeepSigmoid, judged(DeepSigmoid).hypothesis, evidence)
    assert item.verdict is expected
    if verdicts:
        assert item.reason == f"because {expected.name[0]}"


def test_what_is_missing_is_confirmed_only_where_adding_it_helps() -> None:
    cured = judged(DeepSigmoid, (SKIP_AND_NORM, 0.1), only_if_cured=True)
    not_cured = judged(DeepSigmoid, (SKIP_AND_NORM, -7.0), only_if_cured=True)
    untried = judged(DeepSigmoid, only_if_cured=True)
    assert cured.verdict is Verdict.CONFIRMED
    assert (not_cured.verdict, untried.verdict) == (Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE)
    assert not_cured.reason == f"not cured by this: {SKIP_AND_NORM}"
    assert untried.reason == "no remedy fits, so nothing proves it"


def test_a_refuted_suspicion_stays_refuted_without_a_cure() -> None:
    item = judged(DeepSigmoid, verdict=Verdict.REFUTED, only_if_cured=True)
    assert item.verdict is Verdict.REFUTED


def test_activations_weights_and_norms_together_are_a_known_kind_of_remedy() -> None:
    whole: tuple[Action, ...] = (ReplaceActivation(("b",), "relu"), *INITIALISE, *NORM)
    suspicion = judged(DeepSigmoid, (INITIALISE, 0.0), (whole, 0.0))
    (finding,) = findings([suspicion], "Net")
    assert finding.remedies[0].title == str(whole)
