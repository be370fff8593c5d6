"""Lines of a notebook's code as one text, and the cells in which they stand."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum
from typing import TypeVar, cast

from gradlint.protocol.span import Span
from gradlint.report import FileReport, PicturedLayer, TrunkLayer

T = TypeVar("T")


def in_cells(report: FileReport, starts: tuple[int, ...]) -> FileReport:
    """The report of a notebook with every line counted in its cell.

    `starts` are the indices, counted from 0, of the lines of its text at which the cells begin.
    """
    cells = Cells(report.path, starts)
    models, findings = cells.placed(report.models), cells.placed(report.findings)
    return replace(report, models=models, findings=findings, cells=starts)


@dataclass(frozen=True, slots=True)
class Cells:
    """`starts` are the indices, counted from 0, of the lines at which the cells begin."""

    path: str
    starts: tuple[int, ...]

    def place(self, line: int) -> tuple[int, int]:
        """The cell, and the line in it, of a line of the text; all count from 1."""
        cell = max(bisect_right(self.starts, line - 1), 1)
        return cell, line - self.starts[cell - 1]

    def placed(self, value: T) -> T:
        """`value` with every line of the text in it replaced by the line of its cell."""
        match value:
            case Span():
                return cast(T, self._span(value))
            case TrunkLayer() | PicturedLayer() if value.line:
                cell, line = self.place(value.line)
                return cast(T, replace(value, line=line, cell=cell))
            case Enum():
                return value
            case str():
                return cast(T, self._text(value))
            case tuple():
                return cast(T, tuple(map(self.placed, value)))
        if is_dataclass(value) and not isinstance(value, type):
            changed = {f.name: self.placed(getattr(value, f.name)) for f in fields(value)}
            return replace(value, **changed)
        return value

    def _span(self, span: Span) -> Span:
        if span.cell or span.path != self.path:
            return span
        cell, line = self.place(span.line)
        end = span.end_line and span.end_line - span.line + line
        return replace(span, cell=cell, line=line, end_line=end)

    def _text(self, text: str) -> str:
        """A sentence in which positions are mentioned."""

        def position(found: re.Match[str]) -> str:
            return str(self._span(Span(self.path, int(found[1]), int(found[2]))))

        def line(found: re.Match[str]) -> str:
            cell, number = self.place(int(found[1]))
            return f"line {number} of cell {cell}"

        text = re.sub(rf"{re.escape(self.path)}:(\d+):(\d+)", position, text)
        return re.sub(r"\bline (\d+)\b", line, text)
