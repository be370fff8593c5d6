"""What is foretold of models, and what zeros at the start keep from being foretold."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from gradlint.judging.evidence import Verdict, foretell
from gradlint.judging.outlook import Outlook
from gradlint.layers.graph import LayerGraph
from gradlint.rule import trunk_claim
from tests.theory.measured import imagined, network

WIDTH = 32


def small(layer: nn.Linear | nn.Conv2d) -> nn.Module:
    """Weights so small that the gradient is lost on its way."""
    nn.init.normal_(layer.weight, std=1e-3)
    return layer


def zero(layer: nn.Linear | nn.Conv2d) -> nn.Module:
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


class AdaptiveNorm(nn.Module):
    """A diffusion transformer's blocks: conditions reach the trunk through gates only."""

    def __init__(self, start: Callable[[nn.Linear], nn.Module]) -> None:
        super().__init__()
        self.condition = nn.Sequential(
            small(nn.Linear(8, WIDTH)), nn.SiLU(), small(nn.Linear(WIDTH, WIDTH))
        )
        self.embed = nn.Linear(8, WIDTH)
        self.gate = start(nn.Linear(WIDTH, WIDTH))
        self.mix = nn.Linear(WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate = self.gate(nn.functional.silu(self.condition(x)))
        return self.head(self.embed(x) + gate * torch.relu(self.mix(self.embed(x))))


class Control(nn.Module):
    """A branch that is joined to the trunk by a convolution that starts at zero."""

    def __init__(self, start: Callable[[nn.Conv2d], nn.Module]) -> None:
        super().__init__()
        branch = (small(nn.Conv2d(3, 8, 3, padding=1)), nn.SiLU())
        self.control = nn.Sequential(*branch, small(nn.Conv2d(8, 8, 3, padding=1)), nn.SiLU())
        self.joint = start(nn.Conv2d(8, 8, 1))
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.head = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.stem(x)) + self.joint(self.control(x)))


class Last(nn.Module):
    def __init__(self, start: Callable[[nn.Linear], nn.Module]) -> None:
        super().__init__()
        layers = [part for _ in range(4) for part in (small(nn.Linear(WIDTH, WIDTH)), nn.ReLU())]
        self.body = nn.Sequential(*layers)
        self.head = start(nn.Linear(WIDTH, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        pytest.param(AdaptiveNorm, (8, 8), id="gates of adaptive norms"),
        pytest.param(Control, (8, 3, 8, 8), id="zero convolution"),
        pytest.param(Last, (8, WIDTH), id="last layer"),
    ],
)
def test_a_gradient_that_zeros_cut_off_is_not_foretold(
    build: Callable[[Callable[..., nn.Module]], nn.Module], shape: tuple[int, ...]
) -> None:
    assert verdict(imagined(network(lambda: build(zero), *shape))) is Verdict.INCONCLUSIVE
    assert verdict(imagined(network(lambda: build(lambda layer: layer), *shape))) is (
        Verdict.PREDICTED
    )


def verdict(graph: LayerGraph) -> Verdict:
    claim = trunk_claim(graph)
    return foretell(claim, Outlook(graph).of(claim)).verdict


class Scaled(nn.Module):
    """Residual branches behind a scale or a last layer of zero: the trunk goes round them."""

    def __init__(self, kind: str, depth: int = 12) -> None:
        super().__init__()
        self.first = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(depth))
        self.second = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(depth))
        size = (WIDTH,) if kind == "LayerScale" else (1,)
        start = 0.0 if kind != "FixUp" else 1.0
        self.scales = nn.ParameterList(torch.full(size, start) for _ in range(depth))
        self.head = nn.Linear(WIDTH, 4)
        if kind == "FixUp":
            for parameter in self.second.parameters():
                nn.init.zeros_(parameter)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for first, second, scale in zip(self.first, self.second, self.scales, strict=True):
            x = x + scale * second(torch.relu(first(x)))
        return self.head(x)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("ReZero", id="ReZero"),
        pytest.param("FixUp", id="FixUp"),
        pytest.param("LayerScale", id="LayerScale"),
    ],
)
def test_branches_that_start_at_zero_are_foretold_to_be_healthy(kind: str) -> None:
    stem = network(lambda: nn.Sequential(nn.Linear(8, WIDTH), Scaled(kind)), 8, 8)
    assert verdict(imagined(stem)) is Verdict.REFUTED


@pytest.mark.parametrize(
    ("std", "expected"), [(3.0, Verdict.PREDICTED), (3e4, Verdict.INCONCLUSIVE)]
)
def test_what_no_float_holds_is_not_foretold(std: float, expected: Verdict) -> None:
    def large() -> nn.Module:
        layers = [nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(12)]
        for layer in layers:
            nn.init.normal_(layer.weight, std=std)
        return nn.Sequential(*layers)

    assert verdict(imagined(network(large, 8, WIDTH))) is expected
