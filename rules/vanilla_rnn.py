"""The rule `vanilla-rnn`: a recurrence without gates over a long sequence."""

from __future__ import annotations

from collections.abc import Iterator

from gradlint.rule import (
    ASSUMED_STEPS,
    Bound,
    Claim,
    Family,
    GraphRule,
    Hypothesis,
    Layer,
    LayerGraph,
    Quantity,
    Remedy,
    ReplaceRecurrent,
    Role,
    Ungated,
    length,
    role_of,
    site,
    ungated,
)

_HEALTHY = Bound(
    at_least=-2
)  # vanilla recurrences, recall of the first token: D > -1, 39 of 39 learnt
_FAILING = Bound(at_least=-2.5)  # 36 of 41 vanilla recurrences below it failed, and 6 of 20 above
_FORGET_BIAS = 2.0  # decay a step of an LSTM: -.188 with bias 0, -.059 with 1, -.006 with 2


class VanillaRnn(GraphRule):
    """A recurrence without gates over more steps than its gradient survives.

    Why it is bad:
        Each step back in time multiplies the gradient by the recurrent weight and the slope of the
        activation. With PyTorch's default initialisation of 128 hidden units that loses .23 decades
        a step with tanh and .39 with ReLU, so after a dozen steps three decades are gone and the
        network cannot learn what depends on earlier inputs.

    How it is measured:
        The gradient of the last output at the input of each step, in decades a step, times the
        length of the sequence: the length that the file itself uses, else 100. Below -2 is a
        warning, below -2.5 an error: 36 of 41 recurrences below it failed to recall their first
        input. Where the loop that trains it is in sight, a rehearsal decides between the two: see
        `no-progress`.

    What to do:
        Replace it by an LSTM, and set the bias of the forget gate to 2: an LSTM or GRU as PyTorch
        initialises it forgets nearly as fast. For short sequences an orthogonal recurrent weight
        with tanh is enough.

    Known limitations:
        LSTM and GRU are not suspected, because they learn in spite of a measured decay. A loop
        written by hand is recognised by a weight that is used in five steps or more, one behind the
        other on states of one shape, with an activation and neither gate nor skip between them.
        Iterations that see the same input at every step look for a fixed point and are left alone.
    """

    family = Family.RECURRENT
    references = (
        "https://doi.org/10.1109/72.279181",
        "https://arxiv.org/abs/1211.5063",
        "https://proceedings.mlr.press/v37/jozefowicz15.html",
    )

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for each recurrence without gates."""
        return map(_hypothesis, ungated(graph))

    examples = (
        """
import torch
from torch import nn

class SequenceClassifier(nn.Module):
    def __init__(self, inputs=8, hidden=64, classes=3):
        super().__init__()
        self.rnn = nn.RNN(inputs, hidden, batch_first=True)  # confirmed
        self.head = nn.Linear(hidden, classes)

    def forward(self, x):  # x: (batch, time, 8)
        states, _ = self.rnn(x)
        return self.head(states[:, -1])

def demo():
    model = SequenceClassifier()
    return model(torch.randn(8, 60, 8))
""",
        """
import torch
from torch import nn

class CharRNN(nn.Module):
    def __init__(self, vocabulary=40, hidden=64):
        super().__init__()
        self.hidden = hidden
        self.embed = nn.Embedding(vocabulary, 16)
        self.cell = nn.RNNCell(16, hidden)  # confirmed
        self.out = nn.Linear(hidden, vocabulary)

    def forward(self, tokens):  # tokens: (batch, time)
        h = torch.zeros(tokens.shape[0], self.hidden)
        logits = []
        for t in range(tokens.shape[1]):
            h = self.cell(self.embed(tokens[:, t]), h)
            logits.append(self.out(h))
        return torch.stack(logits, 1)

def demo():
    model = CharRNN()
    return model(torch.randint(0, 40, (8, 32)))
""",
        """
import torch
from torch import nn

class ByHand(nn.Module):
    def __init__(self, inputs=6, hidden=48):
        super().__init__()
        self.hidden = hidden
        self.i2h = nn.Linear(inputs + hidden, hidden)  # confirmed
        self.h2o = nn.Linear(hidden, 2)

    def forward(self, x):  # x: (time, batch, 6)
        h = torch.zeros(x.shape[1], self.hidden)
        for step in x:
            h = torch.tanh(self.i2h(torch.cat((step, h), dim=1)))
        return self.h2o(h)

def demo():
    return ByHand()(torch.randn(40, 8, 6))
""",
        """
import torch
from torch import nn

class FewSteps(nn.Module):
    def __init__(self, inputs=8, hidden=64):
        super().__init__()
        self.rnn = nn.RNN(inputs, hidden, batch_first=True)  # refuted
        self.head = nn.Linear(hidden, 1)

    def forward(self, x):  # x: (batch, time, 8)
        _, last = self.rnn(x)
        return self.head(last[0])

def demo():
    model = FewSteps()
    return model(torch.randn(8, 6, 8))
""",
        """
import torch
from torch import nn

class Orthogonal(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.rnn = nn.RNN(4, hidden, batch_first=True)  # refuted
        nn.init.orthogonal_(self.rnn.weight_hh_l0)
        nn.init.normal_(self.rnn.weight_ih_l0, std=0.05)
        nn.init.zeros_(self.rnn.bias_ih_l0)
        nn.init.zeros_(self.rnn.bias_hh_l0)
        self.head = nn.Linear(hidden, 1)

    def forward(self, x):  # x: (batch, time, 4)
        return self.head(self.rnn(x)[0][:, -1])

def demo():
    return Orthogonal()(torch.randn(8, 40, 4))
""",
        """
import torch
from torch import nn

class Gated(nn.Module):
    def __init__(self, vocabulary=30, hidden=32):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, 16)
        self.lstm = nn.LSTM(16, hidden, batch_first=True)
        self.gru = nn.GRU(hidden, hidden, batch_first=True)
        self.head = nn.Linear(hidden, vocabulary)

    def forward(self, tokens):  # tokens: (batch, time)
        states, _ = self.lstm(self.embed(tokens))
        states, _ = self.gru(states)
        return self.head(states)

def demo():
    return Gated()(torch.randint(0, 30, (8, 50)))
""",
        """
import torch
from torch import nn

class MinimalGated(nn.Module):
    def __init__(self, inputs=4, hidden=24):
        super().__init__()
        self.hidden = hidden
        self.gate = nn.Linear(inputs + hidden, hidden)
        self.candidate = nn.Linear(inputs + hidden, hidden)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x):  # x: (batch, time, 4)
        h = x.new_zeros(x.shape[0], self.hidden)
        for t in range(x.shape[1]):
            both = torch.cat([x[:, t], h], 1)
            keep = torch.sigmoid(self.gate(both))
            h = keep * h + (1 - keep) * torch.tanh(self.candidate(both))
        return self.out(h)

def demo():
    return MinimalGated()(torch.randn(8, 30, 4))
""",
        """
import torch
from torch import nn

class Equilibrium(nn.Module):
    def __init__(self, inputs=16, hidden=32):
        super().__init__()
        self.inject = nn.Linear(inputs, hidden)
        self.step = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, 2)

    def forward(self, x):  # x: (batch, 16)
        injected = self.inject(x)
        z = torch.zeros_like(injected)
        for _ in range(20):
            z = torch.tanh(self.step(z) + injected)
        return self.out(z)

def demo():
    return Equilibrium()(torch.randn(8, 16))
""",
        """
import torch
from torch import nn

class Pyramid(nn.Module):
    def __init__(self, channels=32):
        super().__init__()
        self.embed = nn.Embedding(100, channels)
        self.conv = nn.Conv1d(channels, channels, 3, padding=1)
        self.pool = nn.MaxPool1d(3, 2, padding=1)
        self.head = nn.Linear(channels, 4)

    def forward(self, tokens):  # tokens: (batch, time)
        x = self.conv(torch.relu(self.embed(tokens).transpose(1, 2)))
        while x.shape[2] > 1:
            half = self.pool(x)
            x = half + self.conv(torch.relu(self.conv(torch.relu(half))))
        return self.head(x.squeeze(2))
""",
    )


def _hypothesis(found: Ungated) -> Hypothesis:
    first, measured, steps = found.calls[0], found.measured, found.own or ASSUMED_STEPS
    cell = {Role.RECURRENT: "nn.RNN", Role.CELL: "nn.RNNCell"}.get(role_of(first), "the recurrence")
    return Hypothesis(
        span=site(found.calls),
        layer=first.id,
        message=(
            f"{cell} with {found.activation} over {length(found.own)} "
            "has no gate that keeps the gradient"
        ),
        claims=(
            Claim(Quantity.RECURRENT_DECAY, measured.id, _HEALTHY, error=_FAILING, steps=steps),
        ),
        region=tuple(call.id for call in found.calls),
        remedies=tuple(_remedies(first, cell)) if measured is first else (),
        advice="use an LSTM whose forget gate starts with a bias of 2",
        definite=True,
    )


def _remedies(layer: Layer, cell: str) -> Iterator[Remedy]:
    new = "nn.LSTMCell" if cell == "nn.RNNCell" else "nn.LSTM"
    yield Remedy(
        f"replace {cell} by {new} with forget-gate bias {_FORGET_BIAS:g}",
        (ReplaceRecurrent(layer.id, "LSTM", _FORGET_BIAS),),
    )
