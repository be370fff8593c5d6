"""Tensors that fill a part of a whole get as much of a gradient along it as they have of it."""

from __future__ import annotations

import statistics

import pytest
import torch
from torch import nn

from gradlint.theory import predict
from tests.theory.measured import decades, network, traced

WIDTH = 64


class Halves(nn.Module):
    """Two layers side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = (nn.Linear(WIDTH, WIDTH // 2) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.one(x), self.two(x)], -1)


class Chosen(nn.Module):
    """One of two layers at each place."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = (nn.Linear(WIDTH, WIDTH) for _ in range(2))
        self.register_buffer("first", torch.arange(WIDTH) % 2 == 0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.get_buffer("first").expand_as(x)
        return torch.where(first, self.one(x), self.two(x))


class Written(nn.Module):
    """A residual branch for some rows, written into a copy."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.fc = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = torch.arange(len(x)) % 4 > 0
        whole = x.clone()
        whole[rows] = x[rows] + self.fc(self.norm(x[rows]))
        return whole


@pytest.mark.parametrize("block", [Halves, Chosen, Written], ids=["cat", "where", "index put"])
def test_parts_share_what_lies_along_the_whole(block: type[nn.Module]) -> None:
    net = network(lambda: nn.Sequential(*(block() for _ in range(16))), 32, WIDTH)
    graph, _ = traced(net)
    first = graph.trunk[0].id
    typical = statistics.median(decades(net, (first,), range(5))[first])
    assert predict(graph).decades(first) == pytest.approx(typical, abs=0.25)
