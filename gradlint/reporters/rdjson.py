"""The report in the diagnostic format of reviewdog, whose columns count bytes of UTF-8."""

from __future__ import annotations

import json
from pathlib import PurePath

from gradlint.judging.evidence import Severity
from gradlint.report import Report
from gradlint.reporters.presentation import Style
from gradlint.reporters.proof import proof_lines
from gradlint.reporters.regions import placed, told

_SEVERITIES = {Severity.ERROR: "ERROR", Severity.WARNING: "WARNING", Severity.NOTE: "INFO"}


def render(report: Report, style: Style | None = None) -> str:
    """One `DiagnosticResult` as JSON with a diagnostic for each finding that is shown."""
    lines = {file.path: file.lines for file in report.files}
    diagnostics = []
    for finding, region in placed(report, style or Style()):
        at = region.in_bytes(lines.get(finding.span.path, ()))
        diagnostics.append(
            {
                "message": "\n".join(
                    [
                        f"{told(finding)} ({finding.verdict.value})",
                        *proof_lines(finding),
                    ]
                ),
                "location": {
                    "path": PurePath(finding.span.path).as_posix(),
                    "range": {
                        "start": {"line": at.line, "column": at.column},
                        "end": {"line": at.end_line, "column": at.end_column},
                    },
                },
                "severity": _SEVERITIES[finding.severity],
                "code": {"value": finding.rule},
            }
        )
    document = {"source": {"name": "gradlint"}, "diagnostics": diagnostics}
    return json.dumps(document, indent=2) + "\n"
