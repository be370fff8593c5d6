"""What a sweep counted: one row for each package, and why models were left out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from gradlint.judging.evidence import Severity, Verdict
from gradlint.report import ModelStatus
from tests.corpora.results import Found, Outcome

COVERED = {ModelStatus.PROBED.value, ModelStatus.TRACED.value}
_PLACE = re.compile(r" at \S+:\d+:\d+(?=:)")
_VARYING = re.compile(r"'[^']*'|\"[^\"]*\"|\[[\d, ]*\]|\(\d[\d, ]*\)|\b\d+(?:\.\d+)?\b")
_TITLES = (
    "package",
    "files",
    "unread",
    "models",
    "covered",
    "not built",
    "failed",
    "not run",
    *(verdict.value for verdict in Verdict),
    *(severity.value for severity in Severity),
    "seconds",
)


@dataclass(frozen=True, slots=True)
class Row:
    """The outcomes of one package."""

    package: str
    outcomes: tuple[Outcome, ...]

    @property
    def confirmed(self) -> tuple[Found, ...]:
        """The confirmed findings in the order of files and lines."""
        found = (finding for outcome in self.outcomes for finding in outcome.findings)
        return tuple(f for f in found if f.verdict == Verdict.CONFIRMED.value)

    def cells(self) -> tuple[str, ...]:
        """The row as texts, in the order of the titles."""
        models = Counter(model.status for outcome in self.outcomes for model in outcome.models)
        verdicts = Counter(f.verdict for outcome in self.outcomes for f in outcome.findings)
        severities = Counter(finding.severity for finding in self.confirmed)
        covered = sum(models[status] for status in COVERED)
        not_built, not_run = models[ModelStatus.NOT_BUILT.value], models[ModelStatus.NOT_RUN.value]
        numbers = (
            len(self.outcomes),
            sum(bool(outcome.failure) for outcome in self.outcomes),
            models.total(),
            covered,
            not_built,
            models.total() - covered - not_built - not_run,
            not_run,
            *(verdicts[verdict.value] for verdict in Verdict),
            *(severities[severity.value] for severity in Severity),
            round(sum(outcome.seconds for outcome in self.outcomes)),
        )
        trainable = models.total() - not_run  # because what has no parameters is no model
        share = f" ({covered / trainable:.0%})" if trainable else ""
        cells = [self.package, *map(str, numbers)]
        cells[_TITLES.index("covered")] += share
        return tuple(cells)


def table(rows: Sequence[Row]) -> str:
    """The rows under their titles, in columns."""
    return aligned([_TITLES, *(row.cells() for row in rows)])


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells in columns, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])
        for line in lines
    )


def by_rule(rows: Iterable[Row]) -> Counter[str]:
    """The confirmed findings counted as `severity rule`."""
    return Counter(f"{found.severity} {found.rule}" for row in rows for found in row.confirmed)


def reasons(rows: Iterable[Row]) -> Counter[str]:
    """Why files and models were left out, without the places, names and numbers that vary."""
    counted: Counter[str] = Counter()
    for outcome in (outcome for row in rows for outcome in row.outcomes):
        if outcome.failure:
            counted[alike(f"file: {outcome.failure}")] += 1
        left_out = (model for model in outcome.models if model.status not in COVERED)
        counted.update(alike(f"{model.status}: {model.reason}") for model in left_out)
    return counted


def built(row: Row) -> Iterator[str]:
    """A line for each model that was built by itself: where, whence, how, and what it was fed."""
    for outcome in row.outcomes:
        for model in outcome.models:
            if model.status in COVERED and model.constructor:
                how = f"{model.source}: {model.constructor}"
                yield f"{outcome.path}: {how} <- {'; '.join(model.inputs)}"


def alike(reason: str) -> str:
    """The reason without what varies from model to model."""
    first = (reason.splitlines() or [""])[0]
    return _VARYING.sub("…", _PLACE.sub("", first))[:160]
