"""The proof of a finding in words: what was measured, and what was measured to help."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from gradlint.judging.evidence import Evidence, RemedyVerdict, Verdict
from gradlint.report import Finding, TriedRemedy
from gradlint.reporters.footer import counted
from gradlint.reporters.ink import BOLD, Ink
from gradlint.reporters.numbers import factor, healthy, number, numbers, subject, typical, unit
from gradlint.reporters.presentation import Style

_OFFERED = (RemedyVerdict.RESTORES, RemedyVerdict.IMPROVES)


def proof_lines(finding: Finding) -> list[str]:
    """Evidence, remedies and notes, one sentence a line, for formats that take plain text."""
    lines = [line for evidence in finding.evidence for line in evidence_lines(evidence)]
    if finding.verdict is not Verdict.REFUTED:
        lines += [*cause_lines(finding), *remedy_lines(finding)]
    return lines + [f"note: {note.span}: {note.message} [{note.rule}]" for note in finding.notes]


def offers(finding: Finding) -> list[TriedRemedy]:
    """The remedies that were measured to help, those that restore before those that improve."""
    helpful = [remedy for remedy in finding.remedies if remedy.verdict in _OFFERED]
    return sorted(helpful, key=lambda remedy: _OFFERED.index(remedy.verdict))


def evidence_lines(evidence: Evidence) -> Iterator[str]:
    """What was claimed, measured and predicted, and what would be healthy."""
    claim = evidence.claim
    suffix = unit(claim.quantity)
    seeds = len(evidence.measured)
    each = f" ({counted(seeds, 'seed')})" if seeds else ""
    value = f"{numbers(evidence.measured, claim.quantity)}{suffix if seeds else ''}{each}"
    if evidence.verdict is Verdict.INCONCLUSIVE and evidence.reason:
        value += f", inconclusive: {evidence.reason}"
    elif evidence.verdict is not Verdict.REFUTED:
        meaning = factor(claim.quantity, typical(evidence.measured))
        value += f", {meaning}" if meaning else ""
    yield f"{subject(claim)}: {value}"
    if evidence.predicted is not None:
        but = ", which the measurement contradicts" if evidence.disagrees else ""
        yield f"predicted without data: {number(evidence.predicted, claim.quantity)}{suffix}{but}"
    yield f"healthy is {healthy(claim.bound)}{suffix}"


def cause_lines(finding: Finding) -> Iterator[str]:
    """What takes how many of the decades over the layers that the finding speaks of."""
    if finding.causes:
        shares = ", ".join(f"{cause} {number(decades)}" for cause, decades in finding.causes)
        yield f"decades in these layers by cause: {shares}"


def remedy_lines(
    finding: Finding, style: Style | None = None, ink: Ink | None = None
) -> Iterator[str]:
    """What to do: the remedies that were measured to help, best first, else the rule's advice."""
    style, ink = style or Style(), ink or Ink()
    offered = offers(finding)
    line = partial(_remedy, finding=finding, style=style)
    for remedy in offered:
        yield f"{ink('to do', BOLD)}: {line(remedy)}"
    if not offered and finding.advice:
        yield f"{ink('to do', BOLD)}: {finding.advice}"
    if style.show_all:
        others = (remedy for remedy in finding.remedies if remedy.verdict not in _OFFERED)
        yield from (f"tried in vain: {line(remedy)}" for remedy in others)


def _remedy(remedy: TriedRemedy, *, finding: Finding, style: Style) -> str:
    if not finding.evidence:
        return remedy.title
    quantity = finding.evidence[0].claim.quantity
    arrow = "→" if style.unicode else "->"
    before, after = (
        number(typical(values), quantity)
        for values in (finding.evidence[0].measured, remedy.measured)
    )
    return f"{remedy.title} ({before} {arrow} {after}{unit(quantity)}, {remedy.verdict.value})"
