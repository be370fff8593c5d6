"""The report as JSON, on which other tools depend."""

from __future__ import annotations

import json
import math
from dataclasses import replace

from gradlint.judging.evidence import Evidence, Verdict
from gradlint.report import FileReport, Report
from gradlint.reporters import json_
from gradlint.reporters.presentation import rebased
from tests.reporters import reports
from tests.reporters.test_text import same_as_snapshot


def parsed(report: Report, *, show_all: bool = False) -> dict[str, list[dict[str, object]]]:
    loaded: dict[str, list[dict[str, object]]] = json.loads(
        json_.render(report, show_all=show_all),
        parse_constant=refuse,
    )
    return loaded


def refuse(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def test_the_json_report_looks_as_it_did() -> None:
    same_as_snapshot("report.json", json_.render(reports.report(), show_all=True))


def test_the_keys_are_those_of_schema_1_in_their_order() -> None:
    document = parsed(reports.report())
    assert list(document) == [
        *("schema", "gradlint", "torch", "seed", "seeds", "files", "models", "findings", "summary")
    ]
    assert list(document["files"][0]) == ["path", "status", "reason"]
    assert list(document["models"][0]) == [
        *(
            "path",
            "name",
            "line",
            "cell",
            "status",
            "reason",
            "built_from",
            "constructor",
            "assumed",
            "method",
        ),
        *(
            "inputs",
            "optimizer",
            "parameters",
            "unfetched",
            "layers",
            "seconds",
            "decades",
            "trunk",
        ),
    ]
    assert list(document["findings"][0]) == [
        *("rule", "family", "severity", "path", "line", "cell", "column", "end_line"),
        *(
            "end_column",
            "model",
            "layer",
            "message",
            "verdict",
            "reason",
            "evidence",
            "causes",
            "remedies",
        ),
        *("suppressed", "fingerprint"),
    ]
    assert document["findings"][0]["evidence"] == [
        {
            "quantity": "gradient-decades",
            "of": "body.0",
            "unit": "decade",
            "bound": {"at_least": -2.5, "at_most": 2.5},
            "measured": [-9.412, -9.391, -9.445],
            "predicted": -9.3,
            "disagrees": False,
        }
    ]


def test_only_the_seconds_differ_between_two_runs_that_measured_the_same() -> None:
    run = reports.report()
    slower = replace(
        run,
        seconds=99.0,
        files=tuple(
            replace(file, models=tuple(replace(model, seconds=9.0) for model in file.models))
            for file in run.files
        ),
    )
    lines = json_.render(run).splitlines()
    others = json_.render(slower).splitlines()
    different = [line for line, other in zip(lines, others, strict=True) if line != other]
    assert different
    assert all(line.strip().startswith('"seconds": ') for line in different)


def test_numbers_that_are_not_finite_are_texts() -> None:
    found = parsed(reports.report(reports.inconclusive()))["findings"][0]
    assert found["evidence"] == [
        {
            "quantity": "gradient-decades",
            "of": "body.0",
            "unit": "decade",
            "bound": {"at_least": -2.5, "at_most": 2.5},
            "measured": [-9.0, "nan", "-inf"],
            "predicted": None,
            "disagrees": False,
        }
    ]


def test_the_last_bits_of_a_number_do_not_show() -> None:
    evidence = Evidence(reports.DECADES, (-9.41234567, 1e-12, -0.0), Verdict.CONFIRMED)
    other = Evidence(reports.DECADES, (-9.41234568, 1e-12, 0.0), Verdict.CONFIRMED)
    rendered = [
        json_.render(reports.report(reports.finding(evidence=(found,))))
        for found in (evidence, other)
    ]
    assert rendered[0] == rendered[1]


def test_suppressed_findings_are_there_and_refuted_ones_where_they_are_wanted() -> None:
    rules = [found["rule"] for found in parsed(reports.report())["findings"]]
    assert "vanilla-rnn" in rules
    assert "missing-skip" not in rules
    everything = parsed(reports.report(), show_all=True)["findings"]
    assert "missing-skip" in [found["rule"] for found in everything]
    assert [found["rule"] for found in everything if found["suppressed"]] == ["vanilla-rnn"]


def test_notes_follow_their_finding_with_the_severity_note() -> None:
    first, second = parsed(reports.report(reports.finding()))["findings"][:2]
    assert (first["rule"], first["severity"]) == ("saturating-stack", "error")
    assert (second["rule"], second["severity"]) == ("init-scale", "note")


def test_the_summary_counts_what_stands() -> None:
    assert json.loads(json_.render(reports.report()))["summary"] == {
        "findings": 2,
        "models": 3,
        "probed": 2,
        "seconds": 2.312,
    }


def test_fingerprints_are_unique_and_survive_moved_lines() -> None:
    twins = reports.report(reports.finding(notes=()), reports.finding(notes=()))
    prints = [found["fingerprint"] for found in parsed(twins)["findings"]]
    assert len(set(prints)) == len(prints)
    moved = reports.finding(notes=(), span=replace(reports.finding().span, line=99))
    again = parsed(reports.report(moved, moved))["findings"]
    assert [found["fingerprint"] for found in again] == prints


def test_a_fingerprint_depends_on_the_path() -> None:
    one = parsed(reports.report(reports.finding()))["findings"][0]
    two = parsed(rebased(reports.report(reports.finding()), {"model.py": "b.py"}))["findings"][0]
    assert one["fingerprint"] != two["fingerprint"]


def test_a_trunk_without_numbers_is_told_apart_from_a_gradient_of_zero() -> None:
    layer = replace(reports.net().trunk[0], measured=())
    model = reports.net(trunk=(layer,))
    document = parsed(Report((FileReport("model.py", models=(model,)),), "0", "", 0, 1, 0.0))
    assert document["models"][0]["trunk"] == [
        {
            "layer": "body.0",
            "op": "torch.nn.Linear",
            "line": 15,
            "cell": None,
            "log10_gradient": str(math.nan),
            "predicted": None,
        }
    ]
