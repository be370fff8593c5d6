"""What the rules suspect of layer graphs drawn by hand, without torch."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from gradlint.loader import rule_named
from gradlint.program import LoopStep, StepKind, TrainingLoop
from gradlint.protocol.nodes import Edge, Initialisation, Input, Parameter
from gradlint.protocol.quantity import Quantity
from gradlint.protocol.remedy import AddSkip, ClipGradients, Initialise, Normalise, ReplaceRecurrent
from gradlint.protocol.span import Span
from gradlint.protocol.training import OptimizerFamily, Training
from gradlint.rule import CRITICAL, GraphRule, Hypothesis, LayerGraph, LoopRule
from tests.graphs import Sketch, chain


def suspicions(name: str, graph: LayerGraph) -> list[Hypothesis]:
    rule = rule_named(name)()
    assert isinstance(rule, GraphRule)
    return list(rule.check(graph))


def the_suspicion(name: str, graph: LayerGraph) -> Hypothesis:
    (found,) = suspicions(name, graph)
    return found


# saturating-stack


def test_three_sigmoids_in_a_row_are_suspected_at_the_first() -> None:
    graph = chain(3, "Sigmoid").graph()
    found = the_suspicion("saturating-stack", graph)
    first = graph.layers[1]
    assert found.span == first.constructed
    assert found.layer == first.id
    assert found.message.startswith("3 sigmoid layers in a row with no normalisation")
    assert found.claims[0].of == graph.trunk[0].id


def test_adam_is_given_more_room_than_sgd() -> None:
    loose, strict = (
        the_suspicion("saturating-stack", chain(3, "Sigmoid").graph(optimizer=family)).claims[0]
        for family in (OptimizerFamily.ADAM, OptimizerFamily.SGD)
    )
    assert (loose.bound.at_least, strict.bound.at_least) == (-4, -2.5)


@pytest.mark.parametrize(
    "graph",
    [
        pytest.param(lambda: chain(2, "Sigmoid"), id="only two"),
        pytest.param(lambda: chain(8, "ReLU"), id="no saturation"),
        pytest.param(lambda: chain(8, "Tanh", "LayerNorm"), id="a norm behind each"),
        pytest.param(lambda: chain(8), id="linear"),
    ],
)
def test_no_stack_no_suspicion(graph: Callable[[], Sketch]) -> None:
    assert suspicions("saturating-stack", graph().graph()) == []


def test_the_activation_of_the_output_does_not_count() -> None:
    sketch = chain(2, "Tanh")
    sketch.layer("torch.nn.Tanh")
    assert suspicions("saturating-stack", sketch.graph()) == []


def test_another_activation_breaks_the_row() -> None:
    sketch = Sketch()
    for op in ("Sigmoid", "Sigmoid", "ReLU", "Sigmoid", "Sigmoid"):
        sketch.dense()
        sketch.layer(f"torch.nn.{op}")
    sketch.dense()
    assert suspicions("saturating-stack", sketch.graph()) == []


def test_gates_are_no_stack() -> None:
    sketch = Sketch()
    for _ in range(4):
        value = sketch.dense()
        gate = sketch.layer("aten.sigmoid", value)
        flat = sketch.layer("aten.view", gate)
        sketch.layer("aten.mul", value, flat)
    sketch.dense()
    assert suspicions("saturating-stack", sketch.graph()) == []


def test_a_scaled_tanh_is_no_gate() -> None:
    sketch = Sketch()
    for _ in range(4):
        sketch.dense()
        sketch.layer("aten.tanh")
        sketch.layer("aten.mul")
    sketch.dense()
    assert the_suspicion("saturating-stack", sketch.graph()).message.startswith("4 tanh layers")


def recurrence(steps: int, activation: str = "aten.tanh", id: str = "cell") -> Sketch:
    """A loop by hand: the same Linear again and again, fed by itself and by the input."""
    sketch = Sketch()
    source, state = sketch.last, sketch.last
    for step in range(steps):
        both = sketch.layer("aten.cat", *dict.fromkeys((source, state)), id=f"cat#{step}")
        call = sketch.layer("torch.nn.Linear", both, id=f"{id}#{step}")
        sketch.weight(call, id=f"{id}.weight")
        state = sketch.layer(activation, call, id=f"tanh#{step}") if activation else call
    sketch.dense(id="head")
    return sketch


def test_recurrent_steps_are_no_stack_and_no_depth() -> None:
    graph = recurrence(30).graph()
    assert suspicions("saturating-stack", graph) == []
    assert suspicions("missing-skip", graph) == []
    assert suspicions("init-scale", graph) == []


def test_mixed_saturating_layers_are_all_named() -> None:
    sketch = Sketch()
    for op in ("Sigmoid", "Tanh", "Softsign"):
        sketch.dense()
        sketch.layer(f"torch.nn.{op}")
    sketch.dense()
    message = the_suspicion("saturating-stack", sketch.graph()).message
    assert message.startswith("3 saturating (sigmoid, softsign, tanh) layers in a row")


def test_only_tanh_is_offered_an_initialisation_of_its_own() -> None:
    def alone(activation: str) -> list[tuple[object, ...]]:
        found = the_suspicion("saturating-stack", chain(4, activation).graph())
        return [r.actions for r in found.remedies if len(r.actions) == 1]

    assert any(isinstance(actions[0], Initialise) for actions in alone("Tanh"))
    assert not any(isinstance(actions[0], Initialise) for actions in alone("Sigmoid"))


# init-scale


@pytest.mark.parametrize(
    ("activation", "variance"),
    [
        pytest.param("ReLU", 2.0, id="He for relu"),
        pytest.param("Tanh", 1.0, id="Xavier for tanh"),
        pytest.param("GELU", 2.2, id="gelu"),
        pytest.param("", 1.0, id="linear"),
    ],
)
def test_critical_weights_are_not_suspected(activation: str, variance: float) -> None:
    assert suspicions("init-scale", chain(30, activation, variance=variance).graph()) == []


def test_a_leaky_relu_is_critical_by_its_own_slope() -> None:
    sketch = Sketch()
    for _ in range(12):
        sketch.dense(variance=1.0)
        sketch.layer("torch.nn.LeakyReLU", settings=(("negative_slope", 1.0),))
    sketch.dense()
    assert suspicions("init-scale", sketch.graph()) == []


def test_the_default_initialisation_is_named_as_such() -> None:
    found = the_suspicion("init-scale", chain(4, "ReLU").graph())
    assert "start too small" in found.message
    assert "PyTorch's default initialisation gives std 0.072" in found.message
    assert "critical is 0.18 for fan-in 64 before relu" in found.message
    assert not found.definite


def test_an_initialisation_by_hand_is_named_with_its_settings_and_line() -> None:
    by_hand = Initialisation("normal_", (("mean", 0.0), ("std", 0.003)), Span("model.py", 99))
    sketch = Sketch()
    for _ in range(2):
        sketch.dense(variance=64 * 0.003**2, initialisation=by_hand)
        sketch.layer("torch.nn.ReLU")
    sketch.dense()
    found = the_suspicion("init-scale", sketch.graph())
    assert found.span == Span("model.py", 99)
    assert "normal_(mean=0, std=0.003) gives std 0.003" in found.message
    assert found.definite


@pytest.mark.parametrize("op", ["aten.sin", "aten.mul", "torch.nn.Tanhshrink"])
def test_the_scale_in_front_of_what_is_not_understood_is_not_judged(op: str) -> None:
    sketch = Sketch()
    for _ in range(8):
        sketch.dense(variance=1e-4)
        sketch.layer(op)
    sketch.dense()
    assert suspicions("init-scale", sketch.graph()) == []


def test_scales_that_norms_undo_are_suspected_only_if_usual_ones_cure() -> None:
    graph = chain(8, "", "BatchNorm1d", variance=1e-6).graph()
    (found,) = suspicions("init-scale", graph)
    assert found.only_if_cured
    assert "8 of 9 weights start too small" in found.message


def test_a_norm_forgives_a_scale_that_few_weights_have() -> None:
    graph = chain(8, "", "BatchNorm1d", variance=0.5).graph()
    assert suspicions("init-scale", graph) == []


def test_large_weights_are_called_too_large() -> None:
    found = the_suspicion("init-scale", chain(4, "ReLU", variance=64.0).graph())
    assert "start too large" in found.message
    assert found.definite


def test_the_remedy_draws_each_layer_at_its_own_scale() -> None:
    sketch = Sketch()
    for op in ("ReLU", "Tanh", "ReLU", "Tanh"):
        sketch.dense(variance=1e-3)
        sketch.layer(f"torch.nn.{op}")
    sketch.dense()
    actions = the_suspicion("init-scale", sketch.graph()).remedies[0].actions
    gains = {round(a.gain**2, 6) for a in actions if isinstance(a, Initialise)}
    assert gains == {1.0, 2.0}


def gaussian(function: Callable[[float], float], variance: float) -> float:
    """E[f(√v z)²] for a standard normal z, by the trapezoidal rule."""
    steps, width = 40001, 12.0
    total = 0.0
    for index in range(steps):
        z = -width + 2 * width * index / (steps - 1)
        total += function(math.sqrt(variance) * z) ** 2 * math.exp(-z * z / 2)
    return total * 2 * width / (steps - 1) / math.sqrt(2 * math.pi)


def slope(function: Callable[[float], float]) -> Callable[[float], float]:
    return lambda x: (function(x + 1e-5) - function(x - 1e-5)) / 2e-5


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


UNIT: dict[str, Callable[[float], float]] = {
    "relu": lambda x: max(x, 0.0),
    "relu6": lambda x: min(max(x, 0.0), 6.0),
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "silu": lambda x: x * logistic(x),
    "mish": lambda x: x * math.tanh(math.log1p(math.exp(x))),
    "hardswish": lambda x: x * min(max(x + 3, 0.0), 6.0) / 6,
    "elu": lambda x: x if x > 0 else math.expm1(x),
    "prelu": lambda x: x if x > 0 else 0.25 * x,
    "rrelu": lambda x: x if x > 0 else (1 / 8 + 1 / 3) / 2 * x,
}


@pytest.mark.parametrize("name", UNIT)
def test_the_critical_scale_keeps_the_gradient_at_unit_variance(name: str) -> None:
    assert CRITICAL[name] * gaussian(slope(UNIT[name]), 1.0) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        pytest.param("sigmoid", logistic, id="sigmoid"),
        pytest.param("hardsigmoid", lambda x: min(max(x / 6 + 0.5, 0.0), 1.0), id="hardsigmoid"),
    ],
)
def test_the_critical_scale_of_sigmoids_keeps_the_gradient_at_the_fixed_point(
    name: str, function: Callable[[float], float]
) -> None:
    variance, signal = CRITICAL[name], 45.0
    for _ in range(8):
        signal = variance * gaussian(function, signal)
    assert variance * gaussian(slope(function), signal) == pytest.approx(1, abs=0.01)


# symmetric-init


def test_zero_hidden_weights_are_judged_after_a_step() -> None:
    sketch = Sketch()
    sketch.dense(id="zero", variance=0.0, rows=1)
    sketch.layer("torch.nn.ReLU")
    sketch.dense(id="head")
    found = the_suspicion("symmetric-init", sketch.graph())
    assert "hidden weights start at zero" in found.message
    assert found.claims[0].quantity is Quantity.GRADIENT_RANK
    assert found.claims[0].after_step


def test_a_zero_head_is_a_good_choice() -> None:
    sketch = Sketch()
    sketch.dense(variance=1.0)
    sketch.layer("torch.nn.Tanh")
    sketch.dense(id="head", variance=0.0, rows=1)
    assert suspicions("symmetric-init", sketch.graph()) == []


def test_a_zero_layer_at_the_end_of_a_branch_is_a_good_choice() -> None:
    sketch = Sketch()
    state = sketch.dense(variance=1.0)
    for _ in range(4):
        sketch.dense(state, variance=2.0)
        sketch.layer("torch.nn.ReLU")
        inner = sketch.dense(variance=0.0, rows=1)
        state = sketch.layer("aten.add", state, inner)
    sketch.dense(id="head")
    assert suspicions("symmetric-init", sketch.graph()) == []


def test_equal_rows_are_judged_by_the_rank_of_their_gradient() -> None:
    sketch = Sketch()
    sketch.dense(id="copies", variance=1.0, rows=1)
    sketch.layer("torch.nn.Tanh")
    sketch.dense(id="head")
    found = the_suspicion("symmetric-init", sketch.graph())
    assert found.claims[0].quantity is Quantity.GRADIENT_RANK
    assert 1 / 64 < found.claims[0].bound.at_least <= 2 / 64


def test_weights_that_are_not_trained_may_be_alike() -> None:
    sketch = Sketch()
    layer = sketch.layer("torch.nn.Linear", id="average")
    sketch.nodes.append(Parameter("w", (64, 64), "float32", 0.1, 0.01, 0.1, 64, 64, 1, False, None))
    sketch.edges.append(Edge("w", layer, (64, 64), "float32"))
    sketch.layer("torch.nn.ReLU")
    sketch.dense(id="head")
    assert suspicions("symmetric-init", sketch.graph()) == []


# vanilla-rnn


def fused(kind: str, length: int = 0, **settings: bool | str) -> LayerGraph:
    sketch = Sketch()
    sketch.nodes.clear()
    sketch.nodes.append(Input("input 0", (8, length or 20, 64), "float32"))
    rnn = sketch.layer(f"torch.nn.{kind}", id="rnn", settings=tuple(settings.items()))
    sketch.edges[-1] = Edge("input 0", rnn, (8, length or 20, 64), "float32")
    sketch.weight(rnn)
    sketch.dense(id="head")
    return sketch.graph(own_inputs=bool(length))


def test_a_vanilla_rnn_is_judged_over_a_hundred_steps_if_nobody_knows_better() -> None:
    found = the_suspicion("vanilla-rnn", fused("RNN", batch_first=True))
    assert found.claims[0].steps == 100
    assert "sequences of unknown length" in found.message


@pytest.mark.parametrize(("batch_first", "steps"), [(True, 35), (False, 8)], ids=str)
def test_the_length_of_the_files_own_sequence_is_used(batch_first: bool, steps: int) -> None:
    found = the_suspicion("vanilla-rnn", fused("RNN", 35, batch_first=batch_first))
    assert found.claims[0].steps == steps


def test_the_remedy_is_an_lstm_that_says_its_forget_bias() -> None:
    (remedy,) = the_suspicion("vanilla-rnn", fused("RNN", nonlinearity="relu")).remedies
    assert remedy.actions == (ReplaceRecurrent("rnn", "LSTM", 2.0),)
    assert "forget-gate bias 2" in remedy.title


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_gated_layers_are_not_suspected(kind: str) -> None:
    assert suspicions("vanilla-rnn", fused(kind)) == []


def test_a_loop_by_hand_is_recognised_by_its_weight() -> None:
    found = the_suspicion("vanilla-rnn", recurrence(6).graph(own_inputs=True))
    assert found.layer == "cell#0"
    assert found.claims[0].steps == 6
    assert "the recurrence with tanh over 6 steps" in found.message


@pytest.mark.parametrize(
    "graph",
    [
        pytest.param(lambda: recurrence(4), id="four steps"),
        pytest.param(lambda: recurrence(9, activation=""), id="a linear recurrence"),
        pytest.param(lambda: recurrence(9, activation="aten.mul"), id="a product"),
        pytest.param(lambda: towers(9), id="the same layer side by side"),
        pytest.param(lambda: gated(9), id="a gate by hand"),
        pytest.param(lambda: residual(9), id="a state that is added to"),
        pytest.param(lambda: iteration(9), id="the same input at every step"),
    ],
)
def test_what_is_no_vanilla_recurrence_is_not_suspected(graph: Callable[[], Sketch]) -> None:
    assert suspicions("vanilla-rnn", graph().graph()) == []


def towers(count: int) -> Sketch:
    sketch = Sketch()
    source, ends = sketch.last, []
    for step in range(count):
        call = sketch.layer("torch.nn.Linear", source, id=f"cell#{step}")
        sketch.weight(call, id="cell.weight")
        ends.append(sketch.layer("aten.tanh", call, id=f"tanh#{step}"))
    sketch.layer("aten.stack", *ends)
    return sketch


def gated(steps: int) -> Sketch:
    sketch = Sketch()
    state = sketch.last
    for step in range(steps):
        call = sketch.layer("torch.nn.Linear", state, id=f"cell#{step}")
        sketch.weight(call, id="cell.weight")
        tanh = sketch.layer("aten.tanh", call, id=f"tanh#{step}")
        gate = sketch.layer("aten.sigmoid", call, id=f"sigmoid#{step}")
        state = sketch.layer("aten.mul", tanh, gate, id=f"mul#{step}")
    return sketch


def residual(steps: int) -> Sketch:
    sketch = Sketch()
    state = sketch.dense(id="first")
    for step in range(steps):
        call = sketch.layer("torch.nn.Linear", state, id=f"cell#{step}")
        sketch.weight(call, id="cell.weight")
        tanh = sketch.layer("aten.tanh", call, id=f"tanh#{step}")
        state = sketch.layer("aten.add", state, tanh, id=f"add#{step}")
    return sketch


def iteration(steps: int) -> Sketch:
    sketch = Sketch()
    injected = state = sketch.dense(id="inject")
    for step in range(steps):
        call = sketch.layer("torch.nn.Linear", state, id=f"cell#{step}")
        sketch.weight(call, id="cell.weight")
        total = sketch.layer("aten.add", call, injected, id=f"add#{step}")
        state = sketch.layer("aten.tanh", total, id=f"tanh#{step}")
    return sketch


# missing-skip


def test_ten_plain_layers_are_suspected() -> None:
    found = the_suspicion("missing-skip", chain(9, "ReLU").graph())
    assert found.message.startswith("10 layers in a row with no skip")
    assert found.only_if_cured


def test_nine_plain_layers_are_not() -> None:
    assert suspicions("missing-skip", chain(8, "ReLU").graph()) == []


def test_skips_make_depth_harmless() -> None:
    sketch = Sketch()
    state = sketch.dense()
    for _ in range(12):
        inner = sketch.dense(state)
        state = sketch.layer("aten.add", state, sketch.layer("aten.relu", inner))
    sketch.dense()
    assert suspicions("missing-skip", sketch.graph()) == []


def test_skips_go_around_layers_that_keep_their_shape_and_norms_where_none_are() -> None:
    bare = the_suspicion("missing-skip", chain(10, "ReLU").graph()).remedies
    assert [[type(action) for action in remedy.actions] for remedy in bare] == [
        [Normalise, AddSkip],
        [AddSkip],
    ]
    sketch = Sketch()
    for _ in range(10):
        sketch.dense()
        sketch.layer("torch.nn.BatchNorm1d")
        sketch.layer("torch.nn.ReLU")
    normed = the_suspicion("missing-skip", sketch.graph()).remedies
    assert [[type(action) for action in remedy.actions] for remedy in normed] == [[AddSkip]]


def test_a_skip_goes_around_layers_that_change_the_shape_and_change_it_back() -> None:
    sketch = Sketch()
    for block in range(6):
        for name, width in (("up", 256), ("down", 64)):
            id = f"{block}.{name}"
            sketch.layer("torch.nn.Linear", id=id, shape=(8, width))
            sketch.weight(id)
            if name == "up":
                sketch.layer("torch.nn.GELU", id=f"{block}.gelu")
    sketch.dense(id="head")
    remedies = the_suspicion("missing-skip", sketch.graph()).remedies
    pairs = remedies[-1].actions[0]
    assert pairs == AddSkip(tuple((f"{block}.up", f"{block}.down") for block in range(6)))


def transformer(blocks: int) -> Sketch:
    sketch = Sketch()
    sketch.nodes.clear()
    sketch.nodes.append(Input("input 0", (8, 20, 64), "float32"))
    sketch.dense(id="embed")
    for block in range(blocks):
        sketch.layer("torch.nn.LayerNorm", id=f"{block}.ln1")
        value = sketch.dense(id=f"{block}.qkv")
        weights = sketch.layer("aten.softmax", id=f"{block}.softmax")
        sketch.layer("aten.matmul", weights, value, id=f"{block}.mix")
        sketch.dense(id=f"{block}.out")
        sketch.layer("torch.nn.LayerNorm", id=f"{block}.ln2")
        sketch.dense(id=f"{block}.mlp")
    sketch.layer("torch.nn.LayerNorm", id="norm")
    sketch.dense(id="head")
    return sketch


def test_attention_without_skips_is_judged_by_how_alike_its_positions_become() -> None:
    found = the_suspicion("missing-skip", transformer(4).graph())
    assert found.claims[0].quantity is Quantity.TOKEN_CORRELATION
    assert found.claims[0].of == "norm"
    assert "all positions alike" in found.message
    (remedy,) = found.remedies
    assert remedy.actions[0] == AddSkip(
        tuple(
            pair
            for block in range(4)
            for pair in ((f"{block}.ln1", f"{block}.out"), (f"{block}.ln2", f"{block}.mlp"))
        )
    )


# missing-clipping

STEP, BACKWARD = (Span("train.py", line) for line in (30, 29))


def loop(
    rate: float | None = 1e-3,
    family: OptimizerFamily = OptimizerFamily.SGD,
    *,
    clips: bool = False,
    framework: str = "",
    kinds: tuple[StepKind, ...] = (StepKind.BACKWARD, StepKind.STEP),
) -> TrainingLoop:
    places = {StepKind.BACKWARD: BACKWARD, StepKind.STEP: STEP}
    steps = tuple(LoopStep(kind, str(kind.value), places[kind]) for kind in kinds)
    training = Training(family, "SGD", rate, (), "MSELoss")
    span = Span("train.py", 20)
    return TrainingLoop(span, 31, "Net", training, None, steps, framework, clips)


def clipping(where: TrainingLoop, graph: LayerGraph) -> list[Hypothesis]:
    rule = rule_named("missing-clipping")()
    assert isinstance(rule, LoopRule)
    return list(rule.check(where, graph))


def attention() -> Sketch:
    sketch = Sketch()
    value = sketch.dense()
    sketch.layer("aten.softmax")
    sketch.layer("aten.dropout")
    sketch.layer("aten.matmul", sketch.last, value)
    sketch.dense()
    return sketch


@pytest.mark.parametrize(
    ("graph", "reason"),
    [
        pytest.param(lambda: fused("LSTM"), "a recurrent model", id="lstm"),
        pytest.param(lambda: recurrence(5).graph(), "a recurrent model", id="loop by hand"),
        pytest.param(lambda: attention().graph(), "a model with attention", id="attention"),
    ],
)
def test_recurrence_and_attention_are_reasons_to_clip(
    graph: Callable[[], LayerGraph], reason: str
) -> None:
    (found,) = clipping(loop(), graph())
    assert found.span == STEP
    assert found.message.endswith(reason)
    assert found.claims[0].quantity is Quantity.TRAINING_SPIKE
    assert found.claims[0].of == "loss()"
    assert [r.actions for r in found.remedies] == [(ClipGradients(1.0),), (ClipGradients(0.25),)]
    assert found.only_if_cured


def test_a_high_learning_rate_is_a_reason_for_any_model() -> None:
    plain = chain(2, "ReLU").graph()
    assert len(clipping(loop(0.5), plain)) == 1
    assert clipping(loop(0.01), plain) == []
    assert clipping(loop(None), plain) == []
    assert len(clipping(loop(0.05, OptimizerFamily.ADAM), plain)) == 1


def test_a_loop_that_clips_or_does_not_train_is_left_alone() -> None:
    model = fused("LSTM")
    assert clipping(loop(clips=True), model) == []
    assert clipping(loop(kinds=(StepKind.BACKWARD,)), model) == []
    assert clipping(loop(kinds=()), model) == []


def test_a_lightning_module_is_told_about_the_trainer() -> None:
    (found,) = clipping(loop(framework="lightning", kinds=()), fused("LSTM"))
    assert found.span == Span("train.py", 20)
    assert "gradient_clip_val" in found.remedies[0].title


# all of them


@pytest.mark.parametrize("name", ["saturating-stack", "init-scale", "vanilla-rnn", "missing-skip"])
def test_a_model_without_parameters_is_not_suspected(name: str) -> None:
    sketch = Sketch()
    sketch.layer("torch.nn.Sigmoid")
    assert suspicions(name, sketch.graph()) == []


@pytest.mark.parametrize(
    ("name", "graph"),
    [
        ("saturating-stack", lambda: chain(20, "Tanh").graph()),
        ("init-scale", lambda: chain(20, "Tanh").graph()),
        ("missing-skip", lambda: chain(20, "Tanh").graph()),
    ],
    ids=["saturating-stack", "init-scale", "missing-skip"],
)
def test_suspicions_about_one_stack_speak_of_one_region(
    name: str, graph: Callable[[], LayerGraph]
) -> None:
    drawn = graph()
    weights = {layer.id for layer in drawn.weighted_trunk[:-1]}
    assert weights <= set(the_suspicion(name, drawn).region)


def normalised(rows: int) -> LayerGraph:
    """Layers with a norm behind each, whose weights have so many different rows."""
    sketch = Sketch()
    for _ in range(4):
        sketch.dense(rows=rows)
        sketch.layer("torch.nn.BatchNorm1d")
    sketch.dense(id="head")
    return sketch.graph()


def test_equal_rows_everywhere_are_suspected_behind_norms_too() -> None:
    found = suspicions("symmetric-init", normalised(1))
    assert {claim.quantity for item in found for claim in item.claims} == {Quantity.GRADIENT_RANK}
    assert len({item.region for item in found}) == 1
    assert suspicions("symmetric-init", normalised(2)) == []
