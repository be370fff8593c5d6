"""The decades that are lost are blamed on what loses them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradlint.theory import Cause, explain, predict
from tests.theory.measured import network, traced


def stack(activation: type[nn.Module], scale: float = 0.0) -> nn.Module:
    layers: list[nn.Module] = []
    for _ in range(10):
        linear = nn.Linear(64, 64)
        if scale:
            nn.init.normal_(linear.weight, std=scale)
        layers += [linear, activation()]
    return nn.Sequential(*layers, nn.Linear(64, 10))


@pytest.mark.parametrize(
    ("activation", "scale", "cause"),
    [
        pytest.param(nn.Sigmoid, 0.12, Cause.ACTIVATION, id="saturating activation"),
        pytest.param(nn.Tanh, 0.01, Cause.WEIGHTS, id="tiny weights"),
        pytest.param(nn.Tanh, 0.0, Cause.MISSING_NORM, id="default weights without a norm"),
    ],
)
def test_the_main_cause_is_the_one_that_was_built_in(
    activation: type[nn.Module], scale: float, cause: Cause
) -> None:
    graph, _ = traced(network(lambda: stack(activation, scale), 8, 64))
    assert explain(graph, predict(graph)).main is cause


def test_the_parts_add_up_to_what_is_predicted_at_the_first_layer() -> None:
    graph, _ = traced(network(lambda: stack(nn.Sigmoid), 8, 64))
    prediction = predict(graph)
    attribution = explain(graph, prediction)
    first = prediction.decades(graph.trunk[0].id)
    assert attribution.total == pytest.approx(first)
    assert sum(change for _, change in attribution.layers.values()) == pytest.approx(first)


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(16, 16)
        self.rnn = nn.RNN(16, 32, num_layers=4, batch_first=True)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(self.embed(x))[0])


def test_a_recurrent_layer_is_named_as_recurrence() -> None:
    graph, _ = traced(network(Reader, 8, 20, 16))
    assert Cause.RECURRENCE in explain(graph, predict(graph)).causes
