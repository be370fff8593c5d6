"""Models that are alive in the caller's process: in a notebook, or in a test.

Such a model cannot be handed to a worker: it would have to be pickled, and classes of notebooks and
of functions cannot be. The caller has imported torch already, so nothing is lost by measuring it
here. That is why this module, alone of all, imports the worker, and only when a model is checked.
"""

from __future__ import annotations

import linecache
import re
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import CodeType, FrameType

from gradlint import __version__
from gradlint.discovery.knowledge.optimizers import family_of
from gradlint.discovery.text.files import shown_path
from gradlint.discovery.text.source import Source, parse
from gradlint.discovery.text.suppressions import read_suppressions
from gradlint.judging.examine import Examined, Settings, examine
from gradlint.loader import rules
from gradlint.program import ModelDefinition, Suppression, Unreadable
from gradlint.protocol.span import Span
from gradlint.report import FileReport, Report
from gradlint.rule import Rule
from gradlint.settings.config import Config
from gradlint.suppressing import suppressed


def check_live(
    model: object, inputs: object, optimizer: object, config: Config, root: Path
) -> Report:
    """Examine a live model as one of a file is examined.

    Raises:
        TypeError: `model` is neither a module nor callable.
    """
    from gradlint.worker.live import CANDIDATE, LiveSession

    start = time.perf_counter()
    place = _place_of(model, root)
    session = LiveSession(model, inputs, place.path, place.shown)
    span = Span(place.shown, place.line)
    definition = ModelDefinition(place.name, span, place.line, True, (), (CANDIDATE,))
    seeds = 1 if session.weights_are_given else config.seeds
    settings = _settings(config, place, optimizer, range(config.seed, config.seed + seeds))
    examined = examine(definition, (), session, settings)
    return Report(
        files=(_file_report(place, examined, config),),
        gradlint=__version__,
        torch=session.torch,
        seed=config.seed,
        seeds=seeds,
        seconds=time.perf_counter() - start,
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the source of a model is: the file as Python compiled it, and as reports print it."""

    name: str
    path: str
    shown: str
    line: int

    @property
    def text(self) -> str:
        """The source; notebooks and consoles leave that of cells with `linecache`."""
        return "".join(linecache.getlines(self.path))


def _place_of(model: object, root: Path) -> _Place:
    """Where a model's class or the function that makes it is defined, else where it is checked."""
    is_function = hasattr(model, "__code__")
    kind = model if isinstance(model, type) or is_function else type(model)
    name = str(getattr(kind, "__qualname__", kind)).rpartition("<locals>.")[2].strip("<>")
    code = getattr(kind if is_function else getattr(kind, "forward", None), "__code__", None)
    if isinstance(code, CodeType) and not str(getattr(kind, "__module__", "")).startswith("torch."):
        path = code.co_filename
        line = _class_line(name.rpartition(".")[2], path, code.co_firstlineno)
    else:
        caller = _caller()
        path, line = caller.f_code.co_filename, caller.f_lineno
    return _Place(name, path, _shown(path, root), line)


def _class_line(name: str, path: str, before: int) -> int:
    """The line of the class `name` whose method stands at line `before`, else that line itself."""
    header = re.compile(rf"\s*class {re.escape(name)}\b")
    lines = linecache.getlines(path)[:before]
    return max((n for n, line in enumerate(lines, 1) if header.match(line)), default=before)


def _shown(path: str, root: Path) -> str:
    return shown_path(Path(path), root) if Path(path).is_file() else "<cell>"


def _caller() -> FrameType:
    """The frame outside gradlint that asked."""
    frame = sys._getframe(1)
    while str(frame.f_globals.get("__name__", "")).startswith("gradlint.") and frame.f_back:
        frame = frame.f_back
    return frame


def _settings(config: Config, place: _Place, optimizer: object, seeds: range) -> Settings:
    kind = optimizer if isinstance(optimizer, type) else type(optimizer)
    name = optimizer if isinstance(optimizer, str) else kind.__name__

    def ignores(rule: type[Rule], layer: str) -> bool:
        return config.ignores_in(rule.name(), rule.family.value, place.name, layer)

    return Settings(
        rules=tuple(r for r in rules() if config.selects(r.name(), r.family.value, place.shown)),
        seeds=tuple(seeds),
        optimizer=None if optimizer is None else family_of(name),
        ignores=ignores,
    )


def _file_report(place: _Place, examined: Examined, config: Config) -> FileReport:
    text = place.text
    lines = tuple(text.splitlines())
    found = [
        replace(finding, severity=config.severity_of(finding.rule, finding.severity))
        for finding in examined.findings
    ]
    return FileReport(
        path=place.shown,
        models=(examined.summary,),
        findings=suppressed(found, _suppressions(place, text, lines), say_unused=False),
        lines=lines,
    )


def _suppressions(place: _Place, text: str, lines: tuple[str, ...]) -> tuple[Suppression, ...]:
    source = Source(Path(place.path), place.shown, text, lines)
    tree = parse(source)
    return () if isinstance(tree, Unreadable) else read_suppressions(source, tree)
