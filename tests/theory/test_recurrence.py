"""How fast a recurrent layer forgets is predicted as it is measured."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from gradlint.theory import predict
from tests.theory.measured import network, traced

STEPS, FROM = 24, 6


class Last(nn.Module):
    def __init__(self, make: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.rnn = make()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states: torch.Tensor = self.rnn(x)[0]
        return states[:, -1]


def orthogonal() -> nn.Module:
    rnn = nn.RNN(64, 128, batch_first=True)
    nn.init.orthogonal_(dict(rnn.named_parameters())["weight_hh_l0"])
    return rnn


def remembering() -> nn.Module:
    rnn = nn.LSTM(64, 128, batch_first=True)
    with torch.no_grad():
        dict(rnn.named_parameters())["bias_hh_l0"][128:256] = 1.0
    return rnn


MAKERS: dict[str, Callable[[], nn.Module]] = {
    "tanh": lambda: nn.RNN(64, 128, batch_first=True),
    "orthogonal": orthogonal,
    "relu": lambda: nn.RNN(64, 128, nonlinearity="relu", batch_first=True),
    "GRU": lambda: nn.GRU(64, 128, batch_first=True),
    "LSTM": lambda: nn.LSTM(64, 128, batch_first=True),
    "LSTM with a forget bias of 1": remembering,
}


def slope(make: Callable[[], nn.Module]) -> float:
    """Decades a step of the gradient at the input, over the steps long before the loss."""
    slopes = []
    for seed in range(3):
        torch.manual_seed(seed)
        model, x = Last(make), torch.randn(8, STEPS, 64, requires_grad=True)
        y = model(x)
        (gradient,) = torch.autograd.grad((torch.randn_like(y) * y).sum(), x)
        norms = gradient.double().pow(2).sum((0, 2)).sqrt()
        slopes.append(math.log10(norms[0] / norms[STEPS - FROM]) / (STEPS - FROM))
    return sorted(slopes)[1]


@pytest.mark.parametrize("name", MAKERS)
def test_the_decay_a_step_is_the_measured_one(name: str) -> None:
    graph, _ = traced(network(lambda: Last(MAKERS[name]), 8, STEPS, 64))
    assert predict(graph).signals["rnn"].decay == pytest.approx(slope(MAKERS[name]), abs=0.04)
