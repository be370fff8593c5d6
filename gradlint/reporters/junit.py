"""The report as JUnit's XML: a suite for each file, a case for each finding and clean model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from xml.etree import ElementTree as ET

from gradlint.judging.evidence import Severity, Verdict
from gradlint.report import FileReport, Finding, ModelStatus, ModelSummary, Report
from gradlint.reporters.presentation import Style, stands
from gradlint.reporters.proof import proof_lines


@dataclass(frozen=True, slots=True)
class _Case:
    name: str
    seconds: float = 0.0
    outcome: str = ""  # "", "failure", "error" or "skipped"
    kind: str = ""
    message: str = ""
    text: str = ""


def render(report: Report, style: Style | None = None) -> str:
    """XML in which confirmed findings fail, unreadable files are errors and clean models pass.

    A model that was not probed, and a finding that no probe confirmed, are skipped cases.
    """
    style = style or Style()
    root = ET.Element("testsuites", name="gradlint")
    suites = [(file, list(_cases(file, style))) for file in report.files]
    _count(root, [case for _, cases in suites for case in cases], report.seconds)
    for file, cases in suites:
        path = PurePath(file.path)
        suite = ET.SubElement(root, "testsuite", name=path.as_posix())
        _count(suite, cases, sum(case.seconds for case in cases))
        suite.set("skipped", str(_number(cases, "skipped")))
        classname = ".".join(path.with_suffix("").parts)
        for case in cases:
            _add(suite, case, classname)
    ET.indent(root)
    return f"{_DECLARATION}{ET.tostring(root, encoding='unicode')}\n"


_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


def _cases(file: FileReport, style: Style) -> Iterator[_Case]:
    shown = [finding for finding in file.findings if style.show_all or stands(finding)]
    for model in file.models:
        if not model.covered_by and (case := _of_model(model, shown)):
            yield case
    yield from (_of_finding(finding, file) for finding in shown)


def _of_model(model: ModelSummary, findings: list[Finding]) -> _Case | None:
    if model.status is not ModelStatus.PROBED:
        reason = model.reason or model.status.value
        return _Case(model.name, outcome="skipped", kind=model.status.value, message=reason)
    if any(finding.model == model.name and stands(finding) for finding in findings):
        return None
    return _Case(model.name, model.seconds)


def _of_finding(finding: Finding, file: FileReport) -> _Case:
    cell = f"cell {finding.span.cell}, " if finding.span.cell else ""
    where = f"{finding.model}, {cell}line {finding.span.line}".removeprefix(", ")
    name = f"{finding.rule} ({where})"
    text = "\n".join([f"{finding.span}: {finding.message}", *proof_lines(finding)])
    kind = finding.severity.value
    if not file.linted:
        return _Case(name, outcome="error", kind=kind, message=finding.message, text=text)
    if finding.suppressed:
        why = f"suppressed: {finding.suppression_reason}".removesuffix(": ")
        return _Case(name, outcome="skipped", kind=kind, message=why, text=text)
    if finding.verdict is Verdict.CONFIRMED:
        outcome = "" if finding.severity is Severity.NOTE else "failure"
        return _Case(name, outcome=outcome, kind=kind, message=finding.message, text=text)
    why = f"{finding.verdict.value}: {finding.message}"
    return _Case(name, outcome="skipped", kind=kind, message=why, text=text)


def _number(cases: list[_Case], outcome: str) -> int:
    return sum(case.outcome == outcome for case in cases)


def _count(element: ET.Element, cases: list[_Case], seconds: float) -> None:
    element.set("tests", str(len(cases)))
    element.set("failures", str(_number(cases, "failure")))
    element.set("errors", str(_number(cases, "error")))
    element.set("time", f"{seconds:.3f}")


def _add(suite: ET.Element, case: _Case, classname: str) -> None:
    element = ET.SubElement(
        suite, "testcase", name=case.name, classname=classname, time=f"{case.seconds:.3f}"
    )
    if case.outcome:
        inner = ET.SubElement(element, case.outcome, type=case.kind, message=case.message)
        inner.text = case.text or None
    elif case.text:
        ET.SubElement(element, "system-out").text = case.text
