"""Attention of every sharpness, under masks, over packed batches and over tokens that are alike."""

from __future__ import annotations

import math
import statistics

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from gradlint.theory import predict
from gradlint.theory.attention import Competition, competition, competition_of_earlier
from tests.theory.measured import Network, decades, network, traced

TOKENS, WIDTH = 16, 64


def measured_competition(logits: torch.Tensor) -> Competition:
    """C and |J|^2, averaged over rows of logits."""
    weights = logits.softmax(-1)
    peak, cubes = weights.square().sum(-1), weights.pow(3).sum(-1)
    return Competition(float(peak.mean()), float((peak - 2.0 * cubes + peak.square()).mean()))


@pytest.mark.parametrize("deviation", [0.5, 1.0, 2.0, 4.0, 16.0], ids=lambda value: f"std {value}")
@pytest.mark.parametrize("count", [2, 4, 16, 64, 256], ids=lambda value: f"{value} keys")
def test_softmax_closes_as_slowly_as_ties_let_it(count: int, deviation: float) -> None:
    torch.manual_seed(0)
    found = measured_competition(deviation * torch.randn(400_000 // count, count))
    predicted = competition(count, deviation**2)
    assert predicted.peak == pytest.approx(found.peak, rel=0.15)
    assert predicted.slope == pytest.approx(found.slope, rel=0.15)


def test_even_logits_leave_all_keys_in_competition() -> None:
    assert competition(8, 0.0) == Competition(1 / 8, 7 / 64)
    assert competition(1, 5.0) == Competition(1.0, 0.0)


@pytest.mark.parametrize("deviation", [0.5, 4.0], ids=["loose", "sharp"])
def test_under_a_causal_mask_early_queries_see_few_keys(deviation: float) -> None:
    torch.manual_seed(0)
    logits = deviation * torch.randn(2000, 64, 64)
    hidden = torch.full((64, 64), -math.inf).triu(1)
    found = measured_competition(logits + hidden)
    predicted = competition_of_earlier(64, deviation**2)
    assert predicted.peak == pytest.approx(found.peak, rel=0.15)
    assert predicted.slope == pytest.approx(found.slope, rel=0.15)


class Heads(nn.Module):
    """Residual attention of sharpness `scale` on normalised queries and keys."""

    def __init__(self, way: str, scale: float) -> None:
        super().__init__()
        self.norm, self.joint = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 3 * WIDTH)
        self.query, self.key = nn.LayerNorm(WIDTH // 4), nn.LayerNorm(WIDTH // 4)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.way, self.scale = way, scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heads = self.joint(self.norm(x)).unflatten(-1, (3, 4, WIDTH // 4))
        q, k, v = heads.movedim(-3, 0).transpose(-2, -3).unbind(0)
        return x + self.out(self.mixed(self.query(q), self.key(k), v).transpose(-2, -3).flatten(-2))

    def mixed(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        seen = torch.ones(TOKENS, TOKENS, dtype=torch.bool).tril()
        if self.way.startswith("fused"):
            mask = seen if self.way.endswith("masked") else None
            return scaled_dot_product_attention(q, k, v, mask, scale=self.scale)
        if self.way == "by letters":
            logits = torch.einsum("bhqd,bhkd->bhqk", q, k) * self.scale
            return torch.einsum("bhqk,bhkd->bhqd", logits.softmax(-1), v)
        logits = q @ k.transpose(-1, -2) * self.scale
        if self.way == "values first":
            return (v.transpose(-1, -2) @ logits.softmax(-1).transpose(-1, -2)).transpose(-1, -2)
        if self.way.endswith("filled"):
            logits = logits.masked_fill(~seen, -math.inf)
        if self.way.endswith("chosen"):
            logits = torch.where(seen, logits, torch.finfo(logits.dtype).min)
        if self.way.endswith("added"):
            logits = logits + torch.where(seen, 0.0, torch.finfo(logits.dtype).min)
        return logits.softmax(-1) @ v


def blocks(way: str, scale: float) -> Network:
    def build() -> nn.Module:
        heads = [Heads(way, scale) for _ in range(3)]
        return nn.Sequential(nn.Linear(20, WIDTH), *heads, nn.Linear(WIDTH, 10))

    return network(build, 8, TOKENS, 20)


def gap(net: Network, seeds: int = 5) -> float:
    """The largest gap between prediction and measurement along the trunk, in decades."""
    graph, _ = traced(net)
    trunk = tuple(layer.id for layer in graph.trunk)
    prediction, found = predict(graph), decades(net, trunk, range(seeds))
    return max(abs(prediction.decades(node) - statistics.median(found[node])) for node in trunk)


WAYS = (
    "fused",
    "fused, masked",
    "spelled out",
    "filled",
    "chosen",
    "added",
    "by letters",
    "values first",
)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("scale", [0.25, 1.0], ids=["scaled", "without scale"])
def test_attention_is_predicted_however_it_is_written_and_masked(way: str, scale: float) -> None:
    assert gap(blocks(way, scale)) < 0.12


class Alike(nn.Module):
    """A weighted mean over tokens of which a part is the same at all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.weigh, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = x + x.mean(1, keepdim=True)
        weights = self.weigh(x).transpose(1, 2).softmax(-1)
        return self.head(self.norm(weights @ self.value(x)))


def test_a_weighted_mean_keeps_what_tokens_share() -> None:
    assert gap(network(Alike, 8, 64, WIDTH)) < 0.2


class Packed(nn.Module):
    """Patches of a batch in one sequence, in another shape than their kernel wants them."""

    def __init__(self, positions: bool) -> None:
        super().__init__()
        self.embed, self.place = nn.Conv2d(3, WIDTH, 4, 4), nn.Embedding(50, WIDTH)
        self.heads, self.head = Heads("fused", 0.25), nn.Linear(WIDTH, 10)
        self.positions = positions

    def forward(self, x: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        x = self.embed(x.view(-1, 3, 4, 4)).flatten(1)
        if self.positions:  # between two rows of the table, as positions are interpolated
            share = (places.remainder(10) / 20.0)[:, None]
            x = x + self.place(places) * share + self.place(places + 1) * (1.0 - share)
        return self.head(self.heads(x))


def packed(positions: bool) -> Network:
    return Network(
        lambda: Packed(positions), lambda: (torch.randn(96, 48), torch.randint(0, 49, (96,)))
    )


@pytest.mark.parametrize("positions", [False, True], ids=["patches alone", "with positions"])
def test_packed_patches_are_one_sequence(positions: bool) -> None:
    assert gap(packed(positions)) < 0.06
