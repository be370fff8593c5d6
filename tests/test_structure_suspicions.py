"""What the rules of topology and normalisation suspect of layer graphs drawn by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from gradlint.judging.evidence import Severity
from gradlint.loader import rule_named
from gradlint.protocol.quantity import Quantity
from gradlint.protocol.remedy import Initialise
from gradlint.protocol.training import OptimizerFamily
from gradlint.rule import GraphRule, Hypothesis, LayerGraph
from tests.graphs import Sketch, chain


def suspicions(name: str, graph: LayerGraph) -> list[Hypothesis]:
    rule = rule_named(name)()
    assert isinstance(rule, GraphRule)
    return list(rule.check(graph))


def the_suspicion(name: str, graph: LayerGraph) -> Hypothesis:
    (found,) = suspicions(name, graph)
    return found


# unnormalized-residual


def residuals(blocks: int, *, norm: str = "", scale: bool = False, last: float = 2.0) -> Sketch:
    """Blocks of two layers with a skip around each, behind a stem."""
    sketch = Sketch()
    state = sketch.dense(id="stem")
    for block in range(blocks):
        if norm:
            sketch.layer(f"torch.nn.{norm}", state)
        sketch.dense(sketch.last)
        sketch.layer("torch.nn.ReLU")
        inner = sketch.dense(id=f"{block}.last", variance=last)
        if scale:
            inner = sketch.layer("aten.mul", inner)
        state = sketch.layer("aten.add", state, inner, id=f"{block}.add")
    sketch.dense(id="head")
    return sketch


def test_blocks_without_norm_are_judged_from_the_stem_to_the_last_sum() -> None:
    found = the_suspicion("unnormalized-residual", residuals(5).graph())
    (claim,) = found.claims
    assert (claim.quantity, claim.since, claim.of) == (Quantity.SIGNAL_GROWTH, "stem", "4.add")
    assert found.message.startswith("5 residual blocks in a row")
    assert found.remedies[0].actions == (
        Initialise(tuple(f"{block}.last" for block in range(5)), 0.0),
    )


def test_growth_is_judged_by_the_optimizer_and_by_a_norm_behind() -> None:
    normed = residuals(5)
    normed.last = "4.add"
    normed.layer("torch.nn.LayerNorm")
    normed.dense(id="second head")
    bounds = [
        the_suspicion("unnormalized-residual", graph).claims[0].bound.at_most
        for graph in (
            residuals(5).graph(optimizer=OptimizerFamily.SGD),
            residuals(5).graph(optimizer=OptimizerFamily.ADAM),
            normed.graph(),
        )
    ]
    assert bounds == [1.5, 3.0, 4.0]


@pytest.mark.parametrize(
    "graph",
    [
        pytest.param(lambda: residuals(3), id="three blocks"),
        pytest.param(lambda: residuals(9, norm="LayerNorm"), id="a norm in each branch"),
        pytest.param(lambda: residuals(9, scale=True), id="SkipInit"),
        pytest.param(lambda: residuals(9, last=0.0), id="Fixup"),
        pytest.param(lambda: chain(12, "ReLU"), id="no skips"),
    ],
)
def test_tamed_branches_are_not_suspected_of_growth(graph: Callable[[], Sketch]) -> None:
    assert suspicions("unnormalized-residual", graph().graph()) == []


# plain-batchnorm-depth


def normed(depth: int, norm: str = "BatchNorm1d") -> LayerGraph:
    sketch = Sketch()
    for _ in range(depth):
        sketch.dense()
        sketch.layer(f"torch.nn.{norm}")
        sketch.layer("torch.nn.ReLU")
    sketch.dense(id="head")
    return sketch.graph()


def test_twelve_layers_with_batchnorm_are_suspected_of_explosion_only() -> None:
    (claim,) = the_suspicion("plain-batchnorm-depth", normed(12)).claims
    assert (claim.bound.at_least, claim.bound.at_most) == (-math.inf, 2.5)


@pytest.mark.parametrize(
    "graph",
    [
        pytest.param(lambda: normed(11), id="eleven"),
        pytest.param(lambda: normed(40, "LayerNorm"), id="another norm"),
        pytest.param(lambda: chain(40, "ReLU").graph(), id="no norm"),
        pytest.param(lambda: residuals(20, norm="BatchNorm1d").graph(), id="skips"),
    ],
)
def test_what_batchnorm_does_not_explode_is_not_suspected(
    graph: Callable[[], LayerGraph],
) -> None:
    assert suspicions("plain-batchnorm-depth", graph()) == []


# narrow-and-deep


def narrow(depth: int, width: int) -> LayerGraph:
    sketch = Sketch(width=width)
    for _ in range(depth):
        sketch.dense()
        sketch.layer("torch.nn.ReLU")
    sketch.dense(id="head")
    return sketch.graph()


def test_reciprocal_widths_that_sum_to_one_are_suspected() -> None:
    found = the_suspicion("narrow-and-deep", narrow(10, 8))
    assert found.claims[0].quantity is Quantity.GRADIENT_LOTTERY
    assert "their reciprocal widths sum to 1.2" in found.message
    assert suspicions("narrow-and-deep", narrow(7, 8)) == []
    assert suspicions("narrow-and-deep", narrow(10, 64)) == []


# norm-after-saturation


def squashed(*ops: str, blocks: int = 2) -> LayerGraph:
    sketch = Sketch()
    for _ in range(blocks):
        sketch.dense()
        for op in ops:
            sketch.layer(f"torch.nn.{op}")
    sketch.dense(id="head")
    return sketch.graph()


def test_norms_behind_tanh_are_one_suspicion_about_the_first_and_the_last() -> None:
    graph = squashed("Tanh", "BatchNorm1d", blocks=3)
    found = the_suspicion("norm-after-saturation", graph)
    tanhs = [layer.id for layer in graph.layers if layer.op == "torch.nn.Tanh"]
    assert [claim.of for claim in found.claims] == [tanhs[0], tanhs[-1]]
    assert found.only_if_cured


@pytest.mark.parametrize(
    "ops", [("BatchNorm1d", "Tanh"), ("ReLU", "BatchNorm1d"), ("Tanh",)], ids=lambda ops: ops[0]
)
def test_norms_elsewhere_are_not_behind_saturation(ops: tuple[str, ...]) -> None:
    assert suspicions("norm-after-saturation", squashed(*ops)) == []


# single-value-batchnorm


def vectors(op: str, width: int = 64, batch_size: int = 0) -> LayerGraph:
    sketch = Sketch(width=width)
    sketch.dense()
    sketch.layer(f"torch.nn.{op}")
    sketch.dense(id="head")
    graph = sketch.graph()
    graph.batch_size = batch_size
    return graph


def test_norms_of_channels_without_positions_are_suspected() -> None:
    (claim,) = the_suspicion("single-value-batchnorm", vectors("GroupNorm")).claims
    assert claim.quantity is Quantity.NORMALIZED_VALUES
    assert len(suspicions("single-value-batchnorm", vectors("LayerNorm", width=1))) == 1
    assert suspicions("single-value-batchnorm", vectors("LayerNorm")) == []


def test_a_batchnorm_is_suspected_where_the_size_of_a_batch_is_known() -> None:
    assert suspicions("single-value-batchnorm", vectors("BatchNorm1d")) == []
    (claim,) = the_suspicion("single-value-batchnorm", vectors("BatchNorm1d", batch_size=2)).claims
    assert claim.batch == 2


# bias-before-norm and dropout-before-batchnorm


def test_one_note_stands_for_all_cancelled_biases() -> None:
    sketch = Sketch()
    for _ in range(3):
        layer = sketch.dense()
        sketch.weight(layer, id=f"{layer}.bias")
        sketch.layer("torch.nn.BatchNorm1d")
    sketch.dense(id="head")
    found = the_suspicion("bias-before-norm", sketch.graph())
    assert found.message.endswith("subtracts its bias, and 2 more like it")
    assert found.severity is Severity.NOTE
    assert suspicions("bias-before-norm", normed(3)) == []


@pytest.mark.parametrize(
    ("ops", "found"),
    [
        pytest.param(("Dropout", "BatchNorm1d"), 1, id="directly"),
        pytest.param(("Dropout", "Linear", "BatchNorm1d"), 1, id="over one layer"),
        pytest.param(("Dropout", "Linear", "ReLU", "Linear", "BatchNorm1d"), 0, id="over two"),
        pytest.param(("Dropout", "LayerNorm", "BatchNorm1d"), 0, id="over a norm"),
        pytest.param(("BatchNorm1d", "Dropout"), 0, id="behind"),
    ],
)
def test_dropout_shifts_the_variance_of_the_next_batchnorm(
    ops: tuple[str, ...], found: int
) -> None:
    sketch = Sketch()
    sketch.dense()
    for op in ops:
        layer = sketch.layer(f"torch.nn.{op}")
        if op == "Linear":
            sketch.weight(layer)
    sketch.dense(id="head")
    assert len(suspicions("dropout-before-batchnorm", sketch.graph())) == found
