"""What the theory predicts without data is what autograd measures."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import pytest
import torch
from torch import nn

from gradlint.theory import predict
from tests.theory.measured import decades, network, traced

SEEDS = range(3)


def chain(activation: Callable[[], nn.Module], depth: int, width: int = 128) -> nn.Module:
    layers = [layer for _ in range(depth) for layer in (nn.Linear(width, width), activation())]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def he(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    return model


def normalised(norm: Callable[[int], nn.Module], depth: int) -> nn.Module:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(128, 128), norm(128), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(128, 10))


class Residual(nn.Module):
    def __init__(self, depth: int) -> None:
        super().__init__()
        self.stem = nn.Linear(64, 128)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(128), nn.Linear(128, 128), nn.GELU(), nn.Linear(128, 128))
            for _ in range(depth)
        )
        self.head = nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


class Rectified(nn.Module):
    """Residual sums that are rectified, so that the shortcut is never negative (He 2016)."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.stem = nn.Linear(64, 128)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(128, 128), nn.BatchNorm1d(128)) for _ in range(depth)
        )
        self.head = nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        for block in self.blocks:
            x = torch.relu(x + block(x))
        return self.head(x)


def convolutions(depth: int) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(3, 32, 3, padding=1), nn.ReLU()]
    for _ in range(depth):
        layers += [nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))


@pytest.mark.parametrize(
    ("build", "shape", "within"),
    [
        (lambda: chain(nn.Sigmoid, 6), (32, 128), 0.2),
        (lambda: chain(nn.Tanh, 12), (32, 128), 0.2),
        (lambda: chain(nn.ReLU, 10), (32, 128), 0.3),
        (lambda: chain(nn.GELU, 6), (32, 128), 0.2),
        (lambda: he(chain(nn.ReLU, 20)), (32, 128), 0.5),
        (lambda: he(chain(nn.LeakyReLU, 10)), (32, 128), 0.3),
        (lambda: normalised(nn.LayerNorm, 12), (32, 128), 0.3),
        (lambda: normalised(nn.BatchNorm1d, 8), (32, 128), 0.5),
        (lambda: Residual(8), (32, 64), 0.2),
        (lambda: Rectified(8), (128, 64), 0.06),
        (lambda: convolutions(4), (16, 3, 16, 16), 0.4),
    ],
    ids=[
        "sigmoid",
        "tanh",
        "relu",
        "gelu",
        "he-relu",
        "he-leaky-relu",
        "layer-norm",
        "batch-norm",
        "residual",
        "rectified-residual",
        "convolutions",
    ],
)
def test_the_gradient_at_the_first_trunk_layer_is_the_predicted_one(
    build: Callable[[], nn.Module], shape: tuple[int, ...], within: float
) -> None:
    net = network(build, *shape)
    graph, _ = traced(net)
    first = graph.trunk[0].id
    predicted = predict(graph).decades(first)
    measured = statistics.median(decades(net, (first,), SEEDS)[first])
    assert predicted == pytest.approx(measured, abs=within)


@pytest.mark.parametrize(
    ("activation", "depth"),
    [(nn.Sigmoid, 4), (nn.ReLU, 8), (nn.Tanh, 12)],
    ids=["sigmoid", "relu", "tanh"],
)
def test_default_initialisation_loses_three_decades_at_the_published_depth(
    activation: Callable[[], nn.Module], depth: int
) -> None:
    graph, _ = traced(network(lambda: chain(activation, depth), 32, 128))
    assert -4.2 < predict(graph).decades(graph.trunk[0].id) < -2.0


def test_an_unknown_operation_is_named_and_lowers_the_confidence() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(16, 16), nn.Linear(16, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.b(
                torch.special.bessel_j0(self.a(x).detach()) + torch.cummax(self.a(x), 1)[0]
            )

    graph, _ = traced(network(Odd, 8, 16))
    prediction = predict(graph)
    assert any("cummax" in name for name in prediction.unknown)
    assert prediction.confidence < 1


def test_the_gradient_of_an_output_that_another_one_depends_on_counts_on_both_sides() -> None:
    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.pooler = nn.Linear(64, 128), nn.Linear(128, 10)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            hidden = torch.tanh(self.stem(x))
            return hidden, self.pooler(hidden)

    net = network(Pooled, 32, 64)
    graph, _ = traced(net)
    first = graph.trunk[0].id
    measured = statistics.median(decades(net, (first,), SEEDS)[first])
    assert predict(graph).decades(first) == pytest.approx(measured, abs=0.03)


def test_every_layer_of_the_graph_has_a_signal() -> None:
    graph, _ = traced(network(lambda: Residual(3), 8, 64))
    assert set(predict(graph).signals) == {layer.id for layer in graph.layers}
