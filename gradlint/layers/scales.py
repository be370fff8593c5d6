"""The scale of hidden weights against the one that keeps a gradient's size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from gradlint.layers.graph import LayerGraph
from gradlint.layers.operations import Role, name_of, role_of
from gradlint.layers.patterns import repeats, site
from gradlint.protocol.nodes import Initialisation, Layer, Parameter
from gradlint.protocol.remedy import Initialise, Remedy
from gradlint.protocol.span import Span

CRITICAL: dict[str, float] = {
    "": 1.0,
    "relu": 2.0,
    "relu6": 2.0,
    "tanh": 1.0,
    "hardtanh": 1.0,
    "softsign": 1.0,
    "sigmoid": 103.1,
    "hardsigmoid": 106.6,
    "gelu": 2.19,
    "silu": 2.64,
    "mish": 2.09,
    "hardswish": 2.79,
    "elu": 1.5,
    "celu": 1.5,
    "selu": 1.0,
    "softplus": 2.0,
    "prelu": 1.88,
    "rrelu": 1.9,
}
"""σ_w² = fan_in · E[w²] that keeps a gradient's size, by the activation behind the weight.

ReLU and its leaky kin are homogeneous: 2 / (1 + a²) at any signal. Odd activations with φ'(0) = 1
are critical at 1, where the signal is small. Sigmoids are critical where σ_w² E[φ'(√q z)²] = 1 at
the fixed point q = σ_w² E[φ(√q z)²]. GELU, SiLU, Mish, Hardswish and ELU: 1 / E[φ'(z)²] at unit
variance. SELU is made for 1; softplus is ReLU for large signals. A test computes all of them again.
"""


@dataclass(frozen=True)
class HiddenWeight:
    """A hidden layer of the trunk, its weight, and what would be critical for it."""

    layer: Layer
    weight: Parameter
    graph: LayerGraph

    @cached_property
    def activation(self) -> Layer | None:
        """The first activation behind the weight, up to the next weight or join."""
        behind = self.graph.behind(self.layer)
        return next((layer for layer in behind if role_of(layer) is Role.ACTIVATION), None)

    @property
    def critical(self) -> float:
        """σ_w² that keeps the gradient's size in front of this activation."""
        if self.activation is None:
            return CRITICAL[""]
        if name_of(self.activation) == "leaky_relu":
            return 2 / (1 + self.activation.setting("negative_slope", 0.01) ** 2)
        return CRITICAL.get(name_of(self.activation), 1.0)

    @property
    def is_understood(self) -> bool:
        """Whether all that follows the weight has a known effect on the critical scale."""
        behind = self.graph.behind(self.layer)
        strange = any(role_of(layer) in (Role.OTHER, Role.PRODUCT) for layer in behind)
        name = name_of(self.activation) if self.activation else ""
        return not strange and (name in CRITICAL or name == "leaky_relu")

    @property
    def variance(self) -> float:
        """σ_w² = fan_in · E[w²]."""
        return self.weight.fan_in * self.weight.mean_square

    @property
    def decades(self) -> float:
        """What the layer adds to the gradient's size beyond the critical value, in decades."""
        return 0.5 * math.log10(self.variance / self.critical)

    @property
    def default(self) -> bool:
        """Whether the weight was left as PyTorch initialised it."""
        initialisation = self.weight.initialisation
        return initialisation is not None and initialisation.function == "default"

    @property
    def span(self) -> Span:
        """The line that initialised the weight; the layer's own for PyTorch's default."""
        initialisation = self.weight.initialisation
        chosen = None if initialisation is None or self.default else initialisation.span
        return chosen or site([self.layer, *([self.activation] if self.activation else [])])

    @property
    def function(self) -> str:
        """The name of the function that filled the weight, "" where that was not seen."""
        return self.weight.initialisation.function if self.weight.initialisation else ""

    @property
    def how(self) -> str:
        """The call that filled the weight, as far as it was seen."""
        initialisation = self.weight.initialisation
        if initialisation is None:
            return "its initialisation"
        return "PyTorch's default initialisation" if self.default else _call(initialisation)


def _call(initialisation: Initialisation) -> str:
    settings = ", ".join(
        f"{value:g}" if name.startswith("argument") else f"{name}={value:g}"
        for name, value in initialisation.settings
    )
    return f"{initialisation.function}({settings})"


def hidden_weights(graph: LayerGraph) -> tuple[HiddenWeight, ...]:
    """Weighted layers of the trunk but the last and those whose scale a norm behind them undoes."""
    return tuple(HiddenWeight(layer, weight, graph) for layer, weight in _hidden(graph))


def _hidden(graph: LayerGraph) -> Iterator[tuple[Layer, Parameter]]:
    for layer in graph.weighted_trunk[:-1]:
        weight = graph.weight_of(layer)
        behind = graph.behind(layer)
        cancelled = any(role_of(other) is Role.NORM for other in behind)
        if weight is not None and not cancelled and not repeats(graph, layer):
            yield layer, weight


def at_critical_scale(items: Sequence[HiddenWeight]) -> Remedy:
    """Draw each layer's weights at the critical scale of its own activation."""
    by_variance: dict[float, list[str]] = {}
    for item in items:
        by_variance.setdefault(item.critical, []).append(item.layer.id)
    scales = " or ".join(f"{variance:.3g}/fan_in" for variance in by_variance)
    return Remedy(
        f"draw the weights with variance {scales}, biases 0",
        tuple(Initialise(tuple(ids), math.sqrt(v)) for v, ids in by_variance.items()),
    )
