"""Chains of functions are taken as one, and yet the gradient is right between them."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import pytest
import torch
from torch import nn

from gradlint.theory import predict
from gradlint.theory.step import Flow, Gain
from tests.theory.measured import decades, network, traced


class Squashed(nn.Module):
    """tanh behind a scaled rectifier, spelled out."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(2.0 * torch.relu(x))


@pytest.mark.parametrize(
    "chain",
    [
        pytest.param(lambda: nn.Sequential(nn.ReLU(), nn.ReLU()), id="a rectified rectifier"),
        pytest.param(lambda: nn.Sequential(nn.ReLU(), nn.LeakyReLU(0.3)), id="leaky behind strict"),
        pytest.param(lambda: nn.Sequential(nn.Softplus(), nn.Tanh()), id="tanh behind softplus"),
        pytest.param(Squashed, id="a product inside"),
    ],
)
def test_the_gradient_between_the_functions_of_a_chain_is_predicted(
    chain: Callable[[], nn.Module],
) -> None:
    net = network(lambda: nn.Sequential(nn.Linear(64, 256), chain(), nn.Linear(256, 256)), 64, 64)
    graph, _ = traced(net)
    inside = tuple(layer.id for layer in graph.layers)
    measured = decades(net, inside, range(3))
    predicted = predict(graph)
    for node in inside:
        typical = statistics.median(measured[node])
        assert predicted.decades(node) == pytest.approx(typical, abs=0.02), node


def test_what_lies_along_a_signal_by_chance_fares_as_all_of_it() -> None:
    gain = Gain(2.0, aligned=1e6, chance=0.01)
    assert gain.apply(Flow(1.0, along=0.1)).energy == pytest.approx(2.0)
