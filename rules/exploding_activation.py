"""The rule `exploding-activation`: exponentials and powers between the layers of a network."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gradlint.rule import (
    Family,
    GraphRule,
    Hypothesis,
    Initialise,
    Layer,
    LayerGraph,
    Normalise,
    Remedy,
    ReplaceActivation,
    fitting_norm,
    gates,
    name_of,
    names,
    repeats,
    site,
    trunk_claim,
)

_SHORTEST = 2  # one exponential of a small signal does no harm, the exponential of another does
_POWERS = frozenset({"pow", "square"})


class ExplodingActivation(GraphRule):
    """Hidden activations that grow faster than their input, one behind the other.

    Why it is bad:
        An exponential, a square or a cube answers a large input with a much larger one, and its
        slope grows with it. Two or three in a row turn an input of 3 into a number that no float
        holds: the loss is infinite or NaN in the first step. Where it is not, the gradient is
        thousands of times larger below than above, and no learning rate suits both ends.

    How it is measured:
        The gradient at the deepest layer of the trunk over the gradient at the output, in decades,
        for several seeds; a gradient that is not finite counts as infinitely large. Beyond 2.5
        decades 95 % of the networks failed to learn with SGD; with Adam the bound is 3.

    What to do:
        Replace the activation by ReLU, GELU or softplus, which grow no faster than their input, and
        initialise after He. Where only positive numbers are wanted, softplus gives them.

    Known limitations:
        Only `exp`, `square` and powers of two or more are known, and only two or more of them on
        the trunk, that is, on every path from the deepest weight to the loss. A product of a signal
        with itself is not recognised. Exponentials that scale another signal, as in normalising
        flows, are left alone.
    """

    family = Family.ACTIVATION
    references = (
        "https://arxiv.org/abs/2112.04036",
        "https://proceedings.mlr.press/v9/glorot10a.html",
    )

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion of all growing activations between the weights of the trunk."""
        growing = [layer for layer in _hidden(graph) if _grows(layer) and not gates(graph, layer)]
        if len(growing) < _SHORTEST:
            return
        weighted = [layer for layer in graph.weighted_trunk[:-1] if not repeats(graph, layer)]
        kinds = " and ".join(sorted({name_of(layer) for layer in growing}))
        yield Hypothesis(
            span=site(growing),
            layer=growing[0].id,
            message=f"{len(growing)} hidden layers of {kinds} explode ({names(growing)})",
            claims=(trunk_claim(graph),),
            region=tuple(layer.id for layer in (*weighted, *growing)),
            remedies=tuple(_remedies(kinds, growing, weighted)),
            definite=True,
        )

    examples = (
        """
import torch
from torch import nn

class Exponential(nn.Module):
    def forward(self, x):
        return torch.exp(x)  # confirmed

class ExponentialNet(nn.Module):
    def __init__(self, inputs=8, hidden=32, classes=3):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(inputs, hidden), Exponential(),
            nn.Linear(hidden, hidden), Exponential(),
            nn.Linear(hidden, hidden), Exponential(),
            nn.Linear(hidden, hidden), Exponential(),
            nn.Linear(hidden, classes),
        )
        for layer in self.net:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")

    def forward(self, x):  # x: (batch, 8)
        return self.net(x)

def demo():
    return ExponentialNet()(torch.randn(32, 8))
""",
        """
import torch
from torch import nn

class PolynomialNet(nn.Module):
    def __init__(self, inputs=6, width=64, depth=5):
        super().__init__()
        self.stem = nn.Linear(inputs, width)
        self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.out = nn.Linear(width, 1)
        for layer in self.layers:
            nn.init.normal_(layer.weight, std=0.2)

    def forward(self, x):  # x: (batch, 6)
        x = self.stem(x)
        for layer in self.layers:
            x = layer(x) ** 2  # confirmed
        return self.out(x)

def demo():
    return PolynomialNet()(torch.randn(32, 6))
""",
        """
import torch
from torch import nn

class GentlePowers(nn.Module):
    def __init__(self, inputs=6, width=32):
        super().__init__()
        self.one = nn.Linear(inputs, width)
        self.two = nn.Linear(width, width)
        self.out = nn.Linear(width, 1)

    def forward(self, x):  # x: (batch, 6)
        x = torch.square(self.one(x))  # refuted
        x = torch.exp(self.two(x))
        return self.out(x)

def demo():
    return GentlePowers()(torch.randn(32, 6))
""",
        """
import torch
from torch import nn

class Coupling(nn.Module):
    def __init__(self, width=8, depth=4):
        super().__init__()
        self.scales = nn.ModuleList([nn.Linear(width // 2, width // 2) for _ in range(depth)])
        self.out = nn.Linear(width, width)

    def forward(self, x):  # x: (batch, 8)
        a, b = x.chunk(2, 1)
        for scale in self.scales:
            a, b = b * torch.exp(torch.tanh(scale(a))), a
        return self.out(torch.cat([a, b], 1))

class RateHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, x):  # x: (batch, 5)
        return torch.exp(self.body(x))

def demo():
    return Coupling()(torch.randn(16, 8)), RateHead()(torch.randn(16, 5))
""",
    )


def _hidden(graph: LayerGraph) -> tuple[Layer, ...]:
    """The trunk up to its last weighted layer, because what follows is the output's business."""
    weighted = graph.weighted_trunk
    return graph.trunk[: graph.trunk.index(weighted[-1])] if weighted else ()


def _grows(layer: Layer) -> bool:
    if name_of(layer) in _POWERS:
        return layer.setting("argument1", 2) >= 2
    return name_of(layer) == "exp"


def _remedies(kinds: str, growing: list[Layer], weighted: list[Layer]) -> Iterator[Remedy]:
    ids = tuple(layer.id for layer in weighted)
    norm = fitting_norm(weighted[-1])
    called = {"batch": "BatchNorm", "layer": "LayerNorm"}[norm]
    replace = ReplaceActivation(tuple(layer.id for layer in growing), "relu")
    anew = Initialise(ids, math.sqrt(2))
    yield Remedy(
        f"replace {kinds} by ReLU, with He initialisation and {called}",
        (replace, anew, Normalise(ids, norm)),
    )
    yield Remedy(f"replace {kinds} by ReLU, with He initialisation", (replace, anew))
