"""One finding with its proof, its remedies and the words of its rule."""

from __future__ import annotations

from collections.abc import Iterator

from gradlint.judging.evidence import Evidence, RemedyVerdict
from gradlint.report import Finding, TriedRemedy
from gradlint.reporters.catalogue import Entry
from gradlint.reporters.html.markup import Markup, element, joined
from gradlint.reporters.numbers import factor, healthy, number, numbers, subject, typical, unit
from gradlint.reporters.proof import cause_lines
from gradlint.reporters.text import verdict

_WORDS = {
    RemedyVerdict.RESTORES: "restores it",
    RemedyVerdict.IMPROVES: "improves it",
    RemedyVerdict.INSUFFICIENT: "is not enough",
}


def card(finding: Finding, entry: Entry | None, id: str, model: str | None) -> Markup:
    """The finding as a card that stands below its line; `model` is the address of its picture."""
    return element(
        "article",
        element(
            "h4",
            element("span", finding.severity.value, class_="severity"),
            " ",
            finding.message,
        ),
        element(
            "p",
            element("code", finding.rule),
            ", ",
            verdict(finding),
            *((", in ", element("a", finding.model, href=model)) if model else ()),
            class_="about",
        ),
        _evidence(finding),
        *(element("p", line) for line in cause_lines(finding)),
        _remedies(finding),
        *(_note(note) for note in finding.notes),
        _rule(entry) if entry else None,
        class_=f"finding {finding.severity.value}",
        id=id,
        tabindex="-1",
    )


def _evidence(finding: Finding) -> Markup | None:
    if not finding.evidence:
        return None
    head = ("measured quantity", "each seed", "predicted", "healthy")
    return element(
        "table",
        element("thead", element("tr", *(element("th", name, scope="col") for name in head))),
        element("tbody", *(_row(evidence) for evidence in finding.evidence)),
        class_="evidence",
    )


def _row(evidence: Evidence) -> Markup:
    claim = evidence.claim
    suffix = unit(claim.quantity)
    meaning = factor(claim.quantity, typical(evidence.measured))
    predicted = evidence.predicted
    return element(
        "tr",
        element("td", subject(claim)),
        element(
            "td",
            element("strong", f"{numbers(evidence.measured, claim.quantity)}{suffix}"),
            f": {meaning}" if meaning else None,
        ),
        element("td", "" if predicted is None else f"{number(predicted, claim.quantity)}{suffix}"),
        element("td", f"{healthy(claim.bound)}{suffix}"),
    )


def _remedies(finding: Finding) -> Markup | None:
    ordered = sorted(finding.remedies, key=lambda remedy: list(_WORDS).index(remedy.verdict))
    items = [_remedy(remedy, finding) for remedy in ordered]
    if not any(remedy.verdict in list(_WORDS)[:2] for remedy in ordered) and finding.advice:
        items.insert(0, element("li", finding.advice))
    if not items:
        return None
    return joined(
        element("p", "What to do. Each was tried on a copy of the model and measured:")
        if ordered
        else element("p", "What to do:"),
        element("ul", *items, class_="remedies"),
    )


def _remedy(remedy: TriedRemedy, finding: Finding) -> Markup:
    quantity = finding.evidence[0].claim.quantity if finding.evidence else None
    change: tuple[str, ...] = ()
    if quantity:
        before, after = (
            number(typical(values), quantity)
            for values in (finding.evidence[0].measured, remedy.measured)
        )
        change = (": ", element("span", f"{before} → {after}{unit(quantity)}", class_="change"))
    return element(
        "li",
        remedy.title,
        *change,
        ", ",
        element("span", _WORDS[remedy.verdict], class_=f"chip {remedy.verdict.value}"),
    )


def _note(note: Finding) -> Markup:
    return element(
        "p",
        element("span", "also", class_="severity"),
        f" line {note.span.line}: {note.message} (",
        element("code", note.rule),
        ")",
        class_="note",
    )


def _rule(entry: Entry) -> Markup:
    return element(
        "details",
        element("summary", "About this rule"),
        element("p", element("strong", entry.short)),
        *_paragraphs(entry),
        class_="rule",
    )


def _paragraphs(entry: Entry) -> Iterator[Markup]:
    for heading, text in entry.sections:
        yield element("h5", heading)
        yield from (element("p", paragraph) for paragraph in text.split("\n\n"))
