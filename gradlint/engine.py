"""A whole run over files: find them, lint each, report."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from gradlint import __version__
from gradlint.config import Config
from gradlint.discovery import discover
from gradlint.discovery.files import FoundFile, find_files
from gradlint.graph import LayerGraph
from gradlint.linting import Linted, Linter
from gradlint.program import Unreadable
from gradlint.progress import Step, Watch
from gradlint.report import ModelSummary, Report


def lint(
    paths: Sequence[Path],
    config: Config,
    root: Path,
    *,
    contents: Mapping[Path, bytes] | None = None,
    watch: Watch | None = None,
) -> Report:
    """Lint the Python files that `paths` mean; shown paths are relative to the project's `root`.

    `contents` are what absolute paths hold instead of what is on the disk. `watch` is told what is
    being done, for those who wait.
    """
    start = time.perf_counter()
    found = find_files(
        paths,
        root,
        exclude=config.exclude,
        force_exclude=config.force_exclude,
        contents=contents or {},
    )
    run = _Progress(len(found), watch)
    with contextlib.closing(Linter(config, root, run.say)) as linter:
        linted = [run.finished(linter.lint(file)) for file in found]
    return Report(
        files=tuple(item.report for item in linted),
        gradlint=__version__,
        torch=next((item.torch for item in linted if item.torch), ""),
        seed=config.seed,
        seeds=config.seeds,
        seconds=time.perf_counter() - start,
        traced=config.trace,
    )


class _Progress:
    """Counts the files that are done and tells the one who watches."""

    def __init__(self, total: int, watch: Watch | None) -> None:
        self._done = 0
        self._total = total
        self._watch = watch

    def say(self, path: str, model: str) -> None:
        if self._watch is not None:
            self._watch(Step(path, model, self._done, self._total))

    def finished(self, linted: Linted) -> Linted:
        self._done += 1
        return linted


def layer_graphs(
    path: Path, name: str, config: Config, root: Path
) -> tuple[tuple[ModelSummary, LayerGraph | None], ...]:
    """Trace and probe the models of one file (`name` alone, or all roots where it is empty)."""
    found = find_files([path], root)[0]
    program = discover(found.path, found.shown, root) if isinstance(found, FoundFile) else found
    if isinstance(program, Unreadable) or isinstance(found, Unreadable):
        return ()
    wanted = tuple(m for m in program.models if (m.name == name if name else m.root))
    with contextlib.closing(Linter(config, root)) as linter:
        examined = tuple(linter.examine(found, program, wanted))
    return tuple((item.summary, item.graph) for item in examined)
