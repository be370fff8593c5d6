"""The rule `dead-relu`: rectified units that are zero on every input."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from gradlint.rule import (
    Bound,
    Claim,
    Family,
    GraphRule,
    Hypothesis,
    Initialise,
    Layer,
    LayerGraph,
    Parameter,
    Quantity,
    Remedy,
    ReplaceActivation,
    Role,
    SetBias,
    Span,
    is_weighted,
    name_of,
    names,
    role_of,
    site,
)

_RECTIFIERS = frozenset({"relu", "relu6"})
_ON_THE_WAY = frozenset({Role.SHAPE, Role.DROPOUT, Role.POOL})
_BELOW = 0.25  # of the deviation that a signal of variance 1 would have: the probe decides
_ALIVE = Bound(at_most=0.75)  # a symmetric signal leaves at most half of the units off for ever
_ANY_ALIVE = Bound(at_most=0.99)


class DeadRelu(GraphRule):
    """Rectified units that start where no input ever switches them on.

    Why it is bad:
        A ReLU whose input is negative hands down a gradient of exactly zero. If that is so for
        every input, the weights in front of it never change: the unit is dead and no optimizer
        revives it. Units are born dead by a negative bias, which after many layers need not be
        large, or by weights with a negative mean, because what a ReLU gives is never negative. If
        all units of a layer are dead, nothing below it learns and the output is a constant.

    How it is measured:
        The share of a layer's units that are zero for every sample and position, for several seeds.
        A signal that is symmetric about zero leaves at most half of them off, even where samples
        look alike. Three quarters are a warning, a whole layer is an error, with any optimizer: a
        gradient of zero stays zero at any step size.

    What to do:
        Start biases at zero and draw weights with mean zero (`kaiming_normal_`). A leaky ReLU, GELU
        or SiLU has a gradient on both sides and cannot die; a norm in front of the ReLU brings its
        input back to zero, if the norm's own bias is not negative.

    Known limitations:
        Only layers are suspected whose bias or mean weight is negative at the start; units that die
        later in training, of a step that was too large, are not seen. Inputs are normally
        distributed unless the file makes its own. A layer of very few units may die by chance,
        differently for each seed: that is the business of narrow-and-deep.
    """

    family = Family.ACTIVATION
    references = (
        "https://arxiv.org/abs/1903.06733",
        "https://arxiv.org/abs/1502.01852",
        "https://proceedings.mlr.press/v15/glorot11a.html",
    )

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for each rectifier whose input leans to the negative side."""
        leaning = list(_leaning(graph))
        region = tuple(id for item in leaning for id in (item.source.id, item.rectifier.id))
        for item in reversed(leaning):  # because the signal, and with it the hope, shrinks upwards
            yield Hypothesis(
                span=item.span,
                layer=item.rectifier.id,
                message=f"units of {item.rectifier.id} start switched off: {item.why}",
                claims=(Claim(Quantity.DEAD_SHARE, item.rectifier.id, _ALIVE, error=_ANY_ALIVE),),
                region=region,
                remedies=tuple(_remedies(leaning)),
                definite=True,
            )

    examples = (
        """
import torch
from torch import nn

class NegativeBias(nn.Module):
    def __init__(self, inputs=16, hidden=64, classes=4):
        super().__init__()
        self.first = nn.Linear(inputs, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.head = nn.Linear(hidden, classes)
        nn.init.constant_(self.second.bias, -2.0)  # confirmed

    def forward(self, x):  # x: (batch, 16)
        x = torch.relu(self.first(x))
        x = torch.relu(self.second(x))
        return self.head(x)

def demo():
    return NegativeBias()(torch.randn(32, 16))
""",
        """
import torch
from torch import nn

class NegativeWeights(nn.Module):
    def __init__(self, channels=24, classes=10):
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3)
        self.body = nn.Conv2d(channels, channels, 3)
        self.head = nn.Linear(channels, classes)
        self.body.weight.data.uniform_(-0.2, 0.05)  # confirmed

    def forward(self, images):  # images: (batch, 3, 24, 24)
        x = nn.functional.relu(self.stem(images))
        x = nn.functional.relu(nn.functional.max_pool2d(self.body(x), 2))
        return self.head(x.mean((2, 3)))

def demo():
    return NegativeWeights()(torch.randn(8, 3, 24, 24))
""",
        """
import torch
from torch import nn

class ShiftedNorm(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(10, width), nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, 3)
        )
        nn.init.constant_(self.net[1].bias, -5.0)  # confirmed

    def forward(self, x):  # x: (batch, 10)
        return self.net(x)

def demo():
    return ShiftedNorm()(torch.randn(32, 10))
""",
        """
import torch
from torch import nn

class SparseByBias(nn.Module):
    def __init__(self, inputs=32, codes=128):
        super().__init__()
        self.encode = nn.Linear(inputs, codes)
        self.decode = nn.Linear(codes, inputs)
        nn.init.constant_(self.encode.bias, -0.3)  # refuted

    def forward(self, x):  # x: (batch, 32)
        return self.decode(torch.relu(self.encode(x)))

def demo():
    return SparseByBias()(torch.randn(64, 32))
""",
        """
import torch
from torch import nn

class LeakyAndPrior(nn.Module):
    def __init__(self, channels=16, anchors=9):
        super().__init__()
        self.tower = nn.Sequential(nn.Conv2d(3, channels, 3, padding=1), nn.LeakyReLU(0.1))
        self.score = nn.Conv2d(channels, anchors, 3, padding=1)
        nn.init.constant_(self.tower[0].bias, -3.0)
        nn.init.constant_(self.score.bias, -4.6)

    def forward(self, images):  # images: (batch, 3, 16, 16)
        return torch.sigmoid(self.score(self.tower(images)))

class Usual(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU6())
        self.head = nn.Linear(32, 2)

    def forward(self, x):  # x: (batch, 8)
        return self.head(self.net(x))

def demo():
    return LeakyAndPrior()(torch.randn(8, 3, 16, 16)), Usual()(torch.randn(8, 8))
""",
    )


@dataclass(frozen=True, slots=True)
class _Leaning:
    """A rectifier, the layer with the parameters that hold it down, and how they do it."""

    rectifier: Layer
    source: Layer
    guilty: Parameter
    why: str

    @property
    def span(self) -> Span:
        """The line that filled the guilty parameter, else that of the layer."""
        filled = self.guilty.initialisation
        chosen = filled.span if filled and filled.function != "default" else None
        return chosen or site([self.source, self.rectifier])


def _leaning(graph: LayerGraph) -> Iterator[_Leaning]:
    for rectifier in graph.layers:
        source = _source(graph, rectifier) if name_of(rectifier) in _RECTIFIERS else None
        found = _held_down(graph, source) if source else None
        if source and found:
            yield _Leaning(rectifier, source, *found)


def _source(graph: LayerGraph, rectifier: Layer) -> Layer | None:
    """The norm or weighted layer that alone feeds the rectifier."""
    layer = rectifier
    while len(before := graph.producers(layer)) == 1:
        layer = before[0]
        if is_weighted(layer) or role_of(layer) is Role.NORM:
            return layer
        if role_of(layer) not in _ON_THE_WAY:
            return None
    return None


def _held_down(graph: LayerGraph, source: Layer) -> tuple[Parameter, str] | None:
    """The parameter of `source` that keeps its output below zero, and why."""
    weight = graph.weight_of(source) or _named(graph, source, "weight")
    bias = _named(graph, source, "bias")
    if weight is None or weight.mean_square == 0:
        return None
    deviation = math.sqrt(weight.mean_square * max(weight.fan_in, 1))
    if bias and bias.mean < -_BELOW * deviation:
        return bias, f"their bias starts at {bias.mean:.3g}, where {deviation:.2g} is one deviation"
    if weight.fan_in and weight.mean * weight.fan_in < -deviation:
        return (
            weight,
            f"their weights have mean {weight.mean:.2g}, and what a ReLU gives is positive",
        )
    return None


def _named(graph: LayerGraph, layer: Layer, name: str) -> Parameter | None:
    own = graph.parameters_of(layer)
    return next((p for p in own if len(p.shape) == 1 and p.id.rpartition(".")[2] == name), None)


def _remedies(leaning: list[_Leaning]) -> Iterator[Remedy]:
    weights = tuple(i.source.id for i in leaning if len(i.guilty.shape) > 1)
    biases = tuple(i.source.id for i in leaning if i.source.id not in weights)
    if weights:
        anew = Initialise(weights, math.sqrt(2))
        yield Remedy("draw the weights with mean 0 and variance 2/fan_in, biases 0", (anew,))
    if biases:
        yield Remedy("start the bias at 0", (SetBias(biases, 0.0),))
    rectifiers = tuple(item.rectifier.id for item in leaning)
    leaky = ReplaceActivation(rectifiers, "leaky_relu")
    yield Remedy(f"replace ReLU by leaky ReLU ({names([i.rectifier for i in leaning])})", (leaky,))
