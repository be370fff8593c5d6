"""The rule `gradient-shortcut-cut`: gradients switched off around part of the training forward."""

from __future__ import annotations

from collections.abc import Iterator

from gradlint.rule import (
    SWITCHES,
    Family,
    GraphRule,
    Hypothesis,
    LayerGraph,
    LetThrough,
    Parameter,
    Remedy,
    Span,
    Stop,
    arrival_claims,
    listing,
    parts,
    stops_of,
    unreached,
)


class GradientShortcutCut(GraphRule):
    """Part of the training forward runs under `no_grad` or `inference_mode`.

    Why it is bad:
        What is computed while gradients are switched off is a constant to autograd. The layers
        inside, and all layers in front that have no other way to the loss, get no gradient and keep
        their random values, while the rest of the model learns on top of them. The loss still
        falls, so nobody notices.

    How it is measured:
        One backward pass, for several seeds: the share of the trainable numbers of the layers in
        question that get any gradient, at the start or after one step. It is refuted as soon as one
        of them does.

    What to do:
        Take the layers that shall learn out of the block. If they shall not learn, say so with
        `requires_grad_(False)`: then they are also left out of the optimizer's weight decay, and
        this rule is silent.

    Known limitations:
        Parts that are frozen only by the switch are recognised by their name (`backbone`,
        `teacher`, `target`, `vgg`, `codebook` and so on), as copies of parts that learn, and by
        their class, where an installed package defines it; other random features are reported.
    """

    family = Family.TOPOLOGY
    references = (
        "https://docs.pytorch.org/docs/stable/notes/autograd.html#locally-disabling-gradient-computation",
    )

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for each switch that keeps the gradient from parameters."""
        found: dict[tuple[str, Span | None], list[tuple[Parameter, Stop]]] = {}
        for parameter in unreached(graph):
            switches = [s for s in stops_of(graph, parameter) if s.cause in SWITCHES]
            if switches:
                first = switches[0]
                found.setdefault((first.cause, first.span), []).append((parameter, first))
        for (cause, span), cut in found.items():
            yield _hypothesis(graph, cause, span, cut)

    examples = (
        """
import torch
from torch import nn
import torch.nn.functional as F

class Captioner(nn.Module):
    def __init__(self, features=32, hidden=48, classes=12):
        super().__init__()
        self.conv1 = nn.Conv2d(3, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)
        self.fc = nn.Linear(features, hidden)
        self.head = nn.Linear(hidden, classes)

    def encode(self, images):
        x = F.relu(self.conv1(images))
        x = F.relu(self.conv2(x))
        return x.mean((2, 3))

    def forward(self, images):  # images: (batch, 3, height, width)
        with torch.no_grad():  # confirmed
            x = self.encode(images)
        return self.head(F.relu(self.fc(x)))

def demo():
    return Captioner()(torch.randn(8, 3, 16, 16))
""",
        """
import torch
from torch import nn

class Rescaled(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.first = nn.Linear(10, width)
        self.second = nn.Linear(width, 3)

    @torch.no_grad()
    def normalise(self, x):
        return x / x.norm(dim=1, keepdim=True)

    def forward(self, x):  # x: (batch, 10)
        x = torch.relu(self.first(x))
        x = self.normalise(x)  # confirmed
        return self.second(x)

def demo():
    return Rescaled()(torch.randn(16, 10))
""",
        """
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

class Thrifty(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.stem = nn.Linear(8, width)
        self.body = nn.Sequential(nn.Linear(width, width), nn.ReLU())
        self.head = nn.Linear(width, 2)

    def forward(self, x):  # x: (batch, 8)
        x = torch.relu(self.stem(x))
        x = checkpoint(self.body, x, use_reentrant=True)  # refuted
        return self.head(x)

def demo():
    return Thrifty()(torch.randn(16, 8))
""",
        """
import copy
import torch
from torch import nn

class Bootstrapped(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.online = nn.Sequential(nn.Linear(10, width), nn.ReLU(), nn.Linear(width, width))
        self.offline = copy.deepcopy(self.online)
        self.predictor = nn.Linear(width, width)

    def forward(self, x):  # x: (batch, 10)
        prediction = self.predictor(self.online(x))
        with torch.no_grad():
            wanted = self.offline(x)
        return ((prediction - wanted) ** 2).mean()

class Probe(nn.Module):
    def __init__(self, width=32, classes=4):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(10, width), nn.ReLU())
        self.classifier = nn.Linear(width, classes)

    def forward(self, x):  # x: (batch, 10)
        with torch.no_grad():
            features = self.backbone(x)
        return self.classifier(features)

def demo():
    return Bootstrapped()(torch.randn(16, 10)), Probe()(torch.randn(16, 10))
""",
    )


def _hypothesis(
    graph: LayerGraph, cause: str, span: Span | None, cut: list[tuple[Parameter, Stop]]
) -> Hypothesis:
    parameters = [parameter for parameter, _ in cut]
    paths = parts(graph, parameters)
    return Hypothesis(
        span=span or Span("", 1),
        layer=paths[0],
        message=(
            f"{cause} keeps the gradient from {listing(paths)} "
            f"({len(parameters)} trainable tensors), though the loss is computed from it"
        ),
        claims=tuple(arrival_claims(paths)),
        region=(),  # because it is true whatever else is wrong with these layers
        remedies=(Remedy(f"compute it without {cause}", (LetThrough(),)),),
        advice="take what shall learn out of the block, or freeze it by requires_grad_(False)",
        definite=True,
    )
