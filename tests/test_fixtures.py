"""What the command line finds in whole programs, compared with their markers in both directions."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from gradlint.loader import rules
from tests.command import ROOT, Lint, lint

FIXTURES = ROOT / "fixtures"
PROGRAMS = sorted(folder.name for folder in FIXTURES.iterdir() if folder.is_dir())
NEEDS_LIGHTNING = "lightning_classifier"

_MARKER = re.compile(r"# expect: ([\w-]+)$")

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def fixtures() -> Lint:
    return lint(["fixtures"])


def markers(path: Path) -> set[tuple[str, int, str]]:
    shown = path.relative_to(ROOT).as_posix()
    found = ((n, _MARKER.search(line)) for n, line in enumerate(path.read_text().splitlines(), 1))
    return {(shown, number, match[1]) for number, match in found if match}


def confirmed(lint: Lint, program: str) -> set[tuple[object, object, object]]:
    return {
        (finding["path"], finding["line"], finding["rule"])
        for finding in lint.report["findings"]
        if str(finding["path"]).startswith(f"fixtures/{program}/")
        and finding["verdict"] == "confirmed"
        and finding["severity"] != "note"
    }


@pytest.mark.parametrize("program", PROGRAMS, ids=PROGRAMS)
def test_the_confirmed_findings_of_a_program_are_its_markers(program: str, fixtures: Lint) -> None:
    expected = markers(FIXTURES / program / "sick.py") | markers(FIXTURES / program / "healthy.py")
    assert confirmed(fixtures, program) == expected


@pytest.mark.parametrize("program", PROGRAMS, ids=PROGRAMS)
def test_a_sick_program_has_one_marker_and_its_healthy_twin_none(program: str) -> None:
    assert len(markers(FIXTURES / program / "sick.py")) == 1
    assert not markers(FIXTURES / program / "healthy.py")


def test_every_marker_names_a_rule() -> None:
    named = {rule for path in FIXTURES.glob("*/sick.py") for _, _, rule in markers(path)}
    assert named <= {rule.name() for rule in rules()}


@pytest.mark.parametrize("program", PROGRAMS, ids=PROGRAMS)
def test_every_model_of_a_program_is_probed(program: str, fixtures: Lint) -> None:
    ways = {
        (model["name"], model["status"], model["reason"])
        for model in fixtures.report["models"]
        if str(model["path"]).startswith(f"fixtures/{program}/")
    }
    left_out = {(name, reason) for name, status, reason in ways if status != "probed"}
    if program == NEEDS_LIGHTNING and importlib.util.find_spec("lightning") is None:
        assert {name for name, _ in left_out} == {"Classifier"}
        assert all("No module named 'lightning'" in str(reason) for _, reason in left_out)
    else:
        assert not left_out
    assert any(status == "probed" for _, status, _ in ways)


def test_a_run_over_all_fixtures_gives_the_status_of_findings(fixtures: Lint) -> None:
    assert fixtures.status == 1


def test_the_command_says_nothing_beside_its_json(fixtures: Lint) -> None:
    assert not fixtures.stderr
