"""One run of the command line for each file, remembered so that a sweep can be taken up again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.corpora.results import Outcome, read_outcome

ROOT = Path(__file__).parents[2]
ENVIRONMENT = Path(__file__).parent / "environment"
_START = "import sys; sys.path.pop(0); from {} import main; main()"
_LINTING = ("--format", "json", "--show", "all", "--isolated", "--exit-zero")
_ANSWERS = 20  # files rarely need longer than so many answers that each take the whole limit


@dataclass(frozen=True, slots=True)
class Sweep:
    """How files are linted and where the results are kept.

    `timeout` is in seconds, per answer. `traced` says that models are traced alone, not probed.
    """

    results: Path
    timeout: float
    traced: bool = False

    def outcome(self, root: Path, file: Path) -> Outcome:
        """What linting `file`, which is relative to `root`, gives, or gave in an earlier run."""
        kept = self.results / f"{'.'.join(file.parts)}.json"
        if not kept.exists():
            text = self._lint(root, file)
            unfinished = kept.with_suffix(".part")
            unfinished.write_text(text, encoding="utf-8")
            unfinished.replace(kept)  # because an interrupted run must not leave half a result
        return read_outcome(kept, file.as_posix())

    def _lint(self, root: Path, file: Path) -> str:
        start = _START.format("tests.corpora.tracing" if self.traced else "gradlint.cli")
        options = () if self.traced else _LINTING
        limits = ("--timeout", f"{self.timeout:g}", "--python", sys.executable)
        command = [sys.executable, "-c", start, str(file), *options, *limits]
        process = subprocess.Popen(
            command,
            cwd=root,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            printed, complaint = process.communicate(timeout=_ANSWERS * self.timeout)
        except subprocess.TimeoutExpired:
            _end(process)
            return _failure(f"gradlint did not end within {_ANSWERS * self.timeout:g} s")
        except BaseException:
            _end(process)
            raise
        if process.returncode == 0 and printed.startswith("{"):
            return printed
        last = complaint.strip().splitlines()[-1:] or ["nothing on standard error"]
        return _failure(f"gradlint ended with status {process.returncode}: {last[0]}")


def default_results(timeout: float, *, traced: bool = False) -> Path:
    """A cache for this state of gradlint's sources and these limits, in the temporary directory."""
    state = hashlib.sha256(f"{timeout:g}\0{traced}\0{sys.version}".encode())
    for folder in ("gradlint", "rules"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            state.update(file.read_bytes())
    return Path(tempfile.gettempdir()) / "gradlint-corpora" / state.hexdigest()[:12]


def environment() -> dict[str, str]:
    """The environment of a process that is to find gradlint, and torchvision without CUDA."""
    inherited = filter(None, [os.environ.get("PYTHONPATH")])
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ENVIRONMENT), str(ROOT), *inherited])}


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _failure(reason: str) -> str:
    return json.dumps({"failure": reason}) + "\n"
