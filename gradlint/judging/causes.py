"""Which of several judged suspicions about one region of a model names the cause."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from gradlint.judging.evidence import Evidence, RemedyVerdict, Severity, Verdict
from gradlint.protocol.claim import Claim
from gradlint.protocol.quantity import Quantity
from gradlint.protocol.remedy import (
    Action,
    Activate,
    AddSkip,
    Bypass,
    ClipGradients,
    ExchangeWithNorm,
    Floor,
    Initialise,
    LetThrough,
    Limit,
    LowerRate,
    Normalise,
    Orthogonalise,
    Register,
    Remedy,
    ReplaceActivation,
    ReplaceLoss,
    ReplaceRecurrent,
    ScaleLoss,
    SetBias,
    SetGateBias,
    SkipRecurrent,
)
from gradlint.protocol.span import Span
from gradlint.report import Finding, TriedRemedy
from gradlint.rule import Family, Hypothesis, Rule
from gradlint.theory import Attribution, Cause

RESTORES_WITHIN = 1.0
"""Decades: of the remedied networks with |L| below it 82 % learn with SGD."""
IMPROVES_WITHIN = 2.0
"""Decades: between `RESTORES_WITHIN` and this 66 % learn; above 3 none of 18 did."""

_HALF_LEARNT = 0.5
"""Share left to learn: a network of which one seed came down to .09 learnt, one at .52 failed."""
_RECALLED_IN_PART = 0.7
"""Share left of a first step: two of four symbols told from the others leave .5 to .67."""

_REMEDY_ORDER = (RemedyVerdict.RESTORES, RemedyVerdict.IMPROVES, RemedyVerdict.INSUFFICIENT)
_VERDICT_ORDER = (Verdict.CONFIRMED, Verdict.PREDICTED, Verdict.INCONCLUSIVE, Verdict.REFUTED)
_ALIKE = 0.1  # of values closer together than this none is better: seeds differ by as much


@dataclass(frozen=True, slots=True)
class Judged:
    """A suspicion and what was measured for it: its claims in `evidence`, its remedies as tried.

    `attribution` splits the decades of its region by cause, where the theory can. `survived` are
    quantities in spite of which the loop's own optimizer was seen to teach the model a task.
    """

    rule: type[Rule]
    hypothesis: Hypothesis
    evidence: tuple[Evidence, ...]
    remedies: tuple[TriedRemedy, ...] = ()
    attribution: Attribution | None = None
    survived: frozenset[Quantity] = frozenset()

    @property
    def verdict(self) -> Verdict:
        """Confirmed only if every claim is, refuted if any claim is, else what is known least of.

        Where something is said to be missing, a remedy that adds it must help, too.
        """
        verdict = self._verdict_of_claims
        uncured = self.hypothesis.only_if_cured and not self._cured
        return Verdict.INCONCLUSIVE if verdict is Verdict.CONFIRMED and uncured else verdict

    @property
    def _verdict_of_claims(self) -> Verdict:
        verdicts = {item.verdict for item in self.evidence} or {Verdict.INCONCLUSIVE}
        for decisive in (Verdict.REFUTED, Verdict.INCONCLUSIVE, Verdict.PREDICTED):
            if decisive in verdicts:
                return decisive
        return Verdict.CONFIRMED

    @property
    def reason(self) -> str:
        """Why there is no certain verdict, "" where there is one."""
        if self._verdict_of_claims is not self.verdict:
            tried = " and ".join(remedy.title for remedy in self.remedies)
            return (
                f"not cured by this: {tried}" if tried else "no remedy fits, so nothing proves it"
            )
        return next((item.reason for item in self.evidence if item.verdict is self.verdict), "")

    @property
    def _cured(self) -> bool:
        return any(remedy.verdict is not RemedyVerdict.INSUFFICIENT for remedy in self.remedies)


def remedy_verdict(claim: Claim, before: float, after: float) -> RemedyVerdict:
    """Say what a remedy did to the value of a claim, from `before` to `after`.

    Gradient decades: |L| ≤ 1 restores, |L| ≤ 2 improves; 65 failing networks and 351 remedied
    copies were trained to learn this. Any other quantity: inside the bound restores, at least half
    of the distance to it recovered improves. NaN is insufficient.
    """
    if math.isnan(after):
        return RemedyVerdict.INSUFFICIENT
    if claim.quantity is Quantity.GRADIENT_DECADES:
        restores, improves = abs(after) <= RESTORES_WITHIN, abs(after) <= IMPROVES_WITHIN
    else:
        left = claim.bound.distance(after)
        restores, improves = left == 0, left <= claim.bound.distance(before) / 2 < math.inf
        improves = improves or (math.isinf(claim.bound.distance(before)) and math.isfinite(left))
    if restores:
        return RemedyVerdict.RESTORES
    return RemedyVerdict.IMPROVES if improves else RemedyVerdict.INSUFFICIENT


def findings(judged: Sequence[Judged], model: str) -> tuple[Finding, ...]:
    """Turn what was judged of `model` into findings, one for each region.

    Suspicions whose regions meet, directly or through others, make one finding: that of the rule
    whose own remedy recovers most. The others are its notes, and it is as severe as the worst of
    them. A symptom of no region is one of the whole model and joins the gravest finding. Others
    without a region, and refuted ones, stand alone; a rule that is confirmed in one of two ways is
    not refuted as well. Where a rehearsal of the training was seen to learn, signals that should
    prevent it are warnings.
    """
    survived = frozenset[Quantity]().union(*map(_survived, judged))
    judged = [replace(item, survived=survived) for item in judged]
    said = {_place(item) for item in judged if item.verdict is Verdict.CONFIRMED}
    refuted = [
        [item] for item in judged if item.verdict is Verdict.REFUTED and _place(item) not in said
    ]
    standing = [item for item in judged if item.verdict is not Verdict.REFUTED]
    whole = [item for item in standing if item.hypothesis.symptom and not item.hypothesis.region]
    groups = _regions([item for item in standing if item not in whole])
    if whole and groups:
        min(groups, key=lambda group: min(map(_claim_to_be_the_cause, group))).extend(whole)
    elif whole:
        groups.append(whole)
    return tuple(_one_finding(group, model) for group in [*groups, *refuted])


def _place(item: Judged) -> tuple[type[Rule], Span, str]:
    return item.rule, item.hypothesis.span, item.hypothesis.layer


def _survived(item: Judged) -> frozenset[Quantity]:
    """What did not keep a rehearsal from success, be it from one of several initialisations.

    What a gradient loses over time matters only where the rehearsal was one of memory. There a part
    is success enough, but for memories that are gone again after every rehearsal.
    """
    confirmed = item.verdict is Verdict.CONFIRMED
    learnt = [e.claim for e in item.evidence if not confirmed and _learnt(e)]
    if any(claim.steps for claim in learnt):
        return _FORETELLING
    return _FORETELLING - {Quantity.RECURRENT_DECAY} if learnt else frozenset()


def _learnt(evidence: Evidence) -> bool:
    """Whether a rehearsal succeeded; one of memory from at least half of the initialisations.

    Because 26 of 308 recurrences without gates recall from one initialisation and not from another.
    If acquittals took one success of three, verdicts right about every rehearsal would find .88 of
    the programs that fail; with half they find .93 of them, and 96 of 100 findings are true.
    """
    if evidence.claim.quantity is not Quantity.UNLEARNED_SHARE:
        return False
    enough = _RECALLED_IN_PART if evidence.claim.steps else _HALF_LEARNT
    successes = sum(value <= enough for value in evidence.measured)
    needed = len(evidence.measured) / 2 if evidence.claim.steps else 1
    return evidence.verdict is Verdict.REFUTED or successes >= max(needed, 1)


def _regions(judged: Sequence[Judged]) -> list[list[Judged]]:
    groups: list[tuple[set[str], list[Judged]]] = []
    for item in judged:
        region = set(item.hypothesis.region)
        meeting = [group for group in groups if group[0] & region]
        merged = region.union(*(group[0] for group in meeting))
        members = [member for group in meeting for member in group[1]] + [item]
        groups = [group for group in groups if group not in meeting] + [(merged, members)]
    return [members for _, members in groups]


def _one_finding(group: Sequence[Judged], model: str) -> Finding:
    known = min(_VERDICT_ORDER.index(item.verdict) for item in group)
    certain = [item for item in group if _VERDICT_ORDER.index(item.verdict) == known]
    worst = max(map(_severity, certain), key=lambda severity: severity.rank)
    lent = next((item.attribution for item in group if item.attribution), None)
    first = partial(_claim_to_be_the_cause, lent=lent)
    cause = min(_able(certain, worst), key=first)
    others = sorted((item for item in group if item is not cause), key=first)
    notes = tuple(_finding(item, model) for item in others)
    return replace(_finding(cause, model, notes), severity=worst)


def _able(certain: Sequence[Judged], worst: Severity) -> list[Judged]:
    """What may be as severe as `worst`; where only symptoms may, more than a note is enough."""
    able = [item for item in certain if item.hypothesis.severity.rank >= worst.rank]
    if not all(item.hypothesis.symptom for item in able):
        return able
    return [*able, *(item for item in certain if item.hypothesis.severity is Severity.WARNING)]


_SPEAKS_OF: dict[Family, frozenset[Cause]] = {
    Family.ACTIVATION: frozenset({Cause.ACTIVATION}),
    Family.INIT: frozenset({Cause.WEIGHTS}),
    Family.RECURRENT: frozenset({Cause.RECURRENCE}),
    Family.TOPOLOGY: frozenset({Cause.WEIGHTS, Cause.MISSING_NORM, Cause.NORM}),
    Family.NORMALIZATION: frozenset({Cause.MISSING_NORM, Cause.NORM}),
}
"""The causes that a family's rules name; around layers with a skip their scale counts little."""


def _carried(item: Judged, lent: Attribution | None) -> float:
    """Decades that the causes carry of which the rule speaks, in steps that noise does not take.

    Another suspicion of the same region lends its attribution to one that has none.
    """
    attribution = item.attribution or lent
    if attribution is None:
        return 0.0
    return round(attribution.share(_SPEAKS_OF.get(item.rule.family, frozenset())), 1)


def _claim_to_be_the_cause(
    item: Judged, lent: Attribution | None = None
) -> tuple[int, bool, bool, bool, float, int, float, int, int, str, int]:
    """A key that puts the cause first.

    Verdict, cause or symptom, helped or not, definite or not, decades carried, best remedy,
    recovery, repute.
    """
    recoveries = [(o, d, p) for o, p, d in (_merit(item, tried) for tried in item.remedies)]
    none = (len(_REMEDY_ORDER), math.inf, len(_PREFERENCE))
    outcome, distance, preference = min(recoveries, default=none)
    restoring = sum(tried.verdict is RemedyVerdict.RESTORES for tried in item.remedies)
    return (
        _VERDICT_ORDER.index(item.verdict),
        item.hypothesis.symptom or item.hypothesis.severity is Severity.NOTE,
        outcome >= _REMEDY_ORDER.index(RemedyVerdict.INSUFFICIENT),
        not item.hypothesis.definite,
        -_carried(item, lent),
        outcome,
        distance,
        preference,
        -restoring,
        item.rule.name(),
        item.hypothesis.span.line,
    )


def _merit(item: Judged, tried: TriedRemedy) -> tuple[int, int, float]:
    """Verdict, then what works in general, then the measured distance: the probe ranks badly."""
    typical = Evidence(item.evidence[0].claim, tried.measured, item.verdict).typical
    return (
        _REMEDY_ORDER.index(tried.verdict),
        _preference(_remedy(item.hypothesis, tried.title)),
        _distance(item.evidence[0].claim, typical),
    )


def _remedy(hypothesis: Hypothesis, title: str) -> Remedy:
    return next(remedy for remedy in hypothesis.remedies if remedy.title == title)


def _distance(claim: Claim, value: float) -> float:
    """How far a value is from health, in steps coarse enough for noise not to decide."""
    if math.isnan(value):
        return math.inf
    decades = claim.quantity is Quantity.GRADIENT_DECADES
    distance = abs(value) if decades else claim.bound.distance(value)
    return distance if math.isinf(distance) else round(distance / _ALIKE) * _ALIKE


# In the order in which remedied networks learnt: a skip with a norm 86 to 95 %, BatchNorm 92, ReLU
# with He and BatchNorm 95, a skip 65, ReLU with He 59, LayerNorm 55, initialisation 49.
_PREFERENCE: tuple[frozenset[str], ...] = (
    frozenset({"bypass"}),
    frozenset({"loss"}),
    frozenset({"bypass", "loss"}),
    frozenset({"connect"}),
    frozenset({"exchange"}),
    frozenset({"rate"}),
    frozenset({"gate"}),
    frozenset({"clip"}),
    frozenset({"skip", "norm"}),
    frozenset({"batch-norm"}),
    frozenset({"initialise", "batch-norm"}),
    frozenset({"activation", "initialise", "batch-norm"}),
    frozenset({"skip"}),
    frozenset({"activation", "initialise"}),
    frozenset({"layer-norm"}),
    frozenset({"initialise"}),
)


def _preference(remedy: Remedy) -> int:
    kinds = {_kind(action) for action in remedy.actions}
    if "skip" in kinds and kinds & {"batch-norm", "layer-norm"}:
        kinds = {"skip", "norm"}
    return _PREFERENCE.index(frozenset(kinds)) if kinds in _PREFERENCE else len(_PREFERENCE)


def _kind(action: Action) -> str:
    match action:
        case Normalise(norm=norm):
            return f"{norm}-norm"
        case AddSkip() | SkipRecurrent():
            return "skip"
        case ReplaceActivation() | Activate():
            return "activation"
        case Initialise() | SetBias() | SetGateBias() | Orthogonalise():
            return "initialise"
        case ReplaceRecurrent():
            return "gate"
        case ClipGradients():
            return "clip"
        case ReplaceLoss() | ScaleLoss():
            return "loss"
        case Floor() | Limit():
            return "floor"
        case Bypass():
            return "bypass"
        case LetThrough() | Register():
            return "connect"
        case ExchangeWithNorm():
            return "exchange"
        case LowerRate():
            return "rate"


def _finding(item: Judged, model: str, notes: tuple[Finding, ...] = ()) -> Finding:
    return Finding(
        rule=item.rule.name(),
        family=item.rule.family.value,
        severity=_severity(item),
        span=item.hypothesis.span,
        model=model,
        layer=item.hypothesis.layer,
        message=item.hypothesis.message,
        verdict=item.verdict,
        reason=item.reason,
        evidence=item.evidence,
        remedies=_offered(item),
        advice=item.hypothesis.advice,
        notes=notes,
        causes=_by_cause(item.attribution),
    )


def _by_cause(attribution: Attribution | None) -> tuple[tuple[str, float], ...]:
    """The causes that move at least a tenth of a decade, the one that moves most first."""
    moved = attribution.causes.items() if attribution is not None else ()
    shown = [(cause.value, float(f"{change:.4g}")) for cause, change in moved]
    ordered = sorted(shown, key=lambda item: (-abs(item[1]), item[0]))
    return tuple(item for item in ordered if abs(item[1]) >= _ALIKE)


# What says at initialisation that training will fail; a gradient of zero is cut off, not weak.
_FORETELLING = frozenset(
    {
        Quantity.GRADIENT_DECADES,
        Quantity.RECURRENT_DECAY,
        Quantity.REPRESENTATION_SPREAD,
        Quantity.SIGNAL_GROWTH,
        Quantity.TOKEN_CORRELATION,
    }
)


def _severity(item: Judged) -> Severity:
    """An error where a value breaks its error bound, unless training was seen to succeed."""
    worst = any(
        evidence.beyond_error
        for evidence in item.evidence
        if not (evidence.claim.quantity in item.survived and math.isfinite(evidence.typical))
    )
    found = Severity.ERROR if worst else Severity.WARNING
    return min(found, item.hypothesis.severity, key=lambda severity: severity.rank)


def _offered(item: Judged) -> tuple[TriedRemedy, ...]:
    """All remedies that were tried, best first; reporters offer those that restore or improve."""
    return tuple(sorted(item.remedies, key=lambda tried: _merit(item, tried)))
