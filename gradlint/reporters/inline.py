"""The report as a fragment of HTML, for the output of a notebook's cell."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

from gradlint.judging.evidence import Evidence, RemedyVerdict, Severity
from gradlint.report import Finding, ModelSummary, Report
from gradlint.reporters import footer
from gradlint.reporters.numbers import healthy, numbers, subject, unit
from gradlint.reporters.presentation import cleaned, shown

_COLORS = {Severity.ERROR: "#d1242f", Severity.WARNING: "#9a6700", Severity.NOTE: "#0969da"}
_WIDTH, _HEIGHT = 320, 48


def render(report: Report) -> str:
    """What stands, each model's gradient as a line, and what ran; needs no style or script."""
    report = cleaned(report)
    parts = [part for finding in shown(report, show_all=False) for part in _finding(finding)]
    parts += [_line(model) for model in report.models if len(model.trunk) > 1]
    parts += [f"<p>{escape(line)}</p>" for line in footer.unprobed_lines(report)]
    last = " · ".join(footer.summary_lines(report, show_all=True))
    return f'<div class="gradlint">{"".join(parts)}<p><small>{escape(last)}</small></p></div>'


def _finding(finding: Finding) -> Iterator[str]:
    severity = f'<b style="color:{_COLORS[finding.severity]}">{finding.severity.value}</b>'
    where = f"<small>{escape(str(finding.span))}</small>"
    yield f"<p>{severity} {escape(finding.message)} <code>{finding.rule}</code> {where}</p><ul>"
    yield from (f"<li>{escape(_evidence(evidence))}</li>" for evidence in finding.evidence)
    for remedy in finding.remedies:
        if remedy.verdict is not RemedyVerdict.INSUFFICIENT:
            yield f"<li>to do: {escape(remedy.title)} ({remedy.verdict.value})</li>"
    if finding.advice:
        yield f"<li>{escape(finding.advice)}</li>"
    yield "</ul>"


def _evidence(evidence: Evidence) -> str:
    claim = evidence.claim
    measured = numbers(evidence.measured, claim.quantity) + unit(claim.quantity)
    return f"{subject(claim)}: {measured}; healthy is {healthy(claim.bound)}"


def _line(model: ModelSummary) -> str:
    """The gradient along the trunk, in decades, from the input on the left to the output."""
    values = [
        value if math.isfinite(value) else -20.0
        for value in (layer.measured[0] for layer in model.trunk)
    ]
    low, high = min(*values, -3.0), max(*values, 1.0)
    points = " ".join(
        f"{index * _WIDTH / (len(values) - 1):.1f},{(high - value) / (high - low) * _HEIGHT:.1f}"
        for index, value in enumerate(values)
    )
    said = f"gradient of {model.name} along its trunk: {values[0]:.2f} decades at the bottom"
    return (
        f'<figure style="margin:0"><svg width="{_WIDTH}" height="{_HEIGHT + 4}" role="img" '
        f'viewBox="-2 -2 {_WIDTH + 4} {_HEIGHT + 4}" aria-label="{escape(said)}">'
        f'<polyline points="{points}" fill="none" stroke="currentColor"/></svg>'
        f"<figcaption><small>{escape(said)}</small></figcaption></figure>"
    )
