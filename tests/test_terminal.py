"""What a terminal shows besides the report: progress, colours, completions, hints."""

from __future__ import annotations

import io
import re
import time
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from gradlint import cli
from gradlint.cli.meter import Meter, described, watching
from gradlint.cli.output import colored
from gradlint.loader import rules
from gradlint.progress import Step
from gradlint.protocol.span import Span
from gradlint.report import ModelStatus, ModelSummary, Picture, PicturedLayer, Signals, TrunkLayer
from gradlint.reporters import tree
from gradlint.reporters.presentation import Style
from tests.command import gradlint
from tests.graphs import Sketch

STEP = Step("models/net.py", "Net", 3, 12)


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_step_names_the_model_the_files_and_the_seconds() -> None:
    assert described(STEP, 0.5) == "3 of 12 files, probing models/net.py: Net"
    assert described(STEP, 4.2) == "3 of 12 files, probing models/net.py: Net, 4 s"
    assert described(Step("a.py", "", 0, 1), 0) == "0 of 1 files, importing a.py"


def test_a_file_cannot_write_control_codes_by_its_name() -> None:
    assert "\x1b" not in described(Step("a\x1b[2Jb.py", "", 0, 1), 0)


def test_nothing_is_drawn_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    with watching(io.StringIO()) as watch:
        assert watch is None
    monkeypatch.setenv("TERM", "dumb")
    with watching(Terminal()) as watch:
        assert watch is None


def test_a_short_run_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    with watching(terminal) as watch:
        assert watch is not None
        watch(STEP)
    assert terminal.getvalue() == ""


def test_a_long_run_draws_its_step_and_takes_it_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("gradlint.cli.meter._DELAY", 0.0)
    monkeypatch.setattr("gradlint.cli.meter._PERIOD", 0.01)
    terminal = Terminal()
    with watching(terminal) as watch:
        assert watch is not None
        watch(STEP)
        until = time.monotonic() + 10
        while "Net" not in terminal.getvalue() and time.monotonic() < until:
            time.sleep(0.01)
    assert "3 of 12 files, probing models/net.py: Net" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[2K")


def test_a_line_is_no_wider_than_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    ticks = iter([0.0, 1.0, 2.0])
    terminal = Terminal()
    meter = Meter(terminal, lambda: next(ticks, 9.0))
    meter.watch(STEP)
    meter.draw()
    meter.close()
    drawn = terminal.getvalue().split("\r\x1b[2K")[1]
    assert drawn == "3 of 12 files, probing models"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        pytest.param({"FORCE_COLOR": "1"}, True, id="forced"),
        pytest.param({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, id="forced in spite of all"),
        pytest.param({"FORCE_COLOR": "0"}, False, id="not forced"),
        pytest.param({"FORCE_COLOR": ""}, False, id="empty"),
        pytest.param({}, False, id="no terminal"),
    ],
)
def test_colour_can_be_forced_where_there_is_no_terminal(
    environment: dict[str, str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert colored("auto") is expected
    assert colored("always")
    assert not colored("never")


def completions(*words: str) -> set[str]:
    """What a shell offers for the last of `words`."""
    shell = ShellComplete(cli.cli, {}, "gradlint", "_GRADLINT_COMPLETE")
    found = shell.get_completions(list(words[:-1]), words[-1])
    return {item.value if item.type == "plain" else item.type for item in found}


def test_a_shell_completes_commands_and_files() -> None:
    assert {"check", "graph", "rule", "rules", "file"} <= completions("")
    assert completions("ru") == {"rule", "rules", "file"}


def test_a_shell_completes_options_of_check_which_may_be_left_out() -> None:
    assert completions("--form") == completions("check", "--form") == {"--format"}


def test_a_shell_completes_the_names_of_rules() -> None:
    assert completions("rule", "") == {rule.name() for rule in rules()}
    assert "vanilla-rnn" in completions("rule", "van")


def test_a_wrong_class_gives_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n\n\nclass Encoder(nn.Module):\n    def forward(self, x):\n"
        "        return x\n",
        encoding="utf-8",
    )
    done = gradlint("graph", "net.py:Encodr", "--isolated", cwd=tmp_path)
    assert done.returncode == 2
    assert "no model called 'Encodr' is in it; did you mean 'Encoder'?" in done.stderr
    far = gradlint("graph", "net.py:Xyz", "--isolated", cwd=tmp_path)
    assert "it holds Encoder" in far.stderr


def summary_of(sketch: Sketch, decades: dict[str, float], trunk: tuple[str, ...]) -> ModelSummary:
    layers = tuple(
        PicturedLayer(id, "aten.x", "", 1, (8,), ()) for id in ("input 0", *decades, "loss")
    )
    nothing = (float("nan"),)
    signals = Signals((*nothing, *decades.values(), 0.0), nothing * len(layers))
    return ModelSummary(
        "Net",
        Span("net.py", 3),
        ModelStatus.PROBED,
        trunk=tuple(TrunkLayer(id, "aten.x", 1, (decades[id],)) for id in trunk),
        picture=Picture(layers, signals),
    )


def test_a_tree_shows_decades_beside_the_trunk_where_there_is_a_picture() -> None:
    sketch = Sketch()
    first = sketch.dense(id="first")
    branch = sketch.dense(first, id="branch")
    sketch.layer("aten.add", first, branch, id="add")
    decades = {"first": -3.0, "branch": -6.0, "add": 0.0}
    drawn = tree.render(summary_of(sketch, decades, ("first", "add")), sketch.graph())
    rows = {line.split()[1].rstrip(":"): line for line in drawn.splitlines() if "─" in line}
    assert re.search(r"-3\.00\s+█{12}$", rows["first"])
    assert re.search(r"-6\.00\s+█{24}$", rows["branch"])


def test_bars_are_blue_where_a_gradient_is_weak_and_red_where_it_is_strong() -> None:
    sketch = Sketch()
    sketch.dense(id="a")
    sketch.dense(id="b")
    drawn = tree.render(
        summary_of(sketch, {"a": -3.0, "b": 3.0}, ("a", "b")), sketch.graph(), Style(color=True)
    )
    assert "\x1b[34m█" in drawn
    assert "\x1b[31m█" in drawn


def test_help_says_how_colour_is_decided() -> None:
    with click.Context(cli.cli) as context:
        check = cli.cli.commands["check"]
        text = check.get_help(click.Context(check, parent=context))
    assert "FORCE_COLOR" in text
    assert "NO_COLOR" in text


def test_who_writes_a_baseline_learns_how_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n", encoding="utf-8")
    done = gradlint("--isolated", "--write-baseline", "b.json", "a.py", cwd=tmp_path)
    assert "b.json accepts 0 findings" in done.stderr
    assert 'baseline = "b.json" in [tool.gradlint]' in done.stderr
    (tmp_path / "pyproject.toml").write_text('[tool.gradlint]\nbaseline = "b.json"\n')
    again = gradlint("--write-baseline", "b.json", "a.py", cwd=tmp_path)
    assert "[tool.gradlint]" not in again.stderr
