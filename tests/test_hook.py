"""The hook for pre-commit, run as a project would run it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkout import commit_everything, copy_checkout

SICK = """\
import torch
from torch import nn


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        layers = []
        for _ in range(10):
            layers += [nn.Linear(16, 16), nn.Sigmoid()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        return self.head(self.body(x))


if __name__ == "__main__":
    Deep()(torch.randn(8, 16))
"""


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("pre_commit") is None or shutil.which("git") is None,
    reason="needs pre-commit and git",
)
def test_pre_commit_runs_the_hook_with_the_torch_of_the_project(tmp_path: Path) -> None:
    hook = copy_checkout(tmp_path / "hook")
    commit_everything(hook)
    project = tmp_path / "project"
    (project / ".venv" / "bin").mkdir(parents=True)
    interpreter = project / ".venv" / "bin" / "python"
    interpreter.write_text(f'#!/bin/sh\ntouch "{tmp_path}/used"\nexec "{sys.executable}" "$@"\n')
    interpreter.chmod(0o755)
    (project / "sick.py").write_text(SICK)
    (project / "plain.py").write_text("x = 1\n")
    (project / "notes.txt").write_text("no Python\n")
    (project / ".gitignore").write_text(".venv/\n")
    commit_everything(project)
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "VIRTUAL_ENV", "CONDA_PREFIX")
    }
    done = subprocess.run(
        [sys.executable, "-m", "pre_commit", "try-repo", str(hook), "gradlint", "-a", "-v"],
        cwd=project,
        env={**environment, "PRE_COMMIT_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "- exit code: 1" in done.stdout
    assert "[saturating-stack] confirmed" in done.stdout
    assert "in 1 of 2 files" in done.stdout
    assert "probed 1 of 1 model" in done.stdout
    assert (tmp_path / "used").exists(), "the interpreter of the project was not started"
