"""The report as JSON, schema 1: the form that other tools depend on."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import PurePath

from gradlint.judging.evidence import Evidence, Severity, Verdict
from gradlint.protocol.claim import Bound
from gradlint.report import FileReport, Finding, ModelStatus, ModelSummary, Report, TriedRemedy
from gradlint.reporters.fingerprints import Fingerprints
from gradlint.reporters.numbers import rounded, typical
from gradlint.reporters.presentation import stands

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]


def render(report: Report, *, show_all: bool = False) -> str:
    """The whole run as one JSON object; but for `seconds` it depends on what was measured alone.

    Refuted suspicions are left out unless `show_all`; suppressed findings are always there. The
    notes under a finding follow it as findings of severity `note`.
    """
    document: Json = {
        "schema": 1,
        "gradlint": report.gradlint,
        "torch": report.torch or None,
        "seed": report.seed,
        "seeds": report.seeds,
        "files": [_file(file) for file in report.files],
        "models": [_model(model) for model in report.models],
        "findings": list(_findings(report, show_all)),
        "summary": {
            "findings": sum(map(stands, report.findings)),
            "models": len(report.models),
            "probed": sum(model.status is ModelStatus.PROBED for model in report.models),
            "seconds": round(report.seconds, 3),
        },
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _file(file: FileReport) -> Json:
    status = "linted" if file.linted else "failed"
    return {"path": _posix(file.path), "status": status, "reason": file.reason or None}


def _model(model: ModelSummary) -> Json:
    reason = model.reason or (f"covered by {model.covered_by}" if model.covered_by else None)
    return {
        "path": _posix(model.span.path),
        "name": model.name,
        "line": model.span.line,
        "cell": model.span.cell or None,
        "status": model.status.value,
        "reason": reason,
        "built_from": model.built_from or None,
        "constructor": model.constructor or None,
        "assumed": list(model.assumed),
        "method": model.method,
        "inputs": list(model.inputs),
        "optimizer": model.optimizer.value,
        "parameters": model.parameters,
        "unfetched": model.unfetched,
        "layers": model.layers,
        "seconds": round(model.seconds, 3),
        "decades": _decades(model),
        "trunk": [
            {
                "layer": layer.layer,
                "op": layer.op,
                "line": layer.line or None,
                "cell": layer.cell or None,
                "log10_gradient": _measured(typical(layer.measured)),
                "predicted": _predicted(layer.predicted),
            }
            for layer in model.trunk
        ],
    }


def _decades(model: ModelSummary) -> Json:
    if not model.trunk:
        return None
    return {
        "measured": [_measured(value) for value in model.decades],
        "predicted": _predicted(model.trunk[0].predicted),
        "disagrees": model.trunk[0].disagrees,
    }


def _findings(report: Report, show_all: bool) -> Iterator[Json]:
    fingerprint = Fingerprints()
    for finding in report.findings:
        if finding.verdict is Verdict.REFUTED and not show_all:
            continue
        yield _finding(finding, finding.severity, fingerprint(finding))
        for note in finding.notes:
            yield _finding(note, Severity.NOTE, fingerprint(note))


def _finding(finding: Finding, severity: Severity, fingerprint: str) -> Json:
    span = finding.span
    return {
        "rule": finding.rule,
        "family": finding.family,
        "severity": severity.value,
        "path": _posix(span.path),
        "line": span.line,
        "cell": span.cell or None,
        "column": span.column,
        "end_line": span.end_line or None,
        "end_column": span.end_column or None,
        "model": finding.model or None,
        "layer": finding.layer or None,
        "message": finding.message,
        "verdict": finding.verdict.value,
        "reason": finding.reason or None,
        "evidence": [_evidence(evidence) for evidence in finding.evidence],
        "causes": [{"cause": cause, "decades": change} for cause, change in finding.causes],
        "remedies": [_remedy(remedy) for remedy in finding.remedies],
        "suppressed": finding.suppressed,
        "fingerprint": fingerprint,
    }


def _evidence(evidence: Evidence) -> Json:
    claim = evidence.claim
    return {
        "quantity": claim.quantity.value,
        "of": claim.of,
        "unit": claim.quantity.unit,
        "bound": _bound(claim.bound),
        "measured": [_measured(value) for value in evidence.measured],
        "predicted": _predicted(evidence.predicted),
        "disagrees": evidence.disagrees,
    }


def _bound(bound: Bound) -> Json:
    ends = {"at_least": bound.at_least, "at_most": bound.at_most}
    return {name: float(end) for name, end in ends.items() if math.isfinite(end)}


def _remedy(remedy: TriedRemedy) -> Json:
    return {
        "title": remedy.title,
        "measured": [_measured(value) for value in remedy.measured],
        "verdict": remedy.verdict.value,
        "fix": remedy.fix,
    }


def _measured(value: float) -> float | str:
    return rounded(value) if math.isfinite(value) else str(value)


def _predicted(value: float | None) -> float | str | None:
    return None if value is None else _measured(value)


def _posix(path: str) -> str:
    return PurePath(path).as_posix()
