"""The rule `half-underflow`: gradients in float16 without a scaler of the loss."""

from __future__ import annotations

from collections.abc import Iterator

from gradlint.rule import (
    Bound,
    Claim,
    Family,
    Hypothesis,
    LayerGraph,
    LoopRule,
    Objective,
    Quantity,
    Remedy,
    ScaleLoss,
    Severity,
    StepKind,
    TrainingLoop,
)

# The detector that needed loss scaling lost 31 % of its gradients, others trained with 5 %.
_KEPT = Bound(at_most=0.05)
_SCALE = 2.0**16  # where torch.amp.GradScaler starts


class HalfUnderflow(LoopRule):
    """A loop in float16 whose small gradients become zero, because nothing scales the loss.

    Why it is bad:
        The smallest positive number of float16 is 6e-8. The gradient of a mean over many samples
        and classes is often smaller, and each such element is rounded to zero, so parts of the
        network stop learning for no visible reason. A scaler multiplies the loss before the
        backward pass and divides the gradients after it, which moves all of them into range.

    How it is measured:
        The gradients of all weights are computed in single precision, under the loop's own loss,
        and the share of the non-zero ones that float16 would round to zero is counted. Where the
        gradients are large enough as they are, the suspicion is refuted.

    What to do:
        Use `torch.amp.GradScaler`: `scaler.scale(loss).backward()`, `scaler.step(optimizer)`,
        `scaler.update()`. Or autocast to bfloat16, whose range is that of float32.

    Known limitations:
        Measured are eight samples or what the file itself shows; a larger batch makes the gradients
        of a mean smaller still. Frameworks that scale by configuration are trusted to do so.
    """

    family = Family.LOSS
    references = (
        "https://arxiv.org/abs/1710.03740",
        "https://docs.pytorch.org/docs/stable/amp.html#gradient-scaling",
    )

    def check(self, loop: TrainingLoop, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for a loop in float16 that scales nothing."""
        step = loop.step(StepKind.BACKWARD)
        if not loop.half or loop.scales or step is None:
            return
        claim = Claim(
            Quantity.HALF_UNDERFLOW,
            graph.loss.id,
            _KEPT,
            objective=Objective(loop.training.loss),
        )
        yield Hypothesis(
            span=step.span,
            layer="",
            message="a backward pass in float16 with no scaling of the loss",
            claims=(claim,),
            region=(graph.loss.id,),
            remedies=(Remedy("scale the loss with torch.amp.GradScaler", (ScaleLoss(_SCALE),)),),
            severity=Severity.WARNING,
            definite=True,
        )

    examples = (
        """
import torch
from torch import nn

class Deep(nn.Module):
    def __init__(self, features=64, width=96, depth=14, classes=10):
        super().__init__()
        layers = [nn.Linear(features, width), nn.ReLU()]
        for _ in range(depth):
            layers += [nn.Linear(width, width), nn.ReLU()]
        self.net = nn.Sequential(*layers, nn.Linear(width, classes))

    def forward(self, x):  # x: (batch, 64)
        return self.net(x)

def train(loader):
    model = Deep()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for x, y in loader:
        optimizer.zero_grad()
        with torch.autocast("cuda", dtype=torch.float16):
            loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()  # confirmed
        optimizer.step()

if __name__ == "__main__":
    train([(torch.randn(32, 64), torch.randint(0, 10, (32,)))])
""",
        """
import torch
from torch import nn

class Small(nn.Module):
    def __init__(self, features=20, classes=3):
        super().__init__()
        self.fc1 = nn.Linear(features, 32)
        self.fc2 = nn.Linear(32, classes)

    def forward(self, x):  # x: (batch, 20)
        return self.fc2(torch.relu(self.fc1(x)))

def train(loader):
    model = Small().cuda().half()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x.half()), y)
        loss.backward()  # refuted
        optimizer.step()

def demo():
    return Small()(torch.randn(16, 20))
""",
        """
import torch
from torch import nn

class Scaled(nn.Module):
    def __init__(self, features=64, width=96, depth=14):
        super().__init__()
        layers = [nn.Linear(features, width), nn.Tanh()]
        for _ in range(depth):
            layers += [nn.Linear(width, width), nn.Tanh()]
        self.net = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, x):  # x: (batch, 64)
        return self.net(x)

def train(loader, precise):
    model = Scaled()
    optimizer = torch.optim.Adam(model.parameters())
    scaler = torch.amp.GradScaler("cuda")
    for x, y in loader:
        optimizer.zero_grad()
        with torch.autocast("cuda"):
            loss = nn.functional.mse_loss(model(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

def demo():
    return Scaled()(torch.randn(16, 64))
""",
    )
