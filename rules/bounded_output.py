"""The rule `bounded-output`: an activation that keeps the output from its targets."""

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
)

_RANGES = {
    "sigmoid": (0.0, 1.0),
    "hardsigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "hardtanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
}
_REGRESSIONS = frozenset({"mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"})
_WELL_BEYOND = 1.1  # because noise around the end of a range is no reason to change it


class BoundedOutput(LossRule):
    """A sigmoid or tanh as the output of a regression whose targets lie beyond its range.

    Why it is bad:
        A sigmoid never leaves 0 to 1, a tanh -1 to 1. Trained towards a target outside, the output
        runs into the end of its range, where the activation is flat: the error stays, the gradient
        vanishes, and with it what the network could learn about the other samples.

    How it is measured:
        The logits are set to ten thousand and to minus ten thousand, and the output's largest and
        smallest value are compared with the interval in which the source says that the targets lie.
        An output that is scaled to the targets behind the activation is refuted.

    What to do:
        Leave out the activation, scale the targets into its range, or scale the output to the
        range of the targets.

    Known limitations:
        The interval is read from the expression that makes the target (`torch.randn`,
        `torch.randint`, `torch.linspace`, sines, sums and multiples of them), so only where the
        file itself makes its data. Targets that are loaded are not seen.
    """

    family = Family.LOSS
    references = (
        "https://www.deeplearningbook.org/contents/mlp.html",
        "https://dl.acm.org/doi/10.1145/3468264.3468612",
    )

    def check(self, use: LossUse, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for a bounded activation in front of a loss of farther targets."""
        bounded = [step for step in use.steps if step.name in _RANGES]
        if use.function not in _REGRESSIONS or not bounded or use.target is None:
            return
        step = bounded[-1]
        low, high = _RANGES[step.name]
        wanted_low, wanted_high = use.target
        if wanted_high > high * _WELL_BEYOND:
            quantity, bound = Quantity.OUTPUT_HIGHEST, Bound(at_least=wanted_high)
        elif wanted_low < low - (_WELL_BEYOND - 1):
            quantity, bound = Quantity.OUTPUT_LOWEST, Bound(at_most=wanted_low)
        else:
            return
        bypass = Bypass((step.layer.id,)) if step.layer else Bypass(applied=(step.name,))
        yield Hypothesis(
            span=step.span,
            layer=step.layer.id if step.layer else "",
            message=f"a {step.name} keeps the output between {low:g} and {high:g}, and the targets "
            f"lie between {wanted_low:g} and {wanted_high:g}",
            claims=(Claim(quantity, use.logits.id, bound, error=bound, objective=use.objective),),
            region=use.region,
            remedies=(Remedy(f"leave out the {step.name} of the output", (bypass,)),),
            definite=True,
        )

    examples = (
        """
import torch
from torch import nn

class Prices(nn.Module):
    def __init__(self, features=6):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(features, 16),
            nn.ReLU(),
            nn.Linear(16, 1),
            nn.Sigmoid(),  # confirmed
        )

    def forward(self, x):  # x: (batch, 6)
        return self.net(x)

def main():
    x = torch.rand(64, 6)
    y = 20 * torch.rand(64, 1) + 5
    model = Prices()
    criterion = nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(100):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()

if __name__ == "__main__":
    main()
""",
        """
import torch
from torch import nn

class Scaled(nn.Module):
    def __init__(self, features=6, limit=30.0):
        super().__init__()
        self.out = nn.Linear(features, 1)
        self.limit = limit

    def forward(self, x):  # x: (batch, 6)
        return self.limit * torch.sigmoid(self.out(x))  # refuted

def main():
    x, y = torch.rand(64, 6), 25 * torch.rand(64, 1)
    model = Scaled()
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.l1_loss(model(x), y).backward()
        optimizer.step()

if __name__ == "__main__":
    main()
""",
        """
import torch
from torch import nn

class Wave(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, hidden), nn.Tanh(), nn.Linear(hidden, 1), nn.Tanh())

    def forward(self, t):  # t: (batch, 1)
        return self.net(t)

def main():
    t = torch.linspace(-3, 3, 100).unsqueeze(1)
    model = Wave()
    criterion = nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(100):
        optimizer.zero_grad()
        criterion(model(t), torch.sin(t)).backward()
        optimizer.step()

if __name__ == "__main__":
    main()
""",
    )
