"""The layer graph of one traced model, asked in the words of the field."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from functools import cached_property
from importlib import util
from sys import modules
from types import ModuleType
from typing import TYPE_CHECKING

from gradlint.layers.operations import Role, is_weighted, role_of
from gradlint.protocol.nodes import Edge, Input, Layer, Loss, Node, Parameter, Stop, Stray
from gradlint.protocol.training import OptimizerFamily


def _at_first_use(name: str) -> ModuleType:
    """The module `name`, imported when something of it is first asked for.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    if name in modules:
        return modules[name]
    spec = util.find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    spec.loader = util.LazyLoader(spec.loader)
    module = modules[name] = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if TYPE_CHECKING:
    import networkx as nx
else:  # because a file without a model needs no graph, and this import takes half of its time
    nx = _at_first_use("networkx")


def import_now() -> None:
    """Import what is otherwise imported at first use, which must not happen in two threads."""
    _ = nx.__version__


class InvalidGraphError(ValueError):
    """The nodes and edges do not make a layer graph; the message names the two that disagree."""


class LayerGraph:
    """Layers, parameters and inputs of a model and the tensors that flow between them to the loss.

    Layers are kept in the order in which they ran. `optimizer` is the family of the optimizer that
    trains the model, as far as the source shows it. `own_inputs` says that the inputs, and with
    them the length of a sequence, are those of the user's file and were not found by search.
    `batch_size` is what the loop that trains it puts into a batch, 0 if unknown.

    Raises:
        InvalidGraphError: an edge names an unknown node, ids repeat, there is not exactly one loss,
            or a cycle exists.
    """

    def __init__(
        self,
        nodes: Iterable[Node],
        edges: Iterable[Edge],
        optimizer: OptimizerFamily = OptimizerFamily.UNKNOWN,
        *,
        own_inputs: bool = False,
        batch_size: int = 0,
    ) -> None:
        self.optimizer = optimizer
        self.batch_size = batch_size
        self.own_inputs = own_inputs
        self._nodes: dict[str, Node] = {}
        self._calls: dict[str, tuple[Layer, ...]] = {}
        self._arriving: dict[str, dict[str, Edge]] = {}
        for node in nodes:
            if node.id in self._nodes:
                raise InvalidGraphError(f"two nodes are called {node.id!r}")
            self._nodes[node.id] = node
        self._graph: nx.DiGraph[str] = nx.DiGraph()
        self._graph.add_nodes_from(self._nodes)
        for edge in edges:
            self._add(edge)
        self._check()

    def _add(self, edge: Edge) -> None:
        for end in (edge.source, edge.target):
            if end not in self._nodes:
                raise InvalidGraphError(f"edge {edge.source} -> {edge.target}: no node {end!r}")
        self._graph.add_edge(edge.source, edge.target, edge=edge)
        self._arriving.setdefault(edge.target, {})[edge.source] = edge

    def _check(self) -> None:
        losses = [node.id for node in self._nodes.values() if isinstance(node, Loss)]
        if len(losses) != 1:
            raise InvalidGraphError(f"a layer graph has one loss, not {len(losses)}: {losses}")
        if not nx.is_directed_acyclic_graph(self._graph):
            cycle = nx.find_cycle(self._graph)
            raise InvalidGraphError(f"a layer graph has no cycle: {cycle}")
        for node in self._nodes.values():
            if isinstance(node, Parameter | Input) and self._graph.in_degree(node.id):
                raise InvalidGraphError(f"nothing flows into {node.id!r}, yet an edge says so")
        if self._graph.out_degree(losses[0]):
            raise InvalidGraphError(
                f"nothing flows out of the loss {losses[0]!r}, yet an edge says so"
            )

    def mapped(self, change: Callable[[Node], Node]) -> LayerGraph:
        """The same graph with every node as `change` gives it; its id must stay."""
        return LayerGraph(
            map(change, self._nodes.values()),
            (between["edge"] for _, _, between in self._graph.edges(data=True)),
            self.optimizer,
            own_inputs=self.own_inputs,
            batch_size=self.batch_size,
        )

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """All layers in the order in which they ran."""
        return tuple(node for node in self._nodes.values() if isinstance(node, Layer))

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters, the unused ones too."""
        return tuple(node for node in self._nodes.values() if isinstance(node, Parameter))

    @cached_property
    def stops(self) -> tuple[Stop, ...]:
        """The calls at which the gradient of something ends that does not reach the loss."""
        return tuple(node for node in self._nodes.values() if isinstance(node, Stop))

    @cached_property
    def strays(self) -> tuple[Stray, ...]:
        """The trainable tensors that the model holds but does not register."""
        return tuple(node for node in self._nodes.values() if isinstance(node, Stray))

    @cached_property
    def inputs(self) -> tuple[Input, ...]:
        """The tensors that were fed to the model."""
        return tuple(node for node in self._nodes.values() if isinstance(node, Input))

    @cached_property
    def loss(self) -> Loss:
        """The one loss."""
        return next(node for node in self._nodes.values() if isinstance(node, Loss))

    def layer(self, id: str) -> Layer:
        """The layer called `id`.

        Raises:
            KeyError: there is none.
        """
        node = self._nodes[id]
        if not isinstance(node, Layer):
            raise KeyError(id)
        return node

    def parameters_of(self, layer: Layer) -> tuple[Parameter, ...]:
        """The parameters that `layer` consumes, in the order in which the model registers them."""
        consumed = [self._nodes[id] for id in self._graph.predecessors(layer.id)]
        parameters = (node for node in consumed if isinstance(node, Parameter))
        return tuple(sorted(parameters, key=lambda node: self._order[node.id]))

    def weight_of(self, layer: Layer) -> Parameter | None:
        """The largest parameter with two or more dimensions that `layer` consumes."""
        matrices = [p for p in self.parameters_of(layer) if len(p.shape) >= 2]
        return max(matrices, key=lambda p: p.fan_in * p.fan_out, default=None)

    def arriving(self, id: str) -> tuple[Edge, ...]:
        """The edges that end at node `id`, in the order of the call's arguments as far as known."""
        return tuple(self._arriving.get(id, {}).values())

    def input_shapes(self, layer: Layer) -> tuple[tuple[int, ...], ...]:
        """The shapes of the tensors that `layer` takes, parameters left out."""
        arriving = self._graph.pred[layer.id].items()
        return tuple(
            between["edge"].shape
            for source, between in arriving
            if not isinstance(self._nodes[source], Parameter)
        )

    def calls(self, layer: Layer) -> tuple[Layer, ...]:
        """The layers that take the weight of `layer`, itself included, in the order they ran."""
        weight = self.weight_of(layer)
        if weight is None:
            return (layer,)
        if weight.id not in self._calls:
            takers = [self._nodes[id] for id in self._graph.successors(weight.id)]
            layers = (node for node in takers if isinstance(node, Layer))
            self._calls[weight.id] = tuple(sorted(layers, key=lambda node: self._order[node.id]))
        return self._calls[weight.id]

    @cached_property
    def _order(self) -> dict[str, int]:
        return {id: index for index, id in enumerate(self._nodes)}

    def connected(self, first: Layer, last: Layer, avoiding: Iterable[Layer] = ()) -> bool:
        """Whether a path leads from `first` to `last` that passes through none of `avoiding`."""
        return self._has_path(first.id, last.id, avoiding)

    def _has_path(self, start: str, end: str, avoiding: Iterable[Layer]) -> bool:
        avoided = {layer.id for layer in avoiding}
        if avoided & {start, end}:
            return False
        return end in self._reached(start, end, avoided)

    def _reached(self, start: str, end: str, avoided: Container[str] = ()) -> set[str]:
        """What can be reached from `start` without passing by `end` or through `avoided`."""
        last, reached, waiting = self._topology[end], {start}, [start]
        while waiting:
            for id in self._graph.succ[waiting.pop()]:
                if id not in reached and id not in avoided and self._topology[id] <= last:
                    reached.add(id)
                    waiting.append(id)
        return reached

    @cached_property
    def _topology(self) -> dict[str, int]:
        """Places in an order in which every edge leads forward: what is behind `end` is skipped."""
        return {id: place for place, id in enumerate(nx.topological_sort(self._graph))}

    def producers(self, layer: Layer) -> tuple[Layer, ...]:
        """The layers whose outputs `layer` takes."""
        found = [self._nodes[id] for id in self._graph.predecessors(layer.id)]
        return tuple(node for node in found if isinstance(node, Layer))

    def consumers(self, layer: Layer) -> tuple[Layer, ...]:
        """The layers that take the output of `layer`."""
        found = [self._nodes[id] for id in self._graph.successors(layer.id)]
        return tuple(node for node in found if isinstance(node, Layer))

    def takers(self, parameter: Parameter) -> tuple[Layer, ...]:
        """The layers that consume `parameter`."""
        found = [self._nodes[id] for id in self._graph.successors(parameter.id)]
        return tuple(node for node in found if isinstance(node, Layer))

    def behind_all(self, ids: Iterable[str]) -> frozenset[str]:
        """The nodes in `ids` and all that depend on any of them."""
        ids = frozenset(ids)
        return ids.union(*(nx.descendants(self._graph, id) for id in ids))

    def felt(self, avoiding: Iterable[Layer] = ()) -> frozenset[str]:
        """The nodes on which the loss depends on paths through none of `avoiding`."""
        hidden = [layer.id for layer in avoiding]
        view = nx.restricted_view(self._graph, hidden, ()) if hidden else self._graph
        return frozenset(nx.ancestors(view, self.loss.id))

    @cached_property
    def outputs(self) -> tuple[Layer, ...]:
        """The layers whose outputs the loss takes."""
        found = [self._nodes[id] for id in self._graph.predecessors(self.loss.id)]
        return tuple(node for node in found if isinstance(node, Layer))

    @cached_property
    def heads(self) -> tuple[str, ...]:
        """The ids of the layers to whose gradient those of all others are compared."""
        return self.loss.heads or tuple(layer.id for layer in self.outputs)

    @cached_property
    def beyond(self) -> frozenset[str]:
        """The nodes between the heads and the loss: the means and sums of which a loss is made."""
        behind = self.behind_all(self.heads).difference(self.heads, [self.loss.id])
        # looked at only here, because few models have any, and each look is at all layers
        return behind.difference(*(nx.ancestors(self._graph, id) for id in self.heads if behind))

    def reaches_loss(self, layer: Layer, avoiding: Iterable[Layer] = ()) -> bool:
        """Whether a path leads from `layer` to the loss that passes through none of `avoiding`."""
        return self._has_path(layer.id, self.loss.id, avoiding)

    def between(self, first: Layer, last: Layer) -> tuple[Layer, ...]:
        """The layers on any path from `first` to `last`, both included, in the order they ran."""
        ahead = self._reached(first.id, last.id)
        inside = {last.id} & ahead
        waiting = [*inside]
        while waiting:
            for id in self._graph.pred[waiting.pop()]:
                if id in ahead and id not in inside:
                    inside.add(id)
                    waiting.append(id)
        nodes = (self._nodes[id] for id in sorted(inside, key=self._order.__getitem__))
        return tuple(node for node in nodes if isinstance(node, Layer))

    @cached_property
    def trunk(self) -> tuple[Layer, ...]:
        """The layers that every path from the deepest parameter to the loss passes through.

        The dominator chain, in the graph with its edges turned round, from the loss down to the
        parameter-consuming layer that is farthest from it, as far as it lies below the heads. Empty
        where no parameter reaches the loss.
        """
        backward = self._graph.reverse(copy=False)
        reached = nx.descendants(backward, self.loss.id)
        deepest = self._deepest(reached)
        if deepest is None:
            return ()
        dominators = nx.immediate_dominators(backward, self.loss.id)
        chain, id = [], deepest
        while id != self.loss.id:
            chain.append(id)
            id = dominators[id]
        return tuple(
            node
            for node in map(self._nodes.__getitem__, chain)
            if isinstance(node, Layer) and node.id not in self.beyond
        )

    def _deepest(self, reached: set[str]) -> str | None:
        depth: dict[str, int] = {self.loss.id: 0}
        for id in reversed(list(nx.topological_sort(self._graph))):
            if id in reached:
                ahead = [depth[after] for after in self._graph.successors(id) if after in depth]
                depth[id] = 1 + max(ahead)
        consuming = {after for p in self.parameters for after in self._graph.successors(p.id)}
        consumers = [
            layer.id for layer in self.layers if layer.id in depth and layer.id in consuming
        ]
        fed = [id for id in consumers if id in self._fed] or consumers
        return max(fed, key=lambda id: depth[id], default=None)

    @cached_property
    def _fed(self) -> frozenset[str]:
        """The nodes that depend on an input; the rest computes on parameters and constants."""
        inputs = [node.id for node in self._nodes.values() if isinstance(node, Input)]
        return frozenset().union(*(nx.descendants(self._graph, id) for id in inputs))

    @cached_property
    def weighted_trunk(self) -> tuple[Layer, ...]:
        """The layers of the trunk that multiply by a weight matrix or kernel."""
        return tuple(layer for layer in self.trunk if is_weighted(layer) and self.weight_of(layer))

    def joins(self, layer: Layer) -> bool:
        """Whether `layer` brings two or more branches together by sum or concatenation."""
        return role_of(layer) in (Role.SUM, Role.CONCAT) and len(self.producers(layer)) > 1

    def behind(self, layer: Layer) -> tuple[Layer, ...]:
        """The layers of the trunk behind weighted `layer`, up to the next weight or join.

        Raises:
            KeyError: `layer` is none of the trunk's weighted layers.
        """
        return self._behind[layer.id]

    @cached_property
    def _behind(self) -> dict[str, tuple[Layer, ...]]:
        weighted = {layer.id for layer in self.weighted_trunk}
        found: dict[str, tuple[Layer, ...]] = {}
        behind: list[Layer] = []
        for layer in reversed(self.trunk):
            if layer.id in weighted:
                found[layer.id] = tuple(reversed(behind))
            if layer.id in weighted or self.joins(layer):
                behind = []
            else:
                behind.append(layer)
        return found
