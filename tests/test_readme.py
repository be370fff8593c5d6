"""The README says what is so."""

from __future__ import annotations

import json
import os
import re
import sys
from importlib import metadata
from pathlib import Path

import click
import pytest

from gradlint import cli
from gradlint.reporters import json_
from gradlint.reporters.formats import FORMATS
from gradlint.rule import Family
from gradlint.settings import config
from tests.command import gradlint
from tests.reporters import reports

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


CONSOLE = re.compile(r"```console\n\$ gradlint (.*?)\n(.*?)```", re.S)


@pytest.mark.parametrize(
    "arguments", [pytest.param(a, id=a) for a, _ in CONSOLE.findall(README.read_text("utf-8"))]
)
def test_what_the_examples_show_is_what_is_printed(arguments: str) -> None:
    fresh = () if arguments.startswith("graph ") else ("--no-cache",)
    options = ("--isolated", *fresh, "--python", sys.executable)
    done = gradlint(*arguments.split(), *options, timeout=200)
    assert done.returncode in (0, 1), done.stderr
    if os.environ.get("GRADLINT_SNAPSHOTS") == "update":
        text = README.read_text("utf-8")
        shown = f"```console\n$ gradlint {arguments}\n{done.stdout}```"
        old = next(found for found in CONSOLE.finditer(text) if found[1] == arguments)
        README.write_text(text[: old.start()] + shown + text[old.end() :], "utf-8")
    shown = dict(CONSOLE.findall(README.read_text("utf-8")))[arguments]
    exact = metadata.version("torch").startswith("2.13.")
    assert without_chance(done.stdout, exact=exact) == without_chance(shown, exact=exact)


def without_chance(text: str, *, exact: bool) -> str:
    """A report without times and versions, and without numbers where another torch measured."""
    text = re.sub(r"torch \S+; [\d.]+ s", "torch", text)
    return text if exact else re.sub(r"-?[\d.,^]+|[▁-█]+", "0", text)


def test_every_key_of_the_json_is_named(text: str) -> None:
    section = text.partition("## JSON")[2].partition("\n## ")[0]
    document = json.loads(json_.render(reports.report(), show_all=True))
    named = set(re.findall(r"`([a-z_0-9]+)`", section))
    keys = set(document)
    for part in ("files", "models", "findings"):
        keys |= {key for item in document[part] for key in item}
    keys |= set(document["summary"]) | set(document["models"][0]["trunk"][0])
    keys |= set(document["findings"][0]["evidence"][0])
    keys |= set(document["findings"][0]["remedies"][0])
    assert keys - named == set()


def test_every_family_and_format_is_named(text: str) -> None:
    assert all(f"`{family.value}`" in text for family in Family)
    assert all(f"`{name}`" in text for name in FORMATS)


def test_every_link_to_a_file_leads_to_one(text: str) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert links
    assert all((README.parent / link).is_file() for link in links)


def test_the_hooks_named_are_there(text: str) -> None:
    hooks = (README.parent / ".pre-commit-hooks.yaml").read_text("utf-8")
    for name in re.findall(r"^- id: (\S+)", hooks, re.M):
        assert name in text


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
