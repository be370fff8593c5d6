"""The report with one line for each finding, for editors and grep."""

from __future__ import annotations

from gradlint.report import Finding, Report
from gradlint.reporters.footer import statistics_lines, summary_lines
from gradlint.reporters.numbers import number, typical
from gradlint.reporters.presentation import Style, shown
from gradlint.reporters.text import header


def render(report: Report, style: Style | None = None) -> str:
    """`path:line:col: severity: message [rule] verdict (numbers)` by finding, then what ran."""
    style = style or Style()
    lines = [_line(finding) for finding in shown(report, show_all=style.show_all)]
    lines += statistics_lines(report) if style.statistics else []
    return "\n".join([*lines, *summary_lines(report)]) + "\n"


def _line(finding: Finding) -> str:
    measured = [
        f"{quantity.value} {number(typical(evidence.measured), quantity)}"
        for evidence in finding.evidence
        for quantity in [evidence.claim.quantity]
    ]
    proof = f" ({', '.join(measured)})" if measured else ""
    return f"{header(finding)}{proof}"
