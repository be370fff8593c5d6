"""The README says what is so."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from gradlint import cli, config

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture(scope="module")
def text() -> str:
    return README.read_text(encoding="utf-8")


def test_two_commands_of_one_line_do_all_the_set_up(text: str) -> None:
    marked = re.search(r"<!-- set-up -->\n```sh\n(.*?)```\n<!-- end of set-up -->", text, re.S)
    assert marked is not None
    commands = marked[1].splitlines()
    assert len(commands) == 2
    assert all(command.startswith("python3 -m venv .venv && ") for command in commands)
    assert commands[0].endswith("gradlint --exit-zero fixtures")
    assert commands[1].endswith("pytest -q")


def test_every_option_is_named_and_exists(text: str) -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    options = {
        name
        for command in cli.cli.commands.values()
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for name in parameter.opts
        if name.startswith("--")
    }
    assert named - options - {"--help", "--gradlint"} == set()
    assert options - named - {"--verbose", "--output", "--stdin-filename"} == set()


def test_every_command_is_named(text: str) -> None:
    for name in cli.cli.commands:
        assert re.search(rf"`gradlint \[?{name}\b", text), name


def test_the_settings_shown_are_understood(text: str, tmp_path: Path) -> None:
    block = re.search(r"```toml\n(.*?)```", text, re.S)
    assert block is not None
    path = tmp_path / "pyproject.toml"
    path.write_text(block[1], encoding="utf-8")
    read, root = config.load_config([tmp_path])
    assert root == tmp_path
    assert read.select == ("activation", "init-scale")
    assert read.models[0].arguments == "10, nn.ReLU(), hidden=64"


def test_it_says_in_its_first_lines_that_tracing_executes_the_file(text: str) -> None:
    first = "\n".join(text.splitlines()[:12])
    assert "**Tracing executes the linted file.**" in first
    assert "`--no-trace` never runs the linted code." in first
