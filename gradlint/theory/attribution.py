"""Which cause takes how many decades of the gradient on its way down the trunk."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from gradlint.graph import LayerGraph
from gradlint.nodes import Layer
from gradlint.operations import Role, role_of
from gradlint.theory.dense import weight_square
from gradlint.theory.prediction import Prediction


class Cause(str, Enum):
    """Why a gradient changes."""

    ACTIVATION = "activation derivative"
    WEIGHTS = "weight scale"
    MISSING_NORM = "missing norm"
    RECURRENCE = "recurrence"
    NORM = "normalisation"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Attribution:
    """Decades by cause and by trunk layer, both of which add up to `total`; negative where lost."""

    total: float
    causes: Mapping[Cause, float]
    layers: Mapping[str, tuple[Cause, float]]

    @property
    def main(self) -> Cause | None:
        """The cause that moves the gradient most in the direction of the total, if one does."""
        sign = math.copysign(1.0, self.total)
        cause = max(self.causes, key=lambda one: sign * self.causes[one], default=None)
        return cause if cause is not None and sign * self.causes[cause] > 0.0 else None


_USUAL_SCALE = (0.3, 2.1)  # because fan_in E w^2 is 1/3 by default, 1 by Xavier, 2 by He


def explain(graph: LayerGraph, prediction: Prediction) -> Attribution:
    """Split the predicted decades at the first trunk layer over the layers between it and the loss.

    What is lost between the outputs of two neighbours on the trunk is lost in the later one: in its
    activation, in its weights, in its recurrence. Weights of a usual scale are not to blame for
    what they lose: there a norm is missing that would restore it (Ioffe & Szegedy 2015).
    """
    trunk = [layer for layer in graph.trunk if math.isfinite(prediction.decades(layer.id))]
    layers: dict[str, tuple[Cause, float]] = {}
    for before, after in pairwise(trunk):
        change = prediction.decades(before.id) - prediction.decades(after.id)
        layers[after.id] = (_cause(graph, after), change)
    if trunk:
        cause, change = layers.get(trunk[-1].id, (Cause.OTHER, 0.0))
        layers[trunk[-1].id] = (cause, change + prediction.decades(trunk[-1].id))
    causes: dict[Cause, float] = {}
    for cause, change in layers.values():
        causes[cause] = causes.get(cause, 0.0) + change
    return Attribution(sum(causes.values()), causes, layers)


def _cause(graph: LayerGraph, layer: Layer) -> Cause:
    match role_of(layer):
        case Role.ACTIVATION | Role.SOFTMAX:
            return Cause.ACTIVATION
        case Role.RECURRENT | Role.CELL:
            return Cause.RECURRENCE
        case Role.NORM:
            return Cause.NORM
        case Role.DENSE | Role.CONVOLUTION:
            return _weight_cause(graph, layer)
        case _:
            return Cause.OTHER


def _weight_cause(graph: LayerGraph, layer: Layer) -> Cause:
    weight = graph.weight_of(layer)
    if weight is None:
        return Cause.OTHER
    low, high = _USUAL_SCALE
    usual = low <= weight.fan_in * weight_square(weight) <= high
    return Cause.MISSING_NORM if usual else Cause.WEIGHTS
