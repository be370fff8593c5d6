"""Curves along the trunk as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gradlint.protocol.claim import Bound
from gradlint.reporters.html.data import embedded
from gradlint.reporters.html.markup import Markup, element, joined
from gradlint.reporters.html.series import Curve

_WIDTH, _HEIGHT = 720, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 10, 26
_FLOOR = 40.0  # decades beyond which an axis would show nothing else


class _Axes:
    """Where a place on the trunk and a value stand in the drawing."""

    def __init__(self, curves: Sequence[Curve], count: int) -> None:
        values = [v for c in curves for v in (*c.values, *c.low, *c.high) if math.isfinite(v)]
        values = [max(-_FLOOR, min(_FLOOR, value)) for value in values]
        low, high = min(values, default=0.0), max(values, default=0.0)
        self.step = next(s for s in (1, 2, 5, 10, 20) if (high - low) / s <= 6 or s == 20)
        self.low = self.step * math.floor(min(low, -self.step) / self.step)
        self.high = self.step * math.ceil(max(high, self.step) / self.step)
        self._count = max(count - 1, 1)

    def x(self, place: int) -> float:
        return round(_LEFT + place * (_WIDTH - _LEFT - _RIGHT) / self._count, 1)

    def y(self, value: float) -> float:
        share = (max(self.low, min(self.high, value)) - self.low) / (self.high - self.low)
        return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), 1)

    def ticks(self) -> range:
        return range(int(self.low), int(self.high) + 1, self.step)


def chart(
    title: str, unit: str, layers: Sequence[str], curves: Sequence[Curve], bound: Bound | None
) -> Markup:
    """A figure with a legend that switches curves and reads them at the layer pointed at.

    `bound` is shaded as what is healthy.
    """
    axes = _Axes(curves, len(layers))
    drawing = element(
        "svg",
        element("title", f"{title} from {layers[0]} to {layers[-1]}"),
        _healthy(bound, axes) if bound else None,
        _grid(axes),
        *(_curve(curve, axes) for curve in curves),
        element("line", class_="cursor", x1=0, x2=0, y1=_TOP, y2=_HEIGHT - _BOTTOM),
        _labels(layers, axes),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
    )
    data = {
        "layers": list(layers),
        "left": _LEFT,
        "right": _WIDTH - _RIGHT,
        "curves": [{"values": list(c.values)} for c in curves],
    }
    return element(
        "figure",
        element("figcaption", element("strong", title), f", {unit}", element("output")),
        _legend(curves),
        element("div", drawing, class_="plot", tabindex="0"),
        embedded(data),
        class_="chart",
    )


def _legend(curves: Sequence[Curve]) -> Markup:
    keys = (
        element(
            "button",
            element("i", class_=f"key {curve.style}"),
            curve.name,
            element("b"),
            type="button",
            aria_pressed="true",
        )
        for curve in curves
    )
    return element("div", *keys, class_="legend", role="group", aria_label="Curves")


def _healthy(bound: Bound, axes: _Axes) -> Markup:
    top, bottom = axes.y(bound.at_most), axes.y(bound.at_least)
    return joined(
        element(
            "rect",
            element("title", "healthy"),
            class_="healthy",
            x=_LEFT,
            y=top,
            width=_WIDTH - _LEFT - _RIGHT,
            height=round(bottom - top, 1),
        ),
        element("text", "healthy", class_="axis", x=_LEFT + 6, y=top + 13),
    )


def _grid(axes: _Axes) -> Markup:
    return joined(
        *(
            joined(
                element(
                    "line",
                    class_="zero" if tick == 0 else "grid",
                    x1=_LEFT,
                    x2=_WIDTH - _RIGHT,
                    y1=axes.y(tick),
                    y2=axes.y(tick),
                ),
                element("text", str(tick), class_="axis tick", x=_LEFT - 6, y=axes.y(tick) + 4),
            )
            for tick in axes.ticks()
        )
    )


def _curve(curve: Curve, axes: _Axes) -> Markup:
    parts = []
    if curve.low and any(low < high for low, high in zip(curve.low, curve.high, strict=True)):
        parts.append(element("path", class_="spread", d=_ribbon(curve, axes)))
    parts.append(element("path", class_="curve", d=_path(curve.values, axes)))
    parts += [
        element("text", "×", class_="lost", x=axes.x(place), y=axes.y(axes.low) - 2)
        for place, value in enumerate(curve.values)
        if value == -math.inf
    ]
    return element("g", *parts, class_=f"series {curve.style}")


def _path(values: Sequence[float], axes: _Axes) -> str:
    commands, pen = [], "M"
    for place, value in enumerate(values):
        if math.isfinite(value):
            commands.append(f"{pen}{axes.x(place):g} {axes.y(value):g}")
            pen = "L"
        else:
            pen = "M"
    return "".join(commands) or "M0 0"


def _ribbon(curve: Curve, axes: _Axes) -> str:
    known = [
        place
        for place, (low, high) in enumerate(zip(curve.low, curve.high, strict=True))
        if math.isfinite(low) and math.isfinite(high)
    ]
    there = [f"{axes.x(place):g} {axes.y(curve.high[place]):g}" for place in known]
    back = [f"{axes.x(place):g} {axes.y(curve.low[place]):g}" for place in reversed(known)]
    return f"M{'L'.join([*there, *back])}Z" if known else "M0 0"


def _labels(layers: Sequence[str], axes: _Axes) -> Markup:
    y = _HEIGHT - 8
    return joined(
        element("text", f"{layers[0]} (deepest)", class_="axis", x=_LEFT, y=y),
        element("text", f"{layers[-1]} (output)", class_="axis end", x=_WIDTH - _RIGHT, y=y),
    )
