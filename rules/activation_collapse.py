"""The rule `activation-collapse`: different inputs that arrive as the same representation."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gradlint.rule import (
    Bound,
    Claim,
    Family,
    GraphRule,
    Hypothesis,
    Initialise,
    Layer,
    LayerGraph,
    Normalise,
    OptimizerFamily,
    Parameter,
    Quantity,
    Remedy,
    Role,
    Span,
    fitting_norm,
    name_of,
    names,
    repeats,
    role_of,
    site,
)

_FEWEST = 3  # hidden layers; with two, no network of the measurement collapsed
_CHOOSING = frozenset({"argmin", "argmax"})


class ActivationCollapse(GraphRule):
    """Layers behind which two different inputs are nearly the same.

    Why it is bad:
        Every layer mixes what differs between inputs with what they share: biases, and the mean of
        an activation such as the sigmoid's one half. If the shared part grows faster, all inputs
        are mapped to one point. The last layers then have nothing to tell classes apart by: a
        difference of a hundredth makes the problem ten thousand times worse conditioned.

    How it is measured:
        The difference between samples at the last hidden activation, relative to its size, in
        decades, for several seeds. Measured on 36 networks trained at two learning rates: with SGD
        accuracy fell from .6 to .4 below -1.7 and to chance for all below -2.2; with Adam to .5 at
        -3.1 and to .3 below -4. SGD or unknown: warning below -2, error below -2.5. Adam: warning
        below -3, error below -4.5 where large biases are to blame; a published vocoder whose inputs
        differ by 4.8 decades less behind its last activation does learn with Adam, slowly.

    What to do:
        Start biases at zero, initialise for the activation (`kaiming_normal_` for ReLU), and put a
        norm in front of the activations: BatchNorm subtracts exactly what samples share.

    Known limitations:
        Unless biases are to blame it is a symptom: where another rule finds what makes the layers
        collapse, such as a stack of sigmoids, that rule has the finding and this one is its note.
        Networks with a norm on the trunk are not looked at; attention that makes the positions of a
        sequence alike is the business of missing-skip. What is pooled afterwards does not count,
        because an average over random pixels hardly differs. Nor are layers that see of an input
        only the number of its nearest code: codes of a quantiser often start alike.
    """

    family = Family.ACTIVATION
    references = (
        "https://arxiv.org/abs/1611.01232",
        "https://arxiv.org/abs/1606.05340",
        "https://arxiv.org/abs/2003.01652",
    )

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion of the last hidden activation of a trunk without norms."""
        hidden = [layer for layer in graph.weighted_trunk[:-1] if not repeats(graph, layer)]
        last = _last_activation(graph)
        if last is None or len(hidden) < _FEWEST or _sees_codes(graph, hidden[0]):
            return
        ids = tuple(layer.id for layer in hidden)
        biased = _most_biased(graph, hidden)
        yield Hypothesis(
            span=_span(biased) if biased else site(hidden),
            layer=last.id,
            message=_message(hidden, last, biased),
            claims=(_claim(last, graph.optimizer, definite=biased is not None),),
            region=(*ids, last.id),
            remedies=tuple(_remedies(hidden, ids)),
            definite=biased is not None,
            symptom=biased is None or name_of(last) == "relu",  # whose biases are dead-relu's
        )

    examples = (
        """
import torch
from torch import nn

class LargeBiases(nn.Module):
    def __init__(self, inputs=16, width=48, depth=10):
        super().__init__()
        sizes = [inputs] + [width] * depth
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in zip(sizes, sizes[1:]))
        self.head = nn.Linear(width, 8)
        for layer in self.layers:
            nn.init.xavier_normal_(layer.weight)
            nn.init.normal_(layer.bias, std=2.0)  # confirmed

    def forward(self, x):  # x: (batch, 16)
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.head(x)

def demo():
    return LargeBiases()(torch.randn(16, 16))
""",
        """
import torch
from torch import nn

class SmallSigmoids(nn.Module):
    def __init__(self, inputs=20, width=64):
        super().__init__()
        self.one = nn.Linear(inputs, width)  # confirmed
        self.two = nn.Linear(width, width)
        self.three = nn.Linear(width, width)
        self.out = nn.Linear(width, 2)

    def forward(self, x):  # x: (batch, 20)
        for layer in (self.one, self.two, self.three):
            x = torch.sigmoid(layer(x))
        return self.out(x)

def demo():
    return SmallSigmoids()(torch.randn(16, 20))
""",
        """
import torch
from torch import nn

class Codes(nn.Module):
    def __init__(self, inputs=20, width=64):
        super().__init__()
        self.encode = nn.Linear(inputs, width)
        self.register_buffer("table", torch.zeros(32, width))
        self.one = nn.Linear(width, width)
        self.two = nn.Linear(width, width)
        self.three = nn.Linear(width, width)
        self.out = nn.Linear(width, inputs)

    def forward(self, x):  # x: (batch, 20)
        nearest = torch.cdist(self.encode(x), self.table).argmin(-1)
        code = self.table[nearest]
        for layer in (self.one, self.two, self.three):
            code = torch.relu(layer(code))
        return self.out(code)

def demo():
    return Codes()(torch.randn(16, 20))
""",
        """
import torch
from torch import nn

class DeepButApart(nn.Module):
    def __init__(self, width=64, depth=12):
        super().__init__()
        layers = []
        for _ in range(depth):
            layers += [nn.Linear(width, width), nn.ReLU()]  # refuted
            nn.init.kaiming_normal_(layers[-2].weight)
            nn.init.zeros_(layers[-2].bias)
        self.net = nn.Sequential(*layers, nn.Linear(width, 5))

    def forward(self, x):  # x: (batch, 64)
        return self.net(x)

def demo():
    return DeepButApart()(torch.randn(16, 64))
""",
        """
import torch
from torch import nn

class Centred(nn.Module):
    def __init__(self, inputs=20, width=64, depth=5):
        super().__init__()
        layers = [nn.Linear(inputs, width)]
        for _ in range(depth):
            layers += [nn.BatchNorm1d(width), nn.Sigmoid(), nn.Linear(width, width)]
        self.net = nn.Sequential(*layers)
        self.head = nn.Linear(width, 2)

    def forward(self, x):  # x: (batch, 20)
        return self.head(self.net(x))

def demo():
    return Centred()(torch.randn(16, 20))
""",
    )


def _sees_codes(graph: LayerGraph, layer: Layer) -> bool:
    """Whether inputs reach a layer by a choice among codes only, as behind a quantiser."""
    if layer.id in graph.behind_all(part.id for part in graph.inputs):
        return False
    chosen = (id for stop in graph.stops if stop.cause in _CHOOSING for id in stop.feeds)
    return layer.id in graph.behind_all(chosen)


def _last_activation(graph: LayerGraph) -> Layer | None:
    """The last activation before the last weight and before any pooling of positions to one."""
    if not graph.weighted_trunk:
        return None
    hidden = graph.trunk[: graph.trunk.index(graph.weighted_trunk[-1])]
    if any(role_of(layer) is Role.NORM for layer in hidden):
        return None
    bent = (layer for layer in reversed(hidden) if role_of(layer) is Role.ACTIVATION)
    return next(bent, None)


def _most_biased(graph: LayerGraph, hidden: list[Layer]) -> tuple[Layer, Parameter] | None:
    """The layer whose biases are largest beside its weights, if they are larger than those."""
    found = [(layer, bias) for layer in hidden if (bias := _bias(graph, layer))]
    ratios = [(_ratio(graph, layer, bias), layer, bias) for layer, bias in found]
    ratio, layer, bias = max(ratios, key=lambda item: item[0], default=(0.0, None, None))
    return (layer, bias) if layer and bias and ratio > 1 else None


def _bias(graph: LayerGraph, layer: Layer) -> Parameter | None:
    return next((p for p in graph.parameters_of(layer) if len(p.shape) == 1), None)


def _ratio(graph: LayerGraph, layer: Layer, bias: Parameter) -> float:
    weight = graph.weight_of(layer)
    signal = weight.fan_in * weight.mean_square if weight else 0.0
    return math.sqrt(bias.mean_square / signal) if signal else 0.0


def _span(biased: tuple[Layer, Parameter]) -> Span:
    layer, bias = biased
    filled = bias.initialisation
    return filled.span if filled and filled.span else site([layer])


def _message(hidden: list[Layer], last: Layer, biased: tuple[Layer, Parameter] | None) -> str:
    cause = ""
    if biased:
        layer, bias = biased
        cause = f"; the biases of {layer.id} (std {math.sqrt(bias.mean_square):.2g}) outweigh it"
    return (
        f"different inputs arrive at {last.id} as nearly the same representation, through "
        f"{len(hidden)} layers without a norm ({names(hidden)}){cause}"
    )


def _claim(last: Layer, optimizer: OptimizerFamily, *, definite: bool) -> Claim:
    adam = optimizer is OptimizerFamily.ADAM
    warning, error = (-3.0, -4.5) if adam else (-2.0, -2.5)
    return Claim(
        Quantity.REPRESENTATION_SPREAD,
        last.id,
        Bound(at_least=warning),
        error=Bound(at_least=error) if definite or not adam else None,
    )


def _remedies(hidden: list[Layer], ids: tuple[str, ...]) -> Iterator[Remedy]:
    norm = fitting_norm(hidden[-1])
    called = {"batch": "BatchNorm", "layer": "LayerNorm"}[norm]
    yield Remedy(f"put {called} behind each of these layers", (Normalise(ids, norm),))
    yield Remedy(
        "draw the weights with variance 2/fan_in, biases 0", (Initialise(ids, math.sqrt(2)),)
    )
