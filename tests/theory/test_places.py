"""What positions have in common of a gradient: tokens read out, means over them, attention."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from gradlint.theory import predict
from gradlint.theory.places import (
    ALIKE,
    APART,
    AVERAGED,
    ONE,
    READ_OUT,
    Places,
    gathered,
    spread_by,
    thinned,
)
from tests.theory.measured import Network, decades, network, traced

TOKENS, WIDTH = 32, 64


class Attention(nn.Module):
    """Residual attention as it is spelled in three ways, with a scale on what it adds."""

    def __init__(self, way: str, causal: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.way, self.causal = way, causal
        self.joint = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.whole = nn.MultiheadAttention(WIDTH, 4, batch_first=True) if way == "module" else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(x)
        if self.whole is not None:
            return x + self.whole(y, y, y)[0]
        split = self.joint(y).view(len(x), -1, 3, 4, WIDTH // 4).permute(2, 0, 3, 1, 4)
        q, k, v = split[0], split[1], split[2]
        if self.way == "fused":
            mixed = scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        else:
            mixed = (q @ k.transpose(-2, -1) * (WIDTH // 4) ** -0.5).softmax(-1) @ v
        return x + self.out(mixed.transpose(1, 2).reshape(x.shape))


class Transformer(nn.Module):
    """Attention over embedded patches, read out at a token, by a mean, or everywhere."""

    def __init__(self, way: str, read: str, causal: bool = False, depth: int = 4) -> None:
        super().__init__()
        self.embed = nn.Linear(20, WIDTH)
        self.token = nn.Parameter(0.02 * torch.randn(1, 1, WIDTH))
        self.blocks = nn.Sequential(*[Attention(way, causal) for _ in range(depth)])
        self.head = nn.Linear(WIDTH, 10)
        self.read = read

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x)
        if self.read == "token":
            x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1)
        x = self.blocks(x)
        if self.read == "everywhere":
            return self.head(x)
        return self.head({"token": x[:, 0], "last": x[:, -1]}.get(self.read, x.mean(1)))


@pytest.mark.parametrize(
    ("way", "read", "causal"),
    [
        pytest.param("fused", "token", False, id="class token, fused"),
        pytest.param("spelled out", "token", False, id="class token, spelled out"),
        pytest.param("module", "token", False, id="class token, module"),
        pytest.param("fused", "mean", False, id="mean over tokens"),
        pytest.param("spelled out", "mean", False, id="mean over tokens, spelled out"),
        pytest.param("fused", "everywhere", False, id="every token"),
        pytest.param("fused", "everywhere", True, id="every token, causal"),
        pytest.param("fused", "last", True, id="last token, causal"),
    ],
)
def test_the_gradient_at_the_patches_depends_on_what_is_read_out(
    way: str, read: str, causal: bool
) -> None:
    net = network(lambda: Transformer(way, read, causal), 8, TOKENS, 20)
    found, predicted = first(net)
    assert predicted == pytest.approx(found, abs=0.12)


class Gated(nn.Module):
    """Class attention whose branch starts at a scale of 1e-4, so that patches get next to none."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(20, WIDTH)
        self.token = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.scale = nn.Parameter(1e-4 * torch.ones(WIDTH))
        self.attention = Attention("fused", False)
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.cat([self.token.expand(len(x), -1, -1), self.embed(x)], dim=1)
        x = x + self.scale * self.attention(x)
        return self.head(x[:, 0])


def test_patches_behind_a_small_scale_are_predicted_to_be_starved() -> None:
    found, predicted = first(network(Gated, 8, TOKENS, 20))
    assert found < -4
    assert predicted == pytest.approx(found, abs=0.12)


class Mixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(20, WIDTH)
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(3))
        self.mix = nn.ModuleList(nn.Linear(TOKENS, TOKENS) for _ in range(3))
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x)
        for norm, mix in zip(self.norms, self.mix, strict=True):
            x = x + mix(norm(x).transpose(1, 2)).transpose(1, 2)
        return self.head(x.mean(1))


def test_weights_over_tokens_scatter_what_was_alike() -> None:
    found, predicted = first(network(Mixer, 8, TOKENS, 20))
    assert predicted == pytest.approx(found, abs=0.12)


def first(net: Network) -> tuple[float, float]:
    """Measured and predicted decades at the first layer of the trunk."""
    graph, _ = traced(net)
    node = graph.trunk[0].id
    measured = statistics.median(decades(net, (node,), range(3))[node])
    return measured, predict(graph).decades(node)


@pytest.mark.parametrize(
    ("own", "common"),
    [
        pytest.param(0.0, 0.0, id="even weights"),
        pytest.param(1.0, 0.0, id="weights of their own"),
        pytest.param(0.7, 0.7, id="weights half alike"),
        pytest.param(0.0, 1.0, id="the same weights"),
        pytest.param(6.0, 0.0, id="single winners"),
    ],
)
@pytest.mark.parametrize(
    ("places", "gradient"),
    [
        pytest.param(ONE, lambda: torch.eye(TOKENS)[:, :1] * torch.randn(WIDTH), id="one"),
        pytest.param(ALIKE, lambda: torch.ones(TOKENS, 1) * torch.randn(WIDTH), id="alike"),
        pytest.param(APART, lambda: torch.randn(TOKENS, WIDTH), id="apart"),
    ],
)
def test_mixing_positions_by_weights_adds_up_what_they_share(
    own: float, common: float, places: Places, gradient: Callable[[], torch.Tensor]
) -> None:
    torch.manual_seed(0)
    peaks, products, energies, shares = [], [], [], []
    for _ in range(200):
        logits = own * torch.randn(TOKENS, TOKENS) + common * torch.randn(TOKENS)
        weights, before = logits.softmax(-1), gradient()
        after = weights.T @ before
        peaks.append(float(weights.square().sum(-1).mean()))
        products.append(float(weights.sum(0).square().sum()) / TOKENS)
        energies.append(float(after.square().sum() / before.square().sum()))
        shares.append(float(after.sum(0).square().sum() / after.square().sum() / TOKENS))
    peak = statistics.fmean(peaks)
    likeness = (statistics.fmean(products) / peak - 1.0) / (TOKENS - 1)
    extra, after_places = spread_by(TOKENS, TOKENS, peak, likeness).apply(places)
    assert extra * peak == pytest.approx(statistics.fmean(energies), rel=0.1)
    shared = after_places.alike + (1.0 - after_places.alike) / TOKENS
    assert shared == pytest.approx(statistics.fmean(shares), abs=0.1)


@pytest.mark.parametrize(
    ("before", "landing", "extra", "after"),
    [
        pytest.param(APART, READ_OUT, 1.0, ONE, id="a token is read out"),
        pytest.param(ONE, AVERAGED, 1.0, ALIKE, id="a mean"),
        pytest.param(ALIKE, thinned(0.25), 1.0, Places(alike=0.25), id="slopes of their own"),
        pytest.param(ALIKE, gathered(9, 1.0), 9.0, APART, id="copies of one tensor"),
        pytest.param(APART, gathered(9, 1.0), 1.0, APART, id="copies with nothing in common"),
    ],
)
def test_a_landing_tells_what_becomes_of_each_part(
    before: Places, landing: object, extra: float, after: Places
) -> None:
    assert hasattr(landing, "apply")
    factor, places = landing.apply(before)
    assert factor == pytest.approx(extra)
    assert math.isclose(places.one, after.one)
    assert math.isclose(places.alike, after.alike)


class Standardised(nn.Conv2d):
    """Weights of mean 0 and variance 1 / fan-in, whatever the parameter holds."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = self.weight.flatten(1)
        flat = (flat - flat.mean(1, keepdim=True)) / flat.std(1, keepdim=True)
        weight = (flat * flat.shape[1] ** -0.5).view_as(self.weight)
        return nn.functional.conv2d(x, weight, self.bias, self.stride, self.padding)


def test_computed_kernels_count_by_what_they_hold() -> None:
    layers: list[nn.Module] = [nn.Conv2d(3, 32, 3, padding=1)]
    for _ in range(6):
        layers += [nn.ReLU(), Standardised(32, 32, 3, padding=1)]
    net = network(lambda: nn.Sequential(*layers, nn.Flatten(), nn.Linear(3200, 10)), 8, 3, 10, 10)
    found, predicted = first(net)
    assert predicted == pytest.approx(found, abs=0.2)


class OwnNorm(nn.Module):
    """A layer norm as it is often written by hand."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-6)


def test_a_norm_by_the_standard_deviation_is_predicted() -> None:
    layers: list[nn.Module] = []
    for _ in range(8):
        layers += [nn.Linear(WIDTH, WIDTH), OwnNorm(), nn.ReLU()]
    net = network(lambda: nn.Sequential(*layers, nn.Linear(WIDTH, 10)), 8, WIDTH)
    found, predicted = first(net)
    assert predicted == pytest.approx(found, abs=0.25)
