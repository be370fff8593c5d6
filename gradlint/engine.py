"""A whole run over files: find them, lint each, report."""

from __future__ import annotations

import contextlib
import os
import queue
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from gradlint import __version__
from gradlint.baseline import Baseline, accepting, read_baseline
from gradlint.cache import FOLDER, Cache
from gradlint.cells import Cells
from gradlint.discovery.text.files import FoundFile, find_files, shown_path
from gradlint.process.interpreter import choose_interpreter
from gradlint.program import Program, Unreadable
from gradlint.progress import Step, Watch
from gradlint.report import Linted, ModelSummary, Report
from gradlint.settings.config import Config

if TYPE_CHECKING:
    from gradlint.layers.graph import LayerGraph
    from gradlint.linting import Linter


_FILES_FOR_A_JOB = 8
"""Files for which one more worker pays: its start costs as much as probing a few small models."""


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
    found = found_files(paths, config, root, contents)
    baseline = baseline_of(config, root)
    cache = _cache(config, root)
    known = [cache.find(file) if cache and isinstance(file, FoundFile) else None for file in found]
    progress = _Progress(len(found), sum(item is not None for item in known), watch)
    todo = [file for file, item in zip(found, known, strict=True) if item is None]
    new = iter(_linted(todo, config, root, progress, cache) if todo else ())
    linted = [item or next(new) for item in known]
    report = Report(
        files=tuple(item.report for item in linted),
        gradlint=__version__,
        torch=next((item.torch for item in linted if item.torch), ""),
        seed=config.seed,
        seeds=config.seeds,
        seconds=time.perf_counter() - start,
        traced=config.trace,
    )
    return report if baseline is None else accepting_baseline(report, baseline, config, root)


def found_files(
    paths: Sequence[Path], config: Config, root: Path, contents: Mapping[Path, bytes] | None = None
) -> tuple[FoundFile | Unreadable, ...]:
    """The files that `lint` would lint."""
    return find_files(
        paths,
        root,
        exclude=config.exclude,
        force_exclude=config.force_exclude,
        contents=contents,
    )


def baseline_of(config: Config, root: Path) -> Baseline | None:
    """The baseline that the settings name, None where they name none.

    Raises:
        ConfigError: there is no such baseline.
    """
    path = root / config.baseline
    return read_baseline(path, shown_path(path, root)) if config.baseline else None


def accepting_baseline(report: Report, baseline: Baseline, config: Config, root: Path) -> Report:
    """The report with the findings suppressed that `baseline` accepts."""

    def looks_for(rule: str, file: str) -> bool:
        from gradlint.loader import rules  # because it takes time and few baselines are stale

        families = {known.name(): known.family.value for known in rules()}
        return config.selects(rule, families.get(rule, ""), file)

    return accepting(report, baseline, root, looks_for)


def cache_directory(config: Config, root: Path) -> Path:
    """Where reports are kept; a relative directory is below the root."""
    return root / (config.cache_dir or FOLDER)


def _cache(config: Config, root: Path) -> Cache | None:
    if not config.cache:
        return None
    python = choose_interpreter(config.python, root) if config.trace else None
    state = python.state if python else str
    return Cache(cache_directory(config, root), config, root, state)


def _linted(
    files: Sequence[FoundFile | Unreadable],
    config: Config,
    root: Path,
    progress: _Progress,
    cache: Cache | None,
) -> list[Linted]:
    """Lint files with as many workers as are wanted; the results are in the order of the files."""
    linters = _linters(len(files), config, root, progress)
    free: queue.SimpleQueue[Linter] = queue.SimpleQueue()
    for linter in linters:
        free.put(linter)

    def lint(file: FoundFile | Unreadable) -> Linted:
        linter = free.get()
        try:
            linted = linter.lint(file)
        finally:
            free.put(linter)
        progress.finish()
        if cache is not None and isinstance(file, FoundFile):
            cache.store(file, linted)
        return linted

    pool = ThreadPoolExecutor(len(linters))
    try:
        # One works here, not in a thread, because a keyboard interrupt then ends it at once.
        return list(pool.map(lint, files) if len(linters) > 1 else map(lint, files))
    finally:
        for linter in linters:  # first, because a thread waits until its worker answers
            linter.close()
        pool.shutdown(cancel_futures=True)


def _linters(files: int, config: Config, root: Path, progress: _Progress) -> list[Linter]:
    # Here, because a run in which nothing changed needs neither rules nor graphs.
    from gradlint.layers.graph import import_now
    from gradlint.linting import Linter

    jobs = config.jobs or max(min(_processors(), files // _FILES_FOR_A_JOB), 1)
    if jobs > 1:
        import_now()
    return [Linter(config, root, progress.say) for _ in range(min(jobs, files))]


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Progress:
    """Counts the files that are done and tells the one who watches."""

    def __init__(self, total: int, done: int, watch: Watch | None) -> None:
        self._total = total
        self._done = done
        self._watch = watch

    def say(self, path: str, model: str) -> None:
        """Say what is being done."""
        if self._watch is not None:
            self._watch(Step(path, model, self._done, self._total))

    def finish(self) -> None:
        """Count one more file."""
        self._done += 1


def layer_graphs(
    path: Path, name: str, config: Config, root: Path, *, watch: Watch | None = None
) -> tuple[tuple[ModelSummary, LayerGraph | None], ...]:
    """Trace and probe models of one file: `name` alone, or all roots where it is empty.

    A file without roots has all models in it probed that are not parts of others.
    """
    from gradlint.linting import Linter, roots_first

    found, program = _program(path, root)
    if isinstance(program, Unreadable) or isinstance(found, Unreadable):
        return ()
    wanted = tuple(m for m in program.models if (m.name == name if name else m.root))
    if not name and not wanted:
        wanted = roots_first(program)
    progress = _Progress(1, 0, watch)
    with contextlib.closing(Linter(config, root, progress.say)) as linter:
        examined = tuple(linter.examine(found, program, wanted))
    if not program.cells:
        return tuple((item.summary, item.graph) for item in examined)
    cells = Cells(program.path, program.cells)
    return tuple(
        (cells.placed(item.summary), item.graph and item.graph.mapped(cells.placed))
        for item in examined
    )


def model_names(path: Path, root: Path) -> tuple[str, ...]:
    """The models of one file, none where it cannot be read."""
    _, program = _program(path, root)
    return () if isinstance(program, Unreadable) else tuple(m.name for m in program.models)


def _program(path: Path, root: Path) -> tuple[FoundFile | Unreadable, Program | Unreadable]:
    from gradlint.discovery import discover

    found = find_files([path], root)[0]
    return found, (
        discover(found.path, found.shown, root) if isinstance(found, FoundFile) else found
    )
