"""The rule `missing-nonlinearity`: linear maps in a row that could be one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from gradlint.rule import (
    Activate,
    Bound,
    Claim,
    Family,
    GraphRule,
    Hypothesis,
    Layer,
    LayerGraph,
    Parameter,
    Quantity,
    Remedy,
    Role,
    Severity,
    is_weighted,
    name_of,
    repeats,
    role_of,
    site,
)

_LINEAR = frozenset({Role.SHAPE, Role.DROPOUT, Role.POOL})
_RESAMPLING = frozenset({"interpolate", "upsample"})
_BENT = Bound(at_least=0.01)  # rounding leaves 1e-7 of an affine map, one ReLU makes .7


class MissingNonlinearity(GraphRule):
    """Two linear maps in a row with no activation between them.

    Why it is bad:
        A linear map of a linear map is one linear map: the second layer adds parameters and time,
        but nothing that the first could not do alone. A whole network without an activation can
        only draw straight lines, however deep it is. Most often an activation was forgotten in
        `forward`, or a backbone that ends in a Linear got another one on top.

    How it is measured:
        The gradient through both layers is computed for several inputs. Through an affine map it is
        the same for all of them; the share of it that differs is zero. Maximum pooling between the
        two, for example, is a nonlinearity, and the suspicion is withdrawn. The finding does not
        depend on the optimizer: a note, and a warning where the whole network is linear.

    What to do:
        Put an activation between the two layers, or make one layer of them. If the pair is meant as
        a factorisation, make the middle narrower than both ends; this rule is silent then.

    Known limitations:
        A middle narrower than both ends (LoRA, bottlenecks, autoencoders), grouped and separable
        convolutions, weights that are used again and again, and pairs whose middle is used
        elsewhere are taken as meant. A norm or a product between the layers ends the pair, and so
        does an upsampling.
    """

    family = Family.ACTIVATION
    references = (
        "https://www.deeplearningbook.org/contents/mlp.html",
        "https://arxiv.org/abs/1312.6120",
    )

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for each pair of weights with only linear operations between."""
        trunk = graph.weighted_trunk
        pairs = [pair for pair in pairwise(trunk) if _mergeable(graph, *pair)]
        whole = len(pairs) == len(trunk) - 1
        for first, second in pairs:
            yield _hypothesis(first, second, whole=whole)

    examples = (
        """
import torch
from torch import nn

class ForgottenActivation(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3)
        self.conv2 = nn.Conv2d(16, 32, 3)
        self.fc1 = nn.Linear(32 * 6 * 6, 120)
        self.drop = nn.Dropout(0.5)
        self.fc2 = nn.Linear(120, 84)  # confirmed
        self.fc3 = nn.Linear(84, classes)

    def forward(self, x):  # x: (batch, 3, 16, 16)
        x = torch.relu(self.conv1(x))
        x = torch.relu(nn.functional.max_pool2d(self.conv2(x), 2)).flatten(1)
        x = self.fc2(self.drop(self.fc1(x)))
        return self.fc3(torch.relu(x))

def demo():
    return ForgottenActivation()(torch.randn(8, 3, 16, 16))
""",
        """
import torch
from torch import nn

class StraightLines(nn.Module):
    def __init__(self, inputs=8, hidden=64):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(inputs, hidden),
            nn.Linear(hidden, hidden),  # confirmed
            nn.Dropout(0.1),
            nn.Linear(hidden, 2),  # confirmed
        )

    def forward(self, x):  # x: (batch, 8)
        return self.net(x)

def demo():
    return StraightLines()(torch.randn(16, 8))
""",
        """
import torch
from torch import nn

class MaximumBends(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 5)
        self.conv2 = nn.Conv2d(8, 16, 5)  # refuted
        self.head = nn.Linear(16, 4)

    def forward(self, x):  # x: (batch, 1, 28, 28)
        x = nn.functional.max_pool2d(self.conv1(x), 2)
        x = torch.relu(self.conv2(x))
        return self.head(x.mean((2, 3)))

def demo():
    return MaximumBends()(torch.randn(8, 1, 28, 28))
""",
        """
import torch
from torch import nn

class Factored(nn.Module):
    def __init__(self, width=64, rank=8):
        super().__init__()
        self.down = nn.Linear(width, rank, bias=False)
        self.up = nn.Linear(rank, width)
        self.depthwise = nn.Conv1d(1, 4, 3, padding=1)
        self.pointwise = nn.Conv1d(4, 4, 3, padding=1, groups=4)
        self.head = nn.Linear(4 * width, 3)

    def forward(self, x):  # x: (batch, 64)
        x = torch.relu(self.up(self.down(x)))
        x = self.pointwise(self.depthwise(x.unsqueeze(1)))
        return self.head(torch.relu(x).flatten(1))

class UsedTwice(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(12, 32)
        self.classify = nn.Linear(32, 4)

    def forward(self, x):  # x: (batch, 12)
        features = self.embed(x)
        return features, self.classify(features)

def demo():
    return Factored()(torch.randn(8, 64)), UsedTwice()(torch.randn(8, 12))
""",
    )


def _mergeable(graph: LayerGraph, first: Layer, second: Layer) -> bool:
    """Whether `second` does nothing that `first` could not, as far as the graph shows."""
    one, other = graph.weight_of(first), graph.weight_of(second)
    if one is None or other is None or repeats(graph, first) or repeats(graph, second):
        return False
    meant = _factors(one, other) or _structured(first, one) or _structured(second, other)
    return not meant and _linear_path(graph, first, second)


def _linear_path(graph: LayerGraph, first: Layer, second: Layer) -> bool:
    """Whether all that leaves `first` goes through linear operations, one by one, to `second`."""
    inside = graph.between(first, second)[1:-1]
    names = {name_of(layer) for layer in inside}
    linear = {role_of(layer) for layer in inside} <= _LINEAR and not names & _RESAMPLING
    dense_last = role_of(second) is Role.DENSE or role_of(first) is role_of(second)
    alone = not graph.reaches_loss(first, avoiding=[second])
    return linear and dense_last and alone and is_weighted(second)


def _factors(one: Parameter, other: Parameter) -> bool:
    """Whether the middle is narrower than both ends."""
    middle = one.shape[0]
    return middle < min(one.shape[1], other.shape[0])


def _structured(layer: Layer, weight: Parameter) -> bool:
    """Whether the layer is a grouped, transposed or separable convolution."""
    kernel = weight.shape[2:]
    separable = len(kernel) > 1 and min(kernel) == 1 < max(kernel)
    return layer.setting("groups", 1) > 1 or separable or "transpose" in name_of(layer)


def _hypothesis(first: Layer, second: Layer, *, whole: bool) -> Hypothesis:
    what = "the whole network is one linear map" if whole else "the two are one linear map"
    return Hypothesis(
        span=site([second]),
        layer=second.id,
        message=f"no activation between {first.id} and {second.id}: {what}",
        claims=(Claim(Quantity.NONLINEARITY, second.id, _BENT, since=first.id),),
        region=(first.id, second.id),
        remedies=(Remedy(f"put a ReLU behind {first.id}", (Activate((second.id,), "relu"),)),),
        advice="put an activation between the two, or make one layer of them",
        severity=Severity.WARNING if whole else Severity.NOTE,
        definite=True,
    )
