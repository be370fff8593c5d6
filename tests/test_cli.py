"""The command line: options, outputs and exit statuses."""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from gradlint import cli, engine, loader
from gradlint.judging.evidence import Severity
from gradlint.progress import Watch
from gradlint.protocol.span import Span
from gradlint.report import FileReport, Finding, Report
from gradlint.reporters.formats import FORMATS
from gradlint.settings.config import Config, ModelSettings
from tests.reporters import reports

CODE = "from gradlint.cli import main; main()"
ROOT = str(Path(cli.__file__).parents[2])
HEALTHY = Report((FileReport("model.py", lines=("x = 1",)),), "0.1.0", "", 0, 3, 0.1)


@dataclass
class Engine:
    """Stands in for the pipeline: gives a report, and remembers what it was asked for."""

    report: Report = HEALTHY
    paths: tuple[Path, ...] = ()
    configs: list[Config] = field(default_factory=list)
    contents: dict[Path, bytes] = field(default_factory=dict)

    def lint(
        self,
        paths: Sequence[Path],
        config: Config,
        root: Path,
        *,
        contents: Mapping[Path, bytes] | None = None,
        watch: Watch | None = None,
    ) -> Report:
        self.paths = tuple(paths)
        self.configs.append(config)
        self.contents = dict(contents or {})
        assert root.is_dir()
        return self.report

    @property
    def config(self) -> Config:
        return self.configs[-1]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Engine:
    """A working directory of its own, in which every run gives the report of `Engine`."""
    monkeypatch.chdir(tmp_path)
    pipeline = Engine()
    monkeypatch.setattr(engine, "lint", pipeline.lint)
    return pipeline


@pytest.mark.parametrize(
    ("report", "options", "status"),
    [
        pytest.param(HEALTHY, [], 0, id="nothing"),
        pytest.param(reports.report(), [], 1, id="findings"),
        pytest.param(reports.report(), ["--exit-zero"], 0, id="masked findings"),
    ],
)
def test_the_status_tells_whether_there_are_findings(
    fake: Engine, report: Report, options: list[str], status: int
) -> None:
    fake.report = report
    assert cli.run(["model.py", *options]) == status


@pytest.mark.parametrize(
    ("severity", "fail_on", "status"),
    [
        pytest.param(Severity.WARNING, "warning", 1, id="just as bad"),
        pytest.param(Severity.WARNING, "error", 0, id="not bad enough"),
        pytest.param(Severity.NOTE, "note", 1, id="note"),
        pytest.param(Severity.NOTE, "warning", 0, id="only a note"),
    ],
)
def test_findings_below_the_threshold_do_not_fail(
    fake: Engine, severity: Severity, fail_on: str, status: int
) -> None:
    file = FileReport("model.py", findings=(reports.finding(severity=severity),))
    fake.report = Report((file,), "0.1.0", "2.13.0", 0, 3, 0.1)
    assert cli.run(["--fail-on", fail_on]) == status


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(reports.refuted, id="refuted"),
        pytest.param(reports.suppressed, id="suppressed"),
        pytest.param(reports.inconclusive, id="inconclusive"),
    ],
)
def test_what_is_not_proven_does_not_fail(fake: Engine, make: Callable[[], Finding]) -> None:
    fake.report = Report((FileReport("a.py", findings=(make(),)),), "0.1.0", "2.13.0", 0, 3, 0.1)
    assert cli.run(["--fail-on", "note"]) == 0


def test_a_file_that_cannot_be_read_fails_whatever_the_threshold(fake: Engine) -> None:
    fake.report = Report((FileReport("a.py", reason="no such file"),), "0.1.0", "", 0, 3, 0.1)
    assert cli.run(["--fail-on", "error", "a.py"]) == 1


def test_a_model_that_was_not_probed_fails_only_where_tracing_is_required(
    fake: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.report = Report((FileReport("a.py", models=(reports.wide(),)),), "0", "2.13.0", 0, 3, 0.1)
    assert cli.run([]) == 0
    assert cli.run(["--require-trace"]) == 1
    assert "--require-trace: 1 models were not probed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--nonsense"], "No such option", id="option"),
        pytest.param(["--seeds", "0"], "not in the range", id="range"),
        pytest.param(["--format", "xml"], "--format xml: expected FORMAT", id="format"),
        pytest.param(["--format", "json="], "expected FORMAT or FORMAT=FILE", id="no file"),
        pytest.param(
            ["--format", "json", "--format", "text"], "two formats for one output", id="formats"
        ),
        pytest.param(
            ["--select", "init-scal"],
            "no rule or family is called 'init-scal'; did you mean 'init-scale'?",
            id="selector",
        ),
        pytest.param(["--config", "none.toml"], "none.toml: No such file", id="no config"),
        pytest.param(["--model", "Net(1"], "--model 'Net(1'", id="model"),
        pytest.param(["--input", "1 2"], "is neither Python nor", id="input"),
        pytest.param(["--stdin-filename", "a.py"], "needs - as the path", id="no stdin"),
        pytest.param(["-", "a.py"], "takes no other paths", id="stdin and more"),
        pytest.param(["-o", "none/out.txt"], "cannot write the report to", id="no directory"),
        pytest.param(["rule", "init-scal"], "did you mean 'init-scale'?", id="rule"),
        pytest.param(["rule"], "Missing argument", id="no rule"),
        pytest.param(["graph", "none.py"], "none.py: no such file", id="graph of nothing"),
    ],
)
def test_misuse_gives_status_2_and_says_why(
    fake: Engine, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert cli.run(arguments) == 2
    assert message in capsys.readouterr().err


def test_misuse_is_not_masked(fake: Engine) -> None:
    assert cli.run(["--exit-zero", "--select", "nothing-like-it"]) == 2


def test_bad_configuration_gives_status_2_with_its_line(
    fake: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("pyproject.toml").write_text("[tool.gradlint]\nsed = 1\n")
    assert cli.run([]) == 2
    assert "pyproject.toml:2: tool.gradlint.sed: unknown key" in capsys.readouterr().err
    assert cli.run(["--isolated"]) == 0


def test_an_internal_error_is_one_line_unless_more_is_wanted(
    fake: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def break_down(*_: object, **__: object) -> Report:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr(engine, "lint", break_down)
    assert cli.run(["model.py"]) == 2
    message = "internal error: ZeroDivisionError: of all things (-v for the traceback)"
    assert capsys.readouterr().err == f"gradlint: {message}\n"
    assert cli.run(["model.py", "-v"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_gives_status_130(
    fake: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> Report:
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "lint", interrupt)
    assert cli.run(["model.py"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_the_word_check_may_be_left_out(fake: Engine) -> None:
    assert cli.run(["check", "--select", "init", "a.py"]) == 0
    assert cli.run(["--select", "init", "a.py"]) == 0
    assert fake.paths == (Path("a.py"),)
    assert cli.run([]) == 0
    assert fake.paths == (Path(),)


def test_the_command_line_overrides_the_file(fake: Engine) -> None:
    Path("pyproject.toml").write_text(
        '[tool.gradlint]\nselect = ["init"]\nignore = ["gan"]\nseed = 1\nseeds = 9\n'
        'timeout = 5\nmemory = 100\nfail-on = "error"\n'
        '[[tool.gradlint.model]]\ntarget = "Net"\nargs = [1]\n'
    )
    assert cli.run([]) == 0
    assert fake.config.seed == 1
    arguments = "--select recurrent,topology --ignore data --ignore loss --seed 0 --seeds 2"
    limits = "--timeout 1.5 --memory 200 --fail-on note --no-trace --require-trace"
    model = ["--model", "Net(2)", "--input", "torch.ones(3)", "--force-exclude"]
    assert cli.run([*arguments.split(), *limits.split(), *model, "--python", "python3"]) == 0
    assert fake.config == Config(
        select=("recurrent", "topology"),
        ignore=("data", "loss"),
        fail_on=Severity.NOTE,
        force_exclude=True,
        python="python3",
        seed=0,
        seeds=2,
        timeout=1.5,
        memory=200,
        models=(
            ModelSettings("Net", arguments="2", inputs=("torch.ones(3)",), command_line=True),
            ModelSettings("Net", arguments="1"),
        ),
        trace=False,
        require_trace=True,
        source=Path("pyproject.toml").absolute(),
    )


@pytest.mark.parametrize(
    ("options", "select", "ignore"),
    [
        pytest.param([], ("init",), ("gan",), id="as the file says"),
        pytest.param(["--ignore", "loss"], ("init",), ("gan", "loss"), id="ignored besides"),
        pytest.param(["--select", "gan"], ("gan",), (), id="selected instead"),
        pytest.param(["--extend-select", "gan,data"], ("init", "gan", "data"), (), id="besides"),
        pytest.param(
            ["--select", "gan", "--ignore", "loss", "--extend-select", "data"],
            ("gan", "data"),
            ("loss",),
            id="all three",
        ),
    ],
)
def test_selectors_of_the_command_line_change_those_of_the_file(
    fake: Engine, options: list[str], select: tuple[str, ...], ignore: tuple[str, ...]
) -> None:
    Path("pyproject.toml").write_text('[tool.gradlint]\nselect = ["init"]\nignore = ["gan"]\n')
    assert cli.run(options) == 0
    assert (fake.config.select, fake.config.ignore) == (select, ignore)


def test_what_is_left_out_can_be_said_on_the_command_line(fake: Engine) -> None:
    Path("pyproject.toml").write_text('[tool.gradlint]\nexclude = ["old/"]\n')
    assert cli.run(["--extend-exclude", "a/", "--extend-exclude", "b.py"]) == 0
    assert cli.run(["--exclude", "a/"]) == 0
    assert [config.exclude for config in fake.configs] == [("old/", "a/", "b.py"), ("a/",)]


def test_the_files_of_a_run_are_listed_instead_of_linted(
    fake: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.py", "sub/b.py", "old/c.py", "notes.txt"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    assert cli.run(["--show-files", "--exclude", "old/"]) == 0
    assert capsys.readouterr().out.splitlines() == ["a.py", os.path.join("sub", "b.py")]
    assert fake.configs == []


def test_the_settings_of_a_run_are_shown_in_the_form_in_which_they_are_read(
    fake: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("pyproject.toml").write_text(
        '[tool.gradlint]\nselect = ["init"]\nfail-on = "error"\n'
        '[tool.gradlint.severity]\ninit-scale = "note"\n'
        '[tool.gradlint.per-module-ignores]\n"backbone.*" = ["gan"]\n'
        '[[tool.gradlint.model]]\ntarget = "Net"\nskip = true\n'
    )
    assert cli.run(["--show-settings", "--seeds", "5", "--no-trace"]) == 0
    shown = capsys.readouterr().out
    selected = [rule.name() for rule in loader.rules() if rule.family.value == "init"]
    assert f"# rules: {', '.join(selected)}\n" in shown
    assert fake.configs == []
    Path("again.toml").write_text(shown)
    assert cli.run([]) == 0
    assert cli.run(["--config", "again.toml"]) == 0
    before, after = fake.configs
    given = replace(before, seeds=5, trace=False, source=after.source)
    assert after == given


def test_cleaning_removes_the_cache_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text("x = 1\n")
    assert cli.run(["model.py"]) == 0
    capsys.readouterr()
    assert cli.run(["clean"]) == 0
    assert capsys.readouterr().out == f"removed {tmp_path}/.gradlint_cache, which had 1 reports\n"
    assert [path.name for path in tmp_path.iterdir()] == ["model.py"]
    assert cli.run(["clean"]) == 0
    assert capsys.readouterr().out == "nothing to remove\n"
    Path("data").mkdir()
    assert cli.run(["clean", "--cache-dir", "data"]) == 2
    assert "data is no cache of gradlint" in capsys.readouterr().err


def test_each_format_can_have_its_file(fake: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    fake.report = reports.report()
    assert cli.run(["--format", "json=a.json", "--format", "concise=b.txt"]) == 1
    assert json.loads(Path("a.json").read_text())["schema"] == 1
    assert Path("b.txt").read_text().startswith("model.py:10:43: error: ")
    assert "▁▁" in capsys.readouterr().out


def test_one_format_goes_to_standard_output_or_the_named_file(
    fake: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["summary"]["findings"] == 0
    assert cli.run(["--format", "json", "-o", "out.json"]) == 0
    assert capsys.readouterr().out == ""
    assert json.loads(Path("out.json").read_text())["schema"] == 1


def test_colour_is_for_terminals_unless_it_is_asked_for(
    fake: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.report = reports.report()
    cli.run([])
    assert "\x1b[" not in capsys.readouterr().out
    cli.run(["--color", "always"])
    assert "\x1b[1;31merror\x1b[0m" in capsys.readouterr().out


def test_control_characters_do_not_pass_any_format(
    fake: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    nasty = reports.finding(message="a\x1b]0;title\x07b\nc", notes=())
    fake.report = reports.report(nasty)
    for format_ in FORMATS:
        cli.run(["--format", format_])
        out = capsys.readouterr().out
        assert "a]0;titleb c" in out
        assert "\x1b" not in out
        assert "\\u001b" not in out


@pytest.mark.parametrize(
    ("options", "name"),
    [
        pytest.param(["--stdin-filename", "models/net.py"], "models/net.py", id="named"),
        pytest.param([], "stdin.py", id="nameless"),
    ],
)
def test_standard_input_is_linted_where_its_name_says(
    fake: Engine, monkeypatch: pytest.MonkeyPatch, options: list[str], name: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"x = 1\n")))
    assert cli.run(["-", *options]) == 0
    assert fake.contents == {Path(name).absolute(): b"x = 1\n"}
    assert fake.paths == (Path(name).absolute(),)


@pytest.mark.skipif(find_spec("torch") is None, reason="needs a model that runs")
def test_standard_input_imports_what_its_neighbours_define(tmp_path: Path) -> None:
    package = tmp_path / "models"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "sizes.py").write_text("HIDDEN = 7\n")
    (package / "net.py").write_text("what is on the disk is not Python\n")
    source = (
        "from torch import nn\n\nfrom .sizes import HIDDEN\n\n\nclass Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.out = nn.Linear(3, HIDDEN)\n\n"
        "    def forward(self, x):\n        return self.out(x)\n"
    )
    done = gradlint(
        *("-", "--stdin-filename", "models/net.py", "--format", "json"),
        cwd=tmp_path,
        stdin=source,
    )
    model = json.loads(done.stdout)["models"][0]
    assert (model["path"], model["status"], model["parameters"]) == ("models/net.py", "probed", 28)


def test_paths_are_shown_as_an_editor_here_finds_them(
    fake: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("pyproject.toml").write_text("[tool.gradlint]\n")
    Path("sub").mkdir()
    Path("sub/model.py").write_text("x = 1\n")
    finding = reports.finding(span=Span("sub/model.py", 1), notes=())
    fake.report = Report((FileReport("sub/model.py", findings=(finding,)),), "0", "", 0, 3, 0.1)
    monkeypatch.chdir("sub")
    cli.run(["model.py", "--format", "concise"])
    assert capsys.readouterr().out.startswith("model.py:1:1: ")
    cli.run(["model.py", "--format", "json"])
    assert json.loads(capsys.readouterr().out)["findings"][0]["path"] == "sub/model.py"


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == "gradlint 0.1.0\n"


def test_help_shows_the_options_of_check_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0
    out = capsys.readouterr().out
    assert "--no-trace" in out
    assert "graph" in out


def test_the_rules_are_listed_by_family(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["rules"]) == 0
    out = capsys.readouterr().out
    for rule in loader.rules():
        assert f"\n  {rule.name()} " in f"\n{out}"
        assert f"{rule.family.value}\n" in out


@pytest.mark.parametrize(
    "name", [pytest.param(rule.name(), id=rule.name()) for rule in loader.rules()]
)
def test_every_rule_is_explained(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["rule", name]) == 0
    out = capsys.readouterr().out
    assert out.startswith(name)
    assert [heading for heading in loader.HEADINGS if f"\n{heading}\n" not in out] == []
    assert "\nExamples\n" in out
    assert "# confirmed" in out


def test_the_environment_is_told(fake: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    Path("pyproject.toml").write_text("[tool.gradlint]\n")
    assert cli.run(["env", "--python", sys.executable]) == 0
    facts = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert facts["interpreter"] == f"{sys.executable}, because it was asked for"
    assert facts["python"] == ".".join(map(str, sys.version_info[:3]))
    assert facts["configuration"] == str(Path("pyproject.toml").absolute())
    assert facts["cache"] == str(Path(".gradlint_cache").absolute())
    assert facts["rules"] == str(len(loader.rules()))


def gradlint(
    *arguments: str, cwd: Path, encoding: str = "utf-8", stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the command line as a process of its own, which writes in `encoding`."""
    return subprocess.run(
        [sys.executable, "-c", CODE, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": ROOT, "PYTHONIOENCODING": encoding},
        input=stdin,
        capture_output=True,
        encoding=encoding,
        timeout=120,
        check=False,
    )


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", CODE, "a.py"],
        cwd=tmp_path,
        stdout=writing,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": ROOT},
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_terminal_without_block_characters_gets_others(tmp_path: Path) -> None:
    done = gradlint("\u00e4.py", cwd=tmp_path, encoding="ascii")
    assert done.returncode == 1
    assert done.stdout.startswith("\\xe4.py:1:1: error: ")


@pytest.mark.skipif(find_spec("torch") is None, reason="needs a model that runs")
@pytest.mark.parametrize("jobs", [pytest.param(1, id="alone"), pytest.param(2, id="side by side")])
def test_a_keyboard_interrupt_ends_the_process_with_130(tmp_path: Path, jobs: int) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / f"{name}.py").write_text(
            "import time\nfrom torch import nn\n\n\nclass Net(nn.Module):\n"
            "    def __init__(self):\n        super().__init__()\n"
            "        self.a = nn.Linear(2, 2)\n\n"
            "    def forward(self, x):\n        time.sleep(60)\n        return self.a(x)\n"
        )
    # Because what runs in the background of a shell inherits that interrupts are ignored.
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    process = subprocess.Popen(
        [sys.executable, "-c", heeding + CODE, "--isolated", "--jobs", str(jobs)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": ROOT},
        start_new_session=True,
    )
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err.strip()) == (130, b"gradlint: interrupted")


def test_a_run_that_matched_no_file_says_so(tmp_path: Path) -> None:
    done = gradlint(str(tmp_path), cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("no Python file was found there, so nothing was linted\n")


def test_a_missing_file_is_a_finding(tmp_path: Path) -> None:
    done = gradlint("none.py", "--format", "concise", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.startswith("none.py:1:1: error: ")


def test_a_file_without_a_model_takes_hardly_longer_than_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text("def double(x):\n    return 2 * x\n")
    environment = {**os.environ, "PYTHONPATH": ROOT, "PYTHONPYCACHEPREFIX": str(tmp_path / "cache")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    seconds: dict[str, list[float]] = {"plain.py": [], "--version": []}
    for _ in range(6):  # the first compiles
        for argument, taken in seconds.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            command = [sys.executable, "-c", CODE, argument]
            done = subprocess.run(command, cwd=tmp_path, env=environment, check=False)
            assert done.returncode == 0
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    # A ratio of the processor's time, because other programs may run beside the tests.
    assert min(seconds["plain.py"]) < 4 * min(seconds["--version"]), seconds
