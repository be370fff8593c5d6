"""The GitHub Action and the hooks of pre-commit, as far as they can be seen without either."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gradlint import cli
from tests.checkout import ROOT

yaml = pytest.importorskip("yaml", reason="needs PyYAML, which comes with pre-commit")


@pytest.fixture(scope="module")
def action() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    return loaded


def lint_step(action: dict[str, Any], project: Path, **inputs: str) -> dict[str, str]:
    """Run the step that lints as a runner would, in `project`; what it puts out."""
    temporary = project.parent / "runner"
    command = temporary / "gradlint" / "bin" / "gradlint"
    command.parent.mkdir(parents=True)
    code = "from gradlint.cli import main; main()"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{code}" "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    given = {name: value["default"] for name, value in action["inputs"].items()} | inputs
    step = next(step for step in action["runs"]["steps"] if step.get("id") == "lint")
    environment = {
        name: given[text.removeprefix("${{ inputs.").removesuffix(" }}")]
        for name, text in step["env"].items()
    }
    output = temporary / "output"
    subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]],
        cwd=project,
        env={
            **{k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "CONDA_PREFIX")},
            **environment,
            "PYTHONPATH": str(ROOT),
            "RUNNER_TEMP": str(temporary),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_WORKSPACE": str(project),
            "GITHUB_STEP_SUMMARY": str(temporary / "summary.md"),
        },
        check=True,
        timeout=120,
    )
    lines = output.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a file that is not Python, in a folder with a space in its name."""
    folder = tmp_path / "my project"
    folder.mkdir()
    (folder / "good.py").write_text("x = 1\n", encoding="utf-8")
    (folder / "bad.py").write_text("x = (\n", encoding="utf-8")
    return folder


def test_the_action_writes_sarif_and_a_summary_and_hands_the_status_on(
    action: dict[str, Any], project: Path
) -> None:
    put_out = lint_step(action, project)
    assert put_out["status"] == "1"
    run = json.loads(Path(put_out["sarif"]).read_text(encoding="utf-8"))["runs"][0]
    location = run["results"][0]["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == "bad.py"
    assert "`bad.py:1`" in (project.parent / "runner" / "summary.md").read_text(encoding="utf-8")


def test_the_action_takes_paths_and_options(action: dict[str, Any], project: Path) -> None:
    put_out = lint_step(
        action,
        project,
        paths="good.py",
        arguments="--no-trace\n\n--seeds\n2\n",
        python=sys.executable,
    )
    assert put_out["status"] == "0"


def test_no_input_of_the_action_is_pasted_into_a_script(action: dict[str, Any]) -> None:
    scripts = [step["run"] for step in action["runs"]["steps"] if "run" in step]
    assert len(scripts) == 3
    assert not any("${{" in script for script in scripts)


def test_the_action_fails_with_the_status_of_the_run(action: dict[str, Any]) -> None:
    last = action["runs"]["steps"][-1]
    assert last["env"] == {"STATUS": "${{ steps.lint.outputs.status }}"}
    assert last["run"] == 'exit "$STATUS"'


def hooks() -> list[dict[str, Any]]:
    text = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    loaded: list[dict[str, Any]] = yaml.safe_load(text)
    return loaded


@pytest.mark.parametrize("hook", [pytest.param(hook, id=hook["id"]) for hook in hooks()])
def test_the_command_of_a_hook_is_understood(
    hook: dict[str, Any], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    _, *arguments = shlex.split(hook["entry"])
    assert cli.run([*arguments, "good.py"]) == 0
    assert cli.run([*arguments, "bad.py"]) == 1


def test_the_static_hook_never_runs_code() -> None:
    entries = {hook["id"]: hook["entry"] for hook in hooks()}
    assert set(entries) == {"gradlint", "gradlint-static"}
    assert "--no-trace" in entries["gradlint-static"]
    assert "--no-trace" not in entries["gradlint"]


def test_the_static_hook_calls_no_comment_unused(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "net.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Module):  # gradlint: ignore[vanilla-rnn] short\n"
        "    def __init__(self):\n        super().__init__()\n        self.rnn = nn.RNN(8, 8)\n\n"
        "    def forward(self, x):\n        return self.rnn(x)[0]\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(project)
    assert cli.run(["check", "--isolated", "--no-cache", "--no-trace", "net.py"]) == 0
    assert "unused-suppression" not in capsys.readouterr().out
