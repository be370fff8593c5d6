"""Quantities are measured together, in an order in which none takes from another what it needs."""

from __future__ import annotations

import math

import pytest
from torch import nn

from gradlint.protocol.claim import Bound, Claim
from gradlint.protocol.quantity import Quantity
from gradlint.protocol.training import Training
from gradlint.protocol.wire import ProbeModel
from gradlint.worker.probing import probe as probing
from gradlint.worker.probing.probe import probe
from gradlint.worker.probing.quantities import Example
from gradlint.worker.probing.run import Run


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


@pytest.mark.parametrize(
    ("steps", "left", "rehearsed"),
    [
        pytest.param(0, (0.1, 1.0, 1.0), 1, id="what the first seed learns needs no second one"),
        pytest.param(0, (1.0, 0.1, 1.0), 2, id="nor what the second one learns a third one"),
        pytest.param(30, (0.1, 1.0, 1.0), 1, id="what the first seed recalls needs no second one"),
        pytest.param(30, (1.0, 0.1, 1.0), 3, id="but what only the second one recalls may be luck"),
    ],
)
def test_seeds_are_rehearsed_until_one_learns_or_more_recall_than_not(
    steps: int, left: tuple[float, ...], rehearsed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(run: Run, claim: Claim) -> float:
        return left[run.seed]

    monkeypatch.setattr(probing, "measure", measure)
    claim = Claim(Quantity.UNLEARNED_SHARE, "loss()", Bound(at_most=0.3), steps=steps)
    request = ProbeModel((claim,), (), ("0",), (0, 1, 2), Training())
    assert len(probe(Example(network, (16, 8)), request, {}).measurements) == rehearsed
