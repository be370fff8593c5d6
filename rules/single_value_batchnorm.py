"""The rule `single-value-batchnorm`: norms over one or two values, whose output says nothing."""

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
    Role,
    name_of,
    role_of,
    site,
)

_ENOUGH = Bound(at_least=3)
_ONE = Bound(at_least=2)  # two values still pass which of them is larger
_WITHOUT_POSITIONS = ("batchnorm", "groupnorm", "instancenorm", "syncbatchnorm")


class SingleValueBatchnorm(GraphRule):
    """A norm that takes its mean and variance over a single value, or over two.

    Why it is bad:
        A value minus the mean of itself is zero: the norm of one value is its bias, whatever comes
        in, and no gradient passes. Of two values it is plus or minus one: a sign, whose derivative
        is zero too. That happens to BatchNorm behind global pooling with batches of one or two, to
        GroupNorm with as many groups as channels on vectors, and to LayerNorm over an axis of one.

    How it is measured:
        The number of values behind each mean and variance at the norm in question, in the running
        model: positions and channels are those of the traced pass, samples those of the batches
        that the file's DataLoader makes. It is refuted from three values on.

    What to do:
        BatchNorm: use larger batches and `drop_last=True`, or a GroupNorm with several channels a
        group. GroupNorm: take fewer groups. LayerNorm: normalise the axis of the features.

    Known limitations:
        Batches are known only where a DataLoader of the file states them. Maps of one pixel are
        believed where the inputs are the file's own, or where pooling makes them.
    """

    family = Family.NORMALIZATION
    references = (
        "https://arxiv.org/abs/1502.03167",
        "https://arxiv.org/abs/1803.08494",
    )

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for each norm that may see too few values."""
        for layer in graph.layers:
            if (
                role_of(layer) is Role.NORM
                and layer.op.startswith("torch.nn.")
                and (_is_narrow(layer) or _is_vector(graph, layer))
            ):
                yield _hypothesis(graph, layer)

    examples = (
        """
import torch
from torch import nn

class Grouped(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1)
        self.fc = nn.Linear(width, width)
        self.norm = nn.GroupNorm(width, width)  # confirmed
        self.head = nn.Linear(width, 10)

    def forward(self, images):  # images: (batch, 3, height, width)
        x = torch.relu(self.conv(images)).mean((2, 3))
        return self.head(torch.relu(self.norm(self.fc(x))))

class Forecast(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.fc = nn.Linear(12, width)
        self.out = nn.Linear(width, 1)
        self.norm = nn.LayerNorm(1)  # confirmed

    def forward(self, x):  # x: (batch, 12)
        return self.norm(self.out(torch.relu(self.fc(x))))

def demo():
    return Grouped()(torch.randn(8, 3, 16, 16)), Forecast()(torch.randn(8, 12))
""",
        """
import torch
from torch import nn
from torch.utils.data import DataLoader

class Context(nn.Module):
    def __init__(self, width=16, classes=5):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.squeeze = nn.Conv2d(width, width, 1)
        self.bn = nn.BatchNorm2d(width)  # confirmed
        self.out = nn.Conv2d(2 * width, classes, 1)

    def forward(self, images):  # images: (batch, 3, height, width)
        x = torch.relu(self.conv(images))
        context = torch.relu(self.bn(self.squeeze(self.pool(x))))
        return self.out(torch.cat([x, context.expand_as(x)], 1))

def train(dataset):
    model = Context()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for images, labels in DataLoader(dataset, batch_size=2, shuffle=True):
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
""",
        """
import torch
from torch import nn

class FewGroups(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.fc = nn.Linear(12, width)
        self.norm = nn.GroupNorm(4, width)  # refuted
        self.head = nn.Linear(width, 3)

    def forward(self, x):  # x: (batch, 12)
        return self.head(torch.relu(self.norm(self.fc(x))))

def demo():
    return FewGroups()(torch.randn(8, 12))
""",
        """
import torch
from torch import nn

class Usual(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1)
        self.bn = nn.BatchNorm2d(width)
        self.instance = nn.InstanceNorm2d(width)
        self.fc = nn.Linear(width, width)
        self.ln = nn.LayerNorm(width)
        self.head = nn.Linear(width, 3)

    def forward(self, images):  # images: (batch, 3, height, width)
        x = torch.relu(self.instance(self.bn(self.conv(images))))
        return self.head(torch.relu(self.ln(self.fc(x.mean((2, 3))))))

def demo():
    return Usual()(torch.randn(8, 3, 16, 16))
""",
    )


def _is_narrow(layer: Layer) -> bool:
    """Whether it normalises a last axis of one or two."""
    return name_of(layer) == "layernorm" and layer.shape[-1] <= 2


def _is_vector(graph: LayerGraph, layer: Layer) -> bool:
    """Whether it normalises channels that have no more than one position, and is meant to."""
    if not name_of(layer).startswith(_WITHOUT_POSITIONS) or any(n > 1 for n in layer.shape[2:]):
        return False
    if name_of(layer).startswith(("batchnorm", "syncbatchnorm")) and not graph.batch_size:
        return False
    return len(layer.shape) == 2 or graph.own_inputs or _is_pooled(graph, layer)


def _is_pooled(graph: LayerGraph, layer: Layer) -> bool:
    """Whether pooling, not small inputs, brought the maps in front of it to one pixel."""
    while producers := graph.producers(layer):
        layer = producers[0]
        if any(size > 1 for size in layer.shape[2:]):
            return False
        if name_of(layer).startswith("adaptive") or name_of(layer) == "mean":
            return True
    return False


def _hypothesis(graph: LayerGraph, layer: Layer) -> Hypothesis:
    batch = graph.batch_size if "batchnorm" in name_of(layer) else 0
    sized = f" in batches of {batch}" if batch else ""
    return Hypothesis(
        span=site([layer]),
        layer=layer.id,
        message=(
            f"{layer.op.rpartition('.')[2]} takes its mean and variance over too few values"
            f"{sized}, so that nothing of its input passes"
        ),
        claims=(Claim(Quantity.NORMALIZED_VALUES, layer.id, _ENOUGH, error=_ONE, batch=batch),),
        region=(layer.id,),
        advice="normalise over more values: larger batches, fewer groups, or the other axis",
        definite=True,
    )
