"""What the rules about losses and numerics suspect of layer graphs drawn by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gradlint.judging.examine import check
from gradlint.layers.losses import loss_uses
from gradlint.loader import rule_named, rules
from gradlint.program import LossCall, TrainingLoop
from gradlint.protocol.quantity import Quantity
from gradlint.protocol.remedy import Bypass, ReplaceLoss
from gradlint.protocol.span import Span
from gradlint.protocol.training import Objective, OptimizerFamily, Training
from gradlint.rule import Family, Hypothesis, Layer, LayerGraph, Severity
from tests.graphs import PATH, Sketch, chain

HERE = Span(PATH, 99, 9, 99, 30)


def loss(
    name: str, *applied: str, target: tuple[float, float] | None = None, output: int = 0
) -> LossCall:
    """A call of a loss in a loop, on the model's output after `applied`."""
    places = tuple(Span(PATH, 90 + index) for index in range(len(applied)))
    return LossCall(Objective(name, applied, output), HERE, "", places, target)


def suspicions(name: str, graph: LayerGraph, *losses: LossCall) -> list[Hypothesis]:
    """What one rule suspects of a model that `losses` train."""
    return [found.hypothesis for found in check(graph, (), (rule_named(name),), losses)]


def ending(*ops: str, depth: int = 2) -> Sketch:
    """A small ReLU network whose head is followed by `ops`."""
    sketch = chain(depth, "ReLU")
    for op in ops:
        sketch.layer(op)
    return sketch


def own_loss(*ops: str, loss: str) -> Sketch:
    """A network that computes its loss itself."""
    sketch = ending(*ops)
    sketch.layer(loss, shape=())
    return sketch


# what every rule of the family leaves alone


def gate() -> Sketch:
    sketch = Sketch()
    value, door = sketch.dense(), sketch.dense()
    sketch.layer("aten.mul", value, sketch.layer("aten.sigmoid", door))
    sketch.dense(id="head")
    return sketch


def attention() -> Sketch:
    sketch = Sketch()
    scores = sketch.dense()
    weights = sketch.layer("aten.softmax", scores, settings=(("dim", -1),))
    sketch.layer("aten.matmul", weights, sketch.dense(id="values"))
    sketch.dense(id="head")
    return sketch


def straight_through() -> Sketch:
    sketch = Sketch()
    start = sketch.dense()
    stepped = sketch.layer("aten.round", start)
    sketch.layer("aten.add", start, stepped)
    sketch.dense(id="head")
    return sketch


HARMLESS = {
    "a sigmoid under binary cross-entropy": (
        lambda: ending("torch.nn.Sigmoid"),
        loss("BCELoss"),
    ),
    "log-softmax under negative log-likelihood": (
        lambda: ending("torch.nn.LogSoftmax"),
        loss("NLLLoss"),
    ),
    "logits under cross-entropy": (ending, loss("CrossEntropyLoss")),
    "logits under binary cross-entropy with logits": (ending, loss("BCEWithLogitsLoss")),
    "a softmax that no loss is seen to take": (
        lambda: ending("torch.nn.Softmax"),
        loss("MSELoss", output=1),
    ),
    "a generator that ends in tanh": (
        lambda: ending("torch.nn.Tanh"),
        loss("L1Loss", target=(-1.0, 1.0)),
    ),
    "a bounded actor": (lambda: ending("torch.nn.Tanh", "aten.mul"), loss("MSELoss")),
    "a sigmoid that reconstructs its input": (
        lambda: ending("torch.nn.Sigmoid"),
        loss("MSELoss", target=(0.0, 1.0)),
    ),
    "a rectified map of several axes": (
        lambda: _shaped("torch.nn.ReLU", (8, 16, 64)),
        loss("MSELoss", target=(0.0, 1.0)),
    ),
    "a gate": (gate, loss("CrossEntropyLoss")),
    "attention": (attention, loss("CrossEntropyLoss")),
    "a straight-through rounding": (straight_through, loss("MSELoss")),
    "a regression without activation": (ending, loss("HuberLoss", target=(-5.0, 5.0))),
}


def _shaped(op: str, shape: tuple[int, ...]) -> Sketch:
    sketch = Sketch()
    sketch.layer("torch.nn.Linear", id="head", shape=shape)
    sketch.weight("head")
    sketch.layer(op)
    return sketch


@pytest.mark.parametrize(("sketch", "call"), HARMLESS.values(), ids=HARMLESS)
def test_what_is_legitimate_is_not_suspected(sketch: Callable[[], Sketch], call: LossCall) -> None:
    family = tuple(rule for rule in rules() if rule.family is Family.LOSS)
    assert [found.rule.name() for found in check(sketch().graph(), (), family, (call,))] == []


# where a loss is found


def test_the_steps_in_front_of_a_loss_are_the_models_and_then_the_loops() -> None:
    graph = ending("torch.nn.Dropout", "torch.nn.Tanh", "aten.view").graph()
    (use,) = loss_uses((loss("NLLLoss", "log_softmax"),), graph)
    assert [step.name for step in use.steps] == ["tanh", "log_softmax"]
    assert use.logits.id == "head"
    assert use.steps[1].layer is None
    assert use.function == "nll_loss"


def test_a_loss_inside_of_the_model_is_found_without_a_loop() -> None:
    graph = own_loss("aten.softmax", loss="aten.cross_entropy").graph()
    (found,) = suspicions("softmax-before-cross-entropy", graph)
    assert found.claims[0].objective == Objective()
    assert found.claims[0].of == "head"


def test_of_several_outputs_none_is_taken_for_the_one_that_the_loss_is_fed() -> None:
    sketch = ending("torch.nn.Softmax")
    other = sketch.dense(id="other")
    graph = sketch.graph(other, sketch.nodes[-3].id)
    assert list(loss_uses((loss("CrossEntropyLoss"),), graph)) == []


# the pairs


@pytest.mark.parametrize("op", ["torch.nn.Softmax", "torch.nn.LogSoftmax"])
def test_a_softmax_in_the_model_is_left_out_of_the_model(op: str) -> None:
    graph = ending(op).graph()
    (found,) = suspicions("softmax-before-cross-entropy", graph, loss("CrossEntropyLoss"))
    last = graph.layers[-1]
    assert (found.layer, found.span) == (last.id, last.constructed)
    assert found.remedies[0].actions == (Bypass((last.id,)),)


def test_a_softmax_in_the_loop_is_left_out_of_the_loop() -> None:
    call = loss("cross_entropy", "softmax")
    (found,) = suspicions("softmax-before-cross-entropy", ending().graph(), call)
    assert found.span == call.applied[0]
    assert found.remedies[0].actions == (Bypass(applied=("softmax",)),)
    assert found.claims[0].quantity is Quantity.WRONG_GRADIENT


def test_the_same_loss_in_training_and_evaluation_is_suspected_once() -> None:
    graph = ending("torch.nn.Softmax").graph()
    calls = [loss("CrossEntropyLoss"), loss("CrossEntropyLoss")]
    assert len(suspicions("softmax-before-cross-entropy", graph, *calls)) == 1


def test_a_sigmoid_is_found_behind_other_steps() -> None:
    graph = ending("torch.nn.Sigmoid", "aten.logit").graph()
    (found,) = suspicions(
        "sigmoid-before-bce-with-logits", graph, loss("binary_cross_entropy_with_logits")
    )
    assert found.layer == graph.layers[-2].id


@pytest.mark.parametrize(
    ("last", "name", "quantity"),
    [
        pytest.param((), "NLLLoss", Quantity.OUTSIDE_DOMAIN, id="nll of logits"),
        pytest.param(
            ("aten.softmax",), "nll_loss", Quantity.OUTSIDE_DOMAIN, id="nll of probabilities"
        ),
        pytest.param((), "KLDivLoss", Quantity.OUTSIDE_DOMAIN, id="divergence of logits"),
        pytest.param((), "BCELoss", Quantity.OUTSIDE_DOMAIN, id="binary of logits"),
        pytest.param(("torch.nn.Tanh",), "BCELoss", Quantity.OUTSIDE_DOMAIN, id="binary of a tanh"),
        pytest.param(
            ("aten.sigmoid",), "CrossEntropyLoss", Quantity.WRONG_GRADIENT, id="ce of a sigmoid"
        ),
    ],
)
def test_pairs_that_cannot_work_are_suspected(
    last: tuple[str, ...], name: str, quantity: Quantity
) -> None:
    (found,) = suspicions("loss-mismatch", ending(*last).graph(), loss(name))
    assert found.claims[0].quantity is quantity


def test_cross_entropy_over_one_unit_is_told_about_binary_cross_entropy() -> None:
    graph = _shaped("aten.squeeze", (8, 1)).graph()
    (found,) = suspicions("loss-mismatch", graph, loss("CrossEntropyLoss"))
    assert found.span == HERE
    assert found.remedies[0].actions == (ReplaceLoss("binary_cross_entropy_with_logits"),)


def test_a_single_rectified_unit_is_an_error_only_for_targets_seen_below_zero() -> None:
    graph = _shaped("torch.nn.ReLU", (8, 1)).graph()
    (negative,) = suspicions("rectified-output", graph, loss("MSELoss", target=(-1.0, 1.0)))
    (positive,) = suspicions("rectified-output", graph, loss("MSELoss", target=(0.0, 9.0)))
    (unknown,) = suspicions("rectified-output", graph, loss("MSELoss"))
    assert negative.severity is Severity.ERROR
    assert positive.severity is unknown.severity is Severity.WARNING


@pytest.mark.parametrize(
    ("classes", "optimizer", "severity"),
    [
        pytest.param(4, OptimizerFamily.SGD, Severity.WARNING, id="few"),
        pytest.param(30, OptimizerFamily.UNKNOWN, Severity.ERROR, id="many"),
        pytest.param(30, OptimizerFamily.ADAM, Severity.WARNING, id="many with Adam"),
        pytest.param(100, OptimizerFamily.ADAM, Severity.ERROR, id="a hundred"),
    ],
)
def test_a_softmax_too_many_is_worse_the_more_classes_there_are(
    classes: int, optimizer: OptimizerFamily, severity: Severity
) -> None:
    graph = _shaped("torch.nn.Softmax", (8, classes)).graph(optimizer=optimizer)
    (found,) = suspicions("softmax-before-cross-entropy", graph, loss("CrossEntropyLoss"))
    assert found.severity is severity


def test_an_output_is_bounded_only_for_targets_beyond_its_range() -> None:
    graph = ending("torch.nn.Sigmoid").graph()
    (high,) = suspicions("bounded-output", graph, loss("MSELoss", target=(0.0, 100.0)))
    (low,) = suspicions("bounded-output", graph, loss("L1Loss", target=(-3.0, 1.0)))
    assert high.claims[0].quantity is Quantity.OUTPUT_HIGHEST
    assert low.claims[0].quantity is Quantity.OUTPUT_LOWEST
    assert suspicions("bounded-output", graph, loss("MSELoss", target=(0.0, 1.0))) == []
    assert suspicions("bounded-output", graph, loss("MSELoss")) == []


# constant outputs


def single_unit(axis: int, shape: tuple[int, ...] = (8, 1)) -> LayerGraph:
    sketch = Sketch()
    sketch.layer("torch.nn.Linear", id="unit", shape=shape)
    sketch.weight("unit")
    sketch.layer("torch.nn.Softmax", settings=(("dim", axis),))
    return sketch.graph()


@pytest.mark.parametrize("axis", [1, -1])
def test_a_softmax_over_one_unit_is_suspected(axis: int) -> None:
    (found,) = suspicions("constant-output", single_unit(axis))
    assert found.claims[0].quantity is Quantity.PASSED_GRADIENT


def test_a_softmax_over_a_sequence_of_scores_is_not_even_if_it_has_one_step() -> None:
    assert suspicions("constant-output", single_unit(1, (8, 1, 1))) == []
    assert suspicions("constant-output", single_unit(0)) == []


@pytest.mark.parametrize("op", ["aten.sign", "aten.round", "aten.floor"])
def test_a_step_through_which_all_must_pass_is_suspected(op: str) -> None:
    (found,) = suspicions("constant-output", ending(op).graph())
    assert found.claims[0].of == "head"


# unstable operations


@pytest.mark.parametrize("op", ["aten.log", "aten.sqrt", "aten.log2"])
def test_what_has_no_slope_at_zero_is_suspected_behind_weights(op: str) -> None:
    assert len(suspicions("unstable-log", ending("aten.softmax", op).graph())) == 1


def test_the_numerator_of_a_division_does_not_count() -> None:
    assert suspicions("unstable-log", ending("aten.div").graph()) == []
    sketch = Sketch()
    above, below = sketch.dense(), sketch.dense()
    sketch.layer("aten.div", above, below)
    assert len(suspicions("unstable-log", sketch.graph())) == 1


def test_the_same_line_is_suspected_once() -> None:
    sketch = chain(1, "Softplus")
    first = sketch.layer("aten.log")
    again = sketch.layer("aten.log", id=f"{first}#1")
    graph = sketch.graph(again)
    lines = {found.span.line for found in suspicions("unstable-log", graph)}
    assert len(suspicions("unstable-log", graph)) == len(lines)


def test_what_blocks_of_another_package_repeat_is_suspected_once() -> None:
    sketch = Sketch()
    for index in range(3):
        sketch.dense(id=f"blocks.{index}.linear")
        sketch.layer("aten.sqrt", id=f"blocks.{index}.norm.sqrt")
    nodes = [
        replace(node, span=None) if isinstance(node, Layer) and "sqrt" in node.id else node
        for node in sketch.nodes
    ]
    sketch.nodes[:] = nodes
    sketch.dense(id="head")
    (found,) = suspicions("unstable-log", sketch.graph())
    assert found.layer == "blocks.0.norm.sqrt"


# half precision


def trained(*, half: bool, scales: bool = False) -> TrainingLoop:
    return TrainingLoop(
        HERE,
        120,
        "",
        Training(OptimizerFamily.SGD, "SGD", 0.1, (), "CrossEntropyLoss"),
        None,
        (),
        "",
        clips=False,
        half=half,
        scales=scales,
    )


def masked(value: float) -> LayerGraph:
    sketch = Sketch()
    scores = sketch.dense()
    sketch.layer("aten.masked_fill", scores, settings=(("argument2", value),))
    sketch.dense(id="head")
    return sketch.graph()


@pytest.mark.parametrize(
    ("half", "value", "count"),
    [
        pytest.param(True, -1e9, 1, id="in half precision"),
        pytest.param(False, -1e9, 0, id="in full precision"),
        pytest.param(True, -1e4, 0, id="with a number that fits"),
        pytest.param(True, float("-inf"), 0, id="with minus infinity"),
    ],
)
def test_a_fill_is_too_large_only_in_half_precision(half: bool, value: float, count: int) -> None:
    rule = (rule_named("large-mask-fill"),)
    assert len(list(check(masked(value), (trained(half=half),), rule))) == count


def test_a_loop_that_scales_loses_no_gradients() -> None:
    rule = (rule_named("half-underflow"),)
    loop = trained(half=True, scales=True)
    assert list(check(chain(3, "ReLU").graph(), (loop,), rule)) == []
