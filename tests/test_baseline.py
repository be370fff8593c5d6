"""The baseline: what it accepts, what is new, and what has gone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gradlint.baseline import Baseline, accepting, read_baseline, write_baseline
from gradlint.engine import lint
from gradlint.judging.evidence import Severity, Verdict
from gradlint.progress import Step
from gradlint.protocol.span import Span
from gradlint.report import FileReport, Finding, ModelStatus, ModelSummary, Report
from gradlint.settings.config import Config
from gradlint.settings.toml import ConfigError


def finding(line: int, rule: str = "init-scale", model: str = "Net") -> Finding:
    span = Span("a.py", line)
    return Finding(rule, "init", Severity.ERROR, span, model, "fc", "…", Verdict.CONFIRMED)


def report(*findings: Finding, status: ModelStatus = ModelStatus.PROBED) -> Report:
    models = (ModelSummary("Net", Span("a.py", 1), status),)
    file = FileReport("a.py", models=models, findings=findings)
    return Report((file,), "0.1.0", "2.13.0", 0, 3, 0.1)


def wanted(rule: str, path: str) -> bool:
    return True


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project that has `a.py`."""
    (tmp_path / "a.py").touch()
    return tmp_path


@pytest.fixture
def two(root: Path) -> Baseline:
    """A baseline that accepts two findings of one rule in one model."""
    return write_baseline(root / "base.json", report(finding(3), finding(7)), root)


def test_what_was_written_is_accepted_wherever_its_line_has_moved(
    two: Baseline, root: Path
) -> None:
    after = accepting(report(finding(30), finding(70)), two, root, wanted)
    assert [(f.suppressed, f.baselined) for f in after.findings] == [(True, True)] * 2
    assert after.findings[0].suppression_reason == "in the baseline"


def test_one_finding_more_than_accepted_is_new(two: Baseline, root: Path) -> None:
    after = accepting(report(finding(3), finding(7), finding(9)), two, root, wanted)
    assert [f.span.line for f in after.findings if not f.suppressed] == [9]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(finding(3, rule="vanilla-rnn"), id="rule"),
        pytest.param(finding(3, model="Other"), id="model"),
        pytest.param(replace(finding(3), span=Span("b.py", 3)), id="path"),
    ],
)
def test_a_finding_of_another_key_is_new(two: Baseline, root: Path, other: Finding) -> None:
    after = accepting(report(finding(3), finding(7), other), two, root, wanted)
    assert [f for f in after.findings if not f.suppressed] == [other]


def test_an_entry_that_accepts_too_much_is_a_finding_on_its_line(two: Baseline, root: Path) -> None:
    after = accepting(report(finding(3)), two, root, wanted)
    stale = after.findings[-1]
    assert (stale.rule, stale.severity) == ("stale-baseline-entry", Severity.NOTE)
    assert str(stale.span) == "base.json:4:1"
    assert "init-scale in Net of a.py: 2 accepted, 1 found" in stale.message
    assert "init-scale" in two.lines[stale.span.line - 1]


def test_an_entry_of_a_file_that_is_gone_is_stale(two: Baseline, root: Path) -> None:
    (root / "a.py").unlink()
    empty = Report((), "0.1.0", "", 0, 3, 0.1)
    assert len(accepting(empty, two, root, wanted).findings) == 1


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(report(status=ModelStatus.FAILED), id="model that was not probed"),
        pytest.param(Report((), "0.1.0", "", 0, 3, 0.1), id="file that was not linted"),
        pytest.param(replace(report(), traced=False), id="run without tracing"),
    ],
)
def test_what_was_not_looked_at_is_not_stale(two: Baseline, root: Path, run: Report) -> None:
    assert accepting(run, two, root, wanted).findings == ()


def test_what_was_not_looked_for_is_not_stale(two: Baseline, root: Path) -> None:
    assert accepting(report(), two, root, lambda rule, path: False).findings == ()


def test_only_what_stands_is_written(root: Path) -> None:
    refuted = replace(finding(1), verdict=Verdict.REFUTED)
    suppressed = replace(finding(2), suppressed=True)
    unused = replace(finding(3), rule="unused-suppression", family="suppression")
    unreadable = replace(finding(4), rule="unreadable-file", family="file")
    run = report(refuted, suppressed, unused, unreadable)
    assert write_baseline(root / "base.json", run, root).accepted == ()


def test_writing_again_keeps_what_the_run_left_out(root: Path) -> None:
    (root / "b.py").touch()
    file = root / "base.json"
    elsewhere = replace(finding(1), span=Span("b.py", 1))
    write_baseline(
        file, Report((FileReport("b.py", findings=(elsewhere,)),), "", "", 0, 1, 0), root
    )
    assert write_baseline(file, report(finding(3)), root).accepted == (
        (("init-scale", "a.py", "Net"), 1),
        (("init-scale", "b.py", "Net"), 1),
    )
    (root / "b.py").unlink()
    assert len(write_baseline(file, report(finding(3)), root).accepted) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(None, "--write-baseline makes one", id="missing"),
        pytest.param("[]", "not a baseline of gradlint", id="another file"),
        pytest.param("{", "not a baseline of gradlint", id="not JSON"),
        pytest.param('{"baseline": 2, "findings": []}', "version 2, expected 1", id="version"),
        pytest.param(
            '{"baseline": 1, "findings": [{"rule": "a"}]}', "not a baseline", id="incomplete"
        ),
    ],
)
def test_what_is_no_baseline_is_an_error(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "base.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_baseline(path, "base.json")


def test_a_missing_baseline_is_said_before_anything_is_linted(root: Path) -> None:
    steps: list[Step] = []
    with pytest.raises(ConfigError, match=r"none\.json: no baseline: No such file"):
        lint([root], Config(baseline="none.json"), root, watch=steps.append)
    assert steps == []


def test_a_run_accepts_what_its_settings_name(root: Path) -> None:
    write_baseline(root / "base.json", report(finding(3)), root)
    run = lint([root], Config(baseline="base.json", trace=False, cache=False), root)
    assert [file.path for file in run.files] == ["a.py"]
    (root / "a.py").unlink()
    run = lint([root], Config(baseline="base.json", cache=False), root)
    assert [f.rule for f in run.findings] == ["stale-baseline-entry"]
