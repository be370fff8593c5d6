"""The losses of loops, computed in the worker on random targets, and what remedies do to them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gradlint.protocol.claim import Bound, Claim
from gradlint.protocol.quantity import Quantity
from gradlint.protocol.remedy import Bypass, Remedy, ReplaceLoss
from gradlint.protocol.training import LOSS_FUNCTIONS, Objective
from gradlint.worker.probing.objective import fed_by, value_of
from gradlint.worker.probing.quantities import Example, measure
from gradlint.worker.probing.remedy import apply
from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError


@pytest.mark.parametrize("function", sorted(LOSS_FUNCTIONS))
@pytest.mark.parametrize("shape", [(8, 3), (8, 5, 3), (8, 3, 4, 4)], ids=str)
def test_every_known_loss_is_a_differentiable_number(function: str, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    output = torch.rand(shape, requires_grad=True)
    loss = value_of(nn.Identity(), Objective(function), output)
    (gradient,) = torch.autograd.grad(loss, output)
    assert math.isfinite(loss.item())
    assert gradient.abs().sum() > 0


def test_probabilities_out_of_range_are_no_failure_of_the_probe() -> None:
    with pytest.raises(UnmeasurableError, match="BCELoss cannot be computed"):
        value_of(nn.Identity(), Objective("BCELoss"), torch.full((4, 1), 2.0))


def test_what_the_loop_applies_is_applied_in_order() -> None:
    output = torch.randn(4, 3)
    fed = fed_by(nn.Identity(), Objective("NLLLoss", ("softmax", "log")), output)
    assert torch.allclose(fed, torch.log_softmax(output, 1))
    with pytest.raises(UnmeasurableError, match="mystery"):
        fed_by(nn.Identity(), Objective("NLLLoss", ("mystery",)), output)


def wrong(model: nn.Module, objective: Objective, remedy: Remedy | None = None) -> float:
    claim = Claim(Quantity.WRONG_GRADIENT, "0", Bound(), objective=objective)
    prepare = (lambda made: apply(made, remedy, {})) if remedy else None
    return measure(Run(Example(lambda: model, (8, 4)), 0, prepare=prepare), claim)


def test_leaving_out_a_softmax_brings_the_gradient_back() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.Softmax(dim=1))
    loss = Objective("CrossEntropyLoss")
    assert wrong(model, loss) < -3
    assert abs(wrong(model, loss, Remedy("", (Bypass(("1",)),)))) < 0.3


def test_leaving_out_what_the_loop_applies_brings_the_gradient_back() -> None:
    model = nn.Sequential(nn.Linear(4, 6))
    loss = Objective("cross_entropy", ("softmax",))
    assert wrong(model, loss) < -3
    assert abs(wrong(model, loss, Remedy("", (Bypass(applied=("softmax",)),)))) < 0.3


def test_another_loss_brings_the_gradient_back() -> None:
    model = nn.Sequential(nn.Linear(4, 1))
    remedy = Remedy("", (ReplaceLoss("binary_cross_entropy_with_logits"),))
    assert wrong(model, Objective("CrossEntropyLoss")) == -math.inf
    assert abs(wrong(model, Objective("CrossEntropyLoss"), remedy)) < 0.5


def test_a_rectified_output_loses_all_of_the_gradient_and_a_plain_one_none() -> None:
    assert wrong(nn.Sequential(nn.Linear(4, 1), nn.ReLU()), Objective("MSELoss")) == -math.inf
    assert wrong(nn.Sequential(nn.Linear(4, 1)), Objective("MSELoss")) > 0
