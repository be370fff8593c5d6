"""The rule `loss-mismatch`: a last activation and a loss that cannot work together."""

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
    Span,
    Step,
)

_INSIDE = Bound(at_most=0)
_MOSTLY_INSIDE = Bound(at_most=0.1)
_KEPT = Bound(at_least=-1)
_LOST = Bound(at_least=-2)

_LOG_PROBABILITIES = {"nll_loss": "negative log-likelihood", "kl_div": "the KL divergence"}
# In 200 steps a small network learnt nothing with the likelihood of logits, whatever the number of
# classes, but transformers with a norm in front of the head learnt four classes with it; with that
# of probabilities a small network learnt all of 10 classes, .24 of 30 (SGD); with cross-entropy of
# a sigmoid .88 of 100 classes, and of a tanh all of them.
_FAILING = 30
_CENTRED = frozenset({"tanh", "hardtanh", "softsign"})
_BOUNDED = frozenset({"sigmoid", "tanh", "hardsigmoid", "hardtanh", "softsign"})
_CROSS_ENTROPIES = {
    "cross_entropy": "cross-entropy",
    "binary_cross_entropy_with_logits": "binary cross-entropy with logits",
}


class LossMismatch(LossRule):
    """A last activation and a loss that do not speak of the same thing.

    Why it is bad:
        Every loss expects its input in one form. NLLLoss and KLDivLoss want logarithms of
        probabilities: of logits or plain probabilities they compute a number that is no likelihood,
        falls without bound or loses its gradient. BCELoss wants probabilities and raises on
        anything else. Cross-entropy wants logits of any size, which tanh or sigmoid cannot give it,
        and at least two classes: over one its value is always zero.

    How it is measured:
        For losses of probabilities, the share of the elements fed to the loss that lie outside of
        its domain. For cross-entropy, the logits are moved until the model is wrong by 10, and the
        gradient of the loop's own loss is compared with that of an undecided model, in decades:
        minus infinity where the loss does not react at all.

    What to do:
        Give logits to CrossEntropyLoss or BCEWithLogitsLoss, log-softmax to NLLLoss and KLDivLoss,
        sigmoid to BCELoss. With one output unit use BCEWithLogitsLoss.

    Known limitations:
        A bounded activation in front of cross-entropy slows training and seldom stops it: of a tanh
        this is a note, of a sigmoid a warning. The loss is found in loops of the same file and
        inside the model itself. Targets are not seen, so neither are mismatches between a loss and
        its target.
    """

    family = Family.LOSS
    references = (
        "https://docs.pytorch.org/docs/stable/nn.html#loss-functions",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.NLLLoss.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss.html",
    )

    def check(self, use: LossUse, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for a pair of last activation and loss that cannot work."""
        last = use.steps[-1] if use.steps else None
        name = last.name if last else "linear output"
        match use.function:
            case "nll_loss" | "kl_div" if use.objective.loss and name not in ("log_softmax", "log"):
                wants = _LOG_PROBABILITIES[use.function]
                message = f"a {name} in front of {wants}, which takes log-probabilities"
                yield _outside(use, last, message, _to_cross_entropy(last))
            case "binary_cross_entropy" if use.objective.loss and name not in (
                "sigmoid",
                "softmax",
                "hardsigmoid",
            ):
                message = f"a {name} in front of binary cross-entropy, which takes probabilities"
                yield _outside(use, last, message, _to_logits(last))
            case "cross_entropy" if use.classes == 1:
                message = "cross-entropy over one class is always 0"
                yield _blind(use, message, use.span, "use binary cross-entropy with logits")
            case "cross_entropy" | "binary_cross_entropy_with_logits" if last and (
                name in _BOUNDED and (use.function, name) not in _OF_OTHER_RULES
            ):
                yield _bounded(use, last)

    examples = (
        """
import torch
import torch.nn.functional as F
from torch import nn

class Digits(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3)
        self.fc = nn.Linear(8, classes)

    def forward(self, images):  # images: (batch, 1, height, width)
        return self.fc(F.relu(self.conv(images)).mean((2, 3)))

def train(loader):
    model = Digits()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for images, labels in loader:
        optimizer.zero_grad()
        loss = F.nll_loss(model(images), labels)  # confirmed
        loss.backward()
        optimizer.step()

if __name__ == "__main__":
    train([(torch.randn(8, 1, 12, 12), torch.randint(0, 10, (8,)))])
""",
        """
import torch
from torch import nn

class Sentiment(nn.Module):
    def __init__(self, features=30):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(features, 16), nn.ReLU())
        self.out = nn.Linear(16, 3)
        self.probabilities = nn.Softmax(dim=1)  # confirmed

    def forward(self, x):  # x: (batch, 30)
        return self.probabilities(self.out(self.body(x)))

def train(batches):
    model = Sentiment()
    criterion = nn.NLLLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for x, y in batches:
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

if __name__ == "__main__":
    train([(torch.randn(16, 30), torch.randint(0, 3, (16,)))])
""",
        """
import torch
from torch import nn

class Churn(nn.Module):
    def __init__(self, features=9):
        super().__init__()
        self.out = nn.Sequential(nn.Linear(features, 12), nn.ReLU(), nn.Linear(12, 1))

    def forward(self, x):  # x: (batch, 9)
        return self.out(x)

def train(batches):
    model = Churn()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters())
    for x, y in batches:
        optimizer.zero_grad()
        loss = criterion(model(x), y)  # confirmed
        loss.backward()
        optimizer.step()

if __name__ == "__main__":
    train([(torch.randn(16, 9), torch.zeros(16, dtype=torch.long))])
""",
        """
import torch
from torch import nn

class Tagger(nn.Module):
    def __init__(self, vocabulary=40, width=24, tags=5):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.out = nn.Linear(width, tags)

    def forward(self, tokens):  # tokens: (batch, time)
        states, _ = self.lstm(self.embed(tokens))
        return torch.tanh(self.out(states))  # confirmed

def train(batches):
    model = Tagger()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters())
    for tokens, tags in batches:
        scores = model(tokens)
        loss = criterion(scores.view(-1, 5), tags.view(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

if __name__ == "__main__":
    train([(torch.randint(0, 40, (8, 12)), torch.randint(0, 5, (8, 12)))])
""",
        """
import torch
from torch import nn

class Clipped(nn.Module):
    def __init__(self, features=10):
        super().__init__()
        self.out = nn.Linear(features, 1)

    def forward(self, x):  # x: (batch, 10)
        return torch.clamp(torch.sigmoid(self.out(x)), 1e-6, 1 - 1e-6)  # refuted

def train(batches):
    model = Clipped()
    criterion = nn.BCELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in batches:
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()

if __name__ == "__main__":
    train([(torch.randn(16, 10), torch.rand(16, 1).round())])
""",
        """
import torch
import torch.nn.functional as F
from torch import nn

class Student(nn.Module):
    def __init__(self, features=14, classes=6):
        super().__init__()
        self.out = nn.Linear(features, classes)

    def forward(self, x):  # x: (batch, 14)
        return self.out(x)

def distil(batches, temperature=2.0):
    student = Student()
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    for x, teacher in batches:
        logits = student(x)
        soft = F.kl_div(F.log_softmax(logits, dim=1), teacher, reduction="batchmean")
        hard = F.cross_entropy(logits, teacher.argmax(1))
        optimizer.zero_grad()
        (soft + hard).backward()
        optimizer.step()

if __name__ == "__main__":
    distil([(torch.randn(8, 14), torch.softmax(torch.randn(8, 6), 1))])
""",
    )


_OF_OTHER_RULES = frozenset(
    {
        ("binary_cross_entropy_with_logits", "sigmoid"),
        ("binary_cross_entropy_with_logits", "hardsigmoid"),
    }
)


def _outside(use: LossUse, last: Step | None, message: str, remedy: Remedy) -> Hypothesis:
    place = last.span if last else use.span
    claim = Claim(
        Quantity.OUTSIDE_DOMAIN,
        use.logits.id,
        _INSIDE,
        error=_MOSTLY_INSIDE,
        objective=use.objective,
    )
    many = last is not None and last.name == "softmax" and use.classes >= _FAILING
    raises = use.function == "binary_cross_entropy"
    severity = Severity.ERROR if many or raises else Severity.WARNING
    return _hypothesis(use, place, message, claim, remedy, severity)


def _bounded(use: LossUse, last: Step) -> Hypothesis:
    loss = _CROSS_ENTROPIES[use.function]
    remedy = Remedy(f"leave out the {last.name} and give the loss the logits", (_bypass(last),))
    message = f"a {last.name} in front of {loss}, which takes logits"
    severity = Severity.NOTE if last.name in _CENTRED else Severity.WARNING
    return _hypothesis(use, last.span, message, _wrong(use), remedy, severity)


def _blind(use: LossUse, message: str, span: Span, title: str) -> Hypothesis:
    remedy = Remedy(title, (ReplaceLoss("binary_cross_entropy_with_logits"),))
    return _hypothesis(use, span, message, _wrong(use), remedy)


def _wrong(use: LossUse) -> Claim:
    return Claim(
        Quantity.WRONG_GRADIENT, use.logits.id, _KEPT, error=_LOST, objective=use.objective
    )


def _hypothesis(
    use: LossUse,
    span: Span,
    message: str,
    claim: Claim,
    remedy: Remedy,
    severity: Severity = Severity.ERROR,
) -> Hypothesis:
    return Hypothesis(
        span=span,
        layer=use.logits.id,
        message=message,
        claims=(claim,),
        region=use.region,
        remedies=(remedy,),
        severity=severity,
        definite=True,
    )


def _to_cross_entropy(last: Step | None) -> Remedy:
    replace = ReplaceLoss("cross_entropy")
    if last is None:
        return Remedy("use cross-entropy, which takes logits", (replace,))
    return Remedy(
        f"leave out the {last.name} and use cross-entropy, which takes logits",
        (_bypass(last), replace),
    )


def _to_logits(last: Step | None) -> Remedy:
    replace = ReplaceLoss("binary_cross_entropy_with_logits")
    if last is None:
        return Remedy("use binary cross-entropy with logits", (replace,))
    return Remedy(
        f"leave out the {last.name} and use binary cross-entropy with logits",
        (_bypass(last), replace),
    )


def _bypass(step: Step) -> Bypass:
    return Bypass((step.layer.id,)) if step.layer else Bypass(applied=(step.name,))
