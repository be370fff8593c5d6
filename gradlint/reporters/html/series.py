"""The curves of a model: signals along its trunk and over its layers, one series a condition."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gradlint.report import Finding, ModelSummary, Signals
from gradlint.reporters.numbers import typical
from gradlint.reporters.proof import offers


@dataclass(frozen=True, slots=True)
class Series:
    """One condition: its name, its CSS class, and its signals at all layers of the picture."""

    name: str
    style: str
    signals: Signals


@dataclass(frozen=True, slots=True)
class Curve:
    """Values along the trunk, from the deepest layer to the last; NaN where nothing is known."""

    name: str
    style: str
    values: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


def series_of(model: ModelSummary, findings: Sequence[Finding]) -> tuple[Series, ...]:
    """What was measured, what was predicted, and what was measured after each remedy that helps."""
    picture = model.picture
    if picture is None:
        return ()
    found = [Series("measured", "measured", picture.measured)]
    if picture.predicted:
        found.append(Series("predicted", "predicted", picture.predicted))
    remedies = {
        remedy.title: remedy.signals
        for finding in findings
        for remedy in offers(finding)
        if remedy.signals
    }
    found += [
        Series(f"after: {title}", f"remedy{index % 5}", signals)
        for index, (title, signals) in enumerate(remedies.items())
    ]
    return tuple(found)


def gradient_curves(model: ModelSummary, series: Sequence[Series]) -> tuple[Curve, ...]:
    """The gradient along the trunk: the median of all seeds with their spread, then the rest."""
    measured = [layer.measured or (math.nan,) for layer in model.trunk]
    predicted = [math.nan if p is None else p for p in (layer.predicted for layer in model.trunk)]
    curves = [
        Curve(
            "measured",
            "measured",
            tuple(map(typical, measured)),
            tuple(map(min, measured)),
            tuple(map(max, measured)),
        )
    ]
    if not all(map(math.isnan, predicted)):
        curves.append(Curve("predicted", "predicted", tuple(predicted)))
    remedied = (item for item in series if item.style.startswith("remedy"))
    return (*curves, *(_along(model, item, item.signals.decades) for item in remedied))


def activation_curves(model: ModelSummary, series: Sequence[Series]) -> tuple[Curve, ...]:
    """The size of the activations along the trunk, of one seed."""
    return tuple(_along(model, item, item.signals.activations) for item in series)


def _along(model: ModelSummary, item: Series, values: tuple[float, ...]) -> Curve:
    return Curve(item.name, item.style, tuple(values[place] for place in _places(model)))


def _places(model: ModelSummary) -> Iterator[int]:
    """The places of the trunk's layers in the picture.

    Raises:
        KeyError: a layer of the trunk is not pictured.
    """
    layers = model.picture.layers if model.picture else ()
    places = {layer.id: place for place, layer in enumerate(layers)}
    yield from (places[layer.layer] for layer in model.trunk)
