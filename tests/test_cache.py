"""The cache: what is linted again, and what is not."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from gradlint import cache as cache_module
from gradlint import linting
from gradlint.cache import Cache, clean
from gradlint.discovery.text.files import FoundFile
from gradlint.engine import lint
from gradlint.judging.evidence import Verdict
from gradlint.progress import Step
from gradlint.report import FileReport, Linted
from gradlint.reporters import json_
from gradlint.settings.config import Config
from gradlint.settings.toml import ConfigError
from tests.command import ROOT, gradlint
from tests.reporters import reports

MODEL = """\
from torch import nn

from sizes import HIDDEN


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(3, HIDDEN)

    def forward(self, x):
        return self.out(x)
"""

FILE = FileReport("a.py", models=(reports.net(),), findings=(reports.finding(),), lines=("x",))


@pytest.fixture
def file(tmp_path: Path) -> FoundFile:
    """A file as old as files are that nobody edits while gradlint runs."""
    return FoundFile(old(tmp_path / "a.py", "x = 1\n"), "a.py")


def old(path: Path, text: str) -> Path:
    path.write_text(text)
    yesterday = time.time() - 86400
    os.utime(path, (yesterday, yesterday))
    return path


def cache_in(
    directory: Path, config: Config | None = None, environment: Callable[[], str] = lambda: "torch"
) -> Cache:
    return Cache(directory / "cache", config or Config(), directory, environment)


def test_what_was_kept_is_found_and_is_the_same(file: FoundFile, tmp_path: Path) -> None:
    linted = Linted(FILE, "2.13.0")
    cache_in(tmp_path).store(file, linted)
    assert cache_in(tmp_path).find(file) == linted


def test_nothing_is_found_before_anything_is_kept(file: FoundFile, tmp_path: Path) -> None:
    assert cache_in(tmp_path).find(file) is None


def test_a_changed_file_is_not_found(file: FoundFile, tmp_path: Path) -> None:
    cache_in(tmp_path).store(file, Linted(FILE, "2.13.0"))
    old(file.path, "x = 2\n")
    assert cache_in(tmp_path).find(file) is None


def test_a_touched_file_is_found(file: FoundFile, tmp_path: Path) -> None:
    cache_in(tmp_path).store(file, Linted(FILE, "2.13.0"))
    file.path.touch()
    assert cache_in(tmp_path).find(file) is not None


@pytest.mark.parametrize(
    ("config", "found"),
    [
        pytest.param(Config(seeds=1), False, id="seeds"),
        pytest.param(Config(per_module_ignores=(("a", ("all",)),)), False, id="ignores"),
        pytest.param(Config(trace=False), False, id="no trace"),
        pytest.param(Config(jobs=7), True, id="jobs"),
        pytest.param(Config(exclude=("b.py",)), True, id="exclude"),
        pytest.param(Config(require_trace=True), True, id="require trace"),
    ],
)
def test_settings_count_where_they_change_a_report(
    file: FoundFile, tmp_path: Path, config: Config, found: bool
) -> None:
    cache_in(tmp_path).store(file, Linted(FILE, "2.13.0"))
    assert (cache_in(tmp_path, config).find(file) is not None) is found


def test_another_version_of_gradlint_finds_nothing(
    file: FoundFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache_in(tmp_path).store(file, Linted(FILE, "2.13.0"))
    monkeypatch.setattr(cache_module, "_program", lambda: "another")
    assert cache_in(tmp_path).find(file) is None


def test_the_interpreter_counts_where_it_was_asked(file: FoundFile, tmp_path: Path) -> None:
    cache_in(tmp_path).store(file, Linted(FILE, "2.13.0"))
    assert cache_in(tmp_path, environment=lambda: "newer torch").find(file) is None


def test_the_interpreter_is_not_started_for_a_file_that_it_did_not_run(
    file: FoundFile, tmp_path: Path
) -> None:
    def environment() -> str:
        raise AssertionError("the interpreter was asked")

    cache_in(tmp_path, environment=environment).store(file, Linted(FILE))
    assert cache_in(tmp_path, environment=environment).find(file) is not None


def test_a_file_that_was_read_counts(file: FoundFile, tmp_path: Path) -> None:
    other = old(tmp_path / "b.py", "y = 1\n")
    cache_in(tmp_path).store(file, Linted(FILE, "2.13.0", read=(str(other),)))
    assert cache_in(tmp_path).find(file) is not None
    old(other, "y = 2\n")
    assert cache_in(tmp_path).find(file) is None
    other.unlink()
    assert cache_in(tmp_path).find(file) is None


def test_a_file_that_was_missing_counts(file: FoundFile, tmp_path: Path) -> None:
    other = tmp_path / "b.py"
    cache_in(tmp_path).store(file, Linted(FILE, "2.13.0", absent=(str(other),)))
    assert cache_in(tmp_path).find(file) is not None
    other.touch()
    assert cache_in(tmp_path).find(file) is None


def test_what_may_end_otherwise_is_not_kept(file: FoundFile, tmp_path: Path) -> None:
    cache_in(tmp_path).store(file, Linted(FILE, "2.13.0", settled=False))
    assert cache_in(tmp_path).find(file) is None


def test_what_changed_during_the_run_is_not_kept(file: FoundFile, tmp_path: Path) -> None:
    cache = cache_in(tmp_path)
    file.path.write_text("x = 3\n")
    cache.store(file, Linted(FILE, "2.13.0"))
    assert cache_in(tmp_path).find(file) is None


def test_what_is_not_on_the_disk_is_not_kept(file: FoundFile, tmp_path: Path) -> None:
    given = FoundFile(file.path, "a.py", b"x = 1\n")
    cache_in(tmp_path).store(given, Linted(FILE, "2.13.0"))
    assert cache_in(tmp_path).find(given) is None
    assert cache_in(tmp_path).find(file) is None


@pytest.mark.parametrize(
    "text", [pytest.param("", id="empty"), pytest.param('{"key": 1}', id="another form")]
)
def test_a_broken_entry_is_as_none(file: FoundFile, tmp_path: Path, text: str) -> None:
    cache_in(tmp_path).store(file, Linted(FILE, "2.13.0"))
    for entry in tmp_path.glob("cache/*/*.json"):
        entry.write_text(text)
    assert cache_in(tmp_path).find(file) is None


def test_a_directory_that_cannot_be_made_is_no_error(file: FoundFile, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    cache_in(tmp_path).store(file, Linted(FILE, "2.13.0"))
    assert cache_in(tmp_path).find(file) is None


def test_git_and_backups_leave_the_cache_out(file: FoundFile, tmp_path: Path) -> None:
    cache_in(tmp_path).store(file, Linted(FILE, "2.13.0"))
    assert (tmp_path / "cache" / ".gitignore").read_text() == "*\n"
    assert (tmp_path / "cache" / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28")


def test_only_a_cache_is_removed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(ConfigError, match="is no cache of gradlint"):
        clean(tmp_path / "data")
    assert clean(tmp_path / "none") == 0


@pytest.mark.skipif(find_spec("torch") is None, reason="needs models that run")
class TestRuns:
    """Whole runs over a project of two models, one of which imports a module."""

    @pytest.fixture
    def project(self, tmp_path: Path) -> Path:
        """Two models; both import `sizes`."""
        for name in ("one", "two"):
            old(tmp_path / f"{name}.py", MODEL)
        old(tmp_path / "sizes.py", "HIDDEN = 7\n")
        return tmp_path

    def probed(self, project: Path, *, trace: bool = True, timeout: float = 60) -> list[str]:
        """The files that a run reads anew."""
        steps: list[Step] = []
        config = Config(seeds=1, python=sys.executable, trace=trace, timeout=timeout)
        lint([project], config, project, watch=steps.append)
        return sorted({step.path for step in steps})

    def test_only_what_changed_is_linted_again(self, project: Path) -> None:
        assert self.probed(project) == ["one.py", "sizes.py", "two.py"]
        assert self.probed(project) == []
        old(project / "one.py", MODEL.replace("Linear(3", "Linear(4"))
        assert self.probed(project) == ["one.py"]
        old(project / "sizes.py", "HIDDEN = 8\n")
        assert self.probed(project) == ["one.py", "sizes.py", "two.py"]
        assert self.probed(project) == []

    def test_without_tracing_what_discovery_reads_counts(self, project: Path) -> None:
        old(project / "base.py", "from torch import nn\n\n\nclass Base(nn.Module):\n    pass\n")
        derived = MODEL.replace("nn.Module", "Base").replace("sizes import HIDDEN", "base import *")
        old(project / "one.py", derived)
        assert "one.py" in self.probed(project, trace=False)
        assert self.probed(project, trace=False) == []
        old(project / "base.py", "class Base:\n    pass\n")
        assert self.probed(project, trace=False) == ["base.py", "one.py"]

    def test_a_module_that_was_missing_is_seen_when_it_is_there(self, project: Path) -> None:
        (project / "sizes.py").unlink()
        assert self.probed(project) == ["one.py", "two.py"]
        assert self.probed(project) == []
        old(project / "sizes.py", "HIDDEN = 7\n")
        assert self.probed(project) == ["one.py", "sizes.py", "two.py"]

    def test_what_had_no_time_is_tried_again(self, project: Path) -> None:
        old(project / "one.py", MODEL.replace("\n\n\nclass", "\nsum(range(10**10))\n\n\nclass"))
        assert self.probed(project, timeout=5) == ["one.py", "sizes.py", "two.py"]
        assert self.probed(project, timeout=5) == ["one.py"]

    def test_data_that_a_model_reads_counts(self, project: Path) -> None:
        old(project / "sizes.py", "HIDDEN = int(open('size.txt').read())\n")
        old(project / "size.txt", "7")
        self.probed(project)
        assert self.probed(project) == []
        old(project / "size.txt", "8")
        assert self.probed(project) == ["one.py", "two.py"]

    def test_a_warm_run_reports_the_same_without_any_worker(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sick = (ROOT / "fixtures" / "odometer_rnn" / "sick.py").read_text()
        old(project / "sick.py", sick)
        config = Config(seeds=1, python=sys.executable)
        cold = json_.render(lint([project], config, project))
        monkeypatch.delattr(linting, "Worker")
        warm = json_.render(lint([project], config, project))
        assert json.loads(cold)["findings"]
        assert without_seconds(warm) == without_seconds(cold)

    def test_several_workers_report_the_same(self, project: Path) -> None:
        for number in range(4):
            old(project / f"more{number}.py", MODEL.replace("3", str(number + 1)))
        configs = [
            Config(seeds=1, python=sys.executable, cache=False, jobs=jobs) for jobs in (1, 3)
        ]
        alone, together = (json_.render(lint([project], c, project)) for c in configs)
        assert without_seconds(together) == without_seconds(alone)
        assert json.loads(alone)["summary"]["probed"] == 6


def test_a_run_over_200_unchanged_files_takes_less_than_a_second(tmp_path: Path) -> None:
    for number in range(200):
        old(tmp_path / f"net{number}.py", MODEL)
    options = ("check", "--isolated", "--no-trace", "--format", "json=report.json")
    assert gradlint(*options, cwd=tmp_path).returncode == 0
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert gradlint(*options, cwd=tmp_path).returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert json.loads((tmp_path / "report.json").read_text())["summary"]["models"] == 200
    # The processor's time and not the clock's, because other programs may run beside the tests.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1


def without_seconds(text: str) -> list[str]:
    return [line for line in text.splitlines() if '"seconds"' not in line]


def test_the_verdicts_of_a_report_survive_the_cache(file: FoundFile, tmp_path: Path) -> None:
    refuted = FileReport("a.py", findings=(reports.refuted(), reports.inconclusive()))
    cache_in(tmp_path).store(file, Linted(refuted))
    found = cache_in(tmp_path).find(file)
    assert found is not None
    assert {f.verdict for f in found.report.findings} == {Verdict.REFUTED, Verdict.INCONCLUSIVE}
