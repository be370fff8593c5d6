"""The rule `init-scale`: weights that start too small, too large, zero, or all alike."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from gradlint.rule import (
    Bound,
    Claim,
    Family,
    GraphRule,
    Hypothesis,
    Initialisation,
    Initialise,
    Layer,
    LayerGraph,
    Normalise,
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
    trunk_claim,
)

CRITICAL: dict[str, float] = {
    "": 1.0,
    "relu": 2.0,
    "relu6": 2.0,
    "tanh": 1.0,
    "hardtanh": 1.0,
    "softsign": 1.0,
    "sigmoid": 103.1,
    "hardsigmoid": 106.6,
    "gelu": 2.19,
    "silu": 2.64,
    "mish": 2.09,
    "hardswish": 2.79,
    "elu": 1.5,
    "celu": 1.5,
    "selu": 1.0,
    "softplus": 2.0,
    "prelu": 1.88,
    "rrelu": 1.9,
}
"""σ_w² = fan_in · E[w²] that keeps a gradient's size, by the activation behind the weight.

ReLU and its leaky kin are homogeneous: 2 / (1 + a²) at any signal. Odd activations with φ'(0) = 1
are critical at 1, where the signal is small. Sigmoids are critical where σ_w² E[φ'(√q z)²] = 1 at
the fixed point q = σ_w² E[φ(√q z)²]. GELU, SiLU, Mish, Hardswish and ELU: 1 / E[φ'(z)²] at unit
variance. SELU is made for 1; softplus is ReLU for large signals. A test computes all of them again.
"""

_SUSPICIOUS = 1.0  # decades; a quarter of what the mildest bound takes, because the probe decides
_USUAL = (
    1 / 12,
    8.0,
)  # σ_w² beyond four times the usual schemes (1/3 by default, 2 by He) is a choice


class InitScale(GraphRule):
    """Weights whose scale at the start makes signals and gradients shrink or grow layer by layer.

    Why it is bad:
        A layer multiplies the variance of its input by σ_w² = fan_in · E[w²] and the activation
        takes a share of it. Only one value of σ_w² keeps the gradient's size: 2 for ReLU, 1 for
        tanh. Any other acts as a factor for each layer, so ten layers turn a factor of 2 into 1000.
        PyTorch's default is 1/3 for every activation. Hidden weights that are all zero, or all
        alike, are worse: their units get equal gradients and stay copies of one unit.

    How it is measured:
        The gradient at the deepest layer of the trunk over the gradient at the output, in decades,
        for several seeds; where weights are zero, after one step of training. For equal weights:
        the rank of the layer's weight gradient, which is one for copies of one unit.

    What to do:
        Draw the weights with variance σ_w² / fan_in: `kaiming_normal_` for ReLU, `xavier_normal_`
        or `kaiming_normal_(…, nonlinearity="linear")` for tanh. Normalisation makes the scale
        matter less.

    Known limitations:
        Weights that a norm follows are not suspected, because their scale cancels; neither is the
        scale of weights in front of a product or of a function without a known critical scale, such
        as a sine. Weights computed from other parameters, as weight_norm does, are not seen. Zero
        weights at the end of a residual branch or of the whole network, or with no activation
        behind them, are a known good choice and stay silent.
    """

    family = Family.INIT
    references = (
        "https://proceedings.mlr.press/v9/glorot10a.html",
        "https://arxiv.org/abs/1502.01852",
        "https://arxiv.org/abs/1611.01232",
        "https://arxiv.org/abs/1901.09321",
    )

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield suspicions of zero weights, of equal weights and of the scale of all others."""
        hidden = [_Weight(layer, weight, graph) for layer, weight in _hidden(graph)]
        zero = [item for item in hidden if item.weight.mean_square == 0 and item.activation]
        alike = [item for item in hidden if item.weight.mean_square > 0 and item.alike]
        if zero:
            yield _zero(graph, zero)
        if alike:
            yield _alike(graph, alike)
        known = [item for item in hidden if item.weight.mean_square > 0 and item.is_understood]
        yield from _scaled(graph, known)

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

def zeros(module):
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.weight)  # confirmed
        nn.init.zeros_(module.bias)

class AllZero(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 2)
        )
        self.net.apply(zeros)

    def forward(self, x):  # x: (batch, 8)
        return self.net(x)

def demo():
    return AllZero()(torch.randn(16, 8))
""",
        """
import torch
from torch import nn

class CopiesOfOneUnit(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(8, 32)
        self.out = nn.Linear(32, 2)
        nn.init.constant_(self.hidden.weight, 0.1)  # confirmed
        nn.init.zeros_(self.hidden.bias)
        nn.init.constant_(self.out.weight, 0.1)

    def forward(self, x):  # x: (batch, 8)
        return self.out(torch.tanh(self.hidden(x)))

def demo():
    return CopiesOfOneUnit()(torch.randn(16, 8))
""",
        """
import torch
from torch import nn

class SymmetryBroken(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(8, 32)
        self.out = nn.Linear(32, 2)
        nn.init.constant_(self.hidden.weight, 0.1)  # refuted

    def forward(self, x):  # x: (batch, 8)
        return self.out(torch.relu(self.hidden(x)))

def demo():
    return SymmetryBroken()(torch.randn(16, 8))
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

class ZeroHead(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(6, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh()
        )
        self.head = nn.Linear(width, 3)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x):  # x: (batch, 6)
        return self.head(self.body(x))

class FixupBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first = nn.Linear(width, width)
        self.last = nn.Linear(width, width)
        nn.init.zeros_(self.last.weight)

    def forward(self, x):
        return x + self.last(torch.relu(self.first(x)))

class Fixup(nn.Module):
    def __init__(self, width=32, depth=6):
        super().__init__()
        self.stem = nn.Linear(6, width)
        self.blocks = nn.Sequential(*[FixupBlock(width) for _ in range(depth)])
        self.head = nn.Linear(width, 3)
        nn.init.zeros_(self.head.weight)

    def forward(self, x):
        return self.head(torch.relu(self.blocks(self.stem(x))))

def demo():
    return ZeroHead()(torch.randn(16, 6)), Fixup()(torch.randn(16, 6))
""",
        """
import torch
from torch import nn

class AdaptiveBlock(nn.Module):
    def __init__(self, width, condition):
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.modulation = nn.Linear(condition, 3 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x, c):
        shift, scale, gate = self.modulation(c).chunk(3, dim=-1)
        return x + gate * self.mlp(self.norm(x) * (1 + scale) + shift)

class AdaLNZero(nn.Module):
    def __init__(self, width=32, condition=8, depth=4):
        super().__init__()
        self.stem = nn.Linear(12, width)
        self.blocks = nn.ModuleList([AdaptiveBlock(width, condition) for _ in range(depth)])
        self.head = nn.Linear(width, 12)
        nn.init.zeros_(self.head.weight)

    def forward(self, x, c):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x, c)
        return self.head(x)

def demo():
    return AdaLNZero()(torch.randn(16, 12), torch.randn(16, 8))
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
                nn.init.normal_(layer.weight, std=0.003)

    def forward(self, images):  # images: (batch, 3, 16, 16)
        return self.head(self.features(images).mean((2, 3)))

def demo():
    return NormForgivesScale()(torch.randn(8, 3, 16, 16))
""",
    )


@dataclass(frozen=True)
class _Weight:
    """A hidden layer of the trunk, its weight, and what would be critical for it."""

    layer: Layer
    weight: Parameter
    graph: LayerGraph

    @cached_property
    def activation(self) -> Layer | None:
        behind = self.graph.behind(self.layer)
        return next((layer for layer in behind if role_of(layer) is Role.ACTIVATION), None)

    @property
    def critical(self) -> float:
        if self.activation is None:
            return CRITICAL[""]
        if name_of(self.activation) == "leaky_relu":
            return 2 / (1 + self.activation.setting("negative_slope", 0.01) ** 2)
        return CRITICAL.get(name_of(self.activation), 1.0)

    @property
    def is_understood(self) -> bool:
        """Whether all that follows the weight has a known effect on the critical scale."""
        behind = self.graph.behind(self.layer)
        strange = any(role_of(layer) in (Role.OTHER, Role.PRODUCT) for layer in behind)
        name = name_of(self.activation) if self.activation else ""
        return not strange and (name in CRITICAL or name == "leaky_relu")

    @property
    def variance(self) -> float:
        """σ_w² = fan_in · E[w²]."""
        return self.weight.fan_in * self.weight.mean_square

    @property
    def decades(self) -> float:
        """What the layer adds to the gradient's size beyond the critical value, in decades."""
        return 0.5 * math.log10(self.variance / self.critical)

    @property
    def alike(self) -> bool:
        return self.weight.distinct_rows == 1 and self.weight.fan_out > 1

    @property
    def default(self) -> bool:
        initialisation = self.weight.initialisation
        return initialisation is not None and initialisation.function == "default"

    @property
    def span(self) -> Span:
        """The line that initialised the weight; the layer's own for PyTorch's default."""
        initialisation = self.weight.initialisation
        chosen = None if initialisation is None or self.default else initialisation.span
        return chosen or site([self.layer, *([self.activation] if self.activation else [])])

    @property
    def how(self) -> str:
        """The call that filled the weight, as far as it was seen."""
        initialisation = self.weight.initialisation
        if initialisation is None:
            return "its initialisation"
        return "PyTorch's default initialisation" if self.default else _call(initialisation)


def _call(initialisation: Initialisation) -> str:
    settings = ", ".join(
        f"{value:g}" if name.startswith("argument") else f"{name}={value:g}"
        for name, value in initialisation.settings
    )
    return f"{initialisation.function}({settings})"


def _hidden(graph: LayerGraph) -> Iterator[tuple[Layer, Parameter]]:
    """Weighted layers of the trunk but the last and those whose scale a norm behind them undoes."""
    for layer in graph.weighted_trunk[:-1]:
        weight = graph.weight_of(layer)
        behind = graph.behind(layer)
        cancelled = any(role_of(other) is Role.NORM for other in behind)
        if weight is not None and not cancelled and not repeats(graph, layer):
            yield layer, weight


def _region(items: Sequence[_Weight]) -> tuple[str, ...]:
    return tuple(item.layer.id for item in items)


def _layers(items: Sequence[_Weight]) -> str:
    return names([item.layer for item in items])


def _zero(graph: LayerGraph, zero: list[_Weight]) -> Hypothesis:
    claim = trunk_claim(graph)
    return Hypothesis(
        span=zero[0].span,
        layer=zero[0].layer.id,
        message=f"hidden weights start at zero, set by {zero[0].how} ({_layers(zero)})",
        claims=(Claim(claim.quantity, claim.of, claim.bound, claim.error, after_step=True),),
        region=_region(zero),
        remedies=(_initialise(zero),),
        definite=True,
    )


def _alike(graph: LayerGraph, alike: list[_Weight]) -> Hypothesis:
    first = alike[0]
    more_than_one = Bound(at_least=1.5 / first.weight.shape[0])
    return Hypothesis(
        span=first.span,
        layer=first.layer.id,
        message=(
            f"all units start with equal weights, set by {first.how} ({_layers(alike)}): "
            "they get equal gradients and stay copies of one unit"
        ),
        claims=(Claim(Quantity.GRADIENT_RANK, first.layer.id, more_than_one, error=more_than_one),),
        region=_region(alike),
        remedies=(_initialise(alike),),
        definite=True,
    )


def _scaled(graph: LayerGraph, items: list[_Weight]) -> Iterator[Hypothesis]:
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


def _message(named: _Weight, guilty: list[_Weight], total: float) -> str:
    size = "small" if total < 0 else "large"
    has, needs = (math.sqrt(v / named.weight.fan_in) for v in (named.variance, named.critical))
    before = f" before {name_of(named.activation)}" if named.activation else ""
    return (
        f"weights of {len(guilty)} layers start too {size} ({_layers(guilty)}): {named.how} gives "
        f"std {has:.2g} at {named.layer.id}, critical is {needs:.2g} for fan-in "
        f"{named.weight.fan_in}{before}"
    )


def _remedies(guilty: list[_Weight]) -> Iterator[Remedy]:
    alone = _initialise(guilty)
    yield alone
    norm = fitting_norm(guilty[-1].layer)
    called = {"batch": "BatchNorm", "layer": "LayerNorm"}[norm]
    yield Remedy(
        f"{alone.title}, and put {called} behind each",
        (*alone.actions, Normalise(_region(guilty), norm)),
    )


def _initialise(items: Sequence[_Weight]) -> Remedy:
    """Draw each layer's weights at the critical scale of its own activation."""
    by_variance: dict[float, list[str]] = {}
    for item in items:
        by_variance.setdefault(item.critical, []).append(item.layer.id)
    scales = " or ".join(f"{variance:.3g}/fan_in" for variance in by_variance)
    return Remedy(
        f"draw the weights with variance {scales}, biases 0",
        tuple(Initialise(tuple(ids), math.sqrt(v)) for v, ids in by_variance.items()),
    )
