"""The rule `missing-skip`: a deep plain network without residual connections."""

from __future__ import annotations

from collections.abc import Iterator

from gradlint.rule import (
    AddSkip,
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
    attends,
    fitting_norm,
    names,
    repeats,
    role_of,
    site,
    skip_pairs,
    trunk_claim,
)

_DISTINCT = Bound(at_most=0.99)  # 10 blocks: at most .3 with skips, 1.000 without
_COLLAPSED = Bound(at_most=0.999)
_DEEP = 10  # the fewest plain ReLU layers of default initialisation that failed: 8 lose 3 decades


class MissingSkip(GraphRule):
    """Many weighted layers one behind the other with no path around any of them.

    Why it is bad:
        In a plain network the gradient is a product with one factor a layer. Factors only slightly
        off one make it vanish or explode over many layers, and even where its size survives,
        gradients of neighbouring inputs become unrelated to each other. A skip adds a path on which
        the factor is exactly one.

    How it is measured:
        The gradient at the deepest layer of the trunk over the gradient at the output, in decades,
        for several seeds. Depth alone proves nothing: a plain network that keeps its gradient,
        because it is well initialised or normalised, is refuted and stays silent. Neither does a
        bad gradient: it must recover once skips are added to a copy of the model. Attention
        averages the positions of a sequence; where it is in the run, the measure is instead how
        alike the positions are in front of the head: with skips they stay apart, without they
        collapse to one vector, although norms keep the size of the gradient.

    What to do:
        Add the input of each layer, or of each pair of layers, to its output, with a norm inside
        the branch. Where layers change the shape, start a new stage there.

    Known limitations:
        Ten layers are the least that is suspected; shorter networks are left to other rules. Layers
        inside branches are not counted, and neither are the steps of a recurrence.
    """

    family = Family.TOPOLOGY
    references = (
        "https://arxiv.org/abs/1512.03385",
        "https://arxiv.org/abs/1702.08591",
        "https://arxiv.org/abs/2002.10444",
        "https://arxiv.org/abs/2103.03404",
    )

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for each plain run of ten or more weighted layers."""
        for run in _plain_runs(graph):
            if len(run) < _DEEP:
                continue
            last = _last_of_sequences(graph, run)
            if last is None:
                yield _hypothesis(graph, run, "", trunk_claim(graph))
            else:
                claim = Claim(Quantity.TOKEN_CORRELATION, last.id, _DISTINCT, error=_COLLAPSED)
                yield _hypothesis(
                    graph, run, ", so that attention makes all positions alike", claim
                )

    examples = (
        """
import torch
from torch import nn
import torch.nn.functional as F

class PlainNet(nn.Module):
    def __init__(self, inputs=20, width=64, depth=24):
        super().__init__()
        self.stem = nn.Linear(inputs, width)  # confirmed
        self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.head = nn.Linear(width, 3)

    def forward(self, x):  # x: (batch, 20)
        x = F.relu(self.stem(x))
        for layer in self.layers:
            x = F.relu(layer(x))
        return self.head(x)

def demo():
    return PlainNet()(torch.randn(16, 20))
""",
        """
import torch
from torch import nn

class PlainImages(nn.Module):
    def __init__(self, channels=16, depth=14):
        super().__init__()
        layers = []
        for index in range(depth):
            inputs = channels if index else 3
            layers += [nn.Conv2d(inputs, channels, 3, padding=1), nn.ReLU()]  # confirmed
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(channels, 10)

    def forward(self, images):  # images: (batch, 3, height, width)
        return self.head(self.features(images).mean((2, 3)))

def demo():
    return PlainImages()(torch.randn(8, 3, 12, 12))
""",
        """
import torch
from torch import nn

def he(layer):
    if isinstance(layer, nn.Linear):
        nn.init.kaiming_normal_(layer.weight)
        nn.init.zeros_(layer.bias)

class WellInitialised(nn.Module):
    def __init__(self, width=96, depth=12):
        super().__init__()
        layers = []
        for _ in range(depth):
            layers += [nn.Linear(width, width), nn.ReLU()]  # refuted
        self.net = nn.Sequential(*layers, nn.Linear(width, 4))
        self.apply(he)

    def forward(self, x):  # x: (batch, 96)
        return self.net(x)

def demo():
    return WellInitialised()(torch.randn(16, 96))
""",
        """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)

    def forward(self, x):
        return x + self.down(torch.relu(self.up(self.norm(x))))

class Residual(nn.Module):
    def __init__(self, width=32, depth=16):
        super().__init__()
        self.blocks = nn.Sequential(nn.Linear(10, width), *[Block(width) for _ in range(depth)])
        self.head = nn.Linear(width, 2)

    def forward(self, x):  # x: (batch, 10)
        return self.head(self.blocks(x))

def demo():
    return Residual()(torch.randn(16, 10))
""",
        """
import torch
from torch import nn

class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)  # confirmed
        self.out = nn.Linear(width, width)

    def forward(self, x):  # x: (batch, time, width)
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        weights = torch.softmax(q @ k.transpose(1, 2) / q.shape[-1] ** 0.5, dim=-1)
        return self.out(weights @ v)

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.ln1 = nn.LayerNorm(width)
        self.attention = Attention(width)
        self.ln2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)

    def forward(self, x):
        x = self.attention(self.ln1(x))
        return self.down(torch.nn.functional.gelu(self.up(self.ln2(x))))

class Forgetful(nn.Module):
    def __init__(self, vocabulary=20, width=32, depth=5):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.blocks = nn.Sequential(*[Block(width) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens):  # tokens: (batch, time)
        return self.head(self.norm(self.blocks(self.embed(tokens))).mean(1))

def demo():
    return Forgetful()(torch.randint(0, 20, (8, 12)))
""",
        """
import torch
from torch import nn

class Unrolled(nn.Module):
    def __init__(self, hidden=24):
        super().__init__()
        self.read = nn.Linear(4 + hidden, hidden)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x):  # x: (batch, time, 4)
        h = x.new_zeros(x.shape[0], 24)
        for step in x.unbind(1):
            h = torch.tanh(self.read(torch.cat([step, h], 1)))
        return self.out(h)

class ThreeLayers(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1)
        )

    def forward(self, x):
        return self.net(x)

def demo():
    return Unrolled()(torch.randn(8, 30, 4)), ThreeLayers()(torch.randn(8, 6))
""",
    )


def _hypothesis(graph: LayerGraph, run: list[Layer], effect: str, claim: Claim) -> Hypothesis:
    return Hypothesis(
        span=site(run),
        layer=run[0].id,
        message=(
            f"{len(run)} layers in a row with no skip around any of them ({names(run)}){effect}"
        ),
        claims=(claim,),
        region=tuple(layer.id for layer in run),
        remedies=tuple(_remedies(graph, run)),
        advice="add skips, with a norm inside each branch",
        only_if_cured=True,
    )


def _last_of_sequences(graph: LayerGraph, run: list[Layer]) -> Layer | None:
    """The last layer of sequences (N, T, C), where attention runs over them, before any pooling."""
    inside = graph.between(run[0], run[-1])
    if not any(attends(graph, layer) for layer in inside):
        return None
    trunk = graph.trunk[graph.trunk.index(run[0]) : graph.trunk.index(run[-1])]
    return next((layer for layer in reversed(trunk) if len(layer.shape) == 3), None)


def _plain_runs(graph: LayerGraph) -> Iterator[list[Layer]]:
    """Weighted layers of the trunk between the places where branches come together."""
    weighted = {layer.id for layer in graph.weighted_trunk}
    run: list[Layer] = []
    for layer in graph.trunk:
        if graph.joins(layer):
            yield run
            run = []
        elif layer.id in weighted and not repeats(graph, layer):
            run.append(layer)
    yield run


def _remedies(graph: LayerGraph, run: list[Layer]) -> Iterator[Remedy]:
    pairs = tuple(skip_pairs(graph, run))
    if not pairs:
        return
    head = graph.weighted_trunk[-1]
    bare = tuple(
        layer.id
        for layer in run
        if layer != head and all(role_of(after) is not Role.NORM for after in graph.behind(layer))
    )
    inside = role_of(graph.layer(pairs[0][0])) is Role.NORM
    if inside or not bare:
        yield Remedy("add a skip around each layer that keeps its shape", (AddSkip(pairs),))
        return
    norm = fitting_norm(run[0])
    called = {"batch": "BatchNorm", "layer": "LayerNorm"}[norm]
    yield Remedy(
        f"add a skip around each layer that keeps its shape, with {called} inside",
        (Normalise(bare, norm), AddSkip(pairs)),
    )
    yield Remedy("add a skip around each layer that keeps its shape", (AddSkip(pairs),))
