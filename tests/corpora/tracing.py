"""One file built and traced without any probe: whether its models can be covered, soon told."""

from __future__ import annotations

import argparse
import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from gradlint import __version__
from gradlint.discovery.text.files import find_files
from gradlint.judging.examine import Asked, Examined
from gradlint.linting import Linter
from gradlint.process.session import Lost
from gradlint.program import ModelDefinition, Program
from gradlint.protocol.wire import Probed, ProbeModel, Traced, TraceModel, UserFailure
from gradlint.report import Report
from gradlint.reporters.json_ import render
from gradlint.settings.config import Config


@dataclass(frozen=True, slots=True)
class Unprobed:
    """A session of the worker that traces, and answers each probe as if memory had ended."""

    session: Asked

    def ask(self, request: TraceModel | ProbeModel) -> Traced | Probed | UserFailure | Lost:
        """The answer to a request for a trace, a refusal to any other."""
        if isinstance(request, TraceModel):
            return self.session.ask(request)
        return UserFailure("probe", "RuntimeError", "only traced", None, out_of_memory=True)


class Tracer(Linter):
    """A linter that measures nothing: what it covers has the status `traced`."""

    def _examine(self, model: ModelDefinition, program: Program, session: Asked) -> Examined:
        return super()._examine(model, program, Unprobed(session))


def main() -> None:
    """Trace the models of one file below the working directory and print the report as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpora.tracing", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--timeout", type=float, default=40.0, help="seconds  [default: 40]")
    parser.add_argument("--python", default="", help="the interpreter that runs the file")
    options = parser.parse_args()
    start = time.perf_counter()
    config = Config(timeout=options.timeout, python=options.python)
    (file,) = find_files([options.file], Path.cwd())
    with contextlib.closing(Tracer(config, Path.cwd())) as tracer:
        linted = tracer.lint(file)
    report = Report(
        files=(linted.report,),
        gradlint=__version__,
        torch=linted.torch,
        seed=config.seed,
        seeds=config.seeds,
        seconds=time.perf_counter() - start,
    )
    print(render(report, show_all=True), end="")


if __name__ == "__main__":
    main()
