"""The rule `no-progress`: a training setup that does not even learn a simple task."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gradlint.rule import (
    Bound,
    Claim,
    Family,
    Hypothesis,
    Layer,
    LayerGraph,
    LoopRule,
    OptimizerFamily,
    Quantity,
    Remedy,
    Role,
    SetGateBias,
    Severity,
    Span,
    StepKind,
    Training,
    TrainingLoop,
    blurs,
    gated,
    is_separable,
    is_wide,
    name_of,
    recurs,
    role_of,
    ungated,
    work,
)

# Of networks for digits and text that failed with Adam at their loops' own rates 12 of 14 left over
# .8, the others .73. Slow ones left .78 or less, but for two transformers that left .84 and 1.
_HEALTHY = Bound(at_most=0.6)
_FAILING = Bound(at_most=0.8)
# A sound network with a mean over 28 x 28 places came down to .93, a sound recurrence of two layers
# over 60 steps with SGD at .1 to .88.
_NOTHING = Bound(at_most=0.95)
# Rates below are meant for longer training: a sound network of three layers learns nothing of the
# task in 300 steps with SGD at .003, and half with Adam at .0001.
_SLOWEST = {OptimizerFamily.SGD: 5e-2, OptimizerFamily.ADAM: 3e-4}
_MOST = 5e7  # multiplications of one forward pass, so that a step takes some milliseconds
_BATCHES = (64, 32, 16)  # samples: fewer tell too little of a class in 300 steps
_SEQUENCES = 32
_LONGEST = 50  # steps of a sequence: of longer ones a second task takes too many seconds
_REMEMBERS = Bound(at_least=-2)  # decades, as `vanilla-rnn` has it
_FORGETS = Bound(at_least=-2.5)  # the same
# One of four symbols that is not told from the others leaves a third. What is recalled in part does
# not last where the memory is gone: four of four such programs failed, with .35 to .73 left of it.
_RECALLS = Bound(at_most=0.3)
_KEEPS = Bound(at_least=-1)  # decades: of 39 recurrences above it each one learnt to recall
_GATED_LONGEST = 16  # steps: over more the gates lose three decades, of which other rules speak
_GATE_BIAS = 2.0  # decay a step of an LSTM: -.188 with bias 0, -.059 with 1, -.006 with 2


class NoProgress(LoopRule):
    """A small classifier whose own optimizer and learning rate teach it next to nothing.

    Why it is bad:
        Any network that can be trained learns to tell ten fixed patterns apart within a few hundred
        steps. One that does not has an output that does not depend on its input, a gradient too
        weak for its learning rate, or steps so large that each undoes the last. Real data will not
        be learnt either.

    How it is measured:
        A copy of the model is trained for up to 300 steps with the optimizer and learning rate of
        the loop, for several seeds, on fresh batches of a simple task: numbers carry the pattern of
        one of ten classes under noise, beside what all samples have in common, and tokens stand for
        a class each. Healthy models are done after one seed and some 30 to 100 steps, with SGD
        after twice as many, because what was learnt has to last. Measured is what is left to learn,
        by the loss or by the wrong answers, whichever is less: 1 means that the output tells
        nothing of the input. Above .6 is a warning, above .8 an error; of convolutions that end in
        a mean over many places, which blurs patterns, and of recurrences above .95.

        A recurrence without gates has to recall the first step of its sequence as well, in up to
        500 steps; over more than 50 only that is rehearsed. Where more than .3 is left of that, and
        the gradient has lost two decades over the sequence by then, it cannot learn to remember: be
        it that the gradient vanished from the start, or that large steps have saturated the states.
        With .8 left, or 2.5 decades lost, it is an error. Of a layer with gates over 16 steps or
        fewer it is a note, with .6 left and from one decade: over more, other rules speak of the
        gates alone.

        Where the task is learnt, findings of other rules about weak or strong signals are warnings;
        those about a gradient that vanishes over time only where the first step is recalled, if
        only in part, from at least half of the initialisations: by luck one of them may recall what
        most forget, so that up to three are rehearsed.

    What to do:
        Other findings often name the cause: saturation, weights that start too small, missing norms
        or skips. Without one, change the learning rate: raise it where the loss stands still, lower
        it where the loss jumps.

    Known limitations:
        Only loops whose optimizer, learning rate and cross entropy are in sight, and small models
        of one input. Rates below .05 for SGD, times the steps that its momentum adds up, and below
        3e-4 for Adam are left alone, because they are meant for longer training. So are models with
        a layer narrower than 8, because they need longer, and models whose samples have too few
        numbers for ten patterns to lie apart. Recurrences with gates may learn to remember in more
        steps than are rehearsed.
    """

    family = Family.TRAINING_LOOP
    references = (
        "https://arxiv.org/abs/1611.01232",
        "https://arxiv.org/abs/2002.09572",
    )

    def check(self, loop: TrainingLoop, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for each loop that can be rehearsed in some seconds."""
        training, place = loop.training, _place(loop)
        rate, slowest = training.learning_rate, _SLOWEST.get(training.family)
        if place is None or rate is None or slowest is None or _lasting(training) < slowest:
            return
        if training.loss not in ("CrossEntropyLoss", "cross_entropy"):
            return
        for task in _tasks(graph):
            yield Hypothesis(
                span=place,
                layer="",
                message=(
                    f"{task.steps} steps of {training.optimizer} with learning rate {rate:g} "
                    f"{task.shortfall}"
                ),
                claims=task.claims,
                region=(),
                remedies=task.remedies,
                advice=(
                    "change the learning rate: higher if the loss stands still, lower if it jumps"
                ),
                severity=task.severity,
                symptom=True,
            )

    examples = (
        """
import torch
from torch import nn

class Hasty(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, 10),
        )

    def forward(self, x):  # x: (batch, 64)
        return self.net(x)

def train(batches):
    model = Hasty()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)  # confirmed
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

class Forgetful(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.rnn = nn.RNN(8, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 4)

    def forward(self, x):  # x: (batch, 40, 8)
        return self.head(self.rnn(x)[0][:, -1])

def train():
    model = Forgetful()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)  # confirmed
    criterion = nn.CrossEntropyLoss()
    for _ in range(10):
        x, y = torch.randn(16, 40, 8), torch.randint(0, 4, (16,))
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()

if __name__ == "__main__":
    train()
""",
        """
import torch
from torch import nn

class Mindful(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.embed = nn.Embedding(4, 16)
        self.rnn = nn.RNN(16, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 4)

    def forward(self, tokens):  # tokens: (batch, 12)
        return self.head(self.rnn(self.embed(tokens))[0][:, -1])

def train():
    model = Mindful()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)  # refuted
    criterion = nn.CrossEntropyLoss()
    for _ in range(10):
        tokens = torch.randint(0, 4, (32, 12))
        optimizer.zero_grad()
        loss = criterion(model(tokens), tokens[:, 0])
        loss.backward()
        optimizer.step()

if __name__ == "__main__":
    train()
""",
        """
import torch
from torch import nn

class Bursting(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.embed = nn.Embedding(4, 16)
        self.rnn = nn.RNN(16, hidden, batch_first=True, nonlinearity="relu")
        self.head = nn.Linear(hidden, 4)
        nn.init.eye_(self.rnn.weight_hh_l0)

    def forward(self, tokens):  # tokens: (batch, 30)
        return self.head(self.rnn(self.embed(tokens))[0][:, -1])

def train():
    model = Bursting()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)  # confirmed
    criterion = nn.CrossEntropyLoss()
    for _ in range(10):
        tokens = torch.randint(0, 4, (32, 30))
        optimizer.zero_grad()
        loss = criterion(model(tokens), tokens[:, 0])
        loss.backward()
        optimizer.step()

if __name__ == "__main__":
    train()
""",
        """
import torch
from torch import nn

class SlowToOpen(nn.Module):
    def __init__(self, hidden=16):
        super().__init__()
        self.embed = nn.Embedding(4, 16)
        self.lstm = nn.LSTM(16, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 4)

    def forward(self, tokens):  # tokens: (batch, 10)
        return self.head(self.lstm(self.embed(tokens))[0][:, -1])

def train():
    model = SlowToOpen()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)  # confirmed
    criterion = nn.CrossEntropyLoss()
    for _ in range(10):
        tokens = torch.randint(0, 4, (32, 10))
        optimizer.zero_grad()
        loss = criterion(model(tokens), tokens[:, 0])
        loss.backward()
        optimizer.step()

if __name__ == "__main__":
    train()
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


def _lasting(training: Training) -> float:
    """How far a steady gradient moves a weight: momentum m adds up to 1 / (1 - m) steps."""
    momentum = float(dict(training.arguments).get("momentum", 0.0))
    return (training.learning_rate or 0.0) / max(1.0 - momentum, 1e-3)


@dataclass(frozen=True, slots=True)
class _Task:
    """What a model should learn in so many steps, and what is claimed and tried if it does not."""

    shortfall: str
    steps: int
    claims: tuple[Claim, ...]
    severity: Severity = Severity.ERROR
    remedies: tuple[Remedy, ...] = ()


def _tasks(graph: LayerGraph) -> Iterator[_Task]:
    nothing = "teach this model next to nothing of a simple task"
    forgets = "do not teach this model to recall the first step of its sequence"
    if not recurs(graph):
        if claims := _learning(graph):
            yield _Task(nothing, 300, claims)
    elif claims := _recalling(graph):
        yield _Task(forgets, 500, claims)
        if all(claim.steps <= _LONGEST for claim in claims):
            yield _Task(nothing, 300, _starting(graph))
    elif found := _gated(graph):
        layer, steps = found
        claims = _recall(graph, layer, steps, _KEEPS)
        yield _Task(forgets, 500, claims, Severity.NOTE, (_opened(layer),))


def _learning(graph: LayerGraph) -> tuple[Claim, ...]:
    """That the model learns the patterns; no claim where it is too large, narrow or few-sided."""
    if not (is_wide(graph) and is_separable(graph)):
        return ()
    each = work(graph) / max(graph.inputs[0].shape[0], 1)
    batch = next((size for size in _BATCHES if size * each <= _MOST), 0)
    if not batch:
        return ()
    claim = _unlearned(graph, batch=batch)
    return (replace(claim, bound=_NOTHING, error=_NOTHING) if blurs(graph) else claim,)


def _recalling(graph: LayerGraph) -> tuple[Claim, ...]:
    """That a recurrence without gates recalls its first step, or its gradient still reaches it."""
    found = list(ungated(graph))
    if len(found) != 1 or _stacked(graph) or not found[0].own or work(graph) > _MOST:
        return ()
    unlearned, decay = _recall(graph, found[0].measured, found[0].own, _REMEMBERS)
    return (replace(unlearned, bound=_RECALLS), replace(decay, error=_FORGETS))


def _gated(graph: LayerGraph) -> tuple[Layer, int] | None:
    """The only recurrent layer and the steps of its sequence, where it has gates and few steps."""
    found = [*gated(graph, "lstm"), *gated(graph, "gru")]
    if len(found) != 1 or _stacked(graph) or work(graph) > _MOST:
        return None
    return found[0] if 0 < found[0][1] <= _GATED_LONGEST else None


def _stacked(graph: LayerGraph) -> bool:
    return sum(role_of(layer) is Role.RECURRENT for layer in graph.layers) > 1


def _recall(graph: LayerGraph, layer: Layer, steps: int, bound: Bound) -> tuple[Claim, Claim]:
    decay = Claim(Quantity.TRAINED_DECAY, layer.id, bound, steps=steps, batch=_SEQUENCES)
    return (_unlearned(graph, steps=steps, batch=_SEQUENCES), decay)


def _opened(layer: Layer) -> Remedy:
    gate = "forget" if name_of(layer).startswith("lstm") else "update"
    title = f"start the {gate} gate's bias at {_GATE_BIAS:g}"
    return Remedy(title, (SetGateBias(layer.id, _GATE_BIAS),))


def _starting(graph: LayerGraph) -> tuple[Claim, ...]:
    """That a recurrence learns something of what every step tells, however little it keeps."""
    return (replace(_unlearned(graph, batch=_SEQUENCES), bound=_NOTHING, error=_NOTHING),)


def _unlearned(graph: LayerGraph, *, batch: int, steps: int = 0) -> Claim:
    return Claim(
        Quantity.UNLEARNED_SHARE,
        graph.loss.id,
        _HEALTHY,
        error=_FAILING,
        batch=batch,
        steps=steps,
    )
