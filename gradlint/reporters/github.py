"""The report as workflow commands of GitHub Actions, and as Markdown for the step's summary."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import PurePath

from gradlint.judging.evidence import Severity
from gradlint.report import FileReport, Finding, Report
from gradlint.reporters.footer import summary_lines, unprobed_lines
from gradlint.reporters.numbers import number, typical, unit
from gradlint.reporters.presentation import Style, shown
from gradlint.reporters.proof import offers, proof_lines
from gradlint.reporters.regions import Region, placed, told

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
_LARGEST = 1_000_000  # bytes; because GitHub drops a summary of more than 1 MiB as a whole


def render(report: Report, style: Style | None = None) -> str:
    """One annotation for each finding that is shown, then what ran, which is plain log text."""
    style = style or Style()
    lines = [_annotation(finding, region) for finding, region in placed(report, style)]
    return "\n".join([*lines, *summary_lines(report, show_all=style.show_all)]) + "\n"


def _annotation(finding: Finding, region: Region) -> str:
    properties = {
        "title": f"gradlint: {finding.rule} ({finding.verdict.value})",
        "file": PurePath(finding.span.path).as_posix(),
        "line": region.line,
        "endLine": region.end_line,
    }
    if region.line == region.end_line:  # because GitHub takes columns within one line only
        properties |= {"col": region.column, "endColumn": region.end_column}
    given = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    message = "\n".join([told(finding), *proof_lines(finding)])
    return f"::{_COMMANDS[finding.severity]} {given}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def summary(report: Report, style: Style | None = None) -> str:
    """Markdown for the page of the step: a table of findings, what to do, and what did not run."""
    style = style or Style()
    found, ran = summary_lines(report, show_all=style.show_all)
    sections = [f"## gradlint\n\n**{_escaped(found)}**", *_findings(report, style)]
    unprobed = list(unprobed_lines(report))
    if unprobed:
        sections.append("### Not probed\n\n```text\n" + "\n".join(unprobed) + "\n```")
    sections.append(_escaped(ran))
    return _shortened(sections) + "\n"


def _findings(report: Report, style: Style) -> Iterator[str]:
    if not shown(report, show_all=style.show_all):
        return
    yield "\n".join(
        [
            "| severity | where | rule | finding | measured |",
            "|---|---|---|---|---|",
            *(_row(finding) for finding in shown(report, show_all=style.show_all)),
        ]
    )
    for file in report.files:
        for finding in file.findings:
            if finding in shown(report, show_all=style.show_all) and finding.evidence:
                yield _details(finding, file)


def _row(finding: Finding) -> str:
    measured = [
        f"{number(typical(evidence.measured), quantity)}{unit(quantity)}"
        for evidence in finding.evidence
        for quantity in [evidence.claim.quantity]
    ]
    where = _place(finding)
    cells = [finding.severity.value, _code(where), _code(finding.rule), _escaped(finding.message)]
    return f"| {' | '.join([*cells, _escaped(', '.join(measured) or finding.verdict.value)])} |"


def _place(finding: Finding) -> str:
    return str(finding.span).rpartition(":")[0]


def _details(finding: Finding, file: FileReport) -> str:
    source = (file.text_at(finding.span) or "").strip()
    best = next((remedy.title for remedy in offers(finding)), finding.advice or finding.rule)
    fence = "`" * max(3, 1 + _longest_run(source))
    return "\n".join(
        [
            f"<details><summary>{_html(f'{_place(finding)}: {best}')}</summary>\n",
            f"{fence}python\n{source}\n{fence}\n",
            *(f"- {_escaped(text)}" for text in proof_lines(finding)),
            "\n</details>",
        ]
    )


def _longest_run(text: str) -> int:
    return max(map(len, "".join(c if c == "`" else " " for c in text).split()), default=0)


def _code(text: str) -> str:
    return f"`{text.replace('`', chr(39)).replace('|', chr(92) + '|')}`"


def _html(text: str) -> str:
    return escape(text, quote=False)


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\`*_[]|#~" else c for c in _html(text))


def _shortened(sections: list[str]) -> str:
    kept: list[str] = []
    size = 0
    for section in sections:
        size += len(section.encode()) + 2
        if size > _LARGEST:
            return "\n\n".join([*kept, "… the rest is left out, because GitHub takes 1 MiB."])
        kept.append(section)
    return "\n\n".join(kept)
