"""The plugin, in runs of pytest of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.command import ROOT

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="needs models that run")

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

    def forward(self, x):
        return self.body(x)
"""

TESTS = """\
import torch
from sick import Deep
from torch import nn


def test_healthy(assert_healthy):
    assert_healthy(nn.Linear(16, 4), torch.randn(8, 16))


def test_sick(assert_healthy):
    assert_healthy(Deep(), torch.randn(8, 16))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A sick model, a file without any, and tests."""
    (tmp_path / "pyproject.toml").write_text(
        f"[tool.gradlint]\nseeds = 1\ncache = false\npython = {sys.executable!r}\n"
    )
    (tmp_path / "sick.py").write_text(SICK)
    (tmp_path / "plain.py").write_text("x = 1\n")
    (tmp_path / "test_models.py").write_text(TESTS)
    return tmp_path


def run(project: Path, *options: str) -> str:
    """What pytest prints."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "gradlint.pytest_plugin", "-v", *options],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    return done.stdout + done.stderr


def test_each_file_becomes_a_test_where_that_is_asked_for(project: Path) -> None:
    said = run(project, "--gradlint", "-k", "gradlint")
    assert "plain.py::gradlint PASSED" in said
    assert "sick.py::gradlint FAILED" in said
    assert "sick.py:10:43: error: 9 sigmoid layers in a row" in said
    assert "gradlint/engine.py" not in said


def test_files_are_left_alone_unless_it_is_asked_for(project: Path) -> None:
    said = run(project, "--collect-only")
    assert "::gradlint" not in said
    assert "test_healthy" in said


def test_files_that_the_settings_leave_out_pass(project: Path) -> None:
    with (project / "pyproject.toml").open("a") as settings:
        settings.write('exclude = ["sick.py"]\n')
    assert "sick.py::gradlint PASSED" in run(project, "--gradlint", "-k", "gradlint")


def test_the_fixture_fails_a_test_with_the_report(project: Path) -> None:
    said = run(project)
    assert "test_models.py::test_healthy PASSED" in said
    assert "test_models.py::test_sick FAILED" in said
    assert "sick.py:14:16: error: 9 sigmoid layers" in said
    assert "__tracebackhide__" not in said
