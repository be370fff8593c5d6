"""The formats that other services read: valid, stable, and true to what was found."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from gradlint.judging.evidence import Severity, Verdict
from gradlint.loader import rules
from gradlint.protocol.span import Span
from gradlint.report import FileReport, Report
from gradlint.reporters import formats, github, gitlab, junit, rdjson, sarif
from gradlint.reporters.presentation import Style, cleaned, rebased
from tests.command import gradlint
from tests.reporters import reports
from tests.reporters.test_text import same_as_snapshot
from tests.reporters.validation import VALIDATORS

SUFFIXES = {"sarif": "sarif", "github": "txt", "gitlab": "json", "rdjson": "json", "junit": "xml"}
MACHINE_FORMATS = [pytest.param(name, id=name) for name in VALIDATORS]


def golden() -> Report:
    """A run over two files of which one has a space and a colon in its name."""
    return rebased(reports.report(), {"broken.py": "old files/a: b.py"})


@pytest.mark.parametrize("name", MACHINE_FORMATS)
def test_a_machine_format_looks_as_it_did(name: str) -> None:
    rendered = formats.render(name, golden(), Style())
    if name == "sarif":  # because the rules have tests of their own, and more will come
        document = json.loads(rendered)
        document["runs"][0]["tool"]["driver"]["rules"] = []
        for result in document["runs"][0]["results"]:
            del result["ruleIndex"]
        rendered = json.dumps(document, indent=2) + "\n"
    same_as_snapshot(f"{name}.{SUFFIXES[name]}", rendered)


@pytest.mark.parametrize("name", MACHINE_FORMATS)
@pytest.mark.parametrize(
    "style", [pytest.param(Style(), id="plain"), pytest.param(Style(show_all=True), id="all")]
)
def test_a_machine_format_follows_its_schema(name: str, style: Style) -> None:
    VALIDATORS[name](formats.render(name, golden(), style))


@pytest.mark.parametrize("name", MACHINE_FORMATS)
def test_a_run_over_nothing_is_valid_in_every_format(name: str) -> None:
    VALIDATORS[name](formats.render(name, Report((), "0.1.0", "", 0, 3, 0.0), Style()))


@pytest.mark.parametrize("name", MACHINE_FORMATS)
def test_text_full_of_control_characters_is_valid_in_every_format(name: str) -> None:
    nasty = "a\x1b[31mb\nc\x00d::e]]>f&<g>\ud800`|,%"
    found = reports.finding(message=nasty, layer=nasty, notes=())
    VALIDATORS[name](formats.render(name, cleaned(reports.report(found)), Style()))


def test_a_schema_can_be_broken() -> None:
    with pytest.raises(Exception, match="severity"):
        VALIDATORS["gitlab"](gitlab.render(golden()).replace('"critical"', '"bad"'))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run of the command line over a fixture, in every format at once."""
    folder = tmp_path_factory.mktemp("formats")
    asked = [f"--format={name}={folder / name}" for name in formats.FORMATS if name != "text"]
    chosen = ("--isolated", "--no-cache", "--select", "saturating-stack")
    done = gradlint(*chosen, "--format", "text", *asked, "fixtures/mlp_digits")
    assert done.returncode == 1, done.stderr
    assert "1 finding (1 error) in 1 of 2 files" in done.stdout
    return folder


@pytest.mark.parametrize("name", MACHINE_FORMATS)
def test_one_real_run_writes_every_format_and_all_are_valid(name: str, written: Path) -> None:
    rendered = (written / name).read_text(encoding="utf-8")
    VALIDATORS[name](rendered)
    assert "fixtures/mlp_digits/sick.py" in rendered
    assert "saturating-stack" in rendered


def test_every_format_tells_a_finding_apart_by_the_same_fingerprint(written: Path) -> None:
    found = json.loads((written / "json").read_text(encoding="utf-8"))["findings"][0]
    issue = json.loads((written / "gitlab").read_text(encoding="utf-8"))[0]
    run = json.loads((written / "sarif").read_text(encoding="utf-8"))["runs"][0]
    prints = run["results"][0]["partialFingerprints"]
    assert {found["fingerprint"], issue["fingerprint"]} == set(prints.values())


def parsed_sarif(report: Report, style: Style | None = None) -> dict[str, list[dict[str, object]]]:
    run: dict[str, list[dict[str, object]]] = json.loads(sarif.render(report, style))["runs"][0]
    return run


def test_only_confirmed_findings_are_failures_in_sarif() -> None:
    results = parsed_sarif(golden(), Style(show_all=True))["results"]
    kinds = {(found["properties"]["verdict"], found["kind"]) for found in results}  # type: ignore[index]
    assert kinds == {("confirmed", "fail"), ("refuted", "pass"), ("inconclusive", "open")}
    assert {found["level"] for found in results if found["kind"] != "fail"} == {"none"}


def test_every_rule_has_a_short_a_full_and_a_help_text_in_sarif() -> None:
    driver = json.loads(sarif.render(golden()))["runs"][0]["tool"]["driver"]
    names = [rule["id"] for rule in driver["rules"]]
    assert names == [*(rule.name() for rule in rules()), "unreadable-file"]
    for result in parsed_sarif(golden())["results"]:
        assert names[result["ruleIndex"]] == result["ruleId"]  # type: ignore[call-overload]
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"].endswith(".")
        assert rule["fullDescription"]["text"]
        assert rule["help"]["markdown"]


def test_sarif_gives_all_four_ends_of_a_region_where_only_its_start_is_known() -> None:
    found = reports.finding(span=Span("model.py", 12, 9), notes=())
    result = parsed_sarif(reports.report(found))["results"][0]
    region = result["locations"][0]["physicalLocation"]["region"]  # type: ignore[index]
    assert {name: region[name] for name in region if name != "snippet"} == {
        "startLine": 12,
        "startColumn": 9,
        "endLine": 12,
        "endColumn": 38,
    }


def test_sarif_writes_relative_addresses_with_escapes() -> None:
    places = json.dumps(parsed_sarif(golden())["results"])
    assert '"uri": "old%20files/a%3A%20b.py"' in places


def test_sarif_keeps_suppressed_findings_with_their_reason() -> None:
    results = parsed_sarif(golden())["results"]
    reasons = [found["suppressions"] for found in results if "suppressions" in found]
    assert reasons == [[{"kind": "inSource", "justification": "only 5 steps here"}]]


def test_sarif_names_the_models_that_were_not_probed() -> None:
    told = parsed_sarif(golden())["invocations"][0]["toolExecutionNotifications"]
    assert "Wide not built: " in json.dumps(told)


def test_equal_findings_of_one_place_have_different_fingerprints_in_gitlab() -> None:
    twins = reports.report(reports.finding(), reports.finding())
    prints = [issue["fingerprint"] for issue in json.loads(gitlab.render(twins))]
    assert len(set(prints)) == len(prints) == 3


def test_a_clean_model_is_a_passing_case_of_junit() -> None:
    clean = FileReport("pkg/model.py", models=(reports.net(),))
    root = ET.fromstring(junit.render(Report((clean,), "0", "2.13", 0, 3, 1.0)))
    (case,) = root.iter("testcase")
    assert (case.get("classname"), case.get("name"), len(case)) == ("pkg.model", "Net", 0)


def test_junit_skips_what_was_not_probed_and_fails_what_was_confirmed() -> None:
    root = ET.fromstring(junit.render(golden()))
    outcomes = {case.get("name"): [e.tag for e in case] for case in root.iter("testcase")}
    assert outcomes == {
        "Wide": ["skipped"],
        "saturating-stack (Net, line 10)": ["failure"],
        "unreadable-file (line 3)": ["error"],
    }


def test_a_note_does_not_fail_a_case_of_junit() -> None:
    found = reports.finding(severity=Severity.NOTE)
    root = ET.fromstring(junit.render(reports.report(found)))
    assert root.get("failures") == "0"


def test_columns_of_rdjson_count_bytes() -> None:
    line = "x = '深い'; y = tanh(x)"
    column = line.index("tanh") + 1
    span = Span("a.py", 1, column, 1, column + 7)
    file = FileReport("a.py", findings=(reports.finding(span=span, notes=()),), lines=(line,))
    diagnostic = json.loads(rdjson.render(Report((file,), "0", "", 0, 1, 0.0)))["diagnostics"][0]
    at = diagnostic["location"]["range"]
    assert line.encode()[at["start"]["column"] - 1 : at["end"]["column"] - 1] == b"tanh(x)"


def test_an_annotation_escapes_what_would_end_it() -> None:
    found = reports.finding(message="100 %\r\nof ::layers::", notes=(), evidence=(), remedies=())
    named = rebased(reports.report(found), {"model.py": "a,b:c.py"})
    first = github.render(named).splitlines()[0]
    assert "file=a%2Cb%3Ac.py,line=10," in first
    assert "::100 %25%0D%0Aof ::layers::" in first


def test_an_annotation_over_several_lines_has_no_columns() -> None:
    found = reports.finding(span=Span("model.py", 9, 9, 10, 57))
    first = github.render(reports.report(found)).splitlines()[0]
    assert "line=9,endLine=10::" in first


def test_the_step_summary_looks_as_it_did() -> None:
    same_as_snapshot("github-summary.md", github.summary(golden()))


def test_a_step_summary_stays_below_the_limit_of_github() -> None:
    many = reports.report(*(reports.finding(message="x" * 2000) for _ in range(600)))
    page = github.summary(many)
    assert len(page.encode()) < 2**20
    assert page.endswith("the rest is left out, because GitHub takes 1 MiB.\n")


def test_the_step_summary_is_added_where_github_wants_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "summary.md"
    page.write_text("before\n", encoding="utf-8")
    (tmp_path / "empty.py").write_text("x = 1\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    gradlint("--isolated", "--format", "github", "empty.py", cwd=tmp_path)
    assert page.read_text(encoding="utf-8").startswith("before\n## gradlint\n\n**no findings")


def test_paths_are_those_of_the_repository_where_a_service_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "models"
    project.mkdir()
    (project / "bad.py").write_text("(\n", encoding="utf-8")
    monkeypatch.setenv("CI_PROJECT_DIR", str(tmp_path))
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    done = gradlint("--isolated", "--format", "gitlab", "bad.py", cwd=project)
    assert json.loads(done.stdout)[0]["location"]["path"] == "models/bad.py"


def test_a_predicted_finding_fails_nowhere() -> None:
    found = replace(reports.finding(notes=()), verdict=Verdict.PREDICTED, reason="not run")
    assert parsed_sarif(reports.report(found))["results"][0]["kind"] == "review"
    root = ET.fromstring(junit.render(reports.report(found)))
    assert root.get("failures") == "0"


def test_a_finding_in_a_notebook_names_its_cell_where_regions_cannot() -> None:
    found = reports.finding(span=Span("a.ipynb", 5, 3, cell=2), notes=())
    file = FileReport("a.ipynb", findings=(found,), lines=("x",) * 20, cells=(0, 10))
    run = Report((file,), "0", "", 0, 1, 0.0)
    result = parsed_sarif(run)["results"][0]
    assert "(cell 2, line 5)" in json.dumps(result["message"])
    assert '"startLine": 1, "startColumn": 1' in json.dumps(result["locations"])
    assert "(cell 2, line 5)" in json.loads(gitlab.render(run))[0]["description"]
    assert "line=1," in github.render(run)
    assert "(Net, cell 2, line 5)" in junit.render(run)


def test_what_the_baseline_accepts_is_suppressed_from_outside_in_sarif() -> None:
    found = reports.finding(suppressed=True, baselined=True, suppression_reason="in the baseline")
    result = parsed_sarif(reports.report(found))["results"][0]
    assert result["suppressions"] == [{"kind": "external", "justification": "in the baseline"}]


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("sarif-multitool") is None,
    reason="needs the npm package @microsoft/sarif-multitool",
)
def test_microsofts_multitool_finds_no_fault_under_githubs_rules(tmp_path: Path) -> None:
    file = tmp_path / "out.sarif"
    file.write_text(sarif.render(golden(), Style(show_all=True)), encoding="utf-8")
    done = subprocess.run(
        ["sarif-multitool", "validate", str(file), "--rule-kind", "Ghas"],
        env=os.environ | {"DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Analysis completed successfully" in done.stdout
    assert not re.search(r": (error|warning) ", done.stdout)
