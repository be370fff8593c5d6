"""The result of a run: what reporters render and other tools read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from gradlint.judging.evidence import Evidence, RemedyVerdict, Severity, Verdict, disagrees
from gradlint.protocol.span import Span
from gradlint.protocol.training import OptimizerFamily
from gradlint.protocol.wire import BuiltFrom


class ModelStatus(str, Enum):
    """How far a model came."""

    PROBED = "probed"
    TRACED = "traced"
    NOT_BUILT = "not-built"
    FAILED = "failed"
    NOT_RUN = "not-run"


@dataclass(frozen=True, slots=True)
class TrunkLayer:
    """One layer of the trunk and the gradient there, in decades relative to the root.

    `line` counts within `cell` where the file is a notebook, whose cells count from 1.
    """

    layer: str
    op: str
    line: int
    measured: tuple[float, ...]
    predicted: float | None = None
    cell: int = 0

    @property
    def disagrees(self) -> bool:
        """Whether what is predicted is more than a decade away from what was measured."""
        known = sorted(value for value in self.measured if not math.isnan(value))
        return bool(known) and disagrees(known[len(known) // 2], self.predicted)


@dataclass(frozen=True, slots=True)
class Signals:
    """Gradient decades and log10 of the rms activation, one of each for each pictured layer.

    Infinite where no gradient arrives or a number overflowed, NaN where nothing is known.
    """

    decades: tuple[float, ...]
    activations: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PicturedLayer:
    """A layer, an input or the loss as a picture shows it; `producers` are places in the picture.

    `line` counts within `cell` where the file is a notebook, whose cells count from 1.
    `op` is `input` or `loss` where it is no layer.
    """

    id: str
    op: str
    module: str
    line: int
    shape: tuple[int, ...]
    producers: tuple[int, ...]
    parameters: int = 0
    cell: int = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """The whole layer graph in the order in which it ran, and the signals of the first seed.

    `predicted` is None where the theory does not know enough of the operations.
    """

    layers: tuple[PicturedLayer, ...]
    measured: Signals
    predicted: Signals | None = None


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """What was done with one model. It has a picture where one was asked for.

    `unfetched` of its `parameters` have values in place of published weights, which are not loaded.
    `method` is the one that ran it. `assumed` are sizes of the file that depend on what is not
    there, with the usual values that they were given.
    """

    name: str
    span: Span
    status: ModelStatus
    reason: str = ""
    built_from: str = ""
    constructor: str = ""
    assumed: tuple[str, ...] = ()
    method: str = "forward"
    inputs: tuple[str, ...] = ()
    optimizer: OptimizerFamily = OptimizerFamily.UNKNOWN
    parameters: int = 0
    unfetched: int = 0
    layers: int = 0
    seconds: float = 0.0
    trunk: tuple[TrunkLayer, ...] = ()
    covered_by: str = ""
    picture: Picture | None = None

    @property
    def invented(self) -> bool:
        """Whether the model was built on values that nothing in the source names."""
        return self.built_from == BuiltFrom.NAMES.value

    @property
    def decades(self) -> tuple[float, ...]:
        """Gradient decades at the bottom of the trunk, one value for each seed."""
        return self.trunk[0].measured if self.trunk else ()


@dataclass(frozen=True, slots=True)
class TriedRemedy:
    """A remedy after it was applied to a copy and measured, one value for each seed.

    `signals` are those at the layers of the model's picture, None where there is none.
    """

    title: str
    measured: tuple[float, ...]
    verdict: RemedyVerdict
    fix: str = "none"
    signals: Signals | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A judged hypothesis. `notes` are the findings that speak of the same region.

    `suppressed` is true where the user allows it: by a comment, or in a baseline (`baselined`).
    `causes` say what takes how many of the gradient's decades over the region, the most first;
    negative ones are lost.
    """

    rule: str
    family: str
    severity: Severity
    span: Span
    model: str
    layer: str
    message: str
    verdict: Verdict
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    remedies: tuple[TriedRemedy, ...] = ()
    advice: str = ""
    suppressed: bool = False
    suppression_reason: str = ""
    baselined: bool = False
    notes: tuple[Finding, ...] = ()
    causes: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class FileReport:
    """One file: whether it could be linted, and what was found in it.

    `reason` says why not. `lines` is the text, for reports that show source. `cells` are, for a
    notebook, the indices in `lines` at which its cells begin.
    """

    path: str
    reason: str = ""
    models: tuple[ModelSummary, ...] = ()
    findings: tuple[Finding, ...] = ()
    lines: tuple[str, ...] = ()
    cells: tuple[int, ...] = ()

    def text_at(self, span: Span) -> str | None:
        """The line of the source on which `span` begins, None where that is not known."""
        index = self.index_of(span.line, span.cell)
        return None if index is None else self.lines[index]

    def index_of(self, line: int, cell: int = 0) -> int | None:
        """Where a line, of a cell in a notebook, stands in `lines`, None where it does not."""
        index = line - 1
        if cell:
            index += self.cells[cell - 1] if cell <= len(self.cells) else len(self.lines)
        return index if 0 <= index < len(self.lines) else None

    @property
    def linted(self) -> bool:
        """Whether the file could be read."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class Linted:
    """The report of one file, and what it rests on beside the file, the settings and gradlint.

    `torch` is the version in the worker, "" where none was asked. `read` are the other files of the
    project that were read, `absent` those that were looked for in vain. `settled` is false where
    another run may end otherwise: a process was lost, had no time, or did not start.
    """

    report: FileReport
    torch: str = ""
    read: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    settled: bool = True


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """A whole run."""

    files: tuple[FileReport, ...]
    gradlint: str
    torch: str
    seed: int
    seeds: int
    seconds: float
    traced: bool = True

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings in the order of files and lines, the suppressed ones too."""
        return tuple(finding for file in self.files for finding in file.findings)

    @property
    def models(self) -> tuple[ModelSummary, ...]:
        """All models in the order of files and lines."""
        return tuple(model for file in self.files for model in file.models)

    def __repr__(self) -> str:
        """What was found and what ran, in one line."""
        from gradlint.reporters import footer  # because it imports this module

        return f"<Report: {' '.join(footer.summary_lines(self, show_all=True))}>"

    def __str__(self) -> str:
        """The report for people, as text."""
        from gradlint.reporters import presentation, text  # because these import this module

        return text.render(presentation.cleaned(self))

    def _repr_html_(self) -> str:
        """The report as Jupyter shows it."""
        from gradlint.reporters import inline  # because it imports this module

        return inline.render(self)
