"""The report for people: each finding with its source line, its numbers and what to do."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator

from gradlint.judging.evidence import Severity, Verdict
from gradlint.protocol.quantity import Quantity
from gradlint.protocol.span import Span
from gradlint.report import FileReport, Finding, ModelSummary, Report
from gradlint.reporters import footer
from gradlint.reporters.ink import BOLD, DIM, Ink
from gradlint.reporters.numbers import bar, number, typical
from gradlint.reporters.presentation import Style, built, stands
from gradlint.reporters.proof import cause_lines, evidence_lines, remedy_lines

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
        for finding, *others in _by_place(file, style):
            lines += [*_finding(finding, file, style, ink), *map(_elsewhere, others), ""]
    unprobed = list(footer.unprobed_lines(report, show_all=style.show_all))
    if unprobed:
        lines += [ink("not probed:", BOLD), *(f"  {line}" for line in unprobed), ""]
    if style.statistics and (table := footer.statistics_lines(report)):
        lines += [*table, ""]
    lines += footer.summary_lines(report, show_all=style.show_all)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _by_place(file: FileReport, style: Style) -> Iterable[list[Finding]]:
    """The findings to show, those together that say the same of a line that models share."""
    places: dict[tuple[object, ...], list[Finding]] = {}
    met = Counter[tuple[object, ...]]()
    for finding in file.findings:
        if style.show_all or stands(finding):
            key = (finding.rule, finding.span, finding.severity, verdict(finding))
            met[(*key, finding.model)] += 1
            places.setdefault((*key, met[(*key, finding.model)]), []).append(finding)
    return places.values()


def _elsewhere(finding: Finding) -> str:
    measured = (line for evidence in finding.evidence for line in evidence_lines(evidence))
    return f"{_INDENT}also in {finding.model}: {next(measured, finding.message)}"


def _finding(finding: Finding, file: FileReport, style: Style, ink: Ink) -> Iterator[str]:
    yield header(finding, ink)
    yield from _source(finding.span, file.text_at(finding.span), finding.severity, ink)
    for evidence in finding.evidence:
        yield from (_INDENT + line for line in evidence_lines(evidence))
    if finding.verdict is Verdict.REFUTED:
        return
    yield from (_INDENT + line for line in cause_lines(finding))
    model = next((model for model in file.models if model.name == finding.model), None)
    if model is not None and model.invented:
        yield f"{_INDENT}{built(model)}"
    if model is not None and _speaks_of_gradient(finding):
        yield from (_INDENT + line for line in _trunk(model, style))
    yield from (_INDENT + line for line in remedy_lines(finding, style, ink))
    for note in finding.notes:
        yield f"{_INDENT}{ink('note', BOLD)}: {note.span}: {note.message} [{note.rule}]"


def _source(span: Span, source: str | None, severity: Severity, ink: Ink) -> Iterator[str]:
    if source is None:
        return
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


def _speaks_of_gradient(finding: Finding) -> bool:
    return any(e.claim.quantity is Quantity.GRADIENT_DECADES for e in finding.evidence)


def _trunk(model: ModelSummary, style: Style) -> Iterator[str]:
    values = [typical(layer.measured) for layer in model.trunk]
    if all(map(math.isnan, values)):
        values = [math.nan if layer.predicted is None else layer.predicted for layer in model.trunk]
    if len(values) < 3 or all(map(math.isnan, values)):
        return
    first, last = model.trunk[0], model.trunk[-1]
    drawn = bar(values, width=_BAR, unicode=style.unicode)
    arrow = "→" if style.unicode else "->"
    yield f"gradient in decades by layer, {first.layer} {arrow} {last.layer}:"
    yield f"  {number(values[0])} {drawn} {number(values[-1])}"
