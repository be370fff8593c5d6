"""Published weights that were not loaded: what their random stand-ins cannot prove."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gradlint.judging.evidence import Evidence, Verdict
from gradlint.judging.published import unless_unfetched
from gradlint.layers.graph import LayerGraph
from gradlint.protocol.claim import Bound, Claim
from gradlint.protocol.nodes import Node, Parameter
from gradlint.protocol.quantity import Quantity
from gradlint.protocol.span import Span
from gradlint.rule import Hypothesis
from tests.graphs import Sketch


def _graph() -> LayerGraph:
    """A backbone that waits for its weights, and a head of the user's own."""
    sketch = Sketch()
    for name in ("backbone", "head"):
        sketch.weight(sketch.layer("torch.nn.Linear", id=name))

    def waiting(node: Node) -> Node:
        if isinstance(node, Parameter) and node.id.startswith("backbone"):
            return replace(node, unfetched=True)
        return node

    return sketch.graph().mapped(waiting)


def _verdict(quantity: Quantity, of: str, *region: str) -> Verdict:
    claim = Claim(quantity, of, Bound(at_least=-2.5))
    hypothesis = Hypothesis(Span("model.py", 1), of, "it is sick", (claim,), region)
    evidence = Evidence(claim, (-9.0,), Verdict.CONFIRMED)
    return unless_unfetched(evidence, hypothesis, _graph()).verdict


@pytest.mark.parametrize(
    ("quantity", "of", "region", "verdict"),
    [
        pytest.param(
            Quantity.GRADIENT_DECADES,
            "backbone",
            ("backbone", "head"),
            Verdict.INCONCLUSIVE,
            id="a signal through the backbone",
        ),
        pytest.param(
            Quantity.TRAINING_SPIKE, "loss", (), Verdict.INCONCLUSIVE, id="the training as a whole"
        ),
        pytest.param(
            Quantity.GRADIENT_DECADES, "head", ("head",), Verdict.CONFIRMED, id="the head alone"
        ),
        pytest.param(
            Quantity.REACHED_SHARE,
            "backbone",
            ("backbone",),
            Verdict.CONFIRMED,
            id="the structure, whatever the weights",
        ),
    ],
)
def test_random_stand_ins_prove_nothing_of_published_weights(
    quantity: Quantity, of: str, region: tuple[str, ...], verdict: Verdict
) -> None:
    assert _verdict(quantity, of, *region) is verdict
