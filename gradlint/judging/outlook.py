"""What the theory says of one model: beside each measurement, or where nothing can be measured."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

from gradlint.layers.graph import LayerGraph
from gradlint.protocol.claim import Claim
from gradlint.protocol.quantity import Quantity
from gradlint.report import TrunkLayer
from gradlint.theory import Attribution, Prediction, explain, predict

CONFIDENT = 0.95
"""The share of known operations from which a prediction is shown beside the measurement."""
_LARGEST = 38.5
"""Decades up to the largest number of single precision."""


@dataclass(frozen=True)
class Outlook:
    """The prediction for a layer graph, kept to itself where too little of the graph is known."""

    graph: LayerGraph

    @cached_property
    def prediction(self) -> Prediction | None:
        """What is predicted, None where too many operations or any weights are unknown."""
        if any(math.isnan(parameter.mean_square) for parameter in self.graph.parameters):
            return None
        found = predict(self.graph)
        return found if found.confidence >= CONFIDENT else None

    def of(self, claim: Claim) -> float | None:
        """The value of a claim, None where the theory does not predict it."""
        signal = self.prediction.signals.get(claim.of) if self.prediction is not None else None
        if signal is None:
            return None
        if claim.quantity is Quantity.GRADIENT_DECADES:
            return _known(signal.decades)
        if claim.quantity is Quantity.RECURRENT_DECAY and signal.decay and claim.steps:
            return _rounded(signal.decay * claim.steps)
        return None

    def causes(self, region: Collection[str]) -> Attribution | None:
        """The decades that are lost over a region of the trunk, by cause."""
        return explain(self.graph, self.prediction, region) if self.prediction else None

    def trunk(self, measured: Mapping[str, tuple[float, ...]]) -> tuple[TrunkLayer, ...]:
        """The layers of the trunk, what was measured there beside what is predicted."""
        return tuple(
            TrunkLayer(
                layer.id,
                layer.op,
                layer.span.line if layer.span else 0,
                measured.get(layer.id, ()),
                _known(self.prediction.decades(layer.id)) if self.prediction else None,
            )
            for layer in self.graph.trunk
        )


def _known(decades: float) -> float | None:
    """None where weights that start at zero let nothing through, or more than a float can hold.

    Because the first step of the optimizer moves the former, and what arrives then is measured, but
    not foretold; and every prediction beyond the latter has so far been the theory's own mistake.
    """
    return None if decades == -math.inf or decades > _LARGEST else _rounded(decades)


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
