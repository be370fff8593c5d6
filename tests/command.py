"""The command line as its users start it: a process of its own, and the JSON that it prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]

_START = "from gradlint.cli import main; main()"


@dataclass(frozen=True, slots=True)
class Lint:
    """What one run of the command line ended with; `report` is its JSON."""

    status: int
    report: Mapping[str, list[dict[str, object]]]
    stdout: str
    stderr: str


def gradlint(
    *arguments: str, cwd: Path = ROOT, timeout: float = 1800
) -> subprocess.CompletedProcess[str]:
    """Run the command line in this interpreter, which also runs the linted code."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return subprocess.run(
        [sys.executable, "-c", _START, *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def lint(paths: Sequence[str], *options: str, cwd: Path = ROOT, timeout: float = 1800) -> Lint:
    """Lint `paths` without any configuration and read the JSON.

    Raises:
        ValueError: what was printed is not JSON; the message quotes it.
    """
    fixed = ("--isolated", "--no-cache", "--format", "json", "--python", sys.executable)
    done = gradlint("check", *fixed, *options, *paths, cwd=cwd, timeout=timeout)
    try:
        report = json.loads(done.stdout)
    except ValueError as error:
        said = f"{done.stdout[-400:]}\n{done.stderr[-800:]}"
        raise ValueError(f"status {done.returncode} and no JSON: {said}") from error
    return Lint(done.returncode, report, done.stdout, done.stderr)
