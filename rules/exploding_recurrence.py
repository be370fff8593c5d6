"""The rule `exploding-recurrence`: a gradient that grows with every step back in time."""

from __future__ import annotations

import math
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
    Orthogonalise,
    Parameter,
    Quantity,
    Remedy,
    ReplaceRecurrent,
    Role,
    Span,
    between_steps,
    length,
    loops,
    name_of,
    own_steps,
    own_turns,
    role_of,
    site,
)

_CRITICAL = 1.05  # σ_w² of an orthogonal weight is 1; below, no recurrence was seen to explode
_HEALTHY = Bound(at_most=2)  # decades over the sequence, as far as a vanilla recurrence may decay
_FAILING = Bound(at_most=3)
_FORGET_BIAS = 2.0
_GATED = {"lstm": "nn.LSTM", "gru": "nn.GRU", "lstmcell": "nn.LSTMCell", "grucell": "nn.GRUCell"}


class ExplodingRecurrence(GraphRule):
    """A recurrence whose weight multiplies the gradient by more than one at each step.

    Why it is bad:
        What one step adds to the gradient, the next one multiplies. A recurrent weight whose
        largest eigenvalue is 1.2 makes the gradient of a sequence of 50 steps 9000 times larger, so
        the first inputs drown all others and one step of the optimizer throws the weights away.
        Clipping the gradient keeps the numbers finite, but what is clipped is mostly noise.

    How it is measured:
        The gradient of the last output at the input of each step, in decades a step, times the
        length of the sequence: the length that the file itself uses, else 100. Above 2 decades is a
        warning, above 3 an error. The direction is wrong for SGD and Adam alike.

    What to do:
        Draw the weight between the steps as an orthogonal matrix, with gain 1 for tanh, or take an
        LSTM. And clip the norm of the gradient, because weights grow again during training.

    Known limitations:
        Only recurrences whose weight is larger than an orthogonal one at the start are suspected. A
        weight that grows during training is the business of missing-clipping. Loops that see the
        same input at every step, and layers that share a weight, are judged by the steps that they
        take, not by 100.
    """

    family = Family.RECURRENT
    references = (
        "https://arxiv.org/abs/1211.5063",
        "https://doi.org/10.1109/72.279181",
        "https://arxiv.org/abs/1504.00941",
    )

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for each recurrence with a large weight between its steps."""
        for layer in graph.layers:
            if role_of(layer) is Role.RECURRENT:
                yield from _suspicion(graph, (layer,), own_steps(graph, layer))
        for calls in loops(graph):
            yield from _suspicion(graph, calls, own_turns(graph, calls))

    examples = (
        """
import torch
from torch import nn

class LargeRecurrentWeight(nn.Module):
    def __init__(self, inputs=6, hidden=64):
        super().__init__()
        self.rnn = nn.RNN(inputs, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 3)
        nn.init.normal_(self.rnn.weight_hh_l0, std=0.4)  # confirmed

    def forward(self, x):  # x: (batch, time, 6)
        return self.head(self.rnn(x)[0][:, -1])

def demo():
    return LargeRecurrentWeight()(torch.randn(8, 60, 6))
""",
        """
import torch
from torch import nn

class LoopByHand(nn.Module):
    def __init__(self, inputs=10, hidden=48):
        super().__init__()
        self.hidden = hidden
        self.cell = nn.RNNCell(inputs, hidden, nonlinearity="relu")
        self.out = nn.Linear(hidden, 2)
        for name, parameter in self.cell.named_parameters():
            if "weight" in name:
                nn.init.xavier_normal_(parameter, gain=2.0)  # confirmed

    def forward(self, x):  # x: (batch, time, 10)
        h = x.new_zeros(x.shape[0], self.hidden)
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
        return self.out(h)

def demo():
    return LoopByHand()(torch.randn(8, 50, 10))
""",
        """
import torch
from torch import nn

class ShortSequence(nn.Module):
    def __init__(self, inputs=6, hidden=64):
        super().__init__()
        self.rnn = nn.RNN(inputs, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 3)
        nn.init.normal_(self.rnn.weight_hh_l0, std=0.2)  # refuted

    def forward(self, x):  # x: (batch, time, 6)
        return self.head(self.rnn(x)[0][:, -1])

def demo():
    return ShortSequence()(torch.randn(8, 10, 6))
""",
        """
import torch
from torch import nn

class IdentityAndGates(nn.Module):
    def __init__(self, inputs=5, hidden=32):
        super().__init__()
        self.identity = nn.RNN(inputs, hidden, nonlinearity="relu", batch_first=True)
        nn.init.eye_(self.identity.weight_hh_l0)
        self.lstm = nn.LSTM(hidden, hidden, batch_first=True)
        for name, parameter in self.lstm.named_parameters():
            if "weight_hh" in name:
                nn.init.orthogonal_(parameter)
        self.head = nn.Linear(hidden, 1)

    def forward(self, x):  # x: (batch, time, 5)
        states, _ = self.identity(x)
        states, _ = self.lstm(states)
        return self.head(states[:, -1])

def demo():
    return IdentityAndGates()(torch.randn(8, 80, 5))
""",
        """
import torch
from torch import nn

class SharedConvolution(nn.Module):
    def __init__(self, channels=16, units=16):
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, padding=1)
        self.shared = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(units))
        self.head = nn.Linear(channels, 10)
        nn.init.kaiming_normal_(self.shared.weight)  # refuted

    def forward(self, x):
        x = self.stem(x)
        for norm in self.norms:
            x = x + self.shared(torch.relu(norm(x)))
        return self.head(x.mean((2, 3)))
""",
    )


def _suspicion(graph: LayerGraph, calls: tuple[Layer, ...], own: int) -> Iterator[Hypothesis]:
    weight = between_steps(graph, calls[0])
    if weight is None or weight.fan_in * weight.mean_square <= _CRITICAL:
        return
    yield Hypothesis(
        span=_span(weight) or site(calls),
        layer=calls[0].id,
        message=_message(calls[0], weight, own),
        claims=(
            Claim(
                Quantity.RECURRENT_DECAY,
                calls[0].id,
                _HEALTHY,
                error=_FAILING,
                steps=own or ASSUMED_STEPS,
            ),
        ),
        region=tuple(call.id for call in calls),
        remedies=tuple(_remedies(calls[0])),
        advice="draw the weight between the steps with nn.init.orthogonal_",
        definite=True,
    )


def _span(weight: Parameter) -> Span | None:
    filled = weight.initialisation
    return filled.span if filled and filled.function != "default" else None


def _message(layer: Layer, weight: Parameter, own: int) -> str:
    deviation = math.sqrt(weight.mean_square)
    return (
        f"the recurrent weight of {layer.id} starts with std {deviation:.2g}, an orthogonal one "
        f"has {math.sqrt(1 / weight.fan_in):.2g}: over {length(own)} the gradient grows"
    )


def _remedies(layer: Layer) -> Iterator[Remedy]:
    yield Remedy(
        "draw the weight between the steps with nn.init.orthogonal_", (Orthogonalise(layer.id),)
    )
    if role_of(layer) in (Role.RECURRENT, Role.CELL) and name_of(layer) not in _GATED:
        yield Remedy(
            f"replace it by nn.LSTM with forget-gate bias {_FORGET_BIAS:g}",
            (ReplaceRecurrent(layer.id, "LSTM", _FORGET_BIAS),),
        )
