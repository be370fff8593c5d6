"""The rule `short-memory-gates`: gated layers whose memory is shorter than their sequence."""

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
    SetGateBias,
    Severity,
    gated,
    length,
    site,
)

_REMEMBERS = Bound(at_least=-3)  # D < -3: 92 % failed to recall their first input
_OPENED = 0.125  # a forget gate opened by .5 lifts the mean of the biases of all four gates by this
_BIASES = (2.0, 4.0)


class ShortMemoryGates(GraphRule):
    """A GRU, or an LSTM with an open forget gate, that still forgets within its sequence.

    Why it is bad:
        Gates keep a gradient only as far as they are open. PyTorch draws the biases of a GRU around
        zero, so its update gate mixes half of the old state with half of the new one at each step:
        the gradient loses .19 decades a step, about as much as in a vanilla RNN. A forget gate with
        bias 1 loses .06, which is still three decades in fifty steps.

    How it is measured:
        The gradient of the last output at the input of each step, in decades a step, times the
        length of the sequence: the length that the file itself uses, else 100. Below -3 it is a
        note, whatever the optimizer, because gated layers often learn in spite of it.

    What to do:
        Set the bias of the gate that keeps the state, the update gate of a GRU (second third of
        `bias_ih_l0`) or the forget gate of an LSTM (second quarter), to 2 or to 4. Chrono
        initialisation draws it as the logarithm of the times that the task needs. Or attend to the
        states of earlier steps.

    Known limitations:
        LSTMs whose forget gate was never opened are the business of forget-gate-bias. Gated layers
        by hand are recognised only where they are made of `nn.GRUCell` or `nn.LSTMCell`. How long a
        memory the task needs is not known.
    """

    family = Family.RECURRENT
    references = (
        "https://arxiv.org/abs/1804.11188",
        "https://proceedings.mlr.press/v37/jozefowicz15.html",
        "https://arxiv.org/abs/1406.1078",
    )

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for each line that builds GRUs, or LSTMs with opened forget gates."""
        for layer, own in gated(graph, "gru"):
            yield _hypothesis(layer, own, "update")
        for layer, own in gated(graph, "lstm"):
            if _opened(graph, layer):
                yield _hypothesis(layer, own, "forget")

    examples = (
        """
import torch
from torch import nn

class GruLeftAtDefault(nn.Module):
    def __init__(self, inputs=10, hidden=64):
        super().__init__()
        self.gru = nn.GRU(inputs, hidden, batch_first=True)  # confirmed
        self.head = nn.Linear(hidden, 2)

    def forward(self, x):  # x: (batch, time, 10)
        return self.head(self.gru(x)[0][:, -1])

def demo():
    return GruLeftAtDefault()(torch.randn(8, 60, 10))
""",
        """
import torch
from torch import nn

class OpenButLong(nn.Module):
    def __init__(self, inputs=6, hidden=32):
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden, batch_first=True)  # confirmed
        self.head = nn.Linear(hidden, 2)
        with torch.no_grad():
            self.lstm.bias_ih_l0[hidden : 2 * hidden] = 1.0
            self.lstm.bias_hh_l0.zero_()

    def forward(self, x):  # x: (batch, time, 6)
        return self.head(self.lstm(x)[0][:, -1])

def demo():
    return OpenButLong()(torch.randn(8, 150, 6))
""",
        """
import torch
from torch import nn

class ShortSequence(nn.Module):
    def __init__(self, inputs=10, hidden=64):
        super().__init__()
        self.hidden = hidden
        self.cell = nn.GRUCell(inputs, hidden)  # refuted
        self.head = nn.Linear(hidden, 2)

    def forward(self, x):  # x: (batch, time, 10)
        h = x.new_zeros(x.shape[0], self.hidden)
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
        return self.head(h)

def demo():
    return ShortSequence()(torch.randn(8, 7, 10))
""",
        """
import torch
from torch import nn

class LeftToAnotherRule(nn.Module):
    def __init__(self, inputs=10, hidden=64):
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 2)

    def forward(self, x):  # x: (batch, time, 10)
        return self.head(self.lstm(x)[0][:, -1])

def demo():
    return LeftToAnotherRule()(torch.randn(8, 60, 10))
""",
    )


def _opened(graph: LayerGraph, layer: Layer) -> bool:
    """Whether the two biases of the LSTM's first layer together lean to the open side."""
    own = [p for p in graph.parameters_of(layer) if len(p.shape) == 1]
    first = [p for p in own if p.id.endswith(("_ih", "_hh", "_ih_l0", "_hh_l0"))]
    return sum(p.mean for p in first) > _OPENED


def _hypothesis(layer: Layer, own: int, gate: str) -> Hypothesis:
    return Hypothesis(
        span=site([layer]),
        layer=layer.id,
        message=f"the {gate} gate of {layer.id} keeps too little over {length(own)}",
        claims=(Claim(Quantity.RECURRENT_DECAY, layer.id, _REMEMBERS, steps=own or ASSUMED_STEPS),),
        region=(layer.id,),
        remedies=tuple(
            Remedy(f"start the {gate} gate's bias at {bias:g}", (SetGateBias(layer.id, bias),))
            for bias in _BIASES
        ),
        severity=Severity.NOTE,
    )
