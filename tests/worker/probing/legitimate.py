"""Models that keep gradients from parameters on purpose, as people write them; all learn."""

from __future__ import annotations

import copy

import torch
from torch import nn


class FrozenBackbone(nn.Module):
    """A part that does not learn, by `requires_grad_`."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(8, 8).requires_grad_(False)
        self.head = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(torch.relu(self.body(x)))
        return out


class DetachedBackbone(nn.Module):
    """A part that does not learn, by `detach`."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Linear(8, 8)
        self.head = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.backbone(x).detach())
        return out


class MomentumEncoder(nn.Module):
    """A copy that follows the encoder, as in MoCo and BYOL."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(8, 8)
        self.key = copy.deepcopy(self.query)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            for slow, fast in zip(self.key.parameters(), self.query.parameters(), strict=True):
                slow.mul_(0.99).add_(fast, alpha=0.01)
            wanted = self.key(x)
        return ((self.query(x) - wanted) ** 2).mean()


class SelfDistillation(nn.Module):
    """Stop-gradient on one of two branches, as in SimSiam."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(8, 8)
        self.predict = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.project(x)
        return -torch.cosine_similarity(self.predict(z), z.detach()).mean()


class RunningCodebook(nn.Module):
    """Codes that follow the data by a running mean, as in VQ-VAE with EMA; no gradient for them."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Linear(8, 4)
        self.means = nn.Parameter(torch.randn(16, 4))
        self.decode = nn.Linear(4, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.encode(x)
        nearest = torch.cdist(z, self.means).argmin(-1)
        q = self.means[nearest].detach()
        self.means.data[nearest] = 0.9 * self.means.data[nearest] + 0.1 * z.detach()
        out: torch.Tensor = self.decode(z + (q - z).detach())
        return out


class StraightThrough(nn.Module):
    """A hard choice in front, its soft relative behind."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Linear(8, 4)
        self.out = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        soft = self.logits(x).softmax(-1)
        hard = torch.zeros_like(soft).scatter(-1, soft.argmax(-1, keepdim=True), 1.0)
        out: torch.Tensor = self.out(hard - soft.detach() + soft)
        return out


class Experts(nn.Module):
    """A router that sends each sample to one of many experts, most of which idle."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(8, 32)
        self.experts = nn.ModuleList(nn.Linear(8, 8) for _ in range(32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight, chosen = self.router(x).softmax(-1).max(-1)
        out = torch.zeros_like(x)
        for index, expert in enumerate(self.experts):
            mine = chosen == index
            if bool(mine.any()):
                out[mine] = weight[mine, None] * expert(x[mine])
        return out


class StochasticDepth(nn.Module):
    """Blocks that are left out at random."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(8, 8) for _ in range(6))
        self.bonus = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            if torch.rand(()) < 0.5:
                x = x + torch.relu(block(x))
        if torch.rand(()) < 0.01:
            x = self.bonus(x)
        return x * 2 + self.blocks[0](x)


class ZeroInitialised(nn.Module):
    """A branch and a head that start at zero, and a scale that does."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(8, 8)
        self.branch = nn.Linear(8, 8)
        self.gain = nn.Parameter(torch.zeros(8))
        self.head = nn.Linear(8, 2)
        nn.init.zeros_(self.head.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        out: torch.Tensor = self.head(x + self.gain * self.branch(x))
        return out


class Tied(nn.Module):
    """An output layer that shares the weight of the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 16, bias=False)
        self.out = nn.Linear(8, 16, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.embed(x) @ self.out.weight
        return out


class ManyHeads(nn.Module):
    """Heads of which one is used at a time, one that is returned beside the loss, one for later."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(8, 8)
        self.heads = nn.ModuleDict({"age": nn.Linear(8, 1), "kind": nn.Linear(8, 5)})
        self.auxiliary = nn.Linear(8, 3)
        self.pooler = nn.Linear(8, 8)
        self.attention = torch.zeros(())

    def pooled(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.pooler(self.body(x))
        return out

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        h = torch.relu(self.body(x))
        self.attention = self.auxiliary(h)
        return {"loss": self.heads["age"](h).square().mean(), "kind": self.heads["kind"](h)}


class Sampled(nn.Module):
    """An action drawn from a policy, and its log-probability, by which the policy learns."""

    def __init__(self) -> None:
        super().__init__()
        self.policy = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        choice = torch.distributions.Categorical(logits=self.policy(x))
        action = choice.sample()
        return action, choice.log_prob(action)


class Logged(nn.Module):
    """Numbers taken out for a report."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(8, 8)
        self.head = nn.Linear(8, 2)
        self.seen = 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.body(x)
        self.seen = h.abs().mean().item()
        if h.detach().numpy().max() > 1e6:
            raise FloatingPointError(f"activations of {self.seen}")
        out: torch.Tensor = self.head(h)
        return out


class MissingKernel(nn.Module):
    """Attention that gives zeros in place of what a missing kernel would compute."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = _WithoutKernel()
        self.head = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(x + self.attention(x))
        return out


class _WithoutKernel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(8, 8), nn.Linear(8, 8)
        self.out = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, _ = self.query(x), self.key(x)
        out: torch.Tensor = self.out(torch.zeros_like(query).requires_grad_())
        return out


class HiddenTeacher(nn.Module):
    """A teacher in a list of one, so that it is neither trained nor saved."""

    def __init__(self) -> None:
        super().__init__()
        self.student = nn.Linear(8, 8)
        self.teacher = [nn.Linear(8, 8)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return ((self.student(x) - self.teacher[0](x)) ** 2).mean()


LEGITIMATE: tuple[type[nn.Module], ...] = (
    FrozenBackbone,
    DetachedBackbone,
    MomentumEncoder,
    SelfDistillation,
    RunningCodebook,
    StraightThrough,
    Experts,
    StochasticDepth,
    ZeroInitialised,
    Tied,
    ManyHeads,
    Sampled,
    Logged,
    MissingKernel,
    HiddenTeacher,
)
