"""Moments up and gradients down a layer graph, predicted without data and without running it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from gradlint.layers.graph import LayerGraph
from gradlint.layers.operations import name_of
from gradlint.protocol.nodes import Edge, Input, Layer, Parameter
from gradlint.theory.dense import as_operand, constant_moments
from gradlint.theory.elementwise import passing
from gradlint.theory.moments import FEATURE, Moments, default_axes
from gradlint.theory.recurrence import recurrences
from gradlint.theory.step import Call, Flow, Operand, Step
from gradlint.theory.transfer import TRANSFERS


class Signal(NamedTuple):
    """What is predicted at a layer's output.

    `square` is the mean square of the elements (q), `correlation` that between two inputs (r / q),
    `mean` the mean element (m), `decades` log10 of the norm of the gradient over that at the
    model's outputs: negative where it is weaker, -inf where none arrives, as below weights that
    start at zero. `decay` is, for a
    recurrent layer, the decades by which the gradient changes for each step back in time, else 0.
    `width` is the part of `decades` by which a typical draw of the weights lies below the mean over
    draws, as it does in narrow layers.
    """

    square: float
    correlation: float
    mean: float
    decades: float
    decay: float = 0.0
    width: float = 0.0


@dataclass(frozen=True, slots=True)
class Prediction:
    """Signals by layer id; `unknown` are the operations taken to do nothing.

    `confidence` is the share of layers with a gradient, up to the heads, whose operation is known.
    """

    signals: Mapping[str, Signal]
    unknown: tuple[str, ...]
    confidence: float
    steps: Mapping[str, Step]

    def decades(self, layer: str) -> float:
        """log10 of the gradient norm at a layer's output over that at the model's outputs.

        Raises:
            KeyError: no such layer.
        """
        return self.signals[layer].decades


def predict(graph: LayerGraph) -> Prediction:
    """Propagate moments forward and squared gradient norms backward through every layer once.

    Inputs are taken as N(0, 1) where they are floating-point, otherwise as uniform indices. The
    loss is a random projection of each output, all outputs of equal weight. Source: Poole 2016,
    Schoenholz 2017.
    """
    forward = _Forward(graph)
    flows = _backward(graph, forward)
    root = sum(flows[id].energy for id in graph.heads if id in flows)
    counted = flows.keys() - graph.beyond
    return Prediction(
        _Signals(forward, flows, root),
        tuple(sorted(forward.unknown)),
        1.0 - len(counted.intersection(forward.unnamed)) / max(len(counted), 1),
        forward.steps,
    )


class _Forward:
    """The forward pass: the step of every layer, in the order in which they ran."""

    def __init__(self, graph: LayerGraph) -> None:
        self.steps: dict[str, Step] = {}
        self.operands: dict[str, tuple[Operand, ...]] = {}
        self.decays: dict[str, float] = {}
        self.unknown: set[str] = set()
        self.unnamed: list[str] = []
        self._outputs: dict[str, Operand] = {}
        sources: tuple[Input | Parameter, ...] = (*graph.inputs, *graph.parameters)
        self._sources = {node.id: node for node in sources}
        self._competing = _competing(graph)
        for layer in graph.layers:
            self._run(layer, graph.arriving(layer.id))

    def _run(self, layer: Layer, edges: tuple[Edge, ...]) -> None:
        name, id = name_of(layer), layer.id
        weights, operands = self._taken(layer, name, edges)
        if name in _ARITHMETIC:
            operands = _with_constants(layer, operands)
        if name in _TAKEN:
            operands = _repeated(layer, name, operands)
        step = self._step(Call(layer, name, operands, weights, id in self._competing))
        self.operands[id] = operands
        self.steps[id] = step
        # what takes nothing may still depend on an input, by a tensor without gradient
        constant = bool(edges) and all(map(_is_constant, operands))
        self._outputs[id] = Operand(id, step.moments, constant, name in _SPLITTING)
        if name in ("rnn", "lstm", "gru"):
            square = operands[0].moments.square if operands else 1.0
            found = recurrences(layer, weights, square)
            self.decays[id] = min((one.decades_a_step for one in found), default=0.0)

    def _taken(
        self, layer: Layer, name: str, edges: tuple[Edge, ...]
    ) -> tuple[tuple[Parameter, ...], tuple[Operand, ...]]:
        """The parameters and the tensors that a call takes."""
        weights: list[Parameter] = []
        operands: list[Operand] = []
        for edge in edges:
            operand = self._outputs.get(edge.source)
            source = self._sources.get(edge.source) if operand is None else None
            if isinstance(source, Parameter):
                weights.append(source)
                signal = name not in _WEIGHTED and layer.op.startswith(_FUNCTIONS)
                operand = as_operand(source) if signal else None
            elif source is not None:
                operand = _input(source, layer, name)
            if operand is not None:
                operands.append(operand)
        return tuple(weights), tuple(operands)

    def _step(self, call: Call) -> Step:
        transfer = TRANSFERS.get(call.name)
        if transfer is None:
            self.unknown.add(call.layer.op)
            self.unnamed.append(call.layer.id)
            return passing(call)
        try:
            step = transfer(call)
        except (ArithmeticError, ValueError):  # moments out of a float's range are unknown ones
            step = None
        if step is None or not math.isfinite(step.moments.square):
            self.unnamed.append(call.layer.id)
            return passing(call)
        if len(step.moments.axes) != len(step.moments.shape):
            axes = default_axes(len(step.moments.shape))
            step = step._replace(moments=step.moments._replace(axes=axes, spread=()))
        return step


def _input(source: Input, layer: Layer, name: str) -> Operand | None:
    """An input of the model, as it was fed unless settings tell what it became on its way here.

    Not whole numbers in arithmetic or as a mask, where settings tell of them as of constants.
    """
    sizes = dict(layer.settings).get("input.sizes")
    if name in _MASKED | _ARITHMETIC and sizes is None and not source.dtype.startswith(_CONTINUOUS):
        return None
    shape, square, mean, shared = source.shape, 1.0, 0.0, 0.0
    if isinstance(sizes, str):
        shape = tuple(int(size) for size in sizes.split(",") if size)
        square, mean = max(layer.setting("input.square"), 1e-280), layer.setting("input.mean")
        shared = mean * mean
    elif not _is_standard(source):
        square, mean, shared = max(source.mean_square, 1e-280), source.mean, source.shared
    axes = default_axes(len(shape), source.dtype if sizes is None else _CONTINUOUS[0])
    return Operand(source.id, Moments(square, shared, mean * mean, mean, shape, axes))


def _is_standard(source: Input) -> bool:
    """Whether the values of an input may have been drawn from N(0, 1), by five standard errors."""
    error = 5.0 / math.sqrt(max(math.prod(source.shape), 1))
    return abs(source.mean) < error and abs(source.mean_square - 1.0) < math.sqrt(2.0) * error


def _competing(graph: LayerGraph) -> set[str]:
    """The layers whose outputs a softmax weighs, directly or behind a scale, a mask or a copy."""
    found: set[str] = set()
    for layer in reversed(graph.layers):
        name = name_of(layer)
        if name == "softmax" or (layer.id in found and name in _SCALING):
            found.update(edge.source for edge in graph.arriving(layer.id)[:1])
    return found


_FUNCTIONS = ("aten.", "autograd.")
_is_constant = attrgetter("constant")
_SCALING = frozenset(
    "mul imul rmul multiply div truediv itruediv idiv divide add iadd where masked_fill to float "
    "view reshape clone contiguous type type_as".split()
)
_SPLITTING = frozenset("chunk split unbind tensor_split splitwithsizes split_with_sizes".split())
_WEIGHTED = frozenset(
    "linear embedding conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d "
    "batch_norm "
    "layer_norm group_norm instance_norm rms_norm addmm prelu multi_head_attention_forward rnn "
    "lstm gru "
    "bilinear embedding_bag matmul rmatmul mm einsum".split()
)


_ARITHMETIC = frozenset(
    "add iadd radd sub isub rsub subtract mul imul rmul multiply div truediv itruediv rdiv "
    "rtruediv divide "
    "matmul rmatmul mm bmm einsum".split()
)


_MASKED = frozenset("where masked_fill masked_scatter".split())
_CONTINUOUS = ("float", "bfloat", "complex")
_MASKING = 1e12
"""The mean square of constants that hide what they are added to, as masks of attention do."""


def _with_constants(layer: Layer, operands: tuple[Operand, ...]) -> tuple[Operand, ...]:
    """Add the constant tensors of a call, of which the settings tell shape, mean and square."""
    for name, shape in layer.settings:
        if not name.endswith(".shape") or not isinstance(shape, str):
            continue
        argument, settings = name.removesuffix(".shape"), dict(layer.settings)
        sizes = tuple(int(size) for size in shape.split(",") if size)
        mean, square = (float(settings.get(f"{argument}.{key}", 0.0)) for key in ("mean", "square"))
        if (math.prod(sizes) == 1 and len(operands) == 1) or square > _MASKING:
            continue
        constant = Operand("", constant_moments(sizes, mean, square), constant=True)
        first = argument == "argument0"
        operands = (constant, *operands) if first else (*operands, constant)
    return operands


_TAKEN = {"scaled_dot_product_attention": 3, **dict.fromkeys(_ARITHMETIC, 2)}


def _repeated(layer: Layer, name: str, operands: tuple[Operand, ...]) -> tuple[Operand, ...]:
    """The operands, one that gives several parts as often as the call takes tensors of it.

    Because the graph has one edge between two layers, as for `a * b` behind `a, b = x.chunk(2)`.
    """
    missing = _TAKEN[name] - len(operands)
    if missing <= 0:
        return operands
    place = next((place for place, operand in enumerate(operands) if operand.parts), -1)
    alone = name in _ARITHMETIC and any(
        key.startswith(("argument", "other")) for key, _ in layer.settings
    )
    if place < 0 or alone:
        return operands
    return (*operands[:place], *[operands[place]] * missing, *operands[place:])


def _backward(graph: LayerGraph, forward: _Forward) -> dict[str, Flow]:
    """The gradient at each layer's output: what is passed on, plus what is only shown."""
    flows: dict[str, Flow] = {}
    shown: dict[str, Flow] = {}
    for edge in graph.arriving(graph.loss.id):
        _add(flows, edge.source, _root(forward, edge.source))
    for layer in reversed(graph.layers):
        flow, aside = flows.get(layer.id), shown.get(layer.id)
        if flow is None and aside is None:
            continue
        _pass_on(forward, layer.id, flow or Flow(0.0), aside, flows, shown)
    for id, flow in shown.items():
        flows[id] = flows[id].joined(flow) if id in flows else flow
    return flows


def _root(forward: _Forward, id: str) -> Flow:
    """A random projection of n features has 1 / n of its gradient along it."""
    step = forward.steps.get(id)
    if step is None:
        return Flow(1.0)
    width = max(step.moments.extent(FEATURE), 1)
    places = max(step.moments.elements / width, 1.0)
    return Flow(1.0, step.moments.direction**-0.5, overlap=1.0 / places)


def _pass_on(
    forward: _Forward,
    id: str,
    flow: Flow,
    aside: Flow | None,
    flows: dict[str, Flow],
    shown: dict[str, Flow],
) -> None:
    step = forward.steps[id]
    moments = step.moments
    source = moments.curve.source if moments.curve else ""
    size = moments.square * moments.elements
    for operand, gain in zip(forward.operands[id], step.gains, strict=False):
        if not operand.id:
            continue
        growth = 0.0 if gain.along is not None else _growth(size, operand.moments)
        if gain.aside:
            _add(shown, operand.id, gain.apply(flow.joined(aside) if aside else flow, growth))
            continue
        if flow.energy > 0.0:
            _add(flows, operand.id, gain.apply(flow, growth))
        if aside is not None and operand.id != source:
            _add(shown, operand.id, gain.apply(aside, growth))
    for target, gain in step.direct:
        _add(flows, target, gain.apply(flow))


def _growth(size: float, below: Moments) -> float:
    """|y| / |x|; 0 for an operand that is empty or zero, because no gradient is along nothing."""
    own = below.square * below.elements
    return math.sqrt(size / own) if own > 1e-200 else 0.0


_LARGEST = 1e280  # because products over many layers leave the range of a float


def _add(flows: dict[str, Flow], id: str, flow: Flow) -> None:
    before = flows.get(id)
    if flow.energy > _LARGEST or flow.along**2 > flow.energy:
        energy = min(flow.energy, _LARGEST)
        along = math.copysign(min(abs(flow.along), math.sqrt(energy)), flow.along)
        flow = flow._replace(energy=energy, along=along)
    flows[id] = before.joined(flow) if before else flow


_NOTHING = 1e-240  # because what is zero is kept at 1e-280, so that it can be divided by


class _Signals(Mapping[str, Signal]):
    """The signal at each layer, worked out when it is asked for."""

    def __init__(self, forward: _Forward, flows: Mapping[str, Flow], root: float) -> None:
        self._forward, self._flows, self._root = forward, flows, root

    def __getitem__(self, id: str) -> Signal:
        moments, flow = self._forward.steps[id].moments, self._flows.get(id, Flow(0.0))
        ratio = flow.typical / self._root if self._root > 0.0 else 0.0
        return Signal(
            square=moments.square,
            correlation=min(max(moments.shared / moments.square, -1.0), 1.0),
            mean=moments.mean,
            decades=0.5 * math.log10(ratio) if ratio > _NOTHING else -math.inf,
            decay=self._forward.decays.get(id, 0.0),
            width=-0.25 * flow.noise / math.log(10.0),
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._forward.steps)

    def __len__(self) -> int:
        return len(self._forward.steps)
