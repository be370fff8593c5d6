"""The rule `init-mismatch`: an initialisation that was made for another activation."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gradlint.rule import (
    Family,
    GraphRule,
    HiddenWeight,
    Hypothesis,
    LayerGraph,
    Normalise,
    Remedy,
    at_critical_scale,
    fitting_norm,
    hidden_weights,
    name_of,
    names,
    trunk_claim,
)

_OFF = 0.13  # log10 of a ratio of variances: beyond it lie 2 for 1 or for 1.5, but not 2 for GELU
_SUSPICIOUS = 0.5  # decades over all layers; the scheme is named in the source, the probe decides
_SIGMOIDS = 10.0  # a critical σ_w² beyond it belongs to a sigmoid, which no scheme was made for
_BY_THE_BOOK = {"tanh": 25 / 9}  # what `calculate_gain` gives, though it is not critical
_SCHEMES = {"xavier": "Xavier's", "kaiming": "He's", "orthogonal": "an orthogonal"}


class InitMismatch(GraphRule):
    """An initialisation scheme that was derived for another activation than the one that follows.

    Why it is bad:
        Xavier's scheme keeps the variance of linear layers and of tanh: σ_w² = 1. A ReLU throws
        half of the signal away and needs He's σ_w² = 2. Xavier before ReLU loses .15 decades of
        gradient in each layer; `a=math.sqrt(5)`, copied from PyTorch's own layers, makes He's
        scheme that of a leaky ReLU with slope 2.2 and loses .39. In a deep network without norms
        these factors multiply until the first layers learn nothing.

    How it is measured:
        The gradient at the deepest layer of the trunk over the gradient at the output, in decades,
        for several seeds. Few layers forgive the mismatch, and then the suspicion is withdrawn.
        With SGD 95 % of the networks beyond 2.5 decades failed to learn; with Adam the bound is 4.

    What to do:
        Take the scheme of the activation: `kaiming_normal_(w, nonlinearity="relu")` before ReLU,
        `xavier_normal_` or `kaiming_normal_(w, nonlinearity="linear")` before tanh and SELU, and in
        `calculate_gain` the name of the activation that really follows. Or normalise.

    Known limitations:
        Only weights filled by `xavier_*`, `kaiming_*` or `orthogonal_` are looked at; other fills
        are the business of init-scale. Sigmoids are left to saturating-stack, because no scheme
        fits them. Weights that a norm follows are not suspected, because their scale cancels.
    """

    family = Family.INIT
    references = (
        "https://proceedings.mlr.press/v9/glorot10a.html",
        "https://arxiv.org/abs/1502.01852",
        "https://arxiv.org/abs/1706.02515",
    )

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield the suspicion that schemes for other activations take the gradient too far."""
        wrong = [item for item in hidden_weights(graph) if _mismatched(item)]
        total = sum(item.decades for item in wrong)
        guilty = [item for item in wrong if item.decades * total > 0]
        if not guilty or abs(total) < _SUSPICIOUS:
            return
        region = tuple(item.layer.id for item in guilty)
        yield Hypothesis(
            span=guilty[0].span,
            layer=guilty[0].layer.id,
            message=_message(guilty),
            claims=(trunk_claim(graph),),
            region=region,
            remedies=tuple(_remedies(guilty, region)),
            definite=True,
        )

    examples = (
        """
import torch
from torch import nn

class XavierBeforeRelu(nn.Module):
    def __init__(self, inputs=32, width=64, classes=10, depth=20):
        super().__init__()
        sizes = [inputs] + [width] * depth
        layers = []
        for fan_in, fan_out in zip(sizes, sizes[1:]):
            linear = nn.Linear(fan_in, fan_out)
            nn.init.xavier_uniform_(linear.weight)  # confirmed
            nn.init.zeros_(linear.bias)
            layers += [linear, nn.ReLU()]
        self.net = nn.Sequential(*layers, nn.Linear(width, classes))

    def forward(self, x):  # x: (batch, 32)
        return self.net(x)

def demo():
    return XavierBeforeRelu()(torch.randn(16, 32))
""",
        """
import torch
from torch import nn

import math

class CopiedFromLinear(nn.Module):
    def __init__(self, features=24, width=96, depth=9):
        super().__init__()
        self.stem = nn.Linear(features, width)
        self.blocks = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.head = nn.Linear(width, 2)
        for layer in self.blocks:
            nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5))  # confirmed

    def forward(self, x):  # x: (batch, 24)
        x = torch.relu(self.stem(x))
        for layer in self.blocks:
            x = torch.relu(layer(x))
        return self.head(x)

def demo():
    return CopiedFromLinear()(torch.randn(16, 24))
""",
        """
import torch
from torch import nn

def initialise(module):
    if isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")  # refuted
        nn.init.zeros_(module.bias)

class HeBeforeSelu(nn.Module):
    def __init__(self, features=24, width=96, depth=18):
        super().__init__()
        blocks = [nn.Sequential(nn.Linear(width, width), nn.SELU()) for _ in range(depth)]
        self.stem = nn.Linear(features, width)
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(width, 2)
        self.apply(initialise)

    def forward(self, x):  # x: (batch, 24)
        return self.head(self.blocks(torch.selu(self.stem(x))))

def demo():
    return HeBeforeSelu()(torch.randn(16, 24))
""",
        """
import torch
from torch import nn

class FewLayersForgive(nn.Module):
    def __init__(self, inputs=20, width=50, classes=5):
        super().__init__()
        self.one = nn.Linear(inputs, width)
        self.two = nn.Linear(width, width)
        self.three = nn.Linear(width, width)
        self.four = nn.Linear(width, width)
        self.out = nn.Linear(width, classes)
        for layer in (self.one, self.two, self.three, self.four):
            nn.init.xavier_normal_(layer.weight)  # refuted

    def forward(self, x):  # x: (batch, 20)
        for layer in (self.one, self.two, self.three, self.four):
            x = torch.relu(layer(x))
        return self.out(x)

def demo():
    return FewLayersForgive()(torch.randn(16, 20))
""",
        """
import torch
from torch import nn

class SchemesThatFit(nn.Module):
    def __init__(self, width=64, depth=24):
        super().__init__()
        self.rectified = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.squashed = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.head = nn.Linear(width, 3)
        for layer in self.rectified:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        for layer in self.squashed:
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x):  # x: (batch, 64)
        for layer in self.rectified:
            x = torch.relu(layer(x))
        for layer in self.squashed:
            x = torch.tanh(layer(x))
        return self.head(x)

def demo():
    return SchemesThatFit()(torch.randn(16, 64))
""",
        """
import torch
from torch import nn

class NormedEncoder(nn.Module):
    def __init__(self, channels=16, depth=12):
        super().__init__()
        layers = []
        for index in range(depth):
            convolution = nn.Conv2d(channels if index else 3, channels, 3, padding=1, bias=False)
            nn.init.xavier_uniform_(convolution.weight)
            layers += [convolution, nn.BatchNorm2d(channels), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(channels, 7)

    def forward(self, images):  # images: (batch, 3, 16, 16)
        return self.head(self.features(images).mean((2, 3)))

def demo():
    return NormedEncoder()(torch.randn(8, 3, 16, 16))
""",
    )


def _mismatched(item: HiddenWeight) -> bool:
    if not item.is_understood or item.weight.mean_square == 0 or item.critical > _SIGMOIDS:
        return False
    intended = _intended(item)
    if not intended or math.isclose(intended, _BY_THE_BOOK.get(_activation(item), 0), rel_tol=0.01):
        return False
    return abs(math.log10(intended / item.critical)) > _OFF


def _intended(item: HiddenWeight) -> float:
    """The σ_w² that the scheme was asked for; 0 where no scheme of `torch.nn.init` was."""
    if _scheme(item) == "kaiming":
        return item.variance
    settings = dict(item.weight.initialisation.settings) if item.weight.initialisation else {}
    return settings.get("gain", 1.0) ** 2 if _scheme(item) else 0.0


def _scheme(item: HiddenWeight) -> str:
    return next((name for name in _SCHEMES if item.function.startswith(name)), "")


def _activation(item: HiddenWeight) -> str:
    return name_of(item.activation) if item.activation else ""


def _message(guilty: list[HiddenWeight]) -> str:
    first = guilty[0]
    before = _activation(first) or "no activation at all"
    return (
        f"{_SCHEMES[_scheme(first)]} initialisation before {before} in {len(guilty)} layers "
        f"({names([item.layer for item in guilty])}): {first.how} aims at σ_w² = "
        f"{_intended(first):.3g}, {before} needs {first.critical:.3g}"
    )


def _remedies(guilty: list[HiddenWeight], region: tuple[str, ...]) -> Iterator[Remedy]:
    alone = at_critical_scale(guilty)
    yield alone
    norm = fitting_norm(guilty[-1].layer)
    called = {"batch": "BatchNorm", "layer": "LayerNorm"}[norm]
    yield Remedy(
        f"{alone.title}, and put {called} behind each", (*alone.actions, Normalise(region, norm))
    )
