"""The rule `bias-before-norm`: a bias that the next norm subtracts."""

from __future__ import annotations

from collections.abc import Iterator

from gradlint.rule import (
    Bound,
    Claim,
    Family,
    GraphRule,
    Hypothesis,
    Layer,
    LayerGraph,
    Quantity,
    Severity,
    is_weighted,
    name_of,
    site,
)

_FELT = Bound(at_least=-3.5)  # of a cancelled bias only rounding is left, below -4
_SUBTRACTS = ("batchnorm", "syncbatchnorm", "instancenorm")


class BiasBeforeNorm(GraphRule):
    """A layer with a bias directly in front of a norm that subtracts the mean of each channel.

    Why it is bad:
        BatchNorm and InstanceNorm subtract the mean of each channel, and a bias is nothing but a
        part of that mean. It cannot change the output, gets no gradient, and drifts only with
        weight decay: memory and time for nothing. The norm has a bias of its own.

    How it is measured:
        The gradient of the bias relative to the gradient of the layer's weight, in decades, for
        several seeds. Of a bias that is cancelled only rounding errors are left.

    What to do:
        Construct the layer with `bias=False`. Nothing else changes, and saved weights can be loaded
        without the entry.

    Known limitations:
        A note, since it does no harm to training. One layer stands for all of the model. Layers
        whose output also goes elsewhere are not suspected.
    """

    family = Family.NORMALIZATION
    references = ("https://arxiv.org/abs/1502.03167",)

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion about the first biased layer in front of such a norm."""
        found = [layer for layer in graph.layers if _is_cancelled(graph, layer)]
        if found:
            yield _hypothesis(found)

    examples = (
        """
import torch
from torch import nn

class ConvNet(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, padding=1)  # confirmed
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(width)
        self.head = nn.Linear(width, 10)

    def forward(self, images):  # images: (batch, 3, height, width)
        x = torch.relu(self.bn1(self.conv1(images)))
        x = torch.relu(self.bn2(self.conv2(x)))
        return self.head(x.mean((2, 3)))

def demo():
    return ConvNet()(torch.randn(8, 3, 16, 16))
""",
        """
import torch
from torch import nn

class Frozen(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.fc = nn.Linear(8, width)  # refuted
        self.bn = nn.BatchNorm1d(width)
        self.bn.eval()
        self.head = nn.Linear(width, 3)

    def train(self, mode=True):
        super().train(mode)
        self.bn.eval()
        return self

    def forward(self, x):  # x: (batch, 8)
        return self.head(torch.relu(self.bn(self.fc(x))))

def demo():
    return Frozen()(torch.randn(16, 8))
""",
        """
import torch
from torch import nn

class Lean(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.fc1 = nn.Linear(8, width, bias=False)
        self.bn = nn.BatchNorm1d(width)
        self.fc2 = nn.Linear(width, width)
        self.ln = nn.LayerNorm(width)
        self.head = nn.Linear(width, 3)

    def forward(self, x):  # x: (batch, 8)
        x = torch.relu(self.bn(self.fc1(x)))
        return self.head(torch.relu(self.ln(self.fc2(x))))

def demo():
    return Lean()(torch.randn(16, 8))
""",
    )


def _is_cancelled(graph: LayerGraph, layer: Layer) -> bool:
    after = graph.consumers(layer)
    biased = any(parameter.id.endswith(".bias") for parameter in graph.parameters_of(layer))
    if not (biased and is_weighted(layer) and len(after) == 1 and len(graph.calls(layer)) == 1):
        return False
    return name_of(after[0]).startswith(_SUBTRACTS)


def _hypothesis(found: list[Layer]) -> Hypothesis:
    first = found[0]
    more = f", and {len(found) - 1} more like it" if len(found) > 1 else ""
    return Hypothesis(
        span=site([first]),
        layer=first.id,
        message=f"the norm behind {first.id} subtracts its bias{more}",
        claims=(Claim(Quantity.BIAS_GRADIENT, first.id, _FELT),),
        region=(),
        advice="construct the layer with bias=False",
        severity=Severity.NOTE,
    )
