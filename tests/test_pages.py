"""The pages about the rules in `rules/docs/` say what the rule files say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gradlint.loader import rules
from gradlint.reporters import manual

PAGES = Path(__file__).parents[1] / "rules" / "docs"
EXPECTED = {
    "README.md": manual.index(rules()),
    **{f"{rule.name()}.md": manual.page(rule) for rule in rules()},
}


def store() -> None:
    """Write all pages anew and delete those of rules that are gone."""
    PAGES.mkdir(exist_ok=True)
    for path in PAGES.glob("*.md"):
        path.unlink()
    for name, text in EXPECTED.items():
        (PAGES / name).write_text(text, encoding="utf-8", newline="\n")


if os.environ.get("GRADLINT_SNAPSHOTS") == "update":
    store()


@pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in EXPECTED])
def test_a_page_is_as_fresh_as_its_rule(name: str) -> None:
    hint = "GRADLINT_SNAPSHOTS=update pytest tests/test_pages.py writes it anew"
    assert (PAGES / name).exists(), hint
    assert (PAGES / name).read_text(encoding="utf-8") == EXPECTED[name], hint


def test_no_page_is_left_of_a_rule_that_is_gone() -> None:
    assert {path.name for path in PAGES.iterdir()} == set(EXPECTED)
