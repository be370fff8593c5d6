"""Every quantity has a file, an example that holds, and agrees with plain autograd."""

from __future__ import annotations

import doctest
import importlib
import math

import pytest
import torch
from torch import nn

from gradlint.protocol.claim import Bound, Claim
from gradlint.protocol.quantity import Quantity
from gradlint.protocol.training import Training
from gradlint.worker.probing.quantities import Example, measure
from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError
from gradlint.worker.running.outputs import loss_of


@pytest.mark.parametrize("quantity", list(Quantity), ids=lambda quantity: quantity.value)
def test_the_example_in_the_docstring_of_each_quantity_holds(quantity: Quantity) -> None:
    module = importlib.import_module(f"gradlint.worker.probing.quantities.{quantity.module}")
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_gradient_decades_are_the_ratio_that_autograd_gives() -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
    run = Run(Example(lambda: model, (8, 6)), 3, nodes=["0"])
    claim = Claim(Quantity.GRADIENT_DECADES, "0", Bound())
    measured = measure(run, claim)
    torch.manual_seed(4)
    hidden = model[0](torch.randn(8, 6))
    output = model[2](model[1](hidden))
    bottom, top = torch.autograd.grad(loss_of(output), [hidden, output])
    assert measured == pytest.approx(math.log10(bottom.norm() / top.norm()), abs=1e-5)


class _Scored(nn.Module):
    """A model that returns its own loss: the mean square of what a deeper one gives."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        code = self.body[1](self.body[0](x))
        return (self.body[2](code) ** 2).mean() + 0.1 * (code**2).mean()


def test_the_mean_of_a_loss_takes_nothing_from_the_gradient() -> None:
    few, many = (
        measure(
            Run(Example(_Scored, (batch, 6)), 3, nodes=["body.0"]),
            Claim(Quantity.GRADIENT_DECADES, "body.0", Bound()),
        )
        for batch in (8, 8000)
    )
    assert few == pytest.approx(many, abs=0.2)
    assert -1.0 < few < 0.5


def test_a_zero_initialised_head_is_measured_after_one_step() -> None:
    def make() -> nn.Module:
        head = nn.Linear(5, 3)
        nn.init.zeros_(head.weight)
        return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), head)

    run = Run(Example(make, (8, 6)), 0, nodes=["0"])
    assert run.plain.at.get("0", 0.0) == 0.0
    assert -2.5 < measure(run, Claim(Quantity.GRADIENT_DECADES, "0", Bound())) < 2.5


class _Gated(nn.Module):
    """A gate that is zero from the start, before a head that is zero, too."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.gate, self.head = nn.Linear(6, 32), nn.Linear(32, 32), nn.Linear(32, 3)
        for layer in (self.gate, self.head):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        code = torch.tanh(self.embed(step))
        return self.head(x * (1 + self.gate(code)))


def test_what_lies_behind_two_zero_initialised_layers_is_measured_after_two_steps() -> None:
    class Steps(Example):
        def inputs(self) -> tuple[tuple[object, ...], dict[str, object]]:
            return (torch.randn(8, 32), torch.randn(8, 6)), {}

    run = Run(Steps(_Gated, (8, 6)), 0, nodes=["embed"])
    assert run.stepped.at.get("embed", 0.0) == 0.0
    assert -2.5 < measure(run, Claim(Quantity.GRADIENT_DECADES, "embed", Bound())) < 2.5


def test_samples_that_are_the_same_do_not_tell_how_much_of_them_is_left() -> None:
    class Same(Example):
        def inputs(self) -> tuple[tuple[object, ...], dict[str, object]]:
            return (torch.ones(self.shape),), {}

    run = Run(Same(lambda: nn.Sequential(nn.Linear(4, 4)), (8, 4)), 0, keep=["0"])
    with pytest.raises(UnmeasurableError, match="are the same"):
        measure(run, Claim(Quantity.REPRESENTATION_SPREAD, "0", Bound()))


def test_a_gradient_that_never_arrives_is_minus_infinity() -> None:
    def make() -> nn.Module:
        first = nn.Linear(4, 4)
        nn.init.constant_(first.bias, -1e3)
        return nn.Sequential(first, nn.ReLU(), nn.Linear(4, 2))

    run = Run(Example(make, (8, 4)), 0, nodes=["0"])
    assert measure(run, Claim(Quantity.GRADIENT_DECADES, "0", Bound())) == -math.inf


def test_a_gradient_that_overflows_is_plus_infinity() -> None:
    class Overflows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.b(torch.exp(1e4 * self.a(x).abs()))

    run = Run(Example(Overflows, (8, 4)), 0, nodes=["a"])
    assert measure(run, Claim(Quantity.GRADIENT_DECADES, "a", Bound())) == math.inf


@pytest.mark.parametrize(
    ("cell", "low", "high"),
    [(nn.RNN, -0.30, -0.15), (nn.LSTM, -0.25, -0.12), (nn.GRU, -0.25, -0.12)],
    ids=["tanh-rnn", "lstm", "gru"],
)
def test_the_decay_a_step_of_default_recurrent_layers_is_the_published_one(
    cell: type[nn.RNNBase], low: float, high: float
) -> None:
    name = cell.__name__
    example = Example(lambda: getattr(nn, name)(16, 128, batch_first=True), (8, 50, 16))
    run = Run(example, 0, keep=[name])
    slope = measure(run, Claim(Quantity.RECURRENT_DECAY, name, Bound(), steps=1))
    assert low < slope < high


def test_a_loop_written_by_hand_decays_like_the_fused_layer() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.RNNCell(16, 128)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = x.new_zeros(x.shape[0], 128)
            for t in range(x.shape[1]):
                h = self.cell(x[:, t], h)
            return h

    run = Run(Example(Loop, (8, 50, 16)), 0, keep=["cell"])
    slope = measure(run, Claim(Quantity.RECURRENT_DECAY, "cell", Bound(), steps=1))
    assert -0.30 < slope < -0.15


def test_a_sensible_step_size_does_not_spike() -> None:
    training = Training(optimizer="SGD", learning_rate=0.01, loss="CrossEntropyLoss")
    run = Run(Example(lambda: nn.Linear(8, 4), (16, 8)), 0, training=training)
    assert measure(run, Claim(Quantity.TRAINING_SPIKE, "loss()", Bound())) <= 0


def test_the_same_seed_gives_the_same_value_bit_for_bit() -> None:
    def value() -> float:
        example = Example(lambda: nn.Sequential(nn.Linear(6, 5), nn.Tanh()), (8, 6))
        run = Run(example, 7, nodes=["0"])
        return measure(run, Claim(Quantity.GRADIENT_DECADES, "0", Bound()))

    assert value() == value()


class _Flow(nn.Sequential):
    """The log of a variance that has a floor, behind an exponential that has no bound."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scaled = self[0](x).exp()
        return torch.log((scaled - scaled.mean(0)).pow(2).mean(0) + 1e-5)


def test_what_is_given_nan_has_not_failed_by_itself() -> None:
    run = Run(Example(lambda: _Flow(nn.Linear(4, 3)), (8, 4)), 0, keep=["log"])
    assert measure(run, Claim(Quantity.STRESS_FAILURES, "log", Bound())) < 0.4
