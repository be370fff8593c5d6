"""The rule `sigmoid-before-bce-with-logits`: probabilities where the loss wants logits."""

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

# Decades of gradient that a wrong and sure sample keeps: .3 more with logits, 4 less behind a
# sigmoid.
_KEPT = Bound(at_least=-1)
_LOST = Bound(at_least=-2)
# From as many labels on, one of them true, a small network learnt half of clusters or less that it
# learns without the sigmoid, in 200 steps with SGD (.52) and Adam (.19); four it learnt all.
_FAILING = 10


class SigmoidBeforeBceWithLogits(LossRule):
    """A sigmoid whose output goes into binary cross-entropy with logits, which takes another.

    Why it is bad:
        BCEWithLogitsLoss takes the sigmoid itself. Of a probability it makes a number between .5
        and .73, so the model can never say no: the loss of a negative cannot fall below .69, and
        that of a positive not below .31. A sample that is wrong and sure has no gradient left,
        because the first sigmoid has saturated.

    How it is measured:
        The logits of each sample are moved against it until the model is wrong by 10, and the
        gradient of the loop's own loss there is compared with that of an undecided model, in
        decades. Logits keep it; behind a sigmoid it falls by four decades. Where the probability is
        turned into a logit again, it does not, and the suspicion is refuted.

    What to do:
        Leave out the sigmoid, or use BCELoss instead. With logits the loss is computed in one
        stable step, so the first is better.

    Known limitations:
        With a single label such a model learns an easy task as well, if more slowly, so this is an
        error only from ten labels on. The loss is found in loops of the same file and inside the
        model itself. What a loss function of your own does with its argument is not followed.
    """

    family = Family.LOSS
    references = (
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html",
        "https://www.isca-archive.org/interspeech_2013/golik13_interspeech.html",
    )

    def check(self, use: LossUse, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for the last sigmoid or softmax in front of the loss."""
        squashing = [s for s in use.steps if s.name in ("sigmoid", "hardsigmoid", "softmax")]
        if use.function != "binary_cross_entropy_with_logits" or not squashing:
            return
        step = squashing[-1]
        bypass = Bypass((step.layer.id,)) if step.layer else Bypass(applied=(step.name,))
        claim = Claim(
            Quantity.WRONG_GRADIENT, use.logits.id, _KEPT, error=_LOST, objective=use.objective
        )
        yield Hypothesis(
            span=step.span,
            layer=step.layer.id if step.layer else "",
            message=f"a {step.name} in front of binary cross-entropy with logits, which takes the "
            "sigmoid itself",
            claims=(claim,),
            region=use.region,
            severity=Severity.ERROR if use.classes >= _FAILING else Severity.WARNING,
            remedies=(
                Remedy(f"leave out the {step.name} and give the loss the logits", (bypass,)),
            ),
            definite=True,
        )

    examples = (
        """
import torch
from torch import nn

class Spam(nn.Module):
    def __init__(self, features=40):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features, 32),
            nn.ReLU(),
            nn.Linear(32, 1),
            nn.Sigmoid(),  # confirmed
        )

    def forward(self, x):  # x: (batch, 40)
        return self.layers(x).squeeze(1)

def fit(x, y, epochs=20):
    model = Spam()
    loss_fn = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        optimizer.zero_grad()
        loss = loss_fn(model(x), y.float())
        loss.backward()
        optimizer.step()
    return model

if __name__ == "__main__":
    fit(torch.randn(64, 40), torch.randint(0, 2, (64,)))
""",
        """
import torch
import torch.nn.functional as F
from torch import nn

class Mask(nn.Module):
    def __init__(self, channels=8):
        super().__init__()
        self.down = nn.Conv2d(3, channels, 3, padding=1)
        self.up = nn.Conv2d(channels, 1, 1)

    def forward(self, images):  # images: (batch, 3, height, width)
        return self.up(F.relu(self.down(images)))

def train(loader):
    net = Mask()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    for images, masks in loader:
        predicted = torch.sigmoid(net(images))  # confirmed
        loss = F.binary_cross_entropy_with_logits(predicted, masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

if __name__ == "__main__":
    train([(torch.randn(8, 3, 16, 16), torch.rand(8, 1, 16, 16).round())])
""",
        """
import torch
from torch import nn

class Calibrated(nn.Module):
    def __init__(self, features=12):
        super().__init__()
        self.score = nn.Linear(features, 1)

    def forward(self, x):  # x: (batch, 12)
        probability = torch.sigmoid(self.score(x))  # refuted
        return torch.logit(probability, eps=1e-6)

def train(x, y):
    model = Calibrated()
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(10):
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()

if __name__ == "__main__":
    train(torch.randn(32, 12), torch.rand(32, 1).round())
""",
        """
import torch
from torch import nn

class Gate(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.value = nn.Linear(width, width)
        self.gate = nn.Linear(width, width)
        self.out = nn.Linear(width, 1)

    def forward(self, x):  # x: (batch, 16)
        return self.out(self.value(x) * torch.sigmoid(self.gate(x)))

class Probability(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.out = nn.Sequential(nn.Linear(width, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid())

    def forward(self, x):  # x: (batch, 16)
        return self.out(x)

def train(batches):
    gated, probability = Gate(), Probability()
    with_logits, plain = nn.BCEWithLogitsLoss(), nn.BCELoss()
    parameters = [*gated.parameters(), *probability.parameters()]
    optimizer = torch.optim.Adam(parameters)
    for x, y in batches:
        optimizer.zero_grad()
        first = with_logits(gated(x), y)
        second = plain(probability(x), y)
        (first + second).backward()
        optimizer.step()

if __name__ == "__main__":
    train([(torch.randn(16, 16), torch.rand(16, 1).round())])
""",
    )
