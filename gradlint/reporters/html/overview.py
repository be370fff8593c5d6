"""The first screen: the verdict in a line, the findings, the models, and what did not run."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gradlint.report import ModelStatus, ModelSummary, Report
from gradlint.reporters.footer import header_counts, hidden_counts, unprobed_lines, what_ran
from gradlint.reporters.html.markup import Markup, element, joined
from gradlint.reporters.html.scale import shade
from gradlint.reporters.html.sections import Section
from gradlint.reporters.numbers import number, typical
from gradlint.reporters.presentation import Style, roots


def overview(report: Report, sections: Sequence[Section], style: Style) -> Markup:
    """What was found, what ran, and lists that lead to everything below."""
    hidden = hidden_counts(report)
    return element(
        "section",
        element("p", header_counts(report), class_="verdict"),
        element(
            "p",
            f"{what_ran(report)}; {report.seconds:.1f} s",
            f". Not shown here: {hidden}" if hidden and not style.show_all else None,
        ),
        element("p", _INTRODUCTION, class_="introduction"),
        element("h2", "Findings", id="findings"),
        _finding_list(sections),
        element("h2", "Models"),
        _model_list(sections) if roots(report) else element("p", "No model was found."),
        _unprobed(report),
        id="overview",
    )


_INTRODUCTION = (
    "A network learns by gradients that flow from the loss back to its first layers. gradlint "
    "built each model below, ran it, and measured how much of the gradient arrives where. A "
    "gradient that shrinks or grows by decades (powers of ten) on its way is what stops a deep "
    "network from learning."
)


def _finding_list(sections: Sequence[Section]) -> Markup:
    items = [
        element(
            "li",
            element("span", finding.severity.value, class_="severity"),
            " ",
            element("a", finding.message, href=f"#{id}"),
            element("span", f" {finding.span}", class_="where"),
            class_=finding.severity.value,
        )
        for section in sections
        for id, finding in section.findings
    ]
    if not items:
        return element(
            "p", "None: nothing stops these models from learning, as far as the rules know."
        )
    return element("ol", *items, class_="findings")


def _model_list(sections: Sequence[Section]) -> Markup:
    head = ("model", "file", "what ran", "parameters", "layers", "farthest from 0 on the trunk")
    rows = (_model_row(section, id, model) for section in sections for id, model in section.models)
    return element(
        "table",
        element("thead", element("tr", *(element("th", name, scope="col") for name in head))),
        element("tbody", *rows),
        class_="models",
    )


def _model_row(section: Section, id: str, model: ModelSummary) -> Markup:
    values = [typical(layer.measured) for layer in model.trunk]
    known = [value for value in values if not math.isnan(value)]
    worst = max(known, key=abs, default=None)
    probed = model.status is ModelStatus.PROBED
    return element(
        "tr",
        element("td", element("a", model.name, href=f"#{id}") if model.trunk else model.name),
        element("td", f"{section.file.path}:{model.span.line}", class_="where"),
        element("td", model.status.value.replace("-", " ")),
        element("td", f"{model.parameters:,}" if probed else "", class_="number"),
        element("td", str(model.layers) if probed else "", class_="number"),
        element(
            "td",
            joined(element("i", class_=f"key {shade(worst)}"), f" {number(worst)} decades")
            if worst is not None
            else "",
        ),
    )


def _unprobed(report: Report) -> Markup | None:
    lines = list(unprobed_lines(report, show_all=True))
    if not lines:
        return None
    return joined(
        element("h2", "Not probed"),
        element("p", "These models were not run, so nothing is known of them:"),
        element("pre", "\n".join(lines)),
    )
