"""Every kind of operation changes variance and gradient as the theory says."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional

from gradlint.theory import predict
from tests.theory.measured import Network, decades, network, traced

SEEDS = range(4)
EVERY_THIRD = torch.arange(128) % 3 == 0


class Function(nn.Module):
    """A function between two layers with weights, so that the gradient has to pass it."""

    def __init__(
        self, before: nn.Module, function: Callable[[torch.Tensor], torch.Tensor], after: nn.Module
    ) -> None:
        super().__init__()
        self.before, self.function, self.after = before, function, after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.after(self.function(self.before(x)))


def dense(function: Callable[[torch.Tensor], torch.Tensor], width: int = 128) -> Network:
    return network(lambda: Function(nn.Linear(64, 128), function, nn.Linear(width, 64)), 32, 64)


def image(make: Callable[[], nn.Module], channels: int = 32) -> Network:
    return network(
        lambda: nn.Sequential(nn.Conv2d(3, 32, 3), make(), nn.Conv2d(channels, 16, 1)), 8, 3, 18, 18
    )


def tokens(make: Callable[[], nn.Module]) -> Network:
    return network(lambda: nn.Sequential(nn.Linear(32, 64), make(), nn.Linear(64, 32)), 8, 12, 32)


def ring(nodes: int) -> torch.Tensor:
    """The adjacency of a ring with loops, each row summing to 1."""
    own = torch.eye(nodes)
    return (own + own.roll(1, 0) + own.roll(-1, 0)) / 3


class GraphConvolutions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(32, 32) for _ in range(6))

    def forward(self, x: torch.Tensor, adjacency: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = torch.sigmoid(adjacency @ layer(x))
        return x


class SelfAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(64, 4, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attention(x, x, x, need_weights=False)[0]


class Spelled(nn.Module):
    def __init__(self, *, fused: bool, masked: bool = False) -> None:
        super().__init__()
        self.masked = masked
        self.q, self.k, self.v = (nn.Linear(64, 64) for _ in range(3))
        self.fused = fused

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.q(x), self.k(x), self.v(x)
        if self.fused:
            heads = (part[:, None] for part in (q, k, v))
            return functional.scaled_dot_product_attention(*heads)[:, 0]
        logits = q @ k.transpose(1, 2) / 8.0
        if self.masked:
            logits = logits + torch.full((12, 12), torch.finfo(torch.float32).min).triu(1)
        return functional.softmax(logits, dim=-1) @ v


class RootMeanSquare(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


class LastStep(nn.Module):
    def __init__(self, make: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.stem, self.rnn, self.head = nn.Linear(32, 32), make(), nn.Linear(64, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(self.stem(x))[0])


class Elman(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enter, self.step, self.head = nn.Linear(32, 64), nn.Linear(64, 64), nn.Linear(64, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state = torch.zeros(x.shape[0], 64)
        for moment in self.enter(x).unbind(1):
            state = torch.tanh(moment + self.step(state))
        return self.head(state)


class DiagonalScan(nn.Module):
    """h_t = a h_t-1 + B x_t with a fixed diagonal a, as state-space models have it."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.head = nn.Linear(32, 64), nn.Linear(64, 16)
        self.decay = nn.Parameter(torch.full((64,), 0.8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state = torch.zeros(x.shape[0], 64)
        for moment in self.enter(x).unbind(1):
            state = self.decay * state + moment
        return self.head(state)


class RunningMaximum(nn.Module):
    """A weighted mean of what came before, of which no exponential exceeds 1 (Peng 2023)."""

    def __init__(self) -> None:
        super().__init__()
        self.weigh, self.value = nn.Linear(64, 64), nn.Linear(64, 64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights, values = 2.0 * self.weigh(x), self.value(x)
        top, total, count = weights[:, 0], values[:, 0], torch.ones_like(values[:, 0])
        means = []
        for weight, value in zip(weights.unbind(1), values.unbind(1), strict=True):
            larger = torch.maximum(top - 0.1, weight)
            old, new = torch.exp(top - 0.1 - larger), torch.exp(weight - larger)
            top, total, count = larger, old * total + new * value, old * count + new
            means.append(total / count)
        return torch.stack(means, 1)


class SelectiveScan(nn.Module):
    """h_t = exp(-d_t a) h_t-1 + d_t u_t with steps d_t that the input chooses (Gu 2023)."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.pace, self.head = nn.Linear(32, 64), nn.Linear(64, 64), nn.Linear(64, 16)
        self.rate = nn.Parameter(torch.zeros(64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        u = self.enter(x)
        step = functional.softplus(self.pace(u))
        kept, entering = torch.exp(-step * torch.exp(self.rate)), step * u
        state = torch.zeros(x.shape[0], 64)
        for place in range(x.shape[1]):
            state = kept[:, place] * state + entering[:, place]
        return self.head(state)


class ChunkedScan(nn.Module):
    """The same scan for all places at once, by what a running total grows by between two."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.pace, self.head = nn.Linear(32, 64), nn.Linear(64, 64), nn.Linear(64, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        u = self.enter(x)
        total = (-functional.softplus(self.pace(u))).cumsum(1)
        between = total[:, :, None] - total[:, None]
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)[:, :, None]
        kept = between.masked_fill(later, -torch.inf).exp()
        return self.head((kept * u[:, None]).sum(2))


class AttentionPooling(nn.Module):
    """The sum of tokens by the weights of one learned query."""

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Linear(64, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x * self.score(x).softmax(1)).sum(1)


class SeparableAttention(nn.Module):
    """One context of all places, weighed by a softmax over them (Mehta 2022)."""

    def __init__(self) -> None:
        super().__init__()
        self.score, self.key, self.value = (nn.Conv2d(32, width, 1) for width in (1, 32, 32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = self.score(x).flatten(2).softmax(-1)
        context = (self.key(x).flatten(2) * weights).sum(-1, keepdim=True)
        return torch.relu(self.value(x)) * context[..., None]


class Standardised(nn.Module):
    """A convolution whose kernels are normalised and scaled by a parameter (Brock 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(32, 32, 3, 3))
        self.gain = nn.Parameter(torch.full((32,), 0.1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = self.weight.reshape(1, 32, -1)
        kernel = functional.batch_norm(flat, None, None, weight=self.gain * 0.6, training=True)
        return functional.conv2d(x, kernel.reshape_as(self.weight))


class Sink(nn.Module):
    """Attention with a column for no key at all, which is left out again (Xiao 2024)."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(64, 64) for _ in range(3))
        self.sink = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.q(x) @ self.k(x).transpose(1, 2) / 8.0
        logits = torch.cat([logits, self.sink.expand(*logits.shape[:2], 1)], -1)
        return functional.softmax(logits, dim=-1)[..., :-1] @ self.v(x)


class RunningTotal(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.cumsum(1)


class Scattered(nn.Module):
    """Features of one kind in the places of some tokens, as of an image in a text."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Linear(64, 64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        places = (torch.arange(12) < 4)[None, :, None].expand(len(x), 12, 64)
        return torch.zeros_like(x).masked_scatter(places, self.image(x[:, :4]))


class ImageTokens(nn.Module):
    """Embedded tokens of which those below 20 stand for places of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.image = nn.Embedding(50, 64), nn.Linear(64, 64)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        places = (ids < 20)[..., None].expand_as(x)
        return x.masked_scatter(places, self.image(x))


class Dispatched(nn.Module):
    """Tokens that two experts share, each of which adds its own to the sum (Fedus 2022)."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(nn.Linear(64, 64) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat, places = x.flatten(0, 1), torch.arange(x.shape[0] * x.shape[1])
        total = torch.zeros_like(flat)
        for rest, expert in enumerate(self.experts):
            mine = places[places % 2 == rest]
            total = total.index_add(0, mine, expert(flat[mine]))
        return total.view_as(x)


class Overwritten(nn.Module):
    """A part of a tensor replaced in place."""

    def __init__(self) -> None:
        super().__init__()
        self.part = nn.Linear(64, 64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = 2.0 * x
        y[:, :6] = self.part(x[:, :6])
        return y


class Placed(nn.Module):
    """Tokens that frozen positions are added to, in front of a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.places = nn.Parameter(3.0 * torch.randn(12, 64), requires_grad=False)
        self.norm = nn.LayerNorm(64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x + self.places)


class Pixels(nn.Module):
    """Pixels divided by 255 inside the model, so that what reaches its first layer is small."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm, self.head = nn.Linear(64, 128), nn.LayerNorm(128), nn.Linear(128, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.stem(x / 255.0)))


class Gated(nn.Module):
    """The feed-forward part of today's language models: down(phi(gate(x)) up(x))."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.gate, self.up, self.down = (nn.Linear(64, 64) for _ in range(3))
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(self.function(self.gate(x)) * self.up(x))


class Deformed(nn.Module):
    """Features at places that are found from other features (Zhu 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.values, self.places = nn.Conv2d(32, 32, 1), nn.Conv2d(32, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        places = 0.5 * self.places(x).permute(0, 2, 3, 1).tanh()
        return functional.grid_sample(self.values(x), places, align_corners=False)


class Contraction(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Parameter(torch.randn(4, 16, 16) / 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = x.reshape(*x.shape[:2], 4, 16)
        return torch.einsum("bthi,hij->bthj", parts, self.mix).flatten(2)


class Selective(nn.Module):
    """Two kernels of which a softmax over them picks for each channel (Li 2019)."""

    def __init__(self) -> None:
        super().__init__()
        self.paths = nn.ModuleList(nn.Conv2d(32, 32, 3, padding=1) for _ in range(2))
        self.select, self.last = nn.Conv2d(32, 64, 1), nn.Conv2d(32, 32, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        both = torch.stack([path(x) for path in self.paths], dim=1)
        chosen = self.select(both.sum(1).mean((2, 3), keepdim=True))
        return self.last((both * chosen.unflatten(1, (2, 32)).softmax(1)).sum(1))


def spectral() -> nn.Module:
    layer: nn.Module = nn.utils.parametrizations.spectral_norm(
        nn.Linear(64, 64), n_power_iterations=20
    )
    return layer


def weight_normed() -> nn.Module:
    layer: nn.Module = nn.utils.parametrizations.weight_norm(nn.Linear(64, 64))
    return layer


NETWORKS: dict[str, Network] = {
    "dense": dense(lambda x: x),
    "silu spelled out": dense(lambda x: x * torch.sigmoid(x)),
    "gelu spelled out": dense(
        lambda x: 0.5 * x * (1 + torch.tanh(0.7978846 * (x + 0.044715 * x**3)))
    ),
    "a product with itself": dense(lambda x: x * x),
    "a choice between two halves": dense(
        lambda x: torch.where(x[:, :64] > 0.3, x[:, 64:], 2.0 * x[:, :64]), 64
    ),
    "zeros written over": dense(lambda x: x.masked_fill(EVERY_THIRD, 0.0)),
    "a number chosen at some places": dense(lambda x: torch.where(EVERY_THIRD, 1.5, x)),
    "logits hidden by a choice": dense(
        lambda x: 10 * torch.softmax(torch.where(EVERY_THIRD, torch.tensor(-1e9), 3.0 * x), -1)
    ),
    "decay by a softplus that is spelled out": dense(
        lambda x: torch.exp(-9.0 * torch.where(x > 20.0, x, torch.log(1.0 + torch.exp(x))))
    ),
    "scaled and shifted": dense(lambda x: 3.0 * x + 0.5),
    "rrelu": dense(lambda x: functional.rrelu(x, training=True)),
    "maxout": dense(lambda x: x.reshape(-1, 64, 2).amax(-1), 64),
    "larger of two halves": dense(lambda x: torch.maximum(x[:, :64], x[:, 64:]), 64),
    "smaller of two, one of them shifted": dense(
        lambda x: torch.minimum(x[:, :64], 0.5 * x[:, 64:] + 0.3), 64
    ),
    "glu": dense(functional.glu, 64),
    "gate with silu": tokens(lambda: Gated(functional.silu)),
    "gate with gelu": tokens(lambda: Gated(functional.gelu)),
    "gate with relu": tokens(lambda: Gated(functional.relu)),
    "gate without activation": tokens(lambda: Gated(lambda x: x)),
    "einsum": tokens(Contraction),
    "weight norm": tokens(weight_normed),
    "spectral norm": tokens(spectral),
    "recurrence written by hand": network(Elman, 8, 20, 32),
    "diagonal scan": network(DiagonalScan, 8, 20, 32),
    "selective scan": network(SelectiveScan, 8, 12, 32),
    "pooling by attention": tokens(AttentionPooling),
    "separable attention": image(SeparableAttention),
    "standardised convolution": image(Standardised),
    "standardised convolution of a signal with a mean": image(
        lambda: nn.Sequential(nn.ReLU(), Standardised(), nn.GroupNorm(4, 32))
    ),
    "running totals of tokens": tokens(RunningTotal),
    "features scattered over tokens": tokens(Scattered),
    "tokens that stand for an image": Network(
        lambda: nn.Sequential(ImageTokens(), nn.Linear(64, 16)),
        lambda: (torch.randint(0, 50, (8, 12)),),
    ),
    "experts that add up": tokens(Dispatched),
    "a part overwritten": tokens(Overwritten),
    "attention with a sink": tokens(Sink),
    "frozen positions": tokens(Placed),
    "pixels scaled inside": network(Pixels, 32, 64),
    "gate of two halves": dense(lambda x: x[:, :64] * torch.sigmoid(x[:, 64:]), 64),
    "concatenation": dense(lambda x: torch.cat([x, 2 * x], 1), 256),
    "residual sum": dense(lambda x: x + torch.relu(x).flip(1)),
    "softmax": dense(lambda x: 10 * torch.softmax(x, -1)),
    "log-softmax behind another": dense(lambda x: torch.log_softmax(x, -1)),
    "log-probabilities": network(
        lambda: nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10), nn.LogSoftmax(-1)),
        32,
        64,
    ),
    "dropout": dense(lambda x: functional.dropout(x, 0.4)),
    "square root of a sum": dense(lambda x: x / (1e-3 + x.pow(2).mean(-1, keepdim=True)).sqrt()),
    "norm of the features": dense(functional.normalize),
    "convolution": image(lambda: nn.Conv2d(32, 32, 3, padding=1)),
    "strided convolution": image(lambda: nn.Conv2d(32, 32, 3, stride=2, padding=1)),
    "dilated convolution": image(lambda: nn.Conv2d(32, 32, 3, dilation=2, padding=2)),
    "grouped convolution": image(lambda: nn.Conv2d(32, 32, 3, groups=4)),
    "depthwise convolution": image(lambda: nn.Conv2d(32, 32, 5, groups=32, padding=2)),
    "transposed convolution": image(lambda: nn.ConvTranspose2d(32, 32, 2, stride=2)),
    "kernels chosen by a softmax": image(Selective),
    "batch norm": image(lambda: nn.BatchNorm2d(32)),
    "group norm": image(lambda: nn.GroupNorm(4, 32)),
    "instance norm": image(lambda: nn.InstanceNorm2d(32, affine=True)),
    "average pooling": image(lambda: nn.AvgPool2d(2)),
    "max pooling": image(lambda: nn.MaxPool2d(2)),
    "max pooling behind relu": image(lambda: nn.Sequential(nn.ReLU(), nn.MaxPool2d(2))),
    "global pooling": image(lambda: nn.AdaptiveAvgPool2d(1)),
    "nearest interpolation": image(lambda: nn.Upsample(scale_factor=2)),
    "sampling between pixels": image(Deformed),
    "pixel shuffle": image(lambda: nn.PixelShuffle(2), 8),
    "layer norm": tokens(lambda: nn.LayerNorm(64)),
    "rms norm": tokens(lambda: nn.RMSNorm(64)),
    "rms norm spelled out": tokens(RootMeanSquare),
    "multi-head attention": tokens(SelfAttention),
    "attention fused": tokens(lambda: Spelled(fused=True)),
    "attention spelled out": tokens(lambda: Spelled(fused=False)),
    "embedding": Network(
        lambda: nn.Sequential(nn.Embedding(50, 64), nn.Linear(64, 16)),
        lambda: (torch.randint(0, 50, (8, 12)),),
    ),
    "tanh recurrence": network(
        lambda: LastStep(lambda: nn.RNN(32, 64, batch_first=True)), 8, 20, 32
    ),
    "GRU": network(lambda: LastStep(lambda: nn.GRU(32, 64, batch_first=True)), 8, 20, 32),
    "LSTM": network(lambda: LastStep(lambda: nn.LSTM(32, 64, batch_first=True)), 8, 20, 32),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_gradient_before_the_operation_is_the_predicted_one(name: str) -> None:
    graph, _ = traced(NETWORKS[name])
    prediction = predict(graph)
    assert prediction.unknown == ()
    first = graph.trunk[0].id
    measured = statistics.median(decades(NETWORKS[name], (first,), SEEDS)[first])
    assert prediction.decades(first) == pytest.approx(measured, abs=0.08)


def test_numbers_that_mask_attention_do_not_pass_for_a_signal() -> None:
    net = tokens(lambda: Spelled(fused=False, masked=True))
    graph, _ = traced(net)
    first = graph.trunk[0].id
    measured = statistics.median(decades(net, (first,), SEEDS)[first])
    assert predict(graph).decades(first) == pytest.approx(measured, abs=0.25)


def test_exponentials_below_a_running_maximum_are_not_foretold_to_explode() -> None:
    net = tokens(RunningMaximum)
    graph, _ = traced(net)
    first = graph.trunk[0].id
    measured = statistics.median(decades(net, (first,), SEEDS)[first])
    assert predict(graph).decades(first) == pytest.approx(measured, abs=0.25)


def test_what_a_running_total_grows_by_between_two_places_keeps_its_sign() -> None:
    net = network(ChunkedScan, 8, 12, 32)
    graph, _ = traced(net)
    first = graph.trunk[0].id
    measured = statistics.median(decades(net, (first,), SEEDS)[first])
    assert predict(graph).decades(first) == pytest.approx(measured, abs=0.15)


def test_six_graph_convolutions_lose_what_their_sigmoids_lose() -> None:
    net = Network(GraphConvolutions, lambda: (torch.randn(24, 32), ring(24)))
    graph, _ = traced(net)
    first = graph.trunk[0].id
    measured = statistics.median(decades(net, (first,), SEEDS)[first])
    # because a ring mixes its nodes more slowly than the theory, which knows no neighbours, has it
    assert predict(graph).decades(first) == pytest.approx(measured, abs=0.25)
