"""The reports for people: text and concise."""

from __future__ import annotations

import importlib
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from gradlint.judging.evidence import Evidence, Severity, Verdict
from gradlint.protocol.span import Span
from gradlint.report import FileReport, ModelStatus, ModelSummary, Report
from gradlint.reporters import concise, text
from gradlint.reporters.hints import hint_lines
from gradlint.reporters.presentation import Style, cleaned, rebased
from gradlint.settings.model_settings import models_in
from gradlint.settings.toml import read_toml
from tests.reporters import reports

SNAPSHOTS = Path(__file__).parents[1] / "snapshots"


def same_as_snapshot(name: str, rendered: str) -> None:
    """Compare with a stored file; GRADLINT_SNAPSHOTS=update in the environment stores anew."""
    path = SNAPSHOTS / name
    if os.environ.get("GRADLINT_SNAPSHOTS") == "update":
        path.write_text(rendered, encoding="utf-8", newline="\n")
    assert rendered == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "style"),
    [
        pytest.param("text.txt", Style(), id="plain"),
        pytest.param("text-all.txt", Style(show_all=True, statistics=True), id="all"),
        pytest.param("text-ascii.txt", Style(unicode=False), id="ascii"),
        pytest.param("text-color.txt", Style(color=True), id="color"),
    ],
)
def test_the_text_report_looks_as_it_did(name: str, style: Style) -> None:
    same_as_snapshot(name, text.render(reports.report(), style))


def test_the_concise_report_looks_as_it_did() -> None:
    same_as_snapshot("concise.txt", concise.render(reports.report(), Style(statistics=True)))


def test_editors_can_parse_the_first_line_of_each_finding() -> None:
    lines = text.render(reports.report()).splitlines()
    headers = [line for line in lines if re.match(r"\S+:\d+:\d+: (error|warning|note): ", line)]
    assert [line.split(": ")[0] for line in headers] == ["model.py:10:43", "broken.py:3:7"]
    assert headers[0].endswith("[saturating-stack] confirmed")


def test_what_models_share_is_told_once_with_what_each_measured() -> None:
    here, there = reports.finding(), reports.finding(model="Other")
    lines = text.render(reports.report(here, there, reports.finding())).splitlines()
    assert sum(text.header(here) == line for line in lines) == 2
    assert [line for line in lines if "also in" in line] == [
        (
            "    also in Other: gradient at body.0, relative to the output: "
            "-9.41, -9.39, -9.44 decades (3 seeds), 2,600,000,000 times weaker"
        )
    ]


def test_a_finding_says_that_its_model_was_built_on_invented_values() -> None:
    report = reports.report()
    guessed = reports.net(built_from="names", constructor="Net(depth=4)", assumed=("width = 64",))
    first = replace(report.files[0], models=(guessed,))
    told = text.render(replace(report, files=(first,)))
    assert "built on invented values: Net(depth=4) where width = 64" in told
    assert "invented" not in text.render(report)


def test_the_carets_stand_under_the_span() -> None:
    lines = text.render(reports.report()).splitlines()
    source = next(index for index, line in enumerate(lines) if line.startswith("   10 |"))
    carets = lines[source + 1]
    start, end = carets.index("^"), carets.rindex("^") + 1
    assert lines[source][start:end] == "nn.Sigmoid()"


def test_the_carets_stand_under_the_span_behind_wide_characters() -> None:
    line = "x = '深い网络'; y = tanh(x)"
    column = line.index("tanh") + 1
    file = FileReport(
        "a.py",
        findings=(reports.finding(span=Span("a.py", 1, column, 1, column + 7), notes=()),),
        lines=(line,),
    )
    carets = text.render(Report((file,), "0", "", 0, 1, 0.0)).splitlines()[2]
    assert carets == " " * len("    1") + " | " + " " * (column - 1 + 4) + "^" * 7


def test_a_remedy_that_does_not_help_is_not_offered() -> None:
    rendered = text.render(reports.report())
    offers = [line for line in rendered.splitlines() if line.strip().startswith("to do: ")]
    assert [offer.rpartition(", ")[2] for offer in offers] == ["restores)", "improves)"]
    assert "initialise anew" not in rendered
    assert "initialise anew" in text.render(reports.report(), Style(show_all=True))


def test_advice_is_given_only_where_no_remedy_is_offered() -> None:
    assert "use another activation" not in text.render(reports.report())
    rendered = text.render(reports.report(reports.finding(remedies=())))
    assert "to do: use another activation" in rendered


def test_what_is_hidden_is_counted() -> None:
    rendered = text.render(reports.report())
    assert "1 suppressed, 1 inconclusive, 1 refuted (shown by --show all)" in rendered
    assert "missing-skip" not in rendered
    everything = text.render(reports.report(), Style(show_all=True))
    assert "[missing-skip] refuted" in everything
    assert "confirmed (suppressed: only 5 steps here)" in everything


def test_a_model_that_was_not_built_comes_with_the_settings_that_would_build_it() -> None:
    rendered = text.render(reports.report())
    block = rendered[rendered.index("    [[tool.gradlint.model]]") :]
    toml = "\n".join(line.strip() for line in block.splitlines()[:3])
    if importlib.util.find_spec("tomllib"):
        tomllib = importlib.import_module("tomllib")
        assert tomllib.loads(toml)["tool"]["gradlint"]["model"] == [
            {"target": "model.py:Wide", "kwargs": {"width": "...", "heads": "..."}}
        ]


def test_models_that_are_part_of_another_do_not_count_as_missed() -> None:
    rendered = text.render(reports.report())
    assert "probed 1 of 2 models, seeds 0 to 2, torch 2.13.0; 1 not built; 2.3 s" in rendered
    assert "Block" not in rendered


def test_a_run_over_nothing_says_so() -> None:
    rendered = text.render(Report((), "0.1.0", "", 0, 3, 0.0))
    assert rendered.startswith("no Python file was found there, so nothing was linted\n")


def test_a_run_without_tracing_says_so() -> None:
    skipped = reports.net(status=ModelStatus.NOT_RUN, reason="--no-trace", trunk=())
    file = FileReport("model.py", models=(skipped,), lines=("",))
    rendered = text.render(Report((file,), "0.1.0", "", 0, 3, 0.0, traced=False))
    assert "--no-trace: none of 1 model was run" in rendered
    assert "not probed" not in rendered


def test_many_models_that_were_not_probed_are_listed_in_part_unless_all_is_wanted() -> None:
    models = tuple(reports.net(name=f"Net{i}", status=ModelStatus.FAILED) for i in range(25))
    run = Report((FileReport("model.py", models=models),), "0.1.0", "2.13.0", 0, 3, 0.0)
    assert "… and 5 more (listed by --show all)" in text.render(run)
    assert "Net24 failed" in text.render(run, Style(show_all=True))


def test_no_control_character_reaches_a_report() -> None:
    nasty = "a\x1b[31mb\nc\x00d\u202ee\ud800f\x85"
    clean = cleaned(reports.report(reports.finding(message=nasty, notes=())))
    rendered = text.render(clean)
    assert "a[31mb cde\ufffdf " in rendered
    assert all(character.isprintable() or character == "\n" for character in rendered)


def test_a_tab_keeps_its_column() -> None:
    assert cleaned("\tx = 1") == " x = 1"


def test_other_names_for_files_reach_every_span() -> None:
    renamed = rebased(reports.report(), {"model.py": "src/model.py"})
    assert renamed.files[0].path == "src/model.py"
    assert renamed.findings[0].notes[0].span.path == "src/model.py"
    assert renamed.models[1].span.path == "src/model.py"
    assert renamed.files[1].path == "broken.py"


@pytest.mark.parametrize(
    "severity", [pytest.param(severity, id=severity.value) for severity in Severity]
)
def test_counts_name_each_severity(severity: Severity) -> None:
    rendered = text.render(reports.report(reports.finding(severity=severity)))
    counted = {Severity.ERROR: "2 errors", Severity.WARNING: "1 error, 1 warning"}
    assert f"2 findings ({counted.get(severity, '1 error, 1 note')})" in rendered


def test_a_predicted_finding_is_shown_unasked() -> None:
    found = reports.finding(verdict=Verdict.PREDICTED, reason="not run")
    assert "[saturating-stack] predicted: not run" in text.render(reports.report(found))


def test_a_prediction_that_the_measurement_contradicts_is_shown_to_do_so() -> None:
    evidence = Evidence(reports.DECADES, (-9.4, -9.4, -9.4), Verdict.CONFIRMED, predicted=-7.9)
    rendered = text.render(reports.report(reports.finding(evidence=(evidence,))))
    assert "predicted without data: -7.90 decades, which the measurement contradicts" in rendered


def test_a_model_that_did_not_run_comes_with_the_settings_that_came_furthest(
    tmp_path: Path,
) -> None:
    model = ModelSummary(
        "Net",
        Span("net.py", 3),
        ModelStatus.FAILED,
        "forward: no",
        constructor="Net(make(2), 'a', width=64, deep=True)",
        inputs=("float32[8,64]", "mask: bool[8]"),
    )
    file = tmp_path / "pyproject.toml"
    file.write_text("\n".join(list(hint_lines(model))[1:]))
    entries = read_toml(file).get("tool", "gradlint", "model")
    assert entries is not None
    [settings] = models_in(entries)
    assert settings.matches("net.py", "Net")
    assert settings.arguments == "make(2), 'a', width=64, deep=True"
    assert settings.inputs is not None
    assert [text.partition("=")[0] for text in settings.inputs][1] == "mask"


@pytest.mark.parametrize(
    ("reason", "constructor"),
    [
        ("build: No module named 'gone'", "Net(1)"),
        ("backward at net.py:3:1: RuntimeError: no", "Net(1)"),
        ("x", "Net(*args)"),
        ("x", ""),
        ("x", "Net("),
    ],
    ids=["a missing package", "it was built", "spread arguments", "nothing tried", "no Python"],
)
def test_no_settings_are_offered_where_they_are_no_cure(reason: str, constructor: str) -> None:
    status = ModelStatus.NOT_BUILT
    model = ModelSummary("Net", Span("net.py", 3), status, reason, constructor=constructor)
    assert list(hint_lines(model)) == []
