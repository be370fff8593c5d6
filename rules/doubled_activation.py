"""The rule `doubled-activation`: an activation on top of an activation."""

from __future__ import annotations

from collections.abc import Iterator

from gradlint.rule import (
    Bound,
    Bypass,
    Claim,
    Family,
    GraphRule,
    Hypothesis,
    Layer,
    LayerGraph,
    Quantity,
    Remedy,
    Role,
    Severity,
    attends,
    gates,
    is_weighted,
    name_of,
    role_of,
    site,
)

_RECTIFIERS = frozenset({"relu", "relu6"})
_BENDING = _RECTIFIERS | frozenset(
    "sigmoid tanh hardsigmoid hardtanh softsign leaky_relu prelu elu selu celu gelu silu "
    "softmax log_softmax logsoftmax".split()
)
_SQUASHING = frozenset("sigmoid tanh hardsigmoid hardtanh softsign softmax log_softmax".split())
_ON_THE_WAY = frozenset({Role.SHAPE, Role.DROPOUT})
_USEFUL = Bound(at_most=0.25)  # share of outputs that a rectifier in front may tie together
_PASSES = Bound(at_least=-0.5)  # decades: a second activation that leaves a third does no harm


class DoubledActivation(GraphRule):
    """Two activations in a row with no weight between them.

    Why it is bad:
        A ReLU in front of the sigmoid or softmax of the output ties half of the scores at zero: a
        probability can no longer fall below one half, and where the ReLU is off nothing is learned.
        A sigmoid behind a tanh, or a second softmax, squeezes a bounded signal once more and passes
        a quarter of the gradient or less. Often it is one activation inside a block and the same
        again outside, or a loss that applies its own.

    How it is measured:
        In front of an output: the share of zeros that the rectifier puts there, which is a half
        where scores are symmetric; more than a quarter is a warning. Elsewhere: how much gradient
        the second activation hands down, a note where less than a third comes through. Both are
        the same for every optimizer.

    What to do:
        Keep one of the two. At the output keep the one that the loss expects and feed it raw
        scores; between layers keep the ReLU, GELU or tanh and drop the squashing.

    Known limitations:
        ReLU after ReLU, and other pairs that cost nothing, are withdrawn by the measurement. Gates
        that are multiplied with another signal, as in Mish or squeeze-and-excitation, and attention
        weights are left alone. What the loss applies is not seen here.
    """

    family = Family.ACTIVATION
    references = (
        "https://proceedings.mlr.press/v9/glorot10a.html",
        "https://proceedings.mlr.press/v15/glorot11a.html",
    )

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for each pair of activations."""
        for second in graph.layers:
            first = _first(graph, second)
            if first is None:
                continue
            if name_of(first) in _RECTIFIERS and _ends(graph, second):
                yield _rectified_output(first, second)
            else:
                yield _squeezed(graph, first, second)

    examples = (
        """
import torch
from torch import nn

class RectifiedScore(nn.Module):
    def __init__(self, inputs=12, hidden=32):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU())
        self.score = nn.Sequential(nn.Linear(hidden, 1), nn.ReLU())
        self.squash = nn.Sigmoid()  # confirmed

    def forward(self, x):  # x: (batch, 12)
        return self.squash(self.score(self.body(x)))

def demo():
    return RectifiedScore()(torch.randn(64, 12))
""",
        """
import torch
from torch import nn

class SqueezedTwice(nn.Module):
    def __init__(self, inputs=12, hidden=32):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(inputs, hidden), nn.Tanh())
        self.head = nn.Linear(hidden, 3)

    def forward(self, x):  # x: (batch, 12)
        code = torch.sigmoid(self.encode(x))  # confirmed
        return self.head(code)

def demo():
    return SqueezedTwice()(torch.randn(16, 12))
""",
        """
import torch
from torch import nn

class HarmlessPairs(nn.Module):
    def __init__(self, inputs=12, hidden=32):
        super().__init__()
        self.first = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU())
        self.again = nn.ReLU()  # refuted
        self.second = nn.Linear(hidden, hidden)
        self.head = nn.Linear(hidden, 3)

    def forward(self, x):  # x: (batch, 12)
        x = self.again(self.first(x))
        return self.head(torch.tanh(self.second(x)))

def demo():
    return HarmlessPairs()(torch.randn(16, 12))
""",
        """
import torch
from torch import nn

class MishAndGates(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.stem = nn.Linear(8, width)
        self.squeeze = nn.Linear(width, 4)
        self.excite = nn.Linear(4, width)
        self.head = nn.Linear(width, 2)

    def forward(self, x):  # x: (batch, 8)
        x = self.stem(x)
        x = x * torch.tanh(nn.functional.softplus(x))
        gate = torch.sigmoid(self.excite(torch.relu(self.squeeze(x))))
        return torch.softmax(self.head(x * gate), 1)

def demo():
    return MishAndGates()(torch.randn(16, 8))
""",
    )


def _first(graph: LayerGraph, second: Layer) -> Layer | None:
    """The activation that alone feeds the activation `second`; None where that is no pair."""
    if name_of(second) not in _BENDING or gates(graph, second) or attends(graph, second):
        return None
    layer = second
    while len(before := graph.producers(layer)) == 1:
        layer = before[0]
        if name_of(layer) in _BENDING:
            return layer
        if role_of(layer) not in _ON_THE_WAY:
            return None
    return None


def _ends(graph: LayerGraph, layer: Layer) -> bool:
    """Whether a squashing `layer` is the output: no weight stands between it and the loss."""
    behind = graph.layers[graph.layers.index(layer) + 1 :]
    weighted = (other for other in behind if is_weighted(other))
    return name_of(layer) in _SQUASHING and not any(graph.connected(layer, w) for w in weighted)


def _rectified_output(first: Layer, second: Layer) -> Hypothesis:
    return Hypothesis(
        span=site([second]),
        layer=second.id,
        message=(
            f"{name_of(first)} in front of the {name_of(second)} of the output ties all scores "
            f"below zero together ({first.id}, {second.id})"
        ),
        claims=(Claim(Quantity.ZERO_SHARE, first.id, _USEFUL),),
        region=(first.id, second.id),
        remedies=(Remedy(f"leave out the {name_of(first)}", (Bypass((first.id,)),)),),
        definite=True,
    )


def _squeezed(graph: LayerGraph, first: Layer, second: Layer) -> Hypothesis:
    return Hypothesis(
        span=site([second]),
        layer=second.id,
        message=(
            f"{name_of(second)} on top of {name_of(first)} with no weight between them "
            f"({first.id}, {second.id})"
        ),
        claims=(Claim(Quantity.GRADIENT_GAIN, second.id, _PASSES),),
        region=(first.id, second.id),
        remedies=(Remedy(f"leave out the {name_of(second)}", (Bypass((second.id,)),)),),
        severity=Severity.WARNING if _ends(graph, second) else Severity.NOTE,
        definite=True,
    )
