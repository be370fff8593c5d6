"""The rule `unstable-log`: logarithms, roots and divisions that training drives to zero."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradlint.rule import (
    Bound,
    Claim,
    Family,
    Floor,
    GraphRule,
    Hypothesis,
    Layer,
    LayerGraph,
    Quantity,
    Remedy,
    Role,
    Severity,
    is_weighted,
    name_of,
    role_of,
    site,
)

_LOGARITHMS = frozenset({"log", "log2", "log10"})
_ROOTS = frozenset({"sqrt", "rsqrt"})
_DIVISIONS = frozenset({"div", "truediv", "true_divide"})
_INVERSES = frozenset({"rtruediv", "rdiv", "reciprocal"})
# One stress of the three may break what nothing but a constant input would: a division by the
# standard deviation of a layer. Two break what a sure model breaks.
_SAFE = Bound(at_most=0.4)
_FLOOR = 1e-8
_STABLE = {
    "softmax": "log_softmax computes both at once",
    "sigmoid": "logsigmoid computes both at once",
}
_FARTHEST = 8  # operations between the weights and what is suspected
_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")


class UnstableLog(GraphRule):
    """A logarithm, root or division whose gradient is not finite for a sure or dead model.

    Why it is bad:
        In single precision a softmax is exactly 0 a hundred logits below the largest, a sigmoid
        exactly 1 from 17 on, a ReLU often exactly 0. The logarithm of 0 is minus infinity, the
        slope of a root at 0 infinite, and an exponential of 89 too large. One such element makes
        the loss or the gradient NaN, the next step makes every weight NaN, and training is lost;
        as a rule late, when the model has become sure of something.

    How it is measured:
        The outputs of the nearest weights in front of the operation are replaced by large numbers,
        positive, negative and mixed, the same for all, as a sure model, a dead layer or a pair of
        equal inputs give them. Claimed is that the gradient of the operation then is infinite or
        NaN, for two of three such stresses or more. With a floor, or in a bounded range, it stays
        finite, and the suspicion is refuted.

    What to do:
        Use log_softmax, logsigmoid, logsumexp or a loss that takes logits. Otherwise keep the
        argument from zero: log(x + eps), sqrt(x + eps), a division by (x + eps). A clamp behind the
        logarithm does not help, because zero times infinity is NaN.

    Known limitations:
        The values are those that training may bring, not ones that it has been seen to bring: so
        this is a warning. A zero that only an input of zeros could make is not tried. Where blocks
        repeat an operation, only the first of them is tried.
    """

    family = Family.LOSS
    references = (
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.log_softmax.html",
        "https://docs.pytorch.org/docs/stable/notes/autograd.html",
        "https://doi.org/10.1093/imanum/draa038",
    )

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for each place whose argument depends on weights and has no floor."""
        seen: set[object] = set()
        for layer in graph.layers:
            # because a block of another package that is repeated has no line here
            place = layer.span or _NUMBER.sub("", layer.id)
            if not _is_suspect(graph, layer) or place in seen or not graph.reaches_loss(layer):
                continue
            seen.add(place)
            yield Hypothesis(
                span=site([layer]),
                layer=layer.id,
                message=_message(graph, layer),
                claims=(Claim(Quantity.STRESS_FAILURES, layer.id, _SAFE),),
                region=(layer.id,),
                remedies=(
                    Remedy(
                        f"keep what it takes {_FLOOR:g} from zero",
                        (Floor((layer.id,), _FLOOR),),
                    ),
                ),
                advice="subtract the largest exponent first, as torch.softmax does",
                severity=Severity.WARNING,
                definite=True,
            )

    examples = (
        """
import torch
from torch import nn

class LogPolicy(nn.Module):
    def __init__(self, observations=6, actions=4):
        super().__init__()
        self.hidden = nn.Linear(observations, 32)
        self.out = nn.Linear(32, actions)

    def forward(self, state):  # state: (batch, 6)
        probabilities = torch.softmax(self.out(torch.tanh(self.hidden(state))), dim=-1)
        return torch.log(probabilities)  # confirmed

def demo():
    return LogPolicy()(torch.randn(16, 6))
""",
        """
import torch
from torch import nn

class Discriminator(nn.Module):
    def __init__(self, features=12):
        super().__init__()
        self.score = nn.Sequential(nn.Linear(features, 16), nn.LeakyReLU(), nn.Linear(16, 1))

    def forward(self, real, fake):  # real, fake: (batch, 12)
        on_real = torch.sigmoid(self.score(real))
        on_fake = torch.sigmoid(self.score(fake))
        return -(torch.log(on_real) + (1 - on_fake).log()).mean()  # confirmed

def demo():
    return Discriminator()(torch.randn(8, 12), torch.randn(8, 12))
""",
        """
import torch
from torch import nn

class Distance(nn.Module):
    def __init__(self, features=20, code=8):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(features, 24), nn.ReLU(), nn.Linear(24, code))

    def forward(self, first, second):  # first, second: (batch, 20)
        apart = self.encode(first) - self.encode(second)
        return torch.sqrt((apart**2).sum(1))  # confirmed

def demo():
    return Distance()(torch.randn(8, 20), torch.randn(8, 20))
""",
        """
import torch
from torch import nn

class Floored(nn.Module):
    def __init__(self, features=10, classes=5):
        super().__init__()
        self.out = nn.Linear(features, classes)

    def forward(self, x):  # x: (batch, 10)
        probabilities = torch.softmax(self.out(x), dim=1)
        return torch.log(probabilities + 1e-8)  # refuted

class Kernel(nn.Module):
    def __init__(self, width=12):
        super().__init__()
        self.queries = nn.Linear(width, width)
        self.keys = nn.Linear(width, width)
        self.values = nn.Linear(width, width)

    def forward(self, x):  # x: (batch, time, 12)
        q = nn.functional.elu(self.queries(x)) + 1.001
        k = nn.functional.elu(self.keys(x)) + 1.001
        mixed = q @ (k.transpose(1, 2) @ self.values(x))
        return mixed / (q @ k.sum(1)[..., None])  # refuted

def demo():
    return Floored()(torch.randn(8, 10)), Kernel()(torch.randn(8, 6, 12))
""",
        """
import torch
from torch import nn

class Logistic(nn.Module):
    def __init__(self, features=10):
        super().__init__()
        self.out = nn.Linear(features, 1)

    def forward(self, x):  # x: (batch, 10)
        return 1 / (1 + torch.exp(-self.out(x)))  # confirmed

class Standardised(nn.Module):
    def __init__(self, features=10, width=16):
        super().__init__()
        self.inside = nn.Linear(features, width)
        self.out = nn.Linear(width, 2)

    def forward(self, x):  # x: (batch, 10)
        hidden = self.inside(x)
        centred = hidden - hidden.mean(1, keepdim=True)
        return self.out(centred / hidden.std(1, keepdim=True))  # refuted

def demo():
    return Logistic()(torch.randn(8, 10)), Standardised()(torch.randn(8, 10))
""",
        """
import torch
from torch import nn

class Stable(nn.Module):
    def __init__(self, features=10, classes=5):
        super().__init__()
        self.out = nn.Linear(features, classes)
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):  # x: (batch, 10)
        logits = self.out(x) / 10**0.5 / (1 + self.scale.exp())
        return torch.log_softmax(logits, dim=1)

def demo():
    return Stable()(torch.randn(8, 10))
""",
    )


def _is_suspect(graph: LayerGraph, layer: Layer) -> bool:
    name = name_of(layer)
    before = graph.producers(layer)
    if name in _LOGARITHMS | _ROOTS | _INVERSES:
        return _depends_on_weights(graph, before)
    return name in _DIVISIONS and _depends_on_weights(graph, before[1:])


def _depends_on_weights(graph: LayerGraph, layers: tuple[Layer, ...]) -> bool:
    """Whether weights are near, through anything but a normalisation, whose output is bounded."""
    pending, seen = [(layer, 0) for layer in layers], set()
    while pending:
        layer, distance = pending.pop()
        if layer.id in seen or distance > _FARTHEST or role_of(layer) is Role.NORM:
            continue
        if is_weighted(layer) and graph.weight_of(layer) is not None:
            return True
        seen.add(layer.id)
        pending += [(before, distance + 1) for before in graph.producers(layer)]
    return False


def _message(graph: LayerGraph, layer: Layer) -> str:
    name = name_of(layer)
    if name in _LOGARITHMS:
        before = name_of(graph.producers(layer)[0])
        hint = f": {_STABLE[before]}" if before in _STABLE else ""
        return f"a {name} of what becomes 0 once the model is sure{hint}"
    if name in _ROOTS:
        return f"a {name} of what can become 0, where its slope is infinite"
    return "a division by what can become 0 or overflow"
