"""Which Python runs the linted code, and why that one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from gradlint.settings.toml import ConfigError

_STATE = """
import importlib.util, os, sys
print(sys.version, sys.executable, sys.prefix, sys.path[1:])
torch = importlib.util.find_spec("torch")
folders = [f for f in sys.path if os.path.basename(f) in ("site-packages", "dist-packages")]
files = [torch.origin] if torch and torch.origin else []
for path in (*folders, *files):
    if os.path.exists(path):
        print(path, os.stat(path).st_mtime_ns)
"""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python and the reason for which it was chosen."""

    path: Path
    reason: str

    def versions(self) -> tuple[str, str]:
        """The versions of Python and of torch in it, "" for what is not there.

        torch is not imported: its version is read from the metadata of the installed distribution.
        """
        code = (
            "import platform, importlib.metadata as m\n"
            "print(platform.python_version())\n"
            "print(*(d.version for d in m.distributions(name='torch')))"
        )
        python, torch, *_ = [*self._answer("-I", "-c", code).splitlines(), "", ""]
        return python, torch.partition(" ")[0]

    def state(self) -> str:
        """A text that changes with the interpreter, its torch, or what is installed beside it.

        torch is found and not imported. A folder of packages changes when one comes or goes.
        """
        return self._answer("-X", "utf8", "-c", _STATE)

    def _answer(self, *arguments: str) -> str:
        """What it prints, "" where it fails."""
        try:
            done = subprocess.run(
                [self.path, *arguments], capture_output=True, text=True, timeout=60, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return ""
        return done.stdout


def choose_interpreter(
    python: str, root: Path, environment: Mapping[str, str] = os.environ
) -> Interpreter:
    """The first of: `python`, VIRTUAL_ENV, the project's .venv, CONDA_PREFIX, gradlint's own.

    `python` is what the command line or the configuration says, "" for nothing: an interpreter or a
    virtual environment, relative to `root`, or a command on PATH. VIRTUAL_ENV is passed over where
    it is the environment of a commit hook, because that was made for gradlint and not for the
    project.

    Raises:
        ConfigError: `python` is neither.
    """
    if python:
        return Interpreter(_named(python, root), "it was asked for")
    for directory, reason in _environments(root, environment):
        found = _executable(directory)
        if found is not None:
            return Interpreter(found, reason)
    return Interpreter(Path(sys.executable), "it runs gradlint itself")


def _named(python: str, root: Path) -> Path:
    path = root / Path(python).expanduser()
    if path.is_dir():
        path = _executable(path) or path
    if path.is_file() and os.access(path, os.X_OK):
        return path
    for directory in os.get_exec_path():
        command = Path(directory) / python
        if os.sep not in python and command.is_file() and os.access(command, os.X_OK):
            return command
    raise ConfigError(f"no Python at {path}; give an interpreter or a virtual environment")


def _environments(root: Path, environment: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    active = environment.get("VIRTUAL_ENV")
    if active and not _made_for_a_hook(Path(active), environment):
        yield Path(active), "VIRTUAL_ENV names it"
    yield root / ".venv", "it is the project's .venv"
    conda = environment.get("CONDA_PREFIX")
    if conda:
        yield Path(conda), "CONDA_PREFIX names it"


def _made_for_a_hook(active: Path, environment: Mapping[str, str]) -> bool:
    if active.resolve() != Path(sys.prefix).resolve():
        return False
    return "PRE_COMMIT" in environment or find_spec("torch") is None


def _executable(directory: Path) -> Path | None:
    for name in ("bin/python", "bin/python3", "Scripts/python.exe", "python.exe"):
        path = directory / name
        if path.is_file() and os.access(path, os.X_OK):
            return path
    return None
