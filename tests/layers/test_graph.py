"""Layer graphs: their invariants, their paths, and their trunk."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from gradlint.layers.graph import InvalidGraphError, LayerGraph
from gradlint.protocol.nodes import Edge, Input, Layer, Loss, Node, Parameter
from tests.graphs import Sketch, chain


def ids(layers: tuple[Layer, ...]) -> list[str]:
    return [layer.id for layer in layers]


def test_the_trunk_of_a_chain_is_the_whole_chain() -> None:
    graph = chain(3, "ReLU").graph()
    assert graph.trunk == graph.layers
    assert len(graph.weighted_trunk) == 4


def test_the_trunk_leaves_out_the_inside_of_residual_branches() -> None:
    sketch = Sketch()
    stem = sketch.dense(id="stem")
    inner = sketch.dense(id="inner")
    total = sketch.layer("aten.add", stem, inner, id="add")
    sketch.dense(id="head")
    assert ids(sketch.graph().trunk) == [stem, total, "head"]


def test_the_trunk_of_two_towers_begins_in_the_deeper_one() -> None:
    sketch = Sketch()
    source = sketch.last
    deep = [sketch.dense(id="deep1"), sketch.dense(id="deep2"), sketch.dense(id="deep3")]
    shallow = sketch.dense(source, id="shallow")
    both = sketch.layer("aten.cat", deep[-1], shallow, id="cat")
    sketch.dense(id="head")
    assert ids(sketch.graph().trunk) == [*deep, both, "head"]


def test_the_trunk_of_a_model_with_two_heads_ends_where_the_heads_part() -> None:
    sketch = Sketch()
    body = sketch.dense(id="body")
    first, second = sketch.dense(body, id="first"), sketch.dense(body, id="second")
    assert ids(sketch.graph(first, second).trunk) == [body]


def test_a_layer_without_parameters_below_the_first_weight_is_not_in_the_trunk() -> None:
    sketch = Sketch()
    sketch.layer("aten.flatten")
    sketch.dense(id="only")
    assert ids(sketch.graph().trunk) == ["only"]


def test_a_model_without_parameters_has_no_trunk() -> None:
    sketch = Sketch()
    sketch.layer("torch.nn.ReLU")
    assert sketch.graph().trunk == ()
    assert sketch.graph().weighted_trunk == ()


def test_a_parameter_that_reaches_no_loss_does_not_move_the_trunk() -> None:
    sketch = Sketch()
    used = sketch.dense(id="used")
    for name in ("dead1", "dead2", "dead3"):
        sketch.dense(id=name)
    assert ids(sketch.graph(used).trunk) == ["used"]


def test_paths_to_the_loss_can_be_asked_to_avoid_layers() -> None:
    sketch = Sketch()
    stem = sketch.dense(id="stem")
    inner = sketch.dense(id="inner")
    sketch.layer("aten.add", stem, inner, id="add")
    graph = sketch.graph()
    assert graph.reaches_loss(graph.layer("stem"), avoiding=[graph.layer("inner")])
    assert not graph.reaches_loss(graph.layer("stem"), avoiding=[graph.layer("add")])
    assert not graph.reaches_loss(graph.layer("stem"), avoiding=[graph.layer("stem")])


def test_two_layers_are_connected_in_the_direction_of_the_signal_only() -> None:
    graph = chain(2).graph()
    first, *_, last = graph.layers
    assert graph.connected(first, last)
    assert not graph.connected(last, first)
    assert not graph.connected(first, last, avoiding=[graph.layers[1]])


def test_the_layers_between_two_are_those_on_any_path() -> None:
    sketch = Sketch()
    stem = sketch.dense(id="stem")
    left, right = sketch.dense(stem, id="left"), sketch.dense(stem, id="right")
    sketch.dense(stem, id="aside")
    sketch.layer("aten.add", left, right, id="add")
    graph = sketch.graph()
    between = graph.between(graph.layer("stem"), graph.layer("add"))
    assert ids(between) == ["stem", "left", "right", "add"]
    assert ids(graph.between(graph.layer("stem"), graph.layer("stem"))) == ["stem"]
    assert graph.between(graph.layer("left"), graph.layer("right")) == ()


def test_producers_and_consumers_are_layers_only() -> None:
    graph = chain(1, "ReLU").graph()
    first, relu, head = graph.layers
    assert graph.producers(first) == ()
    assert graph.consumers(first) == (relu,)
    assert graph.producers(head) == (relu,)
    assert graph.consumers(head) == ()


def test_the_weight_of_a_layer_is_its_largest_matrix() -> None:
    sketch = Sketch()
    layer = sketch.dense(id="layer")
    sketch.nodes.append(Parameter("bias", (64,), "float32", 0, 0, 0, 0, 0, 1, True, None))
    sketch.edges.append(Edge("bias", layer, (64,), "float32"))
    graph = sketch.graph()
    weight = graph.weight_of(graph.layer(layer))
    assert weight is not None
    assert weight.id == "layer.weight"
    assert [p.id for p in graph.parameters_of(graph.layer(layer))] == ["layer.weight", "bias"]


def test_calls_that_share_a_weight_are_found_in_the_order_they_ran() -> None:
    sketch = Sketch()
    for step in range(3):
        sketch.weight(sketch.layer("torch.nn.Linear", id=f"cell#{step}"), id="cell.weight")
    graph = sketch.graph()
    assert ids(graph.calls(graph.layer("cell#1"))) == ["cell#0", "cell#1", "cell#2"]


def test_input_shapes_leave_parameters_out() -> None:
    graph = chain(1).graph()
    assert graph.input_shapes(graph.layers[0]) == ((8, 64),)


def test_asking_for_a_parameter_as_a_layer_is_an_error() -> None:
    with pytest.raises(KeyError):
        chain(1).graph().layer("head.weight")


A, B = (Layer(name, "aten.relu", "", 0, (1,), "float32", None, None) for name in "ab")
X, W = Input("x", (1,), "float32"), Parameter("w", (1,), "f", 0, 0, 0, 0, 0, 1, True, None)
END = Loss("loss()")


def _row(*names: str, heads: tuple[str, ...]) -> LayerGraph:
    """Layers one behind the other, of which some are heads."""
    layers = [Layer(name, "aten.relu", "", 0, (1,), "float32", None, None) for name in names]
    ways = list(pairwise((*names, "loss()")))
    edges = [Edge(a, b, (1,), "float32") for a, b in [*ways, *((head, "loss()") for head in heads)]]
    return LayerGraph([*layers, Loss("loss()", heads)], list(dict.fromkeys(edges)))


def test_what_lies_between_the_heads_and_the_loss_is_beyond_them() -> None:
    assert _row("dense", "square", "mean", heads=("dense",)).beyond == {"square", "mean"}


def test_what_leads_from_one_head_to_another_is_not_beyond_them() -> None:
    assert not _row("hidden", "dense", "pooled", heads=("hidden", "pooled")).beyond


@pytest.mark.parametrize(
    ("nodes", "edges", "message"),
    [
        pytest.param([A, A, END], [], "two nodes are called 'a'", id="repeated id"),
        pytest.param([A, END], [("a", "q")], "edge a -> q: no node 'q'", id="unknown node"),
        pytest.param([A], [], "one loss, not 0", id="no loss"),
        pytest.param([A, END, Loss("second")], [], "one loss, not 2", id="two losses"),
        pytest.param([A, B, END], [("a", "b"), ("b", "a")], "no cycle", id="cycle"),
        pytest.param([A, X, END], [("a", "x")], "nothing flows into 'x'", id="into an input"),
        pytest.param([A, W, END], [("a", "w")], "nothing flows into 'w'", id="into a parameter"),
        pytest.param([A, END], [("loss()", "a")], "nothing flows out of", id="out of the loss"),
    ],
)
def test_what_is_no_layer_graph_is_refused_with_the_nodes_named(
    nodes: list[Node], edges: list[tuple[str, str]], message: str
) -> None:
    with pytest.raises(InvalidGraphError, match=message):
        LayerGraph(nodes, [Edge(a, b, (1,), "float32") for a, b in edges])


def test_paths_are_those_that_an_exhaustive_search_finds() -> None:
    chance = random.Random(0)
    for _ in range(30):
        sketch = Sketch()
        ids: list[str] = []
        for _ in range(9):
            sources = chance.sample(ids, min(len(ids), chance.randint(1, 3)))
            ids.append(sketch.layer("aten.add", *sources) if sources else sketch.dense())
        graph = sketch.graph()
        ahead = {layer.id: {layer.id} for layer in graph.layers}
        for layer in reversed(graph.layers):
            ahead[layer.id].update(*(ahead[after.id] for after in graph.consumers(layer)))
        for first in graph.layers:
            for last in graph.layers:
                between = {x for x in ahead[first.id] if last.id in ahead[x]}
                assert {layer.id for layer in graph.between(first, last)} == between
                assert graph.connected(first, last) == (last.id in ahead[first.id])
