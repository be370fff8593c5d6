"""The page as a whole: what was found, how to read it, and a section for each file."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

from gradlint.claim import Bound
from gradlint.quantity import Quantity
from gradlint.report import FileReport, Finding, ModelStatus, ModelSummary, Report
from gradlint.reporters.catalogue import Entry, entries
from gradlint.reporters.footer import (
    counted,
    header_counts,
    hidden_counts,
    unprobed_lines,
    what_ran,
)
from gradlint.reporters.html.chart import chart
from gradlint.reporters.html.finding import card
from gradlint.reporters.html.layers import layer_table
from gradlint.reporters.html.markup import Markup, element, joined
from gradlint.reporters.html.scale import STEPS, shade
from gradlint.reporters.html.series import (
    Series,
    activation_curves,
    gradient_curves,
    series_of,
)
from gradlint.reporters.html.source import shown_lines, source
from gradlint.reporters.numbers import number, typical
from gradlint.reporters.presentation import Style, roots, stands


def render(report: Report, style: Style | None = None) -> str:
    """One self-contained page; it loads nothing, and works without its script, too."""
    style = style or Style()
    rules = {entry.name: entry for entry in entries(report.findings)}
    sections = list(_sections(report, style))
    body = joined(
        element("a", "To the findings", href="#findings", class_="skip"),
        _header(report),
        element(
            "main",
            _overview(report, sections, style),
            *(_file(section, rules) for section in _worst_first(sections)),
        ),
        _help(),
        Markup(f"<script>{_asset('report.js')}</script>"),
    )
    return f"<!DOCTYPE html>\n{element('html', _head(), element('body', body), lang='en')}\n"


@dataclass(frozen=True, slots=True)
class _Section:
    """A file with the addresses of all that the page shows of it."""

    file: FileReport
    id: str
    findings: tuple[tuple[str, Finding], ...]
    models: tuple[tuple[str, ModelSummary], ...]

    @property
    def worth_showing(self) -> bool:
        return bool(self.findings) or any(model.trunk for _, model in self.models)

    def address_of(self, model: str) -> str | None:
        """The address of the picture of a model of this file, None where there is none."""
        found = (f"#{id}" for id, summary in self.models if summary.name == model and summary.trunk)
        return next(found, None)


def _sections(report: Report, style: Style) -> Iterator[_Section]:
    numbered = 0
    for place, file in enumerate(report.files, 1):
        found = [finding for finding in file.findings if style.show_all or stands(finding)]
        models = [model for model in file.models if not model.covered_by]
        yield _Section(
            file,
            f"file-{place}",
            tuple((f"finding-{numbered + i}", finding) for i, finding in enumerate(found, 1)),
            tuple((f"file-{place}-model-{i}", model) for i, model in enumerate(models, 1)),
        )
        numbered += len(found)


def _worst_first(sections: Sequence[_Section]) -> list[_Section]:
    """The files that have something to show, those with findings before the others."""
    shown = [section for section in sections if section.worth_showing]
    return sorted(shown, key=lambda section: not section.findings)


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _head() -> Markup:
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", "gradlint report"),
        Markup(f"<style>{_asset('report.css')}</style>"),
    )


def _header(report: Report) -> Markup:
    return element(
        "header",
        element("h1", "gradlint ", element("small", report.gradlint)),
        element(
            "div",
            element("button", "How to read this (?)", type="button", id="help-button"),
            element("button", "Light or dark (t)", type="button", id="theme-button"),
            class_="tools",
        ),
    )


def _overview(report: Report, sections: Sequence[_Section], style: Style) -> Markup:
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


def _finding_list(sections: Sequence[_Section]) -> Markup:
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


def _model_list(sections: Sequence[_Section]) -> Markup:
    head = ("model", "file", "what ran", "parameters", "layers", "farthest from 0 on the trunk")
    rows = (_model_row(section, id, model) for section in sections for id, model in section.models)
    return element(
        "table",
        element("thead", element("tr", *(element("th", name, scope="col") for name in head))),
        element("tbody", *rows),
        class_="models",
    )


def _model_row(section: _Section, id: str, model: ModelSummary) -> Markup:
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


def _file(section: _Section, rules: dict[str, Entry]) -> Markup:
    file = section.file
    cards: dict[int, list[Markup]] = {}
    for id, finding in section.findings:
        made = card(finding, rules.get(finding.rule), id, section.address_of(finding.model))
        cards.setdefault(_row(file, finding.span.line, finding.span.cell), []).append(made)
    numbers = shown_lines(len(file.lines), cards) if cards else []
    inserts = {line: joined(*made) for line, made in cards.items() if line}
    shown = set(numbers)
    return element(
        "section",
        element("h2", file.path),
        *cards.get(0, ()),
        source(file.lines, numbers, section.id, inserts, file.cells) if numbers else None,
        *(_model(id, model, section, shown) for id, model in section.models if model.trunk),
        id=section.id,
        class_="file",
    )


def _row(file: FileReport, line: int, cell: int) -> int:
    """The row of a line in the source as the page shows it, 0 where it is not in it."""
    index = file.index_of(line, cell)
    return 0 if index is None else index + 1


def _model(id: str, model: ModelSummary, section: _Section, shown: Collection[int]) -> Markup:
    findings = [finding for _, finding in section.findings if finding.model == model.name]
    series = series_of(model, findings)
    flags = {
        finding.layer: f"#{address}"
        for address, finding in section.findings
        if finding.model == model.name
    }
    lines = {}
    for layer in model.picture.layers if model.picture else ():
        if (row := _row(section.file, layer.line, layer.cell)) in shown:
            lines[layer.line, layer.cell] = f"#{section.id}-L{row}"
    return element(
        "article",
        element("h3", model.name),
        element("p", _facts(model), class_="about"),
        element("div", *_charts(model, series, _bound(findings)), class_="charts")
        if len(model.trunk) > 1
        else None,
        element("h4", "Layer graph, from input to loss") if model.picture else None,
        layer_table(model, model.picture, series, flags, lines) if model.picture else None,
        id=id,
        class_="model",
    )


def _charts(model: ModelSummary, series: Sequence[Series], bound: Bound | None) -> Iterator[Markup]:
    layers = [layer.layer for layer in model.trunk]
    curves = gradient_curves(model, series)
    yield chart("Gradient along the trunk", "decades relative to the output", layers, curves, bound)
    if activations := activation_curves(model, series):
        yield chart("Activations", "log10 of their rms, first seed", layers, activations, None)


def _facts(model: ModelSummary) -> str:
    return ", ".join(
        filter(
            None,
            (
                f"{model.parameters:,} parameters",
                counted(model.layers, "layer"),
                f"inputs {' '.join(model.inputs)}" if model.inputs else "",
                f"built from {model.built_from}" if model.built_from else "",
                f"optimizer {model.optimizer.value}",
            ),
        )
    )


def _bound(findings: Sequence[Finding]) -> Bound | None:
    """What the findings call healthy for a gradient on the trunk."""
    bounds = (
        evidence.claim.bound
        for finding in findings
        for evidence in finding.evidence
        if evidence.claim.quantity is Quantity.GRADIENT_DECADES
    )
    return next(bounds, None)


_TERMS = (
    (
        "decade",
        "A power of ten. At -4 decades a gradient is 10,000 times weaker than at the output.",
    ),
    ("trunk", "The layers that every path from the deepest weights to the loss passes through."),
    ("seed", "Weights are random at the start, so everything is measured for several seeds."),
    ("predicted", "What the theory of signal propagation says without running the model."),
    ("confirmed", "Measured, repeatable, and out of bounds for every seed."),
    ("after: …", "The same measurement on a copy of the model with a remedy applied."),
    ("activation", "The root mean square of what a layer puts out."),
)
_KEYS = (
    ("n, p", "next, previous finding"),
    ("t", "light or dark"),
    ("/", "find a layer"),
    ("?", "this"),
)


def _help() -> Markup:
    marks = ("below", *(f"{step:g}" for step in STEPS))
    shades = ["dz", *(f"d{n}" for n in range(-4, 5)), "dn"]
    labels = ["no gradient", *(f"from {mark}" for mark in marks), "not measured"]
    labels[1] = f"below {STEPS[0]:g}"
    return element(
        "dialog",
        element("h2", "How to read this", tabindex="-1", autofocus=True),
        element("dl", *(joined(element("dt", term), element("dd", text)) for term, text in _TERMS)),
        element("h3", "Colours, in decades"),
        element(
            "ul",
            *(
                element("li", element("i", class_=f"key {name}"), f" {label}")
                for name, label in zip(shades, labels, strict=True)
            ),
            class_="colours",
        ),
        element("h3", "Keys"),
        element("dl", *(joined(element("dt", key), element("dd", text)) for key, text in _KEYS)),
        element("button", "Close", type="button", id="help-close"),
        id="help",
    )
