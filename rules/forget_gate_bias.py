"""The rule `forget-gate-bias`: an LSTM that starts by forgetting half of its memory each step."""

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
    Span,
    gated,
    length,
    site,
)

_KEEPS = Bound(at_least=0.7)  # a bias of 1 opens the gate to .73, PyTorch's own to .5
_REMEMBERS = Bound(at_least=-3)  # D < -3: 92 % failed to recall their first input
_BIAS = 2.0  # decay a step of an LSTM: -.188 with bias 0, -.059 with 1, -.006 with 2


class ForgetGateBias(GraphRule):
    """An LSTM whose forget gate starts half closed, or less, over a long sequence.

    Why it is bad:
        An LSTM multiplies its memory by the forget gate at each step. PyTorch draws the biases
        around zero, so the gate starts at one half: after ten steps a thousandth of the memory, and
        of the gradient, is left. Training has to open the gate first, and has little gradient to
        learn that from. A bias that was set to zero or below by hand does the same or worse.

    How it is measured:
        Two measurements must agree: the mean of the forget gate at the first step is below .7, and
        the gradient of the last output falls by more than 3 decades down to the first input, over
        the length of sequence that the file uses, else 100 steps. LSTMs often learn in spite of
        it, with any optimizer, so the finding is a note.

    What to do:
        Set the forget gate's bias, the second quarter of `bias_ih_l0`, to 1 or 2 and that of
        `bias_hh_l0` to 0 when the model is built: PyTorch adds the two.

    Known limitations:
        The gate is measured in the first layer, where the hidden state is zero. LSTMs written by
        hand are not recognised, unless they are made of `nn.LSTMCell`. How long a memory the task
        needs is not known: a note on a network that only looks at its last steps may be ignored.
    """

    family = Family.INIT
    references = (
        "https://proceedings.mlr.press/v37/jozefowicz15.html",
        "https://doi.org/10.1162/089976600300015015",
    )

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for each line that builds LSTMs."""
        for layer, own in gated(graph, "lstm"):
            yield _hypothesis(graph, layer, own)

    examples = (
        """
import torch
from torch import nn

class LeftAtDefault(nn.Module):
    def __init__(self, inputs=10, hidden=64):
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden, batch_first=True)  # confirmed
        self.head = nn.Linear(hidden, 2)

    def forward(self, x):  # x: (batch, time, 10)
        return self.head(self.lstm(x)[0][:, -1])

def demo():
    return LeftAtDefault()(torch.randn(8, 60, 10))
""",
        """
import torch
from torch import nn

class ClosedByHand(nn.Module):
    def __init__(self, inputs=10, hidden=48):
        super().__init__()
        self.hidden = hidden
        self.cell = nn.LSTMCell(inputs, hidden)
        self.out = nn.Linear(hidden, 2)
        nn.init.constant_(self.cell.bias_ih, -1.0)  # confirmed
        nn.init.constant_(self.cell.bias_hh, 0.0)

    def forward(self, x):  # x: (batch, time, 10)
        h = c = x.new_zeros(x.shape[0], self.hidden)
        for t in range(x.shape[1]):
            h, c = self.cell(x[:, t], (h, c))
        return self.out(h)

def demo():
    return ClosedByHand()(torch.randn(8, 25, 10))
""",
        """
import torch
from torch import nn

class ShortSequence(nn.Module):
    def __init__(self, inputs=10, hidden=64):
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden, batch_first=True)  # refuted
        self.head = nn.Linear(hidden, 2)

    def forward(self, x):  # x: (batch, time, 10)
        return self.head(self.lstm(x)[0][:, -1])

def demo():
    return ShortSequence()(torch.randn(8, 8, 10))
""",
        """
import torch
from torch import nn

class Open(nn.Module):
    def __init__(self, inputs=10, hidden=64):
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 2)
        with torch.no_grad():
            self.lstm.bias_ih_l0[hidden : 2 * hidden] = 2.0  # refuted
            self.lstm.bias_hh_l0.zero_()

    def forward(self, x):  # x: (batch, time, 10)
        return self.head(self.lstm(x)[0][:, -1])

def demo():
    return Open()(torch.randn(8, 60, 10))
""",
        """
import torch
from torch import nn

class NoMemoryToLose(nn.Module):
    def __init__(self, inputs=10, hidden=64):
        super().__init__()
        self.gru = nn.GRU(inputs, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 2)

    def forward(self, x):  # x: (batch, time, 10)
        return self.head(self.gru(x)[0][:, -1])

def demo():
    return NoMemoryToLose()(torch.randn(8, 12, 10))
""",
    )


def _hypothesis(graph: LayerGraph, layer: Layer, own: int) -> Hypothesis:
    return Hypothesis(
        span=_span(graph, layer),
        layer=layer.id,
        message=f"the forget gate of {layer.id} starts half closed, over {length(own)}",
        claims=(
            Claim(Quantity.RECURRENT_DECAY, layer.id, _REMEMBERS, steps=own or ASSUMED_STEPS),
            Claim(Quantity.FORGET_GATE, layer.id, _KEEPS),
        ),
        region=(layer.id,),
        remedies=(
            Remedy(f"start the forget gate's bias at {_BIAS:g}", (SetGateBias(layer.id, _BIAS),)),
        ),
        severity=Severity.NOTE,
        definite=True,
    )


def _span(graph: LayerGraph, layer: Layer) -> Span:
    """The line that filled a bias by hand, else that of the layer."""
    biases = (p.initialisation for p in graph.parameters_of(layer) if len(p.shape) == 1)
    lines = (filled.span for filled in biases if filled and filled.function != "default")
    return next((line for line in lines if line), site([layer]))
