"""The rule `plain-batchnorm-depth`: many layers with BatchNorm and no skip around any of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gradlint.rule import (
    AddSkip,
    Bound,
    Claim,
    Family,
    GraphRule,
    Hypothesis,
    Layer,
    LayerGraph,
    OptimizerFamily,
    Quantity,
    Remedy,
    Role,
    name_of,
    names,
    repeats,
    role_of,
    site,
    skip_pairs,
)

_DEEP = 12  # at .05 to .08 decades a layer fewer cannot explode
_SGD = (Bound(at_most=2.5), Bound(at_most=3.0))
_ADAM = (Bound(at_most=3.0), None)


class PlainBatchnormDepth(GraphRule):
    """A deep plain network with BatchNorm, whose gradient explodes towards the first layer.

    Why it is bad:
        BatchNorm keeps the size of the signal, and so hides from the forward pass what happens to
        the gradient: each pair of BatchNorm and ReLU multiplies its square by π / (π - 1), whatever
        the weights are. Fifty layers make 4 decades. The first layers then take steps that are far
        too large for any learning rate at which the last ones move. Skips, not norms, make depth
        trainable; norms only make skips safe.

    How it is measured:
        The gradient at the deepest layer of the trunk over the gradient at the output, in decades,
        for several seeds: the suspicion holds if it has grown beyond what the optimizer stands.

    What to do:
        Add the input of each layer, or of each pair of layers, to its output. Where layers change
        the shape, start a new stage there.

    Known limitations:
        Only weighted layers on the trunk that are each followed by a BatchNorm are counted, and
        twelve are the least that is suspected.
    """

    family = Family.TOPOLOGY
    references = (
        "https://arxiv.org/abs/1902.08129",
        "https://arxiv.org/abs/2002.10444",
    )

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for each plain run of twelve or more layers with BatchNorm."""
        for run in _runs(graph):
            if len(run) >= _DEEP:
                yield _hypothesis(graph, run)

    examples = (
        """
import torch
from torch import nn

class PlainNet(nn.Module):
    def __init__(self, inputs=20, width=64, depth=50):
        super().__init__()
        layers = []
        for index in range(depth):
            layers.append(nn.Linear(width if index else inputs, width))  # confirmed
            layers += [nn.BatchNorm1d(width), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, 4)

    def forward(self, x):  # x: (batch, 20)
        return self.head(self.body(x))

def demo():
    return PlainNet()(torch.randn(64, 20))
""",
        """
import torch
from torch import nn

def stage(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),  # refuted
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )

class VGG(nn.Module):
    def __init__(self, width=16, depth=13):
        super().__init__()
        stages = [stage(width if index else 3, width) for index in range(depth)]
        self.features = nn.Sequential(*stages)
        self.head = nn.Linear(width, 10)

    def forward(self, images):  # images: (batch, 3, height, width)
        return self.head(self.features(images).mean((2, 3)))

def demo():
    return VGG()(torch.randn(16, 3, 16, 16))
""",
        """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc = nn.Linear(width, width)
        self.bn = nn.BatchNorm1d(width)

    def forward(self, x):
        return x + torch.relu(self.bn(self.fc(x)))

class Residual(nn.Module):
    def __init__(self, inputs=20, width=32, depth=40):
        super().__init__()
        self.stem = nn.Linear(inputs, width)
        self.blocks = nn.Sequential(*[Block(width) for _ in range(depth)])
        self.head = nn.Linear(width, 4)

    def forward(self, x):  # x: (batch, 20)
        return self.head(self.blocks(self.stem(x)))

def demo():
    return Residual()(torch.randn(64, 20))
""",
    )


def _runs(graph: LayerGraph) -> Iterator[list[Layer]]:
    """Weighted layers of the trunk with a BatchNorm behind each, between joins."""
    weighted = {layer.id for layer in graph.weighted_trunk}
    run: list[Layer] = []
    for layer in graph.trunk:
        if layer.id in weighted and not repeats(graph, layer) and _is_normed(graph, layer):
            run.append(layer)
        elif graph.joins(layer) or (role_of(layer) is Role.NORM and not _is_batch_norm(layer)):
            yield run
            run = []
    yield run


def _is_normed(graph: LayerGraph, layer: Layer) -> bool:
    return any(_is_batch_norm(behind) for behind in graph.behind(layer))


def _is_batch_norm(layer: Layer) -> bool:
    name = name_of(layer)
    return name.startswith(("batchnorm", "batch_norm", "syncbatchnorm"))


def _hypothesis(graph: LayerGraph, run: Sequence[Layer]) -> Hypothesis:
    bound, error = _ADAM if graph.optimizer is OptimizerFamily.ADAM else _SGD
    pairs = tuple(skip_pairs(graph, run))
    title = "add a skip around each layer that keeps its shape"
    return Hypothesis(
        span=site(run),
        layer=run[0].id,
        message=(
            f"{len(run)} layers in a row with BatchNorm and no skip ({names(run)}): "
            "the gradient explodes towards the first"
        ),
        claims=(Claim(Quantity.GRADIENT_DECADES, run[0].id, bound, error=error),),
        region=tuple(layer.id for layer in run),
        remedies=(Remedy(title, (AddSkip(pairs),)),) if pairs else (),
        advice="add skips",
        definite=True,
    )
