"""Quantities are measured together, in an order in which none takes from another what it needs."""

from __future__ import annotations

import math

import pytest
from torch import nn

from gradlint.protocol.claim import Bound, Claim
from gradlint.protocol.quantity import Quantity
from gradlint.protocol.training import Training
from gradlint.protocol.wire import ProbeModel
from gradlint.worker.probe import probe
from gradlint.worker.quantities import Example


def network() -> nn.Module:
    return nn.Sequential(
        nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)
    )


@pytest.mark.parametrize("quantity", Quantity, ids=lambda quantity: quantity.value)
def test_no_quantity_frees_the_graph_that_another_needs(quantity: Quantity) -> None:
    claims = (
        Claim(quantity, "0", Bound()),
        Claim(Quantity.NONLINEARITY, "3", Bound(), since="0"),
        Claim(Quantity.GRADIENT_DECADES, "0", Bound()),
    )
    training = Training(optimizer="SGD", learning_rate=0.1, loss="CrossEntropyLoss")
    measured = probe(
        Example(network, (16, 8)), ProbeModel(claims, (), ("0",), (0,), training), {}
    ).measurements
    found = {m.claim: m for m in measured}
    assert math.isfinite(found[1].value), found[1].reason
    assert math.isfinite(found[2].value), found[2].reason
