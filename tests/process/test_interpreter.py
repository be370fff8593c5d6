"""Which Python is chosen to run the linted code."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from gradlint.process.interpreter import choose_interpreter
from gradlint.settings.config import Config, interpreter
from gradlint.settings.toml import ConfigError


def environment_at(directory: Path) -> Path:
    python = directory / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    return python


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    return root


def test_what_was_asked_for_comes_first(project: Path) -> None:
    environment_at(project / ".venv")
    wanted = environment_at(project / "other")
    assert choose_interpreter("other/bin/python", project, {}).path == wanted
    assert interpreter(Config(python="other"), project) == wanted


def test_a_command_on_the_path_can_be_asked_for(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = environment_at(project / "tools")
    monkeypatch.setenv("PATH", str(python.parent), prepend=os.pathsep)
    assert choose_interpreter("python", project, {}).path == python


def test_asking_for_what_is_not_there_is_an_error(project: Path) -> None:
    with pytest.raises(ConfigError, match=r"no Python at .*nowhere"):
        choose_interpreter("nowhere", project, {})


def test_an_active_environment_comes_before_the_project_s(project: Path, tmp_path: Path) -> None:
    active = environment_at(tmp_path / "active")
    own = environment_at(project / ".venv")
    environment = {"VIRTUAL_ENV": str(tmp_path / "active"), "CONDA_PREFIX": str(tmp_path / "conda")}
    assert choose_interpreter("", project, environment).path == active
    assert choose_interpreter("", project, {}).path == own


def test_conda_comes_after_the_project_s_environment(project: Path, tmp_path: Path) -> None:
    conda = environment_at(tmp_path / "conda")
    environment = {"CONDA_PREFIX": str(tmp_path / "conda")}
    assert choose_interpreter("", project, environment).path == conda
    own = environment_at(project / ".venv")
    assert choose_interpreter("", project, environment).path == own


def test_the_environment_of_a_commit_hook_is_passed_over(project: Path) -> None:
    own = environment_at(project / ".venv")
    environment = {"VIRTUAL_ENV": sys.prefix, "PRE_COMMIT": "1"}
    assert choose_interpreter("", project, environment).path == own
    outside = choose_interpreter("", project, {"VIRTUAL_ENV": sys.prefix}).path
    assert outside.is_relative_to(sys.prefix) or outside == own


def test_an_environment_that_is_gone_is_passed_over(project: Path, tmp_path: Path) -> None:
    environment = {"VIRTUAL_ENV": str(tmp_path / "gone")}
    assert choose_interpreter("", project, environment).path == Path(sys.executable)


def test_at_last_gradlint_s_own_is_taken(project: Path) -> None:
    chosen = choose_interpreter("", project, {})
    assert chosen.path == Path(sys.executable)
    assert chosen.reason == "it runs gradlint itself"


def test_versions_are_told_without_an_import_of_torch(project: Path) -> None:
    python, _ = choose_interpreter("", project, {}).versions()
    assert python == ".".join(map(str, sys.version_info[:3]))


def test_an_interpreter_that_does_not_start_has_no_version(project: Path) -> None:
    broken = project / "python"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    assert choose_interpreter("./python", project, {}).versions() == ("", "")
