"""The rule `constant-output`: an operation whose output is the same whatever it is given."""

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
    Quantity,
    Remedy,
    ReplaceActivation,
    Role,
    Severity,
    is_weighted,
    name_of,
    role_of,
    site,
)

_SINGLE = {  # what a function of one unit gives, and what fits in its place
    "softmax": ("always 1", "sigmoid"),
    "softmax2d": ("always 1", "sigmoid"),
    "softmin": ("always 1", "sigmoid"),
    "log_softmax": ("always 0", "logsigmoid"),
    "logsoftmax": ("always 0", "logsigmoid"),
    "normalize": ("always 1 or -1", "tanh"),
}
_STEPS = frozenset({"sign", "sgn", "round", "floor", "ceil", "trunc", "heaviside"})
_ANYTHING = Bound(at_least=-4)  # decades; a layer at the edge of its range still passes that much


class ConstantOutput(GraphRule):
    """An operation that gives the same whatever it is given, so that no gradient comes back.

    Why it is bad:
        A softmax divides by the sum over its units; over one unit it divides a number by itself and
        is always 1, its logarithm always 0. A sign or a rounding is constant between its steps. The
        gradient behind such an operation is exactly zero, so nothing in front of it ever learns,
        while the loss may still wander with the data. It is the most frequent fault in published
        collections of networks that do not train.

    How it is measured:
        The gradient that the operation passes to its input over the one at its output, in decades,
        by automatic differentiation of the live model. Minus infinity is the finding; a softmax
        over more than one class passes some, and a function with a gradient of its own, such as a
        straight-through estimator, too.

    What to do:
        With one output unit use a sigmoid and binary cross-entropy, or better BCEWithLogitsLoss and
        neither; for a regression use no activation. For a softmax have one unit for each class. For
        a sign or a threshold train on the number itself and take the step only for prediction.

    Known limitations:
        Only what stands between weights and every path to the loss is suspected, so a rounding in a
        branch beside the signal is left alone. A comparison, or argmax, gives no tensor with a
        gradient: where such is all of the output, the model is reported as one that cannot be
        differentiated.
    """

    family = Family.LOSS
    references = (
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.Softmax.html",
        "https://arxiv.org/abs/1308.3432",
        "https://dl.acm.org/doi/10.1145/3468264.3468612",
    )

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for each such operation through which weights are cut off."""
        for layer in graph.layers:
            why, instead, claim = _reason(graph, layer)
            if claim is None or not graph.reaches_loss(layer):
                continue
            yield Hypothesis(
                span=site([layer]),
                layer=layer.id,
                message=why,
                claims=(claim,),
                region=(layer.id, *(before.id for before in graph.producers(layer))),
                remedies=(
                    Remedy(
                        f"replace {name_of(layer)} by {instead}",
                        (ReplaceActivation((layer.id,), instead),),
                    ),
                ),
                severity=Severity.ERROR if _is_output(graph, layer) else Severity.WARNING,
                definite=True,
            )

    examples = (
        """
import torch
from torch import nn

class Reader(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)

    def forward(self, x, memory):  # x: (batch, 6, 16), memory: (batch, slots, 16)
        scores = self.query(x) @ self.key(memory).transpose(1, 2)
        return x + scores.softmax(-1) @ self.value(memory)

def demo():
    return Reader()(torch.randn(8, 6, 16), torch.randn(8, 1, 16))
""",
        """
import torch
from torch import nn

class Binary(nn.Module):
    def __init__(self, features=20):
        super().__init__()
        self.fc1 = nn.Linear(features, 32)
        self.fc2 = nn.Linear(32, 1)
        self.softmax = nn.Softmax(dim=1)  # confirmed

    def forward(self, x):  # x: (batch, 20)
        return self.softmax(self.fc2(torch.relu(self.fc1(x))))

def demo():
    return Binary()(torch.randn(16, 20))
""",
        """
import torch
import torch.nn.functional as F
from torch import nn

class Decision(nn.Module):
    def __init__(self, channels=8):
        super().__init__()
        self.conv = nn.Conv2d(1, channels, 3)
        self.fc = nn.Linear(channels, 3)

    def forward(self, images):  # images: (batch, 1, height, width)
        x = F.relu(self.conv(images)).mean((2, 3))
        return torch.sign(self.fc(x))  # confirmed

def demo():
    return Decision()(torch.randn(8, 1, 10, 10))
""",
        """
import torch
from torch import nn

class Quantised(nn.Module):
    def __init__(self, width=12):
        super().__init__()
        self.inside = nn.Linear(width, 8)
        self.out = nn.Linear(8, 2)

    def forward(self, x):  # x: (batch, 12)
        scaled = 4 * torch.sigmoid(self.inside(x))
        steps = scaled + (torch.round(scaled) - scaled).detach()
        return self.out(steps / 4)

def demo():
    return Quantised()(torch.randn(16, 12))
""",
        """
import torch
from torch import nn

class Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.sign(x)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * (x.abs() < 1)

class Binarised(nn.Module):  # refuted
    def __init__(self, width=10):
        super().__init__()
        self.into = nn.Linear(width, 24)
        self.out = nn.Linear(24, 3)

    def forward(self, x):  # x: (batch, 10)
        return self.out(Sign.apply(self.into(x)))

def demo():
    return Binarised()(torch.randn(16, 10))
""",
        """
import torch
from torch import nn

class OneExpert(nn.Module):
    def __init__(self, width=16, experts=1):
        super().__init__()
        self.router = nn.Linear(width, experts)
        self.experts = nn.ModuleList(nn.Linear(width, 4) for _ in range(experts))

    def forward(self, x):  # x: (batch, 16)
        weights = torch.softmax(self.router(x), dim=-1)  # confirmed
        return sum(w[:, None] * e(x) for w, e in zip(weights.unbind(-1), self.experts))

def demo():
    return OneExpert()(torch.randn(8, 16))
""",
        """
import torch
from torch import nn

class ActorCritic(nn.Module):
    def __init__(self, observations=6, actions=4):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(observations, 32), nn.Tanh())
        self.actor = nn.Linear(32, actions)
        self.critic = nn.Linear(32, 1)

    def forward(self, state):  # state: (batch, 6)
        hidden = self.body(state)
        return torch.softmax(self.actor(hidden), dim=-1), self.critic(hidden)

class Pooled(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.score = nn.Linear(width, 1)
        self.head = nn.Linear(width, 3)

    def forward(self, tokens):  # tokens: (batch, time, 16)
        weights = torch.softmax(self.score(tokens), dim=1)
        return self.head((weights * tokens).sum(1))

def demo():
    return ActorCritic()(torch.randn(8, 6)), Pooled()(torch.randn(8, 1, 16))
""",
        """
import torch
from torch import nn

class Rounded(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.read = nn.Linear(width, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x):  # x: (batch, 16)
        positions = self.read(x)
        return self.head(torch.frac(positions) + torch.floor(positions) / 8)

def demo():
    return Rounded()(torch.randn(8, 16))
""",
    )


def _reason(graph: LayerGraph, layer: Layer) -> tuple[str, str, Claim | None]:
    """What is wrong with an operation, what would fit in its place, and what must be measured."""
    name = name_of(layer)
    if name in _SINGLE and _over_one_unit(graph, layer):
        always, instead = _SINGLE[name]
        claim = Claim(Quantity.PASSED_GRADIENT, layer.id, _ANYTHING, error=_ANYTHING)
        return f"a {name} over one unit is {always}, and its gradient is zero", instead, claim
    cut = _cut_off(graph, layer) if name in _STEPS else None
    if cut is not None:
        claim = Claim(Quantity.GRADIENT_DECADES, cut.id, _ANYTHING, error=_ANYTHING)
        return f"a {name} is constant between its steps, so its gradient is zero", "tanh", claim
    return "", "", None


def _over_one_unit(graph: LayerGraph, layer: Layer) -> bool:
    """Whether the axis that `layer` normalises over is that of a single unit of a weighted layer.

    An axis of length 1 may also be a sequence of one step; hence the walk back to the weights.
    """
    axis = _axis(layer)
    if not layer.shape or not -len(layer.shape) <= axis < len(layer.shape):
        return False
    axis %= len(layer.shape)
    unit = _unit_behind(graph, layer)
    if unit is None or layer.shape[axis] != 1:
        return False
    features = 1 if role_of(unit) is Role.CONVOLUTION else len(unit.shape) - 1
    if len(unit.shape) <= features or unit.shape[features] != 1:
        return False
    if unit.shape == layer.shape:
        return axis == features
    return all(size == 1 for size in unit.shape[1:]) and (len(unit.shape) == 2 or features == 1)


def _unit_behind(graph: LayerGraph, layer: Layer) -> Layer | None:
    """The weighted layer that feeds `layer` through nothing but single operations."""
    before = graph.producers(layer)
    while len(before) == 1:
        if is_weighted(before[0]):  # not by a weight, where attention compares queries and keys
            return before[0] if graph.weight_of(before[0]) is not None else None
        before = graph.producers(before[0])
    return None


def _axis(layer: Layer) -> int:
    default = 1 if name_of(layer) == "normalize" else -1
    given = layer.setting("argument2" if name_of(layer) == "normalize" else "argument1", default)
    return int(layer.setting("dim", given))


def _cut_off(graph: LayerGraph, layer: Layer) -> Layer | None:
    """The weighted layer in front that reaches the loss through `layer` alone."""
    unit = _unit_behind(graph, layer)
    if unit is None or graph.reaches_loss(unit, avoiding=[layer]):
        return None
    return unit


def _is_output(graph: LayerGraph, layer: Layer) -> bool:
    """Whether nothing but changes of shape lies between `layer` and the loss."""
    behind = graph.consumers(layer)
    return layer in graph.outputs or any(
        role_of(after) is Role.SHAPE and _is_output(graph, after) for after in behind
    )
