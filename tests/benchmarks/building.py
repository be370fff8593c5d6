"""What it adds to importing torch to find, build and trace the models of a file.

Run as `python -m tests.benchmarks.building [FILE…]`, by default over the healthy fixtures. For each
file a worker is started and asked for nothing but torch; then another is started, the file is read
meanwhile, as `gradlint` does it, and its models are built and traced one after the other. What the
second took longer, but for importing the file, which is the user's own code, is what is added:
once with the layer graphs of the models, and once without what it takes to trace these.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gradlint.cli import COLLECTED_AFTER
from gradlint.discovery import discover
from gradlint.discovery.text.files import FoundFile
from gradlint.linting import open_request
from gradlint.process.session import Session
from gradlint.process.worker import Worker
from gradlint.program import Program
from gradlint.protocol.wire import Traced, TraceModel
from gradlint.settings.config import Config

ROOT = Path(__file__).parents[2]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds that one file took, and how many of its roots were traced.

    `torch` is what a worker takes that only imports torch, `whole` what one takes in which the file
    is read, imported and built.
    """

    name: str
    roots: int
    traced: int
    discovery: float
    loading: float
    building: float
    tracing: float
    torch: float
    whole: float

    @property
    def added(self) -> float:
        """What finding and building add to importing torch."""
        return self.whole - self.loading - self.torch - self.tracing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    files = parser.parse_args().files or sorted(ROOT.glob("fixtures/*/healthy.py"))
    config = Config()
    gc.set_threshold(COLLECTED_AFTER)  # as the command line does
    times = [item for file in files if (item := measured(file, config))]
    print(f"{'file':<40} roots traced  read s import s build s trace s torch s added s")
    for item in times:
        print(
            f"{item.name[-40:]:<40} {item.roots:>5} {item.traced:>6} {item.discovery:>7.3f}"
            f" {item.loading:>8.3f} {item.building:>7.3f} {item.tracing:>7.3f} {item.torch:>7.3f}"
            f" {item.added:>7.3f}"
        )
    added = statistics.median(item.added for item in times)
    traced = statistics.median(item.added + item.tracing for item in times)
    torch = statistics.median(item.torch for item in times)
    print(f"median file: {added:.3f} s to find and build, {traced:.3f} s with its layer graphs,")
    print(f"beside {torch:.2f} s to import torch")


def measured(file: Path, config: Config) -> Times | None:
    """The times of one file; None if it holds no model or cannot be imported."""
    path = file.resolve()
    found = FoundFile(path, file.name, path.read_bytes())
    root = _root(path)
    start = time.perf_counter()
    with _started(config) as worker:
        worker.ready()
        torch = time.perf_counter() - start
    start = time.perf_counter()
    with _started(config) as worker:
        program, discovery = _timed(lambda: discover(path, file.name, root, found.data))
        if not isinstance(program, Program) or not program.models:
            return None
        session = worker.open(open_request(found, program, root, config))
        if not isinstance(session, Session):
            return None
        _, loading = _timed(session.import_file)
        roots = [model for model in program.models if model.root]
        requests = [TraceModel(model.name, model.candidates, config.seed) for model in roots]
        replies, asking = _timed(lambda: [session.ask(request) for request in requests])
        whole = time.perf_counter() - start
        session.close()
    traced = [reply for reply in replies if isinstance(reply, Traced)]
    tracing = sum(reply.seconds - reply.building for reply in traced)
    name = f"{path.parent.name}/{path.name}"
    return Times(
        name=name,
        roots=len(roots),
        traced=len(traced),
        discovery=discovery,
        loading=loading,
        building=asking - tracing,
        tracing=tracing,
        torch=torch,
        whole=whole,
    )


def _started(config: Config) -> Worker:
    return Worker(Path(sys.executable), memory_mb=config.memory, timeout=config.timeout)


def _root(path: Path) -> Path:
    """The nearest folder around a file that is a project's, else its own."""
    signs = (".git", "pyproject.toml", "setup.py")
    projects = (
        folder for folder in path.parents if any((folder / sign).exists() for sign in signs)
    )
    return next(projects, path.parent)


def _timed(action: Callable[[], T]) -> tuple[T, float]:
    start = time.perf_counter()
    done = action()
    return done, time.perf_counter() - start


if __name__ == "__main__":
    main()
