"""The rule `rectified-output`: a ReLU on the output that a loss is to move in both directions."""

from __future__ import annotations

from collections.abc import Iterator

from gradlint.rule import (
    Bound,
    Bypass,
    Claim,
    Family,
    Hypothesis,
    LayerGraph,
    LossRule,
    LossUse,
    Quantity,
    Remedy,
    Severity,
)

_KEPT = Bound(at_least=-1)
_LOST = Bound(at_least=-2)
# From as many classes on a small network learnt less of clusters that it learns without the ReLU:
# .89 of them with SGD and .80 with Adam for 10 classes, .71 and .41 for 100. Four it learnt all, as
# a vision transformer did with 32 outputs.
_MANY = 100
_REGRESSIONS = frozenset({"mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"})
_PROBABILITIES = frozenset({"cross_entropy", "binary_cross_entropy_with_logits"})


class RectifiedOutput(LossRule):
    """A ReLU as the output unit of a regression or in front of a loss of classes.

    Why it is bad:
        A ReLU gives nothing below zero and has no slope there. An output that starts or falls below
        zero for all samples is dead: its prediction is 0 for ever, and with one output unit so is
        the gradient of the whole network. Besides, such an output cannot fit negative targets, and
        a class cannot be ruled out further than "as likely as any".

    How it is measured:
        The logits of each sample are moved against it until the model is wrong by 10, and the
        gradient of the loop's own loss there is compared with that of an undecided model, in
        decades. Behind a ReLU nothing is left of it. A ReLU whose input is far above zero, as by a
        constant added to it, is refuted.

    What to do:
        Leave out the last ReLU. Where predictions must not be negative use softplus, or predict the
        logarithm.

    Known limitations:
        Suspected are outputs under a loss that is in sight. Images and maps, whose many units
        seldom die together, are left alone under a regression loss, and so is an output whose
        targets are seen not to be negative, unless it is a single unit.
    """

    family = Family.LOSS
    references = (
        "https://arxiv.org/abs/1903.06733",
        "https://dl.acm.org/doi/10.1145/3468264.3468612",
    )

    def check(self, use: LossUse, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for a ReLU that is the last operation in front of the loss."""
        step = use.last("relu", "relu6")
        if step is None or use.function not in _REGRESSIONS | _PROBABILITIES:
            return
        regression = use.function in _REGRESSIONS
        if regression and not _may_die(use):
            return
        bypass = Bypass((step.layer.id,)) if step.layer else Bypass(applied=(step.name,))
        claim = Claim(
            Quantity.WRONG_GRADIENT, use.logits.id, _KEPT, error=_LOST, objective=use.objective
        )
        yield Hypothesis(
            span=step.span,
            layer=step.layer.id if step.layer else "",
            message="a ReLU as the output unit, which cannot be negative and may die",
            claims=(claim,),
            region=use.region,
            remedies=(Remedy("leave out the ReLU of the output", (bypass,)),),
            severity=Severity.ERROR if _fails(use) else Severity.WARNING,
            definite=True,
        )

    examples = (
        """
import torch
from torch import nn

class Regressor(nn.Module):
    def __init__(self, features=13, hidden=32):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(features, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 1),
            nn.ReLU(),  # confirmed
        )

    def forward(self, x):  # x: (batch, 13)
        return self.net(x)

def train(loader):
    model = Regressor()
    criterion = nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()

if __name__ == "__main__":
    train([(torch.randn(16, 13), torch.randn(16, 1))])
""",
        """
import torch
import torch.nn.functional as F
from torch import nn

class Flowers(nn.Module):
    def __init__(self, features=4, classes=3):
        super().__init__()
        self.fc1 = nn.Linear(features, 16)
        self.fc2 = nn.Linear(16, classes)

    def forward(self, x):  # x: (batch, 4)
        x = F.relu(self.fc1(x))
        return F.relu(self.fc2(x))  # confirmed

model = Flowers()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

def step(x, y):
    loss = F.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

if __name__ == "__main__":
    step(torch.randn(16, 4), torch.randint(0, 3, (16,)))
""",
        """
import torch
from torch import nn

class Shifted(nn.Module):
    def __init__(self, features=8):
        super().__init__()
        self.hidden = nn.Linear(features, 16)
        self.out = nn.Linear(16, 1)

    def forward(self, x):  # x: (batch, 8)
        z = self.out(torch.relu(self.hidden(x)))
        return torch.relu(z + 100.0)  # refuted

def train(loader):
    model = Shifted()
    criterion = nn.L1Loss()
    optimizer = torch.optim.Adam(model.parameters())
    for x, y in loader:
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()

if __name__ == "__main__":
    train([(torch.randn(16, 8), 100 + torch.randn(16, 1))])
""",
        """
import torch
from torch import nn

class Encoder(nn.Module):
    def __init__(self, features=20, code=6):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(features, code), nn.ReLU())

    def forward(self, x):  # x: (batch, 20)
        return self.net(x)

class Count(nn.Module):
    def __init__(self, features=20):
        super().__init__()
        self.encoder = Encoder(features)
        self.out = nn.Sequential(nn.Linear(6, 1), nn.Softplus())

    def forward(self, x):  # x: (batch, 20)
        return self.out(self.encoder(x))

def train(loader):
    model = Count()
    criterion = nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters())
    for x, y in loader:
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()

if __name__ == "__main__":
    train([(torch.randn(16, 20), torch.rand(16, 1) * 5)])
""",
    )


def _may_die(use: LossUse) -> bool:
    """Whether the output is a single unit, or a vector whose targets may be negative."""
    shape = use.logits.shape
    if len(shape) > 2:
        return False
    single = len(shape) < 2 or shape[-1] == 1
    return single or not _positive(use)


def _fails(use: LossUse) -> bool:
    """Whether training fails for sure: with many classes, or for targets seen below zero."""
    if use.function in _PROBABILITIES:
        return use.classes >= _MANY
    return use.target is not None and use.target[0] < 0


def _positive(use: LossUse) -> bool:
    return use.target is not None and use.target[0] >= 0
