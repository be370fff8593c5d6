"""Finding rules, and saying clearly what is wrong with one that is not what it must be."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from types import ModuleType

import pytest

from gradlint.loader import (
    HEADINGS,
    InvalidRuleError,
    documentation,
    rule_in,
    rule_named,
    rules,
)
from gradlint.rule import Family, GraphRule, Hypothesis, LayerGraph


class ForeignRule(GraphRule):
    """A rule from another package.

    Why it is bad:
        It is not.

    How it is measured:
        Not at all,
        over two lines.

    What to do:
        Nothing.

    Known limitations:
        None.
    """

    family = Family.DATA
    references = ()
    examples = ()

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        yield from ()


@pytest.fixture
def entry_points(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[importlib.metadata.EntryPoint]]:
    points: list[importlib.metadata.EntryPoint] = []

    def of_group(*, group: str) -> list[importlib.metadata.EntryPoint]:
        return [point for point in points if point.group == group]

    monkeypatch.setattr(importlib.metadata, "entry_points", of_group)
    rules.cache_clear()
    yield points
    rules.cache_clear()


def point(value: str) -> importlib.metadata.EntryPoint:
    return importlib.metadata.EntryPoint("foreign", value, "gradlint.rules")


def module_with(name: str, *classes: type) -> ModuleType:
    module = ModuleType(f"gradlint.rules.{name}")
    for kind in classes:
        setattr(
            module, kind.__name__, type(kind.__name__, (kind,), {"__module__": module.__name__})
        )
    return module


def test_rules_come_in_the_order_of_their_names() -> None:
    names = [rule.name() for rule in rules()]
    assert names == sorted(names)
    assert len(names) >= 5


def test_a_rule_is_found_by_its_name() -> None:
    assert rule_named("vanilla-rnn").__name__ == "VanillaRnn"


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(KeyError, match="did you mean 'vanilla-rnn'"):
        rule_named("vanila-rnn")
    with pytest.raises(KeyError, match="`gradlint rules` lists them"):
        rule_named("zzz")


def test_installed_packages_can_bring_rules(
    entry_points: list[importlib.metadata.EntryPoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = module_with("foreign")
    module.ForeignRule = ForeignRule  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "elsewhere", module)
    entry_points.append(point("elsewhere:ForeignRule"))
    assert rule_named("foreign-rule") is ForeignRule


def test_an_entry_point_that_is_no_rule_is_refused_by_its_name(
    entry_points: list[importlib.metadata.EntryPoint],
) -> None:
    entry_points.append(point("math:pi"))
    with pytest.raises(InvalidRuleError, match=r"'foreign'.*math:pi is a float, expected"):
        rules()


def test_two_rules_of_one_name_are_refused(
    entry_points: list[importlib.metadata.EntryPoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    twin = module_with("elsewhere")
    twin.VanillaRnn = type("VanillaRnn", (ForeignRule,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "elsewhere", twin)
    entry_points.append(point("elsewhere:VanillaRnn"))
    with pytest.raises(InvalidRuleError, match="two rules are called 'vanilla-rnn'"):
        rules()


def test_a_file_with_no_rule_or_two_is_refused() -> None:
    with pytest.raises(InvalidRuleError, match="defines one rule, found none"):
        rule_in(module_with("empty"))
    other = type("Other", (ForeignRule,), {})
    with pytest.raises(InvalidRuleError, match="found ForeignRule, Other"):
        rule_in(module_with("foreign_rule", ForeignRule, other))


def test_a_file_whose_rule_has_another_name_is_refused() -> None:
    with pytest.raises(
        InvalidRuleError, match="is the rule 'foreign-rule', but the file is called"
    ):
        rule_in(module_with("some_rule", ForeignRule))


def test_documentation_is_the_summary_and_the_sections() -> None:
    sections = dict(documentation(ForeignRule))
    assert sections[""] == "A rule from another package."
    assert sections["How it is measured"] == "Not at all,\nover two lines."
    assert list(sections) == ["", *HEADINGS]


def test_a_missing_heading_is_named() -> None:
    short = type("Short", (ForeignRule,), {"__doc__": "Short.\n\nWhy it is bad:\n    Because.\n"})
    with pytest.raises(InvalidRuleError, match=r"has the headings \['Why it is bad'\], expected"):
        documentation(short)


def test_an_empty_section_is_named() -> None:
    text = "\n".join(f"{heading}:\n    {'text' * (heading[0] != 'K')}" for heading in HEADINGS)
    empty = type("Empty", (ForeignRule,), {"__doc__": f"Summary.\n\n{text}\n"})
    with pytest.raises(
        InvalidRuleError, match="section 'Known limitations' of the docstring is empty"
    ):
        documentation(empty)
