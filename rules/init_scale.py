"""The rule `init-scale`: weights that start too small or too large."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gradlint.rule import (
    Bound,
    Claim,
    Family,
    GraphRule,
    HiddenWeight,
    Hypothesis,
    Initialise,
    LayerGraph,
    Normalise,
    OptimizerFamily,
    Quantity,
    Remedy,
    Role,
    Severity,
    at_critical_scale,
    fitting_norm,
    hidden_weights,
    is_weighted,
    multiplications,
    name_of,
    names,
    role_of,
    site,
    trunk_claim,
)

_SUSPICIOUS = 1.0  # decades; a quarter of what the mildest bound takes, because the probe decides
# Three vision transformers with all weights times 10 or 100 kept 1.3 to 14 of the loss with AdamW;
# on real data they learnt .08 to .21 of what their originals did. Two networks that such weights
# did not hinder came to .06 and .23.
_LEARNT = Bound(at_most=0.4)
_FINITE = Bound(at_most=1e30)  # all of 5 networks whose loss overflowed with SGD failed
_MOST = 2e8  # multiplications of one forward pass, so that a step takes some milliseconds
_SEVERAL = 3  # weights off the trunk, and half of all, before their scale is one decision
_USUAL = (1 / 12, 8.0)  # σ_w²; beyond four times the usual 1/3 (default) and 2 (He) is a choice


class InitScale(GraphRule):
    """Weights whose scale at the start makes signals and gradients shrink or grow layer by layer.

    Why it is bad:
        A layer multiplies the variance of its input by σ_w² = fan_in · E[w²] and the activation
        takes a share of it. Only one value of σ_w² keeps the gradient's size: 2 for ReLU, 1 for
        tanh. Any other acts as a factor for each layer, so ten layers turn a factor of 2 into 1000.
        PyTorch's default is 1/3 for every activation.

    How it is measured:
        The gradient at the deepest layer of the trunk over the gradient at the output, in decades,
        for several seeds. Whether it is out of range depends on the optimizer: beyond 2.5 decades
        95 % of the networks failed to learn with SGD, with Adam the bound is 4. Where half of all
        weights start out of the usual range, also whether 60 steps of the loop's training teach a
        copy one batch: it must fail, and learn with weights of the usual scale. That is an error
        where the loss overflows with SGD, otherwise a warning.

    What to do:
        Draw the weights with variance σ_w² / fan_in: `kaiming_normal_` for ReLU, `xavier_normal_`
        or `kaiming_normal_(…, nonlinearity="linear")` for tanh. Normalisation makes the scale
        matter less.

    Known limitations:
        Weights that a norm follows are not suspected, because their scale cancels, unless half of
        all weights of the model start out of the usual range. Neither is the scale of weights in
        front of a product or of a function without a known critical scale, such as a sine. Weights
        computed from other parameters, as weight_norm does, are not seen.
        Weights that are zero or all alike are the business of symmetric-init.
    """

    family = Family.INIT
    references = (
        "https://proceedings.mlr.press/v9/glorot10a.html",
        "https://arxiv.org/abs/1502.01852",
        "https://arxiv.org/abs/1611.01232",
        "https://arxiv.org/abs/1901.09321",
    )

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield the suspicion that the scales of the hidden weights take the gradient too far."""
        found = list(_scaled(graph, [item for item in hidden_weights(graph) if _has_scale(item)]))
        yield from found or _everywhere(graph)

    examples = (
        """
import torch
from torch import nn

class TinyWeights(nn.Module):
    def __init__(self, inputs=64, width=128, classes=10):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(inputs, width), nn.ReLU(),
            nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, classes),
        )
        for layer in self.net:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.003)  # confirmed
                nn.init.zeros_(layer.bias)

    def forward(self, x):  # x: (batch, 64)
        return self.net(x)

def demo():
    return TinyWeights()(torch.randn(16, 64))
""",
        """
import torch
from torch import nn

class HugeWeights(nn.Module):
    def __init__(self, width=64, depth=7):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.out = nn.Linear(width, 1)
        for layer in self.layers:
            layer.weight.data.normal_(0, 1)  # confirmed

    def forward(self, x):  # x: (batch, 64)
        for layer in self.layers:
            x = nn.functional.leaky_relu(layer(x))
        return self.out(x)

def demo():
    return HugeWeights()(torch.randn(16, 64))
""",
        """
import torch
from torch import nn

class LeftAtDefault(nn.Module):
    def __init__(self, width=64, depth=9):
        super().__init__()
        layers = []
        for _ in range(depth):
            layers += [nn.Linear(width, width), nn.ReLU()]  # confirmed
        self.net = nn.Sequential(*layers, nn.Linear(width, 4))

    def forward(self, x):  # x: (batch, 64)
        return self.net(x)

def demo():
    return LeftAtDefault()(torch.randn(16, 64))
""",
        """
import torch
from torch import nn

class ShallowAtDefault(nn.Module):
    def __init__(self, inputs=32, hidden=64, classes=10):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(inputs, hidden),  # refuted
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, classes),
        )

    def forward(self, x):  # x: (batch, 32)
        return self.net(x)

def demo():
    return ShallowAtDefault()(torch.randn(16, 32))
""",
        """
import torch
from torch import nn

class Siren(nn.Module):
    def __init__(self, width=64, depth=5, omega=30.0):
        super().__init__()
        self.omega = omega
        self.layers = nn.ModuleList(
            [nn.Linear(2 if index == 0 else width, width) for index in range(depth)]
        )
        self.out = nn.Linear(width, 1)
        with torch.no_grad():
            for index, layer in enumerate(self.layers):
                limit = 1 / 2 if index == 0 else (6 / width) ** 0.5 / omega
                layer.weight.uniform_(-limit, limit)

    def forward(self, x):  # x: (points, 2)
        for layer in self.layers:
            x = torch.sin(self.omega * layer(x))
        return self.out(x)

def demo():
    return Siren()(torch.randn(16, 2))
""",
        """
import torch
from torch import nn

class NormForgivesScale(nn.Module):
    def __init__(self, width=32, depth=6):
        super().__init__()
        layers = []
        for index in range(depth):
            layers += [nn.Conv2d(width if index else 3, width, 3), nn.BatchNorm2d(width), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(width, 10)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.003)  # refuted

    def forward(self, images):  # images: (batch, 3, 16, 16)
        return self.head(self.features(images).mean((2, 3)))

def demo():
    return NormForgivesScale()(torch.randn(8, 3, 16, 16))
""",
    )


def _has_scale(item: HiddenWeight) -> bool:
    """Whether the scale of the weight is all that is known to matter of it."""
    return item.weight.mean_square > 0 and item.is_understood and not item.weight.alike


def _region(items: list[HiddenWeight]) -> tuple[str, ...]:
    return tuple(item.layer.id for item in items)


def _layers(items: list[HiddenWeight]) -> str:
    return names([item.layer for item in items])


def _scaled(graph: LayerGraph, items: list[HiddenWeight]) -> Iterator[Hypothesis]:
    """The suspicion that the layers' scales together take the gradient out of range."""
    total = sum(item.decades for item in items)
    if abs(total) < _SUSPICIOUS:
        return
    guilty = [item for item in items if item.decades * total > 0]
    worst = max(guilty, key=lambda item: abs(item.decades))
    named = next(item for item in guilty if item.how == worst.how)
    usual = all(_USUAL[0] <= item.variance <= _USUAL[1] for item in guilty)
    yield Hypothesis(
        span=named.span,
        layer=named.layer.id,
        message=_message(named, guilty, total),
        claims=(trunk_claim(graph),),
        region=_region(guilty),
        remedies=tuple(_remedies(guilty)),
        definite=not usual,
    )


def _everywhere(graph: LayerGraph) -> Iterator[Hypothesis]:
    """The suspicion that half of all weights, on the trunk or not, are of an unusual scale."""
    found = ((layer, graph.weight_of(layer)) for layer in graph.layers if is_weighted(layer))
    every = {w.id: HiddenWeight(layer, w, graph) for layer, w in found if w and w.requires_grad}
    items = [item for item in every.values() if item.variance > 0 and not item.weight.alike]
    small = [item for item in items if item.variance < _USUAL[0]]
    large = [item for item in items if item.variance > _USUAL[1]]
    guilty, size = max((small, "small"), (large, "large"), key=lambda group: len(group[0]))
    strange = any(not item.is_understood for item in hidden_weights(graph))
    if strange or not graph.trunk or len(guilty) < max(_SEVERAL, len(every) / 2):
        return
    named, trunk = guilty[0], {layer.id for layer in graph.trunk}
    how = named.weight.initialisation
    error = _FINITE if graph.optimizer is OptimizerFamily.SGD else None
    taught = Claim(Quantity.UNLEARNED_START, graph.loss.id, _LEARNT, error=error)
    for claim in (trunk_claim(graph), *([taught] if _can_be_taught(graph) else [])):
        yield Hypothesis(
            span=(how.span if how else None) or site([named.layer]),
            layer=named.layer.id,
            message=(
                f"{len(guilty)} of {len(every)} weights start too {size} ({_layers(guilty)}): "
                f"{named.how} gives std {math.sqrt(named.weight.mean_square):.2g} at "
                f"{named.layer.id}, usual is {math.sqrt(1 / named.weight.fan_in):.2g}"
            ),
            claims=(claim,),
            region=(graph.loss.id, *(id for id in _region(guilty) if id in trunk)),
            remedies=(
                Remedy(
                    "draw the weights with variance 1/fan_in", (Initialise(_region(guilty), 1.0),)
                ),
            ),
            # because with Adam 4 of 7 below -6 decades learnt as well
            severity=Severity.ERROR if claim is taught else Severity.WARNING,
            definite=True,
            only_if_cured=True,
        )


def _can_be_taught(graph: LayerGraph) -> bool:
    """Whether a loop trains the model, and a few steps of that take seconds.

    A recurrent model is left alone, because it learns a few sequences by their last steps.
    """
    recurrent = any(role_of(layer) in (Role.RECURRENT, Role.CELL) for layer in graph.layers)
    known = graph.optimizer is not OptimizerFamily.UNKNOWN
    return known and not recurrent and multiplications(graph) <= _MOST


def _message(named: HiddenWeight, guilty: list[HiddenWeight], total: float) -> str:
    size = "small" if total < 0 else "large"
    has, needs = (math.sqrt(v / named.weight.fan_in) for v in (named.variance, named.critical))
    before = f" before {name_of(named.activation)}" if named.activation else ""
    return (
        f"weights of {len(guilty)} layers start too {size} ({_layers(guilty)}): {named.how} gives "
        f"std {has:.2g} at {named.layer.id}, critical is {needs:.2g} for fan-in "
        f"{named.weight.fan_in}{before}"
    )


def _remedies(guilty: list[HiddenWeight]) -> Iterator[Remedy]:
    alone = at_critical_scale(guilty)
    yield alone
    norm = fitting_norm(guilty[-1].layer)
    called = {"batch": "BatchNorm", "layer": "LayerNorm"}[norm]
    yield Remedy(
        f"{alone.title}, and put {called} behind each",
        (*alone.actions, Normalise(_region(guilty), norm)),
    )
