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
    OptimizerFamily,
    Quantity,
    Role,
    Span,
    StepKind,
    TrainingLoop,
    multiplications,
    role_of,
)

# Of 39 small networks that were hard to train on digits and text, 18 of 23 that failed stayed above
# .45, and 14 of 15 slow ones did not. With Adam slow ones reached .7 on larger images, failing 1.
_HEALTHY = Bound(at_most=0.4)
_FAILING = {
    OptimizerFamily.SGD: Bound(at_most=0.45),
    OptimizerFamily.ADAM: Bound(at_most=0.95),
}
_SLOWEST = {OptimizerFamily.SGD: 1e-3, OptimizerFamily.ADAM: 1e-4}  # rates for longer training
_NARROWEST = 8  # two toy models of width 2, which do learn in 5,000 steps, stayed above .6
_MOST = 2e8  # multiplications of one forward pass, so that a step takes some milliseconds


class NoProgress(LoopRule):
    """A small classifier whose own optimizer and learning rate do not teach it one batch.

    Why it is bad:
        Any network that can be trained learns a handful of samples by heart, even with random
        labels. One that does not has an output that does not depend on its input, a gradient too
        weak for its learning rate, or steps so large that each undoes the last. Real data will not
        be learnt either.

    How it is measured:
        A copy of the model is trained for up to 300 steps with the optimizer and learning rate of
        the loop on one batch of random inputs with fixed random labels, for several seeds; healthy
        ones are done after one seed and some 20 to 100 steps. Measured is the loss that is left,
        over the loss of the best constant output: 1 means that the output tells nothing of the
        input. Of 19 hard cases that stayed above .45 with every seed 18 failed on real data.

    What to do:
        Other findings often name the cause: saturation, weights that start too small, missing norms
        or skips. Without one, change the learning rate: raise it where the loss stands still, lower
        it where the loss jumps.

    Known limitations:
        Only loops whose optimizer, learning rate and cross entropy are in sight, and small models.
        Rates below 1e-3 for SGD and 1e-4 for Adam are left alone, because they are meant for longer
        training. So are recurrent models, because they learn a few sequences by their last steps,
        models with a layer narrower than 8, because they need longer, and models whose samples
        have too few numbers for random labels to be told apart.
    """

    family = Family.TRAINING_LOOP
    references = (
        "https://arxiv.org/abs/1611.03530",
        "https://arxiv.org/abs/1611.01232",
    )

    def check(self, loop: TrainingLoop, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for each loop that can be rehearsed in a second."""
        training, place = loop.training, _place(loop)
        rate, slowest = training.learning_rate, _SLOWEST.get(training.family)
        if rate is None or slowest is None or rate < slowest:
            return
        if training.loss not in ("CrossEntropyLoss", "cross_entropy"):
            return
        if place is None or not (_is_small(graph) and _is_wide(graph) and _is_separable(graph)):
            return
        yield Hypothesis(
            span=place,
            layer="",
            message=(
                f"{training.optimizer} with learning rate {rate:g} does not teach this model the "
                "labels of one batch in 300 steps"
            ),
            claims=(
                Claim(
                    Quantity.UNLEARNED_SHARE,
                    graph.loss.id,
                    _HEALTHY,
                    error=_FAILING[training.family],
                ),
            ),
            region=(),
            advice="change the learning rate: higher if the loss stands still, lower if it jumps",
            symptom=True,
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


def _is_separable(graph: LayerGraph) -> bool:
    """Whether a sample has so many numbers that a plane can tell any labels of the batch apart.

    Nearly all labellings of n points in d ≥ n / 2 dimensions are (Cover 1965); two healthy networks
    on pairs of numbers stayed above .5, since nothing learns random labels there so soon.
    """
    shapes = [item.shape for item in graph.inputs if len(item.shape) > 1]
    return any(shape[0] <= 2 * math.prod(shape[1:]) for shape in shapes)


def _is_wide(graph: LayerGraph) -> bool:
    """Whether no hidden layer is so narrow that it may not hold a batch: it takes longer then."""
    weighted = {layer.id for layer in graph.layers if graph.weight_of(layer) is not None}
    narrow = (
        layer.id
        for layer in graph.layers
        if layer.id in weighted and math.prod(layer.shape[1:]) < _NARROWEST
    )
    return not any(graph.behind_all([id]) & (weighted - {id}) for id in narrow)


def _is_small(graph: LayerGraph) -> bool:
    """Whether a forward pass takes few multiplications, none of them in a recurrence."""
    recurrent = any(role_of(layer) in (Role.RECURRENT, Role.CELL) for layer in graph.layers)
    return not recurrent and multiplications(graph) <= _MOST
