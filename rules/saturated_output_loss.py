"""The rule `saturated-output-loss`: a squared error of a sigmoid or softmax."""

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
    ReplaceLoss,
    Severity,
)

_KEPT = Bound(at_least=-1)
_SQUASHING = ("sigmoid", "softmax")


class SaturatedOutputLoss(LossRule):
    """A squared error of a sigmoid or softmax, which has no gradient where the model is wrong.

    Why it is bad:
        The slope of a sigmoid is p(1 - p), and a squared error multiplies by it. A sample that is
        wrong and sure (p = .9999 for the wrong answer) gets a ten-thousandth of the gradient of an
        undecided one and stays wrong. Cross-entropy divides by the same slope, so there the two
        cancel and the gradient is the error itself.

    How it is measured:
        The logits of each sample are moved against it until the model is wrong by 10, and the
        gradient of the loop's own loss there is compared with that of an undecided model, in
        decades. A sigmoid under a squared error loses 3.7 decades. With small weights behind the
        sigmoid, such as a temperature, it may not, and is refuted.

    What to do:
        For classes use BCEWithLogitsLoss or CrossEntropyLoss on the logits. For a regression leave
        out the sigmoid, or scale the targets into the middle of its range.

    Known limitations:
        This is a note: many such models learn, if slowly. Images, sequences and autoencoders, whose
        output has as many elements as their input, are left alone, because there a squared error of
        a value between 0 and 1 is usual and works.
    """

    family = Family.LOSS
    references = ("https://www.isca-archive.org/interspeech_2013/golik13_interspeech.html",)

    def check(self, use: LossUse, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for a sigmoid or softmax directly in front of a squared error."""
        step = use.last(*_SQUASHING)
        if use.function != "mse_loss" or step is None or not _classifies(use, graph):
            return
        stable = "cross_entropy" if step.name == "softmax" else "binary_cross_entropy_with_logits"
        called = stable.replace("_", " ").replace("with logits", "of the logits")
        bypass = Bypass((step.layer.id,)) if step.layer else Bypass(applied=(step.name,))
        yield Hypothesis(
            span=step.span,
            layer=step.layer.id if step.layer else "",
            message=f"a {step.name} under a squared error, which loses its gradient where the "
            "model is wrong and sure",
            claims=(Claim(Quantity.WRONG_GRADIENT, use.logits.id, _KEPT, objective=use.objective),),
            region=use.region,
            remedies=(
                Remedy(
                    f"leave out the {step.name} and use {called}", (bypass, ReplaceLoss(stable))
                ),
            ),
            severity=Severity.NOTE,
        )

    examples = (
        """
import torch
from torch import nn

class Xor(nn.Module):
    def __init__(self, inputs=2, hidden=8):
        super().__init__()
        self.hidden = nn.Linear(inputs, hidden)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x):  # x: (batch, 2)
        x = torch.tanh(self.hidden(x))
        return torch.sigmoid(self.out(x))  # confirmed

def train(x, y, epochs=1000):
    model = Xor()
    criterion = nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(epochs):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()

if __name__ == "__main__":
    train(torch.randint(0, 2, (16, 2)).float(), torch.randint(0, 2, (16, 1)).float())
""",
        """
import torch
from torch import nn

class Warm(nn.Module):
    def __init__(self, inputs=9, temperature=40.0):
        super().__init__()
        self.out = nn.Linear(inputs, 1)
        self.temperature = temperature

    def forward(self, x):  # x: (batch, 9)
        return torch.sigmoid(self.out(x) / self.temperature)  # refuted

def train(batches):
    model = Warm()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    for x, y in batches:
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()

if __name__ == "__main__":
    train([(torch.randn(16, 9), torch.rand(16, 1))])
""",
        """
import torch
from torch import nn

class AutoEncoder(nn.Module):
    def __init__(self, pixels=64, code=6):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(pixels, 32), nn.ReLU(), nn.Linear(32, code))
        self.decoder = nn.Sequential(
            nn.Linear(code, 32), nn.ReLU(), nn.Linear(32, pixels), nn.Sigmoid()
        )

    def forward(self, x):  # x: (batch, 64)
        return self.decoder(self.encoder(x))

def train(batches):
    model = AutoEncoder()
    criterion = nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters())
    for x in batches:
        loss = criterion(model(x), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

if __name__ == "__main__":
    train([torch.rand(16, 64)])
""",
    )


def _classifies(use: LossUse, graph: LayerGraph) -> bool:
    """Whether the output is one vector a sample, and no reconstruction of the input."""
    shape = use.logits.shape
    return len(shape) == 2 and all(given.shape[-1:] != shape[-1:] for given in graph.inputs)
