"""The rule `unregistered-parameters`: weights that `parameters()` does not know of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gradlint.rule import (
    Bound,
    Claim,
    Family,
    GraphRule,
    Hypothesis,
    LayerGraph,
    Quantity,
    Register,
    Remedy,
    Severity,
    Span,
    Stray,
)

_NONE = Bound(at_most=0.0)
_INSTEAD = {"dict": "nn.ModuleDict", "tensor": "nn.Parameter"}


class UnregisteredParameters(GraphRule):
    """Layers in a plain list or dict, or trainable tensors that are no `nn.Parameter`.

    Why it is bad:
        A module registers what is assigned to it if that is a module or a parameter. It does not
        look into lists, tuples and dicts, and a plain tensor stays a plain tensor even if it
        requires a gradient. Such weights are missing from `parameters()`, so no optimizer moves
        them; from `state_dict()`, so they are not saved; and from `.to(device)`.

    How it is measured:
        One backward pass, for several seeds: of all numbers that get a gradient, the share that
        `parameters()` does not list. It is refuted if no gradient arrives at the hidden weights, as
        for a teacher that runs under `no_grad`. It is an error only where nothing else is trained:
        transformers whose blocks stayed as they were drawn learnt an easy task as well.

    What to do:
        Put layers into `nn.ModuleList` or `nn.ModuleDict` and wrap tensors in `nn.Parameter`, as
        the last step: `nn.Parameter(0.01 * torch.randn(8))`, since a product of a parameter is a
        plain tensor again.

    Known limitations:
        Silent where code outside of the class names the attribute, because it may hand the weights
        to the optimizer by hand, and for a single module in a list, a usual trick to hide one on
        purpose. Tensors that do not require a gradient are taken for constants.
    """

    family = Family.TOPOLOGY
    references = (
        "https://docs.pytorch.org/docs/stable/notes/modules.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.ModuleList.html",
    )

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for each attribute that hides trainable tensors."""
        hidden: dict[str, list[Stray]] = {}
        for stray in graph.strays:
            if stray.requires_grad and not stray.named_outside:
                hidden.setdefault(stray.part, []).append(stray)
        for part, found in hidden.items():
            yield _hypothesis(part, found, alone=not any(p.requires_grad for p in graph.parameters))

    examples = (
        """
import torch
from torch import nn
import torch.nn.functional as F

class Listed(nn.Module):
    def __init__(self, inputs=10, hidden=32, depth=3):
        super().__init__()
        self.stem = nn.Linear(inputs, hidden)
        self.layers = []
        for _ in range(depth):
            self.layers.append(nn.Linear(hidden, hidden))  # confirmed
        self.head = nn.Linear(hidden, 2)

    def forward(self, x):  # x: (batch, 10)
        x = F.relu(self.stem(x))
        for layer in self.layers:
            x = F.relu(layer(x))
        return self.head(x)

def demo():
    return Listed()(torch.randn(16, 10))
""",
        """
import torch
from torch import nn

class Attention(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.project = nn.Linear(width, width)
        self.query = torch.randn(width, requires_grad=True)  # confirmed
        self.scale = nn.Parameter(torch.ones(width)) * 0.1  # confirmed
        self.out = nn.Linear(width, 3)

    def forward(self, x):  # x: (batch, time, 16)
        keys = torch.tanh(self.project(x)) * self.scale
        weights = torch.softmax(keys @ self.query, dim=1)
        return self.out((weights.unsqueeze(-1) * x).sum(1))

def demo():
    return Attention()(torch.randn(8, 12, 16))
""",
        """
import torch
from torch import nn

class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.branches = {
            "narrow": nn.Conv1d(4, 8, 1),  # confirmed
            "wide": nn.Conv1d(4, 8, 5, padding=2),
        }
        self.head = nn.Linear(16, 2)

    def forward(self, x):  # x: (batch, 4, time)
        x = torch.cat([branch(x) for branch in self.branches.values()], 1)
        return self.head(torch.relu(x).mean(-1))

def demo():
    return Branches()(torch.randn(8, 4, 20))
""",
        """
import torch
from torch import nn

class Distilled(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.student = nn.Linear(10, width)
        self.teachers = [nn.Linear(10, width) for _ in range(3)]  # refuted
        self.head = nn.Linear(width, 4)

    def forward(self, x):  # x: (batch, 10)
        h = torch.tanh(self.student(x))
        with torch.no_grad():
            wanted = sum(torch.tanh(teacher(x)) for teacher in self.teachers) / 3
        return self.head(h), ((h - wanted) ** 2).mean()

def demo():
    return Distilled()(torch.randn(16, 10))
""",
        """
import torch
from torch import nn

class Registered(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(3))
        self.order = [self.layers[0], self.layers[2], self.layers[1]]
        self.scale = nn.Parameter(0.1 * torch.ones(width))
        self.frequencies = torch.randn(width)

    def forward(self, x):  # x: (batch, 16)
        x = torch.sin(x * self.frequencies)
        for layer in self.order:
            x = torch.relu(layer(x))
        return x * self.scale

class ByHand(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.heads = [nn.Linear(width, 1), nn.Linear(width, 1)]
        self.body = nn.Linear(width, width)

    def forward(self, x):  # x: (batch, 16)
        x = torch.relu(self.body(x))
        return [head(x) for head in self.heads]

def train():
    model = ByHand()
    heads = [p for head in model.heads for p in head.parameters()]
    optimizer = torch.optim.Adam([*model.parameters(), *heads])
    return Registered()(torch.randn(16, 16)), model(torch.randn(16, 16)), optimizer
""",
    )


def _hypothesis(part: str, found: Sequence[Stray], *, alone: bool) -> Hypothesis:
    held = found[0].held
    instead = _INSTEAD.get(held, "nn.ModuleList")
    count = f"{len(found)} trainable tensor" + "s" * (len(found) > 1)
    where = (
        f"{count} in the plain {held} {part}" if held != "tensor" else f"the plain tensor {part}"
    )
    return Hypothesis(
        span=found[0].span or Span("", 1),
        layer=part,
        message=f"parameters() does not list {where}, so that no optimizer moves what it holds",
        claims=(Claim(Quantity.STRAY_SHARE, part, _NONE, error=_NONE),),
        region=(),  # because it is true whatever else is wrong with these layers
        remedies=(Remedy(f"make {part} an {instead}", (Register(part),)),),
        severity=Severity.ERROR if alone else Severity.WARNING,
        definite=True,
    )
