"""The rule `post-norm-depth`: norms behind residual sums, and a learning rate without warm-up."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from gradlint.rule import (
    Bound,
    Claim,
    Family,
    Hypothesis,
    Layer,
    LayerGraph,
    LoopRule,
    LowerRate,
    Quantity,
    Remedy,
    Role,
    StepKind,
    TrainingLoop,
    attends,
    multiplications,
    names,
    role_of,
    site,
)

_FEWEST = 8  # sums: four blocks of attention and a network behind it
_LOWER = 0.2  # of the rate: still enough to learn a batch in 60 steps
_LEARNT = Bound(at_most=0.4)  # as for `no-progress`, which measured it on networks of many kinds
_FAILED = Bound(at_most=0.9)  # what is left where the output hardly depends on the input any more
_MOST = 2e8  # multiplications of one forward pass, so that a step takes some milliseconds
_LOSSES = ("CrossEntropyLoss", "cross_entropy")
_BETWEEN = frozenset({Role.SHAPE, Role.DROPOUT})


class PostNormDepth(LoopRule):
    """A transformer with norms behind its residual sums, trained at full rate from the first step.

    Why it is bad:
        With the norm behind the sum no path leads around the norms, and at the start the gradient
        is as large in the last blocks however many there are, where norms inside the branches
        make it smaller with depth. The first steps at full learning rate then move the last blocks
        so far that the model settles where its output no longer depends on its input.

    How it is measured:
        A copy is trained for up to 60 steps with the loop's optimizer and learning rate on one
        batch with fixed random labels, for several seeds. Measured is the loss that is left, over
        that of the best constant output. The copy must fail with every seed, and it must learn at a
        fifth of the rate. With Adam at .02 eight blocks of width 32 kept all of the loss, and .2 of
        it at .004. On an easy task of four classes they got .28 right after 150 steps; with norms
        inside the branches they got .94 right at the same .02.

    What to do:
        Put the norms in front: `norm_first=True`, with one more norm behind the last block. Or
        start at a lower rate and warm it up, over some thousand steps of real training. Fewer
        blocks may need neither.

    Known limitations:
        Needs a loop whose optimizer, learning rate and cross entropy are in sight, and a model so
        small that 60 steps take seconds. A file that names a warm-up, or a schedule that may be
        one, is believed.
    """

    family = Family.TOPOLOGY
    references = (
        "https://arxiv.org/abs/2002.04745",
        "https://arxiv.org/abs/2004.08249",
    )

    def check(self, loop: TrainingLoop, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion about a deep post-norm transformer that a loop trains unwarmed."""
        training = loop.training
        known = training.optimizer and training.learning_rate is not None
        if loop.warms_up or not known or training.loss not in _LOSSES:
            return
        norms = _norms_behind_sums(graph)
        mixes = any(attends(graph, layer) for layer in graph.layers)
        if len(norms) >= _FEWEST and mixes and multiplications(graph) <= _MOST:
            yield _hypothesis(loop, graph, norms)

    examples = (
        """
import torch
from torch import nn

class Tagger(nn.Module):
    def __init__(self, vocabulary=16, width=32, depth=8, classes=4):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.blocks = nn.Sequential(
            *[
                nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0.0, batch_first=True)
                for _ in range(depth)
            ]
        )
        self.head = nn.Linear(width, classes)

    def forward(self, tokens):  # tokens: (batch, 8)
        return self.head(self.blocks(self.embed(tokens)).mean(1))

def train(batches):
    model = Tagger()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)  # confirmed
    criterion = nn.CrossEntropyLoss()
    for tokens, labels in batches:
        optimizer.zero_grad()
        loss = criterion(model(tokens), labels)
        loss.backward()
        optimizer.step()

if __name__ == "__main__":
    train([(torch.randint(0, 16, (16, 8)), torch.randint(0, 4, (16,))) for _ in range(10)])
""",
        """
import torch
from torch import nn

class Cautious(nn.Module):
    def __init__(self, vocabulary=16, width=32, depth=4, classes=4):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.blocks = nn.Sequential(
            *[
                nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0.0, batch_first=True)
                for _ in range(depth)
            ]
        )
        self.head = nn.Linear(width, classes)

    def forward(self, tokens):  # tokens: (batch, 8)
        return self.head(self.blocks(self.embed(tokens)).mean(1))

def train(batches):
    model = Cautious()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)  # refuted
    criterion = nn.CrossEntropyLoss()
    for tokens, labels in batches:
        optimizer.zero_grad()
        loss = criterion(model(tokens), labels)
        loss.backward()
        optimizer.step()

if __name__ == "__main__":
    train([(torch.randint(0, 16, (16, 8)), torch.randint(0, 4, (16,))) for _ in range(10)])
""",
        """
import torch
from torch import nn

class PreNorm(nn.Module):
    def __init__(self, vocabulary=16, width=32, depth=8, classes=4):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        block = nn.TransformerEncoderLayer(
            width, 2, 2 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, depth, norm=nn.LayerNorm(width))
        self.head = nn.Linear(width, classes)

    def forward(self, tokens):  # tokens: (batch, 8)
        return self.head(self.blocks(self.embed(tokens)).mean(1))

def train(batches):
    model = PreNorm()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    criterion = nn.CrossEntropyLoss()
    for tokens, labels in batches:
        optimizer.zero_grad()
        loss = criterion(model(tokens), labels)
        loss.backward()
        optimizer.step()

if __name__ == "__main__":
    train([(torch.randint(0, 16, (16, 8)), torch.randint(0, 4, (16,))) for _ in range(10)])
""",
        """
import torch
from torch import nn

class Warmed(nn.Module):
    def __init__(self, vocabulary=16, width=32, depth=8, classes=4):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.blocks = nn.Sequential(
            *[
                nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0.0, batch_first=True)
                for _ in range(depth)
            ]
        )
        self.head = nn.Linear(width, classes)

    def forward(self, tokens):  # tokens: (batch, 8)
        return self.head(self.blocks(self.embed(tokens)).mean(1))

def train(batches):
    model = Warmed()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 0.001, 1.0, 400)
    criterion = nn.CrossEntropyLoss()
    for tokens, labels in batches:
        optimizer.zero_grad()
        loss = criterion(model(tokens), labels)
        loss.backward()
        optimizer.step()
        schedule.step()

if __name__ == "__main__":
    train([(torch.randint(0, 16, (16, 8)), torch.randint(0, 4, (16,))) for _ in range(10)])
""",
    )


def _norms_behind_sums(graph: LayerGraph) -> list[Layer]:
    """The norms of the trunk that take what a residual sum gives."""
    run = [layer for layer in graph.trunk if role_of(layer) not in _BETWEEN]
    return [
        norm
        for total, norm in pairwise(run)
        if role_of(norm) is Role.NORM and role_of(total) is Role.SUM and graph.joins(total)
    ]


def _hypothesis(loop: TrainingLoop, graph: LayerGraph, norms: list[Layer]) -> Hypothesis:
    step = loop.step(StepKind.STEP)
    optimizer, rate = loop.training.optimizer, loop.training.learning_rate or 0.0
    return Hypothesis(
        span=loop.optimizer_span or (step.span if step else site(norms)),
        layer=norms[0].id,
        message=(
            f"{len(norms)} norms stand behind residual sums ({names(norms)}), and "
            f"{optimizer} starts at its full learning rate of {rate:g}"
        ),
        claims=(Claim(Quantity.UNLEARNED_START, graph.loss.id, _LEARNT, error=_FAILED),),
        region=(graph.loss.id, *(layer.id for layer in graph.weighted_trunk)),
        remedies=(Remedy(f"lower the rate to {_LOWER * rate:.2g}", (LowerRate(_LOWER),)),),
        advice="or put the norms in front (norm_first=True); warm the rate up in either case",
        definite=True,
        only_if_cured=True,
    )
