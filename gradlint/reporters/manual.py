"""The documentation of rules, as text and as pages of Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from gradlint.loader import documentation
from gradlint.reporters.ink import BOLD, DIM, Ink
from gradlint.rule import Family, Rule

_WORDS = {
    "decade": "A decade is a factor of ten: -3 decades is a thousandth, .3 is a factor of two.",
    "trunk": "The trunk is what every path from the deepest weight to the loss passes through.",
    "seed": "A seed is one drawing of the weights and inputs; a verdict needs all seeds to agree.",
    "refuted": "Refuted is a suspicion that the measurement withdraws; it is no finding.",
    "σ_w²": "σ_w² is the mean square of a weight times its fan-in, the number of inputs of a unit.",
}
_MARKERS = "The comment in a program is the verdict on its line; a program without one is healthy."


def _words(rule: type[Rule]) -> list[str]:
    """Sentences that explain the words of the trade in the rule's documentation."""
    text = " ".join(text for _, text in sections(rule))
    return [meaning for word, meaning in _WORDS.items() if word in text]


def sections(rule: type[Rule]) -> tuple[tuple[str, str], ...]:
    """The documentation of a rule as (heading, text), lines joined to paragraphs; "" comes first.

    Raises:
        InvalidRuleError: the docstring does not have the headings that every rule has.
    """
    return tuple((heading, _joined(text)) for heading, text in documentation(rule))


def _joined(text: str) -> str:
    paragraphs = text.split("\n\n")
    return "\n\n".join(
        paragraph if _is_list(paragraph) else " ".join(paragraph.split())
        for paragraph in paragraphs
    )


def _is_list(paragraph: str) -> bool:
    return any(line.lstrip().startswith(("- ", "* ", "| ")) for line in paragraph.splitlines())


def render(rule: type[Rule], *, color: bool = False) -> str:
    """The rule's name, its documentation under its headings, its examples and its references."""
    ink = Ink(color)
    lines = [f"{ink(rule.name(), BOLD)} ({rule.family.value})"]
    for heading, text in documentation(rule):
        lines += ["", *([ink(heading, BOLD)] if heading else []), text]
    if words := _words(rule):
        lines += ["", ink("Words", BOLD), *words]
    lines += ["", ink("Examples", BOLD), _MARKERS, *_examples(rule)]
    if rule.references:
        lines += ["", ink("References", BOLD), *rule.references]
    return "\n".join(lines) + "\n"


def _examples(rule: type[Rule]) -> Iterator[str]:
    for example in rule.examples:
        yield ""
        yield textwrap.indent(textwrap.dedent(example).strip("\n"), "    ")


def page(rule: type[Rule]) -> str:
    """The same as a page of Markdown."""
    blocks = [f"# {rule.name()}", f"Family `{rule.family.value}`."]
    for heading, text in sections(rule):
        blocks += [*([f"## {heading}"] if heading else []), text]
    if words := _words(rule):
        blocks += ["## Words", "\n".join(f"- {word}" for word in words)]
    blocks += ["## Examples", _MARKERS]
    blocks += [
        f"```python\n{textwrap.dedent(example).strip(chr(10))}\n```" for example in rule.examples
    ]
    if rule.references:
        blocks += ["## References", "\n".join(f"- <{address}>" for address in rule.references)]
    blocks += ["## Suppress it", f"`# gradlint: ignore[{rule.name()}] why`"]
    return "\n\n".join(blocks) + "\n"


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
    lines += ["", ink("gradlint rule NAME explains one.", DIM)] if lines else []
    return "\n".join(lines) + "\n"


def index(rules: Sequence[type[Rule]]) -> str:
    """A page of Markdown that lists the pages of all rules by family."""
    blocks = [
        "# Rules",
        "One page for each rule, written from the rule files. `gradlint rule NAME` shows the same.",
    ]
    for family in Family:
        members = sorted((rule for rule in rules if rule.family is family), key=lambda r: r.name())
        if members:
            lines = (f"- [{r.name()}]({r.name()}.md): {summary(r)}" for r in members)
            blocks += [f"## {family.value}", "\n".join(lines)]
    return "\n\n".join(blocks) + "\n"


def summary(rule: type[Rule]) -> str:
    """The first sentence of a rule's documentation."""
    return " ".join(documentation(rule)[0][1].split())
