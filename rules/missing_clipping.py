"""The rule `missing-clipping`: a training loop whose gradients spike with nothing to stop them."""

from __future__ import annotations

from collections.abc import Iterator

from gradlint.rule import (
    Bound,
    Claim,
    ClipGradients,
    Family,
    Hypothesis,
    Layer,
    LayerGraph,
    LoopRule,
    OptimizerFamily,
    Quantity,
    Remedy,
    Role,
    Span,
    StepKind,
    TrainingLoop,
    attends,
    repeats,
    role_of,
)

# Decades over the loss at the start. Of 150 small networks (MLP, RNN, LSTM; SGD, momentum, Adam;
# learning rates from 3e-4 to 10) trained on one batch for 150 steps, 1 of 123 below 1 had learnt
# nothing at the end, 23 of 27 above 1, and 20 of 23 above 2.
_HEALTHY = Bound(at_most=1)
_FAILING = Bound(at_most=2)
_HIGH_RATES = {
    OptimizerFamily.SGD: 0.1,
    OptimizerFamily.ADAM: 1e-2,
}  # from here on any model is probed
_MAX_NORMS = (1.0, 0.25)  # the Hugging Face Trainer's default; PyTorch's language model example


class MissingClipping(LoopRule):
    """A training loop without gradient clipping around a model whose first steps blow up.

    Why it is bad:
        Recurrent networks and high learning rates meet walls in the loss: one batch gives a
        gradient a hundred times larger than the last, the step throws the weights far away, and
        training diverges or starts over. Clipping the norm bounds that step and costs nothing where
        nothing happens.

    How it is measured:
        A copy of the model is trained for 20 steps with the optimizer, learning rate and loss of
        the loop, on one fixed batch, for several seeds. Claimed is that the loss rises to ten times
        its start or more, and that the same 20 steps with clipping do not: where clipping cures
        nothing, nothing is missing.

    What to do:
        Call `torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)` between `backward()` and
        `step()`; with a GradScaler, after `scaler.unscale_(optimizer)`. Lightning:
        `Trainer(gradient_clip_val=1.0)`. If clipping does not cure it, lower the learning rate.

    Known limitations:
        Suspected are only models with recurrence or attention, and loops with a high learning
        rate (over .1 for SGD, .01 for Adam). Spikes that need real data or more than 20 steps are
        not seen.
    """

    family = Family.TRAINING_LOOP
    references = (
        "https://arxiv.org/abs/1211.5063",
        "https://arxiv.org/abs/1905.11881",
    )

    def check(self, loop: TrainingLoop, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for a loop that does not clip and has a reason to."""
        place = _place(loop)
        reason = _reason(loop, graph)
        if loop.clips or place is None or not reason:
            return
        yield Hypothesis(
            span=place,
            layer="",
            message=f"no gradient clipping in the training loop of {reason}",
            claims=(Claim(Quantity.TRAINING_SPIKE, graph.loss.id, _HEALTHY, error=_FAILING),),
            region=(graph.loss.id,),
            remedies=tuple(
                Remedy(_title(loop, norm), (ClipGradients(norm),)) for norm in _MAX_NORMS
            ),
            advice="lower the learning rate",
            only_if_cured=True,
        )

    examples = (
        """
import torch
from torch import nn

class Forecaster(nn.Module):
    def __init__(self, inputs=8, hidden=64):
        super().__init__()
        self.rnn = nn.RNN(inputs, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 1)

    def forward(self, x):  # x: (batch, time, 8)
        states, _ = self.rnn(x)
        return self.head(states[:, -1])

def train(batches):
    model = Forecaster()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    criterion = nn.MSELoss()
    for x, y in batches:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()  # confirmed

if __name__ == "__main__":
    train([(torch.randn(16, 30, 8), torch.randn(16, 1)) for _ in range(10)])
""",
        """
import torch
import torch.nn.functional as F
from torch import nn

class HotRegressor(nn.Module):
    def __init__(self, inputs=8, hidden=128):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(inputs, hidden), nn.ReLU(),
            nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, 1),
        )

    def forward(self, x):  # x: (batch, 8)
        return self.net(x)

def fit(model, batches):
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    for x, y in batches:
        loss = F.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()  # confirmed

if __name__ == "__main__":
    fit(HotRegressor(), [(torch.randn(16, 8), torch.randn(16, 1)) for _ in range(10)])
""",
        """
import torch
from torch import nn

class Tagger(nn.Module):
    def __init__(self, vocabulary=50, tags=5, hidden=32):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, 16)
        self.lstm = nn.LSTM(16, hidden, batch_first=True)
        self.tag = nn.Linear(hidden, tags)

    def forward(self, tokens):  # tokens: (batch, time)
        states, _ = self.lstm(self.embed(tokens))
        return self.tag(states[:, -1])

def train(batches):
    model = Tagger()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()
    for tokens, tags in batches:
        optimizer.zero_grad()
        criterion(model(tokens), tags).backward()
        optimizer.step()  # refuted

if __name__ == "__main__":
    train([(torch.randint(0, 50, (8, 12)), torch.randint(0, 5, (8,))) for _ in range(10)])
""",
        """
import torch
from torch import nn

class Clipped(nn.Module):
    def __init__(self, inputs=8, hidden=64):
        super().__init__()
        self.rnn = nn.RNN(inputs, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 1)

    def forward(self, x):  # x: (batch, time, 8)
        return self.head(self.rnn(x)[0][:, -1])

def train(batches):
    model = Clipped()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    criterion = nn.MSELoss()
    for x, y in batches:
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

if __name__ == "__main__":
    train([(torch.randn(16, 30, 8), torch.randn(16, 1)) for _ in range(10)])
""",
        """
import torch
from torch import nn

class Digits(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3)
        self.fc = nn.Linear(8 * 13 * 13, 10)

    def forward(self, images):  # images: (batch, 1, 28, 28)
        x = torch.max_pool2d(torch.relu(self.conv(images)), 2)
        return self.fc(x.flatten(1))

def main(batches):
    model = Digits()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.5)
    for images, labels in batches:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()

if __name__ == "__main__":
    main([(torch.randn(8, 1, 28, 28), torch.randint(0, 10, (8,))) for _ in range(10)])
""",
    )


def _place(loop: TrainingLoop) -> Span | None:
    """The optimizer's step, else the backward pass; the loop where a framework makes both."""
    if loop.framework:
        return loop.span
    step, backward = loop.step(StepKind.STEP), loop.step(StepKind.BACKWARD)
    return step.span if step and backward else None


def _reason(loop: TrainingLoop, graph: LayerGraph) -> str:
    """Why clipping matters for this model and loop, "" where nothing says so."""
    if any(_recurs(graph, layer) for layer in graph.layers):
        return "a recurrent model"
    if any(attends(graph, layer) for layer in graph.layers):
        return "a model with attention"
    rate = loop.training.learning_rate
    if rate is not None and rate > _HIGH_RATES.get(loop.training.family, float("inf")):
        return f"a model that {loop.training.optimizer} trains with the high learning rate {rate:g}"
    return ""


def _recurs(graph: LayerGraph, layer: Layer) -> bool:
    if role_of(layer) in (Role.RECURRENT, Role.CELL):
        return True
    return role_of(layer) is Role.DENSE and repeats(graph, layer)


def _title(loop: TrainingLoop, norm: float) -> str:
    if loop.framework == "lightning":
        return f"pass gradient_clip_val={norm} to the Trainer"
    return f"clip the gradient norm to {norm} between backward() and step()"
