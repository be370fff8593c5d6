"""A remedy changes a copy of the live model in the way that its name says."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gradlint.protocol.claim import Bound, Claim
from gradlint.protocol.quantity import Quantity
from gradlint.protocol.remedy import (
    AddSkip,
    Initialise,
    Normalise,
    Remedy,
    ReplaceActivation,
    ReplaceRecurrent,
)
from gradlint.protocol.training import Training
from gradlint.protocol.wire import ProbeModel
from gradlint.worker.probing.probe import probe
from gradlint.worker.probing.quantities import Example
from gradlint.worker.probing.recurrent import REPLACEMENT
from gradlint.worker.probing.remedy import apply

DEPTH = 10


def sigmoid_stack() -> nn.Module:
    layers = [layer for _ in range(DEPTH) for layer in (nn.Linear(32, 32), nn.Sigmoid())]
    return nn.Sequential(*layers, nn.Linear(32, 4))


LINEARS = tuple(str(2 * i) for i in range(DEPTH))
SIGMOIDS = tuple(str(2 * i + 1) for i in range(DEPTH))
WEIGHTS = {name: (f"{name}.weight", f"{name}.bias") for name in LINEARS}


def decades(*actions: object) -> tuple[float, float]:
    """Typical gradient decades of the sigmoid stack before and after `actions`."""
    claim = Claim(Quantity.GRADIENT_DECADES, "0", Bound(at_least=-2.5))
    remedy = Remedy("remedy", actions)  # type: ignore[arg-type]
    request = ProbeModel((claim,), (remedy,), ("0",), (0, 1, 2), Training())
    probed = probe(Example(sigmoid_stack, (16, 32)), request, WEIGHTS)
    plain = sorted(m.value for m in probed.measurements if m.remedy == -1)
    remedied = sorted(m.value for m in probed.measurements if m.remedy == 0)
    assert len(plain) == len(remedied) == 3
    return plain[1], remedied[1]


@pytest.mark.parametrize(
    "actions",
    [
        (Normalise(LINEARS, "batch"),),
        (ReplaceActivation(SIGMOIDS, "relu"), Initialise(LINEARS, 2**0.5)),
        (AddSkip(tuple(zip(LINEARS, SIGMOIDS, strict=True))), Normalise(LINEARS, "layer")),
    ],
    ids=["batch-norm", "relu-and-he", "skip-and-layer-norm"],
)
def test_a_proper_remedy_restores_the_gradient_of_a_sigmoid_stack(
    actions: tuple[object, ...],
) -> None:
    before, after = decades(*actions)
    assert before < -6
    assert abs(after) < 1


def test_a_useless_remedy_is_measured_to_be_useless() -> None:
    before, after = decades(ReplaceActivation(SIGMOIDS, "hardsigmoid"))
    assert before < -6
    assert after < -6


def test_the_model_that_a_remedy_is_tried_on_is_a_copy() -> None:
    model = sigmoid_stack()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    claim = Claim(Quantity.GRADIENT_DECADES, "0", Bound(at_least=-2.5))
    remedy = Remedy("remedy", (Initialise(LINEARS, 1.0),))
    request = ProbeModel((claim,), (remedy,), (), (0,), Training())
    probe(Example(sigmoid_stack, (16, 32)), request, WEIGHTS)
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())


def test_a_gated_layer_takes_the_sizes_of_the_recurrent_one_and_the_forget_bias() -> None:
    model = nn.ModuleDict({"rnn": nn.RNN(5, 7, num_layers=2, batch_first=True)})
    apply(model, Remedy("gate", (ReplaceRecurrent("rnn", "LSTM", 2.0),)), {})
    gated = getattr(model["rnn"], REPLACEMENT)
    assert isinstance(gated, nn.LSTM)
    assert (gated.input_size, gated.hidden_size, gated.num_layers) == (5, 7, 2)
    biases = dict(gated.named_parameters())
    forget = biases["bias_ih_l0"][7:14] + biases["bias_hh_l0"][7:14]
    assert torch.equal(forget, torch.full((7,), 2.0))


def test_a_model_that_gives_another_number_each_time_is_not_repeatable() -> None:
    seeds = iter(range(100))

    def unstable() -> nn.Module:
        torch.manual_seed(next(seeds))
        return sigmoid_stack()

    claim = Claim(Quantity.GRADIENT_DECADES, "0", Bound(at_least=-2.5))
    request = ProbeModel((claim,), (), ("0",), (0, 1), Training())
    assert not probe(Example(unstable, (16, 32)), request, WEIGHTS).repeatable
    assert probe(Example(sigmoid_stack, (16, 32)), request, WEIGHTS).repeatable


def test_a_picture_shows_every_layer_with_and_without_a_remedy() -> None:
    claim = Claim(Quantity.GRADIENT_DECADES, "0", Bound(at_least=-2.5))
    remedies = (Remedy("norm", (Normalise(LINEARS, "batch"),)),)
    drawn = (*LINEARS, "nowhere")
    request = ProbeModel((claim,), remedies, ("0",), (0, 1), Training(), drawn)
    probed = probe(Example(sigmoid_stack, (16, 32)), request, WEIGHTS)
    plain, remedied = probed.pictures
    assert (plain.remedy, remedied.remedy) == (-1, 0)
    first = next(m.value for m in probed.measurements if (m.remedy, m.seed) == (-1, 0))
    assert plain.decades[0] == pytest.approx(first)
    assert list(plain.decades[:-1]) == sorted(plain.decades[:-1])
    assert all(abs(remedied_at) < 0.1 for remedied_at in remedied.activations[:-1])
    assert math.isnan(plain.decades[-1])


def test_without_a_picture_asked_for_none_is_made() -> None:
    request = ProbeModel((), (), ("0",), (0,), Training())
    assert probe(Example(sigmoid_stack, (16, 32)), request, WEIGHTS).pictures == ()


def test_an_activation_is_seen_before_the_next_layer_writes_over_it() -> None:
    def model() -> nn.Module:
        return nn.Sequential(nn.Linear(32, 32), nn.ReLU(inplace=True), nn.Linear(32, 1))

    request = ProbeModel((), (), ("0",), (0,), Training(), ("0", "1"))
    (picture,) = probe(Example(model, (16, 32)), request, {}).pictures
    assert picture.activations[0] > picture.activations[1]
