"""The rule `softmax-before-cross-entropy`: probabilities where the loss wants logits."""

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
    OptimizerFamily,
    Quantity,
    Remedy,
    Severity,
)

# Decades of gradient that a wrong and sure sample keeps: with logits cross-entropy keeps all of it
# (measured: 0.0 with ten classes), behind a softmax it loses more than 4.
_KEPT = Bound(at_least=-1)
_LOST = Bound(at_least=-2)
# The number of classes from which a small network learnt less than two thirds of clusters that it
# learns without the softmax, in 200 steps: 30 with SGD (.25), 100 with Adam (.63); up to 10 classes
# it learnt them all.
_FAILING = {OptimizerFamily.ADAM: 100}
_FAILING_OTHERWISE = 30


class SoftmaxBeforeCrossEntropy(LossRule):
    """A softmax whose output goes into cross-entropy, which takes another softmax of it.

    Why it is bad:
        Cross-entropy in PyTorch is log-softmax and negative log-likelihood in one. Of probabilities
        it takes a second softmax: the largest probability becomes at most e/(e + C - 1), so with
        ten classes the loss cannot fall below 1.46, and a sample that is wrong and sure has no
        gradient left to be put right, because the first softmax has saturated.

    How it is measured:
        The logits of each sample are moved against it until the model is wrong by a margin of 10,
        and the gradient of the loop's own loss there is compared with that of an undecided model,
        in decades. Logits keep it; behind a softmax it falls by four decades. A log-softmax in the
        same place does no harm, since taking it twice changes nothing, and is refuted.

    What to do:
        Leave out the softmax and give the loss the logits. Where probabilities are wanted for
        prediction, take the softmax there.

    Known limitations:
        With few classes such a model learns an easy task as well, if more slowly, so this is an
        error only from 30 classes on (100 with Adam). The loss is found in loops of the same file
        and inside the model itself. What a loss function of your own does with its argument is not
        followed.
    """

    family = Family.LOSS
    references = (
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html",
        "https://www.isca-archive.org/interspeech_2013/golik13_interspeech.html",
    )

    def check(self, use: LossUse, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for a softmax or log-softmax directly in front of cross-entropy."""
        step = use.last("softmax", "log_softmax")
        if use.function != "cross_entropy" or step is None:
            return
        bypass = Bypass((step.layer.id,)) if step.layer else Bypass(applied=(step.name,))
        yield Hypothesis(
            span=step.span,
            layer=step.layer.id if step.layer else "",
            message=f"a {step.name.replace('_', '-')} in front of cross-entropy, which takes the "
            "softmax itself",
            claims=(
                Claim(
                    Quantity.WRONG_GRADIENT,
                    use.logits.id,
                    _KEPT,
                    error=_LOST,
                    objective=use.objective,
                ),
            ),
            region=use.region,
            severity=_severity(use, graph),
            remedies=(Remedy("leave out the softmax and give the loss the logits", (bypass,)),),
            definite=True,
        )

    examples = (
        """
import torch
from torch import nn

class Digits(nn.Module):
    def __init__(self, inputs=64, hidden=48, classes=10):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(inputs, hidden),
            nn.ReLU(),
            nn.Linear(hidden, classes),
            nn.Softmax(dim=1),  # confirmed
        )

    def forward(self, x):  # x: (batch, 64)
        return self.net(x)

def train(loader, epochs=10):
    model = Digits()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()

if __name__ == "__main__":
    train([(torch.randn(32, 64), torch.randint(0, 10, (32,)))])
""",
        """
import torch
import torch.nn.functional as F
from torch import nn

class Words(nn.Module):
    def __init__(self, vocabulary=50, width=32, classes=4):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.head = nn.Linear(width, classes)

    def forward(self, tokens):  # tokens: (batch, time)
        return self.head(self.embed(tokens).mean(1))

model = Words()
optimizer = torch.optim.Adam(model.parameters())

def step(tokens, labels):
    logits = model(tokens)
    probabilities = F.softmax(logits, dim=-1)  # confirmed
    loss = F.cross_entropy(probabilities, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()

if __name__ == "__main__":
    step(torch.randint(0, 50, (16, 12)), torch.randint(0, 4, (16,)))
""",
        """
import torch
import torch.nn.functional as F
from torch import nn

class OwnLoss(nn.Module):
    def __init__(self, width=20, classes=6):
        super().__init__()
        self.hidden = nn.Linear(width, 40)
        self.out = nn.Linear(40, classes)
        self.loss = nn.CrossEntropyLoss()

    def forward(self, x, labels):  # x: (batch, 20), labels: (batch,)
        scores = torch.softmax(self.out(F.relu(self.hidden(x))), dim=1)  # confirmed
        return self.loss(scores, labels)

def demo():
    return OwnLoss()(torch.randn(8, 20), torch.randint(0, 6, (8,)))
""",
        """
import torch
from torch import nn

class LogProbabilities(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(30, 50)
        self.fc2 = nn.Linear(50, 5)
        self.out = nn.LogSoftmax(dim=1)  # refuted

    def forward(self, x):  # x: (batch, 30)
        return self.out(self.fc2(torch.relu(self.fc1(x))))

def main():
    net = LogProbabilities()
    loss_fn = nn.CrossEntropyLoss()
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for _ in range(100):
        x, y = torch.randn(16, 30), torch.randint(0, 5, (16,))
        opt.zero_grad()
        loss_fn(net(x), y).backward()
        opt.step()

if __name__ == "__main__":
    main()
""",
        """
import torch
from torch import nn

class Policy(nn.Module):
    def __init__(self, observations=8, actions=3):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(observations, 32), nn.ReLU())
        self.logits = nn.Linear(32, actions)

    def forward(self, state):  # state: (batch, 8)
        return self.logits(self.body(state))

def clone_behaviour(batches):
    policy = Policy()
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()
    for states, actions in batches:
        output = policy(states)
        loss = criterion(output, actions)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        accuracy = (torch.softmax(output, dim=1).argmax(1) == actions).float().mean()
        print(loss.item(), accuracy.item())

if __name__ == "__main__":
    clone_behaviour([(torch.randn(16, 8), torch.randint(0, 3, (16,)))])
""",
    )


def _severity(use: LossUse, graph: LayerGraph) -> Severity:
    fails = use.classes >= _FAILING.get(graph.optimizer, _FAILING_OTHERWISE)
    return Severity.ERROR if fails else Severity.WARNING
