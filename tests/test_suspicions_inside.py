"""What the rules of activation, initialisation and recurrence suspect of graphs drawn by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest

from gradlint.loader import rule_named
from gradlint.protocol.nodes import Edge, Initialisation, Parameter
from gradlint.protocol.quantity import Quantity
from gradlint.protocol.remedy import (
    Initialise,
    Orthogonalise,
    ReplaceActivation,
    SetBias,
    SetGateBias,
)
from gradlint.protocol.span import Span
from gradlint.protocol.training import OptimizerFamily
from gradlint.rule import GraphRule, Hypothesis, LayerGraph, Severity
from tests.graphs import PATH, Sketch, chain


def suspicions(name: str, graph: LayerGraph) -> list[Hypothesis]:
    rule = rule_named(name)()
    assert isinstance(rule, GraphRule)
    return list(rule.check(graph))


def the_suspicion(name: str, graph: LayerGraph) -> Hypothesis:
    (found,) = suspicions(name, graph)
    return found


def vector(
    sketch: Sketch, layer: str, name: str, mean: float, *, filled: str = "constant_"
) -> None:
    """Give `layer` a bias or the weight of a norm whose elements all have the value `mean`."""
    id, place = f"{layer}.{name}", Span(PATH, 77)
    how = Initialisation(filled, (), place)
    sketch.nodes.append(
        Parameter(id, (64,), "float32", mean, mean**2, abs(mean), 0, 0, 1, True, how)
    )
    sketch.edges.append(Edge(id, layer, (64,), "float32"))


def scheme(function: str, **settings: float) -> Initialisation:
    return Initialisation(function, tuple(settings.items()), Span(PATH, 88))


# dead-relu


def rectified(bias: float, activation: str = "torch.nn.ReLU") -> Sketch:
    sketch = Sketch()
    vector(sketch, sketch.dense(id="hidden"), "bias", bias)
    sketch.layer(activation, id="bent")
    sketch.dense(id="head")
    return sketch


def test_a_rectifier_with_a_negative_bias_is_suspected_where_the_bias_was_filled() -> None:
    found = the_suspicion("dead-relu", rectified(-1.0).graph())
    assert found.span == Span(PATH, 77)
    assert found.claims[0].quantity is Quantity.DEAD_SHARE
    assert found.claims[0].of == "bent"
    assert [r.actions[0] for r in found.remedies] == [
        SetBias(("hidden",), 0.0),
        ReplaceActivation(("bent",), "leaky_relu"),
    ]


def test_weights_with_a_negative_mean_are_drawn_anew() -> None:
    sketch = Sketch()
    hidden = sketch.layer("torch.nn.Linear", id="hidden")
    sketch.nodes.append(
        Parameter("w", (64, 64), "float32", -0.1, 0.02, 0.3, 64, 64, 2, True, scheme("uniform_"))
    )
    sketch.edges.append(Edge("w", hidden, (64, 64), "float32"))
    sketch.layer("torch.nn.ReLU")
    sketch.dense(id="head")
    found = the_suspicion("dead-relu", sketch.graph())
    assert "have mean -0.1" in found.message
    assert isinstance(found.remedies[0].actions[0], Initialise)


def normed(weight: float, bias: float) -> Sketch:
    sketch = Sketch()
    sketch.dense()
    norm = sketch.layer("torch.nn.BatchNorm1d", id="norm")
    vector(sketch, norm, "weight", weight)
    vector(sketch, norm, "bias", bias)
    sketch.layer("torch.nn.ReLU")
    sketch.dense(id="head")
    return sketch


def test_the_bias_of_a_norm_counts_beside_its_scale() -> None:
    assert the_suspicion("dead-relu", normed(1.0, -1.0).graph()).layer.startswith("relu")
    assert suspicions("dead-relu", normed(8.0, -1.0).graph()) == []


@pytest.mark.parametrize(
    "sketch",
    [
        pytest.param(lambda: rectified(0.0), id="bias zero"),
        pytest.param(lambda: rectified(1.0), id="bias positive"),
        pytest.param(lambda: rectified(-4.6, "torch.nn.Sigmoid"), id="a prior before a sigmoid"),
        pytest.param(lambda: rectified(-4.6, "torch.nn.LeakyReLU"), id="leaky"),
        pytest.param(lambda: normed(0.0, 0.0), id="a norm that starts at zero"),
    ],
)
def test_what_cannot_be_born_dead_is_not_suspected(sketch: Callable[[], Sketch]) -> None:
    assert suspicions("dead-relu", sketch().graph()) == []


def test_a_rectified_sum_of_branches_is_not_suspected() -> None:
    sketch = Sketch()
    state = sketch.dense()
    branch = sketch.dense(state, id="branch")
    vector(sketch, branch, "bias", -5.0)
    sketch.layer("aten.add", state, branch)
    sketch.layer("torch.nn.ReLU")
    sketch.dense(id="head")
    assert suspicions("dead-relu", sketch.graph()) == []


# activation-collapse


def test_a_trunk_without_norms_is_judged_at_its_last_activation() -> None:
    found = the_suspicion("activation-collapse", chain(5, "Tanh").graph())
    assert found.claims[0].quantity is Quantity.REPRESENTATION_SPREAD
    assert found.claims[0].of.startswith("tanh")
    assert found.symptom


def test_biases_that_outweigh_the_weights_are_named() -> None:
    sketch = Sketch()
    for index in range(4):
        layer = sketch.dense(id=f"layer{index}")
        if index == 2:
            vector(sketch, layer, "bias", 3.0)
        sketch.layer("torch.nn.Tanh")
    sketch.dense(id="head")
    found = the_suspicion("activation-collapse", sketch.graph())
    assert found.span == Span(PATH, 77)
    assert "the biases of layer2" in found.message


@pytest.mark.parametrize(
    "sketch",
    [
        pytest.param(lambda: chain(5, "Tanh", "LayerNorm"), id="norms"),
        pytest.param(lambda: chain(2, "Tanh"), id="two hidden layers"),
        pytest.param(lambda: chain(5), id="no activation"),
    ],
)
def test_what_cannot_collapse_is_not_suspected(sketch: Callable[[], Sketch]) -> None:
    assert suspicions("activation-collapse", sketch().graph()) == []


def test_adam_bears_more_collapse_than_sgd() -> None:
    graphs = [chain(5, "Tanh").graph(optimizer=family) for family in OptimizerFamily]
    bounds = [the_suspicion("activation-collapse", g).claims[0].bound.at_least for g in graphs]
    assert dict(zip(OptimizerFamily, bounds, strict=True)) == {
        OptimizerFamily.SGD: -2,
        OptimizerFamily.ADAM: -3,
        OptimizerFamily.UNKNOWN: -2,
    }


# doubled-activation


def row(*ops: str, weight_behind: bool = True) -> Sketch:
    sketch = Sketch()
    sketch.dense()
    for op in ops:
        sketch.layer(op)
    if weight_behind:
        sketch.dense(id="head")
    return sketch


def test_a_rectified_output_is_judged_by_what_it_ties_together() -> None:
    graph = row("torch.nn.ReLU", "aten.view", "torch.nn.Sigmoid", weight_behind=False).graph()
    found = the_suspicion("doubled-activation", graph)
    assert found.claims[0].quantity is Quantity.ZERO_SHARE
    assert found.claims[0].of.startswith("relu")
    assert found.severity is Severity.ERROR


def test_a_pair_between_layers_is_a_note_about_the_gradient_that_it_costs() -> None:
    found = the_suspicion("doubled-activation", row("aten.tanh", "torch.nn.Sigmoid").graph())
    assert found.claims[0].quantity is Quantity.GRADIENT_GAIN
    assert found.severity is Severity.NOTE


def test_activations_that_gate_or_scale_are_no_pair() -> None:
    sketch = Sketch()
    value = sketch.dense()
    sketch.layer("aten.softplus")
    gate = sketch.layer("aten.tanh")
    sketch.layer("aten.mul", value, gate)
    sketch.dense(id="head")
    assert suspicions("doubled-activation", sketch.graph()) == []
    pointer = row("aten.tanh", "aten.mul", "aten.softmax", weight_behind=False)
    assert suspicions("doubled-activation", pointer.graph()) == []


# missing-nonlinearity


def linear(*widths: int, between: tuple[str, ...] = ()) -> Sketch:
    """Dense layers of these widths, the first being the input's, with `between` after each."""
    sketch = Sketch(width=widths[0])
    for index, (width, out) in enumerate(pairwise(widths)):
        layer = sketch.layer("torch.nn.Linear", id=f"fc{index}", shape=(8, out))
        id = f"{layer}.weight"
        sketch.nodes.append(
            Parameter(id, (out, width), "float32", 0, 0.01, 1, width, out, 2, True, None)
        )
        sketch.edges.append(Edge(id, layer, (out, width), "float32"))
        for op in between:
            sketch.layer(op)
    return sketch


def test_two_linear_maps_in_a_row_are_a_warning_where_nothing_else_bends() -> None:
    found = the_suspicion("missing-nonlinearity", linear(8, 32, 4).graph())
    assert (found.claims[0].since, found.claims[0].of) == ("fc0", "fc1")
    assert found.severity is Severity.WARNING


def test_two_linear_maps_in_a_bent_network_are_a_note() -> None:
    sketch = linear(8, 32, 16)
    sketch.layer("torch.nn.ReLU")
    sketch.width = 16
    sketch.dense(id="head")
    assert the_suspicion("missing-nonlinearity", sketch.graph()).severity is Severity.NOTE


@pytest.mark.parametrize(
    "graph",
    [
        pytest.param(lambda: linear(64, 8, 64).graph(), id="a deliberate low rank"),
        pytest.param(lambda: linear(8, 32, 4, between=("aten.relu",)).graph(), id="activations"),
        pytest.param(lambda: linear(8, 32, 4, between=("torch.nn.LayerNorm",)).graph(), id="norms"),
        pytest.param(lambda: linear(8, 32, 4, between=("aten.sin",)).graph(), id="a sine"),
        pytest.param(lambda: linear(8, 8, 8).graph("fc0", "fc1"), id="features that are returned"),
        pytest.param(lambda: linear(8, 4).graph(), id="one layer"),
    ],
)
def test_what_is_not_one_map_is_not_suspected(graph: Callable[[], LayerGraph]) -> None:
    assert suspicions("missing-nonlinearity", graph()) == []


# exploding-activation


def test_exponentials_in_a_row_are_suspected_and_those_of_the_output_are_not() -> None:
    found = the_suspicion("exploding-activation", row("aten.exp", "aten.square").graph())
    assert found.message.startswith("2 hidden layers of exp and square")
    output = row("aten.exp", "aten.square", weight_behind=False)
    assert suspicions("exploding-activation", output.graph()) == []


def test_exponentials_that_scale_a_signal_are_left_alone() -> None:
    sketch = Sketch()
    for _ in range(3):
        value = sketch.dense()
        scale = sketch.layer("aten.exp")
        sketch.layer("aten.mul", value, scale)
    sketch.dense(id="head")
    assert suspicions("exploding-activation", sketch.graph()) == []


# init-mismatch


def schemed(how: Initialisation, activation: str, variance: float, norm: str = "") -> LayerGraph:
    sketch = Sketch()
    for _ in range(12):
        sketch.dense(variance=variance, initialisation=how)
        for op in filter(None, (norm, activation)):
            sketch.layer(f"torch.nn.{op}")
    sketch.dense(id="head")
    return sketch.graph()


def test_xavier_before_relu_is_a_mismatch_at_the_line_of_the_call() -> None:
    graph = schemed(scheme("xavier_uniform_", gain=1.0), "ReLU", 1.0)
    found = the_suspicion("init-mismatch", graph)
    assert found.span == Span(PATH, 88)
    assert "Xavier's initialisation before relu in 12 layers" in found.message
    assert "aims at σ_w² = 1, relu needs 2" in found.message
    assert found.definite


@pytest.mark.parametrize(
    ("how", "activation", "variance"),
    [
        pytest.param(scheme("kaiming_normal_", a=0.0), "ReLU", 2.0, id="he before relu"),
        pytest.param(scheme("kaiming_normal_", a=0.0), "GELU", 2.0, id="he before gelu"),
        pytest.param(scheme("xavier_normal_", gain=1.0), "Tanh", 1.0, id="xavier before tanh"),
        pytest.param(
            scheme("xavier_normal_", gain=5 / 3), "Tanh", 25 / 9, id="the gain of tanh before tanh"
        ),
        pytest.param(scheme("orthogonal_", gain=2**0.5), "ReLU", 2.0, id="orthogonal with gain"),
        pytest.param(scheme("xavier_normal_", gain=1.0), "Sigmoid", 1.0, id="sigmoids"),
        pytest.param(scheme("normal_", std=0.1), "ReLU", 0.64, id="no scheme"),
        pytest.param(scheme("default"), "ReLU", 1 / 3, id="the default"),
    ],
)
def test_schemes_that_fit_or_are_none_are_not_suspected(
    how: Initialisation, activation: str, variance: float
) -> None:
    assert suspicions("init-mismatch", schemed(how, activation, variance)) == []


def test_a_norm_forgives_any_scheme() -> None:
    graph = schemed(scheme("xavier_uniform_", gain=1.0), "ReLU", 1.0, norm="BatchNorm1d")
    assert suspicions("init-mismatch", graph) == []


# logit-scale


def headed(variance: float, behind: str = "") -> Sketch:
    sketch = chain(1, "ReLU")
    sketch.dense(id="logits", variance=variance, initialisation=scheme("normal_", std=1.0))
    if behind:
        sketch.layer(behind)
    return sketch


def test_a_large_head_is_suspected_at_the_line_that_filled_it() -> None:
    found = the_suspicion("logit-scale", headed(64.0).graph())
    assert found.span == Span(PATH, 88)
    assert (found.claims[0].quantity, found.claims[0].of) == (Quantity.LOGIT_SPREAD, "logits")
    assert found.claims[0].error is not None


def test_no_scale_of_the_output_is_an_error_for_adam() -> None:
    graph = headed(64.0).graph(optimizer=OptimizerFamily.ADAM)
    assert the_suspicion("logit-scale", graph).claims[0].error is None


@pytest.mark.parametrize(
    "sketch",
    [
        pytest.param(lambda: headed(1 / 3), id="the default"),
        pytest.param(lambda: headed(0.0), id="a zero head"),
        pytest.param(lambda: headed(64.0, "torch.nn.LayerNorm"), id="a norm behind it"),
    ],
)
def test_heads_that_start_small_are_not_suspected(sketch: Callable[[], Sketch]) -> None:
    assert suspicions("logit-scale", sketch().graph()) == []


# exploding-recurrence, forget-gate-bias, short-memory-gates


def fused(kind: str, variance: float = 1 / 3, gate: float = 0.0, layers: int = 1) -> LayerGraph:
    sketch = Sketch()
    settings = (("num_layers", layers), ("batch_first", True))
    rnn = sketch.layer(f"torch.nn.{kind}", id="rnn", settings=settings)
    sketch.weight(rnn, id="rnn.weight_hh_l0", variance=variance)
    vector(sketch, rnn, "bias_ih_l0", gate / 4)
    sketch.dense(id="head")
    return sketch.graph()


def test_a_recurrent_weight_larger_than_an_orthogonal_one_is_suspected() -> None:
    found = the_suspicion("exploding-recurrence", fused("RNN", 4.0))
    assert found.claims[0].bound.at_most == 2
    assert found.claims[0].steps == 100
    assert found.remedies[0].actions == (Orthogonalise("rnn"),)


@pytest.mark.parametrize("variance", [1 / 3, 1.0], ids=["default", "orthogonal"])
def test_a_recurrent_weight_of_usual_size_is_not_suspected(variance: float) -> None:
    for kind in ("RNN", "LSTM", "GRU"):
        assert suspicions("exploding-recurrence", fused(kind, variance)) == []


def test_the_forget_gate_is_measured_beside_the_decay() -> None:
    found = the_suspicion("forget-gate-bias", fused("LSTM"))
    quantities = [claim.quantity for claim in found.claims]
    assert quantities == [Quantity.RECURRENT_DECAY, Quantity.FORGET_GATE]
    assert found.severity is Severity.NOTE
    assert found.remedies[0].actions == (SetGateBias("rnn", 2.0),)


def test_an_lstm_with_opened_gates_has_another_rule_than_one_without() -> None:
    assert suspicions("short-memory-gates", fused("LSTM")) == []
    assert "forget gate" in the_suspicion("short-memory-gates", fused("LSTM", gate=1.0)).message
    assert "update gate" in the_suspicion("short-memory-gates", fused("GRU")).message


@pytest.mark.parametrize("name", ["forget-gate-bias", "short-memory-gates"])
def test_a_recurrence_without_gates_has_no_gate_to_open(name: str) -> None:
    assert suspicions(name, fused("RNN")) == []


# deep-recurrent-stack


def test_the_layers_of_a_stack_are_counted_over_modules() -> None:
    assert suspicions("deep-recurrent-stack", fused("LSTM", layers=2)) == []
    alone = the_suspicion("deep-recurrent-stack", fused("LSTM", layers=3))
    assert (alone.claims[0].of, alone.claims[0].since) == ("rnn", "")
    sketch = Sketch()
    for index in range(4):
        sketch.weight(sketch.layer("torch.nn.GRU", id=f"gru{index}"))
        sketch.layer("torch.nn.Dropout")
    sketch.dense(id="head")
    several = the_suspicion("deep-recurrent-stack", sketch.graph())
    assert several.message.startswith("4 GRU layers")
    assert (several.claims[0].of, several.claims[0].since) == ("gru3", "gru0")


def test_skips_around_recurrent_layers_end_a_stack() -> None:
    sketch = Sketch()
    state = sketch.dense()
    for index in range(6):
        inner = sketch.layer("torch.nn.LSTM", state, id=f"lstm{index}")
        sketch.weight(inner)
        state = sketch.layer("aten.add", state, inner)
    sketch.dense(id="head")
    assert suspicions("deep-recurrent-stack", sketch.graph()) == []


# all of them


@pytest.mark.parametrize(
    "name",
    "activation-collapse dead-relu doubled-activation exploding-activation init-mismatch "
    "logit-scale missing-nonlinearity symmetric-init exploding-recurrence".split(),
)
def test_sirens_and_zero_initialised_branches_are_not_suspected(name: str) -> None:
    siren = Sketch()
    for _ in range(5):
        siren.dense(variance=2.0)
        siren.layer("aten.mul")
        siren.layer("aten.sin")
    siren.dense(id="head", variance=0.0, rows=1)
    assert suspicions(name, siren.graph()) == []
    fixup = Sketch()
    state = fixup.dense(variance=1.0)
    for _ in range(4):
        fixup.dense(state, variance=2.0)
        fixup.layer("torch.nn.ReLU")
        state = fixup.layer("aten.add", state, fixup.dense(variance=0.0, rows=1))
    fixup.dense(id="head", variance=0.0, rows=1)
    assert suspicions(name, fixup.graph()) == []


def test_a_deviation_in_a_message_is_that_of_the_weights() -> None:
    found = the_suspicion("logit-scale", headed(64.0).graph())
    assert f"std {math.sqrt(64.0 / 64):.2g} for fan-in 64" in found.message
