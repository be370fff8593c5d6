"""The rule `logit-scale`: outputs that start far too large."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gradlint.rule import (
    Bound,
    Claim,
    Family,
    GraphRule,
    HiddenWeight,
    Hypothesis,
    Initialise,
    LayerGraph,
    OptimizerFamily,
    Quantity,
    Remedy,
    Role,
    hidden_weights,
    role_of,
)

_SUSPICIOUS = 8.0  # σ_w², four times He's: no scheme gives as much to a last layer


class LogitScale(GraphRule):
    """A last layer whose weights start so large that the model is certain before it has learned.

    Why it is bad:
        A classifier that knows nothing should say so: its loss starts near ln C for C classes. With
        logits that differ by tens, the softmax (or sigmoid) puts everything on one class, the loss
        starts at tens and its gradient is large and of the wrong kind: the first steps of training
        only shrink the logits, or blow up. The usual way there is a head that shares its weight
        with an embedding, because PyTorch draws embeddings with deviation 1.

    How it is measured:
        The standard deviation of the last layer's output over samples, in decades, for several
        seeds. Measured on a classifier of 8 classes trained at 3 learning rates: with SGD and a
        deviation of 30 the best accuracy falls from .70 to .39, with 100 all are at chance; with
        Adam it falls to .55 from 30 on. An easy task is learnt in spite of 30. So the bound is 1.5
        decades; SGD or unknown above 2 is an error.

    What to do:
        Draw the last layer with variance 1/fan_in or smaller; where its weight is an embedding's,
        initialise that with a small deviation, such as .02 or 1/√d. A head that starts at zero is
        fine, too.

    Known limitations:
        Only the weights of the last layer are judged here. Outputs that grow because the layers
        before it explode are found by init-scale. The scale of targets is not known, so outputs
        that must be large, as in a regression on raw prices, are reported as well.
    """

    family = Family.INIT
    references = (
        "https://proceedings.mlr.press/v9/glorot10a.html",
        "https://arxiv.org/abs/1608.05859",
        "https://karpathy.github.io/2019/04/25/recipe/",
    )

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield a suspicion of the last layer if its weights are large."""
        head = _head(graph)
        if head is None or head.variance <= _SUSPICIOUS:
            return
        same = [item for item in hidden_weights(graph) if item.span == head.span]
        deviation = math.sqrt(head.weight.mean_square)
        yield Hypothesis(
            span=head.span,
            layer=head.layer.id,
            message=(
                f"the outputs start far too large: {head.how} gives the weights of "
                f"{head.layer.id} std {deviation:.2g} for fan-in {head.weight.fan_in}"
            ),
            claims=(_claim(head, graph.optimizer),),
            region=tuple(item.layer.id for item in (head, *same)),
            remedies=(
                Remedy(
                    "draw the weights of the last layer with variance 1/fan_in",
                    (Initialise((head.layer.id,), 1.0),),
                ),
            ),
            definite=head.function != "default",
        )

    examples = (
        """
import torch
from torch import nn

class LargeHead(nn.Module):
    def __init__(self, inputs=40, hidden=1024, classes=10):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(inputs, hidden), nn.LayerNorm(hidden), nn.ReLU())
        self.head = nn.Linear(hidden, classes)
        nn.init.normal_(self.head.weight, std=2.0)  # confirmed

    def forward(self, x):  # x: (batch, 40)
        return self.head(self.body(x))

def demo():
    return LargeHead()(torch.randn(32, 40))
""",
        """
import torch
from torch import nn

class TiedToItsEmbedding(nn.Module):
    def __init__(self, vocabulary=50, width=1536):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.mix = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, vocabulary, bias=False)  # confirmed
        self.out.weight = self.embed.weight

    def forward(self, tokens):  # tokens: (batch, time)
        x = self.embed(tokens)
        return self.out(self.norm(x + torch.relu(self.mix(x))))

def demo():
    return TiedToItsEmbedding()(torch.randint(0, 50, (8, 12)))
""",
        """
import torch
from torch import nn

class SmallSignal(nn.Module):
    def __init__(self, inputs=12, hidden=64):
        super().__init__()
        self.hidden = nn.Linear(inputs, hidden)
        self.out = nn.Linear(hidden, 5)
        nn.init.normal_(self.hidden.weight, std=0.02)
        nn.init.normal_(self.out.weight)  # refuted

    def forward(self, x):  # x: (batch, 12)
        return self.out(torch.tanh(self.hidden(x)))

def demo():
    return SmallSignal()(torch.randn(32, 12))
""",
        """
import torch
from torch import nn

class TiedAndSmall(nn.Module):
    def __init__(self, vocabulary=50, width=96):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.mix = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens):  # tokens: (batch, time)
        x = self.norm(torch.tanh(self.mix(self.embed(tokens))))
        return nn.functional.linear(x, self.embed.weight)

class ZeroHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(9, 32), nn.ReLU())
        self.head = nn.Linear(32, 4)
        nn.init.zeros_(self.head.weight)

    def forward(self, x):  # x: (batch, 9)
        return self.head(self.body(x))

def demo():
    return TiedAndSmall()(torch.randint(0, 50, (8, 12))), ZeroHead()(torch.randn(8, 9))
""",
    )


def _head(graph: LayerGraph) -> HiddenWeight | None:
    """The last weighted layer, unless a norm behind it undoes its scale."""
    if not graph.weighted_trunk:
        return None
    layer = graph.weighted_trunk[-1]
    weight = graph.weight_of(layer)
    normed = any(role_of(other) is Role.NORM for other in graph.behind(layer))
    return None if normed or weight is None else HiddenWeight(layer, weight, graph)


def _claim(head: HiddenWeight, optimizer: OptimizerFamily) -> Claim:
    if optimizer is OptimizerFamily.ADAM:
        return Claim(Quantity.LOGIT_SPREAD, head.layer.id, Bound(at_most=1.5))
    return Claim(Quantity.LOGIT_SPREAD, head.layer.id, Bound(at_most=1.5), error=Bound(at_most=2.0))
