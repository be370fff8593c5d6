"""The rule `dropout-before-batchnorm`: a BatchNorm that remembers a variance it will not meet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
    Severity,
    Span,
    is_weighted,
    name_of,
    role_of,
    site,
)

_SHIFT = Bound(at_least=-0.1, at_most=0.1)  # a quarter more or less


class DropoutBeforeBatchnorm(GraphRule):
    """Dropout in front of a BatchNorm, which then remembers the variance of noisy inputs.

    Why it is bad:
        Dropout with probability p raises the variance of what it passes on, by 1 / (1 - p) and
        more. A BatchNorm behind it learns that variance in its running statistics. At inference the
        dropout is gone and the variance with it, so that every channel comes out too small, and
        accuracy is lost between training and evaluation for no visible reason.

    How it is measured:
        The variance of the norm's input with dropout over that without, on the same samples and
        weights, in decades, for several seeds: a quarter more is a shift.

    What to do:
        Put dropout behind the last BatchNorm, or leave it out: BatchNorm regularises as well. With
        a small p, or many channels behind it, the shift is harmless.

    Known limitations:
        A note, since training itself is sound. Only dropout modules are switched off for the
        comparison, not calls of `torch.nn.functional.dropout`.
    """

    family = Family.NORMALIZATION
    references = ("https://arxiv.org/abs/1801.05134",)

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for each line that builds dropout in front of a BatchNorm."""
        built: dict[Span, list[tuple[Layer, Layer]]] = {}
        for layer in graph.layers:
            dropout = _dropout(graph, layer) if "batchnorm" in name_of(layer) else None
            if dropout is not None:
                built.setdefault(site([dropout]), []).append((dropout, layer))
        yield from (_hypothesis(span, pairs) for span, pairs in built.items())

    examples = (
        """
import torch
from torch import nn

class Classifier(nn.Module):
    def __init__(self, inputs=20, width=64, classes=4):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(inputs, width),
            nn.ReLU(),
            nn.Dropout(0.5),  # confirmed
            nn.Linear(width, width),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Linear(width, classes),
        )

    def forward(self, x):  # x: (batch, 20)
        return self.net(x)

def demo():
    return Classifier()(torch.randn(64, 20))
""",
        """
import torch
from torch import nn

class Careful(nn.Module):
    def __init__(self, inputs=20, width=64, classes=4):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(inputs, width),
            nn.ReLU(),
            nn.Dropout(0.05),  # refuted
            nn.BatchNorm1d(width),
            nn.Linear(width, classes),
        )

    def forward(self, x):  # x: (batch, 20)
        return self.net(x)

def demo():
    return Careful()(torch.randn(64, 20))
""",
        """
import torch
from torch import nn

class Usual(nn.Module):
    def __init__(self, inputs=20, width=64, classes=4):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(inputs, width),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(width, classes),
        )

    def forward(self, x):  # x: (batch, 20)
        return self.net(x)

def demo():
    return Usual()(torch.randn(64, 20))
""",
    )


def _dropout(graph: LayerGraph, norm: Layer) -> Layer | None:
    """The dropout from which one weight at most, and no other norm, leads to the norm."""
    layer, weights = norm, 0
    while len(before := graph.producers(layer)) == 1:
        layer = before[0]
        if role_of(layer) is Role.DROPOUT:
            return layer
        weights += is_weighted(layer)
        if weights > 1 or role_of(layer) is Role.NORM:
            return None
    return None


def _hypothesis(span: Span, pairs: Sequence[tuple[Layer, Layer]]) -> Hypothesis:
    dropout, norm = pairs[-1]  # because the shift adds up from one to the next
    others = len(pairs) - 1
    more = f", as with {others} norm{'s' if others > 1 else ''} before it" if others else ""
    return Hypothesis(
        span=span,
        layer=dropout.id,
        message=(
            f"{norm.id} remembers the variance that {dropout.id} makes, and meets another one "
            f"at inference{more}"
        ),
        claims=(Claim(Quantity.VARIANCE_SHIFT, norm.id, _SHIFT),),
        region=tuple(before.id for before, _ in pairs),
        advice="put the dropout behind the last BatchNorm",
        severity=Severity.NOTE,
    )
