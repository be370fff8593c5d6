"""A user's day on a real terminal: first run, suppress, accept, report."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checkout import ROOT
from tests.test_hook import SICK

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux"),
]


class Terminal:
    """A shell in tmux; `run` types a command and waits for its end."""

    def __init__(self, directory: Path) -> None:
        self._name = f"gradlint-{os.getpid()}"
        self._done = directory / ".done"
        shell = ["tmux", "new-session", "-d", "-s", self._name, "-x", "200", "-y", "60"]
        subprocess.run([*shell, "-c", str(directory), "env PS1='$ ' bash --norc"], check=True)
        python, root = shlex.quote(sys.executable), shlex.quote(str(ROOT))
        self.run(f'gradlint() {{ PYTHONPATH={root} {python} -m gradlint "$@"; }}')
        self.run(f"unset VIRTUAL_ENV NO_COLOR; export TERM=screen GRADLINT_PYTHON={python}")

    def run(self, command: str, seconds: float = 120) -> tuple[int, str, str]:
        """The status, all that was seen while the command ran, and the screen at its end."""
        self._done.unlink(missing_ok=True)
        self._tmux("send-keys", "-l", f"clear; {command}; echo $? > {self._done.name}")
        self._tmux("send-keys", "Enter")
        until, seen = time.monotonic() + seconds, ""
        while not (self._done.exists() and self._done.read_text()):
            assert time.monotonic() < until, f"{command} takes too long:\n{seen[-2000:]}"
            time.sleep(0.1)
            seen += self.screen()
        return int(self._done.read_text()), seen, self.screen()

    def screen(self) -> str:
        """What the screen shows, with its colours."""
        return self._tmux("capture-pane", "-p", "-e")

    def close(self) -> None:
        """End the shell."""
        self._tmux("kill-session")

    def _tmux(self, command: str, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", command, "-t", self._name, *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "deep.py").write_text(SICK, encoding="utf-8")
    return tmp_path


@pytest.fixture
def terminal(project: Path) -> Iterator[Terminal]:
    opened = Terminal(project)
    yield opened
    opened.close()


def test_a_day_with_gradlint(terminal: Terminal, project: Path) -> None:
    lint = "gradlint --python $GRADLINT_PYTHON"
    status, seen, screen = terminal.run(lint)
    assert status == 1
    assert "0 of 1 files, " in seen, "the terminal shows what is being done"
    assert "0 of 1 files, " not in screen, "and takes it away"
    assert "\x1b[1m\x1b[31merror" in screen, "in colour"
    assert "saturating-stack" in screen

    status, _, screen = terminal.run(f"{lint} --format concise")
    assert status == 1
    seconds = re.findall(r"; ([\d.]+) s", screen)
    assert float(seconds[-1]) < 2, "the second run is cached"

    line = next(text for text in SICK.splitlines() if "Sigmoid" in text)
    allowed = f"{line}  # gradlint: ignore[saturating-stack] an example"
    (project / "deep.py").write_text(SICK.replace(line, allowed), encoding="utf-8")
    status, _, screen = terminal.run(f"{lint} --format concise")
    assert status == 0
    assert "1 suppressed" in screen

    (project / "deep.py").write_text(SICK, encoding="utf-8")
    assert terminal.run(f"{lint} --write-baseline baseline.json --format concise")[0] == 0
    (project / "pyproject.toml").write_text('[tool.gradlint]\nbaseline = "baseline.json"\n')
    assert terminal.run(f"{lint} --format concise")[0] == 0

    formats = "--format sarif=out.sarif --format html=report.html --format concise"
    assert terminal.run(f"{lint} {formats}")[0] == 0
    (result,) = json.loads((project / "out.sarif").read_text("utf-8"))["runs"][0]["results"]
    assert result["suppressions"] == [{"kind": "external", "justification": "in the baseline"}]
    assert "Gradient along the trunk" in (project / "report.html").read_text("utf-8")
