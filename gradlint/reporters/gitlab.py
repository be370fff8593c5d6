"""The report for GitLab's code quality widget, a subset of the Code Climate format."""

from __future__ import annotations

import json
from pathlib import PurePath

from gradlint.judging.evidence import Severity
from gradlint.report import Report
from gradlint.reporters.fingerprints import Fingerprints
from gradlint.reporters.presentation import Style
from gradlint.reporters.regions import placed, told

_SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "major", Severity.NOTE: "info"}


def render(report: Report, style: Style | None = None) -> str:
    """A JSON array with one object for each finding that is shown; fingerprints are unique."""
    fingerprint = Fingerprints()
    issues = [
        {
            "description": f"{told(finding)} ({finding.verdict.value})",
            "check_name": finding.rule,
            "fingerprint": fingerprint(finding),
            "severity": _SEVERITIES[finding.severity],
            "location": {
                "path": PurePath(finding.span.path).as_posix(),
                "lines": {"begin": region.line, "end": region.end_line},
            },
        }
        for finding, region in placed(report, style or Style())
    ]
    return json.dumps(issues, indent=2) + "\n"
