"""The rule `deep-recurrent-stack`: recurrent layers on top of each other without skips."""

from __future__ import annotations

from collections.abc import Iterator

from gradlint.rule import (
    Bound,
    Claim,
    Family,
    GraphRule,
    Hypothesis,
    Layer,
    LayerGraph,
    OptimizerFamily,
    Quantity,
    Remedy,
    Role,
    SkipRecurrent,
    name_of,
    names,
    role_of,
    site,
)

_SHORTEST = 3  # layers; two layers of any cell learnt with every optimizer
_ON_THE_WAY = frozenset({Role.SHAPE, Role.DROPOUT})


class DeepRecurrentStack(GraphRule):
    """Many recurrent layers on top of each other with no skip around them.

    Why it is bad:
        An LSTM or GRU guards its gradient along time, not across layers: between its input and its
        output stand two or three gates and a tanh, none of which lets more than a part through.
        With PyTorch's default initialisation an LSTM layer hands down a quarter of the gradient,
        a GRU layer under a half, so the lower layers of a deep stack hear almost nothing.

    How it is measured:
        The gradient that the whole stack hands down to its input, relative to what it receives at
        its output, in decades, for several seeds. Measured on stacks of 2 to 8 layers that had to
        name the sign of their present input: LSTM with 2 layers (-1.5) learnt with SGD and with
        Adam, with 4 layers (-2.7) with Adam only, with 6 (-3.8) half, with 8 (-5.0) not at all;
        with skips all of them learnt. SGD or unknown: warning below -2, error below -2.5. Adam:
        warning below -3, error below -4.5.

    What to do:
        Add the input of each recurrent layer to its output (`x = x + lstm(x)[0]`), one module for
        each layer, with the first layer or a Linear bringing the input to the hidden size. Two
        layers need no skip.

    Known limitations:
        Layers of one stack must follow each other directly, with nothing but dropout or a change of
        shape between them; norms and sums end a stack. Recurrent layers by hand are not recognised,
        and a layer that is called again is taken for a recurrence, not for a stack.
        Deep GRU stacks may fail with Adam before the bound is broken.
    """

    family = Family.RECURRENT
    references = (
        "https://arxiv.org/abs/1609.08144",
        "https://arxiv.org/abs/1703.03906",
        "https://arxiv.org/abs/1701.03360",
    )

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for each stack of three or more recurrent layers."""
        for stack in _stacks(graph):
            depth = sum(_depth(layer) for layer in stack)
            if depth >= _SHORTEST:
                ids = tuple(layer.id for layer in stack)
                yield Hypothesis(
                    span=site(stack),
                    layer=ids[0],
                    message=(
                        f"{depth} {name_of(stack[0]).upper()} layers on top of each other with no "
                        f"skip around any of them ({names(stack)})"
                    ),
                    claims=(_claim(stack, graph.optimizer),),
                    region=ids,
                    remedies=(
                        Remedy(
                            "add the input of each recurrent layer to its output",
                            (SkipRecurrent(ids),),
                        ),
                    ),
                )

    examples = (
        """
import torch
from torch import nn

class DeepTagger(nn.Module):
    def __init__(self, vocabulary=100, width=64, tags=9):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.lstm = nn.LSTM(width, width, num_layers=6, batch_first=True)  # confirmed
        self.head = nn.Linear(width, tags)

    def forward(self, tokens):  # tokens: (batch, time)
        states, _ = self.lstm(self.embed(tokens))
        return self.head(states)

def demo():
    return DeepTagger()(torch.randint(0, 100, (8, 20)))
""",
        """
import torch
from torch import nn

class LayerByLayer(nn.Module):
    def __init__(self, inputs=12, width=48, depth=5):
        super().__init__()
        sizes = [inputs] + [width] * depth
        self.layers = nn.ModuleList(
            nn.LSTM(size, width, batch_first=True) for size in sizes[:-1]  # confirmed
        )
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(width, 4)

    def forward(self, x):  # x: (batch, time, 12)
        for layer in self.layers:
            x = self.dropout(layer(x)[0])
        return self.head(x)

def demo():
    return LayerByLayer()(torch.randn(8, 15, 12))
""",
        """
import torch
from torch import nn

class ThreeLayersAreFew(nn.Module):
    def __init__(self, inputs=20, width=64):
        super().__init__()
        self.gru = nn.GRU(inputs, width, num_layers=3, batch_first=True)  # refuted
        self.head = nn.Linear(width, 2)

    def forward(self, x):  # x: (batch, time, 20)
        return self.head(self.gru(x)[0][:, -1])

def demo():
    return ThreeLayersAreFew()(torch.randn(8, 15, 20))
""",
        """
import torch
from torch import nn

class ResidualStack(nn.Module):
    def __init__(self, inputs=12, width=48, depth=6):
        super().__init__()
        self.stem = nn.Linear(inputs, width)
        self.layers = nn.ModuleList(
            [nn.LSTM(width, width, batch_first=True) for _ in range(depth)]
        )
        self.head = nn.Linear(width, 4)

    def forward(self, x):  # x: (batch, time, 12)
        x = self.stem(x)
        for layer in self.layers:
            x = x + layer(x)[0]
        return self.head(x)

class TwoLayers(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(12, 32, num_layers=2, bidirectional=True)
        self.head = nn.Linear(64, 4)

    def forward(self, x):  # x: (time, batch, 12)
        return self.head(self.lstm(x)[0])

class SeveralLooks(nn.Module):
    def __init__(self, width=6, looks=8):
        super().__init__()
        self.looks = looks
        self.lstm = nn.LSTM(2 * width, width)

    def forward(self, x):  # x: (elements, width), read as a set
        state = (x.new_zeros(1, 1, x.shape[1]),) * 2
        query = x.new_zeros(1, 1, 2 * x.shape[1])
        for _ in range(self.looks):
            answer, state = self.lstm(query, state)
            weight = (x @ answer[0, 0]).softmax(0)
            query = torch.cat([answer, (weight @ x)[None, None]], -1)
        return query[0, 0]

def demo():
    tagged = ResidualStack()(torch.randn(8, 15, 12)), TwoLayers()(torch.randn(15, 8, 12))
    return tagged, SeveralLooks()(torch.randn(10, 6))
""",
    )


def _stacks(graph: LayerGraph) -> Iterator[list[Layer]]:
    """Recurrent layers that follow each other on the trunk with nothing of weight between them.

    A layer that is called again ends a stack, because such calls are steps that hand on a state.
    """
    stack: list[Layer] = []
    for layer in graph.trunk:
        if role_of(layer) is Role.RECURRENT and not layer.call:
            stack.append(layer)
        elif stack and role_of(layer) not in _ON_THE_WAY:
            yield stack
            stack = []
    if stack:
        yield stack


def _depth(layer: Layer) -> int:
    return int(layer.setting("num_layers", 1))


def _claim(stack: list[Layer], optimizer: OptimizerFamily) -> Claim:
    since = stack[0].id if len(stack) > 1 else ""
    adam = optimizer is OptimizerFamily.ADAM
    warning, error = (-3.0, -4.5) if adam else (-2.0, -2.5)
    return Claim(
        Quantity.GRADIENT_GAIN,
        stack[-1].id,
        Bound(at_least=warning),
        error=Bound(at_least=error),
        since=since,
    )
