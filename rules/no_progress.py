"""The rule `no-progress`: a training setup that does not even learn one batch by heart."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gradlint.rule import (
    Bound,
    Claim,
    Family,
    Hypothesis,
    LayerGraph,
    LoopRule,
    Quantity,
    Role,
    Span,
    StepKind,
    TrainingLoop,
    is_weighted,
    role_of,
)

# Nats. Of 20 small networks that failed with SGD on digits and text, 14 stayed below .03; those
# that were slow mostly reached .15 or more, and healthy ones went beyond 1.
_HEALTHY = Bound(at_least=0.3)
_FAILING = Bound(at_least=0.1)
_MOST = 5e7  # multiplications of one forward pass; a hundred steps then take a second or so


class NoProgress(LoopRule):
    """A small classifier whose own optimizer and learning rate teach it nothing in 100 steps.

    Why it is bad:
        Any network that can be trained learns a handful of samples by heart, even with random
        labels. One that does not has an output that does not depend on its input, a gradient too
        weak for its learning rate, or steps so large that each undoes the last. Real data will not
        be learnt either.

    How it is measured:
        A copy of the model is trained for up to 100 steps with the optimizer and learning rate of
        the loop on one batch of random inputs with fixed random labels, for several seeds; healthy
        ones are done after one seed and some 20 steps. Measured is by how much the output prefers
        each sample's own label to the labels of the others, in nats. Of 20 networks that failed
        with SGD 14 stayed below .1, and of 9 that were slow none did with every seed.

    What to do:
        Other findings often name the cause: saturation, weights that start too small, missing norms
        or skips. Without one, change the learning rate: raise it where the loss stands still, lower
        it where the loss jumps.

    Known limitations:
        Only loops whose optimizer, learning rate and cross entropy are in sight, and models so
        small that a hundred steps take about a second. Recurrent models are left out, because they
        learn a few sequences by their last steps alone.
    """

    family = Family.TRAINING_LOOP
    references = (
        "https://arxiv.org/abs/1611.03530",
        "https://arxiv.org/abs/1611.01232",
    )

    def check(self, loop: TrainingLoop, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for each loop that can be rehearsed in a second."""
        training, place = loop.training, _place(loop)
        known = training.optimizer and training.learning_rate is not None
        if not known or training.loss not in ("CrossEntropyLoss", "cross_entropy"):
            return
        if place is None or not _is_small(graph):
            return
        yield Hypothesis(
            span=place,
            layer="",
            message=(
                f"{training.optimizer} with learning rate {training.learning_rate:g} does not "
                "teach this model the labels of one batch in 100 steps"
            ),
            claims=(Claim(Quantity.LESSON, graph.loss.id, _HEALTHY, error=_FAILING),),
            region=(graph.loss.id, *(layer.id for layer in graph.weighted_trunk)),
            advice="change the learning rate: higher if the loss stands still, lower if it jumps",
        )

    examples = (
        """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(
            nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width)
        )

    def forward(self, x):
        return x + self.body(x)

class Timid(nn.Module):
    def __init__(self, width=32, depth=3):
        super().__init__()
        self.stem = nn.Linear(64, width)
        self.blocks = nn.Sequential(*[Block(width) for _ in range(depth)])
        self.head = nn.Linear(width, 10)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, x):  # x: (batch, 64)
        return self.head(self.blocks(self.stem(x)))

def train(batches):
    model = Timid()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)  # confirmed
    criterion = nn.CrossEntropyLoss()
    for x, y in batches:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()

if __name__ == "__main__":
    train([(torch.randn(16, 64), torch.randint(0, 10, (16,))) for _ in range(10)])
""",
        """
import torch
from torch import nn

class Digits(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))

    def forward(self, x):  # x: (batch, 64)
        return self.net(x)

def train(batches):
    model = Digits()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)  # refuted
    criterion = nn.CrossEntropyLoss()
    for x, y in batches:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()

if __name__ == "__main__":
    train([(torch.randn(16, 64), torch.randint(0, 10, (16,))) for _ in range(10)])
""",
        """
import torch
from torch import nn

class Curve(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, width), nn.Tanh(), nn.Linear(width, 1))

    def forward(self, x):  # x: (batch, 1)
        return self.net(x)

def train(batches):
    model = Curve()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    for x, y in batches:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()

if __name__ == "__main__":
    train([(torch.randn(16, 1), torch.randn(16, 1)) for _ in range(10)])
""",
    )


def _place(loop: TrainingLoop) -> Span | None:
    """The line that makes the optimizer, else the one that steps it."""
    step = loop.step(StepKind.STEP)
    return loop.optimizer_span or (step.span if step else None)


def _is_small(graph: LayerGraph) -> bool:
    """Whether a forward pass takes few multiplications, none of them in a recurrence."""
    work = 0
    for layer in graph.layers:
        if role_of(layer) in (Role.RECURRENT, Role.CELL):
            return False
        weight = graph.weight_of(layer) if is_weighted(layer) else None
        work += math.prod(layer.shape) * weight.fan_in if weight is not None else 0
    return work <= _MOST
