"""Every rule file: its form, and its examples traced, probed and compared with their markers."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from gradlint.engine import lint
from gradlint.judging.evidence import RemedyVerdict, Verdict
from gradlint.loader import HEADINGS, documentation, rule_in, rule_named, rules
from gradlint.report import FileReport, Finding, ModelStatus
from gradlint.rule import Family, GraphRule, LoopRule, LossRule, Rule
from gradlint.settings.config import Config

RULES = Path(__file__).parents[1] / "rules"
FILES = sorted(path for path in RULES.glob("*.py") if path.name != "__init__.py")
NAMES = [path.stem.replace("_", "-") for path in FILES]
EXAMPLES = [(name, index) for name in NAMES for index in range(len(rule_named(name).examples))]

Expectation = tuple[int, Verdict]


def named(name: str) -> type[Rule]:
    return rule_named(name)


def markers(program: str) -> set[Expectation]:
    """The findings that the comments of an example ask for."""
    found = set()
    for number, line in enumerate(program.splitlines(), start=1):
        marker = re.search(r"# (confirmed|refuted|predicted|inconclusive)$", line)
        if marker:
            found.add((number, Verdict(marker[1])))
    return found


def reported(findings: tuple[Finding, ...]) -> Iterator[Expectation]:
    """The findings that were made, notes among them."""
    for finding in findings:
        yield finding.span.line, finding.verdict
        yield from reported(finding.notes)


@cache
def linted(name: str) -> tuple[FileReport, ...]:
    """Lint all examples of one rule with that rule alone, in one worker."""
    with TemporaryDirectory() as folder:
        files = []
        for index, example in enumerate(named(name).examples):
            files.append(Path(folder) / f"example_{index:02}.py")
            files[-1].write_text(example)
        config = Config(select=(name,), python=sys.executable)
        return lint(files, config, Path(folder)).files


def test_there_is_a_rule_for_every_file_and_a_file_for_every_rule() -> None:
    assert [rule.name() for rule in rules()] == NAMES


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_rule_file_imports_the_rule_module_and_the_standard_library_only(path: Path) -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                imported |= {alias.name for alias in names}
            case ast.ImportFrom(module=module, level=level):
                imported.add("." * level + (module or ""))
    allowed = {"gradlint.rule", *sys.stdlib_module_names}
    assert {
        name for name in imported if name not in allowed and name.partition(".")[0] not in (allowed)
    } == set()


@pytest.mark.parametrize("name", NAMES)
def test_class_file_and_rule_have_one_name(name: str) -> None:
    rule = named(name)
    assert rule is rule_in(sys.modules[rule.__module__])
    assert rule.__name__ == "".join(part.capitalize() for part in name.split("-"))
    assert issubclass(rule, GraphRule | LoopRule | LossRule)


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_is_documented_under_the_fixed_headings(name: str) -> None:
    sections = documentation(named(name))
    assert [heading for heading, _ in sections] == ["", *HEADINGS]
    summary = sections[0][1]
    assert "\n" not in summary
    assert summary.endswith(".")
    assert all(len(text.split()) >= 15 for _, text in sections[1:])


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_has_a_family_and_references(name: str) -> None:
    rule = named(name)
    assert isinstance(rule.family, Family)
    assert rule.references
    assert all(re.fullmatch(r"https://[\w.-]+/\S+", url) for url in rule.references)
    assert len(set(rule.references)) == len(rule.references)


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_of_a_rule_are_distinct_and_show_every_outcome(name: str) -> None:
    examples = named(name).examples
    assert len({re.sub(r"\s+", "", example) for example in examples}) == len(examples)
    outcomes = [{verdict for _, verdict in markers(example)} for example in examples]
    assert set() in outcomes, "no example is silent"
    assert {Verdict.CONFIRMED} in outcomes, "no example is confirmed"
    assert {Verdict.REFUTED} in outcomes, "no example is refuted"


@pytest.mark.parametrize(("name", "index"), EXAMPLES, ids=[f"{n}-{i}" for n, i in EXAMPLES])
def test_an_example_is_found_what_its_markers_say(name: str, index: int) -> None:
    file = linted(name)[index]
    assert file.reason == ""
    assert set(reported(file.findings)) == markers(named(name).examples[index])


@pytest.mark.parametrize(("name", "index"), EXAMPLES, ids=[f"{n}-{i}" for n, i in EXAMPLES])
def test_every_model_of_an_example_was_probed_so_that_silence_means_health(
    name: str, index: int
) -> None:
    file = linted(name)[index]
    assert file.models
    assert {(m.name, m.status, m.reason) for m in file.models if not m.covered_by} == {
        (m.name, ModelStatus.PROBED, "") for m in file.models if not m.covered_by
    }


@pytest.mark.parametrize("name", NAMES)
def test_what_a_rule_confirms_it_can_cure_or_at_least_advise_on(name: str) -> None:
    confirmed = [
        finding
        for file in linted(name)
        for finding in file.findings
        if finding.verdict is Verdict.CONFIRMED
    ]
    assert confirmed
    for finding in confirmed:
        verdicts = {remedy.verdict for remedy in finding.remedies}
        helps = verdicts & {RemedyVerdict.RESTORES, RemedyVerdict.IMPROVES}
        assert helps or (finding.advice and not verdicts), finding.message


def test_a_marker_is_a_comment_at_the_end_of_its_line() -> None:
    program = "a = 1  # confirmed\nb = 2  # refuted\nc = 'x  # confirmed y'\n# confirmed or not\n"
    assert markers(program) == {(1, Verdict.CONFIRMED), (2, Verdict.REFUTED)}
