"""Where a finding stands, with an end even where only the start is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gradlint.protocol.span import Span
from gradlint.report import Finding, Report
from gradlint.reporters.presentation import Style, shown


@dataclass(frozen=True, slots=True)
class Region:
    """A stretch of source text; all count from 1 in code points, the end column is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int

    def in_bytes(self, lines: tuple[str, ...]) -> Region:
        """The same stretch with columns that count bytes of UTF-8."""
        return Region(
            self.line,
            _byte_column(lines, self.line, self.column),
            self.end_line,
            _byte_column(lines, self.end_line, self.end_column),
        )


def region_of(span: Span, lines: tuple[str, ...] = ()) -> Region:
    """The region of a span; one without an end reaches to the end of its line.

    That of a notebook is its first character, because services show notebooks as JSON, in which
    lines of cells have no place.
    """
    if span.cell:
        return Region(1, 1, 1, 2)
    line, column = max(span.line, 1), max(span.column, 1)
    if (
        span.end_line >= line
        and span.end_column
        and (span.end_line, span.end_column)
        > (
            line,
            column,
        )
    ):
        return Region(line, column, span.end_line, span.end_column)
    length = len(lines[line - 1].rstrip()) if line <= len(lines) else 0
    return Region(line, column, line, max(length + 1, column + 1))


def told(finding: Finding) -> str:
    """The message, with the place in a notebook, which no region can tell."""
    cell = f" (cell {finding.span.cell}, line {finding.span.line})" if finding.span.cell else ""
    return f"{finding.message}{cell}"


def placed(report: Report, style: Style) -> Iterator[tuple[Finding, Region]]:
    """Each finding that is shown, with its region."""
    lines = {file.path: file.lines for file in report.files}
    for finding in shown(report, show_all=style.show_all):
        yield finding, region_of(finding.span, lines.get(finding.span.path, ()))


def _byte_column(lines: tuple[str, ...], line: int, column: int) -> int:
    text = lines[line - 1][: column - 1] if line <= len(lines) else ""
    return column - len(text) + len(text.encode("utf-8", "replace"))
