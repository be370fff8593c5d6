"""One file after the other, from source to report, with one worker to run what they define."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gradlint.cells import in_cells
from gradlint.discovery import discover
from gradlint.discovery.knowledge.optimizers import family_of
from gradlint.discovery.text.files import FoundFile
from gradlint.discovery.text.lookups import Lookups
from gradlint.discovery.training.trainers import family_elsewhere
from gradlint.discovery.wholes import Surroundings
from gradlint.judging.evidence import Severity, Verdict
from gradlint.judging.examine import Asked, Examined, Settings, examine
from gradlint.loader import rules
from gradlint.process.session import Lost, Session
from gradlint.process.worker import Worker
from gradlint.program import (
    LossCall,
    ModelDefinition,
    Program,
    TrainingLoop,
    Unreadable,
)
from gradlint.protocol.training import OptimizerFamily
from gradlint.protocol.wire import (
    BuiltFrom,
    Candidate,
    Imported,
    OpenFile,
    Probed,
    ProbeModel,
    Ready,
    Traced,
    TraceModel,
    UserFailure,
    Whole,
)
from gradlint.report import FileReport, Finding, Linted, ModelStatus, ModelSummary
from gradlint.rule import Rule
from gradlint.settings.config import Config, ModelSettings, interpreter
from gradlint.suppressing import suppressed

Say = Callable[[str, str], None]
"""Told the path and the model, "" for none yet, of what is being done."""


def _may_hold_models(data: bytes) -> bool:
    """Whether a file mentions torch and has classes, as almost all do that need a worker."""
    return b"torch" in data and b"class " in data


class Linter:
    """Lints one file at a time; the worker is started when the first file may need it."""

    def __init__(self, config: Config, root: Path, say: Say | None = None) -> None:
        self._config = config
        self._root = root
        self._say = say or (lambda path, model: None)
        self._worker: Worker | None = None
        self._ready: Ready | UserFailure | Lost | None = None
        self._rules = rules()
        self._read: set[str] = set()
        self._absent: set[str] = set()
        self._settled = True
        self._closed = False
        self._around: Surroundings | None = None

    def close(self) -> None:
        """End the worker, if one was started; what still runs in another thread ends soon."""
        self._closed = True
        if self._worker is not None:
            self._worker.close()

    def lint(self, file: FoundFile | Unreadable) -> Linted:
        """Discover what the file holds and examine its models."""
        if isinstance(file, Unreadable):
            return Linted(_unreadable(file), settled=False)
        self._say(file.shown, "")
        if self._config.trace and not self._closed and _may_hold_models(file.data or b""):
            self._started()  # because torch is imported while the file is read
        program = discover(file.path, file.shown, self._root, file.data)
        if isinstance(program, Unreadable):
            return Linted(_unreadable(program), settled=False)
        self._read, self._absent, self._settled = set(program.read), set(program.absent), True
        examined = tuple(self.examine(file, program, roots_first(program)))
        found = [finding for item in examined for finding in item.findings]
        skips = any(self._config.model(program.path, m.name).skip for m in program.models)
        probed = all(item.summary.status is ModelStatus.PROBED for item in examined)
        report = FileReport(
            path=program.path,
            models=_summaries(program, examined),
            findings=suppressed(
                found,
                program.suppressions,
                say_unused=probed and self._config.trace and not skips,
                looked_for=lambda rule: self._looks_for(rule, program.path),
            ),
            lines=program.lines,
        )
        if program.cells:
            report = in_cells(report, program.cells)
        torch = self._ready.torch if examined and isinstance(self._ready, Ready) else ""
        read, absent = tuple(sorted(self._read)), tuple(sorted(self._absent))
        return Linted(report, torch, read, absent, self._settled)

    def _looks_for(self, name: str, path: str) -> bool:
        """Whether the settings ask for a rule in a file; one that does not exist is asked for."""
        families = {rule.name(): rule.family.value for rule in self._rules}
        return name not in families or self._config.selects(name, families[name], path)

    def examine(
        self, file: FoundFile, program: Program, models: Sequence[ModelDefinition]
    ) -> Iterator[Examined]:
        """Examine `models` in order; a class that an examined model is made of is covered by it."""
        if not models or not self._config.trace:
            return
        covered: set[str] = set()
        session: Session | None = None
        for model in models:
            if model.name in covered or self._config.model(program.path, model.name).skip:
                continue
            if session is None:
                opened = self._open(file, program)
                if not isinstance(opened, Session):
                    self._settled = self._settled and isinstance(opened, UserFailure)
                    yield _failed(model, opened)
                    continue
                session = opened
            self._say(program.path, model.name)
            item = self._examine_anyhow(model, program, session)
            covered.update(item.classes)
            if item.lost:
                self._settled = False
                self._close(session)
                session = None
            yield item
        if session is not None:
            self._close(session)

    def _close(self, session: Session) -> None:
        session.close()
        if session.closed is None or not session.closed.settled:
            self._settled = False
            return
        self._read.update(session.closed.read)
        self._absent.update(session.closed.absent)

    def _started(self) -> Worker:
        """The worker, which may still be importing torch."""
        if self._worker is None:
            self._worker = Worker(
                interpreter(self._config, self._root),
                memory_mb=self._config.memory,
                timeout=self._config.timeout,
            )
        return self._worker

    def _open(self, file: FoundFile, program: Program) -> Session | UserFailure | Lost:
        """A session in which the file is imported, or why there is none."""
        if self._closed:
            return Lost("open", "the run was interrupted")
        worker = self._started()
        if self._ready is None:
            self._ready = worker.ready()
        if not isinstance(self._ready, Ready):
            self._settled = False  # because torch may be there the next time
            return self._ready
        session = worker.open(open_request(file, program, self._root, self._config))
        if isinstance(session, Lost):
            return session
        imported = session.import_file()
        if isinstance(imported, Imported):
            return session
        self._close(session)
        return imported

    def _examine_anyhow(
        self, model: ModelDefinition, program: Program, session: Session
    ) -> Examined:
        """The outcome for one model, as a part of another where it cannot be had alone.

        Both together take no longer than one answer may.
        """
        start = time.monotonic()
        alone = self._examine(model, program, session)
        lacking = _LACKING.search(alone.summary.reason or "") is not None
        if alone.lost or alone.summary.status not in _IN_VAIN or lacking:
            return alone
        around = self._wholes(model, program)
        left = self._config.timeout - (time.monotonic() - start)
        if not around or left <= 0:
            return alone
        part = self._examine(replace(model, wholes=around), program, _Hurried(session, left))
        found = part if part.summary.status not in _IN_VAIN else alone
        return replace(found, lost=part.lost)

    def _wholes(self, model: ModelDefinition, program: Program) -> tuple[Whole, ...]:
        path, root = (self._root / program.path).absolute(), self._root.absolute()
        if self._around is None or self._around.path != path:
            self._around = Surroundings(path, root, program, Lookups())
        found = self._around.wholes(model.name)
        self._note(self._around.lookups)
        return found

    def _examine(self, model: ModelDefinition, program: Program, session: Asked) -> Examined:
        wishes = self._config.model(program.path, model.name)
        loops = tuple(_wished(loop, wishes) for loop in _loops_of(model, program))
        first = self._config.seed
        settings = Settings(
            rules=tuple(
                rule
                for rule in self._rules
                if self._config.selects(rule.name(), rule.family.value, program.path)
            ),
            seeds=tuple(range(first, first + self._config.seeds)),
            optimizer=family_of(wishes.optimizer) if wishes.optimizer else None,
            sequence_length=wishes.sequence_length,
            pictures=self._config.pictures,
            ignores=lambda rule, layer: self._ignores(rule, model.name, layer),
        )
        described = replace(model, candidates=_candidates(model, wishes))
        losses = _losses_of(model, program)
        item = examine(described, loops, session, settings, losses)
        if item.findings and not item.lost and not loops and settings.optimizer is None:
            # Only then, because what other files say is asked for only where it decides something.
            family = self._family_elsewhere(model, program)
            if family is not OptimizerFamily.UNKNOWN:
                known = replace(settings, optimizer=family)
                item = examine(described, loops, session, known, losses)
        return replace(item, findings=tuple(self._weighed(f) for f in item.findings))

    def _family_elsewhere(self, model: ModelDefinition, program: Program) -> OptimizerFamily:
        lookups = Lookups()
        path = self._root / program.path
        family = family_elsewhere(path, self._root, model.name, lookups)
        self._note(lookups)
        return family

    def _note(self, lookups: Lookups) -> None:
        self._read.update(lookups.read)
        self._absent.update(lookups.absent)

    def _ignores(self, rule: type[Rule], model: str, layer: str) -> bool:
        return self._config.ignores_in(rule.name(), rule.family.value, model, layer)

    def _weighed(self, finding: Finding) -> Finding:
        severity = self._config.severity_of(finding.rule, finding.severity)
        return replace(finding, severity=severity)


_LACKING = re.compile(r": (Import|ModuleNotFound)Error: ")
_IN_VAIN = (ModelStatus.NOT_BUILT, ModelStatus.FAILED)


@dataclass(slots=True)
class _Hurried:
    """A session that has only so many seconds left to trace; then its answers take their time."""

    session: Session
    seconds: float

    def ask(self, request: TraceModel | ProbeModel) -> Traced | Probed | UserFailure | Lost:
        """The answer, or why there is none."""
        limit = self.seconds if isinstance(request, TraceModel) else None
        return self.session.ask(request, timeout=limit)


def _candidates(model: ModelDefinition, wishes: ModelSettings) -> tuple[Candidate, ...]:
    """The ways to build the model, what the user wishes first."""
    if wishes.arguments is None and wishes.inputs is None:
        return model.candidates
    source = BuiltFrom.COMMAND_LINE if wishes.command_line else BuiltFrom.CONFIGURATION
    if wishes.arguments is not None:
        constructor = f"{model.name}({wishes.arguments})"
        return (Candidate(source, constructor, wishes.inputs),)
    return tuple(
        replace(candidate, built_from=source, inputs=wishes.inputs)
        for candidate in model.candidates
    )


def _wished(loop: TrainingLoop, wishes: ModelSettings) -> TrainingLoop:
    if not wishes.optimizer:
        return loop
    training = replace(
        loop.training, optimizer=wishes.optimizer, family=family_of(wishes.optimizer)
    )
    return replace(loop, training=training)


def open_request(file: FoundFile, program: Program, root: Path, config: Config) -> OpenFile:
    """How the worker is to import a file: as part of its package, if it stands in one."""
    path = file.path.absolute()
    package, parts = path.parent, [path.stem] if path.stem != "__init__" else []
    above = _levels(program.code or "\n".join(program.lines))
    while (package / "__init__.py").exists() or len(parts) <= above:
        parts.insert(0, package.name)
        package = package.parent
    inside = package != path.parent and program.cells is None
    return OpenFile(
        path=str(path),
        shown=file.shown,
        root=str(root),
        module=".".join(parts) if inside else "",
        import_paths=(str(package),),
        memory_mb=config.memory,
        text=program.code,
    )


_RELATIVE = re.compile(r"^\s*from\s+(\.+)\s*[\w.]*\s+import\b", re.MULTILINE)


def _levels(text: str) -> int:
    """How many folders up the relative imports of a file reach, which may lack an __init__."""
    return max((len(dots) for dots in _RELATIVE.findall(text)), default=0)


def roots_first(program: Program) -> tuple[ModelDefinition, ...]:
    """The roots, then the others from below, because wholes stand below their parts."""
    roots = (model for model in program.models if model.root)
    return (*roots, *(model for model in reversed(program.models) if not model.root))


def _loops_of(model: ModelDefinition, program: Program) -> tuple[TrainingLoop, ...]:
    """The loops that train `model`; one that names no model trains the file's only root."""
    only = _is_only_root(model, program)
    return tuple(
        loop for loop in program.loops if loop.model == model.name or (only and not loop.model)
    )


def _losses_of(model: ModelDefinition, program: Program) -> tuple[LossCall, ...]:
    """The losses on what `model` gives; one that names no model is fed by the file's only root."""
    only = _is_only_root(model, program)
    return tuple(
        loss for loss in program.losses if loss.model == model.name or (only and not loss.model)
    )


def _is_only_root(model: ModelDefinition, program: Program) -> bool:
    return [other for other in program.models if other.root] == [model]


def _failed(model: ModelDefinition, failure: UserFailure | Lost) -> Examined:
    reason = failure.reason if isinstance(failure, Lost) else f"{failure.stage}: {failure.message}"
    return Examined(ModelSummary(model.name, model.span, ModelStatus.FAILED, reason))


def _summaries(program: Program, examined: Sequence[Examined]) -> tuple[ModelSummary, ...]:
    """One summary for each model of the file, in the order of lines."""
    by_name = {item.summary.name: item.summary for item in examined}
    covering = {name: item.summary for item in examined for name in item.classes}
    return tuple(
        _summary(model, by_name.get(model.name), covering.get(model.name))
        for model in program.models
    )


def _summary(
    model: ModelDefinition, own: ModelSummary | None, by: ModelSummary | None
) -> ModelSummary:
    """What became of a model; one that ran only inside of another is covered by that."""
    if own is None or (by is not None and own.status in _IN_VAIN):
        return _covered(model, by)
    return own


def _covered(model: ModelDefinition, by: ModelSummary | None) -> ModelSummary:
    if by is None:
        return ModelSummary(model.name, model.span, ModelStatus.NOT_RUN, "--no-trace")
    return ModelSummary(
        model.name, model.span, by.status, f"as part of {by.name}", covered_by=by.name
    )


def _unreadable(file: Unreadable) -> FileReport:
    finding = Finding(
        rule="unreadable-file",
        family="file",
        severity=Severity.ERROR,
        span=file.span,
        model="",
        layer="",
        message=file.reason,
        verdict=Verdict.CONFIRMED,
    )
    return FileReport(path=file.span.path, reason=file.reason, findings=(finding,))
