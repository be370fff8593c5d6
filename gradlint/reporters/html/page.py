"""The page as a whole, and what it shows of each file and each model."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from importlib.resources import files

from gradlint.protocol.claim import Bound
from gradlint.protocol.quantity import Quantity
from gradlint.report import FileReport, Finding, ModelSummary, Report
from gradlint.reporters.catalogue import Entry, entries
from gradlint.reporters.footer import (
    counted,
)
from gradlint.reporters.html.chart import chart
from gradlint.reporters.html.finding import card
from gradlint.reporters.html.guide import guide
from gradlint.reporters.html.layers import layer_table
from gradlint.reporters.html.markup import Markup, element, joined
from gradlint.reporters.html.overview import overview
from gradlint.reporters.html.sections import Section, sections_of, worst_first
from gradlint.reporters.html.series import (
    Series,
    activation_curves,
    gradient_curves,
    series_of,
)
from gradlint.reporters.html.source import shown_lines, source
from gradlint.reporters.presentation import Style, built


def render(report: Report, style: Style | None = None) -> str:
    """One self-contained page; it loads nothing, and works without its script, too."""
    style = style or Style()
    rules = {entry.name: entry for entry in entries(report.findings)}
    sections = list(sections_of(report, style))
    body = joined(
        element("a", "To the findings", href="#findings", class_="skip"),
        _header(report),
        element(
            "main",
            overview(report, sections, style),
            *(_file(section, rules) for section in worst_first(sections)),
        ),
        guide(),
        Markup(f"<script>{_asset('report.js')}</script>"),
    )
    return f"<!DOCTYPE html>\n{element('html', _head(), element('body', body), lang='en')}\n"


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


def _file(section: Section, rules: dict[str, Entry]) -> Markup:
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


def _model(id: str, model: ModelSummary, section: Section, shown: Collection[int]) -> Markup:
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
                built(model) if model.built_from else "",
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
