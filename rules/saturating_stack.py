"""The rule `saturating-stack`: sigmoid-like activations in a row, without norms or too many."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from gradlint.rule import (
    AddSkip,
    Family,
    GraphRule,
    Hypothesis,
    Initialise,
    Layer,
    LayerGraph,
    Normalise,
    Remedy,
    ReplaceActivation,
    Role,
    fitting_norm,
    gates,
    is_saturating,
    name_of,
    names,
    repeats,
    role_of,
    site,
    skip_pairs,
    trunk_claim,
)

_SHORTEST = (
    3  # a default sigmoid layer costs .86 decades: three are the first that an SGD bound can see
)
_DEEP = 10  # with a norm in front of each, a sigmoid costs .4 decades: ten are beyond any bound
_CENTRED = frozenset(
    {"tanh", "hardtanh", "softsign"}
)  # φ(0) = 0 and φ'(0) = 1: critical at σ_w² = 1


class SaturatingStack(GraphRule):
    """A chain of saturating activations with no normalisation between them, or one too deep for it.

    Why it is bad:
        Sigmoid, tanh and their relatives are flat on both sides, and sigmoid is never steeper than
        1/4. Each layer multiplies the gradient by the slope, so the gradient shrinks by a constant
        factor a layer: with PyTorch's default initialisation by .86 decades for sigmoid and .25 for
        tanh. The first layers then learn too slowly to matter. A norm in front of each sigmoid
        leaves .4 decades a layer, which are too many for deep stacks.

    How it is measured:
        The gradient at the deepest layer of the trunk over the gradient at the output, in decades,
        for several seeds. Whether a decay is too strong depends on the optimizer: with SGD 95 % of
        the networks beyond 2.5 decades failed to learn, with Adam the bound is 4.

    What to do:
        Replace the activation by ReLU with He initialisation and BatchNorm, or put a norm in front
        of each activation, or add skips. Tanh also carries a gradient far if its weights are
        initialised at criticality (weight variance 1/fan_in, biases 0). Sigmoid has no
        initialisation that helps.

    Known limitations:
        Only activations on the trunk count, that is, on every path from the deepest weight to the
        loss. Gates, recurrent steps and the activation of the output are left out.
    """

    family = Family.ACTIVATION
    references = (
        "https://proceedings.mlr.press/v9/glorot10a.html",
        "https://arxiv.org/abs/1611.01232",
        "https://arxiv.org/abs/1502.03167",
    )

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for each run of three or more hidden saturating activations.

        With norms between them, it takes ten, and another activation must be a cure.
        """
        for activations, weighted in _runs(graph):
            if len(activations) >= _SHORTEST:
                why = "with no normalisation between them"
                remedies = tuple(_remedies(graph, activations, weighted))
                yield _hypothesis(graph, activations, weighted, why, remedies)
        for activations, weighted in _runs(graph, norms=True):
            if len(activations) >= _DEEP:
                why = "flatter than the norms between them make up for"
                remedies = (_replacement(activations, weighted),)
                found = _hypothesis(graph, activations, weighted, why, remedies)
                yield replace(found, only_if_cured=True)

    examples = (
        """
import torch
from torch import nn

class DeepClassifier(nn.Module):
    def __init__(self, inputs=32, hidden=64, classes=10, depth=8):
        super().__init__()
        layers = [nn.Linear(inputs, hidden)]
        for _ in range(depth):
            layers += [nn.Sigmoid(), nn.Linear(hidden, hidden)]  # confirmed
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(hidden, classes)

    def forward(self, x):  # x: (batch, 32)
        return self.head(self.body(x))

def demo():
    model = DeepClassifier()
    return model(torch.randn(16, 32))
""",
        """
import torch
from torch import nn
from torch.nn import functional as F

class HardVariants(nn.Module):
    def __init__(self, inputs=32, hidden=64, classes=10):
        super().__init__()
        self.one = nn.Linear(inputs, hidden)
        self.two = nn.Linear(hidden, hidden)
        self.three = nn.Linear(hidden, hidden)
        self.four = nn.Linear(hidden, hidden)
        self.five = nn.Linear(hidden, hidden)
        self.hard = nn.Hardsigmoid()
        self.head = nn.Linear(hidden, classes)

    def forward(self, x):  # x: (batch, 32)
        x = F.softsign(self.one(x))  # confirmed
        x = self.hard(self.two(x))
        x = F.hardtanh(self.three(x))
        x = F.hardsigmoid(self.four(x))
        x = F.softsign(self.five(x))
        return self.head(x)

def demo():
    return HardVariants()(torch.randn(16, 32))
""",
        """
import torch
from torch import nn

class DeepTanh(nn.Module):
    def __init__(self, width=64, depth=20):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.out = nn.Linear(width, 1)

    def forward(self, x):  # x: (batch, 64)
        for layer in self.layers:
            x = torch.tanh(layer(x))  # confirmed
        return self.out(x)

def demo():
    return DeepTanh()(torch.randn(16, 64))
""",
        """
import torch
from torch import nn

class SmallRegressor(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(8, width),
            nn.Tanh(),  # refuted
            nn.Linear(width, width),
            nn.Tanh(),
            nn.Linear(width, width),
            nn.Tanh(),
            nn.Linear(width, 1),
        )

    def forward(self, x):  # x: (batch, 8)
        return self.net(x)

def demo():
    return SmallRegressor()(torch.randn(16, 8))
""",
        """
import torch
from torch import nn

class NormalisedSigmoids(nn.Module):
    def __init__(self, width=48, depth=8):
        super().__init__()
        layers = []
        for _ in range(depth):
            layers += [nn.Linear(width, width), nn.Sigmoid(), nn.BatchNorm1d(width)]
        self.body = nn.Sequential(*layers, nn.Linear(width, 5))

    def forward(self, x):  # x: (batch, 48)
        return self.body(x)

def demo():
    return NormalisedSigmoids()(torch.randn(16, 48))
""",
        """
import torch
from torch import nn

class ManyNormalisedSigmoids(nn.Module):
    def __init__(self, width=32, depth=24):
        super().__init__()
        layers = [nn.Linear(width, width), nn.LayerNorm(width), nn.Sigmoid()]  # confirmed
        for _ in range(depth):
            layers += [nn.Linear(width, width), nn.LayerNorm(width), nn.Sigmoid()]
        self.body = nn.Sequential(*layers, nn.Linear(width, 5))

    def forward(self, x):  # x: (batch, 32)
        return self.body(x)

def demo():
    return ManyNormalisedSigmoids()(torch.randn(16, 32))
""",
        """
import torch
from torch import nn

class Squeeze(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.gate = nn.Sequential(
            nn.Linear(channels, 4), nn.ReLU(), nn.Linear(4, channels), nn.Sigmoid()
        )

    def forward(self, x):  # x: (batch, channels, height, width)
        x = torch.relu(self.conv(x))
        return x * self.gate(x.mean((2, 3)))[:, :, None, None]

class GatedImages(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(nn.Conv2d(3, 16, 3), *[Squeeze(16) for _ in range(4)])
        self.head = nn.Linear(16, 2)

    def forward(self, images):
        return torch.sigmoid(self.head(self.blocks(images).mean((2, 3))))

def demo():
    return GatedImages()(torch.randn(8, 3, 12, 12))
""",
        """
import torch
from torch import nn

class Generator(nn.Module):
    def __init__(self, latent=32):
        super().__init__()
        self.net = nn.Sequential(
            nn.ConvTranspose2d(latent, 32, 4),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 16, 4, 2, 1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.ConvTranspose2d(16, 3, 4, 2, 1),
            nn.Tanh(),
        )

    def forward(self, noise):  # noise: (batch, latent, 1, 1)
        return self.net(noise)

class Actor(nn.Module):
    def __init__(self, observations=17, actions=6, limit=2.0):
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Linear(observations, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU()
        )
        self.out = nn.Linear(64, actions)
        self.limit = limit

    def forward(self, state):
        return self.limit * torch.tanh(self.out(self.hidden(state)))

def demo():
    return Generator()(torch.randn(8, 32, 1, 1)), Actor()(torch.randn(8, 17))
""",
        """
import torch
from torch import nn

class ElmanByHand(nn.Module):
    def __init__(self, inputs=12, hidden=32):
        super().__init__()
        self.inputs = nn.Linear(inputs, hidden)
        self.hidden = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, 2)

    def forward(self, x):  # x: (batch, time, inputs)
        h = torch.zeros(x.shape[0], 32)
        for t in range(x.shape[1]):
            h = torch.tanh(self.inputs(x[:, t]) + self.hidden(h))
        return self.out(h)

def demo():
    return ElmanByHand()(torch.randn(8, 9, 12))
""",
    )


def _hypothesis(
    graph: LayerGraph,
    activations: list[Layer],
    weighted: list[Layer],
    why: str,
    remedies: tuple[Remedy, ...],
) -> Hypothesis:
    kinds = sorted({name_of(layer) for layer in activations})
    kind = kinds[0] if len(kinds) == 1 else f"saturating ({', '.join(kinds)})"
    return Hypothesis(
        span=site(activations),
        layer=activations[0].id,
        message=f"{len(activations)} {kind} layers in a row {why} ({names(activations)})",
        claims=(trunk_claim(graph),),
        region=tuple(layer.id for layer in (*weighted, *activations)),
        remedies=remedies,
        definite=any(name_of(layer) not in _CENTRED for layer in activations),
    )


def _runs(graph: LayerGraph, *, norms: bool = False) -> Iterator[tuple[list[Layer], list[Layer]]]:
    """Saturating hidden activations in a row on the trunk, with the weights that feed them.

    Other activations end a row, and so do norms; with `norms`, those rows that contain some.
    """
    with_weight = {layer.id for layer in graph.weighted_trunk}
    activations: list[Layer] = []
    weighted: list[Layer] = []
    pending: list[Layer] = []
    normed = False
    for layer in _hidden_trunk(graph):
        if role_of(layer) is Role.NORM and norms:
            normed = True
        elif layer.id in with_weight and role_of(layer) is not Role.NORM:
            pending.append(layer)
        elif is_saturating(layer) and not _is_step(graph, layer, pending):
            weighted += pending if activations else pending[-1:]
            activations.append(layer)
            pending = []
        elif role_of(layer) in (Role.NORM, Role.ACTIVATION):
            if normed == norms:
                yield activations, weighted
            activations, weighted, pending, normed = [], [], [], False
    if normed == norms:
        yield activations, weighted


def _hidden_trunk(graph: LayerGraph) -> tuple[Layer, ...]:
    """The trunk up to its last weighted layer, because what follows is the output's business."""
    if not graph.weighted_trunk:
        return ()
    return graph.trunk[: graph.trunk.index(graph.weighted_trunk[-1])]


def _is_step(graph: LayerGraph, activation: Layer, feeding: list[Layer]) -> bool:
    """Whether the activation is a gate or one step of a recurrence."""
    return gates(graph, activation) or any(repeats(graph, layer) for layer in feeding)


def _replacement(activations: list[Layer], weighted: list[Layer]) -> Remedy:
    """Another activation behind the norms that are there, which keep its scale."""
    kind = " and ".join(sorted({name_of(layer) for layer in activations}))
    return Remedy(
        f"replace {kind} by ReLU, with He initialisation",
        (
            ReplaceActivation(tuple(layer.id for layer in activations), "relu"),
            Initialise(tuple(layer.id for layer in weighted), math.sqrt(2)),
        ),
    )


def _remedies(
    graph: LayerGraph, activations: list[Layer], weighted: list[Layer]
) -> Iterator[Remedy]:
    if not weighted:
        return
    ids = tuple(layer.id for layer in weighted)
    norm = fitting_norm(weighted[-1])
    called = {"batch": "BatchNorm", "layer": "LayerNorm"}[norm]
    kind = " and ".join(sorted({name_of(layer) for layer in activations}))
    instead = ReplaceActivation(tuple(layer.id for layer in activations), "relu")
    yield Remedy(
        f"replace {kind} by ReLU, with He initialisation and {called}",
        (instead, Initialise(ids, math.sqrt(2)), Normalise(ids, norm)),
    )
    yield Remedy(f"put {called} in front of each {kind}", (Normalise(ids, norm),))
    if all(name_of(layer) in _CENTRED for layer in activations):
        yield Remedy(
            "initialise at criticality: weights with variance 1/fan_in, biases 0",
            (Initialise(ids, 1.0),),
        )
    pairs = tuple(skip_pairs(graph, weighted))
    if pairs:
        yield Remedy(
            f"add a skip around each layer and put {called} in front of each {kind}",
            (Normalise(ids, norm), AddSkip(pairs)),
        )
