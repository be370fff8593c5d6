"""The report for people: each finding with its source line, its numbers and what to do."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import partial

from gradlint.evidence import Evidence, RemedyVerdict, Severity, Verdict
from gradlint.quantity import Quantity
from gradlint.report import FileReport, Finding, ModelSummary, Report, TriedRemedy
from gradlint.reporters import footer
from gradlint.reporters.ink import BOLD, DIM, Ink
from gradlint.reporters.numbers import bar, factor, healthy, number, numbers, subject, typical, unit
from gradlint.reporters.presentation import Style, stands
from gradlint.span import Span

_OFFERED = (RemedyVerdict.RESTORES, RemedyVerdict.IMPROVES)
_BAR = 40
_INDENT = "    "


def header(finding: Finding, ink: Ink | None = None) -> str:
    """`path:line:col: severity: message [rule] verdict`, the form that editors parse."""
    ink = ink or Ink()
    severity = ink.of_severity(finding.severity)
    rule = ink(f"[{finding.rule}]", DIM)
    return (
        f"{ink(str(finding.span), BOLD)}: {severity}: {finding.message} {rule} {verdict(finding)}"
    )


def verdict(finding: Finding) -> str:
    """The verdict, with its reason and with a word on suppression."""
    text = finding.verdict.value + (f": {finding.reason}" if finding.reason else "")
    if not finding.suppressed:
        return text
    why = f": {finding.suppression_reason}" if finding.suppression_reason else ""
    return f"{text} (suppressed{why})"


def render(report: Report, style: Style | None = None) -> str:
    """Each finding with source, claim, measurements, trunk and remedies; then what ran."""
    style = style or Style()
    ink = Ink(style.color)
    lines: list[str] = []
    for file in report.files:
        for finding in file.findings:
            if style.show_all or stands(finding):
                lines += [*_finding(finding, file, style, ink), ""]
    unprobed = list(footer.unprobed_lines(report, show_all=style.show_all))
    if unprobed:
        lines += [ink("not probed:", BOLD), *(f"  {line}" for line in unprobed), ""]
    if style.statistics and (table := footer.statistics_lines(report)):
        lines += [*table, ""]
    lines += footer.summary_lines(report, show_all=style.show_all)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _finding(finding: Finding, file: FileReport, style: Style, ink: Ink) -> Iterator[str]:
    yield header(finding, ink)
    yield from _source(finding.span, file.lines, finding.severity, ink)
    for evidence in finding.evidence:
        yield from (_INDENT + line for line in _evidence(evidence))
    if finding.verdict is Verdict.REFUTED:
        return
    model = next((model for model in file.models if model.name == finding.model), None)
    if model is not None and _speaks_of_gradient(finding):
        yield from (_INDENT + line for line in _trunk(model, style))
    yield from (_INDENT + line for line in _remedies(finding, style, ink))
    for note in finding.notes:
        yield f"{_INDENT}{ink('note', BOLD)}: {note.span}: {note.message} [{note.rule}]"


def _source(span: Span, lines: tuple[str, ...], severity: Severity, ink: Ink) -> Iterator[str]:
    if not 1 <= span.line <= len(lines):
        return
    source = lines[span.line - 1]
    gutter = str(span.line).rjust(len(_INDENT) + 1)
    start, end = span.column - 1, len(source.rstrip())
    if span.end_line == span.line and span.end_column:
        end = span.end_column - 1
    before, marked = source[:start], source[start:end]
    carets = "^" * max(_width(marked), 1)
    yield f"{ink(gutter, DIM)} | {source}"
    yield f"{' ' * len(gutter)} | {' ' * _width(before)}{ink.in_severity(carets, severity)}"


def _width(text: str) -> int:
    """The columns on a terminal: two for East Asian wide characters, none for combining ones."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def _evidence(evidence: Evidence) -> Iterator[str]:
    claim = evidence.claim
    suffix = unit(claim.quantity)
    seeds = len(evidence.measured)
    each = f" ({footer.counted(seeds, 'seed')})" if seeds else ""
    value = f"{numbers(evidence.measured, claim.quantity)}{suffix if seeds else ''}{each}"
    if evidence.verdict is Verdict.INCONCLUSIVE and evidence.reason:
        value += f", inconclusive: {evidence.reason}"
    elif evidence.verdict is not Verdict.REFUTED:
        meaning = factor(claim.quantity, typical(evidence.measured))
        value += f", {meaning}" if meaning else ""
    yield f"{subject(claim)}: {value}"
    if evidence.predicted is not None:
        yield f"predicted without data: {number(evidence.predicted, claim.quantity)}{suffix}"
    yield f"healthy is {healthy(claim.bound)}{suffix}"


def _speaks_of_gradient(finding: Finding) -> bool:
    return any(e.claim.quantity is Quantity.GRADIENT_DECADES for e in finding.evidence)


def _trunk(model: ModelSummary, style: Style) -> Iterator[str]:
    values = [typical(layer.measured) for layer in model.trunk]
    if len(values) < 3:
        return
    first, last = model.trunk[0], model.trunk[-1]
    drawn = bar(values, width=_BAR, unicode=style.unicode)
    arrow = "→" if style.unicode else "->"
    yield f"gradient in decades by layer, {first.layer} {arrow} {last.layer}:"
    yield f"  {number(values[0])} {drawn} {number(values[-1])}"


def _remedies(finding: Finding, style: Style, ink: Ink) -> Iterator[str]:
    offered = [remedy for remedy in finding.remedies if remedy.verdict in _OFFERED]
    offered.sort(key=lambda remedy: _OFFERED.index(remedy.verdict))
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
