"""The rule `narrow-and-deep`: so many narrow layers that the seed decides what is learnt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gradlint.rule import (
    Bound,
    Claim,
    Family,
    GraphRule,
    Hypothesis,
    Layer,
    LayerGraph,
    Normalise,
    Quantity,
    Remedy,
    Role,
    fitting_norm,
    names,
    repeats,
    role_of,
    site,
)

_BUDGET = 1.0
# Networks with ReLU and He initialisation on ten classes, six seeds: .10 decades of deviation (64
# wide, 10 deep) reached .98 to .99, .35 (16 wide, 16 deep) .53 to .79, .71 (8 wide, 16 deep) .23 to
# .48, 2.8 (6 wide, 20 deep) .09 to .34.
_STEADY, _LOTTERY = Bound(at_most=0.5), Bound(at_most=0.8)


class NarrowAndDeep(GraphRule):
    """A plain network whose widths are too small for its depth, so that luck decides.

    Why it is bad:
        A layer of n units multiplies the squared gradient by a random factor whose relative
        variance is about 5/n with ReLU. The factors of a plain network multiply: their logarithm
        wanders by √(5 Σ 1/n), and no scale of the weights can stop it, because a scale only moves
        the mean. Where the sum of the reciprocal widths nears one, one seed starts with a useful
        gradient, and the next without.

    How it is measured:
        The standard deviation, over eight initialisations, of the gradient at the deepest layer
        relative to the gradient at the output, in decades, and that for several seeds. The verdict
        is about the deviation, because the gradient of a single draw says little.

    What to do:
        Make the layers wider or fewer: the sum of 1/width should stay well below one. Norms and
        skips also end the wandering.

    Known limitations:
        Only plain runs without norms and joins are suspected, and a convolution counts with its
        channels, although its positions average some of the luck away; the measurement sees that.
    """

    family = Family.TOPOLOGY
    references = ("https://arxiv.org/abs/1801.03744", "https://arxiv.org/abs/1803.01719")

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for each plain run whose reciprocal widths sum to one or more."""
        for run in _runs(graph):
            if sum(1 / _width(layer) for layer in run) >= _BUDGET:
                yield _hypothesis(graph, run)

    examples = (
        """
import torch
from torch import nn

class Needle(nn.Module):
    def __init__(self, inputs=8, width=6, depth=18):
        super().__init__()
        self.layers = nn.ModuleList()
        for index in range(depth):
            layer = nn.Linear(width if index else inputs, width)  # confirmed
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
            self.layers.append(layer)
        self.head = nn.Linear(width, 3)

    def forward(self, x):  # x: (batch, 8)
        for layer in self.layers:
            x = torch.nn.functional.leaky_relu(layer(x), 0.1)
        return self.head(x)

def demo():
    return Needle()(torch.randn(32, 8))
""",
        """
import torch
from torch import nn

class Orthogonal(nn.Module):
    def __init__(self, inputs=8, width=8, depth=12):
        super().__init__()
        self.layers = nn.ModuleList()
        for index in range(depth):
            layer = nn.Linear(width if index else inputs, width)  # refuted
            nn.init.orthogonal_(layer.weight)
            nn.init.zeros_(layer.bias)
            self.layers.append(layer)
        self.head = nn.Linear(width, 3)

    def forward(self, x):  # x: (batch, 8)
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.head(x)

def demo():
    return Orthogonal()(torch.randn(32, 8))
""",
        """
import torch
from torch import nn

class Wide(nn.Module):
    def __init__(self, inputs=8, width=64, depth=18):
        super().__init__()
        layers = []
        for index in range(depth):
            layers += [nn.Linear(width if index else inputs, width), nn.ReLU()]
        self.net = nn.Sequential(*layers, nn.Linear(width, 3))

    def forward(self, x):  # x: (batch, 8)
        return self.net(x)

def demo():
    return Wide()(torch.randn(32, 8))
""",
    )


def _runs(graph: LayerGraph) -> Iterator[list[Layer]]:
    """The hidden weights of the trunk between joins and norms."""
    weighted = {layer.id for layer in graph.weighted_trunk[:-1]}
    run: list[Layer] = []
    for layer in graph.trunk:
        if graph.joins(layer) or role_of(layer) is Role.NORM:
            yield run
            run = []
        elif layer.id in weighted and not repeats(graph, layer):
            run.append(layer)
    yield run


def _width(layer: Layer) -> int:
    """Channels of images, features of anything else; at least 1, for an empty output has none."""
    return max(layer.shape[1] if role_of(layer) is Role.CONVOLUTION else layer.shape[-1], 1)


def _hypothesis(graph: LayerGraph, run: Sequence[Layer]) -> Hypothesis:
    total = sum(1 / _width(layer) for layer in run)
    norm = fitting_norm(run[0])
    called = {"batch": "BatchNorm", "layer": "LayerNorm"}[norm]
    return Hypothesis(
        span=site(run),
        layer=run[0].id,
        message=(
            f"{len(run)} narrow layers in a row ({names(run)}): their reciprocal widths sum to "
            f"{total:.2g}, and the gradient depends on the seed"
        ),
        claims=(Claim(Quantity.GRADIENT_LOTTERY, run[0].id, _STEADY, error=_LOTTERY),),
        region=tuple(layer.id for layer in run),
        remedies=(
            Remedy(
                f"put {called} behind each layer",
                (Normalise(tuple(layer.id for layer in run), norm),),
            ),
        ),
        advice="make the layers wider or fewer",
    )
