"""The layer graph of a model as a table with lanes, coloured by the decades of the gradient."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from gradlint.report import ModelSummary, Picture, PicturedLayer
from gradlint.reporters.html.data import embedded
from gradlint.reporters.html.lanes import Row, rows_of
from gradlint.reporters.html.markup import Markup, element, joined
from gradlint.reporters.html.scale import shade
from gradlint.reporters.html.series import Series
from gradlint.reporters.numbers import number

_ROW = 22  # pixels; the style sheet gives rows this height, too
_WIDEST = 160
_SPACING = 14.0


def layer_table(
    model: ModelSummary,
    picture: Picture,
    series: Sequence[Series],
    flags: Mapping[str, str],
    lines: Mapping[tuple[int, int], str],
) -> Markup:
    """The table, a strip of all its colours to jump by, and the choice of what colours it.

    `flags` are addresses of findings by layer, `lines` those of lines and cells that are shown.
    """
    rows = rows_of(picture.layers)
    lanes = 1 + max((lane for row in rows for lane in (row.lane, *row.passing)), default=0)
    spacing = min(_SPACING, _WIDEST / lanes)
    trunk = {layer.layer for layer in model.trunk}
    decades = picture.measured.decades
    body = (
        _row(
            layer,
            _lanes(row, lanes, spacing, decades[place]),
            decades[place],
            picture.measured.activations[place],
            "trunk" if layer.id in trunk else "",
            joined(_line(layer, lines), _flag(layer.id, flags)),
        )
        for place, (layer, row) in enumerate(zip(picture.layers, rows, strict=True))
    )
    data = {
        "series": [
            {"decades": list(s.signals.decades), "activations": list(s.signals.activations)}
            for s in series
        ]
    }
    return element(
        "div",
        _choice(series),
        element(
            "div",
            _strip(decades),
            element(
                "div",
                element("table", _HEAD, element("tbody", *body)),
                class_="scroll",
                tabindex="0",
            ),
            class_="graph",
        ),
        embedded(data),
        class_="layers",
    )


def _choice(series: Sequence[Series]) -> Markup:
    options = (element("option", item.name, value=str(index)) for index, item in enumerate(series))
    return element(
        "p",
        element("label", "show ", element("select", *options)),
        element("label", "find a layer ", element("input", type="search", class_="filter")),
        element("span", "bold: on the trunk", class_="about"),
        class_="choice",
    )


_HEAD = element(
    "thead",
    element(
        "tr",
        *(
            element("th", name, scope="col")
            for name in (
                *("flow", "layer", "operation", "output", "parameters", "line"),
                *("gradient, decades", "activation"),
            )
        ),
    ),
)


def _row(
    layer: PicturedLayer,
    lanes: Markup,
    decades: float,
    activation: float,
    class_: str,
    place: Markup,
) -> Markup:
    operation = layer.op.removeprefix("torch.nn.").removeprefix("aten.")
    return element(
        "tr",
        element("td", lanes, class_="flow"),
        element("td", layer.id, class_="name", title=layer.id),
        element("td", operation),
        element("td", "×".join(map(str, layer.shape)), class_="shape"),
        element("td", f"{layer.parameters:,}" if layer.parameters else "", class_="number"),
        element("td", place, class_="number"),
        element("td", _bar(decades), class_=f"bar {shade(decades)}"),
        element("td", _size(activation), class_="number size"),
        class_=class_ or None,
    )


def _bar(decades: float) -> Markup:
    """A bar to the left of the middle for a weak gradient, to the right for a strong one."""
    known = 0.0 if math.isnan(decades) else max(-10.0, min(10.0, decades))
    width = round(5 * abs(known), 1)
    left = 50.0 if known > 0 else 50.0 - width
    text = "" if math.isnan(decades) else "none" if decades == -math.inf else number(decades)
    return joined(element("i", style=f"left:{left:g}%;width:{width:g}%"), element("span", text))


def _size(activation: float) -> str:
    if math.isnan(activation):
        return ""
    if math.isinf(activation):
        return "0" if activation < 0 else "inf"
    return f"{10**activation:.2g}"


def _line(layer: PicturedLayer, lines: Mapping[tuple[int, int], str]) -> Markup:
    if not layer.line:
        return Markup("")
    place = (layer.line, layer.cell)
    text = f"{layer.cell}:{layer.line}" if layer.cell else str(layer.line)
    return element("a", text, href=lines[place]) if place in lines else element("span", text)


def _flag(layer: str, flags: Mapping[str, str]) -> Markup | None:
    return element("a", " ⚑", href=flags[layer], title="a finding here") if layer in flags else None


def _strip(decades: Sequence[float]) -> Markup:
    """All layers from top to bottom in one bar of colours."""
    count = len(decades)
    marks = (
        element("i", class_=shade(decades[start]), style=f"flex:{length}")
        for start, length in _runs([shade(value) for value in decades])
    )
    return element(
        "div", *marks, class_="strip", title=f"{count} rows, click to go there", role="presentation"
    )


def _runs(shades: Sequence[str]) -> list[tuple[int, int]]:
    """Where each run of equal shades starts, and its length."""
    runs: list[tuple[int, int]] = []
    for place, name in enumerate(shades):
        if runs and shades[runs[-1][0]] == name:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((place, 1))
    return runs


def _lanes(row: Row, lanes: int, spacing: float, decades: float) -> Markup:
    def x(lane: int) -> str:
        return f"{spacing * (lane + 0.5):g}"

    middle, here = _ROW // 2, x(row.lane)
    paths = [f"M{x(lane)} 0V{_ROW}" for lane in row.passing]
    paths += [
        f"M{x(lane)} 0V{middle}"
        if lane == row.lane
        else f"M{x(lane)} 0Q{x(lane)} {middle} {here} {middle}"
        for lane in row.arriving
    ]
    if row.goes_on:
        paths.append(f"M{here} {middle}V{_ROW}")
    width = math.ceil(spacing * lanes)
    return element(
        "svg",
        element("path", d="".join(paths)) if paths else None,
        element("circle", class_=shade(decades), cx=here, cy=middle, r=4.5),
        width=width,
        height=_ROW,
        aria_hidden="true",
    )
