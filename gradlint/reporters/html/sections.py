"""The files of a report with the addresses of what the page shows of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gradlint.report import FileReport, Finding, ModelSummary, Report
from gradlint.reporters.presentation import Style, stands


@dataclass(frozen=True, slots=True)
class Section:
    """A file with the addresses of all that the page shows of it."""

    file: FileReport
    id: str
    findings: tuple[tuple[str, Finding], ...]
    models: tuple[tuple[str, ModelSummary], ...]

    @property
    def worth_showing(self) -> bool:
        """Whether there is more to say of the file than that it was linted."""
        return bool(self.findings) or any(model.trunk for _, model in self.models)

    def address_of(self, model: str) -> str | None:
        """The address of the picture of a model of this file, None where there is none."""
        found = (f"#{id}" for id, summary in self.models if summary.name == model and summary.trunk)
        return next(found, None)


def sections_of(report: Report, style: Style) -> Iterator[Section]:
    """One section for each file, in their order; findings are numbered through."""
    numbered = 0
    for place, file in enumerate(report.files, 1):
        found = [finding for finding in file.findings if style.show_all or stands(finding)]
        models = [model for model in file.models if not model.covered_by]
        yield Section(
            file,
            f"file-{place}",
            tuple((f"finding-{numbered + i}", finding) for i, finding in enumerate(found, 1)),
            tuple((f"file-{place}-model-{i}", model) for i, model in enumerate(models, 1)),
        )
        numbered += len(found)


def worst_first(sections: Sequence[Section]) -> list[Section]:
    """The files that have something to show, those with findings before the others."""
    shown = [section for section in sections if section.worth_showing]
    return sorted(shown, key=lambda section: not section.findings)
