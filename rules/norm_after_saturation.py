"""The rule `norm-after-saturation`: norms behind sigmoids and tanhs instead of in front of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gradlint.rule import (
    Bound,
    Claim,
    ExchangeWithNorm,
    Family,
    GraphRule,
    Hypothesis,
    Layer,
    LayerGraph,
    Quantity,
    Remedy,
    Role,
    gates,
    is_saturating,
    is_weighted,
    name_of,
    names,
    role_of,
    site,
)

# Chains of 6 and 12 layers with a BatchNorm behind each sigmoid, trained for 250 steps at four
# rates: with 4 % of flat units they learnt to .96, with 53 % to .91 and .40, with 84 % to .31; with
# the norm in front to .96 and more in every case.
_FLAT, _MOSTLY_FLAT = Bound(at_most=0.4), Bound(at_most=0.7)


class NormAfterSaturation(GraphRule):
    """A norm that follows a saturating activation, which it cannot keep from saturating.

    Why it is bad:
        Sigmoid and tanh pass a gradient only where their input is moderate. A norm in front of them
        sees to that, whatever the weights grow to. Behind them it comes too late: it centres and
        scales values that are flat already, and passes on a gradient that then dies in the units in
        front. Large weights, inputs or learning rates are enough.

    How it is measured:
        The share of the units whose slope is below a twentieth of the steepest, at the first and
        the last of these activations, for several seeds: at least two of five must be flat at both.
        A copy of the model with each norm in front of its activation must have fewer.

    What to do:
        Put the norm between the layer and its activation, in the order Linear, BatchNorm, sigmoid,
        and leave the bias of the Linear out, which the norm subtracts anyway.

    Known limitations:
        Small weights do not saturate, so a model that starts well is refuted, although training may
        drive its units there later. Inputs found by search have unit variance; yours may not.
    """

    family = Family.NORMALIZATION
    references = ("https://arxiv.org/abs/1502.03167",)

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion about all norms that directly follow a saturating activation."""
        pairs = [pair for layer in graph.layers if (pair := _pair(graph, layer))]
        if pairs:
            yield _hypothesis(pairs)

    examples = (
        """
import torch
from torch import nn

class Squashed(nn.Module):
    def __init__(self, inputs=20, width=64, depth=6):
        super().__init__()
        layers = []
        for index in range(depth):
            linear = nn.Linear(width if index else inputs, width)
            nn.init.normal_(linear.weight, std=1.0)
            layers += [linear, nn.Tanh(), nn.BatchNorm1d(width)]  # confirmed
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, 4)

    def forward(self, x):  # x: (batch, 20)
        return self.head(self.body(x))

def demo():
    return Squashed()(torch.randn(64, 20))
""",
        """
import torch
from torch import nn

class Gentle(nn.Module):
    def __init__(self, inputs=20, width=64):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(inputs, width), nn.Linear(width, width)
        self.bn1, self.bn2 = nn.BatchNorm1d(width), nn.BatchNorm1d(width)
        self.head = nn.Linear(width, 4)

    def forward(self, x):  # x: (batch, 20)
        x = self.bn1(torch.sigmoid(self.fc1(x)))  # refuted
        x = self.bn2(torch.sigmoid(self.fc2(x)))
        return self.head(x)

def demo():
    return Gentle()(torch.randn(64, 20))
""",
        """
import torch
from torch import nn

class InFront(nn.Module):
    def __init__(self, inputs=20, width=64, depth=6):
        super().__init__()
        layers = []
        for index in range(depth):
            linear = nn.Linear(width if index else inputs, width)
            nn.init.normal_(linear.weight, std=1.0)
            layers += [linear, nn.BatchNorm1d(width), nn.Tanh()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, 4)

    def forward(self, x):  # x: (batch, 20)
        return self.head(self.body(x))

def demo():
    return InFront()(torch.randn(64, 20))
""",
    )


def _pair(graph: LayerGraph, layer: Layer) -> tuple[Layer, Layer] | None:
    """A saturating activation behind a weight, and the norm that alone takes its output."""
    if not is_saturating(layer) or gates(graph, layer):
        return None
    before, after = graph.producers(layer), graph.consumers(layer)
    weighted = len(before) == 1 and is_weighted(before[0])
    return (layer, after[0]) if weighted and [role_of(a) for a in after] == [Role.NORM] else None


def _hypothesis(pairs: Sequence[tuple[Layer, Layer]]) -> Hypothesis:
    activations = [activation for activation, _ in pairs]
    ends = dict.fromkeys((activations[0].id, activations[-1].id))
    kinds = " and ".join(sorted({name_of(layer) for layer in activations}))
    return Hypothesis(
        span=site(activations),
        layer=activations[0].id,
        message=(
            f"a norm stands behind {kinds} instead of in front ({names(activations)}), and most "
            "units are flat"
        ),
        claims=tuple(Claim(Quantity.SATURATION, end, _FLAT, error=_MOSTLY_FLAT) for end in ends),
        region=tuple(layer.id for pair in pairs for layer in pair),
        remedies=(
            Remedy(
                "put each norm in front of its activation",
                (ExchangeWithNorm(tuple((a.id, norm.id) for a, norm in pairs)),),
            ),
        ),
        definite=True,
        only_if_cured=True,
    )
