"""Views hand on the roles of axes that they merge, split, cut into windows or cut off."""

from __future__ import annotations

import math
import statistics

import pytest
import torch
from torch import nn

from gradlint.theory import predict
from gradlint.theory.grouping import regrouped, roles_of
from tests.theory.measured import Network, decades, network, traced

WIDTH = 48

IMAGE = (((8, "b"),), ((6, "c"),), ((4, "s"),), ((4, "s"),))


def test_an_axis_of_several_roles_is_split_into_them_again() -> None:
    merged = regrouped(IMAGE, (8 * 6 * 2, 2, 2, 2))
    assert merged[0] == ((8, "b"), (6, "c"), (2, "s"))
    assert roles_of(merged) == "bsss"
    assert roles_of(regrouped(merged, (8, 6, 2, 8))) == "bcss"


def test_axes_of_one_place_have_the_role_of_the_next_one() -> None:
    assert roles_of(regrouped(IMAGE, (8, 1, 6, 16, 1))) == "bccss"


def test_an_axis_that_does_not_divide_is_of_no_known_role() -> None:
    assert regrouped((((6, "b"),), ((4, "c"),)), (4, 6)) == ()


class Drawn(nn.Module):
    """A draw from a normal law of learnt width: noise stands before the signal."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.randn_like(x) * torch.exp(x)


def test_noise_has_the_axes_of_the_signal_that_it_multiplies() -> None:
    graph, _ = traced(network(lambda: nn.Sequential(nn.Conv1d(6, 6, 1), Drawn()), 4, 6, 10))
    product = next(layer for layer in graph.layers if layer.op.endswith("mul"))
    assert predict(graph).steps[product.id].moments.axes == "bcs"


class Patches(nn.Module):
    """Pixels at the same place of all patches are mixed, beside those of other places."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = nn.Conv2d(3, WIDTH, 3), nn.Conv2d(WIDTH, WIDTH, 3)
        self.mix = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.before(x)
        batch, channels, height, width = x.shape
        rows, columns = height // 2, width // 2
        x = x.reshape(batch * channels * rows, 2, columns, 2).transpose(1, 2)
        x = x.reshape(batch, channels, rows * columns, 4).transpose(1, 3)
        x = x.reshape(batch * 4, rows * columns, channels)
        x = self.mix(x.mean(1, keepdim=True) + 0.1 * x)
        x = x.view(batch, 4, rows * columns, channels).transpose(1, 3)
        x = x.reshape(batch * channels * rows, columns, 2, 2).transpose(1, 2)
        return self.after(x.reshape(batch, channels, height, width)).mean((2, 3))


class Windows(nn.Module):
    """Queries in chunks look at the keys of overlapping windows."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.joint = nn.Linear(20, WIDTH), nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x)
        x = x + x.mean(1, keepdim=True)
        q, k, v = (part.unflatten(-1, (4, -1)) for part in self.joint(x).chunk(3, -1))
        q = q[:, 8:].unflatten(1, (-1, 8)).permute(0, 3, 1, 2, 4)
        k, v = (part.unfold(1, 16, 8).movedim(-1, 2).permute(0, 3, 1, 2, 4) for part in (k, v))
        mixed = (q @ k.transpose(-1, -2) / math.sqrt(WIDTH / 4)).softmax(-1) @ v
        return self.out(mixed.permute(0, 2, 3, 1, 4).flatten(3).flatten(1, 2))


class Padded(nn.Module):
    """Tokens are padded to a length that the layers want, and the rest is cut off at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.table = nn.Linear(20, WIDTH), nn.Embedding(4, WIDTH)
        self.blocks = nn.Sequential(*(nn.Linear(WIDTH, WIDTH) for _ in range(3)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rest = self.table(torch.zeros(len(x), 64 - x.shape[1], dtype=torch.long))
        x = torch.cat([self.embed(x), rest], dim=1)
        return (x + self.blocks(x))[:, :12]


class Biased(nn.Module):
    """Logits to which positions add a bias are masked with the same sum."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.joint = nn.Linear(20, WIDTH), nn.Linear(WIDTH, 3 * WIDTH)
        self.bias = nn.Parameter(0.1 * torch.randn(12, 12))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.joint(self.embed(x)).chunk(3, -1)
        hidden = torch.where(torch.arange(12) < 3, 0.0, torch.finfo(x.dtype).min)
        return (q @ k.transpose(-1, -2) / 7.0 + hidden + self.bias).softmax(-1) @ v


@pytest.mark.parametrize(
    "net",
    [
        pytest.param(network(Patches, 8, 3, 18, 18), id="patches unfolded and folded"),
        pytest.param(network(Windows, 8, 64, 20), id="windows"),
        pytest.param(network(Padded, 8, 12, 20), id="padded and cut off"),
        pytest.param(network(Biased, 8, 12, 20), id="a bias beside a mask"),
    ],
)
def test_the_gradient_below_the_views_is_the_predicted_one(net: Network) -> None:
    graph, _ = traced(net)
    prediction, first = predict(graph), graph.trunk[0].id
    assert prediction.unknown == ()
    measured = statistics.median(decades(net, (first,), range(4))[first])
    assert prediction.decades(first) == pytest.approx(measured, abs=0.1)
