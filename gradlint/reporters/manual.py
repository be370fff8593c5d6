"""The documentation of rules, as text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from gradlint.loader import documentation
from gradlint.reporters.ink import BOLD, Ink
from gradlint.rule import Family, Rule


def render(rule: type[Rule], *, color: bool = False) -> str:
    """The rule's name, its documentation under its headings, its examples and its references."""
    ink = Ink(color)
    sections = documentation(rule)
    lines = [f"{ink(rule.name(), BOLD)} ({rule.family.value})"]
    for heading, text in sections:
        lines += ["", *([ink(heading, BOLD)] if heading else []), text]
    lines += _examples(rule, ink)
    if rule.references:
        lines += ["", ink("References", BOLD), *rule.references]
    return "\n".join(lines) + "\n"


def _examples(rule: type[Rule], ink: Ink) -> Iterator[str]:
    for example in rule.examples:
        yield from ("", ink("Example", BOLD))
        yield textwrap.indent(textwrap.dedent(example).strip("\n"), "    ")


def render_all(rules: Sequence[type[Rule]], *, color: bool = False) -> str:
    """All rules by family, each with the first sentence of its documentation."""
    ink = Ink(color)
    width = max((len(rule.name()) for rule in rules), default=0)
    lines: list[str] = []
    for family in Family:
        members = sorted((rule for rule in rules if rule.family is family), key=lambda r: r.name())
        if members:
            lines += [ink(family.value, BOLD)]
            lines += [f"  {rule.name().ljust(width)}  {summary(rule)}" for rule in members]
    return "\n".join(lines) + "\n"


def summary(rule: type[Rule]) -> str:
    """The first sentence of a rule's documentation."""
    return " ".join(documentation(rule)[0][1].split())
