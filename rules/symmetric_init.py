"""The rule `symmetric-init`: units that start as copies of one unit and stay so."""

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
    Layer,
    LayerGraph,
    Quantity,
    Remedy,
    Role,
    at_critical_scale,
    attends,
    hidden_weights,
    is_weighted,
    names,
    role_of,
    site,
)

_WHOLE = 3  # hidden layers; fewer are judged one by one
_FEW = 0.1  # of the directions: rounding makes some more than the one that copies have
_NEARLY_ALL = 0.75  # Fixup, adapters and gated modulations start half of them at zero at most


class SymmetricInit(GraphRule):
    """Hidden weights that start all zero or all equal, so that every unit learns the same.

    Why it is bad:
        Two hidden units with the same incoming and the same outgoing weights compute the same and
        get the same gradient, so no optimizer ever tells them apart: a layer of a hundred units
        then does the work of one. Where hidden weights are zero, often nothing arrives at all,
        because what is behind them multiplies by zero, too.

    How it is measured:
        The rank of the gradient of the weight, seen as one row for each unit, divided by the number
        of units. Copies of one unit have rank one, a layer that learns nothing has rank zero. Zero
        weights are judged after one step of training, because one step may be all that they need.
        No optimizer helps, so the bound is the same for all. Where attention runs and all weights
        are alike it is a warning, because embeddings of positions may tell the units apart in time.

    What to do:
        Draw the weights at random: `kaiming_normal_` for ReLU, `xavier_normal_` for tanh. Biases
        may be zero. Only weights start alike by mistake; norms and scales start at one on purpose.

    Known limitations:
        Looked at are hidden layers on the trunk, that is, on every path from the deepest weight to
        the loss, and those of the whole network where all of them are alike. Zero weights at the
        end of a residual branch or of the whole network, or with no activation behind them, are a
        known good choice and stay silent, and so do weights that are not trained. The gradient of a
        dense layer over N samples has rank N at most.
    """

    family = Family.INIT
    references = (
        "https://www.deeplearningbook.org/contents/optimization.html",
        "https://arxiv.org/abs/1901.09321",
        "https://proceedings.mlr.press/v9/glorot10a.html",
    )

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion of the layers that are zero and one of those that are alike."""
        trained = [item for item in hidden_weights(graph) if item.weight.requires_grad]
        zero = [item for item in trained if item.weight.mean_square == 0 and item.activation]
        alike = [item for item in trained if item.weight.mean_square > 0 and item.weight.alike]
        if zero:
            yield _hypothesis(zero, "hidden weights start at zero", after_step=True)
        if alike:
            yield _hypothesis(alike, "all units start with equal weights")
        if not zero and not alike:
            yield from _everywhere(graph)

    examples = (
        """
import torch
from torch import nn

def zeros(module):
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.weight)  # confirmed
        nn.init.zeros_(module.bias)

class AllZero(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 2)
        )
        self.net.apply(zeros)

    def forward(self, x):  # x: (batch, 8)
        return self.net(x)

def demo():
    return AllZero()(torch.randn(16, 8))
""",
        """
import torch
from torch import nn

class ConstantEverywhere(nn.Module):
    def __init__(self, width=16, depth=4):
        super().__init__()
        layers = [nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        for _ in range(depth):
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, 4)
        for module in self.body:
            if isinstance(module, nn.Conv2d):
                nn.init.constant_(module.weight, 0.02)  # confirmed

    def forward(self, images):  # images: (batch, 3, height, width)
        return self.head(self.body(images).mean((2, 3)))

def demo():
    return ConstantEverywhere()(torch.randn(8, 3, 12, 12))
""",
        """
import torch
from torch import nn

class CopiesOfOneUnit(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(8, 32)
        self.out = nn.Linear(32, 2)
        nn.init.constant_(self.hidden.weight, 0.1)  # confirmed
        nn.init.zeros_(self.hidden.bias)
        nn.init.constant_(self.out.weight, 0.1)

    def forward(self, x):  # x: (batch, 8)
        return self.out(torch.tanh(self.hidden(x)))

def demo():
    return CopiesOfOneUnit()(torch.randn(16, 8))
""",
        """
import torch
from torch import nn

class SymmetryBroken(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(8, 32)
        self.out = nn.Linear(32, 2)
        nn.init.constant_(self.hidden.weight, 0.1)  # refuted

    def forward(self, x):  # x: (batch, 8)
        return self.out(torch.relu(self.hidden(x)))

def demo():
    return SymmetryBroken()(torch.randn(16, 8))
""",
        """
import torch
from torch import nn

class ZeroHead(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(6, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh()
        )
        self.head = nn.Linear(width, 3)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x):  # x: (batch, 6)
        return self.head(self.body(x))

class FixupBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first = nn.Linear(width, width)
        self.last = nn.Linear(width, width)
        nn.init.zeros_(self.last.weight)

    def forward(self, x):
        return x + self.last(torch.relu(self.first(x)))

class Fixup(nn.Module):
    def __init__(self, width=32, depth=6):
        super().__init__()
        self.stem = nn.Linear(6, width)
        self.blocks = nn.Sequential(*[FixupBlock(width) for _ in range(depth)])
        self.head = nn.Linear(width, 3)
        nn.init.zeros_(self.head.weight)

    def forward(self, x):
        return self.head(torch.relu(self.blocks(self.stem(x))))

def demo():
    return ZeroHead()(torch.randn(16, 6)), Fixup()(torch.randn(16, 6))
""",
        """
import torch
from torch import nn

class AdaptiveBlock(nn.Module):
    def __init__(self, width, condition):
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.modulation = nn.Linear(condition, 3 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x, c):
        shift, scale, gate = self.modulation(c).chunk(3, dim=-1)
        return x + gate * self.mlp(self.norm(x) * (1 + scale) + shift)

class AdaLNZero(nn.Module):
    def __init__(self, width=32, condition=8, depth=4):
        super().__init__()
        self.stem = nn.Linear(12, width)
        self.blocks = nn.ModuleList([AdaptiveBlock(width, condition) for _ in range(depth)])
        self.head = nn.Linear(width, 12)
        nn.init.zeros_(self.head.weight)

    def forward(self, x, c):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x, c)
        return self.head(x)

def demo():
    return AdaLNZero()(torch.randn(16, 12), torch.randn(16, 8))
""",
        """
import torch
from torch import nn
import torch.nn.functional as F

class Standardised(nn.Conv2d):
    def forward(self, x):
        mean = self.weight.mean((1, 2, 3), keepdim=True)
        std = self.weight.std((1, 2, 3), keepdim=True)
        return F.conv2d(x, (self.weight - mean) / (24 * std), self.bias, 1, 1)

class ChannelAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 1, 3, padding=1, bias=False)

    def forward(self, x):
        gate = self.conv(x.mean((2, 3))[:, None])[:, 0]
        return x * torch.sigmoid(gate)[:, :, None, None]

class NormFree(nn.Module):
    def __init__(self, channels=64):
        super().__init__()
        layers = [nn.Conv2d(3, channels, 3)]
        for _ in range(5):
            layers += [Standardised(channels, channels, 3), ChannelAttention(), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(channels, 10)

    def forward(self, images):  # images: (batch, 3, height, width)
        return self.head(self.body(images).mean((2, 3)))

def demo():
    return NormFree()(torch.randn(8, 3, 16, 16))
""",
    )


def _everywhere(graph: LayerGraph) -> Iterator[Hypothesis]:
    """Suspect the first and the middle layer where hardly any hidden weight was drawn at random.

    Of two, because noise from elsewhere, such as embeddings of positions, may tell the units of
    one layer apart and not those of another.
    """
    found = ((layer, graph.weight_of(layer)) for layer in graph.layers if is_weighted(layer))
    pairs = {weight.id: (layer, weight) for layer, weight in found if weight is not None}
    inside = list(pairs.values())[:-1]
    hidden = [(layer, w) for layer, w in inside if w.requires_grad and w.alike]
    if len(hidden) < max(_WHOLE, _NEARLY_ALL * len(inside)):
        return
    ids = tuple(layer.id for layer, _ in hidden)
    remedy = Remedy(
        "draw the weights with variance 2/fan_in, biases 0", (Initialise(ids, math.sqrt(2)),)
    )
    # because of 17 transformers with Adam 6 learnt as well, by their embeddings of positions
    told_apart = any(attends(graph, layer) for layer in graph.layers)
    units = [pair for pair in hidden if _is_activated(graph, pair[0])] or hidden
    for layer, weight in (units[0], units[len(units) // 2]):
        several = Bound(at_least=max(1.5 / weight.shape[0], _FEW))
        how = weight.initialisation
        yield Hypothesis(
            span=(how.span if how else None) or site([layer]),
            layer=layer.id,
            message=f"every layer starts with equal weights for all of its units ({layer.id}): "
            "they get equal gradients and stay copies of one unit",
            claims=(
                Claim(
                    Quantity.GRADIENT_RANK,
                    layer.id,
                    several,
                    error=None if told_apart else several,
                    after_step=True,
                ),
            ),
            region=ids,
            remedies=(remedy,),
            definite=True,
        )


def _is_activated(graph: LayerGraph, layer: Layer) -> bool:
    """Whether an activation takes its output: so do the inner units of a block."""
    return any(role_of(after) is Role.ACTIVATION for after in graph.consumers(layer))


def _hypothesis(items: list[HiddenWeight], what: str, *, after_step: bool = False) -> Hypothesis:
    first = items[0]
    several = Bound(at_least=1.5 / first.weight.shape[0])
    rank = Claim(
        Quantity.GRADIENT_RANK, first.layer.id, several, error=several, after_step=after_step
    )
    return Hypothesis(
        span=first.span,
        layer=first.layer.id,
        message=(
            f"{what}, set by {first.how} ({names([item.layer for item in items])}): "
            "they get equal gradients and stay copies of one unit"
        ),
        claims=(rank,),
        region=tuple(item.layer.id for item in items),
        remedies=(at_critical_scale(items),),
        definite=True,
    )
