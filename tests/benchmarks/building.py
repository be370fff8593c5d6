"""What it adds to importing torch to find, build and trace the models of a file.

Run as `python -m tests.benchmarks.building [FILE…]`, by default over the healthy fixtures. One
worker imports torch once, which is timed; then, for each file, what reading it takes, importing it
(that is the user's own code), and building and tracing its models one after the other.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

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
    """Seconds that one file took, and how many of its roots were traced."""

    name: str
    roots: int
    traced: int
    discovery: float
    loading: float
    building: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    files = parser.parse_args().files or sorted(ROOT.glob("fixtures/*/healthy.py"))
    config = Config()
    with Worker(Path(sys.executable), memory_mb=config.memory, timeout=config.timeout) as worker:
        _, torch = _timed(worker.ready)
        times = [item for file in files if (item := measured(file, worker, config))]
    print(f"{'file':<40} roots traced  read s import s build s")
    for item in times:
        print(
            f"{item.name[-40:]:<40} {item.roots:>5} {item.traced:>6} {item.discovery:>7.3f}"
            f" {item.loading:>8.3f} {item.building:>7.3f}"
        )
    added = statistics.median(item.discovery + item.building for item in times)
    print(f"median file: {added:.3f} s to read and build, beside {torch:.2f} s to import torch")


def measured(file: Path, worker: Worker, config: Config) -> Times | None:
    """The times of one file; None if it holds no model or cannot be imported."""
    path = file.resolve()
    found = FoundFile(path, file.name, path.read_bytes())
    root = _root(path)
    program, discovery = _timed(lambda: discover(path, file.name, root, found.data))
    if not isinstance(program, Program) or not program.models:
        return None
    session = worker.open(open_request(found, program, root, config))
    if not isinstance(session, Session):
        return None
    _, loading = _timed(session.import_file)
    roots = [model for model in program.models if model.root]
    requests = [TraceModel(model.name, model.candidates, config.seed) for model in roots]
    replies, building = _timed(lambda: [session.ask(request) for request in requests])
    session.close()
    traced = sum(isinstance(reply, Traced) for reply in replies)
    name = f"{path.parent.name}/{path.name}"
    return Times(name, len(roots), traced, discovery, loading, building)


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
