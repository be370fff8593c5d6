"""A traced model as a tree of its modules, with lines, shapes and the gradient along the trunk."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gradlint.layers.graph import LayerGraph
from gradlint.protocol.nodes import Layer
from gradlint.protocol.span import Span
from gradlint.report import ModelSummary, TrunkLayer
from gradlint.reporters.footer import counted
from gradlint.reporters.ink import BOLD, DIM, STRONG, WEAK, Ink
from gradlint.reporters.numbers import number, typical
from gradlint.reporters.presentation import Style, built

_FULL = 24  # characters of the longest bar
_SHORTEST = 3.0  # decades that the longest bar stands for at least, so that noise stays short


@dataclass(slots=True)
class _Part:
    """A module or a function, the calls of it, and what ran inside in the order of first calls."""

    label: str
    calls: list[Layer] = field(default_factory=list)
    parts: dict[str, _Part] = field(default_factory=dict)

    def at(self, path: str) -> _Part:
        """The part of the module at a dotted path below this one."""
        part = self
        for name in path.split(".") if path else ():
            part = part.parts.setdefault(name, _Part(name))
        return part


@dataclass(frozen=True, slots=True)
class _Row:
    label: str
    line: str
    shape: str
    gradient: TrunkLayer | None = None


def render(summary: ModelSummary, graph: LayerGraph, style: Style | None = None) -> str:
    """A line for each layer under its modules: label, operation, line, output shape, decades, bar.

    Decades are the median over seeds on the trunk and those of the first seed beside it, and in
    brackets what is predicted without data.
    """
    style = style or Style()
    ink = Ink(style.color)
    gradients = {layer.layer: layer for layer in (*_beside(summary), *summary.trunk)}
    decades = [_drawn(layer) for layer in gradients.values()]
    rows = [
        _Row(summary.name, _place(summary.span), _inputs(summary)),
        *_rows(graph, gradients, style),
    ]
    rows.append(_Row("loss", "", ""))
    widths = [max(len(cell(row)) for row in rows) for cell in (_label, _line, _shape)]
    scale = max(_SHORTEST, 0.0, *(abs(v) for v in decades if math.isfinite(v)))
    head = f"{ink(str(summary.span), BOLD)}: {_facts(summary)}"
    return "\n".join([head, *(_text(row, widths, scale, style, ink) for row in rows)]) + "\n"


def _beside(summary: ModelSummary) -> Iterator[TrunkLayer]:
    """What the picture of a model, if there is one, shows of all layers."""
    picture = summary.picture
    if picture is None:
        return
    predicted = picture.predicted.decades if picture.predicted else (None,) * len(picture.layers)
    for layer, measured, expected in zip(
        picture.layers, picture.measured.decades, predicted, strict=True
    ):
        if not math.isnan(measured):
            yield TrunkLayer(layer.id, layer.op, layer.line, (measured,), expected)


def _facts(summary: ModelSummary) -> str:
    facts = [f"{summary.parameters:,} parameters", counted(summary.layers, "layer")]
    if summary.built_from:
        facts.append(built(summary))
    if summary.trunk:
        facts.append(f"trunk of {len(summary.trunk)}")
    if summary.reason:
        facts.append(f"{summary.status.value}: {summary.reason}")
    return ", ".join(facts)


def _inputs(summary: ModelSummary) -> str:
    return " ".join(summary.inputs)


def _rows(graph: LayerGraph, gradients: Mapping[str, TrunkLayer], style: Style) -> Iterator[_Row]:
    root = _Part("")
    for layer in graph.layers:
        part = root.at(layer.module)
        if not layer.op.startswith("torch.nn."):
            part = part.parts.setdefault(f"({layer.id})", _Part(""))
        part.calls.append(layer)
    yield from _below(root, "", gradients, style)


def _below(
    part: _Part, prefix: str, gradients: Mapping[str, TrunkLayer], style: Style
) -> Iterator[_Row]:
    fork, corner, pipe = ("├─ ", "└─ ", "│  ") if style.unicode else ("|- ", "`- ", "|  ")
    for index, inner in enumerate(part.parts.values(), 1):
        last = index == len(part.parts)
        yield _row(prefix + (corner if last else fork), inner, gradients, style)
        yield from _below(inner, prefix + ("   " if last else pipe), gradients, style)


def _place(span: Span | None) -> str:
    """The line, in a notebook that of the cell before it."""
    if span is None:
        return ""
    return f"{span.cell}:{span.line}" if span.cell else str(span.line)


def _row(lead: str, part: _Part, gradients: Mapping[str, TrunkLayer], style: Style) -> _Row:
    if not part.calls:
        return _Row(f"{lead}{part.label}", "", "")
    first = part.calls[0]
    times = f" {'×' if style.unicode else 'x'}{len(part.calls)}" if len(part.calls) > 1 else ""
    operation = first.op.removeprefix("torch.nn.").removeprefix("aten.")
    label = f"{part.label}: {operation}" if part.label else operation
    known = (gradients[layer.id] for layer in part.calls if layer.id in gradients)
    return _Row(
        f"{lead}{label}{times}",
        _place(first.span),
        f"[{','.join(map(str, first.shape))}]",
        next(known, None),
    )


def _label(row: _Row) -> str:
    return row.label


def _line(row: _Row) -> str:
    return row.line


def _shape(row: _Row) -> str:
    return row.shape


def _text(row: _Row, widths: list[int], scale: float, style: Style, ink: Ink) -> str:
    cells = [
        row.label.ljust(widths[0]),
        ink(row.line.rjust(widths[1]), DIM),
        row.shape.ljust(widths[2]),
    ]
    if row.gradient is not None:
        drawn = _drawn(row.gradient)
        bar = ink(_bar(drawn, scale, style), STRONG if drawn > 0 else WEAK)
        measured = number(drawn) if row.gradient.measured else ""
        cells += [measured.rjust(7), _predicted(row.gradient), bar]
    return "  ".join(cells).rstrip()


def _drawn(gradient: TrunkLayer) -> float:
    """What a bar shows: the measured decades, or the predicted ones of a model too large to run."""
    if gradient.measured or gradient.predicted is None:
        return typical(gradient.measured)
    return gradient.predicted


def _predicted(gradient: TrunkLayer) -> str:
    """The prediction in brackets, with a mark where the measurement contradicts it."""
    if gradient.predicted is None:
        return " " * 9
    return f"({number(gradient.predicted)}){'!' if gradient.disagrees else ''}".rjust(9)


def _bar(decades: float, scale: float, style: Style) -> str:
    if not math.isfinite(decades):
        return "x"
    return ("█" if style.unicode else "#") * round(_FULL * abs(decades) / scale)
