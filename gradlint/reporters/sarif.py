"""The report as SARIF 2.1.0, as GitHub's code scanning and other viewers read it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import PurePath
from urllib.parse import quote

from gradlint.judging.evidence import Evidence, Severity, Verdict
from gradlint.protocol.span import Span
from gradlint.report import Finding, ModelSummary, Report
from gradlint.reporters.catalogue import Entry, entries
from gradlint.reporters.fingerprints import Fingerprints
from gradlint.reporters.presentation import Style, stands, unprobed
from gradlint.reporters.proof import proof_lines
from gradlint.reporters.regions import region_of, told

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]
Sources = Mapping[str, tuple[str, ...]]

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}
_KINDS = {
    Verdict.CONFIRMED: "fail",
    Verdict.PREDICTED: "review",
    Verdict.INCONCLUSIVE: "open",
    Verdict.REFUTED: "pass",
}


def render(report: Report, style: Style | None = None) -> str:
    """One run: confirmed findings of kind `fail`, suppressed ones with their reason.

    Models that were not probed are notifications of the invocation.
    """
    style = style or Style()
    findings = [f for f in report.findings if style.show_all or stands(f) or f.suppressed]
    sources = {file.path: file.lines for file in report.files}
    rules = entries(findings)
    indices = {rule.name: index for index, rule in enumerate(rules)}
    fingerprint = Fingerprints()
    results: list[Json] = [
        _result(finding, sources, indices[finding.rule], fingerprint(finding))
        for finding in findings
    ]
    run: Json = {
        "tool": {"driver": _driver(report, rules)},
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [
                    _notification(model, sources) for model in unprobed(report)
                ],
            }
        ],
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _driver(report: Report, rules: tuple[Entry, ...]) -> Json:
    return {
        "name": "gradlint",
        "version": report.gradlint,
        "semanticVersion": report.gradlint,
        "rules": [_rule(entry) for entry in rules],
    }


def _rule(entry: Entry) -> Json:
    return {
        "id": entry.name,
        "name": "".join(word.capitalize() for word in entry.name.split("-")),
        "shortDescription": {"text": entry.short},
        "fullDescription": {"text": entry.full},
        "help": {"text": entry.text, "markdown": entry.markdown},
        "defaultConfiguration": {"level": "warning"},
        "properties": {"tags": [entry.family], "precision": "very-high"},
    }


def _result(finding: Finding, sources: Sources, index: int, fingerprint: str) -> Json:
    proof = "\n".join(proof_lines(finding))
    failed = finding.verdict is Verdict.CONFIRMED
    result: dict[str, Json] = {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "kind": _KINDS[finding.verdict],
        "level": _LEVELS[finding.severity] if failed else "none",
        "message": {"text": f"{told(finding)}.\n{proof}".rstrip("\n")},
        "locations": [_located(finding, sources)],
        "partialFingerprints": {"gradlintFinding/v1": fingerprint},
        "properties": {
            "verdict": finding.verdict.value,
            "evidence": [_evidence(evidence) for evidence in finding.evidence],
        },
    }
    if finding.notes:
        result["relatedLocations"] = [
            {
                "id": number,
                "message": {"text": f"{note.message} ({note.rule})"},
                **_location(note.span, sources),
            }
            for number, note in enumerate(finding.notes, 1)
        ]
    if finding.suppressed:
        why = finding.suppression_reason or "no reason was given"
        kind = "external" if finding.baselined else "inSource"
        result["suppressions"] = [{"kind": kind, "justification": why}]
    return result


def _located(finding: Finding, sources: Sources) -> Json:
    name = ".".join(filter(None, (finding.model, finding.layer)))
    location = _location(finding.span, sources)
    if finding.model:
        place: Json = {"fullyQualifiedName": name, "kind": "type"}
        location["logicalLocations"] = [place]
    return location


def _location(span: Span, sources: Sources) -> dict[str, Json]:
    lines = sources.get(span.path, ())
    region = region_of(span, lines)
    text = "" if span.cell else "\n".join(lines[region.line - 1 : region.end_line])
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(PurePath(span.path).as_posix())},
            "region": {
                "startLine": region.line,
                "startColumn": region.column,
                "endLine": region.end_line,
                "endColumn": region.end_column,
                **({"snippet": {"text": text}} if text else {}),
            },
        }
    }


def _evidence(evidence: Evidence) -> Json:
    return {
        "quantity": evidence.claim.quantity.value,
        "of": evidence.claim.of,
        "measured": [value if math.isfinite(value) else str(value) for value in evidence.measured],
    }


def _notification(model: ModelSummary, sources: Sources) -> Json:
    status = model.status.value.replace("-", " ")
    reason = model.reason or "no reason was given"
    return {
        "level": "warning",
        "message": {"text": f"{model.name} {status}: {reason}"},
        "locations": [_location(model.span, sources)],
    }
