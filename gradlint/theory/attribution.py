"""Which cause takes how many decades of the gradient on its way down the trunk."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from gradlint.layers.graph import LayerGraph
from gradlint.layers.operations import Role, is_weighted, role_of
from gradlint.layers.scales import HiddenWeight
from gradlint.protocol.nodes import Layer
from gradlint.theory.dense import weight_square
from gradlint.theory.prediction import Prediction


class Cause(str, Enum):
    """Why a gradient changes."""

    ACTIVATION = "activation derivative"
    WEIGHTS = "weight scale"
    MISSING_NORM = "missing norm"
    WIDTH = "width"
    RECURRENCE = "recurrence"
    NORM = "normalisation"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Attribution:
    """Decades by cause, which add up to `total`; negative where they are lost on the way down."""

    total: float
    causes: Mapping[Cause, float]

    @property
    def main(self) -> Cause | None:
        """The cause that moves the gradient most in the direction of the total, if one does."""
        cause = max(self.causes, key=lambda one: self.share({one}), default=None)
        return cause if cause is not None and self.share({cause}) > 0.0 else None

    def share(self, causes: Collection[Cause]) -> float:
        """Decades that some causes move in the direction of the total, never negative."""
        moved = sum(decades for cause, decades in self.causes.items() if cause in causes)
        return max(math.copysign(moved, moved * self.total), 0.0)


_ATTAINABLE = 4.0  # the largest critical variance that a scheme gives; sigmoids need above 100
_LARGEST_USUAL = 3.0  # of fan_in E w^2 in branches; He's is 2 and SiLU's critical one 2.6
_LEAST = 1e-280
_CLOSE = 1.5  # the factor from the critical variance up to which weights are not to blame


def explain(graph: LayerGraph, prediction: Prediction, region: Collection[str] = ()) -> Attribution:
    """Split the predicted decades over the trunk, or the part of it that a region spans, by cause.

    What is lost between the outputs of two neighbours on the trunk is lost in the later one. Where
    a critical scale exists for the activation behind a weight, the weight answers for what it
    lacks to make up for that activation's usual slope (He 2015), and the activation for the rest.
    Weights close to their critical scale are not to blame: there a norm is missing that would hold
    the signal where they are critical (Ioffe & Szegedy 2015). Those in front of a norm count with
    it, because it undoes their scale. What a typical draw of narrow layers
    loses against the mean over draws is the width's (Hanin & Nica 2020). Where branches are summed,
    the weights inside them answer for what they pass on.
    """
    causes: dict[Cause, float] = {}
    for cause, change in _changes(graph, prediction, region):
        causes[cause] = causes.get(cause, 0.0) + change
    return Attribution(sum(causes.values()), causes)


def _changes(
    graph: LayerGraph, prediction: Prediction, region: Collection[str]
) -> Iterator[tuple[Cause, float]]:
    signals = prediction.signals
    trunk = [layer for layer in graph.trunk if math.isfinite(signals[layer.id].decades)]
    inside = [place for place, layer in enumerate(trunk) if layer.id in region]
    first, last = (min(inside, default=0), max(inside, default=-1)) if region else (0, len(trunk))
    weighted = {layer.id for layer in graph.weighted_trunk}
    owed = 0.0  # what the last weight should have made up for
    for place, (before, after) in enumerate(pairwise(trunk)):
        if after.id in weighted:
            owed = 0.5 * math.log10(_reference(graph, after))
        if not first <= place < last:
            continue
        above, below = signals[after.id], signals[before.id]
        width = below.width - above.width
        change = below.decades - above.decades - width
        yield Cause.WIDTH, width
        if after.id in weighted:
            yield _weight_cause(graph, after), change - owed
        elif role_of(after) is Role.ACTIVATION:
            yield Cause.ACTIVATION, change + owed
            owed = 0.0
        elif graph.joins(after):
            yield _joint_cause(graph, before, after, change), change
        else:
            yield _OTHERS.get(role_of(after), Cause.OTHER), change


_OTHERS = {
    Role.SOFTMAX: Cause.ACTIVATION,
    Role.RECURRENT: Cause.RECURRENCE,
    Role.CELL: Cause.RECURRENCE,
    Role.NORM: Cause.NORM,
}


def _reference(graph: LayerGraph, layer: Layer) -> float:
    """The variance fan_in E w^2 that suits what follows a weight, 1 where nothing can be asked."""
    weight = graph.weight_of(layer)
    critical = HiddenWeight(layer, weight, graph).critical if weight is not None else 1.0
    return critical if critical <= _ATTAINABLE else 1.0


def _joint_cause(graph: LayerGraph, before: Layer, after: Layer, change: float) -> Cause:
    """The cause inside the branches that end at a sum: a norm, weights out of scale, or no norm."""
    inside = graph.between(before, after)
    weights = [w for layer in inside if is_weighted(layer) and (w := graph.weight_of(layer))]
    if not weights:
        return Cause.OTHER
    if any(role_of(layer) is Role.NORM for layer in inside):
        return Cause.NORM
    scale = sum(math.log(max(_LEAST, w.fan_in * weight_square(w))) for w in weights) / len(weights)
    beyond = scale > math.log(_LARGEST_USUAL) if change > 0.0 else scale < -math.log(_CLOSE)
    return Cause.WEIGHTS if beyond else Cause.MISSING_NORM


def _weight_cause(graph: LayerGraph, layer: Layer) -> Cause:
    weight = graph.weight_of(layer)
    if weight is None:
        return Cause.OTHER
    if any(role_of(behind) is Role.NORM for behind in graph.behind(layer)):
        return Cause.NORM
    ratio = weight.fan_in * weight_square(weight) / _reference(graph, layer)
    return Cause.MISSING_NORM if 1.0 / _CLOSE <= ratio <= _CLOSE else Cause.WEIGHTS
