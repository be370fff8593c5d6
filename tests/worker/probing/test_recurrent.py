"""Remedies of recurrent layers, and those that change what a layer takes, on live modules."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gradlint.protocol.claim import Bound, Claim
from gradlint.protocol.quantity import Quantity
from gradlint.protocol.remedy import (
    Action,
    Activate,
    Bypass,
    Orthogonalise,
    Remedy,
    SetBias,
    SetGateBias,
    SkipRecurrent,
)
from gradlint.protocol.training import Training
from gradlint.protocol.wire import ProbeModel
from gradlint.worker.probing.probe import probe
from gradlint.worker.probing.quantities import Example
from gradlint.worker.probing.remedy import Weights, apply
from gradlint.worker.running.failure import UnmeasurableError


def remedied(model: nn.Module, *actions: Action, weights: Weights | None = None) -> nn.Module:
    apply(model, Remedy("remedy", actions), weights or {})
    return model


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU], ids=lambda kind: kind.__name__)
def test_every_gate_of_every_layer_gets_an_orthogonal_weight_of_its_own(
    kind: type[nn.RNN | nn.LSTM | nn.GRU],
) -> None:
    model = remedied(nn.ModuleDict({"rnn": kind(5, 8, num_layers=2)}), Orthogonalise("rnn"))
    for name, parameter in model.named_parameters():
        if "weight_hh" in name:
            for block in parameter.split(8):
                assert torch.allclose(block @ block.T, torch.eye(8), atol=1e-5)


def test_a_loop_by_hand_has_its_square_weight_made_orthogonal() -> None:
    model = nn.ModuleDict({"step": nn.Linear(6, 6)})
    remedied(model, Orthogonalise("step#0"), weights={"step#0": ("step.weight", "step.bias")})
    weight = model.get_parameter("step.weight")
    assert torch.allclose(weight @ weight.T, torch.eye(6), atol=1e-5)


def test_a_weight_that_is_not_square_cannot_be_orthogonal_from_step_to_step() -> None:
    model = nn.ModuleDict({"step": nn.Linear(9, 6)})
    with pytest.raises(UnmeasurableError, match="no square weight"):
        remedied(model, Orthogonalise("step"), weights={"step": ("step.weight",)})


@pytest.mark.parametrize("kind", [nn.LSTMCell, nn.GRUCell], ids=lambda kind: kind.__name__)
def test_the_gate_that_keeps_the_state_stands_second(kind: type[nn.LSTMCell | nn.GRUCell]) -> None:
    cell = kind(3, 4)
    remedied(nn.ModuleDict({"cell": cell}), SetGateBias("cell", 3.0))
    assert torch.equal((cell.bias_ih + cell.bias_hh)[4:8], torch.full((4,), 3.0))
    assert not torch.equal(cell.bias_ih[:4], torch.full((4,), 3.0))


def test_a_layer_without_gates_has_no_bias_to_open() -> None:
    with pytest.raises(UnmeasurableError, match="no bias of a gate"):
        remedied(nn.ModuleDict({"rnn": nn.RNN(3, 4)}), SetGateBias("rnn", 1.0))


def test_a_stack_with_skips_adds_the_input_of_each_of_its_layers() -> None:
    torch.manual_seed(0)
    plain = nn.GRU(6, 6, num_layers=2, batch_first=True)
    single = [nn.GRU(6, 6, batch_first=True) for _ in range(2)]
    for index, layer in enumerate(single):
        own = {n.replace(f"_l{index}", "_l0"): p for n, p in plain.named_parameters()}
        layer.load_state_dict({name: own[name] for name in layer.state_dict()})
    x = torch.randn(2, 5, 6)
    lower = x + single[0](x)[0]
    expected = lower + single[1](lower)[0]
    remedied(nn.ModuleDict({"gru": plain}), SkipRecurrent(("gru",)))
    assert torch.allclose(plain(x)[0], expected, atol=1e-6)


def test_a_bias_is_set_and_the_weight_beside_it_is_left() -> None:
    layer = nn.Linear(3, 3)
    before = layer.weight.clone()
    weights = {"0": ("0.weight", "0.bias")}
    remedied(nn.Sequential(layer), SetBias(("0",), 0.5), weights=weights)
    assert torch.equal(layer.bias, torch.full((3,), 0.5))
    assert torch.equal(layer.weight, before)


def test_an_activation_is_put_in_front_of_a_module() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    x = torch.randn(4, 3)
    expected = model[1](torch.relu(model[0](x)))
    assert torch.equal(remedied(model, Activate(("1",), "relu"))(x), expected)
    with pytest.raises(UnmeasurableError, match="no module"):
        remedied(model, Activate(("aten.linear",), "relu"))


def test_a_layer_that_is_left_out_hands_the_gradient_on_unchanged() -> None:
    def make() -> nn.Module:
        return nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Sigmoid(), nn.Linear(4, 2))

    claim = Claim(Quantity.GRADIENT_GAIN, "2", Bound(at_least=-0.5))
    request = ProbeModel((claim,), (Remedy("leave out", (Bypass(("2",)),)),), (), (0,), Training())
    measured = {m.remedy: m.value for m in probe(Example(make, (8, 4)), request, {}).measurements}
    assert measured[-1] < math.log10(0.26)
    assert measured[0] == pytest.approx(0, abs=1e-6)
