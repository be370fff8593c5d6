"""What each kind of finding means, the rules of files and packages as well as gradlint's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gradlint.loader import rules
from gradlint.report import Finding
from gradlint.reporters import manual


@dataclass(frozen=True, slots=True)
class Entry:
    """A kind of finding: `short` is one sentence, `full` says why it is bad, the rest is help.

    `sections` are the headings of a rule's documentation with their texts.
    """

    name: str
    family: str
    short: str
    full: str
    text: str
    markdown: str
    sections: tuple[tuple[str, str], ...] = ()


_OWN = {
    "unreadable-file": (
        "A file that could not be linted.",
        "The file is missing, cannot be read or is not Python, so nothing in it was linted.",
    ),
    "stale-baseline-entry": (
        "An entry of the baseline that accepts more than there is.",
        "What was accepted is gone. Write the baseline anew, or the entry will hide a new finding.",
    ),
    "unused-suppression": (
        "A suppression that suppresses nothing.",
        "The comment names a rule that finds nothing there. Remove it, or it will hide a finding.",
    ),
}


def entries(findings: Iterable[Finding]) -> tuple[Entry, ...]:
    """All rules by name, then what gradlint itself reported among `findings`."""
    own = tuple(_of_rules())
    named = {entry.name for entry in own}
    others = {finding.rule: finding.family for finding in findings if finding.rule not in named}
    return own + tuple(_of_gradlint(name, others[name]) for name in sorted(others))


def _of_rules() -> Iterator[Entry]:
    for rule in rules():
        (_, short), *sections = manual.sections(rule)
        yield Entry(
            name=rule.name(),
            family=rule.family.value,
            short=short,
            full=sections[0][1],
            text=manual.render(rule),
            markdown=manual.page(rule),
            sections=tuple(sections),
        )


def _of_gradlint(name: str, family: str) -> Entry:
    words = f"{name.replace('-', ' ').capitalize()}."
    short, full = _OWN.get(name, (words, words))
    return Entry(name, family, short, full, full, full)
