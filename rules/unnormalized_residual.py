"""The rule `unnormalized-residual`: residual blocks whose sum grows with every block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gradlint.rule import (
    Bound,
    Claim,
    Family,
    GraphRule,
    Hypothesis,
    Initialise,
    Layer,
    LayerGraph,
    Normalise,
    OptimizerFamily,
    Quantity,
    Remedy,
    Role,
    fitting_norm,
    is_weighted,
    role_of,
    site,
)

_FEWEST = 4
_PASSING = frozenset({Role.SHAPE, Role.ACTIVATION, Role.DROPOUT})
# Residual networks of 2 to 32 blocks of two ReLU layers, trained for 200 steps at three rates each:
# SGD with momentum failed at a rate of .01 from 1.5 decades of growth, at every rate from 2.2; Adam
# was behind at all from 3 and failed at all from 6. Where a norm followed the blocks, both learnt
# at some rate up to 4 and neither reached .7 from 6.
_SGD = (Bound(at_most=1.5), Bound(at_most=2.2))
_ADAM = (Bound(at_most=3.0), Bound(at_most=6.0))
_NORMED = (Bound(at_most=4.0), Bound(at_most=6.0))


@dataclass(frozen=True, slots=True)
class _Block:
    """The layer that a block begins behind, its sum, and the last weight of its branch."""

    start: Layer
    sum: Layer
    last: Layer


class UnnormalizedResidual(GraphRule):
    """Residual blocks without norms, each of which adds as much variance as it was given.

    Why it is bad:
        A block x + f(x) adds the variance of its branch to that of its input. Without a norm in the
        branch both are proportional to the input's, so the variance is multiplied with every block:
        doubled, if the branch keeps variance. Signal and gradient then grow exponentially with
        depth, logits start far too large, and only tiny learning rates do not diverge.

    How it is measured:
        The size of the signal behind the last block over that in front of the first, in decades,
        for several seeds. With SGD 1.5 decades are too many, with Adam 3, and 4 for both where a
        norm follows the last block. Blocks whose branches start small are refuted.

    What to do:
        Put a norm into each branch, or start each branch at zero: zero the weight of its last layer
        (Fixup), or multiply its output by a learnable scalar that starts at zero (SkipInit).

    Known limitations:
        Fewer than four blocks in a row are not suspected, and neither are blocks whose branches are
        scaled by a constant or a parameter, or end in a layer that starts at zero.
    """

    family = Family.TOPOLOGY
    references = (
        "https://arxiv.org/abs/1901.09321",
        "https://arxiv.org/abs/2002.10444",
    )

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for each chain of four or more blocks without norm and scale."""
        for chain in _chains(graph):
            if len(chain) >= _FEWEST:
                yield _hypothesis(graph, chain)

    examples = (
        """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1 = nn.Linear(width, width)
        self.fc2 = nn.Linear(width, width)  # confirmed
        nn.init.kaiming_normal_(self.fc1.weight)
        nn.init.kaiming_normal_(self.fc2.weight)

    def forward(self, x):
        return x + self.fc2(torch.relu(self.fc1(x)))

class DeepResidual(nn.Module):
    def __init__(self, inputs=20, width=64, depth=12):
        super().__init__()
        self.stem = nn.Linear(inputs, width)
        self.blocks = nn.Sequential(*[Block(width) for _ in range(depth)])
        self.head = nn.Linear(width, 5)

    def forward(self, x):  # x: (batch, 20)
        return self.head(self.blocks(self.stem(x)))

def demo():
    return DeepResidual()(torch.randn(16, 20))
""",
        """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1 = nn.Linear(width, width)
        self.fc2 = nn.Linear(width, width)  # refuted

    def forward(self, x):
        return x + self.fc2(torch.relu(self.fc1(x)))

class SmallBranches(nn.Module):
    def __init__(self, inputs=20, width=64, depth=6):
        super().__init__()
        self.stem = nn.Linear(inputs, width)
        self.blocks = nn.Sequential(*[Block(width) for _ in range(depth)])
        self.head = nn.Linear(width, 5)

    def forward(self, x):  # x: (batch, 20)
        return self.head(self.blocks(self.stem(x)))

def demo():
    return SmallBranches()(torch.randn(16, 20))
""",
        """
import torch
from torch import nn

class Fixup(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1 = nn.Linear(width, width)
        self.fc2 = nn.Linear(width, width)
        nn.init.kaiming_normal_(self.fc1.weight)
        nn.init.zeros_(self.fc2.weight)

    def forward(self, x):
        return x + self.fc2(torch.relu(self.fc1(x)))

class SkipInit(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1 = nn.Linear(width, width)
        self.fc2 = nn.Linear(width, width)
        self.gain = nn.Parameter(torch.zeros(()))
        nn.init.kaiming_normal_(self.fc1.weight)
        nn.init.kaiming_normal_(self.fc2.weight)

    def forward(self, x):
        return x + self.gain * self.fc2(torch.relu(self.fc1(x)))

class PreNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fc = nn.Linear(width, width)
        nn.init.kaiming_normal_(self.fc.weight)

    def forward(self, x):
        return x + torch.relu(self.fc(self.norm(x)))

def net(kind, width=32, depth=10):
    blocks = [kind(width) for _ in range(depth)]
    return nn.Sequential(nn.Linear(8, width), *blocks, nn.Linear(width, 2))

def demo():
    x = torch.randn(16, 8)
    return net(Fixup)(x), net(SkipInit)(x), net(PreNorm)(x)
""",
    )


def _chains(graph: LayerGraph) -> Iterator[list[_Block]]:
    """Blocks of the trunk, one directly behind the other."""
    chain: list[_Block] = []
    for before, layer in zip(graph.trunk, graph.trunk[1:], strict=False):
        block = _block(graph, before, layer)
        if block is not None:
            chain.append(block)
        elif role_of(layer) not in _PASSING:
            yield chain
            chain = []
    yield chain


def _block(graph: LayerGraph, start: Layer, end: Layer) -> _Block | None:
    """The residual block between two neighbours on the trunk, if nothing tames its branch."""
    if role_of(end) is not Role.SUM or not _skips(graph, start, end):
        return None
    inside = graph.between(start, end)[1:-1]
    weighted = [layer for layer in inside if is_weighted(layer) and graph.weight_of(layer)]
    if not weighted or any(_tames(graph, layer) for layer in inside):
        return None
    return _Block(start, end, weighted[-1])


def _skips(graph: LayerGraph, start: Layer, end: Layer) -> bool:
    """Whether one side of the sum is what the block was given, up to its shape."""
    sides = graph.producers(end)
    bare = [s for s in sides if role_of(s) is Role.SHAPE]
    return start in (*sides, *(p for side in bare for p in graph.producers(side)))


def _tames(graph: LayerGraph, layer: Layer) -> bool:
    """Whether the layer is a norm, a scale, or a weight that starts at zero."""
    weight = graph.weight_of(layer)
    scales = role_of(layer) is Role.PRODUCT and len(graph.producers(layer)) < 2
    zero = is_weighted(layer) and weight is not None and weight.mean_square == 0
    return role_of(layer) is Role.NORM or scales or zero


def _hypothesis(graph: LayerGraph, chain: Sequence[_Block]) -> Hypothesis:
    first, last = chain[0], chain[-1]
    bound, error = _bounds(graph, last.sum)
    ends = tuple(block.last.id for block in chain)
    return Hypothesis(
        span=site([first.last]),
        layer=first.last.id,
        message=(
            f"{len(chain)} residual blocks in a row with no norm and no scale in their branches, "
            f"each of which adds to the variance ({first.last.id} … {last.last.id})"
        ),
        claims=(
            Claim(Quantity.SIGNAL_GROWTH, last.sum.id, bound, error=error, since=first.start.id),
        ),
        region=tuple(
            layer.id for block in chain for layer in graph.between(block.start, block.sum)[1:]
        ),
        remedies=(
            Remedy(
                "start the last layer of each branch at zero (Fixup, SkipInit)",
                (Initialise(ends, 0.0),),
            ),
            Remedy("put a norm into each branch", (Normalise(ends, fitting_norm(first.last)),)),
        ),
    )


def _bounds(graph: LayerGraph, end: Layer) -> tuple[Bound, Bound]:
    behind = graph.trunk[graph.trunk.index(end) :]
    if any(role_of(layer) is Role.NORM for layer in behind):
        return _NORMED
    return _ADAM if graph.optimizer is OptimizerFamily.ADAM else _SGD
