"""Layer graphs drawn by hand, for tests that need no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from gradlint.layers.graph import LayerGraph
from gradlint.protocol.nodes import Edge, Initialisation, Input, Layer, Loss, Node, Parameter
from gradlint.protocol.span import Span
from gradlint.protocol.training import OptimizerFamily

PATH = "model.py"


@dataclass
class Sketch:
    """A layer graph under construction; each layer gets the next line as its place."""

    width: int = 64
    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    last: str = ""

    def __post_init__(self) -> None:
        self.nodes.append(Input("input 0", (8, self.width), "float32"))
        self.last = "input 0"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of what the last layer gives."""
        return self.shape_of(self.last)

    def shape_of(self, id: str) -> tuple[int, ...]:
        """The shape of what the layer or input called `id` gives."""
        node = next(node for node in self.nodes if node.id == id)
        assert isinstance(node, Input | Layer)
        return node.shape

    def layer(
        self,
        op: str,
        *sources: str,
        id: str = "",
        shape: tuple[int, ...] = (),
        settings: tuple[tuple[str, bool | int | float | str], ...] = (),
    ) -> str:
        """Add a layer behind `sources` (the last layer by default) and return its id."""
        line = len(self.nodes) + 1
        id = id or f"{op.rpartition('.')[2].lower()}{line}"
        index = int(id.partition("#")[2] or 0)
        place = Span(PATH, line, 5, line, 20)
        module = id.partition("#")[0]
        shape = shape or self.shape
        sources = sources or (self.last,)
        self.nodes.append(Layer(id, op, module, index, shape, "float32", place, place, settings))
        for source in sources:
            self.edges.append(Edge(source, id, self.shape_of(source), "float32"))
        self.last = id
        return id

    def weight(
        self,
        layer: str,
        *,
        variance: float = 1 / 3,
        id: str = "",
        rows: int = 2,
        initialisation: Initialisation | None = None,
    ) -> str:
        """Give `layer` a square weight with fan_in · E[w²] = `variance`, or one that exists."""
        id = id or f"{layer}.weight"
        if all(node.id != id for node in self.nodes):
            how = initialisation or Initialisation("default", (), Span(PATH, len(self.nodes) + 1))
            size, fan = (self.width, self.width), self.width
            self.nodes.append(
                Parameter(id, size, "float32", 0.0, variance / fan, 1.0, fan, fan, rows, True, how)
            )
        self.edges.append(Edge(id, layer, (self.width, self.width), "float32"))
        return id

    def dense(
        self,
        *sources: str,
        id: str = "",
        variance: float = 1 / 3,
        rows: int = 2,
        initialisation: Initialisation | None = None,
    ) -> str:
        """Add a Linear layer with its own weight."""
        layer = self.layer("torch.nn.Linear", *sources, id=id)
        self.weight(layer, variance=variance, rows=rows, initialisation=initialisation)
        return layer

    def graph(
        self,
        *outputs: str,
        optimizer: OptimizerFamily = OptimizerFamily.UNKNOWN,
        own_inputs: bool = False,
    ) -> LayerGraph:
        """Close the sketch: the loss takes `outputs`, the last layer by default."""
        ends = [Edge(id, "loss()", self.shape, "float32") for id in outputs or (self.last,)]
        return LayerGraph(
            [*self.nodes, Loss("loss()")],
            [*self.edges, *ends],
            optimizer,
            own_inputs=own_inputs,
        )


def chain(depth: int, activation: str = "", norm: str = "", *, variance: float = 1 / 3) -> Sketch:
    """`depth` Linear layers, each with its activation and norm (`torch.nn` names), and a head."""
    sketch = Sketch()
    for _ in range(depth):
        sketch.dense(variance=variance)
        for op in filter(None, (activation, norm)):
            sketch.layer(f"torch.nn.{op}")
    sketch.dense(id="head")
    return sketch
