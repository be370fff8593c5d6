"""The decades that are lost are blamed on what loses them."""

from __future__ import annotations

from functools import partial

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
        pytest.param(nn.ReLU, 0.0, Cause.WEIGHTS, id="default weights in front of ReLU"),
        pytest.param(nn.SiLU, 0.17, Cause.MISSING_NORM, id="critical weights without a norm"),
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
    assert sum(attribution.causes.values()) == pytest.approx(first)


def test_a_region_answers_for_its_own_layers_alone() -> None:
    graph, _ = traced(network(lambda: stack(nn.Sigmoid), 8, 64))
    prediction = predict(graph)
    region = tuple(layer.id for layer in graph.trunk[4:9])
    bottom, top = (prediction.decades(region[place]) for place in (0, -1))
    assert explain(graph, prediction, region).total == pytest.approx(bottom - top)
    assert not explain(graph, prediction, ("nowhere",)).causes


def test_narrow_layers_lose_by_their_width() -> None:
    def narrow(width: int) -> nn.Module:
        layers = [part for _ in range(20) for part in (nn.Linear(width, width), nn.ReLU())]
        return nn.Sequential(*layers, nn.Linear(width, 2))

    lost = []
    for width in (4, 64):
        graph, _ = traced(network(partial(narrow, width), 8, width))
        lost.append(explain(graph, predict(graph)).causes[Cause.WIDTH])
    assert lost[0] < 4 * lost[1] < 0


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


def test_weights_in_front_of_norms_count_with_them() -> None:
    layers: list[nn.Module] = []
    for _ in range(20):
        layers += [nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU()]
    graph, _ = traced(network(lambda: nn.Sequential(*layers, nn.Linear(64, 10)), 8, 64))
    attribution = explain(graph, predict(graph))
    assert attribution.main is Cause.NORM
    assert attribution.causes[Cause.NORM] < 2 * attribution.total
    assert abs(attribution.causes[Cause.WEIGHTS]) < 0.5  # those of the last layer


class Blocks(nn.Module):
    """Residual blocks with weights of a given scale, and with norms if wanted."""

    def __init__(self, std: float, norm: bool) -> None:
        super().__init__()
        self.stem = nn.Linear(64, 64)
        self.blocks = nn.ModuleList(nn.Linear(64, 64) for _ in range(10))
        self.norms = nn.ModuleList(nn.LayerNorm(64) if norm else nn.Identity() for _ in range(10))
        self.head = nn.Linear(64, 10)
        for name, parameter in self.blocks.named_parameters():
            if name.endswith("weight"):
                nn.init.normal_(parameter, std=std)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block, norm in zip(self.blocks, self.norms, strict=True):
            x = x + torch.relu(block(norm(x)))
        return self.head(x)


@pytest.mark.parametrize(
    ("std", "norm", "cause"),
    [
        pytest.param(0.5, False, Cause.WEIGHTS, id="large weights in the branches"),
        pytest.param(0.17, False, Cause.MISSING_NORM, id="usual weights, no norm"),
        pytest.param(0.5, True, Cause.NORM, id="large weights behind norms"),
    ],
)
def test_branches_answer_for_what_their_sums_pass_on(std: float, norm: bool, cause: Cause) -> None:
    graph, _ = traced(network(lambda: Blocks(std, norm), 8, 64))
    assert explain(graph, predict(graph)).main is cause
